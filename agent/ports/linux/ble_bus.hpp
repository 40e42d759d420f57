// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/port/clock.hpp"

namespace sdbus {
class IConnection;
class Message;
}  // namespace sdbus

namespace muster::agent::linux_port {

/// A connection to the system's D-Bus in a poll loop, without a thread of its own: what has come is handled by serve(), where all callbacks
/// run. BlueZ (bluetoothd) is reached over it.
class BleBus final {
 public:
  static constexpr const char* service = "org.bluez";

  BleBus() noexcept;
  ~BleBus();
  BleBus(const BleBus&) = delete;
  BleBus& operator=(const BleBus&) = delete;

  /// Empty when it worked, else a sentence for people.
  [[nodiscard]] std::string open();
  void close() noexcept;
  /// nullptr: not open, or it has gone.
  [[nodiscard]] sdbus::IConnection* connection() const noexcept { return connection_.get(); }

  /// Calls `handler` with each message that the rule matches, for as long as the bus is open. The handler may throw.
  [[nodiscard]] bool watch(const std::string& rule, std::function<void(sdbus::Message&)> handler);

  void fill(std::vector<pollfd>& waiting) const;
  [[nodiscard]] Millis next_deadline(Millis now) const;
  /// Handles what has come. False: the bus has gone just now.
  [[nodiscard]] bool serve();

 private:
  std::unique_ptr<sdbus::IConnection> connection_;
};

/// Whether bluetoothd is there and has the adapter (hci0). Empty, or a sentence. May take a moment: for the start of a program.
[[nodiscard]] std::string check_ble_adapter(BleBus& bus, const std::string& adapter);

/// "/org/bluez/hci0"
[[nodiscard]] std::string ble_adapter_path(const std::string& adapter);
/// Whether that is a name of an adapter: hci and a number.
[[nodiscard]] inline bool is_ble_adapter(const std::string& name) noexcept {
  return name.size() > 3 && name.size() <= 7 && name.compare(0, 3, "hci") == 0 &&
         name.find_first_not_of("0123456789", 3) == std::string::npos;
}

}  // namespace muster::agent::linux_port
