// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/rules.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <set>

namespace muster::domain {
namespace {

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST(Rules, DeviceNamesTakeLettersOfEveryScript) {
  for (const auto* name : {"a", "Pump 3", "Ben's (old) #2_x-1.", "Kühlraum", "Насос", "温室センサー", "مضخة", "पंप", "Ω2", "Größe"}) {
    EXPECT_EQ(check_device_name(name), std::nullopt) << name;
  }
  EXPECT_EQ(check_device_name("  trimmed first  "), std::nullopt);
  EXPECT_EQ(check_device_name(repeated("ü", 60)), std::nullopt);
}

TEST(Rules, DeviceNamesRefuseMarksControlsAndTooManyCharacters) {
  for (const auto* name : {"", "   ", "a/b", "a\tb", "<b>", "a\nb", "a\"b",
                           "\xE2\x80\xAE"
                           "abc",
                           "\xF0\x9F\x98\x80",
                           "a\xC2\xA0"
                           "b",
                           "\xE2\x82\xAC", "a;b", "=1", "@x"}) {
    EXPECT_NE(check_device_name(name), std::nullopt) << name;
  }
  EXPECT_NE(check_device_name(repeated("ü", 61)), std::nullopt);
  EXPECT_NE(check_device_name(std::string_view{"a\0b", 3}), std::nullopt);
  for (const auto* broken : {"\xFF", "a\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE0\x80\xAF", "\x80"}) {
    EXPECT_NE(check_device_name(broken), std::nullopt);
    EXPECT_FALSE(is_valid_utf8(broken));
  }
}

TEST(Rules, Utf8IsToldFromWhatOnlyLooksLikeIt) {
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"));
  EXPECT_FALSE(is_valid_utf8("\xF5\x80\x80\x80"));
  EXPECT_FALSE(is_valid_utf8("\xE2\x82"));
}

TEST(Rules, OtherNamesHaveTheirLimits) {
  EXPECT_EQ(check_organization_name("A"), std::nullopt);
  EXPECT_EQ(check_organization_name(repeated("x", 100)), std::nullopt);
  EXPECT_NE(check_organization_name(repeated("x", 101)), std::nullopt);
  EXPECT_NE(check_organization_name(" "), std::nullopt);
  EXPECT_EQ(check_template_name(repeated("x", 100)), std::nullopt);
  EXPECT_NE(check_template_name(repeated("x", 101)), std::nullopt);
  EXPECT_NE(check_template_name(""), std::nullopt);
  EXPECT_EQ(check_user_name(""), std::nullopt);
  EXPECT_EQ(check_user_name(repeated("x", 60)), std::nullopt);
  EXPECT_NE(check_user_name(repeated("x", 61)), std::nullopt);
  EXPECT_NE(check_user_name("a\x1B[31m"), std::nullopt);
}

TEST(Rules, EmailAddressesLookLikeOnes) {
  for (const auto* email : {"a@b", "anna@example.com", "a.b+c@sub.example.org", "admin@localhost", "x_y@10.0.0.1"}) {
    EXPECT_EQ(check_email(email), std::nullopt) << email;
  }
  for (const auto* email : {"", "a", "@b", "a@", "a b@c", "a@b@c", "a@b..c", ".a@b", "a.@b", "a..b@c", "a@-b", "a@b-", "a@b/c",
                            "\xC3\xBC@b", "a\n@b", "<a>@b"}) {
    EXPECT_NE(check_email(email), std::nullopt) << email;
  }
  EXPECT_EQ(check_email(repeated("a", 64) + "@b"), std::nullopt);
  EXPECT_NE(check_email(repeated("a", 65) + "@b"), std::nullopt);
  EXPECT_NE(check_email("a@" + repeated("b.", 130) + "c"), std::nullopt);
}

TEST(Rules, PasswordsHaveALengthAndAreText) {
  EXPECT_NE(check_password("1234567"), std::nullopt);
  EXPECT_EQ(check_password("12345678"), std::nullopt);
  EXPECT_EQ(check_password(repeated("x", 256)), std::nullopt);
  EXPECT_NE(check_password(repeated("x", 257)), std::nullopt);
  EXPECT_NE(check_password("1234567\xFF"), std::nullopt);
  EXPECT_NE(check_password(std::string_view{"12345678\0", 9}), std::nullopt);
}

TEST(Rules, HomesAreHostsThatFirmwareCanDial) {
  EXPECT_EQ(check_home({}), std::nullopt);
  EXPECT_EQ(check_home({"eu.example.com", 80, 443}), std::nullopt);
  EXPECT_EQ(check_home({"192.168.1.5", 8080, 9443}), std::nullopt);
  EXPECT_EQ(check_home({repeated("a", 63), 80, 443}), std::nullopt);
  EXPECT_NE(check_home({repeated("a", 64), 80, 443}), std::nullopt);
  EXPECT_NE(check_home({"a b", 80, 443}), std::nullopt);
  EXPECT_NE(check_home({"http://a", 80, 443}), std::nullopt);
  EXPECT_NE(check_home({"a..b", 80, 443}), std::nullopt);
  EXPECT_NE(check_home({std::string{"a\0b", 3}, 80, 443}), std::nullopt);
  EXPECT_NE(check_home({"a", 0, 443}), std::nullopt);
  EXPECT_NE(check_home({"a", 80, 0}), std::nullopt);
}

TEST(Rules, TmplIds) {
  EXPECT_TRUE(is_tmpl_id("TMPL1234"));
  EXPECT_TRUE(is_tmpl_id("TMPL03hIx7TL"));
  EXPECT_TRUE(is_tmpl_id("TMPL-_-_-_-_-_-_-_-_"));
  for (const auto* id : {"", "TMPL", "TMPL123", "tmpl1234", "TMPL12345678901234567", "TMPL 1234", "XTMPL1234"})
    EXPECT_FALSE(is_tmpl_id(id)) << id;
  SeededRandom random{1};
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto id = generate_tmpl_id(random);
    EXPECT_EQ(id.size(), 13u);
    EXPECT_TRUE(is_tmpl_id(id));
    EXPECT_EQ(id.find_first_of("-_"), std::string::npos);
    EXPECT_TRUE(seen.insert(id).second);
  }
}

TEST(Rules, TrimAndLower) {
  EXPECT_EQ(trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(trim("   "), "");
  EXPECT_EQ(lower_ascii("AbZ@Ü"), "abz@Ü");
}

Datastream stream(std::uint8_t pin, DataType type, std::string name) {
  Datastream made;
  made.pin = pin;
  made.type = type;
  made.name = std::move(name);
  return made;
}

Template product() {
  Template made;
  made.name = "Weather station";
  made.tmpl_ids = {"TMPL12345678"};
  made.datastreams = {stream(0, DataType::integer, "Level"), stream(1, DataType::enumeration, "Mode"),
                      stream(2, DataType::location, "Place")};
  made.datastreams[0].min = 0;
  made.datastreams[0].max = 100;
  made.datastreams[0].default_value = "50";
  made.datastreams[1].enum_values = {"off", "on"};
  made.datastreams[1].default_value = "on";
  made.meta_fields.push_back({MetaFieldId{1}, "Serial", MetaFieldType::serial, "", "", false, false, false});
  made.events.push_back({EventDefId{1}, "Too hot", "too_hot", "", EventType::warning, false});
  return made;
}

TEST(Rules, ATemplateIsCheckedAsAWhole) {
  EXPECT_EQ(check_template(product()), std::nullopt);
  EXPECT_EQ(check_template([] {
              auto t = product();
              t.datastreams.clear();
              return t;
            }()),
            std::nullopt);
  const auto refused = [](auto change, std::string_view part) {
    auto changed = product();
    change(changed);
    const auto complaint = check_template(changed);
    ASSERT_NE(complaint, std::nullopt) << part;
    EXPECT_NE(complaint->find(part), std::string::npos) << *complaint;
    EXPECT_TRUE(complaint->ends_with('.')) << *complaint;
  };
  refused([](Template& t) { t.name = ""; }, "name");
  refused([](Template& t) { t.tmpl_ids = {"nope"}; }, "TMPL");
  refused([](Template& t) { t.manufacturer = repeated("x", 129); }, "manufacturer");
  refused([](Template& t) { t.description = repeated("x", 1001); }, "description");
  refused([](Template& t) { t.hotspot_prefix = repeated("x", 21); }, "hotspot");
  refused([](Template& t) { t.hotspot_prefix = "a_b"; }, "hotspot");
  refused([](Template& t) { t.hotspot_prefix = "\xC3\xBC"; }, "hotspot");
  refused([](Template& t) { t.datastreams[1].pin = 0; }, "V0 has two");
  refused([](Template& t) { t.datastreams[1].name = "Level"; }, "called");
  refused([](Template& t) { t.datastreams[1].alias = t.datastreams[0].alias = "x"; }, "alias");
  refused([](Template& t) { t.datastreams[0].name = repeated("x", 61); }, "61");
  refused([](Template& t) { t.datastreams[0].min = 101; }, "min above");
  refused([](Template& t) { t.datastreams[0].min = std::numeric_limits<double>::infinity(); }, "finite");
  refused(
      [](Template& t) {
        t.datastreams[0].min = 0.2;
        t.datastreams[0].max = 0.8;
        t.datastreams[0].default_value.clear();
      },
      "whole number");
  refused([](Template& t) { t.datastreams[0].default_value = "much"; }, "default");
  refused([](Template& t) { t.datastreams[1].default_value = "maybe"; }, "default");
  refused([](Template& t) { t.datastreams[1].enum_values.clear(); }, "without values");
  refused([](Template& t) { t.datastreams[1].enum_values = {"a", "a"}; }, "twice");
  refused([](Template& t) { t.datastreams[2].min = 1; }, "only INTEGER and DOUBLE");
  refused([](Template& t) { t.datastreams[0].enum_values = {"a"}; }, "only ENUM");
  refused([](Template& t) { t.datastreams[0].decimals = 16; }, "decimals");
  refused([](Template& t) { t.meta_fields.push_back(t.meta_fields[0]); }, "called \"Serial\"");
  refused([](Template& t) { t.meta_fields[0].name = " Serial"; }, "exact");
  refused([](Template& t) { t.meta_fields.assign(51, t.meta_fields[0]); }, "50");
  refused([](Template& t) { t.events.push_back(t.events[0]); }, "code");
  refused([](Template& t) { t.events[0].code = "too hot"; }, "code");
  refused([](Template& t) { t.connection_type = "wifi"; }, "WI_FI, ETHERNET");
  refused([](Template& t) { t.connection_type = ""; }, "WI_FI");
  refused([](Template& t) { t.events[0].code = ""; }, "code");
  refused([](Template& t) { t.events.assign(101, t.events[0]); }, "100");
}

TEST(Rules, ATemplateMayUseEveryPin) {
  auto full = product();
  full.datastreams.clear();
  for (int pin = 0; pin < 256; ++pin)
    full.datastreams.push_back(stream(static_cast<std::uint8_t>(pin), DataType::string, "S" + std::to_string(pin)));
  EXPECT_EQ(check_template(full), std::nullopt);
  full.datastreams.push_back(full.datastreams[0]);
  EXPECT_NE(check_template(full), std::nullopt);
}

TEST(Rules, WhatDevicesSayCannotSteerATerminal) {
  EXPECT_EQ(printable_text("Lamp 1.2"), "Lamp 1.2");
  EXPECT_EQ(printable_text("a\x1b[2Jb\x7f"), "a [2Jb ");
  EXPECT_EQ(printable_text("a\302\2332Jb"), "a 2Jb");          // U+009B, a C1 control.
  EXPECT_EQ(printable_text("a\x9b\xff\xc3"), "a   ");          // No UTF-8.
  EXPECT_EQ(printable_text("\342\200\256hs.exe"), " hs.exe");  // U+202E turns what follows around.
  EXPECT_EQ(printable_text("Küche 🏠"), "Küche 🏠");
  EXPECT_TRUE(is_printable_text("Küche"));
  EXPECT_FALSE(is_printable_text("a\302\233b"));
  EXPECT_FALSE(is_printable_text("line\nend"));
}

}  // namespace
}  // namespace muster::domain
