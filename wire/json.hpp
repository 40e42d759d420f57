// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/bytes.hpp"

/// JSON for small messages: a reader that walks a text without heap, and a writer into lent room. C++17, no exceptions.
namespace muster::wire {

/// What a walk over a JSON text meets next.
enum class JsonToken : std::uint8_t {
  begin_object,
  end_object,
  begin_array,
  end_array,
  key,     ///< text()
  text,    ///< text()
  number,  ///< text(): as written
  yes,
  no,
  null,
  end,    ///< The text was one whole value, with nothing but white space behind it.
  error,  ///< Not JSON, deeper or larger than allowed, or a text longer than the room. Nothing more comes.
};

/// Walks one JSON value. Strict (RFC 8259): no comments, no trailing commas, no lone surrogates, no raw control characters. Bytes from
/// 0x80 up pass as they are, because device names in the field are not always UTF-8. Texts are unescaped into the room; without an escape
/// they are borrowed from the input. What text() gave is valid until the next call of next().
class JsonReader {
 public:
  static constexpr std::size_t depth_max = 8;

  /// `room` bounds every single text that holds an escape. `size_max_bytes` bounds the input.
  JsonReader(std::string_view input, ByteSpan room, std::size_t size_max_bytes = 4096) noexcept;

  [[nodiscard]] JsonToken next() noexcept;
  [[nodiscard]] std::string_view text() const noexcept { return text_; }
  /// Behind a key or where a value is due: walks past the whole value. False: error.
  [[nodiscard]] bool skip_value() noexcept;
  /// The bytes of the room that texts may use from now on, so that one text can be kept while the walk goes on.
  void use_room(ByteSpan room) noexcept { room_ = room; }
  /// How many bytes of the room the last text took; 0: it was borrowed from the input.
  [[nodiscard]] std::size_t room_used() const noexcept { return room_used_; }

 private:
  enum class Expect : std::uint8_t { value, first_key, key, first_element, comma, done };
  [[nodiscard]] JsonToken fail() noexcept;
  [[nodiscard]] JsonToken value() noexcept;
  [[nodiscard]] bool read_text() noexcept;
  [[nodiscard]] bool read_number() noexcept;
  [[nodiscard]] bool read_word(std::string_view word) noexcept;
  [[nodiscard]] bool put(std::size_t& size, std::uint32_t code_point) noexcept;
  [[nodiscard]] bool read_hex4(std::uint32_t& value) noexcept;
  void skip_space() noexcept;
  [[nodiscard]] bool in_object() const noexcept { return (objects_ >> (depth_ - 1) & 1U) != 0; }

  std::string_view rest_;
  std::string_view text_;
  ByteSpan room_;
  std::size_t room_used_ = 0;
  std::uint8_t depth_ = 0;
  std::uint8_t objects_ = 0;  ///< A bit for each open level: 1 an object, 0 an array.
  Expect expect_ = Expect::value;
  bool failed_ = false;
};

/// A number that is an integer and fits; false otherwise.
[[nodiscard]] bool parse_json_integer(std::string_view number, std::int64_t& value) noexcept;

/// Builds one JSON value in lent room. Commas come by themselves. Never writes past the room: size() is then 0 at the end. Text is
/// escaped; what is not UTF-8 becomes U+FFFD, so that the result is always valid JSON.
class JsonWriter {
 public:
  explicit JsonWriter(ByteSpan room) noexcept : room_{room} {}

  JsonWriter& begin_object() noexcept { return open('{'); }
  JsonWriter& end_object() noexcept { return close('}'); }
  JsonWriter& begin_array() noexcept { return open('['); }
  JsonWriter& end_array() noexcept { return close(']'); }
  JsonWriter& key(std::string_view name) noexcept;
  JsonWriter& text(std::string_view value) noexcept;
  JsonWriter& number(std::int64_t value) noexcept;
  JsonWriter& boolean(bool value) noexcept;

  JsonWriter& text(std::string_view name, std::string_view value) noexcept { return key(name).text(value); }
  JsonWriter& number(std::string_view name, std::int64_t value) noexcept { return key(name).number(value); }
  JsonWriter& boolean(std::string_view name, bool value) noexcept { return key(name).boolean(value); }

  [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }
  /// 0 when it did not fit.
  [[nodiscard]] std::size_t size() const noexcept { return overflowed_ ? 0 : size_; }
  /// What was written; empty when it did not fit.
  [[nodiscard]] std::string_view view() const noexcept { return {reinterpret_cast<const char*>(room_.data), size()}; }

 private:
  JsonWriter& open(char bracket) noexcept;
  JsonWriter& close(char bracket) noexcept;
  void separate() noexcept;
  void put(char c) noexcept;
  void put(std::string_view text) noexcept;
  void escaped(std::string_view text) noexcept;

  ByteSpan room_;
  std::size_t size_ = 0;
  bool overflowed_ = false;
  bool comma_ = false;  ///< The next element needs a comma before it.
};

}  // namespace muster::wire
