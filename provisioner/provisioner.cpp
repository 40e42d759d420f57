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

}  // namespace

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
  if (step_is_open_) leave(now);
  step_ = step;
  step_is_open_ = true;
  front_.on_report({step, StepState::begun, 0, {}}, now);
}

void Provisioner::done(StepKind step, Millis now, std::string message) {
  step_is_open_ = false;
  front_.on_report({step, StepState::done, 0, std::move(message)}, now);
}

void Provisioner::leave(Millis now) {
  step_is_open_ = false;
  front_.on_report({step_, StepState::left, 0, {}}, now);
}

/// The step that fails need not be the one that was thought to be under way.
void Provisioner::report_failed(const Report& failure, Millis now) {
  if (step_is_open_ && step_ != failure.step) {
    if (step_ < failure.step) {
      done(step_, now);
    } else {
      leave(now);
    }
  }
  if (!step_is_open_) begin(failure.step, now);
  step_is_open_ = false;
  front_.on_report(failure, now);
}

void Provisioner::fail(StepKind step, F code, Millis now, std::string message) {
  fail_code(step, static_cast<std::uint16_t>(code), now, std::move(message));
}

void Provisioner::fail_code(StepKind step, std::uint16_t code, Millis now, std::string message) {
  if (phase_ == Phase::restoring || phase_ == Phase::finished || succeeded_) return;
  const bool is_the_devices =
      code != static_cast<std::uint16_t>(F::stopped_by_user) && code != static_cast<std::uint16_t>(F::radio_unusable);
  if (on_trial_ && is_the_devices && (step == StepKind::join_device || step == StepKind::device_info)) {
    look_on(message, now);  // It was probably not the one that is wanted.
    return;
  }
  failure_ = {step, StepState::failed, code, std::move(message)};
  report_failed(failure_, now);
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
  if (radio_->borrows_wifi()) begin(StepKind::restore_wifi, now);
  radio_->leave();
  radio_->restore();
}

void Provisioner::on_restored(Millis now) {
  if (phase_ == Phase::restoring) {
    if (step_is_open_) done(StepKind::restore_wifi, now);
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

// ---- what is heard ------------------------------------------------------------------------------------------------------------------------

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
    case Phase::sending: fail(StepKind::send_settings, F::device_answer_bad, now, why); break;
    case Phase::resetting: send(now); break;
    case Phase::listing:  // It would say the same again; the name can be typed.
      done(StepKind::list_networks, now, "The device's list is not readable.");
      ask_network(now);
      break;
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
      case Phase::sending: send_again(now); break;
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
      case Phase::finding: find_no_device(now); break;
      case Phase::joining: fail(StepKind::join_device, F::device_unreachable, now); break;
      case Phase::reading_info: fail(StepKind::device_info, F::device_unreachable, now); break;
      case Phase::sending: fail(StepKind::send_settings, F::device_unreachable, now); break;
      case Phase::listing:
        device_.cancel();
        device_busy_ = false;
        answer_due_ = again_due_ = never;
        done(StepKind::list_networks, now, "The device's list did not come in time.");
        ask_network(now);
        break;
      case Phase::opening:
      case Phase::checking:
      case Phase::early_token:
      case Phase::asking_token: fail(step_, F::cloud_unreachable, now); break;
      case Phase::following: fail(step_, F::device_silent, now, last_cloud_message_); break;
      case Phase::farewell: wrap_up(now); break;
      case Phase::restoring:
        front_.on_warning("wifi_not_restored", "This computer's own Wi-Fi did not come back in time.", now);
        if (step_is_open_) report_failed({StepKind::restore_wifi, StepState::failed, 0, {}}, now);
        phase_ = Phase::finished;
        break;
      default: break;
    }
  }
}

}  // namespace muster::provisioner
