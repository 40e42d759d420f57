// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/permission.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

namespace muster::domain {
namespace {

/// docs/protocol/cloud-model.md section 4, written by hand: y in the order Admin, Staff, User, and what is left in a personal organization.
struct Line {
  std::string_view name;
  std::string_view who;  ///< "ASUP" or '-'.
};
constexpr Line lines[] = {
    {"OWN_DEVICES_VIEW", "ASUP"},
    {"OWN_DEVICES_CONTROL", "ASUP"},
    {"OWN_DEVICES_EDIT", "ASUP"},
    {"OWN_DEVICES_DELETE", "ASUP"},
    {"PROVISION_DEVICES", "ASUP"},
    {"ORG_DEVICES_VIEW", "AS-P"},
    {"ORG_DEVICES_CONTROL", "AS-P"},
    {"ORG_DEVICES_EDIT", "AS-P"},
    {"ORG_DEVICES_DELETE", "AS-P"},
    {"ORG_DEVICES_CREATE", "AS-P"},
    {"MANAGE_STATIC_TOKENS", "A---"},
    {"STATIC_TOKENS_STATION", "A---"},
    {"AUTH_TOKEN_VIEW", "AS-P"},
    {"AUTH_TOKEN_EDIT", "A--P"},
    {"DEVICE_TRANSFER", "AS-P"},
    {"DEVICE_DATA_DELETE", "ASUP"},
    {"ORG_VIEW_USERS", "AS-P"},
    {"USER_INVITE", "AS-P"},
    {"USER_EDIT", "A--P"},
    {"USER_DELETE", "A--P"},
    {"USER_TRANSFER", "A---"},
    {"USER_SUSPEND", "A--P"},
    {"USER_PASSWORD", "A--P"},
    {"USER_FORCE_LOGOUT", "A--P"},
    {"ORG_SWITCH", "AS--"},
    {"ORG_CREATE", "A---"},
    {"ORG_EDIT", "A---"},
    {"ORG_DELETE", "A---"},
    {"ORG_TRANSFER", "A---"},
    {"TEMPLATE_VIEW", "ASUP"},
    {"TEMPLATE_CREATE", "A---"},
    {"TEMPLATE_EDIT", "A---"},
    {"TEMPLATE_DELETE", "A---"},
    {"OTA_VIEW", "AS--"},
    {"OTA_START", "A---"},
    {"OTA_STOP", "A---"},
    {"ROLE_VIEW", "A--P"},
    {"ROLE_EDIT", "A---"},
    {"ROLE_CREATE", "A---"},
    {"ROLE_DELETE", "A---"},
    {"MANAGE_WEB_HOOK", "A---"},
    {"OAUTH_VIEW", "A---"},
    {"OAUTH_CREATE", "A---"},
    {"OAUTH_EDIT", "A---"},
    {"OAUTH_DELETE", "A---"},
    {"AUDIT_VIEW", "A--P"},
    {"PROVISION_SESSIONS_VIEW", "AS-P"},
};

TEST(Permission, BuiltInRolesHoldWhatTheTableSays) {
  ASSERT_EQ(std::size(lines), permission_count);
  for (std::size_t i = 0; i < std::size(lines); ++i) {
    const auto permission = static_cast<Permission>(i);
    EXPECT_EQ(permission_name(permission), lines[i].name);
    EXPECT_EQ(builtin_role_permissions(admin_role).has(permission), lines[i].who[0] == 'A') << lines[i].name;
    EXPECT_EQ(builtin_role_permissions(staff_role).has(permission), lines[i].who[1] == 'S') << lines[i].name;
    EXPECT_EQ(builtin_role_permissions(user_role).has(permission), lines[i].who[2] == 'U') << lines[i].name;
    EXPECT_EQ(personal_admin_cap().has(permission), lines[i].who[3] == 'P') << lines[i].name;
  }
  EXPECT_EQ(builtin_role_permissions(RoleId{4}), PermissionSet{});
  EXPECT_EQ(builtin_role_permissions(admin_role).bits() >> permission_count, 0u);
}

TEST(Permission, NamesGoBothWaysAndAreDistinct) {
  std::set<std::string_view> seen;
  for (std::uint8_t i = 0; i < permission_count; ++i) {
    const auto permission = static_cast<Permission>(i);
    EXPECT_TRUE(seen.insert(permission_name(permission)).second);
    EXPECT_EQ(parse_permission(permission_name(permission)), permission);
  }
  EXPECT_EQ(parse_permission("own_devices_view"), std::nullopt);
  EXPECT_EQ(parse_permission(""), std::nullopt);
  EXPECT_EQ(permission_name(static_cast<Permission>(permission_count)), "");
}

TEST(Permission, EveryEditComesWithItsView) {
  // docs/protocol/cloud-model.md section 4, dependent permissions.
  using enum Permission;
  for (const auto set : {builtin_role_permissions(admin_role), builtin_role_permissions(staff_role), builtin_role_permissions(user_role),
                         personal_admin_cap()}) {
    for (const auto& [edit, view] : {std::pair{own_devices_edit, own_devices_view},
                                     {org_devices_edit, org_devices_view},
                                     {auth_token_edit, auth_token_view},
                                     {user_edit, org_view_users},
                                     {user_invite, org_view_users},
                                     {template_edit, template_view},
                                     {role_edit, role_view},
                                     {oauth_edit, oauth_view},
                                     {org_create, org_switch},
                                     {org_edit, org_switch},
                                     {org_delete, org_switch}}) {
      EXPECT_TRUE(!set.has(edit) || set.has(view)) << permission_name(edit);
    }
  }
}

}  // namespace
}  // namespace muster::domain
