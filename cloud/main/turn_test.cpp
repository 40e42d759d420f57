// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/turn.hpp"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

namespace muster::main {
namespace {

TEST(Turn, WhatAThreadsWorkThrowsCostsThatTurnOnly) {
  int turns = 0;
  EXPECT_FALSE(take_turn("test", [&] {
    ++turns;
    throw std::bad_alloc{};
  }));
  EXPECT_FALSE(take_turn("test", [] { throw std::runtime_error{"a library insists"}; }));
  EXPECT_FALSE(take_turn("test", [] { throw 1; }));
  EXPECT_TRUE(take_turn("test", [&] { ++turns; }));
  EXPECT_EQ(turns, 2);
}

}  // namespace
}  // namespace muster::main
