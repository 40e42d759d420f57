// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/socket_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>

#include "cloud/net/error.hpp"

namespace muster::net {

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return NetError::address_malformed;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  SocketAddress result;
  const auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (port.empty() || problem != std::errc{} || end != port.data() + port.size()) return NetError::address_malformed;
  if (host.empty()) host = "0.0.0.0";
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  const auto ip = IpAddress::parse(host);
  if (!ip || bracketed != (host.find(':') != std::string_view::npos)) return NetError::address_malformed;
  result.ip = *ip;
  return result;
}

SocketAddress SocketAddress::from(const sockaddr_storage& native) noexcept {
  SocketAddress result;
  if (native.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &native, sizeof v6);
    std::memcpy(result.ip.bytes.data(), &v6.sin6_addr, result.ip.bytes.size());
    result.port = ntohs(v6.sin6_port);
  } else {
    sockaddr_in v4{};
    std::memcpy(&v4, &native, sizeof v4);
    result.ip = IpAddress::from_v4(ntohl(v4.sin_addr.s_addr));
    result.port = ntohs(v4.sin_port);
  }
  return result;
}

socklen_t SocketAddress::native(sockaddr_storage& out) const noexcept {
  std::memset(&out, 0, sizeof out);
  if (ip.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, ip.bytes.data() + 12, 4);
    std::memcpy(&out, &v4, sizeof v4);
    return sizeof v4;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, ip.bytes.data(), ip.bytes.size());
  std::memcpy(&out, &v6, sizeof v6);
  return sizeof v6;
}

bool SocketAddress::is_any() const noexcept {
  const std::size_t from = ip.is_v4() ? 12 : 0;
  for (std::size_t i = from; i < ip.bytes.size(); ++i) {
    if (ip.bytes[i] != 0) return false;
  }
  return true;
}

std::string SocketAddress::text() const {
  const std::string host = ip.text();
  return (ip.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

}  // namespace muster::net
