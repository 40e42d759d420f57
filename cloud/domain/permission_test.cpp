// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/permission.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
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

/// docs/protocol/cloud-model.md section 4, dependent permissions, written by hand: who needs whom.
const std::multimap<std::string, std::string> needs = {
    {"OWN_DEVICES_CONTROL", "OWN_DEVICES_VIEW"},
    {"OWN_DEVICES_EDIT", "OWN_DEVICES_VIEW"},
    {"OWN_DEVICES_DELETE", "OWN_DEVICES_VIEW"},
    {"ORG_DEVICES_CONTROL", "ORG_DEVICES_VIEW"},
    {"ORG_DEVICES_EDIT", "ORG_DEVICES_VIEW"},
    {"ORG_DEVICES_DELETE", "ORG_DEVICES_VIEW"},
    {"PROVISION_DEVICES", "a device view"},
    {"ORG_DEVICES_CREATE", "a device view"},
    {"MANAGE_STATIC_TOKENS", "a device view"},
    {"STATIC_TOKENS_STATION", "a device view"},
    {"AUTH_TOKEN_VIEW", "a device view"},
    {"AUTH_TOKEN_EDIT", "a device view"},
    {"AUTH_TOKEN_EDIT", "AUTH_TOKEN_VIEW"},
    {"DEVICE_TRANSFER", "a device view"},
    {"DEVICE_DATA_DELETE", "a device view"},
    {"USER_INVITE", "ORG_VIEW_USERS"},
    {"USER_EDIT", "ORG_VIEW_USERS"},
    {"USER_DELETE", "ORG_VIEW_USERS"},
    {"USER_TRANSFER", "ORG_VIEW_USERS"},
    {"USER_SUSPEND", "ORG_VIEW_USERS"},
    {"USER_PASSWORD", "ORG_VIEW_USERS"},
    {"USER_FORCE_LOGOUT", "ORG_VIEW_USERS"},
    {"ORG_CREATE", "ORG_SWITCH"},
    {"ORG_EDIT", "ORG_SWITCH"},
    {"ORG_DELETE", "ORG_SWITCH"},
    {"ORG_TRANSFER", "ORG_SWITCH"},
    {"TEMPLATE_CREATE", "TEMPLATE_VIEW"},
    {"TEMPLATE_EDIT", "TEMPLATE_VIEW"},
    {"TEMPLATE_DELETE", "TEMPLATE_VIEW"},
    {"OTA_START", "OTA_VIEW"},
    {"OTA_STOP", "OTA_VIEW"},
    {"ROLE_EDIT", "ROLE_VIEW"},
    {"ROLE_CREATE", "ROLE_VIEW"},
    {"ROLE_DELETE", "ROLE_VIEW"},
    {"OAUTH_CREATE", "OAUTH_VIEW"},
    {"OAUTH_EDIT", "OAUTH_VIEW"},
    {"OAUTH_DELETE", "OAUTH_VIEW"},
};

/// Whether everything in `set` has what it needs, by the table above.
bool is_closed(PermissionSet set) {
  for (const auto& [dependent, needed] : needs) {
    if (!set.has(*parse_permission(dependent))) continue;
    const bool met = needed == "a device view" ? set.has(Permission::own_devices_view) || set.has(Permission::org_devices_view)
                                               : set.has(*parse_permission(needed));
    if (!met) return false;
  }
  return true;
}

TEST(PermissionDependencies, GrantingOneBringsWhatItNeedsAndNothingElse) {
  for (std::uint8_t i = 0; i < permission_count; ++i) {
    const auto permission = static_cast<Permission>(i);
    const PermissionSet granted = with_what_it_needs(PermissionSet{}.add(permission));
    PermissionSet expected;
    expected.add(permission);
    const auto [first, last] = needs.equal_range(std::string{permission_name(permission)});
    for (auto each = first; each != last; ++each)
      expected.add(each->second == "a device view" ? Permission::own_devices_view : *parse_permission(each->second));
    EXPECT_EQ(granted, expected) << permission_name(permission);
  }
  // Either view is enough: the other one does not come along.
  using enum Permission;
  EXPECT_EQ(with_what_it_needs(PermissionSet{}.add(org_devices_view).add(device_transfer)),
            PermissionSet{}.add(org_devices_view).add(device_transfer));
}

TEST(PermissionDependencies, RevokingAViewTakesItsDependentsAlong) {
  using enum Permission;
  const PermissionSet all = builtin_role_permissions(admin_role);
  for (std::uint8_t i = 0; i < permission_count; ++i) {
    const auto permission = static_cast<Permission>(i);
    PermissionSet expected = all;
    expected.remove(permission);
    // With one device view gone the other one still carries what needs either.
    for (const auto& [dependent, needed] : needs) {
      if (needed == permission_name(permission)) expected.remove(*parse_permission(dependent));
    }
    EXPECT_EQ(without_dependents(PermissionSet{all}.remove(permission)), expected) << permission_name(permission);
  }
  const PermissionSet blind = without_dependents(PermissionSet{all}.remove(own_devices_view).remove(org_devices_view));
  for (const auto gone : {auth_token_view, auth_token_edit, device_transfer, manage_static_tokens, provision_devices, org_devices_edit})
    EXPECT_FALSE(blind.has(gone)) << permission_name(gone);
  EXPECT_TRUE(blind.has(role_edit));
}

TEST(PermissionDependencies, AnySetIsClosedAfterwardsInBothDirections) {
  std::uint64_t state = 0x9E3779B97F4A7C15ull;
  for (int round = 0; round < 20'000; ++round) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    const PermissionSet set{(state >> 9) & ((std::uint64_t{1} << permission_count) - 1)};
    const PermissionSet more = with_what_it_needs(set), less = without_dependents(set);
    EXPECT_TRUE(more.contains(set) && is_closed(more)) << set.bits();
    EXPECT_TRUE(set.contains(less) && is_closed(less)) << set.bits();
  }
  for (const auto set : {builtin_role_permissions(admin_role), builtin_role_permissions(staff_role), builtin_role_permissions(user_role),
                         personal_admin_cap()}) {
    EXPECT_EQ(with_what_it_needs(set), set);
    EXPECT_EQ(without_dependents(set), set);
  }
}

/// docs/permissions.md is made from the table: `./dev golden --update` writes it anew.
TEST(Permission, TheGoldenDocumentIsCurrent) {
  const std::string path = std::string{MUSTER_SOURCE_DIR} + "/docs/permissions.md";
  const std::string wanted =
      "# Permissions\n\n"
      "Made from the table in `cloud/domain/permission.cpp` by `./dev golden --update`; a test compares. What the built-in roles hold when "
      "a server is new,\n"
      "what is left of any role of a person whose own organization is PERSONAL, and what a permission needs: granting it grants that too, "
      "revoking\n"
      "that revokes it. What a custom role holds, and what a role holds in one organization: docs/guides/organizations.md.\n\n" +
      permission_markdown() +
      "\nA User holds DEVICE_DATA_DELETE for the devices that he sees, which are his own. Admin always holds everything (in a PERSONAL "
      "organization:\n"
      "everything in that column); the other two, like custom roles, can be changed for each organization.\n";
  const char* const update = std::getenv("MUSTER_GOLDEN_UPDATE");
  if (update != nullptr && std::string_view{update} == "1") std::ofstream{path} << wanted;
  std::ifstream file{path};
  std::stringstream present;
  present << file.rdbuf();
  EXPECT_EQ(present.str(), wanted) << "docs/permissions.md is not what the table says; write it anew with ./dev golden --update.";
}

}  // namespace
}  // namespace muster::domain
