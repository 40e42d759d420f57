// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace muster {

/// Randomness, passed in so that a simulation can repeat itself.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> out) noexcept = 0;
  /// Uniform in 0..bound-1; bound is at least 1.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept;
};

/// The kernel's generator by libsodium. Thread-safe.
class SecureRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) noexcept override;
};

/// A repeatable stream for tests and simulations (never for secrets of a real server). Not thread-safe.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) noexcept : state_{seed} {}
  void fill(std::span<std::uint8_t> out) noexcept override;

 private:
  std::uint64_t state_;
};

}  // namespace muster
