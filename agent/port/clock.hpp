// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace muster::agent {

/// A point in time: milliseconds of a clock that never goes back (not the time of day). Its zero is the platform's
/// choice.
using Millis = std::uint64_t;

/// No point in time: nothing is due.
inline constexpr Millis never = UINT64_MAX;

/// The platform's monotonic clock. The agent's core is not given one: whoever calls it passes the time along.
class Clock {
 public:
  [[nodiscard]] virtual Millis now() = 0;

 protected:
  ~Clock() = default;
};

}  // namespace muster::agent
