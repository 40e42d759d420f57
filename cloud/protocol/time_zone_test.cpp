// SPDX-License-Identifier: Apache-2.0
#include "cloud/protocol/time_zone.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>

namespace muster::protocol {
namespace {

std::string file(const std::string& name) {
  std::ifstream in{"/usr/share/zoneinfo/" + name, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

class SystemZones : public ::testing::Test {
 protected:
  void SetUp() override {
    if (file("Europe/Kyiv").empty()) GTEST_SKIP() << "this machine has no time zone database";
  }
};

TEST_F(SystemZones, AgreesWithTheSystemsOwnAtEveryHourOfTwoYears) {
  for (const char* name : {"Europe/Kyiv", "America/New_York", "Australia/Sydney", "Asia/Kolkata", "America/St_Johns", "Africa/Casablanca",
                           "Pacific/Apia", "UTC"}) {
    SCOPED_TRACE(name);
    TimeZones zones;
    const TimeZone& zone = zones.load(name);
    setenv("TZ", name, 1);
    tzset();
    for (const std::time_t begin : {std::time_t{1'700'000'000}, std::time_t{2'600'000'000}}) {
      for (std::time_t t = begin; t < begin + 2 * 365 * 86'400; t += 3'600) {
        std::tm broken{};
        localtime_r(&t, &broken);
        ASSERT_EQ(zone.at(t).total_s, broken.tm_gmtoff) << t;
      }
    }
  }
  unsetenv("TZ");
  tzset();
}

TEST_F(SystemZones, TellsTheNextTwoChanges) {
  TimeZones zones;
  const TimeZone& kyiv = zones.load("Europe/Kyiv");
  const auto spring = kyiv.next_transition(1'767'225'600);  // 2026-01-01
  ASSERT_TRUE(spring);
  EXPECT_EQ(spring->at_s, 1'774'746'000);  // 2026-03-29T01:00:00Z
  EXPECT_EQ(spring->offset, (TimeZone::Offset{10'800, 3'600}));
  const auto autumn = kyiv.next_transition(spring->at_s);
  ASSERT_TRUE(autumn);
  EXPECT_EQ(autumn->at_s, 1'792'890'000);  // 2026-10-25T01:00:00Z
  EXPECT_EQ(autumn->offset, (TimeZone::Offset{7'200, 0}));
  EXPECT_EQ(kyiv.rule(), "EET-2EEST,M3.5.0/3,M10.5.0/4");
  EXPECT_FALSE(zones.load("Asia/Kolkata").next_transition(1'767'225'600));
}

TEST_F(SystemZones, GoesOnByTheRuleAfterTheTable) {
  TimeZones zones;
  const TimeZone& zone = zones.load("America/New_York");
  const auto next = zone.next_transition(4'102'444'800);  // 2100
  ASSERT_TRUE(next);
  EXPECT_EQ(next->offset.saving_s, 3'600);
  EXPECT_EQ(zone.at(next->at_s).total_s, -14'400);
  EXPECT_EQ(zone.at(next->at_s - 1).total_s, -18'000);
}

TEST(TimeZones, AnUnknownOrUnsafeNameIsUtc) {
  TimeZones zones;
  for (const char* name : {"", "Nowhere/Atlantis", "../../etc/passwd", "/etc/passwd", "Europe", "Europe/Kyiv\n"})
    EXPECT_EQ(zones.load(name).at(0).total_s, 0) << name;
  EXPECT_EQ(zones.cached("Nowhere/Elsewhere"), nullptr);
  EXPECT_EQ(zones.cached("UTC")->name(), "UTC");
}

TEST_F(SystemZones, AFileCutOrChangedAnywhereIsRefusedOrRead) {
  const std::string whole = file("Europe/Dublin");
  ASSERT_TRUE(TimeZone::parse("x", wire::ByteView{whole}));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::uint8_t> cut{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)};
    if (const auto zone = TimeZone::parse("x", {cut.data(), cut.size()})) static_cast<void>(zone->next_transition(4'102'444'800));
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char value : {'\0', '\x7f', '\xff'}) {
      std::string changed = whole;
      changed[i] = value;
      if (const auto zone = TimeZone::parse("x", wire::ByteView{changed})) {
        static_cast<void>(zone->at(1'767'225'600));
        static_cast<void>(zone->next_transition(4'102'444'800));
      }
    }
  }
}

TEST(Iso8601, PutsTheOffsetBehindTheLocalTime) {
  EXPECT_EQ(iso_8601(1'601'968'586, 10'800), "2020-10-06T10:16:26+03:00");
  EXPECT_EQ(iso_8601(1'601'968'586, -12'600), "2020-10-06T03:46:26-03:30");
  EXPECT_EQ(iso_8601(0, 0), "1970-01-01T00:00:00+00:00");
  EXPECT_EQ(iso_8601(-1, 0), "1969-12-31T23:59:59+00:00");
}

}  // namespace
}  // namespace muster::protocol
