// SPDX-License-Identifier: Apache-2.0
#include "cli/watch_events.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace muster::cli {
namespace {

using Lines = std::vector<std::string>;

TEST(WatchEvents, SubscribesToWhatWasAsked) {
  EXPECT_EQ((WatchEvents{{{7, 9}, 1, false}, true}.hello()),
            (Lines{R"({"type":"subscribe","id":"status","kind":"devices","snapshot":true,"deviceIds":[7,9]})",
                   R"({"type":"subscribe","id":"values","kind":"values","snapshot":true,"deviceIds":[7,9]})"}));
  EXPECT_EQ((WatchEvents{{{}, 3, true}, true}.hello()[0]),
            R"({"type":"subscribe","id":"status","kind":"devices","snapshot":true,"orgId":3,"includeSubOrgDevices":true})");
}

TEST(WatchEvents, RowsBecomeOneEventALine) {
  WatchEvents events{{{7}, 1, false}, true};
  EXPECT_TRUE(events.on_message(R"({"type":"ready","userId":1})")->empty());
  EXPECT_EQ(
      events
          .on_message(R"({"type":"snapshot","id":"status","cursor":"c1","last":true,"rows":[{"deviceId":7,"online":false,"name":"Lamp"}]})")
          .value(),
      (Lines{R"({"event":"status","deviceId":7,"online":false,"name":"Lamp"})"}));
  EXPECT_EQ(
      events.on_message(R"({"type":"delta","id":"values","cursor":"c2","rows":[{"deviceId":7,"pin":3,"value":"21.5","at":5}]})").value(),
      (Lines{R"({"event":"value","deviceId":7,"pin":3,"value":"21.5","at":5})"}));
  EXPECT_EQ(events.on_message(R"({"type":"removed","id":"status","deviceIds":[7]})").value(),
            (Lines{R"({"event":"removed","deviceId":7})"}));
  EXPECT_TRUE(events.on_message(R"({"type":"removed","id":"values","deviceIds":[7]})")->empty());
  EXPECT_TRUE(events.on_message(R"({"type":"pong"})")->empty());
}

TEST(WatchEvents, PeopleReadSentences) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  WatchEvents events{{{7}, 1, false}, false};
  const auto status =
      events.on_message(R"({"type":"snapshot","id":"status","rows":[{"deviceId":7,"online":true,"name":"La\u001bmp"}]})").value();
  ASSERT_EQ(status.size(), 1u);
  EXPECT_TRUE(status[0].ends_with("  device 7 La?mp is online")) << status[0];
  EXPECT_EQ(
      events.on_message(R"({"type":"delta","id":"values","rows":[{"deviceId":7,"pin":3,"values":["13.4","52.5"],"at":1767225600000}]})")
          .value(),
      (Lines{"2026-01-01 00:00:00  device 7 La?mp  V3 = 13.4, 52.5"}));
}

TEST(WatchEvents, AfterALossItResumesWithoutRepeating) {
  WatchEvents events{{{7}, 1, false}, true};
  ASSERT_TRUE(events.on_message(R"({"type":"snapshot","id":"status","cursor":"c1","rows":[{"deviceId":7,"online":true}]})"));
  const auto hello = events.hello();
  ASSERT_EQ(hello.size(), 3u);
  EXPECT_NE(hello[0].find(R"("snapshot":false)"), std::string::npos);
  EXPECT_EQ(hello[2], R"({"type":"resume","cursor":"c1"})");
  EXPECT_TRUE(events.on_message(R"({"type":"delta","id":"status","cursor":"c2","rows":[{"deviceId":7,"online":true}]})")->empty());
  EXPECT_EQ(events.on_message(R"({"type":"delta","id":"status","cursor":"c3","rows":[{"deviceId":7,"online":false}]})")->size(), 1u);
  ASSERT_TRUE(events.on_message(R"({"type":"reset","reason":"cursor_unknown"})"));
  EXPECT_EQ(events.hello().size(), 2u);
}

TEST(WatchEvents, RefusalsAndNonsenseEndIt) {
  WatchEvents events{{{7}, 1, false}, true};
  const auto refused = events.on_message(R"({"type":"error","id":"status","code":"not_found","message":"There is no such device."})");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().exit_code, exit_refused);
  EXPECT_EQ(refused.error().message, "There is no such device.");
  for (const auto* nonsense : {"", "{", "[]", "7"}) EXPECT_EQ(events.on_message(nonsense).error().exit_code, exit_unreachable);
  for (const auto* odd : {"{}", R"({"type":"delta","rows":[1,"x",{}]})", R"({"type":"removed","deviceIds":["x"]})", R"({"type":7})"})
    EXPECT_TRUE(events.on_message(odd)) << odd;
}

}  // namespace
}  // namespace muster::cli
