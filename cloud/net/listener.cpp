// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <system_error>

#include "cloud/net/error.hpp"

namespace muster::net {
namespace {

constexpr int backlog = 4'096;

Error system_error(int number) { return {number, boost::system::generic_category()}; }

/// A directory that others can write to would let them hold our locks, or point our files elsewhere.
bool usable(const std::filesystem::path& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return false;
  struct stat facts{};
  return ::lstat(directory.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_uid == ::geteuid() &&
         (facts.st_mode & S_IWOTH) == 0 && ::access(directory.c_str(), W_OK) == 0;
}

class Socket {
 public:
  explicit Socket(int family) noexcept : fd_{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)} {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  bool set(int level, int option) noexcept {
    const int on = 1;
    return ::setsockopt(fd_, level, option, &on, sizeof on) == 0;
  }

 private:
  int fd_;
};

Result<void> prepare_and_bind(Socket& socket, const SocketAddress& address, bool share) {
  if (socket.fd() < 0) return system_error(errno);
  // [::] means IPv6 only: who wants both lists both, and neither takes the other's port by surprise.
  if (!address.ip.is_v4() && !socket.set(IPPROTO_IPV6, IPV6_V6ONLY)) return system_error(errno);
  if (!socket.set(SOL_SOCKET, SO_REUSEADDR)) return system_error(errno);
  if (share && !socket.set(SOL_SOCKET, SO_REUSEPORT)) return system_error(errno);
  sockaddr_storage native;
  const socklen_t length = address.native(native);
  if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&native), length) != 0) {
    if (errno == EADDRINUSE) return NetError::address_in_use;
    return system_error(errno);
  }
  return {};
}

}  // namespace

std::filesystem::path default_runtime_directory() {
  if (const char* given = std::getenv("RUNTIME_DIRECTORY"); given != nullptr && *given != '\0') {
    const std::string_view list{given};  // systemd separates several by colons.
    return std::filesystem::path{list.substr(0, list.find(':'))};
  }
  if (const char* given = std::getenv("XDG_RUNTIME_DIR"); given != nullptr && *given == '/') {
    const auto directory = std::filesystem::path{given} / "muster";
    if (usable(directory)) return directory;
  }
  if (::geteuid() == 0 && usable("/run/muster")) return "/run/muster";
  return "/tmp/muster-" + std::to_string(::geteuid());
}

LockFile::~LockFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<LockFile> LockFile::take(const std::filesystem::path& file, long& holder) {
  holder = 0;
  if (!usable(file.parent_path())) return NetError::lock_unusable;
  LockFile lock;
  lock.fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock.fd_ < 0) return NetError::lock_unusable;
  std::array<char, 24> text{};
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return NetError::lock_unusable;
    const ssize_t size = ::pread(lock.fd_, text.data(), text.size(), 0);
    if (size > 0) std::from_chars(text.data(), text.data() + size, holder);
    return NetError::address_locked;
  }
  const auto end = std::to_chars(text.data(), text.data() + text.size() - 1, static_cast<long>(::getpid())).ptr;
  *end = '\n';
  // What is written is a hint for people: the lock itself is flock's.
  if (::ftruncate(lock.fd_, 0) == 0) (void)!::pwrite(lock.fd_, text.data(), static_cast<std::size_t>(end - text.data()) + 1, 0);
  return lock;
}

Result<void> probe(const SocketAddress& address) {
  if (address.port == 0) return {};
  Socket socket{address.ip.is_v4() ? AF_INET : AF_INET6};
  MUSTER_TRY_VOID(prepare_and_bind(socket, address, false));
  // Two sockets may be bound by SO_REUSEADDR as long as none listens; listening settles it.
  if (::listen(socket.fd(), 1) != 0) return errno == EADDRINUSE ? Error{NetError::address_in_use} : system_error(errno);
  return {};
}

Result<int> listen_on(const SocketAddress& address, SocketAddress& actual) {
  Socket socket{address.ip.is_v4() ? AF_INET : AF_INET6};
  MUSTER_TRY_VOID(prepare_and_bind(socket, address, true));
  if (!socket.set(IPPROTO_TCP, TCP_NODELAY)) return system_error(errno);
  if (::listen(socket.fd(), backlog) != 0) return errno == EADDRINUSE ? Error{NetError::address_in_use} : system_error(errno);
  sockaddr_storage native{};
  socklen_t length = sizeof native;
  if (::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&native), &length) != 0) return system_error(errno);
  actual = SocketAddress::from(native);
  return socket.release();
}

}  // namespace muster::net
