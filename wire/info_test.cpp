// SPDX-License-Identifier: Apache-2.0
#include "wire/info.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace muster::wire {
namespace {

using namespace std::string_view_literals;

DeviceInfo decoded(std::string_view body) {
  DeviceInfo info;
  EXPECT_TRUE(decode_info(ByteView{body}, info));
  return info;
}

TEST(IsInfo, TellsInfoKeysFromCommandWords) {
  for (const auto key : {"mcu"sv, "ncp"sv, "ver"sv, "fw"sv, "fw-type"sv, "build"sv, "blynk"sv, "h-beat"sv, "buff-in"sv, "dev"sv, "cpu"sv,
                         "con"sv, "conn"sv, "tmpl"sv, "agent"sv}) {
    EXPECT_TRUE(is_info(ByteView{std::string{key} + '\0' + "1"})) << key;
  }
  for (const auto word : {"meta\0get\0Device Name"sv, "rtc\0sync"sv, "utc\0time"sv, "ota\0u"sv, "dbg\0x"sv, "vfs\0"sv, "acon\0"sv,
                          "adis\0"sv, "loc\0"sv, ""sv, "\0mcu"sv, "m"sv, "mc"sv, "mcux\0"sv,
                          "MCU\0"
                          "1"sv}) {
    EXPECT_FALSE(is_info(ByteView{word})) << word;
  }
}

TEST(DecodeInfo, ReadsTheBlockOfAnArduinoClient) {
  const DeviceInfo info = decoded(
      "mcu\0"
      "0.1.0\0fw-type\0TMPLtest0001\0build\0Nov 24 2026 03:16:37\0blynk\0"
      "1.4.0\0h-beat\0"
      "40\0buff-in\0"
      "4096\0"
      "dev\0Linux\0cpu\0x86\0con\0WiFi\0tmpl\0TMPLtest0001"sv);
  EXPECT_EQ(info.firmware_version, "0.1.0");
  EXPECT_EQ(info.firmware_type, "TMPLtest0001");
  EXPECT_EQ(info.build, "Nov 24 2026 03:16:37");
  EXPECT_EQ(info.library_version, "1.4.0");
  EXPECT_EQ(info.heartbeat_s, 40);
  EXPECT_EQ(info.buffer_in_bytes, 4096);
  EXPECT_EQ(info.board, "Linux");
  EXPECT_EQ(info.cpu, "x86");
  EXPECT_EQ(info.connection, "WiFi");
  EXPECT_EQ(info.template_id, "TMPLtest0001");
  EXPECT_EQ(info.agent, "");
}

TEST(DecodeInfo, TakesAnyOrderUnknownKeysAndATrailingNul) {
  const DeviceInfo info = decoded(
      "ver\0"
      "1.4.0\0nonsense\0x\0tmpl\0T\0h-beat\0"
      "10\0fw\0"
      "9\0"sv);
  EXPECT_EQ(info.firmware_version, "9");
  EXPECT_EQ(info.library_version, "1.4.0");
  EXPECT_EQ(info.template_id, "T");
  EXPECT_EQ(info.heartbeat_s, 10);
}

TEST(DecodeInfo, PrefersMcuThenNcpThenFwThenVer) {
  EXPECT_EQ(decoded("ver\0"
                    "1\0fw\0"
                    "2\0ncp\0"
                    "3\0mcu\0"
                    "4"sv)
                .firmware_version,
            "4");
  EXPECT_EQ(decoded("ver\0"
                    "1\0fw\0"
                    "2\0ncp\0"
                    "3"sv)
                .firmware_version,
            "3");
  EXPECT_EQ(decoded("ver\0"
                    "1\0fw\0"
                    "2"sv)
                .firmware_version,
            "2");
  EXPECT_EQ(decoded("ver\0"
                    "1"sv)
                .firmware_version,
            "1");
  EXPECT_EQ(decoded("ver\0"
                    "1\0blynk\0"
                    "5"sv)
                .library_version,
            "5");
  EXPECT_EQ(decoded("mcu\0\0fw\0"
                    "2"sv)
                .firmware_version,
            "2");  // An empty one does not count.
}

TEST(DecodeInfo, TakesNumbersOf1To65535Only) {
  EXPECT_EQ(decoded("h-beat\0"
                    "1"sv)
                .heartbeat_s,
            1);
  EXPECT_EQ(decoded("h-beat\0"
                    "65535"sv)
                .heartbeat_s,
            65535);
  for (const auto bad : {"0"sv, "65536"sv, "99999"sv, "123456"sv, "-1"sv, ""sv, "4x"sv, " 4"sv, "4.5"sv}) {
    EXPECT_EQ(decoded(std::string{"buff-in\0"sv} + std::string{bad}).buffer_in_bytes, 0) << bad;
  }
}

TEST(DecodeInfo, KeepsTheLastOfAKeyGivenTwice) {
  EXPECT_EQ(decoded("mcu\0"
                    "1\0mcu\0"
                    "2"sv)
                .firmware_version,
            "2");
  EXPECT_EQ(decoded("mcu\0"
                    "1\0mcu"sv)
                .firmware_version,
            "1");  // A key without a value says nothing.
}

TEST(DecodeInfo, LeavesItsOutputAloneWhenTheBodyIsNoInfo) {
  DeviceInfo info;
  info.board = "kept";
  EXPECT_FALSE(decode_info(ByteView{"meta\0get\0x"sv}, info));
  EXPECT_FALSE(decode_info(ByteView{}, info));
  EXPECT_FALSE(decode_info(ByteView{std::string_view{"\0\0\0\0\0\0\0\0", 8}}, info));
  EXPECT_EQ(info.board, "kept");
}

TEST(DecodeInfo, AcceptsTheBlockCutAtEachByte) {
  const std::string_view whole =
      "mcu\0"
      "0.1.0\0h-beat\0"
      "40\0tmpl\0TMPLtest0001"sv;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::string cut{whole.substr(0, size)};
    DeviceInfo info;
    EXPECT_EQ(decode_info(ByteView{cut}, info), size >= 3) << size;
  }
}

DeviceInfo full_info() {
  DeviceInfo info;
  info.firmware_version = "0.1.0";
  info.firmware_type = "TMPL2abcdefgh";
  info.build = "Nov 24 2026 03:16:37";
  info.library_version = "1.4.0";
  info.board = "Linux";
  info.cpu = "x86-64";
  info.connection = "Ethernet";
  info.template_id = "TMPL2abcdefgh";
  info.agent = "muster";
  info.heartbeat_s = 40;
  info.buffer_in_bytes = 4096;
  return info;
}

TEST(EncodeInfo, GivesBackWhatWasWritten) {
  const DeviceInfo info = full_info();
  std::uint8_t room[512];
  FrameWriter writer{{room, sizeof room}, Command::internal, 2};
  ASSERT_TRUE(encode_info(info, writer));
  const std::size_t size = writer.finish();
  ASSERT_NE(size, 0U);
  const Frame frame = decode_frame({room, size}).frame;
  EXPECT_EQ(Fields{frame.body}.next(), "mcu");  // Old servers looked at the first letter only.
  const DeviceInfo again = decoded(frame.body.text());
  EXPECT_EQ(again.firmware_version, info.firmware_version);
  EXPECT_EQ(again.firmware_type, info.firmware_type);
  EXPECT_EQ(again.build, info.build);
  EXPECT_EQ(again.library_version, info.library_version);
  EXPECT_EQ(again.board, info.board);
  EXPECT_EQ(again.cpu, info.cpu);
  EXPECT_EQ(again.connection, info.connection);
  EXPECT_EQ(again.template_id, info.template_id);
  EXPECT_EQ(again.agent, info.agent);
  EXPECT_EQ(again.heartbeat_s, 40);
  EXPECT_EQ(again.buffer_in_bytes, 4096);
}

TEST(EncodeInfo, LeavesOutWhatIsNotGivenAndRefusesNulAndNothing) {
  std::uint8_t room[64];
  DeviceInfo info;
  FrameWriter empty{{room, sizeof room}, Command::internal, 2};
  EXPECT_FALSE(encode_info(info, empty));
  info.template_id = "T\0x"sv;
  EXPECT_FALSE(encode_info(info, empty));
  EXPECT_EQ(empty.finish(), 5U);  // Nothing was written.
  info.template_id = "T";
  FrameWriter writer{{room, sizeof room}, Command::internal, 2};
  ASSERT_TRUE(encode_info(info, writer));
  EXPECT_EQ(decode_frame({room, writer.finish()}).frame.body.text(), "tmpl\0T"sv);
}

TEST(EncodeInfo, SaysWhenItDidNotFit) {
  std::uint8_t room[64];
  FrameWriter writer{{room, sizeof room}, Command::internal, 2};
  EXPECT_TRUE(encode_info(full_info(), writer));
  EXPECT_EQ(writer.finish(), 0U);
}

}  // namespace
}  // namespace muster::wire
