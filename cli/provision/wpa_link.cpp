// SPDX-License-Identifier: Apache-2.0
#include "cli/provision/wpa_link.hpp"

#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <utility>

#include "cli/terminal.hpp"

namespace muster::cli {

namespace {

using agent::linux_port::WpaOptions;

constexpr const char* device_address = "192.168.4.1";
constexpr const char* device_port = "80";

WpaOptions options_for(const std::string& interface) {
  WpaOptions options;
  if (!interface.empty()) options.interface = interface;
  return options;
}

/// Addresses and raw sockets of DHCP; root has these unless it is locked in.
bool may_use_network_cards() {
  std::ifstream in{"/proc/self/status"};
  constexpr std::string_view key = "CapEff:";
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const std::uint64_t held = std::strtoull(line.c_str() + key.size(), nullptr, 16);
    const std::uint64_t wanted = (std::uint64_t{1} << CAP_NET_ADMIN) | (std::uint64_t{1} << CAP_NET_RAW);
    return (held & wanted) == wanted;
  }
  return ::geteuid() == 0;
}

/// On a network by somebody whom we cannot ask to give it back, such as NetworkManager.
bool is_in_use(const std::string& card) {
  std::ifstream in{card + "/operstate"};
  std::string state;
  return std::getline(in, state) && state == "up";
}

bool is_program(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::string_view folders = path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin";
  while (!folders.empty()) {
    const std::size_t end = std::min(folders.find(':'), folders.size());
    if (::access((std::string{folders.substr(0, end)} + "/" + name).c_str(), X_OK) == 0) return true;
    folders.remove_prefix(std::min(end + 1, folders.size()));
  }
  return false;
}

}  // namespace

WpaLink::WpaLink(const std::string& interface, agent::Clock& clock, agent::RandomSource& random)
    : options_{options_for(interface)},
      radio_{clock, random, machine_, options_},
      device_{device_address, device_port, options_.interface} {}

Outcome<void> WpaLink::start() {
  const std::string name = printable(options_.interface);
  const std::string card = "/sys/class/net/" + options_.interface;
  if (options_.interface.find('/') != std::string::npos || ::access(card.c_str(), F_OK) != 0)
    return failed("There is no network interface " + name +
                  ". Say which one is the Wi-Fi card: --radio wpa:INTERFACE (ip link shows them).");
  if (::access((card + "/phy80211").c_str(), F_OK) != 0)
    return failed(name + " is no Wi-Fi card. Say which one is: --radio wpa:INTERFACE (iw dev shows them).");
  if (!may_use_network_cards())
    return failed("--radio wpa changes the address of a network card: run it as root (sudo), or use --device-url.");
  const bool served = ::access((options_.control_directory + "/" + options_.interface).c_str(), F_OK) == 0;
  if (!served && is_in_use(card))
    return failed(name + " is used by another program, which would not give it back in order. If that is NetworkManager, say --radio nm:" +
                  name + ". Or use another card, or --device-url.");
  if (!served && !is_program(options_.program))
    return failed("There is no wpa_supplicant here. Install the package wpasupplicant, or use --device-url.");
  if (const std::string why = radio_.start(); !why.empty()) return failed(why);
  return {};
}

std::unique_ptr<provisioner::Provisioner> WpaLink::make_provisioner(provisioner::CloudApi& cloud, provisioner::Front& front,
                                                                    provisioner::Options options) {
  auto made = std::make_unique<provisioner::Provisioner>(&radio_, device_, cloud, front, std::move(options));
  provisioner_ = made.get();
  listener_.emplace(*made);
  radio_.attach(*listener_);
  device_.attach(*made);
  return made;
}

void WpaLink::fill(std::vector<pollfd>& waiting) const {
  waiting.push_back(device_.wanted());
  waiting.push_back({radio_.fd(), POLLIN, 0});
  waiting.push_back({radio_.host_fd(), POLLIN, 0});
}

agent::Millis WpaLink::next_deadline(agent::Millis now) const { return std::min(device_.next_deadline(now), radio_.next_deadline()); }

void WpaLink::serve(const pollfd* ready, std::size_t, agent::Millis now) {
  device_.serve(ready[0].revents, now);
  radio_.serve();
  if (radio_.is_lost()) provisioner_->on_radio_unusable(radio_.last_problem(), now);
}

}  // namespace muster::cli
