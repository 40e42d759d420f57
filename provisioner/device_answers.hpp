// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What devices of all dialects answer (docs/protocol/provisioning.md section 2). Devices are not trusted: any bytes come in, texts are
/// bounded, lists are bounded, and what comes out may still hold control characters: make it printable before a person sees it.
namespace muster::provisioner {

enum class Dialect : std::uint8_t {
  g1,      ///< `ssid`, `wifi_scan`; no `ifs`
  g2,      ///< `ifs`
  muster,  ///< Both: our own agent.
  ble,     ///< Messages over Bluetooth: the second generation, the ESP-IDF component, our own agent.
};
[[nodiscard]] std::string_view to_text(Dialect dialect) noexcept;

inline constexpr std::size_t device_text_max_bytes = 64;
inline constexpr std::size_t networks_max = 64;

/// The beginning of `text`, at most so many bytes, not cut inside of a character.
[[nodiscard]] std::string_view cut_text(std::string_view text, std::size_t size_max_bytes) noexcept;

struct DeviceInfo {
  Dialect dialect = Dialect::g1;
  std::string name, template_id, template_name, vendor, firmware_type, firmware_version, uid;
  std::uint16_t last_error = 0;
  bool live = false;  ///< It tells by itself what becomes of its settings.
  bool busy = false;  ///< It tries somebody's settings and takes no others. Only devices of ours say so.
};
/// False: that is no device's info, or its texts are too long.
[[nodiscard]] bool parse_device_info(std::string_view body, DeviceInfo& info);

struct SeenNetwork {
  std::string ssid;  ///< Any 1 to 32 bytes.
  std::string security;
  std::int16_t rssi_dbm = 0;
  std::uint16_t channel = 0;
  [[nodiscard]] bool open() const noexcept { return security == "OPEN" || security == "OWE"; }
};
/// The strongest of each name is kept, strongest first, at most networks_max.
void tidy_networks(std::vector<SeenNetwork>& networks);
/// Tidy, without nameless ones. False: no list at all.
[[nodiscard]] bool parse_networks(std::string_view body, std::vector<SeenNetwork>& networks);

/// Of `/config`: whether the device took the settings. `message` is the device's own word, or empty.
[[nodiscard]] bool parse_config_answer(int status, std::string_view body, std::string& message);

}  // namespace muster::provisioner
