// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace muster {

/// A moment of a clock that never goes backwards: deadlines, timers, durations.
using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// Unix time in milliseconds: what is stored and shown. 0 = never.
struct UtcTime {
  std::int64_t ms = 0;
  friend constexpr auto operator<=>(const UtcTime&, const UtcTime&) noexcept = default;
};

/// Passed to everything that needs the time, so that tests and simulations own it.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Instant now() const noexcept = 0;
  [[nodiscard]] virtual UtcTime utc_now() const noexcept = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const noexcept override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] UtcTime utc_now() const noexcept override {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count()};
  }
};

/// Time that moves only when told to; starts at a fixed moment. Not thread-safe.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const noexcept override { return now_; }
  [[nodiscard]] UtcTime utc_now() const noexcept override { return utc_; }
  void advance(Duration by) noexcept {
    now_ += by;
    utc_.ms += std::chrono::duration_cast<std::chrono::milliseconds>(by).count();
  }
  /// Steps the wall clock alone, also backwards.
  void set_utc(UtcTime utc) noexcept { utc_ = utc; }

 private:
  Instant now_{std::chrono::hours{1}};
  UtcTime utc_{1'767'225'600'000};  // 2026-01-01T00:00:00Z
};

}  // namespace muster
