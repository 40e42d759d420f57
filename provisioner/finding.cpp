// SPDX-License-Identifier: Apache-2.0
// The provisioner's first part: until the device at hand is known to be the right one.
#include <algorithm>
#include <utility>

#include "provisioner/known_device.hpp"
#include "provisioner/provisioner.hpp"

namespace muster::provisioner {

using agent::never;
using F = ActivationFailure;

namespace {

constexpr std::size_t named_max = 5;  ///< So many devices are named when none of them is the one.

}  // namespace

// ---- finding it ------------------------------------------------------------------------------------------------------------------------

void Provisioner::start(Millis now) {
  if (phase_ != Phase::idle) return;
  if (options_.reconfigure != 0) {
    phase_ = Phase::opening;
    phase_due_ = now + options_.times.cloud_ms;
    begin(StepKind::open_device, now);
    cloud_busy_ = true;
    cloud_.ask_reconfigure(options_.reconfigure);
    return;
  }
  if (radio_ != nullptr && !radio_->keeps_internet()) {
    ask_token(now);  // There is no cloud any more once the device is joined.
    return;
  }
  find(now);
}

void Provisioner::on_reconfigure(const KnownDevice& known, Millis now) {
  if (phase_ != Phase::opening) return;
  cloud_busy_ = false;
  known_ = known;
  done(StepKind::open_device, now,
       known.offline ? "The device is offline: hold its button until its light shows set-up mode." : std::string{});
  if (radio_ != nullptr && !radio_->keeps_internet()) {
    ask_token(now);
  } else {
    find(now);
  }
}

void Provisioner::find(Millis now) {
  if (options_.direct) {
    read_info(now);
    return;
  }
  phase_ = Phase::finding;
  phase_due_ = find_until_ = now + options_.times.find_ms;
  any_name_from_ = now + options_.times.named_first_ms;
  begin(StepKind::find_device, now);
  scanning_ = true;
  radio_->scan();
}

bool Provisioner::matches(const std::string& ssid) const {
  if (!options_.device_name.empty()) return ssid == options_.device_name;
  if (options_.prefix.empty()) return true;
  if (!ssid.starts_with(options_.prefix)) return false;
  return ssid.size() == options_.prefix.size() || ssid[options_.prefix.size()] == ' ' || ssid[options_.prefix.size()] == '-';
}

void Provisioner::on_scanned(const std::vector<AccessPoint>& found, Millis now) {
  if (!scanning_) return;
  scanning_ = false;
  if (phase_ == Phase::following && link_ == Link::looking) {
    const bool back = std::any_of(found.begin(), found.end(), [&](const AccessPoint& ap) { return ap.ssid == access_point_.ssid; });
    if (back) {
      link_ = Link::rejoining;
      radio_->join_open(access_point_.ssid, 0);
    } else {
      link_ = Link::gone;
      look_due_ = now + options_.times.look_again_ms;
    }
    return;
  }
  if (phase_ != Phase::finding) return;
  networks_.clear();
  for (const auto& ap : found) {
    if (!options_.ssid.empty() && ap.ssid == options_.ssid)
      networks_.push_back({ap.ssid, ap.open ? "OPEN" : "unknown", ap.rssi_dbm, ap.channel});
  }
  std::vector<AccessPoint> devices;
  for (const auto& ap : found) {
    const bool known = std::any_of(devices.begin(), devices.end(), [&](const AccessPoint& other) { return other.ssid == ap.ssid; });
    if (ap.open && !known && (matches(ap.ssid) || (options_.device_name.empty() && bears_name_of(known_, ap.ssid)))) devices.push_back(ap);
  }
  take_candidates(options_.reconfigure == 0 ? std::move(devices) : wanted_of(std::move(devices), now), now);
}

void Provisioner::take_candidates(std::vector<AccessPoint> devices, Millis now) {
  const bool nothing_known = known_.uid.empty() && known_.hotspot_name.empty();
  const bool is_a_guess = options_.reconfigure != 0 && nothing_known && !picked_;
  if (devices.empty()) {
    again_due_ = now + options_.times.scan_again_ms;
  } else if (devices.size() == 1 && !is_a_guess) {
    on_trial_ = options_.reconfigure != 0 && !picked_ && !bears_name_of(known_, devices.front().ssid);
    done(StepKind::find_device, now, devices.front().ssid);
    join(devices.front(), now);
  } else {
    phase_ = Phase::picking_device;
    phase_due_ = never;
    front_.on_choose_device(devices, now);
  }
}

/// Of the devices in reach those that may be the one to be reconfigured. Where the cloud knows its name, that one comes first; others are
/// joined one after the other when their UID can tell.
std::vector<AccessPoint> Provisioner::wanted_of(std::vector<AccessPoint> devices, Millis now) {
  if (!options_.device_name.empty()) {
    picked_ = true;
    return devices;
  }
  std::erase_if(devices, [&](const AccessPoint& ap) { return std::find(others_.begin(), others_.end(), ap.ssid) != others_.end(); });
  const auto named = std::find_if(devices.begin(), devices.end(), [&](const AccessPoint& ap) { return bears_name_of(known_, ap.ssid); });
  if (named != devices.end()) return {*named};
  if (now < any_name_from_) return {};
  if (!known_.uid.empty()) {
    if (devices.size() > 1) devices.resize(1);
  } else if (!known_.hotspot_name.empty()) {
    for (const auto& ap : devices) others_.push_back(ap.ssid);
    devices.clear();
  }
  return devices;
}

void Provisioner::find_no_device(Millis now) {
  std::string why = doubt_;
  if (why.empty() && !others_.empty()) {
    why = "Seen, but not device " + std::to_string(options_.reconfigure);
    if (!known_.hotspot_name.empty()) why += " (" + known_.hotspot_name + ")";
    why += ": ";
    for (std::size_t i = 0; i < others_.size() && i < named_max; ++i) why += (i == 0 ? "" : ", ") + others_[i];
    why += others_.size() > named_max ? ", ..." : ".";
  }
  fail(StepKind::find_device, F::device_not_found, now, why);
}

/// The device at hand is not the one to be reconfigured: its network is left, and the search goes on.
void Provisioner::look_on(const std::string& why, Millis now) {
  done(step_, now, why.empty() ? "It does not answer: the search goes on." : why);
  others_.push_back(access_point_.ssid);
  device_.cancel();
  device_busy_ = on_trial_ = false;
  answer_due_ = never;
  radio_->leave();
  link_ = Link::none;
  phase_ = Phase::finding;
  phase_due_ = std::max(find_until_, now);
  again_due_ = now;
  begin(StepKind::find_device, now);
}

void Provisioner::choose_device(const std::string& ssid, Millis now) {
  if (phase_ != Phase::picking_device) return;
  picked_ = true;
  done(StepKind::find_device, now, ssid);
  join({ssid, 0, 0, true}, now);
}

void Provisioner::join(const AccessPoint& device, Millis now) {
  access_point_ = device;
  phase_ = Phase::joining;
  phase_due_ = now + options_.times.join_ms;
  begin(StepKind::join_device, now);
  radio_->join_open(device.ssid, device.channel);
}

void Provisioner::on_host_joined(Millis now) {
  if (phase_ == Phase::joining) {
    link_ = Link::up;
    done(StepKind::join_device, now);
    read_info(now);
  } else if (phase_ == Phase::following && link_ == Link::rejoining) {
    link_ = Link::up;
    device_due_ = now;
    on_timer(now);
  }
}

void Provisioner::on_host_join_failed(HostJoinFailure failure, Millis now) {
  if (phase_ == Phase::joining) {
    const char* const why = failure == HostJoinFailure::not_found    ? "The device is not there any more."
                            : failure == HostJoinFailure::no_address ? "The device's own network gave no address."
                                                                     : "The device could not be joined.";
    fail(StepKind::join_device, F::device_unreachable, now, why);
  } else if (phase_ == Phase::following && link_ == Link::rejoining) {
    link_ = Link::gone;
    look_due_ = now + options_.times.look_again_ms;
  }
}

void Provisioner::on_host_lost(Millis now) {
  if (link_ != Link::up) return;
  link_lost(now);
}

void Provisioner::link_lost(Millis now) {
  link_ = Link::gone;
  device_.cancel();
  device_busy_ = false;
  answer_due_ = device_due_ = never;
  switch (phase_) {
    case Phase::following:
      post("ap_lost", now);
      look_due_ = now + options_.times.look_again_ms;
      if (!radio_->keeps_internet()) radio_->restore();  // The way to the cloud again.
      break;
    case Phase::sending:
      post("ap_lost", now);
      follow(now);  // It may have taken them: the first generation ends its network right after its answer.
      look_due_ = now + options_.times.look_again_ms;
      break;
    case Phase::farewell: wrap_up(now); break;
    case Phase::reading_info:
    case Phase::checking:
    case Phase::listing:
    case Phase::choosing:
    case Phase::asking_password:
    case Phase::asking_token:
    case Phase::resetting: fail(step_, F::device_unreachable, now, "The device ended the connection before it had the settings."); break;
    default: break;
  }
}

void Provisioner::on_radio_unusable(const std::string& why, Millis now) {
  if (phase_ == Phase::following || phase_ == Phase::farewell) return;  // The device has its settings: the cloud tells how it goes on.
  fail(step_, F::radio_unusable, now, why);
}

// ---- what it is ------------------------------------------------------------------------------------------------------------------------

void Provisioner::read_info(Millis now) {
  phase_ = Phase::reading_info;
  phase_due_ = now + options_.times.info_ms;
  tries_ = 0;
  begin(StepKind::device_info, now);
  ask_info(now);
}

/// Whether it is the device to be reconfigured. If not, that has been dealt with.
bool Provisioner::is_wanted(const DeviceInfo& info, Millis now) {
  if (options_.reconfigure == 0) return true;
  const std::string wanted = "device " + std::to_string(options_.reconfigure);
  const std::string known_as = known_.hotspot_name.empty() ? std::string{} : ", which is \"" + known_.hotspot_name + "\"";
  const auto take = [&](const std::string& doubt) {
    front_.on_warning("device_not_certain", doubt, now);
    return true;
  };
  const bool pointed_at = picked_ || options_.direct;
  std::string why = "\"" + info.name + "\" is not " + wanted + known_as + ".";
  switch (compare(known_, info)) {
    case Likeness::same: return true;
    case Likeness::nothing_to_compare:
      if (pointed_at) return take("The cloud does not know what " + wanted + " calls itself, so nobody can tell whether this is the one.");
      break;
    case Likeness::other_uid:
      why = "\"" + info.name + "\" has the name of " + wanted + " but another UID.";
      if (pointed_at) return take(why + " That is right when its memory was erased.");
      doubt_ = why + " If its memory was erased, say that it is the one: --device-name \"" + info.name + "\".";
      break;
    case Likeness::other_name:
      if (!options_.device_name.empty()) return take("The cloud knows " + wanted + " by another name: \"" + known_.hotspot_name + "\".");
      break;
    case Likeness::other: break;
  }
  if (pointed_at) {
    fail(StepKind::device_info, F::device_not_found, now, why);
  } else {
    look_on(why, now);
  }
  return false;
}

void Provisioner::take_info(const DeviceInfo& info, Millis now) {
  if (!is_wanted(info, now)) return;
  on_trial_ = false;
  phase_due_ = never;
  info_ = info;
  stale_error_ = info_.last_error;
  std::string said = info_.template_id;
  if (!info_.firmware_version.empty()) said += ", firmware " + info_.firmware_version;
  if (info_.last_error != 0) said += ", its last try failed with " + std::to_string(info_.last_error);
  if (info_.busy) {
    // Before a token is asked for: that would end the set-up under way, when it is by the same user.
    fail(StepKind::device_info, F::device_busy, now);
    return;
  }
  done(StepKind::device_info, now, std::move(said));
  post("board_info", now, 0, info_.template_id);
  begin(StepKind::check_template, now);
  if (!options_.template_id.empty() && options_.template_id != info_.template_id) {
    fail(StepKind::check_template, F::template_differs, now,
         "The device found is of template " + info_.template_id + ", not of " + options_.template_id + ".");
    return;
  }
  if (has_token_) {  // The cloud is out of reach now; it checks the template itself when the device logs in.
    done(StepKind::check_template, now, "left to the cloud");
    list(now);
    return;
  }
  phase_ = Phase::checking;
  phase_due_ = now + options_.times.cloud_ms;
  cloud_busy_ = true;
  cloud_.ask_template(info_.template_id);
}

void Provisioner::on_template(bool usable, Millis now) {
  if (phase_ != Phase::checking) return;
  cloud_busy_ = false;
  if (!usable) {
    fail(StepKind::check_template, F::template_not_in_account, now, "Template " + info_.template_id + " is not among this account's.");
    return;
  }
  done(StepKind::check_template, now);
  list(now);
}

}  // namespace muster::provisioner
