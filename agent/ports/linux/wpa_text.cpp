// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/wpa_text.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>

namespace muster::agent::linux_port {

namespace {

/// ID, BSSID, frequency, level, flags, SSID, and a line of signs behind each.
constexpr const char* bss_mask = "0x21887";

bool starts_with(std::string_view text, std::string_view prefix) noexcept { return text.substr(0, prefix.size()) == prefix; }
bool contains(std::string_view text, std::string_view part) noexcept { return text.find(part) != std::string_view::npos; }

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <typename T>
std::optional<T> number(std::string_view text) noexcept {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;  // What follows the digits does not matter.
}

/// The value of `name=` in a line of words; empty when there is none.
std::string_view word_value(std::string_view line, std::string_view name) noexcept {
  for (std::size_t at = 0; (at = line.find(name, at)) != std::string_view::npos; at += name.size()) {
    const bool begins = at == 0 || line[at - 1] == ' ' || line[at - 1] == '[';
    const std::size_t value = at + name.size();
    if (begins && value < line.size() && line[value] == '=') {
      return line.substr(value + 1, line.find_first_of(" ]", value + 1) - value - 1);
    }
  }
  return {};
}

}  // namespace

std::string wpa_bss_command(std::uint32_t first_id) { return "BSS RANGE=" + std::to_string(first_id) + "- MASK=" + bss_mask; }

WpaBssPage parse_bss_page(std::string_view text, std::uint32_t first_id) {
  WpaBssPage page;
  page.next_id = first_id;
  WpaNetwork network;
  bool has_bssid = false, has_ssid = false, has_id = false;
  bool ended = false;
  std::uint32_t id = 0;
  while (!text.empty()) {
    const std::size_t line_size = text.find('\n');
    if (line_size == std::string_view::npos) break;  // Cut off: the network comes again on the next page.
    const std::string_view line = text.substr(0, line_size);
    text.remove_prefix(line_size + 1);
    if (line == "====" || line == "####") {
      if (has_id && id >= page.next_id && id < UINT32_MAX) page.next_id = id + 1;
      if (has_bssid && has_ssid && network.frequency_mhz != 0) page.networks.push_back(std::move(network));
      network = WpaNetwork{};
      has_bssid = has_ssid = has_id = false;
      ended = line == "####";
    } else if (starts_with(line, "id=")) {
      if (const auto value = number<std::uint32_t>(line.substr(3))) {
        id = *value;
        has_id = true;
      }
    } else if (starts_with(line, "bssid=")) {
      has_bssid = parse_mac(line.substr(6), network.bssid);
    } else if (starts_with(line, "freq=")) {
      network.frequency_mhz = number<int>(line.substr(5)).value_or(0);
    } else if (starts_with(line, "level=")) {
      network.rssi_dbm = std::clamp(number<int>(line.substr(6)).value_or(-100), -200, 100);
    } else if (starts_with(line, "flags=")) {
      network.security = wpa_security(line.substr(6));
    } else if (starts_with(line, "ssid=")) {
      if (auto ssid = unescape(line.substr(5)); ssid && ssid->size() <= ssid_size_max_bytes) {
        // Some routers hide their name by sending as many zeros.
        const bool hidden = std::all_of(ssid->begin(), ssid->end(), [](char c) { return c == '\0'; });
        network.ssid = hidden ? std::string{} : std::move(*ssid);
        has_ssid = true;
      }
    }
  }
  page.last = ended || page.next_id == first_id;
  return page;
}

NetworkSecurity wpa_security(std::string_view flags) noexcept {
  if (contains(flags, "-EAP") || contains(flags, "FT/EAP")) return NetworkSecurity::enterprise;
  const bool sae = contains(flags, "SAE");
  const bool psk2 = contains(flags, "WPA2-PSK") || contains(flags, "RSN-PSK") || contains(flags, "WPA2-FT/PSK") ||
                    contains(flags, "+PSK") || contains(flags, "PSK+SAE") || contains(flags, "PSK-SHA256");
  const bool psk1 = contains(flags, "WPA-PSK");
  if (sae) return psk2 ? NetworkSecurity::wpa2_wpa3 : NetworkSecurity::wpa3;
  if (psk2) return psk1 ? NetworkSecurity::wpa_wpa2 : NetworkSecurity::wpa2;
  if (psk1) return NetworkSecurity::wpa;
  if (contains(flags, "OWE") && !contains(flags, "OWE-TRANS-OPEN")) return NetworkSecurity::owe;
  if (contains(flags, "WEP")) return NetworkSecurity::wep;
  if (contains(flags, "WPA") || contains(flags, "RSN")) return NetworkSecurity::unknown;
  return NetworkSecurity::open;
}

int channel_of(int frequency_mhz) noexcept {
  if (frequency_mhz == 2484) return 14;
  if (frequency_mhz >= 2412 && frequency_mhz <= 2472) return (frequency_mhz - 2407) / 5;
  if (frequency_mhz >= 5160 && frequency_mhz <= 5885) return (frequency_mhz - 5000) / 5;
  if (frequency_mhz >= 5955 && frequency_mhz <= 7115) return (frequency_mhz - 5950) / 5;
  return 0;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    switch (text[i]) {
      case '\\':
      case '"': bytes += text[i]; break;
      case 'n': bytes += '\n'; break;
      case 'r': bytes += '\r'; break;
      case 't': bytes += '\t'; break;
      case 'e': bytes += '\033'; break;
      case 'x': {
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        bytes += static_cast<char>(high * 16 + low);
        i += 2;
        break;
      }
      default: return std::nullopt;
    }
  }
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

bool parse_mac(std::string_view text, std::uint8_t (&mac)[6]) noexcept {
  if (text.size() < 17) return false;
  for (std::size_t i = 0; i < 6; ++i) {
    const int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
    if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':')) return false;
    mac[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

bool is_raw_key(std::string_view passphrase) noexcept {
  return passphrase.size() == 64 && std::all_of(passphrase.begin(), passphrase.end(), [](char c) { return hex_digit(c) >= 0; });
}

std::string wpa_key(std::string_view ssid, std::string_view passphrase) {
  constexpr int rounds = 4096;  // IEEE 802.11, annex J.4.
  unsigned char key[32] = {};
  PKCS5_PBKDF2_HMAC(passphrase.data(), static_cast<int>(passphrase.size()), reinterpret_cast<const unsigned char*>(ssid.data()),
                    static_cast<int>(ssid.size()), rounds, EVP_sha1(), sizeof key, key);
  return to_hex({reinterpret_cast<const char*>(key), sizeof key});
}

std::vector<std::string> wpa_network_settings(std::string_view ssid, std::string_view passphrase, NetworkSecurity security,
                                              int frequency_mhz) {
  if (ssid.empty() || ssid.size() > ssid_size_max_bytes) return {};
  std::vector<std::string> settings{"ssid " + to_hex(ssid), "scan_ssid 1"};
  // Told the frequency, it need not look at all the others first.
  if (frequency_mhz != 0) settings.push_back("scan_freq " + std::to_string(frequency_mhz));
  const bool raw = is_raw_key(passphrase);
  if (passphrase.empty()) {
    if (security == NetworkSecurity::owe) {
      settings.insert(settings.end(), {"key_mgmt OWE", "ieee80211w 2"});
    } else if (security == NetworkSecurity::open) {
      settings.push_back("key_mgmt NONE");
    } else {
      return {};
    }
    return settings;
  }
  if (!raw && (passphrase.size() < 8 || passphrase.size() >= passphrase_size_max_bytes)) return {};
  switch (security) {
    case NetworkSecurity::wpa:
    case NetworkSecurity::wpa2:
    case NetworkSecurity::wpa_wpa2:
      settings.insert(settings.end(), {"psk " + (raw ? std::string{passphrase} : wpa_key(ssid, passphrase)),
                                       "key_mgmt WPA-PSK WPA-PSK-SHA256", "ieee80211w 1"});
      return settings;
    case NetworkSecurity::wpa3:
      settings.insert(settings.end(), {"sae_password " + to_hex(passphrase), "key_mgmt SAE", "ieee80211w 2"});
      return settings;
    case NetworkSecurity::wpa2_wpa3:
    case NetworkSecurity::unknown:
      if (raw) {
        // A raw key has no password for WPA3 to use.
        settings.insert(settings.end(), {"psk " + std::string{passphrase}, "key_mgmt WPA-PSK WPA-PSK-SHA256", "ieee80211w 1"});
      } else {
        settings.insert(settings.end(), {"psk " + wpa_key(ssid, passphrase), "sae_password " + to_hex(passphrase),
                                         "key_mgmt WPA-PSK WPA-PSK-SHA256 SAE", "ieee80211w 1"});
      }
      return settings;
    case NetworkSecurity::open:
    case NetworkSecurity::owe:
    case NetworkSecurity::wep:
    case NetworkSecurity::enterprise: return {};
  }
  return {};
}

std::optional<WpaEvent> parse_wpa_event(std::string_view message) noexcept {
  if (message.size() < 3 || message[0] != '<' || message[1] < '0' || message[1] > '9' || message[2] != '>') return std::nullopt;
  const std::string_view text = message.substr(3);
  WpaEvent event;
  const auto after = [&](std::string_view name) {
    const bool is = starts_with(text, name) && (text.size() == name.size() || text[name.size()] == ' ');
    return is ? text.substr(std::min(name.size() + 1, text.size())) : std::string_view{};
  };
  const auto is = [&](std::string_view name) {
    return starts_with(text, name) && (text.size() == name.size() || text[name.size()] == ' ');
  };
  if (is("CTRL-EVENT-SCAN-RESULTS")) {
    event.kind = WpaEventKind::scan_results;
  } else if (is("CTRL-EVENT-SCAN-FAILED")) {
    event.kind = WpaEventKind::scan_failed;
  } else if (is("CTRL-EVENT-CONNECTED")) {
    event.kind = WpaEventKind::connected;
    constexpr std::string_view before = "Connection to ";
    if (const std::size_t at = text.find(before); at != std::string_view::npos)
      static_cast<void>(parse_mac(text.substr(at + before.size()), event.bssid));
    event.network_id = number<int>(word_value(text, "id")).value_or(-1);
  } else if (is("CTRL-EVENT-DISCONNECTED")) {
    event.kind = WpaEventKind::disconnected;
    event.reason = word_value(text, "reason");
  } else if (is("CTRL-EVENT-SSID-TEMP-DISABLED")) {
    event.kind = WpaEventKind::temporarily_disabled;
    // The SSID stands before the reason and may itself say `reason=`: the last one counts, and nothing of the SSID can follow it.
    event.network_id = number<int>(word_value(text, "id")).value_or(-1);
    if (const std::size_t at = text.rfind(" reason="); at != std::string_view::npos)
      event.reason = text.substr(at + 8, text.find(' ', at + 8) - at - 8);
  } else if (is("CTRL-EVENT-NETWORK-NOT-FOUND")) {
    event.kind = WpaEventKind::network_not_found;
  } else if (const std::string_view rest = after("CTRL-EVENT-AUTH-REJECT"); !rest.empty()) {
    event.kind = WpaEventKind::auth_rejected;
    static_cast<void>(parse_mac(rest, event.bssid));
    event.auth_type = number<int>(word_value(rest, "auth_type")).value_or(0);
    event.status = number<int>(word_value(rest, "status_code")).value_or(0);
  } else if (is("CTRL-EVENT-ASSOC-REJECT")) {
    event.kind = WpaEventKind::assoc_rejected;
    event.status = number<int>(word_value(text, "status_code")).value_or(0);
  } else if (is("AP-ENABLED")) {
    event.kind = WpaEventKind::ap_enabled;
  } else if (is("AP-DISABLED")) {
    event.kind = WpaEventKind::ap_disabled;
  } else if (const std::string_view station = after("AP-STA-CONNECTED"); !station.empty()) {
    event.kind = WpaEventKind::ap_station_connected;
    static_cast<void>(parse_mac(station, event.bssid));
  } else if (const std::string_view gone = after("AP-STA-DISCONNECTED"); !gone.empty()) {
    event.kind = WpaEventKind::ap_station_disconnected;
    static_cast<void>(parse_mac(gone, event.bssid));
  } else if (is("AP-CSA-FINISHED") || is("CTRL-EVENT-CHANNEL-SWITCH")) {
    event.kind = WpaEventKind::channel_switched;
    event.frequency_mhz = number<int>(word_value(text, "freq")).value_or(0);
  } else if (is("CTRL-EVENT-TERMINATING")) {
    event.kind = WpaEventKind::terminating;
  }
  return event;
}

}  // namespace muster::agent::linux_port
