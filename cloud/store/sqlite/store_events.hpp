// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "cloud/domain/timeline.hpp"
#include "cloud/domain/webhook.hpp"
#include "cloud/store/sqlite/store_impl.hpp"

/// What operations leave behind besides their audit entry: lines in a device's timeline, and rows in the feed that webhooks are fired
/// from. Both in the operation's transaction. Beside Transaction::audit and Transaction::change.
namespace muster::store {

/// A line by the cloud; `organization` is the device's.
[[nodiscard]] Result<void> add_system_line(Transaction& transaction, DeviceId device, OrganizationId organization, std::string_view code,
                                           UtcTime at, UserId user = {}, std::string_view description = {});
/// Every line of the device goes.
[[nodiscard]] Result<void> erase_timeline(Transaction& transaction, DeviceId device);

/// Something that webhooks may wait for.
struct FeedEvent {
  domain::Trigger event = domain::Trigger::test;
  UtcTime at;
  OrganizationId organization_id;  ///< Where it happened; none: where the device or user is.
  DeviceId device_id;
  UserId user_id;
  std::int64_t pin = -1;
  std::string_view code;  ///< Of a logged event.
};
/// Leaves a row in the feed if any webhook waits for such an event; costs one look-up else. Call it while the device or user still is
/// there: the row holds what placeholders stand for. `more`: facts besides.
[[nodiscard]] Result<void> push_event(Transaction& transaction, const FeedEvent& event, const JsonText& more = {});
/// Whether an enabled webhook waits for such events: to go without collecting facts of many rows.
[[nodiscard]] Result<bool> is_awaited(Connection& connection, domain::Trigger event);

/// A device exists and is active: its line and DEVICE_ADDED.
[[nodiscard]] Result<void> note_device_added(Transaction& transaction, const domain::Device& device, UtcTime at);

}  // namespace muster::store
