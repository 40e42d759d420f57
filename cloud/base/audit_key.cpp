// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/audit_key.hpp"

#include <sodium.h>

#include <algorithm>
#include <new>

#include "cloud/base/error.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/base/sodium.hpp"

namespace muster {
namespace {

// The file: magic, key, SHA-256 of both.
constexpr std::string_view file_magic = "MSTRAUD1";
constexpr std::size_t key_bytes = 32;
constexpr std::size_t checksum_offset = file_magic.size() + key_bytes;
constexpr std::size_t record_bytes = checksum_offset + crypto_hash_sha256_BYTES;

const unsigned char* as_bytes(std::string_view text) noexcept { return reinterpret_cast<const unsigned char*>(text.data()); }

std::array<unsigned char, crypto_hash_sha256_BYTES> checksum_of(std::string_view record) noexcept {
  std::array<unsigned char, crypto_hash_sha256_BYTES> checksum{};
  crypto_hash_sha256(checksum.data(), as_bytes(record), checksum_offset);
  return checksum;
}

bool is_whole(std::string_view record) noexcept {
  return record.size() == record_bytes && record.starts_with(file_magic) &&
         sodium_memcmp(checksum_of(record).data(), as_bytes(record) + checksum_offset, crypto_hash_sha256_BYTES) == 0;
}

/// A text with the key in it, wiped when it goes.
struct SecretText {
  std::string text;
  ~SecretText() { sodium_memzero(text.data(), text.size()); }
};

}  // namespace

struct AuditKey::Secret {
  std::array<unsigned char, key_bytes> key{};
  crypto_auth_hmacsha256_state state{};  ///< The key is absorbed already: a MAC starts from a copy.

  static Secret* make(const unsigned char* key) {
    require_sodium();
    void* const memory = sodium_malloc(sizeof(Secret));
    if (memory == nullptr) throw std::bad_alloc{};
    auto* const secret = new (memory) Secret;
    std::copy_n(key, key_bytes, secret->key.begin());
    crypto_auth_hmacsha256_init(&secret->state, secret->key.data(), secret->key.size());
    sodium_mprotect_readonly(memory);
    return secret;
  }
};

AuditKey::~AuditKey() { sodium_free(secret_); }  // Wipes it, too.

Result<std::shared_ptr<const AuditKey>> AuditKey::open(const std::filesystem::path& keys_directory, Random& random) {
  const auto file = keys_directory / file_name;
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto bytes = read_file(file, record_bytes, FileAccess::owner_only);
    if (bytes) {
      const SecretText record{std::move(bytes).value()};
      if (!is_whole(record.text)) return BaseError::key_damaged;
      return std::shared_ptr<const AuditKey>{new AuditKey{Secret::make(as_bytes(record.text) + file_magic.size())}};
    }
    if (bytes.error() == BaseError::over_limit) return BaseError::key_damaged;
    if (bytes.error() != boost::system::errc::no_such_file_or_directory) return bytes.error();
    SecretText record{std::string{file_magic}};
    record.text.reserve(record_bytes);  // No reallocation may leave a copy behind.
    std::array<unsigned char, key_bytes> key{};
    random.fill(key);
    record.text.append(key.begin(), key.end());
    sodium_memzero(key.data(), key.size());
    const auto checksum = checksum_of(record.text);
    record.text.append(checksum.begin(), checksum.end());
    // Another process may be making one at this moment: then its key is the one.
    if (const auto made = import_key(keys_directory, record.text); !made && made.error() != BaseError::file_exists) return made.error();
  }
  return BaseError::key_unreadable;
}

std::shared_ptr<const AuditKey> AuditKey::of_tests() {
  static const std::array<unsigned char, key_bytes> zeros{};
  return std::shared_ptr<const AuditKey>{new AuditKey{Secret::make(zeros.data())}};
}

AuditMac AuditKey::mac(std::string_view domain, std::string_view bytes) const noexcept {
  // The domain's length goes first, so that no domain and text run together to another pair.
  const auto domain_size = static_cast<unsigned char>(std::min<std::size_t>(domain.size(), 255));
  AuditMac out{};
  crypto_auth_hmacsha256_state state = secret_->state;  // Wiped by `final`.
  crypto_auth_hmacsha256_update(&state, &domain_size, 1);
  crypto_auth_hmacsha256_update(&state, as_bytes(domain), domain_size);
  crypto_auth_hmacsha256_update(&state, as_bytes(bytes), bytes.size());
  crypto_auth_hmacsha256_final(&state, out.data());
  return out;
}

AuditMac AuditKey::salted_digest(std::string_view salt, std::string_view text) noexcept {
  AuditMac digest{};
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  const auto salt_size = static_cast<unsigned char>(std::min<std::size_t>(salt.size(), 255));
  crypto_hash_sha256_update(&state, &salt_size, 1);
  crypto_hash_sha256_update(&state, as_bytes(salt), salt_size);
  crypto_hash_sha256_update(&state, as_bytes(text), text.size());
  crypto_hash_sha256_final(&state, digest.data());
  return digest;
}

bool AuditKey::equal(const AuditMac& a, const AuditMac& b) noexcept { return sodium_memcmp(a.data(), b.data(), a.size()) == 0; }

std::string AuditKey::export_key() const {
  std::string record{file_magic};
  record.reserve(record_bytes);
  record.append(secret_->key.begin(), secret_->key.end());
  const auto checksum = checksum_of(record);
  record.append(checksum.begin(), checksum.end());
  return record;
}

Result<void> AuditKey::import_key(const std::filesystem::path& keys_directory, std::string_view bytes) {
  if (!is_whole(bytes)) return BaseError::key_damaged;
  return write_new_file_atomically(keys_directory / file_name, bytes, 0600);
}

}  // namespace muster
