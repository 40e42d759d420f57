// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/api/test_failing_store.hpp"
#include "cloud/api/test_server.hpp"
#include "cloud/base/password.hpp"
#include "cloud/base/test_memory_limit.hpp"

namespace muster::api {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view password = "correct horse";
std::string setup_body(std::string_view code = "the-setup-code") {
  return R"({"code":")" + std::string{code} + R"(","email":"Ada@Example.org","password":")" + std::string{password} +
         R"(","organizationName":"Works"})";
}
std::string sign_in_body(std::string_view email, std::string_view with) {
  return R"({"email":")" + std::string{email} + R"(","password":")" + std::string{with} + R"("})";
}

class Session : public ::testing::Test {
 protected:
  /// Through the front door, once: hashing a password takes a while.
  void set_up() {
    const Response response = server_.call(Method::post, "/api/v1/setup", setup_body());
    ASSERT_EQ(response.status, 201u) << response.body;
    token_ = text_in(response, "accessToken");
  }
  Response sign_in(std::string_view email = "ada@example.org", std::string_view with = password) {
    return server_.call(Method::post, "/api/v1/session", sign_in_body(email, with));
  }
  std::vector<domain::AuditEntry> audit(std::string_view action) {
    const auto organization = server_.store->organizations().value().front().id;
    domain::Store::AuditFilter filter{{&organization, 1}, std::string{action}, {}, {}};
    return server_.store->audit(filter, {}).value().rows;
  }

  TestServer server_;
  std::string token_;
};

TEST_F(Session, SetupWorksOnceSignsInAndMakesAnAdmin) {
  EXPECT_EQ(code_of(server_.call(Method::post, "/api/v1/setup", setup_body("wrong"))), "setup_code_wrong");
  EXPECT_EQ(
      field_of(server_.call(Method::post, "/api/v1/setup", R"({"code":"the-setup-code","email":"ada@example.org","password":"short"})")),
      "password");
  EXPECT_EQ(
      field_of(server_.call(Method::post, "/api/v1/setup", R"({"code":"the-setup-code","email":"nothing","password":"long enough"})")),
      "email");
  set_up();
  EXPECT_GE(token_.size(), 40u);
  const Response again = server_.call(Method::post, "/api/v1/setup", setup_body());
  EXPECT_EQ(again.status, 409u);
  EXPECT_EQ(code_of(again), "already_set_up");
  const Response session = server_.get("/api/v1/session", token_);
  EXPECT_EQ(session.status, 200u);
  EXPECT_EQ(text_in(session, "email"), "ada@example.org");
  EXPECT_EQ(text_in(session, "role"), "Admin");
  EXPECT_NE(session.body.find("\"AUTH_TOKEN_EDIT\""), std::string::npos);
  EXPECT_EQ(text_in(server_.get("/api/v1/organization/profile", token_), "name"), "Works");
}

TEST_F(Session, WrongSetupCodesAreThrottledByAddress) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(server_.call(Method::post, "/api/v1/setup", setup_body("wrong")).status, 403u);
  const Response blocked = server_.call(Method::post, "/api/v1/setup", setup_body());
  EXPECT_EQ(blocked.status, 429u);
  EXPECT_EQ(header_of(blocked, "Retry-After"), "600");
  server_.peer = IpAddress::from_v4(0x0A000001);
  EXPECT_EQ(server_.call(Method::post, "/api/v1/setup", setup_body()).status, 201u);
}

TEST_F(Session, SigningInTakesThePasswordInBothForms) {
  set_up();
  const Response plain = sign_in("ADA@example.org");
  ASSERT_EQ(plain.status, 201u) << plain.body;
  EXPECT_EQ(number_in(plain, "expiresAt"), server_.clock.utc_now().ms + 30LL * 86'400'000);
  const std::string body = R"({"email":"ada@example.org","passwordHash":")" + password_prehash(password, "ada@example.org") + R"("})";
  const Response hashed = server_.call(Method::post, "/api/v1/session", body);
  ASSERT_EQ(hashed.status, 201u) << hashed.body;
  EXPECT_NE(text_in(plain, "accessToken"), text_in(hashed, "accessToken"));
  EXPECT_EQ(field_of(server_.call(Method::post, "/api/v1/session", R"({"email":"ada@example.org"})")), "password");
  EXPECT_EQ(field_of(server_.call(Method::post, "/api/v1/session", R"({"email":"a@b.org","password":"x","passwordHash":"y"})")),
            "password");
  // Each is in the audit log; the password and the tokens are not.
  const auto entries = audit("session.");
  EXPECT_GE(entries.size(), 3u);
  for (const auto& entry : entries) EXPECT_EQ(entry.detail.find(text_in(plain, "accessToken")), std::string::npos);
}

TEST_F(Session, UnknownAccountsAndWrongPasswordsGetTheSameAnswerAndAreAudited) {
  set_up();
  const Response wrong = sign_in("ada@example.org", "wrong");
  const Response unknown = sign_in("nobody@example.org", "wrong");
  EXPECT_EQ(wrong.status, 401u);
  EXPECT_EQ(code_of(wrong), "invalid_credentials");
  EXPECT_EQ(unknown.status, wrong.status);
  EXPECT_EQ(unknown.body, wrong.body);
  EXPECT_EQ(unknown.headers, wrong.headers);
  const auto entries = audit("session.refused");
  ASSERT_EQ(entries.size(), 2u);
  for (const auto& entry : entries) {
    EXPECT_EQ(entry.ip, "127.0.0.1");
    EXPECT_EQ(entry.detail.find("wrong\""), std::string::npos);
  }
}

TEST_F(Session, FiveFailuresBlockTheAddressForTenMinutesEvenWithTheRightPassword) {
  set_up();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(sign_in("nobody" + std::to_string(i) + "@example.org", "x").status, 401u);
  const Response blocked = sign_in();
  EXPECT_EQ(blocked.status, 429u);
  EXPECT_EQ(code_of(blocked), "too_many_failures");
  EXPECT_EQ(header_of(blocked, "Retry-After"), "600");
  server_.clock.advance(599s);
  EXPECT_EQ(sign_in().status, 429u);
  server_.clock.advance(1s);
  EXPECT_EQ(sign_in().status, 201u);
}

TEST_F(Session, FiveFailuresFromManyAddressesBlockTheAccount) {
  set_up();
  for (std::uint32_t i = 0; i < 5; ++i) {
    server_.peer = IpAddress::from_v4(0x0A000001 + i);
    EXPECT_EQ(sign_in("ada@example.org", "x").status, 401u);
  }
  server_.peer = IpAddress::from_v4(0x0A0000FF);
  EXPECT_EQ(sign_in().status, 429u);
  EXPECT_EQ(sign_in("other@example.org", "x").status, 401u);
}

TEST_F(Session, SigningOutEndsThisAccessTokenOnly) {
  server_.set_up();
  const std::string other = server_.access_token(server_.admin);
  const Response out = server_.call(Method::delete_, "/api/v1/session", {}, server_.admin_token);
  EXPECT_EQ(out.status, 204u);
  EXPECT_NE(header_of(out, "Set-Cookie").find("Max-Age=0"), std::string::npos);
  const Response after = server_.get("/api/v1/session", server_.admin_token);
  EXPECT_EQ(after.status, 401u);
  EXPECT_EQ(code_of(after), "access_token_invalid");
  EXPECT_EQ(server_.get("/api/v1/session", other).status, 200u);
}

TEST_F(Session, AnAccessTokenRollsThirtyDaysWithUseAndEndsWithout) {
  server_.set_up();
  server_.clock.advance(29 * 24h);
  EXPECT_EQ(server_.get("/api/v1/session", server_.admin_token).status, 200u);
  server_.clock.advance(29 * 24h);
  const Response used = server_.get("/api/v1/session", server_.admin_token);
  EXPECT_EQ(used.status, 200u);
  EXPECT_EQ(number_in(used, "expiresAt"), server_.clock.utc_now().ms + 30LL * 86'400'000);
  server_.clock.advance(30 * 24h + 1s);
  EXPECT_EQ(server_.get("/api/v1/session", server_.admin_token).status, 401u);
}

TEST_F(Session, CredentialsAreAskedForInOneStableWay) {
  server_.set_up();
  const Response none = server_.get("/api/v1/session");
  EXPECT_EQ(none.status, 401u);
  EXPECT_EQ(code_of(none), "not_signed_in");
  EXPECT_EQ(header_of(none, "WWW-Authenticate"), "Bearer");
  for (const std::string& bad : {std::string{"x"}, std::string(43, '!'), std::string(43, 'a'), std::string(5000, 'a')}) {
    EXPECT_EQ(code_of(server_.get("/api/v1/session", bad)), "access_token_invalid") << bad.size();
  }
  EXPECT_EQ(code_of(server_.call(Method::get, "/api/v1/session", {}, {}, {{"Authorization", "Basic YTpi"}})), "not_signed_in");
  EXPECT_EQ(server_.call(Method::get, "/api/v1/session", {}, {}, {{"authorization", "bearer " + server_.admin_token}}).status, 200u);
  // Never in the URL.
  EXPECT_EQ(code_of(server_.get("/api/v1/session?access_token=" + server_.admin_token)), "not_signed_in");
  EXPECT_EQ(code_of(server_.get("/api/v1/session?access_token=x", server_.admin_token)), "unknown_parameter");
}

TEST_F(Session, GuessedAccessTokensCostABoundedNumberOfLookUps) {
  server_.set_up();
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    std::string guess = "guess" + std::to_string(i);
    guess.resize(43, 'g');
    if (server_.get("/api/v1/session", guess).status == 429) ++refused;
  }
  EXPECT_EQ(refused, 80);
}

TEST_F(Session, TheCookieIsHttpOnlyAndStrictAndItsWritesNeedOurOrigin) {
  set_up();
  const Response signed_in = sign_in();
  const std::string cookie = header_of(signed_in, "Set-Cookie");
  const std::string token = text_in(signed_in, "accessToken");
  EXPECT_EQ(cookie, "muster_session=" + token + "; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000");
  const Headers with_cookie{{"Cookie", "a=b; muster_session=" + token + "; c=d"}};
  EXPECT_EQ(server_.call(Method::get, "/api/v1/session", {}, {}, with_cookie).status, 200u);
  const auto write = [&](std::optional<std::string> origin) {
    Headers headers = with_cookie;
    if (origin) headers.emplace_back("Origin", *origin);
    return server_.call(Method::put, "/api/v1/organization", R"({"description":"d"})", {}, headers);
  };
  EXPECT_EQ(code_of(write(std::nullopt)), "origin_refused");
  EXPECT_EQ(code_of(write("null")), "origin_refused");
  EXPECT_EQ(code_of(write("https://evil.example")), "origin_refused");
  EXPECT_EQ(code_of(write("http://muster.example:8080.evil.example")), "origin_refused");
  EXPECT_EQ(write("http://muster.example:8080").status, 200u);
  EXPECT_EQ(write("https://muster.example:8080").status, 200u);
  // A page elsewhere cannot sign somebody in either; a Bearer needs no Origin.
  EXPECT_EQ(code_of(server_.call(Method::post, "/api/v1/session", sign_in_body("ada@example.org", password), {},
                                 {{"Origin", "https://evil.example"}})),
            "origin_refused");
  EXPECT_EQ(server_.call(Method::put, "/api/v1/organization", R"({"description":"e"})", token, {{"Origin", "https://evil.example"}}).status,
            200u);
}

TEST_F(Session, OverTlsTheCookieIsSecure) {
  set_up();
  Request request;
  const std::string body = sign_in_body("ada@example.org", password);
  server_.make_request(request, Method::post, "/api/v1/session", body, {});
  request.secure = true;
  EXPECT_NE(header_of(server_.api->handle(request), "Set-Cookie").find("; Secure"), std::string::npos);
  EXPECT_EQ(server_.api->lane(request), Lane::password);
}

TEST_F(Session, OnesOwnPasswordNeedsTheOldOneAndEndsOtherSessions) {
  set_up();
  const std::string other = text_in(sign_in(), "accessToken");
  const std::string me = str(UserId{number_in(server_.get("/api/v1/session", token_), "userId")});
  EXPECT_EQ(field_of(server_.call(Method::put, "/api/v1/user/password", R"({"userId":)" + me + R"(,"password":"new password"})", token_)),
            "currentPassword");
  EXPECT_EQ(code_of(server_.call(Method::put, "/api/v1/user/password",
                                 R"({"userId":)" + me + R"(,"password":"new password","currentPassword":"wrong"})", token_)),
            "invalid_credentials");
  EXPECT_EQ(server_
                .call(Method::put, "/api/v1/user/password",
                      R"({"userId":)" + me + R"(,"password":"new password","currentPassword":"correct horse"})", token_)
                .status,
            204u);
  EXPECT_EQ(server_.get("/api/v1/session", token_).status, 200u);
  EXPECT_EQ(server_.get("/api/v1/session", other).status, 401u);
  EXPECT_EQ(sign_in().status, 401u);
  EXPECT_EQ(sign_in("ada@example.org", "new password").status, 201u);
}

TEST_F(Session, AnAdminMakesAUserWhoSignsInUntilDisabled) {
  set_up();
  const Response made = server_.call(Method::post, "/api/v1/users/create-in-org",
                                     R"({"email":"Bob@example.org","name":"Bob","role":"staff","password":"bobs password"})", token_);
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(made.body.find("password"), std::string::npos);
  const std::string bob = std::to_string(number_in(made, "id"));
  const Response signed_in = sign_in("bob@example.org", "bobs password");
  ASSERT_EQ(signed_in.status, 201u);
  ASSERT_EQ(server_.call(Method::post, "/api/v1/user/suspend", R"({"userId":)" + bob + "}", token_).status, 200u);
  EXPECT_EQ(server_.get("/api/v1/session", text_in(signed_in, "accessToken")).status, 401u);
  EXPECT_EQ(code_of(sign_in("bob@example.org", "bobs password")), "not_active");
  EXPECT_EQ(code_of(sign_in("bob@example.org", "wrong")), "invalid_credentials");
  ASSERT_EQ(server_.call(Method::post, "/api/v1/user/activate", R"({"userId":)" + bob + "}", token_).status, 200u);
  EXPECT_EQ(sign_in("bob@example.org", "bobs password").status, 201u);
  ASSERT_EQ(server_.call(Method::delete_, "/api/v1/user?userId=" + bob, {}, token_).status, 204u);
  EXPECT_EQ(code_of(server_.call(Method::post, "/api/v1/users/create-in-org", R"({"email":"ada@example.org","password":"some password"})",
                                 token_)),
            "email_taken");
}

TEST_F(Session, TooLittleMemoryIsA503AndNoFailedAttempt) {
  set_up();
  {
    const AddressSpaceLimit limit{32u << 20};
    for (int i = 0; i < 20; ++i) {
      const Response response = sign_in();
      EXPECT_EQ(response.status, 503u);
      EXPECT_EQ(code_of(response), "unavailable");
    }
    const std::string me = str(UserId{number_in(server_.get("/api/v1/session", token_), "userId")});
    const std::string body = R"({"userId":)" + me + R"(,"password":"new password","currentPassword":"correct horse"})";
    for (int i = 0; i < 20; ++i) EXPECT_EQ(server_.call(Method::put, "/api/v1/user/password", body, token_).status, 503u);
  }
  EXPECT_EQ(sign_in().status, 201u);
  EXPECT_EQ(audit("session.refused").size(), 0u);
}

TEST_F(Session, ASetUpServerSaysSoHoweverOftenItIsAsked) {
  set_up();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(code_of(server_.call(Method::post, "/api/v1/setup", setup_body())), "already_set_up");
  EXPECT_EQ(sign_in().status, 201u);
}

TEST_F(Session, StoreTroubleIsA503AndNoFailedAttempt) {
  server_.set_up();
  FailingStore failing;
  server_.serve_from(failing);
  for (int i = 0; i < 20; ++i) {
    const Response response = sign_in();
    EXPECT_EQ(response.status, 503u);
    EXPECT_EQ(code_of(response), "unavailable");
    EXPECT_EQ(header_of(response, "Retry-After"), "1");
  }
  EXPECT_EQ(server_.get("/api/v1/session", server_.admin_token).status, 503u);
}

}  // namespace
}  // namespace muster::api
