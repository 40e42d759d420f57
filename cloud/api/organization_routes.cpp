// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <utility>

#include "cloud/api/router.hpp"
#include "cloud/base/time_zone_name.hpp"
#include "cloud/domain/rules.hpp"

namespace muster::api {
namespace {

using domain::Permission;
using Place = Field::Place;
using namespace fields;

using domain::OrganizationType;
constexpr std::array<std::pair<OrganizationType, std::string_view>, 8> type_names{{{OrganizationType::root, "ROOT"},
                                                                                   {OrganizationType::business, "BUSINESS"},
                                                                                   {OrganizationType::personal, "PERSONAL"},
                                                                                   {OrganizationType::branch, "BRANCH"},
                                                                                   {OrganizationType::distributor, "DISTRIBUTOR"},
                                                                                   {OrganizationType::contractor, "CONTRACTOR"},
                                                                                   {OrganizationType::installer, "INSTALLER"},
                                                                                   {OrganizationType::reseller, "RESELLER"}}};

void write_organization(JsonWriter& json, const domain::Organization& organization) {
  json.object()
      .add("id", organization.id.value())
      .add("parentId", organization.parent_id.value())
      .add("name", organization.name)
      .add("description", organization.description);
  for (const auto& [type, name] : type_names) {
    if (type == organization.type) json.add("type", name);
  }
  json.add("canCreateSubOrgs", organization.can_create_sub_organizations).add("timeZone", organization.time_zone);
  if (organization.group == domain::OrganizationGroup::clients) json.add("group", "CLIENTS");
  if (organization.group == domain::OrganizationGroup::partners) json.add("group", "PARTNERS");
  json.add("deviceLimit", organization.devices_max);
  write_home(json, organization.home);
  json.add("createdAt", organization.created_at.ms).add("updatedAt", organization.updated_at.ms).end_object();
}

Response organization_response(unsigned status, const domain::Organization& organization) {
  JsonWriter json;
  write_organization(json, organization);
  return json_response(status, json.take());
}

Response list_response(std::vector<domain::Organization> rows, const domain::Page& page) {
  const std::string wanted = domain::lower_ascii(page.query);
  if (!wanted.empty())
    std::erase_if(rows, [&](const auto& row) { return domain::lower_ascii(row.name).find(wanted) == std::string::npos; });
  std::sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) {
    const auto& [x, y] = page.descending ? std::tie(b, a) : std::tie(a, b);
    if (page.sort_by == "name" && x.name != y.name) return x.name < y.name;
    if (page.sort_by == "createdAt" && x.created_at != y.created_at) return x.created_at < y.created_at;
    return x.id < y.id;
  });
  const auto total = static_cast<std::int64_t>(rows.size());
  JsonWriter json;
  json.object().array("content");
  for (std::int64_t i = page.offset; i < std::min(total, page.offset + page.limit); ++i)
    write_organization(json, rows[static_cast<std::size_t>(i)]);
  json.end_array().add("totalElements", total).end_object();
  return json_response(200, json.take());
}

std::optional<OrganizationType> parse_type(std::string_view name) {
  for (const auto& [type, word] : type_names) {
    if (word == name && type != OrganizationType::root) return type;
  }
  return std::nullopt;
}

Response unknown_type() {
  return invalid_value("type", "type must be BUSINESS, PERSONAL, BRANCH, DISTRIBUTOR, CONTRACTOR, INSTALLER or RESELLER.");
}

bool has_control_characters(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r') || c == 0x7F; });
}

/// Name, description and time zone, as far as they are given.
std::optional<Response> read_fields(const Arguments& arguments, domain::OrganizationChange& change) {
  if (const auto name = arguments.text("name")) {
    change.name = domain::trim(*name);
    if (const auto complaint = domain::check_organization_name(*change.name)) return invalid_value("name", *complaint);
  }
  if (const auto description = arguments.text("description")) {
    if (description->size() > 1000) return invalid_value("description", "A description has at most 1000 bytes.");
    if (has_control_characters(*description)) return invalid_value("description", "A description has no control characters but line ends.");
    change.description = *description;
  }
  if (const auto zone = arguments.text("timeZone")) {
    if (const auto complaint = check_time_zone(*zone)) return invalid_value("timeZone", *complaint);
    change.time_zone = *zone;
  }
  return std::nullopt;
}

}  // namespace

void write_home(JsonWriter& json, const domain::Home& home) {
  if (home.host.empty()) return;
  json.object("home").add("host", home.host).add("portPlain", home.port_plain).add("portTls", home.port_tls).end_object();
}

std::optional<Response> read_home(const Json& object, domain::Home& home) {
  const auto port = [&](std::string_view name, std::uint16_t& out) -> std::optional<Response> {
    const Json* given = object.find(name);
    if (given == nullptr) return std::nullopt;
    if (given->integer < 1 || given->integer > 65'535) return invalid_value(name, "A port is 1 to 65535.");
    out = static_cast<std::uint16_t>(given->integer);
    return std::nullopt;
  };
  if (const Json* host = object.find("host")) home.host = domain::lower_ascii(domain::trim(host->text));
  if (auto refused = port("portPlain", home.port_plain)) return refused;
  if (auto refused = port("portTls", home.port_tls)) return refused;
  if (home.host.empty()) {
    home = {};
    return std::nullopt;
  }
  if (const auto complaint = domain::check_home(home)) return invalid_value("host", *complaint);
  return std::nullopt;
}

namespace {

Response get_organization(Context& context) {
  const auto found = context.core.views.directory.organization(context.organization);
  return found ? organization_response(200, *found) : not_found();
}

Response get_organization_profile(Context& context) { return get_organization(context); }

Response not_ones_own(std::string_view what) { return error_response(409, "own_organization", what); }

/// Type, limit and the right to divide itself: what only those above an organization decide, and of the root its own administrators.
std::optional<Response> read_fields_from_above(const Context& context, domain::OrganizationChange& change) {
  const auto& arguments = context.arguments;
  const auto type = arguments.text("type");
  const auto limit = arguments.integer("deviceLimit");
  const bool divides = arguments.find("canCreateSubOrgs") != nullptr;
  if (!type && !limit && !divides) return std::nullopt;
  const auto present = context.core.views.directory.organization(context.organization);
  if (!present) return not_found();
  if (context.organization == context.caller.organization_id && present->parent_id)
    return not_ones_own("type, canCreateSubOrgs and deviceLimit are set by an organization above.");
  if (type) {
    const auto known = parse_type(*type);
    if (!known) return unknown_type();
    change.type = *known;
  }
  if (divides) change.can_create_sub_organizations = arguments.flag("canCreateSubOrgs");
  if (limit && (*limit < 0 || *limit > INT32_MAX)) return invalid_value("deviceLimit", "deviceLimit is 0 (none) or more.");
  change.devices_max = limit;
  return std::nullopt;
}

Response put_organization(Context& context) {
  domain::OrganizationChange change;
  if (auto refused = read_fields(context.arguments, change)) return std::move(*refused);
  if (auto refused = read_fields_from_above(context, change)) return std::move(*refused);
  if (const Json* home = context.arguments.find("home")) {
    std::vector<Detail> details;
    check_members(*home, home_fields, "home", details);
    if (!details.empty()) {
      const std::string message = details.front().message;
      return error_response(400, "invalid_request", message, details);
    }
    // What the object leaves out stays as it is.
    const auto found = context.core.store.find_organization(context.organization);
    if (!found) return error_response(found.error());
    if (!*found) return not_found();
    change.home = (*found)->home;
    if (auto refused = read_home(*home, *change.home)) return std::move(*refused);
  }
  const auto updated = context.core.store.update_organization(context.organization, change, context.actor());
  return updated ? organization_response(200, *updated) : error_response(updated.error());
}

/// 409 with a line for each thing that is in the way.
Response still_in_use(const domain::OrganizationUse& use) {
  std::vector<Detail> details;
  const auto add = [&](std::string_view field, std::int64_t count, std::string_view what) {
    if (count != 0) details.push_back({std::string{field}, std::to_string(count) + std::string{what}});
  };
  add("subOrganizations", use.sub_organizations, " organizations are beneath it; delete or move them.");
  add("devices", use.devices, " devices belong to it; delete or transfer them.");
  add("templates", use.template_devices, " devices of other organizations follow its templates; delete them.");
  return error_response(409, "in_use", "The organization is still in use.", details);
}

Response delete_organization(Context& context) {
  if (context.organization == context.caller.organization_id) return not_ones_own("You cannot delete the organization you belong to.");
  const auto deleted = context.core.store.delete_organization(context.organization, context.actor_in(context.caller.organization_id));
  if (deleted) return no_content();
  if (deleted.error() != Error{domain::DomainError::in_use}) return error_response(deleted.error());
  const auto use = context.core.store.organization_use(context.organization);
  return use ? still_in_use(*use) : error_response(use.error());
}

/// Moves it under another one, with everything beneath it. The mover needs the right in both places.
Response transfer_organization(Context& context) {
  if (context.organization == context.caller.organization_id) return not_ones_own("You cannot move the organization you belong to.");
  OrganizationId parent;
  if (auto refused = read_organization(context, "parentId", Permission::org_transfer, parent)) return std::move(*refused);
  const auto moved = context.core.store.move_organization(context.organization, parent, context.actor());
  if (moved) return organization_response(200, *moved);
  if (moved.error() == Error{domain::DomainError::template_not_in_organization})
    return error_response(409, "template_not_available",
                          "Devices there follow a template that the new place could not use; move or delete them first.");
  if (moved.error() == Error{domain::DomainError::invalid_value})
    return invalid_value("parentId", "Only PERSONAL organizations are beneath a PERSONAL one.");
  return error_response(moved.error());
}

Response get_sub_organizations(Context& context) {
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  const auto& directory = context.core.views.directory;
  const bool recursive = context.arguments.flag("recursive");
  std::vector<domain::Organization> rows;
  for (const OrganizationId id : directory.subtree(context.organization)) {
    if (id == context.organization || directory.permissions_in(context.caller, id).bits() == 0) continue;
    auto row = directory.organization(id);
    if (row && (recursive || row->parent_id == context.organization)) rows.push_back(std::move(*row));
  }
  return list_response(std::move(rows), page);
}

Response search_organizations(Context& context) {
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  const auto& directory = context.core.views.directory;
  std::vector<domain::Organization> rows;
  for (const OrganizationId id : directory.subtree(context.organization)) {
    if (directory.permissions_in(context.caller, id).bits() == 0) continue;
    if (auto row = directory.organization(id)) rows.push_back(std::move(*row));
  }
  return list_response(std::move(rows), page);
}

Response create_organization(Context& context) {
  const auto parent = context.core.views.directory.organization(context.organization);
  if (!parent) return not_found();
  if (!parent->can_create_sub_organizations) return error_response(domain::DomainError::limit_reached);
  domain::Organization organization;
  organization.parent_id = context.organization;
  organization.time_zone = parent->time_zone;
  organization.type = parent->type == OrganizationType::personal ? OrganizationType::personal : OrganizationType::business;
  domain::OrganizationChange given;
  if (auto refused = read_fields(context.arguments, given)) return std::move(*refused);
  if (given.name) organization.name = std::move(*given.name);
  if (given.description) organization.description = std::move(*given.description);
  if (given.time_zone) organization.time_zone = std::move(*given.time_zone);
  if (const auto type = context.arguments.text("type")) {
    const auto known = parse_type(*type);
    if (!known) return unknown_type();
    if (parent->type == OrganizationType::personal && *known != OrganizationType::personal)
      return invalid_value("type", "An organization beneath a PERSONAL one is PERSONAL.");
    organization.type = *known;
  }
  organization.can_create_sub_organizations = context.arguments.flag("canCreateSubOrgs", true);
  const auto made = context.core.store.create_organization(organization, context.actor());
  return made ? organization_response(201, *made) : error_response(made.error());
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field organization_fields[] = {org_id};
constexpr Field organization_required_fields[] = {{"orgId", FieldType::integer, Place::both, true}};
constexpr Field organization_put_fields[] = {org_id,
                                             text("name"),
                                             text("description"),
                                             text("timeZone"),
                                             {"home", FieldType::object},
                                             text("type"),
                                             flag("canCreateSubOrgs"),
                                             integer("deviceLimit")};
constexpr Field organization_name_fields[] = {org_id, text("name", true)};
constexpr Field organization_transfer_fields[] = {{"orgId", FieldType::integer, Place::both, true}, integer("parentId", true)};
constexpr Field sub_organizations_fields[] = {org_id, query_flag("recursive"), page, size, sort_by, sort_order};
constexpr Field organization_search_fields[] = {org_id, search, page, size, sort_by, sort_order};
constexpr Field organization_create_fields[] = {org_id,           text("name", true), text("description"),
                                                text("timeZone"), text("type"),       flag("canCreateSubOrgs")};

constexpr Route routes[] = {
    {Method::get, "/api/v1/organization/profile", signed_in_or_program(), Lane::api, {}, get_organization_profile},
    {Method::get, "/api/v1/organization", on_organization(), Lane::api, organization_fields, get_organization},
    {Method::put, "/api/v1/organization", on_organization(Permission::org_edit), Lane::api, organization_put_fields, put_organization},
    {Method::delete_, "/api/v1/organization", on_organization(Permission::org_delete), Lane::api, organization_required_fields,
     delete_organization},
    {Method::get, "/api/v1/organization/sub-organizations", on_organization(), Lane::api, sub_organizations_fields, get_sub_organizations},
    {Method::get, "/api/v1/organization/search", on_organization(), Lane::api, organization_search_fields, search_organizations},
    {Method::post, "/api/v1/organization/create", on_organization(Permission::org_create), Lane::api, organization_create_fields,
     create_organization},
    {Method::put, "/api/v1/organization/edit/name", on_organization(Permission::org_edit), Lane::api, organization_name_fields,
     put_organization},
    {Method::post, "/api/v1/organization/transfer", on_organization(Permission::org_transfer), Lane::api, organization_transfer_fields,
     transfer_organization},
};

}  // namespace

std::span<const Route> organization_routes() noexcept { return routes; }

}  // namespace muster::api
