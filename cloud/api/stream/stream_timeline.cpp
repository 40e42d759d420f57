// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <span>

#include "cloud/api/stream/stream_client.hpp"
#include "cloud/api/stream/stream_text.hpp"
#include "cloud/api/timeline_json.hpp"

/// Lines of timelines as they are written: of named devices, or of an organization's.
namespace muster::api {

namespace {
constexpr std::size_t timeline_devices_max = 100;  // Of one subscription.
constexpr std::int64_t lines_in_snapshot = 50;     // Of each device.
constexpr std::size_t lines_at_once = 1'000;
}  // namespace

// --- the hub ---------------------------------------------------------------------------------------------------------------------

bool StreamHub::begin_timeline() {
  const std::lock_guard lock{timeline_mutex_};
  if (timeline_watchers_ == 0) {
    const auto newest = d_.store.newest_timeline();
    if (!newest) return false;
    timeline_seen_ = *newest;
  }
  ++timeline_watchers_;
  return true;
}

void StreamHub::end_timeline() {
  const std::lock_guard lock{timeline_mutex_};
  --timeline_watchers_;
}

void StreamHub::follow_timeline() {
  std::vector<domain::TimelineEntry> lines;
  {
    const std::lock_guard lock{timeline_mutex_};
    if (timeline_watchers_ == 0) return;
    auto found = d_.store.timeline_after(timeline_seen_, lines_at_once);
    if (!found || found->empty()) return;
    lines = std::move(*found);
    timeline_seen_ = lines.back().id;
  }
  for (const auto& line : lines) timeline_changed(line);
}

void StreamHub::timeline_changed(const domain::TimelineEntry& entry) {
  const std::lock_guard lock{mutex_};
  for (const auto& [client, who] : clients_) {
    if (who.user) client->offer_line(entry);
  }
}

// --- a client --------------------------------------------------------------------------------------------------------------------

void StreamClient::subscribe_timeline(const Json& message, const std::string& id) {
  const Json* device_ids = message.find("deviceIds");
  const Json* organization_given = message.find("orgId");
  const Json* snapshot = message.find("snapshot");
  if ((device_ids == nullptr) == (organization_given == nullptr)) return fail(id, "invalid_value", "Give either deviceIds or orgId.");
  if (snapshot != nullptr && snapshot->kind != Json::Kind::boolean) return fail(id, "wrong_type", "snapshot must be true or false.");
  domain::Caller caller;
  {
    const std::lock_guard lock{mutex_};
    caller = *caller_;
  }
  const domain::Directory& directory = hub_.d_.views.directory;
  Subscription subscription;
  subscription.kind = Kind::timeline;
  std::vector<DeviceId> devices;
  if (device_ids != nullptr) {
    if (device_ids->kind != Json::Kind::array) return fail(id, "wrong_type", "Field \"deviceIds\" must be an array.");
    if (device_ids->items.size() > timeline_devices_max)
      return fail(id, "limit_reached", "One subscription follows the timelines of at most 100 devices.");
    for (const Json& item : device_ids->items) {
      if (item.kind != Json::Kind::integer) return fail(id, "wrong_type", "deviceIds must hold integers.");
      const bool possible = item.integer > 0 && item.integer <= INT32_MAX;
      const DeviceId device{possible ? static_cast<std::int32_t>(item.integer) : 0};
      if (!possible || !directory.device_access(caller, device).see)
        return fail(id, "not_found", "There is no device " + std::to_string(item.integer) + ", or you may not see it.");
      devices.push_back(device);
    }
    std::sort(devices.begin(), devices.end());
    subscription.timeline_devices = devices;
  } else {
    if (organization_given->kind != Json::Kind::integer) return fail(id, "wrong_type", "Field \"orgId\" must be an integer.");
    const bool possible = organization_given->integer > 0 && organization_given->integer <= INT32_MAX;
    subscription.session_organization = OrganizationId{possible ? static_cast<std::int32_t>(organization_given->integer) : 0};
    if (!possible || !directory.in_subtree(subscription.session_organization, caller.organization_id))
      return fail(id, "not_found", "There is no such organization, or you may not see it.");
  }
  if (!hub_.begin_timeline()) return fail(id, "unavailable", "The server cannot reach its store now; try again soon.");
  bool added = false;
  {
    const std::lock_guard lock{mutex_};
    if (subscriptions_.contains(id)) {
      queue_locked(error_text(id, "conflicting_field", "There is a subscription with this id already."));
    } else if (subscriptions_.size() >= hub_.limits_.subscriptions_max) {
      queue_locked(error_text(id, "limit_reached", "Too many subscriptions."));
    } else {
      subscription.live = true;
      subscriptions_.emplace(id, std::move(subscription));
      wants_lines_.store(true, std::memory_order_release);
      added = true;
    }
  }
  if (!added) return hub_.end_timeline();
  if (snapshot != nullptr && !snapshot->boolean) return;
  std::vector<domain::TimelineEntry> lines;
  for (const DeviceId device : devices) {
    domain::TimelineFilter filter;
    filter.device = device;
    domain::Page page;
    page.limit = lines_in_snapshot;
    auto found = hub_.d_.store.timeline(filter, page);
    if (!found) {
      if (remove_subscription(id)) fail(id, "unavailable", "The server cannot reach its store now; subscribe again soon.");
      return;
    }
    std::move(found->rows.begin(), found->rows.end(), std::back_inserter(lines));
  }
  const std::lock_guard lock{mutex_};
  std::vector<std::string> rows;
  for (const auto& line : lines) {
    if (directory.device_access(*caller_, line.device_id).see) rows.push_back(timeline_text(line));
  }
  queue_locked(rows_text("snapshot", id, cursor(), rows, true));
  rows_waiting_ = true;
}

void StreamClient::offer_line(const domain::TimelineEntry& entry) {
  if (!wants_lines_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock{sessions_mutex_};
  if (lines_offered_.size() >= hub_.limits_.sessions_pending_max) {
    sessions_lost_ = true;
    return;
  }
  lines_offered_.insert_or_assign(entry.id, entry);
}

void StreamClient::send_lines(std::vector<std::string>& out) {
  if (!wants_lines_.load(std::memory_order_acquire)) return;
  std::map<TimelineId, domain::TimelineEntry> offered;
  bool lost = false;
  {
    const std::lock_guard lock{sessions_mutex_};
    offered.swap(lines_offered_);
    lost = std::exchange(sessions_lost_, false);
  }
  if (lost) out.push_back(reset_text("cursor_unknown"));  // Who wants to know more asks for the timeline.
  for (auto& [id, subscription] : subscriptions_) {
    if (subscription.kind != Kind::timeline) continue;
    std::vector<std::string> rows;
    for (const auto& [line_id, line] : offered) {
      const auto access = hub_.d_.views.directory.device_access(*caller_, line.device_id);
      const bool wanted = subscription.session_organization ? access.place.organization_id == subscription.session_organization
                                                            : std::binary_search(subscription.timeline_devices.begin(),
                                                                                 subscription.timeline_devices.end(), line.device_id);
      if (access.see && wanted) rows.push_back(timeline_text(line));
    }
    const std::span<const std::string> all{rows};
    for (std::size_t at = 0; at < all.size(); at += hub_.limits_.rows_per_message) {
      out.push_back(
          rows_text("delta", id, cursor(), all.subspan(at, std::min(hub_.limits_.rows_per_message, all.size() - at)), std::nullopt));
    }
  }
}

}  // namespace muster::api
