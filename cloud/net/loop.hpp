// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cloud/base/executor.hpp"
#include "cloud/base/metrics.hpp"
#include "cloud/base/result.hpp"
#include "cloud/net/address_limiter.hpp"
#include "cloud/net/body_budget.hpp"
#include "cloud/net/connection.hpp"
#include "cloud/net/handlers.hpp"
#include "cloud/net/limits.hpp"
#include "cloud/net/mailbox.hpp"
#include "cloud/net/slab.hpp"
#include "cloud/net/socket_address.hpp"
#include "cloud/net/timer_wheel.hpp"
#include "cloud/net/tls_context.hpp"
#include "cloud/net/trusted_proxies.hpp"

namespace muster::net {

/// What all loops of a server share. Everything in it is thread-safe, or does not change while loops run.
struct LoopShared {
  NetLimits limits;  ///< connections_max is filled in.
  DeviceHandler& devices;
  HttpHandler& http;
  Executor& executor;
  const Clock& clock;
  Metrics& metrics;
  const TrustedProxies proxies;
  const TlsContext* tls = nullptr;  ///< nullptr: TLS handshakes are refused.
  AddressLimiter addresses;
  AddressLimiter handshake_addresses;  ///< Who is in the middle of a TLS handshake.
  std::shared_ptr<BodyBudget> bodies;  ///< Shared with requests that are with a worker.
  std::uint16_t node = 0;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> handshakes{0};
};

struct LoopListener {
  int fd = -1;
  bool tls_only = false;
  std::string local_address;  ///< "127.0.0.1:8080"; empty when bound to all addresses: then asked per HTTP connection.
};

/// One network loop: its own epoll, listeners, connections, timers; runs on one thread and shares only LoopShared and its
/// mailbox. A connection that waits holds no buffer: bytes are read into the loop's buffer when the socket is ready, only the
/// tail of an unfinished frame is kept. Level-triggered; a plain connect+login+close takes accept4, epoll_ctl, recv, send and
/// close, nothing else.
class Loop {
 public:
  Loop(LoopShared& shared, std::uint16_t number);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Before run(). Takes the descriptor of a listening, non-blocking socket.
  [[nodiscard]] Result<void> open(std::vector<LoopListener> listeners);
  /// Until a StopMail has been carried out.
  void run();
  [[nodiscard]] Mailbox& mailbox() noexcept { return *mailbox_; }
  /// Our end of the connection in this slot. On this loop's thread only.
  [[nodiscard]] std::optional<IpAddress> local_address(const domain::SessionAddress& session) noexcept;

 private:
  struct Verdict {
    std::size_t consumed_bytes = 0;
    bool close = false;   ///< After the output.
    bool linger = false;  ///< Wait for the peer to read it: there may be input that nobody will read, and closing then would reset.
  };
  struct Nodes {
    Slab<Connection>& connections;
    TimerNode& timer(std::uint32_t index) noexcept { return connections[index].timer; }
  };

  // Every function that returns bool tells whether the connection is still there.
  void on_acceptable(std::size_t listener);
  void admit(int fd, const sockaddr_storage& from, std::size_t listener);
  void relieve_descriptors(int listener_fd);
  void watch_listeners(bool on);
  void on_ready(std::uint32_t index, std::uint32_t events);
  bool on_writable(std::uint32_t index);
  void on_readable(std::uint32_t index, std::uint32_t events);
  void on_ciphertext(std::uint32_t index, wire::ByteView bytes);
  void on_peer_finished(std::uint32_t index);
  void on_timer(std::uint32_t index);
  void on_mail(SessionMail&& mail);
  void on_mail(ResponseMail&& mail);
  void on_mail(const StopMail& mail);

  bool start_tls(std::uint32_t index);
  void end_handshake(Connection& connection, bool done);
  void run_input(std::uint32_t index, std::span<std::uint8_t> bytes);
  void resume(std::uint32_t index);
  [[nodiscard]] Verdict process(std::uint32_t index, std::span<std::uint8_t> bytes);
  [[nodiscard]] Verdict process_opening(std::uint32_t index, std::span<std::uint8_t> bytes);
  [[nodiscard]] Verdict process_device(std::uint32_t index, std::span<std::uint8_t> bytes);
  [[nodiscard]] Verdict process_http(std::uint32_t index, std::span<std::uint8_t> bytes);
  [[nodiscard]] Verdict process_websocket(std::uint32_t index, std::span<std::uint8_t> bytes);
  [[nodiscard]] bool give_message(std::uint32_t index, std::span<std::uint8_t> message, Verdict& verdict);
  [[nodiscard]] Verdict apply(std::uint32_t index, const protocol::Step& step);
  void answer(std::uint32_t index, Verdict& verdict);
  void write_answer(Connection& connection, const api::Response& response, Verdict& verdict);
  void refuse(Connection& connection, unsigned status, Verdict& verdict);
  [[nodiscard]] bool upgrade(std::uint32_t index, Verdict& verdict);
  void poll_stream(std::uint32_t index);
  void close_stream(std::uint32_t index, std::uint16_t code);

  void begin() noexcept;
  bool deliver(std::uint32_t index, const Verdict& verdict);
  bool send_output(std::uint32_t index, wire::ByteView bytes);
  bool keep(std::uint32_t index, std::span<const std::uint8_t> rest);
  std::size_t take_kept(Connection& connection, std::uint8_t* to) noexcept;
  [[nodiscard]] std::size_t read_room(const Connection& connection) const noexcept;
  [[nodiscard]] bool wants_input(const Connection& connection) const noexcept;
  void set_interest(std::uint32_t index, std::uint32_t events) noexcept;
  void rearm(std::uint32_t index) noexcept;
  void leave_session(std::uint32_t index);
  void close_now(std::uint32_t index);
  /// False: there is no room for it.
  [[nodiscard]] bool account_body(Connection& connection);
  [[nodiscard]] domain::SessionAddress address_of(std::uint32_t index) const noexcept;
  [[nodiscard]] std::string_view date();
  [[nodiscard]] int wait_ms() noexcept;
  void stop_step();

  LoopShared& shared_;
  const std::uint16_t number_;
  std::shared_ptr<Mailbox> mailbox_;  ///< Shared with workers, whose answers may come when the loop is gone.
  int epoll_ = -1;
  int spare_fd_ = -1;  ///< Given up for a moment when descriptors run out, so that clients hear a close.
  std::vector<LoopListener> listeners_;
  bool accepting_ = false;
  Instant accept_again_at_ = Instant::max();
  unsigned accept_budget_ = 1, accept_streak_ = 0, accept_patience_ = 4;

  Slab<Connection> connections_;
  Nodes nodes_{connections_};
  Instant now_;
  TimerWheel<Nodes> wheel_;

  // Buffers that connections borrow for the length of one event. Pages that are never touched cost nothing.
  std::unique_ptr<std::uint8_t[]> input_, plain_;
  std::vector<std::uint8_t> output_;  ///< Plaintext to send.
  std::vector<std::uint8_t> frames_;  ///< Device frames on their way into WebSocket messages.
  TlsIo tls_io_;
  api::Request request_;
  api::Response response_;
  std::vector<std::string> texts_;
  std::vector<Mail> mail_;
  std::string date_;
  Instant date_until_ = Instant::min();

  bool stopping_ = false, done_ = false;
  Instant stop_began_, stop_spread_end_, stop_end_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> stop_sessions_;  ///< Index and generation.
  std::size_t stop_closed_ = 0;
};

}  // namespace muster::net
