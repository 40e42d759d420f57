// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/core/config.hpp"

namespace muster::agent {

/// What an app tells a device: collected field by field from HTTP arguments, `set` messages or the console, and judged as a whole when it
/// is to be used. Facts: docs/protocol/provisioning.md sections 2.5 and 3.3.
class SetupSettings {
 public:
  /// False: no such key. A value that cannot be is remembered as a fault and shows in valid(). Keys: if, ssid, ssidManual, pass, blynk,
  /// host, port, port_ssl, ip, mask, gw, dns, dns2, save.
  bool set(std::string_view key, std::string_view value) noexcept;
  void clear() noexcept;

  /// Whether a device with these interfaces can use them: token of 32 characters, a network name for Wi-Fi, a password that a network can
  /// have, addresses that are addresses.
  [[nodiscard]] bool valid(bool has_ethernet) const noexcept;
  [[nodiscard]] bool save() const noexcept { return save_; }
  [[nodiscard]] std::string_view token() const noexcept { return token_.view(); }
  [[nodiscard]] std::string_view host() const noexcept { return host_.view(); }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] const NetworkConfig& network() const noexcept { return network_; }
  [[nodiscard]] bool has_ssid() const noexcept { return !network_.ssid.empty(); }

 private:
  enum Fault : std::uint16_t {
    fault_interface = 1,
    fault_ssid = 2,
    fault_pass = 4,
    fault_token = 8,
    fault_host = 16,
    fault_port = 32,
    fault_ip = 64,
    fault_mask = 128,
    fault_gateway = 256,
    fault_dns = 512,
    fault_dns2 = 1024,
  };
  void judge(Fault fault, bool good) noexcept;
  void set_address(std::uint32_t& address, std::string_view value, Fault fault) noexcept;

  NetworkConfig network_;
  FixedText<32> token_;
  FixedText<63> host_;
  std::uint16_t port_ = 0;
  std::uint16_t faults_ = 0;
  bool manual_ = false;  ///< The name was typed, which wins over the one chosen from the list.
  bool save_ = false;
};

/// "192.168.4.1" as 0xC0A80401; false for anything but four decimal numbers of 0 to 255.
[[nodiscard]] bool parse_ipv4(std::string_view text, std::uint32_t& address) noexcept;
[[nodiscard]] FixedText<15> format_ipv4(std::uint32_t address) noexcept;
[[nodiscard]] FixedText<17> format_mac(const std::uint8_t (&mac)[6]) noexcept;

}  // namespace muster::agent
