// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

#include "agent/core/settings.hpp"
#include "agent/port/radio.hpp"
#include "wire/inject.hpp"

namespace muster::agent {

/// The words that apps know; docs/protocol/provisioning.md section 2.4.
[[nodiscard]] constexpr std::string_view security_word(NetworkSecurity security) noexcept {
  switch (security) {
    case NetworkSecurity::open: return "OPEN";
    case NetworkSecurity::wep: return "WEP";
    case NetworkSecurity::wpa: return "WPA";
    case NetworkSecurity::wpa2: return "WPA2";
    case NetworkSecurity::wpa_wpa2: return "WPA+WPA2";
    case NetworkSecurity::wpa3: return "WPA3";
    case NetworkSecurity::wpa2_wpa3: return "WPA2+WPA3";
    case NetworkSecurity::owe: return "OWE";
    case NetworkSecurity::enterprise: return "WPA2 ENT";
    case NetworkSecurity::unknown: break;
  }
  return "unknown";
}

/// Walks scan results strongest first, without those that hide their name or are too weak to be of use.
class StrongestFirst {
 public:
  static constexpr std::int16_t weakest_dbm = -90;

  StrongestFirst(const ScannedNetwork* networks, std::size_t count) noexcept : networks_{networks}, count_{count} {}
  /// nullptr: that was all.
  [[nodiscard]] const ScannedNetwork* next() noexcept {
    const ScannedNetwork* best = nullptr;
    for (std::size_t i = 0; i < count_; ++i) {
      const ScannedNetwork& each = networks_[i];
      const bool usable = !each.ssid.empty() && each.ssid.size() <= ssid_size_max_bytes && each.rssi_dbm >= weakest_dbm;
      const bool left = last_ == nullptr || each.rssi_dbm < last_->rssi_dbm || (each.rssi_dbm == last_->rssi_dbm && &each > last_);
      if (usable && left && (best == nullptr || each.rssi_dbm > best->rssi_dbm)) {
        best = &each;
      }
    }
    if (best != nullptr) {
      last_ = best;
    } else {
      count_ = 0;
    }
    return best;
  }

 private:
  const ScannedNetwork* networks_;
  std::size_t count_;
  const ScannedNetwork* last_ = nullptr;
};

/// As apps are told of it. Borrows from `network` and `bssid`.
[[nodiscard]] inline wire::InjectNetwork describe(const ScannedNetwork& network, FixedText<17>& bssid) noexcept {
  bssid = format_mac(network.bssid);
  wire::InjectNetwork out;
  out.ssid = network.ssid;
  out.bssid = bssid.view();
  out.security = security_word(network.security);
  out.rssi_dbm = network.rssi_dbm;
  out.channel = network.channel;
  return out;
}

}  // namespace muster::agent
