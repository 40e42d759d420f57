// SPDX-License-Identifier: Apache-2.0
// Every frame that recorded servers sent to devices, fed to the agent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "agent/core/agent_test_rig.hpp"

namespace muster::agent {
namespace {

using test::Bytes;
using test::Rig;

struct Recorded {
  std::string name;
  Bytes bytes;
};

/// The text of a string member on one line of frames.json. The file has one object a line, and the members asked for
/// here hold no quotes, so the agent's tests need no JSON library.
std::string member(const std::string& line, const std::string& key) {
  const std::string before = '"' + key + "\": \"";
  const std::size_t at = line.find(before);
  if (at == std::string::npos) {
    return {};
  }
  const std::size_t begin = at + before.size();
  return line.substr(begin, line.find('"', begin) - begin);
}

std::vector<Recorded> server_frames() {
  std::vector<Recorded> frames;
  std::ifstream in{MUSTER_SOURCE_DIR "/tests/golden/frames.json"};
  for (std::string line; std::getline(in, line);) {
    if (member(line, "direction") != "server->device") {
      continue;
    }
    Recorded frame{member(line, "client") + '/' + member(line, "scenario") + '/' + member(line, "name"), {}};
    const std::string hex = member(line, "hex");
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      frame.bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    frames.push_back(std::move(frame));
  }
  return frames;
}

/// What has to happen to an agent that is online.
void expect_reaction(Rig& rig, const wire::Decoded& decoded) {
  const wire::Frame& frame = decoded.frame;
  const std::string id = std::to_string(frame.id);
  const auto stays_silent = [&] {
    EXPECT_TRUE(rig.agent.online());
    EXPECT_THAT(rig.transport.sent, ::testing::IsEmpty());
  };
  if (decoded.status == wire::DecodeStatus::id_zero || decoded.status == wire::DecodeStatus::body_over_limit) {
    EXPECT_THAT(rig.handler.log, ::testing::ElementsAre("disconnected protocol_error"));
    return;
  }
  ASSERT_EQ(decoded.status, wire::DecodeStatus::ok);
  wire::Fields fields{frame.body};
  const std::string_view word = fields.next();
  switch (frame.command) {
    case wire::Command::response:
      if (frame.status == 5) {
        EXPECT_THAT(rig.handler.log, ::testing::ElementsAre("disconnected not_authenticated"));
      } else {
        stays_silent();
      }
      return;
    case wire::Command::ping: EXPECT_THAT(rig.transport.sent, ::testing::ElementsAre("0:" + id + ":200")); return;
    case wire::Command::redirect:
      if (word.empty()) {
        EXPECT_THAT(rig.handler.log, ::testing::ElementsAre("disconnected protocol_error"));
      } else {
        ASSERT_EQ(rig.handler.log.size(), 2U);
        EXPECT_EQ(rig.handler.log[1], "disconnected redirected");
        rig.pass_ms(0);
        EXPECT_EQ(rig.transport.connects.size(), 1U);
      }
      return;
    case wire::Command::internal: stays_silent(); return;
    case wire::Command::debug_print:
      stays_silent();
      EXPECT_EQ(rig.handler.log.size(), 1U);
      return;
    case wire::Command::hardware:
    case wire::Command::bridge: {
      std::uint8_t pin = 0;
      if (word == "vw" && wire::parse_pin(fields.next(), pin)) {
        stays_silent();
        ASSERT_EQ(rig.handler.log.size(), 1U);
        EXPECT_EQ(rig.handler.log[0].rfind("write " + std::to_string(pin), 0), 0U);
      } else if (word == "pm" || word == "dw" || word == "aw") {
        stays_silent();
        EXPECT_THAT(rig.handler.log, ::testing::IsEmpty());
      } else {
        EXPECT_TRUE(rig.agent.online());
        EXPECT_THAT(rig.transport.sent, ::testing::ElementsAre("0:" + id + ":2"));
      }
      return;
    }
    default: EXPECT_TRUE(rig.agent.online()); EXPECT_THAT(rig.transport.sent, ::testing::ElementsAre("0:" + id + ":2"));
  }
}

TEST(GoldenAgent, ReactsAsExpectedToEveryRecordedServerFrameWholeAndByteByByte) {
  const std::vector<Recorded> frames = server_frames();
  ASSERT_EQ(frames.size(), 137U);
  for (const Recorded& recorded : frames) {
    SCOPED_TRACE(recorded.name);
    const wire::Decoded decoded = wire::decode_frame({recorded.bytes.data(), recorded.bytes.size()}, 512);
    {
      Rig rig;
      rig.go_online();
      rig.feed(recorded.bytes);
      expect_reaction(rig, decoded);
    }
    {
      SCOPED_TRACE("byte by byte");
      Rig rig;
      rig.go_online();
      for (const std::uint8_t byte : recorded.bytes) {
        rig.feed({byte});
      }
      expect_reaction(rig, decoded);
    }
    for (std::size_t size = 0; size < recorded.bytes.size(); ++size) {  // Cut, then lost.
      Rig rig;
      rig.go_online();
      rig.feed(Bytes{recorded.bytes.begin(), recorded.bytes.begin() + static_cast<std::ptrdiff_t>(size)});
      rig.agent.on_closed(CloseReason::network_lost, rig.now);
      rig.pass_ms(60'000);
      EXPECT_FALSE(rig.agent.online());
      EXPECT_GE(rig.transport.connects.size(), 1U);
    }
  }
}

TEST(GoldenAgent, SurvivesEveryRecordedServerFrameInEveryState) {
  for (const Recorded& recorded : server_frames()) {
    for (int stage = 0; stage < 4; ++stage) {
      Rig rig;
      if (stage > 0) rig.start();
      if (stage > 1) rig.connect();
      if (stage > 2) rig.accept_login();
      rig.feed(recorded.bytes);
      rig.pass_ms(120'000);
      EXPECT_NE(rig.transport.sent.empty() ? "" : rig.transport.sent.back(), "NOT ONE WHOLE FRAME");
      EXPECT_EQ(rig.agent.state() == State::stopped, stage == 0);
    }
  }
}

}  // namespace
}  // namespace muster::agent
