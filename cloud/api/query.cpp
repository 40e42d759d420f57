// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/query.hpp"

namespace muster::api {
namespace {
int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
}  // namespace

void append_percent_decoded(std::string& out, std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  append_percent_decoded(out, text);
  return out;
}

bool QueryReader::next(Pair& out) noexcept {
  while (!rest_.empty()) {
    const auto end = rest_.find('&');
    const std::string_view pair = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    out.name = pair.substr(0, equals);
    out.has_value = equals != std::string_view::npos;
    out.value = out.has_value ? pair.substr(equals + 1) : std::string_view{};
    return true;
  }
  return false;
}

std::optional<std::uint8_t> parse_pin(std::string_view text) noexcept {
  if (text.size() < 2 || text.size() > 4 || (text[0] != 'v' && text[0] != 'V')) return std::nullopt;
  unsigned pin = 0;
  for (const char c : text.substr(1)) {
    if (c < '0' || c > '9') return std::nullopt;
    pin = pin * 10 + static_cast<unsigned>(c - '0');
  }
  if (pin > 255) return std::nullopt;
  return static_cast<std::uint8_t>(pin);
}

}  // namespace muster::api
