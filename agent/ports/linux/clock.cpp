// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/clock.hpp"

#include <ctime>

namespace muster::agent::linux_port {

Millis BootClock::now() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return static_cast<Millis>(time.tv_sec) * 1000 + static_cast<Millis>(time.tv_nsec) / 1'000'000;
}

}  // namespace muster::agent::linux_port
