// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/core/agent.hpp"
#include "agent/ports/linux/socket_transport.hpp"

namespace muster::agent::linux_port {

/// One turn of the loop: waits until the transport has something, the agent or the transport has a deadline, `wake_at`
/// is reached, or `other_fd` (when not -1) is readable; serves transport and agent. True when `other_fd` is readable.
bool turn(Clock& clock, SocketTransport& transport, Agent& agent, Millis wake_at, int other_fd = -1);

}  // namespace muster::agent::linux_port
