// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace muster::domain {

/// Entries of fixed size by a number, in one array: open addressing, linear probing, no tombstones. Made for millions of small
/// entries: no allocation but when it grows, by half, at 80 % full. Not thread-safe. Pointers to entries are valid until the
/// next insert or erase.
///
/// Entry is a movable type with `std::int32_t key`, 0 = empty cell.
template <class Entry>
class FlatTable {
 public:
  [[nodiscard]] Entry* find(std::int32_t key) noexcept {
    const auto cell = cell_of(key);
    return cell == none ? nullptr : &cells_[cell];
  }
  [[nodiscard]] const Entry* find(std::int32_t key) const noexcept {
    const auto cell = cell_of(key);
    return cell == none ? nullptr : &cells_[cell];
  }

  /// The entry with this key, and whether it is new (default-made but for its key).
  std::pair<Entry*, bool> find_or_insert(std::int32_t key) {
    if (cells_.empty()) grow();
    auto cell = home(key);
    while (cells_[cell].key != 0 && cells_[cell].key != key) cell = after(cell);
    if (cells_[cell].key == key) return {&cells_[cell], false};
    if ((size_ + 1) * 5 > cells_.size() * 4) {
      grow();
      cell = home(key);
      while (cells_[cell].key != 0) cell = after(cell);
    }
    cells_[cell].key = key;
    ++size_;
    return {&cells_[cell], true};
  }

  /// True if there was one.
  bool erase(std::int32_t key) {
    auto hole = cell_of(key);
    if (hole == none) return false;
    // Entries behind the hole that would no longer be found move up into it.
    for (auto cell = after(hole); cells_[cell].key != 0; cell = after(cell)) {
      const auto wanted = home(cells_[cell].key);
      const bool reaches = hole <= cell ? (wanted <= hole || wanted > cell) : (wanted <= hole && wanted > cell);
      if (!reaches) continue;
      cells_[hole] = std::move(cells_[cell]);
      hole = cell;
    }
    cells_[hole] = Entry{};
    --size_;
    return true;
  }

  template <class Each>
  void for_each(Each each) const {
    for (const auto& entry : cells_) {
      if (entry.key != 0) each(entry);
    }
  }
  void clear() noexcept {
    std::vector<Entry>{}.swap(cells_);
    size_ = 0;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t memory_bytes() const noexcept { return cells_.size() * sizeof(Entry); }
  /// Cells, for sweeping: entries may move when others are erased.
  [[nodiscard]] std::size_t cell_count() const noexcept { return cells_.size(); }
  [[nodiscard]] Entry& cell(std::size_t index) noexcept { return cells_[index]; }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

  [[nodiscard]] std::size_t home(std::int32_t key) const noexcept {
    const auto spread = (static_cast<std::uint64_t>(static_cast<std::uint32_t>(key)) * 0x9E3779B97F4A7C15ull) >> 32;
    return static_cast<std::size_t>((spread * cells_.size()) >> 32);
  }
  [[nodiscard]] std::size_t after(std::size_t cell) const noexcept { return cell + 1 == cells_.size() ? 0 : cell + 1; }
  [[nodiscard]] std::size_t cell_of(std::int32_t key) const noexcept {
    if (cells_.empty() || key == 0) return none;
    for (auto cell = home(key);; cell = after(cell)) {
      if (cells_[cell].key == key) return cell;
      if (cells_[cell].key == 0) return none;
    }
  }
  void grow() {
    std::vector<Entry> old = std::exchange(cells_, std::vector<Entry>(cells_.empty() ? 8 : cells_.size() + cells_.size() / 2));
    for (auto& entry : old) {
      if (entry.key == 0) continue;
      auto cell = home(entry.key);
      while (cells_[cell].key != 0) cell = after(cell);
      cells_[cell] = std::move(entry);
    }
  }

  std::vector<Entry> cells_;
  std::size_t size_ = 0;
};

}  // namespace muster::domain
