// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <type_traits>
#include <vector>

#include "cloud/base/age.hpp"
#include "cloud/base/random.hpp"
#include "cloud/base/result.hpp"

/// `muster backup` and `muster restore`.
///
/// A backup is one file in the age format around one tar archive: `manifest.json`, `muster.db`, `keys.export`, `audit-key.export`, and what lies
/// under `tls/` and `files/`. One file, because two can be mixed up, and a database without its keys is worth nothing. All of
/// it encrypted, because the database names people, and because age tells a file that was cut off or changed from a whole one.
/// Common formats, because a backup must be readable when muster is not at hand: `age -d muster.age | tar -x` gives the files.
/// The certificates go along because agents that pin the private CA would refuse a server with a new one.
namespace muster::store {

/// Never renumber.
enum class BackupError {
  directory_not_empty = 1,  ///< Restoring never overwrites.
  no_database = 2,          ///< Not a data directory.
  not_a_backup = 3,         ///< Decrypted, but not what create_backup wrote, or by a newer version.
  secret_missing = 4,       ///< Neither a recipient (identity) nor a passphrase was given, or both.
  keys_keep_changing = 5,   ///< Keys were added or removed while the copy was made, several times.
  another_is_running = 6,   ///< Another backup or restore works on this data directory.
};
[[nodiscard]] const boost::system::error_category& backup_category() noexcept;
[[nodiscard]] inline Error make_error_code(BackupError error) noexcept { return {static_cast<int>(error), backup_category()}; }

/// Who can open a backup: either keys or a passphrase.
struct BackupRecipients {
  std::vector<age::Recipient> recipients;
  std::string passphrase;
  int work_factor = age::work_factor_default;  ///< Of the passphrase; only tests lower it.
};
struct BackupIdentities {
  std::vector<age::Identity> identities;
  std::string passphrase;
};

struct BackupSummary {
  std::uint64_t files = 0, plain_bytes = 0;
};

/// Writes a backup of `data_directory` and of `database`, which may lie elsewhere, to `out_file` (mode 0600, whole or not at all),
/// while a server may be running on them. One at a time: what an earlier one that was cut off left in the data directory goes first.
/// Needs free space of the database's size in the data directory for the time it takes. Blocks.
/// Errors: BackupError::{no_database, secret_missing, keys_keep_changing, another_is_running}, BaseError::file_exists (`out_file`),
/// those of the store, the key ring, age and the system.
[[nodiscard]] Result<BackupSummary> create_backup(const std::filesystem::path& data_directory, const std::filesystem::path& database,
                                                  const std::filesystem::path& out_file, const BackupRecipients& to, Random& random);

/// Whether a restore that was cut off may have left this behind in a data directory; the next one removes it.
[[nodiscard]] bool is_restore_scratch(const std::filesystem::path& path);

/// Makes `data_directory` (absent or empty) what it was when the backup was made; all of it then belongs to the directory's owner. The store then holds logins with tokens that it
/// does not know (domain::UnknownTokens::hold), and people sign in anew. On an error the directory is left as it was found.
/// Errors: BackupError::{directory_not_empty, not_a_backup, secret_missing, another_is_running}, BaseError::{passphrase_wrong, identity_mismatch,
/// file_damaged (also: cut off)}, StoreError::{corrupt, newer_version}, errors of the system.
[[nodiscard]] Result<BackupSummary> restore_backup(const std::filesystem::path& file, const BackupIdentities& with,
                                                   const std::filesystem::path& data_directory);

}  // namespace muster::store

template <>
struct boost::system::is_error_code_enum<muster::store::BackupError> : std::true_type {};
