// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <vector>

#include "agent/ports/sim/air.hpp"
#include "agent/ports/sim/air_radio.hpp"
#include "tests/sim/timeline.hpp"

namespace muster::sim {

/// The simulated air on the timeline: who shares it, and what the home networks are worth just now.
class Airspace {
 public:
  Airspace(Timeline& timeline, Trace& trace, std::uint64_t seed)
      : timeline_{timeline}, trace_{trace}, air_{agent::sim::real_air_times, seed} {}
  Airspace(const Airspace&) = delete;
  Airspace& operator=(const Airspace&) = delete;

  /// One radio's place. Destroyed, the radio is off the air, as when its power goes.
  class Place final : public agent::sim::AirPlace {
   public:
    explicit Place(Airspace& space) : space_{space}, id_{space.air_.add_radio()} { space_.places_[id_] = this; }
    ~Place() {
      space_.places_.erase(id_);
      space_.air_.remove_radio(id_, space_.timeline_.now_ms());
      space_.plan();
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    void attach(agent::sim::AirListener& listener) { listener_ = &listener; }
    /// It has no power any more: what it wants is for nobody, and it hears nothing.
    void mute() { mute_ = true; }
    void submit(const agent::sim::AirCommand& command) override {
      if (mute_) return;
      if (!space_.air_.apply(id_, command, space_.timeline_.now_ms())) space_.trace_.add("refused");
      space_.plan();
    }
    [[nodiscard]] agent::sim::RadioId id() const noexcept { return id_; }

   private:
    friend class Airspace;
    Airspace& space_;
    agent::sim::AirListener* listener_ = nullptr;
    agent::sim::RadioId id_;
    bool mute_ = false;
  };

  /// Of the home networks; what is joined to one that is absent now is lost.
  void set_homes(std::vector<agent::sim::HomeNetwork> homes) {
    air_.set_home_networks(std::move(homes), timeline_.now_ms());
    plan();
  }
  /// What the network that this radio is on is worth at this moment.
  [[nodiscard]] agent::sim::Uplink uplink(agent::sim::RadioId radio) const {
    const std::string ssid = air_.joined_to(radio);
    for (const auto& home : air_.home_networks()) {
      if (home.ssid != ssid || home.absent) continue;
      return home.dead             ? agent::sim::Uplink::dead
             : home.captive_portal ? agent::sim::Uplink::captive_portal
             : home.dns_dead       ? agent::sim::Uplink::dns_dead
                                   : agent::sim::Uplink::good;
    }
    return agent::sim::Uplink::none;
  }
  [[nodiscard]] bool is_open(agent::sim::RadioId radio) const { return air_.is_open(radio); }
  void set_lose_on_hop(bool lose) { air_.set_lose_on_hop(lose); }
  void lose_access_point(agent::sim::RadioId radio) {
    air_.lose_access_point(radio, timeline_.now_ms());
    plan();
  }

 private:
  void plan() {
    const Millis due = air_.next_deadline();
    if (due >= planned_) return;
    planned_ = due;
    timeline_.after(due > timeline_.now_ms() ? due - timeline_.now_ms() : 0, [this, due] {
      if (planned_ != due) return;
      planned_ = agent::never;
      agent::sim::AirEvent event;
      while (air_.next_event(timeline_.now_ms(), event)) {
        const auto place = places_.find(event.radio);
        if (place == places_.end() || place->second->mute_ || place->second->listener_ == nullptr) continue;
        trace_.add(timeline_.now_ms() << 16 | std::uint64_t{event.radio} << 8 | static_cast<std::uint64_t>(event.kind));
        place->second->listener_->on_air(event, timeline_.now_ms());
      }
      plan();
    });
  }

  Timeline& timeline_;
  Trace& trace_;
  agent::sim::Air air_;
  Millis planned_ = agent::never;
  std::map<agent::sim::RadioId, Place*> places_;
};

}  // namespace muster::sim
