// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "agent/port/clock.hpp"
#include "agent/port/radio.hpp"

namespace muster::agent::linux_port {

/// Who hears what a radio has to tell: in a program the Device, see device_listener.hpp.
class RadioListener {
 public:
  virtual void on_opened(Millis now) = 0;
  virtual void on_open_failed(Millis now) = 0;
  virtual void on_visitors(std::size_t count, Millis now) = 0;
  virtual void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis now) = 0;
  virtual void on_joined(const JoinedNetwork& network, Millis now) = 0;
  virtual void on_join_failed(JoinFailure failure, Millis now) = 0;
  virtual void on_network_lost(Millis now) = 0;

 protected:
  ~RadioListener() = default;
};

}  // namespace muster::agent::linux_port
