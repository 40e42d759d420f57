// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/server.hpp"

namespace muster::sim {

struct Options {
  std::uint64_t seed = 1;
  Bug bug = Bug::none;
  std::uint32_t devices = 200;     ///< At the begin; more are created meanwhile.
  Millis trouble_ms = 5 * 60'000;  ///< How long network, store and server misbehave and people do things.
  Millis calm_ms = 4 * 60'000;     ///< After it, all is well: in this time everything must have come right.
  bool stop_at_first_violation = true;
};

struct Outcome {
  std::uint64_t trace_hash = 0;
  std::vector<std::string> violations;  ///< Empty: every invariant held.
  std::uint64_t events = 0, logins = 0, invalids = 0, kills = 0, stops = 0, operations_acknowledged = 0, operations_in_doubt = 0,
                operations_refused = 0, connections = 0, store_faults = 0, values_received = 0;
};

/// One run: a cloud, its store, a lossy network, hundreds of agents, and people who create, regenerate, reveal and delete. The same
/// options give the same outcome, to the last bit of the trace.
[[nodiscard]] Outcome simulate(const Options& options);

}  // namespace muster::sim
