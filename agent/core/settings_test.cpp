// SPDX-License-Identifier: Apache-2.0
#include "agent/core/settings.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace muster::agent {
namespace {

SetupSettings good() {
  SetupSettings settings;
  settings.set("ssid", "home");
  settings.set("pass", "12345678");
  settings.set("blynk", "0123456789abcdefghijklmnopqrstuv");
  return settings;
}

TEST(SetupSettings, TakesEveryKeyOfBothGenerations) {
  SetupSettings settings = good();
  for (const char* key :
       {"if", "ssid", "ssidManual", "pass", "blynk", "host", "port", "port_ssl", "ip", "mask", "gw", "dns", "dns2", "save"}) {
    EXPECT_TRUE(SetupSettings{}.set(key, "")) << key;
  }
  EXPECT_FALSE(settings.set("other", "x"));
  EXPECT_FALSE(settings.set("", ""));
  EXPECT_TRUE(settings.valid(false));
}

TEST(SetupSettings, WhatCannotBeIsInvalidAndMayBePutRight) {
  const std::vector<std::pair<const char*, std::string>> bad = {{"if", "cell"},
                                                                {"if", "WIFI"},
                                                                {"ssid", std::string(33, 'x')},
                                                                {"pass", "1234567"},
                                                                {"pass", std::string(64, 'g')},
                                                                {"pass", std::string(65, 'a')},
                                                                {"blynk", "short"},
                                                                {"blynk", std::string(33, 'a')},
                                                                {"host", "a b"},
                                                                {"host", std::string(64, 'h')},
                                                                {"port", "65536"},
                                                                {"port_ssl", "x"},
                                                                {"ip", "10.0.0"},
                                                                {"ip", "10.0.0.256"},
                                                                {"mask", "x"},
                                                                {"gw", "1.2.3.4.5"},
                                                                {"dns", "1..2.3"},
                                                                {"dns2", " 1.2.3.4"}};
  for (const auto& [key, value] : bad) {
    SetupSettings settings = good();
    EXPECT_TRUE(settings.set(key, value));
    EXPECT_FALSE(settings.valid(false)) << key << '=' << value;
  }
  SetupSettings settings = good();
  settings.set("pass", "short");
  settings.set("pass", "long enough");
  EXPECT_TRUE(settings.valid(false));
}

TEST(SetupSettings, TheLimitsThemselvesAreGood) {
  SetupSettings settings = good();
  settings.set("ssid", std::string(32, '\xff'));
  for (const std::string& pass : {std::string(), std::string(8, 'p'), std::string(63, 'p'), std::string(32, 'a') + std::string(32, 'F')}) {
    settings.set("pass", pass);
    EXPECT_TRUE(settings.valid(false)) << pass;
  }
  settings.set("port", "65535");
  settings.set("ip", "255.255.255.255");
  EXPECT_TRUE(settings.valid(false));
}

TEST(SetupSettings, NeedsTokenAndNetwork) {
  SetupSettings settings;
  EXPECT_FALSE(settings.valid(false));
  settings.set("ssid", "home");
  EXPECT_FALSE(settings.valid(false));
  settings.set("blynk", "0123456789abcdefghijklmnopqrstuv");
  EXPECT_TRUE(settings.valid(false));
  settings.set("ssid", "");
  EXPECT_FALSE(settings.valid(false));
  settings.set("if", "eth");
  EXPECT_FALSE(settings.valid(false));
  EXPECT_TRUE(settings.valid(true));
}

TEST(SetupSettings, ATypedNameWins) {
  SetupSettings settings;
  settings.set("ssidManual", "typed");
  settings.set("ssid", "listed");
  EXPECT_EQ(settings.network().ssid.view(), "typed");
  SetupSettings other;
  other.set("ssid", "listed");
  other.set("ssidManual", "");
  EXPECT_EQ(other.network().ssid.view(), "listed");
}

TEST(SetupSettings, SaveIsANumberOrAWord) {
  for (const auto& [value, expected] :
       {std::pair{"1", true}, {"2", true}, {"true", true}, {"TrUe", true}, {"0", false}, {"", false}, {"false", false}, {"yes", false}}) {
    SetupSettings settings;
    settings.set("save", value);
    EXPECT_EQ(settings.save(), expected) << value;
  }
}

TEST(SetupSettings, AMaskIsOnesThenZeros) {
  SetupSettings settings = good();
  settings.set("ip", "10.0.0.2");
  for (const char* mask : {"255.255.255.0", "255.255.255.255", "128.0.0.0", "255.255.254.0"}) {
    settings.set("mask", mask);
    EXPECT_TRUE(settings.valid(false)) << mask;
  }
  for (const char* mask : {"255.0.255.0", "0.0.0.255", "254.255.255.0"}) {
    settings.set("mask", mask);
    EXPECT_FALSE(settings.valid(false)) << mask;
  }
}

TEST(Addresses, GoThereAndBack) {
  for (const char* text : {"0.0.0.0", "192.168.4.1", "255.255.255.255", "10.20.30.40", "1.100.9.200"}) {
    std::uint32_t address = 1;
    ASSERT_TRUE(parse_ipv4(text, address));
    EXPECT_EQ(format_ipv4(address).view(), text);
  }
  std::uint32_t address = 7;
  for (const char* bad : {"", ".", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4x", "1.2.3.+4", "0001.2.3.4", "1.2.3.999"}) {
    EXPECT_FALSE(parse_ipv4(bad, address)) << bad;
  }
  EXPECT_EQ(address, 7U);
  EXPECT_EQ(format_mac({0xaa, 0x0b, 0, 0xff, 0x10, 0x01}).view(), "AA:0B:00:FF:10:01");
}

}  // namespace
}  // namespace muster::agent
