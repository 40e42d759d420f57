// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/people/secret_text.hpp"

#include <openssl/crypto.h>

#include <array>
#include <string_view>

namespace muster::api {

std::string base64url(std::span<const std::uint8_t> bytes) {
  static constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t buffer = 0;
  int bits = 0;
  for (const std::uint8_t byte : bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      out += alphabet[(buffer >> bits) & 63];
    }
  }
  if (bits > 0) out += alphabet[(buffer << (6 - bits)) & 63];
  return out;
}

std::string random_secret(Random& random) {
  std::array<std::uint8_t, 32> bytes{};
  random.fill(bytes);
  std::string text = base64url(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return text;
}

}  // namespace muster::api
