// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// What a set-up consists of, as people and scripts see it.
namespace muster::provisioner {

/// In the order in which they happen. The names (to_text) are stable: people and scripts read them.
enum class StepKind : std::uint8_t {
  open_device,  ///< reconfigure: the cloud asks the device to open for set-up.
  find_device,
  join_device,
  device_info,
  check_template,
  list_networks,
  choose_network,
  get_token,
  send_settings,
  join_network,  ///< The device's part; reported with the failures that belong to it.
  reach_cloud,
  restore_wifi,
};
[[nodiscard]] std::string_view to_text(StepKind step) noexcept;
/// Which stage of the device's work a code of wire/activation_failure.hpp belongs to.
[[nodiscard]] StepKind step_of(std::uint16_t code) noexcept;

/// Every step that is reported was begun, and ends in one of the other states.
enum class StepState : std::uint8_t {
  begun,
  done,
  failed,
  left,  ///< Nothing came of it, because an earlier step turned out to have failed.
};
[[nodiscard]] std::string_view to_text(StepState state) noexcept;

struct Report {
  StepKind step = StepKind::find_device;
  StepState state = StepState::begun;
  std::uint16_t code = 0;  ///< Of wire/activation_failure.hpp, when failed.
  std::string message;     ///< What there is to say; not printable yet when a device said it.
};

}  // namespace muster::provisioner
