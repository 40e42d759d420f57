// SPDX-License-Identifier: Apache-2.0
#include "agent/core/agent.hpp"

#include <cstring>

#include "agent/core/backoff.hpp"
#include "wire/info.hpp"

namespace muster::agent {

namespace {

using wire::Command;
using wire::Fields;
using wire::Frame;
using wire::FrameWriter;
using wire::Status;

constexpr std::uint16_t login_id = 1;  // Fixed by the protocol: the answer is known by it.
constexpr std::size_t reserved_header_bytes = wire::frame_header_size_bytes;

bool is(std::uint16_t status, Status expected) noexcept { return status == static_cast<std::uint16_t>(expected); }

Millis earlier(Millis a, Millis b) noexcept { return a < b ? a : b; }
Millis later(Millis a, Millis b) noexcept { return a > b ? a : b; }

/// Decimal digits only; false for anything else and for what does not fit.
bool parse_u64(std::string_view text, std::uint64_t& value) noexcept {
  if (text.empty() || text.size() > 19) {  // 19 digits always fit.
    return false;
  }
  std::uint64_t result = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') {
      return false;
    }
    result = result * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  value = result;
  return true;
}

bool has_nul(std::string_view text) noexcept { return text.find('\0') != std::string_view::npos; }

}  // namespace

std::string_view to_text(CloseReason reason) noexcept {
  switch (reason) {
    case CloseReason::host_unknown: return "host_unknown";
    case CloseReason::refused: return "refused";
    case CloseReason::unreachable: return "unreachable";
    case CloseReason::connect_timeout: return "connect_timeout";
    case CloseReason::tls_untrusted: return "tls_untrusted";
    case CloseReason::tls_failed: return "tls_failed";
    case CloseReason::captive_portal: return "captive_portal";
    case CloseReason::peer_closed: return "peer_closed";
    case CloseReason::network_lost: return "network_lost";
    case CloseReason::login_timeout: return "login_timeout";
    case CloseReason::login_refused: return "login_refused";
    case CloseReason::invalid_token: return "invalid_token";
    case CloseReason::not_authenticated: return "not_authenticated";
    case CloseReason::silent: return "silent";
    case CloseReason::protocol_error: return "protocol_error";
    case CloseReason::redirected: return "redirected";
    case CloseReason::redirect_loop: return "redirect_loop";
    case CloseReason::send_failed: return "send_failed";
    case CloseReason::stopped: return "stopped";
  }
  return "unknown";
}

std::string_view to_text(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::connecting: return "connecting";
    case EventKind::connect_failed: return "connect_failed";
    case EventKind::connected: return "connected";
    case EventKind::login_ok: return "login_ok";
    case EventKind::info_sent: return "info_sent";
    case EventKind::info_accepted: return "info_accepted";
    case EventKind::info_refused: return "info_refused";
    case EventKind::online: return "online";
    case EventKind::first_value_sent: return "first_value_sent";
    case EventKind::redirected: return "redirected";
    case EventKind::invalid_token: return "invalid_token";
    case EventKind::quota: return "quota";
    case EventKind::disconnected: return "disconnected";
    case EventKind::retry_in: return "retry_in";
    case EventKind::stopped: return "stopped";
  }
  return "unknown";
}

Agent::Agent(Transport& transport, Handler& handler, RandomSource& random, wire::ByteSpan receive_room, wire::ByteSpan send_room,
             const Identity& identity, const Limits& limits) noexcept
    : transport_{transport},
      handler_{handler},
      random_{random},
      receive_room_{receive_room},
      send_room_{send_room},
      identity_{identity},
      limits_{limits} {
  // `buff-in` is announced in 16 bits.
  if (receive_room_.size > reserved_header_bytes + wire::frame_body_size_max_bytes) {
    receive_room_.size = reserved_header_bytes + wire::frame_body_size_max_bytes;
  }
}

// ---- time
// -------------------------------------------------------------------------------------------------------------

void Agent::advance(Millis now) noexcept {
  now_ = later(now_, now);  // A clock that goes back must not stretch a wait or wrap a subtraction.
}

Millis Agent::next_deadline() const noexcept {
  Millis next = due_;
  if (logged_in()) {
    const Millis heartbeat_ms = Millis{limits_.heartbeat_s} * 1000;
    const Millis ping_at = later(earlier(last_sent_, last_received_) + heartbeat_ms, last_ping_ + limits_.ping_spacing_ms);
    const Millis silent_at = last_received_ + heartbeat_ms + limits_.heartbeat_grace_ms;
    next = earlier(next, earlier(ping_at, silent_at));
    if (online_since_ != never) {
      next = earlier(next, online_since_ + limits_.stable_after_ms);
    }
  }
  return next;
}

void Agent::on_timer(Millis now) {
  advance(now);
  if (state_ == State::stopped) {
    return;
  }
  if (now_ >= due_) {
    switch (state_) {
      case State::waiting: connect(); return;
      case State::connecting: fail(CloseReason::connect_timeout); return;
      case State::logging_in: fail(CloseReason::login_timeout); return;
      case State::announcing: go_online(); break;
      case State::online:
      case State::stopped: due_ = never; break;
    }
  }
  if (!logged_in()) {
    return;
  }
  if (online_since_ != never && now_ >= online_since_ + limits_.stable_after_ms) {
    online_since_ = never;
    failures_ = 0;
    hops_ = 0;
  }
  const Millis heartbeat_ms = Millis{limits_.heartbeat_s} * 1000;
  if (now_ >= last_received_ + heartbeat_ms + limits_.heartbeat_grace_ms) {
    fail(CloseReason::silent);
    return;
  }
  if (now_ >= earlier(last_sent_, last_received_) + heartbeat_ms && now_ >= last_ping_ + limits_.ping_spacing_ms) {
    last_ping_ = now_;
    send_own(begin(Command::ping).finish());
  }
}

// ---- connecting
// -------------------------------------------------------------------------------------------------------

bool Agent::start(const DeviceConfig& config, Millis now) {
  stop(now);
  if (!is_valid_token(config.token.view()) || !is_valid_host(config.host.view())) {
    return false;
  }
  config_ = config;
  redirect_host_.clear();
  failures_ = 0;
  refusals_ = 0;
  hops_ = 0;
  alternate_port_ = false;
  pair_tried_ = false;
  state_ = State::waiting;
  due_ = now_;
  connect();
  return true;
}

void Agent::stop(Millis now) {
  advance(now);
  if (state_ == State::stopped) {
    return;
  }
  const bool connection = connection_exists();
  const bool established = state_ > State::connecting;
  state_ = State::stopped;
  due_ = never;
  online_since_ = never;
  ++connection_;
  if (connection) {
    transport_.close();
  }
  if (established) {
    Event event{EventKind::disconnected};
    event.reason = CloseReason::stopped;
    emit(event);
  }
  emit(EventKind::stopped);
}

void Agent::retry_now(Millis now) {
  advance(now);
  if (state_ == State::waiting) {
    due_ = now_;
    connect();
  }
}

Endpoint Agent::target() const noexcept {
  Endpoint endpoint;
  endpoint.tls = config_.security != Security::plain;
  if (!redirect_host_.empty()) {
    endpoint.host = redirect_host_.view();
    endpoint.port = redirect_port_;
  } else {
    endpoint.host = config_.host.view();
    endpoint.port = config_.port;
  }
  if (endpoint.port == 0) {
    if (endpoint.tls) {
      endpoint.port = alternate_port_ ? 9443 : 443;
    } else {
      endpoint.port = alternate_port_ ? 8080 : 80;
    }
  }
  return endpoint;
}

void Agent::emit(const Event& event) { handler_.on_event(event, now_); }

void Agent::connect() {
  if (redirect_host_.empty()) {
    hops_ = 0;  // A new chain begins.
  }
  state_ = State::connecting;
  due_ = now_ + limits_.connect_timeout_ms;
  ++connection_;
  received_ = 0;
  last_id_ = 0;
  info_id_ = 0;
  value_sent_ = false;
  const std::uint32_t connection = connection_;
  Event event{EventKind::connecting};
  const Endpoint endpoint = target();
  event.host = endpoint.host;
  event.port = endpoint.port;
  event.tls = endpoint.tls;
  emit(event);
  if (connection == connection_) {  // The handler did not stop us.
    transport_.connect(endpoint);
  }
}

void Agent::on_connected(Millis now) {
  advance(now);
  if (state_ != State::connecting) {
    return;
  }
  state_ = State::logging_in;
  due_ = now_ + limits_.login_timeout_ms;
  last_received_ = now_;
  last_sent_ = now_;
  last_ping_ = now_;
  const std::uint32_t connection = connection_;
  emit(EventKind::connected);
  if (connection == connection_) {
    send_own(begin(Command::hw_login).field(config_.token.view()).finish());
  }
}

void Agent::fail(CloseReason reason, std::uint16_t status, const Endpoint* next) {
  transport_.close();
  closed(reason, status, next);
}

void Agent::on_closed(CloseReason reason, Millis now) {
  advance(now);
  if (connection_exists()) {
    closed(reason, 0, nullptr);
  }
}

void Agent::closed(CloseReason reason, std::uint16_t status, const Endpoint* next) {
  const State was = state_;
  const Endpoint endpoint = target();
  Event event{was == State::connecting ? EventKind::connect_failed : EventKind::disconnected};
  FixedText<63> host;  // The event outlives the redirect that it names.
  static_cast<void>(host.assign(endpoint.host));
  event.host = host.view();
  event.port = endpoint.port;
  event.tls = endpoint.tls;
  event.reason = reason;
  event.status = status;

  state_ = State::waiting;
  due_ = never;  // Set below.
  ++connection_;
  const bool stable = online_since_ == never || now_ >= online_since_ + limits_.stable_after_ms;
  online_since_ = never;
  const bool before_login = was < State::announcing;
  const bool usual_ports = redirect_host_.empty() && config_.port == 0;

  std::uint32_t delay_ms = 0;
  bool announced_wait = true;
  if (next != nullptr) {
    static_cast<void>(redirect_host_.assign(next->host));
    redirect_port_ = next->port;
    announced_wait = false;  // On to the next host at once.
  } else if (reason == CloseReason::invalid_token) {
    redirect_host_.clear();
    delay_ms = equal_jitter_ms(limits_.refused_first_ms, limits_.refused_cap_ms, refusals_, random_);
    if (refusals_ < 32) {
      ++refusals_;
    }
  } else if (was == State::connecting && usual_ports && !pair_tried_) {
    pair_tried_ = true;
    alternate_port_ = !alternate_port_;
    announced_wait = false;
  } else {
    if (!before_login && stable) {
      failures_ = 0;
      hops_ = 0;
    }
    if (before_login || reason == CloseReason::redirect_loop) {
      redirect_host_.clear();  // That place was no good: start again from the one that was configured.
    }
    if (before_login && usual_ports) {
      alternate_port_ = !alternate_port_;
    }
    pair_tried_ = false;
    delay_ms = full_jitter_ms(limits_.retry_first_ms, limits_.retry_cap_ms, failures_, random_);
    if (failures_ < 32) {
      ++failures_;
    }
  }
  const std::uint32_t connection = connection_;
  due_ = now_ + delay_ms;
  emit(event);
  if (connection == connection_ && reason == CloseReason::invalid_token) {
    emit(EventKind::invalid_token);
  }
  if (connection == connection_ && announced_wait) {
    Event retry{EventKind::retry_in};
    retry.delay_ms = delay_ms;
    emit(retry);
  }
}

// ---- receiving
// --------------------------------------------------------------------------------------------------------

void Agent::on_bytes(wire::ByteView bytes, Millis now) {
  advance(now);
  const std::uint32_t connection = connection_;
  const std::size_t body_limit = receive_room_.size - reserved_header_bytes;
  while (connection == connection_ && state_ > State::connecting) {
    // Frames that came whole are read where they are; only one that came in pieces is put together in the room.
    wire::ByteView input = bytes;
    std::size_t pieced = 0;
    if (received_ != 0) {
      const wire::Decoded begun = wire::decode_frame({receive_room_.data, received_}, body_limit);
      std::size_t wanted = reserved_header_bytes;
      if (received_ >= reserved_header_bytes && begun.status == wire::DecodeStatus::need_more) {
        wanted += static_cast<std::size_t>(receive_room_.data[3] << 8 | receive_room_.data[4]);
      }
      pieced = wanted - received_ < bytes.size ? wanted - received_ : bytes.size;
      if (pieced != 0) {
        std::memcpy(receive_room_.data + received_, bytes.data, pieced);
      }
      received_ += pieced;
      bytes = bytes.drop(pieced);
      input = {receive_room_.data, received_};
    }
    const wire::Decoded decoded = wire::decode_frame(input, body_limit);
    if (decoded.status == wire::DecodeStatus::need_more) {
      if (received_ == 0) {
        if (!bytes.empty()) {
          std::memcpy(receive_room_.data, bytes.data, bytes.size);
        }
        received_ = bytes.size;
        return;
      }
      if (bytes.empty()) {
        return;
      }
      continue;  // The header is complete now; the body is next.
    }
    if (decoded.status != wire::DecodeStatus::ok) {
      fail(CloseReason::protocol_error);
      return;
    }
    if (received_ != 0) {
      received_ = 0;
    } else {
      bytes = bytes.drop(decoded.consumed_bytes);
    }
    last_received_ = now_;
    handle(decoded.frame);
  }
}

void Agent::handle(const Frame& frame) {
  switch (frame.command) {
    case Command::response: handle_response(frame); return;
    case Command::ping: respond(frame.id, Status::success); return;
    case Command::redirect: handle_redirect(frame); return;
    case Command::debug_print:
      if (logged_in()) {
        handler_.on_print(frame.body.text());
      }
      return;
    case Command::hardware:
    case Command::bridge:
      if (logged_in()) {  // What comes before login is dropped, as by every client.
        handle_hardware(frame);
      }
      return;
    case Command::internal:
      if (logged_in()) {
        handle_internal(frame);
      }
      return;
    default: respond(frame.id, Status::illegal_command); return;
  }
}

void Agent::handle_response(const Frame& frame) {
  if (is(frame.status, Status::not_authenticated)) {
    fail(CloseReason::not_authenticated, frame.status);
    return;
  }
  if (state_ == State::logging_in) {
    if (frame.id != login_id) {
      return;
    }
    if (is(frame.status, Status::success) || is(frame.status, Status::already_registered)) {
      logged_in_now();
    } else if (is(frame.status, Status::invalid_token)) {
      fail(CloseReason::invalid_token, frame.status);
    } else {
      fail(CloseReason::login_refused, frame.status);
    }
    return;
  }
  if (state_ == State::announcing && frame.id == info_id_) {
    const std::uint32_t connection = connection_;
    Event event{is(frame.status, Status::success) ? EventKind::info_accepted : EventKind::info_refused};
    event.status = frame.status;
    emit(event);
    if (connection == connection_) {
      go_online();
    }
    return;
  }
  if (is(frame.status, Status::quota_limit)) {
    paused_until_ = now_ + limits_.quota_pause_ms;
    emit(EventKind::quota);
    return;
  }
  handler_.on_response(frame.id, frame.status);
}

void Agent::logged_in_now() {
  state_ = State::announcing;
  due_ = now_ + limits_.info_wait_ms;
  online_since_ = now_;
  refusals_ = 0;
  pair_tried_ = false;
  bucket_at_ = now_;
  bucket_thousandths_ = std::uint32_t{limits_.send_burst} * 1000;
  paused_until_ = 0;
  const std::uint32_t connection = connection_;
  emit(EventKind::login_ok);
  if (connection != connection_) {
    return;
  }
  wire::DeviceInfo info;
  info.firmware_version = identity_.firmware_version;
  info.firmware_type = config_.template_id.view();
  info.build = identity_.build;
  info.library_version = identity_.library_version;
  info.board = identity_.board;
  info.cpu = identity_.cpu;
  info.connection = identity_.connection;
  info.template_id = config_.template_id.view();
  info.agent = "muster";
  info.heartbeat_s = limits_.heartbeat_s;
  info.buffer_in_bytes = static_cast<std::uint16_t>(receive_room_.size - reserved_header_bytes);
  FrameWriter writer = begin(Command::internal);
  info_id_ = last_id_;
  static_cast<void>(wire::encode_info(info, writer));  // It has at least the agent's name; too big shows in finish().
  send_own(writer.finish());
  if (connection == connection_) {
    emit(EventKind::info_sent);
  }
}

void Agent::go_online() {
  state_ = State::online;
  due_ = never;
  emit(EventKind::online);
}

void Agent::handle_hardware(const Frame& frame) {
  Fields fields{frame.body};
  const std::string_view word = fields.next();
  std::uint8_t pin = 0;
  if (word == "vw" && wire::parse_pin(fields.next(), pin)) {
    handler_.on_write(pin, fields, now_);
    return;
  }
  if (word == "pm" || word == "dw" || word == "aw") {
    return;  // Modes and levels of physical pins, which this agent has not.
  }
  respond(frame.id, Status::illegal_command);
}

void Agent::handle_internal(const Frame& frame) {
  Fields fields{frame.body};
  const std::string_view word = fields.next();
  if (word == "meta") {
    const std::string_view name = fields.next();
    handler_.on_metadata(name, fields.next());
  } else if (word == "utc") {
    std::uint64_t unix_ms = 0;
    if (fields.next() == "time" && parse_u64(fields.next(), unix_ms)) {
      handler_.on_utc(unix_ms);
    }
  } else if (word == "dbg") {
    handler_.on_console(fields.next());
  } else if (word == "ota") {
    handler_.on_update_offered(fields.next());
  }
  // All other words are ignored: they may be new.
}

void Agent::handle_redirect(const Frame& frame) {
  Fields fields{frame.body};
  const std::string_view host = fields.next();
  std::uint64_t port = target().port;  // Missing: the one in use, which fits the transport.
  if (fields.has_next()) {
    const std::string_view text = fields.next();
    if (!text.empty() && (!parse_u64(text, port) || port == 0 || port > 65535)) {
      fail(CloseReason::protocol_error);
      return;
    }
  }
  if (!is_valid_host(host)) {
    fail(CloseReason::protocol_error);
    return;
  }
  if (hops_ >= limits_.redirect_hops_max) {
    fail(CloseReason::redirect_loop);
    return;
  }
  ++hops_;
  Endpoint next;
  next.host = host;
  next.port = static_cast<std::uint16_t>(port);
  next.tls = config_.security != Security::plain;
  const std::uint32_t connection = connection_;
  Event event{EventKind::redirected};
  event.host = next.host;
  event.port = next.port;
  event.tls = next.tls;
  emit(event);
  if (connection == connection_) {
    fail(CloseReason::redirected, 0, &next);
  }
}

// ---- sending
// ----------------------------------------------------------------------------------------------------------

std::uint16_t Agent::next_id() noexcept {
  last_id_ = last_id_ == 65535 ? std::uint16_t{1} : static_cast<std::uint16_t>(last_id_ + 1);
  return last_id_;
}

FrameWriter Agent::begin(Command command) noexcept { return FrameWriter{send_room_, command, next_id()}; }

void Agent::send_own(std::size_t size_bytes) {
  if (size_bytes == 0 || !transport_.send({send_room_.data, size_bytes})) {
    fail(CloseReason::send_failed);
    return;
  }
  last_sent_ = now_;
}

void Agent::respond(std::uint16_t id, Status status) {
  const wire::ResponseFrame response = wire::make_response(id, status);
  if (!transport_.send({response.bytes, sizeof response.bytes})) {
    fail(CloseReason::send_failed);
    return;
  }
  last_sent_ = now_;
}

SendResult Agent::may_send(Millis now) noexcept {
  advance(now);
  if (state_ != State::online) {
    return SendResult::not_online;
  }
  const std::uint64_t capacity = std::uint64_t{limits_.send_burst} * 1000;
  const Millis elapsed_ms = earlier(now_ - bucket_at_, 1'000'000);  // Long enough to fill any bucket; keeps the product small.
  const std::uint64_t refilled = bucket_thousandths_ + elapsed_ms * limits_.sends_per_s;
  bucket_thousandths_ = static_cast<std::uint32_t>(earlier(refilled, capacity));
  bucket_at_ = now_;
  if (now_ < paused_until_ || bucket_thousandths_ < 1000) {
    return SendResult::throttled;
  }
  return SendResult::sent;
}

SendResult Agent::send_for_program(std::size_t size_bytes) {
  if (size_bytes == 0) {
    return SendResult::too_big;
  }
  if (!transport_.send({send_room_.data, size_bytes})) {
    return SendResult::busy;
  }
  bucket_thousandths_ -= 1000;
  last_sent_ = now_;
  return SendResult::sent;
}

SendResult Agent::send_value(std::size_t size_bytes) {
  const SendResult result = send_for_program(size_bytes);
  if (result == SendResult::sent && !value_sent_) {
    value_sent_ = true;
    emit(EventKind::first_value_sent);
  }
  return result;
}

SendResult Agent::write(std::uint8_t pin, const std::string_view* values, std::size_t count, Millis now) {
  if (const SendResult may = may_send(now); may != SendResult::sent) {
    return may;
  }
  FrameWriter writer = begin(Command::hardware);
  writer.field("vw").field(pin);
  if (count == 0) {
    writer.field(std::string_view{});  // Receivers want at least one value field.
  }
  for (std::size_t i = 0; i < count; ++i) {
    writer.field(values[i]);
  }
  return send_value(writer.finish());
}

SendResult Agent::write(std::uint8_t pin, std::string_view value, Millis now) { return write(pin, &value, 1, now); }

SendResult Agent::write(std::uint8_t pin, std::int64_t value, Millis now) {
  if (const SendResult may = may_send(now); may != SendResult::sent) {
    return may;
  }
  return send_value(begin(Command::hardware).field("vw").field(pin).field(value).finish());
}

SendResult Agent::sync(Millis now) { return sync(nullptr, 0, now); }

SendResult Agent::sync(const std::uint8_t* pins, std::size_t count, Millis now) {
  if (const SendResult may = may_send(now); may != SendResult::sent) {
    return may;
  }
  FrameWriter writer = begin(Command::hardware_sync);
  if (count != 0) {
    writer.field("vr");
  }
  for (std::size_t i = 0; i < count; ++i) {
    writer.field(pins[i]);
  }
  return send_for_program(writer.finish());
}

SendResult Agent::set_property(std::uint8_t pin, std::string_view name, std::string_view value, Millis now) {
  if (const SendResult may = may_send(now); may != SendResult::sent) {
    return may;
  }
  if (has_nul(name)) {
    return SendResult::too_big;
  }
  return send_for_program(begin(Command::property).field(pin).field(name).field(value).finish());
}

SendResult Agent::log_event(std::string_view code, std::string_view description, Millis now) {
  constexpr std::size_t description_size_max_bytes = 300;  // Longer ones are discarded whole by the cloud.
  if (const SendResult may = may_send(now); may != SendResult::sent) {
    return may;
  }
  if (has_nul(code) || description.size() > description_size_max_bytes) {
    return SendResult::too_big;
  }
  FrameWriter writer = begin(Command::event_log);
  writer.field(code);
  if (!description.empty()) {
    writer.field(description);
  }
  return send_for_program(writer.finish());
}

SendResult Agent::get_metadata(std::string_view name, Millis now) {
  if (const SendResult may = may_send(now); may != SendResult::sent) {
    return may;
  }
  return send_for_program(begin(Command::internal).field("meta").field("get").field(name).finish());
}

SendResult Agent::set_metadata(std::string_view name, std::string_view value, Millis now) {
  if (const SendResult may = may_send(now); may != SendResult::sent) {
    return may;
  }
  if (has_nul(name)) {
    return SendResult::too_big;
  }
  return send_for_program(begin(Command::internal).field("meta").field("set").field(name).field(value).finish());
}

SendResult Agent::request_utc(Millis now) {
  if (const SendResult may = may_send(now); may != SendResult::sent) {
    return may;
  }
  return send_for_program(begin(Command::internal).field("utc").field("time").finish());
}

}  // namespace muster::agent
