// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/timeline_queue.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <iterator>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "cloud/domain/rules.hpp"

namespace muster::domain {

namespace {

constexpr std::size_t shard_count = 16;
constexpr std::int64_t day_ms = 24LL * 3'600'000;
std::size_t shard_of(DeviceId device) noexcept { return static_cast<std::uint32_t>(device.value()) % shard_count; }

TimelineNote note_of(DeviceId device, UtcTime at, TimelineType type, std::string_view code) {
  TimelineNote note;
  note.device_id = device;
  note.at = at;
  note.type = type;
  note.code = code;
  return note;
}

}  // namespace

struct TimelineQueue::Impl {
  struct Ignored {
    UtcTime at, until;
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::deque<TimelineNote> notes;
    std::unordered_map<DeviceId, Ignored> ignored;  ///< Offline lines that a quick return takes back.
  };
  struct Counted {
    unsigned today = 0;
    std::vector<std::pair<EventDefId, std::int64_t>> recent;  ///< What was logged a moment ago, and when.
  };
  explicit Impl(const Limits& given) : limits{given} {}
  const Limits limits;
  std::array<Shard, shard_count> shards;
  std::mutex counted_mutex;
  std::unordered_map<DeviceId, Counted> counted;
  std::int64_t counted_day = 0;
  std::atomic<std::size_t> size{0};
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<std::size_t> next_shard{0};

  bool has_room() {
    if (size.load(std::memory_order_relaxed) < limits.notes_max) return true;
    dropped.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  /// With the shard's lock held.
  void add(Shard& shard, TimelineNote note) {
    if (!has_room()) return;
    shard.notes.push_back(std::move(note));
    size.fetch_add(1, std::memory_order_relaxed);
  }
  /// With the lock of the counts held. nullptr: there is no room for one more device.
  Counted* counted_of(DeviceId device, UtcTime now) {
    // A clock that is set back does not open a new day.
    if (const std::int64_t day = now.ms / day_ms; day > counted_day) {
      counted.clear();
      counted_day = day;
    }
    if (const auto known = counted.find(device); known != counted.end()) return &known->second;
    return counted.size() < limits.counted_devices_max ? &counted[device] : nullptr;
  }
  Verdict count(DeviceId device, EventDefId event, UtcTime now) {
    const std::lock_guard lock{counted_mutex};
    Counted* const found = counted_of(device, now);
    if (found == nullptr) return Verdict::too_many_today;
    Counted& lately = *found;
    std::erase_if(lately.recent,
                  [&](const auto& each) { return now.ms - each.second >= limits.same_event_apart.count() || each.second > now.ms; });
    if (std::any_of(lately.recent.begin(), lately.recent.end(), [&](const auto& each) { return each.first == event; }))
      return Verdict::too_soon;
    if (limits.events_per_day != 0 && lately.today >= limits.events_per_day) return Verdict::too_many_today;
    ++lately.today;
    lately.recent.emplace_back(event, now.ms);
    return Verdict::accepted;
  }
};

TimelineQueue::TimelineQueue(Limits limits) : impl_{std::make_unique<Impl>(limits)} {}
TimelineQueue::~TimelineQueue() = default;

void TimelineQueue::online(DeviceId device, UtcTime at) {
  auto& shard = impl_->shards[shard_of(device)];
  const std::lock_guard lock{shard.mutex};
  if (const auto found = shard.ignored.find(device); found != shard.ignored.end()) {
    const auto [since, until] = found->second;
    shard.ignored.erase(found);
    impl_->size.fetch_sub(1, std::memory_order_relaxed);
    if (at < until) return;
    impl_->add(shard, note_of(device, since, TimelineType::offline, timeline_code::offline));
  }
  impl_->add(shard, note_of(device, at, TimelineType::online, timeline_code::online));
}

void TimelineQueue::offline(DeviceId device, UtcTime at, std::chrono::seconds ignore) {
  auto& shard = impl_->shards[shard_of(device)];
  const std::lock_guard lock{shard.mutex};
  if (ignore.count() <= 0) return impl_->add(shard, note_of(device, at, TimelineType::offline, timeline_code::offline));
  if (!impl_->has_room()) return;
  if (shard.ignored.try_emplace(device, Impl::Ignored{at, {at.ms + ignore.count() * 1000}}).second)
    impl_->size.fetch_add(1, std::memory_order_relaxed);
}

void TimelineQueue::put(TimelineNote note) {
  auto& shard = impl_->shards[shard_of(note.device_id)];
  const std::lock_guard lock{shard.mutex};
  impl_->add(shard, std::move(note));
}

void TimelineQueue::remember(DeviceId device, unsigned logged_today, UtcTime now) {
  const std::lock_guard lock{impl_->counted_mutex};
  if (auto* const counted = impl_->counted_of(device, now)) counted->today += logged_today;
}

const TimelineQueue::Limits& TimelineQueue::limits() const noexcept { return impl_->limits; }

std::vector<TimelineNote> TimelineQueue::take(std::size_t limit, UtcTime now) {
  std::vector<TimelineNote> taken;
  for (std::size_t i = 0; i < shard_count && taken.size() < limit; ++i) {
    auto& shard = impl_->shards[impl_->next_shard.load(std::memory_order_relaxed) % shard_count];
    const std::lock_guard lock{shard.mutex};
    for (auto waiting = shard.ignored.begin(); waiting != shard.ignored.end();) {
      if (now < waiting->second.until) {
        ++waiting;
        continue;
      }
      shard.notes.push_back(note_of(waiting->first, waiting->second.at, TimelineType::offline, timeline_code::offline));
      waiting = shard.ignored.erase(waiting);
    }
    const std::size_t count = std::min(limit - taken.size(), shard.notes.size());
    const auto end = shard.notes.begin() + static_cast<std::ptrdiff_t>(count);
    std::move(shard.notes.begin(), end, std::back_inserter(taken));
    shard.notes.erase(shard.notes.begin(), end);
    impl_->size.fetch_sub(count, std::memory_order_relaxed);
    if (!shard.notes.empty()) break;
    shard.notes.shrink_to_fit();
    impl_->next_shard.fetch_add(1, std::memory_order_relaxed);
  }
  return taken;
}

void TimelineQueue::retry(std::vector<TimelineNote> notes) {
  // They were within the limit when they first came.
  for (auto note = notes.rbegin(); note != notes.rend(); ++note) {
    auto& shard = impl_->shards[shard_of(note->device_id)];
    const std::lock_guard lock{shard.mutex};
    shard.notes.push_front(std::move(*note));
    impl_->size.fetch_add(1, std::memory_order_relaxed);
  }
}

std::size_t TimelineQueue::size() const noexcept { return impl_->size.load(std::memory_order_relaxed); }
std::uint64_t TimelineQueue::dropped() const noexcept { return impl_->dropped.load(std::memory_order_relaxed); }

TimelineQueue::Verdict TimelineQueue::judge(const Template& its_template, DeviceId device, std::string_view code,
                                            std::string_view description, UtcTime now, TimelineNote& note) {
  const auto event =
      std::find_if(its_template.events.begin(), its_template.events.end(), [&](const EventDef& each) { return each.code == code; });
  if (event == its_template.events.end() || event->is_system) return Verdict::unknown_code;
  std::string words = description.empty() ? event->description : printable_text(description);
  if (character_count(words) > event_description_max_chars) return Verdict::too_long;
  if (const auto verdict = impl_->count(device, event->id, now); verdict != Verdict::accepted) return verdict;
  note.what = TimelineNote::What::add;
  note.device_id = device;
  note.at = now;
  note.type = static_cast<TimelineType>(event->type);
  note.code = event->code;
  note.name = event->name;
  note.description = std::move(words);
  return Verdict::accepted;
}

}  // namespace muster::domain
