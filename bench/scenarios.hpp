// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "bench/target.hpp"

namespace muster::bench {

/// login:     an operation is connect + login + reply + close, `connections` at a time.
/// paced_login: the same `rate_per_s` times a second, whatever the server does meanwhile; the latency counts from when it was due.
/// handshake: the same over TLS 1.3; with `resume` every connection offers a ticket and must be resumed.
/// ping:      an operation is one ping answered; `connections` sessions with `outstanding` pings each under way.
/// ingest:    an operation is one `vw` frame; `connections` sessions, `frames_per_write` frames in each write. One write in 20
///            ends with a ping, whose answer says that the server keeps up.
/// http:      an operation is GET isHardwareConnected answered, on `connections` connections that stay open.
/// nullptr: no such scenario. The target must outlive the scenario.
std::unique_ptr<Scenario> make_scenario(std::string_view name, Target& target, const Options& options);

/// Opens `options.connections` sessions and lets them idle; prints one JSON line with the memory they cost on both sides of the
/// system call boundary, in bytes per connection.
void hold(Target& target, const Options& options);

}  // namespace muster::bench
