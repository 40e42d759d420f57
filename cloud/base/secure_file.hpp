// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "cloud/base/result.hpp"

namespace muster {

/// Puts `bytes` at `path` so that a crash or a power cut at any moment leaves either the old file or the new one,
/// whole: a hidden file beside it is written, synced and renamed over it, then the directory is synced. `mode` (e.g.
/// 0600) holds from the first byte on, whatever the umask. Errors: those of the system, as errno.
[[nodiscard]] Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view bytes, mode_t mode);

/// The same for a file that must not be there yet: of two that race, one succeeds. Errors: BaseError::file_exists, those of the system.
[[nodiscard]] Result<void> write_new_file_atomically(const std::filesystem::path& path, std::string_view bytes, mode_t mode);

/// Renames `from` to `to`, on one filesystem, and never replaces what is there, also where hard links are not supported (FAT, some
/// network shares). The folder is synced. Errors: BaseError::file_exists, those of the system, as errno.
[[nodiscard]] Result<void> move_without_replacing(const std::filesystem::path& from, const std::filesystem::path& to);

/// Gives `path` to the owner of `folder` when this process is root and the folder is another user's: an operator's command leaves nothing
/// that the server, which is not root, cannot use. Errors: as errno.
[[nodiscard]] Result<void> give_to_owner_of(const std::filesystem::path& folder, const std::filesystem::path& path);

/// Who may have access to a file that is read.
enum class FileAccess {
  any,
  owner_only,  ///< Refused when group or others may read or write it, or when it belongs neither to this user nor to
               ///< root.
};

/// The whole of a regular file. Errors: BaseError::over_limit (more than `limit_bytes`), BaseError::key_unreadable
/// (against FileAccess::owner_only), those of the system, as errno.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit_bytes,
                                            FileAccess access = FileAccess::any);

/// Holds a folder for one process at a time, by flock on the folder itself, so that no file is left behind; until destroyed. The
/// kernel lets go of it however the process ends.
class FolderLock {
 public:
  /// Does not wait. Errors: errc::operation_would_block (somebody else holds it), those of the system, as errno.
  [[nodiscard]] static Result<FolderLock> take(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int descriptor) noexcept : descriptor_{descriptor} {}
  int descriptor_;
};

/// Makes names that were added to, renamed in or removed from a directory survive a power cut. Errors: as errno.
[[nodiscard]] Result<void> sync_directory(const std::filesystem::path& directory);

}  // namespace muster
