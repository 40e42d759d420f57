// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "agent/ports/linux/name_servers.hpp"
#include "wire/bytes.hpp"

namespace muster::agent::linux_port {

/// What the radio asks of the machine besides wpa_supplicant: interfaces, addresses, DHCP's sockets, a child process. Root (or CAP_NET_ADMIN and
/// CAP_NET_RAW) is needed. Sentences are for people; empty: it worked. A class of its own, so that tests can stand in for the machine.
class WpaSystem {
 public:
  virtual ~WpaSystem() = default;

  [[nodiscard]] virtual bool get_mac(const std::string& interface, std::uint8_t (&mac)[6]) = 0;
  /// Starts wpa_supplicant without an interface, with its global control socket at `socket`. It ends with this program, whatever happens.
  [[nodiscard]] virtual std::string start_supplicant(const std::string& program, const std::string& socket, const std::string& log) = 0;
  [[nodiscard]] virtual bool supplicant_running() = 0;
  virtual void stop_supplicant() = 0;

  /// A second, access point interface on the radio of `station`, with a hardware address of its own.
  [[nodiscard]] virtual std::string add_ap_interface(const std::string& station, const std::string& name) = 0;
  virtual void remove_interface(const std::string& name) = 0;

  /// What the interface has now; zeros: none. gateway: of a default route through it.
  virtual void get_address(const std::string& interface, std::uint32_t& address, std::uint32_t& mask, std::uint32_t& gateway) = 0;
  /// True when another interface has a default route.
  [[nodiscard]] virtual bool has_other_way(const std::string& interface) = 0;
  /// The interface's only address; a default route when there is a gateway.
  [[nodiscard]] virtual bool set_address(const std::string& interface, std::uint32_t address, std::uint32_t mask,
                                         std::uint32_t gateway) = 0;
  virtual void clear_address(const std::string& interface) = 0;
  /// The machine's name servers (usually of /etc/resolv.conf); see NameServers.
  [[nodiscard]] virtual std::string set_dns(const std::string& interface, const std::string& path, std::uint32_t dns,
                                            std::uint32_t dns2) = 0;
  virtual void clear_dns(const std::string& interface, const std::string& path) = 0;

  /// A descriptor for poll(2), or -1.
  [[nodiscard]] virtual int open_dhcp_client(const std::string& interface) = 0;
  [[nodiscard]] virtual int open_dhcp_server(const std::string& interface, std::uint32_t own_address) = 0;
  virtual void close_descriptor(int fd) = 0;
  virtual void send_dhcp_client(int fd, const std::string& interface, const std::vector<std::uint8_t>& message) = 0;
  virtual void send_dhcp_server(int fd, const std::vector<std::uint8_t>& message) = 0;
  /// The next message that waits; false: none. An empty message is one that was not DHCP.
  [[nodiscard]] virtual bool receive_dhcp_client(int fd, std::vector<std::uint8_t>& message) = 0;
  [[nodiscard]] virtual bool receive_dhcp_server(int fd, std::vector<std::uint8_t>& message) = 0;
};

class WpaMachine final : public WpaSystem {
 public:
  WpaMachine() = default;
  ~WpaMachine() override;
  WpaMachine(const WpaMachine&) = delete;
  WpaMachine& operator=(const WpaMachine&) = delete;

  [[nodiscard]] bool get_mac(const std::string& interface, std::uint8_t (&mac)[6]) override;
  [[nodiscard]] std::string start_supplicant(const std::string& program, const std::string& socket, const std::string& log) override;
  [[nodiscard]] bool supplicant_running() override;
  void stop_supplicant() override;
  [[nodiscard]] std::string add_ap_interface(const std::string& station, const std::string& name) override;
  void remove_interface(const std::string& name) override;
  void get_address(const std::string& interface, std::uint32_t& address, std::uint32_t& mask, std::uint32_t& gateway) override;
  [[nodiscard]] bool has_other_way(const std::string& interface) override;
  [[nodiscard]] bool set_address(const std::string& interface, std::uint32_t address, std::uint32_t mask, std::uint32_t gateway) override;
  void clear_address(const std::string& interface) override;
  [[nodiscard]] std::string set_dns(const std::string& interface, const std::string& path, std::uint32_t dns, std::uint32_t dns2) override {
    return names_.use(interface, path, dns, dns2);
  }
  void clear_dns(const std::string& interface, const std::string& path) override { names_.restore(interface, path); }
  [[nodiscard]] int open_dhcp_client(const std::string& interface) override;
  [[nodiscard]] int open_dhcp_server(const std::string& interface, std::uint32_t own_address) override;
  void close_descriptor(int fd) override;
  void send_dhcp_client(int fd, const std::string& interface, const std::vector<std::uint8_t>& message) override;
  void send_dhcp_server(int fd, const std::vector<std::uint8_t>& message) override;
  [[nodiscard]] bool receive_dhcp_client(int fd, std::vector<std::uint8_t>& message) override;
  [[nodiscard]] bool receive_dhcp_server(int fd, std::vector<std::uint8_t>& message) override;

 private:
  NameServers names_;
  pid_t supplicant_ = -1;
};

/// The DHCP payload of an IPv4 packet to UDP port 68; empty: it is something else. Any bytes.
[[nodiscard]] wire::ByteView dhcp_in_packet(wire::ByteView packet) noexcept;
/// The IPv4 packet that broadcasts a client's message from an interface that has no address yet.
[[nodiscard]] std::vector<std::uint8_t> packet_with_dhcp(const std::vector<std::uint8_t>& message);

}  // namespace muster::agent::linux_port
