// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "cloud/api/test_server.hpp"

// The same thing done to many devices, as a job with progress.
namespace muster::api {
namespace {

class Jobs : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.set_up();
    product_ = server_.make_template(server_.root, "Product").id;
    customer_ = server_.organization(server_.root, "Customer");
    staff_ = server_.access_token(server_.user(server_.root, domain::staff_role, "staff@example.org"));
  }
  Response start(const std::string& body, const std::string& token = {}) {
    return server_.call(Method::post, "/api/v1/device/bulk", body, token.empty() ? server_.admin_token : token);
  }
  /// The job as it ended; it works in real time, on a thread of its own.
  Response wait(const Response& started, const std::string& token = {}) {
    EXPECT_EQ(started.status, 202u) << started.body;
    const std::string target = "/api/v1/job?jobId=" + str(number_in(started, "jobId"));
    Response now;
    for (int i = 0; i < 1'000; ++i) {
      now = server_.get(target, token.empty() ? server_.admin_token : token);
      const auto state = text_in(now, "state");
      if (state != "WAITING" && state != "RUNNING") break;
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    return now;
  }
  std::int64_t devices_in(OrganizationId id) {
    return number_in(server_.get("/api/v1/organization/devices?orgId=" + str(id), server_.admin_token), "totalElements");
  }
  TestServer server_;
  TemplateId product_;
  OrganizationId customer_;
  std::string staff_;
};

TEST_F(Jobs, AFilterReachesAllPagesAndNothingElse) {
  for (int i = 0; i < 1'100; ++i) server_.device(server_.root, product_, (i % 11 == 0 ? "Other " : "Lamp ") + std::to_string(i));
  const Response ended = wait(start(R"({"action":"transfer","query":"lamp","toOrgId":)" + str(customer_) + "}"));
  EXPECT_EQ(text_in(ended, "state"), "DONE") << ended.body;
  EXPECT_EQ(number_in(ended, "total"), 1'000);
  EXPECT_EQ(number_in(ended, "done"), 1'000);
  EXPECT_EQ(number_in(ended, "failed"), 0);
  EXPECT_EQ(devices_in(customer_), 1'000);
  EXPECT_EQ(devices_in(server_.root), 100);
}

TEST_F(Jobs, EachDeviceIsAllowedOrNotOnItsOwn) {
  const auto mine = server_.device(server_.root, product_, "Mine").id;
  const auto beneath = server_.device(customer_, product_, "Theirs").id;
  const auto user = server_.user(customer_, domain::user_role, "user@example.org");
  const auto token = server_.access_token(user);
  const std::string ids = R"("deviceIds":[)" + str(mine) + "," + str(beneath) + ",987654]}";
  // A User of the customer sees neither: nothing is said of which exist.
  const Response nothing = wait(start(R"({"action":"delete",)" + ids, token), token);
  EXPECT_EQ(number_in(nothing, "failed"), 3) << nothing.body;
  EXPECT_EQ(devices_in(server_.root) + devices_in(customer_), 2);
  // Nobody else's job.
  EXPECT_EQ(server_.get("/api/v1/job?jobId=" + str(number_in(nothing, "jobId")), server_.admin_token).status, 404u);
  const Response most = wait(start(R"({"action":"delete",)" + ids, staff_), staff_);
  EXPECT_EQ(number_in(most, "done"), 2) << most.body;
  EXPECT_EQ(number_in(most, "failed"), 1);
  EXPECT_EQ(devices_in(server_.root) + devices_in(customer_), 0);
}

TEST_F(Jobs, AskingAgainGoesOnWhereItStopped) {
  const auto user = server_.user(customer_, domain::user_role, "user@example.org");
  for (int i = 0; i < 5; ++i) server_.device(server_.root, product_, "Lamp " + std::to_string(i));
  const std::string body = R"({"action":"transfer","includeSubOrgDevices":true,"toOwnerId":)" + str(user) + "}";
  EXPECT_EQ(number_in(wait(start(body)), "done"), 5);
  EXPECT_EQ(devices_in(customer_), 5);
  const Response again = wait(start(body));
  EXPECT_EQ(number_in(again, "done"), 5) << again.body;
  EXPECT_EQ(number_in(wait(start(R"({"action":"remove-owner","includeSubOrgDevices":true})")), "done"), 5);
  EXPECT_EQ(number_in(wait(start(R"({"action":"erase","includeSubOrgDevices":true})")), "done"), 5);
  EXPECT_EQ(number_in(server_.get("/api/v1/jobs", server_.admin_token), "totalElements"), 4);
  // What has ended cannot be ended.
  const auto id = str(number_in(again, "jobId"));
  EXPECT_EQ(code_of(server_.call(Method::delete_, "/api/v1/job?jobId=" + id, {}, server_.admin_token)), "wrong_state");
  EXPECT_EQ(server_.call(Method::delete_, "/api/v1/job?jobId=" + id, {}, staff_).status, 404u);
}

TEST_F(Jobs, RefusesWhatItCannotUnderstand) {
  EXPECT_EQ(code_of(start(R"({"action":"fly"})")), "invalid_value");
  EXPECT_EQ(code_of(start(R"({"action":"transfer"})")), "invalid_value");
  EXPECT_EQ(code_of(start(R"({"action":"transfer","toOrgId":987654})")), "not_found");
  EXPECT_EQ(code_of(start(R"({"action":"erase","toOrgId":1})")), "invalid_value");
  EXPECT_EQ(code_of(start(R"({"action":"erase","deviceIds":[1,1]})")), "invalid_value");
  EXPECT_EQ(code_of(start(R"({"action":"erase","deviceIds":["1"]})")), "invalid_value");
  EXPECT_EQ(code_of(start(R"({"action":"erase","deviceIds":[0]})")), "invalid_value");
  EXPECT_EQ(code_of(start(R"({"action":"erase","deviceIds":[1],"query":"x"})")), "invalid_value");
  EXPECT_EQ(code_of(start(R"({"action":"erase","templateId":987654})")), "not_found");
  EXPECT_EQ(server_.get("/api/v1/job?jobId=987654", server_.admin_token).status, 404u);
}

TEST_F(Jobs, WhatOneMayNoLongerDoIsNotDoneAnyMore) {
  for (int i = 0; i < 3; ++i) server_.device(server_.root, product_, "Lamp " + std::to_string(i));
  ASSERT_EQ(
      server_.call(Method::put, "/api/v1/role/permissions", R"({"roleId":2,"revoke":["DEVICE_DATA_DELETE"]})", server_.admin_token).status,
      200u);
  const Response ended = wait(start(R"({"action":"erase"})", staff_), staff_);
  EXPECT_EQ(number_in(ended, "failed"), 3) << ended.body;
  EXPECT_EQ(number_in(ended, "done"), 0);
}

}  // namespace
}  // namespace muster::api
