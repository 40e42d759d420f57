// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/port/random.hpp"

namespace muster::agent::linux_port {

/// The kernel's random numbers.
class KernelRandom final : public RandomSource {
 public:
  [[nodiscard]] std::uint32_t next() override;
};

}  // namespace muster::agent::linux_port
