// SPDX-License-Identifier: Apache-2.0
#include "agent/app/vitals.hpp"

#include <gtest/gtest.h>

namespace muster::agent::app {
namespace {

TEST(Vitals, ReadsWhatTheKernelWrites) {
  EXPECT_EQ(parse_uptime_s("350735.47 234388.90\n"), 350735);
  EXPECT_EQ(parse_load("0.42 0.37 0.30 1/512 12345\n"), "0.42");
  EXPECT_EQ(parse_available_mb("MemTotal:       16384 kB\nMemFree:        1 kB\nMemAvailable:   2000000 kB\nBuffers: 1 kB\n"), 2048);
}

TEST(Vitals, KnowsNothingFromBrokenText) {
  for (const char* broken : {"", "x", "-1.0 2", " ", "\n"}) {
    EXPECT_FALSE(parse_uptime_s(broken).has_value()) << broken;
    EXPECT_FALSE(parse_load(broken).has_value()) << broken;
  }
  for (const char* broken : {"", "MemAvailable:", "MemAvailable:    ", "MemAvailable: kB", "MemAvailable: -5 kB",
                             "MemAvailable: 99999999999999999999 kB", "MemAvailable: 9223372036854775807 kB"}) {
    EXPECT_FALSE(parse_available_mb(broken).has_value()) << broken;
  }
}

TEST(Vitals, AreKnownOnThisMachine) {
  const Vitals vitals = read_vitals();
  EXPECT_TRUE(vitals.uptime_s.has_value());
  EXPECT_TRUE(vitals.load.has_value());
  EXPECT_TRUE(vitals.available_mb.has_value());
}

}  // namespace
}  // namespace muster::agent::app
