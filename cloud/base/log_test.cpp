// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/log.hpp"

#include <gtest/gtest.h>

namespace muster::log {
namespace {

constexpr std::int64_t moment = 1'767'225'600'042;

TEST(Log, WritesOneJsonObjectALine) {
  EXPECT_EQ(format_json(moment, Level::warning, "slow_store", {{"ms", 250}, {"op", "login"}, {"held", true}}),
            R"({"time":"2026-01-01T00:00:00.042Z","level":"warning","event":"slow_store","ms":250,"op":"login","held":true})");
}

TEST(Log, WritesTextForPeople) {
  EXPECT_EQ(
      format_text(moment, Level::info, "ready", {{"url", "http://x/"}, {"note", "two words"}, {"empty", ""}, {"n", std::int64_t{-1}}}),
      R"(2026-01-01T00:00:00.042Z info ready url=http://x/ note="two words" empty="" n=-1)");
}

TEST(Log, NothingInAFieldBreaksTheLine) {
  const std::string nasty = "a\"b\\c\nd\x01\x1b[31m\x7f";
  EXPECT_EQ(format_json(moment, Level::error, "x", {{"v", nasty}}),
            R"({"time":"2026-01-01T00:00:00.042Z","level":"error","event":"x","v":"a\"b\\c\nd\u0001\u001b[31m\u007f"})");
  const std::string text = format_text(moment, Level::error, "x", {{"v", nasty}});
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(Log, KeepsUtf8AndReplacesWhatIsNone) {
  const auto value = [](std::string_view bytes) {
    const std::string line = format_json(moment, Level::info, "x", {{"v", bytes}});
    const std::size_t start = line.find("\"v\":\"") + 5;
    return line.substr(start, line.size() - start - 2);
  };
  EXPECT_EQ(value("Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x8c"), "Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x8c");
  EXPECT_EQ(value("\xff"), "\xef\xbf\xbd");
  EXPECT_EQ(value("\xc3"), "\xef\xbf\xbd");
  EXPECT_EQ(value("\xc0\x80"), "\xef\xbf\xbd\xef\xbf\xbd") << "overlong";
  EXPECT_EQ(value("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") << "surrogate";
  EXPECT_EQ(value("\xc2\x9b"), "\\u009b") << "C1 control";
}

TEST(Log, WritesToStderrAsJsonWhenItIsNoTerminalAndObeysTheLevel) {
  testing::internal::CaptureStderr();
  debug("hidden");
  info("shown", {{"n", 1}});
  set_level(Level::warning);
  info("hidden_too");
  set_level(Level::debug);
  debug("now_shown");
  set_level(Level::info);
  const std::string captured = testing::internal::GetCapturedStderr();
  EXPECT_EQ(captured.find("hidden"), std::string::npos);
  EXPECT_NE(captured.find("\"event\":\"shown\",\"n\":1}\n"), std::string::npos) << captured;
  EXPECT_NE(captured.find("now_shown"), std::string::npos);
  EXPECT_EQ(captured.front(), '{');
}

}  // namespace
}  // namespace muster::log
