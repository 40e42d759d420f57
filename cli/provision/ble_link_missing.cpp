// SPDX-License-Identifier: Apache-2.0
// In the place of ble_link.cpp where the program is built without D-Bus.
#include "cli/provision/ble_link.hpp"

namespace muster::cli {

Outcome<std::unique_ptr<HostLink>> make_ble_link(const std::string&) {
  return usage(
      "This muster was built without D-Bus, so it has no --radio ble. Build it with libsdbus-c++-dev installed, or use another radio.");
}

}  // namespace muster::cli
