// SPDX-License-Identifier: Apache-2.0
#include "provisioner/steps.hpp"

#include "wire/activation_failure.hpp"

namespace muster::provisioner {

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

std::string_view to_text(StepState state) noexcept {
  switch (state) {
    case StepState::begun: return "begun";
    case StepState::done: return "done";
    case StepState::failed: return "failed";
    case StepState::left: return "left";
  }
  return "unknown";
}

StepKind step_of(std::uint16_t code) noexcept {
  using F = wire::ActivationFailure;
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

}  // namespace muster::provisioner
