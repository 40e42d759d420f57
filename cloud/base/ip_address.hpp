// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace muster {

/// An IPv4 (as ::ffff:a.b.c.d) or IPv6 address.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};

  [[nodiscard]] static IpAddress from_v4(std::uint32_t host_order) noexcept;
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text) noexcept;
  [[nodiscard]] bool is_v4() const noexcept;
  [[nodiscard]] bool is_loopback() const noexcept;
  /// Loopback, RFC 1918, 100.64/10, link-local, fc00::/7: where plain-text links are allowed by default.
  [[nodiscard]] bool is_private() const noexcept;
  /// What limits count by: the address itself, for IPv6 its /64.
  [[nodiscard]] std::uint64_t limit_key() const noexcept;
  [[nodiscard]] std::string text() const;
  friend auto operator<=>(const IpAddress&, const IpAddress&) noexcept = default;
};

}  // namespace muster
