// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/ids.hpp"
#include "cloud/domain/mail_store.hpp"

/// What other systems are told of, and how the telling stands. docs/protocol/cloud-model.md section 9.
namespace muster::domain {

/// What a webhook waits for. Values are stored: never renumber. Events of datastreams and of templates are one kind each (the name with
/// DEVICE_); the names with PRODUCT_ and GLOBAL_PRODUCT_ are wider ways of waiting for them.
enum class Trigger : std::uint8_t {
  new_user = 1,
  updated_user = 2,
  deleted_user = 3,
  device_added = 4,
  device_deleted = 5,
  first_device_connection = 6,
  first_device_connection_in_org = 7,
  organization_added = 8,
  device_datastream_update = 9,
  product_datastream_update = 10,
  global_product_datastream_update = 11,
  device_log_event = 12,
  product_log_event = 13,
  global_product_log_event = 14,
  device_claimed = 15,
  device_unclaimed = 16,
  device_transferred = 17,
  device_reprovisioned = 18,
  static_token_seen = 19,
  static_token_deleted = 20,
  token_rotated = 21,
  token_conflict = 22,
  provision_failed = 23,
  test = 24,  ///< Of a test delivery only.
};
inline constexpr std::uint8_t trigger_count = 24;
[[nodiscard]] std::string_view trigger_name(Trigger trigger) noexcept;  ///< "NEW_USER", ...
[[nodiscard]] std::optional<Trigger> parse_trigger(std::string_view name) noexcept;
/// The kind of event that this trigger waits for.
[[nodiscard]] Trigger event_of(Trigger trigger) noexcept;
/// What a webhook with this trigger has to name: nothing, a device, or a template.
enum class TriggerScope : std::uint8_t { organization, device, product };
[[nodiscard]] TriggerScope scope_of(Trigger trigger) noexcept;

enum class WebhookMethod : std::uint8_t { get = 0, post = 1, put = 2, patch = 3, delete_ = 4 };
[[nodiscard]] std::string_view webhook_method_name(WebhookMethod method) noexcept;
[[nodiscard]] std::optional<WebhookMethod> parse_webhook_method(std::string_view name) noexcept;
enum class WebhookAuth : std::uint8_t { none = 0, basic = 1, oauth2 = 2 };
[[nodiscard]] std::string_view webhook_auth_name(WebhookAuth auth) noexcept;
[[nodiscard]] std::optional<WebhookAuth> parse_webhook_auth(std::string_view name) noexcept;

struct Webhook {
  WebhookId id;
  OrganizationId organization_id;
  UserId created_by;  ///< Whose rights the placeholders have.
  std::string name;   ///< 1..80.
  Trigger trigger = Trigger::device_added;
  DeviceId device_id;                      ///< Only this device's events, when set ...
  TemplateId template_id;                  ///< ... only those of this template's devices ...
  std::int16_t pin = -1;                   ///< ... only this datastream's; -1: every one ...
  std::string event_code;                  ///< ... only events with this code; empty: every one.
  bool include_sub_organizations = false;  ///< Global triggers always do.
  std::string url;                         ///< At most 1024 bytes; a text with placeholders.
  WebhookMethod method = WebhookMethod::post;
  std::string content_type = "application/json";
  std::string body;  ///< At most 5 KB, with placeholders; empty: everything known of the event, as JSON.
  WebhookAuth auth = WebhookAuth::none;
  std::string sealed_secret;      ///< What deliveries are signed with.
  std::string sealed_headers;     ///< "Name: value" lines; may be empty.
  std::string sealed_auth;        ///< BASIC: user, password; OAUTH2: token URL, client id, secret, scope; a line each.
  std::string failure_receivers;  ///< Mail addresses, one a line; besides the creator.
  std::uint16_t fail_after = 5;   ///< Consecutive deliveries given up, after which it is disabled.
  bool enabled = true;
  std::uint16_t failures = 0;  ///< Consecutive deliveries given up.
  UtcTime disabled_at;         ///< When failures disabled it.
  UtcTime created_at, updated_at;
};

enum class DeliveryState : std::uint8_t { waiting = 0, delivered = 1, given_up = 2 };
[[nodiscard]] std::string_view delivery_state_name(DeliveryState state) noexcept;
[[nodiscard]] std::optional<DeliveryState> parse_delivery_state(std::string_view name) noexcept;

/// One event on its way to one webhook.
struct Delivery {
  DeliveryId id;
  WebhookId webhook_id;
  std::string message_id;  ///< As in the header webhook-id: the same in every attempt and replay.
  Trigger event = Trigger::test;
  OrganizationId organization_id;  ///< Where it happened.
  DeviceId device_id;
  std::string facts;  ///< JSON object of what the placeholders stand for.
  DeliveryState state = DeliveryState::waiting;
  DeliveryId replay_of;
  std::uint32_t attempts = 0;
  UtcTime created_at, next_at, last_attempt_at;
  std::uint16_t last_status = 0;  ///< HTTP status; 0: none came.
  std::string last_problem;       ///< Why the last attempt failed, for people; never a secret.
  std::string sealed_request;     ///< URL, a line end, and the body as first rendered; empty: not yet.
  std::string sealed_response;    ///< The first 16 KB of the last one.
};

struct DeliveryAttempt {
  bool succeeded = false;
  UtcTime at;
  std::uint16_t status = 0;
  std::string problem;
  std::string sealed_request, sealed_response;
  UtcTime next_at;               ///< When it failed and is to be tried again; 0: it is given up.
  std::vector<NewMail> notices;  ///< Queued if this is the attempt that disables its webhook, with that.
};
/// What became of a delivery.
enum class DeliveryEnd : std::uint8_t { none, delivered, given_up, disabled };  ///< disabled: given up, and the webhook with it.

inline constexpr std::size_t webhook_name_max_chars = 80;
inline constexpr std::size_t webhook_url_max_bytes = 1024;
inline constexpr std::size_t webhook_body_max_bytes = 5 * 1024;
inline constexpr std::size_t webhook_response_max_bytes = 16 * 1024;
inline constexpr std::size_t webhooks_per_organization_max = 200;
inline constexpr std::size_t deliveries_waiting_max = 20'000;  ///< Of one webhook; what comes then is let go, and counted.
inline constexpr std::size_t delivery_attempts_min = 15;
inline constexpr std::int64_t delivery_life_ms = 24LL * 3'600'000;

}  // namespace muster::domain
