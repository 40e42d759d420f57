// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/api/test_server.hpp"
#include "cloud/domain/write_behind.hpp"

namespace muster::api {
namespace {

class Timeline : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.set_up();
    domain::Template value = server_.make_template(server_.root, "Oven");
    value.events.push_back({{}, "Hot", "hot", "It is hot.", domain::EventType::warning, false});
    ASSERT_TRUE(server_.store->update_template(value, value.version, server_.actor()));
    server_.catch_up();
    made_ = server_.device(server_.root, value.id, "Oven 1");
  }
  Response log(std::string_view rest) { return server_.get("/external/api/logEvent?token=" + made_.token + std::string{rest}); }
  Response timeline(std::string_view rest = {}) {
    return server_.get("/api/v1/organization/device/timeline?deviceId=" + str(made_.id) + std::string{rest}, server_.admin_token);
  }
  Response post(std::string_view what, std::string_view members) {
    return server_.call(Method::post, "/api/v1/organization/device/" + std::string{what},
                        R"({"deviceId":)" + str(made_.id) + "," + std::string{members} + "}", server_.admin_token);
  }
  TestServer server_;
  TestServer::MadeDevice made_;
};

TEST_F(Timeline, WhatADeviceLogsOverHttpIsOnItsTimeline) {
  const auto logged = log("&code=hot&description=97%20degrees");
  EXPECT_EQ(logged.status, 200u) << logged.body;
  EXPECT_EQ(logged.body, "");
  ASSERT_FALSE(domain::write_behind(*server_.store, server_.timeline, server_.clock.utc_now()).error);
  const auto found = timeline("&type=WARNING");
  ASSERT_EQ(number_in(found, "totalElements"), 1) << found.body;
  EXPECT_NE(found.body.find(R"("code":"hot","name":"Hot","description":"97 degrees")"), std::string::npos) << found.body;
}

TEST_F(Timeline, LogEventAnswersInItsOwnWords) {
  EXPECT_EQ(log("").body, R"({"error":{"message":"Event code is not provided."}})");
  EXPECT_EQ(log("&code=cold").body, R"({"error":{"message":"Can't find Event with this code in Product template"}})");
  EXPECT_EQ(log("&code=online").status, 400u);
  EXPECT_EQ(log("&code=hot&description=" + std::string(301, 'x')).status, 400u);
  EXPECT_EQ(server_.get("/external/api/logEvent?token=" + std::string(32, 'x') + "&code=hot").body,
            R"({"error":{"message":"Invalid token."}})");
  EXPECT_EQ(server_.get("/external/api/logevent?token=" + made_.token).status, 404u);
}

TEST_F(Timeline, DeviceAndPeopleShareOneLimit) {
  EXPECT_EQ(log("&code=hot").status, 200u);
  const auto soon = log("&code=hot");
  EXPECT_EQ(soon.status, 429u);
  EXPECT_EQ(header_of(soon, "Retry-After"), "1");
  EXPECT_EQ(post("trigger-event", R"("code":"hot")").status, 429u);
  for (int i = 1; i < 100; ++i) {
    server_.clock.advance(std::chrono::seconds{1});
    ASSERT_EQ(log("&code=hot").status, 200u) << i;
  }
  server_.clock.advance(std::chrono::seconds{1});
  EXPECT_EQ(log("&code=hot").status, 429u);
  EXPECT_EQ(code_of(post("trigger-event", R"("code":"hot")")), "too_many_requests");
}

TEST_F(Timeline, AnEventIsTriggeredAndResolvedByPeople) {
  const auto made = post("trigger-event", R"("code":"hot","description":"by hand")");
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(number_in(made, "userId"), server_.admin.value());
  const auto id = str(number_in(made, "id"));
  const auto resolved = post("resolve-event", R"("eventId":)" + id + R"(,"comment":"done")");
  EXPECT_EQ(resolved.status, 200u);
  EXPECT_EQ(text_in(resolved, "resolveComment"), "done");
  EXPECT_EQ(code_of(post("resolve-event", R"("eventId":)" + id)), "wrong_state");
  EXPECT_EQ(post("resolve-event", R"("eventId":99999)").status, 404u);
  EXPECT_EQ(field_of(post("trigger-event", R"("code":"cold")")), "code");
  EXPECT_EQ(field_of(post("trigger-event", R"("code":"hot","description":")" + std::string(301, 'x') + "\"")), "description");
}

TEST_F(Timeline, IsFilteredAndPaged) {
  for (int i = 0; i < 3; ++i) {
    server_.clock.advance(std::chrono::seconds{1});
    ASSERT_EQ(post("trigger-event", R"("code":"hot")").status, 201u);
  }
  EXPECT_EQ(number_in(timeline(), "totalElements"), 4);
  EXPECT_EQ(number_in(timeline("&code=hot"), "totalElements"), 3);
  EXPECT_EQ(number_in(timeline("&type=SYSTEM"), "totalElements"), 1);
  EXPECT_EQ(body_of(timeline("&size=2&page=1")).find("content")->items.size(), 2u);
  EXPECT_EQ(number_in(timeline("&code=hot&from=" + str(server_.clock.utc_now().ms)), "totalElements"), 1);
  EXPECT_EQ(field_of(timeline("&type=LOUD")), "type");
}

}  // namespace
}  // namespace muster::api
