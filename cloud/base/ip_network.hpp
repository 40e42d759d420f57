// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "cloud/base/ip_address.hpp"

namespace muster {

/// All addresses that begin with the same bits: `10.0.0.0/8`, `2001:db8::/32`, or one address alone.
class IpNetwork {
 public:
  /// nullopt also when bits behind the prefix are set: `10.0.0.5/8` is meant for one of two things.
  [[nodiscard]] static std::optional<IpNetwork> parse(std::string_view text) noexcept;
  [[nodiscard]] bool contains(const IpAddress& address) const noexcept;

 private:
  IpNetwork(const IpAddress& first, unsigned prefix_bits) noexcept : first_{first}, prefix_bits_{prefix_bits} {}
  IpAddress first_;
  unsigned prefix_bits_;  ///< Of the 128; IPv4 lies in ::ffff:0:0/96.
};

}  // namespace muster
