// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/ip_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace muster {
namespace {

constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

IpAddress IpAddress::from_v4(std::uint32_t host_order) noexcept {
  IpAddress address;
  std::copy(v4_prefix.begin(), v4_prefix.end(), address.bytes.begin());
  for (std::size_t i = 0; i < 4; ++i) address.bytes[12 + i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.empty() || text.size() >= buffer.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::copy(text.begin(), text.end(), buffer.begin());
  in_addr v4{};
  if (inet_pton(AF_INET, buffer.data(), &v4) == 1) return from_v4(ntohl(v4.s_addr));
  IpAddress address;
  if (inet_pton(AF_INET6, buffer.data(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

bool IpAddress::is_v4() const noexcept { return std::equal(v4_prefix.begin(), v4_prefix.end(), bytes.begin()); }

bool IpAddress::is_loopback() const noexcept {
  if (is_v4()) return bytes[12] == 127;
  return bytes[15] == 1 && std::all_of(bytes.begin(), bytes.end() - 1, [](std::uint8_t b) { return b == 0; });
}

bool IpAddress::is_private() const noexcept {
  if (is_loopback()) return true;
  if (is_v4()) {
    const std::uint8_t a = bytes[12];
    const std::uint8_t b = bytes[13];
    return a == 10 || (a == 172 && (b & 0xf0) == 16) || (a == 192 && b == 168) || (a == 100 && (b & 0xc0) == 64) || (a == 169 && b == 254);
  }
  return (bytes[0] & 0xfe) == 0xfc || (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80);
}

std::uint64_t IpAddress::limit_key() const noexcept {
  // IPv4 lands in 0:ffff::/32, which is reserved, so no IPv6 network shares its key.
  std::uint64_t key = is_v4() ? 0xffff : 0;
  const std::size_t first = is_v4() ? 12 : 0;
  const std::size_t last = is_v4() ? 16 : 8;
  for (std::size_t i = first; i < last; ++i) key = (key << 8) | bytes[i];
  return key;
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (is_v4()) {
    inet_ntop(AF_INET, bytes.data() + 12, buffer.data(), static_cast<socklen_t>(buffer.size()));
  } else {
    inet_ntop(AF_INET6, bytes.data(), buffer.data(), static_cast<socklen_t>(buffer.size()));
  }
  return buffer.data();
}

}  // namespace muster
