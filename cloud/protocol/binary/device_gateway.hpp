// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cloud/base/executor.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/base/metrics.hpp"
#include "cloud/domain/live_feed.hpp"
#include "cloud/domain/session_registry.hpp"
#include "cloud/domain/timeline_queue.hpp"
#include "cloud/domain/value_cache.hpp"
#include "cloud/domain/views.hpp"
#include "cloud/domain/write_behind.hpp"
#include "cloud/protocol/session.hpp"
#include "wire/frame.hpp"

namespace muster::protocol {

/// Every number can be changed by configuration ([gateway] of muster.toml); tests reach each of them.
struct GatewayLimits {
  std::chrono::milliseconds login_deadline{10'000};  ///< From accept to a complete login frame.
  std::chrono::milliseconds login_hold{
      4'000};  ///< How long a login waits for the registry before it is closed unanswered; clients wait 5-6 s.
  std::chrono::milliseconds info_wait{30'000};  ///< From a login with a provisioning token to the info, and from there to the answer.
  std::chrono::milliseconds reprovision_proof{60'000};  ///< A session this long after its info proves a re-provisioned token.
  std::chrono::milliseconds heartbeat_default{45'000};  ///< Until the info frame came.
  double heartbeat_factor = 1.5;
  std::chrono::milliseconds offline_wait{60'000};  ///< A device whose session ended is offline when none came back in this time.
  std::uint16_t buffer_in_default_bytes = 250;
  std::size_t body_size_max_bytes = 8'192;          ///< Of a device's frame after login; before it, 256.
  double flood_rate_per_s = 50, flood_burst = 100;  ///< Past it: status 1 once a minute, frames dropped ...
  std::chrono::seconds flood_close_after{10};       ///< ... and closed when it goes on that long.
  std::size_t login_misses_queued_max = 1'000;      ///< Look-ups of unknown tokens that may wait for the store, ...
  std::size_t login_misses_per_address_per_s = 20;  ///< ... and of one address in a second; past it they are held.
  std::size_t logins_held_max = 262'144;            ///< Logins that may wait for the registry at once; past it they are closed unanswered.
  std::size_t breaker_addresses_per_minute = 20;    ///< Distinct addresses that had logged in before and would hear "invalid".
  std::size_t known_addresses_max = 1'000'000;
  std::uint32_t conflict_swaps_per_minute = 6;   ///< Newest-login swaps that raise token_conflict.
  bool allow_plain_from_public = false;          ///< Plain-text links from public addresses, whatever the template says.
  std::vector<std::string> own_hosts;            ///< Names of this node, besides the address dialed: never redirected to ...
  std::vector<std::string> redirect_back_hosts;  ///< ... and hosts known to redirect back. The rule: cloud/domain/home_rule.hpp.
};

/// What one device connection needs between its events: lives in the loop's slab, owns no buffer and no timer.
class DeviceSession {
 public:
  enum class State : std::uint8_t {
    await_login,
    resolving,
    await_info,  ///< Logged in with a provisioning token.
    deciding,    ///< The store decides about its info.
    active,
    closed,
  };
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] DeviceId device() const noexcept { return device_id_; }

 private:
  friend class DeviceGateway;
  std::shared_ptr<const domain::PublishedTemplate> template_;  ///< Shared with the directory, which may publish another one meanwhile.
  std::uint64_t template_generation_ = 0;
  Instant phase_since_{};  ///< Awaiting the login: the accept. Resolving: the login frame. Awaiting the info: the login. Deciding:
                           ///< the info. Active: when values are next a report.
  Instant last_received_{};
  Instant mark_{};             ///< Resolving: the next try. Active: since when frames are dropped; zero = they are not.
  Instant flood_told_{};       ///< When status 1 was sent last; zero = never.
  std::int64_t group_ms_ = 0;  ///< Timestamp of the values between GROUP b (or t) and e, in Unix ms; 0 = no group.
  float flood_tokens_ = 0;
  DeviceId device_id_;
  std::uint16_t heartbeat_s_ = 0, buffer_in_bytes_ = 0, login_id_ = 0, next_id_ = 1;
  State state_ = State::await_login;
  Transport transport_ = Transport::tcp;
  wire::LegacyPingReply legacy_ping_reply_;
  bool logged_in_with_legacy_command_ = false, has_info_ = false, counted_ = false;
  bool awaits_value_ = false;    ///< Its first value is a step of its provisioning session.
  std::uint32_t token_tag_ = 0;  ///< Low half of the id of the token that it logged in with.
  bool shut_down_ = false;       ///< The server ended it by stopping: that is no disconnect of the device.
  bool silent_ = false;          ///< Its heartbeat ended it.
};
/// One a connection, 20,000 and more a process.
static_assert(sizeof(DeviceSession) <= 96);

/// The cloud's side of the binary device protocol: one for the process, shared by all loops (its parts are thread-safe; a
/// DeviceSession is touched by its own loop only). Jobs that it posts refer to it: stop the executor before destroying it.
/// docs/protocol/device-protocol.md.
class DeviceGateway {
 public:
  struct Dependencies {
    domain::Store& store;
    domain::Views& views;
    domain::SessionRegistry& sessions;
    domain::ValueCache& values;
    domain::PresenceQueue& presence;
    domain::TimelineQueue& timeline;
    domain::LiveFeed& live;
    const KeyRing& keys;
    Executor& executor;
    SessionRouter& router;
    const Clock& clock;
    Metrics& metrics;
  };
  DeviceGateway(Dependencies dependencies, GatewayLimits limits);
  ~DeviceGateway();

  /// A connection that is going to send a login frame, or has begun to.
  [[nodiscard]] Step on_open(DeviceSession& session, const Peer& peer, Instant now);
  /// Complete frames of `input` are handled and answered into `out`; an incomplete tail is left (consumed_bytes).
  [[nodiscard]] Step on_bytes(DeviceSession& session, const domain::SessionAddress& self, const Peer& peer, wire::ByteView input,
                              Output& out, Instant now);
  [[nodiscard]] Step on_event(DeviceSession& session, const domain::SessionAddress& self, const Peer& peer, SessionEvent&& event,
                              Output& out, Instant now);
  [[nodiscard]] Step on_deadline(DeviceSession& session, const domain::SessionAddress& self, const Peer& peer, Output& out, Instant now);
  /// The connection is gone, whoever ended it. The device is waited for from now on (after a silence: from its last sign of life).
  /// The end is queued as presence and told to the live stream, unless the server ended it by stopping (CloseSession{shutdown}): a
  /// restart is no disconnect of the device.
  void on_closed(DeviceSession& session, const domain::SessionAddress& self, Instant now);

  // --- for HTTP handlers and the views' listener; any thread ------------------------------------------------------------------
  /// Pushes to the device's live session; false when it is offline.
  bool push_value(DeviceId device, std::uint8_t pin, std::string_view value);
  bool push_internal(DeviceId device, std::string_view words);
  bool close_device(DeviceId device, CloseReason reason);
  /// The same, unless it logged in with another token.
  bool close_token(DeviceId device, AuthTokenId token, CloseReason reason);
  /// Once, before the first login: whoever had a session when the server stopped, or was waited for, is waited for now. Blocks.
  /// Errors: the store's; then call it again.
  Result<void> expect_devices();
  /// Tells of devices that were waited for in vain, and finds re-provisioned tokens that have proved themselves; call it about once a second, on any one thread.
  void end_waits();
  /// Addresses of past logins, for the breaker.
  void remember_address(const IpAddress& address);
  /// Asked before anybody hears "invalid token", in any protocol; counts it, or that the breaker kept it back.
  [[nodiscard]] bool may_say_invalid(const IpAddress& address, Instant now);
  /// Whether a device of this home is sent there. `local`: the address of ours that it dialed, when known.
  [[nodiscard]] bool is_elsewhere(const domain::Home& home, const std::optional<IpAddress>& local) const;

  /// Changes limits on reload (SIGHUP); sessions take them from their next event on.
  void set_limits(GatewayLimits limits);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::protocol
