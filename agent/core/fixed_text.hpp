// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace muster::agent {

/// Text of at most `Capacity` bytes in place, without heap.
template <std::size_t Capacity>
class FixedText {
 public:
  static_assert(Capacity <= 255, "the size is kept in one byte");
  static constexpr std::size_t capacity_bytes = Capacity;

  /// False, and nothing changes, when `text` is too long.
  [[nodiscard]] bool assign(std::string_view text) noexcept {
    if (text.size() > Capacity) {
      return false;
    }
    if (!text.empty()) {
      std::memmove(bytes_, text.data(), text.size());
    }
    size_ = static_cast<std::uint8_t>(text.size());
    return true;
  }
  void clear() noexcept { size_ = 0; }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_, size_}; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

 private:
  std::uint8_t size_ = 0;
  char bytes_[Capacity] = {};
};

}  // namespace muster::agent
