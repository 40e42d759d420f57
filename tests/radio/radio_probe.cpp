// SPDX-License-Identifier: Apache-2.0
// muster_radio_probe INTERFACE: the agent's Wi-Fi port by hand, for the test bed. Reads orders from standard input, one a line (names and
// passwords as hexadecimal digits): open NAME | shut | scan | join SSID [PASSWORD] | leave | quit. Prints what the radio tells, one line each.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <string>
#include <utility>

#include "agent/ports/linux/clock.hpp"
#include "agent/ports/linux/random.hpp"
#include "agent/ports/linux/wpa_radio.hpp"

namespace {

using namespace muster::agent;

class Printer final : public linux_port::RadioListener {
 public:
  explicit Printer(linux_port::WpaRadio& radio) : radio_{radio} {}
  void on_opened(Millis now) override { say(now, "opened"); }
  void on_open_failed(Millis now) override { say(now, "open_failed " + radio_.last_problem()); }
  void on_visitors(std::size_t count, Millis now) override { say(now, "visitors " + std::to_string(count)); }
  void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis now) override {
    for (std::size_t i = 0; i < count; ++i) {
      say(now, "seen " + linux_port::to_hex(networks[i].ssid) + " channel " + std::to_string(networks[i].channel) + " security " +
                   std::to_string(static_cast<int>(networks[i].security)));
    }
    say(now, "scanned " + std::to_string(count));
  }
  void on_joined(const JoinedNetwork& network, Millis now) override {
    char text[64];
    std::snprintf(text, sizeof text, "joined %u.%u.%u.%u channel %u", network.address >> 24, network.address >> 16 & 255,
                  network.address >> 8 & 255, network.address & 255, static_cast<unsigned>(network.channel));
    say(now, text);
  }
  void on_join_failed(JoinFailure failure, Millis now) override {
    static constexpr const char* names[] = {"not_found", "wrong_password", "no_address", "timeout", "bad_address", "other"};
    say(now, std::string{"join_failed "} + names[static_cast<int>(failure)] + ' ' + radio_.last_problem());
  }
  void on_network_lost(Millis now) override { say(now, "lost"); }

 private:
  static void say(Millis now, const std::string& text) {
    std::printf("%llu.%03llu %s\n", static_cast<unsigned long long>(now / 1000), static_cast<unsigned long long>(now % 1000), text.c_str());
    std::fflush(stdout);
  }
  linux_port::WpaRadio& radio_;
};

std::string from_hex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  return bytes;
}

bool obey(linux_port::WpaRadio& radio, const std::string& line) {
  std::istringstream words{line};
  std::string order, first, second;
  words >> order >> first >> second;
  const std::string name = from_hex(first), password = from_hex(second);
  if (order == "open") radio.open(name);
  if (order == "shut") radio.shut();
  if (order == "scan") radio.scan();
  if (order == "leave") radio.leave();
  if (order == "join") {
    JoinTarget target;
    target.ssid = name;
    target.passphrase = password;
    radio.join(target);
  }
  return order != "quit";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  signal(SIGPIPE, SIG_IGN);
  linux_port::BootClock clock;
  linux_port::KernelRandom random;
  linux_port::WpaMachine machine;
  linux_port::WpaOptions options;
  options.interface = argv[1];
  linux_port::WpaRadio radio{clock, random, machine, options};
  if (const std::string why = radio.start(); !why.empty()) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return 1;
  }
  Printer printer{radio};
  std::string typed;
  for (;;) {
    const Millis now = clock.now(), due = radio.next_deadline();
    constexpr Millis wait_max_ms = 1'000;
    pollfd waiting[2] = {{radio.fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    ::poll(waiting, 2, static_cast<int>(due <= now ? 0 : std::min(due - now, wait_max_ms)));
    if (waiting[0].revents != 0) radio.on_ready(printer);
    if (radio.next_deadline() <= clock.now()) radio.on_timer(printer);
    if (waiting[1].revents == 0) continue;
    char c = 0;
    if (::read(STDIN_FILENO, &c, 1) != 1) return 0;
    if (c != '\n') {
      typed += c;
    } else if (!obey(radio, std::exchange(typed, {}))) {
      return 0;
    }
  }
}
