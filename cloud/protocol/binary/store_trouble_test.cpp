// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "cloud/protocol/testing/rig.hpp"
#include "cloud/store/faulty/faulty_store.hpp"

/// Logins of live tokens that the index does not know yet, because they were made a moment ago, while the store has trouble: they
/// wait, and are closed without an answer or let in. Nobody hears "invalid token" whose token is good.
namespace muster::protocol::testing {
namespace {

using namespace std::chrono_literals;
using domain::StoreError;
using wire::Status;

class StoreTrouble : public ::testing::Test {
 protected:
  void SetUp() override {
    published = rig.make_template();
    ASSERT_TRUE(views.rebuild());
    rig.gateway =
        std::make_unique<DeviceGateway>(DeviceGateway::Dependencies{faulty, views, rig.sessions, rig.values, rig.presence, rig.timeline,
                                                                    rig.live, *rig.keys, rig.executor, rig.router, rig.clock, rig.metrics},
                                        GatewayLimits{});
  }
  /// A token that the store has, and the index has not.
  Rig::Made fresh() { return rig.make_device(published); }
  /// From an address of its own: what one address may ask is another matter.
  Connection& log_in(const AuthToken& token) {
    const std::size_t n = rig.connections.size();
    Connection& connection = rig.connect(Rig::peer("10.1." + std::to_string(n / 250) + "." + std::to_string(n % 250 + 1)));
    connection.feed(frame(29, 1, token.reveal()));
    return connection;
  }
  /// After `time`: closed by the hold, and nothing was said.
  void expect_held(Connection& connection, Duration time = 4s) {
    rig.pass(time);
    EXPECT_EQ(connection.closed_because, CloseReason::held);
    EXPECT_TRUE(connection.take().empty());
    EXPECT_EQ(rig.metrics.logins_invalid_total.value(), 0u);
  }
  void expect_in(Connection& connection) { EXPECT_EQ(connection.take(), (std::vector{response(1, Status::success)})); }

  Rig rig;
  store::FaultyStore faulty{rig.store};
  domain::Views views{faulty};
  domain::Template published;
};

TEST_F(StoreTrouble, AFreshTokenIsLetInWhenThereIsNone) {
  const Rig::Made made = fresh();
  Connection& connection = log_in(made.token);
  EXPECT_TRUE(connection.step.paused);
  rig.settle();
  expect_in(connection);
  EXPECT_EQ(faulty.script.calls("find_token"), 1u);
}

TEST_F(StoreTrouble, AStoreThatFailsHoldsWhateverTheReason) {
  for (const StoreError why : {StoreError::unavailable, StoreError::busy, StoreError::read_only, StoreError::disk_full, StoreError::corrupt,
                               StoreError::newer_version, StoreError::shutting_down}) {
    faulty.script.down(why);
    expect_held(log_in(fresh().token));
    faulty.script.clear();
  }
  EXPECT_GE(faulty.script.injected(), 7u);
}

TEST_F(StoreTrouble, AnIndexThatCannotCatchUpHolds) {
  faulty.script.fail_next("changes_after", 1'000, StoreError::busy);
  expect_held(log_in(fresh().token));
  EXPECT_GE(faulty.script.injected(), 1u);
}

TEST_F(StoreTrouble, ALookUpThatFailsOrWhoseAnswerIsLostIsAskedAgain) {
  for (const bool lost : {false, true}) {
    for (const char* operation : {"find_token", "changes_after", "find_token_by_id"}) {
      SCOPED_TRACE(std::string{operation} + (lost ? ", answer lost" : ", failed"));
      if (lost) {
        faulty.script.lose_next_answers(operation, 1);
      } else {
        faulty.script.fail_next(operation, 1, StoreError::unavailable);
      }
      const auto before = faulty.script.injected();
      Connection& connection = log_in(fresh().token);
      rig.settle();
      EXPECT_TRUE(connection.take().empty());
      EXPECT_EQ(faulty.script.injected(), before + 1);
      rig.pass(1'100ms);
      expect_in(connection);
    }
  }
}

TEST_F(StoreTrouble, AnAnswerThatComesAfterTheHoldFindsNobody) {
  faulty.script.set_sleep([this](std::chrono::milliseconds time) {
    for (std::chrono::milliseconds passed{0}; passed < time; passed += 100ms) {
      rig.clock.advance(100ms);
      rig.tick();
    }
  });
  faulty.script.slow("find_token", 5s);
  const Rig::Made made = fresh();
  Connection& late = log_in(made.token);
  rig.settle();
  EXPECT_EQ(late.closed_because, CloseReason::held);
  EXPECT_TRUE(late.take().empty());
  Connection& again = log_in(made.token);  // The index knows it now: nobody asks the slow store.
  expect_in(again);

  faulty.script.clear();
  faulty.script.slow("find_token", 2s);
  Connection& slow = log_in(fresh().token);
  rig.settle();
  expect_in(slow);
}

TEST_F(StoreTrouble, AStoreThatHangsHoldsAndItsLateAnswerFindsNobody) {
  faulty.script.hang("find_token");
  Connection& connection = log_in(fresh().token);
  std::thread worker{[this] { rig.executor.run_all(); }};
  const bool hangs = faulty.script.wait_until_hanging(1, 10s);
  for (int i = 0; i < 80; ++i) {
    rig.clock.advance(50ms);
    rig.tick();
  }
  EXPECT_TRUE(hangs);
  EXPECT_EQ(connection.closed_because, CloseReason::held);
  faulty.script.release();
  worker.join();
  rig.settle();
  EXPECT_TRUE(connection.take().empty());
}

TEST_F(StoreTrouble, HundredsOfFreshTokensOnAnUnreliableStoreNeverHearInvalid) {
  faulty.script.fail_sometimes("*", 0.4, StoreError::busy);
  faulty.script.lose_next_answers("find_token", 50);
  std::vector<Connection*> all;
  for (int i = 0; i < 300; ++i) {
    all.push_back(&log_in(fresh().token));
    if (i % 10 == 9) rig.pass(50ms);
  }
  rig.pass(5s);
  std::size_t in = 0, held = 0;
  for (Connection* const connection : all) {
    const auto seen = connection->take();
    if (connection->closed_because == CloseReason::held) {
      ++held;
      EXPECT_TRUE(seen.empty());
    } else {
      ++in;
      EXPECT_EQ(seen, (std::vector{response(1, Status::success)}));
    }
  }
  EXPECT_EQ(in + held, all.size());
  EXPECT_GT(in, 0u);
  EXPECT_GT(faulty.script.injected(), 50u);
  EXPECT_EQ(rig.metrics.logins_invalid_total.value(), 0u);
}

TEST_F(StoreTrouble, OnceItIsOverTheTruthIsToldAgain) {
  const Rig::Made made = fresh();
  rig.replace_token(made.device.id, AuthToken::generate(rig.random));
  faulty.script.down();
  Connection& unsure = log_in(made.token);
  expect_held(unsure);
  faulty.script.clear();
  for (const AuthToken& token : {made.token, AuthToken::generate(rig.random)}) {
    Connection& connection = log_in(token);
    rig.settle();
    EXPECT_EQ(connection.take(), (std::vector{response(1, Status::invalid_token)}));
  }
}

}  // namespace
}  // namespace muster::protocol::testing
