// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/executor.hpp"
#include "cloud/base/metrics.hpp"
#include "cloud/base/result.hpp"
#include "cloud/net/handlers.hpp"
#include "cloud/net/limits.hpp"
#include "cloud/net/socket_address.hpp"
#include "cloud/net/trusted_proxies.hpp"
#include "cloud/protocol/session.hpp"

namespace muster::net {

class TlsContext;

struct ServerOptions {
  std::vector<std::string> listen;      ///< ADDR:PORT: TLS and plain text, told apart by the first byte. Port 0: a free one.
  std::vector<std::string> listen_tls;  ///< ADDR:PORT: TLS only.
  unsigned loops = 0;                   ///< 0: one a core.
  NetLimits limits;
  TrustedProxies proxies;                   ///< None: every HTTP request is its peer's own.
  std::filesystem::path runtime_directory;  ///< For lock files; empty: default_runtime_directory().
  std::uint16_t node = 0;
};

/// The network edge: listeners, loops and their threads. Life: construct, bind, start, stop. SIGPIPE needs no handling.
///
/// Built before those who need it as their SessionRouter; their handlers are given to start().
class Server final : public protocol::SessionRouter {
 public:
  struct Dependencies {
    Executor& executor;
    const Clock& clock;
    Metrics& metrics;
    const TlsContext* tls = nullptr;  ///< nullptr: TLS handshakes are refused. Outlives the server; reload it in place.
  };
  Server(const Dependencies& dependencies, ServerOptions options);
  /// stop() without spread, if need be.
  ~Server() override;

  /// Takes the addresses: each is bound once without SO_REUSEPORT (else a second cloud would silently answer half of the fleet)
  /// and its lock file taken, then every loop's listeners are opened. From here on clients can connect; they are answered
  /// once started. Errors: NetError, errno; problem() then says it in a sentence. Nothing is held after an error.
  [[nodiscard]] Result<void> bind();
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  /// Where it really listens, in the order of the options.
  [[nodiscard]] const std::vector<SocketAddress>& addresses() const noexcept { return addresses_; }
  [[nodiscard]] const std::vector<SocketAddress>& tls_addresses() const noexcept { return tls_addresses_; }

  /// Starts the threads. The handlers must outlive stop().
  [[nodiscard]] Result<void> start(DeviceHandler& devices, HttpHandler& http);

  struct StopOptions {
    std::chrono::milliseconds spread{3'000};  ///< Device sessions are closed evenly over this time.
    std::chrono::milliseconds grace{9'000};   ///< After it everything is closed, requests being answered included.
  };
  /// Stops accepting, closes idle HTTP, ends device sessions, waits for requests being answered; returns when all threads are
  /// gone. Workers of the executor may still run and post, which then goes nowhere; stop them afterwards.
  void stop(const StopOptions& options);
  void stop() { stop(StopOptions{}); }

  /// Thread-safe, before, while and after it runs (false then).
  bool post(const domain::SessionAddress& address, protocol::SessionEvent event) override;
  /// On the loop of that session only.
  [[nodiscard]] std::optional<IpAddress> local_address(const domain::SessionAddress& session) const override;

 private:
  struct Impl;
  std::string problem_;
  std::vector<SocketAddress> addresses_, tls_addresses_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::net
