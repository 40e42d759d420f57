// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/router.hpp"

namespace muster::api {

namespace {

using domain::Permission;
using namespace fields;

Response get_audit(Context& context) {
  Core& core = context.core;
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  std::vector<OrganizationId> organizations{context.organization};
  if (context.arguments.flag("includeSubOrgs")) {
    organizations.clear();
    for (const OrganizationId id : core.views.directory.subtree(context.organization)) {
      if (core.views.directory.permissions_in(context.caller, id).has(domain::Permission::audit_view)) organizations.push_back(id);
    }
  }
  domain::Store::AuditFilter filter;
  filter.organizations = organizations;
  filter.action = context.arguments.text("action").value_or("");
  if (filter.action.size() > 100) return invalid_value("action", "An action has at most 100 bytes.");
  filter.from = {context.arguments.integer("from").value_or(0)};
  filter.to = {context.arguments.integer("to").value_or(0)};
  if (filter.from.ms < 0) return invalid_value("from", "A time is Unix milliseconds, 0 or more.");
  if (filter.to.ms < 0) return invalid_value("to", "A time is Unix milliseconds, 0 or more.");
  const auto found = core.store.audit(filter, page);
  if (!found) return error_response(found.error());
  JsonWriter json;
  json.object().array("content");
  for (const auto& entry : found->rows) {
    json.object()
        .add("id", entry.id.value())
        .add("at", entry.at.ms)
        .add("actorId", entry.actor_user_id.value())
        .add("client", entry.client)
        .add("ip", entry.ip)
        .add("orgId", entry.organization_id.value())
        .add("action", entry.action)
        .add("objectKind", entry.object_kind)
        .add("objectId", entry.object_id);
    const ParsedJson detail = parse_json(entry.detail);
    json.add_raw("detail", detail.problem == JsonProblem::none && detail.value.kind == Json::Kind::object ? to_text(detail.value) : "{}")
        .end_object();
  }
  json.end_array().add("totalElements", found->total).end_object();
  return json_response(200, json.take());
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field audit_fields[] = {
    org_id, query_flag("includeSubOrgs"), query_text("action"), query_integer("from"), query_integer("to"), page, size};

constexpr Route routes[] = {
    {Method::get, "/api/v1/audit", on_organization(Permission::audit_view), Lane::api, audit_fields, get_audit},
};

}  // namespace

std::span<const Route> audit_routes() noexcept { return routes; }

}  // namespace muster::api
