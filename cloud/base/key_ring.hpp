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

/// The digests of one secret under every key of the ring, newest key first. At most KeyRing::keys_max; a few need no allocation.
class TokenDigests {
 public:
  [[nodiscard]] std::span<const TokenDigest> all() const noexcept {
    return many_.empty() ? std::span{few_.data(), count_} : std::span{many_.data(), many_.size()};
  }
  [[nodiscard]] const TokenDigest& newest() const noexcept { return many_.empty() ? few_[0] : many_[0]; }

 private:
  friend class KeyRing;
  std::array<TokenDigest, 8> few_{};
  std::size_t count_ = 0;
  std::vector<TokenDigest> many_;  ///< In place of `few_` when they do not fit there.
};

/// Keys of the data directory (`keys/`, 0700), kept outside the database: each has an id, a MAC key and a seal key
/// (XChaCha20-Poly1305). The newest one seals and digests; older ones stay for look-up as long as live tokens or
/// tombstones carry their id. Const members are safe from any thread, also while a key is added or removed, and never
/// wait for it.
class KeyRing {
 public:
  /// A key for every rotation that tombstones still need: a rotation each month for 20 years. Every one of them costs a look-up 0.5 us.
  static constexpr std::size_t keys_max = 256;

  /// Loads `directory`, or makes it with one key when it does not exist (whole or not at all). One that exists but
  /// holds no key has lost them: key_damaged. Errors: BaseError::{key_unreadable, key_damaged, key_ring_full}, file
  /// errors.
  [[nodiscard]] static Result<std::unique_ptr<KeyRing>> open(const std::filesystem::path& directory, Random& random);
  /// A ring in memory only (tests, simulation).
  [[nodiscard]] static std::unique_ptr<KeyRing> in_memory(Random& random);
  ~KeyRing();

  /// Whether this ring was made by `open` and no database has been made beside it yet (`mark_used`). A ring that is in use and stands
  /// beside no database tells of a database that was lost. Survives a restart.
  [[nodiscard]] bool unused() const;
  /// From now on a database belongs to this ring. Errors: those of the system.
  [[nodiscard]] Result<void> mark_used();

  /// Adds a key and makes it the newest; on disk before it returns. Who adds or removes keys holds FolderLock on the directory.
  /// Errors: BaseError::key_ring_full, BaseError::file_exists when another process added a key with this id meanwhile.
  [[nodiscard]] Result<std::uint16_t> add_key(Random& random);
  /// What a reload may do about keys that no rotation can have left there: another key under a known id, or the newest one gone.
  enum class Foreign { refuse, take };
  /// Takes in what another process (`muster key rotate`) added to or removed from the directory. True when the ring has
  /// changed; on an error it stays as it was. Errors: as `open`, BaseError::keys_foreign.
  [[nodiscard]] Result<bool> reload(Foreign foreign = Foreign::refuse);
  /// Forgets a key that nothing carries any more. Errors: BaseError::key_in_use for the newest.
  [[nodiscard]] Result<void> remove_key(std::uint16_t key_id);

  [[nodiscard]] std::uint16_t newest_key_id() const noexcept;
  [[nodiscard]] std::vector<std::uint16_t> key_ids() const;  ///< Newest first.

  /// Digests of `secret`; `domain` keeps kinds of secret apart ("auth-token", "access-token", ...). About 0.5 us a key; no
  /// allocation for 8 keys or less.
  [[nodiscard]] TokenDigests digest(std::string_view domain, std::string_view secret) const;
  /// Only that under one key. Errors: BaseError::key_unknown.
  [[nodiscard]] Result<TokenDigest> digest_under(std::uint16_t key_id, std::string_view domain, std::string_view secret) const;

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
  /// The name of a key's file in the directory.
  [[nodiscard]] static std::string file_name(std::uint16_t key_id);

 private:
  struct Impl;
  explicit KeyRing(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster
