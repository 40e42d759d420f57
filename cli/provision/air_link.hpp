// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/ports/sim/air_socket.hpp"
#include "cli/provision/host_link.hpp"
#include "provisioner/radios/air_radio.hpp"

namespace muster::cli {

/// `--radio sim[:PATH]`: the simulated air of this machine's agents.
class AirLink final : public HostLink {
 public:
  /// `path` empty: the default one.
  explicit AirLink(const std::string& path);

  [[nodiscard]] bool ready() const override { return air_.state() == agent::sim::AirSocket::State::connected; }
  [[nodiscard]] std::string trouble() const override;
  [[nodiscard]] std::unique_ptr<provisioner::Provisioner> make_provisioner(provisioner::CloudApi& cloud, provisioner::Front& front,
                                                                           provisioner::Options options) override;
  void fill(std::vector<pollfd>& waiting) const override;
  [[nodiscard]] agent::Millis next_deadline(agent::Millis now) const override { return air_.next_deadline(now); }
  void serve(const pollfd* ready, std::size_t count, agent::Millis now) override;
  void finish(agent::Millis now) override { air_.serve(nullptr, 0, now); }

 private:
  std::string path_;
  agent::sim::AirSocket air_;
  provisioner::AirHostRadio radio_;
};

}  // namespace muster::cli
