// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cloud/api/router.hpp"

namespace muster::api {

namespace {

using domain::Permission;
using namespace fields;

constexpr std::int64_t export_rows_max = 50'000, export_page = 1'000;

/// Which entries; `organizations` is what the filter borrows.
std::optional<Response> read_filter(const Context& context, std::vector<OrganizationId>& organizations,
                                    domain::Store::AuditFilter& filter) {
  const domain::Directory& directory = context.core.views.directory;
  organizations = {context.organization};
  if (context.arguments.flag("includeSubOrgs")) {
    organizations.clear();
    for (const OrganizationId id : directory.subtree(context.organization)) {
      if (directory.permissions_in(context.caller, id).has(Permission::audit_view)) organizations.push_back(id);
    }
  }
  filter.organizations = organizations;
  filter.action = context.arguments.text("action").value_or("");
  if (filter.action.size() > 100) return invalid_value("action", "An action has at most 100 bytes.");
  filter.from = {context.arguments.integer("from").value_or(0)};
  filter.to = {context.arguments.integer("to").value_or(0)};
  if (filter.from.ms < 0) return invalid_value("from", "A time is Unix milliseconds, 0 or more.");
  if (filter.to.ms < 0) return invalid_value("to", "A time is Unix milliseconds, 0 or more.");
  const auto id = [&](std::string_view name) { return context.arguments.integer(name).value_or(0); };
  for (const std::string_view name : {"actorId", "objectId", "before"}) {
    if (id(name) < 0) return invalid_value(name, "An id is 1 or more.");
  }
  filter.actor = UserId{id("actorId")};
  filter.object_id = id("objectId");
  filter.before = AuditId{id("before")};
  filter.object_kind = context.arguments.text("objectKind").value_or("");
  if (filter.object_kind.size() > 100) return invalid_value("objectKind", "A kind has at most 100 bytes.");
  filter.text = context.arguments.text("query").value_or("");
  if (filter.text.size() > 255) return invalid_value("query", "query has at most 255 bytes.");
  return std::nullopt;
}

Response get_audit(Context& context) {
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  page.query.clear();  // The filter's.
  std::vector<OrganizationId> organizations;
  domain::Store::AuditFilter filter;
  if (auto refused = read_filter(context, organizations, filter)) return std::move(*refused);
  const auto found = context.core.store.audit(filter, page);
  if (!found) return error_response(found.error());
  JsonWriter json;
  json.object().array("content");
  for (const auto& entry : found->rows) {
    json.object()
        .add("id", entry.id.value())
        .add("at", entry.at.ms)
        .add("actorId", entry.actor_user_id.value())
        .add("apiKeyId", entry.api_key_id.value())
        .add("oauthClientId", entry.oauth_client_id.value())
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

// --- as CSV ---------------------------------------------------------------------------------------------------------------------

/// In quotes. A cell that a spreadsheet would compute gets a ' in front; a row stays one line.
void append_cell(std::string& out, std::string_view text) {
  out += '"';
  if (!text.empty() && std::string_view{"=+-@\t\r\n"}.find(text[0]) != std::string_view::npos) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c == '\n' || c == '\r' || c == '\0' ? ' ' : c;
  }
  out += '"';
}

void append_row(std::string& out, const domain::AuditEntry& entry) {
  for (const std::int64_t number : {entry.id.value(), entry.at.ms, entry.actor_user_id.value(), std::int64_t{entry.api_key_id.value()},
                                    std::int64_t{entry.oauth_client_id.value()}})
    out.append(std::to_string(number)).append(",");
  append_cell(out, entry.client);
  out += ',';
  append_cell(out, entry.ip);
  out.append(",").append(std::to_string(entry.organization_id.value())).append(",");
  append_cell(out, entry.action);
  out += ',';
  append_cell(out, entry.object_kind);
  out.append(",").append(std::to_string(entry.object_id)).append(",");
  append_cell(out, entry.detail);
  out += "\r\n";
}

Response get_audit_export(Context& context) {
  const std::int64_t wanted = context.arguments.integer("size").value_or(export_rows_max);
  if (wanted < 1 || wanted > export_rows_max) return invalid_value("size", "size must be 1 to 50000.");
  std::vector<OrganizationId> organizations;
  domain::Store::AuditFilter filter;
  if (auto refused = read_filter(context, organizations, filter)) return std::move(*refused);
  filter.count = false;
  std::string csv = "id,at,actorId,apiKeyId,oauthClientId,client,ip,orgId,action,objectKind,objectId,detail\r\n";
  std::int64_t rows = 0;
  while (rows < wanted) {
    domain::Page page;
    page.limit = std::min(export_page, wanted - rows);
    const auto found = context.core.store.audit(filter, page);
    if (!found) return error_response(found.error());
    for (const auto& entry : found->rows) append_row(csv, entry);
    rows += static_cast<std::int64_t>(found->rows.size());
    if (static_cast<std::int64_t>(found->rows.size()) < page.limit) break;
    filter.before = found->rows.back().id;
  }
  // First noted, then shown: nobody takes the log away unseen.
  const domain::Actor actor = context.actor();
  domain::AuditEntry noted;
  noted.at = actor.at;
  noted.actor_user_id = actor.user_id;
  noted.api_key_id = actor.api_key_id;
  noted.oauth_client_id = actor.oauth_client_id;
  noted.client = actor.client;
  noted.ip = actor.ip;
  noted.organization_id = context.organization;
  noted.action = "audit.export";
  noted.object_kind = "organization";
  noted.object_id = context.organization.value();
  JsonWriter detail;
  noted.detail = detail.object().add("rows", rows).add("includeSubOrgs", context.arguments.flag("includeSubOrgs")).end_object().take();
  if (const auto written = context.core.store.append_audit(noted); !written) return error_response(written.error());
  Response response;
  response.content_type = "text/csv; charset=utf-8";
  response.body = std::move(csv);
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("Content-Disposition", "attachment; filename=\"audit.csv\"");
  return response;
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field audit_fields[] = {org_id,
                                  query_flag("includeSubOrgs"),
                                  query_text("action"),
                                  query_integer("from"),
                                  query_integer("to"),
                                  query_integer("actorId"),
                                  query_text("objectKind"),
                                  query_integer("objectId"),
                                  search,
                                  query_integer("before"),
                                  page,
                                  size};
constexpr Field audit_export_fields[] = {org_id,
                                         query_flag("includeSubOrgs"),
                                         query_text("action"),
                                         query_integer("from"),
                                         query_integer("to"),
                                         query_integer("actorId"),
                                         query_text("objectKind"),
                                         query_integer("objectId"),
                                         search,
                                         query_integer("before"),
                                         size};

constexpr Route routes[] = {
    {Method::get, "/api/v1/audit", on_organization(Permission::audit_view), Lane::api, audit_fields, get_audit},
    {Method::get, "/api/v1/audit/export", on_organization(Permission::audit_view), Lane::api, audit_export_fields, get_audit_export},
};

}  // namespace

std::span<const Route> audit_routes() noexcept { return routes; }

}  // namespace muster::api
