// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/session_registry.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "cloud/domain/flat_table.hpp"

namespace muster::domain {

namespace {

constexpr std::size_t shard_count = 64;
constexpr std::uint32_t quarter_s = 15;
constexpr std::size_t quarters = 4;

struct Bound {
  std::int32_t key = 0;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint16_t node = 0, loop = 0;
  std::uint64_t fence = 0;
  /// Swaps of the last minute, by quarters of a minute: the newest quarter is at `quarter % quarters`. What is counted covers
  /// between 45 and 60 seconds.
  std::uint32_t quarter = 0;
  std::array<std::uint8_t, quarters> swaps{};

  [[nodiscard]] SessionAddress address() const noexcept { return {node, loop, slot, generation}; }
  void set(const SessionAddress& address) noexcept {
    slot = address.slot;
    generation = address.generation;
    node = address.node;
    loop = address.loop;
  }
  std::uint32_t count_swap(std::uint32_t now_quarter) noexcept {
    const std::uint32_t passed = now_quarter - quarter;
    if (passed >= quarters) {
      swaps.fill(0);
    } else {
      for (std::uint32_t i = 1; i <= passed; ++i) swaps[(quarter + i) % quarters] = 0;
    }
    quarter = now_quarter;
    auto& present = swaps[now_quarter % quarters];
    if (present < 255) ++present;
    std::uint32_t sum = 0;
    for (const auto count : swaps) sum += count;
    return sum;
  }
};
static_assert(sizeof(Bound) == 32);

std::uint32_t quarter_of(Instant now) noexcept {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() / quarter_s);
}

}  // namespace

struct SessionRegistry::Impl {
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    FlatTable<Bound> sessions;
  };
  std::array<Shard, shard_count> shards;
  std::atomic<std::size_t> size{0};
  std::atomic<std::uint64_t> newest_fence{0};

  [[nodiscard]] Shard& shard(DeviceId device) noexcept { return shards[static_cast<std::uint32_t>(device.value()) % shard_count]; }
};

SessionRegistry::SessionRegistry() : impl_{std::make_unique<Impl>()} {}
SessionRegistry::~SessionRegistry() = default;

std::optional<SessionRegistry::Replaced> SessionRegistry::bind(DeviceId device, const SessionAddress& address, Instant now) {
  if (!device) return std::nullopt;
  auto& shard = impl_->shard(device);
  const std::lock_guard lock{shard.mutex};
  const auto [bound, is_new] = shard.sessions.find_or_insert(device.value());
  bound->fence = impl_->newest_fence.fetch_add(1, std::memory_order_relaxed) + 1;
  if (is_new) {
    bound->quarter = quarter_of(now);
    bound->set(address);
    impl_->size.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  const SessionAddress former = bound->address();
  bound->set(address);
  if (former == address) return std::nullopt;  // The same connection logged in again.
  return Replaced{former, bound->count_swap(quarter_of(now))};
}

bool SessionRegistry::unbind(DeviceId device, const SessionAddress& address) {
  auto& shard = impl_->shard(device);
  const std::lock_guard lock{shard.mutex};
  const Bound* const bound = shard.sessions.find(device.value());
  if (bound == nullptr || bound->address() != address) return false;
  shard.sessions.erase(device.value());
  impl_->size.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

std::optional<SessionAddress> SessionRegistry::find(DeviceId device) const noexcept {
  auto& shard = impl_->shard(device);
  const std::lock_guard lock{shard.mutex};
  const Bound* const bound = shard.sessions.find(device.value());
  return bound == nullptr ? std::nullopt : std::optional{bound->address()};
}

std::size_t SessionRegistry::size() const noexcept { return impl_->size.load(std::memory_order_relaxed); }

std::size_t SessionRegistry::memory_bytes() const noexcept {
  std::size_t bytes = sizeof(Impl);
  for (auto& shard : impl_->shards) {
    const std::lock_guard lock{shard.mutex};
    bytes += shard.sessions.memory_bytes();
  }
  return bytes;
}

void SessionRegistry::for_each(const std::function<void(DeviceId, const SessionAddress&)>& each) const {
  std::vector<std::pair<DeviceId, SessionAddress>> copy;
  for (auto& shard : impl_->shards) {
    copy.clear();
    {
      const std::lock_guard lock{shard.mutex};
      copy.reserve(shard.sessions.size());
      shard.sessions.for_each([&](const Bound& bound) { copy.emplace_back(DeviceId{bound.key}, bound.address()); });
    }
    // Outside of the lock: `each` may unbind.
    for (const auto& [device, address] : copy) each(device, address);
  }
}

}  // namespace muster::domain
