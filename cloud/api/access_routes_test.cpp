// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/api/core.hpp"
#include "cloud/api/credential.hpp"
#include "cloud/api/test_server.hpp"

/// API keys, OAuth2 clients and the token endpoint, end to end on the store.
namespace muster::api {
namespace {

using namespace std::chrono_literals;

class Access : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.set_up();
    branch_ = server_.organization(server_.root, "Branch");
    staff_ = server_.user(server_.root, domain::staff_role, "staff@example.org");
  }
  Response make_key(const std::string& scopes, const std::string& more = "", const std::string& token = "") {
    return server_.call(Method::post, "/api/v1/apikeys/create", R"({"name":"CI","scopes":[)" + scopes + "]" + more + "}",
                        token.empty() ? server_.admin_token : token);
  }
  std::string key(const std::string& scopes, const std::string& more = "") {
    const Response made = make_key(scopes, more);
    EXPECT_EQ(made.status, 201u) << made.body;
    return text_in(made, "secret");
  }
  unsigned status_with(const std::string& secret, const std::string& path = "/api/v1/users") { return server_.get(path, secret).status; }
  Response make_client(const std::string& scopes = R"("ORG_VIEW_USERS")", const std::string& more = "") {
    return server_.call(Method::post, "/api/v1/oauth/clients/create", R"({"name":"ERP","scopes":[)" + scopes + "]" + more + "}",
                        server_.admin_token);
  }
  Response token_request(const std::string& body, const std::string& query = "", Headers headers = {}) {
    headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    return server_.call(Method::post, "/oauth2/token" + query, body, "", std::move(headers));
  }
  Response client_credentials(const Response& client) {
    return token_request("grant_type=client_credentials&client_id=" + text_in(client, "clientId") +
                         "&client_secret=" + text_in(client, "clientSecret"));
  }
  Response refresh(const Response& client, const std::string& refresh_token) {
    return token_request("grant_type=refresh_token&client_id=" + text_in(client, "clientId") +
                         "&client_secret=" + text_in(client, "clientSecret") + "&refresh_token=" + refresh_token);
  }
  std::int64_t audited(const std::string& action) {
    return number_in(server_.get("/api/v1/audit?action=" + action, server_.admin_token), "totalElements");
  }

  TestServer server_;
  OrganizationId branch_;
  UserId staff_;
};

TEST_F(Access, AKeyDoesWhatItsScopesAllowAndNoMore) {
  const std::string secret = key(R"("ORG_VIEW_USERS")");
  EXPECT_EQ(secret.size(), 44u);
  EXPECT_EQ(status_with(secret), 200u);
  EXPECT_EQ(status_with(secret, "/api/v1/audit"), 403u);
  EXPECT_EQ(status_with(secret, "/api/v1/users?orgId=" + str(branch_)), 403u) << "no ORG_SWITCH among its scopes";
  EXPECT_EQ(status_with(key(R"("ORG_VIEW_USERS","ORG_SWITCH")"), "/api/v1/users?orgId=" + str(branch_)), 200u);
  EXPECT_EQ(status_with("mak_" + std::string(40, 'x')), 401u);
  const Response session = server_.get("/api/v1/session", secret);
  EXPECT_EQ(session.status, 200u);
  EXPECT_EQ(body_of(session).find("permissions")->items.size(), 1u);
}

TEST_F(Access, AKeyIsNoPerson) {
  const std::string all = key(R"("OAUTH_CREATE","OAUTH_VIEW","OAUTH_DELETE","USER_EDIT","ORG_VIEW_USERS")");
  EXPECT_EQ(code_of(make_key(R"("ORG_VIEW_USERS")", "", all)), "people_only") << "else it would outlive itself";
  EXPECT_EQ(code_of(server_.call(Method::delete_, "/api/v1/session", "", all)), "people_only");
  const std::string viewer = key(R"("ORG_VIEW_USERS")");
  EXPECT_EQ(server_.call(Method::put, "/api/v1/user", R"({"userId":)" + str(server_.admin) + R"(,"name":"X"})", viewer).status, 403u)
      << "its maker's own rights as himself are not the key's";
}

TEST_F(Access, NobodyGivesAwayWhatHeLacks) {
  const std::string staff = server_.access_token(staff_);
  EXPECT_EQ(make_key(R"("ORG_VIEW_USERS")", "", staff).status, 403u) << "OAUTH_CREATE is an Admin's";
  const auto user = server_.user(branch_, domain::admin_role, "branch@example.org");
  EXPECT_EQ(make_key(R"("NOTHING")").status, 400u);
  EXPECT_EQ(make_key("").status, 400u);
  EXPECT_EQ(server_
                .call(Method::post, "/api/v1/apikeys/create",
                      R"({"orgId":)" + str(server_.root) + R"(,"name":"up","scopes":["ORG_VIEW_USERS"]})", server_.access_token(user))
                .status,
            404u);
}

TEST_F(Access, AKeyFollowsItsMaker) {
  const auto second = server_.user(server_.root, domain::admin_role, "second@example.org");
  const Response made = make_key(R"("ORG_VIEW_USERS","AUDIT_VIEW")", "", server_.access_token(second));
  const std::string secret = text_in(made, "secret");
  EXPECT_EQ(status_with(secret, "/api/v1/audit"), 200u);
  ASSERT_TRUE(server_.store->update_user(second, {.role_id = domain::staff_role}, server_.actor()));
  server_.catch_up();
  EXPECT_EQ(status_with(secret, "/api/v1/audit"), 403u) << "Staff lacks AUDIT_VIEW";
  EXPECT_EQ(status_with(secret), 200u);
  ASSERT_TRUE(server_.store->update_user(second, {.status = domain::UserStatus::suspended}, server_.actor()));
  server_.catch_up();
  EXPECT_EQ(status_with(secret), 401u);
  ASSERT_TRUE(server_.store->update_user(second, {.status = domain::UserStatus::active}, server_.actor()));
  server_.catch_up();
  EXPECT_EQ(status_with(secret), 200u);
  ASSERT_TRUE(server_.store->delete_user(second, server_.actor()));
  server_.catch_up();
  EXPECT_EQ(status_with(secret), 401u);
}

TEST_F(Access, AKeyOfABranchSeesNothingAboveIt) {
  const std::string secret = key(R"("ORG_VIEW_USERS","ORG_SWITCH")", R"(,"orgId":)" + str(branch_));
  EXPECT_EQ(status_with(secret), 200u);
  EXPECT_EQ(status_with(secret, "/api/v1/users?orgId=" + str(server_.root)), 404u);
}

TEST_F(Access, AKeyOfABranchIsNoWayRoundWhatItsMakerMayDoThere) {
  const auto second = server_.user(server_.root, domain::admin_role, "second@example.org");
  const Response made = make_key(R"("TEMPLATE_VIEW")", R"(,"orgId":)" + str(branch_), server_.access_token(second));
  const std::string secret = text_in(made, "secret");
  EXPECT_EQ(status_with(secret, "/api/v1/templates"), 200u);
  // A User sees templates at home and cannot switch to the branch.
  ASSERT_TRUE(server_.store->update_user(second, {.role_id = domain::user_role}, server_.actor()));
  server_.catch_up();
  EXPECT_EQ(status_with(secret, "/api/v1/templates"), 403u);
}

TEST_F(Access, AKeyEndsAtItsTimeAndWhenDeleted) {
  const auto end = server_.clock.utc_now().ms + 60'000;
  const std::string secret = key(R"("ORG_VIEW_USERS")", R"(,"expiresAt":)" + std::to_string(end));
  EXPECT_EQ(status_with(secret), 200u);
  server_.clock.advance(61s);
  EXPECT_EQ(status_with(secret), 401u);
  EXPECT_EQ(field_of(make_key(R"("ORG_VIEW_USERS")", R"(,"expiresAt":)" + std::to_string(end))), "expiresAt");

  const Response made = make_key(R"("ORG_VIEW_USERS")");
  EXPECT_EQ(status_with(text_in(made, "secret")), 200u);
  const auto path = "/api/v1/apikey?apiKeyId=" + std::to_string(number_in(made, "id"));
  EXPECT_EQ(server_.call(Method::delete_, path + "&orgId=" + str(branch_), "", server_.admin_token).status, 404u);
  EXPECT_EQ(server_.call(Method::delete_, path, "", server_.admin_token).status, 204u);
  EXPECT_EQ(status_with(text_in(made, "secret")), 401u);
  EXPECT_EQ(server_.call(Method::delete_, path, "", server_.admin_token).status, 404u);
}

TEST_F(Access, AKeyWorksFromItsNetworksOnly) {
  EXPECT_EQ(status_with(key(R"("ORG_VIEW_USERS")", R"(,"addresses":["203.0.113.0/24"])")), 403u);
  EXPECT_EQ(status_with(key(R"("ORG_VIEW_USERS")", R"(,"addresses":["203.0.113.0/24","0.0.0.0/0","::/0"])")), 200u);
  EXPECT_EQ(field_of(make_key(R"("ORG_VIEW_USERS")", R"(,"addresses":["nonsense"])")), "addresses");
}

TEST_F(Access, AKeyHasALimitOfItsOwn) {
  const std::string slow = key(R"("ORG_VIEW_USERS")", R"(,"requestsPerMinute":3)"), other = key(R"("ORG_VIEW_USERS")");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status_with(slow), 200u);
  const Response refused = server_.get("/api/v1/users", slow);
  EXPECT_EQ(refused.status, 429u);
  EXPECT_FALSE(header_of(refused, "Retry-After").empty());
  EXPECT_EQ(status_with(other), 200u);
  server_.clock.advance(61s);
  EXPECT_EQ(status_with(slow), 200u);
}

TEST_F(Access, UseOfAKeyIsWrittenBehindAtMostOnceAMinuteAndStandsInTheLog) {
  const Response made = make_key(R"("ORG_VIEW_USERS","ORG_EDIT")");
  const std::string secret = text_in(made, "secret");
  const auto last_used = [&] {
    server_.api->write_key_uses();
    return body_of(server_.get("/api/v1/apikeys", server_.admin_token)).find("content")->items.at(0).find("lastUsedAt")->integer;
  };
  EXPECT_EQ(last_used(), 0);
  const auto first = server_.clock.utc_now().ms;
  EXPECT_EQ(status_with(secret), 200u);
  EXPECT_EQ(last_used(), first);
  server_.clock.advance(30s);
  EXPECT_EQ(status_with(secret), 200u);
  EXPECT_EQ(last_used(), first);
  server_.clock.advance(31s);
  EXPECT_EQ(status_with(secret), 200u);
  EXPECT_EQ(last_used(), first + 61'000);
  EXPECT_EQ(audited("apikey.use"), 1) << "once a day from one address";
  EXPECT_EQ(audited("apikey.create"), 1);
  ASSERT_EQ(server_.call(Method::put, "/api/v1/organization", R"({"description":"by a program"})", secret).status, 200u);
  const Response log = server_.get("/api/v1/audit?action=organization.update", server_.admin_token);
  EXPECT_EQ(body_of(log).find("content")->items.at(0).find("apiKeyId")->integer, number_in(made, "id"));
}

TEST_F(Access, ASecretIsShownOnceAlsoWithAnIdempotencyKey) {
  const auto make = [&] {
    return server_.call(Method::post, "/api/v1/apikeys/create", R"({"name":"CI","scopes":["ORG_VIEW_USERS"]})", server_.admin_token,
                        {{"Idempotency-Key", "one"}});
  };
  const Response first = make();
  ASSERT_EQ(first.status, 201u);
  const Response second = make();
  EXPECT_EQ(code_of(second), "already_done");
  EXPECT_EQ(second.body.find(text_in(first, "secret")), std::string::npos);
  const Response list = server_.get("/api/v1/apikeys", server_.admin_token);
  EXPECT_EQ(number_in(list, "totalElements"), 1);
  EXPECT_EQ(list.body.find(text_in(first, "secret")), std::string::npos);
}

// --- OAuth2 ---------------------------------------------------------------------------------------------------------------------

TEST_F(Access, AClientSignsInByFormOrBasicOnBothPaths) {
  const Response client = make_client();
  ASSERT_EQ(client.status, 201u) << client.body;
  const std::string id = text_in(client, "clientId"), secret = text_in(client, "clientSecret");
  EXPECT_TRUE(id.starts_with("oa2-client-id_"));
  EXPECT_EQ(id.size(), 46u);
  EXPECT_EQ(secret.size(), 40u);
  const Response tokens = client_credentials(client);
  ASSERT_EQ(tokens.status, 200u) << tokens.body;
  EXPECT_EQ(text_in(tokens, "token_type"), "Bearer");
  EXPECT_EQ(number_in(tokens, "expires_in"), 86'400);
  EXPECT_EQ(text_in(tokens, "access_token").size(), 40u);
  EXPECT_EQ(text_in(tokens, "refresh_token").size(), 40u);
  EXPECT_EQ(text_in(tokens, "scope"), "ORG_VIEW_USERS");
  EXPECT_EQ(header_of(tokens, "Cache-Control"), "no-store");
  EXPECT_EQ(status_with(text_in(tokens, "access_token")), 200u);
  EXPECT_EQ(status_with(text_in(tokens, "access_token"), "/api/v1/audit"), 403u);
  EXPECT_EQ(status_with(text_in(tokens, "refresh_token")), 401u) << "it is no access token";

  const Response alias =
      server_.call(Method::post, "/api/v1/oauth2/token?grant_type=client_credentials", "client_id=" + id + "&client_secret=" + secret, "",
                   {{"Content-Type", "application/x-www-form-urlencoded"}});
  EXPECT_EQ(alias.status, 200u) << alias.body;
  EXPECT_EQ(audited("oauth.token.issue"), 2);
}

TEST_F(Access, TheTokenEndpointAnswersTheErrorsOfTheStandard) {
  const Response client = make_client();
  const auto error = [](const Response& response) { return std::to_string(response.status) + " " + text_in(response, "error"); };
  const std::string id = "client_id=" + text_in(client, "clientId"), secret = "&client_secret=" + text_in(client, "clientSecret");
  EXPECT_EQ(error(token_request("")), "400 invalid_request");
  EXPECT_EQ(error(token_request("grant_type=client_credentials&" + id + "&client_secret=wrong")), "401 invalid_client");
  EXPECT_EQ(error(token_request("grant_type=client_credentials&client_id=none" + secret)), "401 invalid_client");
  EXPECT_EQ(error(token_request("grant_type=password&username=a&password=b&" + id + secret)), "400 unsupported_grant_type");
  EXPECT_EQ(error(token_request("grant_type=refresh_token&" + id + secret)), "400 invalid_request");
  EXPECT_EQ(error(token_request("grant_type=refresh_token&refresh_token=x&" + id + secret)), "400 invalid_grant");
  const Response in_url = token_request("", "?grant_type=client_credentials&" + id + secret);
  EXPECT_EQ(error(in_url), "400 invalid_request");
  EXPECT_NE(text_in(in_url, "error_description").find("URL"), std::string::npos);
  const Response basic = token_request("grant_type=client_credentials", "", {{"Authorization", "Basic YTpi"}});
  EXPECT_EQ(error(basic), "401 invalid_client");
  EXPECT_EQ(header_of(basic, "WWW-Authenticate"), "Basic realm=\"muster\"");
}

TEST_F(Access, ARefreshTokenWorksOnceAndItsReuseEndsTheFamily) {
  const Response client = make_client();
  const Response first = client_credentials(client);
  const Response second = refresh(client, text_in(first, "refresh_token"));
  ASSERT_EQ(second.status, 200u) << second.body;
  EXPECT_EQ(status_with(text_in(first, "access_token")), 401u) << "the one before ends";
  EXPECT_EQ(status_with(text_in(second, "access_token")), 200u);
  const Response other_family = client_credentials(client);

  const Response reused = refresh(client, text_in(first, "refresh_token"));
  EXPECT_EQ(reused.status, 400u);
  EXPECT_EQ(text_in(reused, "error"), "invalid_grant");
  EXPECT_EQ(status_with(text_in(second, "access_token")), 401u);
  EXPECT_EQ(refresh(client, text_in(second, "refresh_token")).status, 400u);
  EXPECT_EQ(status_with(text_in(other_family, "access_token")), 200u) << "another family lives";
  EXPECT_EQ(audited("oauth.token.reuse"), 1);

  const Response stranger = make_client();
  EXPECT_EQ(refresh(stranger, text_in(other_family, "refresh_token")).status, 400u) << "of another client";
  EXPECT_EQ(status_with(text_in(other_family, "access_token")), 200u);
}

TEST_F(Access, OAuthTokensEndAtTheirTimeAndAtOnceWhenToldTo) {
  const Response client = make_client();
  Response tokens = client_credentials(client);
  server_.clock.advance(24h);
  EXPECT_EQ(status_with(text_in(tokens, "access_token")), 401u);
  EXPECT_EQ(refresh(client, text_in(tokens, "refresh_token")).status, 200u) << "that is what it is for";
  tokens = client_credentials(client);
  const std::string of_client = "oauthClientId=" + std::to_string(number_in(client, "id"));
  const std::string admin = server_.access_token(server_.admin);
  EXPECT_EQ(server_.call(Method::delete_, "/api/v1/oauth/client/tokens?" + of_client, "", admin).status, 204u);
  EXPECT_EQ(status_with(text_in(tokens, "access_token")), 401u);
  EXPECT_EQ(refresh(client, text_in(tokens, "refresh_token")).status, 400u);

  tokens = client_credentials(client);
  const Response renewed = server_.call(Method::put, "/api/v1/oauth/client/secret",
                                        R"({"oauthClientId":)" + std::to_string(number_in(client, "id")) + "}", admin);
  ASSERT_EQ(renewed.status, 200u) << renewed.body;
  EXPECT_EQ(status_with(text_in(tokens, "access_token")), 401u);
  EXPECT_EQ(client_credentials(client).status, 401u) << "the old secret";
  EXPECT_EQ(token_request("grant_type=client_credentials&client_id=" + text_in(client, "clientId") +
                          "&client_secret=" + text_in(renewed, "clientSecret"))
                .status,
            200u);
  EXPECT_EQ(server_.call(Method::delete_, "/api/v1/oauth/client?" + of_client, "", admin).status, 204u);
  EXPECT_EQ(server_.call(Method::delete_, "/api/v1/oauth/client?" + of_client, "", admin).status, 404u);
}

TEST_F(Access, AClientWithoutRefreshTokensGetsNoneAndOneOfASuspendedPersonGetsNothing) {
  const Response client = make_client(R"("ORG_VIEW_USERS")", R"(,"refreshTokens":false)");
  EXPECT_EQ(text_in(client_credentials(client), "refresh_token"), "");
  const auto second = server_.user(server_.root, domain::admin_role, "second@example.org");
  const Response theirs = server_.call(Method::post, "/api/v1/oauth/clients/create", R"({"name":"X","scopes":["ORG_VIEW_USERS"]})",
                                       server_.access_token(second));
  const Response tokens = client_credentials(theirs);
  ASSERT_EQ(tokens.status, 200u);
  ASSERT_TRUE(server_.store->update_user(second, {.status = domain::UserStatus::suspended}, server_.actor()));
  server_.catch_up();
  EXPECT_EQ(status_with(text_in(tokens, "access_token")), 401u);
  EXPECT_EQ(text_in(client_credentials(theirs), "error"), "unauthorized_client");
}

TEST_F(Access, GuessingClientsIsThrottled) {
  for (unsigned i = 0; i < unknown_tokens_per_minute; ++i)
    ASSERT_EQ(token_request("grant_type=client_credentials&client_id=a&client_secret=b").status, 401u);
  const Response refused = token_request("grant_type=client_credentials&client_id=a&client_secret=b");
  EXPECT_EQ(refused.status, 429u);
  EXPECT_FALSE(header_of(refused, "Retry-After").empty());
}

}  // namespace
}  // namespace muster::api
