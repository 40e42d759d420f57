// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "agent/app/radio_set.hpp"

namespace muster::agent::app {

/// A Wi-Fi card that NetworkManager has, with the web server and name service on its access point. `interface` empty: the default one.
/// nullptr: this program was built without D-Bus.
[[nodiscard]] std::unique_ptr<RadioSet> make_nm_radio_set(const std::string& interface, bool portal, Clock& clock);

}  // namespace muster::agent::app
