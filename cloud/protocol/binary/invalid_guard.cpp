// SPDX-License-Identifier: Apache-2.0
#include "cloud/protocol/binary/invalid_guard.hpp"

#include <algorithm>

namespace muster::protocol {
namespace {

constexpr std::chrono::minutes window{1};

std::uint64_t key_of(const IpAddress& address) noexcept {
  std::uint64_t key = address.limit_key();
  key ^= key >> 31;
  key *= 0x9E3779B97F4A7C15ull;
  return key ^ (key >> 29);
}

std::size_t per_generation(std::size_t known_max, std::size_t shards) noexcept {
  return std::max<std::size_t>(1, known_max / (2 * shards));
}

}  // namespace

InvalidGuard::InvalidGuard(std::size_t addresses_per_minute, std::size_t known_max)
    : generation_max_{per_generation(known_max, shard_count)}, limit_{addresses_per_minute} {}

void InvalidGuard::set_limits(std::size_t addresses_per_minute, std::size_t known_max) {
  generation_max_.store(per_generation(known_max, shard_count), std::memory_order_relaxed);
  const std::lock_guard lock{mutex_};
  limit_ = addresses_per_minute;
  if (heard_.size() > limit_ + 1) heard_.resize(limit_ + 1);
}

void InvalidGuard::remember(const IpAddress& address) {
  const std::uint64_t key = key_of(address);
  Shard& shard = shards_[key % shard_count];
  const std::lock_guard lock{shard.mutex};
  if (shard.recent.contains(key)) return;
  if (shard.recent.size() >= generation_max_.load(std::memory_order_relaxed)) {
    shard.older = std::move(shard.recent);
    shard.recent.clear();
  }
  shard.recent.insert(key);
}

bool InvalidGuard::known(const IpAddress& address) const {
  const std::uint64_t key = key_of(address);
  const Shard& shard = shards_[key % shard_count];
  const std::lock_guard lock{shard.mutex};
  return shard.recent.contains(key) || shard.older.contains(key);
}

std::size_t InvalidGuard::count_since(Instant moment) const {
  return static_cast<std::size_t>(std::count_if(heard_.begin(), heard_.end(), [&](const Heard& heard) { return heard.at > moment; }));
}

InvalidGuard::Verdict InvalidGuard::ask(const IpAddress& address, Instant now) {
  const bool is_known = known(address);
  const std::lock_guard lock{mutex_};
  if (is_known) {
    const std::uint64_t key = key_of(address);
    const auto found = std::find_if(heard_.begin(), heard_.end(), [&](const Heard& heard) { return heard.key == key; });
    if (found != heard_.end()) {
      found->at = now;
    } else if (heard_.size() <= limit_) {
      heard_.push_back({key, now});
    } else {
      // Only whether more than limit_ are younger than a minute matters: the oldest may go.
      *std::min_element(heard_.begin(), heard_.end(), [](const Heard& a, const Heard& b) { return a.at < b.at; }) = {key, now};
    }
  }
  const bool was_open = open_;
  open_ = count_since(now - window) > limit_;
  return {.may_answer = !open_, .opened = open_ && !was_open};
}

bool InvalidGuard::open(Instant now) const {
  const std::lock_guard lock{mutex_};
  return open_ && count_since(now - window) > limit_;
}

}  // namespace muster::protocol
