// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/clock.hpp"
#include "provisioner/ports.hpp"
#include "wire/inject.hpp"

namespace muster::provisioner {

/// Devices over Bluetooth: a question is one message or several, each a JSON object, and so are the answers; what becomes of the settings
/// comes unasked. Stock devices of the second generation, the ESP-IDF component and our own agent. Messages and time in, calls on the link and
/// the listener out. The device is not trusted: any bytes may come, at any time. Facts: docs/protocol/provisioning.md section 3.
class BleDialect final : public DeviceDialect {
 public:
  /// Of a `set`. Stock devices have small rooms, so the settings go in several messages.
  static constexpr std::size_t set_size_max_bytes = 128;
  /// A list whose end was lost counts as whole when nothing more has come for so long.
  static constexpr agent::Millis quiet_ms = 3'000;

  BleDialect(BleLink& link) : link_{link} {}
  BleDialect(const BleDialect&) = delete;
  BleDialect& operator=(const BleDialect&) = delete;
  ~BleDialect() { cancel(); }
  void attach(DeviceListener& listener) { listener_ = &listener; }

  void ask_info() override;  ///< `info`, then `ifs`.
  void ask_networks() override;
  void forget_networks() override;
  /// After a failure at the cloud the device is told first to forget the network that it is on, because it would not try another one.
  void send_settings(const DeviceSettings& settings) override;
  void cancel() override;

  // From the link.
  void on_linked();  ///< A new link: nothing of before holds.
  void on_message(std::string_view text, agent::Millis now);
  void on_write_failed(agent::Millis now);
  void on_timer(agent::Millis now);
  [[nodiscard]] agent::Millis next_deadline() const noexcept { return quiet_due_; }

 private:
  enum class Wait : std::uint8_t { nothing, info, interfaces, networks, forgotten, forgotten_first, set_taken, connecting };

  void ask(Wait wait, wire::InjectType type);
  void write(wire::InjectType type);
  void put_field(std::string_view key, std::string_view value, bool is_number = false);
  void send_next();
  void forget_settings();
  void take_info(const wire::InjectMessage& message, agent::Millis now);
  void take_interface(const wire::InjectMessage& message, agent::Millis now);
  void take_network(const wire::InjectMessage& message, agent::Millis now);
  void take_set_answer(const wire::InjectMessage& message, agent::Millis now);
  void take_failure(const wire::InjectMessage& message, agent::Millis now);
  void take_error(const wire::InjectMessage& message, agent::Millis now);
  void end_interfaces(agent::Millis now);
  void end_networks(agent::Millis now);
  void answer_settings(bool taken, std::string_view message, agent::Millis now);
  void progress(DeviceProgress progress, std::string_view detail, agent::Millis now);

  BleLink& link_;
  DeviceListener* listener_ = nullptr;
  Wait wait_ = Wait::nothing;
  DeviceInfo info_;
  bool interface_seen_ = false, wifi_seen_ = false, interfaces_known_ = false;
  std::vector<SeenNetwork> networks_;
  std::deque<std::string> messages_;  ///< Settings still to be sent, then `connect`. Holds secrets.
  bool optional_sent_ = false;        ///< The last `set` was one that a device need not know.
  bool cloud_failed_ = false;
  agent::Millis quiet_due_ = agent::never;
};

}  // namespace muster::provisioner
