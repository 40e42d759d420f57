// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "cloud/base/result.hpp"

namespace muster {

/// Puts `bytes` at `path` so that a crash or a power cut at any moment leaves either the old file or the new one,
/// whole: a hidden file beside it is written, synced and renamed over it, then the directory is synced. `mode` (e.g.
/// 0600) holds from the first byte on, whatever the umask. Errors: those of the system, as errno.
[[nodiscard]] Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view bytes, mode_t mode);

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

/// Makes names that were added to, renamed in or removed from a directory survive a power cut. Errors: as errno.
[[nodiscard]] Result<void> sync_directory(const std::filesystem::path& directory);

}  // namespace muster
