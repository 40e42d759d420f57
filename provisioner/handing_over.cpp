// SPDX-License-Identifier: Apache-2.0
// The provisioner's second part: until the device has network and token.
#include <algorithm>
#include <utility>

#include "provisioner/provisioner.hpp"

namespace muster::provisioner {

using agent::never;
using F = ActivationFailure;

namespace {

constexpr std::size_t old_host_max_bytes = 33;  ///< What the first generation keeps of a host name.

}  // namespace

bool is_possible_password(std::string_view password) noexcept {
  if (password.size() == 64) return password.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  return password.size() >= 8 && password.size() <= 63;
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
  phase_due_ = now + 2 * options_.times.list_ms;
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
  phase_due_ = now + options_.times.send_ms;
  tries_ = 0;
  send_again(now);
}

void Provisioner::send_again(Millis now) {
  DeviceSettings settings{ssid_, password_, token_.token, token_.host, token_.port != 0 ? token_.port : token_.port_plain};
  post("sent", now);
  expect_answer(now, options_.times.answer_ms);
  device_.send_settings(settings);
  settings.password.assign(settings.password.size(), '\0');
}

}  // namespace muster::provisioner
