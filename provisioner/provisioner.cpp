// SPDX-License-Identifier: Apache-2.0
#include "provisioner/provisioner.hpp"

#include <algorithm>
#include <utility>

#include "provisioner/http_dialect.hpp"

namespace muster::provisioner {

namespace {

using agent::never;
using F = ActivationFailure;

constexpr unsigned tries_max = 4;  ///< Of one request to the device.
constexpr std::size_t step_message_max_bytes = 200;
constexpr std::size_t old_host_max_bytes = 33;  ///< What the first generation keeps of a host name.

/// Which stage of the device's work a code belongs to.
StepKind step_of(std::uint16_t code) {
  switch (static_cast<F>(code)) {
    case F::settings_invalid: return StepKind::send_settings;
    case F::network_timeout:
    case F::network_other:
    case F::network_not_found:
    case F::no_cable:
    case F::wrong_password:
    case F::no_address:
    case F::sim_missing:
    case F::sim_locked:
    case F::sim_wrong_pin: return StepKind::join_network;
    default: return StepKind::reach_cloud;
  }
}

bool is_active(std::string_view state) { return state == "ACTIVE" || state == "DONE" || state == "PROVING"; }

/// What a session ended with, when it names no failure itself.
F failure_of_state(std::string_view state) {
  if (state == "CANCELED") return F::canceled;
  if (state == "EXPIRED") return F::expired;
  if (state == "SUPERSEDED") return F::superseded;
  return state == "FAILED" ? F::cloud_other : F::none;
}

}  // namespace

std::string_view to_text(StepKind step) noexcept {
  switch (step) {
    case StepKind::open_device: return "open_device";
    case StepKind::find_device: return "find_device";
    case StepKind::join_device: return "join_device";
    case StepKind::device_info: return "device_info";
    case StepKind::check_template: return "check_template";
    case StepKind::list_networks: return "list_networks";
    case StepKind::choose_network: return "choose_network";
    case StepKind::get_token: return "get_token";
    case StepKind::send_settings: return "send_settings";
    case StepKind::join_network: return "join_network";
    case StepKind::reach_cloud: return "reach_cloud";
    case StepKind::restore_wifi: return "restore_wifi";
  }
  return "unknown";
}

bool is_possible_password(std::string_view password) noexcept {
  if (password.size() == 64) return password.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  return password.size() >= 8 && password.size() <= 63;
}

Provisioner::Provisioner(HostRadio* radio, DeviceDialect& device, CloudApi& cloud, Front& front, Options options)
    : radio_{radio}, device_{device}, cloud_{cloud}, front_{front}, options_{std::move(options)} {}

Provisioner::Provisioner(HostRadio* radio, DeviceHttp& device, CloudApi& cloud, Front& front, Options options)
    : radio_{radio},
      http_{std::make_unique<HttpDialect>(device, *this)},
      device_{*http_},
      cloud_{cloud},
      front_{front},
      options_{std::move(options)} {}

Provisioner::~Provisioner() = default;

// ---- reports ---------------------------------------------------------------------------------------------------------------------------

void Provisioner::begin(StepKind step, Millis now) {
  step_ = step;
  front_.on_report({step, StepState::begun, 0, {}}, now);
}

void Provisioner::done(StepKind step, Millis now, std::string message) {
  front_.on_report({step, StepState::done, 0, std::move(message)}, now);
}

void Provisioner::fail(StepKind step, F code, Millis now, std::string message) {
  fail_code(step, static_cast<std::uint16_t>(code), now, std::move(message));
}

void Provisioner::fail_code(StepKind step, std::uint16_t code, Millis now, std::string message) {
  if (phase_ == Phase::restoring || phase_ == Phase::finished || succeeded_) return;
  failure_ = {step, StepState::failed, code, std::move(message)};
  front_.on_report(failure_, now);
  if (has_token_) {
    post(to_text(step), now, code, failure_.message);
    cloud_.cancel_session(token_.session_id);
  }
  wrap_up(now);
}

void Provisioner::wrap_up(Millis now) {
  device_.cancel();
  device_busy_ = false;
  answer_due_ = again_due_ = device_due_ = cloud_due_ = look_due_ = never;
  password_.assign(password_.size(), '\0');
  if (radio_ == nullptr) {
    phase_ = Phase::finished;
    phase_due_ = never;
    return;
  }
  phase_ = Phase::restoring;
  phase_due_ = now + options_.times.restore_ms;
  radio_->leave();
  radio_->restore();
}

void Provisioner::on_restored(Millis) {
  if (phase_ == Phase::restoring) {
    phase_ = Phase::finished;
    phase_due_ = never;
  }
}

void Provisioner::post(std::string_view step, Millis, std::uint16_t code, std::string_view message) {
  if (has_token_) cloud_.post_step(token_.session_id, step, code, cut_text(message, step_message_max_bytes));
}

void Provisioner::expect_answer(Millis now, Millis patience) {
  device_busy_ = true;
  answer_due_ = now + patience;
}

bool Provisioner::answered() {
  answer_due_ = never;
  return std::exchange(device_busy_, false);
}

void Provisioner::ask_info(Millis now) {
  expect_answer(now, options_.times.answer_ms);
  device_.ask_info();
}

void Provisioner::ask_networks(Millis now) {
  expect_answer(now, options_.times.list_ms);
  device_.ask_networks();
}

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

void Provisioner::on_reconfigure(bool device_is_offline, Millis now) {
  if (phase_ != Phase::opening) return;
  cloud_busy_ = false;
  done(StepKind::open_device, now,
       device_is_offline ? "The device is offline: hold its button until its light shows set-up mode." : std::string{});
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
  phase_due_ = now + options_.times.find_ms;
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
    if (ap.open && !known && matches(ap.ssid)) devices.push_back(ap);
  }
  if (devices.empty()) {
    again_due_ = now + options_.times.scan_again_ms;
  } else if (devices.size() == 1) {
    done(StepKind::find_device, now, devices.front().ssid);
    join(devices.front(), now);
  } else {
    phase_ = Phase::picking_device;
    phase_due_ = never;
    front_.on_choose_device(devices, now);
  }
}

void Provisioner::choose_device(const std::string& ssid, Millis now) {
  if (phase_ != Phase::picking_device) return;
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
  phase_due_ = never;
  tries_ = 0;
  begin(StepKind::device_info, now);
  ask_info(now);
}

void Provisioner::take_info(const DeviceInfo& info, Millis now) {
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
    fail(StepKind::check_template, F::template_not_in_account, now,
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

// ---- the network -----------------------------------------------------------------------------------------------------------------------

void Provisioner::list(Millis now) {
  // The name is known and this kind of device joins by itself what it sees: the list would only cost time, unless it takes the list to know
  // whether the network has a password.
  const bool list_is_of_use = networks_.empty() && !options_.password_given;
  if (!options_.ssid.empty() && info_.dialect == Dialect::muster && !list_is_of_use) {
    choose_network(options_.ssid, now);
    return;
  }
  phase_ = Phase::listing;
  phase_due_ = now + 3 * options_.times.list_ms;
  tries_ = 0;
  begin(StepKind::list_networks, now);
  ask_networks(now);
}

void Provisioner::take_networks(std::vector<SeenNetwork> found, bool readable, Millis now) {
  if (!found.empty()) networks_ = std::move(found);
  ++tries_;
  const bool wanted_missing = !options_.ssid.empty() && std::none_of(networks_.begin(), networks_.end(), [&](const SeenNetwork& network) {
    return network.ssid == options_.ssid;
  });
  // An empty list is asked for once more. The second generation answers the second time with the old list and scans behind it: so a
  // list without the wanted name is asked for twice more, the last time after its scan.
  if (networks_.empty() && tries_ < 3) {
    again_due_ = now + (tries_ == 1 ? options_.times.retry_ms : options_.times.refresh_ms);
    return;
  }
  if (info_.dialect == Dialect::g2 && wanted_missing && tries_ < 3) {
    again_due_ = now + (tries_ == 1 ? Millis{0} : options_.times.refresh_ms);
    return;
  }
  done(StepKind::list_networks, now, readable ? std::to_string(networks_.size()) + " networks" : "The device's list is not readable.");
  ask_network(now);
}

void Provisioner::ask_network(Millis now) {
  if (!options_.ssid.empty()) {
    choose_network(options_.ssid, now);
    return;
  }
  phase_ = Phase::choosing;
  phase_due_ = never;
  begin(StepKind::choose_network, now);
  front_.on_choose_network(networks_, now);
}

void Provisioner::choose_network(const std::string& ssid, Millis now) {
  if (phase_ != Phase::choosing && options_.ssid.empty()) return;
  if (phase_ != Phase::choosing) begin(StepKind::choose_network, now);
  phase_ = Phase::asking_password;
  phase_due_ = never;
  const std::size_t size_max = info_.dialect == Dialect::g2 || info_.dialect == Dialect::ble ? 31 : 32;
  if (ssid.empty() || ssid.size() > size_max) {
    fail(StepKind::choose_network, F::ssid_too_long, now, ssid.empty() ? "A network's name cannot be empty." : std::string{});
    return;
  }
  ssid_ = ssid;
  // One that is protected beside an open one of the same name is the one that is meant.
  bool is_seen = false, is_open = true;
  for (const auto& network : networks_) {
    if (network.ssid != ssid) continue;
    is_seen = true;
    is_open = is_open && network.open();
  }
  network_is_open_ = is_seen && is_open && !(options_.password_given && !options_.ssid.empty());
  if (network_is_open_) {
    give_password({}, now);
    return;
  }
  front_.on_ask_password(ssid, now);
}

void Provisioner::give_password(const std::string& password, Millis now) {
  if (phase_ != Phase::asking_password) return;
  // Empty: an open network; the device's list may not have shown it.
  const bool known_protected =
      std::any_of(networks_.begin(), networks_.end(), [&](const SeenNetwork& n) { return n.ssid == ssid_ && !n.open(); });
  const bool fits = password.empty() ? !known_protected : is_possible_password(password);
  if (!fits || (info_.dialect == Dialect::g1 && password.size() > 63)) {
    fail(StepKind::choose_network, F::password_unsuitable, now);
    return;
  }
  password_ = password;
  ++passwords_;
  done(StepKind::choose_network, now, ssid_);
  if (has_token_) {
    prepare(now);
  } else {
    ask_token(now);
  }
}

// ---- the token, and off it goes ----------------------------------------------------------------------------------------------------------

void Provisioner::ask_token(Millis now) {
  phase_ = info_.template_id.empty() ? Phase::early_token : Phase::asking_token;
  phase_due_ = now + options_.times.cloud_ms;
  begin(StepKind::get_token, now);
  cloud_busy_ = true;
  TokenRequest request;
  request.template_id = info_.template_id.empty() ? options_.template_id : info_.template_id;
  if (info_.uid != "none") request.uid = info_.uid.substr(0, 60);
  request.device_id = options_.reconfigure;
  cloud_.ask_token(request);
}

void Provisioner::on_token(const ProvisionToken& token, Millis now) {
  if (phase_ != Phase::asking_token && phase_ != Phase::early_token) {
    if (!has_token_) cloud_.cancel_session(token.session_id);  // Nobody waits for it any more.
    return;
  }
  cloud_busy_ = false;
  heard_cloud_ = true;
  token_ = token;
  has_token_ = true;
  if (token.token.size() != 32 || token.host.empty() || (token.port == 0 && token.port_plain == 0)) {
    fail(StepKind::get_token, F::host_unusable, now, "The cloud gave no usable token, host or port.");
    return;
  }
  done(StepKind::get_token, now, token.host);
  if (phase_ == Phase::early_token) {
    find(now);
    return;
  }
  post("board_info", now, 0, info_.template_id);
  prepare(now);
}

void Provisioner::warn_of_token(Millis now) {
  const bool stock = info_.dialect != Dialect::muster;
  for (const std::string& warning : token_.warnings) {
    if (warning == "host_is_loopback") {
      front_.on_warning(warning, "The cloud's host is this machine's own address: only devices on this machine reach it.", now);
    } else if (warning == "host_too_long") {
      if (stock) front_.on_warning(warning, "The cloud's host name has more characters than older devices keep (33).", now);
    } else if (warning != "port_not_dialed") {
      front_.on_warning(warning, "The cloud says: " + warning, now);
    }
  }
  const bool fixed_ports = info_.dialect == Dialect::g2 || info_.dialect == Dialect::ble;
  if (fixed_ports && token_.port != 443 && token_.port != 9443 && token_.port_plain != 80 && token_.port_plain != 8080) {
    front_.on_warning(
        "port_not_dialed",
        "The cloud listens on no port that this kind of device dials (443 and 9443, or 80 and 8080 without TLS): it will not get through "
        "unless a router passes one of them on.",
        now);
  }
}

void Provisioner::prepare(Millis now) {
  warn_of_token(now);
  if (info_.dialect == Dialect::g1 && token_.host.size() > old_host_max_bytes) {
    fail(StepKind::send_settings, F::host_unusable, now);
    return;
  }
  begin(StepKind::send_settings, now);
  // After a failure at the cloud a device of the second generation stays on the network it had and does not try another: forget it first.
  if (info_.dialect == Dialect::g2 && info_.last_error != 0 && step_of(info_.last_error) == StepKind::reach_cloud) {
    phase_ = Phase::resetting;
    phase_due_ = never;
    expect_answer(now, options_.times.answer_ms);
    device_.forget_networks();
    return;
  }
  send(now);
}

void Provisioner::send(Millis now) {
  phase_ = Phase::sending;
  phase_due_ = never;
  tries_ = 0;
  DeviceSettings settings{ssid_, password_, token_.token, token_.host, token_.port != 0 ? token_.port : token_.port_plain};
  post("sent", now);
  expect_answer(now, options_.times.answer_ms);
  device_.send_settings(settings);
  settings.password.assign(settings.password.size(), '\0');
}

void Provisioner::follow(Millis now) {
  done(StepKind::send_settings, now);
  phase_ = Phase::following;
  sent_at_ = now;
  saw_no_error_ = stale_error_ == 0;
  phase_due_ = now + options_.times.silence_ms;
  stored_ = false;
  furthest_ = DeviceProgress::joining;
  mend_due_ = never;
  device_due_ = !info_.live && (link_ == Link::up || options_.direct) ? now + options_.times.device_poll_ms : never;
  cloud_due_ = now;
  begin(info_.live ? StepKind::join_network : StepKind::reach_cloud, now);
}

// ---- watching it -------------------------------------------------------------------------------------------------------------------------

void Provisioner::take_last_error(const DeviceInfo& info, Millis now) {
  if (info.last_error == 0) {
    // Back, open, and nothing to say: it was restarted, or it wants to be asked anew. The cloud may know more.
    saw_no_error_ = true;
    return;
  }
  // A device of ours forgets the former error when it takes settings; of others the same code may still be the former one.
  const bool fresh = saw_no_error_ || info.last_error != stale_error_ || info_.dialect == Dialect::muster ||
                     now - sent_at_ >= options_.times.stale_error_ms;
  if (fresh) take_failure(info.last_error, {}, now);
}

void Provisioner::take_failure(std::uint16_t code, const std::string& message, Millis now) {
  if (code == static_cast<std::uint16_t>(F::wrong_password) && passwords_ < options_.passwords_max) {
    ask_password_again(now);
  } else {
    fail_code(step_of(code), code, now, message);
  }
}

/// The device has stayed open and takes another try with the same token.
void Provisioner::ask_password_again(Millis now) {
  constexpr auto code = static_cast<std::uint16_t>(F::wrong_password);
  front_.on_report({StepKind::join_network, StepState::failed, code, {}}, now);
  post(to_text(StepKind::join_network), now, code);
  device_due_ = cloud_due_ = look_due_ = phase_due_ = never;
  stale_error_ = code;
  phase_ = Phase::asking_password;
  begin(StepKind::choose_network, now);
  front_.on_ask_password(ssid_, now);
}

void Provisioner::on_session(const SessionView& session, Millis now) {
  cloud_busy_ = false;
  heard_cloud_ = true;
  if (phase_ != Phase::following) return;
  if (is_active(session.state)) {
    become_active(now);
    return;
  }
  const auto ended = failure_of_state(session.state);
  const bool cloud_refused = session.failure >= 800 && session.failure < 900;  // Reconfiguring, a session outlives what it refused.
  // The connection may have broken before the device could say what it is: it dials again, and its token still counts.
  const bool may_mend = ended == F::none && session.failure == static_cast<std::uint16_t>(F::info_missing);
  if (may_mend && mend_due_ == never) mend_due_ = now + options_.times.second_login_ms;
  if (ended != F::none || (cloud_refused && (!may_mend || now >= mend_due_))) {
    const std::uint16_t code = session.failure != 0 ? session.failure : static_cast<std::uint16_t>(ended);
    fail_code(step_of(code), code, now, session.failure_message);
    return;
  }
  cloud_due_ = now + options_.times.cloud_poll_ms;
}

void Provisioner::become_active(Millis now) {
  succeeded_ = true;
  if (step_ == StepKind::join_network) done(StepKind::join_network, now);
  done(StepKind::reach_cloud, now);
  post("done", now);
  cloud_due_ = look_due_ = again_due_ = never;
  // The device keeps its own network until somebody has read the result.
  if ((link_ == Link::up || options_.direct) && info_.dialect == Dialect::muster) {
    phase_ = Phase::farewell;
    phase_due_ = now + options_.times.farewell_ms;
    device_due_ = now + options_.times.settle_ms;
    return;
  }
  // The link to a device that tells all by itself stays until it has stored its settings.
  if (link_ == Link::up && info_.live && !stored_) {
    phase_ = Phase::farewell;
    phase_due_ = now + options_.times.stored_ms;
    device_due_ = never;
    return;
  }
  wrap_up(now);
}

void Provisioner::on_device_answer(int status, const std::string& body, Millis now) {
  if (http_) http_->on_answer(status, body, now);
}

void Provisioner::on_device_info(const DeviceInfo& info, Millis now) {
  if (!answered()) return;
  switch (phase_) {
    case Phase::reading_info: take_info(info, now); break;
    case Phase::following:
      if (!info.live) device_due_ = now + options_.times.device_poll_ms;
      take_last_error(info, now);
      break;
    case Phase::farewell:
      if (device_due_ == never) wrap_up(now);  // Else it was an answer from before.
      break;
    default: break;
  }
}

void Provisioner::on_device_unreadable(const std::string& why, Millis now) {
  if (!answered()) return;
  switch (phase_) {
    case Phase::reading_info: fail(StepKind::device_info, F::device_answer_bad, now, why); break;
    case Phase::following: device_due_ = now + options_.times.device_poll_ms; break;
    case Phase::farewell:
      if (device_due_ == never) wrap_up(now);
      break;
    default: break;
  }
}

void Provisioner::on_device_networks(std::vector<SeenNetwork> networks, bool readable, Millis now) {
  if (answered() && phase_ == Phase::listing) take_networks(std::move(networks), readable, now);
}

void Provisioner::on_device_forgot(Millis now) {
  if (answered() && phase_ == Phase::resetting) send(now);
}

void Provisioner::on_settings_answer(bool taken, const std::string& message, Millis now) {
  if (!answered() || phase_ != Phase::sending) return;
  if (taken) {
    follow(now);
  } else {
    // Stock devices know no such answer; ours begins it so.
    const bool busy = message.starts_with("Busy") || message.starts_with("busy");
    fail(StepKind::send_settings, busy ? F::device_busy : F::settings_invalid, now, message);
  }
}

void Provisioner::on_device_progress(DeviceProgress progress, const std::string& detail, Millis now) {
  if (phase_ == Phase::farewell && progress == DeviceProgress::stored) {
    wrap_up(now);
    return;
  }
  if (phase_ != Phase::following) return;
  if (progress > furthest_) {  // Who only repeats himself has said nothing.
    furthest_ = progress;
    phase_due_ = now + options_.times.silence_ms;
  }
  if (progress != DeviceProgress::joining && step_ == StepKind::join_network) {
    done(StepKind::join_network, now, detail);
    post("device_joined", now, 0, detail);
    begin(StepKind::reach_cloud, now);
  }
  if (progress == DeviceProgress::stored) stored_ = true;
}

void Provisioner::on_device_failed(std::uint16_t code, const std::string& message, Millis now) {
  if (phase_ == Phase::following) take_failure(code, message, now);
}

void Provisioner::on_device_no_answer(Millis now) {
  if (!answered()) return;
  switch (phase_) {
    case Phase::reading_info:
    case Phase::sending:
      if (++tries_ < tries_max) {
        again_due_ = now + options_.times.retry_ms;
      } else if (phase_ == Phase::sending) {
        fail(StepKind::send_settings, F::device_unreachable, now);
      } else {
        fail(StepKind::device_info, F::device_unreachable, now);
      }
      break;
    case Phase::listing: take_networks({}, false, now); break;
    case Phase::resetting: send(now); break;
    case Phase::following: device_due_ = now + options_.times.device_poll_ms; break;
    case Phase::farewell: wrap_up(now); break;
    default: break;
  }
}

void Provisioner::on_cloud_trouble(const CloudTrouble& trouble, Millis now) {
  cloud_busy_ = false;
  last_cloud_message_ = trouble.message;
  const auto code = trouble.unreachable ? F::cloud_unreachable : F::sign_in_refused;
  switch (phase_) {
    case Phase::opening: fail(StepKind::open_device, code, now, trouble.message); break;
    case Phase::checking:
      fail(StepKind::check_template, trouble.not_found ? F::template_not_in_account : code, now, trouble.message);
      break;
    case Phase::early_token:
    case Phase::asking_token:
      fail(StepKind::get_token, trouble.not_found && options_.reconfigure == 0 ? F::template_not_in_account : code, now, trouble.message);
      break;
    case Phase::following: cloud_due_ = now + 4 * options_.times.cloud_poll_ms; break;  // The device goes on; the cloud may come back.
    default: break;
  }
}

// ---- time --------------------------------------------------------------------------------------------------------------------------------

void Provisioner::stop(Millis now) {
  if (phase_ == Phase::idle) {
    phase_ = Phase::finished;
    failure_ = {StepKind::find_device, StepState::failed, static_cast<std::uint16_t>(F::stopped_by_user), {}};
    return;
  }
  if (phase_ == Phase::farewell) {
    wrap_up(now);
    return;
  }
  fail(step_, F::stopped_by_user, now);
}

Millis Provisioner::next_deadline() const noexcept {
  return std::min({phase_due_, again_due_, answer_due_, device_due_, cloud_due_, look_due_});
}

void Provisioner::on_timer(Millis now) {
  if (answer_due_ <= now) {
    answer_due_ = never;
    device_.cancel();
    on_device_no_answer(now);
  }
  if (again_due_ <= now) {
    again_due_ = never;
    switch (phase_) {
      case Phase::finding:
        scanning_ = true;
        radio_->scan();
        break;
      case Phase::reading_info: ask_info(now); break;
      case Phase::listing: ask_networks(now); break;
      case Phase::sending: {
        const auto tries = tries_;
        send(now);
        tries_ = tries;
        break;
      }
      default: break;
    }
  }
  if (device_due_ <= now) {
    device_due_ = never;
    if ((phase_ == Phase::following || phase_ == Phase::farewell) && !device_busy_) ask_info(now);
  }
  if (cloud_due_ <= now) {
    cloud_due_ = never;
    if (phase_ == Phase::following && !cloud_busy_) {
      cloud_busy_ = true;
      cloud_.ask_session(token_.session_id);
    }
  }
  if (look_due_ <= now) {
    look_due_ = never;
    if (phase_ == Phase::following && link_ == Link::gone && radio_->keeps_internet()) {
      link_ = Link::looking;
      scanning_ = true;
      radio_->scan();
    }
  }
  if (phase_due_ <= now) {
    phase_due_ = never;
    switch (phase_) {
      case Phase::finding: fail(StepKind::find_device, F::device_not_found, now); break;
      case Phase::joining: fail(StepKind::join_device, F::device_unreachable, now); break;
      case Phase::listing: ask_network(now); break;
      case Phase::opening:
      case Phase::checking:
      case Phase::early_token:
      case Phase::asking_token: fail(step_, F::cloud_unreachable, now); break;
      case Phase::following: fail(StepKind::reach_cloud, F::device_silent, now, last_cloud_message_); break;
      case Phase::farewell: wrap_up(now); break;
      case Phase::restoring:
        front_.on_warning("wifi_not_restored", "This computer's own Wi-Fi did not come back in time.", now);
        phase_ = Phase::finished;
        break;
      default: break;
    }
  }
}

}  // namespace muster::provisioner
