// SPDX-License-Identifier: Apache-2.0
#include "cloud/mail/template.hpp"

#include <cstdint>

namespace muster::mail {
namespace {

template <class Escape>
std::string fill(std::string_view pattern, Values values, Escape escape) {
  std::string out;
  while (!pattern.empty()) {
    const auto open = pattern.find('{');
    out += pattern.substr(0, open);
    if (open == std::string_view::npos) break;
    const auto close = pattern.find('}', open);
    if (close == std::string_view::npos) break;
    const std::string_view name = pattern.substr(open + 1, close - open - 1);
    for (const auto& [key, value] : values) {
      if (key == name) out += escape(value);
    }
    pattern.remove_prefix(close + 1);
  }
  return out;
}

/// One character of UTF-8 taken from the front; U+FFFD for a byte that is none.
char32_t take(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  std::size_t length = first < 0x80                    ? 1
                       : first >= 0xC2 && first < 0xE0 ? 2
                       : first >= 0xE0 && first < 0xF0 ? 3
                       : first >= 0xF0 && first < 0xF5 ? 4
                                                       : 0;
  char32_t code = length == 1 ? first : length == 2 ? first & 0x1Fu : length == 3 ? first & 0x0Fu : first & 0x07u;
  bool good = length != 0 && length <= text.size();
  for (std::size_t i = 1; good && i < length; ++i) {
    good = (byte(i) & 0xC0u) == 0x80;
    code = (code << 6) | (byte(i) & 0x3Fu);
  }
  if (good && ((length == 3 && code < 0x800) || (length == 4 && (code < 0x10000 || code > 0x10FFFF)) || (code >= 0xD800 && code <= 0xDFFF)))
    good = false;
  text.remove_prefix(good ? length : 1);
  return good ? code : U'\uFFFD';
}

void append(std::string& out, char32_t code) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0u | (code >> 6));
    put(0x80u | (code & 0x3Fu));
  } else if (code < 0x10000) {
    put(0xE0u | (code >> 12));
    put(0x80u | ((code >> 6) & 0x3Fu));
    put(0x80u | (code & 0x3Fu));
  } else {
    put(0xF0u | (code >> 18));
    put(0x80u | ((code >> 12) & 0x3Fu));
    put(0x80u | ((code >> 6) & 0x3Fu));
    put(0x80u | (code & 0x3Fu));
  }
}

bool is_control(char32_t code) noexcept { return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029; }
bool turns_direction(char32_t code) noexcept {
  return code == 0x200E || code == 0x200F || code == 0x061C || (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string fill_text(std::string_view pattern, Values values) {
  return fill(pattern, values, [](std::string_view value) { return std::string{value}; });
}

std::string fill_html(std::string_view pattern, Values values) { return fill(pattern, values, escape_html); }

std::string one_line(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const char32_t code = take(name);
    if (turns_direction(code)) continue;
    append(out, is_control(code) ? U' ' : code);
  }
  return out;
}

}  // namespace muster::mail
