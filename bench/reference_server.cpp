// SPDX-License-Identifier: Apache-2.0
//
// The least a server could do for the same bytes: one thread, one epoll, no allocation per event, no check of anything.
// It is the yardstick of docs/performance.md, so it must be as cheap as the kernel allows and nothing more: do not teach it
// features. Plain TCP and TLS speak the device protocol (docs/protocol/device-protocol.md sections 2 to 5):
// a login and an info frame are answered 200, a ping 200 with its id, every other frame is swallowed; an HTTP request is
// answered with a fixed reply. On stdout: {"event":"ready","plain":PORT,"tls":PORT}. Ends on SIGTERM.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

constexpr std::size_t connections_max = 20'000;
constexpr int events_max = 256;
constexpr std::size_t header_size_bytes = 5;
constexpr std::size_t input_size_bytes = 64 * 1024;
constexpr std::size_t output_size_bytes = 64 * 1024;

constexpr std::uint8_t command_response = 0;
constexpr std::uint8_t command_login = 2;
constexpr std::uint8_t command_ping = 6;
constexpr std::uint8_t command_internal = 17;
constexpr std::uint8_t command_hw_login = 29;

// Byte for byte what `muster serve` answers, so that both write the same bytes; see bench/README.md.
constexpr std::string_view http_reply =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 4\r\n"
    "\r\n"
    "true";

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

/// What is known of a connection between two reads: 16 bytes.
struct Connection {
  enum class Kind : std::uint8_t { closed, fresh, frames, http };
  std::uint32_t body_rest_bytes = 0;  ///< Of the frame that `header` began.
  Kind kind = Kind::closed;
  std::uint8_t header_size = 0;  ///< Bytes of `header` that have arrived; 5 while the body is on its way.
  std::uint8_t http_end_matched = 0;
  std::array<std::uint8_t, header_size_bytes> header{};
};

/// Replies of one read, sent with one write.
struct Output {
  std::array<char, output_size_bytes> bytes;
  std::size_t size = 0;

  bool respond_ok(const std::uint8_t* header) {
    if (size + header_size_bytes > bytes.size()) return false;
    const char reply[header_size_bytes] = {static_cast<char>(command_response), static_cast<char>(header[1]), static_cast<char>(header[2]),
                                           0, static_cast<char>(200)};
    std::memcpy(bytes.data() + size, reply, sizeof reply);
    size += sizeof reply;
    return true;
  }
  bool respond_http() {
    if (size + http_reply.size() > bytes.size()) return false;
    std::memcpy(bytes.data() + size, http_reply.data(), http_reply.size());
    size += http_reply.size();
    return true;
  }
};

bool finish_frame(const std::uint8_t* header, Output& output) {
  switch (header[0]) {
    case command_hw_login:
    case command_login:
    case command_ping:
    case command_internal: return output.respond_ok(header);
    default: return true;
  }
}

std::uint32_t body_size(const std::uint8_t* header) {
  return header[0] == command_response ? 0 : static_cast<std::uint32_t>(header[3] << 8 | header[4]);
}

bool read_frames(Connection& connection, const std::uint8_t* input, std::size_t size, Output& output) {
  std::size_t at = 0;
  if (connection.header_size != 0) {  // A frame that an earlier read left unfinished.
    while (connection.header_size < header_size_bytes && at < size) connection.header[connection.header_size++] = input[at++];
    if (connection.header_size < header_size_bytes) return true;
    if (connection.body_rest_bytes == 0) connection.body_rest_bytes = body_size(connection.header.data());
    const std::size_t taken = std::min<std::size_t>(connection.body_rest_bytes, size - at);
    at += taken;
    connection.body_rest_bytes -= static_cast<std::uint32_t>(taken);
    if (connection.body_rest_bytes != 0) return true;
    connection.header_size = 0;
    if (!finish_frame(connection.header.data(), output)) return false;
  }
  while (size - at >= header_size_bytes) {
    const std::uint8_t* header = input + at;
    const std::size_t body = body_size(header);
    if (size - at - header_size_bytes < body) break;
    if (!finish_frame(header, output)) return false;
    at += header_size_bytes + body;
  }
  while (at < size && connection.header_size < header_size_bytes) connection.header[connection.header_size++] = input[at++];
  if (connection.header_size == header_size_bytes) {
    connection.body_rest_bytes = body_size(connection.header.data()) - static_cast<std::uint32_t>(size - at);
  }
  return true;
}

bool read_http(Connection& connection, const std::uint8_t* input, std::size_t size, Output& output) {
  constexpr std::string_view end = "\r\n\r\n";
  for (std::size_t at = 0; at < size; ++at) {
    if (connection.http_end_matched == 0) {  // Only a CR can begin the end of a request.
      const void* found = std::memchr(input + at, '\r', size - at);
      if (found == nullptr) return true;
      at = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - input);
    }
    if (input[at] == static_cast<std::uint8_t>(end[connection.http_end_matched])) {
      if (++connection.http_end_matched < end.size()) continue;
      connection.http_end_matched = 0;
      if (!output.respond_http()) return false;
    } else {
      connection.http_end_matched = input[at] == '\r' ? 1 : 0;
    }
  }
  return true;
}

bool read_any(Connection& connection, const std::uint8_t* input, std::size_t size, Output& output) {
  if (connection.kind == Connection::Kind::fresh) {
    connection.kind = input[0] == 'G' ? Connection::Kind::http : Connection::Kind::frames;
  }
  return connection.kind == Connection::Kind::http ? read_http(connection, input, size, output)
                                                   : read_frames(connection, input, size, output);
}

SSL_CTX* make_tls() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (key == nullptr || certificate == nullptr || context == nullptr) fail("OpenSSL");
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86'400);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  if (X509_sign(certificate, key, EVP_sha256()) == 0) fail("X509_sign");
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // Tickets only: nothing is kept per client.
  SSL_CTX_set_num_tickets(context, 1);                          // As the server under test: a device keeps one.
  if (SSL_CTX_use_certificate(context, certificate) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1) fail("SSL_CTX");
  X509_free(certificate);
  EVP_PKEY_free(key);
  return context;
}

int listen_on_free_port(std::uint16_t& port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // Accepted sockets inherit it: one call less per connection.
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("bind");
  if (listen(fd, 4096) != 0) fail("listen");
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) fail("getsockname");
  port = ntohs(address.sin_port);
  return fd;
}

class ReferenceServer {
 public:
  ReferenceServer() : epoll_{epoll_create1(EPOLL_CLOEXEC)}, tls_context_{make_tls()} {
    if (epoll_ < 0) fail("epoll_create1");
    plain_listener_ = listen_on_free_port(plain_port_);
    tls_listener_ = listen_on_free_port(tls_port_);
    watch(plain_listener_);
    watch(tls_listener_);
  }

  [[noreturn]] void run() {
    std::printf("{\"event\":\"ready\",\"plain\":%u,\"tls\":%u}\n", unsigned{plain_port_}, unsigned{tls_port_});
    std::fflush(stdout);
    static std::array<epoll_event, events_max> events;
    while (true) {
      const int count = epoll_wait(epoll_, events.data(), events_max, -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == plain_listener_ || fd == tls_listener_) {
          accept_all(fd);
        } else if (tls_[static_cast<std::size_t>(fd)] != nullptr) {
          on_tls_readable(fd);
        } else {
          on_plain_readable(fd);
        }
      }
    }
  }

 private:
  void watch(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
  }

  void accept_all(int listener) {
    while (true) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      if (static_cast<std::size_t>(fd) >= connections_max) {
        close(fd);
        continue;
      }
      connections_[static_cast<std::size_t>(fd)] = Connection{.kind = Connection::Kind::fresh};
      if (listener == tls_listener_) {
        SSL* tls = SSL_new(tls_context_);
        if (tls == nullptr || SSL_set_fd(tls, fd) != 1) fail("SSL_new");
        SSL_set_accept_state(tls);
        tls_[static_cast<std::size_t>(fd)] = tls;
      }
      watch(fd);
    }
  }

  void on_plain_readable(int fd) {
    const ssize_t got = recv(fd, input_.data(), input_.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    output_.size = 0;
    if (got <= 0 || !read_any(connections_[static_cast<std::size_t>(fd)], input_.data(), static_cast<std::size_t>(got), output_) ||
        (output_.size != 0 && send(fd, output_.bytes.data(), output_.size, MSG_NOSIGNAL) != static_cast<ssize_t>(output_.size))) {
      close(fd);
    }
  }

  void on_tls_readable(int fd) {
    SSL* tls = tls_[static_cast<std::size_t>(fd)];
    bool alive = true;
    while (alive) {  // SSL_read also performs the handshake.
      const int got = SSL_read(tls, input_.data(), static_cast<int>(input_.size()));
      if (got <= 0) {
        alive = SSL_get_error(tls, got) == SSL_ERROR_WANT_READ;
        break;
      }
      output_.size = 0;
      alive = read_any(connections_[static_cast<std::size_t>(fd)], input_.data(), static_cast<std::size_t>(got), output_) &&
              (output_.size == 0 || SSL_write(tls, output_.bytes.data(), static_cast<int>(output_.size)) == static_cast<int>(output_.size));
      if (SSL_has_pending(tls) == 0) break;  // Level-triggered: the rest will be reported again.
    }
    if (alive) return;
    ERR_clear_error();
    tls_[static_cast<std::size_t>(fd)] = nullptr;
    SSL_free(tls);
    close(fd);
  }

  int epoll_;
  SSL_CTX* tls_context_;
  int plain_listener_ = -1;
  int tls_listener_ = -1;
  std::uint16_t plain_port_ = 0;
  std::uint16_t tls_port_ = 0;
  std::array<Connection, connections_max> connections_{};
  std::array<SSL*, connections_max> tls_{};
  std::array<std::uint8_t, input_size_bytes> input_;
  Output output_;
};

}  // namespace

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
  }
  static ReferenceServer server;
  server.run();
}
