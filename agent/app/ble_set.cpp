// SPDX-License-Identifier: Apache-2.0
#include "agent/app/ble_set.hpp"

#include <algorithm>
#include <optional>
#include <utility>

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
  [[nodiscard]] Millis next_deadline(Millis now) const override {
    const Millis own = is_wanted() == open_ ? never : open_ && shut_due_ != never ? shut_due_ : now;
    return std::min(own, peripheral_.next_deadline(now));
  }
  void serve(Millis now) override {
    open_or_shut(now);
    peripheral_.serve(now);
  }
  [[nodiscard]] std::string take_trouble() override {
    if (peripheral_.trouble() == told_trouble_) return {};
    told_trouble_ = peripheral_.trouble();
    return told_trouble_;
  }
  void send(std::string_view text) override { peripheral_.send(text); }

 private:
  /// Wherever the device takes settings, also when its access point cannot be opened; and an app that waits for the result keeps its link.
  [[nodiscard]] bool is_wanted() const {
    const DeviceState state = device_->state();
    const bool waits = state == DeviceState::wait_config || state == DeviceState::configuring;
    return waits || device_->open_for_setup() || (app_ && device_->outcome() == Outcome::trying);
  }
  void open_or_shut(Millis now) {
    if (is_wanted()) {
      shut_due_ = never;
      if (!std::exchange(open_, true)) peripheral_.open(device_->name());
      return;
    }
    if (!open_) return;
    if (shut_due_ == never) shut_due_ = now + last_words_ms;
    if (now < shut_due_) return;
    open_ = false;
    shut_due_ = never;
    peripheral_.shut();
  }
  void on_step(const Step& step, Millis) override {
    if (step.kind == StepKind::setup_opened) visitors_->clear_stations();
  }
  void on_ble_client(bool connected, Millis now) override {
    app_ = connected;
    inject_->on_client(connected, now);
    visitors_->on_apps(connected ? 1 : 0, now);
  }
  void on_ble_message(std::string_view text, Millis now) override { inject_->on_message(text, now); }

  static constexpr Millis last_words_ms = 1'000;  ///< So that the result still gets through.

  linux_port::BlePeripheral peripheral_;
  std::optional<InjectServer> inject_;
  Millis shut_due_ = never;
  bool open_ = false, app_ = false;
  Device* device_ = nullptr;
  Visitors* visitors_ = nullptr;
  std::string told_trouble_;
};

}  // namespace

std::unique_ptr<BleSet> make_ble_set(const std::string& adapter) { return std::make_unique<BluezSet>(adapter); }

}  // namespace muster::agent::app
