// SPDX-License-Identifier: Apache-2.0
#include "agent/app/wpa_radio_set.hpp"

namespace muster::agent::app {
namespace {

linux_port::WpaOptions options_for(const std::string& interface) {
  linux_port::WpaOptions options;
  if (!interface.empty()) options.interface = interface;
  return options;
}

}  // namespace

WpaRadioSet::WpaRadioSet(const std::string& interface, bool portal, Clock& clock, RandomSource& random)
    : radio_{clock, random, machine_, options_for(interface)}, local_{{.every_name = portal}} {}

void WpaRadioSet::attach(Device& device, LocalServer& server) {
  device_ = &device;
  local_.attach(server);
}

void WpaRadioSet::fill(std::vector<pollfd>& waiting) const {
  waiting.push_back({radio_.fd(), POLLIN, 0});
  local_.fill(waiting);
}

void WpaRadioSet::serve(const pollfd* ready, std::size_t count, Millis now) {
  if (ready != nullptr && count > 0) {
    local_.serve(ready + 1, count - 1, now);
    if (ready[0].revents != 0) radio_.on_ready(*this);
  }
  if (radio_.next_deadline() <= now) radio_.on_timer(*this);
}

void WpaRadioSet::on_opened(Millis now) {
  local_problem_ = local_.open(radio_.ap_interface());
  if (local_problem_.empty())
    device_->on_opened(now);
  else
    device_->on_open_failed(now);
}

std::string WpaRadioSet::take_trouble() {
  const std::string& problem = local_problem_.empty() ? radio_.last_problem() : local_problem_;
  if (problem == told_trouble_) return {};
  told_trouble_ = problem;
  return problem;
}

}  // namespace muster::agent::app
