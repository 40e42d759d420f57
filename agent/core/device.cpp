// SPDX-License-Identifier: Apache-2.0
#include "agent/core/device.hpp"

#include "agent/core/renew.hpp"

namespace muster::agent {

namespace {

using wire::ActivationFailure;

constexpr std::uint32_t reopen_ms = 5'000;
constexpr std::uint32_t scan_answer_ms = 30'000;
constexpr std::uint32_t half_way_ms = 2'000;    ///< A session that has begun is not cut off by a verdict about earlier ones.
constexpr std::uint32_t second_go_ms = 10'000;  ///< For a session that broke before it could be taken as accepted.
constexpr std::uint32_t open_with_settings_ms = 600'000;
constexpr std::uint32_t resume_wait_ms = 120'000;  ///< Between tries to go on with an attempt that the power cut short,
constexpr std::uint8_t resumes_max = 3;            ///< and how many.
constexpr int commit_writes_max = 3;               ///< A worn medium may take the second.

Millis earlier(Millis a, Millis b) noexcept { return a < b ? a : b; }

ActivationFailure failure_of(JoinFailure failure) noexcept {
  switch (failure) {
    case JoinFailure::not_found: return ActivationFailure::network_not_found;
    case JoinFailure::wrong_password: return ActivationFailure::wrong_password;
    case JoinFailure::no_address: return ActivationFailure::no_address;
    case JoinFailure::timeout: return ActivationFailure::network_timeout;
    case JoinFailure::bad_address: return ActivationFailure::settings_invalid;
    case JoinFailure::no_cable: return ActivationFailure::no_cable;
    case JoinFailure::other: break;
  }
  return ActivationFailure::network_other;
}

/// Whether trying the same again is of no use.
bool is_final(JoinFailure failure) noexcept { return failure != JoinFailure::timeout && failure != JoinFailure::other; }

ActivationFailure failure_of(CloseReason reason) noexcept {
  switch (reason) {
    case CloseReason::host_unknown: return ActivationFailure::dns_failed;
    case CloseReason::tls_untrusted: return ActivationFailure::certificate_invalid;
    case CloseReason::captive_portal: return ActivationFailure::captive_portal;
    case CloseReason::refused:
    case CloseReason::unreachable:
    case CloseReason::connect_timeout: return ActivationFailure::cloud_timeout;
    case CloseReason::invalid_token: return ActivationFailure::token_refused;
    default: return ActivationFailure::cloud_other;
  }
}

/// Of two troubles with one cloud (at its two usual ports, say) the one that says more.
int weight(ActivationFailure failure) noexcept {
  switch (failure) {
    case ActivationFailure::none: return 0;
    case ActivationFailure::cloud_timeout: return 1;
    case ActivationFailure::cloud_other: return 2;
    case ActivationFailure::dns_failed: return 3;
    case ActivationFailure::certificate_invalid: return 4;
    default: return 5;
  }
}

/// Whether these settings can never work, so that there is no sense in keeping them.
bool condemns_settings(ActivationFailure failure) noexcept {
  switch (failure) {
    case ActivationFailure::settings_invalid:
    case ActivationFailure::token_refused:
    case ActivationFailure::network_not_found:
    case ActivationFailure::wrong_password:
    case ActivationFailure::no_address:
    case ActivationFailure::no_cable: return true;
    default: return false;
  }
}

bool same_settings(const DeviceConfig& a, const DeviceConfig& b) noexcept {
  const NetworkConfig &m = a.network, &n = b.network;
  return a.token.view() == b.token.view() && a.host.view() == b.host.view() && a.port == b.port && m.interface == n.interface &&
         m.ssid.view() == n.ssid.view() && m.passphrase.view() == n.passphrase.view() && m.fixed.address == n.fixed.address &&
         m.fixed.mask == n.fixed.mask && m.fixed.gateway == n.fixed.gateway && m.fixed.dns == n.fixed.dns && m.fixed.dns2 == n.fixed.dns2;
}

}  // namespace

std::string_view to_text(DeviceState state) noexcept {
  switch (state) {
    case DeviceState::idle: return "idle";
    case DeviceState::wait_config: return "wait_config";
    case DeviceState::configuring: return "configuring";
    case DeviceState::switching: return "switching";
    case DeviceState::connecting_net: return "connecting_net";
    case DeviceState::connecting_cloud: return "connecting_cloud";
    case DeviceState::running: return "running";
    case DeviceState::reset_config: return "reset_config";
    case DeviceState::error: return "error";
  }
  return "unknown";
}

std::string_view to_text(StepKind kind) noexcept {
  switch (kind) {
    case StepKind::setup_opened: return "setup_opened";
    case StepKind::setup_open_failed: return "setup_open_failed";
    case StepKind::setup_closed: return "setup_closed";
    case StepKind::app_seen: return "app_seen";
    case StepKind::settings_taken: return "settings_taken";
    case StepKind::settings_refused: return "settings_refused";
    case StepKind::joining: return "joining";
    case StepKind::joined: return "joined";
    case StepKind::join_failed: return "join_failed";
    case StepKind::dialing: return "dialing";
    case StepKind::dial_failed: return "dial_failed";
    case StepKind::accepted: return "accepted";
    case StepKind::stored: return "stored";
    case StepKind::online: return "online";
    case StepKind::gave_up: return "gave_up";
    case StepKind::fell_back: return "fell_back";
    case StepKind::network_lost: return "network_lost";
    case StepKind::token_refused: return "token_refused";
    case StepKind::reset: return "reset";
  }
  return "unknown";
}

Device::Device(const DeviceParts& parts, const DeviceProfile& profile, const Identity& identity, const DeviceLimits& limits,
               const Limits& session_limits) noexcept
    : radio_{parts.radio},
      store_{parts.store},
      handler_{parts.handler},
      profile_{profile},
      limits_{limits},
      session_{*this},
      agent_{parts.transport, session_, parts.random, parts.receive_room, parts.send_room, identity, session_limits},
      name_{make_device_name(profile.vendor, profile.template_name, profile.suffix)} {}

// ---- telling

void Device::add_observer(Observer& observer) noexcept {
  for (Observer*& place : observers_) {
    if (place == nullptr) {
      place = &observer;
      return;
    }
  }
}

void Device::remove_observer(Observer& observer) noexcept {
  std::size_t kept = 0;
  for (Observer* each : observers_) {
    if (each != &observer) {
      observers_[kept++] = each;
    }
  }
  for (; kept < observers_max; ++kept) {
    observers_[kept] = nullptr;
  }
}

void Device::tell(StepKind kind, ActivationFailure code, std::string_view detail) {
  Step step{kind};
  step.code = code;
  step.trial = trial_;
  step.detail = detail;
  for (Observer* observer : observers_) {
    if (observer != nullptr) {
      observer->on_step(step, now_);
    }
  }
}

void Device::enter(DeviceState state) {
  if (state != state_) {
    state_ = state;
    for (Observer* observer : observers_) {
      if (observer != nullptr) {
        observer->on_state(state, now_);
      }
    }
  }
  show();
}

Indicator Device::wanted_indicator() const noexcept {
  switch (button_phase_) {
    case 1: return {Color::white, Rhythm::wave, 1'000, 0};
    case 2: return {Color::white, Rhythm::blink, 50, 50};
    default: break;
  }
  switch (state_) {
    case DeviceState::idle: return {Color::yellow, Rhythm::blink, 50, 2'000};
    case DeviceState::wait_config:
    case DeviceState::reset_config: return {Color::blue, Rhythm::blink, 50, 500};
    case DeviceState::configuring: return {Color::blue, Rhythm::blink, 200, 200};
    case DeviceState::switching:
    case DeviceState::connecting_net: return {Color::brand, Rhythm::blink, 50, 500};
    case DeviceState::connecting_cloud: return {Color::brand, Rhythm::blink, 100, 100};
    case DeviceState::running: return {Color::brand, Rhythm::wave, 5'000, 0};
    case DeviceState::error: return {Color::red, Rhythm::double_beat, 80, 1'000};
  }
  return {};
}

void Device::show() {
  const Indicator wanted = wanted_indicator();
  if (wanted == shown_) {
    return;
  }
  shown_ = wanted;
  for (Observer* observer : observers_) {
    if (observer != nullptr) {
      observer->on_indicator(wanted);
    }
  }
}

// ---- the store

Device::RecordState Device::load(Slot slot, DeviceConfig& config) {
  std::uint8_t record[config_record_size_max_bytes];
  std::size_t size = 0;
  switch (store_.load(slot, {record, sizeof record}, size)) {
    case StoreStatus::ok: break;
    case StoreStatus::io_failed: return RecordState::failed;
    case StoreStatus::absent:
    case StoreStatus::too_big: return RecordState::absent;
  }
  switch (decode_config({record, size}, config)) {
    case ConfigStatus::ok: break;
    case ConfigStatus::newer_version: return RecordState::newer;
    case ConfigStatus::truncated:
    case ConfigStatus::corrupt: return RecordState::absent;
  }
  if (config.generation > generation_) {
    generation_ = config.generation;
  }
  if (config.token.empty() || config.host.empty()) {
    return RecordState::absent;
  }
  // What the firmware is, it knows itself; a record may be from before an update.
  if (!profile_.template_id.empty()) {
    static_cast<void>(config.template_id.assign(profile_.template_id));
    static_cast<void>(config.template_name.assign(profile_.template_name));
  }
  config.security = profile_.security;
  const NetworkConfig& network = config.network;
  const bool reachable = radio_ == nullptr || (network.interface == Interface::wifi && !network.ssid.empty()) ||
                         (network.interface == Interface::ethernet && profile_.ethernet);
  return reachable ? RecordState::usable : RecordState::without_network;
}

bool Device::save(Slot slot, const DeviceConfig& config) {
  std::uint8_t record[config_record_size_max_bytes];
  const std::size_t size = encode_config(config, {record, sizeof record});
  return size != 0 && store_.save(slot, {record, size}) == StoreStatus::ok;
}

bool Device::erase(Slot slot) { return store_.erase(slot) == StoreStatus::ok; }

void Device::drop_pending() {
  // When erasing fails, the record stays on the disk: it is tried again at worst, after the proved one.
  static_cast<void>(erase(Slot::pending));
  has_pending_ = false;
  pending_given_up_ = false;
}

// ---- from outside

void Device::start(Millis now) {
  stop(now);
  announced_ = false;
  pending_tried_ = false;
  resumes_left_ = resumes_max;
  last_error_ = ActivationFailure::none;
  outcome_ = Outcome::none;
  result_read_ = false;
  generation_ = 0;
  DeviceConfig config;
  const RecordState proved = load(Slot::proved, config);
  const std::uint32_t proved_generation = generation_;
  DeviceConfig later;
  const RecordState pending = load(Slot::pending, later);
  if (proved == RecordState::failed || pending == RecordState::failed) {
    fail_hard();
    return;
  }
  has_proved_ = proved == RecordState::usable;
  has_pending_ = pending == RecordState::usable;
  pending_given_up_ = has_pending_ && later.generation == 0;
  if (has_pending_ && !pending_given_up_ && proved != RecordState::absent && later.generation <= proved_generation) {
    drop_pending();  // It became the proved one, and the power failed before it was erased.
  }
  if (begin_with(Slot::proved)) {
    return;
  }
  if (has_pending_) {
    open_setup();  // Whoever stands before it need not wait for the end of this.
    if (begin_with(Slot::pending)) {
      return;
    }
  }
  wait_for_config(limits_.wait_config_ms);
}

void Device::stop(Millis now) {
  advance(now);
  disconnect();
  close_setup();
  trial_ = false;
  state_due_ = reopen_due_ = scan_due_ = pressed_at_ = never;
  button_phase_ = 0;
  wish_ = Wish::none;
  enter(DeviceState::idle);
}

void Device::request_setup(Millis now) {
  advance(now);
  if (radio_ == nullptr || state_ == DeviceState::error || (trial_ && !unattended_)) {
    return;
  }
  if (waits_for_config()) {
    restart_waiting();
    return;
  }
  wait_for_config(limits_.wait_config_ms != 0 || !has_proved_ ? limits_.wait_config_ms : open_with_settings_ms);
}

void Device::end_setup(Millis now) {
  advance(now);
  if (waits_for_config()) {
    go_on_without_setup();
    settle();
  }
}

bool Device::forget_networks(Millis now) {
  advance(now);
  if (!waits_for_config() && state_ != DeviceState::idle) {
    return false;
  }
  if (has_pending_) {
    drop_pending();
  }
  DeviceConfig config;
  const RecordState record = load(Slot::proved, config);
  if (record == RecordState::usable || record == RecordState::without_network) {
    renew(config.network);
    config.generation = ++generation_;
    if (!save(Slot::proved, config)) {
      return false;
    }
    has_proved_ = radio_ == nullptr;
  }
  renew(active_.network);
  return true;
}

void Device::reset_config(Millis now) {
  advance(now);
  disconnect();
  trial_ = false;
  enter(DeviceState::reset_config);
  // The pending one first: were the power to fail in between, the device would still have its home.
  if (!erase(Slot::pending) || !erase(Slot::proved)) {
    fail_hard();
    return;
  }
  has_proved_ = has_pending_ = pending_given_up_ = false;
  renew(active_);
  last_error_ = ActivationFailure::none;
  outcome_ = Outcome::none;
  tell(StepKind::reset);
  wait_for_config(limits_.wait_config_ms);
}

void Device::request_restart(Millis now) {
  advance(now);
  for (Observer* observer : observers_) {
    if (observer != nullptr) {
      observer->on_restart_wanted(now_);
    }
  }
}

void Device::retry_now(Millis now) {
  advance(now);
  if (state_ == DeviceState::connecting_net && rejoin_due_ != never) {
    rejoin_ms_ = 0;
    join();
  }
  agent_.retry_now(now_);
  settle();
}

// ---- set-up

void Device::open_setup() {
  setup_due_ = never;
  if (radio_ == nullptr || setup_ != Setup::shut) {
    return;
  }
  reopen_due_ = never;
  setup_ = Setup::opening;
  radio_->open(name_.view());
}

void Device::close_setup() {
  setup_due_ = reopen_due_ = never;
  if (setup_ == Setup::shut) {
    return;
  }
  setup_ = Setup::shut;
  visitors_ = 0;
  radio_->shut();
  if (result_read_) {
    last_error_ = ActivationFailure::none;
    outcome_ = Outcome::none;
  }
  tell(StepKind::setup_closed);
}

void Device::wait_for_config(std::uint32_t wait_ms) {
  disconnect();
  trial_ = false;
  if (radio_ == nullptr) {
    state_due_ = never;
    enter(DeviceState::idle);
    return;
  }
  wait_ms_ = wait_ms;
  restart_waiting();
  open_setup();
  enter(DeviceState::wait_config);
}

void Device::restart_waiting() noexcept { state_due_ = wait_ms_ == 0 ? never : now_ + wait_ms_; }

void Device::go_on_without_setup() {
  close_setup();
  pending_tried_ = false;
  if (begin_with(Slot::proved)) {
    tell(StepKind::fell_back);
    return;
  }
  if (begin_with(Slot::pending)) {
    return;
  }
  disconnect();
  state_due_ = never;
  enter(DeviceState::idle);
}

void Device::on_opened(Millis now) {
  advance(now);
  if (setup_ == Setup::opening) {
    setup_ = Setup::open;
    tell(StepKind::setup_opened);
  }
}

void Device::on_open_failed(Millis now) {
  advance(now);
  if (setup_ == Setup::shut) {
    return;
  }
  setup_ = Setup::shut;
  visitors_ = 0;
  if (waits_for_config()) {
    reopen_due_ = now_ + reopen_ms;
  }
  tell(StepKind::setup_open_failed);
}

void Device::on_visitors(std::size_t count, Millis now) {
  advance(now);
  visitors_ = setup_ == Setup::shut ? 0 : count;
  if (visitors_ != 0 || !waits_for_config()) {
    return;
  }
  if (has_proved_ && outcome_ == Outcome::failed && result_read_) {
    state_due_ = earlier(state_due_, now_ + limits_.read_linger_ms);  // They know and are gone: back home.
  }
  if (state_ == DeviceState::configuring) {
    enter(DeviceState::wait_config);
  }
}

void Device::on_app_seen(Millis now) {
  on_app_active(now);
  if (state_ == DeviceState::wait_config) {
    enter(DeviceState::configuring);
    tell(StepKind::app_seen);
  }
}

void Device::on_app_active(Millis now) {
  advance(now);
  if (waits_for_config()) {
    restart_waiting();
  }
}

void Device::on_result_read(Millis now) {
  advance(now);
  if (outcome_ != Outcome::succeeded && outcome_ != Outcome::failed) {
    return;
  }
  result_read_ = true;
  if (setup_due_ != never) {
    setup_due_ = earlier(setup_due_, now_ + limits_.read_linger_ms);
  }
}

bool Device::request_scan(Millis now) {
  advance(now);
  if (radio_ == nullptr || state_ == DeviceState::connecting_net) {  // A scan would disturb the join.
    return false;
  }
  if (scan_due_ == never) {
    scan_due_ = now_ + scan_answer_ms;
    radio_->scan();
  }
  return true;
}

void Device::on_scanned(const ScannedNetwork* networks, std::size_t count, Millis now) {
  advance(now);
  scan_due_ = never;
  for (Observer* observer : observers_) {
    if (observer != nullptr) {
      observer->on_networks(networks, count, now_);
    }
  }
}

ConfigureResult Device::refuse_settings(std::string_view detail) {
  last_error_ = ActivationFailure::settings_invalid;
  outcome_ = Outcome::failed;
  result_read_ = false;
  tell(StepKind::settings_refused, last_error_, detail);
  return ConfigureResult::invalid;
}

ConfigureResult Device::configure(const SetupSettings& settings, Millis now, bool at_console) {
  advance(now);
  DeviceConfig wanted;  // Begins as what it has, for what is not said.
  if (load(Slot::proved, wanted) != RecordState::usable) {
    renew(wanted);
  }
  const std::uint16_t home_port = wanted.port;
  std::string_view host = settings.host();
  wanted.port = settings.port();
  if (host.empty()) {
    host = !profile_.default_host.empty() || wanted.host.empty() ? profile_.default_host : wanted.host.view();
    if (wanted.port == 0 && !wanted.host.empty() && host == wanted.host.view()) {
      wanted.port = home_port;
    }
  }
  wanted.template_id.clear();
  wanted.template_name.clear();
  wanted.network = settings.network();
  if (wanted.network.interface == Interface::none) {
    wanted.network.interface = Interface::wifi;
  }
  if (wanted.network.interface != Interface::wifi) {
    wanted.network.ssid.clear();
    wanted.network.passphrase.clear();
  }
  wanted.security = profile_.security;
  static_cast<void>(wanted.token.assign(settings.token()));
  if (!settings.valid(profile_.ethernet) || !is_valid_host(host) || !wanted.host.assign(host)) {
    if (waits_for_config() || at_console) {
      static_cast<void>(refuse_settings("configuration invalid"));
    }
    return ConfigureResult::invalid;
  }
  return take(wanted, settings.save(), at_console);
}

ConfigureResult Device::configure_token(std::string_view token, std::string_view host, std::uint16_t port, Millis now) {
  advance(now);
  DeviceConfig wanted;
  const RecordState record = load(Slot::proved, wanted);
  const bool networked = radio_ == nullptr || record == RecordState::usable;
  if (record == RecordState::absent || record == RecordState::newer || record == RecordState::failed) {
    renew(wanted);
    wanted.security = profile_.security;
  }
  if (!host.empty() || wanted.host.empty()) {
    const std::string_view given = host.empty() ? profile_.default_host : host;
    if (!is_valid_host(given) || !wanted.host.assign(given)) {
      return refuse_settings("no host");
    }
    wanted.port = port;
  }
  if (!networked || !is_valid_token(token) || !wanted.token.assign(token)) {
    return refuse_settings(networked ? "no token" : "no network");
  }
  return take(wanted, false, true);
}

ConfigureResult Device::take(DeviceConfig& wanted, bool unproved, bool at_console) {
  if (trial_ && !unattended_) {
    return same_settings(wanted, active_) ? ConfigureResult::started : ConfigureResult::busy;
  }
  const bool open = waits_for_config() || (trial_ && unattended_ && open_for_setup());
  if (!open && !at_console) {
    return ConfigureResult::busy;
  }
  if (!profile_.template_id.empty()) {
    static_cast<void>(wanted.template_id.assign(profile_.template_id));
    static_cast<void>(wanted.template_name.assign(profile_.template_name));
  }
  wanted.generation = ++generation_;
  pending_given_up_ = false;
  bool stored = false;
  if (unproved) {
    // Asked for: it counts without proof. What the device had is kept as the other record, for a cloud that says no.
    keep_home();
    stored = save(Slot::proved, wanted);
    has_proved_ = has_proved_ || stored;
  } else {
    stored = save(Slot::pending, wanted);
    has_pending_ = has_pending_ || stored;
  }
  if (!stored) {
    static_cast<void>(refuse_settings("failed to store configuration"));
    return ConfigureResult::store_failed;
  }
  disconnect();
  active_ = wanted;
  trial_ = !unproved;
  unattended_ = false;
  let_in_ = false;
  pending_tried_ = false;
  announced_ = false;  // It may be another device of another cloud from now on.
  trial_due_ = trial_ ? now_ + limits_.switching_ms + 2 * Millis{limits_.stage_ms} : never;
  last_error_ = ActivationFailure::none;
  outcome_ = Outcome::trying;
  result_read_ = false;
  setup_due_ = unproved && setup_ != Setup::shut ? now_ + limits_.result_hold_ms : never;
  state_due_ = now_ + limits_.switching_ms;
  enter(DeviceState::switching);
  tell(StepKind::settings_taken);
  return unproved ? ConfigureResult::saved : ConfigureResult::started;
}

/// The proved settings become the pending record, marked as older than any: it is there for a refusal only. Apart, for its room on the stack.
[[gnu::noinline]] void Device::keep_home() {
  DeviceConfig home;
  if (load(Slot::proved, home) == RecordState::usable) {
    home.generation = 0;
    has_pending_ = pending_given_up_ = save(Slot::pending, home);
  }
}

/// The cloud has refused the proved settings and not the pending ones, which are newer: those are the home now, and what a person gives the
/// device next does not replace them. A power cut in between costs the refused record only.
[[gnu::noinline]] bool Device::change_places() {
  DeviceConfig config;
  if (load(Slot::pending, config) != RecordState::usable || config.generation <= active_.generation) {
    return false;
  }
  config.generation = ++generation_;
  if (!save(Slot::proved, config)) {
    return false;
  }
  active_.generation = 0;
  has_pending_ = pending_given_up_ = save(Slot::pending, active_);
  return true;
}

// ---- the network

/// Ends session and join, and forgets what was due for them. What is open for set-up stays.
void Device::disconnect() {
  trial_due_ = rejoin_due_ = verdict_due_ = accept_due_ = resume_due_ = never;
  verdict_ = join_problem_ = ActivationFailure::none;
  agent_.stop(now_);
  told_accepted_ = told_info_refused_ = told_online_ = told_token_refused_ = told_failure_ = false;
  if (radio_ != nullptr && (is_joined_ || state_ == DeviceState::connecting_net)) {
    radio_->leave();
  }
  is_joined_ = false;
}

bool Device::begin_with(Slot slot) {
  const bool pending = slot == Slot::pending;
  if (!(pending ? has_pending_ : has_proved_)) {
    return false;
  }
  DeviceConfig config;
  if (load(slot, config) != RecordState::usable) {
    (pending ? has_pending_ : has_proved_) = false;
    return false;
  }
  disconnect();
  active_ = config;
  trial_ = pending;
  unattended_ = pending;
  let_in_ = false;
  pending_tried_ = pending_tried_ || pending;
  trial_due_ = trial_ ? now_ + 2 * Millis{limits_.stage_ms} : never;
  if (pending) {
    outcome_ = Outcome::trying;
    last_error_ = ActivationFailure::none;
    result_read_ = false;
  }
  begin_active();
  return true;
}

void Device::begin_active() {
  rounds_ = 0;
  if (radio_ == nullptr || active_.network.interface == Interface::none) {
    begin_cloud();
  } else {
    begin_network();
  }
}

void Device::begin_network() {
  state_due_ = now_ + limits_.stage_ms;
  rejoin_ms_ = 0;
  join_problem_ = ActivationFailure::none;
  enter(DeviceState::connecting_net);
  join();
}

void Device::join() {
  rejoin_due_ = never;
  const NetworkConfig& network = active_.network;
  JoinTarget target;
  target.ssid = network.ssid.view();
  target.passphrase = network.passphrase.view();
  target.fixed = network.fixed.address != 0 ? &network.fixed : nullptr;
  target.wired = network.interface == Interface::ethernet;
  tell(StepKind::joining);
  radio_->join(target);
}

void Device::on_joined(const JoinedNetwork& network, Millis now) {
  advance(now);
  if (state_ != DeviceState::connecting_net) {
    return;
  }
  is_joined_ = true;
  joined_ = network;
  rejoin_due_ = never;
  tell(StepKind::joined);
  begin_cloud();
  settle();
}

void Device::on_join_failed(JoinFailure failure, Millis now) {
  advance(now);
  if (state_ != DeviceState::connecting_net) {
    return;
  }
  join_problem_ = failure_of(failure);
  if (trial_ && is_final(failure)) {
    give_up(join_problem_, {});
    settle();
    return;
  }
  const std::uint64_t longer_ms = std::uint64_t{rejoin_ms_} * 17 / 10;
  rejoin_ms_ = rejoin_ms_ == 0 || trial_           ? limits_.rejoin_first_ms
               : longer_ms < limits_.rejoin_cap_ms ? static_cast<std::uint32_t>(longer_ms)
                                                   : limits_.rejoin_cap_ms;
  rejoin_due_ = now_ + rejoin_ms_;
  tell(StepKind::join_failed, join_problem_);
}

void Device::on_network_lost(Millis now) {
  advance(now);
  if (!is_joined_ || (state_ != DeviceState::connecting_cloud && state_ != DeviceState::running)) {
    return;
  }
  const Millis trial_due = trial_due_;
  is_joined_ = false;  // There is nothing to leave.
  disconnect();
  trial_due_ = trial_due;
  tell(StepKind::network_lost);
  if (state_ == DeviceState::running) {
    rounds_ = 0;
  }
  begin_network();
}

// ---- the cloud

void Device::begin_cloud() {
  state_due_ = now_ + limits_.stage_ms;
  verdict_ = ActivationFailure::none;
  verdict_due_ = accept_due_ = never;
  enter(DeviceState::connecting_cloud);
  tell(StepKind::dialing);
  if (!agent_.start(active_, now_)) {
    told_failure_ = true;
    failure_reason_ = CloseReason::host_unknown;
  }
}

void Device::on_connected(Millis now) {
  advance(now);
  agent_.on_connected(now_);
  settle();
}

void Device::on_bytes(wire::ByteView bytes, Millis now) {
  advance(now);
  agent_.on_bytes(bytes, now_);
  settle();
}

void Device::on_closed(CloseReason reason, Millis now) {
  advance(now);
  agent_.on_closed(reason, now_);
  settle();
}

/// Only noted here: the session is in the middle of its call. settle() does what follows.
void Device::note_event(const Event& event) noexcept {
  switch (event.kind) {
    case EventKind::login_ok: let_in_ = true; break;
    case EventKind::connected:
      if (verdict_ != ActivationFailure::cloud_other) {  // The way there is good.
        verdict_ = ActivationFailure::none;
        verdict_due_ = never;
      }
      break;
    case EventKind::info_accepted: told_accepted_ = true; break;
    case EventKind::info_refused: told_info_refused_ = true; break;
    case EventKind::online: told_online_ = true; break;
    case EventKind::invalid_token: told_token_refused_ = true; break;
    case EventKind::connect_failed:
    case EventKind::disconnected:
      if (event.reason != CloseReason::stopped && event.reason != CloseReason::redirected) {
        told_failure_ = true;
        told_accepted_ = told_accepted_ && trial_;  // A yes stays a yes.
        told_online_ = false;
        failure_reason_ = event.reason;
      }
      break;
    default: break;
  }
}

void Device::settle() {
  for (int turn = 0; turn < 8; ++turn) {  // Each turn meets something; a bound, for what would meet itself.
    if (told_accepted_) {
      told_accepted_ = false;
      if (trial_ && state_ == DeviceState::connecting_cloud) {
        tell(StepKind::accepted);
        commit();
      }
    } else if (told_info_refused_) {
      told_info_refused_ = false;
      if (trial_) {
        give_up(ActivationFailure::cloud_other, "info_refused");
      }
    } else if (told_token_refused_) {
      told_token_refused_ = told_failure_ = false;
      settle_refusal();
    } else if (told_failure_) {
      told_failure_ = false;
      settle_failure(failure_reason_);
    } else if (told_online_) {
      told_online_ = false;
      settle_online();
    } else if (wish_ != Wish::none) {
      const Wish wish = wish_;
      wish_ = Wish::none;
      if (wish == Wish::setup) {
        request_setup(now_);
      } else if (wish == Wish::end_setup) {
        end_setup(now_);
      } else {
        request_restart(now_);
      }
    } else {
      return;
    }
  }
}

void Device::note_verdict(CloseReason reason) {
  const ActivationFailure code = failure_of(reason);
  if (weight(code) <= weight(verdict_)) {
    return;
  }
  verdict_ = code;
  verdict_reason_ = reason;
  const bool soon = weight(code) >= weight(ActivationFailure::dns_failed);
  verdict_due_ = earlier(verdict_due_, now_ + (soon ? limits_.verdict_ms : limits_.unreachable_ms));
}

void Device::settle_failure(CloseReason reason) {
  if (state_ != DeviceState::connecting_cloud && state_ != DeviceState::running) {
    return;
  }
  accept_due_ = never;
  tell(StepKind::dial_failed, failure_of(reason), to_text(reason));
  if (state_ == DeviceState::running) {
    rounds_ = 0;
    state_due_ = now_ + limits_.stage_ms;
    enter(DeviceState::connecting_cloud);
  } else if (state_due_ == never) {
    state_due_ = now_ + second_go_ms;
  }
  if (trial_) {
    note_verdict(reason);
  }
}

/// Status 9. Nothing is erased that was proved: the cloud may be wrong.
void Device::settle_refusal() {
  if (state_ != DeviceState::connecting_cloud && state_ != DeviceState::running) {
    return;
  }
  if (trial_) {
    give_up(ActivationFailure::token_refused, to_text(CloseReason::invalid_token));
    return;
  }
  tell(StepKind::token_refused, ActivationFailure::token_refused, to_text(CloseReason::invalid_token));
  if (has_pending_ && !pending_tried_ && begin_with(Slot::pending)) {
    return;
  }
  const bool changed = has_pending_ && change_places();
  if (radio_ == nullptr) {
    if (changed && begin_with(Slot::proved)) {
      return;
    }
    state_due_ = never;  // The session tries again by itself, minutes apart.
    enter(DeviceState::connecting_cloud);
    return;
  }
  last_error_ = ActivationFailure::token_refused;
  outcome_ = Outcome::failed;
  result_read_ = false;
  wait_for_config(limits_.refused_wait_ms);
}

void Device::settle_online() {
  if (state_ != DeviceState::connecting_cloud) {
    return;
  }
  if (trial_) {
    unanswered_since_ = now_;
    accept_due_ = now_ + limits_.unanswered_info_ms;
    state_due_ = never;
    return;
  }
  state_due_ = never;
  rounds_ = 0;
  if (pending_given_up_) {
    drop_pending();
  } else if (has_pending_) {
    // The power failed in the middle of that attempt, and its cloud may have said yes: it goes on, now that home is known to be good.
    if (!pending_tried_ && begin_with(Slot::pending)) {
      return;
    }
    resume_due_ = now_ + resume_wait_ms;
  }
  if (outcome_ == Outcome::trying) {  // Stored without proof, and good.
    outcome_ = Outcome::succeeded;
  }
  enter(DeviceState::running);
  tell(StepKind::online);
  if (!announced_) {
    announced_ = true;
    if (!profile_.uid.empty()) {
      static_cast<void>(agent_.set_metadata("Device UID", profile_.uid, now_));
    }
    if (radio_ != nullptr) {
      static_cast<void>(agent_.set_metadata("Hotspot Name", name_.view(), now_));
    }
  }
}

/// The cloud knows the token and took what the device said of itself: now, and not before, these settings replace the proved ones.
void Device::commit() {
  accept_due_ = trial_due_ = verdict_due_ = never;
  int writes_left = commit_writes_max;
  while (writes_left > 0 && !save(Slot::proved, active_)) {
    --writes_left;
  }
  if (writes_left == 0) {
    give_up(ActivationFailure::settings_invalid, "failed to store configuration");
    return;
  }
  has_proved_ = true;
  drop_pending();
  outcome_ = Outcome::succeeded;
  last_error_ = ActivationFailure::none;
  result_read_ = false;
  if (setup_ != Setup::shut) {
    setup_due_ = now_ + limits_.result_hold_ms;
  }
  tell(StepKind::stored);
  trial_ = false;
}

/// The attempt with new settings is over. The proved ones were not touched.
void Device::give_up(ActivationFailure code, std::string_view detail) {
  const bool unattended = unattended_;
  disconnect();
  // A cloud that has let them in once may count on them already: then only its own no ends them, not what the network is like now. And what
  // the device tries by itself may be early: after a power failure routers come back later than devices.
  const bool refused = code == ActivationFailure::token_refused;
  if (refused || (condemns_settings(code) && !unattended && !let_in_)) {
    drop_pending();
  } else if (unattended && resumes_left_ > 0) {
    --resumes_left_;
  } else {
    pending_given_up_ = has_pending_;
  }
  last_error_ = code;
  outcome_ = Outcome::failed;
  result_read_ = false;
  tell(StepKind::gave_up, code, detail);
  trial_ = false;
  if (unattended && begin_with(Slot::proved)) {
    tell(StepKind::fell_back);
    return;
  }
  wait_for_config(has_proved_ ? limits_.result_hold_ms : limits_.wait_config_ms);
}

void Device::fail_hard() {
  disconnect();
  close_setup();
  trial_ = false;
  state_due_ = now_ + limits_.error_shown_ms;
  enter(DeviceState::error);
}

/// The stage's time is over.
void Device::end_round() {
  const bool network = state_ == DeviceState::connecting_net;
  if (trial_) {
    if (network) {
      give_up(join_problem_ != ActivationFailure::none ? join_problem_ : ActivationFailure::network_timeout, {});
    } else if (verdict_ != ActivationFailure::none) {
      give_up(verdict_, to_text(verdict_reason_));
    } else {
      give_up(ActivationFailure::cloud_timeout, {});
    }
    return;
  }
  if (++rounds_ >= limits_.rounds_max) {
    fail_hard();
    return;
  }
  if (has_pending_ && !pending_tried_ && begin_with(Slot::pending)) {
    return;
  }
  state_due_ = now_ + limits_.stage_ms;
  if (network && rejoin_due_ == never) {
    join();  // The radio has said nothing in all that time.
  }
}

// ---- time

Millis Device::next_deadline() const noexcept {
  if (told_accepted_ || told_info_refused_ || told_online_ || told_token_refused_ || told_failure_ || wish_ != Wish::none) {
    return now_;  // The session told something while the program used it.
  }
  Millis next = agent_.next_deadline();
  for (const Millis due :
       {state_due_, trial_due_, rejoin_due_, verdict_due_, accept_due_, resume_due_, setup_due_, reopen_due_, scan_due_}) {
    next = earlier(next, due);
  }
  if (pressed_at_ != never && button_phase_ < 3) {
    const std::uint32_t after_ms[] = {limits_.button_hint_ms, limits_.button_reset_ms, limits_.button_cancel_ms};
    next = earlier(next, pressed_at_ + after_ms[button_phase_]);
  }
  return next;
}

void Device::on_timer(Millis now) {
  advance(now);
  agent_.on_timer(now_);
  settle();
  run_button();
  if (now_ >= scan_due_) {
    on_scanned(nullptr, 0, now_);
  }
  if (now_ >= reopen_due_) {
    open_setup();
  }
  if (now_ >= setup_due_) {
    close_setup();
  }
  if (now_ >= rejoin_due_) {
    join();
  }
  if (now_ >= accept_due_ && trial_) {
    if (agent_.last_received() <= unanswered_since_) {
      accept_due_ = now_ + half_way_ms;  // Maybe nothing arrives there either: the next ping finds out.
    } else {
      accept_due_ = never;
      commit();
      told_online_ = !trial_ && agent_.online();
    }
  }
  if (now_ >= resume_due_) {
    resume_due_ = never;
    if (state_ == DeviceState::running) {
      static_cast<void>(begin_with(Slot::pending));
    }
  }
  if (now_ >= verdict_due_) {
    verdict_due_ = never;
    if (trial_ && state_ == DeviceState::connecting_cloud) {
      if (agent_.state() >= State::logging_in) {
        verdict_due_ = now_ + half_way_ms;
      } else {
        give_up(verdict_, to_text(verdict_reason_));
      }
    }
  }
  if (now_ >= trial_due_) {
    trial_due_ = never;
    if (trial_ && connects()) {
      end_round();
    }
  }
  if (now_ >= state_due_) {
    state_due_ = never;
    switch (state_) {
      case DeviceState::wait_config:
      case DeviceState::configuring: go_on_without_setup(); break;
      case DeviceState::switching: begin_active(); break;
      case DeviceState::connecting_net:
      case DeviceState::connecting_cloud: end_round(); break;
      case DeviceState::error: request_restart(now_); break;
      case DeviceState::idle:
      case DeviceState::running:
      case DeviceState::reset_config: break;
    }
  }
  settle();
}

// ---- the button

void Device::on_button(bool pressed, Millis now) {
  advance(now);
  if (pressed) {
    if (pressed_at_ == never) {
      pressed_at_ = now_;
      button_phase_ = 0;
    }
    return;
  }
  if (pressed_at_ == never) {
    return;
  }
  const Millis held_ms = now_ - pressed_at_;
  pressed_at_ = never;
  button_phase_ = 0;
  if (held_ms >= limits_.button_reset_ms && held_ms < limits_.button_cancel_ms) {
    reset_config(now_);
  } else if (held_ms >= limits_.button_min_ms && held_ms < limits_.button_hint_ms && state_ == DeviceState::idle) {
    request_setup(now_);
  }
  show();
}

void Device::run_button() {
  if (pressed_at_ == never) {
    return;
  }
  const Millis held_ms = now_ - pressed_at_;
  button_phase_ = held_ms >= limits_.button_cancel_ms  ? std::uint8_t{3}
                  : held_ms >= limits_.button_reset_ms ? std::uint8_t{2}
                  : held_ms >= limits_.button_hint_ms  ? std::uint8_t{1}
                                                       : std::uint8_t{0};
  show();
}

// ---- for the program

void Device::SessionEvents::on_event(const Event& event, Millis now) {
  device.note_event(event);
  device.handler_.on_event(event, now);
}
void Device::SessionEvents::on_write(std::uint8_t pin, wire::Fields values, Millis now) { device.handler_.on_write(pin, values, now); }
void Device::SessionEvents::on_metadata(std::string_view name, std::string_view value) { device.handler_.on_metadata(name, value); }
void Device::SessionEvents::on_utc(std::uint64_t unix_ms) { device.handler_.on_utc(unix_ms); }
void Device::SessionEvents::on_print(std::string_view text) { device.handler_.on_print(text); }
void Device::SessionEvents::on_update_offered(std::string_view url) { device.handler_.on_update_offered(url); }
void Device::SessionEvents::on_response(std::uint16_t id, std::uint16_t status) { device.handler_.on_response(id, status); }

/// Of what the cloud may order, only what costs the device nothing: it cannot make it forget anything.
void Device::SessionEvents::on_console(std::string_view line) {
  if (line == "config start") {
    device.wish_ = Wish::setup;
  } else if (line == "config stop") {
    device.wish_ = Wish::end_setup;
  } else if (line == "reboot") {
    device.wish_ = Wish::restart;
  }
  device.handler_.on_console(line);
}

}  // namespace muster::agent
