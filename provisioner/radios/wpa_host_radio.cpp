// SPDX-License-Identifier: Apache-2.0
#include "provisioner/radios/wpa_host_radio.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

namespace muster::provisioner {

using agent::linux_port::parse_wpa_event;
using agent::linux_port::WpaEventKind;
using agent::linux_port::WpaOptions;

namespace {

constexpr std::size_t noted_max = 64;
/// Devices that wait for set-up are there; a look at only these takes a fraction of a look at all bands.
constexpr const char* usual_band = "2400-2500";

WpaOptions visiting(WpaOptions options) {
  options.default_route = false;
  options.enable_others = false;  // Put back as they were, see restore().
  return options;
}

template <typename Take>
void for_lines(std::string_view text, Take take) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    take(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

int number(std::string_view text, int otherwise) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && value >= 0 ? value : otherwise;
}

}  // namespace

WpaHostState parse_wpa_host_state(std::string_view status, std::string_view networks) {
  WpaHostState state;
  int id = -1;
  bool completed = false;
  for_lines(status, [&](std::string_view line) {
    if (line.substr(0, 3) == "id=") id = number(line.substr(3), -1);
    if (line.substr(0, 5) == "freq=") state.frequency_mhz = number(line.substr(5), 0);
    if (line == "wpa_state=COMPLETED") completed = true;
  });
  if (completed) state.current_id = id;
  for_lines(networks, [&](std::string_view line) {
    const int network = number(line.substr(0, line.find('\t')), -1);
    if (network < 0 || state.enabled.size() >= noted_max) return;  // The head.
    const std::size_t flags = line.rfind('\t');
    if (flags != std::string_view::npos && line.substr(flags).find("[DISABLED]") == std::string_view::npos)
      state.enabled.push_back(network);
  });
  return state;
}

WpaHostRadio::WpaHostRadio(agent::Clock& clock, agent::RandomSource& random, agent::linux_port::WpaSystem& system, WpaOptions options)
    : clock_{clock}, system_{system}, options_{visiting(std::move(options))}, host_{clock}, radio_{clock, random, system, options_} {}

WpaHostRadio::~WpaHostRadio() {
  host_.close();
  radio_.stop();
  if (!run_.empty()) ::rmdir(run_.c_str());
}

std::string WpaHostRadio::start() {
  keeps_internet_ = system_.has_other_way(options_.interface);
  std::string path = "/tmp/muster-host-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return "Cannot make a folder under /tmp.";
  run_ = path;
  if (!host_.open(options_.control_directory + "/" + options_.interface, run_ + "/host", [this](std::string_view text) {
        const auto event = parse_wpa_event(text);
        if (event && event->kind == WpaEventKind::connected && restore_ == Restore::connecting && event->network_id == before_.current_id)
          finish_restore();
      })) {
    noted_ = true;  // The host does not use this radio: there is nothing to put back.
    return radio_.start();
  }
  host_.send("ATTACH");
  note_state();
  return radio_.start();
}

void WpaHostRadio::note_state() {
  system_.get_address(options_.interface, address_, mask_, gateway_);
  host_.send("STATUS", [this](std::string_view status) {
    host_.send("LIST_NETWORKS", [this, status = std::string{status}](std::string_view networks) {
      before_ = parse_wpa_host_state(status, networks);
      noted_ = true;
      if (!wanted_ssid_.empty()) begin_join();
    });
  });
}

void WpaHostRadio::scan() {
  // Every third time everywhere: a device that is on a network of 5 GHz already is open there.
  radio_.look_at(++scans_ % 3 == 0 ? "" : usual_band);
  radio_.scan();
}

void WpaHostRadio::join_open(std::string_view ssid, std::uint16_t) {
  wanted_ssid_ = ssid;
  restore_ = Restore::none;
  if (noted_) begin_join();
}

void WpaHostRadio::begin_join() {
  touched_ = true;
  const std::string ssid = std::exchange(wanted_ssid_, {});
  agent::JoinTarget target;
  target.ssid = ssid;
  radio_.join(target);
}

void WpaHostRadio::leave() {
  wanted_ssid_.clear();
  radio_.leave();
}

void WpaHostRadio::restore() {
  leave();
  if (restore_ == Restore::connecting || restore_ == Restore::finishing) return;
  restore_ = Restore::wanted;
}

void WpaHostRadio::begin_restore() {
  if (!touched_ || !host_.is_open()) {
    touched_ = false;
    restore_ = Restore::done;
    return;
  }
  if (before_.current_id < 0) {
    finish_restore();
    return;
  }
  restore_ = Restore::connecting;
  restore_due_ = clock_.now() + restore_timeout_ms;
  // Told the frequency, it need not look at all the others first. This switches off the other networks until it is there.
  std::string select = "SELECT_NETWORK " + std::to_string(before_.current_id);
  if (before_.frequency_mhz != 0) select += " freq=" + std::to_string(before_.frequency_mhz);
  host_.send(std::move(select), [this](std::string_view answer) {
    if (answer != "OK" && restore_ == Restore::connecting) finish_restore();
  });
}

void WpaHostRadio::finish_restore() {
  // Its own DHCP client, where there is one, asks anew by itself; until then, and without one, what the interface had is right.
  if (address_ != 0) static_cast<void>(system_.set_address(options_.interface, address_, mask_, gateway_));
  touched_ = false;
  std::vector<std::string> commands;
  for (const int id : before_.enabled) commands.push_back("ENABLE_NETWORK " + std::to_string(id));
  const bool was_selected = std::find(before_.enabled.begin(), before_.enabled.end(), before_.current_id) != before_.enabled.end();
  if (before_.current_id >= 0 && !was_selected) commands.push_back("DISABLE_NETWORK " + std::to_string(before_.current_id));
  // They leave one after another, and the program may end once this is done: it is done when the last one was answered.
  restore_ = Restore::finishing;
  restore_due_ = clock_.now() + last_commands_ms;
  if (commands.empty() || !host_.is_open()) return end_restore();
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const bool last = i + 1 == commands.size();
    host_.send(std::move(commands[i]), [this, last](std::string_view) {
      if (last) end_restore();
    });
  }
}

void WpaHostRadio::end_restore() {
  if (restore_ != Restore::finishing) return;
  restore_due_ = agent::never;
  restore_ = Restore::done;
}

agent::Millis WpaHostRadio::next_deadline() const noexcept {
  if (restore_ == Restore::wanted || restore_ == Restore::done) return 0;
  return std::min({radio_.next_deadline(), host_.next_deadline(), restore_due_});
}

void WpaHostRadio::serve() {
  radio_.on_ready(*this);
  radio_.on_timer(*this);
  if (restore_ == Restore::wanted) begin_restore();
  if (host_.is_open() && (!host_.on_ready() || !host_.on_timer())) {
    host_.close();  // It ended, or hangs: there is nobody to give the radio back to.
    noted_ = true;
    if (restore_ == Restore::connecting) finish_restore();
    end_restore();
    if (!wanted_ssid_.empty()) begin_join();
  }
  if (restore_due_ <= clock_.now()) restore_ == Restore::finishing ? end_restore() : finish_restore();
  if (restore_ == Restore::done) {
    restore_ = Restore::none;
    listener_->on_restored(clock_.now());
  }
}

void WpaHostRadio::on_scanned(const agent::ScannedNetwork* networks, std::size_t count, agent::Millis now) {
  std::vector<AccessPoint> found;
  for (std::size_t i = 0; i < count; ++i) {
    if (networks[i].ssid.empty()) continue;
    found.push_back(
        {std::string{networks[i].ssid}, networks[i].rssi_dbm, networks[i].channel, networks[i].security == agent::NetworkSecurity::open});
  }
  listener_->on_scanned(found, now);
}

void WpaHostRadio::on_joined(const agent::JoinedNetwork&, agent::Millis now) { listener_->on_host_joined(now); }

void WpaHostRadio::on_join_failed(agent::JoinFailure failure, agent::Millis now) {
  listener_->on_host_join_failed(failure == agent::JoinFailure::not_found    ? HostJoinFailure::not_found
                                 : failure == agent::JoinFailure::no_address ? HostJoinFailure::no_address
                                 : failure == agent::JoinFailure::timeout    ? HostJoinFailure::timeout
                                                                             : HostJoinFailure::other,
                                 now);
}

void WpaHostRadio::on_network_lost(agent::Millis now) { listener_->on_host_lost(now); }

}  // namespace muster::provisioner
