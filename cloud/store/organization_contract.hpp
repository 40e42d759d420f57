// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/store/store_contract.hpp"

/// What every backend must do about roles, the tree of organizations and devices that change hands: domain::OrganizationStore.
namespace muster::domain {

class OrganizationContract : public StoreContract {
 protected:
  static PermissionSet set(std::initializer_list<Permission> permissions) {
    PermissionSet all;
    for (const auto each : permissions) all.add(each);
    return all;
  }
  Role role(RoleId id) {
    const auto roles = store().roles().value();
    for (const auto& each : roles) {
      if (each.id == id) return each;
    }
    ADD_FAILURE() << "no such role";
    return {};
  }
  RoleId make_role(std::string_view name, PermissionSet permissions) {
    const auto made = store().create_role(name, permissions, actor());
    EXPECT_TRUE(made) << made.error().message();
    return made ? made->id : RoleId{};
  }
  /// How many entries of that action the log of one organization shows.
  std::size_t shown_in(OrganizationId organization, std::string action) {
    Page page;
    page.limit = 1000;
    return store().audit({std::span{&organization, 1}, std::move(action), {}, {}}, page).value().rows.size();
  }
  Device device_now(DeviceId id) { return store().find_device(id).value().value(); }
};

using enum Permission;

// --- roles -------------------------------------------------------------------------------------------------------------------

TEST_P(OrganizationContract, MakesRenamesAndLimitsCustomRoles) {
  set_up();
  const auto seq = newest();
  const RoleId installer = make_role("Installer", set({own_devices_view, provision_devices}));
  EXPECT_TRUE(changed_since(seq, ChangeKind::role, installer.value()));
  EXPECT_EQ(audit_of("role.create").size(), 1u);
  EXPECT_EQ(role(installer).permissions, set({own_devices_view, provision_devices}));
  EXPECT_FALSE(role(installer).is_builtin);
  EXPECT_REFUSED(DomainError::name_taken, store().create_role("INSTALLER", {}, actor()));
  EXPECT_REFUSED(DomainError::name_taken, store().create_role("admin", {}, actor()));
  ASSERT_OK(store().rename_role(installer, "Fitter", actor()));
  ASSERT_OK(store().rename_role(installer, "fitter", actor()));  // Its own name is not in its way.
  EXPECT_EQ(role(installer).name, "fitter");
  EXPECT_REFUSED(DomainError::name_taken, store().rename_role(installer, "Staff", actor()));
  EXPECT_REFUSED(DomainError::protected_entity, store().rename_role(staff_role, "Crew", actor()));
  EXPECT_REFUSED(DomainError::not_found, store().rename_role(RoleId{99}, "Crew", actor()));
  for (std::size_t count = 4; count < roles_max; ++count) make_role("Role " + std::to_string(count), {});
  EXPECT_EQ(store().roles().value().size(), roles_max);
  EXPECT_REFUSED(DomainError::limit_reached, store().create_role("One too many", {}, actor()));
  reopen();
  EXPECT_EQ(store().roles().value().size(), roles_max);
}

TEST_P(OrganizationContract, ValuesOfARoleHoldInOneOrganizationOrInAllBeneath) {
  set_up();
  const auto middle = make_organization(root_, "Middle");
  const auto beneath = make_organization(middle.id, "Beneath");
  const RoleId id = make_role("Installer", set({own_devices_view}));
  const auto more = set({own_devices_view, own_devices_edit}), most = set({own_devices_view, own_devices_edit, own_devices_delete});

  const auto seq = newest();
  ASSERT_OK(store().set_role_values(middle.id, id, more, false, actor()));
  EXPECT_TRUE(changed_since(seq, ChangeKind::role, id.value()));
  EXPECT_EQ(role(id).permissions, set({own_devices_view}));
  EXPECT_EQ(role(id).values, (std::vector<RoleValues>{{middle.id, more, set({own_devices_view})}}));
  // What is handed down stays when only this organization changes again.
  ASSERT_OK(store().set_role_values(middle.id, id, most, true, actor()));
  ASSERT_OK(store().set_role_values(middle.id, id, more, false, actor()));
  EXPECT_EQ(role(id).values, (std::vector<RoleValues>{{middle.id, more, most}}));
  // One beneath without values starts from what it inherits.
  ASSERT_OK(store().set_role_values(beneath.id, id, more, false, actor()));
  EXPECT_EQ(role(id).values, (std::vector<RoleValues>{{middle.id, more, most}, {beneath.id, more, most}}));
  // For all beneath: theirs are gone.
  ASSERT_OK(store().set_role_values(root_, id, {}, true, actor()));
  EXPECT_EQ(role(id).values, (std::vector<RoleValues>{{root_, {}, {}}}));

  EXPECT_REFUSED(DomainError::protected_entity, store().set_role_values(middle.id, admin_role, more, false, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().set_role_values(middle.id, RoleId{99}, more, false, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().set_role_values(OrganizationId{99}, id, more, false, actor()));
  ASSERT_OK(store().set_role_values(middle.id, staff_role, more, false, actor()));
  // An organization that goes takes its values along.
  ASSERT_OK(store().set_role_values(beneath.id, id, more, false, actor()));
  ASSERT_OK(store().delete_organization(beneath.id, actor()));
  EXPECT_EQ(role(id).values, (std::vector<RoleValues>{{root_, {}, {}}}));
}

TEST_P(OrganizationContract, ADeletedRoleLeavesNobodyWithoutOne) {
  set_up();
  const auto middle = make_organization(root_, "Middle");
  const RoleId id = make_role("Installer", set({own_devices_view}));
  const auto ada = make_user(root_, "ada@example.com", id), bob = make_user(middle.id, "bob@example.com", id);
  ASSERT_OK(store().set_role_values(middle.id, id, {}, false, actor()));
  EXPECT_REFUSED(DomainError::protected_entity, store().delete_role(admin_role, user_role, actor()));
  EXPECT_REFUSED(DomainError::protected_entity, store().delete_role(staff_role, user_role, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().delete_role(id, RoleId{99}, actor()));
  EXPECT_REFUSED(DomainError::same_place, store().delete_role(id, id, actor()));
  const auto seq = newest();
  ASSERT_OK(store().delete_role(id, staff_role, actor()));
  for (const auto& user : {ada, bob}) {
    EXPECT_EQ(store().find_user(user.id).value()->role_id, staff_role);
    EXPECT_TRUE(changed_since(seq, ChangeKind::user, user.id.value()));
  }
  EXPECT_TRUE(changed_since(seq, ChangeKind::role, id.value()));
  EXPECT_EQ(store().roles().value().size(), 3u);
  EXPECT_EQ(shown_in(middle.id, "user.update"), 1u);
  EXPECT_EQ(audit_of("role.delete").size(), 1u);
  EXPECT_REFUSED(DomainError::not_found, store().delete_role(id, user_role, actor()));
  EXPECT_NE(make_role("Installer", {}), id);  // An id is not given twice.
}

// --- the tree ------------------------------------------------------------------------------------------------------------------

TEST_P(OrganizationContract, MovesAnOrganizationWithWhatIsBeneath) {
  set_up();
  const auto a = make_organization(root_, "A"), b = make_organization(root_, "B");
  const auto child = make_organization(a.id, "Child");
  const auto seq = newest();
  const auto moved = store().move_organization(a.id, b.id, actor(t0 + 5));
  ASSERT_OK(moved);
  EXPECT_EQ(moved->parent_id, b.id);
  EXPECT_EQ(moved->updated_at.ms, t0 + 5);
  EXPECT_EQ(store().find_organization(child.id).value()->parent_id, a.id);
  EXPECT_TRUE(changed_since(seq, ChangeKind::organization, a.id.value()));
  EXPECT_EQ(audit_of("organization.move").size(), 1u);
  EXPECT_REFUSED(DomainError::same_place, store().move_organization(a.id, b.id, actor()));
  for (const auto under : {a.id, child.id}) EXPECT_REFUSED(DomainError::beneath_itself, store().move_organization(a.id, under, actor()));
  EXPECT_REFUSED(DomainError::beneath_itself, store().move_organization(b.id, child.id, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().move_organization(a.id, OrganizationId{99}, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().move_organization(OrganizationId{99}, a.id, actor()));
  EXPECT_REFUSED(DomainError::protected_entity, store().move_organization(root_, a.id, actor()));
  // root > b > a > child is as deep as it gets: nothing with a level of its own fits under b any more.
  const auto c = make_organization(root_, "C");
  const auto d = make_organization(c.id, "D");
  make_organization(d.id, "E");
  EXPECT_REFUSED(DomainError::tree_too_deep, store().move_organization(c.id, b.id, actor()));
  EXPECT_REFUSED(DomainError::tree_too_deep, store().move_organization(d.id, a.id, actor()));
  ASSERT_OK(store().move_organization(d.id, b.id, actor()));
  const auto other_child = make_organization(root_, "Child");
  EXPECT_REFUSED(DomainError::name_taken, store().move_organization(other_child.id, a.id, actor()));
}

TEST_P(OrganizationContract, AMoveBreaksNoRuleOfTheNewPlace) {
  set_up();
  const auto maker = make_organization(root_, "Maker"), other = make_organization(root_, "Other");
  const auto customer = make_organization(maker.id, "Customer");
  const auto product = make_template(maker.id, "Product"), own = make_template(customer.id, "Own"), shared = make_template(root_, "Shared");
  make_device(customer.id, own.id, "Takes its template along", 1);
  make_device(customer.id, shared.id, "Has it from the top", 2);
  const auto held = make_device(customer.id, product.id, "Needs its maker", 3);
  EXPECT_REFUSED(DomainError::template_not_in_organization, store().move_organization(customer.id, other.id, actor()));
  ASSERT_OK(store().delete_device(held.id, actor()));
  ASSERT_OK(store().move_organization(customer.id, other.id, actor()));

  const auto person = make_organization(root_, "Person", OrganizationType::personal);
  EXPECT_REFUSED(DomainError::invalid_value, store().move_organization(customer.id, person.id, actor()));
  OrganizationChange closed;
  closed.can_create_sub_organizations = false;
  ASSERT_OK(store().update_organization(maker.id, closed, actor()));
  EXPECT_REFUSED(DomainError::limit_reached, store().move_organization(customer.id, maker.id, actor()));
  closed.can_create_sub_organizations = true;
  closed.devices_max = 1;
  ASSERT_OK(store().update_organization(maker.id, closed, actor()));
  EXPECT_REFUSED(DomainError::limit_reached, store().move_organization(customer.id, maker.id, actor()));
  closed.devices_max = 2;
  ASSERT_OK(store().update_organization(maker.id, closed, actor()));
  ASSERT_OK(store().move_organization(customer.id, maker.id, actor()));
}

TEST_P(OrganizationContract, TypesFollowWhatIsAboveAndBeneath) {
  set_up();
  const auto a = make_organization(root_, "A");
  const auto b = make_organization(a.id, "B");
  const auto type = [](OrganizationType type) {
    OrganizationChange change;
    change.type = type;
    return change;
  };
  ASSERT_OK(store().update_organization(a.id, type(OrganizationType::distributor), actor()));
  EXPECT_EQ(store().find_organization(a.id).value()->type, OrganizationType::distributor);
  EXPECT_REFUSED(DomainError::invalid_value, store().update_organization(a.id, type(OrganizationType::personal), actor()));
  ASSERT_OK(store().update_organization(b.id, type(OrganizationType::personal), actor()));
  ASSERT_OK(store().update_organization(a.id, type(OrganizationType::personal), actor()));
  EXPECT_REFUSED(DomainError::invalid_value, store().update_organization(b.id, type(OrganizationType::branch), actor()));
  EXPECT_REFUSED(DomainError::invalid_value, store().update_organization(b.id, type(OrganizationType::root), actor()));
  EXPECT_REFUSED(DomainError::protected_entity, store().update_organization(root_, type(OrganizationType::business), actor()));
}

TEST_P(OrganizationContract, TheGroupsOfThoseWhoSignUpAreMadeOnceAndStay) {
  set_up();
  EXPECT_REFUSED(DomainError::invalid_value, store().organization_of_group(OrganizationGroup::none, actor()));
  const auto clients = store().organization_of_group(OrganizationGroup::clients, actor());
  ASSERT_OK(clients);
  const auto made = store().find_organization(*clients).value().value();
  EXPECT_EQ(made.name, "Clients");
  EXPECT_EQ(made.parent_id, root_);
  EXPECT_EQ(made.group, OrganizationGroup::clients);
  const auto seq = newest();
  EXPECT_EQ(store().organization_of_group(OrganizationGroup::clients, actor()).value(), *clients);
  EXPECT_EQ(newest(), seq);
  // One that is there under that name becomes it.
  const auto partners = make_organization(root_, "Partners");
  EXPECT_EQ(store().organization_of_group(OrganizationGroup::partners, actor()).value(), partners.id);
  EXPECT_EQ(store().find_organization(partners.id).value()->group, OrganizationGroup::partners);
  const auto other = make_organization(root_, "Other");
  for (const auto id : {*clients, partners.id}) {
    EXPECT_REFUSED(DomainError::protected_entity, store().delete_organization(id, actor()));
    EXPECT_REFUSED(DomainError::protected_entity, store().move_organization(id, other.id, actor()));
  }
}

TEST_P(OrganizationContract, CountsWhatKeepsAnOrganization) {
  set_up();
  const auto maker = make_organization(root_, "Maker");
  const auto customer = make_organization(maker.id, "Customer");
  const auto product = make_template(maker.id, "Product");
  make_device(maker.id, product.id, "One", 1);
  make_device(customer.id, product.id, "Two", 2);
  make_device(customer.id, product.id, "Three", 3);
  const auto use = store().organization_use(maker.id).value();
  EXPECT_EQ(use.sub_organizations, 1);
  EXPECT_EQ(use.devices, 1);
  EXPECT_EQ(use.template_devices, 2);
}

TEST_P(OrganizationContract, ALimitOfDevicesCountsWhatIsBeneathAndWhatIsReserved) {
  set_up();
  const auto maker = make_organization(root_, "Maker");
  const auto customer = make_organization(maker.id, "Customer");
  const auto product = make_template(root_, "Product");
  OrganizationChange limit;
  limit.devices_max = 3;
  ASSERT_OK(store().update_organization(maker.id, limit, actor()));
  EXPECT_EQ(store().find_organization(maker.id).value()->devices_max, 3);
  const auto one = make_device(customer.id, product.id, "One", 1);
  make_device(maker.id, product.id, "Two", 2);
  NewProvisionSession wanted;
  wanted.organization_id = customer.id;
  wanted.expires_at = {t0 + hour};
  const auto reserved = store().create_provision_session(wanted, token(3), actor());
  ASSERT_OK(reserved);
  EXPECT_REFUSED(DomainError::limit_reached, try_device(customer.id, product.id, "Four", 4));
  EXPECT_REFUSED(DomainError::limit_reached, store().create_provision_session(wanted, token(5), actor()));
  const auto elsewhere = make_device(root_, product.id, "Elsewhere", 6);
  EXPECT_REFUSED(DomainError::limit_reached, store().transfer_device(elsewhere.id, {customer.id, {}}, actor()));
  // Within what is limited a device moves freely.
  ASSERT_OK(store().transfer_device(one.id, {maker.id, {}}, actor()));
  // A session that ends gives its place back.
  ASSERT_OK(store().cancel_provision_session(reserved->id, actor()));
  const auto again = store().create_provision_session(wanted, token(7), actor());
  ASSERT_OK(again);
  // Lowered meanwhile: the device is told why.
  limit.devices_max = 2;
  ASSERT_OK(store().update_organization(maker.id, limit, actor()));
  const auto verdict = store().accept_info(again->id, info("TMPLProduct"), actor());
  ASSERT_OK(verdict);
  EXPECT_EQ(verdict->failure, ProvisionFailure::device_limit);
  EXPECT_EQ(session_now(again->id).failure_code, 807);
  EXPECT_EQ(session_now(again->id).state, ProvisionState::failed);
  limit.devices_max = -1;
  EXPECT_REFUSED(DomainError::invalid_value, store().update_organization(maker.id, limit, actor()));
  limit.devices_max = 0;
  ASSERT_OK(store().update_organization(maker.id, limit, actor()));
  make_device(customer.id, product.id, "Four", 8);
}

// --- devices -------------------------------------------------------------------------------------------------------------------

TEST_P(OrganizationContract, ADeviceMovesToItsNewOwnerWithEverythingItHas) {
  set_up();
  const auto customer = make_organization(root_, "Customer");
  const auto product = make_template(root_, "Product");
  const auto ada = make_user(root_, "ada@example.com"), bob = make_user(customer.id, "bob@example.com");
  const auto device = make_device(root_, product.id, "Lamp", 1, ada.id);
  ASSERT_OK(store().set_device_metadata(device.id, "Hotspot Name", "At home", actor()));
  ASSERT_OK(store().write_values(std::array{ValueUpdate{device.id, {1, "7", {t0}}}}));
  const auto seq = newest();
  const auto moved = store().transfer_device(device.id, {{}, bob.id}, actor(t0 + 9));
  ASSERT_OK(moved);
  EXPECT_EQ(moved->organization_id, customer.id);
  EXPECT_EQ(moved->owner_id, bob.id);
  EXPECT_EQ(moved->activated_at, device.activated_at);
  EXPECT_EQ(moved->name, "Lamp");
  EXPECT_EQ(kind_of(1), TokenKind::device);
  EXPECT_EQ(store().values_of(device.id).value().size(), 1u);
  EXPECT_EQ(store().device_metadata(device.id, "Hotspot Name").value(), "At home");
  EXPECT_TRUE(changed_since(seq, ChangeKind::device, device.id.value()));
  EXPECT_FALSE(changed_since(seq, ChangeKind::token, device.id.value()));
  EXPECT_EQ(shown_in(root_, "device.transfer"), 1u);
  EXPECT_EQ(shown_in(customer.id, "device.transfer"), 1u);

  EXPECT_REFUSED(DomainError::same_place, store().transfer_device(device.id, {{}, bob.id}, actor()));
  EXPECT_REFUSED(DomainError::owner_not_in_organization, store().transfer_device(device.id, {root_, bob.id}, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().transfer_device(device.id, {{}, UserId{99}}, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().transfer_device(device.id, {OrganizationId{99}, {}}, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().transfer_device(DeviceId{99}, {root_, {}}, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().transfer_device(device.id, {}, actor()));
  ASSERT_OK(store().update_user(ada.id, status(UserStatus::suspended), actor()));
  EXPECT_REFUSED(DomainError::not_active, store().transfer_device(device.id, {{}, ada.id}, actor()));
  const auto pending = make_user(root_, "new@example.com", user_role, UserStatus::pending);
  EXPECT_REFUSED(DomainError::not_active, store().transfer_device(device.id, {{}, pending.id}, actor()));

  // To an organization: nobody's there. Again with no change: refused.
  const auto nobodys = store().transfer_device(device.id, {root_, {}}, actor());
  ASSERT_OK(nobodys);
  EXPECT_EQ(nobodys->owner_id, UserId{});
  EXPECT_REFUSED(DomainError::same_place, store().transfer_device(device.id, {root_, {}}, actor()));

  const auto other = make_organization(root_, "Other");
  const auto special = make_template(other.id, "Special");
  const auto bound = make_device(other.id, special.id, "Bound", 2);
  EXPECT_REFUSED(DomainError::template_not_in_organization, store().transfer_device(bound.id, {customer.id, {}}, actor()));
}

TEST_P(OrganizationContract, AnOwnerThatIsRemovedLeavesTheDeviceWhereItIs) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto ada = make_user(root_, "ada@example.com");
  const auto device = make_device(root_, product.id, "Lamp", 1, ada.id);
  const auto after = store().remove_device_owner(device.id, actor());
  ASSERT_OK(after);
  EXPECT_EQ(after->organization_id, root_);
  EXPECT_EQ(after->owner_id, UserId{});
  EXPECT_EQ(audit_of("device.owner.remove").size(), 1u);
  EXPECT_REFUSED(DomainError::same_place, store().remove_device_owner(device.id, actor()));
  EXPECT_REFUSED(DomainError::not_found, store().remove_device_owner(DeviceId{99}, actor()));
  ASSERT_OK(store().delete_user(ada.id, actor()));  // Owns nothing any more.
}

TEST_P(OrganizationContract, AChangeOfHandsEndsTheReprovisioningThatWaits) {
  set_up();
  const auto customer = make_organization(root_, "Customer");
  const auto product = make_template(root_, "Product");
  const auto ada = make_user(root_, "ada@example.com"), bob = make_user(root_, "bob@example.com");
  const auto device = make_device(root_, product.id, "Lamp", 1, ada.id);
  const auto by_transfer = make_session(2, "", device.id);
  ASSERT_OK(store().transfer_device(device.id, {{}, bob.id}, actor()));
  EXPECT_EQ(session_now(by_transfer.id).state, ProvisionState::canceled);
  const auto tombstone = store().find_token(std::array{digest(2)}).value().value().record;
  EXPECT_EQ(tombstone.kind, TokenKind::revoked);
  EXPECT_TRUE(tombstone.is_quiet);  // A device that works must not hear that this one ended.
  EXPECT_EQ(kind_of(1), TokenKind::device);
  const auto by_removal = make_session(3, "", device.id);
  ASSERT_OK(store().remove_device_owner(device.id, actor()));
  EXPECT_EQ(session_now(by_removal.id).state, ProvisionState::canceled);
  const auto by_move = make_session(4, "", device.id);
  ASSERT_OK(store().transfer_device(device.id, {customer.id, {}}, actor()));
  EXPECT_EQ(session_now(by_move.id).state, ProvisionState::canceled);
  // One whose device has logged in already goes on: that device may hold nothing else.
  const auto proving = make_session(5, "", device.id);
  ASSERT_OK(store().accept_info(proving.id, info("TMPLProduct"), actor()));
  ASSERT_OK(store().transfer_device(device.id, {root_, {}}, actor()));
  EXPECT_EQ(session_now(proving.id).state, ProvisionState::proving);
  EXPECT_NE(kind_of(5), TokenKind::revoked);
}

TEST_P(OrganizationContract, AnErasedDeviceKeepsWhatItIsAndLosesWhatItSaid) {
  set_up();
  const auto product = make_template(root_, "Product");
  const auto device = make_device(root_, product.id, "Lamp", 1, admin_);
  ASSERT_OK(store().set_device_metadata(device.id, "Hotspot Name", "At home", actor()));
  const std::int64_t now = t0;  // Earlier than any clock of a store under test.
  ASSERT_OK(store().write_values(std::array{ValueUpdate{device.id, {1, "7", {now}}}, ValueUpdate{device.id, {2, "8", {now}}}}));
  ASSERT_OK(store().erase_device(device.id, actor()));
  EXPECT_TRUE(store().values_of(device.id).value().empty());
  const auto after = device_now(device.id);
  EXPECT_EQ(after.owner_id, admin_);
  EXPECT_EQ(after.activated_at, device.activated_at);
  EXPECT_EQ(kind_of(1), TokenKind::device);
  EXPECT_EQ(store().device_metadata(device.id, "Hotspot Name").value(), "At home");
  EXPECT_EQ(audit_of("device.erase").size(), 1u);
  // What was taken before and is written behind now is too late; what comes later is not.
  ASSERT_OK(store().write_values(std::array{ValueUpdate{device.id, {1, "7", {now}}}}));
  EXPECT_TRUE(store().values_of(device.id).value().empty());
  ASSERT_OK(store().write_values(std::array{ValueUpdate{device.id, {1, "9", {now + 1'000'000 * hour}}}}));
  EXPECT_EQ(store().values_of(device.id).value().size(), 1u);
  EXPECT_REFUSED(DomainError::not_found, store().erase_device(DeviceId{99}, actor()));
}

TEST_P(OrganizationContract, OneOfTwoTransfersAtOnceComesLastAndTheRowIsWhole) {
  set_up();
  const auto a = make_organization(root_, "A"), b = make_organization(root_, "B");
  const auto product = make_template(root_, "Product");
  const auto ada = make_user(a.id, "ada@example.com"), bob = make_user(b.id, "bob@example.com");
  const auto device = make_device(root_, product.id, "Lamp", 1);
  for (int round = 0; round < 20; ++round) {
    std::thread one{[&] { (void)store().transfer_device(device.id, {{}, ada.id}, actor()); }};
    std::thread two{[&] { (void)store().transfer_device(device.id, {{}, bob.id}, actor()); }};
    one.join();
    two.join();
    const auto now = device_now(device.id);
    EXPECT_EQ(now.organization_id, now.owner_id == ada.id ? a.id : b.id);
  }
}

}  // namespace muster::domain
