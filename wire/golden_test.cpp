// SPDX-License-Identifier: Apache-2.0
// Every recorded frame of tests/golden/frames.json through the codec.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "wire/frame.hpp"
#include "wire/info.hpp"

namespace muster::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

struct Recorded {
  std::string name;  ///< client/scenario/name
  bool from_device = false;
  Bytes bytes;
  std::uint8_t command = 0;
  std::uint16_t id = 0;
  std::uint16_t status = 0;         ///< Only of a RESPONSE.
  std::vector<std::string> fields;  ///< As recorded; only when has_fields.
  bool has_fields = false;
};

std::uint8_t hex_digit(char digit) { return static_cast<std::uint8_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10); }

Bytes from_hex(std::string_view hex) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(hex_digit(hex[i]) << 4 | hex_digit(hex[i + 1])));
  }
  return bytes;
}

const std::vector<Recorded>& recorded() {
  static const std::vector<Recorded> frames = [] {
    std::ifstream in{MUSTER_SOURCE_DIR "/tests/golden/frames.json"};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    std::vector<Recorded> out;
    const boost::json::value document = boost::json::parse(text);
    for (const auto& value : document.as_array()) {
      const auto& object = value.as_object();
      const auto str = [&](const char* key) { return std::string{object.at(key).as_string()}; };
      Recorded frame;
      frame.name = str("client") + '/' + str("scenario") + '/' + str("name");
      frame.from_device = str("direction") == "device->server";
      frame.bytes = from_hex(str("hex"));
      frame.command = object.at("cmd").to_number<std::uint8_t>();
      frame.id = object.at("id").to_number<std::uint16_t>();
      if (const auto* status = object.if_contains("status")) {
        frame.status = status->to_number<std::uint16_t>();
      }
      if (const auto* params = object.if_contains("params")) {
        frame.has_fields = true;
        for (const auto& param : params->as_array()) {
          frame.fields.emplace_back(param.as_string());
        }
      }
      out.push_back(std::move(frame));
    }
    return out;
  }();
  return frames;
}

/// The recorded frames that have message id 0, which is illegal in both directions.
const std::multiset<std::string> id_zero_names{
    "cpp-arduino-errors/msg_id_zero/msg_id_zero",
    "cpp-arduino-errors/msg_id_zero_response/msg_id_zero_response",
    "cpp-errors/msg_id_zero/msg_id_zero",
    "cpp-errors/msg_id_zero_response/msg_id_zero_response",
    "js-node/downlink/resp_id0",
};

/// A RESPONSE behind which its client sends the three bytes of LegacyPingReply::stray, which are in no recorded frame.
constexpr const char* legacy_ping_reply_name = "python-blynkkk-legacy/login_and_uplink/ping_reply";

TEST(Golden, HasAllRecordedFrames) {
  ASSERT_EQ(recorded().size(), 350U);
  EXPECT_EQ(std::count_if(recorded().begin(), recorded().end(), [](const Recorded& r) { return r.from_device; }), 213);
}

TEST(Golden, EveryLegalFrameDecodesToWhatWasRecordedAndEncodesToTheSameBytes) {
  std::size_t checked = 0;
  for (const Recorded& r : recorded()) {
    if (id_zero_names.count(r.name) != 0) {
      continue;
    }
    SCOPED_TRACE(r.name);
    const Decoded decoded = decode_frame({r.bytes.data(), r.bytes.size()});
    ASSERT_EQ(decoded.status, DecodeStatus::ok);
    EXPECT_EQ(static_cast<std::uint8_t>(decoded.frame.command), r.command);
    EXPECT_EQ(decoded.frame.id, r.id);
    EXPECT_EQ(decoded.frame.status, r.status);
    if (r.has_fields) {
      std::vector<std::string> fields;
      for (Fields walk{decoded.frame.body}; walk.has_next();) {
        fields.emplace_back(walk.next());
      }
      EXPECT_EQ(fields, r.fields);
    }
    EXPECT_EQ(decoded.consumed_bytes, r.bytes.size());
    Bytes again(r.bytes.size());
    ASSERT_EQ(encode_frame(decoded.frame, {again.data(), again.size()}), r.bytes.size());
    EXPECT_EQ(again, r.bytes);
    ++checked;
  }
  EXPECT_EQ(checked, 345U);
}

TEST(Golden, ExactlyTheFiveFramesWithIdZeroAreRejected) {
  std::multiset<std::string> rejected;
  for (const Recorded& r : recorded()) {
    const Decoded decoded = decode_frame({r.bytes.data(), r.bytes.size()});
    if (decoded.status == DecodeStatus::id_zero) {
      rejected.insert(r.name);
      EXPECT_EQ(static_cast<std::uint8_t>(decoded.frame.command), r.command);
      EXPECT_EQ(decoded.consumed_bytes, 0U);
    }
  }
  EXPECT_EQ(rejected, id_zero_names);
}

TEST(Golden, EveryFrameCutAtEachByteIsIncompleteOrRejected) {
  for (const Recorded& r : recorded()) {
    SCOPED_TRACE(r.name);
    for (std::size_t size = 0; size < r.bytes.size(); ++size) {
      const Bytes cut{r.bytes.begin(), r.bytes.begin() + static_cast<std::ptrdiff_t>(size)};
      const Decoded decoded = decode_frame({cut.data(), cut.size()});
      if (id_zero_names.count(r.name) != 0 && size >= frame_header_size_bytes) {
        EXPECT_EQ(decoded.status, DecodeStatus::id_zero);
      } else {
        EXPECT_EQ(decoded.status, DecodeStatus::need_more);
      }
    }
  }
}

TEST(Golden, TheLegacyPingReplyDoesNotCostTheSession) {
  const auto reply = std::find_if(recorded().begin(), recorded().end(), [](const Recorded& r) { return r.name == legacy_ping_reply_name; });
  ASSERT_NE(reply, recorded().end());
  Bytes stream = reply->bytes;
  stream.insert(stream.end(), LegacyPingReply::stray.begin(), LegacyPingReply::stray.end());
  const Bytes ping{6, 0, 9, 0, 0};
  stream.insert(stream.end(), ping.begin(), ping.end());
  ByteView rest{stream.data(), stream.size()};
  LegacyPingReply legacy;
  const Decoded first = decode_frame(rest);
  ASSERT_EQ(first.status, DecodeStatus::ok);
  EXPECT_EQ(first.frame.command, Command::response);
  EXPECT_EQ(first.frame.status, LegacyPingReply::stray.size());
  legacy.on_frame(first.frame);
  rest = rest.drop(first.consumed_bytes);
  rest = rest.drop(legacy.skip(rest));
  const Decoded second = decode_frame(rest);
  ASSERT_EQ(second.status, DecodeStatus::ok);
  EXPECT_EQ(second.frame.command, Command::ping);
  EXPECT_EQ(second.frame.id, 9);
}

TEST(Golden, EveryInfoBlockIsToldFromCommandWordsAndRead) {
  std::size_t blocks = 0;
  for (const Recorded& r : recorded()) {
    if (!r.from_device || r.command != static_cast<std::uint8_t>(Command::internal) || r.fields.empty()) {
      continue;
    }
    SCOPED_TRACE(r.name);
    const std::string& word = r.fields.front();
    const bool command_word = word == "meta" || word == "rtc" || word == "utc" || word == "vfs" || word == "loc";
    const Frame frame = decode_frame({r.bytes.data(), r.bytes.size()}).frame;
    DeviceInfo info;
    EXPECT_EQ(decode_info(frame.body, info), !command_word);
    if (command_word) {
      continue;
    }
    ++blocks;
    EXPECT_FALSE(info.firmware_version.empty());
    EXPECT_FALSE(info.library_version.empty());
    EXPECT_FALSE(info.board.empty());
    EXPECT_NE(info.buffer_in_bytes, 0);
    EXPECT_EQ(info.heartbeat_s != 0, r.name.rfind("js-", 0) != 0);  // The JS client gives no h-beat.
  }
  EXPECT_GE(blocks, 8U);
}

}  // namespace
}  // namespace muster::wire
