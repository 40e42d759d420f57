// SPDX-License-Identifier: Apache-2.0
// muster-agent: the agent on a Linux machine.
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "agent/app/journal.hpp"
#include "agent/app/options.hpp"
#include "agent/app/vitals.hpp"
#include "agent/ports/linux/clock.hpp"
#include "agent/ports/linux/file_store.hpp"
#include "agent/ports/linux/loop.hpp"
#include "agent/ports/linux/random.hpp"
#include "agent/ports/linux/socket_transport.hpp"

namespace {

using namespace muster::agent;

constexpr const char* version = MUSTER_AGENT_VERSION;
constexpr const char* ca_name = "ca.pem";
constexpr std::uint8_t pin_uptime = 0;
constexpr std::uint8_t pin_load = 1;
constexpr std::uint8_t pin_memory = 2;
constexpr std::uint8_t pin_input = 10;
constexpr std::uint8_t pin_echo = 11;

int complain(int code, const std::string& sentence) {
  std::fprintf(stderr, "muster-agent: %s\n", sentence.c_str());
  return code;
}

/// The token on standard input, alone in its line or among the lines that `muster device token` prints; typed unseen when that is a
/// terminal. Empty: there is none.
std::string read_token_from_stdin() {
  constexpr std::size_t size_max_bytes = 256;
  constexpr int lines_max = 20;
  if (isatty(STDIN_FILENO) != 0) {
    char* const typed = getpass("Auth token: ");
    if (typed == nullptr) return {};
    const std::string line{typed};
    explicit_bzero(typed, line.size());
    return app::token_in_line(line).value_or("");
  }
  for (int i = 0; i < lines_max; ++i) {
    std::string line;
    char c = 0;
    bool more = false;
    while (line.size() < size_max_bytes && (more = ::read(STDIN_FILENO, &c, 1) == 1) && c != '\n') line += c;
    if (auto token = app::token_in_line(line)) return *token;
    if (!more) break;
  }
  return {};
}

/// What this machine does about what the agent tells.
class Device final : public Handler {
 public:
  Device(app::Journal& journal, const linux_port::SocketTransport& transport) : journal_{journal}, transport_{transport} {}
  void attach(Agent& agent) { agent_ = &agent; }

  void on_event(const Event& event, Millis now) override {
    const bool failed = event.kind == EventKind::connect_failed;
    journal_.event(event, failed ? transport_.last_problem() : std::string{}, now);
    if (event.kind == EventKind::online) {
      static_cast<void>(agent_->sync(&pin_input, 1, now));  // It may have been set while we were away.
      report(now);
    }
  }
  void on_write(std::uint8_t pin, muster::wire::Fields values, Millis now) override {
    std::vector<std::string_view> texts;
    while (values.has_next()) {
      texts.push_back(values.next());
    }
    journal_.write(pin, texts, now);
    if (pin == pin_input) {
      static_cast<void>(agent_->write(pin_echo, texts.data(), texts.size(), now));
    }
  }
  void on_console(std::string_view line) override { journal_.text("console_ignored", line, clock_.now()); }
  void on_print(std::string_view text) override { journal_.text("message", text, clock_.now()); }
  void on_update_offered(std::string_view url) override { journal_.text("update_ignored", url, clock_.now()); }

  void report(Millis now) {
    const app::Vitals vitals = app::read_vitals();
    if (vitals.uptime_s) {
      static_cast<void>(agent_->write(pin_uptime, *vitals.uptime_s, now));
    }
    if (vitals.load) {
      static_cast<void>(agent_->write(pin_load, *vitals.load, now));
    }
    if (vitals.available_mb) {
      static_cast<void>(agent_->write(pin_memory, *vitals.available_mb, now));
    }
  }

 private:
  app::Journal& journal_;
  const linux_port::SocketTransport& transport_;
  linux_port::BootClock clock_;
  Agent* agent_ = nullptr;
};

/// Reads the stored configuration, puts the options over it, and stores it again when that changed it. 0, or the exit
/// code.
int prepare(app::Options& options, linux_port::FileStore& store, DeviceConfig& config) {
  if (std::string problem = store.open(options.store); !problem.empty()) {
    return complain(1, problem);
  }
  std::uint8_t record[config_record_size_max_bytes];
  std::size_t record_size = 0;
  const StoreStatus loaded = store.load(Slot::proved, {record, sizeof record}, record_size);
  if (loaded == StoreStatus::io_failed) {
    return complain(1, "Cannot read " + store.path_of("config") + ".");
  }
  if (loaded == StoreStatus::ok || loaded == StoreStatus::too_big) {
    const ConfigStatus status = loaded == StoreStatus::ok ? decode_config({record, record_size}, config) : ConfigStatus::corrupt;
    if (status == ConfigStatus::newer_version) {
      return complain(1, "The settings in " + options.store + " were written by a newer muster-agent. Use that one, or another --store.");
    }
    if (status != ConfigStatus::ok) {
      record_size = 0;
      if (!options.token || !options.host || !options.template_id) {
        return complain(1, "The settings in " + options.store + " are damaged. Give --token, --host and --template again.");
      }
    }
  }
  if (options.token && *options.token == "-") {
    options.token = read_token_from_stdin();
  }
  if (std::string problem = app::apply_options(options, config); !problem.empty()) {
    return complain(2, problem);
  }
  std::uint8_t changed[config_record_size_max_bytes];
  const std::size_t changed_size = encode_config(config, {changed, sizeof changed});
  if (changed_size == 0) {
    return complain(2, "The template name must be text without a zero character.");
  }
  if (options.ca_file) {
    // Tried before it is copied: a wrong file must not replace a good one.
    linux_port::BootClock clock;
    linux_port::SocketTransport probe{clock};
    if (std::string problem = probe.trust_file(*options.ca_file); !problem.empty()) {
      return complain(2, problem);
    }
    std::ifstream in{*options.ca_file, std::ios::binary};
    const std::string pem{std::istreambuf_iterator<char>{in}, {}};
    if (store.save_file(ca_name, muster::wire::ByteView{std::string_view{pem}}) != StoreStatus::ok) {
      return complain(1, "Cannot write " + store.path_of(ca_name) + ".");
    }
  }
  if ((changed_size != record_size || !std::equal(changed, changed + changed_size, record)) &&
      store.save(Slot::proved, {changed, changed_size}) != StoreStatus::ok) {
    return complain(1, "Cannot write " + store.path_of("config") + ".");
  }
  return 0;
}

std::string board_name() {
  std::ifstream in{"/sys/firmware/devicetree/base/model"};
  std::string model;
  std::getline(in, model, '\0');
  return model.empty() || model.size() > 60 ? "Linux" : model;
}

int run(app::Options& options) {
  // A core file of this process would hold the token.
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  signal(SIGPIPE, SIG_IGN);
  linux_port::BootClock clock;
  app::Journal journal{options.json, options.json ? stdout : stderr, clock.now()};
  linux_port::FileStore store;
  DeviceConfig config;
  if (const int code = prepare(options, store, config); code != 0) {
    return code;
  }

  // Blocked only now: until here a Ctrl-C may simply end the program.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&signals, number);
  }
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signal_fd < 0) {
    return complain(1, "Cannot wait for signals.");
  }

  linux_port::SocketTransport transport{clock};
  std::string problem;
  if (config.security == Security::tls_pinned) {
    problem = transport.trust_file(store.path_of(ca_name));
  } else if (config.security == Security::tls) {
    problem = transport.trust_system();
  }
  if (!problem.empty()) {
    return complain(1, problem);
  }

  const std::string board = board_name();
  utsname machine{};
  uname(&machine);
  Identity identity;
  identity.firmware_version = version;
  identity.build = __DATE__ " " __TIME__;
  identity.library_version = version;
  identity.board = board;
  identity.cpu = machine.machine;

  static std::uint8_t receive_room[4096 + muster::wire::frame_header_size_bytes];
  static std::uint8_t send_room[4096 + muster::wire::frame_header_size_bytes];
  linux_port::KernelRandom random;
  Device device{journal, transport};
  Agent agent{transport, device, random, {receive_room, sizeof receive_room}, {send_room, sizeof send_room}, identity};
  device.attach(agent);

  const Millis interval_ms = Millis{options.report_interval_s} * 1000;
  agent.start(config, clock.now());
  for (Millis next_report = clock.now() + interval_ms;;) {
    if (linux_port::turn(clock, transport, agent, next_report, signal_fd)) {
      signalfd_siginfo info{};
      while (::read(signal_fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        if (info.ssi_signo == static_cast<std::uint32_t>(SIGHUP)) {
          agent.retry_now(clock.now());
        } else {
          agent.stop(clock.now());
          return 0;
        }
      }
    }
    if (const Millis now = clock.now(); now >= next_report) {
      if (agent.online()) {
        device.report(now);
      }
      next_report = now + interval_ms;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  app::Options options;
  if (std::string problem = app::parse_options(argc - 1, argv + 1, options); !problem.empty()) {
    return complain(2, problem);
  }
  if (options.help) {
    std::fputs(app::help_text(), stdout);
    return 0;
  }
  if (options.version) {
    std::printf("muster-agent %s\n", version);
    return 0;
  }
  return run(options);
}
