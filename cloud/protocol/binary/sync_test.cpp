// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/protocol/testing/rig.hpp"

namespace muster::protocol::testing {
namespace {

using namespace std::chrono_literals;
using wire::Command;
using wire::Status;

domain::Datastream stream(std::uint8_t pin, domain::DataType type, bool sync = false, std::string default_value = {}) {
  domain::Datastream out;
  out.name = "S" + std::to_string(pin);
  out.pin = pin;
  out.type = type;
  out.sync_on_connect = sync;
  out.default_value = std::move(default_value);
  return out;
}
Seen vw(std::uint16_t id, std::string_view pin, std::string_view value) { return {Command::hardware, id, 0, fields({"vw", pin, value})}; }

class Sync : public ::testing::Test {
 protected:
  void use(std::vector<domain::Datastream> datastreams) {
    made.emplace(rig.make_device(rig.make_template(std::move(datastreams))));
    rig.load();
  }
  Connection& online(std::string_view buffer = "1024") {
    Connection& connection = rig.connect();
    connection.feed(frame(29, 1, made->token.reveal()) + frame(17, 2, fields({"ver", "1", "h-beat", "40", "buff-in", buffer})));
    connection.take();
    return connection;
  }
  void stored(std::uint8_t pin, std::string value) {
    const domain::ValueUpdate update{made->device.id, {pin, std::move(value), rig.clock.utc_now()}};
    ASSERT_TRUE(rig.store.write_values({&update, 1}));
  }
  Rig rig;
  std::optional<Rig::Made> made;
};

TEST_F(Sync, AnswersFromTheStoreWithTheRequestsIdOneFrameAPin) {
  use({});
  stored(1, "42");
  stored(2, std::string("30.5\0"
                        "50.4",
                        9));
  Connection& connection = online();
  connection.feed(frame(16, 7, fields({"vr", "2", "3", "1"})));
  EXPECT_TRUE(connection.take().empty()) << "nothing blocks on the loop";
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{vw(7, "2",
                                               std::string_view{"30.5\0"
                                                                "50.4",
                                                                9}),
                                            vw(7, "1", "42")}));
}

TEST_F(Sync, AnswersFromMemoryAtOnceWhenItIsThere) {
  use({});
  stored(1, "42");
  Connection& connection = online();
  connection.feed(frame(16, 7, fields({"vr", "1"})));
  rig.settle();
  connection.take();
  connection.feed(frame(20, 8, fields({"vw", "1", "43"})) + frame(16, 9, fields({"vr", "1"})));
  EXPECT_EQ(connection.take(), (std::vector{vw(9, "1", "43")}));
  EXPECT_EQ(rig.store.calls["values_of"], 1u);
}

TEST_F(Sync, AValueWrittenBeforeTheStoreAnsweredIsTheNewerOne) {
  use({});
  stored(1, "old");
  Connection& connection = online();
  connection.feed(frame(16, 7, fields({"vr", "1"})) + frame(20, 8, fields({"vw", "1", "new"})));
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{vw(7, "1", "new")}));
}

TEST_F(Sync, WithoutPinsInItGivesAllWhilePrototyping) {
  use({});
  stored(200, "b");
  stored(0, "a");
  Connection& connection = online();
  connection.feed(frame(16, 5));
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{vw(5, "0", "a"), vw(5, "200", "b")}));
}

TEST_F(Sync, WithoutPinsItGivesThoseThatTheTemplateMarks) {
  use({stream(1, domain::DataType::integer, true), stream(2, domain::DataType::integer, false),
       stream(3, domain::DataType::integer, true)});
  for (const int pin : {1, 2, 9}) stored(static_cast<std::uint8_t>(pin), "5");
  Connection& connection = online();
  connection.feed(frame(16, 5));
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{vw(5, "1", "5")}));
  connection.feed(frame(16, 6, fields({"vr", "2", "9"})));
  EXPECT_EQ(connection.take(), (std::vector{vw(6, "2", "5")})) << "a mark is not needed when a pin is named; an undefined one has no value";
}

TEST_F(Sync, DeliversTheDefaultOnlyWhenTheStoreHasNoValue) {
  use({stream(1, domain::DataType::integer, true, "10"), stream(2, domain::DataType::integer, true, "20")});
  stored(2, "21");
  Connection& connection = online();
  connection.feed(frame(16, 5));
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{vw(5, "1", "10"), vw(5, "2", "21")}));
}

TEST_F(Sync, WithTheStoreDownItGivesWhatIsInMemoryAndNoDefault) {
  use({stream(1, domain::DataType::integer, true, "10"), stream(2, domain::DataType::integer, true, "20")});
  Connection& connection = online();
  connection.feed(frame(20, 3, fields({"vw", "1", "11"})));
  rig.store.before = [](std::string_view) -> Error { return domain::StoreError::unavailable; };
  connection.feed(frame(16, 5));
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{vw(5, "1", "11")}));
  rig.store.before = nullptr;
  rig.executor.limit = 0;
  connection.feed(frame(16, 6));
  EXPECT_EQ(connection.take(), (std::vector{vw(6, "1", "11")})) << "a full lane as well";
  EXPECT_TRUE(connection.open());
}

TEST_F(Sync, MalformedOnesAreAnsweredTwo) {
  use({});
  Connection& connection = online();
  for (const std::string& body : {fields({"vr"}), fields({"vr", ""}), fields({"vr", "256"}), fields({"xx", "1"}), std::string(1, '\0')}) {
    connection.feed(frame(16, 5, body));
    EXPECT_EQ(connection.take(), (std::vector{response(5, Status::illegal_command)}));
  }
  connection.feed(frame(16, 5, fields({"dr", "1"})));
  EXPECT_TRUE(connection.take().empty());
  EXPECT_TRUE(connection.open());
}

TEST_F(Sync, APinAskedForTwiceIsAnsweredOnce) {
  use({});
  stored(1, "x");
  Connection& connection = online();
  connection.feed(frame(16, 5, fields({"vr", "1", "1", "", "1"})));
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{vw(5, "1", "x")}));
}

// --- buff-in -----------------------------------------------------------------------------------------------------------------------

TEST_F(Sync, ABodyIsAtMostOneLessThanTheDevicesBuffer) {
  use({});
  Connection& connection = online("256");
  const std::string fits(255 - 5, 'a');  // "vw NUL 1 NUL": five bytes before the value.
  EXPECT_TRUE(rig.gateway->push_value(made->device.id, 1, fits));
  EXPECT_TRUE(rig.gateway->push_value(made->device.id, 1, fits + "a"));
  rig.settle();
  const auto seen = connection.take();
  ASSERT_EQ(seen.size(), 1u) << "the longer one is left out, not cut";
  EXPECT_EQ(seen[0].body.size(), 255u);
  EXPECT_EQ(rig.metrics.values_dropped_total.value(), 1u);
  EXPECT_EQ(rig.metrics.pushes_total.value(), 1u);
}

TEST_F(Sync, UntilTheInfoTheBufferIsTakenForTheSmallest) {
  use({});
  Connection& connection = rig.connect();
  connection.feed(frame(29, 1, made->token.reveal()));
  connection.take();
  rig.gateway->push_value(made->device.id, 1, std::string(249 - 5, 'a'));
  rig.gateway->push_value(made->device.id, 1, std::string(250 - 5, 'a'));
  rig.settle();
  EXPECT_EQ(connection.take().size(), 1u);
}

TEST_F(Sync, ADeviceWithATinyBufferIsSentNothingTooLarge) {
  use({});
  Connection& connection = online("1");
  rig.gateway->push_value(made->device.id, 1, "");
  rig.gateway->push_internal(made->device.id, "dbg");
  rig.settle();
  EXPECT_TRUE(connection.take().empty());
  EXPECT_TRUE(connection.open());
}

// --- pushes ------------------------------------------------------------------------------------------------------------------------

TEST_F(Sync, PushesHaveIdsFrom1AndNever0) {
  use({});
  Connection& connection = online();
  for (int i = 0; i < 65'537; ++i) {
    connection.event(PushValue{1, "x"});
    if (i == 0 || i == 65'534 || i == 65'535) {
      const auto seen = connection.take();
      ASSERT_FALSE(seen.empty());
      EXPECT_EQ(seen.back().id, i == 0 ? 1 : i == 65'534 ? 65'535 : 1);
      for (const Seen& one : seen) ASSERT_NE(one.id, 0);
    }
  }
}

TEST_F(Sync, AnEmptyValueStillHasItsSeparator) {
  use({});
  Connection& connection = online();
  rig.gateway->push_value(made->device.id, 12, "");
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{Seen{Command::hardware, 1, 0,
                                                 std::string("vw\0"
                                                             "12\0",
                                                             6)}}));
}

TEST_F(Sync, InternalWordsAlwaysHaveAField) {
  use({});
  Connection& connection = online();
  rig.gateway->push_internal(made->device.id, "acon");
  rig.gateway->push_internal(made->device.id, std::string_view{"dbg\0reboot", 10});
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{Seen{Command::internal, 1, 0, std::string("acon\0", 5)},
                                            Seen{Command::internal, 2, 0, std::string("dbg\0reboot", 10)}}));
}

TEST_F(Sync, PushingToADeviceThatIsOfflineSaysSo) {
  use({});
  EXPECT_FALSE(rig.gateway->push_value(made->device.id, 1, "x"));
  EXPECT_FALSE(rig.gateway->push_internal(made->device.id, "dbg"));
  EXPECT_FALSE(rig.gateway->close_device(made->device.id, CloseReason::token_gone));
  online();
  rig.router.limit = 0;
  EXPECT_FALSE(rig.gateway->push_value(made->device.id, 1, "x")) << "its queue is full";
}

TEST_F(Sync, APushWhileTheLoginIsStillResolvedIsDropped) {
  made.emplace(rig.make_device(rig.make_template()));
  Connection& connection = rig.connect();
  connection.feed(frame(29, 1, made->token.reveal()));
  connection.event(PushValue{1, "x"});
  connection.event(ValuesLoaded{1, {1}, false});
  connection.event(MetadataLoaded{1, "a", "b"});
  EXPECT_TRUE(connection.take().empty());
  EXPECT_TRUE(connection.step.paused);
}

}  // namespace
}  // namespace muster::protocol::testing
