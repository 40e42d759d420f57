// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/core/device.hpp"
#include "agent/ports/linux/radio_listener.hpp"

namespace muster::agent::linux_port {

/// Passes what a radio tells on to the Device that drives it.
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
