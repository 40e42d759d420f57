// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/people/totp.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>

namespace muster::api::totp {
namespace {

constexpr std::int64_t step_ms = 30'000;
constexpr std::string_view crockford = "0123456789abcdefghjkmnpqrstvwxyz";

std::string percent(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15u];
    }
  }
  return out;
}

}  // namespace

std::int64_t step_of(UtcTime at) noexcept { return at.ms / step_ms; }

std::string code(std::string_view secret, std::int64_t step, int digits) {
  std::array<unsigned char, 8> counter{};
  for (std::size_t i = 0; i < 8; ++i) counter[i] = static_cast<unsigned char>(static_cast<std::uint64_t>(step) >> (56 - 8 * i));
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(EVP_sha1(), secret.data(), static_cast<int>(secret.size()), counter.data(), counter.size(), mac.data(), &size);
  const unsigned at = mac[size - 1] & 0x0Fu;
  std::uint32_t number =
      (mac[at] & 0x7Fu) << 24 | static_cast<std::uint32_t>(mac[at + 1]) << 16 | static_cast<std::uint32_t>(mac[at + 2]) << 8 | mac[at + 3];
  std::string text(static_cast<std::size_t>(digits), '0');
  for (auto it = text.rbegin(); it != text.rend(); ++it, number /= 10) *it = static_cast<char>('0' + number % 10);
  return text;
}

bool looks_like_code(std::string_view text) noexcept {
  return text.size() == 6 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::int64_t> match(std::string_view secret, std::string_view text, UtcTime now) {
  if (!looks_like_code(text)) return std::nullopt;
  std::optional<std::int64_t> found;
  for (std::int64_t step = step_of(now) - 1; step <= step_of(now) + 1; ++step) {
    if (CRYPTO_memcmp(code(secret, step).data(), text.data(), text.size()) == 0) found = step;
  }
  return found;
}

std::string make_secret(Random& random) {
  std::array<std::uint8_t, secret_size_bytes> bytes{};
  random.fill(bytes);
  std::string secret{bytes.begin(), bytes.end()};
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return secret;
}

std::string base32(std::string_view bytes) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::string out;
  std::uint32_t buffer = 0;
  int bits = 0;
  for (const char c : bytes) {
    buffer = (buffer << 8) | static_cast<unsigned char>(c);
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += alphabet[(buffer >> bits) & 31u];
    }
  }
  if (bits > 0) out += alphabet[(buffer << (5 - bits)) & 31u];
  return out;
}

std::string uri(std::string_view secret, std::string_view issuer, std::string_view account) {
  return "otpauth://totp/" + percent(issuer) + ":" + percent(account) + "?secret=" + base32(secret) + "&issuer=" + percent(issuer) +
         "&algorithm=SHA1&digits=6&period=30";
}

std::vector<std::string> make_recovery_codes(Random& random) {
  std::vector<std::string> all(recovery_code_count);
  for (auto& text : all) {
    for (int i = 0; i < 12; ++i) {
      if (i == 4 || i == 8) text += '-';
      text += crockford[random.below(crockford.size())];
    }
  }
  return all;
}

std::string normal_recovery_code(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '-' || c == ' ') continue;
    out += c == 'i' || c == 'l' ? '1' : c == 'o' ? '0' : c;
  }
  return out;
}

}  // namespace muster::api::totp
