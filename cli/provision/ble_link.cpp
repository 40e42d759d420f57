// SPDX-License-Identifier: Apache-2.0
#include "cli/provision/ble_link.hpp"

#include <optional>
#include <utility>

#include "agent/ports/linux/ble_bus.hpp"
#include "cli/terminal.hpp"
#include "provisioner/ble_dialect.hpp"
#include "provisioner/radios/ble_radio.hpp"

namespace muster::cli {

namespace {

class BleHostLink final : public HostLink {
 public:
  explicit BleHostLink(const std::string& adapter) : radio_{adapter} {}

  [[nodiscard]] Outcome<void> start() override {
    if (const std::string why = radio_.start(); !why.empty()) return failed(why);
    return {};
  }
  [[nodiscard]] std::unique_ptr<provisioner::Provisioner> make_provisioner(provisioner::CloudApi& cloud, provisioner::Front& front,
                                                                           provisioner::Options options) override {
    options.prefix.clear();  // Devices are known by the service that they offer.
    options.times.scan_again_ms = 300;
    auto made = std::make_unique<provisioner::Provisioner>(&radio_, dialect_, cloud, front, std::move(options));
    provisioner_ = made.get();
    listener_.emplace(*made);
    dialect_.attach(*made);
    radio_.attach(*listener_, dialect_);
    return made;
  }
  void fill(std::vector<pollfd>& waiting) const override { radio_.fill(waiting); }
  [[nodiscard]] agent::Millis next_deadline(agent::Millis now) const override { return radio_.next_deadline(now); }
  void serve(const pollfd*, std::size_t, agent::Millis now) override {
    radio_.serve(now);
    if (radio_.is_lost()) provisioner_->on_radio_unusable(radio_.last_problem(), now);
  }

 private:
  provisioner::BleRadio radio_;
  provisioner::BleDialect dialect_{radio_};
  provisioner::Provisioner* provisioner_ = nullptr;
  std::optional<provisioner::ProvisionerListener> listener_;
};

}  // namespace

Outcome<std::unique_ptr<HostLink>> make_ble_link(const std::string& adapter) {
  const std::string name = adapter.empty() ? "hci0" : adapter;
  if (!agent::linux_port::is_ble_adapter(name))
    return usage("A Bluetooth adapter has a name such as hci0, not \"" + printable(name) + "\".");
  return Outcome<std::unique_ptr<HostLink>>{std::make_unique<BleHostLink>(name)};
}

}  // namespace muster::cli
