// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/protocol/testing/rig.hpp"

namespace muster::protocol::testing {
namespace {

using namespace std::chrono_literals;
using wire::Command;
using wire::Status;

class Commands : public ::testing::Test {
 protected:
  void use(std::vector<domain::Datastream> datastreams) {
    published = rig.make_template(std::move(datastreams));
    made.emplace(rig.make_device(published));
    rig.load();
    connection = &rig.connect();
    connection->feed(frame(29, 1, made->token.reveal()) + frame(17, 2, fields({"ver", "1", "buff-in", "4096"})));
    connection->take();
  }
  std::vector<Seen> say(int command, std::uint16_t id, std::initializer_list<std::string_view> body) {
    connection->feed(frame(command, id, fields(body)));
    rig.settle();
    return connection->take();
  }
  std::optional<std::string> value(std::uint8_t pin) {
    std::optional<domain::PinValue> out;
    rig.values.read_pin(made->device.id, pin, out);
    return out ? std::optional{out->value} : std::nullopt;
  }
  std::int64_t value_time(std::uint8_t pin) {
    std::optional<domain::PinValue> out;
    rig.values.read_pin(made->device.id, pin, out);
    return out ? out->at.ms : -1;
  }
  static domain::Datastream integer(std::uint8_t pin) {
    domain::Datastream out;
    out.name = "I" + std::to_string(pin);
    out.pin = pin;
    out.type = domain::DataType::integer;
    out.min = 0;
    out.max = 100;
    return out;
  }
  Rig rig;
  domain::Template published;
  std::optional<Rig::Made> made;
  Connection* connection = nullptr;
};

TEST_F(Commands, APingIsAnsweredWithItsId) {
  use({});
  connection->feed(frame(6, 513) + frame(6, 65'535, "body"));
  EXPECT_EQ(connection->take(), (std::vector{response(513, Status::success), response(65'535, Status::success)}));
}

TEST_F(Commands, ValuesMoveTheLastReportOnceAMinute) {
  use({integer(1)});
  const auto reported = [this]() -> std::optional<UtcTime> {
    const auto waiting = rig.presence.take(10);
    return waiting.empty() ? std::nullopt : waiting[0].reported_at;
  };
  EXPECT_TRUE(reported()) << "the info is one";
  say(20, 3, {"vw", "2", "7"});
  say(20, 4, {"vw", "1", "text"});
  EXPECT_FALSE(reported()) << "nor is a value that was not taken";
  say(20, 5, {"vw", "1", "7"});
  EXPECT_EQ(reported(), rig.clock.utc_now());
  rig.clock.advance(59s);
  say(20, 6, {"vw", "1", "8"});
  EXPECT_FALSE(reported());
  rig.clock.advance(1s);
  say(20, 7, {"vw", "1", "9"});
  EXPECT_EQ(reported(), rig.clock.utc_now());
}

TEST_F(Commands, AValueIsKeptWithoutAnAnswer) {
  use({});
  EXPECT_TRUE(say(20, 3, {"vw", "5", "hello"}).empty());
  EXPECT_EQ(value(5), "hello");
  EXPECT_TRUE(say(20, 3, {"vw", "255", "1", "2"}).empty());
  EXPECT_EQ(value(255), (std::string{"1\0"
                                     "2",
                                     3}));
  EXPECT_EQ(rig.metrics.values_written_total.value(), 2u);
}

TEST_F(Commands, AnEmptyOrMissingValueIsIgnored) {
  use({});
  say(20, 3, {"vw", "5", "kept"});
  EXPECT_TRUE(say(20, 4, {"vw", "5"}).empty());
  EXPECT_TRUE(say(20, 5, {"vw", "5", ""}).empty());
  EXPECT_EQ(value(5), "kept");
  EXPECT_TRUE(connection->open());
}

TEST_F(Commands, BinaryValuesAreKeptAsTheyAre) {
  use({});
  const std::string binary("\x00\xff\x00\x01\xc3", 5);
  connection->feed(frame(20, 3,
                         std::string("vw\0"
                                     "7\0",
                                     5) +
                             binary));
  EXPECT_EQ(value(7), binary);
}

TEST_F(Commands, AMalformedPinOrAnUnknownWordHearsTwo) {
  use({});
  for (const auto& body : {fields({"vw", "256", "1"}), fields({"vw", "-1", "1"}), fields({"vw", "x", "1"}), fields({"vw", "", "1"}),
                           fields({"vw"}), fields({"vr", "1"}), fields({"zz", "1"}), std::string{}, std::string(1, '\0')}) {
    connection->feed(frame(20, 9, body));
    EXPECT_EQ(connection->take(), (std::vector{response(9, Status::illegal_command)}));
  }
  EXPECT_TRUE(connection->open());
}

TEST_F(Commands, HardwarePinsOfTheDeviceAreIgnored) {
  use({});
  for (const char* word : {"dw", "aw", "dr", "ar", "pm"}) EXPECT_TRUE(say(20, 9, {word, "1", "1"}).empty());
}

TEST_F(Commands, APinThatTheTemplateDoesNotHaveIsIgnoredAndCounted) {
  use({integer(1)});
  EXPECT_TRUE(say(20, 3, {"vw", "2", "5"}).empty());
  EXPECT_EQ(value(2), std::nullopt);
  EXPECT_EQ(rig.metrics.values_undefined_pin_total.value(), 1u);
  EXPECT_TRUE(say(20, 3, {"vw", "1", "500"}).empty());
  EXPECT_EQ(value(1), "100") << "clamped";
  EXPECT_TRUE(say(20, 3, {"vw", "1", "warm"}).empty());
  EXPECT_EQ(value(1), "100");
  EXPECT_EQ(rig.metrics.values_dropped_total.value(), 1u);
}

TEST_F(Commands, AValueOverItsLimitHearsEleven) {
  use({});
  const std::string longest(1'024, 'a');
  EXPECT_TRUE(say(20, 3, {"vw", "1", longest}).empty());
  EXPECT_EQ(say(20, 4, {"vw", "1", longest + "b"}), (std::vector{response(4, Status::illegal_command_body)}));
  EXPECT_EQ(value(1), longest);
}

TEST_F(Commands, AnEditOfTheTemplateCountsFromTheNextValueOn) {
  use({integer(1)});
  say(20, 3, {"vw", "2", "5"});
  published.datastreams.push_back(integer(2));
  ASSERT_TRUE(rig.store.update_template(published, 1, {}));
  rig.load();
  say(20, 3, {"vw", "2", "6"});
  EXPECT_EQ(value(2), "6");
}

TEST_F(Commands, TheLiveFeedHearsOfValuesOnlyWhenSomebodyWatches) {
  use({});
  say(20, 3, {"vw", "1", "a"});
  EXPECT_TRUE(rig.live.values.empty());
  rig.live.watch(true);
  say(20, 3, {"vw", "1", "b"});
  EXPECT_EQ(rig.live.values, (std::vector{std::pair{made->device.id, std::uint8_t{1}}}));
}

TEST_F(Commands, AGroupGivesItsValuesOneTimestamp) {
  use({});
  const std::int64_t begin = rig.clock.utc_now().ms;
  EXPECT_TRUE(say(21, 3, {"b"}).empty());
  rig.clock.advance(2s);
  say(20, 4, {"vw", "1", "x"});
  EXPECT_EQ(value_time(1), begin);
  say(21, 5, {"e"});
  say(20, 6, {"vw", "1", "y"});
  EXPECT_EQ(value_time(1), begin + 2'000);
  say(21, 7, {"t", std::to_string(begin - 60'000)});
  say(20, 8, {"vw", "2", "z"});
  EXPECT_EQ(value_time(2), begin - 60'000);
  say(21, 9, {"t", std::to_string(begin + 1'000'000'000)});
  say(20, 10, {"vw", "3", "z"});
  EXPECT_EQ(value_time(3), begin + 2'000) << "a device's clock that runs ahead";
  for (const char* text : {"", "x", "-5", "99999999999999999999"}) {
    say(21, 9, {"t", text});
    say(20, 10, {"vw", "4", text[0] == 'x' ? "a" : "b"});
    EXPECT_EQ(value_time(4), begin + 2'000);
  }
  EXPECT_TRUE(say(21, 9, {"?"}).empty());
}

TEST_F(Commands, PropertiesAreHeard) {
  use({});
  EXPECT_EQ(say(19, 5, {"1", "label", "Hall"}), (std::vector{response(5, Status::success)}));
  EXPECT_EQ(say(19, 5, {"0", "1", "2", "isDisabled", "true"}), (std::vector{response(5, Status::success)}));
  EXPECT_EQ(say(19, 5, {"1", "labels", "a", "b"}), (std::vector{response(5, Status::success)}));
  EXPECT_EQ(say(19, 5, {"1", "isMuted", "1"}), (std::vector{response(5, Status::success)}));
  EXPECT_EQ(say(19, 5, {"1", "sparkle", "1"}), (std::vector{response(5, Status::illegal_command_body)}));
  EXPECT_EQ(say(19, 5, {"label", "Hall"}), (std::vector{response(5, Status::illegal_command)}));
  EXPECT_EQ(say(19, 5, {"1", "label"}), (std::vector{response(5, Status::illegal_command)}));
  EXPECT_EQ(say(19, 5, {"1", "2"}), (std::vector{response(5, Status::illegal_command)}));
  EXPECT_EQ(say(19, 5, {}), (std::vector{response(5, Status::illegal_command)}));
}

TEST_F(Commands, EventsAreTakenQuietly) {
  use({});
  for (const int command : {64, 65}) {
    EXPECT_TRUE(say(command, 5, {"hot", "It is hot"}).empty());
    EXPECT_TRUE(say(command, 5, {"hot", ""}).empty());
    EXPECT_TRUE(say(command, 5, {"hot"}).empty());
    EXPECT_TRUE(say(command, 5, {"hot", std::string(400, 'x')}).empty());
    EXPECT_EQ(say(command, 5, {}), (std::vector{response(5, Status::illegal_command_body)}));
    EXPECT_EQ(say(command, 5, {std::string(51, 'x')}), (std::vector{response(5, Status::illegal_command_body)}));
  }
}

TEST_F(Commands, NoDeviceWritesToAnotherOne) {
  use({});
  EXPECT_EQ(say(15, 5, {"64", "i", std::string(32, 'T')}), (std::vector{response(5, Status::not_allowed)}));
  EXPECT_EQ(say(15, 5, {"64", "vw", "5", "x"}), (std::vector{response(5, Status::not_allowed)}));
  EXPECT_EQ(say(15, 5, {"x"}), (std::vector{response(5, Status::illegal_command)}));
  EXPECT_EQ(say(15, 5, {}), (std::vector{response(5, Status::illegal_command)}));
}

TEST_F(Commands, EveryCommandWithAnyBodyLeavesAGoodSessionOpen) {
  use({});
  for (int command = 0; command < 256; ++command) {
    for (const std::string& body : {std::string{}, std::string(1, '\0'), std::string(50, '\0'), std::string("x"), std::string(300, '\xff'),
                                    fields({"vw", "1", "2"}), fields({"a", "", "", "b"})}) {
      if (command == 0 && !body.empty()) continue;
      rig.clock.advance(1s);
      connection->feed(frame(command, 3, body));
      rig.settle();
      ASSERT_TRUE(connection->open()) << command;
      for (const Seen& seen : connection->take()) {
        EXPECT_NE(seen.status, 5) << command;
        EXPECT_NE(seen.status, 9) << command;
      }
    }
  }
  connection->feed(frame(99, 3));
  EXPECT_EQ(connection->take(), (std::vector{response(3, Status::illegal_command)}));
}

TEST_F(Commands, MessageIdZeroAndABodyOverTheLimitClose) {
  for (const std::string& bytes : {frame(6, 0), frame(0, 0), frame(20, 0, fields({"vw", "1", "1"})), frame(20, 1, std::string(8'193, 'x')),
                                   std::string("\x14\x00\x01\xff\xff", 5)}) {
    use({});
    connection->feed(bytes);
    EXPECT_EQ(connection->closed_because, CloseReason::malformed);
    EXPECT_TRUE(connection->take().empty());
    EXPECT_FALSE(rig.sessions.online(made->device.id));
  }
  use({});
  connection->feed(frame(99, 1, std::string(8'192, 'x')));
  EXPECT_TRUE(connection->open());
}

TEST_F(Commands, FramesAfterTheOneThatEndsTheSessionAreNotHandled) {
  use({});
  connection->feed(frame(6, 0) + frame(20, 1, fields({"vw", "1", "x"})));
  EXPECT_EQ(value(1), std::nullopt);
}

TEST_F(Commands, TheOldLibrarysAnswerToAPingDoesNotCostItsSession) {
  use({});
  Connection& old_client = rig.connect();
  const std::string stray = std::string("\x00\x00\x09\x00\x03", 5) + "200";
  for (const char byte : frame(2, 1, made->token.reveal()) + stray + frame(6, 10)) old_client.feed({&byte, 1});
  EXPECT_EQ(old_client.take(), (std::vector{response(1, Status::success), response(10, Status::success)}));
  EXPECT_TRUE(old_client.open());
}

TEST_F(Commands, AStaleValueOfADeletedDeviceIsDropped) {
  use({});
  ASSERT_TRUE(rig.store.delete_device(made->device.id, {}));
  rig.load();
  published.name += "x";
  ASSERT_TRUE(rig.store.update_template(published, 1, {}));
  rig.load();
  say(20, 3, {"vw", "1", "x"});
  EXPECT_EQ(rig.metrics.values_written_total.value(), 0u);
  EXPECT_EQ(rig.metrics.values_dropped_total.value(), 1u);
}

class Events : public Commands {
 protected:
  void SetUp() override {
    domain::Template value;
    value.name = "With events";
    value.tmpl_ids = {"TMPLevents001"};
    value.events.push_back({EventDefId{1}, "Hot", "hot", "It is hot.", domain::EventType::warning, false});
    published = rig.store.add_template(value);
    made.emplace(rig.make_device(published));
    rig.load();
    connection = &rig.connect();
    connection->feed(frame(29, 1, made->token.reveal()) + frame(17, 2, fields({"ver", "1"})));
    connection->take();
    lines();  // That it is online.
  }
  std::vector<domain::TimelineNote> lines() { return rig.timeline.take(100, rig.clock.utc_now()); }
};

TEST_F(Events, ALoggedEventIsALineAndIsNotAnswered) {
  EXPECT_TRUE(say(64, 5, {"hot", "97 degrees"}).empty());
  const auto all = lines();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].code, "hot");
  EXPECT_EQ(all[0].description, "97 degrees");
  EXPECT_EQ(all[0].type, domain::TimelineType::warning);
  EXPECT_EQ(all[0].device_id, made->device.id);
}

TEST_F(Events, WhatIsUnknownTooLongOrTooOftenIsLetGoWithoutAWord) {
  EXPECT_TRUE(say(64, 5, {"cold"}).empty());
  EXPECT_TRUE(say(64, 6, {"hot", std::string(301, 'x')}).empty());
  EXPECT_TRUE(lines().empty());
  EXPECT_TRUE(say(64, 7, {"hot"}).empty());
  EXPECT_TRUE(say(64, 8, {"hot"}).empty());
  EXPECT_EQ(lines().size(), 1u);
  EXPECT_EQ(rig.metrics.events_dropped_total.value(), 3u);
}

TEST_F(Events, AClearResolvesTheLatestOrAll) {
  EXPECT_TRUE(say(65, 5, {"hot"}).empty());
  EXPECT_TRUE(say(65, 6, {"hot", "all"}).empty());
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].what, domain::TimelineNote::What::resolve_latest);
  EXPECT_EQ(all[1].what, domain::TimelineNote::What::resolve_all);
}

}  // namespace
}  // namespace muster::protocol::testing
