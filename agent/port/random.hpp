// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace muster::agent {

/// Uniform random bits. For jitter only, never for secrets.
class RandomSource {
 public:
  [[nodiscard]] virtual std::uint32_t next() = 0;

 protected:
  ~RandomSource() = default;
};

}  // namespace muster::agent
