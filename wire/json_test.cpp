// SPDX-License-Identifier: Apache-2.0
#include "wire/json.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace muster::wire {
namespace {

using namespace std::string_view_literals;

/// The walk as text: brackets, `key:`, 'text', numbers and words; `!` for an error.
std::string walk(std::string_view input, std::size_t room_size = 64, std::size_t size_max_bytes = 4096) {
  const std::unique_ptr<char[]> exact{new char[input.size()]};  // Blocks of their own: ASan sees a read or write past them.
  std::copy(input.begin(), input.end(), exact.get());
  const std::unique_ptr<std::uint8_t[]> room{new std::uint8_t[room_size]};
  JsonReader reader{{exact.get(), input.size()}, {room.get(), room_size}, size_max_bytes};
  std::string out;
  for (int i = 0; i < 1000; ++i) {
    switch (reader.next()) {
      case JsonToken::begin_object: out += '{'; break;
      case JsonToken::end_object: out += '}'; break;
      case JsonToken::begin_array: out += '['; break;
      case JsonToken::end_array: out += ']'; break;
      case JsonToken::key: out += std::string{reader.text()} + ':'; break;
      case JsonToken::text: out += '\'' + std::string{reader.text()} + '\''; break;
      case JsonToken::number:
      case JsonToken::yes:
      case JsonToken::no:
      case JsonToken::null: out += std::string{reader.text()} + ' '; break;
      case JsonToken::end: return out;
      case JsonToken::error: EXPECT_EQ(reader.next(), JsonToken::error); return out + '!';
    }
  }
  return "endless";
}

TEST(JsonReader, WalksEveryKindOfValue) {
  EXPECT_EQ(walk(R"( {"a" : 1, "b":[true,false,null,"x"],"c":{}, "d":[]} )"), "{a:1 b:[true false null 'x']c:{}d:[]}");
  EXPECT_EQ(walk("-0.5e+3"), "-0.5e+3 ");
  EXPECT_EQ(walk("\"\""), "''");
}

TEST(JsonReader, TakesEscapesAndRawBytes) {
  EXPECT_EQ(walk(R"("a\"\\\/\b\f\n\r\t\u00e4\u20ac\ud83d\ude00")"), "'a\"\\/\b\f\n\r\tä€😀'");
  EXPECT_EQ(walk("\"\xff\xfe\""), "'\xff\xfe'");
  EXPECT_EQ(walk("\"a\\u0000b\""), std::string("'a\0b'", 5));
}

TEST(JsonReader, RefusesWhatIsNotJson) {
  for (const std::string_view bad :
       {""sv,       " "sv,          "{"sv,     "[1,"sv,       "[1,]"sv,      "{\"a\"}"sv,     "{\"a\":}"sv,    "{\"a\":1,}"sv,
        "{a:1}"sv,  "[1}"sv,        "1 2"sv,   "tru"sv,       "+1"sv,        "01"sv,          "1."sv,          ".5"sv,
        "1e"sv,     "-"sv,          "\"a"sv,   "\"\\x\""sv,   "\"\\u12\""sv, "\"\\ud800\""sv, "\"\\udc00\""sv, "\"\\ud800\\u0041\""sv,
        "\"\n\""sv, "\"a\\n\n\""sv, "{} {}"sv, "[\"a\" 1]"sv, "]"sv,         "}"sv,           ","sv,           "{,}"sv,
        "[,1]"sv,   "\"\\"sv,       "nul"sv,   "NaN"sv,       "'a'"sv,       "[1 /* */]"sv}) {
    const std::string walked = walk(bad);
    EXPECT_TRUE(!walked.empty() && walked.back() == '!') << bad << " gave " << walked;
  }
}

TEST(JsonReader, HoldsItsLimits) {
  EXPECT_EQ(walk("[[[[[[[[1]]]]]]]]"), "[[[[[[[[1 ]]]]]]]]");
  EXPECT_EQ(walk("[[[[[[[[[1]]]]]]]]]"), "[[[[[[[[!");
  EXPECT_EQ(walk(std::string(10, '['), 64, 10).back(), '!');
  EXPECT_EQ(walk("12345678", 64, 8), "12345678 ");
  EXPECT_EQ(walk("123456789", 64, 8), "!");
  EXPECT_EQ(walk(R"("abc\n")", 4), "'abc\n'");
  EXPECT_EQ(walk(R"("abc\n")", 3), "!");
  EXPECT_EQ(walk(R"("\u20ac")", 2), "!");
  EXPECT_EQ(walk(R"("a long text without an escape")", 0), "'a long text without an escape'");  // Borrowed: takes no room.
}

TEST(JsonReader, SkipsWholeValues) {
  JsonReader reader{R"({"a":{"b":[1,{"c":2}]},"d":3})", {}};
  EXPECT_EQ(reader.next(), JsonToken::begin_object);
  EXPECT_EQ(reader.next(), JsonToken::key);
  EXPECT_TRUE(reader.skip_value());
  EXPECT_EQ(reader.next(), JsonToken::key);
  EXPECT_EQ(reader.text(), "d");
  EXPECT_TRUE(reader.skip_value());
  EXPECT_EQ(reader.next(), JsonToken::end_object);
  EXPECT_EQ(reader.next(), JsonToken::end);
  JsonReader cut{"[1,[2", {}};
  EXPECT_FALSE(cut.skip_value());
}

TEST(JsonInteger, TakesWhatFits) {
  std::int64_t value = 0;
  EXPECT_TRUE(parse_json_integer("-42", value));
  EXPECT_EQ(value, -42);
  EXPECT_TRUE(parse_json_integer("999999999999999999", value));
  for (const char* bad : {"", "-", "1.5", "1e3", "1000000000000000000", "a"}) {
    EXPECT_FALSE(parse_json_integer(bad, value)) << bad;
  }
}

TEST(JsonWriter, WritesWhatTheReaderReads) {
  std::uint8_t room[200];
  JsonWriter writer{{room, sizeof room}};
  writer.begin_object().text("a", "x").number("n", -9'223'372'036'854'775'807 - 1).boolean("b", true).key("l").begin_array();
  writer.text("1")
      .number(2)
      .begin_object()
      .end_object()
      .begin_array()
      .end_array()
      .end_array()
      .key("o")
      .begin_object()
      .end_object()
      .end_object();
  EXPECT_EQ(writer.view(), R"({"a":"x","n":-9223372036854775808,"b":true,"l":["1",2,{},[]],"o":{}})");
}

TEST(JsonWriter, EscapesAndMendsText) {
  std::uint8_t room[100];
  const auto written = [&](std::string_view text) {
    JsonWriter writer{{room, sizeof room}};
    return std::string{writer.text(text).view()};
  };
  EXPECT_EQ(written("a\"b\\\n\x01\x7f/<"), R"("a\"b\\\u000a\u0001\u007f/<")");
  EXPECT_EQ(written("ä€😀"), "\"ä€😀\"");
  EXPECT_EQ(written(std::string_view{"a\0b", 3}), R"("a\u0000b")");
  for (const char* bad : {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5", "\x80"}) {
    const std::string out = written(bad);
    EXPECT_EQ(out.substr(0, 4), "\"\xef\xbf\xbd");
    EXPECT_EQ(out.find_first_of(bad[0] == '\xef' ? "" : std::string(1, bad[0])), std::string::npos);
  }
}

TEST(JsonWriter, NeverWritesPastItsRoomNorHalf) {
  const std::string_view whole = R"({"key":"t\u0001ext","n":12})";
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::unique_ptr<std::uint8_t[]> room{new std::uint8_t[size]};
    JsonWriter writer{{room.get(), size}};
    writer.begin_object()
        .text("key",
              "t\x01"
              "ext")
        .number("n", 12)
        .end_object();
    EXPECT_EQ(writer.overflowed(), size < whole.size());
    EXPECT_EQ(writer.view(), size < whole.size() ? ""sv : whole);
  }
}

}  // namespace
}  // namespace muster::wire
