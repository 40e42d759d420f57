// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

namespace muster {
namespace {

/// Hands out given words, big-endian as `below` reads them.
class ScriptedRandom final : public Random {
 public:
  explicit ScriptedRandom(std::vector<std::uint64_t> words) : words_{std::move(words)} {}
  void fill(std::span<std::uint8_t> out) noexcept override {
    const std::uint64_t word = words_[next_++];
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(word >> (56 - 8 * i));
  }
  [[nodiscard]] std::size_t used() const { return next_; }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t next_ = 0;
};

TEST(SeededRandom, RepeatsItselfAndDependsOnTheSeed) {
  std::array<std::uint8_t, 37> a{};
  std::array<std::uint8_t, 37> b{};
  std::array<std::uint8_t, 37> c{};
  SeededRandom{42}.fill(a);
  SeededRandom{42}.fill(b);
  SeededRandom{43}.fill(c);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

TEST(SeededRandom, KeepsItsStreamForever) {
  // Seeds in old bug reports must bring the same run back.
  std::array<std::uint8_t, 8> bytes{};
  SeededRandom{0}.fill(bytes);
  EXPECT_EQ(bytes, (std::array<std::uint8_t, 8>{0xaf, 0xcd, 0x1d, 0x7b, 0x39, 0xa8, 0x20, 0xe2}));
}

TEST(Random, BelowStaysBelowAndReachesEveryValue) {
  SeededRandom random{7};
  std::array<int, 10> counts{};
  for (int i = 0; i < 10'000; ++i) ++counts.at(random.below(10));
  EXPECT_GT(*std::min_element(counts.begin(), counts.end()), 850);
  EXPECT_LT(*std::max_element(counts.begin(), counts.end()), 1150);
  EXPECT_EQ(random.below(1), 0u);
}

TEST(Random, BelowThrowsAwayWhatWouldFavourSmallValues) {
  // 2^64 mod 3 is 1: the word 0 is drawn again.
  ScriptedRandom random{{0, 1}};
  EXPECT_EQ(random.below(3), 1u);
  EXPECT_EQ(random.used(), 2u);
  ScriptedRandom power_of_two{{0}};
  EXPECT_EQ(power_of_two.below(std::uint64_t{1} << 63), 0u);
  ScriptedRandom largest{{0, std::numeric_limits<std::uint64_t>::max()}};
  EXPECT_EQ(largest.below(std::numeric_limits<std::uint64_t>::max()), 0u);
}

TEST(SecureRandom, FillsAndDiffers) {
  SecureRandom random;
  std::array<std::uint8_t, 32> a{};
  std::array<std::uint8_t, 32> b{};
  random.fill(a);
  random.fill(b);
  EXPECT_NE(a, b);
  random.fill({});
}

}  // namespace
}  // namespace muster
