// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "cloud/base/random.hpp"
#include "cloud/base/result.hpp"

namespace muster {

using AuditMac = std::array<std::uint8_t, 32>;

/// The key that chains the audit log: `audit.secret` in keys/, outside the database, of its own, so that rotating the other keys
/// leaves the chain as it is. HMAC-SHA-256. Safe from any thread.
class AuditKey {
 public:
  static constexpr std::string_view file_name = "audit.secret";

  /// Loads it from `keys_directory`, or makes it there when there is none: installations from before the chain have none.
  /// Errors: BaseError::{key_unreadable, key_damaged}, those of the system.
  [[nodiscard]] static Result<std::shared_ptr<const AuditKey>> open(const std::filesystem::path& keys_directory, Random& random);
  /// The key that everybody knows: what a store without one of its own uses in tests and simulations.
  [[nodiscard]] static std::shared_ptr<const AuditKey> of_tests();
  ~AuditKey();
  AuditKey(const AuditKey&) = delete;
  AuditKey& operator=(const AuditKey&) = delete;

  /// `domain` keeps kinds of texts apart.
  [[nodiscard]] AuditMac mac(std::string_view domain, std::string_view bytes) const noexcept;
  /// SHA-256 of a text that may be erased later: without the salt nobody can try out which text it was. No key is in it.
  [[nodiscard]] static AuditMac salted_digest(std::string_view salt, std::string_view text) noexcept;
  /// In a time that does not depend on where they differ.
  [[nodiscard]] static bool equal(const AuditMac& a, const AuditMac& b) noexcept;

  /// As bytes, and back, for backups: the file's own format. The import never replaces one. Errors: BaseError::{key_damaged, file_exists}.
  [[nodiscard]] std::string export_key() const;
  [[nodiscard]] static Result<void> import_key(const std::filesystem::path& keys_directory, std::string_view bytes);

 private:
  struct Secret;
  explicit AuditKey(Secret* secret) noexcept : secret_{secret} {}
  Secret* secret_;  ///< In guarded memory that core dumps leave out.
};

}  // namespace muster
