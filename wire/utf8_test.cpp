// SPDX-License-Identifier: Apache-2.0
#include "wire/utf8.hpp"

#include <gtest/gtest.h>

namespace muster::wire {
namespace {

using namespace std::string_view_literals;

TEST(Utf8, CharactersThatCanBeShown) {
  for (const auto& [text, size] : {std::pair{"ab"sv, 1U},
                                   {"~"sv, 1U},
                                   {"\xc2\xa0x"sv, 2U},
                                   {"\xc3\xa4"sv, 2U},
                                   {"\xe2\x82\xac..."sv, 3U},
                                   {"\xe2\x80\xa7"sv, 3U},
                                   {"\xf0\x9f\x8c\xa1"sv, 4U},
                                   {"\xf4\x8f\xbf\xbd"sv, 4U}}) {
    EXPECT_EQ(first_character(text).size_bytes, size) << text;
    EXPECT_TRUE(first_character(text).shown) << text;
  }
}

TEST(Utf8, CharactersThatCannot) {
  for (const auto& [text, size] : {std::pair{"\0"sv, 1U},
                                   {"\x1b[2J"sv, 1U},
                                   {"\x7f"sv, 1U},
                                   {"\xc2\x80"sv, 2U},
                                   {"\xc2\x9b"sv, 2U},
                                   {"\xe2\x80\xa8"sv, 3U},
                                   {"\xe2\x80\xae"sv, 3U},
                                   {"\xe2\x81\xa6"sv, 3U},
                                   {"\xe2\x81\xa9"sv, 3U}}) {
    EXPECT_EQ(first_character(text).size_bytes, size);
    EXPECT_FALSE(first_character(text).shown);
  }
}

TEST(Utf8, WhatIsNone) {
  for (const auto bad : {"\x80"sv, "\xbf\xbf"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xc3"sv, "\xc3z"sv, "\xe0\x80\x80"sv, "\xe2\x82"sv,
                         "\xed\xa0\x80"sv, "\xf0\x80\x80\x80"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv})
    EXPECT_EQ(first_character(bad).size_bytes, 0U);
}

}  // namespace
}  // namespace muster::wire
