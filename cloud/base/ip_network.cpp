// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/ip_network.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>

namespace muster {
namespace {

constexpr unsigned address_bits = 128, v4_bits = 32;

bool bit(const IpAddress& address, unsigned index) noexcept { return (address.bytes[index / 8] >> (7 - index % 8) & 1) != 0; }

}  // namespace

std::optional<IpNetwork> IpNetwork::parse(std::string_view text) noexcept {
  const auto slash = text.find('/');
  const auto first = IpAddress::parse(text.substr(0, slash));
  if (!first) return std::nullopt;
  if (slash == std::string_view::npos) return IpNetwork{*first, address_bits};
  const bool is_v4_text = text.find(':') == std::string_view::npos;
  const std::string_view digits = text.substr(slash + 1);
  unsigned prefix = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (error != std::errc{} || end != digits.data() + digits.size() || prefix > (is_v4_text ? v4_bits : address_bits)) return std::nullopt;
  if (is_v4_text) prefix += address_bits - v4_bits;
  for (unsigned index = prefix; index < address_bits; ++index) {
    if (bit(*first, index)) return std::nullopt;
  }
  return IpNetwork{*first, prefix};
}

bool IpNetwork::contains(const IpAddress& address) const noexcept {
  const std::size_t whole = prefix_bits_ / 8;
  for (std::size_t i = 0; i < whole; ++i) {
    if (address.bytes[i] != first_.bytes[i]) return false;
  }
  const unsigned rest = prefix_bits_ % 8;
  return rest == 0 || ((address.bytes[whole] ^ first_.bytes[whole]) >> (8 - rest)) == 0;
}

}  // namespace muster
