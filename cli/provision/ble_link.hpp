// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "cli/outcome.hpp"
#include "cli/provision/host_link.hpp"

namespace muster::cli {

/// `--radio ble[:ADAPTER]`: devices over Bluetooth LE, by bluetoothd over D-Bus. Empty: hci0. Errors: no name of an adapter (exit_usage), or this
/// program was built without D-Bus.
[[nodiscard]] Outcome<std::unique_ptr<HostLink>> make_ble_link(const std::string& adapter);

}  // namespace muster::cli
