// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cloud/api/people/sign_in.hpp"
#include "cloud/api/router.hpp"
#include "cloud/base/password.hpp"
#include "cloud/base/time_zone_name.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/mail/address.hpp"

namespace muster::api {
namespace {

using domain::Permission;
using namespace fields;

constexpr std::int64_t inactive_after_ms = 30LL * 24 * 3'600'000;

std::string_view status_word(const domain::User& user, UtcTime now) {
  switch (user.status) {
    case domain::UserStatus::pending: return "Pending";
    case domain::UserStatus::suspended: return "Suspended";
    case domain::UserStatus::active: break;
  }
  const std::int64_t seen = std::max(user.last_logged_at.ms, user.created_at.ms);
  return now.ms - seen > inactive_after_ms ? "Inactive" : "Active";
}

void write_user(JsonWriter& json, const domain::User& user, UtcTime now) {
  json.object()
      .add("id", user.id.value())
      .add("orgId", user.organization_id.value())
      .add("roleId", user.role_id.value())
      .add("email", user.email)
      .add("name", user.name)
      .add("status", status_word(user, now))
      .add("locale", user.locale)
      .add("timeZone", user.time_zone)
      .add("createdAt", user.created_at.ms)
      .add("updatedAt", user.updated_at.ms)
      .add("lastLoggedAt", user.last_logged_at.ms)
      .end_object();
}

Response user_response(Context& context, unsigned status, const domain::User& user) {
  JsonWriter json;
  write_user(json, user, context.core.clock.utc_now());
  return json_response(status, json.take());
}

/// Name, locale and time zone, as far as they are given.
std::optional<Response> read_fields(const Arguments& arguments, domain::UserChange& change) {
  if (const auto name = arguments.text("name")) {
    change.name = domain::trim(*name);
    if (const auto complaint = domain::check_user_name(*change.name)) return invalid_value("name", *complaint);
  }
  if (const auto locale = arguments.text("locale")) {
    if (!is_locale(*locale)) return invalid_value("locale", "locale must be like en_US.");
    change.locale = *locale;
  }
  if (const auto zone = arguments.text("timeZone")) {
    if (const auto complaint = check_time_zone(*zone)) return invalid_value("timeZone", *complaint);
    change.time_zone = *zone;
  }
  return std::nullopt;
}

/// What a role allows in the target's organization (the values of that organization, capped in a PERSONAL one).
domain::PermissionSet values_of(const Context& context, RoleId role) {
  return context.core.views.directory.permissions_in({{}, context.organization, role}, context.organization);
}

}  // namespace

bool is_locale(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 16 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

RoleChoice read_role(Context& context, const std::vector<domain::Role>& roles, std::optional<RoleId> fallback) {
  const auto id = context.arguments.integer("roleId");
  const auto name = context.arguments.text("role");
  if (id && name) return {std::nullopt, invalid_value("role", "Give either roleId or role.")};
  if (!id && !name && !fallback) return {std::nullopt, invalid_value("roleId", "Give roleId or role.")};
  for (const auto& role : roles) {
    const bool chosen = id     ? role.id.value() == *id
                        : name ? domain::lower_ascii(role.name) == domain::lower_ascii(*name)
                               : role.id == *fallback;
    if (!chosen) continue;
    if (!context.permissions.contains(values_of(context, role.id)))
      return {std::nullopt, error_response(403, "role_exceeds_own", "This role allows more than you may do yourself there.")};
    return {role, std::nullopt};
  }
  return {std::nullopt, invalid_value(id ? "roleId" : "role", "There is no such role.")};
}

std::optional<Response> refuse_stronger(const Context& context) {
  if (context.permissions.contains(values_of(context, context.user->role_id))) return std::nullopt;
  return error_response(403, "role_exceeds_own", "This user's role allows more than you may do yourself there.");
}

namespace {

Response set_status(Context& context, domain::UserStatus status) {
  if (auto refused = refuse_stronger(context)) return std::move(*refused);
  if (context.user->id == context.caller.user_id) return error_response(409, "own_account", "You cannot disable yourself.");
  const auto found = context.core.store.find_user(context.user->id);
  if (!found) return error_response(found.error());
  if (!*found) return not_found();
  if ((*found)->status == status) return user_response(context, 200, **found);
  domain::UserChange change;
  change.status = status;
  const auto updated = context.core.store.update_user(context.user->id, change, context.actor());
  return updated ? user_response(context, 200, *updated) : error_response(updated.error());
}

Response get_users(Context& context) {
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  const auto found = context.core.store.users(context.organization, page);
  if (!found) return error_response(found.error());
  JsonWriter json;
  json.object().array("content");
  for (const auto& user : found->rows) write_user(json, user, context.core.clock.utc_now());
  json.end_array().add("totalElements", found->total).end_object();
  return json_response(200, json.take());
}

Response get_user(Context& context) {
  const auto found = context.core.store.find_user(context.user->id);
  if (!found) return error_response(found.error());
  return *found ? user_response(context, 200, **found) : not_found();
}

Response get_user_profile(Context& context) {
  const auto found = context.core.store.find_user(context.caller.user_id);
  if (!found) return error_response(found.error());
  return *found ? user_response(context, 200, **found) : not_found();
}

Response put_user(Context& context) {
  if (context.user->id != context.caller.user_id) {
    if (auto refused = refuse_stronger(context)) return std::move(*refused);
  }
  domain::UserChange change;
  if (auto refused = read_fields(context.arguments, change)) return std::move(*refused);
  const auto updated = context.core.store.update_user(context.user->id, change, context.actor());
  return updated ? user_response(context, 200, *updated) : error_response(updated.error());
}

Response delete_user(Context& context) {
  if (auto refused = refuse_stronger(context)) return std::move(*refused);
  if (context.user->id == context.caller.user_id) return error_response(409, "own_account", "You cannot delete yourself.");
  const auto deleted = context.core.store.delete_user(context.user->id, context.actor());
  return deleted ? no_content() : error_response(deleted.error());
}

Response create_user_in_organization(Context& context) {
  const std::string password = *context.arguments.text("password");
  domain::User user;
  user.organization_id = context.organization;
  user.email = mail::normal_address(*context.arguments.text("email"));
  user.status = domain::UserStatus::active;
  if (const auto complaint = domain::check_email(user.email)) return invalid_value("email", *complaint);
  if (const auto complaint = domain::check_password(password)) return invalid_value("password", *complaint);
  domain::UserChange given;
  if (auto refused = read_fields(context.arguments, given)) return std::move(*refused);
  if (given.name) user.name = std::move(*given.name);
  if (given.locale) user.locale = std::move(*given.locale);
  if (given.time_zone) user.time_zone = std::move(*given.time_zone);
  const auto roles = context.core.store.roles();
  if (!roles) return error_response(roles.error());
  RoleChoice choice = read_role(context, *roles, domain::user_role);
  if (choice.refusal) return std::move(*choice.refusal);
  user.role_id = choice.role->id;
  const std::string verifier = make_password_verifier(password_prehash(password, user.email));
  const auto made = context.core.store.create_user(user, verifier, context.actor());
  return made ? user_response(context, 201, *made) : error_response(made.error());
}

Response put_user_role(Context& context) {
  const auto roles = context.core.store.roles();
  if (!roles) return error_response(roles.error());
  if (auto refused = refuse_stronger(context)) return std::move(*refused);
  RoleChoice choice = read_role(context, *roles, std::nullopt);
  if (choice.refusal) return std::move(*choice.refusal);
  domain::UserChange change;
  change.role_id = choice.role->id;
  const auto updated = context.core.store.update_user(context.user->id, change, context.actor());
  return updated ? user_response(context, 200, *updated) : error_response(updated.error());
}

Response suspend_user(Context& context) { return set_status(context, domain::UserStatus::suspended); }
Response activate_user(Context& context) { return set_status(context, domain::UserStatus::active); }

Response put_user_password(Context& context) {
  Core& core = context.core;
  const std::string password = *context.arguments.text("password");
  if (const auto complaint = domain::check_password(password)) return invalid_value("password", *complaint);
  const bool own = context.user->id == context.caller.user_id;
  if (own) {
    const auto current = context.arguments.text("currentPassword");
    if (!current)
      return error_response(400, "missing_field", "Give currentPassword to change your own password.",
                            {{"currentPassword", "Field \"currentPassword\" is missing."}});
    const auto checked = check_own_password(core, context.request, *context.user, *current);
    if (const auto* refusal = std::get_if<Refusal>(&checked)) return response_of(*refusal);
  } else {
    if (auto refused = refuse_stronger(context)) return std::move(*refused);
  }
  const std::string verifier = make_password_verifier(password_prehash(password, context.user->email));
  // One's own session goes on, unless it was made under an older key: then its owner signs in again.
  std::optional<TokenDigest> keep;
  if (own) keep = context.access_digests.newest();
  const auto set = core.store.set_password(context.user->id, verifier, keep, context.actor());
  if (!set) return error_response(set.error());
  core.stream.access_tokens_changed(context.user->id);
  return no_content();
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field users_fields[] = {org_id, page, size, sort_by, sort_order};
constexpr Field users_search_fields[] = {org_id, search, page, size, sort_by, sort_order};
constexpr Field user_fields[] = {user_id};
constexpr Field user_put_fields[] = {user_id, text("name"), text("locale"), text("timeZone")};
constexpr Field user_create_fields[] = {org_id,       text("email", true),    text("name"),   integer("roleId"),
                                        text("role"), text("password", true), text("locale"), text("timeZone")};
constexpr Field user_role_fields[] = {user_id, integer("roleId"), text("role")};
constexpr Field user_password_fields[] = {user_id, text("password", true), text("currentPassword")};

constexpr Route routes[] = {
    {Method::get, "/api/v1/users", on_organization(Permission::org_view_users), Lane::api, users_fields, get_users},
    {Method::get, "/api/v1/search/users", on_organization(Permission::org_view_users), Lane::api, users_search_fields, get_users},
    {Method::get, "/api/v1/user", on_user_or_oneself(Permission::org_view_users), Lane::api, user_fields, get_user},
    {Method::put, "/api/v1/user", on_user_or_oneself(Permission::user_edit), Lane::api, user_put_fields, put_user},
    {Method::delete_, "/api/v1/user", on_user(Permission::user_delete), Lane::api, user_fields, delete_user},
    {Method::get, "/api/v1/user/profile", signed_in(), Lane::api, {}, get_user_profile},
    {Method::post, "/api/v1/users/create-in-org", on_organization(Permission::user_invite), Lane::password, user_create_fields,
     create_user_in_organization},
    {Method::put, "/api/v1/users/role", on_user(Permission::user_edit), Lane::api, user_role_fields, put_user_role},
    {Method::post, "/api/v1/user/suspend", on_user(Permission::user_suspend), Lane::api, user_fields, suspend_user},
    {Method::post, "/api/v1/user/activate", on_user(Permission::user_suspend), Lane::api, user_fields, activate_user},
    {Method::put, "/api/v1/user/password", on_user_or_oneself(Permission::user_password), Lane::password, user_password_fields,
     put_user_password},
};

}  // namespace

std::span<const Route> user_routes() noexcept { return routes; }

}  // namespace muster::api
