// SPDX-License-Identifier: Apache-2.0
#include "agent/core/backoff.hpp"

#include <gtest/gtest.h>

namespace muster::agent {
namespace {

struct Fixed final : RandomSource {
  std::uint32_t value = 0;
  std::uint32_t next() override { return value; }
};

TEST(Exponential, DoublesUpToTheCap) {
  EXPECT_EQ(exponential_ms(2000, 60000, 0), 2000U);
  EXPECT_EQ(exponential_ms(2000, 60000, 1), 4000U);
  EXPECT_EQ(exponential_ms(2000, 60000, 4), 32000U);
  EXPECT_EQ(exponential_ms(2000, 60000, 5), 60000U);
  EXPECT_EQ(exponential_ms(2000, 60000, 4'000'000'000U), 60000U);
  EXPECT_EQ(exponential_ms(0xffffffffU, 0xffffffffU, 5), 0xffffffffU);
}

TEST(Jitter, CoversItsWholeRangeAndNoMore) {
  Fixed random;
  EXPECT_EQ(full_jitter_ms(2000, 60000, 1, random), 0U);
  EXPECT_EQ(equal_jitter_ms(2000, 60000, 1, random), 4000U);
  random.value = 0xffffffffU;
  EXPECT_EQ(full_jitter_ms(2000, 60000, 1, random), 4000U);
  EXPECT_EQ(equal_jitter_ms(2000, 60000, 1, random), 2000U);
  EXPECT_EQ(random_up_to(0xffffffffU, random), 0xffffffffU);
  EXPECT_EQ(random_up_to(0, random), 0U);
}

}  // namespace
}  // namespace muster::agent
