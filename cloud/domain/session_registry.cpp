// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/session_registry.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <queue>
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
  /// Without a session the place of its address holds until when one is waited for.
  [[nodiscard]] bool is_waiting() const noexcept { return fence == 0; }
  [[nodiscard]] bool is_at(const SessionAddress& wanted) const noexcept { return !is_waiting() && address() == wanted; }
  [[nodiscard]] std::int64_t waits_until_ms() const noexcept { return static_cast<std::int64_t>(std::uint64_t{generation} << 32 | slot); }
  [[nodiscard]] bool end_unseen() const noexcept { return loop != 0; }
  void wait(std::int64_t until_ms, bool unseen) noexcept {
    fence = 0;
    slot = static_cast<std::uint32_t>(until_ms);
    generation = static_cast<std::uint32_t>(static_cast<std::uint64_t>(until_ms) >> 32);
    node = 0;
    loop = unseen ? 1 : 0;
    swaps.fill(0);
  }
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

/// Rounded up: nobody goes offline early.
std::int64_t milliseconds_of(Instant at) noexcept { return std::chrono::ceil<std::chrono::milliseconds>(at.time_since_epoch()).count(); }

/// The end of a wait, for the sweep. A device that came back leaves its own behind until then.
struct End {
  std::int64_t at_ms = 0;
  std::int32_t device = 0;
  friend bool operator>(const End& a, const End& b) noexcept { return a.at_ms > b.at_ms; }
};

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
  const std::size_t waits_max;
  std::mutex ends_mutex;  ///< Never held together with a shard's.
  std::priority_queue<End, std::vector<End>, std::greater<>> ends;
  std::atomic<std::size_t> ends_size{0};
  std::atomic<std::size_t> size{0};
  std::atomic<std::uint64_t> newest_fence{0};

  explicit Impl(std::size_t limit) : waits_max{limit} {}
  void remember_end(DeviceId device, std::int64_t at_ms) {
    const std::lock_guard lock{ends_mutex};
    ends.push({at_ms, device.value()});
    ends_size.store(ends.size(), std::memory_order_relaxed);
  }
  [[nodiscard]] bool has_room() const noexcept { return ends_size.load(std::memory_order_relaxed) < waits_max; }
  [[nodiscard]] Shard& shard(DeviceId device) noexcept { return shards[static_cast<std::uint32_t>(device.value()) % shard_count]; }
};

SessionRegistry::SessionRegistry(std::size_t waits_max) : impl_{std::make_unique<Impl>(waits_max)} {}
SessionRegistry::~SessionRegistry() = default;

std::optional<SessionRegistry::Replaced> SessionRegistry::bind(DeviceId device, const SessionAddress& address, Instant now) {
  if (!device) return std::nullopt;
  auto& shard = impl_->shard(device);
  const std::lock_guard lock{shard.mutex};
  const auto [bound, inserted] = shard.sessions.find_or_insert(device.value());
  const bool is_new = inserted || bound->is_waiting();
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
  if (bound == nullptr || !bound->is_at(address)) return false;
  shard.sessions.erase(device.value());
  impl_->size.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

bool SessionRegistry::leave(DeviceId device, const SessionAddress& address, Instant until, Instant now) {
  if (until <= now || !impl_->has_room()) return unbind(device, address);
  const std::int64_t until_ms = milliseconds_of(until);
  {
    auto& shard = impl_->shard(device);
    const std::lock_guard lock{shard.mutex};
    Bound* const bound = shard.sessions.find(device.value());
    if (bound == nullptr || !bound->is_at(address)) return false;
    bound->wait(until_ms, false);
  }
  impl_->size.fetch_sub(1, std::memory_order_relaxed);
  impl_->remember_end(device, until_ms);
  return true;
}

void SessionRegistry::expect(DeviceId device, Instant until, bool end_unseen, Instant now) {
  if (!device || until <= now || !impl_->has_room()) return;
  const std::int64_t until_ms = milliseconds_of(until);
  {
    auto& shard = impl_->shard(device);
    const std::lock_guard lock{shard.mutex};
    const auto [bound, is_new] = shard.sessions.find_or_insert(device.value());
    if (!is_new) return;
    bound->wait(until_ms, end_unseen);
  }
  impl_->remember_end(device, until_ms);
}

Contact SessionRegistry::contact(DeviceId device, Instant now) const noexcept {
  auto& shard = impl_->shard(device);
  const std::lock_guard lock{shard.mutex};
  const Bound* const bound = shard.sessions.find(device.value());
  if (bound == nullptr) return Contact::none;
  if (!bound->is_waiting()) return Contact::connected;
  return Instant{std::chrono::milliseconds{bound->waits_until_ms()}} > now ? Contact::waiting : Contact::none;
}

void SessionRegistry::expire(Instant now, std::vector<Expired>& out) {
  std::vector<DeviceId> due;
  {
    const std::lock_guard lock{impl_->ends_mutex};
    while (!impl_->ends.empty() && Instant{std::chrono::milliseconds{impl_->ends.top().at_ms}} <= now) {
      due.emplace_back(impl_->ends.top().device);
      impl_->ends.pop();
    }
    impl_->ends_size.store(impl_->ends.size(), std::memory_order_relaxed);
  }
  for (const DeviceId device : due) {
    auto& shard = impl_->shard(device);
    const std::lock_guard lock{shard.mutex};
    const Bound* const bound = shard.sessions.find(device.value());
    // It may have come back since, and even left again: then a later end is on its way.
    if (bound == nullptr || !bound->is_waiting() || Instant{std::chrono::milliseconds{bound->waits_until_ms()}} > now) continue;
    out.push_back({device, bound->end_unseen(), Instant{std::chrono::milliseconds{bound->waits_until_ms()}}});
    shard.sessions.erase(device.value());
  }
}

std::optional<SessionAddress> SessionRegistry::find(DeviceId device) const noexcept {
  auto& shard = impl_->shard(device);
  const std::lock_guard lock{shard.mutex};
  const Bound* const bound = shard.sessions.find(device.value());
  return bound == nullptr || bound->is_waiting() ? std::nullopt : std::optional{bound->address()};
}

std::size_t SessionRegistry::size() const noexcept { return impl_->size.load(std::memory_order_relaxed); }

std::size_t SessionRegistry::memory_bytes() const noexcept {
  std::size_t bytes = sizeof(Impl) + impl_->ends_size.load(std::memory_order_relaxed) * sizeof(End);
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
      shard.sessions.for_each([&](const Bound& bound) {
        if (!bound.is_waiting()) copy.emplace_back(DeviceId{bound.key}, bound.address());
      });
    }
    // Outside of the lock: `each` may unbind.
    for (const auto& [device, address] : copy) each(device, address);
  }
}

}  // namespace muster::domain
