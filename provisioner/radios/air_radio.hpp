// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "agent/ports/sim/air_radio.hpp"
#include "provisioner/http_answer.hpp"
#include "provisioner/ports.hpp"
#include "provisioner/provisioner.hpp"

namespace muster::provisioner {

/// `--radio sim`: the host's Wi-Fi and the way to the device on a simulated air (in this process or behind a socket). The cloud stays
/// reachable. attach() before the first call; the place has to call on_air().
class AirHostRadio final : public HostRadio, public DeviceHttp, public agent::sim::AirListener {
 public:
  explicit AirHostRadio(agent::sim::AirPlace& place) : place_{place} {}
  void attach(Provisioner& provisioner) { provisioner_ = &provisioner; }

  [[nodiscard]] bool keeps_internet() const override { return true; }
  void scan() override;
  void join_open(std::string_view ssid, std::uint16_t channel) override;
  void leave() override;
  void restore() override;
  void get(const std::string& target) override;
  void cancel() override;

  void on_air(const agent::sim::AirEvent& event, agent::Millis now) override;
  /// restore() has nothing to put back here; its answer comes from this, to be called after each turn of the loop. True: it came.
  bool serve(agent::Millis now);

 private:
  void submit(agent::sim::AirCommand::Kind kind);

  agent::sim::AirPlace& place_;
  Provisioner* provisioner_ = nullptr;
  HttpAnswerReader reader_;
  std::string request_;
  std::uint32_t stream_ = 0, last_stream_ = 0;  ///< 0: no request.
  bool restoring_ = false;
};

}  // namespace muster::provisioner
