// SPDX-License-Identifier: Apache-2.0
#include "cloud/protocol/binary/invalid_guard.hpp"

#include <gtest/gtest.h>

namespace muster::protocol {
namespace {

using namespace std::chrono_literals;

IpAddress v4(std::uint32_t n) { return IpAddress::from_v4(0x0A000000u + n); }
const Instant t0{1h};

TEST(InvalidGuard, StrangersNeverTripIt) {
  InvalidGuard guard{3, 1'000};
  for (std::uint32_t i = 0; i < 10'000; ++i) EXPECT_TRUE(guard.ask(v4(i), t0).may_answer);
  EXPECT_FALSE(guard.open(t0));
}

TEST(InvalidGuard, OpensAtOneKnownAddressMoreThanAllowed) {
  InvalidGuard guard{3, 1'000};
  for (std::uint32_t i = 0; i < 10; ++i) guard.remember(v4(i));
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(guard.ask(v4(i), t0).may_answer);
  const auto fourth = guard.ask(v4(3), t0 + 59s);
  EXPECT_FALSE(fourth.may_answer);
  EXPECT_TRUE(fourth.opened);
  const auto fifth = guard.ask(v4(4), t0 + 59s);
  EXPECT_FALSE(fifth.may_answer);
  EXPECT_FALSE(fifth.opened) << "the operator is told once";
  EXPECT_FALSE(guard.ask(v4(500), t0 + 59s).may_answer) << "a device may come from a new address: nobody hears it now";
}

TEST(InvalidGuard, CountsAnAddressOnce) {
  InvalidGuard guard{2, 1'000};
  guard.remember(v4(1));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(guard.ask(v4(1), t0 + i * 1s).may_answer);
}

TEST(InvalidGuard, ClosesWhenAMinuteHasPassedWithFewEnough) {
  InvalidGuard guard{2, 1'000};
  for (std::uint32_t i = 0; i < 10; ++i) guard.remember(v4(i));
  for (std::uint32_t i = 0; i < 3; ++i) static_cast<void>(guard.ask(v4(i), t0));
  EXPECT_TRUE(guard.open(t0 + 59s));
  EXPECT_FALSE(guard.open(t0 + 60s));
  EXPECT_TRUE(guard.ask(v4(5), t0 + 60s).may_answer);
}

TEST(InvalidGuard, StaysOpenWhileTheFleetKeepsAsking) {
  InvalidGuard guard{2, 1'000};
  for (std::uint32_t i = 0; i < 10; ++i) guard.remember(v4(i));
  for (int second = 0; second < 600; second += 5) {
    for (std::uint32_t i = 0; i < 10; ++i) {
      const auto verdict = guard.ask(v4(i), t0 + second * 1s);
      EXPECT_EQ(verdict.may_answer, second == 0 && i < 2) << second << ' ' << i;
    }
  }
}

TEST(InvalidGuard, ALimitOfZeroSilencesAllThatWereKnown) {
  InvalidGuard guard{0, 1'000};
  guard.remember(v4(1));
  EXPECT_TRUE(guard.ask(v4(2), t0).may_answer);
  EXPECT_FALSE(guard.ask(v4(1), t0).may_answer);
}

TEST(InvalidGuard, RemembersAtMostWhatItMayAndForgetsTheOldest) {
  InvalidGuard guard{3, 3'200};
  for (std::uint32_t i = 0; i < 100'000; ++i) guard.remember(v4(i));
  std::size_t known = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i) known += guard.known(v4(i)) ? 1 : 0;
  EXPECT_LE(known, 3'200u);
  EXPECT_GE(known, 1'000u);
  EXPECT_TRUE(guard.known(v4(99'999)));
  EXPECT_FALSE(guard.known(v4(0)));
}

TEST(InvalidGuard, AnAddressThatComesBackStaysKnown) {
  InvalidGuard guard{3, 3'200};
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    guard.remember(v4(i + 10));
    if (i % 500 == 0) guard.remember(v4(1));
  }
  EXPECT_TRUE(guard.known(v4(1)));
}

TEST(InvalidGuard, AnIpv6NetworkIsOneAddress) {
  InvalidGuard guard{1, 100};
  const auto a = *IpAddress::parse("2001:db8:1:2::1"), b = *IpAddress::parse("2001:db8:1:2::ffff"),
             other = *IpAddress::parse("2001:db8:1:3::1");
  guard.remember(a);
  EXPECT_TRUE(guard.known(b));
  EXPECT_FALSE(guard.known(other));
}

TEST(InvalidGuard, TakesNewLimits) {
  InvalidGuard guard{100, 1'000};
  for (std::uint32_t i = 0; i < 10; ++i) guard.remember(v4(i));
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_TRUE(guard.ask(v4(i), t0).may_answer);
  guard.set_limits(2, 1'000);
  EXPECT_FALSE(guard.ask(v4(1), t0 + 1s).may_answer);
  guard.set_limits(100, 1'000);
  EXPECT_TRUE(guard.ask(v4(1), t0 + 2s).may_answer);
}

}  // namespace
}  // namespace muster::protocol
