// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/radio.hpp"

/// What wpa_supplicant says and wants to hear on its control socket, as plain functions. All of it is taken as hostile: SSIDs are chosen by
/// whoever has a transmitter nearby.
namespace muster::agent::linux_port {

/// A ScannedNetwork that owns its name.
struct WpaNetwork {
  std::string ssid;
  std::uint8_t bssid[6] = {};
  int frequency_mhz = 0;
  int rssi_dbm = 0;
  NetworkSecurity security = NetworkSecurity::unknown;
};

/// One answer to `BSS RANGE=N- MASK=...`, see wpa_bss_command().
struct WpaBssPage {
  std::vector<WpaNetwork> networks;  ///< Those whose fields made sense.
  std::uint32_t next_id = 0;         ///< Where the next page begins.
  bool last = true;                  ///< There is no next page.
};
[[nodiscard]] std::string wpa_bss_command(std::uint32_t first_id);
[[nodiscard]] WpaBssPage parse_bss_page(std::string_view text, std::uint32_t first_id);

/// Of the flags, such as `[WPA2-PSK-CCMP][ESS]`.
[[nodiscard]] NetworkSecurity wpa_security(std::string_view flags) noexcept;

/// 0: no channel that Wi-Fi uses.
[[nodiscard]] int channel_of(int frequency_mhz) noexcept;

/// Undoes the escapes of printed SSIDs: \\ \" \n \r \t \e \xHH. nullopt: not such a text.
[[nodiscard]] std::optional<std::string> unescape(std::string_view text);

[[nodiscard]] std::string to_hex(std::string_view bytes);
[[nodiscard]] bool parse_mac(std::string_view text, std::uint8_t (&mac)[6]) noexcept;

/// True for 64 hexadecimal digits: then it is the key itself and not a password.
[[nodiscard]] bool is_raw_key(std::string_view passphrase) noexcept;
/// The WPA2 key of a network as 64 hexadecimal digits. Takes some milliseconds.
[[nodiscard]] std::string wpa_key(std::string_view ssid, std::string_view passphrase);

/// What to set for a network (`name value`), hidden ones included, so that only a network of this security is joined. Empty: no
/// network of this security can be joined with what is given. Nothing is quoted: SSID, key and password go as hexadecimal digits, so
/// that no byte of them can mean something to the receiver.
[[nodiscard]] std::vector<std::string> wpa_network_settings(std::string_view ssid, std::string_view passphrase, NetworkSecurity security,
                                                            int frequency_mhz);

enum class WpaEventKind : std::uint8_t {
  other,
  scan_results,
  scan_failed,
  connected,
  disconnected,
  temporarily_disabled,  ///< reason
  network_not_found,
  auth_rejected,   ///< status, auth_type
  assoc_rejected,  ///< status
  ap_enabled,
  ap_disabled,
  ap_station_connected,
  ap_station_disconnected,
  channel_switched,  ///< frequency_mhz
  terminating,
};
struct WpaEvent {
  WpaEventKind kind = WpaEventKind::other;
  std::uint8_t bssid[6] = {};
  int network_id = -1;
  int status = 0;
  int auth_type = 0;
  int frequency_mhz = 0;
  std::string_view reason;  ///< Borrows from the text.
};
/// nullopt: the message is an answer to a command and not an event (`<level>TEXT`).
[[nodiscard]] std::optional<WpaEvent> parse_wpa_event(std::string_view message) noexcept;

}  // namespace muster::agent::linux_port
