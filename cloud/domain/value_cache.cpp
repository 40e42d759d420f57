// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/value_cache.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>

#include "cloud/domain/flat_table.hpp"

namespace muster::domain {

namespace {

constexpr std::size_t shard_count = 64;
constexpr std::size_t inline_bytes = 16;  // Numbers fit; longer values get a buffer of their own.

/// One pin's last value.
class Slot {
 public:
  explicit Slot(std::uint8_t pin) noexcept : pin_{pin} {}
  Slot(Slot&& other) noexcept { take(other); }
  Slot& operator=(Slot&& other) noexcept {
    if (this != &other) {
      release();
      take(other);
    }
    return *this;
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() { release(); }

  /// Allocates only when the value is longer than any before.
  void set(std::string_view value, UtcTime at) {
    if (value.size() > capacity()) {
      const auto room = static_cast<std::uint32_t>((value.size() + value.size() / 4 + 15) / 16 * 16);
      char* const fresh = new char[room];
      release();
      body_.buffer = {fresh, room};
      on_heap_ = true;
    }
    if (!value.empty()) std::memcpy(data(), value.data(), value.size());
    size_ = static_cast<std::uint32_t>(value.size());
    at_ = at;
  }
  [[nodiscard]] PinValue value() const { return {pin_, std::string{on_heap_ ? body_.buffer.bytes : body_.text, size_}, at_}; }
  [[nodiscard]] std::uint8_t pin() const noexcept { return pin_; }
  [[nodiscard]] std::size_t heap_bytes() const noexcept { return on_heap_ ? body_.buffer.room : 0; }

  [[nodiscard]] bool dirty() const noexcept { return dirty_; }
  void set_dirty(bool dirty) noexcept { dirty_ = dirty; }

 private:
  struct Buffer {
    char* bytes;
    std::uint32_t room;
  };
  union Body {
    char text[inline_bytes];
    Buffer buffer;
  };
  [[nodiscard]] std::size_t capacity() const noexcept { return on_heap_ ? body_.buffer.room : inline_bytes; }
  [[nodiscard]] char* data() noexcept { return on_heap_ ? body_.buffer.bytes : body_.text; }
  void release() noexcept {
    if (on_heap_) delete[] body_.buffer.bytes;
    on_heap_ = false;
  }
  void take(Slot& other) noexcept {
    body_ = other.body_;
    at_ = other.at_;
    size_ = other.size_;
    pin_ = other.pin_;
    dirty_ = other.dirty_;
    on_heap_ = std::exchange(other.on_heap_, false);
    other.size_ = 0;
  }

  Body body_{};
  UtcTime at_{};
  std::uint32_t size_ = 0;
  std::uint8_t pin_ = 0;
  bool on_heap_ = false;
  bool dirty_ = false;
};
static_assert(sizeof(Slot) == 32);

/// One device's last values, sorted by pin.
struct Values {
  std::vector<Slot> slots;
  std::uint64_t taken_pass = 0;  ///< The pass of take_dirty that took from it last: its write may still be under way.
  bool loaded = false;           ///< The store knows nothing more.
  bool queued = false;           ///< In the shard's queue of dirty devices.
  bool used = true;              ///< Since the sweep came by last.

  [[nodiscard]] std::vector<Slot>::iterator lower_bound(std::uint8_t pin) noexcept {
    return std::lower_bound(slots.begin(), slots.end(), pin, [](const Slot& slot, std::uint8_t wanted) { return slot.pin() < wanted; });
  }
  [[nodiscard]] Slot* find(std::uint8_t pin) noexcept {
    const auto at = lower_bound(pin);
    return at != slots.end() && at->pin() == pin ? &*at : nullptr;
  }
  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    std::size_t bytes = sizeof(Values) + slots.capacity() * sizeof(Slot);
    for (const auto& slot : slots) bytes += slot.heap_bytes();
    return bytes;
  }
};

struct Cell {
  std::int32_t key = 0;
  std::unique_ptr<Values> values;
};

struct alignas(64) Shard {
  mutable std::mutex mutex;
  FlatTable<Cell> devices;
  std::vector<std::int32_t> dirty;  ///< Queue: from `dirty_first` on.
  std::size_t dirty_first = 0;
  std::size_t bytes = 0;  ///< Of the values, without the table.
  std::size_t hand = 0;   ///< Where the sweep goes on.

  [[nodiscard]] Values* find(DeviceId device) noexcept {
    Cell* const cell = devices.find(device.value());
    if (cell == nullptr) return nullptr;
    cell->values->used = true;
    return cell->values.get();
  }
  [[nodiscard]] Values& find_or_insert(DeviceId device) {
    const auto [cell, is_new] = devices.find_or_insert(device.value());
    if (is_new) {
      cell->values = std::make_unique<Values>();
      bytes += sizeof(Values);
    }
    cell->values->used = true;
    return *cell->values;
  }
  Slot& insert(Values& values, std::uint8_t pin) {
    const auto before = values.slots.capacity();
    // Grows by half: most devices have a handful of pins for ever.
    if (values.slots.size() == before) values.slots.reserve(before == 0 ? 2 : before + before / 2 + 1);
    const auto at = values.slots.emplace(values.lower_bound(pin), pin);
    bytes += (values.slots.capacity() - before) * sizeof(Slot);
    return *at;
  }
  void set(Slot& slot, std::string_view value, UtcTime at) {
    const auto before = slot.heap_bytes();
    slot.set(value, at);
    bytes += slot.heap_bytes() - before;
  }
  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    return bytes + devices.memory_bytes() + dirty.capacity() * sizeof(std::int32_t);
  }

  /// Lets clean devices go that nobody used since the hand came by last, until under `limit`; looks at a few each time, so
  /// that no put waits long. `keep` is in use right now.
  void sweep(std::size_t limit, std::uint64_t pass, DeviceId keep) {
    constexpr int looks = 16;
    for (int i = 0; i < looks && bytes + devices.memory_bytes() > limit && devices.cell_count() != 0; ++i) {
      if (hand >= devices.cell_count()) hand = 0;
      Cell& cell = devices.cell(hand);
      if (cell.key == 0) {
        ++hand;
      } else if (cell.key == keep.value() || std::exchange(cell.values->used, false) || cell.values->queued ||
                 cell.values->taken_pass == pass) {
        ++hand;
      } else {
        bytes -= cell.values->memory_bytes();
        devices.erase(cell.key);  // The next entry may have moved into this cell: look at it again.
      }
    }
  }
};

}  // namespace

struct ValueCache::Impl {
  std::array<Shard, shard_count> shards;
  std::size_t shard_limit = 0;
  std::atomic<std::size_t> dirty_devices{0};
  std::atomic<std::uint64_t> pass{1};  ///< Counts calls of take_dirty.
  std::atomic<std::size_t> next_shard{0};

  [[nodiscard]] Shard& shard(DeviceId device) noexcept { return shards[static_cast<std::uint32_t>(device.value()) % shard_count]; }

  void mark(Shard& shard, DeviceId device, Values& values, Slot& slot) {
    slot.set_dirty(true);
    if (values.queued) return;
    shard.dirty.push_back(device.value());
    values.queued = true;
    dirty_devices.fetch_add(1, std::memory_order_relaxed);
  }
};

ValueCache::ValueCache(std::size_t limit_bytes) : impl_{std::make_unique<Impl>()} { impl_->shard_limit = limit_bytes / shard_count; }
ValueCache::~ValueCache() = default;

void ValueCache::put(DeviceId device, std::uint8_t pin, std::string_view value, UtcTime at) {
  if (!device || value.size() > std::numeric_limits<std::uint32_t>::max() / 2) return;
  Shard& shard = impl_->shard(device);
  const std::lock_guard lock{shard.mutex};
  Values& values = shard.find_or_insert(device);
  Slot* slot = values.find(pin);
  if (slot == nullptr) slot = &shard.insert(values, pin);
  shard.set(*slot, value, at);
  impl_->mark(shard, device, values, *slot);
  shard.sweep(impl_->shard_limit, impl_->pass.load(std::memory_order_relaxed), device);
}

ValueCache::Loaded ValueCache::read(DeviceId device, std::vector<PinValue>& out) const {
  out.clear();
  Shard& shard = impl_->shard(device);
  const std::lock_guard lock{shard.mutex};
  const Values* const values = shard.find(device);
  if (values == nullptr) return Loaded::no;
  out.reserve(values->slots.size());
  for (const auto& slot : values->slots) out.push_back(slot.value());
  return values->loaded ? Loaded::yes : Loaded::no;
}

ValueCache::Loaded ValueCache::read_pin(DeviceId device, std::uint8_t pin, std::optional<PinValue>& out) const {
  out.reset();
  Shard& shard = impl_->shard(device);
  const std::lock_guard lock{shard.mutex};
  Values* const values = shard.find(device);
  if (values == nullptr) return Loaded::no;
  if (const Slot* const slot = values->find(pin)) {
    out = slot->value();
    return Loaded::yes;  // What was put last is newer than anything the store has.
  }
  return values->loaded ? Loaded::yes : Loaded::no;
}

void ValueCache::load(DeviceId device, const std::vector<PinValue>& stored) {
  if (!device) return;
  Shard& shard = impl_->shard(device);
  const std::lock_guard lock{shard.mutex};
  Values& values = shard.find_or_insert(device);
  for (const auto& value : stored) {
    if (values.find(value.pin) == nullptr) shard.set(shard.insert(values, value.pin), value.value, value.at);
  }
  values.loaded = true;
  shard.sweep(impl_->shard_limit, impl_->pass.load(std::memory_order_relaxed), device);
}

void ValueCache::forget(DeviceId device) {
  Shard& shard = impl_->shard(device);
  const std::lock_guard lock{shard.mutex};
  const Cell* const cell = shard.devices.find(device.value());
  if (cell == nullptr) return;
  if (cell->values->queued) {
    std::erase(shard.dirty, device.value());  // Everything before dirty_first is 0, so the rest stays where it belongs.
    impl_->dirty_devices.fetch_sub(1, std::memory_order_relaxed);
  }
  shard.bytes -= cell->values->memory_bytes();
  shard.devices.erase(device.value());
}

std::vector<ValueUpdate> ValueCache::take_dirty(std::size_t limit) {
  std::vector<ValueUpdate> taken;
  const auto pass = impl_->pass.fetch_add(1, std::memory_order_relaxed) + 1;
  for (std::size_t i = 0; i < shard_count && taken.size() < limit; ++i) {
    if (impl_->dirty_devices.load(std::memory_order_relaxed) == 0) break;
    // The next call begins where this one stopped: no shard starves when the limit is reached each time.
    Shard& shard = impl_->shards[impl_->next_shard.load(std::memory_order_relaxed) % shard_count];
    const std::lock_guard lock{shard.mutex};
    while (shard.dirty_first < shard.dirty.size() && taken.size() < limit) {
      const DeviceId device{shard.dirty[shard.dirty_first]};
      Values& values = *shard.devices.find(device.value())->values;
      values.taken_pass = pass;
      bool rest = false;
      for (auto& slot : values.slots) {
        if (!slot.dirty()) continue;
        if (taken.size() == limit) {
          rest = true;
          break;
        }
        taken.push_back({device, slot.value()});
        slot.set_dirty(false);
      }
      if (rest) break;
      values.queued = false;
      shard.dirty[shard.dirty_first++] = 0;
      impl_->dirty_devices.fetch_sub(1, std::memory_order_relaxed);
    }
    if (shard.dirty_first < shard.dirty.size()) break;
    shard.dirty.clear();  // Keeps its room for the next puts.
    shard.dirty_first = 0;
    impl_->next_shard.fetch_add(1, std::memory_order_relaxed);
  }
  return taken;
}

void ValueCache::retry(const std::vector<ValueUpdate>& updates) {
  for (const auto& update : updates) {
    Shard& shard = impl_->shard(update.device_id);
    const std::lock_guard lock{shard.mutex};
    // A device whose write is under way is never evicted: one that is not here was forgotten. Neither is a pin removed, and the
    // pin holds what was taken or something newer: it only has to be written again.
    Values* const values = shard.find(update.device_id);
    Slot* const slot = values == nullptr ? nullptr : values->find(update.value.pin);
    if (slot != nullptr) impl_->mark(shard, update.device_id, *values, *slot);
  }
}

std::size_t ValueCache::dirty_devices() const noexcept { return impl_->dirty_devices.load(std::memory_order_relaxed); }

std::size_t ValueCache::memory_bytes() const noexcept {
  std::size_t bytes = sizeof(Impl);
  for (const auto& shard : impl_->shards) {
    const std::lock_guard lock{shard.mutex};
    bytes += shard.memory_bytes();
  }
  return bytes;
}

}  // namespace muster::domain
