// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "cloud/api/api.hpp"
#include "cloud/api/idempotency.hpp"
#include "cloud/api/job_runner.hpp"
#include "cloud/api/key_uses.hpp"
#include "cloud/api/rate_limit.hpp"
#include "cloud/api/sign_in_throttle.hpp"
#include "cloud/api/stream/stream_hub.hpp"

namespace muster::api {

inline constexpr std::string_view access_token_domain = "access-token";
inline constexpr std::string_view auth_token_domain = "auth-token";
inline constexpr std::string_view session_cookie = "muster_session";

/// Tokens that positively are none, per address and minute: look-ups that cost the store something. Devices and people are counted
/// apart: a retired device that goes on asking must not lock out who works behind the same address.
inline constexpr unsigned unknown_tokens_per_minute = 120;

/// Of one address.
inline constexpr unsigned link_requests_per_hour = 20, unknown_links_per_hour = 30;

/// What every handler may use. Built by Api, borrowed by handlers for the call.
struct Core {
  Core(const Api::Dependencies& dependencies, ApiOptions given)
      : store{dependencies.store},
        views{dependencies.views},
        sessions{dependencies.sessions},
        values{dependencies.values},
        presence{dependencies.presence},
        timeline{dependencies.timeline},
        devices{dependencies.devices},
        keys{dependencies.keys},
        random{dependencies.random},
        clock{dependencies.clock},
        metrics{dependencies.metrics},
        options{std::move(given)},
        sign_in_throttle{options.sign_in_failures_per_address, options.sign_in_block},
        known_device_throttle{options.sign_in_failures_per_address, options.sign_in_block},
        organization_rate{options.requests_per_minute_per_organization, std::chrono::seconds{60}},
        program_rate{1, std::chrono::seconds{60}},
        updates{options.updates_per_day_per_device, std::chrono::hours{24}},
        provision_tokens{options.provision_tokens_per_hour_per_user, std::chrono::hours{1}},
        provision_requests{options.provision_requests_per_hour_per_device, std::chrono::hours{1}},
        links_per_address{link_requests_per_hour, std::chrono::hours{1}},
        links_per_email{1, std::chrono::seconds{60}},
        unknown_links{unknown_links_per_hour, std::chrono::hours{1}},
        unknown_access_tokens{unknown_tokens_per_minute, std::chrono::seconds{60}},
        unknown_auth_tokens{unknown_tokens_per_minute, std::chrono::seconds{60}},
        stream{StreamHub::Dependencies{store, views, sessions, values, keys, clock, metrics},
               StreamLimits{options.stream_clients_max, options.stream_rows_max}},
        jobs{JobRunner::Dependencies{store, views, values, stream, clock}} {}

  domain::Store& store;
  domain::Views& views;
  domain::SessionRegistry& sessions;
  domain::ValueCache& values;
  domain::PresenceQueue& presence;
  domain::TimelineQueue& timeline;
  DeviceLink& devices;
  const KeyRing& keys;
  Random& random;
  const Clock& clock;
  Metrics& metrics;
  const ApiOptions options;

  SignInThrottle sign_in_throttle;
  SignInThrottle known_device_throttle;  ///< By the mark of a device that signed in before.
  RateLimit organization_rate;
  RateLimit program_rate;        ///< By API key or OAuth2 client; the limit is given with each request.
  RateLimit updates;             ///< By device.
  RateLimit provision_tokens;    ///< By user.
  RateLimit provision_requests;  ///< By device.
  RateLimit links_per_address;   ///< Resets and sign-ups that strangers ask for.
  RateLimit links_per_email;     ///< A person's mailbox is not to be filled.
  RateLimit unknown_links;       ///< By address: links that are none.
  RateLimit unknown_access_tokens, unknown_auth_tokens;
  Idempotency idempotency;
  KeyUses key_uses;
  StreamHub stream;
  JobRunner jobs;  ///< Its thread uses all of these: the last one made, the first one gone.
};

}  // namespace muster::api
