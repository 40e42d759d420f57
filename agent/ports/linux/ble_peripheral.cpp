// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/ble_peripheral.hpp"

#include <sdbus-c++/sdbus-c++.h>

#include <cstdint>
#include <deque>
#include <map>
#include <utility>

#include "agent/ports/linux/ble_bus.hpp"
#include "wire/inject.hpp"

namespace muster::agent::linux_port {

namespace {

using Bytes = std::vector<std::uint8_t>;
using Options = std::map<std::string, sdbus::Variant>;
using Texts = std::vector<std::string>;

constexpr const char* root_path = "/org/muster";
constexpr const char* service_path = "/org/muster/service0";
constexpr const char* advertisement_path = "/org/muster/advertisement0";
constexpr const char* service_interface = "org.bluez.GattService1";
constexpr const char* characteristic_interface = "org.bluez.GattCharacteristic1";
constexpr const char* advertisement_interface = "org.bluez.LEAdvertisement1";
constexpr const char* device_interface = "org.bluez.Device1";

template <typename Value>
Value option(const Options& options, const char* key, Value missing) {
  const auto at = options.find(key);
  return at != options.end() && at->second.containsValueOfType<Value>() ? at->second.get<Value>() : missing;
}

}  // namespace

class BlePeripheral::Impl final {
 public:
  explicit Impl(std::string adapter) : adapter_{std::move(adapter)} {}
  ~Impl() { let_go(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::string start() {
    trouble_ = bus_.open();
    if (trouble_.empty()) {
      trouble_ = check_ble_adapter(bus_, adapter_);
      try {
        export_objects();
        watch();
      } catch (const sdbus::Error& error) {
        trouble_ = "D-Bus does not let this program offer its service: " + error.getMessage();
        let_go();
      }
    }
    return trouble_;
  }

  void open(std::string_view name) {
    name_ = name;
    wanted_ = true;
    due_ = 0;
  }
  void shut() {
    wanted_ = false;
    due_ = 0;
  }
  void send(std::string_view text) {
    value_.assign(text.begin(), text.end());
    try {
      if (tx_) tx_->emitPropertiesChangedSignal(characteristic_interface, {"Value"});
    } catch (const sdbus::Error&) {  // Lost, as over the air.
    }
  }

  void fill(std::vector<pollfd>& waiting) const { bus_.fill(waiting); }
  Millis next_deadline(Millis now) const { return bus_.connection() == nullptr ? never : std::min(due_, bus_.next_deadline(now)); }

  void serve(Millis now) {
    now_ = now;
    if (!bus_.serve()) {
      client_gone_ = !client_.empty();
      let_go();
      trouble_ = "The system's D-Bus has gone: no set-up over Bluetooth until this program is started again.";
    }
    dispatch();
    if (due_ <= now) {
      due_ = never;
      if (wanted_) {
        begin_registration();
      } else {
        end_registration();
      }
      dispatch();
    }
  }

  BleListener* listener_ = nullptr;
  std::string trouble_;

 private:
  using Step = void (Impl::*)(const sdbus::Error*);

  // ---- what BlueZ sees of us

  void export_objects() {
    auto& connection = *bus_.connection();
    root_ = sdbus::createObject(connection, root_path);
    root_->addObjectManager();
    service_ = sdbus::createObject(connection, service_path);
    service_->registerProperty("UUID").onInterface(service_interface).withGetter([] { return std::string{wire::inject_service_uuid}; });
    service_->registerProperty("Primary").onInterface(service_interface).withGetter([] { return true; });
    service_->finishRegistration();
    rx_ = make_characteristic("rx", wire::inject_rx_uuid, {"write", "write-without-response"});
    rx_->registerMethod("WriteValue")
        .onInterface(characteristic_interface)
        .implementedAs([this](const Bytes& value, const Options& options) { take_write(value, options); });
    rx_->finishRegistration();
    tx_ = make_characteristic("tx", wire::inject_tx_uuid, {"indicate", "notify"});
    tx_->registerMethod("StartNotify").onInterface(characteristic_interface).implementedAs([] {});
    tx_->registerMethod("StopNotify").onInterface(characteristic_interface).implementedAs([] {});
    tx_->registerMethod("Confirm").onInterface(characteristic_interface).implementedAs([] {});
    tx_->registerProperty("Value").onInterface(characteristic_interface).withGetter([this] { return value_; });
    tx_->finishRegistration();
    raw_ = make_characteristic("raw", wire::inject_raw_uuid, {"write", "write-without-response"});
    raw_->registerMethod("WriteValue").onInterface(characteristic_interface).implementedAs([](const Bytes&, const Options&) {
      // Firmware comes this way; this device takes none, and says so when an update is to begin.
    });
    raw_->finishRegistration();

    advertisement_ = sdbus::createObject(connection, advertisement_path);
    advertisement_->registerProperty("Type").onInterface(advertisement_interface).withGetter([] { return std::string{"peripheral"}; });
    advertisement_->registerProperty("ServiceUUIDs").onInterface(advertisement_interface).withGetter([] {
      return Texts{std::string{wire::inject_service_uuid}};
    });
    advertisement_->registerProperty("LocalName").onInterface(advertisement_interface).withGetter([this] { return name_; });
    advertisement_->registerProperty("Discoverable").onInterface(advertisement_interface).withGetter([] { return true; });
    advertisement_->registerMethod("Release").onInterface(advertisement_interface).implementedAs([this] {
      advertised_ = false;
      due_ = now_ + again_ms;
    });
    advertisement_->finishRegistration();
  }

  std::unique_ptr<sdbus::IObject> make_characteristic(const std::string& name, std::string_view uuid, const Texts& flags) {
    auto object = sdbus::createObject(*bus_.connection(), service_path + ("/" + name));
    object->registerProperty("UUID").onInterface(characteristic_interface).withGetter([uuid] { return std::string{uuid}; });
    object->registerProperty("Service").onInterface(characteristic_interface).withGetter([] { return sdbus::ObjectPath{service_path}; });
    object->registerProperty("Flags").onInterface(characteristic_interface).withGetter([flags] { return flags; });
    return object;
  }

  void let_go() noexcept {
    for (auto* object : {&advertisement_, &raw_, &tx_, &rx_, &service_, &root_}) object->reset();
    for (auto* proxy : {&adapter_proxy_, &client_proxy_}) proxy->reset();
    registered_ = advertised_ = busy_ = false;
    bus_.close();
  }

  // ---- what an app does

  void take_write(const Bytes& value, const Options& options) {
    if (option(options, "prepare-authorize", false)) return;
    if (option<std::uint16_t>(options, "offset", 0) != 0) {
      throw sdbus::Error{"org.bluez.Error.InvalidOffset", "A message is written whole."};
    }
    const std::string device = option(options, "device", sdbus::ObjectPath{"/"});
    if (!wanted_ || (!client_.empty() && device != client_)) {
      throw sdbus::Error{"org.bluez.Error.NotPermitted", "Another app is connected."};
    }
    if (arrived_.size() >= messages_max) throw sdbus::Error{"org.bluez.Error.Failed", "Too many messages at once."};
    if (client_.empty()) {
      client_ = device;
      client_came_ = true;
    }
    arrived_.emplace_back(value.begin(), value.end());
  }

  void watch() {
    const std::string path = ble_adapter_path(adapter_);
    bool watching = bus_.watch(
        "type='signal',sender='org.bluez',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
        "arg0='org.bluez.Device1',path_namespace='" +
            path + "'",
        [this](sdbus::Message& message) {
          std::string interface;
          Options changed;
          message >> interface >> changed;
          if (!option(changed, "Connected", true)) lose(message.getPath());
        });
    watching = bus_.watch("type='signal',sender='org.bluez',interface='org.freedesktop.DBus.ObjectManager',member='InterfacesRemoved'",
                          [this, path](sdbus::Message& message) {
                            sdbus::ObjectPath object;
                            Texts interfaces;
                            message >> object >> interfaces;
                            for (const auto& interface : interfaces) {
                              if (interface == device_interface) lose(object);
                              if (interface == "org.bluez.Adapter1" && object == path) lose_bluez("The Bluetooth adapter has gone.");
                            }
                          }) &&
               watching;
    watching = bus_.watch("type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.bluez'",
                          [this](sdbus::Message& message) {
                            std::string name, before, now;
                            message >> name >> before >> now;
                            lose_bluez(now.empty() ? "bluetoothd has ended." : "");
                          }) &&
               watching;
    if (!watching) trouble_ = "D-Bus does not tell what Bluetooth does.";
  }

  void lose(const std::string& device) {
    if (device != client_) return;
    client_gone_ = true;
  }
  void lose_bluez(const char* why) {
    if (!client_.empty()) client_gone_ = true;
    registered_ = advertised_ = busy_ = false;
    ++run_;
    if (*why != '\0') trouble_ = why;
    due_ = now_ + 1'000;  // It needs a moment to find its adapters when it has just come.
  }

  void dispatch() {
    if (std::exchange(client_came_, false) && listener_ != nullptr) listener_->on_ble_client(true, now_);
    while (!arrived_.empty()) {
      const std::string text = std::move(arrived_.front());
      arrived_.pop_front();
      if (listener_ != nullptr) listener_->on_ble_message(text, now_);
    }
    if (std::exchange(client_gone_, false)) {
      client_.clear();
      if (listener_ != nullptr) listener_->on_ble_client(false, now_);
    }
  }

  // ---- registering, one step after the other

  void call(std::unique_ptr<sdbus::IProxy>& proxy, const char* interface, const char* method, const char* object, bool with_options,
            Step next) {
    const auto done = [this, next, run = run_](const sdbus::Error* error) {
      if (run != run_) return;
      busy_ = false;
      (this->*next)(error);
    };
    busy_ = true;
    const std::string name{method};  // It is borrowed until the call is made.
    auto invoker = proxy->callMethodAsync(name);
    invoker.onInterface(interface);
    if (with_options) {
      invoker.withArguments(sdbus::ObjectPath{object}, Options{}).uponReplyInvoke(done);
    } else {
      invoker.withArguments(sdbus::ObjectPath{object}).uponReplyInvoke(done);
    }
  }

  void begin_registration() {
    if (bus_.connection() == nullptr || busy_ || (registered_ && advertised_)) return;
    try {
      adapter_proxy_ = sdbus::createProxy(*bus_.connection(), BleBus::service, ble_adapter_path(adapter_));
      busy_ = true;
      adapter_proxy_->callMethodAsync("Set")
          .onInterface("org.freedesktop.DBus.Properties")
          .withArguments(std::string{"org.bluez.Adapter1"}, std::string{"Powered"}, sdbus::Variant{true})
          .uponReplyInvoke([this, run = run_](const sdbus::Error* error) {
            if (run != run_) return;
            busy_ = false;
            on_powered(error);
          });
    } catch (const sdbus::Error& error) {
      fail(&error);
    }
  }
  void on_powered(const sdbus::Error* error) {
    if (error != nullptr || registered_) {
      on_registered(error);
    } else {
      call(adapter_proxy_, "org.bluez.GattManager1", "RegisterApplication", root_path, true, &Impl::on_registered);
    }
  }
  void on_registered(const sdbus::Error* error) {
    if (error != nullptr && error->getName() != "org.bluez.Error.AlreadyExists") {
      fail(error);
      return;
    }
    registered_ = true;
    call(adapter_proxy_, "org.bluez.LEAdvertisingManager1", "RegisterAdvertisement", advertisement_path, true, &Impl::on_advertised);
  }
  void on_advertised(const sdbus::Error* error) {
    if (error != nullptr && error->getName() != "org.bluez.Error.AlreadyExists") {
      fail(error);
      return;
    }
    advertised_ = true;
    trouble_.clear();
    if (!wanted_) due_ = now_;
  }
  void fail(const sdbus::Error* error) {
    busy_ = false;
    trouble_ = "Bluetooth cannot be opened for set-up: " + error->getMessage();
    due_ = now_ + again_ms;
  }

  void end_registration() {
    if (bus_.connection() == nullptr || busy_ || adapter_proxy_ == nullptr) return;
    try {
      if (std::exchange(advertised_, false))
        call(adapter_proxy_, "org.bluez.LEAdvertisingManager1", "UnregisterAdvertisement", advertisement_path, false, &Impl::on_ended);
      if (std::exchange(registered_, false))
        call(adapter_proxy_, "org.bluez.GattManager1", "UnregisterApplication", root_path, false, &Impl::on_ended);
      if (!client_.empty() && client_ != "/") {
        client_proxy_ = sdbus::createProxy(*bus_.connection(), BleBus::service, client_);
        client_proxy_->callMethodAsync("Disconnect").onInterface(device_interface).uponReplyInvoke([](const sdbus::Error*) {});
        client_gone_ = true;
      }
    } catch (const sdbus::Error&) {  // Then bluetoothd forgets us when it ends.
    }
  }
  void on_ended(const sdbus::Error*) {
    if (wanted_) due_ = now_;
  }

  const std::string adapter_;
  BleBus bus_;
  std::unique_ptr<sdbus::IObject> root_, service_, rx_, tx_, raw_, advertisement_;
  std::unique_ptr<sdbus::IProxy> adapter_proxy_, client_proxy_;
  std::string name_;
  Bytes value_;
  std::string client_;  ///< The path of the device that an app runs on; empty: none has written yet.
  std::deque<std::string> arrived_;
  Millis now_ = 0;
  Millis due_ = never;
  unsigned run_ = 0;  ///< Of bluetoothd: answers of an earlier one are of no use.
  bool wanted_ = false, busy_ = false, registered_ = false, advertised_ = false;
  bool client_came_ = false, client_gone_ = false;
};

BlePeripheral::BlePeripheral(std::string adapter) : impl_{std::make_unique<Impl>(std::move(adapter))} {}
BlePeripheral::~BlePeripheral() = default;
std::string BlePeripheral::start() { return impl_->start(); }
void BlePeripheral::attach(BleListener& listener) { impl_->listener_ = &listener; }
void BlePeripheral::open(std::string_view name) { impl_->open(name); }
void BlePeripheral::shut() { impl_->shut(); }
void BlePeripheral::send(std::string_view text) { impl_->send(text); }
void BlePeripheral::fill(std::vector<pollfd>& waiting) const { impl_->fill(waiting); }
Millis BlePeripheral::next_deadline(Millis now) const { return impl_->next_deadline(now); }
void BlePeripheral::serve(Millis now) { impl_->serve(now); }
const std::string& BlePeripheral::trouble() const noexcept { return impl_->trouble_; }

}  // namespace muster::agent::linux_port
