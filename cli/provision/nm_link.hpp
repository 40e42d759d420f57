// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "agent/port/clock.hpp"
#include "cli/outcome.hpp"
#include "cli/provision/host_link.hpp"

namespace muster::cli {

/// `--radio nm[:INTERFACE]`: a Wi-Fi card of this computer by NetworkManager over D-Bus, borrowed for the set-up and put back. Empty: wlan0.
/// Errors: this program was built without D-Bus (exit_usage).
[[nodiscard]] Outcome<std::unique_ptr<HostLink>> make_nm_link(const std::string& interface, agent::Clock& clock);

}  // namespace muster::cli
