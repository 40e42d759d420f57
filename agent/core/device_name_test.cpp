// SPDX-License-Identifier: Apache-2.0
#include "agent/core/device_name.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace muster::agent {
namespace {

std::vector<std::uint8_t> from_hex(std::string_view hex) {
  std::vector<std::uint8_t> out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::uint8_t>(std::stoi(std::string{hex.substr(i, 2)}, nullptr, 16)));
  }
  return out;
}

std::string name(std::string_view vendor, std::string_view kind, std::string_view suffix, NameRule rule = NameRule::second) {
  return std::string{make_device_name(vendor, kind, suffix, rule).view()};
}

TEST(UniqueSuffix, MatchesTheVectorsOfBothGenerations) {
  struct Vector {
    const char *id, *first, *second;
  };
  for (const Vector& v : {Vector{"246f28aabbcc0000", "1W7R", "1W7R"},
                          {"a4cf120000010000", "7NUP", "7NXP"},
                          {"0000000000000000", "YJ3Y", "YJ3Y"},
                          {"ffffffffffff0000", "UMK6", "XMK6"},
                          {"246f280000100000", "R0HM", "R0HM"},
                          {"246f2800001d0000", "CN4F", "CN4F"},
                          {"a4cf12000001", "0J72", "0J72"},
                          {"000000000000", "PWPU", "PWPX"}}) {
    const std::vector<std::uint8_t> id = from_hex(v.id);
    EXPECT_EQ(make_unique_suffix({id.data(), id.size()}, NameRule::first).view(), v.first) << v.id;
    EXPECT_EQ(make_unique_suffix({id.data(), id.size()}).view(), v.second) << v.id;
  }
}

TEST(DeviceName, MatchesTheVectors) {
  EXPECT_EQ(name("Blynk", "Lamp", "N1A9"), "Blynk Lamp-N1A9");
  EXPECT_EQ(name("Blynk", "Very Long Template Name For Test", "A1B2"), "Blynk Very Long Template-A1B2");
  EXPECT_EQ(name("12345678901234567890", "Lamp", "A1B2"), "12345678901234567890 Lam-A1B2");
  const std::string p27(27, 'p'), p29(29, 'p');
  EXPECT_EQ(name(p27, "Lamp", "A1B2"), p27 + "-A");
  EXPECT_EQ(name(p29, "Lamp", "A1B2"), p29);
  EXPECT_EQ(name(p29 + "xyz", "Lamp", "A1B2"), p29);
  EXPECT_EQ(name("Blynk", "Blynk", "A1B2"), "Blynk-A1B2");
  EXPECT_EQ(name("Blynk", "Very Long Template Name For Test", "A1B2", NameRule::first), "Blynk Very Long Template N-A1B2");
}

TEST(DeviceName, IsNeverTooLongAndNeverCutsACharacter) {
  EXPECT_EQ(name("Blynk", "Wärmepumpenregler ÄÖÜ", "A1B2").size(), 29U);
  EXPECT_EQ(name("Blynk", "Wärmepumpenreglerä", "A1B2"), "Blynk Wärmepumpenregler-A1B2");  // The last letter would be cut in half.
  for (std::size_t size = 0; size < 60; ++size) {
    std::string kind;
    while (kind.size() < size) kind += "€";
    for (const NameRule rule : {NameRule::first, NameRule::second}) {
      const std::string made = name("Blynk", kind, "A1B2", rule);
      EXPECT_LE(made.size(), rule == NameRule::first ? 31U : 29U);
      EXPECT_EQ((made.size() - std::string{"Blynk -A1B2"}.size()) % 3, 0U) << made;
    }
  }
}

TEST(DeviceName, BecomesAHostName) { EXPECT_EQ(make_host_name("Blynk My Lamp-N1A9").view(), "Blynk-My-Lamp-N1A9"); }

TEST(DeviceUid, IsAVersion4Uuid) {
  const std::uint8_t ones[16] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
  const std::uint8_t zeros[16] = {};
  EXPECT_EQ(make_device_uid(ones).view(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
  EXPECT_EQ(make_device_uid(zeros).view(), "00000000-0000-4000-8000-000000000000");
}

}  // namespace
}  // namespace muster::agent
