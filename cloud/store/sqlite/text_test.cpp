// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/store/sqlite/json_text.hpp"
#include "cloud/store/sqlite/text_search.hpp"

namespace muster::store {
namespace {

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonText, EscapesWhatWouldBreakIt) {
  EXPECT_EQ(json(""), R"("")");
  EXPECT_EQ(json("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(json(std::string_view{"\0\n\x1f\x7f", 4}), R"("\u0000\u000a\u001f\u007f")");
  EXPECT_EQ(json("\xC3\xBC \xE2\x82\xAC \xF0\x9F\x8C\xA1"), "\"\xC3\xBC \xE2\x82\xAC \xF0\x9F\x8C\xA1\"");
}

TEST(JsonText, ReplacesWhatIsNoUtf8) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(json("\xFF"), '"' + bad + '"');
  EXPECT_EQ(json("\xC3"), '"' + bad + '"');                                // Cut off.
  EXPECT_EQ(json("\xC0\xAF"), '"' + bad + bad + '"');                      // Overlong.
  EXPECT_EQ(json("\xED\xA0\x80"), '"' + bad + bad + bad + '"');            // A surrogate.
  EXPECT_EQ(json("\xF4\x90\x80\x80"), '"' + bad + bad + bad + bad + '"');  // Beyond the last code point.
  EXPECT_EQ(json("a\x80z"), "\"a" + bad + "z\"");
}

TEST(JsonText, WritesObjects) {
  EXPECT_EQ(JsonText{}.finish(), "{}");
  EXPECT_EQ(JsonText{}.text("a", "b").number("n", -5).flag("f", true).object("o", JsonText{}.flag("g", false)).finish(),
            R"({"a":"b","n":-5,"f":true,"o":{"g":false}})");
}

TEST(TextSearch, FindsWhateverTheCase) {
  const auto found = [](std::string_view text, std::string_view query) { return contains_folded(text, fold_case(query)); };
  EXPECT_TRUE(found("Kitchen Lamp", "LAMP"));
  EXPECT_TRUE(found("Kitchen Lamp", ""));
  EXPECT_TRUE(
      found("K\xC3\x9C"
            "CHE",
            "k\xC3\xBC"
            "che"));
  EXPECT_TRUE(
      found("stra\xC3\x9F"
            "e",
            "STRA\xC3\x9F"
            "E"));
  EXPECT_TRUE(
      found("\xC5\xBD"
            "ABA \xC4\x90",
            "\xC5\xBE"
            "aba \xC4\x91"));
  EXPECT_TRUE(found("\xCE\x91\xCE\xA9", "\xCE\xB1\xCF\x89"));
  EXPECT_TRUE(found("\xD0\x94\xD0\x81", "\xD0\xB4\xD1\x91"));
  EXPECT_FALSE(found("lamp", "lamps"));
  EXPECT_FALSE(found("", "x"));
  EXPECT_FALSE(
      found("K\xC3\x9C"
            "CHE",
            "kuche"));
  EXPECT_TRUE(found("\xFF\xC3", "\xFF"));  // Bytes that are no text are themselves.
}

TEST(TextSearch, KeepsTheLengthOfEveryText) {
  for (unsigned first = 0xC2; first <= 0xDF; ++first) {
    for (unsigned second = 0x80; second <= 0xBF; ++second) {
      const std::string text{static_cast<char>(first), static_cast<char>(second)};
      const std::string folded = fold_case(text);
      EXPECT_EQ(folded.size(), 2u);
      EXPECT_EQ(fold_case(folded), folded);
    }
  }
}

}  // namespace
}  // namespace muster::store
