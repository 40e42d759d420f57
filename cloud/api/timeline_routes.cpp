// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/router.hpp"
#include "cloud/api/timeline_json.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/domain/timeline_queue.hpp"

namespace muster::api {

using domain::TimelineType;

std::string timeline_text(const domain::TimelineEntry& entry) {
  JsonWriter json;
  json.object()
      .add("id", entry.id.value())
      .add("deviceId", entry.device_id.value())
      .add("orgId", entry.organization_id.value())
      .add("at", entry.at.ms)
      .add("type", domain::timeline_type_name(entry.type))
      .add("code", entry.code)
      .add("name", entry.name)
      .add("description", entry.description)
      .add("userId", entry.user_id.value())
      .add("resolvedAt", entry.resolved_at.ms)
      .add("resolvedBy", entry.resolved_by.value())
      .add("resolveComment", entry.resolve_comment)
      .end_object();
  return json.take();
}

namespace {

using namespace fields;

Response get_timeline(Context& context) {
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  domain::TimelineFilter filter;
  filter.device = context.device;
  if (const auto name = context.arguments.text("type")) {
    filter.type = domain::parse_timeline_type(*name);
    if (!filter.type) return invalid_value("type", "A type is INFORMATION, WARNING, CRITICAL, CONTENT, ONLINE, OFFLINE or SYSTEM.");
  }
  filter.code = context.arguments.text("code").value_or("");
  if (filter.code.size() > domain::event_code_max_bytes) return invalid_value("code", "A code has at most 50 bytes.");
  filter.from = {context.arguments.integer("from").value_or(0)};
  filter.to = {context.arguments.integer("to").value_or(0)};
  if (filter.from.ms < 0) return invalid_value("from", "A time is Unix milliseconds, 0 or more.");
  if (filter.to.ms < 0) return invalid_value("to", "A time is Unix milliseconds, 0 or more.");
  const auto found = context.core.store.timeline(filter, page);
  if (!found) return error_response(found.error());
  std::string rows = "[";
  for (const auto& entry : found->rows) {
    if (rows.size() > 1) rows += ',';
    rows += timeline_text(entry);
  }
  JsonWriter json;
  json.object().add_raw("content", rows + ']').add("totalElements", found->total).end_object();
  return json_response(200, json.take());
}

Response trigger_event(Context& context) {
  Core& core = context.core;
  const auto published = core.views.directory.find_template(context.access.place.template_id);
  if (!published) return not_found();
  const std::string code = *context.arguments.text("code");
  const std::string description = context.arguments.text("description").value_or("");
  domain::TimelineNote note;
  using Verdict = domain::TimelineQueue::Verdict;
  switch (core.timeline.judge(*published, context.device, code, description, core.clock.utc_now(), note)) {
    case Verdict::accepted: break;
    case Verdict::unknown_code: return invalid_value("code", "The device's template has no such event that can be logged.");
    case Verdict::too_long: return invalid_value("description", "A description has at most 300 characters.");
    case Verdict::too_soon: return too_many("too_many_requests", "The same event was logged less than a second ago.", 1);
    case Verdict::too_many_today: return too_many("too_many_requests", "The device has logged as many events as it may today.", 3'600);
  }
  domain::TimelineEntry entry;
  entry.device_id = context.device;
  entry.at = note.at;
  entry.type = note.type;
  entry.code = note.code;
  entry.name = note.name;
  entry.description = note.description;
  entry.user_id = context.caller.user_id;
  const auto added = core.store.add_timeline(entry);
  return added ? json_response(201, timeline_text(*added)) : error_response(added.error());
}

Response resolve_event(Context& context) {
  const auto id = context.arguments.integer("eventId").value_or(0);
  const std::string comment = context.arguments.text("comment").value_or("");
  if (domain::character_count(comment) > domain::event_comment_max_chars)
    return invalid_value("comment", "A comment has at most 300 characters.");
  const auto resolved = context.core.store.resolve_timeline(context.device, TimelineId{id}, comment, context.actor());
  if (!resolved) return error_response(resolved.error());
  context.core.stream.timeline_changed(*resolved);
  return json_response(200, timeline_text(*resolved));
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field timeline_fields[] = {device_id, query_text("type"), query_text("code"), query_integer("from"), query_integer("to"), page,
                                     size};
constexpr Field trigger_fields[] = {device_id, text("code", true), text("description")};
constexpr Field resolve_fields[] = {device_id, integer("eventId", true), text("comment")};

constexpr Route routes[] = {
    {Method::get, "/api/v1/organization/device/timeline", on_device(DeviceRight::see), Lane::api, timeline_fields, get_timeline},
    {Method::post, "/api/v1/organization/device/trigger-event", on_device(DeviceRight::edit), Lane::api, trigger_fields, trigger_event},
    {Method::post, "/api/v1/organization/device/resolve-event", on_device(DeviceRight::edit), Lane::api, resolve_fields, resolve_event},
};

}  // namespace

std::span<const Route> timeline_routes() noexcept { return routes; }

}  // namespace muster::api
