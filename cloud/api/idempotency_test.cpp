// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/idempotency.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "cloud/api/core.hpp"
#include "cloud/api/test_server.hpp"
#include "cloud/base/password.hpp"
#include "cloud/store/faulty/faulty_store.hpp"

namespace muster::api {
namespace {

using namespace std::chrono_literals;
using Verdict = Idempotency::Verdict;

constexpr UserId ada{1}, bob{2};
constexpr Idempotency::Fingerprint one{1}, other{2};
const Instant start = Instant{} + 1h;

Idempotency::Made made_of(std::string body) { return {{}, 201, "application/json", std::move(body)}; }

TEST(Idempotency, ShowsWhatWasMadeForADay) {
  Idempotency keys;
  Idempotency::Made made;
  EXPECT_EQ(keys.begin(ada, "k", one, start, made), Verdict::go_on);
  EXPECT_EQ(keys.begin(ada, "k", one, start, made), Verdict::in_flight);
  EXPECT_EQ(keys.begin(ada, "k", other, start, made), Verdict::reused);
  keys.finish(ada, "k", made_of("body"), start);
  EXPECT_EQ(keys.begin(ada, "k", one, start + 24h - 1ns, made), Verdict::made);
  EXPECT_EQ(made.body, "body");
  EXPECT_EQ(keys.begin(ada, "k", other, start, made), Verdict::reused);
  EXPECT_EQ(keys.begin(bob, "k", one, start, made), Verdict::go_on) << "keys are each user's own";
  EXPECT_EQ(keys.begin(ada, "k", other, start + 24h, made), Verdict::go_on);
}

TEST(Idempotency, WhatFailedMayBeTriedAgain) {
  Idempotency keys;
  Idempotency::Made made;
  EXPECT_EQ(keys.begin(ada, "k", one, start, made), Verdict::go_on);
  keys.forget(ada, "k");
  EXPECT_EQ(keys.size(), 0u);
  EXPECT_EQ(keys.begin(ada, "k", other, start, made), Verdict::go_on);
}

TEST(Idempotency, KeepsSoMuchAndForgetsTheOldest) {
  Idempotency keys{{.keys_max = 4, .keys_per_user_max = 3, .bytes_max = 100, .remembered_for = 24h}};
  Idempotency::Made made;
  const auto make = [&](UserId user, const std::string& key, std::string body) {
    EXPECT_EQ(keys.begin(user, key, one, start, made), Verdict::go_on) << key;
    keys.finish(user, key, made_of(std::move(body)), start);
  };
  for (const std::string key : {"a", "b", "c"}) make(ada, key, "x");
  make(bob, "a", "x");
  make(ada, "d", "x");  // A fourth of hers: her oldest goes, not his.
  EXPECT_EQ(keys.size(), 4u);
  EXPECT_EQ(keys.begin(bob, "a", one, start, made), Verdict::made);
  EXPECT_EQ(keys.begin(ada, "b", one, start, made), Verdict::made);
  make(bob, "b", "x");  // A fifth of all: the oldest goes.
  EXPECT_EQ(keys.size(), 4u);
  make(bob, "c", std::string(97, 'x'));
  EXPECT_EQ(keys.size(), 4u);
  make(ada, "e", std::string(100, 'x'));
  EXPECT_EQ(keys.size(), 1u) << "as many bytes as fit";
  EXPECT_EQ(keys.begin(ada, "e", one, start, made), Verdict::made);
  // What is in flight is never forgotten.
  for (const std::string key : {"f", "g", "h", "i", "j", "k"}) EXPECT_EQ(keys.begin(UserId{key[0]}, key, one, start, made), Verdict::go_on);
  for (const std::string key : {"f", "g", "h", "i", "j", "k"})
    EXPECT_EQ(keys.begin(UserId{key[0]}, key, one, start, made), Verdict::in_flight);
}

class IdempotencyKey : public ::testing::Test {
 protected:
  void SetUp() override { server_.set_up(); }
  Response post(const std::string& path, const std::string& body, const std::string& key, const std::string& token = {}) {
    return server_.call(Method::post, path, body, token.empty() ? server_.admin_token : token, {{"Idempotency-Key", key}});
  }
  std::int64_t count(const std::string& list) { return number_in(server_.get(list, server_.admin_token), "totalElements"); }

  TestServer server_;
};

TEST_F(IdempotencyKey, EveryCreateRouteMakesItsThingOnce) {
  const auto lamp = server_.make_template(server_.root, "Lamp");
  const std::string id = str(lamp.id);
  std::size_t routes = 0;
  for (const auto& route : Api::routes())
    routes += route.method == "POST" && route.path.starts_with("/api/") && route.path.find("/create") != std::string::npos ? 1 : 0;
  const std::vector<std::pair<std::string, std::string>> all{
      {"/api/v1/organization/create", R"({"name":"Branch"})"},
      {"/api/v1/role/create", R"({"name":"Installer"})"},
      {"/api/v1/users/create-in-org", R"({"email":"bob@example.org","password":"bobs password"})"},
      {"/api/v1/template/create", R"({"name":"Heater"})"},
      {"/api/v1/template/datastream/create", R"({"templateId":)" + id + R"(,"pin":1,"name":"One","version":1})"},
      {"/api/v1/template/metafield/create", R"({"templateId":)" + id + R"(,"name":"Colour","version":2})"},
      {"/api/v1/template/event/create", R"({"templateId":)" + id + R"(,"name":"Hot","eventCode":"hot","version":3})"},
      {"/api/v1/organization/device/create", R"({"templateId":)" + id + R"(,"name":"D"})"}};
  const std::vector<std::pair<std::string, std::string>> with_secrets{
      {"/api/v1/apikeys/create", R"({"name":"CI","scopes":["ORG_VIEW_USERS"]})"},
      {"/api/v1/oauth/clients/create", R"({"name":"ERP","scopes":["ORG_VIEW_USERS"]})"},
      {"/api/v1/webhook/create", R"({"name":"W","trigger":"DEVICE_ADDED","url":"https://hooks.example.org/"})"}};
  EXPECT_EQ(all.size() + with_secrets.size(), routes);
  for (const auto& [path, body] : all) {
    const Response first = post(path, body, "key of " + path);
    ASSERT_EQ(first.status, 201u) << path << first.body;
    const auto changes = server_.store->newest_change().value();
    const Response again = post(path, body, "key of " + path);
    EXPECT_EQ(again.status, 201u) << path << again.body;
    EXPECT_EQ(again.body, first.body) << path;
    EXPECT_EQ(again.content_type, first.content_type);
    EXPECT_EQ(server_.store->newest_change().value(), changes) << path;
    EXPECT_EQ(code_of(post(path, body + " ", "key of " + path)), "idempotency_key_reused") << path;
  }
  EXPECT_EQ(count("/api/v1/organization/devices"), 1);
  // Both spellings are one route; the AuthToken that was shown again is in the audit log.
  EXPECT_EQ(post("/api/v1/device/create", all.back().second, "key of " + all.back().first).status, 201u);
  EXPECT_EQ(count("/api/v1/organization/devices"), 1);
  EXPECT_EQ(count("/api/v1/audit?action=device.token.reveal"), 2);
  // Without a key, or with another one, it is another request.
  EXPECT_EQ(post("/api/v1/device/create", all.back().second, "").status, 201u);
  EXPECT_EQ(post("/api/v1/device/create", all.back().second, "another").status, 201u);
  EXPECT_EQ(count("/api/v1/organization/devices"), 3);
  // A secret that cannot be shown again is not kept; that it was made is.
  for (const auto& [path, body] : with_secrets) {
    ASSERT_EQ(post(path, body, "secret of " + path).status, 201u);
    EXPECT_EQ(code_of(post(path, body, "secret of " + path)), "already_done") << path;
  }
  EXPECT_EQ(count("/api/v1/apikeys"), 1);
  EXPECT_EQ(count("/api/v1/oauth/clients"), 1);
}

TEST_F(IdempotencyKey, KeepsNoLinkAndNoSecondFactor) {
  const std::string invitation = R"({"email":"ada@example.org"})";
  const Response invited = post("/api/v1/users/invite", invitation, "link");
  ASSERT_NE(invited.body.find("link="), std::string::npos) << invited.body;
  EXPECT_EQ(code_of(post("/api/v1/users/invite", invitation, "link")), "already_done");
  const std::string resend = R"({"invitationId":)" + str(number_in(invited, "invitationId")) + "}";
  ASSERT_EQ(post("/api/v1/users/invitation/resend", resend, "again").status, 200u);
  EXPECT_EQ(code_of(post("/api/v1/users/invitation/resend", resend, "again")), "already_done");
  const std::string verifier = make_password_verifier(password_prehash("the password", "root@example.org"));
  ASSERT_TRUE(server_.store->set_password(server_.admin, verifier, server_.keys->digest(access_token_domain, server_.admin_token).newest(),
                                          server_.actor()));
  const std::string password = R"({"password":"the password"})";
  const Response begun = post("/api/v1/user/totp", password, "totp");
  ASSERT_EQ(begun.status, 200u) << begun.body;
  EXPECT_EQ(code_of(post("/api/v1/user/totp", password, "totp")), "already_done");
}

TEST_F(IdempotencyKey, HoldsForEveryPostOfWhoeverIsSignedIn) {
  const std::string path = "/api/v1/organization/device/provision/token", body = "{}";
  ASSERT_EQ(post(path, body, "one").status, 201u);
  EXPECT_EQ(code_of(post(path, body, "one")), "already_done") << "an AuthToken is not kept either";
  EXPECT_EQ(count("/api/v1/provision/sessions"), 1);
  const auto person = server_.user(server_.root, domain::user_role, "bob@example.org");
  const std::string suspend = R"({"userId":)" + str(person) + "}";
  ASSERT_EQ(post("/api/v1/user/suspend", suspend, "two").status, 200u);
  const auto changes = server_.store->newest_change().value();
  EXPECT_EQ(post("/api/v1/user/suspend", suspend, "two").status, 200u);
  EXPECT_EQ(server_.store->newest_change().value(), changes);
}

TEST_F(IdempotencyKey, RefusalsAreNotRemembered) {
  const std::string body = R"({"templateId":"TMPLtest1000","name":"D"})";
  EXPECT_EQ(post("/api/v1/device/create", body, "k").status, 404u);
  server_.make_template(server_.root, "Lamp");
  EXPECT_EQ(post("/api/v1/device/create", body, "k").status, 201u);
  EXPECT_EQ(field_of(post("/api/v1/device/create", body, std::string(Idempotency::key_size_max + 1, 'k'))), "Idempotency-Key");
  EXPECT_EQ(post("/api/v1/device/create", body, std::string(Idempotency::key_size_max, 'k')).status, 201u);
}

TEST_F(IdempotencyKey, TwoAtOnceMakeOneThing) {
  store::FaultyStore store{*server_.store};
  Response second;
  store.script.slow("create_organization", 1ms);
  store.script.set_sleep([&](std::chrono::milliseconds) { second = post("/api/v1/organization/create", R"({"name":"Branch"})", "k"); });
  server_.serve_from(store);
  EXPECT_EQ(post("/api/v1/organization/create", R"({"name":"Branch"})", "k").status, 201u);
  EXPECT_EQ(second.status, 409u);
  EXPECT_EQ(code_of(second), "request_in_flight");
  EXPECT_EQ(header_of(second, "Retry-After"), "1");
  EXPECT_EQ(count("/api/v1/organization/sub-organizations"), 1);
}

TEST_F(IdempotencyKey, WhoLostHisPermissionSeesNothingAgain) {
  const auto user = server_.user(server_.root, domain::staff_role, "staff@example.org");
  const std::string token = server_.access_token(user);
  const auto lamp = server_.make_template(server_.root, "Lamp");
  const std::string body = R"({"templateId":)" + str(lamp.id) + R"(,"name":"D"})";
  ASSERT_EQ(post("/api/v1/device/create", body, "k", token).status, 201u);
  domain::UserChange change;
  change.status = domain::UserStatus::suspended;
  ASSERT_TRUE(server_.store->update_user(user, change, server_.actor()));
  server_.catch_up();
  EXPECT_EQ(post("/api/v1/device/create", body, "k", token).status, 401u);
}

}  // namespace
}  // namespace muster::api
