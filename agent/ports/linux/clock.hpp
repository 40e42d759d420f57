// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/port/clock.hpp"

namespace muster::agent::linux_port {

/// Milliseconds since the machine was started, including the time that it slept: after a suspend the heartbeat is
/// overdue at once, as it should be.
class BootClock final : public Clock {
 public:
  [[nodiscard]] Millis now() override;
};

}  // namespace muster::agent::linux_port
