// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "cloud/base/result.hpp"
#include "cloud/domain/store.hpp"
#include "cloud/domain/timeline_queue.hpp"
#include "cloud/domain/value_cache.hpp"

namespace muster::domain {

/// Presence waiting for its way to the store, coalesced by device. Thread-safe, bounded: past `limit_devices` the oldest facts of
/// devices already waiting are merged and new devices are dropped and counted (presence is told again at the next login).
class PresenceQueue {
 public:
  explicit PresenceQueue(std::size_t limit_devices = 2'000'000);
  ~PresenceQueue();
  /// Merges into what waits for that device.
  void put(PresenceUpdate update);
  /// Cheap form for the login path.
  void connected(DeviceId device, UtcTime at, std::string_view ip, bool plain_text_link);
  void disconnected(DeviceId device, UtcTime at);
  void reported(DeviceId device, UtcTime at);
  std::vector<PresenceUpdate> take(std::size_t limit);
  void retry(std::vector<PresenceUpdate> updates);  ///< After a failed write; newer facts win.
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] std::uint64_t dropped() const noexcept;  ///< Facts of devices for which there was no room.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One pass of writing behind: takes what waits in batches and writes it; what failed waits again. Blocks; run it every 500 ms
/// on a thread of its own, and once at shutdown. Returns the first error, and how many rows were written.
struct WriteBehindResult {
  std::size_t rows = 0;
  Error error;
};
WriteBehindResult write_behind(Store& store, ValueCache& values, PresenceQueue& presence);
/// The same for lines of the timeline.
WriteBehindResult write_behind(Store& store, TimelineQueue& timeline, UtcTime now);

}  // namespace muster::domain
