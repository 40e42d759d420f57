// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace muster::agent {

inline constexpr std::size_t ssid_size_max_bytes = 32;
inline constexpr std::size_t passphrase_size_max_bytes = 64;  ///< 8 to 63 characters, or 64 hexadecimal digits.

/// How a network is protected; the words that apps are told are those of docs/protocol/provisioning.md section 2.4.
enum class NetworkSecurity : std::uint8_t { open, wep, wpa, wpa2, wpa_wpa2, wpa3, wpa2_wpa3, owe, enterprise, unknown };

/// One network that the radio sees. The SSID is any 0 to 32 bytes; empty: it hides its name.
struct ScannedNetwork {
  std::string_view ssid;
  std::uint8_t bssid[6] = {};
  std::int16_t rssi_dbm = 0;
  std::uint16_t channel = 0;
  NetworkSecurity security = NetworkSecurity::unknown;
};

/// IPv4, each as 0xAABBCCDD for AA.BB.CC.DD; 0: none.
struct StaticAddress {
  std::uint32_t address = 0, mask = 0, gateway = 0, dns = 0, dns2 = 0;
};

/// The text belongs to the caller and is valid during the call only.
struct JoinTarget {
  std::string_view ssid;                 ///< 1 to 32 bytes.
  std::string_view passphrase;           ///< Empty: an open network.
  const StaticAddress* fixed = nullptr;  ///< nullptr: DHCP.
  bool wired = false;                    ///< By cable, where the platform can; no SSID then.
};

enum class JoinFailure : std::uint8_t {
  not_found,       ///< Two whole scans did not show it.
  wrong_password,  ///< The handshake failed.
  no_address,      ///< Joined, but DHCP did not answer.
  timeout,         ///< No result in the time that the radio gives itself.
  bad_address,     ///< The fixed address cannot be used.
  no_cable,        ///< Wired, and there is no link.
  other,
};

/// Where the device is once it has joined.
struct JoinedNetwork {
  std::uint8_t bssid[6] = {};
  std::uint32_t address = 0;  ///< IPv4 as above; 0: only IPv6.
  std::int16_t rssi_dbm = 0;
  std::uint16_t channel = 0;
};

/// The device's radio, provided by the platform: it can be open for set-up (a SoftAP, BLE, or what the platform has), scan, and be
/// joined to one network, also at the same time (then on one channel). What it has to tell goes to the Device that drives it:
/// after open() one of on_opened and on_open_failed; after scan() one on_scanned; after join() exactly one of on_joined and
/// on_join_failed, then on_network_lost at most once. After shut() or leave() nothing more comes of what they ended. A radio never calls
/// the device from inside these calls. Apart from that it tells on_visitors whenever the number of apps and phones at the open device changes.
class Radio {
 public:
  /// Makes the device findable under this name (1 to 32 bytes), with address 192.168.4.1. Already open: only the name changes.
  virtual void open(std::string_view name) = 0;
  virtual void shut() = 0;
  virtual void scan() = 0;
  /// Ends another join first. What was open stays open.
  virtual void join(const JoinTarget& target) = 0;
  virtual void leave() = 0;

 protected:
  ~Radio() = default;  // Not owned through this type.
};

}  // namespace muster::agent
