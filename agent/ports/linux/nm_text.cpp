// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/nm_text.hpp"

#include <algorithm>

#include "agent/ports/linux/wpa_text.hpp"

namespace muster::agent::linux_port {

namespace {

constexpr std::uint32_t ap_privacy = 0x1;
// NM80211ApSecurityFlags: how keys are agreed on.
constexpr std::uint32_t key_psk = 0x100, key_802_1x = 0x200, key_sae = 0x400, key_owe = 0x800, key_owe_beside_open = 0x1000,
                        key_suite_b = 0x2000;

// NMDeviceStateReason.
constexpr std::uint32_t reason_ip_config_unavailable = 5, reason_ip_config_expired = 6, reason_no_secrets = 7,
                        reason_supplicant_disconnect = 8, reason_supplicant_timeout = 11, reason_dhcp_start_failed = 15,
                        reason_dhcp_error = 16, reason_dhcp_failed = 17, reason_ssid_not_found = 53;

}  // namespace

NetworkSecurity nm_security(std::uint32_t flags, std::uint32_t wpa, std::uint32_t rsn) noexcept {
  const bool psk = (rsn & key_psk) != 0, sae = (rsn & key_sae) != 0, old_psk = (wpa & key_psk) != 0;
  if (psk && sae) return NetworkSecurity::wpa2_wpa3;
  if (sae) return NetworkSecurity::wpa3;
  if (psk) return old_psk ? NetworkSecurity::wpa_wpa2 : NetworkSecurity::wpa2;
  if (old_psk) return NetworkSecurity::wpa;
  if (((wpa | rsn) & (key_802_1x | key_suite_b)) != 0) return NetworkSecurity::enterprise;
  if ((rsn & key_owe) != 0) return NetworkSecurity::owe;
  // An open network that tells about its encrypted twin.
  if ((flags & ap_privacy) == 0 && wpa == 0 && (rsn & ~key_owe_beside_open) == 0) return NetworkSecurity::open;
  return wpa == 0 && rsn == 0 ? NetworkSecurity::wep : NetworkSecurity::unknown;
}

int nm_rssi_dbm(int strength_percent) noexcept { return -100 + std::clamp(strength_percent, 0, 100) * 60 / 100; }

JoinFailure nm_join_failure(std::uint32_t reason) noexcept {
  switch (reason) {
    case reason_no_secrets: return JoinFailure::wrong_password;
    case reason_ssid_not_found: return JoinFailure::not_found;
    case reason_ip_config_unavailable:
    case reason_ip_config_expired:
    case reason_dhcp_start_failed:
    case reason_dhcp_error:
    case reason_dhcp_failed: return JoinFailure::no_address;
    case reason_supplicant_timeout: return JoinFailure::timeout;
    default: return JoinFailure::other;
  }
}

bool nm_key_refused(NmState state, std::uint32_t reason) noexcept {
  return state == NmState::need_auth && (reason == reason_supplicant_disconnect || reason == reason_no_secrets);
}

std::optional<std::string> nm_key_management(NetworkSecurity security, std::string_view passphrase) {
  const bool key = (passphrase.size() >= 8 && passphrase.size() <= 63) || is_raw_key(passphrase);
  switch (security) {
    case NetworkSecurity::open: return passphrase.empty() ? std::optional{std::string{}} : std::nullopt;
    case NetworkSecurity::owe: return passphrase.empty() ? std::optional{std::string{"owe"}} : std::nullopt;
    case NetworkSecurity::wpa3: return key ? std::optional{std::string{"sae"}} : std::nullopt;
    case NetworkSecurity::wpa:
    case NetworkSecurity::wpa2:
    case NetworkSecurity::wpa_wpa2:
    // Where the card can, NetworkManager offers SAE beside this by itself.
    case NetworkSecurity::wpa2_wpa3: return key ? std::optional{std::string{"wpa-psk"}} : std::nullopt;
    default: return std::nullopt;
  }
}

std::optional<unsigned> nm_prefix(std::uint32_t mask) noexcept {
  unsigned bits = 0;
  while (bits < 32 && (mask & 0x8000'0000U >> bits) != 0) ++bits;
  return bits == 32 || mask << bits == 0 ? std::optional{bits} : std::nullopt;
}

std::vector<std::uint8_t> nm_bytes(std::string_view text) { return {text.begin(), text.end()}; }

std::string nm_text(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace muster::agent::linux_port
