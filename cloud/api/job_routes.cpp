// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "cloud/api/router.hpp"

/// Jobs: the same thing done to many devices, chosen by id or by what they have in common.
namespace muster::api {
namespace {

using domain::Permission;
using Place = Field::Place;
using namespace fields;

constexpr std::array<std::pair<JobAction, std::string_view>, 4> action_names{{{JobAction::transfer, "transfer"},
                                                                              {JobAction::remove_owner, "remove-owner"},
                                                                              {JobAction::erase, "erase"},
                                                                              {JobAction::remove, "delete"}}};

std::string_view state_name(JobState state) noexcept {
  switch (state) {
    case JobState::waiting: return "WAITING";
    case JobState::running: return "RUNNING";
    case JobState::done: return "DONE";
    case JobState::canceled: return "CANCELED";
  }
  return "";
}

void write_job(JsonWriter& json, const Job& job) {
  json.object().add("jobId", job.id);
  for (const auto& [action, name] : action_names) {
    if (action == job.action) json.add("action", name);
  }
  json.add("state", state_name(job.state))
      .add("total", static_cast<std::int64_t>(job.total))
      .add("done", static_cast<std::int64_t>(job.done))
      .add("failed", static_cast<std::int64_t>(job.failed))
      .add("createdAt", job.created_at.ms)
      .add("endedAt", job.ended_at.ms)
      .array("failures");
  for (const auto& each : job.failures)
    json.object().add("deviceId", each.device.value()).add("message", each.error.message()).end_object();
  json.end_array().end_object();
}

Response job_response(unsigned status, const Job& job) {
  JsonWriter json;
  write_job(json, job);
  return json_response(status, json.take());
}

/// The devices that the request names, in the order given and each once.
std::optional<Response> read_ids(const Json& list, std::vector<DeviceId>& out) {
  for (const Json& item : list.items) {
    if (item.kind != Json::Kind::integer || item.integer < 1 || item.integer > std::numeric_limits<DeviceId::rep>::max())
      return invalid_value("deviceIds", "deviceIds holds ids of devices.");
    out.push_back(DeviceId{static_cast<DeviceId::rep>(item.integer)});
  }
  std::vector<DeviceId> sorted = out;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) return invalid_value("deviceIds", "An id is there twice.");
  return std::nullopt;
}

/// All devices that a list with this filter would show, over all its pages.
std::optional<Response> select(Context& context, std::vector<DeviceId>& out) {
  Core& core = context.core;
  const auto& directory = core.views.directory;
  domain::DeviceFilter filter;
  if (const auto owner = context.arguments.integer("ownerId")) filter.owner = UserId{*owner};
  if (const Json* wanted = context.arguments.find("templateId")) {
    const auto published = usable_template(core, *wanted, context.organization);
    if (!published) return not_found();
    filter.template_id = published->id;
  }
  std::vector<OrganizationId> organizations{context.organization};
  if (context.arguments.flag("includeSubOrgDevices")) organizations = directory.subtree(context.organization);
  std::erase_if(organizations,
                [&](OrganizationId id) { return !directory.permissions_in(context.caller, id).has(Permission::org_devices_view); });
  if (organizations.empty()) {
    if (filter.owner && filter.owner != context.caller.user_id) return std::nullopt;
    organizations.push_back(context.organization);
    filter.owner = context.caller.user_id;
  }
  filter.organizations = organizations;
  domain::Page page;
  page.limit = page_size_max;
  page.query = context.arguments.text("query").value_or("");
  if (page.query.size() > 255) return invalid_value("query", "query has at most 255 bytes.");
  for (;; page.offset += page.limit) {
    const auto found = core.store.devices(filter, page);
    if (!found) return error_response(found.error());
    if (static_cast<std::size_t>(found->total) > core.jobs.limits().devices_max) return error_response(domain::DomainError::limit_reached);
    for (const auto& device : found->rows) out.push_back(device.id);
    if (found->rows.size() < static_cast<std::size_t>(page.limit)) return std::nullopt;
  }
}

Response start_job(Context& context) {
  const auto& arguments = context.arguments;
  const auto word = arguments.text("action");
  const auto known = std::find_if(action_names.begin(), action_names.end(), [&](const auto& each) { return each.second == *word; });
  if (known == action_names.end()) return invalid_value("action", "action is transfer, remove-owner, erase or delete.");
  JobRequest request;
  request.user = context.caller.user_id;
  request.action = known->first;
  const domain::Actor actor = context.actor();
  request.client = actor.client;
  request.ip = actor.ip;
  const bool to_organization = arguments.find("toOrgId") != nullptr, to_owner = arguments.find("toOwnerId") != nullptr;
  if (request.action == JobAction::transfer) {
    if (to_organization == to_owner) return invalid_value("toOrgId", "A transfer goes either toOrgId or toOwnerId.");
    auto refused = to_owner ? read_new_owner(context, "toOwnerId", request.to)
                            : read_organization(context, "toOrgId", Permission::device_transfer, request.to.organization);
    if (refused) return std::move(*refused);
  } else if (to_organization || to_owner) {
    return invalid_value("toOrgId", "Only a transfer goes anywhere.");
  }
  const Json* const ids = arguments.find("deviceIds");
  bool filtered = false;
  for (const auto* field : {"includeSubOrgDevices", "ownerId", "templateId", "query"})
    filtered = filtered || arguments.find(field) != nullptr;
  if (ids != nullptr && filtered) return invalid_value("deviceIds", "Give either deviceIds or what the devices have in common.");
  if (auto refused = ids != nullptr ? read_ids(*ids, request.devices) : select(context, request.devices)) return std::move(*refused);
  const auto started = context.core.jobs.start(std::move(request));
  return started ? job_response(202, *started) : error_response(started.error());
}

Response get_job(Context& context) {
  const auto job = context.core.jobs.find(context.caller.user_id, context.arguments.integer("jobId").value_or(0));
  return job ? job_response(200, *job) : not_found();
}

Response get_jobs(Context& context) {
  const auto jobs = context.core.jobs.of_user(context.caller.user_id);
  JsonWriter json;
  json.object().array("content");
  for (const auto& job : jobs) write_job(json, job);
  json.end_array().add("totalElements", static_cast<std::int64_t>(jobs.size())).end_object();
  return json_response(200, json.take());
}

Response cancel_job(Context& context) {
  const auto id = context.arguments.integer("jobId").value_or(0);
  if (context.core.jobs.cancel(context.caller.user_id, id)) return no_content();
  return context.core.jobs.find(context.caller.user_id, id) ? error_response(domain::DomainError::wrong_state) : not_found();
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field job_id{"jobId", FieldType::integer, Place::query, true};
constexpr Field job_fields[] = {job_id};
constexpr Field bulk_fields[] = {org_id,
                                 text("action", true),
                                 list("deviceIds"),
                                 flag("includeSubOrgDevices"),
                                 integer("ownerId"),
                                 {"templateId", FieldType::integer_or_text, Place::body},
                                 text("query"),
                                 integer("toOrgId"),
                                 integer("toOwnerId")};

constexpr Route routes[] = {
    {Method::post, "/api/v1/organization/device/bulk",
     people_only(on_organization(Permission::org_devices_view, Permission::own_devices_view)), Lane::api, bulk_fields, start_job},
    {Method::get, "/api/v1/job", signed_in(), Lane::api, job_fields, get_job},
    {Method::get, "/api/v1/jobs", signed_in(), Lane::api, {}, get_jobs},
    {Method::delete_, "/api/v1/job", signed_in(), Lane::api, job_fields, cancel_job},
};

}  // namespace

std::span<const Route> job_routes() noexcept { return routes; }

}  // namespace muster::api
