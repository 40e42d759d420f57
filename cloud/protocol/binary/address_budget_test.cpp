// SPDX-License-Identifier: Apache-2.0
#include "cloud/protocol/binary/address_budget.hpp"

#include <gtest/gtest.h>

namespace muster::protocol {
namespace {

using namespace std::chrono_literals;
const Instant t0{1h};

TEST(AddressBudget, GivesSoManyASecondAndNotOneMore) {
  AddressBudget budget;
  const IpAddress address = IpAddress::from_v4(0x01020304);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(budget.take(address, 20, t0));
  EXPECT_FALSE(budget.take(address, 20, t0));
  EXPECT_FALSE(budget.take(address, 20, t0 + 40ms));
  EXPECT_TRUE(budget.take(address, 20, t0 + 100ms));
  int taken = 0;
  for (int i = 0; i < 1'000; ++i) taken += budget.take(address, 20, t0 + 100ms + i * 10ms) ? 1 : 0;
  EXPECT_NEAR(taken, 200, 5);
}

TEST(AddressBudget, OneAddressDoesNotSpendAnothersBudget) {
  AddressBudget budget;
  while (budget.take(IpAddress::from_v4(1), 5, t0)) {}
  EXPECT_TRUE(budget.take(IpAddress::from_v4(2), 5, t0));
}

TEST(AddressBudget, AnIpv6NetworkHasOneBudget) {
  AddressBudget budget;
  int taken = 0;
  for (int i = 1; i < 100; ++i) taken += budget.take(*IpAddress::parse("2001:db8::" + std::to_string(i)), 5, t0) ? 1 : 0;
  EXPECT_EQ(taken, 5);
}

TEST(AddressBudget, ManyAddressesDoNotMakeItGrowOrRefuse) {
  AddressBudget budget;
  for (std::uint32_t i = 0; i < 100'000; ++i) EXPECT_TRUE(budget.take(IpAddress::from_v4(i), 1, t0));
}

}  // namespace
}  // namespace muster::protocol
