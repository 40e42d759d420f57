// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "cloud/base/result.hpp"

namespace muster::net {

/// Objects that are named by index and generation and never move. Grows by chunks; freed slots are used again, newest first
/// (their memory is warm). One thread. A generation is never 0 and changes with every tenant of a slot.
template <class T, std::size_t chunk_size = 256>
class Slab {
 public:
  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for (std::uint32_t i = 0; i < size(); ++i) {
      if (slot(i).used) get(i)->~T();
    }
  }

  template <class... Arguments>
  std::uint32_t emplace(Arguments&&... arguments) {
    if (free_ == none) {
      auto chunk = std::make_unique<Slot[]>(chunk_size);
      const std::uint32_t first = size();
      chunks_.push_back(std::move(chunk));
      for (std::size_t i = chunk_size; i-- > 0;) {
        slot(first + static_cast<std::uint32_t>(i)).next_free = free_;
        free_ = first + static_cast<std::uint32_t>(i);
      }
    }
    const std::uint32_t index = free_;
    Slot& chosen = slot(index);
    new (chosen.bytes) T(std::forward<Arguments>(arguments)...);
    free_ = chosen.next_free;
    chosen.used = true;
    ++used_;
    return index;
  }

  void erase(std::uint32_t index) noexcept {
    Slot& freed = slot(index);
    get(index)->~T();
    freed.used = false;
    freed.generation = (freed.generation == max_generation ? 1 : freed.generation + 1) & max_generation;
    freed.next_free = free_;
    free_ = index;
    --used_;
  }

  /// nullptr: never used, freed, or somebody else's by now.
  [[nodiscard]] T* find(std::uint32_t index, std::uint32_t generation) noexcept {
    if (index >= size()) return nullptr;
    const Slot& candidate = slot(index);
    return candidate.used && candidate.generation == generation ? get(index) : nullptr;
  }
  [[nodiscard]] T& operator[](std::uint32_t index) noexcept { return *get(index); }
  [[nodiscard]] bool used(std::uint32_t index) const noexcept { return slot(index).used; }
  [[nodiscard]] std::uint32_t generation(std::uint32_t index) const noexcept { return slot(index).generation; }
  /// Indexes run from 0 to size()-1, used or not.
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(chunks_.size() * chunk_size); }
  [[nodiscard]] std::size_t used_count() const noexcept { return used_; }

  static constexpr std::size_t slot_size_bytes() noexcept { return sizeof(Slot); }

 private:
  static constexpr std::uint32_t none = 0xFFFFFFFF;
  static constexpr std::uint32_t max_generation = 0x7FFFFFFF;
  struct Slot {
    alignas(T) unsigned char bytes[sizeof(T)];
    std::uint32_t generation : 31;
    std::uint32_t used : 1;
    std::uint32_t next_free;
    Slot() noexcept : generation{1}, used{0}, next_free{none} {}
  };
  [[nodiscard]] Slot& slot(std::uint32_t index) noexcept { return chunks_[index / chunk_size][index % chunk_size]; }
  [[nodiscard]] const Slot& slot(std::uint32_t index) const noexcept { return chunks_[index / chunk_size][index % chunk_size]; }
  [[nodiscard]] T* get(std::uint32_t index) noexcept { return std::launder(reinterpret_cast<T*>(slot(index).bytes)); }

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  std::uint32_t free_ = none;
  std::size_t used_ = 0;
};

}  // namespace muster::net
