// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace muster::api {
namespace {

TEST(Json, ReadsEveryKindOfValueAndWritesItBack) {
  const std::string text = R"({"a":null,"b":true,"c":-5,"d":1.5,"e":"x\"y","f":[1,"z",{}],"g":{"h":[]}})";
  const auto parsed = parse_json(text);
  ASSERT_EQ(parsed.problem, JsonProblem::none);
  EXPECT_EQ(to_text(parsed.value), text);
  EXPECT_EQ(parsed.value.find("c")->integer, -5);
  EXPECT_EQ(parsed.value.find("nothing"), nullptr);
}

TEST(Json, TellsWhatIsWrong) {
  EXPECT_EQ(parse_json("").problem, JsonProblem::malformed);
  EXPECT_EQ(parse_json("{").problem, JsonProblem::malformed);
  EXPECT_EQ(parse_json("{} x").problem, JsonProblem::malformed);
  EXPECT_EQ(parse_json("{'a':1}").problem, JsonProblem::malformed);
  EXPECT_EQ(parse_json("[1,]").problem, JsonProblem::malformed);
  EXPECT_EQ(parse_json(R"({"a":1,"b":{},"a":2})").problem, JsonProblem::name_twice);
  EXPECT_EQ(parse_json(R"([{"a":1},{"a":1},{"b":{"c":1,"c":1}}])").problem, JsonProblem::name_twice);
  EXPECT_EQ(parse_json(R"([{"a":1},{"a":",","b":{"a":[]}}])").problem, JsonProblem::none);
  EXPECT_EQ(parse_json("\"\xff\"").problem, JsonProblem::bad_utf8);
  EXPECT_EQ(parse_json(std::string(json_depth_max, '[') + std::string(json_depth_max, ']')).problem, JsonProblem::none);
  EXPECT_EQ(parse_json(std::string(json_depth_max + 1, '[') + std::string(json_depth_max + 1, ']')).problem, JsonProblem::too_deep);
}

TEST(Json, HoldsSoManyValuesAndNoMore) {
  const auto array = [](std::size_t items, std::string_view item, std::string_view space = "") {
    std::string text = "[";
    for (std::size_t i = 0; i < items; ++i) text.append(i == 0 ? "" : ",").append(space).append(item);
    return text + std::string{space} + "]";
  };
  EXPECT_EQ(parse_json(array(json_values_max - 1, "1")).problem, JsonProblem::none);
  EXPECT_EQ(parse_json(array(json_values_max, "1")).problem, JsonProblem::too_many);
  EXPECT_EQ(parse_json(array(json_values_max - 1, "{ }", " ")).problem, JsonProblem::none);
  EXPECT_EQ(parse_json(array(json_values_max, "[\t]")).problem, JsonProblem::too_many);
  EXPECT_EQ(parse_json(array((json_values_max - 1) / 2, R"({"a":1})")).problem, JsonProblem::none);
  EXPECT_EQ(parse_json(array((json_values_max - 1) / 2 + 1, R"({"a":1})")).problem, JsonProblem::too_many);
  EXPECT_EQ(parse_json(array((json_values_max - 1) / 3, R"({"a":1,"b":2})")).problem, JsonProblem::none);
  EXPECT_EQ(parse_json(array((json_values_max - 1) / 3 + 1, R"({"a":1,"b":2})")).problem, JsonProblem::too_many);
  // What is inside a text is no value.
  EXPECT_EQ(parse_json("[\"" + std::string(100'000, ',') + R"(\",[)" + std::string(100'000, '[') + R"(\\",""])").problem,
            JsonProblem::none);
}

TEST(Json, AnIntegerPastSixtyFourBitsIsANumberAndNoInteger) {
  EXPECT_EQ(parse_json("9223372036854775807").value.kind, Json::Kind::integer);
  EXPECT_EQ(parse_json("9223372036854775808").value.kind, Json::Kind::number);
  EXPECT_EQ(parse_json("1e3").value.kind, Json::Kind::number);
}

TEST(Json, WritesOnlyUtf8AndNoControlCharacter) {
  std::string out;
  append_json_string(out, std::string_view{"a\x01\n\"\\\x7f\xC3\xA4\xff\xC3\xED\xA0\x80z\0", 15});
  EXPECT_EQ(out, "\"a\\u0001\\n\\\"\\\\\\u007f\xC3\xA4\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\\u0000\"");
  EXPECT_EQ(parse_json(out).problem, JsonProblem::none);
}

TEST(Json, WritesNumbersThatReadBack) {
  const auto text = [](double value, bool keep = false) {
    std::string out;
    append_json_number(out, value, keep);
    return out;
  };
  EXPECT_EQ(text(1), "1");
  EXPECT_EQ(text(1, true), "1.0");
  EXPECT_EQ(text(0.1, true), "0.1");
  EXPECT_EQ(text(1e300, true), "1e+300");
  EXPECT_EQ(text(std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(text(std::nan("")), "null");
}

TEST(Json, TheWriterPutsCommasWhereTheyBelong) {
  JsonWriter json;
  json.object()
      .add("a", 1)
      .add("b", "x")
      .object("c")
      .end_object()
      .array("d")
      .object()
      .add("e", true)
      .end_object()
      .item("f")
      .item_number(2)
      .array()
      .end_array()
      .end_array()
      .add_null("g")
      .add_raw("h", "[]")
      .add("i", 0.5)
      .end_object();
  EXPECT_EQ(json.take(), R"({"a":1,"b":"x","c":{},"d":[{"e":true},"f",2,[]],"g":null,"h":[],"i":0.5})");
}

}  // namespace
}  // namespace muster::api
