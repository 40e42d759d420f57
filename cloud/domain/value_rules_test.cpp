// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/value_rules.hpp"

#include <gtest/gtest.h>

#include <string>

namespace muster::domain {
namespace {

using namespace std::string_literals;

constexpr std::uint8_t pin = 7;

PublishedTemplate with(Datastream stream) {
  PublishedTemplate made;
  made.datastream_by_pin.fill(PublishedTemplate::no_datastream);
  stream.pin = pin;
  made.datastreams.push_back(std::move(stream));
  made.datastream_by_pin[pin] = 0;
  return made;
}

PublishedTemplate typed(DataType type, std::optional<double> min = {}, std::optional<double> max = {}) {
  Datastream stream;
  stream.type = type;
  stream.min = min;
  stream.max = max;
  return with(stream);
}

/// What is stored, or the verdict in brackets; '=' in front: taken as it is, without a copy.
std::string judged(const PublishedTemplate& published, std::string_view value, std::uint8_t on = pin) {
  std::string out = "left over";
  switch (judge_value(published, on, value, out)) {
    case ValueVerdict::accepted: return out.empty() ? "=" + std::string{value} : out;
    case ValueVerdict::undefined_pin: return "[undefined]";
    case ValueVerdict::wrong_type: return "[type]";
    case ValueVerdict::too_long: return "[long]";
  }
  return "[?]";
}

TEST(ValueRules, APrototypeTakesEveryPinAsString) {
  PublishedTemplate prototype;
  prototype.datastream_by_pin.fill(PublishedTemplate::no_datastream);
  EXPECT_EQ(judged(prototype, "anything", 0), "=anything");
  EXPECT_EQ(judged(prototype, "", 255), "=");
  EXPECT_EQ(judged(prototype, "a\0b"s, 1), "=a\0b"s);
  EXPECT_EQ(judged(prototype, std::string(1024, 'x'), 1), "=" + std::string(1024, 'x'));
  EXPECT_EQ(judged(prototype, std::string(1025, 'x'), 1), "[long]");
}

TEST(ValueRules, OneDatastreamMakesOtherPinsUndefined) {
  const auto published = typed(DataType::string);
  EXPECT_EQ(judged(published, "x", pin + 1), "[undefined]");
  EXPECT_EQ(judged(published, "x", pin - 1), "[undefined]");
  EXPECT_EQ(judged(published, "x"), "=x");
  EXPECT_EQ(judged(published, ""), "=");
  EXPECT_EQ(judged(published, std::string(1025, 'x')), "[long]");
}

TEST(ValueRules, IntegersAreReadGenerouslyAndStoredPlainly) {
  const auto published = typed(DataType::integer);
  for (const auto* plain : {"0", "12", "-12", "9223372036854775807", "-9223372036854775808"})
    EXPECT_EQ(judged(published, plain), "="s + plain);
  EXPECT_EQ(judged(published, "+5"), "5");
  EXPECT_EQ(judged(published, "007"), "7");
  EXPECT_EQ(judged(published, "-0"), "0");
  EXPECT_EQ(judged(published, "   21"), "21");
  EXPECT_EQ(judged(published, "21  "), "21");
  EXPECT_EQ(judged(published, "12.0000000"), "12");
  EXPECT_EQ(judged(published, "1e3"), "1000");
  EXPECT_EQ(judged(published, "-3."), "-3");
  for (const auto* wrong : {"", " ", "-", "+", "+-5", "12.5", "1e-3", "abc", "12a", "0x10", "nan", "inf", "1 2", "9223372036854775808",
                            "1e999", ".", "true", "--1"}) {
    EXPECT_EQ(judged(published, wrong), "[type]") << wrong;
  }
  EXPECT_EQ(judged(published, "1\0002"s), "[type]");
}

TEST(ValueRules, IntegersAreClampedToWholeLimits) {
  const auto published = typed(DataType::integer, -1.5, 10.9);
  EXPECT_EQ(judged(published, "10"), "=10");
  EXPECT_EQ(judged(published, "11"), "10");
  EXPECT_EQ(judged(published, "-1"), "=-1");
  EXPECT_EQ(judged(published, "-2"), "-1");
  EXPECT_EQ(judged(published, "99999999999999999999"), "10");
  EXPECT_EQ(judged(published, "-1e30"), "-1");
  EXPECT_EQ(judged(published, "1e999"), "10");
  EXPECT_EQ(judged(typed(DataType::integer, {}, 5), "-99999999999999999999"), "[type]");
  EXPECT_EQ(judged(typed(DataType::integer, -1e300, 1e300), "5"), "=5");
  EXPECT_EQ(judged(typed(DataType::integer, 1e300, 1e301), "5"), "9223372036854775807");
}

TEST(ValueRules, RealsKeepTheirDigits) {
  auto published = typed(DataType::real);
  published.datastreams[0].decimals = 1;
  for (const auto* plain :
       {"0", "21.4567", "-0.5", "1e3", ".5", "5.", "100.00000", "1E-10", "00.5", "0.1000000000000000055511151231257827"}) {
    EXPECT_EQ(judged(published, plain), "="s + plain);
  }
  EXPECT_EQ(judged(published, "  21.50"), "21.50");
  EXPECT_EQ(judged(published, "+1.5"), "1.5");
  EXPECT_EQ(judged(published, "1e-999"), "=1e-999");
  for (const auto* wrong : {"", "nan", "NaN", "inf", "-inf", "infinity", "1e999", "-1e999", "0x1p3", "1,5", "abc", "1.2.3", "1e", "-", ".",
                            "e5", "--1", "+-1"}) {
    EXPECT_EQ(judged(published, wrong), "[type]") << wrong;
  }
}

TEST(ValueRules, RealsAreClamped) {
  const auto published = typed(DataType::real, -40, 85.5);
  EXPECT_EQ(judged(published, "85.5"), "=85.5");
  EXPECT_EQ(judged(published, "85.51"), "85.5");
  EXPECT_EQ(judged(published, "-40.1"), "-40");
  EXPECT_EQ(judged(published, "1e999"), "85.5");
  EXPECT_EQ(judged(published, "-1e999"), "-40");
  EXPECT_EQ(judged(typed(DataType::real, 1, 2), "1e-999"), "1");
  EXPECT_EQ(judged(typed(DataType::real, 1, 2), "0."s + std::string(400, '0') + "1"), "1");
  EXPECT_EQ(judged(typed(DataType::real, {}, 2), std::string(400, '9')), "2");
  EXPECT_EQ(judged(typed(DataType::real, 0, {}), std::string(400, '9')), "[type]");
}

TEST(ValueRules, EnumerationsTakeIndexOrName) {
  Datastream stream;
  stream.type = DataType::enumeration;
  stream.enum_values = {"off", "on", "17", "two words"};
  const auto published = with(stream);
  EXPECT_EQ(judged(published, "0"), "=0");
  EXPECT_EQ(judged(published, "3"), "=3");
  EXPECT_EQ(judged(published, "1.00"), "1");
  EXPECT_EQ(judged(published, "on"), "1");
  EXPECT_EQ(judged(published, "two words"), "3");
  EXPECT_EQ(judged(published, "17"), "2");
  for (const auto& wrong : {""s, "4"s, "-1"s, "ON"s, "on "s, "0.5"s, "off\0on"s, "99999999999999999999"s})
    EXPECT_EQ(judged(published, wrong), "[type]") << wrong;
}

TEST(ValueRules, LocationsAreTwoNumbers) {
  const auto published = typed(DataType::location);
  EXPECT_EQ(judged(published, "-73.8731\00040.8414"s), "=-73.8731\00040.8414"s);
  EXPECT_EQ(judged(published, "-73.8731,40.8414"), "-73.8731\00040.8414"s);
  EXPECT_EQ(judged(published, " 12.0\0 +50"s), "12.0\00050"s);
  EXPECT_EQ(judged(published, "180\000-90"s), "=180\000-90"s);
  for (const auto& wrong : {""s, "12"s, "12,"s, ",5"s, "181,0"s, "0,91"s, "a,b"s, "1\0002\0003"s, "1,2,3"s, "nan,0"s, "1\0"s})
    EXPECT_EQ(judged(published, wrong), "[type]") << wrong;
}

}  // namespace
}  // namespace muster::domain
