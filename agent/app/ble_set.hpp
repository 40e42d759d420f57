// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/app/visitors.hpp"
#include "agent/core/device.hpp"

namespace muster::agent::app {

/// Set-up over Bluetooth beside the radio: open while the device waits for settings, with or without an access point, and until the app that
/// gave them has heard how it went. The program's loop waits for its descriptors and deadline, then calls serve(). One thread.
class BleSet {
 public:
  virtual ~BleSet() = default;

  /// Empty, or a sentence that says what is missing. Then the device goes on without; what can come later is waited for.
  [[nodiscard]] virtual std::string start() = 0;
  /// Before the device is started.
  virtual void attach(Device& device, Visitors& visitors) = 0;
  virtual void fill(std::vector<pollfd>& waiting) const = 0;
  [[nodiscard]] virtual Millis next_deadline(Millis now) const = 0;
  virtual void serve(Millis now) = 0;
  /// What a person should know about it now; empty: nothing new.
  [[nodiscard]] virtual std::string take_trouble() = 0;
};

/// `adapter`: hci0 and the like. nullptr: this program was built without D-Bus.
[[nodiscard]] std::unique_ptr<BleSet> make_ble_set(const std::string& adapter);

}  // namespace muster::agent::app
