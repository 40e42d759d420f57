// SPDX-License-Identifier: Apache-2.0
// muster_sim_campaign --seeds FROM..TO [--devices N] [--minutes M] [--bug NAME] [--verbose]
// Runs one simulation a seed; ends at the first that breaks an invariant, with the seed and how to repeat it. Exit 0: all held.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "cloud/base/log.hpp"
#include "tests/sim/simulation.hpp"

namespace {

bool number(std::string_view text, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

int usage() {
  std::fputs("usage: muster_sim_campaign --seeds FROM..TO [--devices N] [--minutes M] [--bug NAME] [--verbose]\n", stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace muster::sim;
  Options options;
  std::uint64_t from = 1, to = 0, devices = options.devices, minutes = options.trouble_ms / 60'000;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--verbose") {
      verbose = true;
      continue;
    }
    if (i + 1 >= argc) return usage();
    const std::string_view value = argv[++i];
    bool fine = true;
    if (name == "--seeds") {
      const std::size_t dots = value.find("..");
      fine = dots != std::string_view::npos && number(value.substr(0, dots), from) && number(value.substr(dots + 2), to) && from <= to;
    } else if (name == "--devices") {
      fine = number(value, devices) && devices >= 1 && devices <= 100'000;
    } else if (name == "--minutes") {
      fine = number(value, minutes) && minutes >= 1 && minutes <= 10'000;
    } else if (name == "--bug") {
      fine = value == bug_name(Bug::none);
      for (const Bug bug : all_bugs) {
        if (bug_name(bug) == value) {
          options.bug = bug;
          fine = true;
        }
      }
    } else {
      fine = false;
    }
    if (!fine) return usage();
  }
  if (to == 0) return usage();
  options.devices = static_cast<std::uint32_t>(devices);
  options.trouble_ms = minutes * 60'000;
  muster::log::set_level(muster::log::Level::error);

  const auto begin = std::chrono::steady_clock::now();
  Outcome sum;
  for (std::uint64_t seed = from; seed <= to; ++seed) {
    options.seed = seed;
    const Outcome outcome = simulate(options);
    sum.events += outcome.events;
    sum.logins += outcome.logins;
    sum.invalids += outcome.invalids;
    sum.kills += outcome.kills;
    sum.stops += outcome.stops;
    sum.operations_acknowledged += outcome.operations_acknowledged;
    if (verbose || !outcome.violations.empty()) {
      std::printf(
          "seed %llu: trace %016llx, %llu events, %llu logins, %llu invalid, %llu kills, %llu stops, %llu acknowledged, %llu in doubt, "
          "%llu refused, %llu store faults\n",
          static_cast<unsigned long long>(seed), static_cast<unsigned long long>(outcome.trace_hash),
          static_cast<unsigned long long>(outcome.events), static_cast<unsigned long long>(outcome.logins),
          static_cast<unsigned long long>(outcome.invalids), static_cast<unsigned long long>(outcome.kills),
          static_cast<unsigned long long>(outcome.stops), static_cast<unsigned long long>(outcome.operations_acknowledged),
          static_cast<unsigned long long>(outcome.operations_in_doubt), static_cast<unsigned long long>(outcome.operations_refused),
          static_cast<unsigned long long>(outcome.store_faults));
      std::fflush(stdout);
    }
    if (outcome.violations.empty()) continue;
    for (const std::string& violation : outcome.violations) std::printf("  %s\n", violation.c_str());
    std::printf("FAILED with seed %llu; again with: muster_sim_campaign --seeds %llu..%llu --devices %llu --minutes %llu%s%s\n",
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(seed), static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(devices), static_cast<unsigned long long>(minutes),
                options.bug == Bug::none ? "" : " --bug ", options.bug == Bug::none ? "" : std::string{bug_name(options.bug)}.c_str());
    return 1;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%llu seeds held in %.1f s: %llu events, %llu logins, %llu invalid, %llu kills, %llu stops, %llu changes acknowledged\n",
              static_cast<unsigned long long>(to - from + 1), seconds, static_cast<unsigned long long>(sum.events),
              static_cast<unsigned long long>(sum.logins), static_cast<unsigned long long>(sum.invalids),
              static_cast<unsigned long long>(sum.kills), static_cast<unsigned long long>(sum.stops),
              static_cast<unsigned long long>(sum.operations_acknowledged));
  return 0;
}
