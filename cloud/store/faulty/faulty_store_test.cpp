// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/faulty/faulty_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <string>
#include <thread>

#include "cloud/domain/fake_store.hpp"

namespace muster::store {
namespace {

using namespace std::chrono_literals;
using domain::StoreError;
using domain::UnknownTokens;

class Faulty : public testing::Test {
 protected:
  Error error_of_check() {
    const auto result = store.check();
    return result ? Error{} : result.error();
  }
  domain::FakeStore below;
  FaultyStore store{below};
  FaultScript& script = store.script;
};

TEST_F(Faulty, WithoutRulesItIsTheStoreBelow) {
  EXPECT_TRUE(store.check());
  EXPECT_TRUE(store.set_unknown_tokens(UnknownTokens::hold, {}));
  EXPECT_EQ(store.unknown_tokens().value(), UnknownTokens::hold);
  EXPECT_EQ(below.mode, UnknownTokens::hold);
  EXPECT_EQ(script.injected(), 0u);
  EXPECT_EQ(script.calls("check"), 1u);
  EXPECT_EQ(script.calls(FaultScript::all), 3u);
  EXPECT_EQ(script.calls("find_token"), 0u);
}

TEST_F(Faulty, DownFailsEverythingUntilCleared) {
  script.down(StoreError::busy);
  EXPECT_EQ(error_of_check(), Error{StoreError::busy});
  EXPECT_FALSE(store.set_unknown_tokens(UnknownTokens::hold, {}));
  EXPECT_EQ(below.mode, UnknownTokens::refuse) << "it never came that far";
  EXPECT_EQ(script.injected(), 2u);
  script.clear();
  EXPECT_TRUE(store.check());
}

TEST_F(Faulty, TheNextSoManyOfOneOperationFail) {
  script.fail_next("check", 2, StoreError::corrupt);
  EXPECT_TRUE(store.unknown_tokens());
  EXPECT_EQ(error_of_check(), Error{StoreError::corrupt});
  EXPECT_EQ(error_of_check(), Error{StoreError::corrupt});
  EXPECT_TRUE(store.check());
  EXPECT_EQ(script.injected(), 2u);
}

TEST(FaultScripts, SomeFailAndTheSameSeedFailsTheSame) {
  const auto run = [](std::uint64_t seed) {
    domain::FakeStore below;
    FaultyStore store{below, seed};
    store.script.fail_sometimes("check", 0.5, StoreError::unavailable);
    std::string trace;
    for (int i = 0; i < 200; ++i) trace += store.check() ? '.' : 'x';
    return trace;
  };
  const std::string trace = run(3);
  EXPECT_EQ(trace, run(3));
  EXPECT_NE(trace, run(4));
  const auto failed = std::count(trace.begin(), trace.end(), 'x');
  EXPECT_GT(failed, 60);
  EXPECT_LT(failed, 140);
}

TEST_F(Faulty, ALostAnswerIsOfWorkThatWasDone) {
  script.lose_next_answers("set_unknown_tokens", 1, StoreError::busy);
  const auto answer = store.set_unknown_tokens(UnknownTokens::hold, {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error(), Error{StoreError::busy});
  EXPECT_EQ(below.mode, UnknownTokens::hold);
  EXPECT_EQ(script.injected(), 1u);
  EXPECT_TRUE(store.set_unknown_tokens(UnknownTokens::refuse, {}));
  EXPECT_EQ(below.mode, UnknownTokens::refuse);
}

TEST_F(Faulty, SlowRulesAddUpAndWaitWithTheClockGiven) {
  std::chrono::milliseconds waited{0};
  script.set_sleep([&](std::chrono::milliseconds time) { waited += time; });
  script.slow("check", 30ms);
  script.slow(FaultScript::all, 5ms);
  EXPECT_TRUE(store.check());
  EXPECT_EQ(waited, 35ms);
  EXPECT_TRUE(store.unknown_tokens());
  EXPECT_EQ(waited, 40ms);
  EXPECT_EQ(script.injected(), 0u) << "late is no error";
}

TEST_F(Faulty, SlowSleepsByItself) {
  script.slow("check", 5ms);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(store.check());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 5ms);
}

TEST_F(Faulty, AHangingOperationHasNotBegunAndEndsWithItsRelease) {
  for (const bool clear : {false, true}) {
    below.mode = UnknownTokens::refuse;
    script.hang("set_unknown_tokens");
    EXPECT_FALSE(script.wait_until_hanging(1, 1ms));
    auto hanging = std::async(std::launch::async, [&] { return store.set_unknown_tokens(UnknownTokens::hold, {}).has_value(); });
    ASSERT_TRUE(script.wait_until_hanging(1, 10s));
    EXPECT_EQ(script.hanging(), 1u);
    EXPECT_EQ(store.unknown_tokens().value(), UnknownTokens::refuse) << "others go on";
    clear ? script.clear() : script.release();
    EXPECT_TRUE(hanging.get());
    EXPECT_EQ(below.mode, UnknownTokens::hold);
    EXPECT_EQ(script.hanging(), 0u);
    EXPECT_TRUE(store.set_unknown_tokens(UnknownTokens::hold, {})) << "a release ends the rule";
  }
}

TEST_F(Faulty, WhatWasLiftedWhileItHungNoLongerHolds) {
  script.hang("check");
  script.fail_next("check", 1, StoreError::busy);
  auto hanging = std::async(std::launch::async, [&] { return store.check().has_value(); });
  ASSERT_TRUE(script.wait_until_hanging(1, 10s));
  script.clear();
  EXPECT_TRUE(hanging.get());
}

TEST_F(Faulty, TheFirstRuleThatFiresDecides) {
  script.fail_next("check", 1, StoreError::busy);
  script.down(StoreError::unavailable);
  EXPECT_EQ(error_of_check(), Error{StoreError::busy});
  EXPECT_EQ(error_of_check(), Error{StoreError::unavailable});
}

}  // namespace
}  // namespace muster::store
