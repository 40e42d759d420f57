// SPDX-License-Identifier: Apache-2.0
// A fixed slice of what muster_sim_campaign runs at length.
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>

#include "cloud/base/log.hpp"
#include "tests/sim/simulation.hpp"

namespace muster::sim {
namespace {

/// Small worlds for the planted bugs, large ones for the honest server.
Options small(std::uint64_t seed, Bug bug = Bug::none) {
  Options options;
  options.seed = seed;
  options.bug = bug;
  options.devices = 25;
  options.trouble_ms = 2 * 60'000;
  options.calm_ms = 4 * 60'000;
  return options;
}

std::string report(const Outcome& outcome, std::uint64_t seed) {
  std::string text = "seed " + std::to_string(seed) + "; again with: muster_sim_campaign --seeds " + std::to_string(seed) + ".." +
                     std::to_string(seed) + "\n";
  for (const std::string& violation : outcome.violations) text += violation + "\n";
  return text;
}

class Quiet : public ::testing::Environment {
 public:
  void SetUp() override { log::set_level(log::Level::error); }
};
[[maybe_unused]] const auto* const quiet = ::testing::AddGlobalTestEnvironment(new Quiet);

TEST(Sim, TheSameSeedGivesTheSameTraceTwiceAndAnotherSeedAnother) {
  const Outcome first = simulate(small(1)), second = simulate(small(1)), other = simulate(small(2));
  EXPECT_EQ(first.trace_hash, second.trace_hash);
  EXPECT_EQ(first.events, second.events);
  EXPECT_EQ(first.logins, second.logins);
  EXPECT_NE(first.trace_hash, other.trace_hash);
}

TEST(Sim, HundredsOfAgentsOnALossyNetworkKeepEveryInvariant) {
  for (std::uint64_t seed = 1000; seed < 1004; ++seed) {
    Options options;
    options.seed = seed;
    const Outcome outcome = simulate(options);
    EXPECT_TRUE(outcome.violations.empty()) << report(outcome, seed);
    // A simulation in which nothing happens proves nothing.
    EXPECT_GT(outcome.logins, 500u);
    EXPECT_GT(outcome.invalids, 5u);
    EXPECT_GT(outcome.kills + outcome.stops, 2u);
    EXPECT_GT(outcome.operations_acknowledged, 30u);
    EXPECT_GT(outcome.store_faults, 50u);
    EXPECT_GT(outcome.values_received, 100u);
  }
}

TEST(Sim, ManySmallWorldsKeepEveryInvariant) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    const Outcome outcome = simulate(small(seed));
    EXPECT_TRUE(outcome.violations.empty()) << report(outcome, seed);
  }
}

/// For each invariant a mistake that breaks it: found within 100 seeds, or the simulation is blind to it.
class PlantedBug : public ::testing::TestWithParam<Bug> {};

/// What the judge must complain of.
std::string_view broken_by(Bug bug) {
  switch (bug) {
    case Bug::reissued_token: return "invariant 1:";
    case Bug::nine_when_store_fails: return "invariant 10:";
    case Bug::reveal_without_audit: return "invariant 19:";
    case Bug::restart_touches_rows:
    case Bug::restart_is_disconnect: return "invariant 20:";
    default: return "";
  }
}

TEST_P(PlantedBug, IsFoundWithinAHundredSeeds) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const Outcome outcome = simulate(small(seed, GetParam()));
    if (outcome.violations.empty()) continue;
    std::cout << bug_name(GetParam()) << ": seed " << seed << ", " << outcome.violations.front() << '\n';
    EXPECT_NE(outcome.violations.front().find(broken_by(GetParam())), std::string::npos);
    return;
  }
  FAIL() << bug_name(GetParam()) << " was not found";
}

INSTANTIATE_TEST_SUITE_P(Sim, PlantedBug, ::testing::ValuesIn(all_bugs), [](const auto& one) { return std::string{bug_name(one.param)}; });

}  // namespace
}  // namespace muster::sim
