// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/api/people/totp.hpp"
#include "cloud/api/test_people.hpp"

namespace muster::api {
namespace {

using namespace std::chrono_literals;

class People : public PeopleServer {};
class PeopleWithoutMail : public PeopleServer {
 protected:
  static ApiOptions without_smtp() {
    ApiOptions options = PeopleServer::options();
    options.has_smtp = false;
    return options;
  }
  PeopleWithoutMail() : PeopleServer{without_smtp()} {}
};
class PeopleWithoutAddress : public PeopleServer {
 protected:
  static ApiOptions without_url() {
    ApiOptions options = PeopleServer::options();
    options.public_url = "";
    return options;
  }
  PeopleWithoutAddress() : PeopleServer{without_url()} {}
};

std::string accept_body(const std::string& link, const std::string& password = "new password", const std::string& more = "") {
  return R"({"link":")" + link + R"(","password":")" + password + '"' + more + "}";
}

TEST_F(People, AnInvitationGoesOutByMailAndMakesAnAccountOnce) {
  const Response made = post("/api/v1/users/invite", R"({"email":"Zoe+tag@Example.org","name":"Zoë","role":"Staff"})", server_.admin_token);
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(text_in(made, "email"), "zoe+tag@example.org");
  EXPECT_EQ(text_in(made, "status"), "Pending");
  EXPECT_EQ(made.body.find("link="), std::string::npos) << "whoever invites does not see the link that went out";
  EXPECT_EQ(number_in(server_.get("/api/v1/users/invitations", server_.admin_token), "totalElements"), 1);

  const auto mails = take_mail();
  ASSERT_EQ(mails.size(), 1u);
  EXPECT_EQ(mails[0].to, "zoe+tag@example.org");
  EXPECT_TRUE(mails[0].link.starts_with("/account/invitation?link="));
  const std::string link = secret_of(mails[0].link);
  EXPECT_EQ(link.size(), 43u);

  EXPECT_EQ(field_of(post("/api/v1/users/invitation/accept", accept_body(link, "short"))), "password");
  const Response user = post("/api/v1/users/invitation/accept", accept_body(link));
  ASSERT_EQ(user.status, 201u) << user.body;
  EXPECT_EQ(text_in(user, "name"), "Zoë");
  EXPECT_EQ(sign_in("zoe+tag@example.org", "new password").status, 201u);
  EXPECT_EQ(code_of(post("/api/v1/users/invitation/accept", accept_body(link))), "link_invalid");
}

TEST_F(People, LinksThatAreTamperedForeignSupersededOrExpiredAreAllTheSame) {
  ASSERT_EQ(post("/api/v1/users/invite", R"({"email":"a@example.org"})", server_.admin_token).status, 201u);
  const std::string first = secret_of(take_mail().at(0).link);
  const Response invalid = post("/api/v1/users/invitation/accept", accept_body("x"));
  EXPECT_EQ(invalid.status, 404u);
  EXPECT_EQ(code_of(invalid), "link_invalid");
  std::string tampered = first;
  tampered[20] = tampered[20] == 'a' ? 'b' : 'a';
  EXPECT_EQ(post("/api/v1/users/invitation/accept", accept_body(tampered)).body, invalid.body);
  // Of another kind: it opens nothing but what it is for.
  EXPECT_EQ(post("/api/v1/users/reset/complete", accept_body(first)).body, invalid.body);
  EXPECT_EQ(post("/api/v1/users/register/complete", accept_body(first)).body, invalid.body);
  const std::string id = str(number_in(server_.get("/api/v1/users/invitations", server_.admin_token), "totalElements"));
  const Json page = body_of(server_.get("/api/v1/users/invitations", server_.admin_token));
  const std::string invitation = str(page.find("content")->items.at(0).find("invitationId")->integer);
  ASSERT_EQ(post("/api/v1/users/invitation/resend", R"({"invitationId":)" + invitation + "}", server_.admin_token).status, 200u);
  const std::string second = secret_of(take_mail().at(0).link);
  EXPECT_EQ(post("/api/v1/users/invitation/accept", accept_body(first)).body, invalid.body);
  server_.clock.advance(30 * 24h + 1s);
  EXPECT_EQ(post("/api/v1/users/invitation/accept", accept_body(second)).body, invalid.body);
  EXPECT_EQ(id, "1");
}

TEST_F(People, GuessesOfLinksEnd) {
  for (int i = 0; i < 30; ++i) EXPECT_EQ(post("/api/v1/users/confirm-email", R"({"link":"x"})").status, 404u);
  const Response held = post("/api/v1/users/confirm-email", R"({"link":"x"})");
  EXPECT_EQ(held.status, 429u);
  EXPECT_FALSE(header_of(held, "Retry-After").empty());
}

TEST_F(People, TheInviterCannotTellWhoHasAnAccount) {
  const OrganizationId other = server_.organization(server_.root, "Other");
  server_.user(other, domain::user_role, "known@example.org");
  const OrganizationId mine = server_.organization(server_.root, "Mine");
  const std::string inviter = server_.access_token(server_.user(mine, domain::admin_role, "boss@example.org"));
  const Response known = post("/api/v1/users/invite", R"({"email":"known@example.org"})", inviter);
  const Response unknown = post("/api/v1/users/invite", R"({"email":"other@example.org"})", inviter);
  ASSERT_EQ(known.status, 201u) << known.body;
  EXPECT_EQ(unknown.status, 201u);
  const auto shape = [](const Response& response) {
    std::string names;
    for (const auto& member : body_of(response).members) names += member.first + ",";
    return names;
  };
  EXPECT_EQ(shape(known), shape(unknown));
  EXPECT_EQ(number_in(server_.get("/api/v1/users/invitations", inviter), "totalElements"), 2);
  EXPECT_EQ(number_in(server_.get("/api/v1/users", inviter), "totalElements"), 1);
  const auto mails = take_mail();
  ASSERT_EQ(mails.size(), 2u);
  EXPECT_NE(mails[0].message.text.find("You have an account already"), std::string::npos);
  EXPECT_EQ(mails[1].message.text.find("You have an account already"), std::string::npos);
}

TEST_F(People, WhoHasAnAccountMovesWithHisPassword) {
  const OrganizationId from = server_.organization(server_.root, "From"), to = server_.organization(server_.root, "To");
  const UserId user = accepted("mover@example.org", "his password", from);
  ASSERT_EQ(
      post("/api/v1/users/invite", R"({"email":"mover@example.org","role":"Staff","orgId":)" + str(to) + "}", server_.admin_token).status,
      201u);
  const std::string link = secret_of(take_mail().at(0).link);
  EXPECT_EQ(code_of(post("/api/v1/users/invitation/accept", accept_body(link, "some other one"))), "email_taken");
  EXPECT_EQ(code_of(post("/api/v1/users/invitation/accept", accept_body(link, "wrong password", R"(,"move":true)"))),
            "invalid_credentials");
  const Response moved = post("/api/v1/users/invitation/accept", accept_body(link, "his password", R"(,"move":true)"));
  ASSERT_EQ(moved.status, 201u) << moved.body;
  EXPECT_EQ(number_in(moved, "orgId"), to.value());
  EXPECT_EQ(server_.store->find_user(user).value()->organization_id, to);
}

TEST_F(People, NobodyInvitesBeyondHisOwnRightsOrPastTheDay) {
  const std::string staff = server_.access_token(server_.user(server_.root, domain::staff_role, "staff@example.org"));
  EXPECT_EQ(code_of(post("/api/v1/users/invite", R"({"email":"x@example.org","role":"Admin"})", staff)), "role_exceeds_own");
  for (int i = 0; i < 25; ++i)
    ASSERT_EQ(post("/api/v1/users/invite", R"({"email":"u)" + std::to_string(i) + R"(@example.org"})", server_.admin_token).status, 201u);
  EXPECT_EQ(code_of(post("/api/v1/users/invite", R"({"email":"more@example.org"})", server_.admin_token)), "limit_reached");
}

TEST_F(People, EmailsThatAreNoneAreNamed) {
  for (const std::string email : {"zoë@example.org", "a b@example.org", "x", "a@b\\r\\nBcc: c@d.org", "a@-example.org"}) {
    const Response refused = post("/api/v1/users/invite", R"({"email":")" + email + R"("})", server_.admin_token);
    EXPECT_EQ(refused.status, 400u) << email;
    EXPECT_EQ(field_of(refused), "email") << email;
    EXPECT_EQ(refused.body.find("ASCII") != std::string::npos, email.starts_with("zo")) << email << refused.body;
  }
  const std::string longest =
      std::string(64, 'a') + "@" + std::string(61, 'b') + "." + std::string(61, 'c') + "." + std::string(61, 'd') + ".org";
  ASSERT_EQ(longest.size(), 254u);
  EXPECT_EQ(post("/api/v1/users/invite", R"({"email":")" + longest + R"("})", server_.admin_token).status, 201u);
  EXPECT_EQ(take_mail().at(0).to, longest);
  EXPECT_EQ(post("/api/v1/users/invite", R"({"email":"a)" + longest + R"("})", server_.admin_token).status, 400u);
}

TEST_F(People, ADomainInOtherLettersIsTheSameInAllItsForms) {
  accepted("ada@b\u00FCcher.example", "his password");
  for (const std::string email : {"ada@b\u00FCcher.example", "Ada@B\u00DCCHER.example", "ada@xn--bcher-kva.example"})
    EXPECT_EQ(sign_in(email, "his password").status, 201u) << email;
  const Response again =
      post("/api/v1/users/create-in-org", R"({"email":"ada@xn--bcher-kva.example","password":"her password"})", server_.admin_token);
  EXPECT_EQ(code_of(again), "email_taken");
  EXPECT_EQ(post("/api/v1/users/reset", R"({"email":"ada@b\u00FCcher.example"})").status, 202u);
  EXPECT_EQ(take_mail().at(0).to, "ada@xn--bcher-kva.example");
}

TEST_F(PeopleWithoutMail, TheLinkIsShownToWhoeverInvites) {
  const Response made = post("/api/v1/users/invite", R"({"email":"a@example.org"})", server_.admin_token);
  ASSERT_EQ(made.status, 201u);
  EXPECT_TRUE(take_mail().empty());
  const std::string link = text_in(made, "link");
  EXPECT_TRUE(link.starts_with("https://muster.example/account/invitation?link="));
  EXPECT_NE(text_in(made, "reason").find("mail server"), std::string::npos);
  EXPECT_EQ(post("/api/v1/users/invitation/accept", accept_body(secret_of(link))).status, 201u);
  EXPECT_EQ(code_of(post("/api/v1/users/register", R"({"email":"b@example.org"})")), "mail_not_configured");
  EXPECT_EQ(post("/api/v1/users/reset", R"({"email":"a@example.org"})").status, 202u);
}

TEST_F(PeopleWithoutAddress, NoMailIsQueuedAndTheLinkIsAPathWhateverTheHostHeaderSays) {
  const Response made = server_.call(Method::post, "/api/v1/users/invite", R"({"email":"a@example.org"})", server_.admin_token,
                                     {{"X-Forwarded-Host", "evil.example"}});
  EXPECT_TRUE(take_mail().empty());
  EXPECT_TRUE(text_in(made, "link").starts_with("/account/invitation?link="));
  EXPECT_NE(text_in(made, "reason").find("--public-url"), std::string::npos);
  EXPECT_EQ(made.body.find("muster.example:8080"), std::string::npos);
}

TEST_F(People, AResetEndsEverySessionAndIsNotTold) {
  accepted("a@example.org", "old password");
  const std::string token = text_in(sign_in("a@example.org", "old password"), "accessToken");
  const Response known = post("/api/v1/users/reset", R"({"email":"A@example.org"})");
  const Response unknown = post("/api/v1/users/reset", R"({"email":"nobody@example.org"})");
  EXPECT_EQ(known.status, 202u);
  EXPECT_EQ(known.status, unknown.status);
  EXPECT_EQ(known.body, unknown.body);
  EXPECT_EQ(known.headers, unknown.headers);
  const auto mails = take_mail();
  ASSERT_EQ(mails.size(), 1u);
  EXPECT_EQ(mails[0].to, "a@example.org");
  // Again too soon, for both alike.
  EXPECT_EQ(post("/api/v1/users/reset", R"({"email":"a@example.org"})").status, 429u);
  EXPECT_EQ(post("/api/v1/users/reset", R"({"email":"nobody@example.org"})").status, 429u);

  ASSERT_EQ(post("/api/v1/users/reset/complete", accept_body(secret_of(mails[0].link))).status, 204u);
  EXPECT_EQ(server_.get("/api/v1/session", token).status, 401u);
  EXPECT_EQ(sign_in("a@example.org", "old password").status, 401u);
  EXPECT_EQ(sign_in("a@example.org", "new password").status, 201u);
  EXPECT_EQ(take_mail().at(0).kind, "password_changed");
  EXPECT_EQ(code_of(post("/api/v1/users/reset/complete", accept_body(secret_of(mails[0].link)))), "link_invalid");
}

TEST_F(People, AResetLinkLastsAnHour) {
  accepted("a@example.org", "old password");
  ASSERT_EQ(post("/api/v1/users/reset", R"({"email":"a@example.org"})").status, 202u);
  const std::string link = secret_of(take_mail().at(0).link);
  server_.clock.advance(1h + 1s);
  EXPECT_EQ(code_of(post("/api/v1/users/reset/complete", accept_body(link))), "link_invalid");
}

TEST_F(People, SigningUpMakesAPersonalOrBusinessOrganization) {
  ASSERT_EQ(post("/api/v1/users/register", R"({"email":"c@example.org"})").status, 202u);
  const auto mails = take_mail();
  EXPECT_TRUE(mails.at(0).link.starts_with("/account/create-password?link="));
  const Response client =
      post("/api/v1/users/register/complete", accept_body(secret_of(mails[0].link), "new password", R"(,"name":"Cleo")"));
  ASSERT_EQ(client.status, 201u) << client.body;
  auto home = server_.store->find_organization(OrganizationId{static_cast<std::int32_t>(number_in(client, "orgId"))}).value();
  EXPECT_EQ(home->type, domain::OrganizationType::personal);
  EXPECT_EQ(home->name, "Cleo");
  EXPECT_EQ(server_.store->find_organization(home->parent_id).value()->group, domain::OrganizationGroup::clients);

  ASSERT_EQ(post("/api/v1/users/register", R"({"email":"p@example.org","kind":"partner"})").status, 202u);
  const std::string link = secret_of(take_mail().at(0).link);
  EXPECT_EQ(field_of(post("/api/v1/users/register/complete", accept_body(link, "new password", R"(,"organizationName":"Bell\u0007")"))),
            "organizationName");
  const Response partner =
      post("/api/v1/users/register/complete", accept_body(link, "new password", R"(,"organizationName":"Parts & Co")"));
  ASSERT_EQ(partner.status, 201u) << partner.body;
  home = server_.store->find_organization(OrganizationId{static_cast<std::int32_t>(number_in(partner, "orgId"))}).value();
  EXPECT_EQ(home->type, domain::OrganizationType::business);
  EXPECT_TRUE(home->can_create_sub_organizations);
  // Somebody who has an account hears the same, and reads other words.
  ASSERT_EQ(post("/api/v1/users/register", R"({"email":"root@example.org"})").status, 202u);
  EXPECT_TRUE(take_mail().at(0).link.starts_with("/account/sign-in"));
}

TEST_F(People, OneLeavesWithThePasswordAndTheDevicesAreAskedFor) {
  const OrganizationId home = server_.organization(server_.root, "Home");
  accepted("boss@example.org", "his password", home, "Admin");
  const UserId user = accepted("u@example.org", "his password", home);
  const auto kind = server_.make_template(server_.root, "Pump");
  const auto device = server_.device(home, kind.id, "One", user);
  const std::string token = text_in(sign_in("u@example.org", "his password"), "accessToken");
  EXPECT_EQ(code_of(post("/api/v1/user/delete-account", R"({"password":"wrong one"})", token)), "invalid_credentials");
  EXPECT_EQ(code_of(post("/api/v1/user/delete-account", R"({"password":"his password"})", token)), "in_use");
  EXPECT_EQ(post("/api/v1/user/delete-account", R"({"password":"his password","withDevices":true})", token).status, 204u);
  EXPECT_EQ(server_.get("/api/v1/session", token).status, 401u);
  EXPECT_FALSE(server_.store->find_device(device.id).value()->owner_id);
  const std::string boss = text_in(sign_in("boss@example.org", "his password"), "accessToken");
  EXPECT_EQ(code_of(post("/api/v1/user/delete-account", R"({"password":"his password"})", boss)), "in_use");
  EXPECT_EQ(post("/api/v1/user/delete-account", R"({"password":"his password","withDevices":true})", boss).status, 204u);
  EXPECT_FALSE(server_.store->find_organization(home).value());
}

TEST_F(People, TheExportHoldsWhatIsOnesOwnAndNoSecret) {
  accepted("u@example.org", "his password");
  const Response in = sign_in("u@example.org", "his password");
  const std::string token = text_in(in, "accessToken");
  const Response data = server_.get("/api/v1/user/export", token);
  ASSERT_EQ(data.status, 200u);
  EXPECT_EQ(body_of(data).find("profile")->find("email")->text, "u@example.org");
  EXPECT_EQ(body_of(data).find("sessions")->items.size(), 1u);
  EXPECT_NE(data.body.find("session.create"), std::string::npos);
  EXPECT_EQ(data.body.find(token), std::string::npos);
  EXPECT_EQ(data.body.find("argon2"), std::string::npos);
  EXPECT_EQ(number_in(server_.get("/api/v1/audit?action=user.export", server_.admin_token), "totalElements"), 1);
}

TEST_F(People, UsersMoveOnlyWhereBothSidesMayBeManaged) {
  const OrganizationId a = server_.organization(server_.root, "A"), b = server_.organization(server_.root, "B");
  const UserId user = server_.user(a, domain::user_role, "u@example.org");
  server_.user(b, domain::admin_role, "boss-b@example.org");
  const std::string admin_of_a = server_.access_token(server_.user(a, domain::admin_role, "boss-a@example.org"));
  const std::string body = R"({"userId":)" + str(user);
  EXPECT_EQ(post("/api/v1/users/transfer", body + R"(,"toOrgId":)" + str(b) + "}", admin_of_a).status, 404u);
  EXPECT_EQ(post("/api/v1/users/transfer", body + R"(,"toAdminEmail":"boss-b@example.org"})", admin_of_a).status, 404u);
  EXPECT_EQ(field_of(post("/api/v1/users/transfer", body + "}", admin_of_a)), "toOrgId");
  const Response moved =
      post("/api/v1/users/transfer", body + R"(,"toAdminEmail":"boss-b@example.org","role":"Staff"})", server_.admin_token);
  ASSERT_EQ(moved.status, 200u) << moved.body;
  EXPECT_EQ(number_in(moved, "orgId"), b.value());
  EXPECT_EQ(number_in(moved, "roleId"), domain::staff_role.value());
}

TEST_F(People, SessionsAreListedAndEndedWithoutTheirTokens) {
  const UserId user = accepted("u@example.org", "his password");
  const std::string first = text_in(sign_in("u@example.org", "his password"), "accessToken");
  const std::string second = text_in(sign_in("u@example.org", "his password"), "accessToken");
  const std::string query = "?userId=" + str(user);
  const Response list = server_.get("/api/v1/user/sessions" + query, first);
  const Json body = body_of(list);
  const auto& sessions = body.find("sessions")->items;
  ASSERT_EQ(sessions.size(), 2u);
  EXPECT_FALSE(sessions[0].find("current")->boolean);
  EXPECT_TRUE(sessions[1].find("current")->boolean);
  EXPECT_EQ(sessions[0].find("ip")->text, "127.0.0.1");
  const std::string id = str(sessions[0].find("id")->integer);
  EXPECT_EQ(server_.call(Method::delete_, "/api/v1/user/session" + query + "&sessionId=" + id, {}, first).status, 204u);
  EXPECT_EQ(server_.get("/api/v1/session", second).status, 401u);
  EXPECT_EQ(post("/api/v1/user/force-logout", R"({"userId":)" + str(user) + "}", server_.admin_token).status, 204u);
  EXPECT_EQ(server_.get("/api/v1/session", first).status, 401u);
}

TEST_F(People, MailThatWaitsAndWasGivenUpIsShown) {
  ASSERT_EQ(post("/api/v1/users/invite", R"({"email":"a@example.org"})", server_.admin_token).status, 201u);
  const auto id = server_.store->due_mail({server_.clock.utc_now().ms + 1}, 1).value().at(0).id;
  ASSERT_TRUE(server_.store->mail_failed(id, std::nullopt, "550 no such user", server_.clock.utc_now()));
  const Response list = server_.get("/api/v1/mail", server_.admin_token);
  const Json body = body_of(list);
  const Json& row = body.find("content")->items.at(0);
  EXPECT_EQ(row.find("status")->text, "given_up");
  EXPECT_EQ(row.find("reason")->text, "550 no such user");
}

// --- the second factor -----------------------------------------------------------------------------------------------------------

class TwoFactors : public PeopleServer {
 protected:
  /// Turns it on; the secret and the recovery codes stay in the members.
  void SetUp() override {
    user_ = accepted("u@example.org", "his password");
    token_ = text_in(sign_in("u@example.org", "his password"), "accessToken");
    const Response begun = post("/api/v1/user/totp", R"({"password":"his password"})", token_);
    ASSERT_EQ(begun.status, 200u) << begun.body;
    secret_ = server_.keys->open_sealed("totp", server_.store->find_second_factor(user_).value()->sealed).value();
    EXPECT_EQ(text_in(begun, "secret"), totp::base32(secret_));
    EXPECT_EQ(sign_in("u@example.org", "his password").status, 201u) << "not asked for yet";
    EXPECT_EQ(code_of(post("/api/v1/user/totp/enable", R"({"totp":"000000"})", token_)), "totp_wrong");
    const Response enabled = post("/api/v1/user/totp/enable", R"({"totp":")" + code() + R"("})", token_);
    ASSERT_EQ(enabled.status, 200u) << enabled.body;
    const Json answer = body_of(enabled);
    for (const Json& each : answer.find("recoveryCodes")->items) recovery_.push_back(each.text);
    ASSERT_EQ(recovery_.size(), totp::recovery_code_count);
  }
  std::string code(std::int64_t ahead = 0) { return totp::code(secret_, totp::step_of(server_.clock.utc_now()) + ahead); }
  Response sign_in_with(std::string_view totp) { return sign_in("u@example.org", "his password", totp); }

  UserId user_;
  std::string token_, secret_;
  std::vector<std::string> recovery_;
};

TEST_F(TwoFactors, ACodeIsAskedForAfterTheRightPasswordAndWorksOnce) {
  EXPECT_EQ(code_of(sign_in_with("")), "totp_required");
  EXPECT_EQ(code_of(sign_in("u@example.org", "wrong one", code())), "invalid_credentials");
  EXPECT_EQ(code_of(sign_in_with(code())), "totp_wrong") << "turning it on used this one";
  server_.clock.advance(30s);
  const std::string present = code();
  EXPECT_EQ(sign_in_with(present).status, 201u);
  EXPECT_EQ(code_of(sign_in_with(present)), "totp_wrong");
}

TEST_F(TwoFactors, TheNeighborsInTimeAreTakenAndNoOthers) {
  server_.clock.advance(10min);
  EXPECT_EQ(code_of(sign_in_with(code(-2))), "totp_wrong");
  EXPECT_EQ(code_of(sign_in_with(code(2))), "totp_wrong");
  EXPECT_EQ(sign_in_with(code(-1)).status, 201u);
  EXPECT_EQ(sign_in_with(code(1)).status, 201u);
}

TEST_F(TwoFactors, AClockThatIsSetBackOpensNothingTwiceAndLocksNobodyOut) {
  server_.clock.advance(24h);
  const std::string used = code();
  const UtcTime then = server_.clock.utc_now();
  ASSERT_EQ(sign_in_with(used).status, 201u);
  server_.clock.set_utc({then.ms - 6 * 3'600'000});
  EXPECT_EQ(sign_in_with(code()).status, 201u) << "earlier than the last one, and never used";
  server_.clock.set_utc(then);
  EXPECT_EQ(code_of(sign_in_with(used)), "totp_wrong");
}

TEST_F(TwoFactors, WrongCodesAreCountedLikeWrongPasswords) {
  server_.clock.advance(11min);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(code_of(sign_in_with("123456")), "totp_wrong");
  EXPECT_EQ(sign_in_with(code()).status, 429u) << "its address is held, too";
}

TEST_F(TwoFactors, ARecoveryCodeWorksOnceHoweverItIsTyped) {
  std::string typed = recovery_[0];
  for (char& c : typed) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_EQ(sign_in_with(typed).status, 201u);
  EXPECT_EQ(code_of(sign_in_with(recovery_[0])), "totp_wrong");
  EXPECT_EQ(number_in(server_.get("/api/v1/user/totp", token_), "recoveryCodesLeft"), 9);
  const Response fresh = post("/api/v1/user/totp/recovery-codes", R"({"password":"his password"})", token_);
  ASSERT_EQ(fresh.status, 200u) << fresh.body;
  EXPECT_EQ(code_of(sign_in_with(recovery_[1])), "totp_wrong");
}

TEST_F(TwoFactors, AResetDoesNotTurnItOff) {
  server_.clock.advance(2min);
  ASSERT_EQ(post("/api/v1/users/reset", R"({"email":"u@example.org"})").status, 202u);
  ASSERT_EQ(post("/api/v1/users/reset/complete", accept_body(secret_of(take_mail().at(0).link), "his password")).status, 204u);
  EXPECT_EQ(code_of(sign_in_with("")), "totp_required");
}

TEST_F(TwoFactors, ItIsTurnedOffWithThePasswordOrByAnAdministrator) {
  EXPECT_EQ(code_of(post("/api/v1/user/totp/disable", R"({"password":"wrong one"})", token_)), "invalid_credentials");
  EXPECT_EQ(post("/api/v1/user/totp/remove", R"({"userId":)" + str(user_) + "}", server_.admin_token).status, 204u);
  EXPECT_EQ(sign_in_with("").status, 201u);
}

TEST_F(TwoFactors, MovingByAnInvitationAsksForTheCodeToo) {
  const OrganizationId to = server_.organization(server_.root, "To");
  ASSERT_EQ(post("/api/v1/users/invite", R"({"email":"u@example.org","orgId":)" + str(to) + "}", server_.admin_token).status, 201u);
  const std::string link = secret_of(take_mail().at(0).link);
  server_.clock.advance(2min);
  EXPECT_EQ(code_of(post("/api/v1/users/invitation/accept", accept_body(link, "his password", R"(,"move":true)"))), "totp_required");
  EXPECT_EQ(code_of(post("/api/v1/users/invitation/accept", accept_body(link, "his password", R"(,"move":true,"totp":"123456")"))),
            "totp_wrong");
  EXPECT_EQ(post("/api/v1/users/invitation/accept", accept_body(link, "his password", R"(,"move":true,"totp":")" + code() + '"')).status,
            201u);
}

TEST_F(TwoFactors, EveryActOnAnAccountLeavesAnEntry) {
  const OrganizationId to = server_.organization(server_.root, "To");
  const std::string user = R"({"userId":)" + str(user_);
  server_.clock.advance(2min);
  EXPECT_EQ(code_of(sign_in_with("123456")), "totp_wrong");
  EXPECT_EQ(sign_in_with(code()).status, 201u);
  EXPECT_EQ(sign_in_with(recovery_[0]).status, 201u);
  const Json sessions = body_of(server_.get("/api/v1/user/sessions?userId=" + str(user_), token_));
  const std::string session = str(sessions.find("sessions")->items.at(0).find("id")->integer);
  EXPECT_EQ(post("/api/v1/user/totp/recovery-codes", R"({"password":"his password"})", token_).status, 200u);
  EXPECT_EQ(server_.get("/api/v1/user/export", token_).status, 200u);
  EXPECT_EQ(server_.call(Method::delete_, "/api/v1/user/session?userId=" + str(user_) + "&sessionId=" + session, {}, token_).status, 204u);
  EXPECT_EQ(post("/api/v1/user/confirm-email", "", token_).status, 202u);
  EXPECT_EQ(post("/api/v1/users/confirm-email", R"({"link":")" + secret_of(take_mail().at(0).link) + "\"}").status, 204u);
  EXPECT_EQ(post("/api/v1/user/force-logout", user + "}", server_.admin_token).status, 204u);
  server_.clock.advance(2min);
  EXPECT_EQ(post("/api/v1/users/reset", R"({"email":"u@example.org"})").status, 202u);
  EXPECT_EQ(post("/api/v1/users/reset/complete", accept_body(secret_of(take_mail().at(0).link), "his password")).status, 204u);
  EXPECT_EQ(post("/api/v1/user/totp/remove", user + "}", server_.admin_token).status, 204u);
  EXPECT_EQ(post("/api/v1/users/transfer", user + R"(,"toOrgId":)" + str(to) + "}", server_.admin_token).status, 200u);
  EXPECT_EQ(post("/api/v1/user/suspend", user + "}", server_.admin_token).status, 200u);
  EXPECT_EQ(post("/api/v1/user/activate", user + "}", server_.admin_token).status, 200u);
  server_.clock.advance(11min);
  EXPECT_EQ(post("/api/v1/user/delete-account", R"({"password":"his password"})", text_in(sign_in_with(""), "accessToken")).status, 204u);
  ASSERT_EQ(post("/api/v1/users/invite", R"({"email":"b@example.org"})", server_.admin_token).status, 201u);
  const Json invitations = body_of(server_.get("/api/v1/users/invitations", server_.admin_token));
  const std::string id = str(invitations.find("content")->items.at(0).find("invitationId")->integer);
  EXPECT_EQ(post("/api/v1/users/invitation/resend", R"({"invitationId":)" + id + "}", server_.admin_token).status, 200u);
  EXPECT_EQ(server_.call(Method::delete_, "/api/v1/users/invitation?invitationId=" + id, {}, server_.admin_token).status, 204u);
  for (const std::string action :
       {"user.invite",        "user.invite.resend", "user.invite.revoke", "user.invite.accept", "user.create",
        "session.create",     "session.refused",    "session.end",        "session.end_all",    "user.totp.enable",
        "user.totp.recovery", "user.totp.codes",    "user.totp.disable",  "user.link.request",  "user.email.confirm",
        "user.reset.request", "user.reset",         "user.transfer",      "user.export",        "user.leave"}) {
    EXPECT_GE(number_in(server_.get("/api/v1/audit?includeSubOrgs=true&action=" + action, server_.admin_token), "totalElements"), 1)
        << action;
  }
}

TEST_F(TwoFactors, TheSecretIsNowhereInClear) {
  EXPECT_EQ(server_.store->find_second_factor(user_).value()->sealed.find(secret_), std::string::npos);
}

// --- strangers who guess -----------------------------------------------------------------------------------------------------------

TEST_F(TwoFactors, WhileStrangersGuessTheOwnerGetsInFromAKnownDeviceOrWithACode) {
  // Two hours of guesses from 1,000 addresses, each again as soon as it may. The owner comes at moments of all kinds.
  const IpAddress own = server_.peer;
  server_.clock.advance(11min);
  const Response first = sign_in_with(code());
  ASSERT_EQ(first.status, 201u);
  const std::string mark = text_in(first, "knownDevice");
  ASSERT_FALSE(mark.empty());
  server_.clock.advance(2min);
  std::size_t guesses = 0, hashed = 0, entered = 0, refused_without = 0;
  for (int second = 0; second < 7'200; second += 2) {
    for (int i = 0; i < 8; ++i, ++guesses) {
      server_.peer = IpAddress::from_v4(0x0A000000u + static_cast<std::uint32_t>(guesses % 1'000));
      hashed += sign_in("u@example.org", "a guess").status == 401u ? 1u : 0u;
    }
    if (second % 598 == 0) {
      server_.peer = own;
      refused_without += sign_in("u@example.org", "his password").status == 429u ? 1u : 0u;
      // In turn: whoever comes first finds the account held.
      server_.peer = IpAddress::from_v4(0xC0000200u + static_cast<std::uint32_t>(second));
      const Headers known = entered % 2 == 0 ? Headers{{"Muster-Device", mark}} : Headers{};
      const Response in = sign_in("u@example.org", "his password", code(), known);
      EXPECT_EQ(in.status, 201u) << second << in.body;
      ++entered;
    }
    server_.clock.advance(2s);
  }
  EXPECT_GT(guesses, 28'000u);
  EXPECT_LE(hashed, 5u * 13u + 5u * entered) << "what strangers may really try";
  EXPECT_GT(entered, 10u);
  EXPECT_EQ(refused_without, entered) << "else there was nothing to get past";
}

TEST_F(TwoFactors, AMarkIsForItsOwnAccountAndItsGuessesEnd) {
  accepted("other@example.org", "other password");
  server_.clock.advance(11min);
  const std::string mark = text_in(sign_in_with(code()), "knownDevice");
  const std::string foreign = text_in(sign_in("other@example.org", "other password"), "knownDevice");
  server_.clock.advance(30s);
  for (int i = 0; i < 5; ++i) (void)sign_in("u@example.org", "a guess");
  EXPECT_EQ(sign_in("u@example.org", "his password", "", {{"Muster-Device", foreign}}).status, 429u);
  std::string forged = mark;
  forged[40] = forged[40] == '0' ? '1' : '0';
  EXPECT_EQ(sign_in("u@example.org", "his password", "", {{"Muster-Device", forged}}).status, 429u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(sign_in("u@example.org", "a guess", "", {{"Muster-Device", mark}}).status, 401u);
  EXPECT_EQ(sign_in("u@example.org", "his password", "", {{"Muster-Device", mark}}).status, 429u);
}

}  // namespace
}  // namespace muster::api
