// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/api/test_server.hpp"

namespace muster::api {
namespace {

class Webhooks : public ::testing::Test {
 protected:
  void SetUp() override { server_.set_up(); }
  Response post(std::string_view path, std::string_view body, std::string_view token = {}) {
    return server_.call(Method::post, path, body, token.empty() ? server_.admin_token : token);
  }
  Response create(std::string_view more = {}) {
    return post("/api/v1/webhook/create",
                R"({"name":"W","trigger":"DEVICE_ADDED","url":"https://hooks.example.org/in")" + std::string{more} + "}");
  }
  Response put(std::int64_t id, std::string_view more) {
    return server_.call(Method::put, "/api/v1/webhook", R"({"webhookId":)" + str(id) + "," + std::string{more} + "}", server_.admin_token);
  }
  TestServer server_;
};

TEST_F(Webhooks, TheSecretIsShownOnceAndLiesSealed) {
  const auto made = create();
  ASSERT_EQ(made.status, 201u) << made.body;
  const auto secret = text_in(made, "secret");
  EXPECT_EQ(secret.size(), 6u + 44u);
  EXPECT_TRUE(secret.starts_with("whsec_"));
  const auto id = number_in(made, "id");
  const auto shown = server_.get("/api/v1/webhook?webhookId=" + str(id), server_.admin_token);
  EXPECT_EQ(shown.status, 200u);
  EXPECT_EQ(shown.body.find("secret"), std::string::npos);
  const auto stored = server_.store->find_webhook(WebhookId{static_cast<std::int32_t>(id)}).value().value();
  EXPECT_EQ(stored.sealed_secret.find(secret.substr(6, 10)), std::string::npos);
  EXPECT_EQ(server_.keys->open_sealed("webhook-secret", stored.sealed_secret).value(), secret);
  const auto anew = put(id, R"("newSecret":true)");
  EXPECT_EQ(anew.status, 200u);
  EXPECT_NE(text_in(anew, "secret"), secret);
  EXPECT_EQ(put(id, R"("name":"V")").body.find("secret"), std::string::npos);
}

TEST_F(Webhooks, ItIsMadeOnceUnderAnIdempotencyKeyWhichKeepsNoSecret) {
  const auto make = [&] {
    return server_.call(Method::post, "/api/v1/webhook/create",
                        R"({"name":"W","trigger":"DEVICE_ADDED","url":"https://hooks.example.org/"})", server_.admin_token,
                        {{"Idempotency-Key", "one"}});
  };
  const auto secret = text_in(make(), "secret");
  const auto again = make();
  EXPECT_EQ(code_of(again), "already_done");
  EXPECT_EQ(again.body.find(secret), std::string::npos);
  EXPECT_EQ(number_in(server_.get("/api/v1/webhooks", server_.admin_token), "totalElements"), 1);
}

TEST_F(Webhooks, CredentialsAndHeadersAreTakenAndNeverShown) {
  const auto made = create(
      R"(,"headers":[{"name":"X-Key","value":"hush"}],"auth":{"type":"BASIC","user":"me","password":"hush2"},"failureReceivers":["a@example.org"])");
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(made.body.find("hush"), std::string::npos);
  EXPECT_NE(made.body.find(R"("headers":["X-Key"],"auth":{"type":"BASIC","user":"me"})"), std::string::npos) << made.body;
  const auto stored = server_.store->find_webhook(WebhookId{static_cast<std::int32_t>(number_in(made, "id"))}).value().value();
  EXPECT_EQ(server_.keys->open_sealed("webhook-headers", stored.sealed_headers).value(), "X-Key: hush\n");
  EXPECT_EQ(server_.keys->open_sealed("webhook-auth", stored.sealed_auth).value(), "me\nhush2\n");
  // What an edit does not name stays.
  ASSERT_EQ(put(number_in(made, "id"), R"("name":"V")").status, 200u);
  EXPECT_EQ(server_.store->find_webhook(stored.id).value()->sealed_auth, stored.sealed_auth);
}

TEST_F(Webhooks, WhatCannotBeIsRefusedWithTheField) {
  const auto field = [&](std::string_view more) { return field_of(create(more)); };
  EXPECT_EQ(field_of(post("/api/v1/webhook/create", R"({"name":"W","trigger":"DEVICE_ADDED","url":"ftp://x"})")), "url");
  EXPECT_EQ(field_of(post("/api/v1/webhook/create", R"({"name":"","trigger":"DEVICE_ADDED","url":"https://x"})")), "name");
  EXPECT_EQ(field_of(post("/api/v1/webhook/create", R"({"name":"W","trigger":"TEST","url":"https://x"})")), "trigger");
  EXPECT_EQ(field_of(post("/api/v1/webhook/create", R"({"name":"W","trigger":"DEVICE_LOG_EVENT","url":"https://x"})")), "deviceId");
  EXPECT_EQ(field_of(post("/api/v1/webhook/create", R"({"name":"W","trigger":"PRODUCT_LOG_EVENT","url":"https://x"})")), "templateId");
  EXPECT_EQ(field(R"(,"deviceId":99)"), "deviceId");
  EXPECT_EQ(field(R"(,"pin":256)"), "pin");
  EXPECT_EQ(field(R"(,"method":"TRACE")"), "method");
  EXPECT_EQ(field(R"(,"headers":[{"name":"Host","value":"x"}])"), "headers");
  EXPECT_EQ(field(R"(,"headers":[{"name":"A","value":"x\r\nB: y"}])"), "headers");
  EXPECT_EQ(field(R"(,"auth":{"type":"DIGEST"})"), "auth.type");
  EXPECT_EQ(field(R"(,"auth":{"type":"OAUTH2","tokenUrl":"file:///x","clientId":"a"})"), "auth.tokenUrl");
  EXPECT_EQ(field(R"(,"failAfter":0)"), "failAfter");
  EXPECT_EQ(field(R"(,"failureReceivers":["nobody"])"), "failureReceivers");
  EXPECT_EQ(field(R"(,"body":")" + std::string(5'121, 'x') + "\""), "body");
  EXPECT_EQ(create(R"(,"body":")" + std::string(5'120, 'x') + "\"").status, 201u);
}

TEST_F(Webhooks, AnotherOrganizationsWebhooksAndDeliveriesAreNotFound) {
  const auto middle = server_.organization(server_.root, "Middle");
  const auto made = create();
  const auto id = str(number_in(made, "id"));
  const auto test = post("/api/v1/webhook/test", R"({"webhookId":)" + id + "}");
  ASSERT_EQ(test.status, 201u) << test.body;
  const auto delivery = str(number_in(test, "id"));
  EXPECT_EQ(server_.get("/api/v1/webhook/delivery?deliveryId=" + delivery, server_.admin_token).status, 200u);
  EXPECT_EQ(number_in(server_.get("/api/v1/webhook/deliveries?webhookId=" + id + "&state=WAITING", server_.admin_token), "totalElements"),
            1);
  const auto token = server_.access_token(server_.user(middle, domain::admin_role, "m@example.org"));
  EXPECT_EQ(server_.get("/api/v1/webhook?webhookId=" + id, token).status, 404u);
  EXPECT_EQ(server_.get("/api/v1/webhook/deliveries?webhookId=" + id, token).status, 404u);
  EXPECT_EQ(server_.get("/api/v1/webhook/delivery?deliveryId=" + delivery, token).status, 404u);
  EXPECT_EQ(post("/api/v1/webhook/replay", R"({"deliveryId":)" + delivery + "}", token).status, 404u);
}

}  // namespace
}  // namespace muster::api
