// SPDX-License-Identifier: Apache-2.0
#include "bench/client.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace muster::bench {
namespace {

constexpr int patience_s = 20;
constexpr std::uint32_t source_addresses = 64;
constexpr std::uint8_t command_response = 0;
constexpr std::uint8_t command_ping = 6;
constexpr std::uint8_t command_internal = 17;
constexpr std::uint8_t command_hardware = 20;
constexpr std::uint8_t command_hw_login = 29;

std::string errno_text(const char* what) { return std::string{what} + ": " + std::strerror(errno); }

void append_frame(std::string& out, std::uint8_t command, std::uint16_t id, std::string_view body) {
  const char header[] = {static_cast<char>(command), static_cast<char>(id >> 8), static_cast<char>(id & 0xFF),
                         static_cast<char>(body.size() >> 8), static_cast<char>(body.size() & 0xFF)};
  out.append(header, sizeof header);
  out.append(body);
}

/// OpenSSL calls this for each ticket; the client says where to put it.
int on_new_ticket(SSL* tls, SSL_SESSION* session) {
  auto* place = static_cast<TlsSession*>(SSL_get_app_data(tls));
  if (place == nullptr) return 0;
  place->reset(session);
  return 1;
}

}  // namespace

void give_up(const std::string& why) {
  std::fprintf(stderr, "load_generator: %s\n", why.c_str());
  std::fflush(nullptr);
  std::_Exit(1);
}

TlsContext make_tls_context() {
  TlsContext context{SSL_CTX_new(TLS_client_method())};
  if (!context) give_up("OpenSSL: no context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), on_new_ticket);
  return context;
}

Client::Client(const sockaddr_in& server, SSL_CTX* tls_context) {
  static std::uint32_t next_source = 0;
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) give_up(errno_text("socket"));
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const timeval patience{patience_s, 0};
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + next_source++ % source_addresses);
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0) give_up(errno_text("bind"));
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0) give_up(errno_text("connect"));
  fcntl(fd_, F_SETFL, O_NONBLOCK);
  if (tls_context != nullptr) {
    tls_.reset(SSL_new(tls_context));
    if (!tls_ || SSL_set_fd(tls_.get(), fd_) != 1) give_up("OpenSSL: no connection");
    char host[] = "localhost";  // The macro SSL_set_tlsext_host_name casts the old way.
    SSL_ctrl(tls_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host);
    SSL_set_connect_state(tls_.get());
  }
}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

void Client::offer(SSL_SESSION* session) {
  if (session != nullptr) SSL_set_session(tls_.get(), session);
}

void Client::keep_ticket_in(TlsSession* place) { SSL_set_app_data(tls_.get(), place); }

bool Client::handshake() {
  if (!tls_) return true;
  const int done = SSL_do_handshake(tls_.get());
  if (done == 1) return true;
  if (SSL_get_error(tls_.get(), done) == SSL_ERROR_WANT_READ) return false;
  give_up(std::string{"TLS handshake failed: "} + ERR_error_string(ERR_get_error(), nullptr));
}

bool Client::resumed() const { return SSL_session_reused(tls_.get()) == 1; }

void Client::send(std::string_view bytes) {
  if (tls_) {
    if (SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) != static_cast<int>(bytes.size())) {
      give_up("TLS write failed");
    }
    return;
  }
  const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(bytes.size())) give_up(errno_text("send"));
}

std::size_t Client::send_some(std::string_view bytes) {
  const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) give_up(errno_text("send"));
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

std::size_t Client::receive(char* room, std::size_t size) {
  if (tls_) {
    const int got = SSL_read(tls_.get(), room, static_cast<int>(size));
    if (got > 0) return static_cast<std::size_t>(got);
    if (SSL_get_error(tls_.get(), got) == SSL_ERROR_WANT_READ) return 0;
    give_up("the server closed a TLS connection");
  }
  const ssize_t got = recv(fd_, room, size, 0);
  if (got > 0) return static_cast<std::size_t>(got);
  if (got < 0 && errno == EAGAIN) return 0;
  give_up(got == 0 ? "the server closed a connection" : errno_text("recv"));
}

void Client::close() {
  if (tls_) {
    SSL_shutdown(tls_.get());
    ERR_clear_error();
    tls_.reset();
  }
  ::close(fd_);
  fd_ = -1;
}

void Client::reset() {
  const linger now{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  tls_.reset();
  ::close(fd_);
  fd_ = -1;
}

Poller::Poller() : fd_{epoll_create1(EPOLL_CLOEXEC)} {
  if (fd_ < 0) give_up(errno_text("epoll_create1"));
}

Poller::~Poller() { ::close(fd_); }

void Poller::add(int fd, std::uint32_t tag, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = tag;
  if (epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) != 0) give_up(errno_text("epoll_ctl"));
}

void Poller::change(int fd, std::uint32_t tag, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = tag;
  if (epoll_ctl(fd_, EPOLL_CTL_MOD, fd, &event) != 0) give_up(errno_text("epoll_ctl"));
}

Poller::Events Poller::wait() {
  const Events events = wait_at_most(patience_s * 1000);
  if (events.begin() == events.end()) give_up("nothing came from the server for 20 s");
  return events;
}

Poller::Events Poller::wait_at_most(int time_ms) {
  int count = -1;
  while ((count = epoll_wait(fd_, events_.data(), static_cast<int>(events_.size()), time_ms)) < 0) {
    if (errno != EINTR) give_up(errno_text("epoll_wait"));
  }
  return {events_.data(), events_.data() + count};
}

void append_login(std::string& out, std::string_view token) { append_frame(out, command_hw_login, 1, token); }

void append_info(std::string& out, std::uint16_t id) {
  using namespace std::string_view_literals;
  append_frame(out, command_internal, id,
               "mcu\0"
               "1.0.0\0"
               "build\0"
               "Jan  1 2024 00:00:00\0"
               "blynk\0"
               "1.4.0\0"
               "h-beat\0"
               "600\0"
               "buff-in\0"
               "1024\0"
               "dev\0"
               "bench"sv);
}

void append_ping(std::string& out, std::uint16_t id) { append_frame(out, command_ping, id, {}); }

void append_virtual_write(std::string& out, std::uint16_t id, unsigned pin, std::uint32_t value) {
  char body[32];
  const int size = std::snprintf(body, sizeof body, "vw%c%u%c%u", 0, pin, 0, value);
  append_frame(out, command_hardware, id, std::string_view{body, static_cast<std::size_t>(size)});
}

std::size_t ReplyReader::read(std::string_view bytes) {
  std::size_t replies = 0;
  while (!bytes.empty()) {
    if (body_rest_bytes_ != 0) {
      const std::size_t taken = std::min<std::size_t>(body_rest_bytes_, bytes.size());
      body_rest_bytes_ -= static_cast<std::uint32_t>(taken);
      bytes.remove_prefix(taken);
      continue;
    }
    const std::size_t taken = std::min(header_.size() - header_size_, bytes.size());
    std::memcpy(header_.data() + header_size_, bytes.data(), taken);
    header_size_ = static_cast<std::uint8_t>(header_size_ + taken);
    bytes.remove_prefix(taken);
    if (header_size_ < header_.size()) return replies;
    header_size_ = 0;
    const auto byte = [this](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(header_[i])); };
    const unsigned length = byte(3) << 8 | byte(4);
    if (byte(0) != command_response) {
      body_rest_bytes_ = length;
      continue;
    }
    last_id_ = static_cast<std::uint16_t>(byte(1) << 8 | byte(2));
    if (length != 200 || last_id_ == 0) {
      give_up("the server answered id " + std::to_string(last_id_) + " with status " + std::to_string(length));
    }
    ++replies;
  }
  return replies;
}

std::vector<Session> open_sessions(Target& target, std::size_t count, SSL_CTX* tls_context) {
  constexpr std::size_t concurrent_max = 64;
  std::vector<Session> sessions(count);
  std::vector<std::uint8_t> hello_sent(count, 0);
  std::vector<std::uint8_t> replies(count, 0);
  Poller poller;
  std::size_t opened = 0;
  std::size_t ready = 0;
  std::string hello;
  const auto proceed = [&](std::size_t i) {
    Session& session = sessions[i];
    if (hello_sent[i] == 0 && session.client.handshake()) {
      hello.clear();
      append_login(hello, target.tokens.next());
      session.client.send(hello);
      hello_sent[i] = 1;
    }
  };
  while (ready < count) {
    for (; opened < count && opened - ready < concurrent_max; ++opened) {
      sessions[opened].client = Client{target.address, tls_context};
      proceed(opened);
      poller.add(sessions[opened].client.fd(), static_cast<std::uint32_t>(opened));
    }
    for (const epoll_event& event : poller.wait()) {
      const std::size_t i = event.data.u32;
      Session& session = sessions[i];
      proceed(i);
      if (hello_sent[i] == 0) continue;
      char bytes[256];
      while (const std::size_t got = session.client.receive(bytes, sizeof bytes)) {
        const std::size_t before = replies[i];
        replies[i] = static_cast<std::uint8_t>(before + session.reader.read({bytes, got}));
        if (before == 0 && replies[i] != 0) {
          hello.clear();
          append_info(hello, 2);
          session.client.send(hello);
        }
        if (before < 2 && replies[i] >= 2) ++ready;
      }
    }
  }
  return sessions;
}

}  // namespace muster::bench
