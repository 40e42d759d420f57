// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "cloud/base/result.hpp"
#include "cloud/net/socket_address.hpp"

namespace muster::net {

/// Where lock files of this user's servers live: $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/muster, /run/muster (root) or
/// /tmp/muster-UID; the first that is named and can be used.
[[nodiscard]] std::filesystem::path default_runtime_directory();

/// A file that is locked as long as the object lives. The kernel lets go of it when the process dies, however it dies.
class LockFile {
 public:
  LockFile() noexcept = default;
  LockFile(LockFile&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  LockFile& operator=(LockFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~LockFile();
  /// Makes the file if need be and writes the process id into it.
  /// Errors: NetError::address_locked (`holder` is then the other process's id, if it can be read), NetError::lock_unusable.
  [[nodiscard]] static Result<LockFile> take(const std::filesystem::path& file, long& holder);

 private:
  int fd_ = -1;
};

/// Binds once without SO_REUSEPORT, and closes: fails when anybody listens there, also another muster, with which
/// SO_REUSEPORT would silently share the connections. Errors: NetError::address_in_use, errno.
[[nodiscard]] Result<void> probe(const SocketAddress& address);

/// A non-blocking listening socket that shares its port with the other loops' ones; accepted sockets inherit TCP_NODELAY.
/// `actual` is where it listens when port 0 was asked for. Errors: NetError::address_in_use, errno.
[[nodiscard]] Result<int> listen_on(const SocketAddress& address, SocketAddress& actual);

}  // namespace muster::net
