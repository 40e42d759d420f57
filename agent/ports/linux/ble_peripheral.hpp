// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/clock.hpp"

namespace muster::agent::linux_port {

/// What the peripheral has to tell. Called from serve() only.
class BleListener {
 public:
  virtual void on_ble_client(bool connected, Millis now) = 0;
  virtual void on_ble_message(std::string_view text, Millis now) = 0;

 protected:
  ~BleListener() = default;
};

/// A device's Bluetooth side by BlueZ over D-Bus: while it is open it advertises the set-up service and takes messages from one app at a time.
/// One write is one message, one indication (or notification, as the app has subscribed) is one message. There is no pairing: every app may
/// write. bluetoothd may come, go and come back. Facts: docs/protocol/provisioning.md sections 3.1 and 3.2.
///
/// BlueZ puts the name into the scan response, the service's UUID into the advertisement, and advertises again after a disconnect by itself.
class BlePeripheral final {
 public:
  static constexpr std::size_t messages_max = 16;  ///< That were written and not handled yet; above, a write is refused.
  static constexpr Millis again_ms = 5'000;        ///< Between tries to register with bluetoothd.

  explicit BlePeripheral(std::string adapter);
  ~BlePeripheral();
  BlePeripheral(const BlePeripheral&) = delete;
  BlePeripheral& operator=(const BlePeripheral&) = delete;

  /// Empty when all is there. Else a sentence; when it is only bluetoothd or the adapter that is missing, they are waited for.
  [[nodiscard]] std::string start();
  void attach(BleListener& listener);

  /// Both may be called from anywhere; they take effect in serve(). `name` is advertised whole, at most 29 bytes.
  void open(std::string_view name);
  void shut();
  /// One message to the app that is connected.
  void send(std::string_view text);

  void fill(std::vector<pollfd>& waiting) const;
  [[nodiscard]] Millis next_deadline(Millis now) const;
  void serve(Millis now);
  /// Empty: all is well.
  [[nodiscard]] const std::string& trouble() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::agent::linux_port
