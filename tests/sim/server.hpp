// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/auth_token.hpp"
#include "cloud/protocol/binary/device_gateway.hpp"
#include "tests/sim/bug.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/network.hpp"

namespace muster::sim {

/// What the simulation's judge wants to see of the server.
class Witness {
 public:
  virtual ~Witness() = default;
  virtual void logged_in(std::string_view token, DeviceId device) = 0;
  /// In place of that, when it was a login with a provisioning token and the info after it was taken: the yes is on its way.
  virtual void info_taken(std::string_view /*token*/, DeviceId /*device*/) {}
  virtual void heard_invalid(std::string_view token) = 0;
  /// The process is gone; its store has been opened again, without faults.
  virtual void process_ended() = 0;
};

/// The cloud, as one process on a machine that can die: gateway, views, caches, jobs and the performer of sessions. The store
/// outlives it. Everything runs on the timeline.
class Server final : public Listener, public End {
 public:
  struct Wiring {
    Timeline& timeline;
    Network& network;
    Dice& dice;
    Trace& trace;
    Disk& disk;
    const KeyRing& keys;
    Witness& witness;
    Bug bug = Bug::none;
    bool provisioning = false;  ///< Sessions expire, and re-provisioned tokens prove themselves.
    Millis bus_tick_ms = 1'000;
  };
  Server(Wiring wiring, protocol::GatewayLimits limits);
  ~Server() override;

  void start();
  /// kill -9: what was only in memory is gone. `power_cut`: and what was not synced to the disk.
  void kill(bool power_cut = false);
  /// SIGTERM: sessions are closed spread over `over_ms`, what waits is written, then it is gone.
  void stop(Millis over_ms);
  [[nodiscard]] bool running() const noexcept { return life_ != nullptr; }
  [[nodiscard]] std::uint64_t incarnation() const noexcept { return incarnation_; }
  /// How long a job waits before it runs (the store's speed).
  Millis job_delay_max_ms = 20;

  /// Runs `job` as an HTTP handler would: on the api lane. False: refused.
  bool api(std::function<void()> job);
  /// After a write: the views know it when this has returned success.
  Result<void> catch_up();
  bool push_value(DeviceId device, std::uint8_t pin, std::string_view value);
  bool push_internal(DeviceId device, std::string_view words);
  [[nodiscard]] bool online(DeviceId device) const;

  struct Session {
    std::string token;
    DeviceId device;
    Millis logged_in_ms = 0;
    bool registered = false;  ///< The registry holds this one.
  };
  /// Sessions that are logged in.
  [[nodiscard]] std::vector<Session> sessions() const;

  End* on_accept(ConnectionId id, std::uint32_t address) override;
  void on_bytes(ConnectionId id, std::string_view bytes) override;
  void on_end(ConnectionId id, bool clean) override;

 private:
  struct Connection;
  struct Life;

  Wiring w_;
  protocol::GatewayLimits limits_;
  std::uint64_t incarnation_ = 0;
  std::uint32_t generations_ = 0;
  std::unique_ptr<Life> life_;
};

}  // namespace muster::sim
