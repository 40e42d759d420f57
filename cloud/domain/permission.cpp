// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/permission.hpp"

#include <array>
#include <cstddef>

namespace muster::domain {

namespace {

/// By bit number: names of the API, docs/protocol/cloud-model.md section 4.
constexpr std::array<std::string_view, permission_count> names = {
    "OWN_DEVICES_VIEW",
    "OWN_DEVICES_CONTROL",
    "OWN_DEVICES_EDIT",
    "OWN_DEVICES_DELETE",
    "PROVISION_DEVICES",
    "ORG_DEVICES_VIEW",
    "ORG_DEVICES_CONTROL",
    "ORG_DEVICES_EDIT",
    "ORG_DEVICES_DELETE",
    "ORG_DEVICES_CREATE",
    "MANAGE_STATIC_TOKENS",
    "STATIC_TOKENS_STATION",
    "AUTH_TOKEN_VIEW",
    "AUTH_TOKEN_EDIT",
    "DEVICE_TRANSFER",
    "DEVICE_DATA_DELETE",
    "ORG_VIEW_USERS",
    "USER_INVITE",
    "USER_EDIT",
    "USER_DELETE",
    "USER_TRANSFER",
    "USER_SUSPEND",
    "USER_PASSWORD",
    "USER_FORCE_LOGOUT",
    "ORG_SWITCH",
    "ORG_CREATE",
    "ORG_EDIT",
    "ORG_DELETE",
    "ORG_TRANSFER",
    "TEMPLATE_VIEW",
    "TEMPLATE_CREATE",
    "TEMPLATE_EDIT",
    "TEMPLATE_DELETE",
    "OTA_VIEW",
    "OTA_START",
    "OTA_STOP",
    "ROLE_VIEW",
    "ROLE_EDIT",
    "ROLE_CREATE",
    "ROLE_DELETE",
    "MANAGE_WEB_HOOK",
    "OAUTH_VIEW",
    "OAUTH_CREATE",
    "OAUTH_EDIT",
    "OAUTH_DELETE",
    "AUDIT_VIEW",
    "PROVISION_SESSIONS_VIEW",
};

template <class... P>
constexpr PermissionSet set_of(P... permissions) noexcept {
  PermissionSet set;
  (set.add(permissions), ...);
  return set;
}

using enum Permission;

constexpr PermissionSet all{(std::uint64_t{1} << permission_count) - 1};

constexpr PermissionSet staff =
    set_of(own_devices_view, own_devices_control, own_devices_edit, own_devices_delete, provision_devices, org_devices_view,
           org_devices_control, org_devices_edit, org_devices_delete, org_devices_create, auth_token_view, device_transfer,
           device_data_delete, org_view_users, user_invite, org_switch, template_view, ota_view, provision_sessions_view);

/// DEVICE_DATA_DELETE reaches only devices that the caller may see, and a User sees only its own.
constexpr PermissionSet user = set_of(own_devices_view, own_devices_control, own_devices_edit, own_devices_delete, provision_devices,
                                      device_data_delete, template_view);

/// Own devices, provisioning, claiming, own users, and what these need (to see templates and roles, the log). USER_TRANSFER and
/// ORG_* would lead out of the personal organization; OTA belongs to the maker of the product.
constexpr PermissionSet personal =
    set_of(own_devices_view, own_devices_control, own_devices_edit, own_devices_delete, provision_devices, org_devices_view,
           org_devices_control, org_devices_edit, org_devices_delete, org_devices_create, auth_token_view, auth_token_edit, device_transfer,
           device_data_delete, org_view_users, user_invite, user_edit, user_delete, user_suspend, user_password, user_force_logout,
           template_view, role_view, audit_view, provision_sessions_view);

/// docs/protocol/cloud-model.md section 4, dependent permissions: each of `dependents` is worth nothing without one of `either`, of which
/// the first is what granting brings along.
struct Dependency {
  PermissionSet dependents;
  std::array<Permission, 2> either;
};
constexpr Dependency dependencies[] = {
    {set_of(own_devices_control, own_devices_edit, own_devices_delete), {own_devices_view, own_devices_view}},
    {set_of(org_devices_control, org_devices_edit, org_devices_delete), {org_devices_view, org_devices_view}},
    {set_of(provision_devices, org_devices_create, manage_static_tokens, static_tokens_station, auth_token_view, auth_token_edit,
            device_transfer, device_data_delete),
     {own_devices_view, org_devices_view}},
    {set_of(auth_token_edit), {auth_token_view, auth_token_view}},
    {set_of(user_invite, user_edit, user_delete, user_transfer, user_suspend, user_password, user_force_logout),
     {org_view_users, org_view_users}},
    {set_of(org_create, org_edit, org_delete, org_transfer), {org_switch, org_switch}},
    {set_of(template_create, template_edit, template_delete), {template_view, template_view}},
    {set_of(ota_start, ota_stop), {ota_view, ota_view}},
    {set_of(role_edit, role_create, role_delete), {role_view, role_view}},
    {set_of(oauth_create, oauth_edit, oauth_delete), {oauth_view, oauth_view}},
};

bool is_met(const Dependency& dependency, PermissionSet set) noexcept {
  return set.has(dependency.either[0]) || set.has(dependency.either[1]);
}

template <class Each>
void for_each_permission(PermissionSet set, Each each) {
  for (std::uint8_t i = 0; i < permission_count; ++i) {
    if (set.has(static_cast<Permission>(i))) each(static_cast<Permission>(i));
  }
}

}  // namespace

std::string_view permission_name(Permission permission) noexcept {
  const auto index = static_cast<std::size_t>(permission);
  return index < names.size() ? names[index] : std::string_view{};
}

std::optional<Permission> parse_permission(std::string_view name) noexcept {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<Permission>(i);
  }
  return std::nullopt;
}

PermissionSet builtin_role_permissions(RoleId role) noexcept {
  if (role == admin_role) return all;
  if (role == staff_role) return staff;
  if (role == user_role) return user;
  return {};
}

PermissionSet personal_admin_cap() noexcept { return personal; }

PermissionSet with_what_it_needs(PermissionSet set) noexcept {
  for (bool grew = true; grew;) {
    grew = false;
    for (const auto& each : dependencies) {
      if (set.intersect(each.dependents).bits() == 0 || is_met(each, set)) continue;
      set.add(each.either[0]);
      grew = true;
    }
  }
  return set;
}

PermissionSet without_dependents(PermissionSet set) noexcept {
  for (bool shrank = true; shrank;) {
    shrank = false;
    for (const auto& each : dependencies) {
      if (set.intersect(each.dependents).bits() == 0 || is_met(each, set)) continue;
      set = PermissionSet{set.bits() & ~each.dependents.bits()};
      shrank = true;
    }
  }
  return set;
}

std::string permission_markdown() {
  std::string text = "| permission | Admin | Staff | User | left in a PERSONAL organization | needs |\n|---|---|---|---|---|---|\n";
  for_each_permission(all, [&](Permission permission) {
    text.append("| ").append(permission_name(permission)).append(" |");
    for (const auto set : {all, staff, user, personal}) text += set.has(permission) ? " yes |" : " - |";
    std::string needs;
    for (const auto& each : dependencies) {
      if (!each.dependents.has(permission)) continue;
      needs.append(needs.empty() ? "" : "; ").append(permission_name(each.either[0]));
      if (each.either[1] != each.either[0]) needs.append(" or ").append(permission_name(each.either[1]));
    }
    text.append(" ").append(needs.empty() ? "-" : needs).append(" |\n");
  });
  return text;
}

}  // namespace muster::domain
