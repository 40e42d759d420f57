// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/rate_limit.hpp"

#include <algorithm>

#include "cloud/api/bounded_table.hpp"

namespace muster::api {
namespace {
std::chrono::seconds rest_of(Instant window_start, std::chrono::seconds window, Instant now) {
  return std::max(std::chrono::seconds{1}, std::chrono::ceil<std::chrono::seconds>(window_start + window - now));
}
}  // namespace

RateLimit::RateLimit(unsigned count_max, std::chrono::seconds window, std::size_t entries_max)
    : count_max_{count_max}, window_{window}, entries_max_per_shard_{std::max<std::size_t>(1, entries_max / shard_count)} {}

std::optional<std::chrono::seconds> RateLimit::count(std::uint64_t key, Instant now) { return count(key, now, count_max_); }

std::optional<std::chrono::seconds> RateLimit::count(std::uint64_t key, Instant now, unsigned count_max) {
  if (count_max == 0) return std::nullopt;
  Shard& place = shard(key);
  const std::lock_guard lock{place.mutex};
  auto found = place.entries.find(key);
  if (found == place.entries.end()) {
    make_room(place.entries, key, entries_max_per_shard_, [](const Entry& a, const Entry& b) { return a.window_start < b.window_start; });
    found = place.entries.emplace(key, Entry{now, 0}).first;
  }
  Entry& entry = found->second;
  if (now - entry.window_start >= window_) entry = Entry{now, 0};
  if (entry.count >= count_max) return rest_of(entry.window_start, window_, now);
  ++entry.count;
  return std::nullopt;
}

std::optional<std::chrono::seconds> RateLimit::peek(std::uint64_t key, Instant now) const {
  if (count_max_ == 0) return std::nullopt;
  const Shard& place = shard(key);
  const std::lock_guard lock{place.mutex};
  const auto found = place.entries.find(key);
  if (found == place.entries.end() || now - found->second.window_start >= window_ || found->second.count < count_max_) return std::nullopt;
  return rest_of(found->second.window_start, window_, now);
}

std::size_t RateLimit::size() const {
  std::size_t total = 0;
  for (const auto& place : shards_) {
    const std::lock_guard lock{place.mutex};
    total += place.entries.size();
  }
  return total;
}

}  // namespace muster::api
