// SPDX-License-Identifier: Apache-2.0
// muster_provision_sim --seeds FROM..TO [--bug NAME] [--all] [--verbose]
// Runs one simulation of provisioning a seed; ends at the first that is not clean, with the seed and how to repeat it (--all: goes on).
// Exit 0: all held.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include "cloud/base/log.hpp"
#include "tests/sim/provision_simulation.hpp"

namespace {

using muster::sim::Bug;

bool number(std::string_view text, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

int usage() {
  std::fputs("usage: muster_provision_sim --seeds FROM..TO [--bug NAME] [--all] [--verbose]\n", stderr);
  return 2;
}

bool parse_bug(std::string_view name, Bug& out) {
  if (name == muster::sim::bug_name(Bug::none)) return true;
  for (const Bug bug : muster::sim::provision_bugs) {
    if (muster::sim::bug_name(bug) != name) continue;
    out = bug;
    return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace muster::sim;
  ProvisionOptions options;
  std::uint64_t from = 1, to = 0;
  bool verbose = false, all = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--verbose" || name == "--all") {
      (name == "--all" ? all : verbose) = true;
      continue;
    }
    if (i + 1 >= argc) return usage();
    const std::string_view value = argv[++i];
    bool fine = false;
    if (name == "--seeds") {
      const std::size_t dots = value.find("..");
      fine = dots != std::string_view::npos && number(value.substr(0, dots), from) && number(value.substr(dots + 2), to) && from <= to;
    } else if (name == "--bug") {
      fine = parse_bug(value, options.bug);
    }
    if (!fine) return usage();
  }
  if (to == 0) return usage();
  muster::log::set_level(muster::log::Level::error);

  const auto begin = std::chrono::steady_clock::now();
  ProvisionOutcome sum;
  std::uint64_t failed = 0;
  for (std::uint64_t seed = from; seed <= to; ++seed) {
    options.seed = seed;
    const ProvisionOutcome outcome = simulate_provisioning(options);
    sum.events += outcome.events;
    sum.appliances += outcome.appliances;
    sum.phones += outcome.phones;
    sum.activations += outcome.activations;
    sum.reconfigurations += outcome.reconfigurations;
    sum.fallbacks += outcome.fallbacks;
    sum.power_cuts += outcome.power_cuts;
    sum.kills += outcome.kills;
    sum.resets += outcome.resets;
    sum.invalids += outcome.invalids;
    sum.earlier_homes += outcome.earlier_homes;
    sum.let_go_early += outcome.let_go_early;
    for (const auto& [code, count] : outcome.failures) sum.failures[code] += count;
    if (verbose) {
      std::printf("seed %llu: trace %016llx, %llu events: %s\n", static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(outcome.trace_hash), static_cast<unsigned long long>(outcome.events),
                  outcome.story.c_str());
    }
    if (outcome.violations.empty()) continue;
    ++failed;
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    for (const std::string& violation : outcome.violations) std::printf("  %s\n", violation.c_str());
    std::printf("FAILED with seed %llu; again with: muster_provision_sim --seeds %llu..%llu --verbose%s%s\n",
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(seed), static_cast<unsigned long long>(seed),
                options.bug == Bug::none ? "" : " --bug ", options.bug == Bug::none ? "" : std::string{bug_name(options.bug)}.c_str());
    std::fflush(stdout);
    if (!all) return 1;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf(
      "%llu seeds (%llu..%llu) %s in %.1f s: %llu devices, %llu phones, %llu activations (%llu phones reconfigured), %llu tries given "
      "up by devices, %llu power cuts, %llu cloud kills, %llu resets, %llu times status 9; rows that people left behind: %llu of earlier "
      "homes, %llu let go before they were kept; phones were told:",
      static_cast<unsigned long long>(to - from + 1), static_cast<unsigned long long>(from), static_cast<unsigned long long>(to),
      failed == 0 ? "held" : "run", seconds, static_cast<unsigned long long>(sum.appliances), static_cast<unsigned long long>(sum.phones),
      static_cast<unsigned long long>(sum.activations), static_cast<unsigned long long>(sum.reconfigurations),
      static_cast<unsigned long long>(sum.fallbacks), static_cast<unsigned long long>(sum.power_cuts),
      static_cast<unsigned long long>(sum.kills), static_cast<unsigned long long>(sum.resets),
      static_cast<unsigned long long>(sum.invalids), static_cast<unsigned long long>(sum.earlier_homes),
      static_cast<unsigned long long>(sum.let_go_early));
  for (const auto& [code, count] : sum.failures) std::printf(" %u: %llu", code, static_cast<unsigned long long>(count));
  std::printf("\n");
  if (failed != 0) std::printf("%llu seeds FAILED\n", static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}
