// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/socket_transport.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

namespace muster::agent::linux_port {

namespace {

constexpr std::size_t read_size_bytes = 4096;
constexpr int reads_max_per_turn = 16;

CloseReason reason_of(int error) {
  switch (error) {
    case ECONNREFUSED: return CloseReason::refused;
    case ETIMEDOUT: return CloseReason::connect_timeout;
    default: return CloseReason::unreachable;
  }
}

std::string openssl_problem() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? std::string{} : std::string{reason};
}

bool is_address_literal(const std::string& host) {
  in6_addr room{};
  return inet_pton(AF_INET, host.c_str(), &room) == 1 || inet_pton(AF_INET6, host.c_str(), &room) == 1;
}

/// How a web server's answer begins.
bool is_web_answer(const std::uint8_t* bytes, std::size_t size) {
  constexpr std::string_view begin = "HTTP/";
  return size >= begin.size() && std::memcmp(bytes, begin.data(), begin.size()) == 0;
}

bool is_loopback(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    const auto* const in = reinterpret_cast<const sockaddr_in*>(&address.storage);
    return ntohl(in->sin_addr.s_addr) >> 24 == 127;
  }
  const auto* const in = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  return IN6_IS_ADDR_LOOPBACK(&in->sin6_addr);
}

void set_port(SocketAddress& address, std::uint16_t port) {
  // At the same place in both families.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port = htons(port);
}

}  // namespace

struct SocketTransport::Tls {
  SSL_CTX* context = nullptr;
  SSL* session = nullptr;

  Tls() {
    context = SSL_CTX_new(TLS_client_method());
    if (context == nullptr) {
      return;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  }
  ~Tls() {
    SSL_free(session);
    SSL_CTX_free(context);
  }
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  /// A session on this socket that accepts only `host`.
  [[nodiscard]] bool begin(int fd, const std::string& host) {
    SSL_free(session);
    session = context == nullptr ? nullptr : SSL_new(context);
    if (session == nullptr || SSL_set_fd(session, fd) != 1) {
      return false;
    }
    X509_VERIFY_PARAM* const parameters = SSL_get0_param(session);
    if (is_address_literal(host)) {
      return X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1;
    }
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size()) == 1 &&
           // SSL_set_tlsext_host_name, without the old-style cast of that macro.
           SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str())) == 1;
  }
};

SocketTransport::SocketTransport(Clock& clock, PortalPlace portal)
    : clock_{clock}, portal_{portal}, tls_{std::make_unique<Tls>()}, probe_{clock} {}

SocketTransport::~SocketTransport() { close(); }

std::string SocketTransport::trust_file(const std::string& path) {
  if (tls_->context == nullptr) {
    return "TLS is not available: " + openssl_problem() + ".";
  }
  ERR_clear_error();
  // A store of its own, so that nothing that was trusted before stays trusted.
  X509_STORE* const store = X509_STORE_new();
  if (store == nullptr || X509_STORE_load_locations(store, path.c_str(), nullptr) != 1) {
    X509_STORE_free(store);
    const std::string why = openssl_problem();
    return "Cannot read a CA certificate (PEM) from " + path + (why.empty() ? std::string{} : ": " + why) + ".";
  }
  SSL_CTX_set_cert_store(tls_->context, store);  // Takes the ownership.
  return {};
}

std::string SocketTransport::trust_system() {
  if (tls_->context == nullptr) {
    return "TLS is not available: " + openssl_problem() + ".";
  }
  X509_STORE* const store = X509_STORE_new();
  if (store == nullptr || X509_STORE_set_default_paths(store) != 1) {
    X509_STORE_free(store);
    return "Cannot read the system's CA certificates.";
  }
  SSL_CTX_set_cert_store(tls_->context, store);
  return {};
}

// ---- connecting
// -------------------------------------------------------------------------------------------------------

void SocketTransport::connect(const Endpoint& endpoint) {
  close();
  host_.assign(endpoint.host.data(), endpoint.host.size());
  use_tls_ = endpoint.tls;
  problem_.clear();
  next_address_ = 0;
  addresses_ = Resolver::parse_literal(host_, endpoint.port);
  if (!addresses_.empty()) {
    try_next_address();
  } else if (resolver_.start(host_, endpoint.port)) {
    phase_ = Phase::resolving;
    phase_deadline_ = clock_.now() + resolve_timeout_ms;
  } else {
    fail_later(CloseReason::host_unknown);
  }
}

void SocketTransport::try_next_address() {
  CloseReason last = CloseReason::host_unknown;
  while (next_address_ < addresses_.size()) {
    const SocketAddress& address = addresses_[next_address_++];
    if (fd_ >= 0) {
      ::close(fd_);
    }
    fd_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
      last = reason_of(errno);
      problem_ = std::strerror(errno);
      continue;
    }
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address.storage);
    if (::connect(fd_, generic, address.size) == 0 || errno == EINPROGRESS) {
      phase_ = Phase::connecting;
      phase_deadline_ = clock_.now() + (next_address_ < addresses_.size() ? address_timeout_ms : last_address_timeout_ms);
      return;
    }
    last = reason_of(errno);
    problem_ = std::strerror(errno);
  }
  fail_unheard(last);
}

void SocketTransport::on_tcp_ready() {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
    error = errno;
  }
  if (error != 0) {
    problem_ = std::strerror(error);
    if (next_address_ < addresses_.size()) {
      try_next_address();
    } else {
      fail_unheard(reason_of(error));
    }
    return;
  }
  phase_deadline_ = never;
  problem_.clear();
  if (!use_tls_) {
    phase_ = Phase::open;
    connected_untold_ = true;
    return;
  }
  ERR_clear_error();
  if (!tls_->begin(fd_, host_)) {
    problem_ = openssl_problem();
    fail_later(CloseReason::tls_failed);
    return;
  }
  phase_ = Phase::handshaking;
  phase_deadline_ = clock_.now() + handshake_timeout_ms;
  handshake();
}

void SocketTransport::handshake() {
  ERR_clear_error();
  const int result = SSL_connect(tls_->session);
  if (result == 1) {
    phase_ = Phase::open;
    phase_deadline_ = never;
    connected_untold_ = true;
    wants_write_ = false;
    return;
  }
  const int error = SSL_get_error(tls_->session, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    wants_write_ = error == SSL_ERROR_WANT_WRITE;
    return;
  }
  const long verified = SSL_get_verify_result(tls_->session);
  if (verified != X509_V_OK) {
    problem_ = X509_verify_cert_error_string(verified);
    fail_unheard(CloseReason::tls_untrusted);
  } else {
    problem_ = openssl_problem();
    fail_unheard(CloseReason::tls_failed);
  }
}

void SocketTransport::fail_later(CloseReason reason) {
  const std::string problem = problem_;
  release();
  problem_ = problem;
  phase_ = Phase::failed;  // Told in on_timer, which is due at once.
  failure_ = reason;
}

/// The cloud was not heard: something else may answer in its place.
void SocketTransport::fail_unheard(CloseReason reason) {
  fail_later(reason);
  if (begin_probe()) phase_ = Phase::probing;
}

bool SocketTransport::begin_probe() {
  if (portal_.port == 0 || addresses_.empty()) {
    return false;
  }
  // What portals redirect is IPv4; without such an address the one that was tried last.
  const auto ipv4 =
      std::find_if(addresses_.begin(), addresses_.end(), [](const SocketAddress& a) { return a.storage.ss_family == AF_INET; });
  SocketAddress address = ipv4 != addresses_.end() ? *ipv4 : addresses_[next_address_ > 0 ? next_address_ - 1 : 0];
  if (is_loopback(address) && !portal_.on_loopback) {
    return false;
  }
  set_port(address, portal_.port);
  return probe_.start(address, host_);
}

void SocketTransport::probe() {
  const PortalVerdict verdict = probe_.serve();
  if (verdict == PortalVerdict::unknown) {
    return;
  }
  if (verdict == PortalVerdict::portal) {
    failure_ = CloseReason::captive_portal;
    problem_ = "a web page answers in the cloud's place" + (problem_.empty() ? std::string{} : "; " + problem_);
  }
  phase_ = Phase::failed;
}

void SocketTransport::release() noexcept {
  if (tls_->session != nullptr) {
    SSL_free(tls_->session);
    tls_->session = nullptr;
  }
  if (fd_ >= 0) {
    ::close(fd_);
    fd_ = -1;
  }
  resolver_.cancel();
  probe_.cancel();
  queue_.clear();
  phase_deadline_ = never;
  connected_untold_ = false;
  wants_write_ = false;
  heard_ = false;
  read_again_ = false;
  phase_ = Phase::idle;
}

void SocketTransport::close() {
  if (phase_ == Phase::open && use_tls_) {
    ERR_clear_error();
    SSL_shutdown(tls_->session);  // Tells the peer, if there is room for it; an answer is not waited for.
  }
  ++connection_;
  release();
}

// ---- the loop's side
// --------------------------------------------------------------------------------------------------

int SocketTransport::fd() const noexcept {
  switch (phase_) {
    case Phase::resolving: return resolver_.fd();
    case Phase::probing: return probe_.fd();
    default: return fd_;
  }
}

short SocketTransport::events() const noexcept {
  switch (phase_) {
    case Phase::resolving: return POLLIN;
    case Phase::connecting: return POLLOUT;
    case Phase::handshaking: return wants_write_ ? POLLOUT : POLLIN;
    case Phase::open: return static_cast<short>(POLLIN | (queue_.empty() ? 0 : POLLOUT));
    case Phase::probing: return probe_.events();
    case Phase::idle:
    case Phase::failed: break;
  }
  return 0;
}

Millis SocketTransport::next_deadline() const noexcept {
  if (phase_ == Phase::failed || connected_untold_ || read_again_) {
    return 0;
  }
  return phase_ == Phase::probing ? probe_.next_deadline() : phase_deadline_;
}

void SocketTransport::on_timer(TransportListener& listener) {
  if (phase_ == Phase::failed) {
    phase_ = Phase::idle;
    ++connection_;
    listener.on_closed(failure_, clock_.now());
    return;
  }
  if (phase_ == Phase::probing) {
    if (clock_.now() >= probe_.next_deadline()) {
      probe();
    }
    return;
  }
  if (clock_.now() >= phase_deadline_) {
    time_over();
    return;
  }
  const unsigned connection = connection_;
  announce(listener);
  if (connection == connection_ && read_again_) {
    read(listener);
  }
}

void SocketTransport::time_over() {
  problem_ = "no answer";
  if (phase_ == Phase::resolving) {
    fail_later(CloseReason::host_unknown);
  } else if (phase_ == Phase::connecting && next_address_ < addresses_.size()) {
    try_next_address();
  } else {
    fail_unheard(CloseReason::connect_timeout);
  }
}

void SocketTransport::on_ready(short revents, TransportListener& listener) {
  if (revents == 0) {
    return;
  }
  switch (phase_) {
    case Phase::resolving:
      if (resolver_.done()) {
        addresses_ = resolver_.take();
        try_next_address();
      }
      return;
    case Phase::probing: probe(); return;
    case Phase::connecting: on_tcp_ready(); break;
    case Phase::handshaking: handshake(); break;
    case Phase::open:
      if ((revents & POLLOUT) != 0) {
        flush();
      }
      if ((revents & (POLLIN | POLLHUP | POLLERR)) != 0 && phase_ == Phase::open) {
        read(listener);
      }
      return;
    case Phase::idle:
    case Phase::failed: return;
  }
  announce(listener);
}

void SocketTransport::announce(TransportListener& listener) {
  if (!connected_untold_) {
    return;
  }
  connected_untold_ = false;
  // The handshake may have brought the first application bytes along, of which poll(2) knows nothing.
  read_again_ = use_tls_;
  listener.on_connected(clock_.now());
}

void SocketTransport::read(TransportListener& listener) {
  std::uint8_t room[read_size_bytes];
  const unsigned connection = connection_;
  read_again_ = false;
  for (int i = 0; i < reads_max_per_turn; ++i) {
    ssize_t got = 0;
    CloseReason end = CloseReason::peer_closed;
    if (use_tls_) {
      ERR_clear_error();
      errno = 0;
      const int result = SSL_read(tls_->session, room, sizeof room);
      got = result;
      if (result <= 0) {
        const int error = SSL_get_error(tls_->session, result);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
          return;
        }
        if (error != SSL_ERROR_ZERO_RETURN && errno != 0) {
          end = CloseReason::network_lost;
        }
        got = 0;
      }
    } else {
      got = ::recv(fd_, room, sizeof room, 0);
      if (got < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
          return;
        }
        if (errno == EINTR) {
          continue;
        }
        end = CloseReason::network_lost;
        problem_ = std::strerror(errno);
        got = 0;
      }
    }
    if (got == 0) {
      ++connection_;
      release();
      listener.on_closed(end, clock_.now());
      return;
    }
    if (!std::exchange(heard_, true) && !use_tls_ && is_web_answer(room, static_cast<std::size_t>(got))) {
      problem_ = "a web server answers";
      fail_unheard(CloseReason::protocol_error);
      return;
    }
    listener.on_bytes({room, static_cast<std::size_t>(got)}, clock_.now());
    if (connection != connection_ || phase_ != Phase::open) {
      return;
    }
  }
  read_again_ = true;  // Enough for one turn: others want theirs.
}

// ---- sending
// ----------------------------------------------------------------------------------------------------------

bool SocketTransport::write_some(wire::ByteView bytes, std::size_t& written) {
  written = 0;
  if (use_tls_) {
    ERR_clear_error();
    const int result = SSL_write(tls_->session, bytes.data, static_cast<int>(bytes.size));
    if (result > 0) {
      written = static_cast<std::size_t>(result);
      return true;
    }
    const int error = SSL_get_error(tls_->session, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  }
  const ssize_t result = ::send(fd_, bytes.data, bytes.size, MSG_NOSIGNAL);
  if (result >= 0) {
    written = static_cast<std::size_t>(result);
    return true;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
    return true;
  }
  problem_ = std::strerror(errno);
  return false;
}

bool SocketTransport::send(wire::ByteView frame) {
  if (phase_ != Phase::open) {
    return phase_ == Phase::failed || phase_ == Phase::probing;  // The loss is told soon; the frame is as lost as those before it.
  }
  if (frame.size > queue_size_max_bytes - queue_.size()) {
    return false;
  }
  if (queue_.empty()) {
    std::size_t written = 0;
    if (!write_some(frame, written)) {
      fail_later(CloseReason::network_lost);
      return true;
    }
    frame = frame.drop(written);
  }
  queue_.insert(queue_.end(), frame.begin(), frame.end());
  return true;
}

void SocketTransport::flush() {
  while (!queue_.empty()) {
    std::size_t written = 0;
    if (!write_some({queue_.data(), queue_.size()}, written)) {
      fail_later(CloseReason::network_lost);
      return;
    }
    if (written == 0) {
      return;
    }
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(written));
  }
}

}  // namespace muster::agent::linux_port
