// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>

#include "cloud/store/store_contract.hpp"

/// What every backend must do about links, mail, sessions of people and second factors (domain::PeopleStore, domain::MailStore).
namespace muster::domain {

class PeopleContract : public StoreContract {
 protected:
  void SetUp() override {
    StoreContract::SetUp();
    set_up();
  }
  static NewLink link(LinkKind kind, std::string email, std::uint64_t secret, std::int64_t expires_at = t0 + 1'000'000) {
    NewLink made;
    made.link.kind = kind;
    made.link.email = std::move(email);
    made.link.expires_at = {expires_at};
    made.digest = digest(secret);
    return made;
  }
  NewLink invitation(std::string email, std::uint64_t secret, OrganizationId to = {}) {
    NewLink made = link(LinkKind::invite, std::move(email), secret);
    made.link.organization_id = to ? to : root_;
    made.link.role_id = staff_role;
    made.link.name = "Zoë";
    return made;
  }
  static NewMail mail(std::string to) { return {std::move(to), "test", "sealed text"}; }
  std::vector<QueuedMail> due(std::int64_t at = t0 + 1'000) { return store().due_mail({at}, 100).value(); }
  template <class T>
  static Error error_of(const Result<T>& result) {
    return result ? Error{} : result.error();
  }
  std::array<TokenDigest, 1> only(std::uint64_t secret) { return {digest(secret)}; }
  std::size_t audited(std::string_view action, OrganizationId in = {}) {
    const OrganizationId organization = in ? in : root_;
    return store().audit({{&organization, 1}, std::string{action}, {}, {}}, {}).value().rows.size();
  }
};

// --- mail ----------------------------------------------------------------------------------------------------------------

TEST_P(PeopleContract, MailWaitsUntilItIsOutAndIsForgottenWhenGivenUp) {
  ASSERT_TRUE(store().queue_mail(mail("a@example.com"), root_, {t0}));
  ASSERT_TRUE(store().queue_mail(mail("b@example.com"), root_, {t0 + 10}));
  EXPECT_TRUE(store().due_mail({t0 - 1}, 10).value().empty());
  auto waiting = due();
  ASSERT_EQ(waiting.size(), 2u);
  EXPECT_EQ(waiting[0].recipient, "a@example.com");
  EXPECT_EQ(waiting[0].sealed, "sealed text");
  EXPECT_EQ(waiting[0].organization_id, root_);

  ASSERT_TRUE(store().mail_failed(waiting[0].id, UtcTime{t0 + 60'000}, "451 later", {t0}));
  ASSERT_TRUE(store().mail_failed(waiting[1].id, std::nullopt, std::string(1'000, 'x'), {t0}));
  EXPECT_TRUE(due().empty());
  reopen();
  auto listed = store().queued_mail(root_, {}).value();
  ASSERT_EQ(listed.total, 2);
  EXPECT_TRUE(listed.rows[0].given_up);
  EXPECT_EQ(listed.rows[0].reason.size(), 300u);
  EXPECT_EQ(listed.rows[1].reason, "451 later");
  EXPECT_EQ(listed.rows[1].tries, 1u);
  EXPECT_TRUE(listed.rows[1].sealed.empty());
  waiting = due(t0 + 60'000);
  ASSERT_EQ(waiting.size(), 1u);
  ASSERT_TRUE(store().mail_sent(waiting[0].id));
  EXPECT_EQ(store().queued_mail(root_, {}).value().total, 1);
  // What was given up is shown for a while.
  EXPECT_EQ(store().expire_links({t0 + given_up_mail_kept_ms - 1}, 100).value(), 0u);
  EXPECT_EQ(store().expire_links({t0 + given_up_mail_kept_ms + 1}, 100).value(), 1u);
}

// --- invitations -----------------------------------------------------------------------------------------------------------

TEST_P(PeopleContract, AnInvitationMakesAUserOnce) {
  const Organization branch = make_organization(root_, "Branch");
  const auto made = store().create_invitation(invitation("Zoe@Example.com", 1, branch.id), mail("zoe@example.com"), 25, actor());
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->email, "zoe@example.com");
  EXPECT_EQ(due().size(), 1u);
  EXPECT_EQ(store().invitations(branch.id, {}).value().rows.at(0).id, made->id);
  reopen();
  ASSERT_TRUE(store().find_link(LinkKind::invite, only(1)).value());
  EXPECT_FALSE(store().find_link(LinkKind::reset, only(1)).value());
  EXPECT_FALSE(store().find_link(LinkKind::invite, only(2)).value());

  const auto user = store().accept_invitation(only(1), "verifier", "Zoë Q.", {});
  ASSERT_TRUE(user) << user.error().message();
  EXPECT_EQ(user->email, "zoe@example.com");
  EXPECT_EQ(user->organization_id, branch.id);
  EXPECT_EQ(user->role_id, staff_role);
  EXPECT_EQ(user->name, "Zoë Q.");
  EXPECT_EQ(user->status, UserStatus::active);
  EXPECT_GT(store().email_confirmed_at(user->id).value().ms, 0);
  EXPECT_EQ(error_of(store().accept_invitation(only(1), "verifier", "", {})), DomainError::not_found);
  EXPECT_EQ(store().invitations(branch.id, {}).value().total, 0);
  EXPECT_EQ(audited("user.invite"), 1u);
  EXPECT_EQ(audited("user.invite.accept", branch.id), 1u);
}

TEST_P(PeopleContract, ANewerLinkTakesThePlaceOfTheOlder) {
  ASSERT_TRUE(store().create_invitation(invitation("a@example.com", 1), std::nullopt, 25, actor()));
  const auto second = store().create_invitation(invitation("A@example.com", 2), std::nullopt, 25, actor());
  ASSERT_TRUE(second);
  EXPECT_FALSE(store().find_link(LinkKind::invite, only(1)).value());
  ASSERT_TRUE(store().renew_invitation(second->id, digest(3), {t0 + 2'000'000}, mail("a@example.com"), 25, actor()));
  EXPECT_FALSE(store().find_link(LinkKind::invite, only(2)).value());
  EXPECT_EQ(store().find_link(LinkKind::invite, only(3)).value()->expires_at.ms, t0 + 2'000'000);
  // Another organization's invitation stays.
  const Organization other = make_organization(root_, "Other");
  ASSERT_TRUE(store().create_invitation(invitation("a@example.com", 4, other.id), std::nullopt, 25, actor()));
  EXPECT_TRUE(store().find_link(LinkKind::invite, only(3)).value());
  ASSERT_TRUE(store().revoke_invitation(second->id, actor()));
  EXPECT_FALSE(store().find_link(LinkKind::invite, only(3)).value());
  EXPECT_EQ(error_of(store().revoke_invitation(second->id, actor())), DomainError::not_found);
  EXPECT_EQ(error_of(store().renew_invitation(second->id, digest(5), {t0 + 1}, std::nullopt, 25, actor())), DomainError::not_found);
}

TEST_P(PeopleContract, InvitationsOfADayHaveALimitAndARefusedOneLeavesNothing) {
  ASSERT_TRUE(store().create_invitation(invitation("a@example.com", 1), mail("a@example.com"), 2, actor()));
  const auto second = store().create_invitation(invitation("b@example.com", 2), std::nullopt, 2, actor());
  ASSERT_TRUE(second);
  EXPECT_EQ(error_of(store().create_invitation(invitation("c@example.com", 3), mail("c@example.com"), 2, actor())),
            DomainError::limit_reached);
  EXPECT_EQ(error_of(store().renew_invitation(second->id, digest(4), {t0 + 9}, mail("b@example.com"), 2, actor())),
            DomainError::limit_reached);
  EXPECT_TRUE(store().find_link(LinkKind::invite, only(2)).value()) << "the old link still works";
  EXPECT_FALSE(store().find_link(LinkKind::invite, only(3)).value());
  EXPECT_EQ(due().size(), 1u);
  EXPECT_TRUE(store().create_invitation(invitation("c@example.com", 3), std::nullopt, 2, actor(t0 + 24 * hour)));
}

TEST_P(PeopleContract, AnInvitationOfSomebodyWithAnAccountMovesHim) {
  const Organization from = make_organization(root_, "From"), to = make_organization(root_, "To");
  const User boss = make_user(from.id, "boss@example.com", admin_role);
  const User user = make_user(from.id, "a@example.com");
  ASSERT_TRUE(store().create_invitation(invitation("a@example.com", 1, to.id), std::nullopt, 25, actor()));
  EXPECT_EQ(error_of(store().accept_invitation(only(1), "verifier", "", {})), DomainError::email_taken);
  EXPECT_TRUE(store().find_link(LinkKind::invite, only(1)).value()) << "what failed has not used the link";
  EXPECT_EQ(error_of(store().accept_invitation_as(only(1), boss.id, OwnedDevices::refuse, {})), DomainError::not_found)
      << "it is not his invitation";
  const auto moved = store().accept_invitation_as(only(1), user.id, OwnedDevices::refuse, {});
  ASSERT_TRUE(moved) << moved.error().message();
  EXPECT_EQ(moved->organization_id, to.id);
  EXPECT_EQ(moved->role_id, staff_role);
  EXPECT_FALSE(store().find_link(LinkKind::invite, only(1)).value());
  EXPECT_EQ(audited("user.transfer", from.id), 1u);
  EXPECT_EQ(audited("user.transfer", to.id), 1u);
}

TEST_P(PeopleContract, ExpiredLinksDoNothingAndGo) {
  const auto expired = link(LinkKind::reset, "owner@example.com", 1, t0 - 1);
  ASSERT_TRUE(store().request_link(expired, mail("owner@example.com"), true, actor(t0 - 1'000)));
  EXPECT_FALSE(store().find_link(LinkKind::reset, only(1)).value());
  EXPECT_EQ(error_of(store().reset_password(only(1), "new", std::nullopt, {})), DomainError::not_found);
  EXPECT_EQ(store().expire_links({t0}, 100).value(), 1u);
  EXPECT_EQ(store().expire_links({t0}, 100).value(), 0u);
}

// --- reset, sign-up, confirmation ----------------------------------------------------------------------------------------------

TEST_P(PeopleContract, AResetSetsThePasswordOnceAndEndsEverySession) {
  ASSERT_TRUE(store().create_access_token(admin_, digest(50), {t0 + 24 * hour}, actor()));
  ASSERT_TRUE(store().request_link(link(LinkKind::reset, "owner@example.com", 1), mail("owner@example.com"), true, actor()));
  EXPECT_EQ(due().size(), 1u);
  const auto user = store().reset_password(only(1), "verifier-2", mail("owner@example.com"), {});
  ASSERT_TRUE(user) << user.error().message();
  EXPECT_EQ(user->id, admin_);
  EXPECT_EQ(due(t0 + 24 * hour * 10'000).size(), 2u) << "and the note about it";
  EXPECT_EQ(store().find_credentials("owner@example.com").value()->verifier, "verifier-2");
  EXPECT_FALSE(store().find_access_token(only(50)).value());
  EXPECT_EQ(error_of(store().reset_password(only(1), "verifier-3", std::nullopt, {})), DomainError::not_found);
}

TEST_P(PeopleContract, AskingForAnUnknownEmailWritesTheSameRowsAndSendsNothing) {
  const User suspended = make_user(root_, "off@example.com", user_role, UserStatus::suspended);
  for (const std::string email : {"nobody@example.com", "off@example.com"}) {
    ASSERT_TRUE(store().request_link(link(LinkKind::reset, email, email.size()), mail(email), true, actor()));
    EXPECT_TRUE(due().empty());
    EXPECT_TRUE(store().find_link(LinkKind::reset, only(email.size())).value());
  }
  EXPECT_EQ(store().queued_mail(root_, {}).value().total, 0);
  EXPECT_EQ(error_of(store().reset_password(only(18), "x", std::nullopt, {})), DomainError::not_found);
  EXPECT_EQ(error_of(store().reset_password(only(15), "x", std::nullopt, {})), DomainError::not_active);
  EXPECT_EQ(store().expire_links({t0}, 100).value(), 2u) << "the mails that go nowhere";
}

TEST_P(PeopleContract, SignUpMakesAnOrganizationOfOnesOwn) {
  const Organization clients = make_organization(root_, "Clients"), partners = make_organization(root_, "Partners");
  auto asked = link(LinkKind::sign_up, "new@example.com", 1);
  ASSERT_TRUE(store().request_link(asked, mail("new@example.com"), false, actor()));
  EXPECT_EQ(due().size(), 1u);
  const auto user = store().complete_sign_up(only(1), "verifier", "Nia", clients.id, "Nia", {});
  ASSERT_TRUE(user) << user.error().message();
  EXPECT_EQ(user->role_id, admin_role);
  auto home = store().find_organization(user->organization_id).value();
  EXPECT_EQ(home->parent_id, clients.id);
  EXPECT_EQ(home->type, OrganizationType::personal);
  EXPECT_FALSE(home->can_create_sub_organizations);
  EXPECT_EQ(error_of(store().complete_sign_up(only(1), "verifier", "Nia", clients.id, "Nia", {})), DomainError::not_found);

  // The same name beside it, as a partner.
  asked = link(LinkKind::sign_up, "second@example.com", 2);
  ASSERT_TRUE(store().request_link(asked, mail("second@example.com"), false, actor()));
  EXPECT_EQ(
      store().find_organization(store().complete_sign_up(only(2), "v", "Nia", clients.id, "Nia", {}).value().organization_id).value()->name,
      "Nia 2");
  asked = link(LinkKind::sign_up, "third@example.com", 3);
  asked.link.sign_up = SignUpKind::partner;
  ASSERT_TRUE(store().request_link(asked, mail("third@example.com"), false, actor()));
  home = store().find_organization(store().complete_sign_up(only(3), "v", "Pat", partners.id, "Parts", {}).value().organization_id).value();
  EXPECT_EQ(home->type, OrganizationType::business);
  EXPECT_TRUE(home->can_create_sub_organizations);

  // Somebody whose account was made meanwhile.
  ASSERT_TRUE(store().request_link(link(LinkKind::sign_up, "late@example.com", 4), mail("late@example.com"), false, actor()));
  make_user(root_, "late@example.com");
  EXPECT_EQ(error_of(store().complete_sign_up(only(4), "v", "", clients.id, "Late", {})), DomainError::email_taken);
}

TEST_P(PeopleContract, AnEmailIsConfirmedByItsLink) {
  EXPECT_EQ(store().email_confirmed_at(admin_).value().ms, 0);
  ASSERT_TRUE(store().request_link(link(LinkKind::confirm_email, "owner@example.com", 1), mail("owner@example.com"), true, actor()));
  EXPECT_EQ(store().confirm_email(only(1), actor()).value(), admin_);
  EXPECT_EQ(store().email_confirmed_at(admin_).value().ms, t0);
  EXPECT_EQ(error_of(store().confirm_email(only(1), actor())), DomainError::not_found);
}

// --- people move and leave -----------------------------------------------------------------------------------------------------

TEST_P(PeopleContract, AUserMovesWithOrWithoutHisDevices) {
  const Template kind = make_template(root_, "Pump");
  const Organization a = make_organization(root_, "A"), b = make_organization(root_, "B");
  const User boss = make_user(a.id, "boss@example.com", admin_role), user = make_user(a.id, "u@example.com");
  const Device device = make_device(a.id, kind.id, "One", 900, user.id);
  ASSERT_TRUE(store().create_access_token(user.id, digest(60), {t0 + 24 * hour}, actor()));

  EXPECT_EQ(error_of(store().transfer_user(boss.id, b.id, {}, OwnedDevices::refuse, actor())), DomainError::last_admin);
  EXPECT_EQ(error_of(store().transfer_user(user.id, b.id, {}, OwnedDevices::refuse, actor())), DomainError::in_use);
  EXPECT_EQ(error_of(store().transfer_user(user.id, a.id, {}, OwnedDevices::move, actor())), DomainError::same_place);
  EXPECT_EQ(error_of(store().transfer_user(user.id, OrganizationId{999}, {}, OwnedDevices::move, actor())), DomainError::not_found);
  EXPECT_EQ(store().find_user(user.id).value()->organization_id, a.id);

  const auto moved = store().transfer_user(user.id, b.id, staff_role, OwnedDevices::move, actor());
  ASSERT_TRUE(moved) << moved.error().message();
  EXPECT_EQ(moved->organization_id, b.id);
  EXPECT_EQ(moved->role_id, staff_role);
  EXPECT_EQ(store().find_device(device.id).value()->organization_id, b.id);
  EXPECT_EQ(store().find_device(device.id).value()->owner_id, user.id);
  EXPECT_FALSE(store().find_access_token(only(60)).value());

  ASSERT_TRUE(store().transfer_user(user.id, a.id, {}, OwnedDevices::release, actor()));
  EXPECT_EQ(store().find_device(device.id).value()->organization_id, b.id);
  EXPECT_FALSE(store().find_device(device.id).value()->owner_id);
  EXPECT_EQ(store().find_user(user.id).value()->role_id, staff_role);
}

TEST_P(PeopleContract, WhoLeavesLastTakesHisOrganizationWithHim) {
  const Template kind = make_template(root_, "Pump");
  const Organization home = make_organization(root_, "Home");
  const User user = make_user(home.id, "u@example.com", admin_role), other = make_user(home.id, "o@example.com");
  const Device device = make_device(home.id, kind.id, "One", 900, user.id);
  EXPECT_EQ(error_of(store().leave(admin_, OwnedDevices::release, actor())), DomainError::last_admin);
  EXPECT_EQ(error_of(store().leave(user.id, OwnedDevices::release, actor())), DomainError::last_admin) << "somebody is left";
  ASSERT_TRUE(store().leave(other.id, OwnedDevices::refuse, actor()));
  EXPECT_FALSE(store().find_user(other.id).value());
  EXPECT_EQ(error_of(store().leave(user.id, OwnedDevices::refuse, actor())), DomainError::in_use);
  ASSERT_TRUE(store().leave(user.id, OwnedDevices::release, actor()));
  EXPECT_FALSE(store().find_user(user.id).value());
  EXPECT_FALSE(store().find_organization(home.id).value());
  EXPECT_FALSE(store().find_device(device.id).value());
  EXPECT_EQ(store().find_token(only(900)).value()->record.kind, TokenKind::revoked) << "its token identifies nothing ever again";
}

TEST_P(PeopleContract, WhoeverLeftIsNamedInNoEntry) {
  for (const auto& [email, secret] : {std::pair{"gone@example.com", 1}, {"stays@example.com", 2}}) {
    ASSERT_TRUE(store().create_invitation(invitation(email, static_cast<std::uint64_t>(secret)), std::nullopt, 25, actor()));
  }
  const auto user = store().accept_invitation(only(1), "verifier", "Gone", {});
  ASSERT_TRUE(user) << user.error().message();
  const auto naming = [&](std::string_view email) {
    const auto all = store().audit({{&root_, 1}, {}, {}, {}}, {}).value().rows;
    return std::count_if(all.begin(), all.end(), [&](const AuditEntry& entry) {
      return entry.personal.find(email) != std::string::npos || entry.detail.find(email) != std::string::npos;
    });
  };
  EXPECT_EQ(naming("gone@example.com"), 3) << "invited, created, accepted";
  EXPECT_EQ(naming("stays@example.com"), 1);
  ASSERT_TRUE(store().leave(user->id, OwnedDevices::release, actor()));
  EXPECT_EQ(naming("gone@example.com"), 0);
  EXPECT_EQ(naming("stays@example.com"), 1);
}

TEST_P(PeopleContract, TheActsOfAPersonAreHisOwnOnes) {
  Actor himself = actor();
  ASSERT_TRUE(store().create_access_token(admin_, digest(70), {t0 + hour}, himself));
  const auto acts = store().acts_of(admin_, 10).value();
  ASSERT_FALSE(acts.empty());
  EXPECT_EQ(acts[0].action, "session.create");
  EXPECT_TRUE(store().acts_of(UserId{999}, 10).value().empty());
}

// --- sessions and second factors -----------------------------------------------------------------------------------------------

TEST_P(PeopleContract, SessionsAreListedAndEndedOneByOne) {
  Actor phone = actor();
  phone.client = "Web";
  phone.ip = "192.0.2.7";
  ASSERT_TRUE(store().create_access_token(admin_, digest(1), {t0 + hour * 24 * 365 * 100}, actor(t0 - 5)));
  ASSERT_TRUE(store().create_access_token(admin_, digest(2), {t0 + hour * 24 * 365 * 100}, phone));
  auto all = store().sign_ins(admin_).value();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].client, "Web");
  EXPECT_EQ(all[0].ip, "192.0.2.7");
  EXPECT_EQ(all[0].digest, digest(2));
  EXPECT_EQ(all[0].created_at.ms, t0);
  EXPECT_NE(all[0].id, all[1].id);
  EXPECT_EQ(error_of(store().end_sign_in(UserId{999}, all[0].id, actor())), DomainError::not_found) << "it is somebody else's";
  ASSERT_TRUE(store().end_sign_in(admin_, all[0].id, actor()));
  EXPECT_FALSE(store().find_access_token(only(2)).value());
  EXPECT_TRUE(store().find_access_token(only(1)).value());
  ASSERT_TRUE(store().create_access_token(admin_, digest(3), {t0 + hour * 24 * 365 * 100}, actor()));
  ASSERT_TRUE(store().end_sign_ins(admin_, digest(1), actor()));
  EXPECT_TRUE(store().find_access_token(only(1)).value());
  EXPECT_FALSE(store().find_access_token(only(3)).value());
  ASSERT_TRUE(store().end_sign_ins(admin_, std::nullopt, actor()));
  EXPECT_TRUE(store().sign_ins(admin_).value().empty());
}

TEST_P(PeopleContract, ASecondFactorIsAskedForOnceItWasShown) {
  EXPECT_FALSE(store().find_second_factor(admin_).value());
  ASSERT_TRUE(store().begin_second_factor(admin_, "first"));
  ASSERT_TRUE(store().begin_second_factor(admin_, "second"));
  EXPECT_FALSE(store().find_second_factor(admin_).value()->enabled);
  EXPECT_EQ(error_of(store().use_totp_step(admin_, 10)), DomainError::wrong_state);
  ASSERT_TRUE(store().create_access_token(admin_, digest(1), {t0 + hour * 24 * 365 * 100}, actor()));
  ASSERT_TRUE(store().create_access_token(admin_, digest(2), {t0 + hour * 24 * 365 * 100}, actor()));
  const std::array<TokenDigest, 2> codes{digest(11), digest(12)};
  ASSERT_TRUE(store().enable_second_factor(admin_, 100, codes, digest(1), actor()));
  EXPECT_TRUE(store().find_access_token(only(1)).value());
  EXPECT_FALSE(store().find_access_token(only(2)).value());
  const auto enabled = store().find_second_factor(admin_).value();
  EXPECT_TRUE(enabled->enabled);
  EXPECT_EQ(enabled->sealed, "second");
  EXPECT_EQ(enabled->recovery_codes_left, 2u);
  EXPECT_EQ(error_of(store().begin_second_factor(admin_, "third")), DomainError::wrong_state);
  EXPECT_EQ(error_of(store().enable_second_factor(admin_, 101, codes, std::nullopt, actor())), DomainError::wrong_state);

  // Each code once, whatever the clock did in between.
  EXPECT_EQ(error_of(store().use_totp_step(admin_, 100)), DomainError::wrong_state);
  EXPECT_TRUE(store().use_totp_step(admin_, 5'000));
  EXPECT_TRUE(store().use_totp_step(admin_, 101));
  EXPECT_EQ(error_of(store().use_totp_step(admin_, 5'000)), DomainError::wrong_state);

  ASSERT_TRUE(store().use_recovery_code(admin_, only(11), actor()));
  EXPECT_EQ(error_of(store().use_recovery_code(admin_, only(11), actor())), DomainError::not_found);
  EXPECT_EQ(error_of(store().use_recovery_code(UserId{999}, only(12), actor())), DomainError::not_found);
  ASSERT_TRUE(store().replace_recovery_codes(admin_, only(13), actor()));
  EXPECT_EQ(error_of(store().use_recovery_code(admin_, only(12), actor())), DomainError::not_found);
  ASSERT_TRUE(store().remove_second_factor(admin_, actor()));
  EXPECT_FALSE(store().find_second_factor(admin_).value());
  EXPECT_EQ(error_of(store().use_recovery_code(admin_, only(13), actor())), DomainError::not_found);
}

TEST_P(PeopleContract, RecoveringAnAdministratorTakesTheSecondFactorAway) {
  ASSERT_TRUE(store().begin_second_factor(admin_, "sealed"));
  ASSERT_TRUE(store().enable_second_factor(admin_, 1, only(11), std::nullopt, actor()));
  ASSERT_TRUE(store().recover_administrator("owner@example.com", "verifier-2", {}));
  EXPECT_FALSE(store().find_second_factor(admin_).value());
  EXPECT_EQ(error_of(store().use_recovery_code(admin_, only(11), actor())), DomainError::not_found);
}

TEST_P(PeopleContract, OnlyTheNewestUsedStepsAreRemembered) {
  ASSERT_TRUE(store().begin_second_factor(admin_, "sealed"));
  ASSERT_TRUE(store().enable_second_factor(admin_, 0, {}, std::nullopt, actor()));
  for (std::int64_t step = 1; step <= static_cast<std::int64_t>(totp_steps_remembered); ++step)
    ASSERT_TRUE(store().use_totp_step(admin_, step));
  EXPECT_TRUE(store().use_totp_step(admin_, 0));
  EXPECT_EQ(error_of(store().use_totp_step(admin_, 2)), DomainError::wrong_state);
}

TEST_P(PeopleContract, KeysThatSealOrDigestSomethingAreInUse) {
  const std::string sealed{"\x01\x01\x02 and more", 12};
  ASSERT_TRUE(store().begin_second_factor(admin_, sealed));
  ASSERT_TRUE(store().queue_mail({"a@example.com", "test", "\x01\x01\x03 text"}, root_, {t0}));
  auto asked = link(LinkKind::reset, "owner@example.com", 1);
  asked.digest = digest(1, 700);
  ASSERT_TRUE(store().request_link(asked, mail("owner@example.com"), true, actor()));
  ASSERT_TRUE(store().enable_second_factor(admin_, 1, std::array{digest(2, 701)}, std::nullopt, actor()));
  EXPECT_THAT(store().key_ids_in_use().value(), testing::UnorderedElementsAre(0x0102, 0x0103, 700, 701));
}

}  // namespace muster::domain
