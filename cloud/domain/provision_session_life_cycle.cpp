// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/provision_session_life_cycle.hpp"

#include <array>

#include "cloud/domain/life_cycle_markdown.hpp"

namespace muster::domain {

namespace {

using enum ProvisionState;

/// A cell: where the event leads, or none when it is refused there.
using Cell = std::optional<ProvisionState>;
constexpr Cell no = std::nullopt;
using Row = std::array<Cell, provision_state_count>;

/// By event, then by state (ProvisionState begins at 1).
constexpr std::array<Row, provision_event_count> table = {{
    //                   TOKEN_ISSUED  DELIVERING  CONNECTED  ACTIVE  DONE  FAILED  CANCELED  EXPIRED  SUPERSEDED  REPROVISIONING  PROVING
    /* step_posted    */ {delivering, delivering, connected, active, done, failed, canceled, expired, superseded, reprovisioning, proving},
    /* login          */ {connected, connected, connected, active, done, no, no, no, no, reprovisioning, proving},
    /* info_accepted  */ {active, active, active, active, done, no, no, no, no, proving, proving},
    /* info_refused   */ {failed, failed, failed, no, no, no, no, no, no, reprovisioning, no},
    /* owner_gone     */ {failed, failed, failed, no, no, no, no, no, no, no, no},
    /* proved         */ {no, no, no, no, no, no, no, no, no, no, active},
    /* fell_back      */ {no, no, no, no, no, no, no, no, no, no, expired},
    /* finished       */ {no, no, no, done, done, no, no, no, no, no, no},
    /* canceled       */ {canceled, canceled, canceled, no, no, no, no, no, no, canceled, no},
    /* expired        */ {expired, expired, expired, done, no, no, no, no, no, expired, no},
    /* superseded     */ {superseded, superseded, superseded, no, no, no, no, no, no, superseded, superseded},
    /* device_removed */ {no, no, no, done, no, no, no, no, no, canceled, canceled},
    /* given_up       */ {failed, failed, failed, no, no, no, no, no, no, failed, no},
}};

constexpr std::array<std::string_view, provision_state_count> state_names = {"TOKEN_ISSUED", "DELIVERING",     "CONNECTED", "ACTIVE",
                                                                             "DONE",         "FAILED",         "CANCELED",  "EXPIRED",
                                                                             "SUPERSEDED",   "REPROVISIONING", "PROVING"};
constexpr std::array<std::string_view, provision_event_count> event_names = {
    "step_posted", "login",    "info_accepted", "info_refused", "owner_gone",     "proved",  "fell_back",
    "finished",    "canceled", "expired",       "superseded",   "device_removed", "given_up"};

constexpr std::size_t index_of(ProvisionState state) noexcept { return static_cast<std::size_t>(state) - 1; }

}  // namespace

ProvisionTransition next(ProvisionState state, ProvisionEvent event) noexcept {
  const Cell& cell = table[static_cast<std::size_t>(event)][index_of(state)];
  return cell ? ProvisionTransition{true, *cell} : ProvisionTransition{false, state, DomainError::wrong_state};
}

std::string_view provision_state_name(ProvisionState state) noexcept { return state_names[index_of(state)]; }
std::string_view provision_event_name(ProvisionEvent event) noexcept { return event_names[static_cast<std::size_t>(event)]; }

std::optional<ProvisionState> parse_provision_state(std::string_view name) noexcept {
  for (std::size_t index = 0; index < provision_state_count; ++index) {
    if (state_names[index] == name) return static_cast<ProvisionState>(index + 1);
  }
  return std::nullopt;
}

std::string provision_session_life_cycle_markdown() {
  return life_cycle_markdown(
      provision_state_count, provision_event_count, [](std::size_t state) { return state_names[state]; },
      [](std::size_t event) { return event_names[event]; }, {index_of(token_issued), index_of(reprovisioning)}, index_of(done),
      [](std::size_t state, std::size_t event) {
        const Cell& cell = table[event][state];
        return cell ? index_of(*cell) : provision_state_count;
      });
}

}  // namespace muster::domain
