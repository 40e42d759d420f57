// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/random.hpp"

#include <sodium.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cloud/base/sodium.hpp"

namespace muster {

void require_sodium() noexcept {
  static const bool ready = sodium_init() >= 0;
  if (!ready) {
    std::fputs("muster: libsodium cannot start: no secure randomness\n", stderr);
    std::abort();
  }
}

std::uint64_t Random::below(std::uint64_t bound) noexcept {
  // The first 2^64 mod bound values are thrown away, so that every remainder is equally likely.
  const std::uint64_t rejected = (0 - bound) % bound;
  for (;;) {
    std::array<std::uint8_t, 8> bytes{};
    fill(bytes);
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) value = (value << 8) | byte;
    if (value >= rejected) return value % bound;
  }
}

void SecureRandom::fill(std::span<std::uint8_t> out) noexcept {
  require_sodium();
  if (!out.empty()) randombytes_buf(out.data(), out.size());
}

void SeededRandom::fill(std::span<std::uint8_t> out) noexcept {
  // SplitMix64: eight bytes a step, the rest of the last step is dropped.
  while (!out.empty()) {
    state_ += 0x9E3779B97F4A7C15ull;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBull;
    mixed ^= mixed >> 31;
    for (int i = 0; i < 8 && !out.empty(); ++i) {
      out.front() = static_cast<std::uint8_t>(mixed >> (8 * i));
      out = out.subspan(1);
    }
  }
}

}  // namespace muster
