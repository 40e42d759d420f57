// SPDX-License-Identifier: Apache-2.0
#include "cloud/protocol/binary/redirect_guard.hpp"

#include <gtest/gtest.h>

namespace muster::protocol {
namespace {

using namespace std::chrono_literals;
const Instant t0{1h};
const DeviceId a{1}, b{2};

TEST(RedirectGuard, AThirdRedirectIsFineAFourthWithinHalfAMinuteIsACircle) {
  RedirectGuard guard;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(guard.ask(a, "eu.example", t0 + i * 1s));
  EXPECT_FALSE(guard.ask(a, "eu.example", t0 + 30s));
}

TEST(RedirectGuard, SlowReturnsAreNoCircle) {
  RedirectGuard guard;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(guard.ask(a, "eu.example", t0 + i * 11s));
}

TEST(RedirectGuard, NobodyIsSentToAHostThatSendsBackForTenMinutes) {
  RedirectGuard guard;
  for (int i = 0; i < 4; ++i) static_cast<void>(guard.ask(a, "eu.example", t0));
  EXPECT_FALSE(guard.ask(b, "eu.example", t0 + 1s));
  EXPECT_TRUE(guard.ask(b, "us.example", t0 + 1s));
  EXPECT_FALSE(guard.ask(b, "eu.example", t0 + 599s));
  EXPECT_TRUE(guard.ask(b, "eu.example", t0 + 600s));
}

TEST(RedirectGuard, ManyDevicesRedirectedOnceEachAreNoCircleAndTakeBoundedRoom) {
  RedirectGuard guard;
  for (int i = 1; i < 200'000; ++i) EXPECT_TRUE(guard.ask(DeviceId{i}, "eu.example", t0));
  EXPECT_LE(guard.device_count(), RedirectGuard::devices_max);
  EXPECT_TRUE(guard.ask(DeviceId{500'000}, "eu.example", t0 + 31s));
  EXPECT_EQ(guard.device_count(), 1u) << "those of the last half minute make room";
}

TEST(RedirectGuard, RemembersABoundedNumberOfHosts) {
  RedirectGuard guard;
  for (int host = 0; host < 3'000; ++host) {
    for (int i = 0; i < 4; ++i) static_cast<void>(guard.ask(a, "h" + std::to_string(host), t0));
  }
  EXPECT_FALSE(guard.ask(b, "h2999", t0));
}

}  // namespace
}  // namespace muster::protocol
