// SPDX-License-Identifier: Apache-2.0
// The provisioner's third part: until the cloud has seen the device, or somebody has said why not.
#include "provisioner/provisioner.hpp"

namespace muster::provisioner {

using agent::never;
using F = ActivationFailure;

namespace {

bool is_active(std::string_view state) { return state == "ACTIVE" || state == "DONE" || state == "PROVING"; }

/// What a session ended with, when it names no failure itself.
F failure_of_state(std::string_view state) {
  if (state == "CANCELED") return F::canceled;
  if (state == "EXPIRED") return F::expired;
  if (state == "SUPERSEDED") return F::superseded;
  return state == "FAILED" ? F::cloud_other : F::none;
}

}  // namespace

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
  begin(StepKind::join_network, now);
}

void Provisioner::device_has_joined(Millis now, const std::string& detail) {
  if (step_ != StepKind::join_network) return;
  done(StepKind::join_network, now, detail);
  begin(StepKind::reach_cloud, now);
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
  report_failed({StepKind::join_network, StepState::failed, code, {}}, now);
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
    // What ends a session without the device says nothing of how far that came.
    fail_code(ended == F::none || ended == F::cloud_other ? step_of(code) : step_, code, now, session.failure_message);
    return;
  }
  if (session.state == "CONNECTED") device_has_joined(now);
  cloud_due_ = now + options_.times.cloud_poll_ms;
}

void Provisioner::become_active(Millis now) {
  succeeded_ = true;
  device_has_joined(now);
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
    device_has_joined(now, detail);
    post("device_joined", now, 0, detail);
  }
  if (progress == DeviceProgress::stored) stored_ = true;
}

void Provisioner::on_device_failed(std::uint16_t code, const std::string& message, Millis now) {
  if (phase_ == Phase::following) take_failure(code, message, now);
}

}  // namespace muster::provisioner
