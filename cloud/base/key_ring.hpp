// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/random.hpp"
#include "cloud/base/result.hpp"

namespace muster {

/// HMAC-SHA-256 of a secret under one key of the ring: how tokens are found without being stored in clear.
struct TokenDigest {
  std::uint16_t key_id = 0;
  std::array<std::uint8_t, 32> mac{};
  friend bool operator==(const TokenDigest&, const TokenDigest&) noexcept =
      default;  ///< Not for deciding access: MACs are looked up, not compared with guesses.
};

/// The digests of one secret under every key of the ring, newest key first. At most KeyRing::keys_max.
class TokenDigests {
 public:
  [[nodiscard]] std::span<const TokenDigest> all() const noexcept { return {digests_.data(), count_}; }
  [[nodiscard]] const TokenDigest& newest() const noexcept { return digests_[0]; }

 private:
  friend class KeyRing;
  std::array<TokenDigest, 8> digests_{};
  std::size_t count_ = 0;
};

/// Keys of the data directory (`keys/`, 0700), kept outside the database: each has an id, a MAC key and a seal key
/// (XChaCha20-Poly1305). The newest one seals and digests; older ones stay for look-up as long as live tokens or
/// tombstones carry their id. Const members are safe from any thread, also while a key is added or removed, and never
/// wait for it.
class KeyRing {
 public:
  static constexpr std::size_t keys_max = 8;

  /// Loads `directory`, or makes it with one key when it does not exist (whole or not at all). One that exists but
  /// holds no key has lost them: key_damaged. Errors: BaseError::{key_unreadable, key_damaged, key_ring_full}, file
  /// errors.
  [[nodiscard]] static Result<std::unique_ptr<KeyRing>> open(const std::filesystem::path& directory, Random& random);
  /// A ring in memory only (tests, simulation).
  [[nodiscard]] static std::unique_ptr<KeyRing> in_memory(Random& random);
  ~KeyRing();

  /// Adds a key and makes it the newest; on disk before it returns. Errors: BaseError::key_ring_full.
  [[nodiscard]] Result<std::uint16_t> add_key(Random& random);
  /// Takes in what another process (`muster key rotate`) added to or removed from the directory. True when the ring has
  /// changed; on an error it stays as it was. Errors: as `open`.
  [[nodiscard]] Result<bool> reload();
  /// Forgets a key that nothing carries any more. Errors: BaseError::key_in_use for the newest.
  [[nodiscard]] Result<void> remove_key(std::uint16_t key_id);

  [[nodiscard]] std::uint16_t newest_key_id() const noexcept;
  [[nodiscard]] std::vector<std::uint16_t> key_ids() const;  ///< Newest first.

  /// Digests of `secret`; `domain` keeps kinds of secret apart ("auth-token", "access-token", ...). No allocation,
  /// about 0.5 us a key.
  [[nodiscard]] TokenDigests digest(std::string_view domain, std::string_view secret) const noexcept;

  /// Seals `plain` under the newest key; the result carries the key id, a random nonce and binds `context` (e.g.
  /// "auth-token").
  [[nodiscard]] std::string seal(std::string_view context, std::string_view plain, Random& random) const;
  /// Errors: BaseError::{seal_damaged, key_unknown}.
  [[nodiscard]] Result<std::string> open_sealed(std::string_view context, std::string_view sealed) const;

  /// All keys as bytes, and back: for `muster backup` (which seals them to the operator) and `muster restore`. The
  /// import makes `directory`, whole or not at all. Errors: BaseError::{key_damaged, key_ring_full}, file_exists when
  /// it holds files.
  [[nodiscard]] std::string export_keys() const;
  [[nodiscard]] static Result<void> import_keys(const std::filesystem::path& directory, std::string_view bytes);

 private:
  struct Impl;
  explicit KeyRing(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster
