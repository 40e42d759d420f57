// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/clock.hpp"
#include "provisioner/ble_dialect.hpp"
#include "provisioner/ports.hpp"
#include "provisioner/radios/wpa_host_radio.hpp"

namespace muster::provisioner {

/// `--radio ble[:ADAPTER]`: devices over Bluetooth LE by BlueZ. A device found is one that offers the set-up service; its name stands in the
/// place of an access point's. To join is to connect and to subscribe. What was changed on this computer (the adapter's power, the device that
/// bluetoothd got to know) is put back by restore(). Its networks and the way to the cloud are not touched.
///
/// attach() before the first call; the loop waits for what fill() and next_deadline() say and calls serve(), where all answers come from.
class BleRadio final : public HostRadio, public BleLink {
 public:
  /// One look lasts so many windows at most, and ends one window after the first device was found: some controllers tell of a device once
  /// for each beginning of a scan, so a scan is begun again and again.
  static constexpr unsigned windows_max = 8;
  static constexpr agent::Millis window_ms = 1'000;
  static constexpr agent::Millis join_timeout_ms = 24'000;
  static constexpr unsigned connects_max = 3;  ///< A first try often ends at once.

  /// `window`: for tests.
  explicit BleRadio(std::string adapter, agent::Millis window = window_ms);
  ~BleRadio();
  BleRadio(const BleRadio&) = delete;
  BleRadio& operator=(const BleRadio&) = delete;

  /// Empty when it worked, else a sentence for people; then nothing was touched. Turns the adapter on.
  [[nodiscard]] std::string start();
  void attach(HostListener& listener, BleDialect& dialect);

  [[nodiscard]] bool keeps_internet() const override { return true; }
  [[nodiscard]] bool borrows_wifi() const override { return false; }
  void scan() override;
  void join_open(std::string_view name, std::uint16_t channel) override;
  void leave() override;
  void restore() override;
  void write(std::string_view message) override;
  [[nodiscard]] std::size_t message_size_max_bytes() const override;

  void fill(std::vector<pollfd>& waiting) const;
  [[nodiscard]] agent::Millis next_deadline(agent::Millis now) const;
  void serve(agent::Millis now);
  /// bluetoothd or the bus has gone: nothing more will come.
  [[nodiscard]] bool is_lost() const noexcept;
  [[nodiscard]] const std::string& last_problem() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::provisioner
