// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "cloud/base/ip_address.hpp"
#include "cloud/base/result.hpp"

namespace muster::net {

/// Where to listen, or where somebody is: an IP address and a port.
struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;

  /// "0.0.0.0:8080", "[::1]:0", ":8080" (all IPv4 addresses). No names: what is listened on should not depend on DNS.
  /// Errors: NetError::address_malformed.
  [[nodiscard]] static Result<SocketAddress> parse(std::string_view text);
  [[nodiscard]] static SocketAddress from(const sockaddr_storage& native) noexcept;
  /// The native form and its length.
  [[nodiscard]] socklen_t native(sockaddr_storage& out) const noexcept;
  [[nodiscard]] bool is_any() const noexcept;  ///< 0.0.0.0 or ::.
  [[nodiscard]] std::string text() const;      ///< As parsed; IPv6 in brackets.
  friend auto operator<=>(const SocketAddress&, const SocketAddress&) noexcept = default;
};

}  // namespace muster::net
