// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <utility>

#include "cloud/protocol/testing/rig.hpp"

namespace muster::protocol::testing {
namespace {

using namespace std::chrono_literals;
using wire::Status;

class Timers : public ::testing::Test {
 protected:
  explicit Timers(GatewayLimits limits = {}) : rig{std::move(limits)}, made{rig.make_device(rig.make_template())} { rig.load(); }
  Connection& online() {
    Connection& connection = rig.connect();
    connection.feed(frame(29, 1, made.token.reveal()));
    connection.take();
    return connection;
  }
  Duration silence_until_close(Connection& connection) {
    const Instant begin = rig.clock.now();
    while (connection.open() && rig.clock.now() - begin < 3h) {
      const Instant next = std::max(connection.step.deadline, rig.clock.now() + 1ms);
      rig.clock.advance(next - rig.clock.now());
      rig.tick();
    }
    return rig.clock.now() - begin;
  }
  Rig rig;
  Rig::Made made;
};

TEST_F(Timers, BeforeTheInfoASilentDeviceIsGoneAfterTheDefault) {
  Connection& connection = online();
  EXPECT_EQ(silence_until_close(connection), 45s);
  EXPECT_EQ(connection.closed_because, CloseReason::heartbeat_lost);
  EXPECT_TRUE(connection.take().empty());
  EXPECT_EQ(rig.metrics.heartbeat_lost_total.value(), 1u);
  EXPECT_FALSE(rig.sessions.online(made.device.id));
}

TEST_F(Timers, AfterTheInfoItIsOneAndAHalfHeartbeats) {
  const auto with_info = [&](std::initializer_list<std::string_view> info) {
    Connection& connection = online();
    connection.feed(frame(17, 2, fields(info)));
    return silence_until_close(connection);
  };
  EXPECT_EQ(with_info({"ver", "1", "h-beat", "40"}), 60s);
  EXPECT_EQ(with_info({"ver", "1", "h-beat", "50"}), 75s);
  EXPECT_EQ(with_info({"ver", "1"}), 67'500ms) << "no h-beat: the default is its heartbeat";
  EXPECT_EQ(with_info({"ver", "1", "h-beat", "10"}), 15s);
  EXPECT_EQ(with_info({"ver", "1", "h-beat", "1"}), 15s) << "shorter than any client allows";
  EXPECT_EQ(with_info({"ver", "1", "h-beat", "3600"}), 5'400s);
  EXPECT_EQ(with_info({"ver", "1", "h-beat", "65535"}), 5'400s) << "longer than any client allows";
  EXPECT_EQ(with_info({"ver", "1", "h-beat", "nonsense"}), 67'500ms);
}

TEST_F(Timers, AnyByteCountsAsLifeAndAnEarlyCallIsHarmless) {
  Connection& connection = online();
  connection.feed(frame(17, 2, fields({"ver", "1", "h-beat", "40"})));
  for (int i = 0; i < 10; ++i) {
    rig.clock.advance(59s);
    rig.tick();
    ASSERT_TRUE(connection.open());
    connection.feed(i % 2 == 0 ? frame(0, 1) : frame(6, 2));
    std::vector<std::uint8_t> bytes;
    Output out{bytes};
    const Step early = rig.gateway->on_deadline(connection.session, connection.self, connection.peer, out, rig.clock.now());
    EXPECT_EQ(early.deadline, rig.clock.now() + 60s);
    EXPECT_EQ(early.close, CloseReason::none);
  }
}

TEST_F(Timers, TheFactorIsConfigurableAndAReloadCounts) {
  Connection& connection = online();
  connection.feed(frame(17, 2, fields({"ver", "1", "h-beat", "40"})));
  GatewayLimits limits;
  limits.heartbeat_factor = 2.3;
  rig.gateway->set_limits(limits);
  EXPECT_EQ(silence_until_close(connection), 92s);
}

class Flood : public Timers {
 protected:
  Flood()
      : Timers{[] {
          GatewayLimits limits;
          limits.flood_rate_per_s = 10;
          limits.flood_burst = 20;
          limits.heartbeat_default = 1h;
          return limits;
        }()} {}
  static std::string pings(int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += frame(6, static_cast<std::uint16_t>(i + 1));
    return out;
  }
  static std::size_t count(const std::vector<Seen>& seen, Status status) {
    return static_cast<std::size_t>(
        std::count_if(seen.begin(), seen.end(), [&](const Seen& one) { return one.status == static_cast<std::uint16_t>(status); }));
  }
};

TEST_F(Flood, ABurstIsAnsweredAndTheFrameAfterItHearsQuota) {
  Connection& connection = online();
  connection.feed(pings(20));
  EXPECT_EQ(count(connection.take(), Status::success), 20u);
  connection.feed(frame(6, 21) + frame(6, 22));
  EXPECT_EQ(connection.take(), (std::vector{response(21, Status::quota_limit)})) << "told once, dropped twice";
  EXPECT_TRUE(connection.open());
  EXPECT_EQ(rig.metrics.flood_limited_total.value(), 2u);
}

TEST_F(Flood, DroppedValuesAreNotStored) {
  Connection& connection = online();
  connection.feed(pings(20) + frame(20, 30, fields({"vw", "1", "5"})));
  EXPECT_EQ(rig.metrics.values_written_total.value(), 0u);
}

TEST_F(Flood, QuotaIsToldOnceAMinute) {
  Connection& connection = online();
  std::size_t told = 0;
  for (int second = 0; second < 121; ++second) {
    // A burst above the bucket, then enough pause for it to fill: no flood that goes on.
    if (second % 5 == 0) connection.feed(pings(25));
    told += count(connection.take(), Status::quota_limit);
    rig.clock.advance(1s);
  }
  EXPECT_TRUE(connection.open());
  EXPECT_EQ(told, 3u);
}

TEST_F(Flood, OneThatGoesOnForTenSecondsCloses) {
  Connection& connection = online();
  int tenths = 0;
  for (; connection.open() && tenths < 1'000; ++tenths) {
    connection.feed(pings(3));
    rig.clock.advance(100ms);
  }
  EXPECT_EQ(connection.closed_because, CloseReason::flood);
  EXPECT_NEAR(tenths, 110, 3) << "a second until the bucket is empty, then ten";
  EXPECT_EQ(rig.metrics.flood_closed_total.value(), 1u);
}

TEST_F(Flood, JustUnderTheRateIsNeverLimited) {
  Connection& connection = online();
  for (int i = 0; i < 2'000; ++i) {
    connection.feed(pings(1));
    rig.clock.advance(101ms);
  }
  EXPECT_EQ(rig.metrics.flood_limited_total.value(), 0u);
}

TEST_F(Flood, AResponseOverTheRateIsNotAnswered) {
  Connection& connection = online();
  connection.feed(pings(20));
  connection.take();
  connection.feed(frame(0, 1));
  EXPECT_TRUE(connection.take().empty());
}

TEST(Session, FitsItsBudget) { EXPECT_LE(sizeof(DeviceSession), 96u); }

// --- when a device is offline: docs/protocol/cloud-model.md section 6 -------------------------------------------------------------

class Offline : public Timers {
 protected:
  Offline() { rig.live.watch(true); }
  [[nodiscard]] domain::Contact contact() const { return rig.sessions.contact(made.device.id, rig.clock.now()); }
  /// Statuses told since the last call.
  std::size_t told() { return std::exchange(rig.live.statuses, {}).size(); }
  void pass(Duration time) {
    rig.clock.advance(time);
    rig.gateway->end_waits();
  }
};

TEST_F(Offline, AGracefulDropStartsTheWaitAndItsEndIsTold) {
  Connection& connection = online();
  EXPECT_EQ(told(), 1u);
  rig.clock.advance(40s);  // It was quiet for a while, but left by itself.
  connection.hang_up();
  EXPECT_EQ(told(), 1u);
  EXPECT_EQ(contact(), domain::Contact::waiting);
  pass(60s - 1ms);
  EXPECT_EQ(contact(), domain::Contact::waiting);
  EXPECT_EQ(told(), 0u);
  pass(1ms);
  EXPECT_EQ(contact(), domain::Contact::none);
  EXPECT_EQ(told(), 1u);
  pass(60s);
  EXPECT_EQ(told(), 0u);
}

TEST_F(Offline, AReconnectWithinTheWaitCancelsIt) {
  online().hang_up();
  pass(59s);
  Connection& again = online();
  pass(10s);
  EXPECT_EQ(contact(), domain::Contact::connected);
  again.hang_up();
  pass(59s);
  EXPECT_EQ(contact(), domain::Contact::waiting) << "the next drop starts afresh";
}

TEST_F(Offline, ASilentDropHasWaitedAlready) {
  Connection& quick = online();
  quick.feed(frame(17, 2, fields({"ver", "1", "h-beat", "20"})));
  EXPECT_EQ(silence_until_close(quick), 30s);
  EXPECT_EQ(contact(), domain::Contact::waiting);
  pass(30s - 1ms);
  EXPECT_EQ(contact(), domain::Contact::waiting);
  pass(1ms);
  EXPECT_EQ(contact(), domain::Contact::none);

  Connection& slow = online();
  slow.feed(frame(17, 2, fields({"ver", "1", "h-beat", "45"})));
  (void)told();
  EXPECT_EQ(silence_until_close(slow), 67'500ms);
  EXPECT_EQ(contact(), domain::Contact::none) << "never negative";
  EXPECT_EQ(told(), 1u);
}

TEST_F(Offline, AStopOfTheServerIsToldToNobodyAndChangesNoStatus) {
  Rig::Made away = rig.make_device(rig.make_template()), left = rig.make_device(rig.make_template());
  rig.load();
  Connection& gone = rig.connect();
  gone.feed(frame(29, 1, left.token.reveal()));
  gone.hang_up();
  rig.clock.advance(20s);
  for (const auto& token : {made.token, away.token}) rig.connect().feed(frame(29, 1, token.reveal()));
  (void)told();
  for (const auto& connection : rig.connections) connection->event(CloseSession{CloseReason::shutdown});
  EXPECT_EQ(told(), 0u);
  EXPECT_EQ(contact(), domain::Contact::waiting);
  ASSERT_FALSE(domain::write_behind(rig.store, rig.values, rig.presence).error);

  // The next life knows what is on disk.
  rig.clock.advance(5s);
  domain::SessionRegistry sessions;
  rig.gateway =
      std::make_unique<DeviceGateway>(DeviceGateway::Dependencies{rig.store, rig.views, sessions, rig.values, rig.presence, rig.timeline,
                                                                  rig.live, *rig.keys, rig.executor, rig.router, rig.clock, rig.metrics},
                                      GatewayLimits{});
  const auto status = [&](const Rig::Made& which) { return sessions.contact(which.device.id, rig.clock.now()); };
  ASSERT_TRUE(rig.gateway->expect_devices());
  EXPECT_EQ(status(made), domain::Contact::waiting);
  EXPECT_EQ(status(away), domain::Contact::waiting);
  EXPECT_EQ(status(left), domain::Contact::waiting);
  Connection& back = rig.connect();
  back.feed(frame(29, 1, made.token.reveal()));
  (void)told();
  pass(35s);
  EXPECT_EQ(status(left), domain::Contact::none) << "60 s after it left";
  EXPECT_EQ(told(), 1u);
  pass(25s);
  EXPECT_EQ(status(made), domain::Contact::connected);
  EXPECT_EQ(status(away), domain::Contact::none) << "60 s after the start";
  EXPECT_EQ(told(), 1u);

  // Written down, so that no later start waits for it again.
  ASSERT_FALSE(domain::write_behind(rig.store, rig.values, rig.presence).error);
  EXPECT_EQ(rig.store.all_devices().at(away.device.id.value()).disconnect_time, rig.clock.utc_now());
  EXPECT_LT(rig.store.all_devices().at(made.device.id.value()).disconnect_time, rig.clock.utc_now());
}

TEST_F(Offline, WithoutAWaitTheEndOfTheSessionIsTheEnd) {
  GatewayLimits limits;
  limits.offline_wait = 0ms;
  rig.gateway->set_limits(limits);
  online().hang_up();
  EXPECT_EQ(contact(), domain::Contact::none);
  EXPECT_EQ(told(), 2u);
  ASSERT_TRUE(rig.gateway->expect_devices());
  EXPECT_EQ(contact(), domain::Contact::none);
}

// --- the timeline: the five worked cases of cloud-model.md section 6, to the second ---------------------------------------------------

class Lines : public Offline {
 protected:
  void use(std::chrono::seconds wait) {
    GatewayLimits limits;
    limits.offline_wait = wait;
    rig.gateway->set_limits(limits);
  }
  /// What was written since, as "+seconds code" from the first call on.
  std::vector<std::string> lines() {
    rig.gateway->end_waits();
    std::vector<std::string> all;
    for (const auto& note : rig.timeline.take(100, rig.clock.utc_now()))
      all.push_back("+" + std::to_string((note.at.ms - begin_.ms + 500) / 1000) + " " + note.code);
    return all;
  }
  void wait(std::chrono::seconds time) {
    for (std::chrono::seconds done{0}; done < time; done += 1s) {
      rig.clock.advance(1s);
      for (const auto& connection : rig.connections) {
        if (connection->open()) connection->tick();
      }
      rig.gateway->end_waits();
    }
  }
  using Texts = std::vector<std::string>;
  UtcTime begin_ = rig.clock.utc_now();
};

TEST_F(Lines, AGracefulEndIsToldWhenTheWaitIsOver) {
  use(300s);
  online().hang_up();
  wait(299s);
  EXPECT_EQ(lines(), (Texts{"+0 online"}));
  wait(1s);
  EXPECT_EQ(lines(), (Texts{"+300 offline"}));
}

TEST_F(Lines, AReturnWithinTheWaitIsNotTold) {
  use(300s);
  online().hang_up();
  wait(119s);
  online();
  wait(200s);
  EXPECT_EQ(lines(), (Texts{"+0 online"}));
}

TEST_F(Lines, AnEndAfterAReturnIsWaitedForAnew) {
  use(300s);
  online().hang_up();
  wait(119s);
  Connection& again = online();
  wait(1s);
  again.hang_up();
  wait(299s);
  EXPECT_EQ(lines(), (Texts{"+0 online"}));
  wait(1s);
  EXPECT_EQ(lines(), (Texts{"+420 offline"}));
}

TEST_F(Lines, ASilenceCountsTowardsTheWait) {
  use(120s);
  online();
  wait(119s);
  EXPECT_EQ(lines(), (Texts{"+0 online"}));
  wait(2s);
  EXPECT_EQ(lines(), (Texts{"+120 offline"}));
}

TEST_F(Lines, ASilenceLongerThanTheWaitIsToldAtOnce) {
  use(60s);
  online().feed(frame(17, 2, fields({"ver", "1", "h-beat", "45"})));
  wait(66s);
  EXPECT_EQ(lines(), (Texts{"+0 online"}));
  wait(3s);
  EXPECT_EQ(lines(), (Texts{"+68 offline"}));
}

}  // namespace
}  // namespace muster::protocol::testing
