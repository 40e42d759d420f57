// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "agent/port/random.hpp"
#include "cloud/base/random.hpp"

namespace muster::sim {

/// The one source of chance in a run: everything that differs between two seeds comes from here.
class Dice final : public agent::RandomSource {
 public:
  explicit Dice(std::uint64_t seed) noexcept : state_{seed} {}

  [[nodiscard]] std::uint64_t roll() noexcept {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  [[nodiscard]] std::uint32_t next() override { return static_cast<std::uint32_t>(roll() >> 32); }
  /// Uniform in 0..bound-1.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept { return bound == 0 ? 0 : roll() % bound; }
  /// Uniform in low..high.
  [[nodiscard]] std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept { return low + below(high - low + 1); }
  [[nodiscard]] bool chance(std::uint32_t per_mille) noexcept { return below(1000) < per_mille; }

 private:
  std::uint64_t state_;
};

}  // namespace muster::sim
