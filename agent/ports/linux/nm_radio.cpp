// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/nm_radio.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace muster::agent::linux_port {

namespace {

constexpr Millis reach_every_ms = 2'000;
constexpr Millis ap_again_ms = 300, ap_later_ms = 5'000;
constexpr Millis scan_again_ms = 1'000;
constexpr Millis move_timeout_ms = 3'000;
constexpr int looks_max = 2;
constexpr int refused_max = 2;  ///< One refusal can be bad luck on the air.

}  // namespace

NmRadio::NmRadio(Clock& clock, WpaSystem& system, NmClient& client, NmOptions options)
    : clock_{clock},
      system_{system},
      client_{client},
      options_{std::move(options)},
      ap_name_{"muster-ap"},
      ap_addresses_{system},
      ap_control_{clock} {}

NmRadio::~NmRadio() { stop(); }

std::string NmRadio::start() {
  NmDevice device;
  if (std::string why = client_.open(*this, options_.interface, device); !why.empty()) return why;
  if (device.state == NmState::unmanaged) {
    client_.close();
    return "NetworkManager does not manage " + options_.interface + ": nmcli device set " + options_.interface + " managed yes.";
  }
  started_ = true;
  device_ = device.path;
  mac_ = device.mac;
  system_.remove_interface(ap_name_);  // Left over from a run that was killed.
  return {};
}

void NmRadio::stop() {
  if (!std::exchange(started_, false)) return;
  ap_wanted_ = false;
  drop_station();
  take_ap_down();
  client_.close();
  if (!single_) system_.remove_interface(ap_name_);
  device_.clear();
  ap_due_ = reach_due_ = scan_due_ = scan_until_ = never;
  news_.clear();
}

// --- access point

void NmRadio::open(std::string_view name) {
  ap_untold_ = true;
  news_.forget({RadioNews::Kind::opened, RadioNews::Kind::open_failed});
  const bool same = ap_wanted_ && name == ap_ssid_;
  ap_wanted_ = true;
  ap_ssid_ = name;
  if (same && ap_ == Ap::on) {
    ap_untold_ = false;
    news_.push(RadioNews::Kind::opened);
    return;
  }
  if (same && ap_ != Ap::off) return;  // Told when it is there.
  if (device_.empty()) {
    fail_ap("NetworkManager does not run.");
    return;
  }
  if (single_ && join_ == Join::joined) lose("The radio can only be open or on a network.");
  if (single_ && join_ != Join::none) return;  // It opens when that has ended.
  begin_ap();
}

void NmRadio::begin_ap() {
  ++ap_epoch_;
  ap_until_ = clock_.now() + open_timeout_ms;
  ap_due_ = never;
  const bool on_channel = join_ == Join::activating || join_ == Join::addressing || join_ == Join::asking || join_ == Join::joined;
  // On a network's channel only while on that network: not every channel is one to open on.
  ap_frequency_ = on_channel && target_network_.frequency_mhz != 0 ? target_network_.frequency_mhz : usual_ap_frequency_mhz;
  if (!single_ && ap_ == Ap::off) {
    if (const std::string why = system_.add_ap_interface(options_.interface, ap_name_); !why.empty()) {
      problem_ = why + " So the device's own network is away while it joins another.";
      single_ = true;
      ap_name_ = options_.interface;
      ap_frequency_ = usual_ap_frequency_mhz;
      if (join_ == Join::joined) lose(problem_);
      if (join_ != Join::none) return;
    } else {
      ap_made_ = true;
    }
  }
  // Where it cannot look around later, it does so now.
  if (single_ && (seen_at_ == never || clock_.now() - seen_at_ >= seen_for_ms)) {
    ap_ = Ap::looking;
    if (!scan_running_) request_scan();
    return;
  }
  ap_ = Ap::waiting;
  find_ap();
}

void NmRadio::find_ap() {
  ap_due_ = never;
  if (ap_ == Ap::looking) ap_ = Ap::waiting;
  client_.find_device(ap_name_, [this, epoch = ap_epoch_](const NmDevice* device) {
    if (epoch != ap_epoch_ || (ap_ != Ap::waiting && ap_ != Ap::activating)) return;
    if (device != nullptr && device->state == NmState::unmanaged) client_.manage(device->path, true, {});
    if (device == nullptr || device->state < NmState::disconnected) {
      ap_due_ = clock_.now() + ap_again_ms;  // A new interface; NetworkManager gets to it.
      return;
    }
    activate_ap(device->path);
  });
}

void NmRadio::activate_ap(const std::string& device) {
  ap_ = Ap::activating;
  ap_device_ = device;
  NmProfile profile;
  profile.name = "Muster set-up";
  profile.interface = ap_name_;
  profile.ssid = ap_ssid_;
  profile.access_point = true;
  profile.frequency_mhz = ap_frequency_;
  client_.activate(device, profile, [this, epoch = ap_epoch_](const std::string& connection, const std::string& problem) {
    if (epoch != ap_epoch_ || ap_ == Ap::off) {
      if (!connection.empty()) client_.deactivate(connection, {});
      return;
    }
    ap_connection_ = connection;
    if (problem.empty()) return;
    problem_ = "NetworkManager opens no access point: " + problem;
    ap_ = Ap::waiting;
    ap_due_ = clock_.now() + ap_again_ms;
  });
}

/// To the channel of the network that is to be joined.
void NmRadio::move_ap(int frequency_mhz) {
  ap_frequency_ = frequency_mhz;
  ap_ = Ap::moving;
  ap_until_ = clock_.now() + move_timeout_ms;
  if (!ap_control_.is_open() &&
      ap_control_.open(options_.control_directory + "/" + ap_name_, options_.run_directory + "/muster-nm-" + std::to_string(::getpid()),
                       [this](std::string_view text) {
                         const auto event = parse_wpa_event(text);
                         if (ap_ != Ap::moving || !event || event->kind != WpaEventKind::channel_switched) return;
                         if (event->frequency_mhz == ap_frequency_) ap_on();
                       })) {
    ap_control_.send("ATTACH");
  }
  if (!ap_control_.is_open()) {
    ap_until_ = clock_.now();
    return;
  }
  ap_control_.send("CHAN_SWITCH 5 " + std::to_string(frequency_mhz), [this](std::string_view answer) {
    if (ap_ == Ap::moving && answer != "OK") ap_until_ = clock_.now();  // See on_timer().
  });
}

void NmRadio::ap_state(NmState state) {
  if (state == NmState::activated && ap_ == Ap::activating) {
    ap_on();
  } else if (state == NmState::failed && ap_ == Ap::activating) {
    ap_ = Ap::waiting;
    ap_due_ = clock_.now() + ap_again_ms;
  } else if ((state == NmState::failed || state <= NmState::disconnected) && (ap_ == Ap::on || ap_ == Ap::moving)) {
    // Another program or the driver took it away. It comes back.
    ap_ = Ap::off;
    ap_addresses_.pause();
    ap_control_.close();
    ap_due_ = clock_.now() + ap_again_ms;
    if (!std::exchange(phones_, {}).empty()) news_.push_visitors(0);
    if (join_ == Join::moving_ap) associate();
  }
}

void NmRadio::ap_on() {
  ap_ = Ap::on;
  ap_due_ = ap_until_ = never;
  if (!ap_addresses_.open(ap_name_)) {
    fail_ap("Cannot listen for DHCP on " + ap_name_ + ".");
    return;
  }
  client_.watch(options_.interface, ap_name_);
  // What listens on the interface has to listen on the new one.
  const bool made = std::exchange(ap_made_, false);
  if (std::exchange(ap_untold_, false) || made) news_.push(RadioNews::Kind::opened);
  if (join_ == Join::moving_ap) associate();
}

void NmRadio::fail_ap(const std::string& why) {
  problem_ = why;
  take_ap_down();
  if (std::exchange(ap_untold_, false)) {
    ap_wanted_ = false;
    news_.push(RadioNews::Kind::open_failed);
  } else {
    ap_due_ = clock_.now() + ap_later_ms;  // It was told to be open, so it has to be.
  }
  if (join_ == Join::moving_ap) associate();
}

void NmRadio::take_ap_down() {
  ap_due_ = ap_until_ = never;
  if (ap_ == Ap::off) return;
  ap_ = Ap::off;
  ++ap_epoch_;
  ap_addresses_.close();
  ap_control_.close();
  if (!std::exchange(phones_, {}).empty()) news_.push_visitors(0);
  if (!ap_connection_.empty()) client_.deactivate(std::exchange(ap_connection_, {}), {});
  // NetworkManager lets go of the interface before it is removed.
  const std::string device = std::exchange(ap_device_, {});
  if (single_) return;
  if (device.empty()) {
    system_.remove_interface(ap_name_);
    return;
  }
  client_.manage(device, false, [this, epoch = ap_epoch_] {
    if (epoch == ap_epoch_) system_.remove_interface(ap_name_);
  });
}

void NmRadio::shut() {
  news_.forget({RadioNews::Kind::opened, RadioNews::Kind::open_failed});
  ap_wanted_ = ap_untold_ = false;
  take_ap_down();
  news_.forget({RadioNews::Kind::visitors});
  if (join_ == Join::moving_ap) associate();
}

void NmRadio::on_phone(const std::string& mac, bool present) {
  if (ap_ != Ap::on && ap_ != Ap::moving) return;
  const bool changed = present ? phones_.insert(mac).second : phones_.erase(mac) != 0;
  if (!changed) return;
  news_.push_visitors(phones_.size());
}

// --- station: looking around

void NmRadio::scan() {
  scan_asked_ = true;
  if (device_.empty() || (single_ && ap_ != Ap::off && ap_ != Ap::looking)) {
    scan_asked_ = false;
    news_.push(RadioNews::Kind::scanned);  // What was seen before.
    return;
  }
  scan_until_ = clock_.now() + scan_timeout_ms;
  if (!scan_running_ && (join_ == Join::none || join_ == Join::looking || join_ == Join::joined)) request_scan();
}

void NmRadio::request_scan() {
  scan_for_join_ = join_ == Join::looking;
  scan_running_ = true;
  scan_due_ = never;
  if (scan_until_ == never) scan_until_ = clock_.now() + scan_timeout_ms;
  // NetworkManager 1.42 loses its list of names, and crashes, when a name is asked for again before it was looked for. After two ends of looks
  // it has been: the first may be of one that had begun before.
  const bool by_name = scan_for_join_ && ends_since_name_ >= 2;
  if (by_name) ends_since_name_ = 0;
  client_.request_scan(device_, by_name ? target_.ssid : std::string{}, [this](bool ok) {
    if (ok || !scan_running_) return;
    scan_running_ = false;
    scan_due_ = clock_.now() + scan_again_ms;  // It is at another scan, or was a moment ago.
  });
}

void NmRadio::on_scan_done(const std::string& device) {
  if (device != device_) return;
  ++ends_since_name_;
  if (!scan_running_) return;
  client_.find_device(options_.interface, [this](const NmDevice* found_device) {
    if (!scan_running_) return;
    scan_running_ = false;
    if (found_device != nullptr)
      seen(*found_device);
    else
      scan_due_ = clock_.now() + scan_again_ms;
  });
}

void NmRadio::seen(const NmDevice& device) {
  seen_ = device.networks;
  // Its own access point is no network to join.
  seen_.erase(std::remove_if(seen_.begin(), seen_.end(), [&](const WpaNetwork& n) { return ap_wanted_ && n.ssid == ap_ssid_; }),
              seen_.end());
  std::sort(seen_.begin(), seen_.end(), [](const WpaNetwork& a, const WpaNetwork& b) { return a.rssi_dbm > b.rssi_dbm; });
  seen_at_ = clock_.now();
  scan_until_ = scan_due_ = never;
  if (std::exchange(scan_asked_, false)) {
    news_.push(RadioNews::Kind::scanned);
  }
  if (ap_ == Ap::looking) find_ap();
  if (join_ == Join::looking) looked();
}

void NmRadio::looked() {
  // A scan that was under way when the join began was not for this name and does not count.
  if (scan_for_join_) ++looks_;
  target_hidden_ = scan_for_join_;  // It was asked for by name, so nobody knows.
  if (const WpaNetwork* const network = find(target_.ssid)) {
    found(*network);
  } else if (looks_ >= looks_max) {
    fail_join(JoinFailure::not_found, "No network of this name is in range.");
  } else {
    request_scan();
  }
}

const WpaNetwork* NmRadio::find(std::string_view ssid) const noexcept {
  const auto at = std::find_if(seen_.begin(), seen_.end(), [&](const WpaNetwork& network) { return network.ssid == ssid; });
  return at == seen_.end() ? nullptr : &*at;  // The strongest: seen_ is sorted.
}

// --- station: joining

void NmRadio::join(const JoinTarget& target) {
  news_.forget({RadioNews::Kind::joined, RadioNews::Kind::join_failed, RadioNews::Kind::lost});
  drop_station();
  target_ = {std::string{target.ssid}, std::string{target.passphrase}, {}};
  if (target.fixed != nullptr) target_.fixed = *target.fixed;
  looks_ = refused_ = 0;
  if (device_.empty()) {
    fail_join(JoinFailure::other, "NetworkManager does not run.");
    return;
  }
  if (target.wired || target.ssid.empty() || target.ssid.size() > ssid_size_max_bytes) {
    fail_join(JoinFailure::other, target.wired ? "This radio has no cable." : "A network's name has 1 to 32 bytes.");
    return;
  }
  if (target_.fixed) {
    const std::uint32_t first = target_.fixed->address >> 24;
    if (first == 0 || first == 127 || first >= 224 || (target_.fixed->mask != 0 && !nm_prefix(target_.fixed->mask))) {
      fail_join(JoinFailure::bad_address, "The fixed address cannot be used.");
      return;
    }
  }
  problem_.clear();
  if (single_) take_ap_down();
  join_ = Join::looking;
  const WpaNetwork* const known = seen_at_ != never && clock_.now() - seen_at_ < seen_for_ms ? find(target_.ssid) : nullptr;
  if (known != nullptr) {
    const WpaNetwork network = *known;
    target_hidden_ = false;
    found(network);
  } else {
    scan_until_ = clock_.now() + 2 * scan_timeout_ms;
    if (!scan_running_) request_scan();
  }
}

void NmRadio::found(const WpaNetwork& network) {
  target_network_ = network;
  if (!nm_key_management(network.security, target_.passphrase)) {
    const bool unsupported = network.security == NetworkSecurity::enterprise || network.security == NetworkSecurity::wep ||
                             network.security == NetworkSecurity::unknown;
    fail_join(unsupported ? JoinFailure::other : JoinFailure::wrong_password,
              unsupported                  ? "This kind of network security is not supported."
              : target_.passphrase.empty() ? "The network wants a password."
                                           : "The network takes no password, or the password has not 8 to 63 characters.");
    return;
  }
  scan_due_ = scan_until_ = never;
  if (ap_ == Ap::off) {
    associate();
    return;
  }
  join_ = Join::moving_ap;
  join_due_ = clock_.now() + open_timeout_ms + join_timeout_ms;
  if (ap_ != Ap::on) return;  // It is on its way up, and goes on from there.
  if (ap_frequency_ != network.frequency_mhz)
    move_ap(network.frequency_mhz);
  else
    associate();
}

void NmRadio::associate() {
  if (ap_ == Ap::on && ap_frequency_ != target_network_.frequency_mhz) {
    move_ap(target_network_.frequency_mhz);
    return;
  }
  join_ = Join::activating;
  join_due_ = clock_.now() + join_timeout_ms;
  client_.watch(options_.interface, ap_ == Ap::off ? std::string{} : ap_name_);
  NmProfile profile;
  profile.name = "Muster network";
  profile.interface = options_.interface;
  profile.ssid = target_.ssid;
  profile.hidden = target_hidden_;
  profile.key_management = nm_key_management(target_network_.security, target_.passphrase).value_or("");
  profile.key = target_.passphrase;
  profile.fixed = target_.fixed;
  profile.address_timeout_s = address_timeout_s;
  client_.activate(device_, profile, [this, epoch = epoch_](const std::string& connection, const std::string& problem) {
    if (epoch != epoch_) {
      if (!connection.empty()) client_.deactivate(connection, {});
      return;
    }
    connection_ = connection;
    if (!problem.empty()) fail_join(JoinFailure::other, "NetworkManager does not take the network: " + problem);
  });
  explicit_bzero(profile.key.data(), profile.key.size());
}

void NmRadio::on_device_state(const std::string& device, NmState state, std::uint32_t reason) {
  if (!ap_device_.empty() && device == ap_device_ && ap_ != Ap::off)
    ap_state(state);
  else if (device == device_)
    station_state(state, reason);
}

void NmRadio::station_state(NmState state, std::uint32_t reason) {
  if (join_ == Join::joined && (state <= NmState::disconnected || state >= NmState::deactivating)) {
    lose("The network is gone.");
    return;
  }
  // Before NetworkManager has named the connection, it speaks of the one before.
  if ((join_ != Join::activating && join_ != Join::addressing) || connection_.empty()) return;
  if (nm_key_refused(state, reason)) {
    fail_join(JoinFailure::wrong_password, "The network's router does not take the password.");
  } else if (state == NmState::ip_config) {
    join_ = Join::addressing;
  } else if (state == NmState::activated) {
    ask_where();
  } else if (state == NmState::failed) {
    const JoinFailure failure = nm_join_failure(reason);
    const bool no_address = join_ == Join::addressing || failure == JoinFailure::no_address;
    // What it calls "not found" after our own look is one that did not answer, or refused without a word.
    if (no_address)
      fail_join(target_.fixed ? JoinFailure::bad_address : JoinFailure::no_address, "The network gives no address.");
    else if (failure == JoinFailure::wrong_password)
      fail_join(failure, "The network's router does not take the password.");
    else if (refused_ > 0)
      fail_join(JoinFailure::wrong_password, "The network's router refused the device each time.");
    else
      fail_join(failure == JoinFailure::not_found ? JoinFailure::timeout : failure,
                "The network does not answer (reason " + std::to_string(reason) + " of NetworkManager).");
  }
}

void NmRadio::on_refused(int status) {
  const bool by_password = target_network_.security == NetworkSecurity::wpa3 || target_network_.security == NetworkSecurity::wpa2_wpa3;
  if (join_ != Join::activating || !by_password || (status != 1 && status != 15)) return;
  if (++refused_ >= refused_max) fail_join(JoinFailure::wrong_password, "The network's router does not take the password.");
}

void NmRadio::on_connection_ended(const std::string& connection) {
  if (connection.empty() || connection != connection_) return;
  if (join_ == Join::joined)
    lose("The network is gone.");
  else if (join_ != Join::none)
    fail_join(JoinFailure::other, "NetworkManager ended the join.");
}

void NmRadio::ask_where() {
  join_ = Join::asking;
  client_.find_device(options_.interface, [this, epoch = epoch_](const NmDevice* device) {
    if (epoch != epoch_ || join_ != Join::asking) return;
    if (device != nullptr && device->address != 0)
      joined(*device);
    else
      fail_join(JoinFailure::no_address, "The network gives no address.");
  });
}

void NmRadio::joined(const NmDevice& device) {
  join_ = Join::joined;
  join_due_ = never;
  explicit_bzero(target_.passphrase.data(), target_.passphrase.size());
  // A home network may use the access point's own range. Then the home matters more than who is at the set-up page.
  if (!single_ && ap_ != Ap::off && overlaps_ap(device.address, device.mask)) {
    problem_ = "The network uses the range of the device's own; that one is closed.";
    take_ap_down();
  }
  const WpaNetwork& network = device.joined ? *device.joined : target_network_;
  JoinedNetwork where;
  std::memcpy(where.bssid, network.bssid, sizeof where.bssid);
  where.address = device.address;
  where.rssi_dbm = static_cast<std::int16_t>(network.rssi_dbm);
  where.channel = static_cast<std::uint16_t>(channel_of(network.frequency_mhz));
  news_.push_joined(where);
  if (scan_asked_ && !scan_running_) request_scan();
}

void NmRadio::lose(const std::string& why) {
  problem_ = why;
  news_.forget({RadioNews::Kind::joined});
  drop_station();
  news_.push(RadioNews::Kind::lost);
}

void NmRadio::fail_join(JoinFailure failure, const std::string& why) {
  drop_station();
  problem_ = why;
  news_.push_join_failed(failure);
  if (scan_asked_ && !scan_running_ && !device_.empty()) request_scan();
}

void NmRadio::drop_station() {
  ++epoch_;
  join_ = Join::none;
  join_due_ = never;
  if (!connection_.empty()) client_.deactivate(std::exchange(connection_, {}), {});
  explicit_bzero(target_.passphrase.data(), target_.passphrase.size());
  target_.passphrase.clear();
  if (ap_wanted_ && ap_ == Ap::off && (single_ || ap_due_ == never)) ap_due_ = clock_.now() + ap_again_ms;  // Its turn again.
}

void NmRadio::leave() {
  news_.forget({RadioNews::Kind::joined, RadioNews::Kind::join_failed, RadioNews::Kind::lost});
  drop_station();
}

// --- NetworkManager itself

void NmRadio::on_gone() {
  if (device_.empty()) return;
  device_.clear();
  ap_connection_.clear();
  connection_.clear();
  if (ap_ != Ap::off) fail_ap("NetworkManager ended.");
  if (join_ == Join::joined)
    lose("NetworkManager ended.");
  else if (join_ != Join::none)
    fail_join(JoinFailure::other, "NetworkManager ended.");
  scan_running_ = false;
  scan_due_ = scan_until_ = ap_due_ = never;
  if (std::exchange(scan_asked_, false)) news_.push(RadioNews::Kind::scanned);
  problem_ = "NetworkManager ended.";
  reach_due_ = clock_.now() + reach_every_ms;
}

void NmRadio::reach_again() {
  reach_due_ = clock_.now() + reach_every_ms;
  client_.find_device(options_.interface, [this](const NmDevice* device) {
    if (device == nullptr || device->state < NmState::disconnected || !device_.empty()) return;
    device_ = device->path;
    reach_due_ = never;
    ends_since_name_ = 2;
    if (ap_wanted_ && ap_ == Ap::off) begin_ap();
  });
}

// --- the loop's side

void NmRadio::fill(std::vector<pollfd>& waiting) const {
  client_.fill(waiting);
  waiting.push_back({ap_addresses_.fd(), POLLIN, 0});
  waiting.push_back({ap_control_.fd(), POLLIN, 0});
}

Millis NmRadio::next_deadline() const {
  if (!news_.empty()) return 0;
  const bool scan_waits = scan_running_ || scan_asked_ || join_ == Join::looking;
  return std::min({client_.next_deadline(clock_.now()), ap_control_.next_deadline(), reach_due_, ap_due_, ap_until_, scan_due_,
                   scan_waits ? scan_until_ : never, join_due_});
}

void NmRadio::serve(RadioListener& listener) {
  if (!started_) return;
  client_.serve();
  if (ap_control_.is_open() && (!ap_control_.on_ready() || !ap_control_.on_timer())) {
    ap_control_.close();
    if (ap_ == Ap::moving) ap_until_ = clock_.now();
  }
  ap_addresses_.serve(clock_.now());
  on_timer(clock_.now());
  news_.tell(listener, clock_, seen_);
}

void NmRadio::on_timer(Millis now) {
  if (reach_due_ <= now) reach_again();
  if (ap_due_ <= now) {
    ap_due_ = never;
    if (ap_ == Ap::off && ap_wanted_ && !device_.empty() && !(single_ && join_ != Join::none))
      begin_ap();
    else if (ap_ != Ap::off)
      find_ap();
  }
  if (ap_until_ <= now) {
    ap_until_ = never;
    if (ap_ == Ap::moving) {
      // It could not take its phones along: down, and up again on the new channel.
      ap_control_.close();
      ++ap_epoch_;
      ap_ = Ap::waiting;
      ap_until_ = now + open_timeout_ms;
      find_ap();
    } else if (ap_ == Ap::looking) {
      ap_until_ = now + open_timeout_ms;
      find_ap();
    } else if (ap_ != Ap::off && ap_ != Ap::on) {
      fail_ap(problem_.empty() ? "The access point does not come up." : problem_);
    }
  }
  if (scan_due_ <= now) {
    scan_due_ = never;
    if (!scan_running_ && !device_.empty() && (scan_asked_ || join_ == Join::looking || ap_ == Ap::looking)) request_scan();
  }
  if (scan_until_ <= now) {
    scan_until_ = never;
    scan_running_ = false;
    if (std::exchange(scan_asked_, false)) news_.push(RadioNews::Kind::scanned);
    if (join_ == Join::looking) fail_join(JoinFailure::timeout, "The radio does not look around.");
  }
  if (join_due_ <= now) {
    const bool addressing = join_ == Join::addressing || join_ == Join::asking;
    fail_join(addressing ? JoinFailure::no_address : JoinFailure::timeout,
              addressing ? "The network gives no address." : "The network does not answer.");
  }
}

}  // namespace muster::agent::linux_port
