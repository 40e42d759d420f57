// SPDX-License-Identifier: Apache-2.0
#include "agent/app/ble_set.hpp"

#include <optional>

#include "agent/core/inject_server.hpp"
#include "agent/ports/linux/ble_peripheral.hpp"

namespace muster::agent::app {
namespace {

class BluezSet final : public BleSet, public InjectServer::Sink, private Observer, private linux_port::BleListener {
 public:
  explicit BluezSet(const std::string& adapter) : peripheral_{adapter} { peripheral_.attach(*this); }
  ~BluezSet() override {
    if (device_ != nullptr) device_->remove_observer(*this);
  }
  BluezSet(const BluezSet&) = delete;
  BluezSet& operator=(const BluezSet&) = delete;

  [[nodiscard]] std::string start() override {
    told_trouble_ = peripheral_.start();
    return told_trouble_;
  }
  void attach(Device& device, Visitors& visitors) override {
    device_ = &device;
    visitors_ = &visitors;
    device.add_observer(*this);
    inject_.emplace(device, *this);
  }
  void fill(std::vector<pollfd>& waiting) const override { peripheral_.fill(waiting); }
  [[nodiscard]] Millis next_deadline(Millis now) const override { return peripheral_.next_deadline(now); }
  void serve(Millis now) override { peripheral_.serve(now); }
  [[nodiscard]] std::string take_trouble() override {
    if (peripheral_.trouble() == told_trouble_) return {};
    told_trouble_ = peripheral_.trouble();
    return told_trouble_;
  }
  void send(std::string_view text) override { peripheral_.send(text); }

 private:
  void on_step(const Step& step, Millis) override {
    if (step.kind == StepKind::setup_opened) {
      visitors_->clear();
      peripheral_.open(device_->name());
    }
    if (step.kind == StepKind::setup_closed) peripheral_.shut();
  }
  void on_ble_client(bool connected, Millis now) override {
    inject_->on_client(connected, now);
    visitors_->on_apps(connected ? 1 : 0, now);
  }
  void on_ble_message(std::string_view text, Millis now) override { inject_->on_message(text, now); }

  linux_port::BlePeripheral peripheral_;
  std::optional<InjectServer> inject_;
  Device* device_ = nullptr;
  Visitors* visitors_ = nullptr;
  std::string told_trouble_;
};

}  // namespace

std::unique_ptr<BleSet> make_ble_set(const std::string& adapter) { return std::make_unique<BluezSet>(adapter); }

}  // namespace muster::agent::app
