// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/core/device.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/provision_air.hpp"
#include "tests/sim/provision_flash.hpp"

namespace muster::sim {

/// What the cloud's address is worth to devices at the moment.
struct CloudRoad {
  bool port_closed = false;      ///< Nobody answers there.
  bool certificate_bad = false;  ///< Not trusted, expired, or of another name: the device cannot tell which.
};

/// A product that somebody bought: our real device (state machine, session, local web server) on the air, with a power plug and a button.
/// What it wrote outlives a power cut; all else does not.
class Appliance {
 public:
  struct Wiring {
    Timeline& timeline;
    Network& network;
    Airspace& air;
    Dice& dice;
    Trace& trace;
    const CloudRoad& road;
    Bug bug = Bug::none;
  };
  struct Facts {
    std::uint32_t number = 0;  ///< From 1: its address, its name, its uid.
    std::string_view template_id;
    std::string_view cloud_host;
  };
  /// Told of what the judge wants to know. Not from inside the device's own calls, unless said.
  class Witness {
   public:
    virtual ~Witness() = default;
    /// It dials with this token, and whether a record holds that. From inside.
    virtual void dialed(Appliance& appliance, std::string_view token, bool on_disk) = 0;
    virtual void online(Appliance& appliance, std::string_view token) = 0;
    virtual void gave_up(Appliance& appliance, std::uint16_t code) = 0;
    virtual void power_failed(Appliance& appliance) = 0;
    /// Its button made it forget everything. From inside.
    virtual void reset(Appliance& appliance) = 0;
  };

  Appliance(const Wiring& wiring, const Facts& facts, Witness& witness);
  ~Appliance();
  Appliance(const Appliance&) = delete;
  Appliance& operator=(const Appliance&) = delete;

  Flash flash;

  void switch_on();
  /// Also in the middle of its own work: it does nothing more.
  void switch_off();
  [[nodiscard]] bool on() const noexcept { return life_ != nullptr && !dying_; }
  /// Until then its clock shows 1970, so that no certificate is valid yet.
  Millis clock_wrong_until_ms = 0;

  void press_button(Millis held_ms);
  [[nodiscard]] std::uint32_t number() const noexcept { return facts_.number; }
  [[nodiscard]] std::uint32_t address() const noexcept { return 0x0A000000u + facts_.number; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& uid() const noexcept { return uid_; }
  [[nodiscard]] std::string_view template_id() const noexcept { return facts_.template_id; }
  /// Only while it is on.
  [[nodiscard]] agent::DeviceState state() const;
  [[nodiscard]] bool online() const;
  [[nodiscard]] bool open_for_setup() const;
  /// That it uses; empty: none.
  [[nodiscard]] std::string token() const;
  [[nodiscard]] agent::sim::RadioId radio() const;

 private:
  struct Life;
  /// Not when the power has failed meanwhile.
  void later(Millis delay_ms, std::function<void()> what);

  Wiring w_;
  Facts facts_;
  Witness& witness_;
  std::string suffix_, uid_, name_;
  std::unique_ptr<Life> life_;
  std::uint64_t lives_ = 0;
  bool dying_ = false;
};

}  // namespace muster::sim
