// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/secure_file.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "cloud/base/error.hpp"
#include "cloud/base/sodium.hpp"

namespace muster {
namespace {

Error last_error() noexcept { return {errno, boost::system::generic_category()}; }

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_{fd} {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path{"."};
}

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return last_error();
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> write_new_file(const std::filesystem::path& folder, const std::string& name, std::string_view bytes, mode_t mode) {
  Descriptor file{::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0700)};
  if (file.get() < 0) return last_error();
  if (::fchmod(file.get(), mode) != 0) return last_error();
  if (::geteuid() == 0) {
    // An operator's command as root leaves files that the server, which is not root, can still read.
    struct stat folder_facts{};
    if (::stat(folder.c_str(), &folder_facts) != 0) return last_error();
    if (folder_facts.st_uid != 0 && ::fchown(file.get(), folder_facts.st_uid, folder_facts.st_gid) != 0) return last_error();
  }
  MUSTER_TRY_VOID(write_all(file.get(), bytes));
  if (::fsync(file.get()) != 0) return last_error();
  if (::close(file.release()) != 0) return last_error();
  return {};
}

}  // namespace

Result<void> sync_directory(const std::filesystem::path& directory) {
  const Descriptor folder{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder.get() < 0) return last_error();
  if (::fsync(folder.get()) != 0) return last_error();
  return {};
}

namespace {

/// The hidden file that `path` is written as first, whole and on disk.
Result<std::string> write_beside(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  const std::filesystem::path folder = folder_of(path);
  require_sodium();
  std::array<unsigned char, 6> suffix{};
  randombytes_buf(suffix.data(), suffix.size());
  std::array<char, 13> suffix_text{};
  sodium_bin2hex(suffix_text.data(), suffix_text.size(), suffix.data(), suffix.size());
  std::string temporary = (folder / ("." + path.filename().string() + "." + suffix_text.data() + ".tmp")).string();

  if (const auto written = write_new_file(folder, temporary, bytes, mode); !written) {
    const Error error = written.error();
    if (error != boost::system::errc::file_exists) ::unlink(temporary.c_str());
    return error;
  }
  return temporary;
}

bool is_unsupported(int error) noexcept { return error == EINVAL || error == ENOSYS || error == EPERM || error == ENOTSUP; }

/// As an error of `move_without_replacing`.
Error taken_or(int error) noexcept {
  return error == EEXIST ? Error{BaseError::file_exists} : Error{error, boost::system::generic_category()};
}

}  // namespace

Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  MUSTER_TRY(const std::string temporary, write_beside(path, bytes, mode));
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const Error error = last_error();
    ::unlink(temporary.c_str());
    return error;
  }
  return sync_directory(folder_of(path));
}

Result<void> write_new_file_atomically(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  MUSTER_TRY(const std::string temporary, write_beside(path, bytes, mode));
  const Result<void> moved = move_without_replacing(temporary, path);
  if (!moved) ::unlink(temporary.c_str());
  return moved;
}

Result<void> move_without_replacing(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
    if (!is_unsupported(errno)) return taken_or(errno);
    if (::link(from.c_str(), to.c_str()) == 0) {
      ::unlink(from.c_str());
    } else {
      if (!is_unsupported(errno)) return taken_or(errno);
      // The name is taken first, by an empty file of ours, and that file replaced.
      const Descriptor placeholder{::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
      if (placeholder.get() < 0) return taken_or(errno);
      if (::rename(from.c_str(), to.c_str()) != 0) {
        const Error error = last_error();
        ::unlink(to.c_str());
        return error;
      }
    }
  }
  return sync_directory(folder_of(to));
}

Result<void> give_to_owner_of(const std::filesystem::path& folder, const std::filesystem::path& path) {
  if (::geteuid() != 0) return {};
  struct stat facts{};
  if (::stat(folder.c_str(), &facts) != 0) return last_error();
  if (facts.st_uid != 0 && ::lchown(path.c_str(), facts.st_uid, facts.st_gid) != 0) return last_error();
  return {};
}

Result<FolderLock> FolderLock::take(const std::filesystem::path& folder) {
  Descriptor descriptor{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (descriptor.get() < 0) return last_error();
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) return last_error();
  return FolderLock{descriptor.release()};
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit_bytes, FileAccess access) {
  // O_NONBLOCK: a pipe in the place of a file must not hold us up. It changes nothing for a regular file.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  if (file.get() < 0) return last_error();
  struct stat facts{};
  if (::fstat(file.get(), &facts) != 0) return last_error();
  if (S_ISDIR(facts.st_mode)) return Error{EISDIR, boost::system::generic_category()};
  if (!S_ISREG(facts.st_mode)) return Error{EINVAL, boost::system::generic_category()};
  if (access == FileAccess::owner_only) {
    const bool others = (facts.st_mode & 077) != 0;
    const bool foreign = facts.st_uid != ::geteuid() && facts.st_uid != 0 && ::geteuid() != 0;
    if (others || foreign) return BaseError::key_unreadable;
  }
  std::string bytes;
  // A byte more than the limit is asked for, so that a file that grows meanwhile is noticed.
  bytes.reserve(std::min(static_cast<std::size_t>(facts.st_size), limit_bytes) + 1);
  std::array<char, 16384> chunk{};
  for (;;) {
    const ssize_t count = ::read(file.get(), chunk.data(), chunk.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return last_error();
    }
    if (count == 0) break;
    if (static_cast<std::size_t>(count) > limit_bytes - bytes.size()) return BaseError::over_limit;
    bytes.append(chunk.data(), static_cast<std::size_t>(count));
  }
  if (access == FileAccess::owner_only) sodium_memzero(chunk.data(), chunk.size());
  return bytes;
}

}  // namespace muster
