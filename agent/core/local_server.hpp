// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/core/device.hpp"
#include "wire/bytes.hpp"

/// The device's own small web server on its SoftAP, for the apps of both generations and for people with a browser: a bounded HTTP/1.1
/// server as a state machine. Bytes and time go in, calls on a Sink come out. No heap, no exceptions, C++17. Facts:
/// docs/protocol/provisioning.md section 2.
namespace muster::agent {

/// Which TCP connection, as the port counts them.
using ConnectionId = std::uint32_t;

class LocalServer final {
 public:
  static constexpr std::size_t connections_max = 4;
  static constexpr std::size_t request_size_max_bytes = 800;  ///< Request line and form body together; headers do not count.
  static constexpr std::size_t headers_size_max_bytes = 8192;
  static constexpr std::size_t scan_entries_max = 15;
  /// Of one piece of a request. The longest that can be valid is a password of 64 characters, all encoded, under an encoded name, before
  /// ` HTTP/1.1`; of longer ones the rest is not kept, and that much of a value is too much for every setting.
  static constexpr std::size_t text_size_max_bytes = 216;

  /// Where answers go. Never calls the server from inside.
  class Sink {
   public:
    /// Takes all of it; false: the connection is no more (on_closed need not follow). An answer is at most a few calls, of constant
    /// text or of less than 1 KiB each.
    [[nodiscard]] virtual bool send(ConnectionId connection, wire::ByteView bytes) = 0;
    /// Once all is sent. on_closed need not follow.
    virtual void close(ConnectionId connection) = 0;

   protected:
    ~Sink() = default;
  };

  struct Options {
    bool portal = true;  ///< Requests for foreign hosts are sent to the set-up page, so that phones open it by themselves.
    std::string_view address = "192.168.4.1";  ///< Of the page.
    std::uint32_t request_timeout_ms = 5'000;
    std::uint32_t scan_timeout_ms = 20'000;
    std::uint32_t drain_ms = 1'000;  ///< What a client sends behind a refused request is read so long, that it sees the answer.
  };

  /// Adds itself to the device's observers.
  LocalServer(Device& device, Sink& sink, const Options& options) noexcept;
  LocalServer(Device& device, Sink& sink) noexcept : LocalServer{device, sink, Options{}} {}
  ~LocalServer();
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  /// False: no place; close it. (One that has not sent a whole request yet makes place, a silent one first, then the oldest.)
  [[nodiscard]] bool on_open(ConnectionId connection, Millis now);
  void on_bytes(ConnectionId connection, wire::ByteView bytes, Millis now);
  /// The peer is gone. Half-closed counts as not gone.
  void on_closed(ConnectionId connection, Millis now);
  void on_timer(Millis now);
  [[nodiscard]] Millis next_deadline() const noexcept;

 private:
  /// What the device tells. Apart, so that this is no polymorphic type.
  struct Watch final : Observer {
    explicit Watch(LocalServer& owner) noexcept : server{owner} {}
    void on_step(const Step& step, Millis now) override;
    void on_networks(const ScannedNetwork* networks, std::size_t count, Millis now) override;
    LocalServer& server;
  };
  enum class Phase : std::uint8_t { free, request_line, query, headers, body, scanning, draining };
  enum class Route : std::uint8_t { page, info, status, networks, config, reset, reboot, update, nothing, elsewhere };
  [[nodiscard]] static Route route_of(std::string_view path) noexcept;
  /// A request is taken apart while it comes: only the piece that is being read is kept as text, and what the arguments say.
  struct Connection {
    ConnectionId id = 0;
    Phase phase = Phase::free;
    Route route = Route::elsewhere;
    bool malformed = false;
    bool head_only = false;  ///< HEAD
    bool upload = false;     ///< POST or PUT
    bool form = false;       ///< The body is a form.
    bool foreign = false;    ///< The request is for somebody else's host.
    bool absolute = false;   ///< It says so in the request line, which counts more than the Host header.
    bool chunked = false;
    bool unread = false;  ///< Bytes of the request are not read: what comes is to be drained.
    bool cut = false;     ///< The piece is longer than text[].
    std::uint8_t text_size = 0;
    std::uint8_t version_at = 0;  ///< How much of ` HTTP/` the last word of the request line begins with.
    std::uint16_t size = 0;       ///< Of the request line, later with the body.
    std::uint16_t headers_size = 0;
    std::uint32_t body_left = 0;
    Millis due = never;
    SetupSettings settings;          ///< From the arguments: query, then body.
    char text[text_size_max_bytes];  ///< Method and path, one argument, or one header line.

    void begin(ConnectionId connection, Millis end) noexcept;
    void end() noexcept;
    void keep(char c) noexcept;
    [[nodiscard]] bool may_be_left_for_another() const noexcept;
    [[nodiscard]] bool may_go_before(const Connection& other) const noexcept;
    [[nodiscard]] std::string_view kept() const noexcept { return {text, text_size}; }
    void end_piece() noexcept;
    void take_request_line_byte(char c) noexcept;
    void end_request_line() noexcept;
    void take_target() noexcept;
    void take_argument() noexcept;
    void take_header() noexcept;
  };
  [[nodiscard]] Connection* find(ConnectionId connection) noexcept;
  void take_byte(Connection& connection, char c, Millis now);
  void begin_body(Connection& connection, Millis now);
  void handle(Connection& connection, Millis now);
  void refuse(Connection& connection, int status, Millis now);
  void answer(Connection& connection, int status, std::string_view type, std::string_view body, Millis now);
  void answer_json(Connection& connection, int status, std::string_view word, std::string_view message, Millis now);
  void answer_info(Connection& connection, Millis now);
  void answer_status(Connection& connection, Millis now);
  void answer_config(Connection& connection, Millis now);
  void answer_networks(Connection& connection, const ScannedNetwork* networks, std::size_t count, Millis now);
  void redirect(Connection& connection, Millis now);
  [[nodiscard]] bool send(Connection& connection, std::string_view text);
  void send_head(Connection& connection, int status, std::string_view type, std::size_t body_size, std::string_view location);
  /// The answer is out: closes; when the request was not read whole, reads on for a moment first.
  void finish(Connection& connection, Millis now);
  void drop(Connection& connection);

  Device& device_;
  Watch watch_;
  Sink& sink_;
  Options options_;
  Connection connections_[connections_max];
  bool taken_ = false;  ///< Settings that somebody gave are being tried. What the device tries by itself, an app may replace.
};

}  // namespace muster::agent
