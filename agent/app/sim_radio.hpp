// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/app/radio_set.hpp"
#include "agent/ports/linux/local_listener.hpp"
#include "agent/ports/sim/air_radio.hpp"
#include "agent/ports/sim/air_socket.hpp"

namespace muster::agent::app {

/// The air that separate programs share: set-up without a radio. The cloud is dialed over the machine's own network.
class SimRadio final : public RadioSet, private sim::RadioEvents {
 public:
  /// `page`: where a browser of this machine reaches the local interface while it is open, besides over the air.
  SimRadio(std::string path, const std::string& id, const std::optional<PageAddress>& page);

  [[nodiscard]] std::string start() override;
  void stop() override;
  [[nodiscard]] Radio& radio() override { return radio_; }
  [[nodiscard]] std::array<std::uint8_t, 6> mac() const override { return mac_; }
  void attach(Device& device, LocalServer& server) override;
  void fill(std::vector<pollfd>& waiting) const override;
  [[nodiscard]] Millis next_deadline(Millis now) const override { return air_.next_deadline(now); }
  void serve(const pollfd* ready, std::size_t count, Millis now) override;
  [[nodiscard]] std::optional<CloseReason> blocks(const Endpoint& endpoint) const override;
  [[nodiscard]] std::string take_trouble() override;

  [[nodiscard]] bool send(ConnectionId connection, wire::ByteView bytes) override;
  void close(ConnectionId connection) override;

 private:
  void on_opened(Millis now) override;
  void on_open_failed(Millis now) override { device_->on_open_failed(now); }
  void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis now) override { device_->on_scanned(networks, count, now); }
  void on_joined(const JoinedNetwork& network, Millis now) override { device_->on_joined(network, now); }
  void on_join_failed(JoinFailure failure, Millis now) override { device_->on_join_failed(failure, now); }
  void on_network_lost(Millis now) override { device_->on_network_lost(now); }
  void on_visitors(std::size_t count, Millis now) override { visitors().on_stations(count, now); }
  void on_stream_opened(std::uint32_t stream, Millis now) override;
  void on_stream_bytes(std::uint32_t stream, wire::ByteView bytes, Millis now) override { server_->on_bytes(stream, bytes, now); }
  void on_stream_closed(std::uint32_t stream, Millis now) override { server_->on_closed(stream, now); }

  sim::AirSocket air_;
  sim::AirRadio radio_;
  std::optional<linux_port::LocalListener> page_;
  std::array<std::uint8_t, 6> mac_{};
  Device* device_ = nullptr;
  LocalServer* server_ = nullptr;
  std::string page_problem_, told_trouble_;
};

}  // namespace muster::agent::app
