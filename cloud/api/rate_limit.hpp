// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "cloud/base/clock.hpp"

namespace muster::api {

/// Counts per key in fixed windows. Thread-safe and bounded: when full, one of a few entries met is forgotten, oldest window
/// first, so that a flood of keys costs memory of a known size and never a scan.
class RateLimit {
 public:
  RateLimit(unsigned count_max, std::chrono::seconds window, std::size_t entries_max = 65'536);

  /// Counts one. nullopt: go on; else how long until the key may go on. count_max 0 switches the limit off.
  [[nodiscard]] std::optional<std::chrono::seconds> count(std::uint64_t key, Instant now);
  /// The same with a limit of this key's own. count_max 0 switches it off.
  [[nodiscard]] std::optional<std::chrono::seconds> count(std::uint64_t key, Instant now, unsigned count_max);
  /// The same without counting.
  [[nodiscard]] std::optional<std::chrono::seconds> peek(std::uint64_t key, Instant now) const;
  [[nodiscard]] std::size_t size() const;

 private:
  struct Entry {
    Instant window_start{};
    unsigned count = 0;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::uint64_t, Entry> entries;
  };
  static constexpr std::size_t shard_count = 16;
  [[nodiscard]] Shard& shard(std::uint64_t key) noexcept { return shards_[(key * 0x9E3779B97F4A7C15ull) >> 60]; }
  [[nodiscard]] const Shard& shard(std::uint64_t key) const noexcept { return shards_[(key * 0x9E3779B97F4A7C15ull) >> 60]; }

  const unsigned count_max_;
  const std::chrono::seconds window_;
  const std::size_t entries_max_per_shard_;
  std::array<Shard, shard_count> shards_;
};

}  // namespace muster::api
