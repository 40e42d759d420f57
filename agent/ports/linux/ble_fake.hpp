// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sdbus-c++/sdbus-c++.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "wire/inject.hpp"

/// For tests: a D-Bus of one's own, and what our programs use of bluetoothd on it, with two adapters that hear each other. The real ones are in
/// tests/radio.
namespace muster::agent::linux_port::test {

/// While it lives, it is the system's bus for this process. ok() is false where there is no dbus-daemon.
class PrivateBus final {
 public:
  PrivateBus() {
    char folder[] = "/tmp/muster-bus-XXXXXX";
    if (::mkdtemp(folder) == nullptr) return;
    folder_ = folder;
    const std::string address = "unix:path=" + folder_ + "/bus";
    std::ofstream{folder_ + "/bus.conf"} << "<busconfig><type>system</type><listen>" << address << "</listen><auth>EXTERNAL</auth>"
                                         << "<policy context='default'><allow user='*'/><allow own='*'/><allow send_type='method_call'/>"
                                         << "<allow send_destination='*'/><allow eavesdrop='true'/></policy></busconfig>";
    const std::string config = "--config-file=" + folder_ + "/bus.conf";
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execlp("dbus-daemon", "dbus-daemon", config.c_str(), "--nofork", "--nopidfile", nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 500 && !(ok_ = answers(folder_ + "/bus")); ++i) ::usleep(10'000);
    ::setenv("DBUS_SYSTEM_BUS_ADDRESS", address.c_str(), 1);
  }
  ~PrivateBus() {
    stop();
    ::unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
    for (const char* name : {"/bus", "/bus.conf"}) ::unlink((folder_ + name).c_str());
    ::rmdir(folder_.c_str());
  }
  PrivateBus(const PrivateBus&) = delete;
  PrivateBus& operator=(const PrivateBus&) = delete;
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  /// The name is there from bind on, but only from listen on does somebody answer.
  static bool answers(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.copy(to.sun_path, sizeof to.sun_path - 1);
    const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    ::close(fd);
    return connected;
  }

  std::string folder_;
  pid_t pid_ = -1;
  bool ok_ = false;
};

/// The service org.bluez, on a thread of its own. The device is whoever registers with hci0, the phone whoever uses hci1.
class FakeBluez final {
 public:
  using Values = std::map<std::string, sdbus::Variant>;
  using Bytes = std::vector<std::uint8_t>;
  static constexpr const char* device_path = "/org/bluez/hci1/dev_00_AA_01_00_00_23";
  static constexpr const char* phone_path = "/org/bluez/hci0/dev_00_AA_01_01_00_24";

  FakeBluez() : connection_{sdbus::createSystemBusConnection("org.bluez")}, caller_{sdbus::createSystemBusConnection()} {
    root_ = sdbus::createObject(*connection_, "/");
    root_->addObjectManager();
    for (const std::string name : {"hci0", "hci1"}) add_adapter("/org/bluez/" + name);
    connection_->enterEventLoopAsync();
  }
  ~FakeBluez() { connection_->leaveEventLoop(); }
  FakeBluez(const FakeBluez&) = delete;
  FakeBluez& operator=(const FakeBluez&) = delete;

  /// As another app would write. Call it from another thread than the one that serves the peripheral. Empty, or the error's name.
  std::string write_as(const std::string& device, const std::string& text, std::uint16_t offset = 0) {
    const auto connection = sdbus::createSystemBusConnection();
    return write_to_app(*connection, device, Bytes{text.begin(), text.end()}, offset);
  }

  std::atomic<bool> registered{false}, advertised{false}, connected{false}, device_known{false}, powered_hci1{false};
  std::atomic<int> connects_that_fail{0};
  std::string name() const {
    const std::lock_guard lock{mutex_};
    return name_;
  }
  /// All that the peripheral has sent.
  std::vector<std::string> said() const {
    const std::lock_guard lock{mutex_};
    return said_;
  }
  /// The peripheral sees this phone go.
  void leave(const std::string& phone) {
    const auto object = sdbus::createObject(*connection_, phone);
    object->registerProperty("Connected").onInterface("org.bluez.Device1").withGetter([] { return false; });
    object->finishRegistration();
    object->emitPropertiesChangedSignal("org.bluez.Device1", {"Connected"});
  }

 private:
  void add_adapter(const std::string& path) {
    auto object = sdbus::createObject(*connection_, path);
    auto* const it = object.get();
    const std::string adapter = "org.bluez.Adapter1", gatt = "org.bluez.GattManager1", advertising = "org.bluez.LEAdvertisingManager1";
    const bool phone = path.back() == '1';
    it->registerProperty("Address").onInterface(adapter).withGetter([] { return std::string{"00:AA:01:00:00:23"}; });
    it->registerProperty("Powered")
        .onInterface(adapter)
        .withGetter([this, phone] { return phone && powered_hci1; })
        .withSetter([this, phone](const bool& on) {
          if (phone) powered_hci1 = on;
        });
    it->registerMethod("SetDiscoveryFilter").onInterface(adapter).implementedAs([](const Values&) {});
    it->registerMethod("StartDiscovery").onInterface(adapter).implementedAs([this] {
      if (advertised) add_device();
    });
    it->registerMethod("StopDiscovery").onInterface(adapter).implementedAs([] {});
    it->registerMethod("RemoveDevice").onInterface(adapter).implementedAs([this](const sdbus::ObjectPath&) { remove_device(); });
    it->registerMethod("RegisterApplication").onInterface(gatt).implementedAs([this, it](const sdbus::ObjectPath&, const Values&) {
      app_ = it->getCurrentlyProcessedMessage()->getSender();
      watch_app();
      registered = true;
    });
    it->registerMethod("UnregisterApplication").onInterface(gatt).implementedAs([this](const sdbus::ObjectPath&) { registered = false; });
    it->registerMethod("RegisterAdvertisement")
        .onInterface(advertising)
        .implementedAs([this](const sdbus::ObjectPath& advertisement, const Values&) {
          // The owner answers from its loop, which waits for nothing: so it may be asked here.
          const auto proxy = sdbus::createProxy(*caller_, app_, advertisement);
          const sdbus::Variant local = proxy->getProperty("LocalName").onInterface("org.bluez.LEAdvertisement1");
          {
            const std::lock_guard lock{mutex_};
            name_ = local.get<std::string>();
          }
          advertised = true;
        });
    it->registerMethod("UnregisterAdvertisement").onInterface(advertising).implementedAs([this](const sdbus::ObjectPath&) {
      advertised = false;
    });
    it->finishRegistration();
    adapters_.push_back(std::move(object));
  }

  void add_device() {
    if (device_) return;
    device_ = sdbus::createObject(*connection_, device_path);
    const std::string interface = "org.bluez.Device1";
    device_->registerProperty("UUIDs").onInterface(interface).withGetter(
        [] { return std::vector<std::string>{std::string{wire::inject_service_uuid}}; });
    device_->registerProperty("Name").onInterface(interface).withGetter([this] { return name(); });
    device_->registerProperty("Address").onInterface(interface).withGetter([] { return std::string{"00:AA:01:00:00:23"}; });
    device_->registerProperty("RSSI").onInterface(interface).withGetter([] { return std::int16_t{-40}; });
    device_->registerProperty("Connected").onInterface(interface).withGetter([this] { return connected.load(); });
    device_->registerProperty("ServicesResolved").onInterface(interface).withGetter([this] { return connected.load(); });
    device_->registerMethod("Connect").onInterface(interface).implementedAs([this] {
      if (connects_that_fail > 0) {
        --connects_that_fail;
        throw sdbus::Error{"org.bluez.Error.Failed", "le-connection-abort-by-local"};
      }
      connected = true;
      rx_ = make_characteristic("rx", wire::inject_rx_uuid);
      rx_->registerMethod("WriteValue").onInterface(characteristic).implementedAs([this](const Bytes& value, const Values&) {
        if (const auto error = write_to_app(*caller_, phone_path, value, 0); !error.empty()) throw sdbus::Error{error, "no"};
      });
      rx_->finishRegistration();
      tx_ = make_characteristic("tx", wire::inject_tx_uuid);
      tx_->registerMethod("StartNotify").onInterface(characteristic).implementedAs([] {});
      tx_->registerProperty("Value").onInterface(characteristic).withGetter([this] { return value_; });
      tx_->finishRegistration();
      device_->emitPropertiesChangedSignal("org.bluez.Device1", {"Connected", "ServicesResolved"});
    });
    device_->finishRegistration();
    device_->emitInterfacesAddedSignal();
    device_known = true;
  }
  std::unique_ptr<sdbus::IObject> make_characteristic(const std::string& name, std::string_view uuid) {
    auto object = sdbus::createObject(*connection_, device_path + ("/service0/" + name));
    object->registerProperty("UUID").onInterface(characteristic).withGetter([uuid] { return std::string{uuid}; });
    object->registerProperty("MTU").onInterface(characteristic).withGetter([] { return std::uint16_t{247}; });
    return object;
  }
  void remove_device() {
    if (!device_) return;
    if (connected.exchange(false)) leave(phone_path);
    rx_.reset();
    tx_.reset();
    device_->emitInterfacesRemovedSignal();
    device_.reset();
    device_known = false;
  }
  void watch_app() {
    connection_->addMatch(
        "type='signal',sender='" + app_ + "',member='PropertiesChanged',arg0='" + characteristic + "'",
        [this](sdbus::Message& message) {
          std::string interface;
          Values changed;
          message >> interface >> changed;
          value_ = changed.at("Value").get<Bytes>();
          {
            const std::lock_guard lock{mutex_};
            said_.emplace_back(value_.begin(), value_.end());
          }
          if (tx_) tx_->emitPropertiesChangedSignal(characteristic, {"Value"});
        },
        sdbus::floating_slot);
  }
  std::string write_to_app(sdbus::IConnection& connection, const std::string& device, const Bytes& value, std::uint16_t offset) {
    try {
      const auto proxy = sdbus::createProxy(connection, app_, "/org/muster/service0/rx");
      proxy->callMethod("WriteValue")
          .onInterface(characteristic)
          .withTimeout(std::uint64_t{2'000'000})
          .withArguments(value, Values{{"device", sdbus::Variant{sdbus::ObjectPath{device}}}, {"offset", sdbus::Variant{offset}}});
      return {};
    } catch (const sdbus::Error& error) {
      return error.getName();
    }
  }

  static inline const std::string characteristic = "org.bluez.GattCharacteristic1";
  std::unique_ptr<sdbus::IConnection> connection_, caller_;
  std::unique_ptr<sdbus::IObject> root_, device_, rx_, tx_;
  std::vector<std::unique_ptr<sdbus::IObject>> adapters_;
  std::string app_;
  Bytes value_;
  mutable std::mutex mutex_;
  std::string name_;
  std::vector<std::string> said_;
};

}  // namespace muster::agent::linux_port::test
