// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/text_search.hpp"

#include <algorithm>
#include <cstdint>

namespace muster::store {
namespace {

/// All letters folded here take two bytes in UTF-8 in both cases, so that a text keeps its length.
std::uint32_t lower(std::uint32_t point) noexcept {
  if (point >= 0xC0 && point <= 0xDE && point != 0xD7) return point + 32;
  if (point >= 0x100 && point <= 0x17F) {
    if (point == 0x178) return 0xFF;
    if (point == 0x130 || point == 0x131 || point == 0x138 || point == 0x149 || point == 0x17F) return point;
    const bool upper_is_odd = (point >= 0x139 && point <= 0x148) || point >= 0x179;
    return (point % 2 == 1) == upper_is_odd ? point + 1 : point;
  }
  if (point >= 0x391 && point <= 0x3A9 && point != 0x3A2) return point + 32;
  if (point >= 0x410 && point <= 0x42F) return point + 32;
  if (point >= 0x400 && point <= 0x40F) return point + 80;
  return point;
}

}  // namespace

std::string fold_case(std::string_view text) {
  std::string out{text};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto byte = static_cast<unsigned char>(out[i]);
    if (byte < 0x80) {
      if (byte >= 'A' && byte <= 'Z') out[i] = static_cast<char>(byte + 32);
    } else if (byte >= 0xC2 && byte <= 0xDF && i + 1 < out.size()) {
      const auto next = static_cast<unsigned char>(out[i + 1]);
      if ((next & 0xC0) != 0x80) continue;
      const std::uint32_t point = lower((byte & 0x1Fu) << 6 | (next & 0x3Fu));
      out[i] = static_cast<char>(0xC0 | point >> 6);
      out[++i] = static_cast<char>(0x80 | (point & 0x3Fu));
    }
  }
  return out;
}

bool contains_folded(std::string_view text, std::string_view folded) {
  if (folded.empty()) return true;
  if (text.size() < folded.size()) return false;
  const bool ascii = std::none_of(folded.begin(), folded.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  if (ascii) {  // No allocation: bytes above 127 cannot match anyway.
    const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b; };
    return std::search(text.begin(), text.end(), folded.begin(), folded.end(), same) != text.end();
  }
  return fold_case(text).find(folded) != std::string::npos;
}

}  // namespace muster::store
