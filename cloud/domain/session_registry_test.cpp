// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/session_registry.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "cloud/base/random.hpp"

namespace muster::domain {
namespace {

using namespace std::chrono_literals;

constexpr SessionAddress at(std::uint32_t slot, std::uint32_t generation = 1, std::uint16_t loop = 0) {
  return {0, loop, slot, generation};
}
constexpr Instant t0{1000h};
constexpr DeviceId device{7};

TEST(SessionRegistry, NewestLoginWins) {
  SessionRegistry registry;
  EXPECT_FALSE(registry.online(device));
  EXPECT_FALSE(registry.bind(device, at(1), t0));
  EXPECT_EQ(registry.find(device), at(1));
  const auto replaced = registry.bind(device, at(2, 5, 3), t0);
  ASSERT_TRUE(replaced);
  EXPECT_EQ(replaced->address, at(1));
  EXPECT_EQ(registry.find(device), at(2, 5, 3));
  EXPECT_EQ(registry.size(), 1u);
}

TEST(SessionRegistry, OnlyThePresentSessionUnbinds) {
  SessionRegistry registry;
  registry.bind(device, at(1, 1), t0);
  EXPECT_FALSE(registry.unbind(device, at(1, 2)));  // Another generation of the slot.
  registry.bind(device, at(2), t0);
  EXPECT_FALSE(registry.unbind(device, at(1, 1)));
  EXPECT_TRUE(registry.online(device));
  EXPECT_TRUE(registry.unbind(device, at(2)));
  EXPECT_FALSE(registry.unbind(device, at(2)));
  EXPECT_FALSE(registry.online(device));
  EXPECT_EQ(registry.size(), 0u);
}

TEST(SessionRegistry, ASecondLoginOnTheSameConnectionReplacesNothing) {
  SessionRegistry registry;
  registry.bind(device, at(1), t0);
  EXPECT_FALSE(registry.bind(device, at(1), t0));
  EXPECT_EQ(registry.size(), 1u);
}

TEST(SessionRegistry, ADeviceThatLeftIsWaitedForAWhile) {
  SessionRegistry registry;
  EXPECT_EQ(registry.contact(device, t0), Contact::none);
  registry.bind(device, at(1), t0);
  EXPECT_EQ(registry.contact(device, t0), Contact::connected);
  EXPECT_FALSE(registry.leave(device, at(2), t0 + 60s, t0));
  ASSERT_TRUE(registry.leave(device, at(1), t0 + 60s, t0));
  EXPECT_FALSE(registry.leave(device, at(1), t0 + 60s, t0));
  EXPECT_FALSE(registry.unbind(device, at(1)));
  EXPECT_FALSE(registry.online(device));
  EXPECT_EQ(registry.size(), 0u);
  registry.for_each([](DeviceId, const SessionAddress&) { ADD_FAILURE(); });
  EXPECT_EQ(registry.contact(device, t0 + 60s - 1ms), Contact::waiting);
  EXPECT_EQ(registry.contact(device, t0 + 60s), Contact::none);

  std::vector<SessionRegistry::Expired> gone;
  registry.expire(t0 + 60s - 1ms, gone);
  EXPECT_TRUE(gone.empty());
  registry.expire(t0 + 60s, gone);
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].device, device);
  EXPECT_FALSE(gone[0].end_unseen);
  registry.expire(t0 + 120s, gone);
  EXPECT_EQ(gone.size(), 1u);
}

TEST(SessionRegistry, AReconnectCancelsTheWaitAndTheNextOneStartsAfresh) {
  SessionRegistry registry;
  std::vector<SessionRegistry::Expired> gone;
  registry.bind(device, at(1), t0);
  registry.leave(device, at(1), t0 + 60s, t0);
  EXPECT_FALSE(registry.bind(device, at(2), t0 + 50s)) << "nobody was replaced";
  EXPECT_EQ(registry.size(), 1u);
  registry.expire(t0 + 60s, gone);
  EXPECT_EQ(registry.contact(device, t0 + 60s), Contact::connected);
  registry.leave(device, at(2), t0 + 130s, t0 + 70s);
  registry.bind(device, at(3), t0 + 71s);
  registry.leave(device, at(3), t0 + 135s, t0 + 75s);
  registry.expire(t0 + 130s, gone);
  EXPECT_TRUE(gone.empty());
  EXPECT_EQ(registry.contact(device, t0 + 130s), Contact::waiting);
  registry.expire(t0 + 135s, gone);
  EXPECT_EQ(gone.size(), 1u);
}

TEST(SessionRegistry, AfterAStartDevicesAreExpected) {
  SessionRegistry registry;
  std::vector<SessionRegistry::Expired> gone;
  registry.expect(device, t0 + 60s, true, t0);
  registry.expect(DeviceId{8}, t0 + 20s, false, t0);
  registry.bind(DeviceId{9}, at(9), t0);
  registry.expect(DeviceId{9}, t0 + 60s, true, t0);  // It was quicker.
  registry.expect(DeviceId{10}, t0, true, t0);       // Its time is over.
  EXPECT_EQ(registry.contact(device, t0), Contact::waiting);
  EXPECT_EQ(registry.contact(DeviceId{9}, t0), Contact::connected);
  EXPECT_EQ(registry.contact(DeviceId{10}, t0), Contact::none);
  EXPECT_EQ(registry.size(), 1u);
  registry.expire(t0 + 60s, gone);
  ASSERT_EQ(gone.size(), 2u);
  EXPECT_EQ(gone[0].device, DeviceId{8});
  EXPECT_FALSE(gone[0].end_unseen);
  EXPECT_EQ(gone[1].device, device);
  EXPECT_TRUE(gone[1].end_unseen);
}

TEST(SessionRegistry, OnlySoManyAreWaitedFor) {
  SessionRegistry registry{2};
  for (std::int32_t i = 1; i <= 3; ++i) {
    const auto slot = static_cast<std::uint32_t>(i);
    registry.bind(DeviceId{i}, at(slot), t0);
    EXPECT_TRUE(registry.leave(DeviceId{i}, at(slot), t0 + 60s, t0));
    EXPECT_EQ(registry.contact(DeviceId{i}, t0), i <= 2 ? Contact::waiting : Contact::none);
  }
  registry.expect(DeviceId{4}, t0 + 60s, true, t0);
  EXPECT_EQ(registry.contact(DeviceId{4}, t0), Contact::none);
}

TEST(SessionRegistry, NoDeviceIsNeverBound) {
  SessionRegistry registry;
  EXPECT_FALSE(registry.bind(DeviceId{}, at(1), t0));
  EXPECT_FALSE(registry.online(DeviceId{}));
  EXPECT_FALSE(registry.unbind(DeviceId{}, at(1)));
  EXPECT_EQ(registry.size(), 0u);
}

TEST(SessionRegistry, SwapsAreCountedForAMinute) {
  SessionRegistry registry;
  registry.bind(device, at(0), t0);
  std::uint32_t slot = 0;
  const auto swap = [&](Instant now) { return registry.bind(device, at(++slot), now)->swaps_in_last_minute; };
  for (std::uint32_t i = 1; i <= 10; ++i) EXPECT_EQ(swap(t0 + i * 1s), i);
  EXPECT_EQ(swap(t0 + 40s), 11u);
  EXPECT_EQ(swap(t0 + 65s), 2u);   // Those of the first seconds are over a minute old.
  EXPECT_EQ(swap(t0 + 200s), 1u);  // Nothing in between.
  EXPECT_EQ(swap(t0 + 500h), 1u);
  for (int i = 0; i < 1000; ++i) swap(t0 + 500h + 1s);
  EXPECT_GE(swap(t0 + 500h + 1s), 255u);  // A quarter counts to 255: far over any limit.
}

TEST(SessionRegistry, ForEachMayUnbind) {
  SessionRegistry registry;
  for (std::int32_t id = 1; id <= 500; ++id) registry.bind(DeviceId{id}, at(static_cast<std::uint32_t>(id)), t0);
  std::size_t seen = 0;
  registry.for_each([&](DeviceId id, const SessionAddress& address) {
    ++seen;
    EXPECT_EQ(address.slot, static_cast<std::uint32_t>(id.value()));
    EXPECT_TRUE(registry.unbind(id, address));
  });
  EXPECT_EQ(seen, 500u);
  EXPECT_EQ(registry.size(), 0u);
}

TEST(SessionRegistry, AgreesWithAMap) {
  SessionRegistry registry;
  SeededRandom random{3};
  std::map<std::int32_t, std::uint32_t> model;
  for (std::uint32_t step = 0; step < 100'000; ++step) {
    // Few shards and many ids of each, so that erasing moves entries.
    const auto id = static_cast<std::int32_t>(1 + 64 * random.below(200) + random.below(2));
    if (random.below(2) == 0) {
      const auto replaced = registry.bind(DeviceId{id}, at(step), t0);
      ASSERT_EQ(replaced.has_value(), model.contains(id));
      if (replaced) {
        ASSERT_EQ(replaced->address.slot, model[id]);
      }
      model[id] = step;
    } else {
      const auto known = model.find(id);
      ASSERT_EQ(registry.unbind(DeviceId{id}, at(known == model.end() ? 0 : known->second)), known != model.end());
      if (known != model.end()) model.erase(known);
    }
    ASSERT_EQ(registry.size(), model.size());
  }
  for (const auto& [id, slot] : model) ASSERT_EQ(registry.find(DeviceId{id}), at(slot));
}

TEST(SessionRegistry, ASessionTakesAtMost64Bytes) {
  SessionRegistry registry;
  constexpr std::int32_t count = 200'000;
  for (std::int32_t id = 1; id <= count; ++id) registry.bind(DeviceId{id}, at(1), t0);
  const auto each = static_cast<double>(registry.memory_bytes()) / count;
  RecordProperty("bytes_per_session", std::to_string(each));
  EXPECT_LE(each, 64.0);
}

TEST(SessionRegistry, OfManyLoginsAtOnceOneStays) {
  SessionRegistry registry;
  std::atomic<int> replaced{0};
  {
    std::vector<std::jthread> loops;
    for (std::uint16_t loop = 0; loop < 4; ++loop) {
      loops.emplace_back([&, loop] {
        for (std::uint32_t i = 0; i < 2000; ++i) {
          if (registry.bind(device, at(i, 1, loop), t0)) replaced.fetch_add(1);
          static_cast<void>(registry.find(device));
          registry.bind(DeviceId{static_cast<std::int32_t>(100 + i)}, at(i, 1, loop), t0);
        }
      });
    }
  }
  EXPECT_EQ(replaced.load(), 4 * 2000 - 1);
  EXPECT_EQ(registry.size(), 2001u);
}

}  // namespace
}  // namespace muster::domain
