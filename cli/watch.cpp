// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <wslay/wslay.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <ostream>
#include <thread>

#include "cli/commands.hpp"
#include "cli/saved_login.hpp"
#include "cli/watch_events.hpp"
#include "cloud/base/random.hpp"

#include "cli/json_text.hpp"

namespace muster::cli {

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t head_max_bytes = 16 * 1024;
constexpr std::size_t message_max_bytes = 4u << 20;
constexpr auto answer_deadline = 10s;
constexpr auto ping_after = 20s;  ///< Of silence.
constexpr auto lost_after = 60s;  ///< Of silence, also after a ping.

std::string base64(std::span<const std::uint8_t> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

/// RFC 6455 section 4.2.2.
std::string accept_of(const std::string& key) {
  const std::string joined = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(joined.data(), joined.size(), digest.data(), &size, EVP_sha1(), nullptr);
  return base64({digest.data(), size});
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

/// Value of a header of an HTTP head; empty when it is not there.
std::string header_of(const std::string& head, std::string_view name) {
  const auto folded = lower(head);
  const auto at = folded.find("\r\n" + std::string{name} + ":");
  if (at == std::string::npos) return {};
  const auto begin = head.find_first_not_of(" \t", at + 3 + name.size());
  const auto end = head.find("\r\n", begin == std::string::npos ? at + 2 : begin);
  return begin == std::string::npos || begin >= end ? std::string{} : head.substr(begin, end - begin);
}

/// Bytes to and from the server: libcurl dials and does TLS, so that trust and errors are those of all other commands.
class Link {
 public:
  static Outcome<std::unique_ptr<Link>> dial(const ApiClient& client) {
    auto link = std::unique_ptr<Link>{new Link};
    if (link->curl_ == nullptr) return failed("libcurl could not be set up.");
    std::array<char, CURL_ERROR_SIZE> detail{};
    curl_easy_setopt(link->curl_, CURLOPT_ERRORBUFFER, detail.data());
    curl_easy_setopt(link->curl_, CURLOPT_URL, client.url().c_str());
    curl_easy_setopt(link->curl_, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(link->curl_, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(link->curl_, CURLOPT_SSL_ENABLE_ALPN, 0L);
    curl_easy_setopt(link->curl_, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(link->curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(link->curl_, CURLOPT_PROXY, "");
    if (!client.ca_file().empty()) curl_easy_setopt(link->curl_, CURLOPT_CAINFO, client.ca_file().c_str());
    const auto code = curl_easy_perform(link->curl_);
    if (code != CURLE_OK) return unreachable(explain_curl_error(code, client.url(), client.ca_file(), detail.data()));
    curl_easy_getinfo(link->curl_, CURLINFO_ACTIVESOCKET, &link->socket_);
    curl_easy_setopt(link->curl_, CURLOPT_ERRORBUFFER, nullptr);
    return link;
  }
  ~Link() {
    if (curl_ != nullptr) curl_easy_cleanup(curl_);
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  enum class Got { some, nothing_yet, lost };
  Got receive(std::span<char> room, std::size_t& size) {
    const auto code = curl_easy_recv(curl_, room.data(), room.size(), &size);
    if (code == CURLE_AGAIN) return Got::nothing_yet;
    return code == CURLE_OK && size > 0 ? Got::some : Got::lost;
  }
  Got send(std::string_view bytes, std::size_t& size) {
    const auto code = curl_easy_send(curl_, bytes.data(), bytes.size(), &size);
    if (code == CURLE_AGAIN) return Got::nothing_yet;
    return code == CURLE_OK ? Got::some : Got::lost;
  }
  /// False: the time is over.
  bool wait(bool for_room, std::chrono::milliseconds time) {
    pollfd watched{static_cast<int>(socket_), static_cast<short>(for_room ? POLLIN | POLLOUT : POLLIN), 0};
    return ::poll(&watched, 1, static_cast<int>(time.count())) > 0;
  }
  Outcome<void> send_all(std::string_view bytes, Clock::time_point deadline) {
    while (!bytes.empty()) {
      std::size_t size = 0;
      const auto got = send(bytes, size);
      if (got == Got::lost || Clock::now() > deadline) return unreachable("The connection broke.");
      if (got == Got::nothing_yet) wait(true, 100ms);
      bytes.remove_prefix(got == Got::some ? size : 0);
    }
    return {};
  }

 private:
  Link() : curl_{curl_easy_init()} {}
  CURL* curl_ = nullptr;
  curl_socket_t socket_ = CURL_SOCKET_BAD;
};

/// One WebSocket connection to the live stream.
class Stream {
 public:
  /// Errors: exit_unreachable, exit_refused.
  static Outcome<std::unique_ptr<Stream>> open(const ApiClient& client) {
    auto link = Link::dial(client);
    if (!link) return link.error();
    auto stream = std::unique_ptr<Stream>{new Stream{std::move(*link)}};
    if (auto done = stream->upgrade(client); !done) return done.error();
    wslay_event_callbacks callbacks{};
    callbacks.recv_callback = &Stream::on_recv;
    callbacks.send_callback = &Stream::on_send;
    callbacks.genmask_callback = &Stream::on_mask;
    callbacks.on_msg_recv_callback = &Stream::on_message;
    if (wslay_event_context_client_init(&stream->context_, &callbacks, stream.get()) != 0) return failed("No memory for the connection.");
    wslay_event_config_set_max_recv_msg_length(stream->context_, message_max_bytes);
    return stream;
  }
  ~Stream() {
    if (context_ != nullptr) wslay_event_context_free(context_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void send(const std::string& text) {
    const wslay_event_msg message{WSLAY_TEXT_FRAME, reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
    wslay_event_queue_msg(context_, &message);
  }
  /// The next message; empty: nothing within `time`. Errors: exit_unreachable when the connection is gone.
  Outcome<std::optional<std::string>> next(std::chrono::milliseconds time) {
    for (const auto deadline = Clock::now() + time;;) {
      while (wslay_event_want_write(context_) != 0) {
        if (wslay_event_send(context_) != 0) return gone();
        if (wslay_event_want_write(context_) != 0) link_->wait(true, 100ms);
        if (Clock::now() > deadline + answer_deadline) return gone();
      }
      if (wslay_event_want_read(context_) != 0 && wslay_event_recv(context_) != 0) return gone();
      if (!messages_.empty()) {
        auto message = std::move(messages_.front());
        messages_.pop_front();
        return std::optional{std::move(message)};
      }
      if (wslay_event_get_close_received(context_) != 0 || lost_) return gone();
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      if (left <= 0ms) return std::optional<std::string>{};
      link_->wait(wslay_event_want_write(context_) != 0, left);
    }
  }

 private:
  explicit Stream(std::unique_ptr<Link> link) : link_{std::move(link)} {}
  static Failure gone() { return unreachable("The server closed the live stream."); }

  Outcome<void> upgrade(const ApiClient& client) {
    std::array<std::uint8_t, 16> nonce{};
    random_.fill(nonce);
    const std::string key = base64(nonce);
    const std::string host = client.url().substr(client.url().find("://") + 3);
    const auto deadline = Clock::now() + answer_deadline;
    const std::string request = "GET /api/v1/stream HTTP/1.1\r\nHost: " + host +
                                "\r\nUser-Agent: muster-cli/" MUSTER_VERSION
                                "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
                                key + "\r\nAuthorization: Bearer " + client.access_token() + "\r\n\r\n";
    if (auto sent = link_->send_all(request, deadline); !sent) return sent;
    std::string head;
    std::size_t end = std::string::npos;
    const auto read_more = [&]() -> bool {
      std::array<char, 4096> room;
      std::size_t size = 0;
      const auto got = link_->receive(room, size);
      if (got == Link::Got::lost || Clock::now() > deadline || head.size() > head_max_bytes) return false;
      if (got == Link::Got::some)
        head.append(room.data(), size);
      else
        link_->wait(false, 100ms);
      return true;
    };
    while ((end = head.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more()) return unreachable("The server at " + client.url() + " closed the connection without an answer.");
    }
    const auto status = head.size() > 12 && head.starts_with("HTTP/1.1 ") ? std::atol(head.c_str() + 9) : 0;
    if (status != 101) {
      const auto length = std::min<std::size_t>(
          static_cast<std::size_t>(std::max(0L, std::atol(header_of(head.substr(0, end + 2), "content-length").c_str()))), head_max_bytes);
      while (head.size() < end + 4 + length && read_more()) {}
      return refusal_of({status, head.substr(end + 4)}, client.url(), true);
    }
    if (header_of(head.substr(0, end + 2), "sec-websocket-accept") != accept_of(key))
      return unreachable("What answers at " + client.url() + " is not a muster server; check the URL.");
    early_ = head.substr(end + 4);
    return {};
  }

  static ssize_t on_recv(wslay_event_context_ptr context, std::uint8_t* room, std::size_t size, int, void* self) {
    auto& stream = *static_cast<Stream*>(self);
    if (!stream.early_.empty()) {
      const auto taken = std::min(size, stream.early_.size());
      std::copy_n(stream.early_.data(), taken, room);
      stream.early_.erase(0, taken);
      return static_cast<ssize_t>(taken);
    }
    std::size_t got = 0;
    switch (stream.link_->receive({reinterpret_cast<char*>(room), size}, got)) {
      case Link::Got::some: return static_cast<ssize_t>(got);
      case Link::Got::nothing_yet: wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK); return -1;
      case Link::Got::lost: break;
    }
    stream.lost_ = true;
    wslay_event_set_error(context, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
  }
  static ssize_t on_send(wslay_event_context_ptr context, const std::uint8_t* bytes, std::size_t size, int, void* self) {
    auto& stream = *static_cast<Stream*>(self);
    std::size_t sent = 0;
    switch (stream.link_->send({reinterpret_cast<const char*>(bytes), size}, sent)) {
      case Link::Got::some: return static_cast<ssize_t>(sent);
      case Link::Got::nothing_yet: wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK); return -1;
      case Link::Got::lost: break;
    }
    stream.lost_ = true;
    wslay_event_set_error(context, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
  }
  static int on_mask(wslay_event_context_ptr, std::uint8_t* mask, std::size_t size, void* self) {
    static_cast<Stream*>(self)->random_.fill({mask, size});
    return 0;
  }
  static void on_message(wslay_event_context_ptr, const wslay_event_on_msg_recv_arg* message, void* self) {
    auto& stream = *static_cast<Stream*>(self);
    stream.heard_at = Clock::now();
    if (message->opcode == WSLAY_TEXT_FRAME)
      stream.messages_.emplace_back(reinterpret_cast<const char*>(message->msg), message->msg_length);
  }

  std::unique_ptr<Link> link_;
  wslay_event_context_ptr context_ = nullptr;
  SecureRandom random_;
  std::string early_;  ///< Bytes behind the head that came with it.
  std::deque<std::string> messages_;
  bool lost_ = false;

 public:
  Clock::time_point heard_at = Clock::now();
};

/// Follows the stream until it breaks or `count` events were printed. Success: enough events.
Outcome<void> follow(Context& context, Stream& stream, WatchEvents& events, std::int64_t count, std::int64_t& printed) {
  auto pinged_at = Clock::now();
  for (const auto& text : events.hello()) stream.send(text);
  for (;;) {
    auto message = stream.next(1s);
    if (!message) return message.error();
    const auto now = Clock::now();
    if (now - stream.heard_at > lost_after) return unreachable("The server has been silent for too long.");
    if (now - stream.heard_at > ping_after && now - pinged_at > ping_after) {
      stream.send(WatchEvents::ping());
      pinged_at = now;
    }
    if (!*message) continue;
    auto lines = events.on_message(**message);
    if (!lines) return lines.error();
    for (const auto& line : *lines) {
      context.out << line << "\n";
      if (++printed == count) break;
    }
    context.out.flush();
    if (!context.out) return failed("The output is closed.");
    if (count != 0 && printed >= count) return {};
  }
}

}  // namespace

Outcome<void> watch_devices(Context& context, const WatchOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  WatchEvents::Scope scope{options.devices, context.globals.organization.value_or(0), options.with_sub_organizations};
  const auto self = client->call("GET", "/api/v1/session", {});
  if (!self) return self.error();
  if (scope.organization == 0) scope.organization = number_of(*self, "organizationId");
  WatchEvents events{std::move(scope), context.globals.json};
  std::int64_t printed = 0;
  auto pause = 1s;
  for (bool first = true;; first = false) {
    auto stream = Stream::open(*client);
    Outcome<void> ended = stream ? follow(context, **stream, events, options.count, printed) : Outcome<void>{stream.error()};
    if (ended) return {};
    // A refusal stays one; the first failure to connect too. A stream that was there once is dialled again.
    if (ended.error().exit_code != exit_unreachable || (first && !stream)) return ended;
    if (stream) pause = 1s;
    context.err << ended.error().message << " Trying again in " << pause.count() << " s.\n";
    std::this_thread::sleep_for(pause);
    pause = std::min<std::chrono::seconds>(pause * 2, 30s);
  }
}

}  // namespace muster::cli
