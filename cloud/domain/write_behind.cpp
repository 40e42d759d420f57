// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/write_behind.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "cloud/domain/flat_table.hpp"

namespace muster::domain {

namespace {

constexpr std::size_t shard_count = 16;
constexpr std::size_t ip_text_max = 45;  // The longest IPv6 text, with an IPv4 tail.

/// What waits for one device. Flat, so that a login costs no allocation but the table's growth.
struct Waiting {
  std::int32_t device_id = 0;
  bool has_connected = false, has_disconnected = false, has_reported = false, has_ip = false, has_link = false;
  bool plain_text_link = false;
  std::uint8_t ip_size = 0;
  std::array<char, ip_text_max> ip{};
  UtcTime connected_at, disconnected_at, reported_at;
  std::unique_ptr<HardwareInfo> hardware;

  void set_ip(std::string_view text) noexcept {
    ip_size = static_cast<std::uint8_t>(std::min(text.size(), ip.size()));
    std::memcpy(ip.data(), text.data(), ip_size);
    has_ip = true;
  }
  [[nodiscard]] PresenceUpdate update() {
    PresenceUpdate update;
    update.device_id = DeviceId{device_id};
    if (has_connected) update.connected_at = connected_at;
    if (has_disconnected) update.disconnected_at = disconnected_at;
    if (has_reported) update.reported_at = reported_at;
    if (has_ip) update.ip.emplace(ip.data(), ip_size);
    if (has_link) update.plain_text_link = plain_text_link;
    if (hardware) update.hardware = std::move(*hardware);
    return update;
  }
};

struct Place {
  std::int32_t key = 0;
  std::uint32_t index = 0;  ///< In `waiting`.
};

struct alignas(64) Shard {
  mutable std::mutex mutex;
  FlatTable<Place> places;
  std::vector<Waiting> waiting;
};

/// Moments only move on: two loops may report out of order, and a wall clock may step back, but then the later login wins.
void advance(bool& has, UtcTime& present, UtcTime at) noexcept {
  present = has ? std::max(present, at) : at;
  has = true;
}

}  // namespace

struct PresenceQueue::Impl {
  std::array<Shard, shard_count> shards;
  std::size_t limit = 0;
  std::atomic<std::size_t> size{0};
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<std::size_t> next_shard{0};

  /// Calls `merge` on what waits for the device; false: there is no room for one more device.
  template <class Merge>
  bool with(DeviceId device, bool beyond_limit, Merge merge) {
    Shard& shard = shards[static_cast<std::uint32_t>(device.value()) % shard_count];
    const std::lock_guard lock{shard.mutex};
    if (const Place* const known = shard.places.find(device.value())) {
      merge(shard.waiting[known->index]);
      return true;
    }
    if (!beyond_limit && size.load(std::memory_order_relaxed) >= limit) {
      dropped.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    auto& fresh = shard.waiting.emplace_back();
    fresh.device_id = device.value();
    shard.places.find_or_insert(device.value()).first->index = static_cast<std::uint32_t>(shard.waiting.size() - 1);
    size.fetch_add(1, std::memory_order_relaxed);
    merge(fresh);
    return true;
  }
};

PresenceQueue::PresenceQueue(std::size_t limit_devices) : impl_{std::make_unique<Impl>()} { impl_->limit = limit_devices; }
PresenceQueue::~PresenceQueue() = default;

void PresenceQueue::put(PresenceUpdate update) {
  if (!update.device_id) return;
  impl_->with(update.device_id, false, [&](Waiting& waiting) {
    if (update.connected_at) advance(waiting.has_connected, waiting.connected_at, *update.connected_at);
    if (update.disconnected_at) advance(waiting.has_disconnected, waiting.disconnected_at, *update.disconnected_at);
    if (update.reported_at) advance(waiting.has_reported, waiting.reported_at, *update.reported_at);
    if (update.ip) waiting.set_ip(*update.ip);
    if (update.plain_text_link) {
      waiting.plain_text_link = *update.plain_text_link;
      waiting.has_link = true;
    }
    if (update.hardware) {
      if (waiting.hardware) {
        *waiting.hardware = std::move(*update.hardware);
      } else {
        waiting.hardware = std::make_unique<HardwareInfo>(std::move(*update.hardware));
      }
    }
  });
}

void PresenceQueue::connected(DeviceId device, UtcTime at, std::string_view ip, bool plain_text_link) {
  if (!device) return;
  impl_->with(device, false, [&](Waiting& waiting) {
    advance(waiting.has_connected, waiting.connected_at, at);
    waiting.set_ip(ip);
    waiting.plain_text_link = plain_text_link;
    waiting.has_link = true;
  });
}

void PresenceQueue::disconnected(DeviceId device, UtcTime at) {
  if (!device) return;
  impl_->with(device, false, [&](Waiting& waiting) { advance(waiting.has_disconnected, waiting.disconnected_at, at); });
}

void PresenceQueue::reported(DeviceId device, UtcTime at) {
  if (!device) return;
  impl_->with(device, false, [&](Waiting& waiting) { advance(waiting.has_reported, waiting.reported_at, at); });
}

std::vector<PresenceUpdate> PresenceQueue::take(std::size_t limit) {
  std::vector<PresenceUpdate> taken;
  taken.reserve(std::min(limit, size()));
  for (std::size_t i = 0; i < shard_count && taken.size() < limit; ++i) {
    Shard& shard = impl_->shards[impl_->next_shard.load(std::memory_order_relaxed) % shard_count];
    const std::lock_guard lock{shard.mutex};
    const auto before = taken.size();
    while (!shard.waiting.empty() && taken.size() < limit) {
      Waiting& last = shard.waiting.back();
      taken.push_back(last.update());
      shard.places.erase(last.device_id);
      shard.waiting.pop_back();
    }
    impl_->size.fetch_sub(taken.size() - before, std::memory_order_relaxed);
    if (!shard.waiting.empty()) break;
    // A storm of logins must not hold its memory for ever; a steady stream keeps its room (about 30 KiB a shard).
    constexpr std::size_t kept = 256;
    if (shard.waiting.capacity() > kept) {
      std::vector<Waiting>{}.swap(shard.waiting);
      shard.places.clear();
    }
    impl_->next_shard.fetch_add(1, std::memory_order_relaxed);
  }
  return taken;
}

void PresenceQueue::retry(std::vector<PresenceUpdate> updates) {
  for (auto& update : updates) {
    if (!update.device_id) continue;
    // They were within the limit when they first came, and a batch is small against it.
    impl_->with(update.device_id, true, [&](Waiting& waiting) {
      if (update.connected_at) advance(waiting.has_connected, waiting.connected_at, *update.connected_at);
      if (update.disconnected_at) advance(waiting.has_disconnected, waiting.disconnected_at, *update.disconnected_at);
      if (update.reported_at) advance(waiting.has_reported, waiting.reported_at, *update.reported_at);
      if (update.ip && !waiting.has_ip) waiting.set_ip(*update.ip);
      if (update.plain_text_link && !waiting.has_link) {
        waiting.plain_text_link = *update.plain_text_link;
        waiting.has_link = true;
      }
      if (update.hardware && !waiting.hardware) waiting.hardware = std::make_unique<HardwareInfo>(std::move(*update.hardware));
    });
  }
}

std::size_t PresenceQueue::size() const noexcept { return impl_->size.load(std::memory_order_relaxed); }
std::uint64_t PresenceQueue::dropped() const noexcept { return impl_->dropped.load(std::memory_order_relaxed); }

WriteBehindResult write_behind(Store& store, ValueCache& values, PresenceQueue& presence) {
  // A batch is one transaction, and other writers wait for it: both sizes take some 20 ms. Values are written in the order of
  // their table, so that more of them in one batch share its pages.
  constexpr std::size_t value_rows = 16'384;
  constexpr std::size_t presence_rows = 1'024;
  constexpr std::size_t batches_max = 4'096;  // Those who keep adding must not keep this pass from ever ending.
  WriteBehindResult result;
  for (std::size_t i = 0; i < batches_max; ++i) {
    const auto batch = values.take_dirty(value_rows);
    if (batch.empty()) break;
    if (const auto written = store.write_values(batch); !written) {
      values.retry(batch);
      result.error = written.error();
      break;
    }
    result.rows += batch.size();
    if (batch.size() < value_rows) break;
  }
  for (std::size_t i = 0; i < batches_max; ++i) {
    auto batch = presence.take(presence_rows);
    if (batch.empty()) break;
    const auto rows = batch.size();
    if (const auto written = store.write_presence(batch); !written) {
      presence.retry(std::move(batch));
      if (!result.error) result.error = written.error();
      break;
    }
    result.rows += rows;
    if (rows < presence_rows) break;
  }
  return result;
}

WriteBehindResult write_behind(Store& store, TimelineQueue& timeline, UtcTime now) {
  constexpr std::size_t rows_max = 1'024;
  constexpr std::size_t batches_max = 1'024;
  WriteBehindResult result;
  for (std::size_t i = 0; i < batches_max; ++i) {
    auto batch = timeline.take(rows_max, now);
    if (batch.empty()) break;
    if (const auto written = store.write_timeline(batch); !written) {
      timeline.retry(std::move(batch));
      result.error = written.error();
      break;
    }
    result.rows += batch.size();
    if (batch.size() < rows_max) break;
  }
  return result;
}

}  // namespace muster::domain
