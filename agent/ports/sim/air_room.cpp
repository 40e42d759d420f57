// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/sim/air_room.hpp"

namespace muster::agent::sim {

AirRoom::Place::Place(AirRoom& room) : room_{room}, id_{room.air_.add_radio()} { room_.places_[id_] = this; }

AirRoom::Place::~Place() {
  room_.places_.erase(id_);
  room_.air_.remove_radio(id_, room_.network_.now());
  room_.pump();
}

void AirRoom::Place::submit(const AirCommand& command) {
  if (!room_.air_.apply(id_, command, room_.network_.now())) {
    room_.network_.note("air: refused");
  }
  // Never delivers from inside: the caller is inside its own work.
  if (room_.air_.next_deadline() < room_.planned_at_) {
    room_.planned_at_ = room_.air_.next_deadline();
    room_.network_.schedule(room_.planned_at_, [&room = room_] { room.pump(); });
  }
}

void AirRoom::pump() {
  planned_at_ = never;
  AirEvent event;
  while (air_.next_event(network_.now(), event)) {
    const auto place = places_.find(event.radio);
    if (place != places_.end() && place->second->listener_ != nullptr) {
      place->second->listener_->on_air(event, network_.now());
    }
  }
  const Millis next = air_.next_deadline();
  if (next < planned_at_) {
    planned_at_ = next;
    network_.schedule(next, [this] { pump(); });
  }
}

}  // namespace muster::agent::sim
