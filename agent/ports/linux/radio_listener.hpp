// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "agent/core/device.hpp"
#include "agent/port/radio.hpp"

namespace muster::agent::linux_port {

/// Who hears what a radio has to tell: in a program the Device, see DeviceListener.
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

class DeviceListener final : public RadioListener {
 public:
  explicit DeviceListener(Device& device) : device_{device} {}
  void on_opened(Millis now) override { device_.on_opened(now); }
  void on_open_failed(Millis now) override { device_.on_open_failed(now); }
  void on_visitors(std::size_t count, Millis now) override { device_.on_visitors(count, now); }
  void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis now) override { device_.on_scanned(networks, count, now); }
  void on_joined(const JoinedNetwork& network, Millis now) override { device_.on_joined(network, now); }
  void on_join_failed(JoinFailure failure, Millis now) override { device_.on_join_failed(failure, now); }
  void on_network_lost(Millis now) override { device_.on_network_lost(now); }

 private:
  Device& device_;
};

}  // namespace muster::agent::linux_port
