// SPDX-License-Identifier: Apache-2.0
// In the place of nm_radio_set.cpp where the program is built without D-Bus.
#include "agent/app/nm_radio_set.hpp"

namespace muster::agent::app {

std::unique_ptr<RadioSet> make_nm_radio_set(const std::string&, bool, Clock&) { return nullptr; }

}  // namespace muster::agent::app
