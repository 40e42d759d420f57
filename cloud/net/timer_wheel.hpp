// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "cloud/base/clock.hpp"

namespace muster::net {

/// A connection's place in the wheel; lives in the connection.
struct TimerNode {
  static constexpr std::uint32_t none = 0xFFFFFFFF;
  std::uint32_t next = none;
  std::uint32_t previous = none;  ///< none: the first of its slot.
  std::uint32_t tick = 0;         ///< 0: not armed.
};

/// One timer a connection, lazily kept: a deadline that moves later costs nothing, because the timer fires at the old moment
/// and its owner arms it again. Deadlines further away than the wheel is round fire early, too. Precise to a tick, never early
/// for the owner who looks at the clock. `Nodes` finds a node by index: `TimerNode& timer(std::uint32_t)`.
template <class Nodes>
class TimerWheel {
 public:
  static constexpr std::chrono::milliseconds tick_length{64};
  static constexpr std::uint32_t slot_count = 1024;  ///< A round takes 65 s: longer than a device's usual heartbeat.

  TimerWheel(Nodes& nodes, Instant start) noexcept : nodes_{nodes}, start_{start} { heads_.fill(TimerNode::none); }

  /// Fires at or after `deadline` (or earlier, see above). Instant::max() asks for nothing, and takes nothing away.
  void arm(std::uint32_t index, Instant deadline) noexcept {
    if (deadline == Instant::max()) return;
    TimerNode& node = nodes_.timer(index);
    const std::uint32_t tick = std::clamp(tick_after(deadline), now_tick_ + 1, now_tick_ + slot_count - 1);
    if (node.tick != 0) {
      if (node.tick <= tick) return;
      unlink(index);
    }
    node.tick = tick;
    std::uint32_t& head = heads_[tick % slot_count];
    node.next = head;
    node.previous = TimerNode::none;
    if (head != TimerNode::none) nodes_.timer(head).previous = index;
    head = index;
    occupied_[tick % slot_count / 64] |= std::uint64_t{1} << (tick % 64);
  }

  void disarm(std::uint32_t index) noexcept {
    if (nodes_.timer(index).tick != 0) unlink(index);
  }

  /// Fires what is due: `fire(index)` may arm and disarm any timer.
  template <class Fire>
  void advance(Instant now, Fire&& fire) {
    const std::uint32_t target = tick_before(now);
    if (target <= now_tick_) return;
    // After a long pause (the machine slept) one round visits every slot.
    std::uint32_t tick = std::max(now_tick_ + 1, target >= slot_count ? target - slot_count + 1 : 0);
    for (; tick <= target; ++tick) {
      const std::uint32_t slot = tick % slot_count;
      now_tick_ = tick;
      while (heads_[slot] != TimerNode::none) {
        const std::uint32_t index = heads_[slot];
        unlink(index);
        fire(index);  // Arms later ticks only, so that this slot runs empty.
      }
    }
    now_tick_ = target;
  }

  /// When advance() has something to do next. nullopt: nothing is armed.
  [[nodiscard]] std::optional<Instant> next() const noexcept {
    for (std::uint32_t distance = 1; distance <= slot_count;) {
      const std::uint32_t slot = (now_tick_ + distance) % slot_count;
      const std::uint64_t word = occupied_[slot / 64] >> (slot % 64);
      if (word != 0) {
        distance += static_cast<std::uint32_t>(std::countr_zero(word));
        return start_ + tick_length * (now_tick_ + distance);
      }
      distance += 64 - slot % 64;
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] std::uint32_t tick_before(Instant moment) const noexcept {
    return moment <= start_ ? 0 : static_cast<std::uint32_t>((moment - start_) / tick_length);
  }
  [[nodiscard]] std::uint32_t tick_after(Instant moment) const noexcept {
    if (moment <= start_) return 1;
    const auto ticks = (moment - start_ + tick_length - Duration{1}) / tick_length;
    return static_cast<std::uint32_t>(std::min<std::int64_t>(ticks, 0xFFFFFFFF));
  }
  void unlink(std::uint32_t index) noexcept {
    TimerNode& node = nodes_.timer(index);
    const std::uint32_t slot = node.tick % slot_count;
    if (node.previous == TimerNode::none) {
      heads_[slot] = node.next;
      if (node.next == TimerNode::none) occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    } else {
      nodes_.timer(node.previous).next = node.next;
    }
    if (node.next != TimerNode::none) nodes_.timer(node.next).previous = node.previous;
    node = TimerNode{};
  }

  Nodes& nodes_;
  Instant start_;
  std::uint32_t now_tick_ = 0;
  std::array<std::uint32_t, slot_count> heads_;
  std::array<std::uint64_t, slot_count / 64> occupied_{};
};

}  // namespace muster::net
