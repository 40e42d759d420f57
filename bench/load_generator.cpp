// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/client.hpp"
#include "bench/process_meter.hpp"
#include "bench/scenarios.hpp"

namespace {

using namespace muster::bench;

constexpr const char* usage =
    R"(Usage: load_generator SCENARIO --target name=N,addr=A.B.C.D:PORT,pid=P[,tokens=FILE]... [OPTION]...

Puts load on one or more servers in turn (after an unmeasured window each) and prints one JSON line for each window: operations, the server's CPU time
(/proc/PID/task/*/schedstat), wall time, own CPU time, and the 50th and 99th percentile of the latency.
Scenarios: login, paced_login, handshake, ping, ingest, http, and hold (idle memory; first target only).
  --rounds N            windows for each target, interleaved; every second round in reverse order (5)
  --window-ms N         length of a window (400)
  --operations N        a window ends early after so many operations
  --connections N       login 32, ping 100, ingest 1000, http 100, hold 10000
  --outstanding N       pings under way on each connection (1)
  --frames-per-write N  ingest: frames in one write (20)
  --settle-ms N         wait before reading the server's CPU time again (30)
  --rate N              paced_login: logins a second (500)
  --threads PREFIX      count the CPU time of the server's threads whose name begins so
  --tls                 ping, hold: over TLS
  --resume              handshake: resume with a ticket
  --leave-by-reset      login: leave with RST instead of FIN, so that no TIME_WAIT is charged to the server
)";

[[noreturn]] void refuse(const std::string& why) {
  std::fprintf(stderr, "load_generator: %s\n%s", why.c_str(), usage);
  std::exit(2);
}

std::uint64_t number(std::string_view option, const char* text, std::uint64_t max) {
  char* end = nullptr;
  const unsigned long long value = text == nullptr ? 0 : std::strtoull(text, &end, 10);
  if (text == nullptr || end == text || *end != '\0' || value == 0 || value > max) {
    refuse(std::string{option} + " takes a number from 1 to " + std::to_string(max));
  }
  return value;
}

std::uint32_t percentile(std::vector<std::uint32_t>& values, double part) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::size_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

void sleep_ns(std::uint64_t duration_ns) {
  const timespec time{static_cast<time_t>(duration_ns / 1'000'000'000), static_cast<long>(duration_ns % 1'000'000'000)};
  nanosleep(&time, nullptr);
}

void measure(Scenario& scenario, const Target& target, std::string_view name, std::size_t round, const Options& options) {
  const ProcessMeter meter{target.pid};
  Window window;
  const std::uint64_t server_before = meter.cpu_ns(options.threads);
  const std::uint64_t client_before = own_cpu_ns();
  const std::uint64_t begin = now_ns();
  scenario.run_window(window);
  window.wall_ns = now_ns() - begin;
  window.client_cpu_ns = own_cpu_ns() - client_before;
  sleep_ns(options.settle_ns);
  const std::uint64_t server_after = meter.cpu_ns(options.threads);
  if (server_before == 0 || server_after < server_before) give_up("the CPU time of " + target.name + " cannot be read");
  window.server_cpu_ns = server_after - server_before;
  std::printf("{\"scenario\":\"%.*s\",\"target\":\"%s\",\"round\":%zu,\"operations\":%" PRIu64 ",\"server_cpu_ns\":%" PRIu64
              ",\"wall_ns\":%" PRIu64 ",\"client_cpu_ns\":%" PRIu64 ",\"latency_p50_us\":%u,\"latency_p99_us\":%u}\n",
              static_cast<int>(name.size()), name.data(), target.name.c_str(), round, window.operations, window.server_cpu_ns,
              window.wall_ns, window.client_cpu_ns, percentile(window.latencies_us, 0.5), percentile(window.latencies_us, 0.99));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
  }
  if (argc < 2) refuse("no scenario");
  const std::string_view name = argv[1];
  Options options;
  options.settle_ns = 30'000'000;
  std::vector<Target> targets;
  for (int i = 2; i < argc; ++i) {
    const std::string_view option = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    bool takes_value = true;
    if (option == "--target") {
      std::string problem;
      auto target = parse_target(value == nullptr ? "" : value, problem);
      if (!target) refuse(problem);
      targets.push_back(std::move(*target));
    } else if (option == "--rounds") {
      options.rounds = number(option, value, 1000);
    } else if (option == "--window-ms") {
      options.window_ns = number(option, value, 60'000) * 1'000'000;
    } else if (option == "--operations") {
      options.operations_max = number(option, value, 1'000'000'000);
    } else if (option == "--connections") {
      options.connections = number(option, value, 19'000);
    } else if (option == "--outstanding") {
      options.outstanding = number(option, value, 256);
    } else if (option == "--frames-per-write") {
      options.frames_per_write = number(option, value, 256);
    } else if (option == "--settle-ms") {
      options.settle_ns = number(option, value, 10'000) * 1'000'000;
    } else if (option == "--rate") {
      options.rate_per_s = number(option, value, 100'000);
    } else if (option == "--threads") {
      options.threads = value == nullptr ? "" : value;
    } else if (option == "--tls") {
      options.tls = true;
      takes_value = false;
    } else if (option == "--resume") {
      options.resume = true;
      takes_value = false;
    } else if (option == "--leave-by-reset") {
      options.leave_by_reset = true;
      takes_value = false;
    } else {
      refuse("unknown option " + std::string{option});
    }
    if (takes_value) ++i;
  }
  if (targets.empty()) refuse("no --target");
  if (name == "hold") {
    hold(targets.front(), options);
    return 0;
  }
  std::vector<std::unique_ptr<Scenario>> scenarios;
  for (Target& target : targets) {
    scenarios.push_back(make_scenario(name, target, options));
    if (!scenarios.back()) refuse("unknown scenario " + std::string{name});
    Window ignored;  // Fills caches, tickets and whatever the server makes on first use.
    scenarios.back()->run_window(ignored);
  }
  for (std::size_t round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const std::size_t turn = round % 2 == 0 ? i : targets.size() - 1 - i;
      measure(*scenarios[turn], targets[turn], name, round, options);
    }
  }
  return 0;
}
