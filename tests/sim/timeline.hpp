// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <queue>
#include <string_view>
#include <utility>
#include <vector>

#include "cloud/base/clock.hpp"

namespace muster::sim {

using Millis = std::uint64_t;

/// Virtual time, and what is going to happen in it: events of one moment happen in the order in which they were planned. It is also
/// the clock of the simulated cloud.
class Timeline final : public Clock {
 public:
  /// Plans `event` for `delay_ms` from now.
  void after(Millis delay_ms, std::function<void()> event) { events_.push({now_ms_ + delay_ms, ++planned_, std::move(event)}); }
  void run_until(Millis end_ms) {
    while (!events_.empty() && events_.top().at_ms <= end_ms) {
      auto event = std::move(const_cast<Event&>(events_.top()).run);
      now_ms_ = events_.top().at_ms;
      events_.pop();
      ++happened_;
      event();
    }
    now_ms_ = end_ms;
  }
  [[nodiscard]] Millis now_ms() const noexcept { return now_ms_; }
  [[nodiscard]] std::uint64_t happened() const noexcept { return happened_; }
  [[nodiscard]] Instant now() const noexcept override { return Instant{std::chrono::hours{1}} + std::chrono::milliseconds{now_ms_}; }
  [[nodiscard]] UtcTime utc_now() const noexcept override { return {1'767'225'600'000 + static_cast<std::int64_t>(now_ms_)}; }

 private:
  struct Event {
    Millis at_ms;
    std::uint64_t order;
    std::function<void()> run;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const noexcept { return a.at_ms != b.at_ms ? a.at_ms > b.at_ms : a.order > b.order; }
  };
  std::priority_queue<Event, std::vector<Event>, Later> events_;
  Millis now_ms_ = 0;
  std::uint64_t planned_ = 0, happened_ = 0;
};

/// A running hash of what happened: two runs of one seed must end with the same.
class Trace {
 public:
  void add(std::uint64_t number) noexcept {
    for (int shift = 0; shift < 64; shift += 8) add_byte(static_cast<std::uint8_t>(number >> shift));
  }
  void add(std::string_view bytes) noexcept {
    add(bytes.size());
    for (const char byte : bytes) add_byte(static_cast<std::uint8_t>(byte));
  }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

 private:
  void add_byte(std::uint8_t byte) noexcept { hash_ = (hash_ ^ byte) * 0x100000001B3ull; }
  std::uint64_t hash_ = 0xCBF29CE484222325ull;
};

}  // namespace muster::sim
