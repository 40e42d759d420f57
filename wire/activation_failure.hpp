// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// The one catalogue of what can go wrong while a device becomes active: agent, cloud and provisioner name failures by these codes,
/// and whoever shows one to a person takes the sentence, the cause and the fix from here. No heap, no exceptions, C++17.
namespace muster::wire {

/// 700-732 travel between devices and apps (docs/protocol/provisioning.md section 4.5); 8xx are the cloud's, 9xx the provisioner's own.
/// Stored and sent: never renumber.
enum class ActivationFailure : std::uint16_t {
  none = 0,
  // The device's.
  settings_invalid = 700,
  network_timeout = 701,
  cloud_timeout = 702,
  token_refused = 703,
  network_other = 704,
  cloud_other = 705,
  dns_failed = 710,
  certificate_invalid = 711,
  captive_portal = 712,
  network_not_found = 720,
  no_cable = 721,
  wrong_password = 722,
  no_address = 723,
  sim_missing = 730,
  sim_locked = 731,
  sim_wrong_pin = 732,
  // The cloud's.
  template_unknown = 800,
  template_foreign = 801,
  info_missing = 802,
  expired = 803,
  canceled = 804,
  superseded = 805,
  plain_text_refused = 806,
  device_limit = 807,
  owner_gone = 808,
  template_differs = 809,
  // The provisioner's.
  device_not_found = 900,
  device_unreachable = 901,
  device_answer_bad = 902,
  template_not_in_account = 903,
  ssid_too_long = 904,
  password_unsuitable = 905,
  sign_in_refused = 906,
  cloud_unreachable = 907,
  host_unusable = 908,
  device_silent = 909,
  stopped_by_user = 910,
  radio_unusable = 911,
  device_busy = 912,
};

/// What a person is told. `name` is stable and ASCII (lower_case): the key for translations; the texts are the English ones.
struct FailureText {
  ActivationFailure code;
  std::string_view name;
  std::string_view sentence;  ///< What happened, for the person in front of the device.
  std::string_view cause;     ///< The usual reason.
  std::string_view fix;       ///< What to do now.
};

/// Every failure, by code. Static storage.
struct FailureCatalogue {
  const FailureText* rows;
  std::size_t count;
  [[nodiscard]] const FailureText* begin() const noexcept { return rows; }
  [[nodiscard]] const FailureText* end() const noexcept { return rows + count; }
};
[[nodiscard]] FailureCatalogue failure_catalogue() noexcept;
/// nullptr: not in the catalogue (a newer device, or no failure).
[[nodiscard]] const FailureText* find_failure(std::uint16_t code) noexcept;
[[nodiscard]] inline const FailureText* find_failure(ActivationFailure code) noexcept {
  return find_failure(static_cast<std::uint16_t>(code));
}

/// The same among those that a device can tell of itself (700 to 732): a program that uses only this does not carry the texts of the others.
[[nodiscard]] const FailureText* find_device_failure(ActivationFailure code) noexcept;

/// How the BLE messages say a device's failure: `t` and `reason`; the reason may be empty. Both empty: not a device's.
struct FailureMessage {
  std::string_view type, reason;
};
[[nodiscard]] FailureMessage failure_message(ActivationFailure code) noexcept;
/// The code of such a message; none when there is no such type, the general code of the stage when the reason is not known.
[[nodiscard]] ActivationFailure failure_of(std::string_view type, std::string_view reason) noexcept;

}  // namespace muster::wire
