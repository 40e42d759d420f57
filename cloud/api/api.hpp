// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cloud/api/http.hpp"
#include "cloud/base/clock.hpp"
#include "cloud/base/executor.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/base/metrics.hpp"
#include "cloud/base/random.hpp"
#include "cloud/domain/live_feed.hpp"
#include "cloud/domain/session_registry.hpp"
#include "cloud/domain/store.hpp"
#include "cloud/domain/timeline_queue.hpp"
#include "cloud/domain/value_cache.hpp"
#include "cloud/domain/views.hpp"
#include "cloud/domain/write_behind.hpp"
#include "cloud/mail/texts.hpp"

namespace muster::api {

/// Who may make an account without an invitation.
enum class SignUpMode : std::uint8_t { closed, clients, partners, both };

struct ApiOptions {
  std::string public_url;  ///< Empty: none given.
  std::string setup_code;  ///< Shown once on stdout while there is no administrator.
  std::string version;
  std::size_t body_size_max_bytes = 2u << 20;
  unsigned sign_in_failures_per_address = 5;  ///< Then blocked ...
  std::chrono::seconds sign_in_block{600};    ///< ... this long; also per account.
  unsigned requests_per_minute_per_organization = 10'000;
  unsigned requests_per_minute_per_key = 3'000;       ///< Of one API key or OAuth2 client; 0 = no limit.
  bool allow_plain_from_public = false;               ///< As the gateway's: devices may be set up unencrypted from public addresses.
  unsigned updates_per_day_per_device = 500'000;      ///< By /external/api/update; 0 = no limit.
  std::vector<std::uint16_t> ports_plain, ports_tls;  ///< Of the listeners: where a device that is set up shall dial.
  std::chrono::seconds provision_token_life{24 * 3600};
  std::size_t provision_sessions_open_max = 50;          ///< Of one user.
  unsigned provision_tokens_per_hour_per_user = 5'000;   ///< The day of a production line in one hour; 0 = no limit.
  unsigned provision_requests_per_hour_per_device = 60;  ///< Of /external/api/provision; 0 = no limit.
  std::chrono::hours access_token_life{30 * 24};
  std::size_t stream_clients_max = 1'000;
  std::size_t stream_rows_max = 10'000;  ///< Subscribed rows a client.
  mail::Brand brand;
  bool has_smtp = false;  ///< Queued mail is taken to a server; it also needs `public_url` to be queued at all.
  SignUpMode sign_up = SignUpMode::closed;
  unsigned invitations_per_day = 25;  ///< Of one organization; 0 = no limit.
};

/// The gateway, as far as handlers need it: pushes to live devices, and what both protocols decide by one rule.
class DeviceLink {
 public:
  virtual ~DeviceLink() = default;
  /// Whether a device of this home is to be sent there. `local`: the address that the request came in on.
  [[nodiscard]] virtual bool is_elsewhere(const domain::Home& home, const std::optional<IpAddress>& local) const = 0;
  /// Asked before each "invalid token", which it counts; false: the fleet breaker is open, and nobody hears it.
  [[nodiscard]] virtual bool may_say_invalid(const IpAddress& address, Instant now) = 0;
  /// A device has proved its token from there.
  virtual void remember_address(const IpAddress& address) = 0;
  virtual bool push_value(DeviceId device, std::uint8_t pin, std::string_view value) = 0;
  virtual bool push_internal(DeviceId device, std::string_view words) = 0;
};

/// One client of /api/v1/stream. `on_message` may block (store): call it on Lane::api. `poll` never does: call it on the loop, at
/// least every 200 ms; it appends text messages to send. Both may run at the same time.
class StreamSession {
 public:
  virtual ~StreamSession() = default;
  virtual void on_message(std::string_view text) = 0;
  /// False: close the connection after sending what was appended.
  [[nodiscard]] virtual bool poll(Instant now, std::vector<std::string>& out) = 0;
};

/// Every HTTP route. Handlers are plain functions; one table says path, method, permission and where each runs.
class Api {
 public:
  struct Dependencies {
    domain::Store& store;
    domain::Views& views;
    domain::SessionRegistry& sessions;
    domain::ValueCache& values;
    domain::PresenceQueue& presence;
    domain::TimelineQueue& timeline;
    DeviceLink& devices;
    const KeyRing& keys;
    Random& random;  ///< Thread-safe.
    const Clock& clock;
    Metrics& metrics;
  };
  Api(Dependencies dependencies, ApiOptions options);
  ~Api();

  /// How long the body of a request with this header may be, before it is read: little for whom nobody has vouched for.
  [[nodiscard]] std::size_t body_max_bytes(const Request& header) const noexcept;
  /// On a loop: answers what memory can answer (health, isHardwareConnected, get, update of known values, refusals). Never blocks.
  /// False: run `handle` on `lane(request)`.
  [[nodiscard]] bool answer_from_memory(const Request& request, Response& response);
  [[nodiscard]] Lane lane(const Request& request) const noexcept;
  /// On a worker; blocks.
  [[nodiscard]] Response handle(const Request& request);
  /// What to answer when the lane's queue is full, or the server is not ready: 503 in the shape of the path.
  [[nodiscard]] Response unavailable(const Request& request) const;

  /// Upgrade of /api/v1/stream. nullptr: answer `refusal`. May be called on a loop (checks cookie and Origin from memory or defers to the first message).
  [[nodiscard]] std::unique_ptr<StreamSession> open_stream(const Request& request, Response& refusal);
  /// What sessions and handlers report changed rows to.
  [[nodiscard]] domain::LiveFeed& live_feed() noexcept;
  /// Roles, users or organizations changed: open streams are checked again at their next poll.
  void permissions_changed() noexcept;
  /// Access tokens of this user (none: of anybody) were made or ended: streams opened with one that is gone end. Blocks (store).
  void access_tokens_changed(UserId user);
  void device_gone(DeviceId device) noexcept;
  /// Writes down when API keys were used. Blocks (store); run it now and then.
  void write_key_uses();
  void provision_session_changed(const domain::ProvisionSession& session);
  /// Tells live streams of new lines in timelines. Blocks (store); call it about twice a second, on any one thread.
  void follow_timeline();

  struct RouteInfo {
    std::string method, path, permission;
  };
  [[nodiscard]] static std::vector<RouteInfo> routes();  ///< For the test that compares them with openapi.yaml.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::api
