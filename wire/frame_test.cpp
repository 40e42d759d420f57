// SPDX-License-Identifier: Apache-2.0
#include "wire/frame.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace muster::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

ByteView view(const Bytes& bytes) { return {bytes.data(), bytes.size()}; }

std::vector<std::string> split(std::string_view body) {
  std::vector<std::string> out;
  for (Fields fields{ByteView{body}}; fields.has_next();) {
    out.emplace_back(fields.next());
  }
  return out;
}

using namespace std::string_view_literals;
using Split = std::vector<std::string>;

TEST(DecodeFrame, ReadsALogin) {
  const Bytes login{0x1d, 0, 1, 0, 3, 'a', 'b', 'c'};
  const Decoded decoded = decode_frame(view(login));
  EXPECT_EQ(decoded.status, DecodeStatus::ok);
  EXPECT_EQ(decoded.frame.command, Command::hw_login);
  EXPECT_EQ(decoded.frame.id, 1);
  EXPECT_EQ(decoded.frame.status, 0);
  EXPECT_EQ(decoded.frame.body.text(), "abc");
  EXPECT_EQ(decoded.frame.body.data, login.data() + 5);  // Borrowed, not copied.
  EXPECT_EQ(decoded.consumed_bytes, 8U);
}

TEST(DecodeFrame, ReadsTheStatusOfAResponseAndTakesNoBody) {
  const Bytes two{0, 0, 1, 0, 200, 6, 0, 2, 0, 0};
  const Decoded decoded = decode_frame(view(two));
  EXPECT_EQ(decoded.status, DecodeStatus::ok);
  EXPECT_EQ(decoded.frame.status, static_cast<std::uint16_t>(Status::success));
  EXPECT_TRUE(decoded.frame.body.empty());
  EXPECT_EQ(decoded.consumed_bytes, 5U);
  const Decoded next = decode_frame(view(two).drop(5));
  EXPECT_EQ(next.frame.command, Command::ping);
  EXPECT_EQ(next.frame.id, 2);
}

TEST(DecodeFrame, AsksForMoreAtEveryCut) {
  const Bytes frame{20, 0x12, 0x34, 0, 6, 'v', 'w', 0, '1', 0, '5'};
  for (std::size_t size = 0; size < frame.size(); ++size) {
    const Bytes cut{frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)};  // Its own block: ASan sees a read past it.
    const Decoded decoded = decode_frame(view(cut));
    EXPECT_EQ(decoded.status, DecodeStatus::need_more) << size;
    EXPECT_EQ(decoded.consumed_bytes, 0U);
  }
  EXPECT_EQ(decode_frame(view(frame)).status, DecodeStatus::ok);
}

TEST(DecodeFrame, RejectsIdZeroAsSoonAsTheHeaderIsThere) {
  const Bytes push{20, 0, 0, 0, 6};
  EXPECT_EQ(decode_frame(view(push)).status, DecodeStatus::id_zero);
  EXPECT_EQ(decode_frame(view(push)).frame.command, Command::hardware);
  EXPECT_EQ(decode_frame(view(push)).consumed_bytes, 0U);
  const Bytes response{0, 0, 0, 0, 200};
  EXPECT_EQ(decode_frame(view(response)).status, DecodeStatus::id_zero);
}

TEST(DecodeFrame, AcceptsABodyAtTheLimitAndRefusesOneBytePastItFromTheHeaderAlone) {
  Bytes at_limit{17, 0, 7, 0, 250};
  at_limit.resize(5 + 250, 'x');
  EXPECT_EQ(decode_frame(view(at_limit), 250).status, DecodeStatus::ok);
  const Bytes past{17, 0, 7, 0, 251};
  const Decoded decoded = decode_frame(view(past), 250);
  EXPECT_EQ(decoded.status, DecodeStatus::body_over_limit);
  EXPECT_EQ(decoded.frame.id, 7);
  EXPECT_EQ(decoded.frame.command, Command::internal);
  // The length field of a RESPONSE is a status: no limit applies.
  const Bytes response{0, 0, 7, 0xff, 0xff};
  EXPECT_EQ(decode_frame(view(response), 0).status, DecodeStatus::ok);
  EXPECT_EQ(decode_frame(view(response), 0).frame.status, 65535);
}

TEST(DecodeFrame, TakesTheLargestBodyThatTheLengthFieldCanName) {
  Bytes frame{55, 0xff, 0xff, 0xff, 0xff};
  frame.resize(5 + 65535, 0);
  const Decoded decoded = decode_frame(view(frame));
  ASSERT_EQ(decoded.status, DecodeStatus::ok);
  EXPECT_EQ(decoded.frame.body.size, 65535U);
  EXPECT_EQ(decoded.frame.id, 65535);
  frame.pop_back();
  EXPECT_EQ(decode_frame(view(frame)).status, DecodeStatus::need_more);
  frame.resize(5);
  EXPECT_EQ(decode_frame(view(frame), 65534).status, DecodeStatus::body_over_limit);
}

TEST(DecodeFrame, KeepsEveryCommandByteAsItIs) {
  for (unsigned command = 0; command <= 255; ++command) {
    const Bytes frame{static_cast<std::uint8_t>(command), 0, 9, 0, 2, 'a', 'b'};
    const Decoded decoded = decode_frame(view(frame));
    ASSERT_EQ(decoded.status, DecodeStatus::ok) << command;
    EXPECT_EQ(static_cast<unsigned>(decoded.frame.command), command);
    EXPECT_EQ(decoded.consumed_bytes, command == 0 ? 5U : 7U);
    Bytes again(16);
    const std::size_t size = encode_frame(decoded.frame, {again.data(), again.size()});
    ASSERT_EQ(size, decoded.consumed_bytes);
    EXPECT_TRUE(std::equal(again.begin(), again.begin() + static_cast<std::ptrdiff_t>(size), frame.begin()));
  }
}

TEST(DecodeFrame, FindsAllFramesOfAStreamThatComesByteByByte) {
  Bytes stream;
  for (std::uint16_t id = 1; id <= 40; ++id) {
    std::uint8_t room[64];
    FrameWriter writer{{room, sizeof room}, Command::hardware, id};
    const std::size_t size = writer.field("vw").field(id).field(std::string(id, 'v')).finish();
    ASSERT_NE(size, 0U);
    stream.insert(stream.end(), room, room + size);
  }
  Bytes pending;
  std::uint16_t seen = 0;
  for (const std::uint8_t byte : stream) {
    pending.push_back(byte);
    const Decoded decoded = decode_frame(view(pending));
    if (decoded.status == DecodeStatus::ok) {
      EXPECT_EQ(decoded.frame.id, ++seen);
      EXPECT_EQ(decoded.consumed_bytes, pending.size());
      pending.clear();
    } else {
      ASSERT_EQ(decoded.status, DecodeStatus::need_more);
    }
  }
  EXPECT_EQ(seen, 40);
  EXPECT_TRUE(pending.empty());
}

TEST(DecodeFrame, AcceptsAnEmptyInput) { EXPECT_EQ(decode_frame(ByteView{}).status, DecodeStatus::need_more); }

TEST(EncodeFrame, RefusesWhatIsNoFrame) {
  std::uint8_t room[16];
  Frame frame;
  frame.command = Command::ping;
  EXPECT_EQ(encode_frame(frame, {room, sizeof room}), 0U);  // id 0
  frame.id = 1;
  EXPECT_EQ(encode_frame(frame, {room, 4}), 0U);
  EXPECT_EQ(encode_frame(frame, {room, 5}), 5U);
  frame.body = ByteView{"ab"sv};
  EXPECT_EQ(encode_frame(frame, {room, 6}), 0U);
  EXPECT_EQ(encode_frame(frame, {room, 7}), 7U);
  frame.command = Command::response;
  EXPECT_EQ(encode_frame(frame, {room, sizeof room}), 0U);
  const Bytes big(65536, 'x');
  Bytes large_room(70000);
  frame.command = Command::debug_print;
  frame.body = view(big);
  EXPECT_EQ(encode_frame(frame, {large_room.data(), large_room.size()}), 0U);
  frame.body = view(big).drop(1);
  EXPECT_EQ(encode_frame(frame, {large_room.data(), large_room.size()}), 65540U);
}

TEST(Fields, SplitsAtEachNulAndKeepsEmptyFields) {
  EXPECT_EQ(split(""sv), Split{});
  EXPECT_EQ(split("a"sv), Split{"a"});
  EXPECT_EQ(split("a\0"sv), (Split{"a", ""}));
  EXPECT_EQ(split("a\0\0b"sv), (Split{"a", "", "b"}));
  EXPECT_EQ(split("\0"sv), (Split{"", ""}));
  EXPECT_EQ(split("vw\0"
                  "5\0"sv),
            (Split{"vw", "5", ""}));
  EXPECT_EQ(split("vw\0"
                  "5\0\xff\xfe"sv),
            (Split{"vw", "5", "\xff\xfe"}));
}

TEST(Fields, SurvivesNulSoup) {
  const std::string soup(4096, '\0');
  Fields fields{ByteView{soup}};
  std::size_t count = 0;
  while (fields.has_next()) {
    EXPECT_TRUE(fields.next().empty());
    ++count;
  }
  EXPECT_EQ(count, 4097U);
  EXPECT_TRUE(fields.next().empty());  // Past the end: empty, again and again.
}

TEST(Fields, GivesTheRestUnsplit) {
  Fields fields{
      ByteView{"vw\0"
               "7\0bin\0ary"sv}};
  fields.next();
  fields.next();
  EXPECT_EQ(fields.rest().text(), "bin\0ary"sv);
}

TEST(FrameWriter, WritesWhatTheDecoderReads) {
  std::uint8_t room[64];
  FrameWriter writer{{room, sizeof room}, Command::hardware, 0x1234};
  const std::size_t size = writer.field("vw").field(255).field("on").field("").finish();
  const Bytes expected{20, 0x12, 0x34, 0, 10, 'v', 'w', 0, '2', '5', '5', 0, 'o', 'n', 0};
  ASSERT_EQ(size, expected.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), room));
}

TEST(FrameWriter, WritesTheWholeRangeOfNumbers) {
  std::uint8_t room[64];
  FrameWriter writer{{room, sizeof room}, Command::internal, 1};
  const std::size_t size = writer.field(std::numeric_limits<std::int64_t>::min())
                               .field(std::int64_t{0})
                               .field(std::numeric_limits<std::int64_t>::max())
                               .finish();
  ASSERT_NE(size, 0U);
  EXPECT_EQ(split(decode_frame({room, size}).frame.body.text()), (Split{"-9223372036854775808", "0", "9223372036854775807"}));
}

TEST(FrameWriter, SeparatesAFirstEmptyFieldFromTheNext) {
  std::uint8_t room[64];
  FrameWriter writer{{room, sizeof room}, Command::internal, 1};
  const std::size_t size = writer.field("").field("a").raw("bc").field("d").finish();
  EXPECT_EQ(decode_frame({room, size}).frame.body.text(), "\0abc\0d"sv);
}

TEST(FrameWriter, FailsForGoodOnceSomethingDidNotFit) {
  std::uint8_t room[12];
  for (std::size_t room_size = 0; room_size <= sizeof room; ++room_size) {
    const std::unique_ptr<std::uint8_t[]> exact{new std::uint8_t[room_size]};
    FrameWriter writer{{exact.get(), room_size}, Command::hardware, 1};
    const std::size_t size = writer.field("vw").field(1).field("ab").finish();
    EXPECT_EQ(size, room_size >= 12 ? 12U : 0U) << room_size;
    EXPECT_EQ(writer.field("").finish(), 0U);  // Full: even one separator is too much.
  }
}

TEST(FrameWriter, RefusesIdZeroResponsesAndBodiesPastTheLengthField) {
  std::uint8_t room[64];
  EXPECT_EQ((FrameWriter{{room, sizeof room}, Command::ping, 0}.finish()), 0U);
  EXPECT_EQ((FrameWriter{{room, sizeof room}, Command::response, 1}.finish()), 0U);
  Bytes large(70000);
  EXPECT_EQ((FrameWriter{{large.data(), large.size()}, Command::ping, 1}.raw(std::string(65535, 'x')).finish()), 65540U);
  EXPECT_EQ((FrameWriter{{large.data(), large.size()}, Command::ping, 1}.raw(std::string(65536, 'x')).finish()), 0U);
}

TEST(MakeResponse, IsFiveBytes) {
  const ResponseFrame response = make_response(0x0102, Status::invalid_token);
  const Bytes expected{0, 1, 2, 0, 9};
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), response.bytes));
}

TEST(ParsePin, TakesDecimal0To255AndNothingElse) {
  std::uint8_t pin = 77;
  for (unsigned value = 0; value <= 255; ++value) {
    ASSERT_TRUE(parse_pin(std::to_string(value), pin));
    EXPECT_EQ(pin, value);
  }
  EXPECT_TRUE(parse_pin("007", pin));
  EXPECT_EQ(pin, 7);
  for (const std::string_view bad : {""sv, "256"sv, "257"sv, "999"sv, "1000"sv, "0007"sv, "-1"sv, "+1"sv, " 1"sv, "1 "sv, "a"sv, "0x1"sv,
                                     "1.0"sv, "1\0"sv, "\xd9\xa1"sv}) {
    pin = 77;
    EXPECT_FALSE(parse_pin(bad, pin)) << bad;
    EXPECT_EQ(pin, 77);
  }
}

/// What a session of an old client does with a stream, in pieces of `piece` bytes; the ids of its frames, in order.
std::vector<std::uint16_t> ids_of_legacy_session(const Bytes& stream, std::size_t piece) {
  std::vector<std::uint16_t> ids;
  LegacyPingReply legacy;
  Bytes pending;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    const std::size_t end = std::min(stream.size(), at + piece);
    pending.insert(pending.end(), stream.begin() + static_cast<std::ptrdiff_t>(at), stream.begin() + static_cast<std::ptrdiff_t>(end));
    ByteView rest = view(pending);
    for (;;) {
      rest = rest.drop(legacy.skip(rest));
      const Decoded decoded = decode_frame(rest);
      if (decoded.status != DecodeStatus::ok) {
        EXPECT_EQ(decoded.status, DecodeStatus::need_more);
        break;
      }
      legacy.on_frame(decoded.frame);
      ids.push_back(decoded.frame.id);
      rest = rest.drop(decoded.consumed_bytes);
    }
    pending = Bytes{rest.begin(), rest.end()};
  }
  EXPECT_TRUE(pending.empty());
  return ids;
}

TEST(LegacyPingReply, CostsNoFrameHoweverTheBytesArrive) {
  const Bytes stream{0,  0x30, 0x39, 0, 3, '2', '0', '0',               // the broken ping reply
                     20, 0,    8,    0, 6, 'v', 'w', 0,   '1', 0, '5',  // must still be seen
                     0,  0x30, 0x3a, 0, 3, '2', '0', '0',               // twice in a row
                     0,  0x30, 0x3b, 0, 3, '2', '0', '0', 6,   0, 9,   0, 0};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    EXPECT_EQ(ids_of_legacy_session(stream, piece), (std::vector<std::uint16_t>{0x3039, 8, 0x303a, 0x303b, 9})) << piece;
  }
}

TEST(LegacyPingReply, LeavesAnHonestStatusThreeAlone) {
  const Bytes stream{0, 0, 5, 0, 3, 6, 0, 6, 0, 0, 0, 0, 7, 0, 200, 6, 0, 8, 0, 0};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    EXPECT_EQ(ids_of_legacy_session(stream, piece), (std::vector<std::uint16_t>{5, 6, 7, 8})) << piece;
  }
}

TEST(LegacyPingReply, SkipsNothingAfterOtherFrames) {
  LegacyPingReply legacy;
  const Bytes text{'2', '0', '0'};
  EXPECT_EQ(legacy.skip(view(text)), 0U);
  Frame frame;
  frame.id = 1;
  frame.status = 200;
  legacy.on_frame(frame);
  EXPECT_EQ(legacy.skip(view(text)), 0U);
  frame.status = 3;
  legacy.on_frame(frame);
  EXPECT_EQ(legacy.skip(ByteView{}), 0U);
  EXPECT_EQ(legacy.skip(view(text)), 3U);
  EXPECT_EQ(legacy.skip(view(text)), 0U);  // Once.
}

}  // namespace
}  // namespace muster::wire
