// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cloud/api/router.hpp"
#include "cloud/domain/rules.hpp"

/// Roles: which there are is said in the root organization, what they allow in each organization.
namespace muster::api {
namespace {

using domain::Permission;
using domain::PermissionSet;
using domain::Role;
using Place = Field::Place;
using namespace fields;

constexpr std::size_t role_name_size_max = 60;

void write_role(JsonWriter& json, const Context& context, const Role& role) {
  const auto own =
      std::find_if(role.values.begin(), role.values.end(), [&](const auto& each) { return each.organization_id == context.organization; });
  json.object()
      .add("id", role.id.value())
      .add("name", role.name)
      .add("isBuiltin", role.is_builtin)
      .add("orgId", context.organization.value());
  json.add("isInherited", own == role.values.end()).array("permissions");
  const PermissionSet there =
      own != role.values.end() ? own->here : context.core.views.directory.role_values(role.id, context.organization);
  for (std::uint8_t i = 0; i < domain::permission_count; ++i) {
    const auto permission = static_cast<Permission>(i);
    if (there.has(permission)) json.item(domain::permission_name(permission));
  }
  json.end_array().end_object();
}

Response role_response(Context& context, unsigned status, const Role& role) {
  (void)context.core.views.catch_up();
  JsonWriter json;
  write_role(json, context, role);
  return json_response(status, json.take());
}

struct FoundRole {
  std::optional<Role> role;
  std::optional<Response> refusal;
};
FoundRole find_role(Context& context, std::string_view field = "roleId") {
  auto roles = context.core.store.roles();
  if (!roles) return {std::nullopt, error_response(roles.error())};
  for (auto& role : *roles) {
    if (role.id.value() == context.arguments.integer(field)) return {std::move(role), std::nullopt};
  }
  return {std::nullopt, not_found()};
}

/// The names in an array argument. A response: it holds something else.
std::optional<Response> read_permissions(const Context& context, std::string_view field, PermissionSet& out) {
  const Json* given = context.arguments.find(field);
  if (given == nullptr) return std::nullopt;
  for (const Json& item : given->items) {
    const auto permission = item.kind == Json::Kind::text ? domain::parse_permission(item.text) : std::nullopt;
    if (!permission) return invalid_value(field, "A permission is one of those that docs/permissions.md names.");
    out.add(*permission);
  }
  return std::nullopt;
}

std::optional<Response> read_name(const Context& context, std::string& out) {
  out = domain::trim(*context.arguments.text("name"));
  const bool control = std::any_of(out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (out.empty() || out.size() > role_name_size_max || control)
    return invalid_value("name", "A role's name has 1 to 60 bytes and no control characters.");
  return std::nullopt;
}

/// Which roles there are is the same for the whole tree.
std::optional<Response> refuse_outside_root(const Context& context) {
  const auto organization = context.core.views.directory.organization(context.organization);
  if (organization && !organization->parent_id) return std::nullopt;
  return error_response(403, "root_organization_only", "Roles are made, named and deleted in the root organization.");
}

Response exceeds_own() {
  return error_response(403, "role_exceeds_own", "You can only grant what you may do yourself, in every organization that it is for.");
}

/// Nobody grants in an organization what he may not do there.
bool may_grant(const Context& context, OrganizationId organization, PermissionSet before, PermissionSet after) {
  const PermissionSet added{after.bits() & ~before.bits()};
  return added.bits() == 0 || context.core.views.directory.permissions_in(context.caller, organization).contains(added);
}

Response get_roles(Context& context) {
  const auto roles = context.core.store.roles();
  if (!roles) return error_response(roles.error());
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  JsonWriter json;
  json.object().array("content");
  const auto total = static_cast<std::int64_t>(roles->size());
  for (std::int64_t i = page.offset; i < std::min(total, page.offset + page.limit); ++i)
    write_role(json, context, (*roles)[static_cast<std::size_t>(i)]);
  json.end_array().add("totalElements", static_cast<std::int64_t>(roles->size())).end_object();
  return json_response(200, json.take());
}

Response get_role(Context& context) {
  const FoundRole found = find_role(context);
  if (!found.role) return *found.refusal;
  JsonWriter json;
  write_role(json, context, *found.role);
  return json_response(200, json.take());
}

Response create_role(Context& context) {
  if (auto refused = refuse_outside_root(context)) return std::move(*refused);
  std::string name;
  if (auto refused = read_name(context, name)) return std::move(*refused);
  PermissionSet wanted;
  if (auto refused = read_permissions(context, "permissions", wanted)) return std::move(*refused);
  wanted = domain::with_what_it_needs(wanted);
  if (!context.permissions.contains(wanted)) return exceeds_own();
  const auto made = context.core.store.create_role(name, wanted, context.actor());
  return made ? role_response(context, 201, *made) : error_response(made.error());
}

Response put_role_name(Context& context) {
  if (auto refused = refuse_outside_root(context)) return std::move(*refused);
  std::string name;
  if (auto refused = read_name(context, name)) return std::move(*refused);
  const FoundRole found = find_role(context);
  if (!found.role) return *found.refusal;
  const auto renamed = context.core.store.rename_role(found.role->id, name, context.actor());
  return renamed ? role_response(context, 200, *renamed) : error_response(renamed.error());
}

/// The set that a request asks for, closed under the dependencies: what is revoked takes its dependents along, what is granted brings
/// what it needs.
std::optional<Response> read_wanted(const Context& context, PermissionSet present, PermissionSet& out) {
  const auto& arguments = context.arguments;
  const bool whole = arguments.find("permissions") != nullptr;
  if (whole == (arguments.find("grant") != nullptr || arguments.find("revoke") != nullptr))
    return invalid_value("permissions", "Give either permissions, or grant and revoke.");
  PermissionSet all, grant, revoke;
  for (const auto& [field, set] : {std::pair{"permissions", &all}, {"grant", &grant}, {"revoke", &revoke}}) {
    if (auto refused = read_permissions(context, field, *set)) return refused;
  }
  if (grant.intersect(revoke).bits() != 0) return invalid_value("grant", "A permission is either granted or revoked.");
  if (whole) {
    out = domain::with_what_it_needs(all);
    return std::nullopt;
  }
  const PermissionSet left = domain::without_dependents(PermissionSet{present.bits() & ~revoke.bits()});
  out = domain::with_what_it_needs(PermissionSet{left.bits() | grant.bits()});
  if (out.intersect(revoke).bits() != 0) return invalid_value("grant", "What is granted needs a permission that is revoked.");
  return std::nullopt;
}

Response put_role_permissions(Context& context) {
  const auto& directory = context.core.views.directory;
  const FoundRole found = find_role(context);
  if (!found.role) return *found.refusal;
  const RoleId role = found.role->id;
  PermissionSet wanted;
  if (auto refused = read_wanted(context, directory.role_values(role, context.organization), wanted)) return std::move(*refused);
  const bool beneath = context.arguments.flag("applyToSubOrgs");
  if (!may_grant(context, context.organization, directory.role_values(role, context.organization), wanted)) return exceeds_own();
  if (beneath) {
    for (const OrganizationId each : directory.subtree(context.organization)) {
      if (!may_grant(context, each, directory.role_values(role, each), wanted)) return exceeds_own();
    }
  }
  const auto set = context.core.store.set_role_values(context.organization, role, wanted, beneath, context.actor());
  return set ? role_response(context, 200, *set) : error_response(set.error());
}

Response delete_role(Context& context) {
  if (auto refused = refuse_outside_root(context)) return std::move(*refused);
  const FoundRole found = find_role(context);
  if (!found.role) return *found.refusal;
  const FoundRole replacement = find_role(context, "replacementRoleId");
  if (!replacement.role) return invalid_value("replacementRoleId", "There is no such role.");
  // Whoever has it has the other one from then on, wherever he is.
  const auto& directory = context.core.views.directory;
  for (const OrganizationId each : directory.subtree(context.organization)) {
    if (!may_grant(context, each, directory.role_values(found.role->id, each), directory.role_values(replacement.role->id, each)))
      return exceeds_own();
  }
  const auto deleted = context.core.store.delete_role(found.role->id, replacement.role->id, context.actor());
  return deleted ? no_content() : error_response(deleted.error());
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field role_id{"roleId", FieldType::integer, Place::both, true};
constexpr Field roles_fields[] = {org_id, page, size};
constexpr Field role_fields[] = {org_id, role_id};
constexpr Field role_create_fields[] = {org_id, text("name", true), list("permissions")};
constexpr Field role_name_fields[] = {org_id, role_id, text("name", true)};
constexpr Field role_permissions_fields[] = {org_id, role_id, list("permissions"), list("grant"), list("revoke"), flag("applyToSubOrgs")};
constexpr Field role_delete_fields[] = {org_id, role_id, {"replacementRoleId", FieldType::integer, Place::both, true}};

/// Whoever invites people chooses a role for them.
constexpr Rule may_see_roles = on_organization(Permission::role_view, Permission::user_invite);

constexpr Route routes[] = {
    {Method::get, "/api/v1/roles", may_see_roles, Lane::api, roles_fields, get_roles},
    {Method::get, "/api/v1/role", may_see_roles, Lane::api, role_fields, get_role},
    {Method::post, "/api/v1/role/create", on_organization(Permission::role_create), Lane::api, role_create_fields, create_role},
    {Method::put, "/api/v1/role/name", on_organization(Permission::role_edit), Lane::api, role_name_fields, put_role_name},
    {Method::put, "/api/v1/role/permissions", on_organization(Permission::role_edit), Lane::api, role_permissions_fields,
     put_role_permissions},
    {Method::delete_, "/api/v1/role", on_organization(Permission::role_delete), Lane::api, role_delete_fields, delete_role},
};

}  // namespace

std::span<const Route> role_routes() noexcept { return routes; }

}  // namespace muster::api
