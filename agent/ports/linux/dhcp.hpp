// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/port/clock.hpp"
#include "wire/bytes.hpp"

/// DHCP (RFC 2131) as two small state machines: messages and time in, messages out; no sockets. A device must get and give addresses on
/// every Linux, and there is no client or server that every Linux has: dhclient, dhcpcd, udhcpc, networkd and NetworkManager each have their
/// own way to be called, to be watched and to touch routes and resolv.conf behind one's back. What a device needs of the protocol is less
/// than what it takes to drive those safely.
namespace muster::agent::linux_port {

/// IPv4 as 0xAABBCCDD; 0: none.
struct DhcpLease {
  std::uint32_t address = 0, mask = 0, gateway = 0, dns = 0, dns2 = 0, server = 0;
  std::uint32_t lease_s = 0;
};

class DhcpClient {
 public:
  static constexpr std::uint32_t lease_min_s = 60;

  enum class State : std::uint8_t { idle, selecting, requesting, bound, renewing, lost };

  /// `transaction` should be hard to guess; host_name may be empty.
  void start(const std::uint8_t (&mac)[6], std::uint32_t transaction, std::string_view host_name, Millis now);
  void stop();
  /// The payload of a datagram to port 68; any bytes.
  void on_message(wire::ByteView message, Millis now);
  void on_timer(Millis now);
  [[nodiscard]] Millis next_deadline() const noexcept { return due_; }
  /// The message to broadcast now; empty: none.
  [[nodiscard]] std::vector<std::uint8_t> take_message();

  [[nodiscard]] State state() const noexcept { return state_; }
  /// Answers are expected: somebody should listen.
  [[nodiscard]] bool listening() const noexcept {
    return state_ == State::selecting || state_ == State::requesting || state_ == State::renewing;
  }
  /// Of the states bound and renewing.
  [[nodiscard]] const DhcpLease& lease() const noexcept { return lease_; }

 private:
  void send(std::uint8_t type);
  void retry(Millis now);

  std::uint8_t mac_[6] = {};
  std::string host_name_;
  std::vector<std::uint8_t> message_;
  DhcpLease lease_;
  DhcpLease offer_;
  std::uint32_t transaction_ = 0;
  Millis started_ = 0;
  Millis due_ = never;
  Millis expires_ = never;
  Millis now_ = 0;
  unsigned tries_ = 0;
  State state_ = State::idle;
};

/// Leases on the device's own network, one for each guest's hardware address.
class DhcpServer {
 public:
  static constexpr std::size_t leases_max = 16;  ///< 192.168.4.2 to 192.168.4.17
  static constexpr std::uint32_t lease_s = 3600;

  explicit DhcpServer(std::uint32_t own_address = 0xC0A80401U) : own_{own_address} {}
  /// The payload of a datagram to port 67; any bytes. The answer, to be broadcast to port 68; empty: none is to be sent.
  [[nodiscard]] std::vector<std::uint8_t> on_message(wire::ByteView message, Millis now);
  void clear() { leases_ = {}; }

 private:
  struct Lease {
    std::uint8_t mac[6] = {};
    Millis until = 0;  ///< 0: never given.
  };
  [[nodiscard]] std::size_t place_for(const std::uint8_t (&mac)[6], Millis now) const noexcept;  ///< leases_max: there is none.

  std::uint32_t own_;
  std::array<Lease, leases_max> leases_;
};

}  // namespace muster::agent::linux_port
