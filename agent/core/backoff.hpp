// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "agent/port/random.hpp"

namespace muster::agent {

/// `first_ms` doubled `step` times, at most `cap_ms`.
[[nodiscard]] constexpr std::uint32_t exponential_ms(std::uint32_t first_ms, std::uint32_t cap_ms, std::uint32_t step) noexcept {
  std::uint64_t value = first_ms;
  for (std::uint32_t i = 0; i < step && value < cap_ms; ++i) {
    value *= 2;
  }
  return value < cap_ms ? static_cast<std::uint32_t>(value) : cap_ms;
}

/// Uniform in 0..limit.
[[nodiscard]] inline std::uint32_t random_up_to(std::uint32_t limit, RandomSource& random) {
  return static_cast<std::uint32_t>((std::uint64_t{random.next()} * (std::uint64_t{limit} + 1)) >> 32);
}

/// Full jitter: anywhere between 0 and the exponential limit, so that a fleet that lost its cloud at one moment comes
/// back spread out.
[[nodiscard]] inline std::uint32_t full_jitter_ms(std::uint32_t first_ms, std::uint32_t cap_ms, std::uint32_t step, RandomSource& random) {
  return random_up_to(exponential_ms(first_ms, cap_ms, step), random);
}

/// Equal jitter: between half of the exponential limit and all of it, where trying early is of no use.
[[nodiscard]] inline std::uint32_t equal_jitter_ms(std::uint32_t first_ms, std::uint32_t cap_ms, std::uint32_t step, RandomSource& random) {
  const std::uint32_t limit = exponential_ms(first_ms, cap_ms, step);
  return limit - random_up_to(limit / 2, random);
}

}  // namespace muster::agent
