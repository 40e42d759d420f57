// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace muster::wire {

/// Bytes that belong to somebody else; valid as long as they are. C++17 has no std::span.
struct ByteView {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;

  constexpr ByteView() noexcept = default;
  constexpr ByteView(const std::uint8_t* bytes, std::size_t count) noexcept : data{bytes}, size{count} {}
  explicit ByteView(std::string_view text) noexcept : data{reinterpret_cast<const std::uint8_t*>(text.data())}, size{text.size()} {}

  [[nodiscard]] constexpr bool empty() const noexcept { return size == 0; }
  constexpr std::uint8_t operator[](std::size_t index) const noexcept { return data[index]; }
  [[nodiscard]] constexpr const std::uint8_t* begin() const noexcept { return data; }
  [[nodiscard]] constexpr const std::uint8_t* end() const noexcept { return data + size; }
  /// The same bytes as text; may hold NUL and anything that is not UTF-8.
  [[nodiscard]] std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data), size}; }
  /// Without the first `count` bytes; empty when there are fewer.
  [[nodiscard]] constexpr ByteView drop(std::size_t count) const noexcept {
    return count >= size ? ByteView{data + size, 0} : ByteView{data + count, size - count};
  }
  [[nodiscard]] constexpr ByteView first(std::size_t count) const noexcept { return {data, count < size ? count : size}; }
};

/// The first `count` bytes of a text; all of it when there are fewer. Never throws, unlike substr(), whose exception alone would cost a
/// microcontroller more than all of this folder.
[[nodiscard]] constexpr std::string_view first(std::string_view text, std::size_t count) noexcept {
  return {text.data(), count < text.size() ? count : text.size()};
}

/// Room that somebody else lends for writing.
struct ByteSpan {
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
};

}  // namespace muster::wire
