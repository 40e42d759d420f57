// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cloud/base/result.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/session_registry.hpp"

/// The life of a device as a table: docs/protocol/cloud-model.md sections 5.1 and 6. The same table drives what stores allow, the
/// status that the API shows, docs/life-cycles.md and an exhaustive test. Events that no operation makes yet (transfer,
/// remove_owner, erase_data, report) are in the table and its test alone.
namespace muster::domain {

/// Names are shown by the API: never rename. No store holds them: a device's state follows from its sessions (device_state).
enum class DeviceState : std::uint8_t {
  created = 0,  ///< Has never been online.
  online = 1,
  offline = 2,
  deleted = 3,
};
inline constexpr std::size_t device_state_count = 4;

enum class DeviceEvent : std::uint8_t {
  login = 0,       ///< A session was bound with one of its AuthTokens.
  report,          ///< Data came by HTTP, without a session.
  session_ended,   ///< Dropped, closed or silent: the wait period begins.
  wait_passed,     ///< The wait period is over and no session came back.
  server_started,  ///< A restart is no disconnect: no status changes without a wait that passed.
  rename,          ///< Also metadata.
  transfer,        ///< To another owner or organization.
  remove_owner,
  erase_data,     ///< Telemetry, timeline, statistics; id, token, owner and metadata stay.
  replace_token,  ///< Its present AuthToken is revoked, another takes its place.
  remove,         ///< Row and data go, AuthTokens become tombstones.
};
inline constexpr std::size_t device_event_count = 11;

struct DeviceTransition {
  bool allowed = false;
  DeviceState next = DeviceState::created;         ///< Where the device is afterwards; unchanged when refused.
  DomainError refusal = DomainError::wrong_state;  ///< Only when refused.
  friend constexpr bool operator==(const DeviceTransition&, const DeviceTransition&) noexcept = default;
};

[[nodiscard]] DeviceTransition next(DeviceState state, DeviceEvent event) noexcept;
/// Errors: the table's refusal.
[[nodiscard]] inline Result<void> permit(DeviceState state, DeviceEvent event) {
  const DeviceTransition transition = next(state, event);
  return transition.allowed ? Result<void>{} : Result<void>{transition.refusal};
}
/// The state that the present contact leads to, by the table. `was_connected`: it had a session at some time.
[[nodiscard]] DeviceState device_state(bool was_connected, Contact contact) noexcept;
[[nodiscard]] std::string_view device_state_name(DeviceState state) noexcept;  ///< "CREATED", ...
[[nodiscard]] std::string_view device_event_name(DeviceEvent event) noexcept;  ///< "login", ...
/// A Mermaid state diagram and a Markdown table, for docs/life-cycles.md.
[[nodiscard]] std::string device_life_cycle_markdown();

}  // namespace muster::domain
