// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/bug.hpp"

namespace muster::sim {

struct ProvisionOptions {
  std::uint64_t seed = 1;
  Bug bug = Bug::none;  ///< Of provision_bugs.
};

struct ProvisionOutcome {
  std::uint64_t trace_hash = 0;
  std::vector<std::string> violations;  ///< Empty: nothing was held against anybody.
  std::string story;                    ///< What kind of world it was, for people.
  std::uint64_t events = 0, appliances = 0, phones = 0, activations = 0, reconfigurations = 0, fallbacks = 0, power_cuts = 0, kills = 0,
                resets = 0, invalids = 0, earlier_homes = 0, let_go_early = 0;
  std::map<std::uint16_t, std::uint64_t> failures;  ///< What phones were told, by code.
};

/// One short world: a cloud with its store, 1 to 20 products, people with phones who set them up, and what can go wrong on the way, drawn
/// by the seed. A quarter of the worlds has one product and one trouble, and its name is known beforehand. The same options give the
/// same outcome, to the last bit of the trace.
[[nodiscard]] ProvisionOutcome simulate_provisioning(const ProvisionOptions& options);

}  // namespace muster::sim
