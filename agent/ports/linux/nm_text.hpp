// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/radio.hpp"

/// What NetworkManager's numbers mean, as plain functions. Source: its D-Bus API, https://networkmanager.dev/docs/api/latest/.
namespace muster::agent::linux_port {

/// NMDeviceState. The values in between are steps of an activation.
enum class NmState : std::uint32_t {
  unknown = 0,
  unmanaged = 10,
  unavailable = 20,
  disconnected = 30,
  prepare = 40,
  config = 50,
  need_auth = 60,
  ip_config = 70,
  activated = 100,
  deactivating = 110,
  failed = 120,
};

/// Of an access point's Flags, WpaFlags and RsnFlags.
[[nodiscard]] NetworkSecurity nm_security(std::uint32_t flags, std::uint32_t wpa, std::uint32_t rsn) noexcept;
/// Strength is 0 to 100; NetworkManager made it of -100 to -40 dBm.
[[nodiscard]] int nm_rssi_dbm(int strength_percent) noexcept;

/// Why a device got into the state `failed`, of an NMDeviceStateReason.
[[nodiscard]] JoinFailure nm_join_failure(std::uint32_t reason) noexcept;
/// True when the step to `state` says that the key, which was given with the profile, was tried and not taken: NetworkManager then waits for
/// a person to type another. It is in the same state for a moment of every activation, while it fetches the key; then there is no reason.
[[nodiscard]] bool nm_key_refused(NmState state, std::uint32_t reason) noexcept;

/// `key-mgmt` of a profile for such a network; empty: an open one. nullopt: no network of this security can be joined with this passphrase.
[[nodiscard]] std::optional<std::string> nm_key_management(NetworkSecurity security, std::string_view passphrase);
/// nullopt: the ones of the mask are not all at its beginning.
[[nodiscard]] std::optional<unsigned> nm_prefix(std::uint32_t mask) noexcept;

/// D-Bus carries names and MACs of any bytes as arrays.
[[nodiscard]] std::vector<std::uint8_t> nm_bytes(std::string_view text);
[[nodiscard]] std::string nm_text(const std::vector<std::uint8_t>& bytes);

}  // namespace muster::agent::linux_port
