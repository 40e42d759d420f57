// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/api/test_server.hpp"

// The tree of organizations: what moves, what goes, and who decides.
namespace muster::api {
namespace {

class Tree : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.set_up();
    maker_ = server_.organization(server_.root, "Maker");
    customer_ = server_.organization(maker_, "Customer");
    other_ = server_.organization(server_.root, "Other");
    maker_admin_ = server_.access_token(server_.user(maker_, domain::admin_role, "maker@example.org"));
    customer_admin_ = server_.access_token(server_.user(customer_, domain::admin_role, "customer@example.org"));
  }
  Response move(OrganizationId what, OrganizationId where, const std::string& token = {}) {
    return server_.call(Method::post, "/api/v1/organization/transfer", R"({"orgId":)" + str(what) + R"(,"parentId":)" + str(where) + "}",
                        token.empty() ? server_.admin_token : token);
  }
  Response put(const std::string& body, const std::string& token = {}) {
    return server_.call(Method::put, "/api/v1/organization", body, token.empty() ? server_.admin_token : token);
  }
  Response remove(OrganizationId id) {
    return server_.call(Method::delete_, "/api/v1/organization?orgId=" + str(id), {}, server_.admin_token);
  }
  TestServer server_;
  OrganizationId maker_, customer_, other_;
  std::string maker_admin_, customer_admin_;
};

TEST_F(Tree, AnOrganizationMovesAndItsPeopleAreSeenFromItsNewPlace) {
  EXPECT_EQ(move(customer_, maker_).status, 409u);
  EXPECT_EQ(code_of(move(maker_, customer_)), "beneath_itself");
  EXPECT_EQ(code_of(move(maker_, maker_)), "beneath_itself");
  EXPECT_EQ(code_of(move(server_.root, maker_)), "own_organization");
  EXPECT_EQ(code_of(move(maker_, other_, maker_admin_)), "own_organization");
  EXPECT_EQ(code_of(move(customer_, other_, maker_admin_)), "not_found");  // It is not his to see.
  EXPECT_EQ(code_of(move(customer_, OrganizationId{9999})), "not_found");
  EXPECT_EQ(server_.get("/api/v1/organization?orgId=" + str(customer_), maker_admin_).status, 200u);
  const Response moved = move(customer_, other_);
  ASSERT_EQ(moved.status, 200u) << moved.body;
  EXPECT_EQ(number_in(moved, "parentId"), other_.value());
  EXPECT_EQ(server_.get("/api/v1/organization?orgId=" + str(customer_), maker_admin_).status, 404u);
}

TEST_F(Tree, AMoveThatWouldTakeTemplatesAwayIsRefusedWithTheReason) {
  const auto product = server_.make_template(maker_, "Product");
  const auto device = server_.device(customer_, product.id, "Lamp");
  const Response refused = move(customer_, other_);
  EXPECT_EQ(refused.status, 409u);
  EXPECT_EQ(code_of(refused), "template_not_available");
  ASSERT_EQ(server_.call(Method::delete_, "/api/v1/device?deviceId=" + str(device.id), {}, server_.admin_token).status, 204u);
  EXPECT_EQ(move(customer_, other_).status, 200u);
}

TEST_F(Tree, ADeletionThatIsRefusedSaysWhatIsInTheWay) {
  const auto product = server_.make_template(maker_, "Product");
  server_.device(maker_, product.id, "One");
  server_.device(customer_, product.id, "Two");
  const Response refused = remove(maker_);
  EXPECT_EQ(code_of(refused), "in_use");
  for (const auto* reason : {"subOrganizations", "devices", "templates"}) EXPECT_NE(refused.body.find(reason), std::string::npos) << reason;
  EXPECT_EQ(code_of(remove(server_.root)), "own_organization");
  const auto clients = server_.store->organization_of_group(domain::OrganizationGroup::clients, server_.actor());
  ASSERT_TRUE(clients);
  server_.catch_up();
  EXPECT_EQ(code_of(remove(*clients)), "protected_entity");
  EXPECT_EQ(text_in(server_.get("/api/v1/organization?orgId=" + str(*clients), server_.admin_token), "group"), "CLIENTS");
  EXPECT_EQ(remove(other_).status, 204u);
}

TEST_F(Tree, TypeLimitAndDividingAreDecidedAbove) {
  const std::string in_maker = R"({"orgId":)" + str(maker_);
  for (const auto* field : {R"(,"type":"DISTRIBUTOR")", R"(,"canCreateSubOrgs":false)", R"(,"deviceLimit":5)"}) {
    EXPECT_EQ(code_of(put(in_maker + field + "}", maker_admin_)), "own_organization") << field;
    EXPECT_EQ(put(in_maker + field + "}").status, 200u) << field;
  }
  const Response shown = server_.get("/api/v1/organization", maker_admin_);
  EXPECT_EQ(text_in(shown, "type"), "DISTRIBUTOR");
  EXPECT_EQ(number_in(shown, "deviceLimit"), 5);
  EXPECT_EQ(code_of(put(in_maker + R"(,"type":"ROOT"})")), "invalid_value");
  EXPECT_EQ(code_of(put(in_maker + R"(,"type":"PERSONAL"})")), "invalid_value");  // What is beneath it is not.
  EXPECT_EQ(code_of(put(in_maker + R"(,"deviceLimit":-1})")), "invalid_value");
  // The root has nobody above it.
  EXPECT_EQ(put(R"({"deviceLimit":100})").status, 200u);
  EXPECT_EQ(code_of(put(R"({"type":"BUSINESS"})")), "protected_entity");
  EXPECT_EQ(server_.call(Method::put, "/api/v1/organization/edit/name", R"({"name":""})", maker_admin_).status, 400u);
  EXPECT_EQ(text_in(server_.call(Method::put, "/api/v1/organization/edit/name", R"({"name":"Makers"})", maker_admin_), "name"), "Makers");
}

TEST_F(Tree, TheDeviceLimitOfAnOrganizationHoldsForThoseBeneath) {
  const auto product = server_.make_template(maker_, "Product");
  ASSERT_EQ(put(R"({"deviceLimit":1,"orgId":)" + str(maker_) + "}").status, 200u);
  const auto create = [&](OrganizationId where) {
    return server_.call(Method::post, "/api/v1/device/create",
                        R"({"name":"Lamp","templateId":)" + str(product.id) + R"(,"orgId":)" + str(where) + "}", server_.admin_token);
  };
  EXPECT_EQ(create(customer_).status, 201u);
  EXPECT_EQ(code_of(create(maker_)), "limit_reached");
  EXPECT_EQ(code_of(create(customer_)), "limit_reached");
  EXPECT_EQ(
      code_of(server_.call(Method::post, "/api/v1/device/provision/token", R"({"orgId":)" + str(customer_) + "}", server_.admin_token)),
      "limit_reached");
  ASSERT_EQ(put(R"({"deviceLimit":0,"orgId":)" + str(maker_) + "}").status, 200u);
  EXPECT_EQ(create(customer_).status, 201u);
}

TEST_F(Tree, WhoActsInACustomersOrganizationFromAboveIsInThatCustomersLog) {
  const auto product = server_.make_template(maker_, "Product");
  const auto lamp = server_.device(customer_, product.id, "Lamp");
  ASSERT_EQ(server_.call(Method::put, "/api/v1/device", R"({"name":"Mended","deviceId":)" + str(lamp.id) + "}", maker_admin_).status, 200u);
  ASSERT_EQ(server_.get("/api/v1/device/token?deviceId=" + str(lamp.id), maker_admin_).status, 200u);
  ASSERT_EQ(put(R"({"description":"d","orgId":)" + str(customer_) + "}", maker_admin_).status, 200u);
  for (const auto* action : {"device.rename", "device.token.reveal", "organization.update"}) {
    const Response log = server_.get(std::string{"/api/v1/audit?action="} + action, customer_admin_);
    ASSERT_EQ(number_in(log, "totalElements"), 1) << action << log.body;
    EXPECT_NE(body_of(log).find("content")->items.front().find("actorId")->integer, 0) << action;
  }
}

TEST_F(Tree, APersonalOrganizationsAdministratorStaysWithinItsCap) {
  const auto person = server_.organization(server_.root, "Person");
  ASSERT_EQ(put(R"({"type":"PERSONAL","orgId":)" + str(person) + "}").status, 200u);
  const auto token = server_.access_token(server_.user(person, domain::admin_role, "person@example.org"));
  EXPECT_EQ(server_.get("/api/v1/organization/devices", token).status, 200u);
  EXPECT_EQ(server_.call(Method::post, "/api/v1/organization/create", R"({"name":"Kids"})", token).status, 403u);
  EXPECT_EQ(put(R"({"description":"d"})", token).status, 403u);
  EXPECT_EQ(server_.call(Method::put, "/api/v1/role/permissions", R"({"roleId":3,"permissions":[]})", token).status, 403u);
  // From above the cap does not bind.
  EXPECT_EQ(put(R"({"description":"d","orgId":)" + str(person) + "}").status, 200u);
}

}  // namespace
}  // namespace muster::api
