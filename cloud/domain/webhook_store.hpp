// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "cloud/base/result.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/store_types.hpp"
#include "cloud/domain/webhook.hpp"

namespace muster::domain {

/// Webhooks, and their deliveries on the way.
/// A part of Store, with its rules: see there. What a backend does not override is unavailable.
///
/// Operations that section 9 names leave a row in the event feed, in their transaction, if a webhook waits for such an event. The feed is
/// turned into deliveries by `fan_out_events`.
class WebhookStore {
 public:
  virtual ~WebhookStore() = default;

  /// Errors: not_found (organization), limit_reached.
  virtual Result<Webhook> create_webhook(const Webhook& /*webhook*/, const Actor& /*actor*/) { return StoreError::unavailable; }
  /// Writes everything but id, organization, creator and what deliveries count. One that is enabled again starts without failures.
  /// Errors: not_found.
  virtual Result<Webhook> update_webhook(const Webhook& /*webhook*/, const Actor& /*actor*/) { return StoreError::unavailable; }
  /// Its deliveries go with it. Errors: not_found.
  virtual Result<void> delete_webhook(WebhookId /*id*/, const Actor& /*actor*/) { return StoreError::unavailable; }
  virtual Result<std::optional<Webhook>> find_webhook(WebhookId /*id*/) {
    return Result<std::optional<Webhook>>{boost::system::in_place_error, make_error_code(StoreError::unavailable)};
  }
  virtual Result<PageOf<Webhook>> webhooks(OrganizationId /*organization*/, const Page& /*page*/) { return StoreError::unavailable; }

  struct FanOut {
    std::size_t events = 0, deliveries = 0, dropped = 0;  ///< dropped: their webhook had too many waiting.
  };
  /// Makes a delivery for every webhook that waits for one of the next events, and moves the feed's cursor, in one transaction.
  virtual Result<FanOut> fan_out_events(std::size_t /*limit*/) { return StoreError::unavailable; }
  /// Deliveries whose time has come, of webhooks that are enabled (tests and replays: of any), at most `per_webhook` of each.
  virtual Result<std::vector<Delivery>> due_deliveries(UtcTime /*now*/, std::size_t /*per_webhook*/,
                                                       std::span<const WebhookId> /*except*/) {
    return StoreError::unavailable;
  }
  /// Errors: not_found (deleted meanwhile), wrong_state (it has ended).
  virtual Result<DeliveryEnd> note_attempt(DeliveryId /*id*/, const DeliveryAttempt& /*attempt*/) { return StoreError::unavailable; }
  /// A delivery of made-up facts. Errors: not_found, limit_reached.
  virtual Result<Delivery> create_test_delivery(WebhookId /*id*/, const Actor& /*actor*/) { return StoreError::unavailable; }
  /// The same message once more, with the same message id. Errors: not_found, wrong_state (it is on its way), limit_reached.
  virtual Result<Delivery> replay_delivery(DeliveryId /*id*/, const Actor& /*actor*/) { return StoreError::unavailable; }
  virtual Result<std::optional<Delivery>> find_delivery(DeliveryId /*id*/) {
    return Result<std::optional<Delivery>>{boost::system::in_place_error, make_error_code(StoreError::unavailable)};
  }
  virtual Result<PageOf<Delivery>> deliveries(WebhookId /*id*/, std::optional<DeliveryState> /*state*/,
                                              const Page& /*page*/) {  ///< Newest first.
    return StoreError::unavailable;
  }
  /// Deletes deliveries from before that time that have ended, or whose webhook is disabled; at most `limit` in one transaction; how many.
  virtual Result<std::size_t> trim_deliveries(UtcTime /*before*/, std::size_t /*limit*/) { return StoreError::unavailable; }
};

}  // namespace muster::domain
