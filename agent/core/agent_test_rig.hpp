// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/agent.hpp"

/// An agent with everything around it recorded. For tests and fuzz targets.
namespace muster::agent::test {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::string_view token = "0123456789abcdefghijklmnopqrstuv";

inline std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c == '\0' ? '|' : c;
  }
  return out;
}

struct FakeTransport final : Transport {
  std::vector<std::string> connects;  ///< host:port, with a + for TLS
  std::vector<std::string> sent;      ///< command:id:body, NUL shown as |
  int closes = 0;
  bool has_room = true;

  void connect(const Endpoint& endpoint) override {
    connects.push_back(std::string{endpoint.host} + ':' + std::to_string(endpoint.port) + (endpoint.tls ? "+" : ""));
  }
  bool send(wire::ByteView frame) override {
    if (!has_room) {
      return false;
    }
    const wire::Decoded decoded = wire::decode_frame(frame);
    if (decoded.status != wire::DecodeStatus::ok || decoded.consumed_bytes != frame.size) {
      sent.push_back("NOT ONE WHOLE FRAME");
      return true;
    }
    const wire::Frame& f = decoded.frame;
    sent.push_back(std::to_string(static_cast<int>(f.command)) + ':' + std::to_string(f.id) + ':' +
                   (f.command == wire::Command::response ? std::to_string(f.status) : escaped(f.body.text())));
    return true;
  }
  void close() override { ++closes; }
};

struct FakeRandom final : RandomSource {
  std::uint32_t value = 0xffffffffU;  ///< The largest: jitter gives its upper limit.
  std::uint32_t next() override { return value; }
};

struct RecordingHandler : Handler {
  virtual ~RecordingHandler() = default;
  std::vector<std::string> log;  ///< Without connecting, connected and info_sent, which tell nothing new.
  std::vector<std::uint32_t> delays_ms;

  void on_event(const Event& event, Millis now) override {
    static_cast<void>(now);
    switch (event.kind) {
      case EventKind::connecting:
      case EventKind::connected:
      case EventKind::info_sent: return;
      case EventKind::retry_in: delays_ms.push_back(event.delay_ms); return;
      case EventKind::disconnected:
      case EventKind::connect_failed: log.push_back(std::string{to_text(event.kind)} + ' ' + std::string{to_text(event.reason)}); return;
      case EventKind::redirected: log.push_back("redirected " + std::string{event.host} + ':' + std::to_string(event.port)); return;
      default: log.emplace_back(to_text(event.kind));
    }
  }
  void on_write(std::uint8_t pin, wire::Fields values, Millis now) override {
    static_cast<void>(now);
    std::string line = "write " + std::to_string(pin);
    while (values.has_next()) {
      line += ' ' + std::string{values.next()};
    }
    log.push_back(line);
  }
  void on_metadata(std::string_view name, std::string_view value) override {
    log.push_back("meta " + std::string{name} + '=' + std::string{value});
  }
  void on_utc(std::uint64_t unix_ms) override { log.push_back("utc " + std::to_string(unix_ms)); }
  void on_console(std::string_view line) override { log.push_back("console " + std::string{line}); }
  void on_print(std::string_view text) override { log.push_back("print " + std::string{text}); }
  void on_update_offered(std::string_view url) override { log.push_back("update " + std::string{url}); }
  void on_response(std::uint16_t id, std::uint16_t status) override {
    log.push_back("response " + std::to_string(id) + ' ' + std::to_string(status));
  }
};

inline DeviceConfig make_config(std::string_view host = "cloud.example", std::uint16_t port = 9443) {
  DeviceConfig config;
  static_cast<void>(config.token.assign(token));
  static_cast<void>(config.host.assign(host));
  static_cast<void>(config.template_id.assign("TMPL2abcdefgh"));
  config.port = port;
  return config;
}

inline Bytes frame(wire::Command command, std::uint16_t id, std::string_view body = {}) {
  wire::Frame f;
  f.command = command;
  f.id = id;
  f.body = wire::ByteView{body};
  Bytes bytes(wire::frame_header_size_bytes + body.size());
  static_cast<void>(wire::encode_frame(f, {bytes.data(), bytes.size()}));
  return bytes;
}

inline Bytes response(std::uint16_t id, std::uint16_t status) {
  const wire::ResponseFrame r = wire::make_response(id, static_cast<wire::Status>(status));
  return Bytes{r.bytes, r.bytes + sizeof r.bytes};
}

struct Rig {
  FakeTransport transport;
  RecordingHandler handler;
  FakeRandom random;
  std::uint8_t receive_room[wire::frame_header_size_bytes + 512];
  std::uint8_t send_room[wire::frame_header_size_bytes + 512];
  Millis now = 1'000'000;
  Agent agent;

  explicit Rig(const Limits& limits = {})
      : agent{transport,
              handler,
              random,
              {receive_room, sizeof receive_room},
              {send_room, sizeof send_room},
              Identity{"1.2.3", "Nov 24 2026 03:16:37", "0.1.0", "Linux", {}, {}},
              limits} {}

  void feed(const Bytes& bytes) {
    const Bytes exact{bytes.begin(), bytes.end()};  // A block of its own size: a read past it is seen by ASan.
    agent.on_bytes({exact.data(), exact.size()}, now);
  }
  /// Lets time pass, and calls on_timer() whenever it is due.
  void pass_ms(std::uint64_t ms) {
    const Millis end = now + ms;
    while (agent.next_deadline() <= end) {
      if (agent.next_deadline() > now) {
        now = agent.next_deadline();
      }
      agent.on_timer(now);
    }
    now = end;
  }
  /// Lets exactly the present wait pass.
  void wait_out() {
    now = agent.next_deadline();
    agent.on_timer(now);
  }
  void start(const DeviceConfig& config = make_config()) { agent.start(config, now); }
  void connect() { agent.on_connected(now); }
  void accept_login() { feed(response(1, 200)); }
  /// From the beginning to online; forgets what was recorded.
  void go_online(const DeviceConfig& config = make_config()) {
    start(config);
    connect();
    accept_login();
    feed(response(2, 200));
    forget();
  }
  void forget() {
    handler.log.clear();
    handler.delays_ms.clear();
    transport.sent.clear();
    transport.connects.clear();
    transport.closes = 0;
  }
};

}  // namespace muster::agent::test
