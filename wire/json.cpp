// SPDX-License-Identifier: Apache-2.0
#include "wire/json.hpp"

#include <cstring>

namespace muster::wire {

namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// The size of the UTF-8 character at the front of `text`; 0: there is none.
std::size_t utf8_size(std::string_view text) noexcept {
  const auto at = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = at(0);
  std::size_t size = 0;
  std::uint8_t low = 0x80, high = 0xbf;  // Of the second byte.
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    size = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    size = 3;
    low = first == 0xe0 ? 0xa0 : 0x80;
    high = first == 0xed ? 0x9f : 0xbf;  // No surrogates.
  } else if (first >= 0xf0 && first <= 0xf4) {
    size = 4;
    low = first == 0xf0 ? 0x90 : 0x80;
    high = first == 0xf4 ? 0x8f : 0xbf;
  }
  if (size == 0 || text.size() < size || at(1) < low || at(1) > high) {
    return 0;
  }
  for (std::size_t i = 2; i < size; ++i) {
    if (at(i) < 0x80 || at(i) > 0xbf) {
      return 0;
    }
  }
  return size;
}

}  // namespace

// ---- reading

JsonReader::JsonReader(std::string_view input, ByteSpan room, std::size_t size_max_bytes) noexcept : rest_{input}, room_{room} {
  failed_ = input.size() > size_max_bytes;
}

JsonToken JsonReader::fail() noexcept {
  failed_ = true;
  text_ = {};
  return JsonToken::error;
}

void JsonReader::skip_space() noexcept {
  while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == '\n' || rest_[0] == '\r')) {
    rest_.remove_prefix(1);
  }
}

bool JsonReader::put(std::size_t& size, std::uint32_t code_point) noexcept {
  std::uint8_t bytes[4];
  std::size_t count = 0;
  if (code_point < 0x80) {
    bytes[count++] = static_cast<std::uint8_t>(code_point);
  } else if (code_point < 0x800) {
    bytes[count++] = static_cast<std::uint8_t>(0xc0 | code_point >> 6);
    bytes[count++] = static_cast<std::uint8_t>(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    bytes[count++] = static_cast<std::uint8_t>(0xe0 | code_point >> 12);
    bytes[count++] = static_cast<std::uint8_t>(0x80 | (code_point >> 6 & 0x3f));
    bytes[count++] = static_cast<std::uint8_t>(0x80 | (code_point & 0x3f));
  } else {
    bytes[count++] = static_cast<std::uint8_t>(0xf0 | code_point >> 18);
    bytes[count++] = static_cast<std::uint8_t>(0x80 | (code_point >> 12 & 0x3f));
    bytes[count++] = static_cast<std::uint8_t>(0x80 | (code_point >> 6 & 0x3f));
    bytes[count++] = static_cast<std::uint8_t>(0x80 | (code_point & 0x3f));
  }
  if (room_.size - size < count) {
    return false;
  }
  std::memcpy(room_.data + size, bytes, count);
  size += count;
  return true;
}

bool JsonReader::read_hex4(std::uint32_t& value) noexcept {
  if (rest_.size() < 4) {
    return false;
  }
  value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = rest_[static_cast<std::size_t>(i)];
    std::uint32_t digit = 0;
    if (is_digit(c)) {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint32_t>(c - 'A' + 10);
    } else {
      return false;
    }
    value = value << 4 | digit;
  }
  rest_.remove_prefix(4);
  return true;
}

/// Behind the opening quote.
bool JsonReader::read_text() noexcept {
  const char* const begin = rest_.data();
  std::size_t plain = 0;
  while (plain < rest_.size() && rest_[plain] != '"' && rest_[plain] != '\\' && static_cast<std::uint8_t>(rest_[plain]) >= 0x20) {
    ++plain;
  }
  room_used_ = 0;
  if (plain == rest_.size()) {
    return false;
  }
  if (rest_[plain] == '"') {
    text_ = {begin, plain};
    rest_.remove_prefix(plain + 1);
    return true;
  }
  if (plain > room_.size) {
    return false;
  }
  std::size_t size = plain;
  if (plain != 0) {
    std::memcpy(room_.data, begin, plain);
  }
  rest_.remove_prefix(plain);
  while (!rest_.empty()) {
    const char c = rest_[0];
    rest_.remove_prefix(1);
    if (c == '"') {
      room_used_ = size;
      text_ = {reinterpret_cast<const char*>(room_.data), size};
      return true;
    }
    if (static_cast<std::uint8_t>(c) < 0x20) {
      return false;
    }
    if (c != '\\') {
      if (size == room_.size) {
        return false;
      }
      room_.data[size++] = static_cast<std::uint8_t>(c);
      continue;
    }
    if (rest_.empty()) {
      return false;
    }
    const char escape = rest_[0];
    rest_.remove_prefix(1);
    std::uint32_t code_point = 0;
    switch (escape) {
      case '"':
      case '\\':
      case '/': code_point = static_cast<std::uint8_t>(escape); break;
      case 'b': code_point = '\b'; break;
      case 'f': code_point = '\f'; break;
      case 'n': code_point = '\n'; break;
      case 'r': code_point = '\r'; break;
      case 't': code_point = '\t'; break;
      case 'u': {
        if (!read_hex4(code_point) || (code_point >= 0xdc00 && code_point <= 0xdfff)) {
          return false;
        }
        if (code_point >= 0xd800 && code_point <= 0xdbff) {
          std::uint32_t low = 0;
          if (rest_.size() < 2 || rest_[0] != '\\' || rest_[1] != 'u') {
            return false;
          }
          rest_.remove_prefix(2);
          if (!read_hex4(low) || low < 0xdc00 || low > 0xdfff) {
            return false;
          }
          code_point = 0x10000 + ((code_point - 0xd800) << 10) + (low - 0xdc00);
        }
        break;
      }
      default: return false;
    }
    if (!put(size, code_point)) {
      return false;
    }
  }
  return false;
}

bool JsonReader::read_number() noexcept {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t first = at;
    while (at < rest_.size() && is_digit(rest_[at])) {
      ++at;
    }
    return at != first;
  };
  if (rest_[at] == '-') {
    ++at;
  }
  if (at < rest_.size() && rest_[at] == '0') {
    ++at;
  } else if (!digits()) {
    return false;
  }
  if (at < rest_.size() && rest_[at] == '.') {
    ++at;
    if (!digits()) {
      return false;
    }
  }
  if (at < rest_.size() && (rest_[at] == 'e' || rest_[at] == 'E')) {
    ++at;
    if (at < rest_.size() && (rest_[at] == '+' || rest_[at] == '-')) {
      ++at;
    }
    if (!digits()) {
      return false;
    }
  }
  text_ = first(rest_, at);
  rest_.remove_prefix(at);
  return true;
}

bool JsonReader::read_word(std::string_view word) noexcept {
  if (first(rest_, word.size()) != word) {
    return false;
  }
  text_ = first(rest_, word.size());
  rest_.remove_prefix(word.size());
  return true;
}

JsonToken JsonReader::value() noexcept {
  const char c = rest_[0];
  if (c == '{' || c == '[') {
    if (depth_ == depth_max) {
      return fail();
    }
    const auto bit = static_cast<std::uint8_t>(1U << depth_);
    objects_ = static_cast<std::uint8_t>(c == '{' ? objects_ | bit : objects_ & ~bit);
    ++depth_;
    rest_.remove_prefix(1);
    expect_ = c == '{' ? Expect::first_key : Expect::first_element;
    return c == '{' ? JsonToken::begin_object : JsonToken::begin_array;
  }
  expect_ = depth_ == 0 ? Expect::done : Expect::comma;
  switch (c) {
    case '"': rest_.remove_prefix(1); return read_text() ? JsonToken::text : fail();
    case 't': return read_word("true") ? JsonToken::yes : fail();
    case 'f': return read_word("false") ? JsonToken::no : fail();
    case 'n': return read_word("null") ? JsonToken::null : fail();
    default: break;
  }
  return (c == '-' || is_digit(c)) && read_number() ? JsonToken::number : fail();
}

JsonToken JsonReader::next() noexcept {
  text_ = {};
  if (failed_) {
    return JsonToken::error;
  }
  skip_space();
  if (rest_.empty()) {
    return expect_ == Expect::done ? JsonToken::end : fail();
  }
  if (expect_ == Expect::comma) {
    if (rest_[0] == ',') {
      rest_.remove_prefix(1);
      skip_space();
      if (rest_.empty()) {
        return fail();
      }
      expect_ = in_object() ? Expect::key : Expect::value;
    }
  }
  const bool may_close = expect_ == Expect::comma || expect_ == Expect::first_key || expect_ == Expect::first_element;
  if (may_close && rest_[0] == (in_object() ? '}' : ']')) {
    const JsonToken token = in_object() ? JsonToken::end_object : JsonToken::end_array;
    rest_.remove_prefix(1);
    --depth_;
    expect_ = depth_ == 0 ? Expect::done : Expect::comma;
    return token;
  }
  switch (expect_) {
    case Expect::value:
    case Expect::first_element: return value();
    case Expect::first_key:
    case Expect::key: {
      if (rest_[0] != '"') {
        return fail();
      }
      rest_.remove_prefix(1);
      if (!read_text()) {
        return fail();
      }
      skip_space();
      if (rest_.empty() || rest_[0] != ':') {
        return fail();
      }
      rest_.remove_prefix(1);
      expect_ = Expect::value;
      return JsonToken::key;
    }
    case Expect::comma:
    case Expect::done: break;
  }
  return fail();
}

bool JsonReader::skip_value() noexcept {
  const std::uint8_t depth = depth_;
  do {
    switch (next()) {
      case JsonToken::error:
      case JsonToken::end: return false;
      default: break;
    }
  } while (depth_ > depth || expect_ == Expect::value);
  return true;
}

bool parse_json_integer(std::string_view number, std::int64_t& value) noexcept {
  const bool negative = !number.empty() && number[0] == '-';
  if (negative) {
    number.remove_prefix(1);
  }
  if (number.empty() || number.size() > 18) {  // 18 digits always fit.
    return false;
  }
  std::int64_t result = 0;
  for (const char c : number) {
    if (!is_digit(c)) {
      return false;
    }
    result = result * 10 + (c - '0');
  }
  value = negative ? -result : result;
  return true;
}

// ---- writing

void JsonWriter::put(char c) noexcept { put(std::string_view{&c, 1}); }

void JsonWriter::put(std::string_view text) noexcept {
  if (overflowed_ || text.size() > room_.size - size_) {
    overflowed_ = true;
    return;
  }
  if (!text.empty()) {
    std::memcpy(room_.data + size_, text.data(), text.size());
    size_ += text.size();
  }
}

void JsonWriter::separate() noexcept {
  if (comma_) {
    put(',');
  }
  comma_ = true;
}

JsonWriter& JsonWriter::open(char bracket) noexcept {
  separate();
  put(bracket);
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) noexcept {
  put(bracket);
  comma_ = true;
  return *this;
}

void JsonWriter::escaped(std::string_view text) noexcept {
  constexpr char digits[] = "0123456789abcdef";
  put('"');
  while (!text.empty() && !overflowed_) {
    const char c = text[0];
    if (c == '"' || c == '\\') {
      put('\\');
      put(c);
      text.remove_prefix(1);
    } else if (static_cast<std::uint8_t>(c) < 0x20 || c == 0x7f) {
      put("\\u00");
      put(digits[static_cast<std::uint8_t>(c) >> 4]);
      put(digits[static_cast<std::uint8_t>(c) & 0xf]);
      text.remove_prefix(1);
    } else if (const std::size_t size = utf8_size(text); size != 0) {
      put(first(text, size));
      text.remove_prefix(size);
    } else {
      put("\xef\xbf\xbd");
      text.remove_prefix(1);
    }
  }
  put('"');
}

JsonWriter& JsonWriter::key(std::string_view name) noexcept {
  separate();
  escaped(name);
  put(':');
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view value) noexcept {
  separate();
  escaped(value);
  return *this;
}

JsonWriter& JsonWriter::number(std::int64_t value) noexcept {
  separate();
  char digits[20];
  std::size_t at = sizeof digits;
  std::uint64_t rest = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  do {
    digits[--at] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (value < 0) {
    digits[--at] = '-';
  }
  put({digits + at, sizeof digits - at});
  return *this;
}

JsonWriter& JsonWriter::boolean(bool value) noexcept {
  separate();
  put(value ? "true" : "false");
  return *this;
}

}  // namespace muster::wire
