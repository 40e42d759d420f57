// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/loop.hpp"

#include <poll.h>

#include <algorithm>

namespace muster::agent::linux_port {

bool turn(Clock& clock, SocketTransport& transport, Agent& agent, Millis wake_at, int other_fd) {
  TransportTells listener{agent};
  constexpr Millis wait_max_ms = 60'000;  // poll(2) does not count the time that the machine slept; the clock does.
  const Millis wanted = std::min({transport.next_deadline(), agent.next_deadline(), wake_at});
  const Millis before = clock.now();
  const Millis wait_ms = wanted <= before ? 0 : std::min(wanted - before, wait_max_ms);
  pollfd waiting[2] = {{transport.fd(), transport.events(), 0}, {other_fd, POLLIN, 0}};
  const int ready = ::poll(waiting, 2, static_cast<int>(wait_ms));  // A negative descriptor is skipped.
  if (ready > 0 && waiting[0].revents != 0) {
    transport.on_ready(waiting[0].revents, listener);
  }
  if (transport.next_deadline() <= clock.now()) {
    transport.on_timer(listener);
  }
  if (agent.next_deadline() <= clock.now()) {
    agent.on_timer(clock.now());
  }
  return ready > 0 && waiting[1].revents != 0;
}

}  // namespace muster::agent::linux_port
