// SPDX-License-Identifier: Apache-2.0
#include "wire/utf8.hpp"

#include <cstdint>

namespace muster::wire {

namespace {

bool is_shown(std::uint32_t c) noexcept {
  if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;
  return !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
}

}  // namespace

Utf8Character first_character(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) -> std::uint32_t { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {1, is_shown(first)};
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};  // By size: less is an overlong form.
  std::uint32_t c = first & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {};
    c = c << 6 | (byte(i) & 0x3fU);
  }
  const bool is_surrogate = c >= 0xd800 && c <= 0xdfff;
  if (first < 0xc0 || first > 0xf4 || c < least[size] || c > 0x10ffff || is_surrogate) return {};
  return {size, is_shown(c)};
}

}  // namespace muster::wire
