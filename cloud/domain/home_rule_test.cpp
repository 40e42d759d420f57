// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/home_rule.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace muster::domain {
namespace {

const std::vector<std::string> own{"iot.example", "203.0.113.5"}, sends_back{"old.example"};

bool elsewhere(const std::string& host, std::string_view local = "10.0.0.9") {
  return is_elsewhere({host, 80, 443}, own, sends_back, IpAddress::parse(local));
}

TEST(HomeRule, AnotherNodeIsElsewhere) {
  for (const char* host : {"eu.example", "example", "iot.example.org", "10.0.0.8", "2001:db8::1", "localhost.example", "old.example.org"})
    EXPECT_TRUE(elsewhere(host)) << host;
}

TEST(HomeRule, NoHomeIsHere) { EXPECT_FALSE(elsewhere("")); }

TEST(HomeRule, TheNodesOwnNamesAreHereInEverySpelling) {
  for (const char* host : {"iot.example", "IOT.Example", "iot.example.", "203.0.113.5", "::ffff:203.0.113.5"})
    EXPECT_FALSE(elsewhere(host)) << host;
}

TEST(HomeRule, AHostThatSendsBackIsNoPlaceToGo) {
  EXPECT_FALSE(elsewhere("old.example"));
  EXPECT_FALSE(elsewhere("OLD.example."));
}

TEST(HomeRule, TheAddressThatTheConnectionCameInOnIsHere) {
  EXPECT_FALSE(elsewhere("10.0.0.9"));
  EXPECT_FALSE(elsewhere("2001:db8::1", "2001:db8::1"));
  EXPECT_FALSE(elsewhere("2001:db8:0:0::1", "2001:db8::1"));
  EXPECT_FALSE(elsewhere("[2001:db8::1]", "2001:db8::1"));
  EXPECT_TRUE(elsewhere("10.0.0.9", "10.0.0.8"));
  EXPECT_TRUE(elsewhere("10.0.0.9", "unknown"));
}

TEST(HomeRule, LoopbackAndAnyAddressAreHere) {
  for (const char* local : {"10.0.0.9", "127.0.0.1", "::1", "unknown"}) {
    for (const char* host : {"localhost", "LocalHost", "localhost.", "127.0.0.1", "::1", "[::1]", "::ffff:127.0.0.1", "0.0.0.0", "::"})
      EXPECT_FALSE(elsewhere(host, local)) << host << " on " << local;
  }
}

TEST(HomeRule, NodesOnOneMachineMayShareTheLoopbackNet) {
  EXPECT_TRUE(elsewhere("127.0.0.2", "127.0.0.1"));
  EXPECT_FALSE(elsewhere("127.0.0.2", "127.0.0.2"));
  EXPECT_FALSE(elsewhere("127.0.0.2", "10.0.0.9")) << "a device elsewhere would look for it on itself";
}

}  // namespace
}  // namespace muster::domain
