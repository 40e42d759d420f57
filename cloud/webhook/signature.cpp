// SPDX-License-Identifier: Apache-2.0
#include "cloud/webhook/signature.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <vector>

namespace muster::webhook {

namespace {

using Bytes = std::vector<unsigned char>;
const unsigned char* bytes_of(std::string_view text) noexcept { return reinterpret_cast<const unsigned char*>(text.data()); }  // NOLINT

Bytes from_base64(std::string_view text) {
  Bytes out(text.size() / 4 * 3 + 3);
  const int size = EVP_DecodeBlock(out.data(), bytes_of(text), static_cast<int>(text.size()));
  if (size < 0) return {};
  const auto padding = static_cast<std::size_t>(std::count(text.end() - std::min<std::ptrdiff_t>(2, std::ssize(text)), text.end(), '='));
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

}  // namespace

std::string sign(std::string_view secret, std::string_view id, std::string_view timestamp, std::string_view body) {
  constexpr std::string_view prefix = "whsec_";
  const Bytes key = from_base64(secret.starts_with(prefix) ? secret.substr(prefix.size()) : secret);
  std::string signed_text;
  signed_text.append(id).append(1, '.').append(timestamp).append(1, '.').append(body);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(signed_text), signed_text.size(), mac.data(), &size);
  std::array<unsigned char, 4 * ((EVP_MAX_MD_SIZE + 2) / 3) + 1> text{};
  const int length = EVP_EncodeBlock(text.data(), mac.data(), static_cast<int>(size));
  return "v1," + std::string{text.begin(), text.begin() + length};
}

}  // namespace muster::webhook
