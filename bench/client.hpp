// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>
#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/target.hpp"

/// The load generator's side of the wire. It has a few lines of codec of its own on purpose: it must not share a mistake, or a
/// cost, with the code it measures. Facts: docs/protocol/device-protocol.md sections 2 to 7.
namespace muster::bench {

/// Ends the program with a sentence on stderr and status 1.
[[noreturn]] void give_up(const std::string& why);

struct TlsContextDeleter {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
struct TlsSessionDeleter {
  void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
};
struct TlsDeleter {
  void operator()(SSL* tls) const noexcept { SSL_free(tls); }
};
using TlsContext = std::unique_ptr<SSL_CTX, TlsContextDeleter>;
using TlsSession = std::unique_ptr<SSL_SESSION, TlsSessionDeleter>;

/// TLS 1.3 without verification: the client's cost is not measured, and the server's does not depend on it. Tickets that arrive
/// on a Client whose `ticket` place is set are put there.
TlsContext make_tls_context();

/// One connection to a server, non-blocking after it is connected.
class Client {
 public:
  Client() = default;
  /// Connects from one of 64 loopback addresses in turn, so that ports never run out. Waits at most 20 s.
  Client(const sockaddr_in& server, SSL_CTX* tls_context);
  Client(Client&& other) noexcept { swap(other); }
  Client& operator=(Client&& other) noexcept {
    Client old{std::move(other)};
    swap(old);
    return *this;
  }
  ~Client();

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool open() const noexcept { return fd_ >= 0; }
  /// Before the handshake: offers this session.
  void offer(SSL_SESSION* session);
  /// Where the newest ticket goes; must outlive the client.
  void keep_ticket_in(TlsSession* place);
  /// True when done (at once for plain TCP), false when it waits for the server.
  bool handshake();
  [[nodiscard]] bool resumed() const;
  /// Sends all of it; gives up when the socket does not take it.
  void send(std::string_view bytes);
  /// Sends what the socket takes now, possibly nothing. Plain TCP only.
  std::size_t send_some(std::string_view bytes);
  /// Bytes read; 0: nothing there now. Gives up when the server has closed.
  std::size_t receive(char* room, std::size_t size);
  /// As a device leaves: close_notify on TLS, then FIN.
  void close();
  /// RST: leaves nothing behind in the kernel.
  void reset();

 private:
  void swap(Client& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(tls_, other.tls_);
  }
  int fd_ = -1;
  std::unique_ptr<SSL, TlsDeleter> tls_;
};

/// epoll, level-triggered for reading. Gives up when 20 s pass without an event.
class Poller {
 public:
  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();
  /// `tag` comes back with each event. `events` is EPOLLIN, EPOLLOUT or both.
  void add(int fd, std::uint32_t tag, std::uint32_t events = EPOLLIN);
  void change(int fd, std::uint32_t tag, std::uint32_t events);
  /// Waits for the next events; they are valid until the next call.
  struct Events {
    const epoll_event* first;
    const epoll_event* last;
    [[nodiscard]] const epoll_event* begin() const noexcept { return first; }
    [[nodiscard]] const epoll_event* end() const noexcept { return last; }
  };
  Events wait();
  /// Perhaps none, when `time_ms` pass.
  Events wait_at_most(int time_ms);

 private:
  int fd_;
  std::array<epoll_event, 256> events_{};
};

void append_login(std::string& out, std::string_view token);
/// As a small board sends it, with a heartbeat of 600 s.
void append_info(std::string& out, std::uint16_t id);
void append_ping(std::string& out, std::uint16_t id);
void append_virtual_write(std::string& out, std::uint16_t id, unsigned pin, std::uint32_t value);

/// Picks the RESPONSE frames out of what a server sends; other frames are skipped.
class ReplyReader {
 public:
  /// Number of complete RESPONSEs in `bytes` and what was left before. Gives up on a status other than 200 or on id 0.
  std::size_t read(std::string_view bytes);
  [[nodiscard]] std::uint16_t last_id() const noexcept { return last_id_; }

 private:
  std::array<char, 5> header_{};
  std::uint8_t header_size_ = 0;
  std::uint16_t last_id_ = 0;
  std::uint32_t body_rest_bytes_ = 0;
};

/// A connection that has logged in and told its info.
struct Session {
  Client client;
  ReplyReader reader;
};

/// Opens `count` sessions, at most 64 at a time, with the next `count` tokens of the target.
std::vector<Session> open_sessions(Target& target, std::size_t count, SSL_CTX* tls_context);

}  // namespace muster::bench
