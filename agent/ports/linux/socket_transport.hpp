// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/port/clock.hpp"
#include "agent/port/transport.hpp"
#include "agent/ports/linux/portal_probe.hpp"
#include "agent/ports/linux/resolver.hpp"
#include "agent/ports/linux/transport_listener.hpp"

namespace muster::agent::linux_port {

/// Where a guest network's sign-in page would answer in the cloud's place.
struct PortalPlace {
  std::uint16_t port = 80;   ///< 0: nobody is asked.
  bool on_loopback = false;  ///< No network stands between a program and its own machine; tests say that one does.
};

/// TCP, plain or with TLS 1.2/1.3, never blocking. Certificates are checked against the trusted CAs and against the
/// host's name or address. SIGPIPE must be ignored by the program (OpenSSL writes without MSG_NOSIGNAL). Call from one
/// thread.
///
/// A connection that fails before the cloud was heard (not reached, no TLS, a foreign certificate, a web server's answer) is followed by one
/// question to its host in plain HTTP: when a sign-in page answers, the failure is captive_portal. A connection that succeeds asks nothing.
class SocketTransport final : public Transport {
 public:
  static constexpr std::size_t queue_size_max_bytes = 16 * 1024;  ///< Bytes that the kernel has not taken yet.
  static constexpr Millis resolve_timeout_ms = 7'000;             ///< For the look-up of a name.
  static constexpr Millis address_timeout_ms = 5'000;             ///< For each of a host's addresses but the last.
  static constexpr Millis last_address_timeout_ms = 8'000;        ///< For that one.
  static constexpr Millis handshake_timeout_ms = 10'000;          ///< For TLS.

  explicit SocketTransport(Clock& clock, PortalPlace portal = {});
  ~SocketTransport();
  SocketTransport(const SocketTransport&) = delete;
  SocketTransport& operator=(const SocketTransport&) = delete;

  /// Trusts the CAs of a PEM file and no others. Empty when it worked, else a sentence for people.
  [[nodiscard]] std::string trust_file(const std::string& path);
  /// Trusts the system's CAs.
  [[nodiscard]] std::string trust_system();

  void connect(const Endpoint& endpoint) override;
  [[nodiscard]] bool send(wire::ByteView frame) override;
  void close() override;

  // For the loop that waits on behalf of it.
  /// What to wait for: a descriptor, or -1, and the events of poll(2).
  [[nodiscard]] int fd() const noexcept;
  [[nodiscard]] short events() const noexcept;
  /// When on_timer is wanted; `never` when it is not.
  [[nodiscard]] Millis next_deadline() const noexcept;
  /// `revents` of poll(2). What happened is told to `listener`.
  void on_ready(short revents, TransportListener& listener);
  void on_timer(TransportListener& listener);

  /// More about the last failure, such as why a certificate is not trusted; may be empty.
  [[nodiscard]] const std::string& last_problem() const noexcept { return problem_; }

 private:
  struct Tls;  // Keeps OpenSSL's headers out of this one.
  enum class Phase : std::uint8_t { idle, resolving, connecting, handshaking, open, probing, failed };

  void try_next_address();
  void time_over();
  void on_tcp_ready();
  void handshake();
  void announce(TransportListener& listener);
  void read(TransportListener& listener);
  void flush();
  [[nodiscard]] bool write_some(wire::ByteView bytes, std::size_t& written);
  void fail_later(CloseReason reason);
  void fail_unheard(CloseReason reason);
  [[nodiscard]] bool begin_probe();
  void probe();
  void release() noexcept;

  Clock& clock_;
  PortalPlace portal_;
  std::unique_ptr<Tls> tls_;
  Resolver resolver_;
  PortalProbe probe_;
  std::string host_;
  std::string problem_;
  std::vector<SocketAddress> addresses_;
  std::size_t next_address_ = 0;
  std::vector<std::uint8_t> queue_;
  Millis phase_deadline_ = never;
  int fd_ = -1;
  unsigned connection_ = 0;  ///< Counts them, to notice that it was closed during a call.
  CloseReason failure_ = CloseReason::network_lost;
  Phase phase_ = Phase::idle;
  bool use_tls_ = false;
  bool connected_untold_ = false;  ///< The listener has not heard of the connection yet.
  bool wants_write_ = false;       ///< TLS cannot go on before the socket is writable.
  bool heard_ = false;             ///< Something came on this connection.
  bool read_again_ = false;        ///< There may be more to read though poll(2) will not say so.
};

}  // namespace muster::agent::linux_port
