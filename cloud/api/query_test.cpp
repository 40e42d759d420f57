// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/query.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace muster::api {
namespace {

std::vector<std::string> pairs(std::string_view query) {
  std::vector<std::string> all;
  QueryReader reader{query};
  QueryReader::Pair pair;
  while (reader.next(pair)) all.push_back(std::string{pair.name} + (pair.has_value ? "=" : "!") + std::string{pair.value});
  return all;
}

TEST(Query, GivesPairsInOrderWithRepeatedKeys) {
  using List = std::vector<std::string>;
  EXPECT_EQ(pairs(""), List{});
  EXPECT_EQ(pairs("a=1&b&c=&a=2"), (List{"a=1", "b!", "c=", "a=2"}));
  EXPECT_EQ(pairs("&&a=1=2&&"), List{"a=1=2"});
  EXPECT_EQ(pairs("=x"), List{"=x"});
}

TEST(Query, DecodesPercentAndPlusAndLeavesWhatIsNoEscape) {
  EXPECT_EQ(percent_decoded("a%20b+c%2B"), "a b c+");
  EXPECT_EQ(percent_decoded("%e4%E4"), "\xe4\xe4");
  EXPECT_EQ(percent_decoded("%"), "%");
  EXPECT_EQ(percent_decoded("%4"), "%4");
  EXPECT_EQ(percent_decoded("%zz%41"), "%zzA");
  EXPECT_EQ(percent_decoded("%00"), std::string(1, '\0'));
}

TEST(Query, PinsAreVAndZeroTo255) {
  EXPECT_EQ(parse_pin("v0"), 0);
  EXPECT_EQ(parse_pin("V255"), 255);
  EXPECT_EQ(parse_pin("v007"), 7);
  for (const std::string_view bad : {"", "v", "V", "1", "v256", "v999", "v0001", "v-1", "v1 ", " v1", "vX", "a1", "d1", "v1.0", "v+1"})
    EXPECT_FALSE(parse_pin(bad)) << bad;
}

}  // namespace
}  // namespace muster::api
