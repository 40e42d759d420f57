// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/api/test_server.hpp"

// Devices that change hands, and devices that are emptied.
namespace muster::api {
namespace {

class Transfers : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.set_up();
    product_ = server_.make_template(server_.root, "Product").id;
    customer_ = server_.organization(server_.root, "Customer");
    ada_ = server_.user(server_.root, domain::user_role, "ada@example.org");
    bob_ = server_.user(customer_, domain::user_role, "bob@example.org");
    lamp_ = server_.device(server_.root, product_, "Lamp", ada_);
  }
  Response post(const std::string& path, const std::string& rest, const std::string& token = {}) {
    return server_.call(Method::post, "/api/v1/device/" + path, R"({"deviceId":)" + str(lamp_.id) + rest + "}",
                        token.empty() ? server_.admin_token : token);
  }
  domain::DevicePlace place() { return *server_.views->directory.device(lamp_.id); }
  TestServer server_;
  TemplateId product_;
  OrganizationId customer_;
  UserId ada_, bob_;
  TestServer::MadeDevice lamp_;
};

TEST_F(Transfers, ANewOwnerTakesTheDeviceIntoHisOrganization) {
  const auto by_ada = server_.access_token(ada_), by_bob = server_.access_token(bob_);
  const std::string one = "/api/v1/device?deviceId=" + str(lamp_.id);
  EXPECT_EQ(server_.get(one, by_ada).status, 200u);
  EXPECT_EQ(server_.get(one, by_bob).status, 404u);
  EXPECT_EQ(code_of(post("transfer/to-owner", R"(,"ownerId":)" + str(bob_), by_ada)), "forbidden");  // A User transfers nothing.
  ASSERT_EQ(post("transfer/to-owner", R"(,"ownerId":)" + str(bob_)).status, 204u);
  EXPECT_EQ(place().organization_id, customer_);
  EXPECT_EQ(place().owner_id, bob_);
  EXPECT_EQ(server_.get(one, by_ada).status, 404u);
  EXPECT_EQ(server_.get(one, by_bob).status, 200u);
  // The same AuthToken goes on working, with the same values.
  EXPECT_EQ(server_.get("/external/api/isHardwareConnected?token=" + lamp_.token).status, 200u);
  EXPECT_EQ(code_of(post("transfer/to-owner", R"(,"ownerId":)" + str(bob_))), "same_place");
  EXPECT_EQ(code_of(post("transfer/to-owner", R"(,"ownerId":987654)")), "not_found");
}

TEST_F(Transfers, ToAnOrganizationItIsNobodysUnlessOneIsNamed) {
  ASSERT_EQ(post("transfer/to-organization", R"(,"orgId":)" + str(customer_)).status, 204u);
  EXPECT_EQ(place().organization_id, customer_);
  EXPECT_FALSE(place().owner_id);
  ASSERT_EQ(post("transfer/to-organization", R"(,"orgId":)" + str(customer_) + R"(,"ownerId":)" + str(bob_)).status, 204u);
  EXPECT_EQ(place().owner_id, bob_);
  EXPECT_EQ(code_of(post("transfer/to-organization", R"(,"orgId":)" + str(customer_) + R"(,"ownerId":)" + str(ada_))), "invalid_value");
  EXPECT_EQ(code_of(post("transfer/to-organization", R"(,"orgId":987654)")), "not_found");
  // The older spelling of both.
  ASSERT_EQ(post("transfer", R"(,"newUserId":)" + str(ada_)).status, 204u);
  EXPECT_EQ(place().owner_id, ada_);
  ASSERT_EQ(post("transfer", R"(,"newOrgId":)" + str(customer_)).status, 204u);
  EXPECT_EQ(place().organization_id, customer_);
  EXPECT_EQ(code_of(post("transfer", "")), "invalid_value");
  EXPECT_EQ(code_of(post("transfer", R"(,"newOrgId":1,"newUserId":1)")), "invalid_value");
}

TEST_F(Transfers, NobodyGivesADeviceWhereHeCannotActOrWhereItCannotLive) {
  const auto maker = server_.organization(server_.root, "Maker");
  const auto by_maker = server_.access_token(server_.user(maker, domain::staff_role, "staff@example.org"));
  const auto own = server_.make_template(maker, "Own");
  lamp_ = server_.device(maker, own.id, "Bound");
  EXPECT_EQ(code_of(post("transfer/to-owner", R"(,"ownerId":)" + str(bob_), by_maker)), "not_found");
  EXPECT_EQ(code_of(post("transfer/to-organization", R"(,"orgId":)" + str(customer_), by_maker)), "not_found");
  const Response refused = post("transfer/to-owner", R"(,"ownerId":)" + str(bob_));
  EXPECT_EQ(refused.status, 409u);
  EXPECT_EQ(code_of(refused), "template_not_available");
  ASSERT_EQ(server_.call(Method::post, "/api/v1/user/suspend", R"({"userId":)" + str(bob_) + "}", server_.admin_token).status, 200u);
  EXPECT_EQ(code_of(post("transfer/to-owner", R"(,"ownerId":)" + str(bob_))), "not_active");
}

TEST_F(Transfers, ADeviceWithoutOwnerIsSeenByThoseWhoSeeAll) {
  const auto by_ada = server_.access_token(ada_);
  const std::string owner = "/api/v1/device/owner?deviceId=" + str(lamp_.id), one = "/api/v1/device?deviceId=" + str(lamp_.id);
  ASSERT_EQ(server_.call(Method::delete_, owner, {}, server_.admin_token).status, 204u);
  EXPECT_EQ(place().organization_id, server_.root);
  EXPECT_FALSE(place().owner_id);
  EXPECT_EQ(server_.get(one, by_ada).status, 404u);
  EXPECT_EQ(server_.get(one, server_.admin_token).status, 200u);
  EXPECT_EQ(code_of(server_.call(Method::delete_, owner, {}, server_.admin_token)), "same_place");
}

TEST_F(Transfers, ErasingTakesWhatTheDeviceSaidAndNothingElse) {
  ASSERT_EQ(server_.get("/external/api/update?token=" + lamp_.token + "&v1=7").status, 200u);
  ASSERT_EQ(server_.get("/external/api/get?token=" + lamp_.token + "&v1").body, "7");
  const auto waiting = server_.values.take_dirty(100);  // On its way to the store when the device is emptied.
  ASSERT_EQ(waiting.size(), 1u);
  const auto by_ada = server_.access_token(ada_);
  const std::string clear = "/api/v1/device/clear?deviceId=" + str(lamp_.id);
  server_.clock.advance(std::chrono::milliseconds{5});
  ASSERT_EQ(server_.call(Method::delete_, clear, {}, by_ada).status, 204u);
  ASSERT_TRUE(server_.store->write_values(waiting));
  EXPECT_TRUE(server_.store->values_of(lamp_.id).value().empty());
  EXPECT_NE(server_.get("/external/api/get?token=" + lamp_.token + "&v1").body, "7");
  EXPECT_EQ(place().owner_id, ada_);
  EXPECT_EQ(server_.get("/api/v1/device?deviceId=" + str(lamp_.id), by_ada).status, 200u);
  server_.clock.advance(std::chrono::milliseconds{5});
  ASSERT_EQ(server_.get("/external/api/update?token=" + lamp_.token + "&v1=8").status, 200u);
  ASSERT_TRUE(server_.store->write_values(server_.values.take_dirty(100)));
  EXPECT_EQ(server_.store->values_of(lamp_.id).value().size(), 1u);
}

TEST_F(Transfers, AReprovisioningThatWaitsEndsWithTheOldOwner) {
  const Response issued = post("provision/reprovision/token", "", server_.access_token(ada_));
  ASSERT_EQ(issued.status, 201u) << issued.body;
  ASSERT_EQ(post("transfer/to-owner", R"(,"ownerId":)" + str(bob_)).status, 204u);
  const auto session = number_in(issued, "sessionId");
  EXPECT_EQ(text_in(server_.get("/api/v1/provision/session?sessionId=" + str(session), server_.admin_token), "state"), "CANCELED");
  // Neither its token nor anybody's look at it costs the device its own.
  EXPECT_EQ(server_.get("/external/api/isHardwareConnected?token=" + lamp_.token).status, 200u);
}

TEST_F(Transfers, ListsByOwnerOrganizationAndTimeOfActivation) {
  server_.device(server_.root, product_, "Second", ada_);
  server_.device(server_.root, product_, "Nobodys");
  const auto by_ada = server_.access_token(ada_);
  const auto total = [&](const std::string& target, const std::string& token) {
    return number_in(server_.get(target, token), "totalElements");
  };
  const std::string owner = "/api/v1/device/by-owner?userId=" + str(ada_), org = "/api/v1/device/by-user-org?userId=" + str(ada_);
  EXPECT_EQ(total(owner, server_.admin_token), 2);
  EXPECT_EQ(total(owner, by_ada), 2);
  EXPECT_EQ(total(org, server_.admin_token), 3);
  EXPECT_EQ(total(org, by_ada), 2);
  EXPECT_EQ(server_.get(owner, server_.access_token(bob_)).status, 404u);
  EXPECT_EQ(total("/api/v1/device/last-activated", server_.admin_token), 3);
  server_.clock.advance(std::chrono::minutes{6});
  EXPECT_EQ(total("/api/v1/device/last-activated", server_.admin_token), 0);
  EXPECT_EQ(total("/api/v1/device/last-activated?minutes=60", server_.admin_token), 3);
  for (const auto* minutes : {"0", "61", "-1"})
    EXPECT_EQ(code_of(server_.get(std::string{"/api/v1/device/last-activated?minutes="} + minutes, server_.admin_token)), "invalid_value");
}

TEST_F(Transfers, AListShowsValuesAndMetadataWhenAsked) {
  ASSERT_EQ(server_.get("/external/api/update?token=" + lamp_.token + "&v1=7").status, 200u);
  const Response plain = server_.get("/api/v1/organization/devices", server_.admin_token);
  EXPECT_EQ(plain.body.find("dataStreamValues"), std::string::npos);
  const Response all =
      server_.get("/api/v1/organization/devices?include=hardwareInfo,dataStreamValues,metaFieldValues", server_.admin_token);
  ASSERT_EQ(all.status, 200u) << all.body;
  const Json body = body_of(all);
  const Json& device = body.find("content")->items.front();
  ASSERT_EQ(device.find("dataStreamValues")->items.size(), 1u);
  EXPECT_EQ(device.find("dataStreamValues")->items[0].find("value")->text, "7");
  EXPECT_FALSE(device.find("metaFieldValues")->items.empty());
  EXPECT_EQ(code_of(server_.get("/api/v1/organization/devices?include=tokens", server_.admin_token)), "invalid_value");
}

}  // namespace
}  // namespace muster::api
