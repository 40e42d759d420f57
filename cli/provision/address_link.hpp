// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/provision/device_socket.hpp"
#include "cli/provision/host_link.hpp"

namespace muster::cli {

struct DeviceAddress {
  std::string host, port;
};
/// http://HOST[:PORT][/...]; the port is 80 when there is none. Errors: exit_usage.
[[nodiscard]] Outcome<DeviceAddress> parse_device_url(std::string url);

/// `--device-url`: the computer is on the device's network already; its own networks are left alone.
class AddressLink final : public HostLink {
 public:
  AddressLink(std::string host, std::string port) : device_{std::move(host), std::move(port)} {}

  [[nodiscard]] std::unique_ptr<provisioner::Provisioner> make_provisioner(provisioner::CloudApi& cloud, provisioner::Front& front,
                                                                           provisioner::Options options) override;
  void fill(std::vector<pollfd>& waiting) const override { waiting.push_back(device_.wanted()); }
  [[nodiscard]] agent::Millis next_deadline(agent::Millis now) const override { return device_.next_deadline(now); }
  void serve(const pollfd* ready, std::size_t, agent::Millis now) override { device_.serve(ready[0].revents, now); }

 private:
  DeviceSocket device_;
};

}  // namespace muster::cli
