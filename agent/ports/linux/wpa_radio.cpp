// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/wpa_radio.hpp"

#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

namespace muster::agent::linux_port {

namespace {

constexpr Millis reach_every_ms = 50;
constexpr Millis reach_timeout_ms = 10'000;
constexpr Millis return_every_ms = 1'000;
constexpr Millis scan_again_ms = 400;
constexpr Millis move_timeout_ms = 3'000;
constexpr Millis ap_again_ms = 1'000;
/// The channels that nearly all networks of 2.4 GHz are on: a look at them takes a fifth of a look at all.
constexpr const char* usual_frequencies = "2412,2437,2462";
/// One look at the usual channels, two at all.
constexpr int looks_max = 3;
constexpr int auth_sae = 3;

}  // namespace

WpaRadio::WpaRadio(Clock& clock, RandomSource& random, WpaSystem& system, WpaOptions options)
    : clock_{clock},
      random_{random},
      system_{system},
      options_{std::move(options)},
      global_{clock},
      station_{clock},
      ap_control_{clock},
      ap_addresses_{system} {}

WpaRadio::~WpaRadio() { stop(); }

std::string WpaRadio::start() {
  if (!system_.get_mac(options_.interface, mac_)) return "There is no network interface " + options_.interface + ".";
  run_ = options_.run_directory;
  if (run_.empty()) {
    for (const char* const place : {"/run/muster-radio-XXXXXX", "/tmp/muster-radio-XXXXXX"}) {
      std::string path = place;
      if (::mkdtemp(path.data()) != nullptr) {
        run_ = path;
        run_is_ours_ = true;
        break;
      }
    }
    if (run_.empty()) return "Cannot make a folder under /run or /tmp.";
  }
  poll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (poll_fd_ < 0) return "Cannot wait for the radio.";
  {
    std::ofstream settings{own_path("wpa.conf")};
    // Without the device of Wi-Fi Direct, which would take a hardware address of the card.
    settings << "p2p_disabled=1\nupdate_config=0\n";
    if (!options_.country.empty()) settings << "country=" << options_.country << '\n';
    if (!settings.flush()) return "Cannot write into " + run_ + ".";
  }
  if (options_.default_route) system_.clear_dns(options_.interface, options_.resolv_conf);  // Left over from a run that was killed.
  alive_due_ = clock_.now() + alive_every_ms;
  reach();
  if (is_lost()) return problem_;
  watch();
  return {};
}

void WpaRadio::stop() {
  if (poll_fd_ < 0) return;
  leave();
  shut();
  station_.close();
  ap_control_.close();
  global_.close();
  system_.stop_supplicant();
  system_.remove_interface(ap_name_);
  supplicant_ = Supplicant::down;
  supplicant_due_ = supplicant_until_ = alive_due_ = return_due_ = never;
  station_ready_ = false;
  ::close(poll_fd_);
  poll_fd_ = -1;
  news_.clear();
  ::unlink(own_path("wpa.conf").c_str());
  ::unlink(own_path("global").c_str());
  if (run_is_ours_) {
    ::rmdir(own_path("control").c_str());
    ::rmdir(run_.c_str());
  }
}

// --- wpa_supplicant

/// For every wish: a wpa_supplicant that serves the station, or that will soon.
void WpaRadio::reach() {
  if (station_.is_open() || return_due_ != never || supplicant_ == Supplicant::starting || supplicant_ == Supplicant::adding) return;
  if (open_theirs()) return;
  child_serves_station_ = true;
  if (supplicant_ == Supplicant::ready)
    serve_station();
  else
    start_child();
}

bool WpaRadio::open_theirs() {
  if (!station_.open(options_.control_directory + "/" + options_.interface, own_path("station"),
                     [this](std::string_view text) { station_event(text); })) {
    return false;
  }
  child_serves_station_ = false;
  use_station();
  return true;
}

void WpaRadio::await_theirs() {
  const Millis now = clock_.now();
  return_due_ = now + return_every_ms;
  if (open_theirs()) {
    return_due_ = never;
  } else if (now >= return_until_) {
    return_due_ = never;
    child_serves_station_ = true;
    if (join_ != Join::none || scan_asked_ || ap_ != Ap::off) reach();
  }
}

void WpaRadio::start_child() {
  if (supplicant_ != Supplicant::down) return;
  ::unlink(own_path("global").c_str());
  if (std::string why = system_.start_supplicant(options_.program, own_path("global"), {}); !why.empty()) {
    problem_ = std::move(why);
    return;
  }
  supplicant_ = Supplicant::starting;
  supplicant_due_ = clock_.now() + reach_every_ms;
  supplicant_until_ = clock_.now() + reach_timeout_ms;
}

void WpaRadio::try_global() {
  const Millis now = clock_.now();
  supplicant_due_ = now + reach_every_ms;
  if (!system_.supplicant_running()) {
    child_lost("wpa_supplicant does not start; is the package wpasupplicant installed?");
    return;
  }
  if (now >= supplicant_until_) {
    child_lost("wpa_supplicant does not answer.");
    return;
  }
  if (!global_.open(own_path("global"), own_path("to-global"), {})) return;
  supplicant_due_ = supplicant_until_ = never;
  if (!child_serves_station_) {
    supplicant_ = Supplicant::ready;
    advance();
    return;
  }
  serve_station();
}

void WpaRadio::serve_station() {
  supplicant_ = Supplicant::adding;
  global_.send("INTERFACE_ADD " + options_.interface + "\t" + own_path("wpa.conf") + "\tnl80211\t" + own_path("control"),
               [this](std::string_view answer) {
                 if (answer != "OK" || !station_.open(own_path("control/") + options_.interface, own_path("station"),
                                                      [this](std::string_view text) { station_event(text); })) {
                   child_lost("wpa_supplicant cannot use " + options_.interface + "; does another program have it?");
                   return;
                 }
                 supplicant_ = Supplicant::ready;
                 use_station();
               });
}

void WpaRadio::use_station() {
  station_.send("ATTACH", [this](std::string_view answer) {
    if (answer != "OK") {
      station_gone("wpa_supplicant does not tell what happens.");
      return;
    }
    station_ready_ = true;
    advance();
  });
}

void WpaRadio::child_lost(const std::string& why) {
  problem_ = why;
  global_.close();
  ap_control_.close();
  system_.stop_supplicant();
  supplicant_ = Supplicant::down;
  supplicant_due_ = supplicant_until_ = never;
  if (ap_ != Ap::off) fail_ap(why);
  if (child_serves_station_) station_lost(why);
}

void WpaRadio::station_lost(const std::string& why) {
  problem_ = why;
  station_.close();
  station_ready_ = false;
  linked_ = false;
  network_id_ = -1;
  scan_running_ = false;
  if (!child_serves_station_) {
    return_due_ = clock_.now() + return_every_ms;  // One that says it ends still has its socket.
    return_until_ = clock_.now() + return_grace_ms;
  }
  if (scan_asked_) tell_scanned();
  if (join_ == Join::joined) {
    news_.forget({RadioNews::Kind::joined});
    drop_station();
    news_.push(RadioNews::Kind::lost);
  } else if (join_ != Join::none) {
    fail_join(JoinFailure::other, why);
  }
}

void WpaRadio::station_gone(const std::string& why) {
  if (child_serves_station_)
    child_lost(why);
  else
    station_lost(why);
}

/// A socket whose other end died says nothing by itself: only who writes to it hears of that.
void WpaRadio::ask_alive() {
  alive_due_ = clock_.now() + alive_every_ms;
  if (supplicant_ != Supplicant::down && supplicant_ != Supplicant::starting && !system_.supplicant_running()) {
    child_lost("wpa_supplicant ended.");
  }
  for (WpaControl* const control : {&global_, &station_, &ap_control_}) {
    if (control->is_open() && control->next_deadline() == never) control->send("PING");
  }
}

/// What was wished for while wpa_supplicant was not there yet.
void WpaRadio::advance() {
  if (ap_ == Ap::wanted) begin_ap();
  if (!station_ready_) return;
  if (join_ == Join::wanted) {
    join_ = Join::looking;
    look();
  }
  if (scan_asked_ && !scan_running_) request_scan();
}

void WpaRadio::watch() {
  if (poll_fd_ < 0) return;
  // Level-triggered and few: everything that is open is put in again; what is there already says so.
  for (const int fd : {global_.fd(), station_.fd(), ap_control_.fd(), dhcp_fd_, ap_addresses_.fd()}) {
    if (fd < 0) continue;
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    wanted.data.fd = fd;
    ::epoll_ctl(poll_fd_, EPOLL_CTL_ADD, fd, &wanted);
  }
}

// --- access point

void WpaRadio::open(std::string_view name) {
  if (ap_ != Ap::off && name == ap_ssid_) {
    // As it was asked for already; told again when it is there.
    ap_untold_ = true;
    if (ap_ == Ap::on) {
      news_.push(RadioNews::Kind::opened);
      ap_untold_ = false;
    }
    return;
  }
  const bool had = ap_ != Ap::off;
  ap_ssid_ = name;
  ap_untold_ = true;
  news_.forget({RadioNews::Kind::opened, RadioNews::Kind::open_failed});
  if (had) take_ap_down();
  ap_ = Ap::wanted;
  ap_due_ = clock_.now() + open_timeout_ms;
  reach();
  if (supplicant_ == Supplicant::down) start_child();  // The access point is always served by our own.
  if (supplicant_ == Supplicant::down) {
    fail_ap(problem_);
    return;
  }
  begin_ap();
}

void WpaRadio::begin_ap() {
  if (supplicant_ != Supplicant::ready) return;
  // While the station is on a channel, the access point can only be there.
  const bool on_channel = join_ == Join::associating || join_ == Join::addressing || join_ == Join::joined;
  // On a network's channel only while on that network: not every channel is one to open on.
  ap_frequency_ = on_channel && target_network_.frequency_mhz != 0 ? target_network_.frequency_mhz : usual_ap_frequency_mhz;
  ap_ = Ap::adding;
  const unsigned epoch = ++ap_epoch_;
  // Behind a removal that may still be under way.
  global_.send("PING", [this, epoch](std::string_view) {
    if (epoch != ap_epoch_ || ap_ != Ap::adding) return;
    if (const std::string why = system_.add_ap_interface(options_.interface, ap_name_); !why.empty()) {
      fail_ap(why);
      return;
    }
    global_.send("INTERFACE_ADD " + ap_name_ + "\t" + own_path("wpa.conf") + "\tnl80211\t" + own_path("control"),
                 [this, epoch](std::string_view answer) {
                   if (epoch != ap_epoch_ || ap_ != Ap::adding) return;
                   if (answer != "OK" || !ap_control_.open(own_path("control/") + ap_name_, own_path("ap"),
                                                           [this](std::string_view text) { ap_event(text); })) {
                     fail_ap("wpa_supplicant cannot make an access point.");
                     return;
                   }
                   watch();
                   ap_control_.send("ATTACH");
                   configure_ap();
                 });
  });
}

void WpaRadio::configure_ap() {
  ap_ = Ap::configuring;
  ap_control_.send_all(
      {// 2: begins without looking around first, which takes seconds.
       "AP_SCAN 2", "REMOVE_NETWORK all", "ADD_NETWORK", "SET_NETWORK 0 ssid " + to_hex(ap_ssid_), "SET_NETWORK 0 mode 2",
       "SET_NETWORK 0 key_mgmt NONE", "SET_NETWORK 0 frequency " + std::to_string(ap_frequency_)},
      [this](bool ok) {
        if (ap_ != Ap::configuring) return;
        if (!ok) {
          fail_ap("wpa_supplicant refuses the access point's settings.");
          return;
        }
        ap_ = Ap::enabling;
        ap_control_.send("SELECT_NETWORK 0");
      });
}

void WpaRadio::ap_event(std::string_view text) {
  const auto event = parse_wpa_event(text);
  if (!event) return;
  std::array<std::uint8_t, 6> mac;
  std::memcpy(mac.data(), event->bssid, mac.size());
  switch (event->kind) {
    case WpaEventKind::ap_enabled:
      if (ap_ == Ap::enabling) ap_enabled();
      break;
    case WpaEventKind::ap_disabled:
      if (ap_ == Ap::on || ap_ == Ap::moving) {
        // The kernel or another program took it away.
        ap_ = Ap::enabling;
        ap_due_ = clock_.now() + ap_again_ms;
        visitors_.clear();
        tell_visitors();
      }
      break;
    case WpaEventKind::ap_station_connected:
      if (std::find(visitors_.begin(), visitors_.end(), mac) == visitors_.end()) {
        visitors_.push_back(mac);
        tell_visitors();
      }
      break;
    case WpaEventKind::ap_station_disconnected:
      if (const auto at = std::find(visitors_.begin(), visitors_.end(), mac); at != visitors_.end()) {
        visitors_.erase(at);
        tell_visitors();
      }
      break;
    case WpaEventKind::channel_switched:
      if (ap_ == Ap::moving && event->frequency_mhz == target_network_.frequency_mhz) {
        ap_ = Ap::on;
        ap_frequency_ = event->frequency_mhz;
        ap_due_ = never;
        if (join_ == Join::moving_ap) associate();
      }
      break;
    case WpaEventKind::terminating: child_lost("wpa_supplicant ended."); break;
    default: break;
  }
}

void WpaRadio::ap_enabled() {
  ap_ = Ap::on;
  ap_due_ = never;
  if (!system_.set_address(ap_name_, ap_address, ap_mask, 0)) {
    fail_ap("Cannot give " + ap_name_ + " its address.");
    return;
  }
  if (!ap_addresses_.open(ap_name_)) {
    fail_ap("Cannot listen for DHCP on " + ap_name_ + ".");
    return;
  }
  watch();
  if (ap_untold_) {
    ap_untold_ = false;
    news_.push(RadioNews::Kind::opened);
  }
  if (join_ == Join::moving_ap) associate();
}

void WpaRadio::fail_ap(const std::string& why) {
  problem_ = why;
  take_ap_down();
  ap_untold_ = false;
  news_.push(RadioNews::Kind::open_failed);  // Also when it was open before: who listens opens it again.
  if (join_ == Join::moving_ap) associate();
}

void WpaRadio::take_ap_down() {
  if (ap_ == Ap::off) return;
  ap_ = Ap::off;
  ap_due_ = never;
  ap_addresses_.close();
  ap_control_.close();
  ++ap_epoch_;
  if (global_.is_open()) {
    global_.send("INTERFACE_REMOVE " + ap_name_, [this](std::string_view) { system_.remove_interface(ap_name_); });
  } else {
    system_.remove_interface(ap_name_);
  }
  if (!visitors_.empty()) {
    visitors_.clear();
    tell_visitors();
  }
}

void WpaRadio::shut() {
  news_.forget({RadioNews::Kind::opened, RadioNews::Kind::open_failed});
  ap_untold_ = false;
  take_ap_down();
  news_.forget({RadioNews::Kind::visitors});
  if (join_ == Join::moving_ap) associate();
}

void WpaRadio::tell_visitors() { news_.push_visitors(visitors_.size()); }

// --- station: looking around

void WpaRadio::scan() {
  scan_asked_ = true;
  scan_until_ = clock_.now() + scan_timeout_ms;
  reach();
  if (!station_ready_ || scan_running_ || join_ == Join::moving_ap || join_ == Join::associating || join_ == Join::addressing) return;
  request_scan();
}

void WpaRadio::request_scan() {
  scan_for_join_ = join_ == Join::looking;
  // TYPE=ONLY: the result is for us, nothing is joined because of it.
  scan_command_ = "SCAN TYPE=ONLY";
  if (!scan_for_join_ && !scan_frequencies_.empty()) scan_command_ += " freq=" + scan_frequencies_;
  if (scan_for_join_) {
    if (looks_ == 0) scan_command_ += std::string{" freq="} + usual_frequencies;
    scan_command_ += " ssid " + to_hex(target_.ssid) + " ssid ";  // By name, for those that hide it; and everybody.
  }
  scan_running_ = true;
  scan_due_ = never;
  if (scan_until_ == never) scan_until_ = clock_.now() + scan_timeout_ms;
  station_.send(scan_command_, [this](std::string_view answer) {
    if (!scan_running_) return;
    if (answer.substr(0, 4) == "FAIL" || answer.empty()) {
      scan_running_ = false;
      scan_due_ = clock_.now() + scan_again_ms;  // It is at another scan.
    }
  });
}

void WpaRadio::read_networks(std::uint32_t first_id) {
  if (first_id == 0) page_.clear();
  station_.send(wpa_bss_command(first_id), [this, first_id](std::string_view answer) {
    WpaBssPage page = parse_bss_page(std::string{answer} + "\n", first_id);
    for (WpaNetwork& network : page.networks) {
      if (page_.size() < networks_max) page_.push_back(std::move(network));
    }
    if (!page.last && page_.size() < networks_max) {
      read_networks(page.next_id);
    } else {
      scan_done();
    }
  });
}

void WpaRadio::scan_done() {
  seen_ = std::move(page_);
  page_.clear();
  seen_at_ = clock_.now();
  std::sort(seen_.begin(), seen_.end(), [](const WpaNetwork& a, const WpaNetwork& b) { return a.rssi_dbm > b.rssi_dbm; });
  const bool whole = !scan_for_join_ || looks_ > 0;
  scan_until_ = never;
  if (scan_asked_ && whole) tell_scanned();
  if (join_ == Join::looking) looked();
  if (scan_asked_ && !scan_running_ && join_ != Join::associating && join_ != Join::addressing && join_ != Join::moving_ap) request_scan();
}

void WpaRadio::tell_scanned() {
  scan_asked_ = false;
  scan_until_ = never;
  news_.push(RadioNews::Kind::scanned);
}

// --- station: joining

void WpaRadio::join(const JoinTarget& target) {
  news_.forget({RadioNews::Kind::joined, RadioNews::Kind::join_failed, RadioNews::Kind::lost});
  drop_station();
  target_ = {std::string{target.ssid}, std::string{target.passphrase}, {}};
  if (target.fixed != nullptr) target_.fixed = *target.fixed;
  looks_ = not_found_ = rejected_ = 0;
  join_due_ = never;
  problem_.clear();
  if (target.wired || target.ssid.empty() || target.ssid.size() > ssid_size_max_bytes) {
    fail_join(JoinFailure::other, target.wired ? "This radio has no cable." : "A network's name has 1 to 32 bytes.");
    return;
  }
  if (target_.fixed && (target_.fixed->address == 0 || target_.fixed->address >> 24 == 127 || target_.fixed->address >> 24 >= 224)) {
    fail_join(JoinFailure::bad_address, "The fixed address cannot be used.");
    return;
  }
  join_ = Join::wanted;
  join_due_ = clock_.now() + reach_timeout_ms;
  reach();
  if (!station_ready_) return;
  join_ = Join::looking;
  const WpaNetwork* const known = seen_at_ != never && clock_.now() - seen_at_ < seen_for_ms ? find(target_.ssid) : nullptr;
  if (known != nullptr) {
    found(*known);
  } else {
    look();
  }
}

void WpaRadio::look() {
  join_due_ = never;
  scan_until_ = clock_.now() + scan_timeout_ms;
  if (!scan_running_) request_scan();
}

void WpaRadio::looked() {
  // A scan that was under way when the join began was not for this name and does not count.
  if (scan_for_join_) ++looks_;
  if (const WpaNetwork* const network = find(target_.ssid)) {
    found(*network);
    return;
  }
  if (looks_ >= looks_max) {
    fail_join(JoinFailure::not_found, "No network of this name is in range.");
    return;
  }
  look();
}

const WpaNetwork* WpaRadio::find(std::string_view ssid) const noexcept {
  const auto at = std::find_if(seen_.begin(), seen_.end(), [&](const WpaNetwork& network) { return network.ssid == ssid; });
  return at == seen_.end() ? nullptr : &*at;  // The strongest: seen_ is sorted.
}

void WpaRadio::found(const WpaNetwork& network) {
  target_network_ = network;
  if (wpa_network_settings(target_.ssid, target_.passphrase, network.security, 0).empty()) {
    const bool unsupported = network.security == NetworkSecurity::enterprise || network.security == NetworkSecurity::wep;
    fail_join(unsupported ? JoinFailure::other : JoinFailure::wrong_password,
              unsupported                  ? "This kind of network security is not supported."
              : target_.passphrase.empty() ? "The network wants a password."
                                           : "The network takes no password, or the password has not 8 to 63 characters.");
    return;
  }
  join_due_ = clock_.now() + join_timeout_ms;
  if (ap_ == Ap::on && ap_frequency_ != network.frequency_mhz) {
    join_ = Join::moving_ap;
    ap_ = Ap::moving;
    ap_due_ = clock_.now() + move_timeout_ms;
    ap_control_.send("CHAN_SWITCH 5 " + std::to_string(network.frequency_mhz), [this](std::string_view answer) {
      if (ap_ == Ap::moving && answer != "OK") ap_due_ = 0;  // See on_timer().
    });
  } else if (ap_ == Ap::off || ap_ == Ap::wanted || ap_ == Ap::on) {
    associate();
  } else {
    join_ = Join::moving_ap;  // It is on its way up, or to another channel: from there it goes on.
  }
}

void WpaRadio::associate() {
  if (ap_ == Ap::on && ap_frequency_ != target_network_.frequency_mhz) {
    const WpaNetwork network = target_network_;
    found(network);
    return;
  }
  join_due_ = clock_.now() + join_timeout_ms;
  join_ = Join::associating;
  const unsigned epoch = epoch_;
  station_.send("ADD_NETWORK", [this, epoch](std::string_view answer) {
    if (epoch != epoch_ || join_ != Join::associating) return;
    const std::string id{answer};
    if (id.empty() || id.find_first_not_of("0123456789") != std::string::npos || id.size() > 9) {
      fail_join(JoinFailure::other, "wpa_supplicant takes no network.");
      return;
    }
    network_id_ = std::stoi(id);
    std::vector<std::string> commands;
    for (const std::string& setting :
         wpa_network_settings(target_.ssid, target_.passphrase, target_network_.security, target_network_.frequency_mhz)) {
      commands.push_back("SET_NETWORK " + id + " " + setting);
    }
    station_.send_all(std::move(commands), [this, epoch, id](bool ok) {
      if (epoch != epoch_ || join_ != Join::associating) return;
      if (!ok) {
        fail_join(JoinFailure::other, "wpa_supplicant refuses the network's settings.");
        return;
      }
      station_.send("SELECT_NETWORK " + id);
    });
  });
}

void WpaRadio::station_event(std::string_view text) {
  const auto event = parse_wpa_event(text);
  if (!event) return;
  const bool trying = join_ == Join::associating;
  switch (event->kind) {
    case WpaEventKind::scan_results:
      if (scan_running_) {
        scan_running_ = false;
        read_networks(0);
      }
      break;
    case WpaEventKind::scan_failed:
      if (scan_running_) {
        scan_running_ = false;
        scan_due_ = clock_.now() + scan_again_ms;
      }
      break;
    case WpaEventKind::connected: link_up(*event); break;
    case WpaEventKind::disconnected: link_down(); break;
    case WpaEventKind::temporarily_disabled:
      if (trying && event->network_id == network_id_) {
        if (event->reason == "WRONG_KEY") {
          fail_join(JoinFailure::wrong_password, "The network's router does not take the password.");
        } else if (++rejected_ >= 2) {
          fail_join(JoinFailure::other, "The network's router refuses this device.");
        }
      }
      break;
    case WpaEventKind::auth_rejected:
      // WPA3 finds out before the association: its second message is refused. One refusal can be bad luck on the air.
      if (trying && event->auth_type == auth_sae && (event->status == 1 || event->status == 15) && ++rejected_ >= 2) {
        fail_join(JoinFailure::wrong_password, "The network's router does not take the password.");
      }
      break;
    case WpaEventKind::network_not_found:
      // Only the channel where it was seen is looked at. It may have moved to another since.
      if (!trying) break;
      if (looks_ < looks_max) {
        remove_network();
        join_ = Join::looking;
        look();
      } else if (++not_found_ >= 3) {
        fail_join(JoinFailure::not_found, "The network went out of range.");
      }
      break;
    case WpaEventKind::terminating: station_gone("wpa_supplicant ended."); break;
    default: break;
  }
}

void WpaRadio::link_up(const WpaEvent& event) {
  if (network_id_ < 0 || event.network_id != network_id_) return;
  linked_ = true;
  lost_due_ = never;
  std::memcpy(joined_.bssid, event.bssid, sizeof joined_.bssid);
  if (join_ != Join::associating) return;
  const auto at = std::find_if(seen_.begin(), seen_.end(),
                               [&](const WpaNetwork& n) { return n.ssid == target_.ssid && std::memcmp(n.bssid, event.bssid, 6) == 0; });
  const WpaNetwork& network = at != seen_.end() ? *at : target_network_;
  joined_.rssi_dbm = static_cast<std::int16_t>(network.rssi_dbm);
  joined_.channel = static_cast<std::uint16_t>(channel_of(network.frequency_mhz));
  join_due_ = never;
  begin_address();
}

void WpaRadio::link_down() {
  const bool was = std::exchange(linked_, false);
  if (join_ == Join::addressing && was) {
    // It may come back while the address is waited for; if not, the time for the address runs out.
    return;
  }
  if (join_ == Join::joined && lost_due_ == never) lost_due_ = clock_.now() + lost_grace_ms;
}

void WpaRadio::begin_address() {
  join_ = Join::addressing;
  if (target_.fixed) {
    const StaticAddress& fixed = *target_.fixed;
    const std::uint32_t mask = fixed.mask != 0 ? fixed.mask : 0xFFFFFF00U;
    address_known({fixed.address, mask, fixed.gateway, fixed.dns, fixed.dns2, 0, 0});
    return;
  }
  address_due_ = clock_.now() + address_timeout_ms;
  dhcp_.start(mac_, random_.next(), options_.host_name, clock_.now());
  follow_dhcp();
}

void WpaRadio::follow_dhcp() {
  // The socket sees every packet of the interface, so it is open only while an answer is expected.
  if (dhcp_.listening() && dhcp_fd_ < 0) {
    dhcp_fd_ = system_.open_dhcp_client(options_.interface);
    watch();
  } else if (!dhcp_.listening()) {
    system_.close_descriptor(std::exchange(dhcp_fd_, -1));
  }
  if (const std::vector<std::uint8_t> message = dhcp_.take_message(); !message.empty() && dhcp_fd_ >= 0) {
    system_.send_dhcp_client(dhcp_fd_, options_.interface, message);
  }
  if (dhcp_.state() == DhcpClient::State::bound && join_ == Join::addressing) {
    address_known(dhcp_.lease());
  } else if (dhcp_.state() == DhcpClient::State::lost && join_ == Join::joined) {
    problem_ = "The network took the address back.";
    drop_station();
    news_.push(RadioNews::Kind::lost);
  }
}

void WpaRadio::address_known(const DhcpLease& lease) {
  address_due_ = never;
  // A home network may use the access point's own range. Then the home matters more than who is at the set-up page.
  if (ap_ == Ap::on && overlaps_ap(lease.address, lease.mask)) system_.clear_address(ap_name_);
  if (!system_.set_address(options_.interface, lease.address, lease.mask, options_.default_route ? lease.gateway : 0)) {
    fail_join(JoinFailure::bad_address, "The address cannot be used on " + options_.interface + ".");
    return;
  }
  if (options_.default_route) {
    if (std::string why = system_.set_dns(options_.interface, options_.resolv_conf, lease.dns, lease.dns2); !why.empty()) {
      problem_ = std::move(why);  // Not the end: the cloud's host may be an address.
    }
  }
  joined_.address = lease.address;
  join_ = Join::joined;
  if (!linked_) lost_due_ = clock_.now() + lost_grace_ms;
  news_.push_joined(joined_);
  if (scan_asked_ && !scan_running_) request_scan();
}

void WpaRadio::fail_join(JoinFailure failure, const std::string& why) {
  drop_station();
  problem_ = why;
  news_.push_join_failed(failure);
  if (scan_asked_ && !scan_running_ && station_ready_) request_scan();
}

void WpaRadio::remove_network() {
  ++epoch_;
  if (station_.is_open() && network_id_ >= 0) {
    station_.send("REMOVE_NETWORK " + std::to_string(network_id_));
    if (!child_serves_station_ && options_.enable_others)
      station_.send("ENABLE_NETWORK all");  // Selecting ours had switched off the others.
  }
  network_id_ = -1;
  linked_ = false;
}

void WpaRadio::drop_station() {
  const bool had_address = join_ == Join::joined || join_ == Join::addressing;
  dhcp_.stop();
  system_.close_descriptor(std::exchange(dhcp_fd_, -1));
  address_due_ = lost_due_ = join_due_ = never;
  remove_network();
  if (had_address) {
    system_.clear_address(options_.interface);
    if (options_.default_route) system_.clear_dns(options_.interface, options_.resolv_conf);
    if (ap_ == Ap::on) static_cast<void>(system_.set_address(ap_name_, ap_address, ap_mask, 0));
  }
  join_ = Join::none;
  joined_ = {};
  explicit_bzero(target_.passphrase.data(), target_.passphrase.size());
  target_.passphrase.clear();
}

void WpaRadio::leave() {
  news_.forget({RadioNews::Kind::joined, RadioNews::Kind::join_failed, RadioNews::Kind::lost});
  drop_station();
}

// --- the loop's side

Millis WpaRadio::next_deadline() const noexcept {
  if (!news_.empty()) return 0;
  const bool scan_waits = scan_running_ || scan_asked_ || join_ == Join::looking;
  return std::min({supplicant_due_, alive_due_, return_due_, global_.next_deadline(), station_.next_deadline(), ap_control_.next_deadline(),
                   ap_due_, scan_due_, scan_waits ? scan_until_ : never, join_due_, address_due_, lost_due_, dhcp_.next_deadline()});
}

void WpaRadio::on_ready(RadioListener& listener) {
  if (global_.is_open() && !global_.on_ready()) child_lost("wpa_supplicant ended.");
  if (station_.is_open() && !station_.on_ready()) station_gone("wpa_supplicant ended.");
  if (ap_control_.is_open() && !ap_control_.on_ready()) child_lost("wpa_supplicant ended.");
  constexpr int messages_max = 64;
  std::vector<std::uint8_t> message;
  for (int i = 0; i < messages_max && dhcp_fd_ >= 0 && system_.receive_dhcp_client(dhcp_fd_, message); ++i) {
    dhcp_.on_message({message.data(), message.size()}, clock_.now());
    follow_dhcp();
  }
  ap_addresses_.serve(clock_.now());
  watch();
  news_.tell(listener, clock_, seen_);
}

void WpaRadio::on_timer(RadioListener& listener) {
  const Millis now = clock_.now();
  if (supplicant_due_ <= now && supplicant_ == Supplicant::starting) try_global();
  if (alive_due_ <= now) ask_alive();
  if (!global_.on_timer() || !ap_control_.on_timer()) child_lost("wpa_supplicant does not answer.");
  if (!station_.on_timer()) station_gone("wpa_supplicant does not answer.");
  if (return_due_ <= now) await_theirs();
  if (ap_due_ <= now) {
    ap_due_ = never;
    if (ap_ == Ap::moving) {
      // It could not take its guests along: down, and up again on the new channel.
      ap_frequency_ = target_network_.frequency_mhz;
      ap_due_ = now + move_timeout_ms;
      configure_ap();
    } else if (ap_ == Ap::enabling && !ap_untold_ && join_ != Join::moving_ap) {
      ap_due_ = now + open_timeout_ms;
      configure_ap();
    } else if (ap_ != Ap::off && ap_ != Ap::on) {
      fail_ap("The access point does not come up.");
    }
  }
  if (scan_due_ <= now) {
    scan_due_ = never;
    if (!scan_running_ && station_ready_ && (scan_asked_ || join_ == Join::looking)) request_scan();
  }
  if (scan_until_ <= now) {
    scan_until_ = never;
    scan_running_ = false;
    if (scan_asked_) tell_scanned();
    if (join_ == Join::looking) fail_join(JoinFailure::timeout, "The radio does not look around.");
  }
  if (join_due_ <= now)
    fail_join(JoinFailure::timeout, join_ == Join::wanted ? "wpa_supplicant is not ready." : "The network does not answer.");
  if (address_due_ <= now) fail_join(JoinFailure::no_address, "The network gives no address.");
  if (lost_due_ <= now) {
    problem_ = "The network is gone.";
    drop_station();
    news_.push(RadioNews::Kind::lost);
  }
  if (dhcp_.next_deadline() <= now) {
    dhcp_.on_timer(now);
    follow_dhcp();
  }
  watch();
  news_.tell(listener, clock_, seen_);
}

}  // namespace muster::agent::linux_port
