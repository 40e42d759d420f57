// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/core/config.hpp"
#include "agent/core/fixed_text.hpp"
#include "agent/port/clock.hpp"
#include "agent/port/random.hpp"
#include "agent/port/transport.hpp"
#include "wire/bytes.hpp"
#include "wire/frame.hpp"

/// The device's side of the binary protocol as a state machine: events and time go in, calls on a Transport and a
/// Handler come out. No I/O, no clock, no heap, no exceptions, C++17. Facts: docs/protocol/device-protocol.md sections
/// 3-7, 11, 14.
namespace muster::agent {

/// What the agent says of itself after login. The text must outlive the agent. Empty: left out.
struct Identity {
  std::string_view firmware_version;
  std::string_view build;  ///< `Mmm dd yyyy hh:mm:ss`
  std::string_view library_version;
  std::string_view board;
  std::string_view cpu;
  std::string_view connection;
};

/// Times and limits. The defaults suit every known server.
struct Limits {
  std::uint32_t connect_timeout_ms = 20'000;  ///< Name look-up, TCP and TLS together.
  std::uint32_t login_timeout_ms = 6'000;
  std::uint32_t info_wait_ms = 6'000;         ///< A server that has not answered the info block by then is taken to accept it.
  std::uint16_t heartbeat_s = 40;             ///< H: ping after so long without traffic either way. 10..3600; announced as `h-beat`.
  std::uint32_t heartbeat_grace_ms = 18'000;  ///< Close when nothing was received for H and this.
  std::uint32_t ping_spacing_ms = 6'000;
  std::uint32_t retry_first_ms = 2'000;  ///< Reconnecting: full jitter over this, doubled with each failure, up to the cap.
  std::uint32_t retry_cap_ms = 60'000;
  std::uint32_t refused_first_ms = 300'000;  ///< After status 9: equal jitter over this, doubled each time, up to the cap.
  std::uint32_t refused_cap_ms = 3'600'000;
  std::uint32_t stable_after_ms = 30'000;  ///< A session so old ends the counting of failures and of redirects.
  std::uint8_t redirect_hops_max = 3;      ///< Redirects followed in a row.
  /// Bucket for frames of the program: servers close above 50 a second, and a full bucket and its refill stay below.
  std::uint16_t send_burst = 25;
  std::uint16_t sends_per_s = 25;
  std::uint32_t quota_pause_ms = 1'000;  ///< How long the program's frames are held back after status 1.
};

enum class State : std::uint8_t {
  stopped,
  waiting,  ///< For the time to connect (again).
  connecting,
  logging_in,  ///< The login was sent.
  announcing,  ///< Logged in; the info block was sent.
  online,      ///< Values may be sent.
};

enum class EventKind : std::uint8_t {
  connecting,      ///< host, port, tls
  connect_failed,  ///< host, port, reason
  connected,       ///< The transport is up, TLS included.
  login_ok,
  info_sent,
  info_accepted,
  info_refused,      ///< status
  online,            ///< Once per connection: from now on values may be sent.
  first_value_sent,  ///< Once per connection.
  redirected,        ///< host, port: where to
  invalid_token,     ///< The configuration is kept; retry_in follows, with minutes.
  quota,             ///< Status 1: the server dropped something, sending is paused.
  disconnected,      ///< reason, status when the login was refused
  retry_in,          ///< delay_ms
  stopped,
};
[[nodiscard]] std::string_view to_text(EventKind kind) noexcept;

struct Event {
  EventKind kind = EventKind::stopped;
  std::string_view host = {};  ///< Valid during the call.
  std::uint16_t port = 0;
  bool tls = false;
  CloseReason reason = CloseReason::stopped;
  std::uint16_t status = 0;
  std::uint32_t delay_ms = 0;
};

/// What the program does about what happens. All text is valid during the call only, comes from the network, and may
/// hold any bytes. The calls come from inside on_...() and start() of the agent; sending, stop() and retry_now() may be
/// called from them.
class Handler {
 public:
  virtual void on_event(const Event& event, Millis now) {
    static_cast<void>(event);
    static_cast<void>(now);
  }
  /// A value from the cloud for a virtual pin; no fields: it came without a value.
  virtual void on_write(std::uint8_t pin, wire::Fields values, Millis now) {
    static_cast<void>(pin);
    static_cast<void>(values);
    static_cast<void>(now);
  }
  virtual void on_metadata(std::string_view name, std::string_view value) {
    static_cast<void>(name);
    static_cast<void>(value);
  }
  /// The cloud's time of day, in milliseconds since 1970 UTC.
  virtual void on_utc(std::uint64_t unix_ms) { static_cast<void>(unix_ms); }
  /// A console line that somebody with access to the device sent (`dbg`). By default nothing is ever run.
  virtual void on_console(std::string_view line) { static_cast<void>(line); }
  /// Text that the server wants printed.
  virtual void on_print(std::string_view text) { static_cast<void>(text); }
  /// A firmware update is offered. By default it is not fetched.
  virtual void on_update_offered(std::string_view url) { static_cast<void>(url); }
  /// A status that belongs to none of the agent's own frames.
  virtual void on_response(std::uint16_t id, std::uint16_t status) {
    static_cast<void>(id);
    static_cast<void>(status);
  }

 protected:
  ~Handler() = default;
};

enum class SendResult : std::uint8_t {
  sent,        ///< The transport has the whole frame. That is no promise that it arrives.
  not_online,  ///< Nothing is queued for later: the program sends current values once it is online.
  too_big,     ///< It does not fit the room for sending, or what the protocol allows. Nothing was sent or cut.
  throttled,   ///< Above the rate that servers stand; try again later.
  busy,        ///< The transport has no room now; try again later.
};

/// One device's connection to its cloud, over all reconnects. Not thread-safe: all calls come from one thread.
class Agent {
 public:
  /// The borrowed objects and rooms must outlive the agent. `receive_room` bounds the largest frame that is accepted
  /// (announced as `buff-in`, header apart; at least 256 + 5 bytes), `send_room` the largest that is sent (at least 256
  /// + 5).
  Agent(Transport& transport, Handler& handler, RandomSource& random, wire::ByteSpan receive_room, wire::ByteSpan send_room,
        const Identity& identity, const Limits& limits = {}) noexcept;
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  /// Starts with this configuration, at once; a running agent is stopped first and forgets all failures. False, and the
  /// agent stays stopped, when token or host is missing or malformed.
  bool start(const DeviceConfig& config, Millis now);
  /// Closes, and stays closed until start().
  void stop(Millis now);
  /// Cuts a wait short (the network came back, somebody pressed a button). Otherwise nothing.
  void retry_now(Millis now);

  // What the transport and the clock have to tell.
  void on_connected(Millis now);
  void on_bytes(wire::ByteView bytes, Millis now);
  void on_closed(CloseReason reason, Millis now);
  /// To be called at next_deadline() or soon after; calling it too early or too often does nothing.
  void on_timer(Millis now);
  /// When on_timer() is wanted next; `never` when nothing is due. Changes with every call above.
  [[nodiscard]] Millis next_deadline() const noexcept;
  /// When something came from the cloud last, or the connection was made.
  [[nodiscard]] Millis last_received() const noexcept { return last_received_; }

  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] bool online() const noexcept { return state_ == State::online; }
  [[nodiscard]] const DeviceConfig& config() const noexcept { return config_; }

  // What the program sends. Text is passed as it is; only a value may hold NUL (it then is several values to the
  // receiver).
  SendResult write(std::uint8_t pin, std::string_view value, Millis now);
  SendResult write(std::uint8_t pin, std::int64_t value, Millis now);
  /// Several values for one pin, such as longitude and latitude.
  SendResult write(std::uint8_t pin, const std::string_view* values, std::size_t count, Millis now);
  /// Asks for the current values of all pins that the template marks for it; they come as on_write().
  SendResult sync(Millis now);
  SendResult sync(const std::uint8_t* pins, std::size_t count, Millis now);
  SendResult set_property(std::uint8_t pin, std::string_view name, std::string_view value, Millis now);
  /// `description` may be empty.
  SendResult log_event(std::string_view code, std::string_view description, Millis now);
  /// The answer, if there is any, comes as on_metadata().
  SendResult get_metadata(std::string_view name, Millis now);
  SendResult set_metadata(std::string_view name, std::string_view value, Millis now);
  /// The answer comes as on_utc().
  SendResult request_utc(Millis now);

 private:
  [[nodiscard]] bool connection_exists() const noexcept { return state_ >= State::connecting; }
  [[nodiscard]] bool logged_in() const noexcept { return state_ >= State::announcing; }
  [[nodiscard]] Endpoint target() const noexcept;
  void advance(Millis now) noexcept;
  void emit(const Event& event);
  void emit(EventKind kind) { emit(Event{kind}); }

  void connect();
  /// Closes the transport and plans the next try: at `next` at once, when there is one.
  void fail(CloseReason reason, std::uint16_t status = 0, const Endpoint* next = nullptr);
  /// The same, when the transport has closed already.
  void closed(CloseReason reason, std::uint16_t status, const Endpoint* next);
  void go_online();
  void logged_in_now();

  void handle(const wire::Frame& frame);
  void handle_response(const wire::Frame& frame);
  void handle_hardware(const wire::Frame& frame);
  void handle_internal(const wire::Frame& frame);
  void handle_redirect(const wire::Frame& frame);

  [[nodiscard]] std::uint16_t next_id() noexcept;
  [[nodiscard]] wire::FrameWriter begin(wire::Command command) noexcept;
  /// Sends the agent's own frame; a transport without room for it is the end of the connection.
  void send_own(std::size_t size_bytes);
  void respond(std::uint16_t id, wire::Status status);
  /// Whether the program may send a frame now; takes nothing from the bucket.
  [[nodiscard]] SendResult may_send(Millis now) noexcept;
  SendResult send_for_program(std::size_t size_bytes);
  SendResult send_value(std::size_t size_bytes);

  Transport& transport_;
  Handler& handler_;
  RandomSource& random_;
  wire::ByteSpan receive_room_;
  wire::ByteSpan send_room_;
  Identity identity_;
  Limits limits_;

  DeviceConfig config_;
  FixedText<63> redirect_host_;  ///< Empty: no redirect is being followed.
  std::uint16_t redirect_port_ = 0;

  Millis now_ = 0;
  Millis due_ = never;           ///< End of the wait, or of the time for connecting, login or info, by state.
  Millis online_since_ = never;  ///< Login of this connection, until it counts as stable.
  Millis last_sent_ = 0;
  Millis last_received_ = 0;
  Millis last_ping_ = 0;
  Millis bucket_at_ = 0;
  Millis paused_until_ = 0;
  std::uint32_t bucket_thousandths_ = 0;
  std::uint32_t failures_ = 0;  ///< In a row; the step of the back-off.
  std::uint32_t refusals_ = 0;
  std::uint32_t connection_ = 0;  ///< Counts connections, to notice that one ended during a call-back.
  std::size_t received_ = 0;      ///< Bytes of an incomplete frame in receive_room_.
  std::uint16_t last_id_ = 0;
  std::uint16_t info_id_ = 0;
  std::uint8_t hops_ = 0;
  State state_ = State::stopped;
  bool alternate_port_ = false;  ///< Which of the two usual ports.
  bool pair_tried_ = false;      ///< Both were tried since the last wait.
  bool value_sent_ = false;
};

}  // namespace muster::agent
