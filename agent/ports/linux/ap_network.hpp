// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agent/port/clock.hpp"
#include "agent/ports/linux/dhcp.hpp"
#include "agent/ports/linux/wpa_system.hpp"

namespace muster::agent::linux_port {

inline constexpr std::uint32_t ap_address = 0xC0A80401U;  ///< 192.168.4.1: the device, on its own network.
inline constexpr std::uint32_t ap_mask = 0xFFFFFF00U;

/// Whether a network that the device joins uses the range of its own.
[[nodiscard]] constexpr bool overlaps_ap(std::uint32_t address, std::uint32_t mask) noexcept {
  return (address & mask & ap_mask) == (ap_address & mask & ap_mask);
}

/// Addresses for the phones on the device's own network, while that is there. One thread.
class ApAddresses {
 public:
  explicit ApAddresses(WpaSystem& system) : system_{system} {}
  ~ApAddresses() { pause(); }
  ApAddresses(const ApAddresses&) = delete;
  ApAddresses& operator=(const ApAddresses&) = delete;

  /// False: it cannot listen there.
  [[nodiscard]] bool open(const std::string& interface) {
    if (fd_ < 0) fd_ = system_.open_dhcp_server(interface, ap_address);
    return fd_ >= 0;
  }
  /// Who has which address is remembered, for an access point that comes back.
  void pause() { system_.close_descriptor(std::exchange(fd_, -1)); }
  void close() {
    pause();
    leases_.clear();
  }
  /// To wait for, readable; -1: none.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  void serve(Millis now) {
    constexpr int messages_max = 64;  // Then others have their turn.
    std::vector<std::uint8_t> message;
    for (int i = 0; i < messages_max && fd_ >= 0 && system_.receive_dhcp_server(fd_, message); ++i) {
      const std::vector<std::uint8_t> answer = leases_.on_message({message.data(), message.size()}, now);
      if (!answer.empty()) system_.send_dhcp_server(fd_, answer);
    }
  }

 private:
  WpaSystem& system_;
  DhcpServer leases_{ap_address};
  int fd_ = -1;
};

}  // namespace muster::agent::linux_port
