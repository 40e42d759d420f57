// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "cloud/net/handlers.hpp"
#include "cloud/net/socket_address.hpp"

/// Fakes and clients for the tests of this folder.
namespace muster::net::test {

using namespace std::chrono_literals;

inline constexpr std::chrono::milliseconds patience{10'000};  ///< Until a test gives up waiting for what must come.

/// Waits for another thread's doing; true when it came.
inline bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

inline std::string frame(std::uint8_t command, std::uint16_t id, std::string_view body) {
  std::string bytes{static_cast<char>(command), static_cast<char>(id >> 8), static_cast<char>(id), static_cast<char>(body.size() >> 8),
                    static_cast<char>(body.size())};
  return bytes.append(body);
}
inline std::string status_frame(std::uint16_t id, std::uint16_t status) {
  return {0, static_cast<char>(id >> 8), static_cast<char>(id), static_cast<char>(status >> 8), static_cast<char>(status)};
}
inline std::string login_frame(std::string_view token = "0123456789abcdef0123456789abcdef") { return frame(29, 1, token); }

/// Understands just enough of the protocol: a login (29, 2) is answered by its token, a ping by 200, `64 N` asks for N bytes in
/// frames of 1 KiB, everything else is swallowed.
class FakeDevices final : public DeviceHandler {
 public:
  std::chrono::milliseconds login_deadline{10'000}, hold{4'000}, heartbeat{0};
  std::atomic<Instant> opened_at{};
  const protocol::SessionRouter* router = nullptr;  ///< Asked for its own address at a login, when set.
  std::atomic<int> opened{0}, closed{0}, logins{0}, deadlines{0}, frames{0}, shutdowns{0};

  protocol::Step on_open(protocol::DeviceSession&, const protocol::Peer& peer, Instant now) override {
    ++opened;
    opened_at = now;
    const std::lock_guard lock{mutex_};
    last_peer_ = peer;
    return {.deadline = now + login_deadline};
  }
  protocol::Step on_bytes(protocol::DeviceSession&, const domain::SessionAddress& self, const protocol::Peer&, wire::ByteView input,
                          protocol::Output& out, Instant now) override {
    protocol::Step step;
    step.deadline = heartbeat == 0ms ? now + login_deadline : now + heartbeat;
    while (input.size - step.consumed_bytes >= 5) {
      const std::uint8_t* at = input.data + step.consumed_bytes;
      const std::size_t size = at[0] == 0 ? 0u : static_cast<std::size_t>(at[3] << 8 | at[4]);
      if (input.size - step.consumed_bytes < size + 5) break;
      const std::uint16_t id = static_cast<std::uint16_t>(at[1] << 8 | at[2]);
      const std::string body{reinterpret_cast<const char*>(at + 5), size};
      step.consumed_bytes += size + 5;
      ++frames;
      if (at[0] == 29 || at[0] == 2) {
        if (body == "hold") {
          step.paused = true;
          step.deadline = now + hold;
          remember(self);
          return step;
        }
        append(out, status_frame(id, body == "invalid" ? 9 : 200));
        if (body == "invalid") {
          step.close = protocol::CloseReason::invalid_token;
          return step;
        }
        ++logins;
        if (router != nullptr) set_local_address(router->local_address(self));
        remember(self);
      } else if (at[0] == 6) {
        append(out, status_frame(id, 200));
      } else if (at[0] == 64) {
        for (long left = std::strtol(body.c_str(), nullptr, 10); left > 0; left -= 1'024)
          append(out, frame(20, 7, std::string(1'019, 'x')));
      }
    }
    return step;
  }
  protocol::Step on_event(protocol::DeviceSession&, const domain::SessionAddress& self, const protocol::Peer&,
                          protocol::SessionEvent&& event, protocol::Output& out, Instant now) override {
    protocol::Step step{.deadline = now + login_deadline};
    if (const auto* push = std::get_if<protocol::PushValue>(&event))
      append(out, frame(20, 7, "vw" + std::string(1, '\0') + std::to_string(push->pin) + std::string(1, '\0') + push->value));
    if (std::holds_alternative<protocol::TokenResolved>(event)) append(out, status_frame(1, 200));
    if (const auto* close = std::get_if<protocol::CloseSession>(&event)) {
      step.close = close->reason;
      if (close->reason == protocol::CloseReason::shutdown) ++shutdowns;
    }
    (void)self;
    return step;
  }
  protocol::Step on_deadline(protocol::DeviceSession&, const domain::SessionAddress&, const protocol::Peer&, protocol::Output&,
                             Instant) override {
    ++deadlines;
    return {.close = protocol::CloseReason::heartbeat_lost};
  }
  void on_closed(protocol::DeviceSession&, const domain::SessionAddress&, Instant) override { ++closed; }

  [[nodiscard]] std::optional<IpAddress> local_address() const {
    const std::lock_guard lock{mutex_};
    return local_address_;
  }
  [[nodiscard]] std::vector<domain::SessionAddress> addresses() const {
    const std::lock_guard lock{mutex_};
    return addresses_;
  }
  [[nodiscard]] protocol::Peer last_peer() const {
    const std::lock_guard lock{mutex_};
    return last_peer_;
  }

 private:
  static void append(protocol::Output& out, const std::string& bytes) { out.append(wire::ByteView{bytes}); }
  void remember(const domain::SessionAddress& self) {
    const std::lock_guard lock{mutex_};
    addresses_.push_back(self);
  }
  void set_local_address(std::optional<IpAddress> address) {
    const std::lock_guard lock{mutex_};
    local_address_ = address;
  }
  mutable std::mutex mutex_;
  std::vector<domain::SessionAddress> addresses_;
  protocol::Peer last_peer_;
  std::optional<IpAddress> local_address_;
};

/// Echoes each message at the next poll.
class FakeStream final : public api::StreamSession {
 public:
  void on_message(std::string_view text) override {
    const std::lock_guard lock{mutex_};
    texts_.push_back("echo " + std::string{text});
    if (text == "flood") texts_.assign(64, std::string(100'000, 'f'));
    if (text == "end") end_ = true;
  }
  bool poll(Instant, std::vector<std::string>& out) override {
    const std::lock_guard lock{mutex_};
    out.insert(out.end(), texts_.begin(), texts_.end());
    texts_.clear();
    return !end_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> texts_{"hello"};
  bool end_ = false;
};

class FakeHttp final : public HttpHandler {
 public:
  bool answer_from_memory(const api::Request& request, api::Response& response) override {
    if (request.path == "/external/api/isHardwareConnected") {
      response.content_type = "application/json";
      response.body = "true";
      return true;
    }
    if (request.path == "/memory") {
      response.content_type = "text/plain";
      response.body = std::string{request.target} + "|" + std::string{request.body} + "|" + (request.secure ? "secure" : "plain") + "|" +
                      std::string{request.local_address} + "|" + request.peer.text();
      return true;
    }
    if (request.path == "/big") {
      response.body.assign(static_cast<std::size_t>(std::stoul(std::string{request.query})), 'b');
      return true;
    }
    if (request.path == "/throw") throw std::runtime_error{"as asked"};
    return false;
  }
  Lane lane(const api::Request&) const noexcept override { return Lane::api; }
  std::size_t body_max_bytes(const api::Request& header) const noexcept override {
    return header.path == "/public" ? std::size_t{1'000} : std::size_t{100u << 20};
  }
  api::Response handle(const api::Request& request) override {
    api::Response response;
    response.content_type = "text/plain";
    if (request.path == "/wait") {
      std::unique_lock lock{mutex_};
      ++waiting_;
      changed_.wait_for(lock, patience, [this] { return released_; });
      response.body = "waited";
    } else if (request.path == "/worker-throw") {
      throw std::runtime_error{"as asked"};
    } else {
      response.body = "worker:" + std::string{request.path} + ":" + std::string{request.body};
      for (const api::Header& header : request.headers) {
        if (header.name == "X-Echo") response.headers.emplace_back("X-Echo", header.value);
      }
    }
    return response;
  }
  api::Response unavailable(const api::Request&) const override {
    api::Response response;
    response.status = 503;
    response.body = "unavailable";
    return response;
  }
  std::unique_ptr<api::StreamSession> open_stream(const api::Request& request, api::Response& refusal) override {
    if (request.query == "refuse") {
      refusal.status = 403;
      return nullptr;
    }
    return std::make_unique<FakeStream>();
  }
  void release() {
    const std::lock_guard lock{mutex_};
    released_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] int waiting() {
    const std::lock_guard lock{mutex_};
    return waiting_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool released_ = false;
  int waiting_ = 0;
};

/// A blocking TCP client that never waits longer than `patience`.
class Client {
 public:
  Client() = default;
  explicit Client(const SocketAddress& server, int receive_buffer_bytes = 0, const char* from = nullptr) {
    connect(server, receive_buffer_bytes, from);
  }
  Client(Client&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  Client& operator=(Client&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Client() { close(); }

  /// `from`: the address to come from, such as 127.0.0.2.
  bool connect(const SocketAddress& server, int receive_buffer_bytes = 0, const char* from = nullptr) {
    SocketAddress to = server;
    if (to.is_any()) to.ip = to.ip.is_v4() ? *IpAddress::parse("127.0.0.1") : *IpAddress::parse("::1");
    sockaddr_storage native;
    const socklen_t length = to.native(native);
    fd_ = ::socket(native.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer_bytes != 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    const timeval limit{std::chrono::duration_cast<std::chrono::seconds>(patience).count(), 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (from != nullptr) {
      sockaddr_storage own;
      SocketAddress source;
      source.ip = *IpAddress::parse(from);
      const socklen_t own_length = source.native(own);
      if (::bind(fd_, reinterpret_cast<const sockaddr*>(&own), own_length) != 0) return false;
    }
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&native), length) == 0) return true;
    close();
    return false;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  [[nodiscard]] int fd() const { return fd_; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  bool send_slowly(std::string_view bytes) {
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    for (const char byte : bytes) {
      if (!send({&byte, 1})) return false;
      std::this_thread::sleep_for(200us);
    }
    return true;
  }
  /// Exactly `size` bytes, or what came before the end.
  std::string read(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t got = 0;
    while (got < size) {
      const ssize_t now = ::recv(fd_, bytes.data() + got, size - got, 0);
      if (now <= 0) break;
      got += static_cast<std::size_t>(now);
    }
    bytes.resize(got);
    return bytes;
  }
  std::string read_until(std::string_view end) {
    std::string bytes;
    char byte = 0;
    while (!bytes.ends_with(end) && ::recv(fd_, &byte, 1, 0) == 1) bytes += byte;
    return bytes;
  }
  /// All until the server closes; `reset` when it did so rudely.
  std::string read_to_end(bool* reset = nullptr) {
    std::string bytes;
    char part[4'096];
    ssize_t got = 0;
    while ((got = ::recv(fd_, part, sizeof part, 0)) > 0) bytes.append(part, static_cast<std::size_t>(got));
    if (reset != nullptr) *reset = got < 0;
    timed_out_ = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return bytes;
  }
  /// True when the server has closed (or reset) within the patience; reads away what came before.
  bool closed_by_server() {
    (void)read_to_end();
    return !timed_out_;
  }
  /// Head and body of one response with a Content-Length.
  std::string read_response() {
    std::string head = read_until("\r\n\r\n");
    const std::size_t at = head.find("Content-Length: ");
    if (at == std::string::npos) return head;
    return head + read(static_cast<std::size_t>(std::strtoul(head.c_str() + at + 16, nullptr, 10)));
  }
  bool quiet_for(std::chrono::milliseconds time) {
    pollfd one{fd_, POLLIN, 0};
    return ::poll(&one, 1, static_cast<int>(time.count())) == 0;
  }

 private:
  int fd_ = -1;
  bool timed_out_ = false;
};

}  // namespace muster::net::test
