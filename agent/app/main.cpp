// SPDX-License-Identifier: Apache-2.0
// muster-agent: the agent on a Linux machine.
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/app/ble_set.hpp"
#include "agent/app/journal.hpp"
#include "agent/app/options.hpp"
#include "agent/app/page_address.hpp"
#include "agent/app/radio_set.hpp"
#include "agent/app/serial_console.hpp"
#include "agent/app/vitals.hpp"
#include "agent/core/device.hpp"
#include "agent/core/local_server.hpp"
#include "agent/ports/linux/clock.hpp"
#include "agent/ports/linux/file_store.hpp"
#include "agent/ports/linux/random.hpp"
#include "agent/ports/linux/socket_transport.hpp"

namespace {

using namespace muster::agent;

constexpr const char* version = MUSTER_AGENT_VERSION;
constexpr const char* ca_name = "ca.pem";
constexpr const char* birth_name = "birth";  ///< What a device with a radio was started with.
constexpr const char* uid_name = "uid";
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

/// What this machine does about what the device tells.
class Program final : public Handler, public Observer {
 public:
  Program(app::Journal& journal, const linux_port::SocketTransport& transport, Clock& clock)
      : journal_{journal}, transport_{transport}, clock_{clock} {}
  void attach(Device& device) { device_ = &device; }
  [[nodiscard]] bool take_restart() { return std::exchange(restart_, false); }

  void on_event(const Event& event, Millis now) override {
    const bool failed = event.kind == EventKind::connect_failed;
    journal_.event(event, failed ? transport_.last_problem() : std::string{}, now);
    if (event.kind == EventKind::online) {
      static_cast<void>(device_->agent().sync(&pin_input, 1, now));  // It may have been set while we were away.
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
      static_cast<void>(device_->agent().write(pin_echo, texts.data(), texts.size(), now));
    }
  }
  void on_console(std::string_view line) override {
    if (!device_->has_radio()) journal_.text("console_ignored", line, clock_.now());
  }
  void on_print(std::string_view text) override { journal_.text("message", text, clock_.now()); }
  void on_update_offered(std::string_view url) override { journal_.text("update_ignored", url, clock_.now()); }

  void on_step(const Step& step, Millis now) override {
    // Without a radio there is only the session, whose events say it all.
    if (device_->has_radio()) journal_.step(step, now);
  }
  void on_state(DeviceState state, Millis now) override {
    if (device_->has_radio()) journal_.state(state, device_->name(), now);
  }
  void on_restart_wanted(Millis) override { restart_ = true; }

  void report(Millis now) {
    Agent& agent = device_->agent();
    const app::Vitals vitals = app::read_vitals();
    if (vitals.uptime_s) {
      static_cast<void>(agent.write(pin_uptime, *vitals.uptime_s, now));
    }
    if (vitals.load) {
      static_cast<void>(agent.write(pin_load, *vitals.load, now));
    }
    if (vitals.available_mb) {
      static_cast<void>(agent.write(pin_memory, *vitals.available_mb, now));
    }
  }

 private:
  app::Journal& journal_;
  const linux_port::SocketTransport& transport_;
  Clock& clock_;
  Device* device_ = nullptr;
  bool restart_ = false;
};

/// The machine's sockets, as far as the radio's network lets them through.
class GuardedTransport final : public Transport {
 public:
  GuardedTransport(linux_port::SocketTransport& sockets, const app::RadioSet* radio) : sockets_{sockets}, radio_{radio} {}
  void connect(const Endpoint& endpoint) override {
    blocked_ = radio_ == nullptr ? std::nullopt : radio_->blocks(endpoint);
    if (!blocked_) sockets_.connect(endpoint);
  }
  [[nodiscard]] bool send(muster::wire::ByteView frame) override { return sockets_.send(frame); }
  void close() override {
    blocked_.reset();
    sockets_.close();
  }
  [[nodiscard]] bool blocked() const { return blocked_.has_value(); }
  void tell(Device& device, Millis now) {
    if (blocked_) device.on_closed(*std::exchange(blocked_, std::nullopt), now);
  }

 private:
  linux_port::SocketTransport& sockets_;
  const app::RadioSet* radio_;
  std::optional<CloseReason> blocked_;
};

/// The record in `slot`, into `config`. Empty, or a sentence. `found`: there is one.
std::string load_record(linux_port::FileStore& store, const app::Options& options, DeviceConfig& config, bool& found) {
  std::uint8_t record[config_record_size_max_bytes];
  std::size_t record_size = 0;
  const StoreStatus loaded = store.load(Slot::proved, {record, sizeof record}, record_size);
  found = false;
  if (loaded == StoreStatus::io_failed) {
    return "Cannot read " + store.path_of("config") + ".";
  }
  if (loaded == StoreStatus::absent) {
    return {};
  }
  const ConfigStatus status = loaded == StoreStatus::ok ? decode_config({record, record_size}, config) : ConfigStatus::corrupt;
  if (status == ConfigStatus::newer_version) {
    return "The settings in " + options.store + " were written by a newer muster-agent. Use that one, or another --store.";
  }
  found = status == ConfigStatus::ok;
  if (!found && options.radio.empty() && (!options.token || !options.host || !options.template_id)) {
    return "The settings in " + options.store + " are damaged. Give --token, --host and --template again.";
  }
  return {};
}

std::string save_ca(const app::Options& options, linux_port::FileStore& store, Clock& clock) {
  if (!options.ca_file) return {};
  // Tried before it is copied: a wrong file must not replace a good one.
  linux_port::SocketTransport probe{clock};
  if (std::string problem = probe.trust_file(*options.ca_file); !problem.empty()) return problem;
  std::ifstream in{*options.ca_file, std::ios::binary};
  const std::string pem{std::istreambuf_iterator<char>{in}, {}};
  if (store.save_file(ca_name, muster::wire::ByteView{std::string_view{pem}}) == StoreStatus::ok) return {};
  return "Cannot write " + store.path_of(ca_name) + ".";
}

/// Reads what is stored, puts the options over it, and stores it again when that changed it. Without a radio that is the proved record; with
/// one it is what the device is born with, and the records belong to the device. 0, or the exit code.
int prepare(app::Options& options, linux_port::FileStore& store, Clock& clock, DeviceConfig& config) {
  if (std::string problem = store.open(options.store); !problem.empty()) {
    return complain(1, problem);
  }
  const bool over_the_air = !options.radio.empty();
  bool found = false;
  if (std::string problem = load_record(store, options, config, found); !problem.empty()) {
    return complain(1, problem);
  }
  if (over_the_air && !found) {
    const std::string birth = store.load_file(birth_name);
    DeviceConfig born;
    if (decode_config(muster::wire::ByteView{std::string_view{birth}}, born) == ConfigStatus::ok) config = born;
  }
  if (options.token && *options.token == "-") {
    options.token = read_token_from_stdin();
  }
  const DeviceConfig before = config;
  if (std::string problem = app::apply_options(options, config); !problem.empty()) {
    return complain(2, problem);
  }
  std::uint8_t changed[config_record_size_max_bytes];
  const std::size_t changed_size = encode_config(config, {changed, sizeof changed});
  if (changed_size == 0) {
    return complain(2, "The template name must be text without a zero character.");
  }
  if (std::string problem = save_ca(options, store, clock); !problem.empty()) {
    return complain(problem.rfind("Cannot write", 0) == 0 ? 1 : 2, problem);
  }
  if (over_the_air) {
    DeviceConfig born = config;
    born.token.clear();
    born.network = {};
    std::uint8_t birth[config_record_size_max_bytes];
    const std::size_t birth_size = encode_config(born, {birth, sizeof birth});
    if (store.save_file(birth_name, {birth, birth_size}) != StoreStatus::ok) {
      return complain(1, "Cannot write " + store.path_of(birth_name) + ".");
    }
    return 0;
  }
  std::uint8_t old[config_record_size_max_bytes];
  const std::size_t old_size = found ? encode_config(before, {old, sizeof old}) : 0;
  if ((changed_size != old_size || !std::equal(changed, changed + changed_size, old)) &&
      store.save(Slot::proved, {changed, changed_size}) != StoreStatus::ok) {
    return complain(1, "Cannot write " + store.path_of("config") + ".");
  }
  return 0;
}

/// The device UID: made once, kept in the store. Empty: it cannot be kept.
std::string device_uid(linux_port::FileStore& store) {
  std::string uid = store.load_file(uid_name);
  if (uid.size() == 36) return uid;
  std::uint8_t random[16];
  if (getrandom(random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) return {};
  uid = std::string{make_device_uid(random).view()};
  return store.save_file(uid_name, muster::wire::ByteView{std::string_view{uid}}) == StoreStatus::ok ? uid : std::string{};
}

std::string board_name() {
  std::ifstream in{"/sys/firmware/devicetree/base/model"};
  std::string model;
  std::getline(in, model, '\0');
  return model.empty() || model.size() > 60 ? "Linux" : model;
}

/// Waits until something is ready or due, and serves sockets, radio, Bluetooth, console, web server and device. Returns whether there are signals.
bool turn(Clock& clock, linux_port::SocketTransport& sockets, GuardedTransport& transport, Device& device, app::RadioSet* radio,
          app::BleSet* ble, app::SerialConsole* console, LocalServer* server, Millis wake_at, int signal_fd) {
  constexpr Millis wait_max_ms = 60'000;  // poll(2) does not count the time that the machine slept; the clock does.
  linux_port::TransportTells listener{device};
  const Millis before = clock.now();
  Millis wanted = std::min({sockets.next_deadline(), device.next_deadline(), wake_at});
  if (radio != nullptr) wanted = std::min({wanted, radio->next_deadline(before), server->next_deadline()});
  if (ble != nullptr) wanted = std::min(wanted, ble->next_deadline(before));
  if (console != nullptr) wanted = std::min(wanted, console->next_deadline());
  if (transport.blocked()) wanted = before;
  const Millis wait_ms = wanted <= before ? 0 : std::min(wanted - before, wait_max_ms);
  std::vector<pollfd> waiting{{sockets.fd(), sockets.events(), 0}, {signal_fd, POLLIN, 0}};  // A negative descriptor is skipped.
  constexpr std::size_t own_count = 2;
  if (radio != nullptr) radio->fill(waiting);
  const std::size_t radio_count = waiting.size() - own_count;
  if (ble != nullptr) ble->fill(waiting);
  const std::size_t console_at = waiting.size();
  if (console != nullptr) console->fill(waiting);
  const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(wait_ms));
  const Millis now = clock.now();
  if (ready > 0 && waiting[0].revents != 0) sockets.on_ready(waiting[0].revents, listener);
  if (sockets.next_deadline() <= now) sockets.on_timer(listener);
  transport.tell(device, now);
  if (radio != nullptr) {
    radio->serve(ready < 0 ? nullptr : waiting.data() + own_count, radio_count, now);
    if (server->next_deadline() <= now) server->on_timer(now);
  }
  if (ble != nullptr) ble->serve(now);
  if (console != nullptr) console->serve(ready < 0 ? nullptr : waiting.data() + console_at, now);
  if (device.next_deadline() <= now) device.on_timer(now);
  return ready > 0 && waiting[1].revents != 0;
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
  if (const int code = prepare(options, store, clock, config); code != 0) {
    return code;
  }
  linux_port::KernelRandom random;
  const std::string uid = device_uid(store);
  std::unique_ptr<app::RadioSet> radio;
  if (!options.radio.empty()) {
    radio = app::make_radio_set(options.radio, uid, app::parse_page_address(options.setup_page), options.portal, clock, random);
    if (!radio && options.radio.rfind("nm", 0) == 0)
      return complain(2, "This muster-agent was built without D-Bus, so it has no --radio nm. Build it with libsdbus-c++-dev installed.");
    if (!radio) return complain(2, "--radio is " + std::string{app::radio_kinds} + ", not \"" + options.radio + "\".");
  }

  // Blocked only now: until here a Ctrl-C may simply end the program.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) {
    sigaddset(&signals, number);
  }
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signal_fd < 0) {
    return complain(1, "Cannot wait for signals.");
  }

  linux_port::SocketTransport sockets{clock};
  std::string problem;
  if (config.security == Security::tls_pinned) {
    problem = sockets.trust_file(store.path_of(ca_name));
  } else if (config.security == Security::tls) {
    problem = sockets.trust_system();
  }
  if (problem.empty() && radio) problem = radio->start();
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

  const std::string vendor = options.vendor.value_or("Blynk");
  UniqueSuffix suffix;
  DeviceProfile profile;
  profile.vendor = vendor;
  profile.template_id = config.template_id.view();
  profile.template_name = config.template_name.view();
  profile.firmware_version = version;
  if (!uid.empty()) profile.uid = uid;
  profile.default_host = config.host.view();
  profile.security = config.security;
  if (radio) {
    const std::array<std::uint8_t, 6> mac = radio->mac();
    std::uint8_t chip_id[8] = {};
    std::copy_n(mac.data(), mac.size(), chip_id);
    suffix = make_unique_suffix({chip_id, sizeof chip_id});
    profile.suffix = suffix.view();
    std::copy_n(mac.data(), mac.size(), profile.station_mac);
    std::copy_n(mac.data(), mac.size(), profile.ap_mac);
    profile.ap_mac[0] = static_cast<std::uint8_t>(profile.ap_mac[0] | 0x02);
  }

  static std::uint8_t receive_room[4096 + muster::wire::frame_header_size_bytes];
  static std::uint8_t send_room[4096 + muster::wire::frame_header_size_bytes];
  GuardedTransport transport{sockets, radio.get()};
  Program program{journal, sockets, clock};
  Device device{{radio ? &radio->radio() : nullptr,
                 store,
                 transport,
                 random,
                 program,
                 {receive_room, sizeof receive_room},
                 {send_room, sizeof send_room}},
                profile,
                identity};
  program.attach(device);
  device.add_observer(program);
  std::unique_ptr<LocalServer> server;
  if (radio) {
    LocalServer::Options web;
    web.portal = options.portal;
    server = std::make_unique<LocalServer>(device, *radio, web);
    radio->attach(device, *server);
    radio->visitors().attach(device);
  }
  std::unique_ptr<app::BleSet> ble;
  if (!options.ble.empty()) {
    ble = app::make_ble_set(options.ble);
    if (!ble)
      return complain(2, "This muster-agent was built without D-Bus, so it has no --ble. Build it with libsdbus-c++-dev installed.");
    if (const std::string missing = ble->start(); !missing.empty()) journal.text("ble", missing, clock.now());
    ble->attach(device, radio->visitors());
  }

  std::optional<app::SerialConsole> console;
  if (!options.console.empty()) {
    console.emplace(options.console);
    console->start(device, clock.now());
  }

  const Millis interval_ms = Millis{options.report_interval_s} * 1000;
  device.start(clock.now());
  for (Millis next_report = clock.now() + interval_ms;;) {
    if (turn(clock, sockets, transport, device, radio.get(), ble.get(), console ? &*console : nullptr, server.get(), next_report,
             signal_fd)) {
      signalfd_siginfo info{};
      while (::read(signal_fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        const Millis now = clock.now();
        switch (static_cast<int>(info.ssi_signo)) {
          case SIGHUP: device.retry_now(now); break;
          case SIGUSR1: device.request_setup(now); break;
          case SIGUSR2:
            if (radio) device.reset_config(now);
            break;
          default:
            device.stop(now);
            if (radio) radio->stop();
            return 0;
        }
      }
    }
    const Millis now = clock.now();
    if (program.take_restart()) {
      device.stop(now);
      device.start(now);
    }
    if (radio) {
      if (const std::string trouble = radio->take_trouble(); !trouble.empty()) journal.text("radio", trouble, now);
    }
    if (ble) {
      if (const std::string trouble = ble->take_trouble(); !trouble.empty()) journal.text("ble", trouble, now);
    }
    if (console) {
      if (const std::string trouble = console->take_trouble(); !trouble.empty()) journal.text("console", trouble, now);
    }
    if (now >= next_report) {
      if (device.agent().online()) {
        program.report(now);
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
