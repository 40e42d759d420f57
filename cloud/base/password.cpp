// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/password.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <new>

#include "cloud/base/sodium.hpp"

namespace muster {
namespace {

using Sha256 = std::array<unsigned char, crypto_hash_sha256_BYTES>;

// Argon2id with 2 passes over 64 MiB: more than the 19 MiB and 2 passes that OWASP asks for, and about 60 ms of a core,
// so that a small machine still answers a sign-in at once. Sign-ins are throttled and run on a pool of their own, which
// bounds the memory; libsodium's next step (256 MiB a sign-in) would let four of them fill a small machine.
constexpr unsigned long long passes = crypto_pwhash_OPSLIMIT_INTERACTIVE;
constexpr std::size_t memory_bytes = crypto_pwhash_MEMLIMIT_INTERACTIVE;

const unsigned char* as_bytes(std::string_view text) noexcept { return reinterpret_cast<const unsigned char*>(text.data()); }

}  // namespace

std::string password_prehash(std::string_view password, std::string_view email) {
  require_sodium();
  std::string lower{email};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  Sha256 salt{};
  crypto_hash_sha256(salt.data(), as_bytes(lower), lower.size());

  Sha256 digest{};
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, as_bytes(password), password.size());
  crypto_hash_sha256_update(&state, salt.data(), salt.size());
  crypto_hash_sha256_final(&state, digest.data());

  std::array<char, sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, sodium_base64_VARIANT_ORIGINAL)> text{};
  sodium_bin2base64(text.data(), text.size(), digest.data(), digest.size(), sodium_base64_VARIANT_ORIGINAL);
  sodium_memzero(digest.data(), digest.size());
  std::string result{text.data()};
  sodium_memzero(text.data(), text.size());
  return result;
}

std::string make_password_verifier(std::string_view prehash) {
  require_sodium();
  if (prehash.empty()) prehash = "";  // Not a null pointer: libsodium does not take one.
  std::array<char, crypto_pwhash_STRBYTES> verifier{};
  if (crypto_pwhash_str_alg(verifier.data(), prehash.data(), prehash.size(), passes, memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    throw std::bad_alloc{};  // The only way it fails: no 64 MiB to be had.
  }
  return verifier.data();
}

bool verify_password(std::string_view verifier, std::string_view prehash) noexcept {
  require_sodium();
  if (prehash.empty()) prehash = "";
  std::array<char, crypto_pwhash_STRBYTES> text{};
  if (verifier.empty() || verifier.size() >= text.size()) {
    // The same work for an account that does not exist, so that the time of an answer does not tell which do.
    std::array<unsigned char, 32> unused{};
    const std::array<unsigned char, crypto_pwhash_SALTBYTES> salt{};
    [[maybe_unused]] const int failed = crypto_pwhash(unused.data(), unused.size(), prehash.data(), prehash.size(), salt.data(), passes,
                                                      memory_bytes, crypto_pwhash_ALG_ARGON2ID13);
    return false;
  }
  std::copy(verifier.begin(), verifier.end(), text.begin());
  return crypto_pwhash_str_verify(text.data(), prehash.data(), prehash.size()) == 0;
}

}  // namespace muster
