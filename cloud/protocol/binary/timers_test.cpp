// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace muster::protocol::testing
