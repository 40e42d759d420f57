// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/sim/network.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/core/agent_test_rig.hpp"

namespace muster::agent::sim {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using test::Bytes;
using test::frame;
using test::make_config;
using test::response;
using wire::Command;

wire::ByteView view(const Bytes& bytes) { return {bytes.data(), bytes.size()}; }

/// A cloud that accepts every token, answers pings, and checks that values come in order.
struct Cloud : ServerSide {
  explicit Cloud(Network& network) : net{network} {}

  void on_accepted(ConnectionId id, std::uint32_t client, Millis now) override {
    static_cast<void>(now);
    sessions[id] = {client, {}, 0, false};
    ++accepted;
  }
  void on_bytes(ConnectionId id, wire::ByteView bytes, Millis now) override {
    static_cast<void>(now);
    const auto found = sessions.find(id);
    ASSERT_NE(found, sessions.end());
    Session& session = found->second;
    session.pending.insert(session.pending.end(), bytes.begin(), bytes.end());
    for (;;) {
      const wire::Decoded decoded = wire::decode_frame(view(session.pending));
      if (decoded.status != wire::DecodeStatus::ok) {
        ASSERT_EQ(decoded.status, wire::DecodeStatus::need_more);
        return;
      }
      const wire::Frame& f = decoded.frame;
      if (f.command == Command::hardware) {
        wire::Fields fields{f.body};
        fields.next();
        fields.next();
        const int number = std::stoi(std::string{fields.next()});
        EXPECT_EQ(number, session.values++) << "lost or overtaken within one connection";
        ++values;
      } else if (f.command == Command::hw_login && !redirect_to.empty()) {
        net.server_send(id, view(frame(Command::redirect, f.id, redirect_to)));
      } else if (f.command != Command::response) {
        session.logged_in = true;
        net.server_send(id, view(response(f.id, 200)));
      }
      session.pending.erase(session.pending.begin(), session.pending.begin() + static_cast<std::ptrdiff_t>(decoded.consumed_bytes));
    }
  }
  void on_closed(ConnectionId id, Millis now) override {
    static_cast<void>(now);
    sessions.erase(id);
  }

  struct Session {
    std::uint32_t client = 0;
    Bytes pending;
    int values = 0;
    bool logged_in = false;
  };
  Network& net;
  std::map<ConnectionId, Session> sessions;
  std::string redirect_to;
  std::uint64_t accepted = 0;
  std::uint64_t values = 0;
};

/// A device that counts: one value a second while it is online, from 0 on each connection.
struct Device : test::RecordingHandler {
  explicit Device(Network& network) : net{network}, sim{network, *this} {}
  void on_event(const Event& event, Millis now) override {
    test::RecordingHandler::on_event(event, now);
    if (event.kind == EventKind::online) {
      next = 0;
      went_online_at.push_back(now);
    }
  }
  void tick() {
    if (sim.agent().online() && sim.agent().write(1, next, net.now()) == SendResult::sent) {
      ++next;
    }
    net.schedule(net.now() + 1'000, [this] { tick(); });
  }
  Network& net;
  SimAgent sim;
  int next = 0;
  std::vector<Millis> went_online_at;
};

struct World {
  explicit World(std::uint64_t seed, std::size_t count) : net{seed}, cloud{net} {
    net.listen("cloud.example", 9443, cloud);
    for (std::size_t i = 0; i < count; ++i) {
      devices.push_back(std::make_unique<Device>(net));
      EXPECT_TRUE(devices.back()->sim.start(make_config()));
      devices.back()->tick();
    }
  }
  [[nodiscard]] std::size_t online() const {
    return static_cast<std::size_t>(std::count_if(devices.begin(), devices.end(), [](const auto& d) { return d->sim.agent().online(); }));
  }
  Network net;
  Cloud cloud;
  std::vector<std::unique_ptr<Device>> devices;
};

Faults all_faults() {
  Faults faults;
  faults.delay_max_ms = 300;
  faults.connect_refused = 100;
  faults.connect_ignored = 50;
  faults.split = 300;
  faults.lost_connection = 5;
  faults.gone_silent = 2;
  return faults;
}

TEST(Network, BringsAnAgentOnlineAndCarriesItsValues) {
  World world{1, 1};
  world.net.run_until(10'500);
  EXPECT_EQ(world.online(), 1U);
  EXPECT_EQ(world.cloud.accepted, 1U);
  EXPECT_GE(world.cloud.values, 9U);
}

std::uint64_t trace_of(std::uint64_t seed) {
  World world{seed, 100};
  world.net.set_faults(all_faults());
  world.net.run_until(300'000);
  return world.net.trace();
}

TEST(Network, TheSameSeedGivesTheSameTraceTwiceAndAnotherSeedAnother) {
  const std::uint64_t first = trace_of(42);
  EXPECT_EQ(trace_of(42), first);
  EXPECT_NE(trace_of(43), first);
}

TEST(Network, HundredsOfAgentsComeBackWhenTheFaultsEnd) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    World world{seed, 300};
    world.net.set_faults(all_faults());
    world.net.run_until(200'000);
    EXPECT_GT(world.cloud.accepted, 600U);  // Faults did happen.
    EXPECT_GT(world.cloud.values, 15'000U);
    world.net.set_faults(Faults{});
    // The longest way back: silence noticed after 58 s, then a connect that is given up after 20 s, then 60 s of
    // waiting.
    world.net.run_until(200'000 + 58'000 + 20'000 + 60'000 + 1'000);
    EXPECT_EQ(world.online(), 300U) << "seed " << seed;
  }
}

TEST(Network, AgentsSpreadOutWhenTheirCloudComesBack) {
  World world{7, 300};
  world.net.run_until(60'000);
  ASSERT_EQ(world.online(), 300U);
  world.net.drop_all(world.cloud);
  world.net.run_until(64'000);
  EXPECT_EQ(world.online(), 300U);
  std::map<Millis, int> per_100_ms;
  for (const auto& device : world.devices) {
    ++per_100_ms[device->went_online_at.back() / 100];
  }
  for (const auto& [slot, count] : per_100_ms) {
    EXPECT_LE(count, 45) << slot;  // 300 over 2 s are 15 a slot.
  }
}

TEST(Network, RefusesWhereNobodyListens) {
  World world{1, 1};
  world.net.stop_listening("cloud.example", 9443);
  world.net.run_until(30'000);
  EXPECT_EQ(world.online(), 0U);
  EXPECT_THAT(world.devices[0]->log, ::testing::Each("connect_failed refused"));
  world.net.listen("cloud.example", 9443, world.cloud);
  world.net.run_until(150'000);
  EXPECT_EQ(world.online(), 1U);
}

TEST(Network, ASilentConnectionIsNoticedByTheHeartbeat) {
  World world{1, 1};
  world.net.run_until(40'000);
  ASSERT_EQ(world.cloud.sessions.size(), 1U);
  world.net.silence(world.cloud.sessions.begin()->first);
  const Millis silent_at = world.net.now();
  world.net.run_until(silent_at + 17'000);
  EXPECT_EQ(world.online(), 1U);  // It last heard of the cloud when its info was answered.
  world.net.run_until(silent_at + 58'000 + 3'000);
  EXPECT_THAT(world.devices[0]->log, ::testing::Contains("disconnected silent"));
  EXPECT_EQ(world.online(), 1U);
  EXPECT_EQ(world.cloud.sessions.size(), 2U);  // The old one was never told.
}

TEST(Network, AServersCloseArrivesBehindItsLastBytes) {
  World world{1, 1};
  world.net.run_until(5'000);
  const ConnectionId id = world.cloud.sessions.begin()->first;
  world.net.server_send(id, view(frame(Command::hardware, 9,
                                       "vw\0"
                                       "5\0last"sv)));
  world.net.server_close(id);
  world.net.server_send(id, view(frame(Command::hardware, 9,
                                       "vw\0"
                                       "5\0too late"sv)));
  world.net.run_until(5'100);
  const auto& log = world.devices[0]->log;
  ASSERT_GE(log.size(), 2U);
  EXPECT_THAT(log, ::testing::IsSupersetOf({"write 5 last"s, "disconnected peer_closed"s}));
  EXPECT_THAT(log, ::testing::Not(::testing::Contains("write 5 too late")));
}

TEST(Network, RedirectsLeadToAnotherCloud) {
  World world{3, 50};
  Cloud home{world.net};
  world.net.listen("home.example", 443, home);
  world.cloud.redirect_to =
      "home.example\0"
      "443"s;
  world.net.run_until(20'000);
  EXPECT_EQ(world.online(), 50U);
  EXPECT_EQ(home.sessions.size(), 50U);
}

TEST(Network, TwoCloudsThatRedirectToEachOtherAreNotHammered) {
  World world{3, 20};
  Cloud other{world.net};
  world.net.listen("other.example", 443, other);
  world.cloud.redirect_to =
      "other.example\0"
      "443"s;
  other.redirect_to =
      "cloud.example\0"
      "9443"s;
  world.net.run_until(600'000);
  // Rounds of 4 logins; the waits grow to 30 s in the mean: about 25 rounds in 10 minutes.
  EXPECT_LT(world.cloud.accepted + other.accepted, 20U * 4U * 45U);
  EXPECT_GT(world.cloud.accepted, 20U * 4U);
}

TEST(Network, AnAgentThatIsStoppedStaysAwayUntilItIsStarted) {
  World world{1, 2};
  world.net.run_until(5'000);
  world.devices[0]->sim.stop();
  world.net.run_until(500'000);
  EXPECT_EQ(world.online(), 1U);
  EXPECT_EQ(world.cloud.sessions.size(), 1U);
  EXPECT_TRUE(world.devices[0]->sim.start(make_config()));
  world.net.run_until(501'000);
  EXPECT_EQ(world.online(), 2U);
}

TEST(Network, RunsActionsInTheOrderOfTheirTimeThenOfTheirPlanning) {
  Network net{1};
  std::string order;
  net.schedule(20, [&] { order += 'c'; });
  net.schedule(10, [&] {
    order += 'a';
    net.schedule(5, [&] { order += 'b'; });  // In the past: now.
  });
  net.schedule(20, [&] { order += 'd'; });
  net.run_until(19);
  EXPECT_EQ(order, "ab");
  EXPECT_EQ(net.now(), 19U);
  net.run_until(100);
  EXPECT_EQ(order, "abcd");
  EXPECT_FALSE(net.step());
}

TEST(SimRandom, IsTheSameEverywhereAndStaysInItsRange) {
  Random random{1};
  EXPECT_EQ(random.next64(), 0x910a2dec89025cc1U);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1'000; ++i) {
    const std::uint64_t value = random.between(3, 5);
    EXPECT_GE(value, 3U);
    EXPECT_LE(value, 5U);
    seen.insert(value);
    EXPECT_FALSE(random.chance(0));
    EXPECT_TRUE(random.chance(1000));
  }
  EXPECT_EQ(seen.size(), 3U);
}

TEST(MemoryStore, KeepsRecordsAndFailsOnDemand) {
  MemoryStore store;
  std::uint8_t room[4];
  std::size_t size = 0;
  EXPECT_EQ(store.load(Slot::proved, {room, sizeof room}, size), StoreStatus::absent);
  EXPECT_EQ(store.save(Slot::proved, wire::ByteView{"abc"sv}), StoreStatus::ok);
  store.fail_after(1);
  EXPECT_EQ(store.save(Slot::pending, wire::ByteView{"abcde"sv}), StoreStatus::ok);
  EXPECT_EQ(store.save(Slot::proved, wire::ByteView{"x"sv}), StoreStatus::io_failed);
  EXPECT_EQ(store.erase(Slot::proved), StoreStatus::io_failed);
  EXPECT_EQ(store.load(Slot::proved, {room, sizeof room}, size), StoreStatus::ok);
  EXPECT_EQ(size, 3U);
  EXPECT_EQ(store.load(Slot::pending, {room, sizeof room}, size), StoreStatus::too_big);
  store.repair();
  EXPECT_EQ(store.erase(Slot::proved), StoreStatus::ok);
  EXPECT_EQ(store.load(Slot::proved, {room, sizeof room}, size), StoreStatus::absent);
}

}  // namespace
}  // namespace muster::agent::sim
