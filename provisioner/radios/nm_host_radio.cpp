// SPDX-License-Identifier: Apache-2.0
#include "provisioner/radios/nm_host_radio.hpp"

#include <algorithm>
#include <utility>

#include "agent/ports/linux/wpa_text.hpp"

namespace muster::provisioner {

using agent::Millis;
using agent::never;
using agent::linux_port::NmDevice;
using agent::linux_port::NmProfile;
using agent::linux_port::NmState;

NmHostRadio::NmHostRadio(agent::Clock& clock, agent::linux_port::WpaSystem& system, agent::linux_port::NmClient& client,
                         std::string interface)
    : clock_{clock}, system_{system}, client_{client}, interface_{std::move(interface)} {}

NmHostRadio::~NmHostRadio() {
  if (started_) client_.close();
}

std::string NmHostRadio::start() {
  NmDevice device;
  if (std::string why = client_.open(*this, interface_, device); !why.empty()) return why;
  if (device.state == NmState::unmanaged) {
    client_.close();
    return "NetworkManager does not manage " + interface_ + ": nmcli device set " + interface_ + " managed yes. Or use --radio wpa.";
  }
  if (device.state < NmState::disconnected) {
    client_.close();
    return "NetworkManager cannot use " + interface_ + " now. Is Wi-Fi switched on (nmcli radio wifi on)?";
  }
  started_ = true;
  device_ = device.path;
  before_ = device.connection;
  keeps_internet_ = system_.has_other_way(interface_);
  return {};
}

// ---- looking around

void NmHostRadio::scan() {
  scan_wanted_ = true;
  scan_until_ = clock_.now() + scan_timeout_ms;
  if (!scan_running_) request_scan();
}

void NmHostRadio::request_scan() {
  scan_due_ = never;
  scan_running_ = true;
  client_.request_scan(device_, {}, [this](bool ok) {
    if (ok) return;
    scan_running_ = false;
    if (scan_wanted_) scan_due_ = clock_.now() + scan_again_ms;  // It is at one already, or was a moment ago.
  });
}

void NmHostRadio::on_scan_done(const std::string& device) {
  if (device != device_) return;
  scan_running_ = false;
  if (scan_wanted_) look();
}

void NmHostRadio::look() {
  client_.find_device(interface_, [this](const NmDevice* device) { tell_networks(device); });
}

void NmHostRadio::tell_networks(const NmDevice* device) {
  if (!std::exchange(scan_wanted_, false)) return;
  scan_due_ = scan_until_ = never;
  std::vector<AccessPoint> found;
  if (device != nullptr) {
    for (const auto& network : device->networks) {
      if (network.ssid.empty()) continue;
      found.push_back({network.ssid, static_cast<std::int16_t>(network.rssi_dbm),
                       static_cast<std::uint16_t>(agent::linux_port::channel_of(network.frequency_mhz)),
                       network.security == agent::NetworkSecurity::open});
    }
  }
  std::sort(found.begin(), found.end(), [](const AccessPoint& a, const AccessPoint& b) { return a.rssi_dbm > b.rssi_dbm; });
  listener_->on_scanned(found, clock_.now());
}

// ---- the device's network

void NmHostRadio::join_open(std::string_view ssid, std::uint16_t) {
  drop_join();
  restore_ = Restore::none;
  restore_due_ = never;
  touched_ = true;
  join_ = Join::activating;
  join_due_ = clock_.now() + join_timeout_ms;
  NmProfile profile;
  profile.name = "Muster set-up of a device";
  profile.interface = interface_;
  profile.ssid = ssid;
  profile.address_timeout_s = address_timeout_s;
  profile.local_only = true;
  client_.activate(device_, profile, [this, join = joins_](const std::string& connection, const std::string& problem) {
    if (join != joins_) {
      if (!connection.empty()) client_.deactivate(connection, {});
      return;
    }
    connection_ = connection;
    if (problem.empty()) return;
    problem_ = "NetworkManager does not take the device's network: " + problem;
    fail_join(HostJoinFailure::other);
  });
}

void NmHostRadio::on_device_state(const std::string& device, NmState state, std::uint32_t reason) {
  if (device != device_) return;
  if (restore_ == Restore::activating) {
    if (state == NmState::activated) end_restore();
    if (state == NmState::failed)
      end_restore("NetworkManager could not join the network from before (reason " + std::to_string(reason) + ").");
    return;
  }
  if (connection_.empty()) return;  // It speaks of the connection before.
  switch (join_) {
    case Join::none:
    case Join::asking: break;
    case Join::activating:
    case Join::addressing:
      if (state == NmState::ip_config) {
        join_ = Join::addressing;
      } else if (state == NmState::activated) {
        ask_address();
      } else if (state == NmState::failed) {
        const auto failure = agent::linux_port::nm_join_failure(reason);
        const bool no_address = join_ == Join::addressing || failure == agent::JoinFailure::no_address;
        fail_join(no_address                                 ? HostJoinFailure::no_address
                  : failure == agent::JoinFailure::not_found ? HostJoinFailure::not_found
                  : failure == agent::JoinFailure::timeout   ? HostJoinFailure::timeout
                                                             : HostJoinFailure::other);
      }
      break;
    case Join::joined:
      if (state <= NmState::disconnected || state >= NmState::deactivating) {
        drop_join();
        listener_->on_host_lost(clock_.now());
      }
      break;
  }
}

void NmHostRadio::ask_address() {
  join_ = Join::asking;
  client_.find_device(interface_, [this, join = joins_](const NmDevice* device) {
    if (join != joins_ || join_ != Join::asking) return;
    if (device == nullptr || device->address == 0) {
      fail_join(HostJoinFailure::no_address);
      return;
    }
    join_ = Join::joined;
    join_due_ = never;
    listener_->on_host_joined(clock_.now());
  });
}

void NmHostRadio::on_connection_ended(const std::string& connection) {
  if (connection.empty() || connection != connection_) return;
  if (join_ == Join::joined) {
    drop_join();
    listener_->on_host_lost(clock_.now());
  } else if (join_ != Join::none) {
    fail_join(HostJoinFailure::other);
  }
}

void NmHostRadio::fail_join(HostJoinFailure failure) {
  drop_join();
  listener_->on_host_join_failed(failure, clock_.now());
}

void NmHostRadio::drop_join() {
  ++joins_;
  join_ = Join::none;
  join_due_ = never;
  if (!connection_.empty()) client_.deactivate(std::exchange(connection_, {}), {});
}

void NmHostRadio::leave() { drop_join(); }

// ---- putting back

void NmHostRadio::restore() {
  drop_join();
  if (restore_ != Restore::activating) restore_ = Restore::wanted;
}

void NmHostRadio::begin_restore() {
  if (!std::exchange(touched_, false) || before_.empty() || lost_) {
    restore_ = Restore::done;
    return;
  }
  restore_ = Restore::activating;
  restore_due_ = clock_.now() + restore_timeout_ms;
  client_.activate_kept(device_, before_, [this](const std::string& problem) {
    if (!problem.empty() && restore_ == Restore::activating)
      end_restore("NetworkManager does not take the network from before: " + problem);
  });
}

void NmHostRadio::end_restore(const std::string& problem) {
  if (!problem.empty()) problem_ = problem;
  restore_due_ = never;
  restore_ = Restore::done;
}

void NmHostRadio::on_gone() {
  lost_ = true;
  problem_ = "NetworkManager has ended.";
  connection_.clear();
  if (restore_ == Restore::activating) end_restore();
}

// ---- the loop's side

Millis NmHostRadio::next_deadline() const {
  if (restore_ == Restore::wanted || restore_ == Restore::done) return 0;
  return std::min({client_.next_deadline(clock_.now()), scan_due_, scan_until_, join_due_, restore_due_});
}

void NmHostRadio::serve() {
  client_.serve();
  const Millis now = clock_.now();
  if (restore_ == Restore::wanted) begin_restore();
  if (scan_due_ <= now) request_scan();
  if (scan_until_ <= now) {  // What it saw before has to do.
    scan_until_ = never;
    scan_running_ = false;
    look();
  }
  if (join_due_ <= now) fail_join(join_ == Join::activating ? HostJoinFailure::timeout : HostJoinFailure::no_address);
  if (restore_due_ <= now) end_restore("The network from before did not come back in time.");
  if (restore_ == Restore::done) {
    restore_ = Restore::none;
    listener_->on_restored(now);
  }
}

}  // namespace muster::provisioner
