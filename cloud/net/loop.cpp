// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/loop.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>

#include "cloud/base/log.hpp"
#include "cloud/net/http_response.hpp"
#include "cloud/net/sniff.hpp"

namespace muster::net {
namespace {

using Kind = Connection::Kind;

constexpr int events_max = 256;
constexpr std::size_t read_max_bytes = 64 * 1024;
constexpr std::size_t http_read_max_bytes = 16 * 1024;
constexpr std::size_t buffer_size_bytes = 512 * 1024;           ///< Kept bytes and a full read; TLS may hold one more record.
constexpr std::size_t output_keep_max_bytes = 1u << 20;         ///< A buffer that grew beyond this is let go after use.
constexpr std::size_t pipelined_output_max_bytes = 256 * 1024;  ///< Answers gathered before the next pipelined request is looked at.
constexpr std::size_t stalled_progress_min_bytes = 4'096;
constexpr std::chrono::milliseconds accept_pause{100};
constexpr unsigned accept_budget_max = 64;
constexpr unsigned accept_patience_min = 4, accept_patience_max = 256;
constexpr std::uint32_t listener_generation = 0;  ///< No connection has it.
constexpr std::uint32_t mailbox_index = 0xFFFFFFFF;

std::uint64_t tag(std::uint32_t index, std::uint32_t generation) noexcept { return std::uint64_t{generation} << 32 | index; }

std::string_view text_of(std::span<const std::uint8_t> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void append_text(std::vector<std::uint8_t>& out, std::string_view text) { out.insert(out.end(), text.begin(), text.end()); }

/// A request that outlives the bytes it was read from.
struct OwnedRequest {
  std::string bytes;
  BodyBudget::Share share;  ///< Of the body, until the worker is done with it.
  api::Request request;

  explicit OwnedRequest(const api::Request& from) {
    std::size_t size = from.target.size() + from.path.size() + from.query.size() + from.body.size() + from.local_address.size();
    for (const api::Header& header : from.headers) size += header.name.size() + header.value.size();
    bytes.reserve(size);
    request.method = from.method;
    request.peer = from.peer;
    request.secure = from.secure;
    request.target = copy(from.target);
    request.path = copy(from.path);
    request.query = copy(from.query);
    request.body = copy(from.body);
    request.local_address = copy(from.local_address);
    request.headers.reserve(from.headers.size());
    for (const api::Header& header : from.headers) request.headers.push_back({copy(header.name), copy(header.value)});
  }
  OwnedRequest(const OwnedRequest&) = delete;
  OwnedRequest& operator=(const OwnedRequest&) = delete;

 private:
  std::string_view copy(std::string_view part) {  // Never reallocates: the size was reserved.
    const std::size_t at = bytes.size();
    bytes.append(part);
    return std::string_view{bytes}.substr(at, part.size());
  }
};

api::Response failed_response() {
  api::Response response;
  response.status = 500;
  response.content_type = "application/json";
  response.body = R"({"error":{"code":"internal","message":"The server failed to answer this request."}})";
  return response;
}

api::Response handle_safely(HttpHandler& handler, const api::Request& request) {
  try {
    return handler.handle(request);
  } catch (const std::exception& problem) {
    log::error("http_handler_failed", {{"path", request.path}, {"problem", problem.what()}});
    return failed_response();
  }
}

/// Runs a stream client's messages, one after the other.
void run_messages(StreamClient& client) {
  while (true) {
    std::string message;
    {
      const std::lock_guard lock{client.mutex};
      if (client.inbox.empty()) {
        client.running = false;
        return;
      }
      message = std::move(client.inbox.front());
      client.inbox.pop_front();
    }
    try {
      client.session->on_message(message);
    } catch (const std::exception& problem) {
      log::error("stream_message_failed", {{"problem", problem.what()}});
    }
  }
}

/// Each frame becomes a message of its own: clients take one frame a message.
void wrap_frames(std::span<const std::uint8_t> frames, std::vector<std::uint8_t>& out) {
  constexpr std::size_t header_size = 5;
  constexpr std::uint8_t command_response = 0;  // Has a status where others have a length.
  while (!frames.empty()) {
    std::size_t size = frames.size();
    if (size >= header_size) {
      const std::size_t body = frames[0] == command_response ? 0 : static_cast<std::size_t>(frames[3] << 8 | frames[4]);
      size = std::min(size, header_size + body);
    }
    append_websocket_frame(WebSocketOpcode::binary, frames.first(size), out);
    frames = frames.subspan(size);
  }
}

}  // namespace

Loop::Loop(LoopShared& shared, std::uint16_t number)
    : shared_{shared},
      number_{number},
      mailbox_{std::make_shared<Mailbox>(shared.limits.mailbox_max)},
      now_{shared.clock.now()},
      wheel_{nodes_, now_},
      input_{new std::uint8_t[buffer_size_bytes]},
      plain_{new std::uint8_t[buffer_size_bytes]} {}

Loop::~Loop() {
  mailbox_->close();
  for (std::uint32_t i = 0; i < connections_.size(); ++i) {
    if (connections_.used(i)) close_now(i);
  }
  for (const LoopListener& listener : listeners_) {
    if (listener.fd >= 0) ::close(listener.fd);
  }
  if (spare_fd_ >= 0) ::close(spare_fd_);
  if (epoll_ >= 0) ::close(epoll_);
}

Result<void> Loop::open(std::vector<LoopListener> listeners) {
  listeners_ = std::move(listeners);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (epoll_ < 0 || mailbox_->wake_fd() < 0) return Error{errno, boost::system::generic_category()};
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = tag(mailbox_index, listener_generation);
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, mailbox_->wake_fd(), &event) != 0) return Error{errno, boost::system::generic_category()};
  return {};
}

void Loop::run() {
  std::array<epoll_event, events_max> events;
  watch_listeners(true);
  while (!done_) {
    const int timeout = wait_ms();
    const int count = ::epoll_wait(epoll_, events.data(), events_max, mailbox_->prepare_sleep() ? timeout : 0);
    mailbox_->awake();
    now_ = shared_.clock.now();
    for (int i = 0; i < count; ++i) {
      const std::uint64_t data = events[static_cast<std::size_t>(i)].data.u64;
      const auto index = static_cast<std::uint32_t>(data);
      const auto generation = static_cast<std::uint32_t>(data >> 32);
      if (generation == listener_generation) {
        if (index != mailbox_index && accepting_) on_acceptable(index);
      } else if (connections_.find(index, generation) != nullptr) {  // An event before it in this batch may have closed it.
        on_ready(index, events[static_cast<std::size_t>(i)].events);
      }
    }
    if (!mailbox_->empty()) {
      mailbox_->take(mail_);
      for (Mail& mail : mail_) std::visit([this](auto& letter) { on_mail(std::move(letter)); }, mail);
      mail_.clear();
    }
    wheel_.advance(now_, [this](std::uint32_t index) { on_timer(index); });
    if (now_ >= accept_again_at_) {
      accept_again_at_ = Instant::max();
      if (!stopping_) watch_listeners(true);
    }
    if (stopping_) stop_step();
  }
  mailbox_->close();
}

int Loop::wait_ms() noexcept {
  Instant until = accept_again_at_;
  if (const auto next = wheel_.next()) until = std::min(until, *next);
  if (stopping_) until = std::min(until, now_ + std::chrono::milliseconds{20});
  if (until == Instant::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now_).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

// --- accepting ---------------------------------------------------------------------------------------------------------------

void Loop::watch_listeners(bool on) {
  if (accepting_ == on) return;
  accepting_ = on;
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag(static_cast<std::uint32_t>(i), listener_generation);
    (void)::epoll_ctl(epoll_, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listeners_[i].fd, &event);
  }
}

void Loop::on_acceptable(std::size_t listener) {
  // One connection an event saves the call that would only say "no more"; a growing backlog raises the number.
  for (unsigned i = 0; i < accept_budget_; ++i) {
    sockaddr_storage from;
    socklen_t length = sizeof from;
    const int fd = ::accept4(listeners_[listener].fd, reinterpret_cast<sockaddr*>(&from), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      admit(fd, from, listener);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      // Guessed too high: be slower to guess again, else every few connections would cost a call for nothing.
      accept_budget_ = std::max(1u, accept_budget_ / 2);
      accept_patience_ = std::min(accept_patience_ * 2, accept_patience_max);
      accept_streak_ = 0;
      return;
    }
    relieve_descriptors(listeners_[listener].fd);
    return;
  }
  if (accept_budget_ > 1) accept_patience_ = accept_patience_min;  // There was a backlog.
  if (++accept_streak_ >= accept_patience_) {
    accept_budget_ = std::min(accept_budget_ * 2, accept_budget_max);
    accept_streak_ = 0;
  }
}

void Loop::relieve_descriptors(int listener_fd) {
  const int problem = errno;
  if ((problem == EMFILE || problem == ENFILE) && spare_fd_ >= 0) {
    // The client that waits longest hears a close instead of silence.
    ::close(spare_fd_);
    const int fd = ::accept4(listener_fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) ::close(fd);
    spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  if (spare_fd_ < 0) spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  shared_.metrics.connections_refused_full_total.add();
  log::warning("accept_paused", {{"errno", problem}, {"loop", int{number_}}});
  // A listener that cannot accept stays readable: not watching it for a moment keeps the loop from spinning.
  watch_listeners(false);
  accept_again_at_ = now_ + accept_pause;
}

void Loop::admit(int fd, const sockaddr_storage& from, std::size_t listener) {
  shared_.metrics.connections_accepted_total.add();
  const SocketAddress peer = SocketAddress::from(from);
  if (shared_.connections.load(std::memory_order_relaxed) >= shared_.limits.connections_max) {
    shared_.metrics.connections_refused_full_total.add();
    ::close(fd);
    return;
  }
  if (!shared_.addresses.acquire(peer.ip.limit_key())) {
    shared_.metrics.connections_refused_address_limit_total.add();
    ::close(fd);
    return;
  }
  const std::uint32_t index = connections_.emplace();
  Connection& connection = connections_[index];
  connection.fd = fd;
  connection.listener = static_cast<std::uint16_t>(listener);
  connection.peer.address = peer.ip;
  connection.deadline = now_ + shared_.limits.opening_deadline;
  connection.interest = EPOLLIN;
  shared_.connections.fetch_add(1, std::memory_order_relaxed);
  shared_.metrics.connections_open.add();
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag(index, connections_.generation(index));
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    close_now(index);
    return;
  }
  rearm(index);
}

// --- readiness ---------------------------------------------------------------------------------------------------------------

void Loop::on_ready(std::uint32_t index, std::uint32_t events) {
  if ((events & EPOLLOUT) != 0 && !on_writable(index)) return;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) on_readable(index, events);
}

bool Loop::wants_input(const Connection& connection) const noexcept {
  return !connection.paused && !connection.peer_finished && !(connection.kind == Kind::http && connection.queue);
}

std::size_t Loop::read_room(const Connection& connection) const noexcept {
  switch (connection.kind) {
    case Kind::opening: return connection.tls ? http_read_max_bytes : shared_.limits.unauthenticated_input_max_bytes;
    case Kind::device:
      if (connection.device.state() == protocol::DeviceSession::State::active) return read_max_bytes;
      if (connection.tls) return http_read_max_bytes;
      return shared_.limits.unauthenticated_input_max_bytes -
             std::min<std::size_t>(connection.kept_size_bytes, shared_.limits.unauthenticated_input_max_bytes - 1);
    case Kind::http: return connection.http->reader.in_body() ? read_max_bytes : http_read_max_bytes;
    default: return read_max_bytes;
  }
}

void Loop::on_readable(std::uint32_t index, std::uint32_t events) {
  Connection& connection = connections_[index];
  if (!wants_input(connection)) {
    // Told only now: most pauses are over before the peer sends anything.
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
      close_now(index);
    } else {
      set_interest(index, connection.interest & ~static_cast<std::uint32_t>(EPOLLIN));
    }
    return;
  }
  const std::size_t kept = connection.tls ? 0 : take_kept(connection, input_.get());
  const std::size_t room = read_room(connection);
  const ssize_t got = ::recv(connection.fd, input_.get() + kept, room, 0);
  if (got < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) close_now(index);
    return;
  }
  if (got == 0) {
    on_peer_finished(index);
    return;
  }
  const auto size = static_cast<std::size_t>(got);
  if (connection.kind == Kind::lingering) return;  // Read away, so that the close is clean.
  if (connection.kind == Kind::opening && !connection.tls) {
    if (input_[0] == 0x16) {
      if (!start_tls(index)) return;
    } else if (listeners_[connection.listener].tls_only) {
      shared_.metrics.sniff_unknown_total.add();
      close_now(index);
      return;
    }
  }
  if (connection.tls) {
    on_ciphertext(index, {input_.get(), size});
  } else {
    begin();
    run_input(index, {input_.get(), kept + size});
  }
}

void Loop::on_peer_finished(std::uint32_t index) {
  Connection& connection = connections_[index];
  // A client may close its side as soon as it has asked; its last answer is still on its way. (While an answer is being made or
  // sent nothing is read, so that the end of a connection that goes on is met only afterwards.)
  if (connection.kind == Kind::lingering && connection.queue) {
    connection.peer_finished = connection.close_when_sent = true;
    set_interest(index, connection.interest & ~static_cast<std::uint32_t>(EPOLLIN));
    return;
  }
  close_now(index);
}

bool Loop::start_tls(std::uint32_t index) {
  Connection& connection = connections_[index];
  if (shared_.tls == nullptr || shared_.handshakes.load(std::memory_order_relaxed) >= shared_.limits.tls_handshakes_max ||
      !shared_.handshake_addresses.acquire(connection.peer.address.limit_key())) {
    shared_.metrics.tls_handshakes_refused_total.add();
    close_now(index);
    return false;
  }
  connection.tls = TlsStream::accept(*shared_.tls, tls_io_);
  if (!connection.tls) {
    shared_.handshake_addresses.release(connection.peer.address.limit_key());
    shared_.metrics.tls_handshakes_failed_total.add();
    close_now(index);
    return false;
  }
  connection.handshaking = true;
  connection.peer.transport = protocol::Transport::tls;
  shared_.handshakes.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Loop::end_handshake(Connection& connection, bool done) {
  connection.handshaking = false;
  shared_.handshakes.fetch_sub(1, std::memory_order_relaxed);
  shared_.handshake_addresses.release(connection.peer.address.limit_key());
  if (!done) {
    shared_.metrics.tls_handshakes_failed_total.add();
    return;
  }
  shared_.metrics.tls_handshakes_total.add();
  if (connection.tls.resumed()) shared_.metrics.tls_handshakes_resumed_total.add();
}

void Loop::on_ciphertext(std::uint32_t index, wire::ByteView bytes) {
  Connection& connection = connections_[index];
  begin();
  tls_io_.input = bytes;
  if (connection.handshaking) {
    switch (connection.tls.handshake()) {
      case TlsStream::Status::need_more: (void)deliver(index, {}); return;
      case TlsStream::Status::ok: end_handshake(connection, true); break;
      default:
        end_handshake(connection, false);
        if (send_output(index, {tls_io_.output.data(), tls_io_.output.size()})) close_now(index);  // The alert, if there is one.
        return;
    }
  }
  const std::size_t kept = take_kept(connection, plain_.get());
  std::size_t size = kept;
  TlsStream::Status status = TlsStream::Status::ok;
  while (status == TlsStream::Status::ok && size < buffer_size_bytes) {
    std::size_t got = 0;
    status = connection.tls.read({plain_.get() + size, buffer_size_bytes - size}, got);
    size += got;
  }
  if (connection.kind == Kind::lingering) {
    if (status == TlsStream::Status::closed) {
      on_peer_finished(index);
    } else if (status == TlsStream::Status::failed) {
      close_now(index);
    }
    return;
  }
  const std::uint32_t generation = connections_.generation(index);
  if (size > kept) {
    run_input(index, {plain_.get(), size});
  } else if (!deliver(index, {})) {
    return;
  }
  if (connections_.find(index, generation) == nullptr) return;
  if (status == TlsStream::Status::closed) {
    on_peer_finished(index);
  } else if (status != TlsStream::Status::need_more) {
    close_now(index);
  }
}

bool Loop::on_writable(std::uint32_t index) {
  Connection& connection = connections_[index];
  if (!connection.queue) {
    set_interest(index, connection.interest & ~static_cast<std::uint32_t>(EPOLLOUT));
    return true;
  }
  OutputQueue& queue = *connection.queue;
  const ssize_t sent = ::send(connection.fd, queue.bytes.data() + queue.sent_bytes, queue.bytes.size() - queue.sent_bytes, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return true;
    close_now(index);
    return false;
  }
  queue.sent_bytes += static_cast<std::size_t>(sent);
  queue.moved_bytes += static_cast<std::size_t>(sent);
  if (queue.sent_bytes < queue.bytes.size()) return true;

  connection.queue.reset();
  if (connection.kind == Kind::lingering) {
    if (connection.close_when_sent) {
      close_now(index);
      return false;
    }
    (void)::shutdown(connection.fd, SHUT_WR);
    set_interest(index, EPOLLIN);
    connection.deadline = now_ + shared_.limits.linger;  // Only now: a slow reader has all the time that the stall rule gives.
    rearm(index);
    return true;
  }
  set_interest(index, EPOLLIN);
  if (connection.kind == Kind::http) {
    const std::uint32_t generation = connections_.generation(index);
    resume(index);
    return connections_.find(index, generation) != nullptr;
  }
  return true;
}

// --- input -------------------------------------------------------------------------------------------------------------------

void Loop::begin() noexcept {
  output_.clear();
  tls_io_.output.clear();
  tls_io_.input = {};
}

void Loop::run_input(std::uint32_t index, std::span<std::uint8_t> bytes) {
  Connection& connection = connections_[index];
  while (true) {
    const Verdict verdict = process(index, bytes);
    bytes = bytes.subspan(verdict.consumed_bytes);
    if (!deliver(index, verdict)) return;
    if (!connection.output_blocked || connection.queue) break;
    begin();
  }
  if (!keep(index, bytes)) return;
  rearm(index);
}

void Loop::resume(std::uint32_t index) {
  Connection& connection = connections_[index];
  begin();
  std::uint8_t* buffer = connection.tls ? plain_.get() : input_.get();
  const std::size_t kept = take_kept(connection, buffer);
  run_input(index, {buffer, kept});
}

Loop::Verdict Loop::process(std::uint32_t index, std::span<std::uint8_t> bytes) {
  Connection& connection = connections_[index];
  Verdict total;
  while (true) {
    const Kind before = connection.kind;
    Verdict verdict;
    const auto rest = bytes.subspan(total.consumed_bytes);
    switch (before) {
      case Kind::opening: verdict = process_opening(index, rest); break;
      case Kind::device: verdict = process_device(index, rest); break;
      case Kind::http: verdict = process_http(index, rest); break;
      case Kind::websocket_device:
      case Kind::websocket_stream: verdict = process_websocket(index, rest); break;
      case Kind::lingering: verdict.consumed_bytes = rest.size(); break;
    }
    total.consumed_bytes += verdict.consumed_bytes;
    total.close = verdict.close;
    total.linger = verdict.linger;
    if (total.close || connection.kind == before) return total;
  }
}

Loop::Verdict Loop::process_opening(std::uint32_t index, std::span<std::uint8_t> bytes) {
  Connection& connection = connections_[index];
  switch (sniff({bytes.data(), bytes.size()})) {
    case Sniffed::need_more: return {};
    case Sniffed::device: {
      connection.kind = Kind::device;
      const Instant accepted_at = connection.deadline - shared_.limits.opening_deadline;
      return apply(index, shared_.devices.on_open(connection.device, connection.peer, accepted_at));
    }
    case Sniffed::http:
      connection.kind = Kind::http;
      connection.http = std::make_unique<HttpState>();
      connection.http->request_begun = true;  // The opening's deadline is the header's.
      connection.http->login_since = connection.deadline - shared_.limits.opening_deadline;
      return {};
    case Sniffed::tls:
    case Sniffed::mqtt:
    case Sniffed::unknown: break;
  }
  shared_.metrics.sniff_unknown_total.add();
  return {.close = true};
}

Loop::Verdict Loop::apply(std::uint32_t index, const protocol::Step& step) {
  Connection& connection = connections_[index];
  connection.paused = step.paused;
  connection.deadline = step.deadline;
  return {.consumed_bytes = step.consumed_bytes, .close = step.close != protocol::CloseReason::none, .linger = true};
}

Loop::Verdict Loop::process_device(std::uint32_t index, std::span<std::uint8_t> bytes) {
  Connection& connection = connections_[index];
  if (connection.paused || bytes.empty()) return {};
  protocol::Output out{output_};
  return apply(index,
               shared_.devices.on_bytes(connection.device, address_of(index), connection.peer, {bytes.data(), bytes.size()}, out, now_));
}

// --- HTTP --------------------------------------------------------------------------------------------------------------------

bool Loop::account_body(Connection& connection) {
  HttpState& http = *connection.http;
  const std::size_t bytes = http.reader.body_memory_bytes();
  if (bytes == 0) {
    http.body_share.release();
    return true;
  }
  if (!http.body_share) http.body_share = {shared_.bodies, connection.peer.address.limit_key()};
  return http.body_share.resize(bytes);
}

Loop::Verdict Loop::process_http(std::uint32_t index, std::span<std::uint8_t> bytes) {
  Connection& connection = connections_[index];
  HttpState& http = *connection.http;
  Verdict verdict;
  connection.output_blocked = false;
  while (connection.kind == Kind::http && !verdict.close && !http.waiting) {
    const auto rest = bytes.subspan(verdict.consumed_bytes);
    if (rest.empty()) break;
    if (connection.queue || output_.size() > pipelined_output_max_bytes) {
      connection.output_blocked = true;
      break;
    }
    if (!http.request_begun) http.login_since = now_;
    const HttpReader::Outcome outcome = http.reader.read(
        text_of(rest), {shared_.limits.http_header_max_bytes, shared_.limits.http_body_max_bytes, &shared_.http}, request_);
    verdict.consumed_bytes += outcome.consumed_bytes;
    if (outcome.status == HttpReader::Status::failed) {
      http.body_share.release();
      refuse(connection, outcome.error_status, verdict);
      break;
    }
    if (outcome.status == HttpReader::Status::need_more) {
      const bool has_room = account_body(connection);
      if (outcome.body_begins) {
        connection.deadline = now_ + shared_.limits.http_body_deadline;
        if (outcome.send_continue) append_text(output_, "HTTP/1.1 100 Continue\r\n\r\n");
      } else if (!http.request_begun) {
        connection.deadline = now_ + shared_.limits.http_header_deadline;
      }
      http.request_begun = true;
      if (!has_room) refuse(connection, 503, verdict);
      break;
    }
    http.request_begun = false;
    connection.deadline = now_ + shared_.limits.http_idle_deadline;
    answer(index, verdict);
  }
  return verdict;
}

void Loop::refuse(Connection& connection, unsigned status, Verdict& verdict) {
  (status == 503 ? shared_.metrics.http_unavailable_total : shared_.metrics.http_bad_requests_total).add();
  const auto code = [status] {  // openapi.yaml, x-error-codes.
    switch (status) {
      case 408: return "request_timeout";
      case 413: return "body_too_large";
      case 417: return "expectation_unknown";
      case 431: return "header_too_large";
      case 503: return "unavailable";
      default: return "invalid_request";
    }
  };
  api::Response response;
  response.status = status;
  response.content_type = "application/json";
  response.body = std::string{R"({"error":{"code":")"} + code() + R"(","message":")" + std::string{reason_phrase(status)} + R"("}})";
  HttpState& http = *connection.http;
  http.path.clear();
  http.host.clear();
  http.head = false;
  http.version_1_1 = true;
  http.keep_alive = false;
  write_answer(connection, response, verdict);
  verdict.close = verdict.linger = true;
}

void Loop::answer(std::uint32_t index, Verdict& verdict) {
  Connection& connection = connections_[index];
  HttpState& http = *connection.http;
  shared_.metrics.http_requests_total.add();
  const auto client = shared_.proxies.client_of(connection.peer.address, static_cast<bool>(connection.tls), request_.headers);
  request_.peer = client.address;
  request_.secure = client.secure;
  if (http.local_address.empty()) {
    http.local_address = listeners_[connection.listener].local_address;
    if (http.local_address.empty()) {
      sockaddr_storage local{};
      socklen_t length = sizeof local;
      if (::getsockname(connection.fd, reinterpret_cast<sockaddr*>(&local), &length) == 0) {
        http.local_address = SocketAddress::from(local).text();
      }
    }
  }
  request_.local_address = http.local_address;
  const HttpHead& head = http.reader.head();
  http.path.assign(request_.path);
  http.host.assign(head.host);
  http.head = request_.method == api::Method::head;
  http.version_1_1 = head.version_1_1;
  http.keep_alive = head.keep_alive && !stopping_;
  if (head.websocket_upgrade && !stopping_ && upgrade(index, verdict)) return;

  response_.status = 200;
  response_.content_type.clear();
  response_.body.clear();
  response_.headers.clear();
  response_.close = false;
  bool answered = false;
  try {
    answered = shared_.http.answer_from_memory(request_, response_);
    if (!answered) {
      auto owned = std::make_shared<OwnedRequest>(request_);
      // From here on the worker's copy counts; the reader's goes at the end.
      http.body_share.release();
      owned->share = {shared_.bodies, connection.peer.address.limit_key()};
      const bool has_room = owned->share.resize(request_.body.size());
      const auto job = [owned = std::move(owned), mailbox = mailbox_, &handler = shared_.http, slot = index,
                        generation = connections_.generation(index)] {
        mailbox->post(ResponseMail{slot, generation, handle_safely(handler, owned->request)});
      };
      if (has_room && shared_.executor.post(shared_.http.lane(request_), job)) {
        http.waiting = true;
        connection.paused = true;
        connection.deadline = now_ + shared_.limits.http_handler_deadline;
        http.reader.forget();
        return;
      }
      shared_.metrics.http_unavailable_total.add();
      response_ = shared_.http.unavailable(request_);
    }
  } catch (const std::exception& problem) {
    log::error("http_handler_failed", {{"path", request_.path}, {"problem", problem.what()}});
    response_ = failed_response();
  }
  http.reader.forget();
  write_answer(connection, response_, verdict);
  if (response_.body.capacity() > output_keep_max_bytes) response_ = api::Response{};
}

void Loop::write_answer(Connection& connection, const api::Response& response, Verdict& verdict) {
  HttpState& http = *connection.http;
  write_response(response,
                 {.path = http.path,
                  .host = http.host,
                  .date = date(),
                  .head = http.head,
                  .version_1_1 = http.version_1_1,
                  .keep_alive = http.keep_alive,
                  .secure = static_cast<bool>(connection.tls)},
                 output_);
  if (!http.keep_alive || response.close) {
    verdict.close = true;  // At once: the whole request was read, so that nothing can turn the close into a reset.
  }
}

std::string_view Loop::date() {
  if (now_ >= date_until_) {
    const std::int64_t utc_ms = shared_.clock.utc_now().ms;
    date_ = http_date(utc_ms);
    date_until_ = now_ + std::chrono::milliseconds{1000 - utc_ms % 1000};
  }
  return date_;
}

// --- WebSocket ---------------------------------------------------------------------------------------------------------------

bool Loop::upgrade(std::uint32_t index, Verdict& verdict) {
  Connection& connection = connections_[index];
  HttpState& http = *connection.http;
  const bool is_stream = request_.path == "/api/v1/stream";
  // The legacy server took any path that began so.
  const bool is_device = request_.path.starts_with("/websocket");
  if (!is_stream && !is_device) return false;
  auto websocket = std::make_unique<WebSocketState>();
  if (is_stream) {
    api::Response refusal;
    auto session = shared_.http.open_stream(request_, refusal);
    if (!session) {
      write_answer(connection, refusal, verdict);
      return true;
    }
    websocket->stream = std::make_shared<StreamClient>();
    websocket->stream->session = std::move(session);
    connection.kind = Kind::websocket_stream;
    connection.deadline = now_;  // A first poll right away: the client waits for its snapshot.
  } else {
    connection.kind = Kind::websocket_device;
    connection.peer.transport = connection.tls ? protocol::Transport::websocket_tls : protocol::Transport::websocket;
  }
  const Instant login_since = http.login_since;
  websocket->heard_at = now_;
  websocket->ping_at = now_ + shared_.limits.websocket_ping_interval;
  append_text(output_, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
  append_text(output_, websocket_accept(http.reader.head().websocket_key));
  append_text(output_, "\r\n\r\n");
  connection.http.reset();
  connection.websocket = std::move(websocket);
  if (is_device) {
    const Verdict opened = apply(index, shared_.devices.on_open(connection.device, connection.peer, login_since));
    if (opened.close) verdict.close = verdict.linger = true;
  }
  return true;
}

bool Loop::give_message(std::uint32_t index, std::span<std::uint8_t> message, Verdict& verdict) {
  Connection& connection = connections_[index];
  frames_.clear();
  protocol::Output out{frames_};
  const Verdict step = apply(
      index, shared_.devices.on_bytes(connection.device, address_of(index), connection.peer, {message.data(), message.size()}, out, now_));
  wrap_frames(frames_, output_);
  if (step.close) {
    verdict.close = verdict.linger = true;
    append_websocket_close(websocket_close::normal, output_);
    return false;
  }
  if (step.consumed_bytes >= message.size()) return true;
  if (!connection.paused) {  // A message is one whole frame; half a frame will never be completed.
    verdict.close = verdict.linger = true;
    append_websocket_close(websocket_close::protocol_error, output_);
    return false;
  }
  const auto rest = message.subspan(step.consumed_bytes);
  std::vector<std::uint8_t> pending(rest.begin(), rest.end());
  connection.websocket->pending.swap(pending);
  return false;
}

Loop::Verdict Loop::process_websocket(std::uint32_t index, std::span<std::uint8_t> bytes) {
  Connection& connection = connections_[index];
  WebSocketState& websocket = *connection.websocket;
  const bool is_device = connection.kind == Kind::websocket_device;
  Verdict verdict;
  const auto fail = [this, &verdict](std::uint16_t code) {
    append_websocket_close(code, output_);
    verdict.close = verdict.linger = true;
  };
  if (is_device && !connection.paused && !websocket.pending.empty()) {
    std::vector<std::uint8_t> pending = std::move(websocket.pending);
    websocket.pending.clear();
    if (!give_message(index, pending, verdict)) return verdict;
  }
  while (!verdict.close && !connection.paused) {
    const auto rest = bytes.subspan(verdict.consumed_bytes);
    std::size_t message_max = shared_.limits.websocket_message_max_bytes;
    if (is_device) {
      message_max = connection.device.state() == protocol::DeviceSession::State::active
                        ? shared_.limits.device_input_max_bytes
                        : shared_.limits.unauthenticated_input_max_bytes - websocket_header_max_bytes;
    }
    const WebSocketReader::Item item = websocket.reader.next(rest, message_max);
    if (item.kind == WebSocketReader::Kind::need_more) break;
    websocket.heard_at = now_;
    verdict.consumed_bytes += item.consumed_bytes;
    switch (item.kind) {
      case WebSocketReader::Kind::ping: append_websocket_frame(WebSocketOpcode::pong, item.payload, output_); break;
      case WebSocketReader::Kind::close:
        append_websocket_close(item.code == 1005 ? websocket_close::normal : item.code, output_);
        verdict.close = verdict.linger = true;
        break;
      case WebSocketReader::Kind::error: fail(item.code); break;
      case WebSocketReader::Kind::binary:
        if (!is_device) {
          fail(websocket_close::unsupported);
        } else if (!give_message(index, item.payload, verdict)) {
          return verdict;
        }
        break;
      case WebSocketReader::Kind::text: {
        if (is_device) {
          fail(websocket_close::unsupported);
          break;
        }
        StreamClient& client = *websocket.stream;
        bool start = false;
        {
          const std::lock_guard lock{client.mutex};
          if (client.inbox.size() >= shared_.limits.stream_messages_waiting_max) {
            fail(websocket_close::policy);
            break;
          }
          client.inbox.emplace_back(text_of(item.payload));
          start = !client.running;
          client.running = true;
        }
        if (start && !shared_.executor.post(Lane::api, [client_ptr = websocket.stream] { run_messages(*client_ptr); })) {
          shared_.metrics.queue_full_total.add();
          fail(websocket_close::try_again_later);
        }
        break;
      }
      default: break;
    }
  }
  return verdict;
}

void Loop::poll_stream(std::uint32_t index) {
  Connection& connection = connections_[index];
  WebSocketState& websocket = *connection.websocket;
  connection.deadline = now_ + shared_.limits.stream_poll_interval;
  if (now_ - websocket.heard_at > 3 * shared_.limits.websocket_ping_interval) {
    close_now(index);
    return;
  }
  bool go_on = true;
  const std::size_t queued = connection.queue ? connection.queue->bytes.size() - connection.queue->sent_bytes : 0;
  if (queued <= shared_.limits.stream_output_pause_bytes) {
    texts_.clear();
    try {
      go_on = websocket.stream->session->poll(now_, texts_);
    } catch (const std::exception& problem) {
      log::error("stream_poll_failed", {{"problem", problem.what()}});
      go_on = false;
    }
    for (const std::string& text : texts_) {
      append_websocket_frame(WebSocketOpcode::text, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, output_);
    }
  }
  if (now_ >= websocket.ping_at) {
    append_websocket_frame(WebSocketOpcode::ping, {}, output_);
    websocket.ping_at = now_ + shared_.limits.websocket_ping_interval;
  }
  Verdict verdict;
  if (!go_on) {
    append_websocket_close(websocket_close::normal, output_);
    verdict.close = verdict.linger = true;
  }
  if (deliver(index, verdict)) rearm(index);
}

void Loop::close_stream(std::uint32_t index, std::uint16_t code) {
  begin();
  append_websocket_close(code, output_);
  (void)deliver(index, {.close = true, .linger = true});
}

// --- output ------------------------------------------------------------------------------------------------------------------

bool Loop::deliver(std::uint32_t index, const Verdict& verdict) {
  Connection& connection = connections_[index];
  bool linger = verdict.linger && !output_.empty();
  wire::ByteView bytes{output_.data(), output_.size()};
  if (connection.tls) {
    if (!connection.tls.write(bytes)) {
      close_now(index);
      return false;
    }
    if (verdict.close) connection.tls.close_notify();
    bytes = {tls_io_.output.data(), tls_io_.output.size()};
  }
  if (!bytes.empty()) {
    if (!send_output(index, bytes)) return false;
    output_.clear();
    tls_io_.output.clear();
    if (output_.capacity() > output_keep_max_bytes) output_ = {};
    if (tls_io_.output.capacity() > output_keep_max_bytes) tls_io_.output = {};
  }
  if (!verdict.close) return true;

  if (!connection.queue && !linger) {
    close_now(index);
    return false;
  }
  leave_session(index);
  connection.kind = Kind::lingering;
  connection.paused = connection.output_blocked = false;
  connection.kept.reset();
  connection.kept_size_bytes = 0;
  connection.close_when_sent = !linger;
  connection.deadline = now_ + shared_.limits.linger;
  if (!connection.queue) (void)::shutdown(connection.fd, SHUT_WR);
  set_interest(index, (connection.interest & EPOLLOUT) | EPOLLIN);
  rearm(index);
  return false;  // Nothing is left to do for the caller.
}

bool Loop::send_output(std::uint32_t index, wire::ByteView bytes) {
  if (bytes.empty()) return true;
  Connection& connection = connections_[index];
  if (!connection.queue) {
    const ssize_t result = ::send(connection.fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    if (result < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      close_now(index);
      return false;
    }
    const std::size_t sent = result < 0 ? 0 : static_cast<std::size_t>(result);
    if (sent == bytes.size) return true;
    bytes = bytes.drop(sent);
    connection.queue = std::make_unique<OutputQueue>();
    connection.queue->look_at = now_ + shared_.limits.stalled_output_max;
    set_interest(index, connection.interest | static_cast<std::uint32_t>(EPOLLOUT));
    rearm(index);
  }
  OutputQueue& queue = *connection.queue;
  if (queue.sent_bytes != 0) {
    queue.bytes.erase(queue.bytes.begin(), queue.bytes.begin() + static_cast<std::ptrdiff_t>(queue.sent_bytes));
    queue.sent_bytes = 0;
  }
  const bool is_stream = connection.kind == Kind::websocket_stream;
  const std::size_t device_most = queue.bytes.empty()
                                      ? std::max(shared_.limits.device_answer_max_bytes, shared_.limits.device_output_max_bytes)
                                      : shared_.limits.device_output_max_bytes;
  const std::size_t most = is_stream                ? shared_.limits.stream_output_max_bytes
                           : connection.is_device() ? device_most
                                                    : SIZE_MAX;  // HTTP: one answer, whatever its size, see process_http.
  if (bytes.size > most || queue.bytes.size() > most - bytes.size) {
    (is_stream ? shared_.metrics.stream_slow_closed_total : shared_.metrics.slow_readers_closed_total).add();
    close_now(index);
    return false;
  }
  queue.bytes.insert(queue.bytes.end(), bytes.begin(), bytes.end());
  return true;
}

std::size_t Loop::take_kept(Connection& connection, std::uint8_t* to) noexcept {
  const std::size_t size = connection.kept_size_bytes;
  if (size != 0) std::memcpy(to, connection.kept.get(), size);
  return size;
}

bool Loop::keep(std::uint32_t index, std::span<const std::uint8_t> rest) {
  Connection& connection = connections_[index];
  if (rest.empty()) {
    connection.kept.reset();
    connection.kept_size_bytes = 0;
    return true;
  }
  std::size_t most = read_max_bytes;
  if (connection.kind == Kind::opening) {
    most = shared_.limits.unauthenticated_input_max_bytes;
  } else if (connection.kind == Kind::device) {
    const bool active = connection.device.state() == protocol::DeviceSession::State::active;
    if (!active)
      most = shared_.limits.unauthenticated_input_max_bytes;
    else if (!connection.paused)
      most = shared_.limits.device_input_max_bytes;
  } else if (connection.is_websocket()) {
    most = shared_.limits.websocket_message_max_bytes + websocket_header_max_bytes + read_max_bytes;
    if (connection.kind == Kind::websocket_device && connection.device.state() != protocol::DeviceSession::State::active) {
      most = shared_.limits.unauthenticated_input_max_bytes;
    }
  }
  // A full buffer of which nothing was understood will not be understood with more.
  if (rest.size() > most || (rest.size() == most && wants_input(connection) && connection.kind == Kind::device)) {
    if (connection.is_device()) shared_.metrics.frames_malformed_total.add();
    close_now(index);
    return false;
  }
  if (connection.kept_size_bytes != rest.size()) {
    connection.kept.reset(new std::uint8_t[rest.size()]);
    connection.kept_size_bytes = static_cast<std::uint32_t>(rest.size());
  }
  std::memcpy(connection.kept.get(), rest.data(), rest.size());
  return true;
}

void Loop::set_interest(std::uint32_t index, std::uint32_t events) noexcept {
  Connection& connection = connections_[index];
  if (connection.interest == events) return;
  connection.interest = events;
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag(index, connections_.generation(index));
  (void)::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

void Loop::rearm(std::uint32_t index) noexcept {
  const Connection& connection = connections_[index];
  wheel_.arm(index, connection.queue ? std::min(connection.deadline, connection.queue->look_at) : connection.deadline);
}

void Loop::leave_session(std::uint32_t index) {
  Connection& connection = connections_[index];
  if (connection.is_device()) shared_.devices.on_closed(connection.device, address_of(index), now_);
  if (connection.http) {
    connection.http.reset();
  }
  connection.websocket.reset();
}

void Loop::close_now(std::uint32_t index) {
  Connection& connection = connections_[index];
  leave_session(index);
  if (connection.handshaking) end_handshake(connection, false);
  wheel_.disarm(index);
  ::close(connection.fd);  // Leaves the epoll set by itself: the descriptor was never duplicated.
  shared_.addresses.release(connection.peer.address.limit_key());
  shared_.connections.fetch_sub(1, std::memory_order_relaxed);
  shared_.metrics.connections_open.subtract();
  connections_.erase(index);
}

domain::SessionAddress Loop::address_of(std::uint32_t index) const noexcept {
  return {shared_.node, number_, index, connections_.generation(index)};
}

std::optional<IpAddress> Loop::local_address(const domain::SessionAddress& session) noexcept {
  const Connection* const found = connections_.find(session.slot, session.generation);
  sockaddr_storage local{};
  socklen_t length = sizeof local;
  if (found == nullptr || ::getsockname(found->fd, reinterpret_cast<sockaddr*>(&local), &length) != 0) return std::nullopt;
  return SocketAddress::from(local).ip;
}

// --- timers and mail ---------------------------------------------------------------------------------------------------------

void Loop::on_timer(std::uint32_t index) {
  Connection& connection = connections_[index];
  if (connection.queue && now_ >= connection.queue->look_at) {
    if (connection.queue->moved_bytes < stalled_progress_min_bytes) {
      const bool is_stream = connection.kind == Kind::websocket_stream;
      (is_stream ? shared_.metrics.stream_slow_closed_total : shared_.metrics.slow_readers_closed_total).add();
      close_now(index);
      return;
    }
    connection.queue->moved_bytes = 0;
    connection.queue->look_at = now_ + shared_.limits.stalled_output_max;
  }
  if (now_ < connection.deadline) {
    rearm(index);
    return;
  }
  begin();
  switch (connection.kind) {
    case Kind::opening:
      shared_.metrics.login_timeouts_total.add();
      close_now(index);
      return;
    case Kind::device:
    case Kind::websocket_device: {
      const bool wrapped = connection.kind == Kind::websocket_device;
      frames_.clear();
      protocol::Output out{wrapped ? frames_ : output_};
      Verdict verdict = apply(index, shared_.devices.on_deadline(connection.device, address_of(index), connection.peer, out, now_));
      if (wrapped) {
        wrap_frames(frames_, output_);
        if (verdict.close) append_websocket_close(websocket_close::normal, output_);
      }
      if (deliver(index, verdict)) rearm(index);
      return;
    }
    case Kind::http: {
      HttpState& http = *connection.http;
      Verdict verdict{.close = true};
      if (http.waiting) {
        log::warning("http_handler_late", {{"path", http.path}});
        http.waiting = false;
        refuse(connection, 503, verdict);
      } else if (connection.queue) {  // Sends as fast as the peer reads; the stall rule above watches it.
        connection.deadline = now_ + shared_.limits.http_idle_deadline;
        rearm(index);
        return;
      } else if (http.request_begun) {
        refuse(connection, 408, verdict);
      }
      (void)deliver(index, verdict);
      return;
    }
    case Kind::websocket_stream: poll_stream(index); return;
    case Kind::lingering:
      if (!connection.queue) {
        close_now(index);
        return;
      }
      connection.deadline = now_ + shared_.limits.http_idle_deadline;  // The stall rule above watches it.
      rearm(index);
      return;
  }
}

void Loop::on_mail(SessionMail&& mail) {
  Connection* found = connections_.find(mail.address.slot, mail.address.generation);
  if (found == nullptr || !found->is_device()) return;
  const std::uint32_t index = mail.address.slot;
  begin();
  const bool wrapped = found->kind == Kind::websocket_device;
  frames_.clear();
  protocol::Output out{wrapped ? frames_ : output_};
  const bool was_paused = found->paused;
  const Verdict verdict =
      apply(index, shared_.devices.on_event(found->device, mail.address, found->peer, std::move(mail.event), out, now_));
  if (wrapped) {
    wrap_frames(frames_, output_);
    if (verdict.close) append_websocket_close(websocket_close::normal, output_);
  }
  if (!verdict.close && was_paused && !found->paused) {
    set_interest(index, found->interest | static_cast<std::uint32_t>(EPOLLIN));
    const bool has_pending = found->websocket && !found->websocket->pending.empty();
    if (found->kept_size_bytes != 0 || has_pending) {  // Output so far goes out with what the kept bytes bring.
      std::uint8_t* buffer = found->tls ? plain_.get() : input_.get();
      const std::size_t kept = take_kept(*found, buffer);
      run_input(index, {buffer, kept});
      return;
    }
  }
  if (deliver(index, verdict)) rearm(index);
}

void Loop::on_mail(ResponseMail&& mail) {
  Connection* found = connections_.find(mail.slot, mail.generation);
  if (found == nullptr || found->kind != Kind::http || !found->http->waiting) return;
  begin();
  found->http->waiting = false;
  found->paused = false;
  found->deadline = now_ + shared_.limits.http_idle_deadline;
  if (stopping_) found->http->keep_alive = false;
  Verdict verdict;
  write_answer(*found, mail.response, verdict);
  if (verdict.close) {
    (void)deliver(mail.slot, verdict);
    return;
  }
  set_interest(mail.slot, found->interest | static_cast<std::uint32_t>(EPOLLIN));
  std::uint8_t* buffer = found->tls ? plain_.get() : input_.get();
  const std::size_t kept = take_kept(*found, buffer);
  run_input(mail.slot, {buffer, kept});
}

// --- stopping ----------------------------------------------------------------------------------------------------------------

void Loop::on_mail(const StopMail& mail) {
  if (stopping_) return;
  watch_listeners(false);
  for (LoopListener& listener : listeners_) {
    if (listener.fd >= 0) ::close(listener.fd);
    listener.fd = -1;
  }
  accept_again_at_ = Instant::max();
  stopping_ = true;
  stop_began_ = now_;
  stop_end_ = now_ + mail.grace;
  stop_spread_end_ = std::min(now_ + mail.spread, stop_end_);
  for (std::uint32_t i = 0; i < connections_.size(); ++i) {
    if (!connections_.used(i)) continue;
    Connection& connection = connections_[i];
    switch (connection.kind) {
      case Kind::opening: close_now(i); break;
      case Kind::device:
      case Kind::websocket_device: stop_sessions_.emplace_back(i, connections_.generation(i)); break;
      case Kind::http:
        if (connection.http->waiting || connection.queue || connection.http->request_begun) {
          connection.http->keep_alive = false;  // Is answered first.
        } else {
          begin();
          (void)deliver(i, {.close = true});
        }
        break;
      case Kind::websocket_stream: close_stream(i, websocket_close::going_away); break;
      case Kind::lingering: break;
    }
  }
}

void Loop::stop_step() {
  // Devices come back within 0.1 s of a close: spread out, so that who takes over is not run down.
  std::size_t due = stop_sessions_.size();
  if (now_ < stop_spread_end_) {
    const double part = std::chrono::duration<double>(now_ - stop_began_) / std::chrono::duration<double>(stop_spread_end_ - stop_began_);
    due = static_cast<std::size_t>(part * static_cast<double>(stop_sessions_.size()));
  }
  for (; stop_closed_ < due; ++stop_closed_) {
    const auto [index, generation] = stop_sessions_[stop_closed_];
    Connection* found = connections_.find(index, generation);
    if (found == nullptr || !found->is_device()) continue;
    on_mail(SessionMail{address_of(index), protocol::CloseSession{protocol::CloseReason::shutdown}});
    if (connections_.find(index, generation) != nullptr && connections_[index].is_device()) close_now(index);
  }
  if (now_ >= stop_end_) {
    for (std::uint32_t i = 0; i < connections_.size(); ++i) {
      if (connections_.used(i)) close_now(i);
    }
  }
  if (connections_.used_count() == 0) done_ = true;
}

}  // namespace muster::net
