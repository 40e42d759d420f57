// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/value_cache.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cloud/base/random.hpp"

namespace muster::domain {
namespace {

constexpr DeviceId device{5};

std::string read_pin(const ValueCache& cache, DeviceId of, std::uint8_t pin) {
  std::optional<PinValue> value;
  const auto loaded = cache.read_pin(of, pin, value);
  if (value) return value->value;
  return loaded == ValueCache::Loaded::yes ? "[none]" : "[ask]";
}

TEST(ValueCache, HoldsTheNewestValueOfEachPin) {
  ValueCache cache;
  EXPECT_EQ(read_pin(cache, device, 1), "[ask]");
  cache.put(device, 1, "a", {10});
  cache.put(device, 1, "b", {11});
  cache.put(device, 255, "c", {12});
  cache.put(device, 0, std::string_view{"x\0y", 3}, {13});
  EXPECT_EQ(read_pin(cache, device, 1), "b");
  EXPECT_EQ(read_pin(cache, device, 2), "[ask]");
  std::vector<PinValue> all{{9, "left over", {}}};
  EXPECT_EQ(cache.read(device, all), ValueCache::Loaded::no);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].value, (std::string{"x\0y", 3}));
  EXPECT_EQ(all[1].pin, 1);
  EXPECT_EQ(all[1].at.ms, 11);
  EXPECT_EQ(all[2].pin, 255);
}

TEST(ValueCache, LoadingFillsGapsAndNeverOverwrites) {
  ValueCache cache;
  cache.put(device, 1, "new", {10});
  cache.load(device, {{1, "old", {1}}, {2, "stored", {2}}});
  EXPECT_EQ(read_pin(cache, device, 1), "new");
  EXPECT_EQ(read_pin(cache, device, 2), "stored");
  EXPECT_EQ(read_pin(cache, device, 3), "[none]");
  std::vector<PinValue> all;
  EXPECT_EQ(cache.read(device, all), ValueCache::Loaded::yes);
  EXPECT_EQ(all.size(), 2u);
  const auto dirty = cache.take_dirty(100);  // What came from the store need not go back.
  ASSERT_EQ(dirty.size(), 1u);
  EXPECT_EQ(dirty[0].value.value, "new");
}

TEST(ValueCache, ADeviceWithoutStoredValuesIsLoadedToo) {
  ValueCache cache;
  cache.load(device, {});
  EXPECT_EQ(read_pin(cache, device, 1), "[none]");
}

TEST(ValueCache, DirtyValuesAreCoalescedAndTakenOnce) {
  ValueCache cache;
  for (int i = 0; i < 100; ++i) cache.put(device, 1, std::to_string(i), {i});
  cache.put(device, 2, "x", {1});
  EXPECT_EQ(cache.dirty_devices(), 1u);
  const auto taken = cache.take_dirty(100);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].value.value, "99");
  EXPECT_EQ(cache.dirty_devices(), 0u);
  EXPECT_TRUE(cache.take_dirty(100).empty());
  cache.put(device, 2, "y", {2});
  const auto next = cache.take_dirty(100);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].value.pin, 2);
}

TEST(ValueCache, TakesInPiecesWithoutLosingOrRepeating) {
  ValueCache cache;
  for (std::int32_t id = 1; id <= 200; ++id) {
    for (int pin = 0; pin < 7; ++pin) cache.put(DeviceId{id}, static_cast<std::uint8_t>(pin), "v", {1});
  }
  std::set<std::pair<std::int32_t, std::uint8_t>> seen;
  for (auto taken = cache.take_dirty(10); !taken.empty(); taken = cache.take_dirty(10)) {
    EXPECT_LE(taken.size(), 10u);
    for (const auto& update : taken) EXPECT_TRUE(seen.emplace(update.device_id.value(), update.value.pin).second);
  }
  EXPECT_EQ(seen.size(), 1400u);
  EXPECT_EQ(cache.dirty_devices(), 0u);
  EXPECT_TRUE(cache.take_dirty(0).empty());
}

TEST(ValueCache, AFailedWriteIsTriedAgainUnderNewerPuts) {
  ValueCache cache;
  cache.put(device, 1, "a", {1});
  cache.put(device, 2, "b", {1});
  const auto taken = cache.take_dirty(100);
  cache.put(device, 1, "newer", {2});
  cache.retry(taken);
  EXPECT_EQ(read_pin(cache, device, 1), "newer");
  const auto again = cache.take_dirty(100);
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].value.value, "newer");
  EXPECT_EQ(again[1].value.value, "b");
}

TEST(ValueCache, AForgottenDeviceIsGoneAlsoForRetries) {
  ValueCache cache;
  cache.put(device, 1, "a", {1});
  cache.put(DeviceId{5 + 64}, 1, "same shard", {1});
  const auto taken = cache.take_dirty(1);
  cache.put(device, 2, "b", {1});
  cache.forget(device);
  cache.forget(DeviceId{999});
  cache.retry(taken);
  std::vector<PinValue> all;
  EXPECT_EQ(cache.read(device, all), ValueCache::Loaded::no);
  EXPECT_TRUE(all.empty());
  const auto rest = cache.take_dirty(100);
  EXPECT_LE(rest.size(), 1u);
  for (const auto& update : rest) EXPECT_EQ(update.value.value, "same shard");
  EXPECT_EQ(cache.dirty_devices(), 0u);
}

TEST(ValueCache, ForgettingInTheMiddleOfTakingLosesNobodyElse) {
  ValueCache cache;
  std::set<std::int32_t> expected;
  for (std::int32_t i = 0; i < 50; ++i) {  // All in one shard.
    cache.put(DeviceId{1 + 64 * i}, 1, "v", {1});
    expected.insert(1 + 64 * i);
  }
  std::set<std::int32_t> seen;
  for (const auto& update : cache.take_dirty(10)) seen.insert(update.device_id.value());
  for (std::int32_t i = 0; i < 50; i += 3) {
    cache.forget(DeviceId{1 + 64 * i});
    if (!seen.contains(1 + 64 * i)) expected.erase(1 + 64 * i);
  }
  for (const auto& update : cache.take_dirty(1000)) EXPECT_TRUE(seen.insert(update.device_id.value()).second);
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(cache.dirty_devices(), 0u);
}

TEST(ValueCache, CleanDevicesLeaveWhenItGetsFullDirtyOnesStay) {
  ValueCache cache{64 * 1024};
  const std::string value(100, 'v');
  for (std::int32_t id = 1; id <= 20'000; ++id) {
    cache.put(DeviceId{id}, 1, value, {id});
    if (id % 50 == 0) {
      static_cast<void>(cache.take_dirty(1000));
      static_cast<void>(cache.take_dirty(1000));  // The first batch counts as written from here on.
    }
  }
  EXPECT_LE(cache.memory_bytes(), 2u * 64 * 1024 + 64u * 128);
  ValueCache full{64 * 1024};
  for (std::int32_t id = 1; id <= 2000; ++id) full.put(DeviceId{id}, 1, value, {id});
  for (std::int32_t id = 1; id <= 2000; ++id) EXPECT_EQ(read_pin(full, DeviceId{id}, 1), value);
  EXPECT_EQ(full.take_dirty(10'000).size(), 2000u);
}

TEST(ValueCache, WhatIsBeingWrittenDoesNotLeave) {
  ValueCache cache{0};  // Always full.
  cache.put(DeviceId{1}, 1, "a", {1});
  const auto taken = cache.take_dirty(100);
  for (std::int32_t i = 1; i < 100; ++i) cache.put(DeviceId{1 + 64 * i}, 1, "b", {1});
  EXPECT_EQ(read_pin(cache, DeviceId{1}, 1), "a");
  cache.retry(taken);
  bool seen = false;
  for (const auto& update : cache.take_dirty(1000)) seen = seen || update.device_id == DeviceId{1};
  EXPECT_TRUE(seen);
}

TEST(ValueCache, MemoryIsAccountedForAndComesBack) {
  ValueCache cache;
  const auto empty = cache.memory_bytes();
  for (std::int32_t id = 1; id <= 1000; ++id) cache.put(DeviceId{id}, 1, std::string(200, 'x'), {1});
  EXPECT_GE(cache.memory_bytes(), empty + 1000 * 200);
  const auto with_values = cache.memory_bytes();
  for (std::int32_t id = 1; id <= 1000; ++id) cache.put(DeviceId{id}, 1, std::string(150, 'y'), {2});
  EXPECT_EQ(cache.memory_bytes(), with_values);  // Shorter values reuse the room.
  for (std::int32_t id = 1; id <= 1000; ++id) cache.forget(DeviceId{id});
  EXPECT_LE(cache.memory_bytes(), empty + 64 * 1024);
}

TEST(ValueCache, AgreesWithAMap) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random{seed};
    ValueCache cache{16 * 1024};  // Small: eviction takes part.
    using Key = std::pair<std::int32_t, std::uint8_t>;
    std::map<Key, std::string> store, truth;
    std::int64_t now = 0;
    for (int step = 0; step < 20'000; ++step) {
      const DeviceId id{static_cast<std::int32_t>(1 + random.below(3) + 64 * random.below(40))};
      const auto pin = static_cast<std::uint8_t>(random.below(6));
      switch (random.below(8)) {
        case 0:
        case 1:
        case 2:
        case 3: {
          const std::string value(static_cast<std::size_t>(random.below(40)), static_cast<char>('a' + random.below(26)));
          cache.put(id, pin, value, {++now});
          truth[{id.value(), pin}] = value;
          break;
        }
        case 4: {
          const auto taken = cache.take_dirty(static_cast<std::size_t>(1 + random.below(50)));
          if (random.below(4) == 0) {
            cache.retry(taken);
          } else {
            for (const auto& update : taken) store[{update.device_id.value(), update.value.pin}] = update.value.value;
          }
          break;
        }
        case 5: {
          if (random.below(10) != 0) break;
          cache.forget(id);
          std::erase_if(store, [&](const auto& entry) { return entry.first.first == id.value(); });
          std::erase_if(truth, [&](const auto& entry) { return entry.first.first == id.value(); });
          break;
        }
        default: {  // As a session reads: memory first, then the store.
          std::optional<PinValue> value;
          if (cache.read_pin(id, pin, value) == ValueCache::Loaded::no) {
            std::vector<PinValue> stored;
            for (const auto& [key, text] : store) {
              if (key.first == id.value()) stored.push_back({key.second, text, {}});
            }
            cache.load(id, stored);
            ASSERT_EQ(cache.read_pin(id, pin, value), ValueCache::Loaded::yes);
          }
          const auto expected = truth.find({id.value(), pin});
          ASSERT_EQ(value.has_value(), expected != truth.end());
          if (value) {
            ASSERT_EQ(value->value, expected->second);
          }
        }
      }
    }
    for (auto taken = cache.take_dirty(1000); !taken.empty(); taken = cache.take_dirty(1000)) {
      for (const auto& update : taken) store[{update.device_id.value(), update.value.pin}] = update.value.value;
    }
    EXPECT_EQ(store, truth);
  }
}

TEST(ValueCache, PutsReadsAndFlushesMayRunAtOnce) {
  ValueCache cache{256 * 1024};
  std::atomic<bool> stop{false};
  std::map<std::pair<std::int32_t, std::uint8_t>, std::string> store;
  {
    std::jthread flusher{[&] {
      for (bool last = false; !last;) {
        last = stop.load();
        for (auto taken = cache.take_dirty(100); !taken.empty(); taken = cache.take_dirty(100)) {
          for (const auto& update : taken) store[{update.device_id.value(), update.value.pin}] = update.value.value;
        }
      }
    }};
    std::vector<std::jthread> writers;
    for (std::int32_t writer = 0; writer < 3; ++writer) {
      writers.emplace_back([&, writer] {
        std::optional<PinValue> value;
        for (int i = 0; i < 3000; ++i) {
          const DeviceId id{1 + writer + 3 * (i % 50)};
          cache.put(id, static_cast<std::uint8_t>(i % 3), std::to_string(i), {i});
          cache.read_pin(DeviceId{1 + i % 100}, 0, value);
        }
      });
    }
    writers.clear();
    stop = true;
  }
  // Each device belongs to one writer: its last put of each pin must have reached the store.
  for (std::int32_t writer = 0; writer < 3; ++writer) {
    std::map<std::pair<std::int32_t, std::uint8_t>, std::string> last;
    for (int i = 0; i < 3000; ++i) last[{1 + writer + 3 * (i % 50), static_cast<std::uint8_t>(i % 3)}] = std::to_string(i);
    for (const auto& [key, value] : last) EXPECT_EQ(store[key], value);
  }
}

}  // namespace
}  // namespace muster::domain
