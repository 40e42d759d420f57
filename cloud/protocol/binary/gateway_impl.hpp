// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cloud/base/auth_token.hpp"
#include "cloud/protocol/binary/address_budget.hpp"
#include "cloud/protocol/binary/device_gateway.hpp"
#include "cloud/protocol/binary/invalid_guard.hpp"
#include "cloud/protocol/binary/redirect_guard.hpp"
#include "cloud/protocol/time_zone.hpp"

/// Private to the files of this folder.
namespace muster::protocol {

struct SessionAddressHash {
  std::size_t operator()(const domain::SessionAddress& a) const noexcept {
    const std::uint64_t place = std::uint64_t{a.node} << 48 | std::uint64_t{a.loop} << 32 | a.slot;
    return static_cast<std::size_t>((place ^ std::uint64_t{a.generation} << 17) * 0x9E3779B97F4A7C15ull);
  }
};

struct DeviceGateway::Impl {
  Impl(Dependencies dependencies, GatewayLimits limits);

  /// One call of the performer: what is in it is not looked up twice.
  struct Call {
    DeviceSession& session;
    const domain::SessionAddress& self;
    const Peer& peer;
    Output& out;
    Instant now;
    const GatewayLimits& limits;
    std::int64_t utc_ms = 0;  ///< Asked of the clock when first wanted.
    std::uint32_t frames = 0, values = 0;
  };

  // --- device_gateway.cpp ------------------------------------------------------------------------------------------------------
  [[nodiscard]] const GatewayLimits& limits() const noexcept { return *limits_.load(std::memory_order_acquire); }
  void set_limits(GatewayLimits limits);
  /// Ends the session: nothing of it is handled any more.
  [[nodiscard]] static Step close(Call& call, CloseReason reason, std::size_t consumed_bytes = 0);
  /// What comes next for a session that goes on.
  [[nodiscard]] static Step next(const Call& call, std::size_t consumed_bytes = 0);
  [[nodiscard]] UtcTime utc(Call& call) const;
  static void respond(Call& call, std::uint16_t id, wire::Status status);
  /// Appends a frame whose body is `word`, a NUL and `rest` (which may hold NULs), unless it is over the device's buffer: then it
  /// is left out whole, counted, and false comes back.
  bool send(Call& call, wire::Command command, std::uint16_t id, std::string_view word, std::string_view rest);
  [[nodiscard]] static std::uint16_t take_id(DeviceSession& session) noexcept;
  /// Posts a job that blocks; false (counted) when the lane is full.
  bool post(Lane lane, std::function<void()> job);

  /// How long an absence has to be to be told.
  [[nodiscard]] std::chrono::seconds offline_ignore(DeviceId device) const;
  /// The device went offline before this process began, and its line may be missing.
  void recall(DeviceId device, UtcTime offline_at);
  void tell_recalled();  ///< Once the templates are known.

  // --- login.cpp ---------------------------------------------------------------------------------------------------------------
  /// Each of these leaves the session active, resolving, or closed, and returns the reason in the last case.
  [[nodiscard]] CloseReason login(Call& call, const wire::Frame& frame);
  [[nodiscard]] CloseReason resolve(Call& call, const AuthToken& token);
  [[nodiscard]] CloseReason resolve_from_index(Call& call, const AuthToken& token, bool& missed);
  [[nodiscard]] CloseReason admit(Call& call, const AuthToken& token, const TokenDigests& digests,
                                  const domain::CredentialIndex::Entry& entry);
  /// Sends the device away when its home is elsewhere: what to do then.
  [[nodiscard]] std::optional<CloseReason> redirect(Call& call, DeviceId device, bool is_plain);
  /// Binds the session to its device, from now on the only one. False: the token stopped being live meanwhile.
  [[nodiscard]] bool become_active(Call& call, const TokenDigests& digests, AuthTokenId token, DeviceId device);
  [[nodiscard]] CloseReason refuse_invalid(Call& call);
  [[nodiscard]] bool may_say_invalid(const IpAddress& address, Instant now, const GatewayLimits& limits);
  [[nodiscard]] CloseReason hold(Call& call, const AuthToken* token, Duration retry_in, bool in_flight = false);
  [[nodiscard]] CloseReason ask_store(Call& call, const AuthToken& token);
  [[nodiscard]] CloseReason retry_login(Call& call);
  [[nodiscard]] CloseReason on_resolved(Call& call, const TokenResolved& event);
  void forget_held(const domain::SessionAddress& self);
  void look_up(const domain::SessionAddress& self, const AuthToken& token);  ///< On the login lane.
  void bind(Call& call, DeviceId device);
  void tell_conflict(DeviceId device, const IpAddress& address, Instant now, UtcTime at);
  [[nodiscard]] bool lives_elsewhere(const Call& call, const domain::Home& home) const;

  // --- provisioning.cpp --------------------------------------------------------------------------------------------------------
  [[nodiscard]] CloseReason await_info(Call& call, const AuthToken& token, const TokenDigests& digests,
                                       const domain::CredentialIndex::Entry& entry);
  [[nodiscard]] CloseReason before_info(Call& call, const wire::Frame& frame);
  [[nodiscard]] CloseReason decide_info(Call& call, const wire::Frame& frame);
  [[nodiscard]] CloseReason on_decided(Call& call, const InfoDecided& event);
  [[nodiscard]] CloseReason info_did_not_come(Call& call);
  void forget_provisional(const domain::SessionAddress& self);
  void expire_sessions_and_look_again(const domain::SessionAddress& self);
  /// A token of a re-provisioned device logged in: what that proves.
  void notice_token(Call& call, const domain::CredentialIndex::Entry& entry);
  struct Proof;
  /// Tries again while the store cannot and the session is up.
  void finish_reprovision(DeviceId device, const Proof& proof);
  void first_value(DeviceSession& session, UtcTime now);
  void end_proofs();
  [[nodiscard]] bool plain_text_may_be_allowed(const domain::ProvisionSession& session) const;
  void post_step(ProvisionSessionId session, std::string_view step, domain::ProvisionFailure failure, UtcTime at);

  // --- commands.cpp ------------------------------------------------------------------------------------------------------------
  [[nodiscard]] CloseReason handle(Call& call, const wire::Frame& frame);
  void hardware(Call& call, const wire::Frame& frame);
  void virtual_write(Call& call, const wire::Frame& frame, wire::Fields fields);
  void group(Call& call, const wire::Frame& frame);
  void property(Call& call, const wire::Frame& frame);
  void event(Call& call, const wire::Frame& frame);
  void bridge(Call& call, const wire::Frame& frame);
  /// The session's template as published now; may be null. No allocation unless it changed.
  [[nodiscard]] const domain::PublishedTemplate* current_template(DeviceSession& session) const;

  // --- sync.cpp ----------------------------------------------------------------------------------------------------------------
  void sync(Call& call, const wire::Frame& frame);
  void answer_sync(Call& call, std::uint16_t request_id, const std::vector<std::uint8_t>& pins, bool all, bool may_load);
  void load_values(const domain::SessionAddress& self, DeviceId device, std::uint16_t request_id, std::vector<std::uint8_t> pins, bool all);
  void push(Call& call, const PushValue& value);

  // --- internal.cpp ------------------------------------------------------------------------------------------------------------
  void internal(Call& call, const wire::Frame& frame);
  void info(Call& call, const wire::Frame& frame);
  /// Takes the link's figures into the session; what else the device says of itself. nullopt: no info.
  [[nodiscard]] static std::optional<domain::HardwareInfo> read_info(Call& call, const wire::Frame& frame);
  void time_of_day(Call& call, const wire::Frame& frame, bool local, std::string_view what);
  void metadata(Call& call, const wire::Frame& frame, wire::Fields fields);
  [[nodiscard]] std::string time_zone_of(DeviceId device) const;

  // --- timers.cpp --------------------------------------------------------------------------------------------------------------
  [[nodiscard]] static Duration heartbeat_timeout(const DeviceSession& session, const GatewayLimits& limits) noexcept;
  static void refill(DeviceSession& session, const GatewayLimits& limits, Instant now) noexcept;
  /// False: the frame is over the rate and dropped. `close` is set when that has gone on too long.
  [[nodiscard]] bool within_rate(Call& call, const wire::Frame& frame, CloseReason& close);

  Dependencies d;
  InvalidGuard guard;
  AddressBudget budget;
  RedirectGuard redirects;
  TimeZones zones;

  std::atomic<const GatewayLimits*> limits_;
  std::mutex limits_mutex_;
  std::vector<std::unique_ptr<const GatewayLimits>> limits_owned_;  ///< Former ones too: a session may be reading them. Grows by a reload.

  struct Held {
    std::optional<AuthToken> token;  ///< None: nothing left to find out, it only waits.
    bool in_flight = false;          ///< The store is being asked.
  };
  std::mutex held_mutex_;
  std::unordered_map<domain::SessionAddress, Held, SessionAddressHash> held_;
  std::atomic<std::size_t> look_ups_waiting_{0};

  /// A login with a provisioning token, until its info is decided.
  struct Provisional {
    ProvisionSessionId session;
    domain::CredentialIndex::Entry entry;
    TokenDigests digests;
    std::uint16_t info_id = 0;
    domain::HardwareInfo hardware;
  };
  /// What the session of a re-provisioned device proves when it stays up: for a while, that the new token is kept; with an older token
  /// until the new one's time is over, that the device fell back.
  struct Proof {
    ProvisionSessionId session;
    AuthTokenId token;
    domain::SessionAddress address;
    Instant since;
    std::optional<UtcTime> fell_back_at;
  };
  std::mutex provisional_mutex_;
  std::unordered_map<domain::SessionAddress, Provisional, SessionAddressHash> provisional_;
  std::unordered_map<DeviceId, Proof> proofs_;

  std::mutex recalled_mutex_;
  std::vector<std::pair<DeviceId, UtcTime>> recalled_;

  std::mutex conflict_mutex_;
  std::unordered_map<DeviceId, Instant> conflict_told_;
};

}  // namespace muster::protocol
