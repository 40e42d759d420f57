// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "agent/app/radio_set.hpp"
#include "agent/ports/linux/local_listener.hpp"
#include "agent/ports/linux/wpa_radio.hpp"

namespace muster::agent::app {

/// A Wi-Fi card by wpa_supplicant, with the web server and name service on its access point.
class WpaRadioSet final : public RadioSet, private linux_port::RadioListener {
 public:
  /// `interface` empty: the default one.
  WpaRadioSet(const std::string& interface, bool portal, Clock& clock, RandomSource& random);

  [[nodiscard]] std::string start() override { return radio_.start(); }
  void stop() override { radio_.stop(); }
  [[nodiscard]] Radio& radio() override { return radio_; }
  [[nodiscard]] std::array<std::uint8_t, 6> mac() const override { return std::to_array(radio_.mac()); }
  void attach(Device& device, LocalServer& server) override;
  void fill(std::vector<pollfd>& waiting) const override;
  [[nodiscard]] Millis next_deadline(Millis) const override { return radio_.next_deadline(); }
  void serve(const pollfd* ready, std::size_t count, Millis now) override;
  [[nodiscard]] std::string take_trouble() override;

  [[nodiscard]] bool send(ConnectionId connection, wire::ByteView bytes) override { return local_.send(connection, bytes); }
  void close(ConnectionId connection) override { local_.close(connection); }

 private:
  void on_opened(Millis now) override;
  void on_open_failed(Millis now) override { device_->on_open_failed(now); }
  void on_visitors(std::size_t count, Millis now) override { visitors().on_stations(count, now); }
  void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis now) override { device_->on_scanned(networks, count, now); }
  void on_joined(const JoinedNetwork& network, Millis now) override { device_->on_joined(network, now); }
  void on_join_failed(JoinFailure failure, Millis now) override { device_->on_join_failed(failure, now); }
  void on_network_lost(Millis now) override { device_->on_network_lost(now); }

  linux_port::WpaMachine machine_;
  linux_port::WpaRadio radio_;
  linux_port::LocalListener local_;
  Device* device_ = nullptr;
  std::string local_problem_, told_trouble_;
};

}  // namespace muster::agent::app
