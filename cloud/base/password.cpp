// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/password.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <new>
#include <optional>

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

constexpr std::size_t hash_bytes = 32;

/// `$argon2id$v=19$m=65536,t=2,p=1$salt$hash`, as make_password_verifier writes it.
struct Verifier {
  // Whatever a verifier says, it cannot make a sign-in cost more than this.
  static constexpr std::uint32_t passes_max = 16, memory_max_kib = 1u << 20;

  unsigned long long passes = muster::passes;
  std::size_t memory_bytes = muster::memory_bytes;
  std::array<unsigned char, crypto_pwhash_SALTBYTES> salt{};
  std::array<unsigned char, hash_bytes> hash{};

  static std::optional<Verifier> parse(std::string_view text) noexcept {
    const auto literal = [&](std::string_view word) {
      if (!text.starts_with(word)) return false;
      text.remove_prefix(word.size());
      return true;
    };
    const auto number = [&](std::uint32_t& out) {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
      if (error != std::errc{}) return false;
      text.remove_prefix(static_cast<std::size_t>(end - text.data()));
      return true;
    };
    const auto bytes = [](std::string_view encoded, auto& out) {
      std::size_t size = 0;
      const char* end = nullptr;
      return sodium_base642bin(out.data(), out.size(), encoded.data(), encoded.size(), nullptr, &size, &end,
                               sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
             size == out.size() && end == encoded.data() + encoded.size();
    };
    std::uint32_t memory_kib = 0, passes_given = 0;
    if (!literal("$argon2id$v=19$m=") || !number(memory_kib) || !literal(",t=") || !number(passes_given) || !literal(",p=1$"))
      return std::nullopt;
    if (memory_kib < crypto_pwhash_MEMLIMIT_MIN / 1024 || memory_kib > memory_max_kib) return std::nullopt;
    if (passes_given < crypto_pwhash_OPSLIMIT_MIN || passes_given > passes_max) return std::nullopt;
    const auto dollar = text.find('$');
    if (dollar == std::string_view::npos) return std::nullopt;
    Verifier made;
    made.passes = passes_given;
    made.memory_bytes = std::size_t{memory_kib} * 1024;
    if (!bytes(text.substr(0, dollar), made.salt) || !bytes(text.substr(dollar + 1), made.hash)) return std::nullopt;
    return made;
  }
};

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

PasswordVerdict verify_password(std::string_view verifier, std::string_view prehash) noexcept {
  require_sodium();
  if (prehash.empty()) prehash = "";
  // libsodium's own verification says the same of a wrong password and of too little memory. An account that does not exist costs
  // the same work, so that the time of an answer does not tell which do.
  const auto parsed = Verifier::parse(verifier);
  const Verifier& used = parsed ? *parsed : Verifier{};
  std::array<unsigned char, hash_bytes> computed{};
  if (crypto_pwhash(computed.data(), computed.size(), prehash.data(), prehash.size(), used.salt.data(), used.passes, used.memory_bytes,
                    crypto_pwhash_ALG_ARGON2ID13) != 0)
    return PasswordVerdict::no_memory;  // The only way it fails: the parameters are within its limits.
  const bool same = sodium_memcmp(computed.data(), used.hash.data(), computed.size()) == 0;
  sodium_memzero(computed.data(), computed.size());
  return same && parsed ? PasswordVerdict::right : PasswordVerdict::wrong;
}

}  // namespace muster
