// SPDX-License-Identifier: Apache-2.0
// A fixed slice of what muster_provision_sim runs at length.
#include <gtest/gtest.h>

#include <iostream>
#include <string>

#include "cloud/base/log.hpp"
#include "tests/sim/provision_simulation.hpp"

namespace muster::sim {
namespace {

class Quiet : public ::testing::Environment {
 public:
  void SetUp() override { log::set_level(log::Level::error); }
};
[[maybe_unused]] const auto* const quiet = ::testing::AddGlobalTestEnvironment(new Quiet);

std::string report(const ProvisionOutcome& outcome, std::uint64_t seed) {
  std::string text = "seed " + std::to_string(seed) + "; again with: muster_provision_sim --seeds " + std::to_string(seed) + ".." +
                     std::to_string(seed) + "\n";
  for (const std::string& violation : outcome.violations) text += violation + "\n";
  return text;
}

TEST(ProvisionSim, TheSameSeedGivesTheSameTraceTwiceAndAnotherSeedAnother) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const ProvisionOutcome first = simulate_provisioning({seed, Bug::none}), second = simulate_provisioning({seed, Bug::none});
    EXPECT_EQ(first.trace_hash, second.trace_hash) << seed;
    EXPECT_EQ(first.events, second.events) << seed;
    EXPECT_EQ(first.story, second.story);
    EXPECT_NE(first.trace_hash, simulate_provisioning({seed + 1, Bug::none}).trace_hash) << seed;
  }
}

TEST(ProvisionSim, NoDeviceIsLostNoRowIsAGhostNoTokenIsLeftOver) {
  ProvisionOutcome sum;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    const ProvisionOutcome outcome = simulate_provisioning({seed, Bug::none});
    EXPECT_TRUE(outcome.violations.empty()) << report(outcome, seed);
    sum.activations += outcome.activations;
    sum.reconfigurations += outcome.reconfigurations;
    sum.power_cuts += outcome.power_cuts;
    sum.kills += outcome.kills;
    sum.resets += outcome.resets;
    for (const auto& [code, count] : outcome.failures) sum.failures[code] += count;
  }
  // A simulation in which nothing happens proves nothing.
  EXPECT_GT(sum.activations, 150u);
  EXPECT_GT(sum.reconfigurations, 50u);
  EXPECT_GT(sum.power_cuts, 50u);
  EXPECT_GT(sum.kills, 20u);
  EXPECT_GT(sum.resets, 20u);
  for (const int code : {702, 703, 710, 711, 712, 720, 722, 723}) EXPECT_GT(sum.failures[static_cast<std::uint16_t>(code)], 0u) << code;
}

/// Mistakes that the simulation must not be blind to: found within 1,000 seeds.
class PlantedProvisionBug : public ::testing::TestWithParam<Bug> {};

TEST_P(PlantedProvisionBug, IsFoundWithinAThousandSeeds) {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    const ProvisionOutcome outcome = simulate_provisioning({seed, GetParam()});
    if (outcome.violations.empty()) continue;
    std::cout << bug_name(GetParam()) << ": seed " << seed << ", " << outcome.violations.front() << '\n';
    return;
  }
  FAIL() << bug_name(GetParam()) << " was not found";
}

INSTANTIATE_TEST_SUITE_P(ProvisionSim, PlantedProvisionBug, ::testing::ValuesIn(provision_bugs),
                         [](const auto& one) { return std::string{bug_name(one.param)}; });

}  // namespace
}  // namespace muster::sim
