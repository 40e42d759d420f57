// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/auth_token.hpp"

#include <gtest/gtest.h>

#include <new>
#include <set>
#include <string>

namespace muster {
namespace {

constexpr std::string_view good = "0123456789abcdefghijABCDEFGHIJ-_";

TEST(AuthToken, ParsesThirtyTwoCharactersOfTheAlphabet) {
  const auto token = AuthToken::parse(good);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->reveal(), good);
}

TEST(AuthToken, RefusesEveryOtherLength) {
  for (std::size_t length = 0; length < 70; ++length) {
    if (length == AuthToken::length_chars) continue;
    EXPECT_FALSE(AuthToken::parse(std::string(length, 'a'))) << length;
  }
}

TEST(AuthToken, RefusesEveryCharacterOutsideTheAlphabet) {
  for (int c = 0; c < 256; ++c) {
    std::string text{good};
    text[7] = static_cast<char>(c);
    const bool allowed = std::string_view{"-_"}.find(static_cast<char>(c)) != std::string_view::npos ||
                         (c < 128 && ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')));
    EXPECT_EQ(AuthToken::parse(text).has_value(), allowed) << c;
  }
}

TEST(AuthToken, TrimsWhiteSpaceAroundButNotInside) {
  EXPECT_TRUE(AuthToken::parse(" \t\r\n" + std::string{good} + "\n "));
  EXPECT_FALSE(AuthToken::parse("0123456789abcdef hijABCDEFGHIJ-_"));
  EXPECT_FALSE(AuthToken::parse("   "));
  EXPECT_FALSE(AuthToken::parse(std::string{good} + '\0'));
}

TEST(AuthToken, GeneratesTokensThatParseAndDiffer) {
  SecureRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const AuthToken token = AuthToken::generate(random);
    EXPECT_TRUE(AuthToken::parse(token.reveal()));
    EXPECT_TRUE(seen.emplace(token.reveal()).second);
  }
}

TEST(AuthToken, UsesAllSixBitsOfEachCharacter) {
  SeededRandom random{1};
  std::set<char> seen;
  for (int i = 0; i < 200; ++i) {
    const AuthToken token = AuthToken::generate(random);
    seen.insert(token.reveal().begin(), token.reveal().end());
  }
  EXPECT_EQ(seen.size(), 64u);
}

TEST(AuthToken, IsWipedWhenDestroyed) {
  alignas(AuthToken) std::array<unsigned char, sizeof(AuthToken)> memory{};
  auto* token = new (memory.data()) AuthToken{*AuthToken::parse(good)};
  const void* chars = token->reveal().data();
  ASSERT_EQ(chars, memory.data());
  token->~AuthToken();
  const volatile unsigned char* bytes = memory.data();
  for (std::size_t i = 0; i < memory.size(); ++i) EXPECT_EQ(bytes[i], 0);
}

}  // namespace
}  // namespace muster
