// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "cloud/api/test_server.hpp"

// Roles: made in the root, with values for each organization, never granting more than the caller has there.
namespace muster::api {
namespace {

using domain::Permission;

class Roles : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.set_up();
    middle_ = server_.organization(server_.root, "Middle");
    beneath_ = server_.organization(middle_, "Beneath");
    middle_admin_ = server_.access_token(server_.user(middle_, domain::admin_role, "middle@example.org"));
  }
  Response put(const std::string& path, const std::string& body, const std::string& token = {}) {
    return server_.call(Method::put, path, body, token.empty() ? server_.admin_token : token);
  }
  Response create(const std::string& body, const std::string& token = {}) {
    return server_.call(Method::post, "/api/v1/role/create", body, token.empty() ? server_.admin_token : token);
  }
  static std::vector<std::string> permissions_in(const Response& response) {
    std::vector<std::string> names;
    const Json body = body_of(response);
    const Json* list = body.find("permissions");
    if (list == nullptr) return {"?"};
    for (const auto& each : list->items) names.push_back(each.text);
    return names;
  }
  std::vector<std::string> values(std::int64_t role, OrganizationId organization) {
    return permissions_in(server_.get("/api/v1/role?roleId=" + str(role) + "&orgId=" + str(organization), server_.admin_token));
  }
  std::int64_t installer(const std::string& permissions = R"(["OWN_DEVICES_VIEW"])") {
    const Response made = create(R"({"name":"Installer","permissions":)" + permissions + "}");
    EXPECT_EQ(made.status, 201u) << made.body;
    return number_in(made, "id");
  }
  TestServer server_;
  OrganizationId middle_, beneath_;
  std::string middle_admin_;
};

TEST_F(Roles, AreMadeNamedAndDeletedInTheRootOnly) {
  const auto id = installer();
  EXPECT_EQ(code_of(create(R"({"name":" installer "})")), "name_taken");
  EXPECT_EQ(code_of(create(R"({"name":""})")), "invalid_value");
  EXPECT_EQ(code_of(create(R"({"name":")" + std::string(61, 'x') + R"("})")), "invalid_value");
  EXPECT_EQ(code_of(create(R"({"name":"X","permissions":["FLY"]})")), "invalid_value");
  EXPECT_EQ(code_of(create(R"({"name":"X","permissions":[7]})")), "invalid_value");
  EXPECT_EQ(code_of(create(R"({"name":"X","orgId":)" + str(middle_) + "}")), "root_organization_only");
  EXPECT_EQ(code_of(create(R"({"name":"X"})", middle_admin_)), "root_organization_only");
  EXPECT_EQ(text_in(put("/api/v1/role/name", R"({"roleId":)" + str(id) + R"(,"name":"Fitter"})"), "name"), "Fitter");
  EXPECT_EQ(code_of(put("/api/v1/role/name", R"({"roleId":1,"name":"Boss"})")), "protected_entity");
  EXPECT_EQ(code_of(put("/api/v1/role/name", R"({"roleId":99,"name":"Boss"})")), "not_found");
  EXPECT_EQ(code_of(put("/api/v1/role/name", R"({"roleId":)" + str(id) + R"(,"name":"Boss"})", middle_admin_)), "root_organization_only");

  const auto holder = server_.user(middle_, RoleId{static_cast<std::int32_t>(id)}, "holder@example.org");
  const auto remove = [&](std::int64_t role, std::int64_t replacement, const std::string& token) {
    return server_.call(Method::delete_, "/api/v1/role?roleId=" + str(role) + "&replacementRoleId=" + str(replacement), {}, token);
  };
  EXPECT_EQ(code_of(remove(id, 99, server_.admin_token)), "invalid_value");
  EXPECT_EQ(code_of(remove(id, id, server_.admin_token)), "same_place");
  EXPECT_EQ(code_of(remove(1, 3, server_.admin_token)), "protected_entity");
  EXPECT_EQ(code_of(remove(id, 3, middle_admin_)), "root_organization_only");
  EXPECT_EQ(code_of(server_.call(Method::delete_, "/api/v1/role?roleId=" + str(id), {}, server_.admin_token)), "missing_field");
  EXPECT_EQ(remove(id, 3, server_.admin_token).status, 204u);
  EXPECT_EQ(server_.views->directory.caller(holder)->role_id, domain::user_role);
  EXPECT_EQ(number_in(server_.get("/api/v1/roles", server_.admin_token), "totalElements"), 3);
  const Response last = server_.get("/api/v1/roles?page=1&size=2", server_.admin_token);
  EXPECT_EQ(number_in(last, "totalElements"), 3);
  EXPECT_NE(last.body.find(R"("name":"User")"), std::string::npos) << last.body;
  EXPECT_EQ(last.body.find(R"("name":"Staff")"), std::string::npos) << last.body;
}

TEST_F(Roles, GrantingBringsWhatItNeedsAndRevokingTakesWhatNeedsIt) {
  const auto id = installer(R"(["USER_INVITE"])");
  EXPECT_EQ(values(id, middle_), (std::vector<std::string>{"ORG_VIEW_USERS", "USER_INVITE"}));
  const std::string role = R"({"roleId":)" + str(id);
  EXPECT_EQ(permissions_in(put("/api/v1/role/permissions", role + R"(,"grant":["TEMPLATE_EDIT"]})")),
            (std::vector<std::string>{"ORG_VIEW_USERS", "USER_INVITE", "TEMPLATE_VIEW", "TEMPLATE_EDIT"}));
  EXPECT_EQ(permissions_in(put("/api/v1/role/permissions", role + R"(,"revoke":["ORG_VIEW_USERS"]})")),
            (std::vector<std::string>{"TEMPLATE_VIEW", "TEMPLATE_EDIT"}));
  EXPECT_EQ(permissions_in(put("/api/v1/role/permissions", role + R"(,"permissions":["AUTH_TOKEN_EDIT"]})")),
            (std::vector<std::string>{"OWN_DEVICES_VIEW", "AUTH_TOKEN_VIEW", "AUTH_TOKEN_EDIT"}));
  // What contradicts itself is refused, not guessed at.
  EXPECT_EQ(code_of(put("/api/v1/role/permissions", role + R"(,"grant":["OTA_VIEW"],"revoke":["OTA_VIEW"]})")), "invalid_value");
  EXPECT_EQ(code_of(put("/api/v1/role/permissions", role + R"(,"grant":["OTA_START"],"revoke":["OTA_VIEW"]})")), "invalid_value");
  EXPECT_EQ(code_of(put("/api/v1/role/permissions", role + R"(,"permissions":[],"grant":["OTA_VIEW"]})")), "invalid_value");
  EXPECT_EQ(code_of(put("/api/v1/role/permissions", role + "}")), "invalid_value");
  EXPECT_EQ(code_of(put("/api/v1/role/permissions", R"({"roleId":1,"revoke":["OTA_VIEW"]})")), "protected_entity");
}

TEST_F(Roles, ValuesHoldWhereTheyAreSetAndBeneathOnlyWhenAsked) {
  const auto id = installer();
  const std::string in_middle = R"({"roleId":)" + str(id) + R"(,"orgId":)" + str(middle_);
  EXPECT_EQ(put("/api/v1/role/permissions", in_middle + R"(,"permissions":["TEMPLATE_VIEW"]})").status, 200u);
  EXPECT_EQ(values(id, middle_), (std::vector<std::string>{"TEMPLATE_VIEW"}));
  EXPECT_EQ(values(id, beneath_), (std::vector<std::string>{"OWN_DEVICES_VIEW"}));
  EXPECT_EQ(values(id, server_.root), (std::vector<std::string>{"OWN_DEVICES_VIEW"}));
  EXPECT_EQ(put("/api/v1/role/permissions", in_middle + R"(,"permissions":["OTA_VIEW"],"applyToSubOrgs":true})").status, 200u);
  EXPECT_EQ(values(id, beneath_), (std::vector<std::string>{"OTA_VIEW"}));
  EXPECT_EQ(values(id, server_.root), (std::vector<std::string>{"OWN_DEVICES_VIEW"}));
  // It is audited where it holds.
  const auto log = server_.get("/api/v1/audit?action=role.values", middle_admin_);
  EXPECT_EQ(number_in(log, "totalElements"), 2) << log.body;
}

TEST_F(Roles, NobodyGrantsWhatHeLacksThere) {
  // A role that may edit roles and little else.
  const auto warden = installer(R"(["ROLE_EDIT","ORG_SWITCH","OTA_VIEW"])");
  const auto token = server_.access_token(server_.user(server_.root, RoleId{static_cast<std::int32_t>(warden)}, "warden@example.org"));
  const auto set = [&](const std::string& rest) { return put("/api/v1/role/permissions", R"({"roleId":3)" + rest + "}", token); };
  EXPECT_EQ(set(R"(,"grant":["OTA_VIEW"])").status, 200u);
  EXPECT_EQ(code_of(set(R"(,"grant":["AUDIT_VIEW"])")), "role_exceeds_own");
  EXPECT_EQ(code_of(put("/api/v1/role/permissions", R"({"roleId":)" + str(warden) + R"(,"grant":["USER_DELETE"]})", token)),
            "role_exceeds_own");
  // What is granted already stays, and taking away is no granting.
  EXPECT_EQ(set(R"(,"revoke":["PROVISION_DEVICES"])").status, 200u);
  EXPECT_EQ(code_of(set(R"(,"grant":["PROVISION_DEVICES"])")), "role_exceeds_own");
  // He has OTA_VIEW at home and not in "Beneath": so he cannot grant it to all beneath.
  ASSERT_EQ(put("/api/v1/role/permissions",
                R"({"roleId":)" + str(warden) + R"(,"orgId":)" + str(beneath_) + R"(,"permissions":["ROLE_EDIT","ORG_SWITCH"]})")
                .status,
            200u);
  ASSERT_EQ(put("/api/v1/role/permissions", R"({"roleId":3,"orgId":)" + str(beneath_) + R"(,"revoke":["OTA_VIEW"]})").status, 200u);
  EXPECT_EQ(set(R"(,"orgId":)" + str(middle_) + R"(,"grant":["OTA_VIEW"])").status, 200u);
  EXPECT_EQ(code_of(set(R"(,"orgId":)" + str(middle_) + R"(,"grant":["OTA_VIEW"],"applyToSubOrgs":true)")), "role_exceeds_own");
  // Nor does he hand out a role that may do more than he may.
  EXPECT_EQ(code_of(server_.call(Method::post, "/api/v1/users/create-in-org",
                                 R"({"email":"x@example.org","password":"12345678","role":"Staff"})", token)),
            "forbidden");
}

TEST_F(Roles, OfTwoAdministratorsWhoDeleteEachOtherOneStays) {
  const auto only = server_.organization(server_.root, "Two");
  const auto ada = server_.user(only, domain::admin_role, "ada@example.org"),
             bob = server_.user(only, domain::admin_role, "bob@example.org");
  const std::string by_ada = server_.access_token(ada), by_bob = server_.access_token(bob);
  Response one, two;
  std::thread first{[&] { one = server_.call(Method::delete_, "/api/v1/user?userId=" + str(bob), {}, by_ada); }};
  std::thread second{[&] { two = server_.call(Method::delete_, "/api/v1/user?userId=" + str(ada), {}, by_bob); }};
  first.join();
  second.join();
  EXPECT_EQ((one.status == 204u) + (two.status == 204u), 1) << one.body << two.body;
  const Response& refused = one.status == 204u ? two : one;
  EXPECT_TRUE(refused.status == 409u || refused.status == 401u || refused.status == 404u) << refused.body;
  server_.catch_up();
  EXPECT_NE(server_.views->directory.caller(ada).has_value(), server_.views->directory.caller(bob).has_value());
}

TEST_F(Roles, AChangeCountsFromTheNextRequestOn) {
  const auto token = server_.access_token(server_.user(middle_, domain::user_role, "user@example.org"));
  EXPECT_EQ(server_.get("/api/v1/users", token).status, 403u);
  ASSERT_EQ(put("/api/v1/role/permissions", R"({"roleId":3,"orgId":)" + str(middle_) + R"(,"grant":["ORG_VIEW_USERS"]})").status, 200u);
  EXPECT_EQ(server_.get("/api/v1/users", token).status, 200u);
  ASSERT_EQ(put("/api/v1/role/permissions", R"({"roleId":3,"revoke":["ORG_VIEW_USERS"],"applyToSubOrgs":true})").status, 200u);
  EXPECT_EQ(server_.get("/api/v1/users", token).status, 403u);
}

}  // namespace
}  // namespace muster::api
