// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace muster::agent::linux_port {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/// Looks up one host name at a time without blocking: getaddrinfo runs on a thread of its own, which may outlive this
/// object when the look-up is given up. Address literals need no thread. Call from one thread.
class Resolver {
 public:
  static constexpr std::size_t addresses_max = 8;

  Resolver() = default;
  ~Resolver() { cancel(); }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// An address literal gives its address at once; empty for a name.
  [[nodiscard]] static std::vector<SocketAddress> parse_literal(const std::string& host, std::uint16_t port);

  /// Begins a look-up; false when no thread could be had.
  [[nodiscard]] bool start(const std::string& host, std::uint16_t port);
  /// Becomes readable when the look-up is done; -1 without one.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool done() const noexcept;
  /// The result of a look-up that is done; empty: the name has no address. Ends it.
  [[nodiscard]] std::vector<SocketAddress> take();
  void cancel() noexcept;

 private:
  struct Job;
  // Shared with the thread: either may be the last to leave.
  std::shared_ptr<Job> job_;
  int fd_ = -1;
};

}  // namespace muster::agent::linux_port
