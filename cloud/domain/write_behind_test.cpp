// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/write_behind.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "cloud/domain/fake_store.hpp"

namespace muster::domain {
namespace {

constexpr DeviceId device{5};

TEST(PresenceQueue, FactsOfOneDeviceAreMerged) {
  PresenceQueue queue;
  queue.connected(device, {100}, "192.0.2.1", true);
  queue.disconnected(device, {150});
  queue.connected(device, {200}, "2001:db8::7", false);
  PresenceUpdate told;
  told.device_id = device;
  told.hardware = HardwareInfo{};
  told.hardware->version = "1.0";
  told.reported_at = UtcTime{210};
  queue.put(told);
  EXPECT_EQ(queue.size(), 1u);
  const auto taken = queue.take(10);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].device_id, device);
  EXPECT_EQ(taken[0].connected_at, UtcTime{200});
  EXPECT_EQ(taken[0].disconnected_at, UtcTime{150});
  EXPECT_EQ(taken[0].reported_at, UtcTime{210});
  EXPECT_EQ(taken[0].ip, "2001:db8::7");
  EXPECT_EQ(taken[0].plain_text_link, false);
  EXPECT_EQ(taken[0].hardware->version, "1.0");
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_TRUE(queue.take(10).empty());
}

TEST(PresenceQueue, UnsetFactsStayUnset) {
  PresenceQueue queue;
  queue.disconnected(device, {150});
  const auto taken = queue.take(10);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_FALSE(taken[0].connected_at || taken[0].reported_at || taken[0].ip || taken[0].plain_text_link || taken[0].hardware);
}

TEST(PresenceQueue, AFailedWriteWaitsAgainUnderNewerFacts) {
  PresenceQueue queue;
  queue.connected(device, {100}, "192.0.2.1", true);
  PresenceUpdate told;
  told.device_id = device;
  told.hardware = HardwareInfo{};
  told.hardware->version = "old";
  queue.put(told);
  auto taken = queue.take(10);
  queue.connected(device, {200}, "192.0.2.2", false);
  queue.retry(std::move(taken));
  const auto again = queue.take(10);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].connected_at, UtcTime{200});
  EXPECT_EQ(again[0].ip, "192.0.2.2");
  EXPECT_EQ(again[0].plain_text_link, false);
  EXPECT_EQ(again[0].hardware->version, "old");
}

TEST(PresenceQueue, PastTheLimitOnlyKnownDevicesAreTaken) {
  PresenceQueue queue{10};
  for (std::int32_t id = 1; id <= 15; ++id) queue.connected(DeviceId{id}, {id}, "192.0.2.1", false);
  EXPECT_EQ(queue.size(), 10u);
  EXPECT_EQ(queue.dropped(), 5u);
  queue.disconnected(DeviceId{1}, {99});
  auto taken = queue.take(100);
  EXPECT_EQ(taken.size(), 10u);
  queue.connected(DeviceId{100}, {1}, "192.0.2.1", false);
  queue.retry(std::move(taken));  // They were within the limit once.
  EXPECT_EQ(queue.size(), 11u);
}

TEST(PresenceQueue, AnAddressThatIsNoneIsCut) {
  PresenceQueue queue;
  queue.connected(device, {1}, std::string(100, 'x'), false);
  queue.connected(DeviceId{}, {1}, "192.0.2.1", false);
  const auto taken = queue.take(10);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].ip->size(), 45u);
}

TEST(PresenceQueue, TakesInPieces) {
  PresenceQueue queue;
  for (std::int32_t id = 1; id <= 1000; ++id) queue.connected(DeviceId{id}, {id}, "192.0.2.1", false);
  std::map<std::int32_t, std::int64_t> seen;
  for (auto taken = queue.take(7); !taken.empty(); taken = queue.take(7)) {
    EXPECT_LE(taken.size(), 7u);
    for (const auto& update : taken) EXPECT_TRUE(seen.emplace(update.device_id.value(), update.connected_at->ms).second);
  }
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_EQ(seen[500], 500);
}

TEST(PresenceQueue, ManyLoopsAndOneWriter) {
  PresenceQueue queue;
  std::map<std::int32_t, std::int64_t> written;
  std::atomic<bool> stop{false};
  {
    std::jthread writer{[&] {
      for (bool last = false; !last;) {
        last = stop.load();
        for (auto taken = queue.take(50); !taken.empty(); taken = queue.take(50)) {
          for (const auto& update : taken)
            written[update.device_id.value()] = std::max(written[update.device_id.value()], update.connected_at->ms);
        }
      }
    }};
    std::vector<std::jthread> loops;
    for (std::int32_t loop = 0; loop < 3; ++loop) {
      loops.emplace_back([&, loop] {
        for (int i = 0; i < 3000; ++i) queue.connected(DeviceId{1 + loop + 3 * (i % 100)}, {i}, "192.0.2.1", false);
      });
    }
    loops.clear();
    stop = true;
  }
  EXPECT_EQ(written.size(), 300u);
  for (const auto& [id, at] : written) EXPECT_EQ(at, 2900 + (id - 1) / 3) << id;
}

TEST(WriteBehind, WritesEverythingInBatches) {
  FakeStore store;
  ValueCache values;
  PresenceQueue presence;
  for (std::int32_t id = 1; id <= 20'000; ++id) {
    values.put(DeviceId{id}, 1, "v", {id});
    presence.connected(DeviceId{id}, {id}, "192.0.2.1", false);
  }
  const auto result = write_behind(store, values, presence);
  EXPECT_FALSE(result.error);
  EXPECT_EQ(result.rows, 40'000u);
  EXPECT_EQ(store.values_written.size(), 20'000u);
  EXPECT_EQ(store.presence_written.size(), 20'000u);
  EXPECT_LE(store.largest_batch, 16'384u);
  EXPECT_EQ(values.dirty_devices() + presence.size(), 0u);
  EXPECT_EQ(write_behind(store, values, presence).rows, 0u);
}

TEST(WriteBehind, WhatFailedWaitsAgain) {
  for (int calls = 0; calls < 6; ++calls) {
    FakeStore store;
    ValueCache values;
    PresenceQueue presence;
    for (std::int32_t id = 1; id <= 10'000; ++id) {
      values.put(DeviceId{id}, 1, "v", {id});
      presence.connected(DeviceId{id}, {id}, "192.0.2.1", false);
    }
    store.calls_until_failure = calls;
    const auto failed = write_behind(store, values, presence);
    EXPECT_EQ(failed.error, make_error_code(StoreError::unavailable));
    store.calls_until_failure = -1;
    const auto rest = write_behind(store, values, presence);
    EXPECT_FALSE(rest.error);
    EXPECT_EQ(failed.rows + rest.rows, 20'000u);
    EXPECT_EQ(store.values_written.size() + store.presence_written.size(), 20'000u);
  }
}

}  // namespace
}  // namespace muster::domain
