// SPDX-License-Identifier: Apache-2.0
#include "agent/app/nm_radio_set.hpp"

#include <utility>

#include "agent/ports/linux/local_listener.hpp"
#include "agent/ports/linux/nm_dbus.hpp"
#include "agent/ports/linux/nm_radio.hpp"

namespace muster::agent::app {
namespace {

linux_port::NmOptions options_for(const std::string& interface) {
  linux_port::NmOptions options;
  if (!interface.empty()) options.interface = interface;
  return options;
}

class NmRadioSet final : public RadioSet, private linux_port::RadioListener {
 public:
  NmRadioSet(const std::string& interface, bool portal, Clock& clock)
      : radio_{clock, machine_, client_, options_for(interface)}, local_{{.every_name = portal}} {}

  [[nodiscard]] std::string start() override { return radio_.start(); }
  void stop() override { radio_.stop(); }
  [[nodiscard]] Radio& radio() override { return radio_; }
  [[nodiscard]] std::array<std::uint8_t, 6> mac() const override { return radio_.mac(); }
  void attach(Device& device, LocalServer& server) override {
    device_ = &device;
    local_.attach(server);
  }
  void fill(std::vector<pollfd>& waiting) const override {
    radio_.fill(waiting);
    local_.fill(waiting);
  }
  [[nodiscard]] Millis next_deadline(Millis) const override { return radio_.next_deadline(); }
  void serve(const pollfd* ready, std::size_t count, Millis now) override {
    constexpr std::size_t of_radio = linux_port::NmRadio::descriptors;
    if (ready != nullptr && count >= of_radio) local_.serve(ready + of_radio, count - of_radio, now);
    radio_.serve(*this);
  }
  [[nodiscard]] std::string take_trouble() override {
    const std::string& problem = local_problem_.empty() ? radio_.last_problem() : local_problem_;
    if (problem == told_trouble_) return {};
    told_trouble_ = problem;
    return problem;
  }
  [[nodiscard]] bool send(ConnectionId connection, wire::ByteView bytes) override { return local_.send(connection, bytes); }
  void close(ConnectionId connection) override { local_.close(connection); }

 private:
  void on_opened(Millis now) override {
    local_problem_ = local_.open(radio_.ap_interface());
    if (local_problem_.empty())
      device_->on_opened(now);
    else
      device_->on_open_failed(now);
  }
  void on_open_failed(Millis now) override { device_->on_open_failed(now); }
  void on_visitors(std::size_t count, Millis now) override { visitors().on_stations(count, now); }
  void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis now) override { device_->on_scanned(networks, count, now); }
  void on_joined(const JoinedNetwork& network, Millis now) override { device_->on_joined(network, now); }
  void on_join_failed(JoinFailure failure, Millis now) override { device_->on_join_failed(failure, now); }
  void on_network_lost(Millis now) override { device_->on_network_lost(now); }

  linux_port::WpaMachine machine_;
  linux_port::NmDbus client_;
  linux_port::NmRadio radio_;
  linux_port::LocalListener local_;
  Device* device_ = nullptr;
  std::string local_problem_, told_trouble_;
};

}  // namespace

std::unique_ptr<RadioSet> make_nm_radio_set(const std::string& interface, bool portal, Clock& clock) {
  return std::make_unique<NmRadioSet>(interface, portal, clock);
}

}  // namespace muster::agent::app
