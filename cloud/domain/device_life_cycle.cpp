// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/device_life_cycle.hpp"

#include "cloud/domain/life_cycle_markdown.hpp"

namespace muster::domain {

namespace {

constexpr DeviceTransition to(DeviceState state) noexcept { return {true, state, DomainError::wrong_state}; }
/// Refused: nothing of the kind can happen to a device in this state.
constexpr DeviceTransition no(DeviceState state, DomainError why = DomainError::wrong_state) noexcept { return {false, state, why}; }

using Row = std::array<DeviceTransition, device_state_count>;

constexpr auto created = DeviceState::created, online = DeviceState::online, offline = DeviceState::offline, deleted = DeviceState::deleted;
constexpr auto gone = no(deleted, DomainError::not_found);

/// By event, then by state.
constexpr std::array<Row, device_event_count> table = {{
    //                 CREATED       ONLINE        OFFLINE       DELETED
    /* login          */ {to(online), to(online), to(online), gone},
    /* report         */ {to(online), to(online), to(online), gone},
    /* session_ended  */ {no(created), to(online), no(offline), gone},
    /* wait_passed    */ {no(created), to(offline), no(offline), gone},
    /* server_started */ {to(created), to(online), to(offline), to(deleted)},
    /* rename         */ {to(created), to(online), to(offline), gone},
    /* transfer       */ {to(created), to(online), to(offline), gone},
    /* remove_owner   */ {to(created), to(online), to(offline), gone},
    /* erase_data     */ {to(created), to(online), to(offline), gone},
    /* replace_token  */ {to(created), to(online), to(offline), gone},
    /* remove         */ {to(deleted), to(deleted), to(deleted), gone},
}};

constexpr std::array<std::string_view, device_state_count> state_names = {"CREATED", "ONLINE", "OFFLINE", "DELETED"};
constexpr std::array<std::string_view, device_event_count> event_names = {
    "login",    "report",       "session_ended", "wait_passed",   "server_started", "rename",
    "transfer", "remove_owner", "erase_data",    "replace_token", "remove"};

}  // namespace

DeviceTransition next(DeviceState state, DeviceEvent event) noexcept {
  return table[static_cast<std::size_t>(event)][static_cast<std::size_t>(state)];
}

DeviceState device_state(bool was_connected, Contact contact) noexcept {
  if (!was_connected && contact == Contact::none) return DeviceState::created;
  const DeviceState connected = next(DeviceState::created, DeviceEvent::login).next;
  if (contact == Contact::connected) return connected;
  const DeviceState waiting = next(connected, DeviceEvent::session_ended).next;
  return contact == Contact::waiting ? waiting : next(waiting, DeviceEvent::wait_passed).next;
}

std::string_view device_state_name(DeviceState state) noexcept { return state_names[static_cast<std::size_t>(state)]; }
std::string_view device_event_name(DeviceEvent event) noexcept { return event_names[static_cast<std::size_t>(event)]; }

std::string device_life_cycle_markdown() {
  return life_cycle_markdown(
      device_state_count, device_event_count, [](std::size_t state) { return state_names[state]; },
      [](std::size_t event) { return event_names[event]; }, {static_cast<std::size_t>(created)}, static_cast<std::size_t>(deleted),
      [](std::size_t state, std::size_t event) {
        const auto& transition = table[event][state];
        return transition.allowed ? static_cast<std::size_t>(transition.next) : device_state_count;
      });
}

}  // namespace muster::domain
