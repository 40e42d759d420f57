// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cloud/base/result.hpp"
#include "cloud/domain/entities.hpp"
#include "cloud/domain/error.hpp"

/// The life of a provisioning session as a table: docs/protocol/cloud-model.md section 5.2. The same table drives what stores do, the
/// API's errors, docs/life-cycles.md and an exhaustive test.
namespace muster::domain {

enum class ProvisionEvent : std::uint8_t {
  step_posted = 0,  ///< An app or an agent told a step.
  login,            ///< A device logged in with the session's token; its info is waited for.
  info_accepted,    ///< The info names a template that fits, and the owner is there.
  info_refused,     ///< It names an unknown or foreign one.
  owner_gone,       ///< The owner or the organization is not there any more.
  proved,           ///< The new token lasted, or logged in twice: the old one ends.
  fell_back,        ///< After its time the device came with the old token, or stayed with it: the new one ends.
  finished,         ///< The owner has named and profiled the device, or has skipped that.
  canceled,         ///< By a person.
  expired,          ///< Its time is over.
  superseded,       ///< A newer session for the same user and uid, or for the same device.
  device_removed,   ///< The device was deleted.
  given_up,         ///< By its app, after what it or its device had told had gone wrong.
};
inline constexpr std::size_t provision_event_count = 13;
inline constexpr std::size_t provision_state_count = 11;

struct ProvisionTransition {
  bool allowed = false;
  ProvisionState next = ProvisionState::failed;    ///< Unchanged when refused.
  DomainError refusal = DomainError::wrong_state;  ///< Only when refused.
  friend constexpr bool operator==(const ProvisionTransition&, const ProvisionTransition&) noexcept = default;
};

[[nodiscard]] ProvisionTransition next(ProvisionState state, ProvisionEvent event) noexcept;
/// The state afterwards. Errors: the table's refusal.
[[nodiscard]] inline Result<ProvisionState> after(ProvisionState state, ProvisionEvent event) {
  const ProvisionTransition transition = next(state, event);
  return transition.allowed ? Result<ProvisionState>{transition.next} : Result<ProvisionState>{transition.refusal};
}
/// Its token waits for its device: what the limit of open sessions counts, and what a cancel ends.
[[nodiscard]] constexpr bool is_open(ProvisionState state) noexcept {
  return state == ProvisionState::token_issued || state == ProvisionState::delivering || state == ProvisionState::connected ||
         state == ProvisionState::reprovisioning;
}
/// Nothing but late steps comes any more.
[[nodiscard]] constexpr bool is_ended(ProvisionState state) noexcept {
  return !is_open(state) && state != ProvisionState::active && state != ProvisionState::proving;
}
/// What apps post when the person stopped them.
inline constexpr std::uint16_t stopped_by_person = 910;
/// What it means that somebody lets go of an open session, by the failure that was told before: a person who stops is none.
[[nodiscard]] constexpr ProvisionEvent event_of_letting_go(std::uint16_t failure_code) noexcept {
  return failure_code == 0 || failure_code == stopped_by_person ? ProvisionEvent::canceled : ProvisionEvent::given_up;
}
[[nodiscard]] std::string_view provision_state_name(ProvisionState state) noexcept;  ///< "TOKEN_ISSUED", ...
[[nodiscard]] std::optional<ProvisionState> parse_provision_state(std::string_view name) noexcept;
[[nodiscard]] std::string_view provision_event_name(ProvisionEvent event) noexcept;  ///< "step_posted", ...
/// A Mermaid state diagram and a Markdown table, for docs/life-cycles.md.
[[nodiscard]] std::string provision_session_life_cycle_markdown();

}  // namespace muster::domain
