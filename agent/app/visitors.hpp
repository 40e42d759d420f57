// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "agent/core/device.hpp"

namespace muster::agent::app {

/// Who is at the device to set it up: stations on its access point and apps that came another way, counted together for the device.
class Visitors {
 public:
  void attach(Device& device) { device_ = &device; }
  void on_stations(std::size_t count, Millis now) {
    stations_ = count;
    tell(now);
  }
  void on_apps(std::size_t count, Millis now) {
    apps_ = count;
    tell(now);
  }
  /// The access point opens anew: nobody is on it. Apps have come another way and stay.
  void clear_stations() { stations_ = 0; }

 private:
  void tell(Millis now) {
    if (device_ != nullptr) device_->on_visitors(stations_ + apps_, now);
  }

  Device* device_ = nullptr;
  std::size_t stations_ = 0, apps_ = 0;
};

}  // namespace muster::agent::app
