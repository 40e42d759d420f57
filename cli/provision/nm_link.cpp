// SPDX-License-Identifier: Apache-2.0
#include "cli/provision/nm_link.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/ports/linux/nm_dbus.hpp"
#include "agent/ports/linux/wpa_system.hpp"
#include "cli/provision/device_socket.hpp"
#include "provisioner/radios/nm_host_radio.hpp"

namespace muster::cli {

namespace {

constexpr const char* usual_interface = "wlan0";
constexpr const char* device_address = "192.168.4.1";
constexpr const char* device_port = "80";

class NmLink final : public HostLink {
 public:
  NmLink(const std::string& interface, agent::Clock& clock)
      : radio_{clock, machine_, client_, interface}, device_{device_address, device_port, interface} {}

  [[nodiscard]] Outcome<void> start() override {
    if (const std::string why = radio_.start(); !why.empty()) return failed(why);
    return {};
  }
  [[nodiscard]] std::unique_ptr<provisioner::Provisioner> make_provisioner(provisioner::CloudApi& cloud, provisioner::Front& front,
                                                                           provisioner::Options options) override {
    auto made = std::make_unique<provisioner::Provisioner>(&radio_, device_, cloud, front, std::move(options));
    provisioner_ = made.get();
    listener_.emplace(*made);
    radio_.attach(*listener_);
    device_.attach(*made);
    return made;
  }
  void fill(std::vector<pollfd>& waiting) const override {
    waiting.push_back(device_.wanted());
    radio_.fill(waiting);
  }
  [[nodiscard]] agent::Millis next_deadline(agent::Millis now) const override {
    return std::min(device_.next_deadline(now), radio_.next_deadline());
  }
  void serve(const pollfd* ready, std::size_t, agent::Millis now) override {
    device_.serve(ready[0].revents, now);
    radio_.serve();
    if (radio_.is_lost()) provisioner_->on_radio_unusable(radio_.last_problem(), now);
  }

 private:
  agent::linux_port::WpaMachine machine_;
  agent::linux_port::NmDbus client_;
  provisioner::NmHostRadio radio_;
  DeviceSocket device_;
  provisioner::Provisioner* provisioner_ = nullptr;
  std::optional<provisioner::ProvisionerListener> listener_;
};

}  // namespace

Outcome<std::unique_ptr<HostLink>> make_nm_link(const std::string& interface, agent::Clock& clock) {
  return Outcome<std::unique_ptr<HostLink>>{std::make_unique<NmLink>(interface.empty() ? usual_interface : interface, clock)};
}

}  // namespace muster::cli
