// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cloud/api/rate_limit.hpp"
#include "cloud/api/sign_in_throttle.hpp"

namespace muster::api {
namespace {

using namespace std::chrono_literals;

class Throttle : public ::testing::Test {
 protected:
  ManualClock clock_;
  SignInThrottle throttle_{5, 600s};
};

TEST_F(Throttle, FiveFailuresBlockTheAddressForTheBlockTimeAndNoLonger) {
  for (std::uint64_t account = 1; account <= 5; ++account) EXPECT_FALSE(throttle_.begin(7, account, clock_.now())) << account;
  EXPECT_EQ(throttle_.begin(7, 99, clock_.now()), 600s);
  EXPECT_EQ(throttle_.address_blocked(7, clock_.now()), 600s);
  EXPECT_FALSE(throttle_.begin(8, 98, clock_.now()));  // Another address goes on.
  clock_.advance(599s);
  EXPECT_EQ(throttle_.begin(7, 99, clock_.now()), 1s);
  clock_.advance(1s);
  EXPECT_FALSE(throttle_.begin(7, 99, clock_.now()));
}

TEST_F(Throttle, FiveFailuresBlockTheAccountWhateverTheAddress) {
  for (std::uint64_t address = 1; address <= 5; ++address) EXPECT_FALSE(throttle_.begin(address, 42, clock_.now()));
  EXPECT_TRUE(throttle_.blocked(1000, 42, clock_.now()));
  EXPECT_FALSE(throttle_.blocked(1000, 43, clock_.now()));
}

TEST_F(Throttle, FailuresFarApartDoNotAddUp) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(throttle_.begin(7, 42, clock_.now())) << i;
    clock_.advance(601s);
  }
}

TEST_F(Throttle, ASuccessTakesBackItsChargeAndForgetsTheAccountButNotTheAddress) {
  for (std::uint64_t i = 1; i <= 4; ++i) EXPECT_FALSE(throttle_.begin(7, 42, clock_.now()));
  EXPECT_FALSE(throttle_.begin(7, 42, clock_.now()));  // The fifth: right this time.
  throttle_.succeeded(7, 42);
  EXPECT_FALSE(throttle_.blocked(8, 42, clock_.now()));
  EXPECT_FALSE(throttle_.begin(7, 42, clock_.now()));
  EXPECT_TRUE(throttle_.address_blocked(7, clock_.now()));  // Four failures before, one now.
}

TEST_F(Throttle, WhatTheStoreCouldNotDecideIsNoFailure) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(throttle_.begin(7, 42, clock_.now()));
    throttle_.undecided(7, 42);
  }
  EXPECT_EQ(throttle_.size(), 0u);
}

TEST_F(Throttle, AFloodOfAddressesTakesBoundedMemory) {
  SignInThrottle small{5, 600s, 100};
  for (std::uint64_t i = 1; i <= 10'000; ++i) EXPECT_FALSE(small.begin(i, i, clock_.now()));
  EXPECT_LE(small.size(), 200u);
}

TEST(RateLimit, CountsInWindowsAndSaysHowLongToWait) {
  ManualClock clock;
  RateLimit limit{3, 60s};
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limit.count(1, clock.now()));
  EXPECT_EQ(limit.count(1, clock.now()), 60s);
  EXPECT_EQ(limit.peek(1, clock.now()), 60s);
  EXPECT_FALSE(limit.count(2, clock.now()));
  clock.advance(59s);
  EXPECT_EQ(limit.count(1, clock.now()), 1s);
  clock.advance(1s);
  EXPECT_FALSE(limit.peek(1, clock.now()));
  EXPECT_FALSE(limit.count(1, clock.now()));
}

TEST(RateLimit, ZeroSwitchesItOffAndAFloodOfKeysTakesBoundedMemory) {
  ManualClock clock;
  RateLimit off{0, 60s};
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(off.count(1, clock.now()));
  RateLimit small{1, 60s, 160};
  for (std::uint64_t i = 0; i < 10'000; ++i) (void)small.count(i, clock.now());
  EXPECT_LE(small.size(), 160u);
}

}  // namespace
}  // namespace muster::api
