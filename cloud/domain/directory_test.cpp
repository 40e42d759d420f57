// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/directory.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "cloud/base/random.hpp"

namespace muster::domain {
namespace {

using enum Permission;

/// root(1) -> {clients(2) -> {smith(3, personal) -> smith-kids(4, personal), acme(5)}, branch(6)}; another tree: 9.
class DirectoryTest : public testing::Test {
 protected:
  Directory directory;

  void put(std::int32_t id, std::int32_t parent, OrganizationType type = OrganizationType::business, Home home = {}) {
    Organization organization;
    organization.id = OrganizationId{id};
    organization.parent_id = OrganizationId{parent};
    organization.name = "org " + std::to_string(id);
    organization.type = type;
    organization.home = std::move(home);
    directory.put_organization(organization);
  }
  void put_user(std::int64_t id, std::int32_t organization, RoleId role, UserStatus status = UserStatus::active) {
    User user;
    user.id = UserId{id};
    user.organization_id = OrganizationId{organization};
    user.role_id = role;
    user.status = status;
    directory.put_user(user);
  }
  void SetUp() override {
    put(1, 0, OrganizationType::root);
    put(2, 1);
    put(3, 2, OrganizationType::personal);
    put(4, 3, OrganizationType::personal);
    put(5, 2);
    put(6, 1, OrganizationType::branch);
    put(9, 0);
    for (const auto role : {admin_role, staff_role, user_role}) directory.put_role({role, "", true, builtin_role_permissions(role)});
  }
  static Caller caller(std::int32_t organization, RoleId role, std::int64_t user = 1) {
    return {UserId{user}, OrganizationId{organization}, role};
  }
  PermissionSet in(const Caller& who, std::int32_t organization) const {
    return directory.permissions_in(who, OrganizationId{organization});
  }
};

TEST_F(DirectoryTest, NobodySeesAboveOrBesideHome) {
  for (const auto role : {admin_role, staff_role, user_role}) {
    EXPECT_EQ(in(caller(2, role), 1), PermissionSet{});
    EXPECT_EQ(in(caller(2, role), 6), PermissionSet{});
    EXPECT_EQ(in(caller(2, role), 9), PermissionSet{});
    EXPECT_EQ(in(caller(3, role), 5), PermissionSet{});
    EXPECT_EQ(in(caller(1, role), 77), PermissionSet{});
    EXPECT_EQ(in(caller(77, role), 1), PermissionSet{});
    EXPECT_EQ(in(caller(77, role), 77), PermissionSet{});
    EXPECT_EQ(in(caller(0, role), 0), PermissionSet{});
  }
  EXPECT_EQ(in(caller(1, RoleId{42}), 1), PermissionSet{});
}

TEST_F(DirectoryTest, AtHomeTheRoleCountsBelowOnlyWithOrgSwitch) {
  EXPECT_EQ(in(caller(1, admin_role), 1), builtin_role_permissions(admin_role));
  EXPECT_EQ(in(caller(1, admin_role), 5), builtin_role_permissions(admin_role));
  EXPECT_EQ(in(caller(1, staff_role), 5), builtin_role_permissions(staff_role));
  EXPECT_EQ(in(caller(1, user_role), 1), builtin_role_permissions(user_role));
  EXPECT_EQ(in(caller(1, user_role), 5), PermissionSet{});
  auto no_switch = builtin_role_permissions(staff_role);
  no_switch.remove(org_switch);
  directory.put_role({staff_role, "Staff", true, no_switch});
  EXPECT_EQ(in(caller(1, staff_role), 1), no_switch);
  EXPECT_EQ(in(caller(1, staff_role), 5), PermissionSet{});
}

TEST_F(DirectoryTest, APersonalOrganizationCapsItsOwnPeopleNotThoseFromAbove) {
  EXPECT_EQ(in(caller(3, admin_role), 3), personal_admin_cap());
  EXPECT_FALSE(in(caller(3, admin_role), 3).has(manage_static_tokens));
  EXPECT_EQ(in(caller(3, staff_role), 3), builtin_role_permissions(staff_role).intersect(personal_admin_cap()));
  EXPECT_EQ(in(caller(3, user_role), 3), builtin_role_permissions(user_role));
  EXPECT_EQ(in(caller(3, admin_role), 4), PermissionSet{});  // The cap takes ORG_SWITCH away.
  EXPECT_EQ(in(caller(2, admin_role), 3), builtin_role_permissions(admin_role));
  EXPECT_EQ(in(caller(1, admin_role), 4), builtin_role_permissions(admin_role));
}

TEST_F(DirectoryTest, NothingBelowThatIsMissingAtHome) {
  for (const auto role : {admin_role, staff_role, user_role}) {
    for (const std::int32_t home : {1, 2, 3, 4, 5, 6, 9}) {
      for (const std::int32_t there : {1, 2, 3, 4, 5, 6, 9})
        EXPECT_TRUE(in(caller(home, role), home).contains(in(caller(home, role), there))) << home << " in " << there;
    }
  }
}

TEST_F(DirectoryTest, AnOrganizationsOwnValuesComeBeforeThoseHandedDownFromAbove) {
  const PermissionSet see = PermissionSet{}.add(own_devices_view), edit = PermissionSet{see}.add(own_devices_edit);
  const PermissionSet more = PermissionSet{edit}.add(org_switch);
  const RoleId role{7};
  const auto at = [](std::int32_t id) { return OrganizationId{id}; };
  directory.put_role({role, "Installer", false, see, {}});
  for (const auto id : {1, 2, 3, 5, 6}) EXPECT_EQ(directory.role_values(role, at(id)), see) << id;
  // In 2 alone: what is beneath stays as it was.
  directory.put_role({role, "Installer", false, see, {{at(2), more, see}}});
  EXPECT_EQ(directory.role_values(role, at(1)), see);
  EXPECT_EQ(directory.role_values(role, at(2)), more);
  EXPECT_EQ(directory.role_values(role, at(5)), see);
  // Handed down to what has none of its own, over several levels.
  directory.put_role({role, "Installer", false, see, {{at(1), see, edit}, {at(3), see, more}}});
  EXPECT_EQ(directory.role_values(role, at(1)), see);
  EXPECT_EQ(directory.role_values(role, at(5)), edit);
  EXPECT_EQ(directory.role_values(role, at(3)), see);
  EXPECT_EQ(directory.role_values(role, at(4)), more);
  EXPECT_EQ(directory.role_values(role, at(77)), PermissionSet{});
  // Whoever has it at home above gets the values of where he acts, and never more than at home.
  directory.put_role({role, "Installer", false, see, {{at(2), more, more}, {at(5), edit, edit}}});
  EXPECT_EQ(in(caller(2, role), 5), edit);
  directory.put_role({role, "Installer", false, see, {{at(2), PermissionSet{see}.add(org_switch), more}, {at(5), edit, edit}}});
  EXPECT_EQ(in(caller(2, role), 5), see);
  // An organization that moves takes its own values along and inherits from where it is then.
  put(5, 6);
  EXPECT_EQ(directory.role_values(role, at(5)), edit);
  directory.put_role({role, "Installer", false, see, {{at(6), edit, edit}}});
  EXPECT_EQ(directory.role_values(role, at(5)), edit);
  put(5, 2);
  EXPECT_EQ(directory.role_values(role, at(5)), see);
}

TEST_F(DirectoryTest, ARemovedRoleGivesNothing) {
  directory.keep_only_roles({{admin_role, "Admin", true, builtin_role_permissions(admin_role)}});
  EXPECT_EQ(in(caller(1, staff_role), 1), PermissionSet{});
  EXPECT_EQ(in(caller(1, admin_role), 1), builtin_role_permissions(admin_role));
}

TEST_F(DirectoryTest, OnlyActiveUsersAreCallers) {
  put_user(1, 2, staff_role);
  put_user(2, 2, staff_role, UserStatus::suspended);
  put_user(3, 2, staff_role, UserStatus::pending);
  ASSERT_TRUE(directory.caller(UserId{1}));
  EXPECT_EQ(directory.caller(UserId{1})->organization_id, OrganizationId{2});
  EXPECT_EQ(directory.caller(UserId{1})->role_id, staff_role);
  EXPECT_FALSE(directory.caller(UserId{2}));
  EXPECT_FALSE(directory.caller(UserId{3}));
  EXPECT_FALSE(directory.caller(UserId{4}));
  put_user(1, 5, staff_role, UserStatus::suspended);
  EXPECT_FALSE(directory.caller(UserId{1}));
  EXPECT_EQ(directory.user(UserId{1})->organization_id, OrganizationId{5});
  directory.remove_user(UserId{1});
  EXPECT_FALSE(directory.user(UserId{1}));
}

TEST_F(DirectoryTest, DeviceAccessFollowsTheVisibilityRule) {
  directory.put_device({DeviceId{100}, OrganizationId{5}, TemplateId{1}, UserId{7}});
  const auto access = [&](const Caller& who, std::int32_t device) { return directory.device_access(who, DeviceId{device}); };

  const auto admin = access(caller(1, admin_role), 100);
  EXPECT_TRUE(admin.see && admin.control && admin.edit && admin.remove);
  EXPECT_EQ(admin.place.organization_id, OrganizationId{5});
  EXPECT_EQ(admin.place.template_id, TemplateId{1});
  EXPECT_EQ(admin.permissions, builtin_role_permissions(admin_role));

  const auto owner = access(caller(5, user_role, 7), 100);
  EXPECT_TRUE(owner.see && owner.control && owner.edit && owner.remove);
  EXPECT_FALSE(access(caller(5, user_role, 8), 100).see);
  EXPECT_TRUE(access(caller(5, staff_role, 8), 100).see);
  EXPECT_FALSE(access(caller(6, admin_role), 100).see);
  EXPECT_FALSE(access(caller(3, admin_role), 100).see);
  EXPECT_FALSE(access(caller(1, user_role, 7), 100).see);  // Below home, without ORG_SWITCH.
  EXPECT_FALSE(access(caller(1, admin_role), 101).see);
  EXPECT_FALSE(access(caller(1, admin_role), 0).see);
  EXPECT_FALSE(access(caller(1, admin_role), -5).see);
  EXPECT_EQ(access(caller(6, admin_role), 100).permissions, PermissionSet{});
  EXPECT_EQ(access(caller(6, admin_role), 100).place.organization_id, OrganizationId{});

  // Each right needs its own permission.
  auto only_view = PermissionSet{}.add(org_devices_view);
  directory.put_role({RoleId{9}, "Viewer", false, only_view});
  const auto viewer = access(caller(5, RoleId{9}, 8), 100);
  EXPECT_TRUE(viewer.see);
  EXPECT_FALSE(viewer.control || viewer.edit || viewer.remove);
  directory.put_role({RoleId{9}, "Blind", false, PermissionSet{}.add(org_devices_control).add(own_devices_edit)});
  const auto blind = access(caller(5, RoleId{9}, 7), 100);
  EXPECT_FALSE(blind.see || blind.control || blind.edit || blind.remove);
  directory.put_role({RoleId{9}, "Own", false, PermissionSet{}.add(own_devices_view).add(own_devices_edit)});
  EXPECT_TRUE(access(caller(5, RoleId{9}, 7), 100).edit);
  EXPECT_FALSE(access(caller(5, RoleId{9}, 7), 100).remove);
  EXPECT_FALSE(access(caller(5, RoleId{9}, 8), 100).see);
}

TEST_F(DirectoryTest, ADeviceWithoutOwnerIsNobodysOwn) {
  directory.put_device({DeviceId{1}, OrganizationId{5}, TemplateId{1}, UserId{}});
  EXPECT_FALSE(directory.device_access(Caller{UserId{}, OrganizationId{5}, user_role}, DeviceId{1}).see);
}

TEST_F(DirectoryTest, TheTreeMayArriveInAnyOrderAndMove) {
  Directory other;
  for (const auto& [id, parent] : std::vector<std::pair<int, int>>{{4, 3}, {3, 2}, {5, 2}, {2, 1}, {1, 0}}) {
    Organization organization;
    organization.id = OrganizationId{id};
    organization.parent_id = OrganizationId{parent};
    other.put_organization(organization);
  }
  EXPECT_TRUE(other.in_subtree(OrganizationId{4}, OrganizationId{1}));
  EXPECT_TRUE(other.in_subtree(OrganizationId{4}, OrganizationId{4}));
  EXPECT_FALSE(other.in_subtree(OrganizationId{1}, OrganizationId{4}));
  EXPECT_FALSE(other.in_subtree(OrganizationId{4}, OrganizationId{5}));
  EXPECT_EQ(other.subtree(OrganizationId{1}).size(), 5u);
  EXPECT_EQ(other.subtree(OrganizationId{1}).front(), OrganizationId{1});
  EXPECT_EQ(other.subtree(OrganizationId{8}).size(), 0u);

  Organization moved;
  moved.id = OrganizationId{3};
  moved.parent_id = OrganizationId{5};
  other.put_organization(moved);
  EXPECT_TRUE(other.in_subtree(OrganizationId{4}, OrganizationId{5}));
  EXPECT_EQ(other.subtree(OrganizationId{5}).size(), 3u);
  other.remove_organization(OrganizationId{5});
  EXPECT_FALSE(other.in_subtree(OrganizationId{4}, OrganizationId{1}));
  EXPECT_FALSE(other.organization(OrganizationId{5}));
  EXPECT_EQ(other.subtree(OrganizationId{1}).size(), 2u);
}

TEST_F(DirectoryTest, ADamagedTreeEndsInNobodysSubtree) {
  Directory other;
  for (int id = 1; id <= 40; ++id) {  // A ring.
    Organization organization;
    organization.id = OrganizationId{id};
    organization.parent_id = OrganizationId{id == 1 ? 40 : id - 1};
    other.put_organization(organization);
  }
  for (int id = 41; id <= 100; ++id) {  // A chain too deep.
    Organization organization;
    organization.id = OrganizationId{id};
    organization.parent_id = OrganizationId{id == 41 ? 0 : id - 1};
    other.put_organization(organization);
  }
  EXPECT_TRUE(other.in_subtree(OrganizationId{50}, OrganizationId{41}));
  EXPECT_FALSE(other.in_subtree(OrganizationId{60}, OrganizationId{41}));
  EXPECT_LE(other.subtree(OrganizationId{1}).size(), 40u);
  EXPECT_FALSE(other.in_subtree(OrganizationId{100}, OrganizationId{100}));
}

Template product(std::int32_t id, std::int32_t organization, std::vector<std::string> tmpl_ids) {
  Template made;
  made.id = TemplateId{id};
  made.organization_id = OrganizationId{organization};
  made.tmpl_ids = std::move(tmpl_ids);
  return made;
}

TEST_F(DirectoryTest, TemplatesArePublishedWithTheirPins) {
  auto value = product(1, 1, {"TMPLaaaaaaaaa", "TMPLbbbbbbbbb"});
  value.datastreams.resize(2);
  value.datastreams[0].pin = 255;
  value.datastreams[1].pin = 3;
  value.datastreams[1].name = "Level";
  const auto before = directory.template_generation();
  directory.put_template(value);
  EXPECT_GT(directory.template_generation(), before);
  const auto published = directory.find_template(TemplateId{1});
  ASSERT_TRUE(published);
  EXPECT_FALSE(published->accepts_every_pin());
  EXPECT_EQ(published->datastream(3)->name, "Level");
  EXPECT_EQ(published->datastream(255)->pin, 255);
  EXPECT_EQ(published->datastream(4), nullptr);
  EXPECT_EQ(directory.template_by_tmpl("TMPLbbbbbbbbb"), TemplateId{1});

  const auto generation = directory.template_generation();
  directory.put_template(product(1, 1, {"TMPLbbbbbbbbb"}));
  EXPECT_GT(directory.template_generation(), generation);
  EXPECT_EQ(directory.template_by_tmpl("TMPLaaaaaaaaa"), std::nullopt);
  EXPECT_EQ(directory.template_by_tmpl("TMPLbbbbbbbbb"), TemplateId{1});
  EXPECT_TRUE(directory.find_template(TemplateId{1})->accepts_every_pin());
  EXPECT_EQ(published->datastreams.size(), 2u);  // Who holds the old one keeps it whole.
  directory.remove_template(TemplateId{1});
  EXPECT_FALSE(directory.find_template(TemplateId{1}));
  EXPECT_EQ(directory.template_by_tmpl("TMPLbbbbbbbbb"), std::nullopt);
}

TEST_F(DirectoryTest, TemplatesOfAnOrganizationAreItsOwnThenItsAncestors) {
  directory.put_template(product(1, 1, {}));
  directory.put_template(product(2, 5, {}));
  directory.put_template(product(3, 2, {}));
  directory.put_template(product(4, 6, {}));
  directory.put_template(product(5, 1, {}));
  std::vector<std::int32_t> ids;
  for (const auto& published : directory.templates_of(OrganizationId{5})) ids.push_back(published->id.value());
  EXPECT_EQ(ids, (std::vector<std::int32_t>{2, 3, 1, 5}));
  EXPECT_TRUE(directory.templates_of(OrganizationId{77}).empty());
}

TEST_F(DirectoryTest, HomesComeFromTheDeviceElseFromTheNearestAncestor) {
  directory.put_device({DeviceId{1}, OrganizationId{4}, TemplateId{1}, UserId{}});
  EXPECT_EQ(directory.home_of(DeviceId{1}), std::nullopt);
  put(1, 0, OrganizationType::root, {"root.example", 80, 443});
  EXPECT_EQ(directory.home_of(DeviceId{1})->host, "root.example");
  put(3, 2, OrganizationType::personal, {"near.example", 8080, 9443});
  EXPECT_EQ(directory.home_of(DeviceId{1}), (Home{"near.example", 8080, 9443}));
  directory.put_device_home(DeviceId{1}, {"own.example", 1, 2});
  EXPECT_EQ(directory.home_of(DeviceId{1})->host, "own.example");
  EXPECT_EQ(directory.home_of(DeviceId{2}), std::nullopt);
  directory.put_device_home(DeviceId{1}, {});
  put(3, 2, OrganizationType::personal);
  EXPECT_EQ(directory.home_of(DeviceId{1})->host, "root.example");
  put(1, 0, OrganizationType::root);
  EXPECT_EQ(directory.home_of(DeviceId{1}), std::nullopt);
  directory.put_device_home(DeviceId{1}, {"own.example", 1, 2});
  directory.remove_device(DeviceId{1});
  directory.put_device({DeviceId{1}, OrganizationId{4}, TemplateId{1}, UserId{}});
  EXPECT_EQ(directory.home_of(DeviceId{1}), std::nullopt);
}

TEST_F(DirectoryTest, DevicesComeAndGoAtAnyId) {
  SeededRandom random{7};
  std::map<std::int32_t, std::int32_t> model;
  for (int step = 0; step < 20'000; ++step) {
    const auto id = static_cast<std::int32_t>(1 + random.below(3000));
    if (random.below(3) == 0) {
      directory.remove_device(DeviceId{id});
      model.erase(id);
    } else {
      const auto organization = static_cast<std::int32_t>(1 + random.below(6));
      directory.put_device({DeviceId{id}, OrganizationId{organization}, TemplateId{id}, UserId{id}});
      model[id] = organization;
    }
  }
  EXPECT_EQ(directory.device_count(), model.size());
  for (std::int32_t id = -1; id <= 3001; ++id) {
    const auto place = directory.device(DeviceId{id});
    ASSERT_EQ(place.has_value(), model.contains(id)) << id;
    if (place) {
      EXPECT_EQ(place->organization_id.value(), model[id]);
    }
  }
  std::size_t counted = 0;
  directory.for_each_device([&](DeviceId id, const DevicePlace& place) {
    ++counted;
    EXPECT_EQ(place.organization_id.value(), model[id.value()]);
  });
  EXPECT_EQ(counted, model.size());
  for (const auto& [id, organization] : model) directory.remove_device(DeviceId{id});
  EXPECT_LE(directory.memory_bytes(), 4096u);  // Pages go with their last device.
}

TEST_F(DirectoryTest, AMillionDevicesTakeSeventeenBytesEach) {
  constexpr std::int32_t count = 1'000'000;
  for (std::int32_t id = 1; id <= count; ++id) directory.put_device({DeviceId{id}, OrganizationId{1}, TemplateId{1}, UserId{1}});
  EXPECT_EQ(directory.device_count(), static_cast<std::size_t>(count));
  const auto each = static_cast<double>(directory.memory_bytes()) / count;
  RecordProperty("bytes_per_device", std::to_string(each));
  EXPECT_LE(each, 17.0);
  EXPECT_GE(each, 16.0);
}

TEST_F(DirectoryTest, SwapTakesEverythingAndMovesTheGenerationOn) {
  directory.put_template(product(1, 1, {"TMPLaaaaaaaaa"}));
  directory.put_device({DeviceId{1}, OrganizationId{1}, TemplateId{1}, UserId{}});
  const auto before = directory.template_generation();
  Directory aside;
  aside.put_template(product(2, 1, {}));
  directory.swap(aside);
  EXPECT_GT(directory.template_generation(), before);
  EXPECT_FALSE(directory.find_template(TemplateId{1}));
  EXPECT_TRUE(directory.find_template(TemplateId{2}));
  EXPECT_EQ(directory.device_count(), 0u);
  EXPECT_EQ(aside.device_count(), 1u);
}

TEST_F(DirectoryTest, ReadersAndTheFollowerMayRunAtOnce) {
  directory.put_device({DeviceId{1}, OrganizationId{5}, TemplateId{1}, UserId{7}});
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!stop.load()) {
        if (!directory.device_access(caller(1, admin_role), DeviceId{1}).see) wrong.fetch_add(1);
        if (directory.find_template(TemplateId{3}) && directory.template_generation() == 0) wrong.fetch_add(1);
        static_cast<void>(directory.home_of(DeviceId{1}));
      }
    });
  }
  for (std::int32_t round = 0; round < 2000; ++round) {
    directory.put_device({DeviceId{2 + round}, OrganizationId{1}, TemplateId{1}, UserId{}});
    directory.put_template(product(3, 1, {"TMPLccccccccc"}));
    put(7, 1, OrganizationType::business, {round % 2 == 0 ? "a.example" : "", 80, 443});
    directory.put_device_home(DeviceId{1}, {round % 2 == 0 ? "b.example" : "", 80, 443});
  }
  stop = true;
  readers.clear();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace muster::domain
