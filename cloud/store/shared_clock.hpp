// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "cloud/base/clock.hpp"

namespace muster::store {

/// A clock that tests may set while the store's threads read it.
class SharedClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const noexcept override { return Instant{std::chrono::nanoseconds{ns_.load()}}; }
  [[nodiscard]] UtcTime utc_now() const noexcept override { return {utc_ms_.load()}; }
  void advance(std::chrono::milliseconds by) noexcept {
    ns_ += std::chrono::nanoseconds{by}.count();
    utc_ms_ += by.count();
  }
  void set_utc(UtcTime utc) noexcept { utc_ms_ = utc.ms; }

 private:
  std::atomic<std::int64_t> ns_{std::chrono::nanoseconds{std::chrono::hours{1}}.count()};
  std::atomic<std::int64_t> utc_ms_{1'767'225'600'000};
};

}  // namespace muster::store
