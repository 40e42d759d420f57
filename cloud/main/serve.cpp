// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/serve.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <string_view>
#include <thread>

#include "cloud/base/log.hpp"
#include "cloud/main/data_store.hpp"
#include "cloud/main/node.hpp"
#include "cloud/main/public_url.hpp"
#include "cloud/net/socket_address.hpp"

namespace muster::main {
namespace {

constexpr int exit_failed = 1, exit_usage = 2;

int refuse(std::string_view sentence, int code) {
  fmt::print(stderr, "muster serve: {}\n", sentence);
  return code;
}

/// Every fleet needs more descriptors than the soft limit gives.
void set_process_limits() {
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    descriptors.rlim_cur = descriptors.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &descriptors);
  }
}

std::string check(const ServeOptions& options) {
  if (options.data_directory.empty()) return "--data DIR is needed: where the database, keys and certificates lie";
  for (const auto* list : {&options.listen, &options.listen_tls}) {
    for (const auto& address : *list) {
      if (!net::SocketAddress::parse(address))
        return fmt::format("\"{}\" is not ADDR:PORT; examples: 0.0.0.0:8080, 127.0.0.1:0, [::1]:8080", address);
    }
  }
  if (!options.store_url.empty() && !is_store_url(options.store_url)) {
    return fmt::format("--store {} is not supported; this version knows sqlite:PATH", options.store_url);
  }
  if (!options.bus_url.empty() && options.bus_url != "local:")
    return fmt::format("--bus {} is not supported; this version knows local:", options.bus_url);
  return options.public_url.empty() ? std::string{} : check_public_url(options.public_url);
}

/// What works, and yet stock agents will stumble over. docs/protocol/device-protocol.md section 1.
void warn(const ServeOptions& options) {
  if (const auto host = host_of(options.public_url); host.size() > host_length_max_chars) {
    log::warning("public_host_too_long", {{"host", host}, {"why", "older agents hold at most 33 characters of a host name"}});
  }
  const auto dialed = [](const std::vector<std::string>& addresses, std::string_view a, std::string_view b) {
    for (const auto& address : addresses) {
      if (address.ends_with(a) || address.ends_with(b)) return true;
    }
    return false;
  };
  if (!dialed(options.listen, ":80", ":8080") && !dialed(options.listen_tls, ":443", ":9443") && !dialed(options.listen, ":443", ":9443")) {
    log::warning("ports_never_dialed", {{"why", "stock agents dial 80, 8080, 443 and 9443 only, whatever port they are configured with"}});
  }
}

bool read(const ServeOptions& options, Config& config) {
  if (options.config_file.empty()) return true;
  auto result = read_config(options.config_file);
  if (auto* error = std::get_if<ConfigError>(&result)) {
    log::error("configuration_refused", {{"reason", error->message}});
    return false;
  }
  config = std::move(std::get<Config>(result));
  return true;
}

void set_log_level(const Config& config) {
  log::set_level(config.log_level == "debug"     ? log::Level::debug
                 : config.log_level == "warning" ? log::Level::warning
                 : config.log_level == "error"   ? log::Level::error
                                                 : log::Level::info);
}

}  // namespace

int serve(const ServeOptions& given) {
  auto options = given;
  if (options.listen.empty() && options.listen_tls.empty()) {
    options.listen = {"0.0.0.0:8080"};
    options.listen_tls = {"0.0.0.0:9443"};
  }
  if (const auto complaint = check(options); !complaint.empty()) return refuse(complaint, exit_usage);
  Config config;
  if (!options.config_file.empty()) {
    auto result = read_config(options.config_file);
    if (auto* error = std::get_if<ConfigError>(&result)) return refuse(error->message, exit_usage);
    config = std::move(std::get<Config>(result));
  }
  set_log_level(config);
  set_process_limits();
  ::mallopt(M_ARENA_MAX, 2);  // Many threads, few of which allocate much: more arenas only hold memory back.
  // Fixed: else the first large block that is freed raises both, and the heap keeps room that nobody needs again.
  ::mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 2 * 1024 * 1024);
  warn(options);

  // Blocked in every thread that is started from here on; this one waits for them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  auto started = Node::start(options, config);
  if (auto* problem = std::get_if<Node::Problem>(&started)) return refuse(problem->message, exit_failed);
  auto& node = *std::get<std::unique_ptr<Node>>(started);
  log::info("started", {{"data", options.data_directory}});

  // The store may take its time; signals are obeyed meanwhile.
  std::thread announce{[&node] {
    if (!node.wait_ready()) return;
    fmt::print("{}\n", node.ready_line());
    std::fflush(stdout);
  }};
  for (;;) {
    int signal = 0;
    if (::sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGHUP) {
      log::info("stopping", {{"signal", signal}});
      break;
    }
    Config next;
    if (!read(options, next)) continue;  // What is in force stays in force.
    set_log_level(next);
    node.reload(next);
    const auto left = changes_that_need_a_restart(config, next);
    for (const auto& key : left)
      log::warning("key_needs_restart", {{"key", key}, {"why", "its new value takes effect with the next start"}});
    log::info("reloaded", {{"keys_that_need_a_restart", std::uint64_t{left.size()}}});
  }
  node.stop();
  announce.join();
  log::info("stopped");
  return 0;
}

}  // namespace muster::main
