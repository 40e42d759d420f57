// SPDX-License-Identifier: Apache-2.0
// In the place of nm_link.cpp where the program is built without D-Bus.
#include "cli/provision/nm_link.hpp"

namespace muster::cli {

Outcome<std::unique_ptr<HostLink>> make_nm_link(const std::string&, agent::Clock&) {
  return usage(
      "This muster was built without D-Bus, so it has no --radio nm. Build it with libsdbus-c++-dev installed, or use another radio.");
}

}  // namespace muster::cli
