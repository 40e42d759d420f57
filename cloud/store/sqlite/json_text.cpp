// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/json_text.hpp"

#include <array>

namespace muster::store {
namespace {

/// Length of the UTF-8 sequence at the start of `text`, 0 when there is none. Surrogates and overlong forms are none.
std::size_t sequence_length(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto tail = [&](std::size_t i) { return (at(i) & 0xC0u) == 0x80u; };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!tail(1) || !tail(2) || (first == 0xE0 && at(1) < 0xA0) || (first == 0xED && at(1) > 0x9F)) return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3) || (first == 0xF0 && at(1) < 0x90) || (first == 0xF4 && at(1) > 0x8F)) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  static constexpr std::string_view hex = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      text.remove_prefix(1);
      continue;
    }
    if (first == '"' || first == '\\') {
      out += '\\';
      out += text[0];
    } else if (first < 0x20 || first == 0x7F) {
      out += "\\u00";
      out += hex[first >> 4];
      out += hex[first & 0xF];
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  out += '"';
}

void JsonText::key(std::string& out, std::string_view key) {
  if (!out.empty()) out += ',';
  append_json_string(out, key);
  out += ':';
}

JsonText& JsonText::text(std::string_view key_text, std::string_view value) {
  if (key_text == "email") return personal(key_text, value);
  key(body_, key_text);
  append_json_string(body_, value);
  return *this;
}

JsonText& JsonText::personal(std::string_view key_text, std::string_view value) {
  key(personal_, key_text);
  append_json_string(personal_, value);
  return *this;
}

JsonText& JsonText::number(std::string_view key_text, std::int64_t value) {
  key(body_, key_text);
  body_ += std::to_string(value);
  return *this;
}

JsonText& JsonText::flag(std::string_view key_text, bool value) {
  key(body_, key_text);
  body_ += value ? "true" : "false";
  return *this;
}

JsonText& JsonText::object(std::string_view key_text, const JsonText& value) {
  key(body_, key_text);
  body_ += value.finish();
  if (!value.personal_.empty()) {
    key(personal_, key_text);
    personal_ += value.finish_personal();
  }
  return *this;
}

JsonText& JsonText::append(const JsonText& more) {
  if (!body_.empty() && !more.body_.empty()) body_ += ',';
  body_ += more.body_;
  if (!personal_.empty() && !more.personal_.empty()) personal_ += ',';
  personal_ += more.personal_;
  return *this;
}

}  // namespace muster::store
