// SPDX-License-Identifier: Apache-2.0
// In the place of ble_set.cpp where the program is built without D-Bus.
#include "agent/app/ble_set.hpp"

namespace muster::agent::app {

std::unique_ptr<BleSet> make_ble_set(const std::string&) { return nullptr; }

}  // namespace muster::agent::app
