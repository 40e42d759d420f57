// SPDX-License-Identifier: Apache-2.0
// Every frame that was recorded from a real client, said to a session that is logged in.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <map>

#include "cloud/protocol/testing/rig.hpp"

namespace muster::protocol::testing {
namespace {

using namespace std::chrono_literals;

struct Recorded {
  std::string name, scenario, bytes;
  int command = 0;
};

std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) bytes += static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1]));
  return bytes;
}

const std::vector<Recorded>& uplinks() {
  static const std::vector<Recorded> frames = [] {
    std::ifstream in{MUSTER_SOURCE_DIR "/tests/golden/frames.json"};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    std::vector<Recorded> out;
    const boost::json::value document = boost::json::parse(text);
    for (const auto& value : document.as_array()) {
      const auto& object = value.as_object();
      const auto str = [&](const char* key) { return std::string{object.at(key).as_string()}; };
      if (str("direction") != "device->server") continue;
      const std::string scenario = str("client") + '/' + str("scenario");
      out.push_back({scenario + '/' + str("name"), scenario, from_hex(str("hex")), object.at("cmd").to_number<int>()});
    }
    return out;
  }();
  return frames;
}

class Golden : public ::testing::Test {
 protected:
  Golden() : made{rig.make_device(rig.make_template())} { rig.load(); }
  Connection& online(int login_command = 29) {
    Connection& connection = rig.connect();
    connection.feed(frame(login_command, 1, made.token.reveal()));
    connection.take();
    return connection;
  }
  Rig rig;
  Rig::Made made;
};

TEST_F(Golden, NoRecordedFrameClosesASession) {
  ASSERT_EQ(uplinks().size(), 213u);
  Connection& connection = online();
  for (const Recorded& recorded : uplinks()) {
    SCOPED_TRACE(recorded.name);
    rig.clock.advance(1s);
    connection.feed(recorded.bytes);
    rig.settle();
    ASSERT_TRUE(connection.open());
    EXPECT_TRUE(connection.pending.empty());
    for (const Seen& seen : connection.take()) {
      EXPECT_NE(seen.status, 5);
      EXPECT_NE(seen.status, 9);
      EXPECT_NE(seen.id, 0);
    }
  }
}

TEST_F(Golden, EachScenarioRunsFromItsOwnLoginToItsEnd) {
  std::map<std::string, std::vector<const Recorded*>> scenarios;
  for (const Recorded& recorded : uplinks()) scenarios[recorded.scenario].push_back(&recorded);
  for (const auto& [name, frames] : scenarios) {
    SCOPED_TRACE(name);
    const bool old_client = std::any_of(frames.begin(), frames.end(), [](const Recorded* one) { return one->command == 2; });
    Connection& connection = online(old_client ? 2 : 29);
    for (const Recorded* recorded : frames) {
      if (recorded->command == 2 || recorded->command == 29) continue;
      rig.clock.advance(200ms);
      connection.feed(recorded->bytes);
      // The recording ends where the protocol does; the client's three stray bytes follow on the wire.
      if (old_client && recorded->name.ends_with("ping_reply")) connection.feed("200");
      rig.settle();
    }
    EXPECT_TRUE(connection.open());
    EXPECT_TRUE(connection.pending.empty());
    connection.feed(frame(6, 999));
    const auto seen = connection.take();
    ASSERT_FALSE(seen.empty());
    EXPECT_EQ(seen.back(), response(999, wire::Status::success));
  }
}

TEST_F(Golden, TheInfoOfEveryClientIsAnswered200WithItsId) {
  std::size_t infos = 0;
  for (const Recorded& recorded : uplinks()) {
    if (recorded.command != 17 || recorded.bytes[2] != 2) continue;
    Connection& connection = online();
    connection.feed(recorded.bytes);
    EXPECT_EQ(connection.take(), (std::vector{response(2, wire::Status::success)})) << recorded.name;
    ++infos;
  }
  EXPECT_GE(infos, 10u);
}

TEST_F(Golden, AFrameCutAnywhereWaitsForItsRestAndIsThenTheSame) {
  for (const Recorded& recorded : uplinks()) {
    SCOPED_TRACE(recorded.name);
    Connection& whole = online();
    whole.feed(recorded.bytes);
    rig.settle();
    const auto expected = whole.take();
    Connection& pieces = online();
    for (const char byte : recorded.bytes) {
      ASSERT_TRUE(pieces.open());
      pieces.feed({&byte, 1});
    }
    rig.settle();
    EXPECT_EQ(pieces.take(), expected);
    EXPECT_TRUE(pieces.pending.empty());
    rig.connections.clear();
    rig.clock.advance(2s);
  }
}

TEST_F(Golden, AFrameThatIsNeverCompleteEndsWithTheHeartbeat) {
  for (std::size_t size = 0; size < uplinks()[0].bytes.size(); ++size) {
    Connection& connection = online();
    connection.feed(std::string_view{uplinks()[0].bytes}.substr(0, size));
    EXPECT_TRUE(connection.open());
    rig.clock.advance(45s);
    rig.tick();
    EXPECT_EQ(connection.closed_because, CloseReason::heartbeat_lost);
    EXPECT_TRUE(connection.take().empty());
  }
}

}  // namespace
}  // namespace muster::protocol::testing
