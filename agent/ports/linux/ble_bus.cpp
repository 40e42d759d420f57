// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/ble_bus.hpp"

#include <sdbus-c++/sdbus-c++.h>

#include <cstdint>
#include <map>

namespace muster::agent::linux_port {

BleBus::BleBus() noexcept = default;
BleBus::~BleBus() { close(); }

std::string BleBus::open() {
  close();
  try {
    connection_ = sdbus::createSystemBusConnection();
    return {};
  } catch (const sdbus::Error&) {
    return "There is no system D-Bus to reach Bluetooth by. Install and start dbus and bluez.";
  }
}

void BleBus::close() noexcept { connection_.reset(); }

bool BleBus::watch(const std::string& rule, std::function<void(sdbus::Message&)> handler) {
  if (!connection_) return false;
  try {
    connection_->addMatch(
        rule,
        [handler = std::move(handler)](sdbus::Message& message) {
          try {
            handler(message);
          } catch (const sdbus::Error&) {  // Not what BlueZ sends: as if it had not come.
          }
        },
        sdbus::floating_slot);
    return true;
  } catch (const sdbus::Error&) {
    return false;
  }
}

void BleBus::fill(std::vector<pollfd>& waiting) const {
  pollfd wanted{-1, 0, 0};
  if (connection_) {
    try {
      const auto data = connection_->getEventLoopPollData();
      wanted = {data.fd, data.events, 0};
    } catch (const sdbus::Error&) {}
  }
  waiting.push_back(wanted);
}

Millis BleBus::next_deadline(Millis now) const {
  if (!connection_) return never;
  try {
    const int wait_ms = connection_->getEventLoopPollData().getPollTimeout();
    return wait_ms < 0 ? never : now + static_cast<Millis>(wait_ms);
  } catch (const sdbus::Error&) {
    return now;
  }
}

bool BleBus::serve() {
  constexpr int messages_max = 256;  // In one turn of the loop.
  if (!connection_) return true;
  try {
    for (int i = 0; i < messages_max && connection_->processPendingRequest(); ++i) continue;
    return true;
  } catch (const sdbus::Error&) {
    return false;  // The owner lets go of its objects first, then closes.
  }
}

std::string check_ble_adapter(BleBus& bus, const std::string& adapter) {
  using Objects = std::map<sdbus::ObjectPath, std::map<std::string, std::map<std::string, sdbus::Variant>>>;
  constexpr std::uint64_t patience_us = 5'000'000;
  if (bus.connection() == nullptr) return "D-Bus is not open.";
  Objects objects;
  try {
    const auto manager = sdbus::createProxy(*bus.connection(), BleBus::service, "/");
    manager->callMethod("GetManagedObjects")
        .onInterface("org.freedesktop.DBus.ObjectManager")
        .withTimeout(patience_us)
        .storeResultsTo(objects);
  } catch (const sdbus::Error&) {
    return "bluetoothd does not answer. Install bluez and start it (systemctl start bluetooth).";
  }
  std::string others;
  for (const auto& [path, interfaces] : objects) {
    if (interfaces.count("org.bluez.Adapter1") == 0) continue;
    if (path == ble_adapter_path(adapter)) return {};
    others += (others.empty() ? "" : ", ") + path.substr(path.rfind('/') + 1);
  }
  if (others.empty()) return "This machine has no Bluetooth adapter that bluetoothd knows.";
  return "There is no Bluetooth adapter " + adapter + " here, but " + others + ".";
}

std::string ble_adapter_path(const std::string& adapter) { return "/org/bluez/" + adapter; }

}  // namespace muster::agent::linux_port
