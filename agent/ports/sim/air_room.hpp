// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "agent/ports/sim/air.hpp"
#include "agent/ports/sim/air_radio.hpp"
#include "agent/ports/sim/network.hpp"

namespace muster::agent::sim {

/// An air inside this process, in the virtual time of a Network.
class AirRoom {
 public:
  explicit AirRoom(Network& network, const AirTimes& times = real_air_times, std::uint64_t seed = 1)
      : network_{network}, air_{times, seed} {}
  AirRoom(const AirRoom&) = delete;
  AirRoom& operator=(const AirRoom&) = delete;

  /// One radio's place. Destroyed, the radio is off the air, as when its power goes.
  class Place final : public AirPlace {
   public:
    explicit Place(AirRoom& room);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    void attach(AirListener& listener) { listener_ = &listener; }
    void submit(const AirCommand& command) override;
    [[nodiscard]] RadioId id() const noexcept { return id_; }

   private:
    friend class AirRoom;
    AirRoom& room_;
    AirListener* listener_ = nullptr;
    RadioId id_;
  };

  /// After calling something on it from outside, pump().
  [[nodiscard]] Air& air() noexcept { return air_; }
  /// Delivers what is due and plans the next delivery.
  void pump();

 private:
  Network& network_;
  Air air_;
  Millis planned_at_ = never;
  std::map<RadioId, Place*> places_;
};

}  // namespace muster::agent::sim
