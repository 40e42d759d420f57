// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/ports/linux/wpa_system.hpp"
#include "cli/provision/device_socket.hpp"
#include "cli/provision/host_link.hpp"
#include "provisioner/radios/wpa_host_radio.hpp"

namespace muster::cli {

/// `--radio wpa[:INTERFACE]`: a Wi-Fi card of this computer by wpa_supplicant, borrowed for the set-up and put back. Needs root.
class WpaLink final : public HostLink {
 public:
  /// `interface` empty: the default one.
  WpaLink(const std::string& interface, agent::Clock& clock, agent::RandomSource& random);

  [[nodiscard]] Outcome<void> start() override;
  [[nodiscard]] std::unique_ptr<provisioner::Provisioner> make_provisioner(provisioner::CloudApi& cloud, provisioner::Front& front,
                                                                           provisioner::Options options) override;
  void fill(std::vector<pollfd>& waiting) const override;
  [[nodiscard]] agent::Millis next_deadline(agent::Millis now) const override;
  void serve(const pollfd* ready, std::size_t count, agent::Millis now) override;

 private:
  agent::linux_port::WpaOptions options_;
  agent::linux_port::WpaMachine machine_;
  provisioner::WpaHostRadio radio_;
  DeviceSocket device_;
  provisioner::Provisioner* provisioner_ = nullptr;
  std::optional<provisioner::ProvisionerListener> listener_;
};

}  // namespace muster::cli
