// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/file_store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace muster::agent::linux_port {

namespace {

std::string name_of(Slot slot) { return slot == Slot::pending ? "pending" : "config"; }

bool write_all(int fd, wire::ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data, bytes.size);
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return false;
    }
    bytes = bytes.drop(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

FileStore::~FileStore() {
  if (lock_fd_ >= 0) {
    ::close(lock_fd_);
  }
  if (directory_fd_ >= 0) {
    ::close(directory_fd_);
  }
}

std::string FileStore::open(const std::string& directory) {
  const auto problem = [&](const char* what) {
    return "Cannot " + std::string{what} + " the store " + directory + ": " + std::strerror(errno) + ".";
  };
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return problem("make");
  }
  directory_fd_ = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd_ < 0) {
    return problem("open");
  }
  lock_fd_ = ::openat(directory_fd_, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock_fd_ < 0) {
    return problem("write to");
  }
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    return "Another muster-agent is using the store " + directory + ".";
  }
  directory_ = directory;
  return {};
}

std::string FileStore::path_of(std::string_view name) const { return directory_ + '/' + std::string{name}; }

StoreStatus FileStore::load(Slot slot, wire::ByteSpan room, std::size_t& size_bytes) {
  const int fd = ::openat(directory_fd_, name_of(slot).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    return errno == ENOENT ? StoreStatus::absent : StoreStatus::io_failed;
  }
  std::size_t size = 0;
  StoreStatus status = StoreStatus::ok;
  for (;;) {
    std::uint8_t one_more = 0;
    const bool full = size == room.size;
    const ssize_t got = full ? ::read(fd, &one_more, 1) : ::read(fd, room.data + size, room.size - size);
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      status = StoreStatus::io_failed;
      break;
    }
    if (got == 0) {
      break;
    }
    if (full) {
      status = StoreStatus::too_big;
      break;
    }
    size += static_cast<std::size_t>(got);
  }
  ::close(fd);
  if (status == StoreStatus::ok) {
    size_bytes = size;
  }
  return status;
}

StoreStatus FileStore::save(Slot slot, wire::ByteView record) { return save_file(name_of(slot), record); }

StoreStatus FileStore::save_file(std::string_view name, wire::ByteView content) {
  if (content.size > file_size_max_bytes) {
    return StoreStatus::too_big;
  }
  const std::string target{name};
  const std::string beside = target + ".new";
  // A file left over from a crash is of no use; removing it also makes sure that the new one has our mode.
  ::unlinkat(directory_fd_, beside.c_str(), 0);
  const int fd = ::openat(directory_fd_, beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    return StoreStatus::io_failed;
  }
  bool good = write_all(fd, content) && ::fsync(fd) == 0;
  good = ::close(fd) == 0 && good;
  // The rename must not reach the disk before the content, and the answer must not come before the rename.
  good = good && ::renameat(directory_fd_, beside.c_str(), directory_fd_, target.c_str()) == 0;
  if (!good) {
    ::unlinkat(directory_fd_, beside.c_str(), 0);
    return StoreStatus::io_failed;
  }
  return ::fsync(directory_fd_) == 0 ? StoreStatus::ok : StoreStatus::io_failed;
}

std::string FileStore::load_file(std::string_view name) const {
  constexpr std::size_t size_max_bytes = 64 * 1024;
  std::ifstream in{path_of(name), std::ios::binary};
  std::string content(size_max_bytes + 1, '\0');
  in.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(in.gcount()));
  return content.size() > size_max_bytes ? std::string{} : content;
}

StoreStatus FileStore::erase(Slot slot) {
  if (::unlinkat(directory_fd_, name_of(slot).c_str(), 0) != 0) {
    return errno == ENOENT ? StoreStatus::ok : StoreStatus::io_failed;
  }
  return ::fsync(directory_fd_) == 0 ? StoreStatus::ok : StoreStatus::io_failed;
}

}  // namespace muster::agent::linux_port
