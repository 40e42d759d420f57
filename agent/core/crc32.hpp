// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace muster::agent {

/// CRC-32 (IEEE 802.3), bit by bit: what is checked is small and rare. `before`: the result over the bytes before these.
[[nodiscard]] constexpr std::uint32_t crc32(const std::uint8_t* bytes, std::size_t size, std::uint32_t before = 0) noexcept {
  std::uint32_t crc = ~before;
  for (std::size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ (0xedb88320U & (0U - (crc & 1U)));
    }
  }
  return ~crc;
}

}  // namespace muster::agent
