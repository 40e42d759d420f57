// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/auth_token.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstdint>

namespace muster {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static_assert(alphabet.size() == 64);

constexpr bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

constexpr bool is_token_char(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

std::optional<AuthToken> AuthToken::parse(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  if (text.size() != length_chars || !std::all_of(text.begin(), text.end(), is_token_char)) return std::nullopt;
  AuthToken token;
  std::copy(text.begin(), text.end(), token.chars_.begin());
  return token;
}

AuthToken AuthToken::generate(Random& random) noexcept {
  std::array<std::uint8_t, length_chars / 4 * 3> bytes{};
  random.fill(bytes);
  AuthToken token;
  for (std::size_t group = 0; group < bytes.size() / 3; ++group) {
    const std::uint32_t bits = (std::uint32_t{bytes[3 * group]} << 16) | (std::uint32_t{bytes[3 * group + 1]} << 8) | bytes[3 * group + 2];
    for (std::size_t i = 0; i < 4; ++i) token.chars_[4 * group + i] = alphabet[(bits >> (18 - 6 * i)) & 63];
  }
  sodium_memzero(bytes.data(), bytes.size());
  return token;
}

AuthToken::~AuthToken() { sodium_memzero(chars_.data(), chars_.size()); }

}  // namespace muster
