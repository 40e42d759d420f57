// SPDX-License-Identifier: Apache-2.0
#include "provisioner/radios/ble_radio.hpp"

#include <sdbus-c++/sdbus-c++.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "agent/ports/linux/ble_bus.hpp"
#include "wire/inject.hpp"

namespace muster::provisioner {

namespace {

using agent::Millis;
using agent::never;
using agent::linux_port::BleBus;
using Bytes = std::vector<std::uint8_t>;
using Values = std::map<std::string, sdbus::Variant>;
using Objects = std::map<sdbus::ObjectPath, std::map<std::string, Values>>;
using Texts = std::vector<std::string>;

constexpr const char* adapter_interface = "org.bluez.Adapter1";
constexpr const char* device_interface = "org.bluez.Device1";
constexpr const char* characteristic_interface = "org.bluez.GattCharacteristic1";
constexpr const char* properties_interface = "org.freedesktop.DBus.Properties";
constexpr std::uint64_t start_patience_us = 5'000'000;
constexpr std::uint64_t end_patience_us = 8'000'000;
constexpr std::size_t messages_max = 128;      ///< That came and were not handled yet.
constexpr std::size_t mtu_overhead_bytes = 3;  ///< Of a write or an indication.
constexpr std::size_t smallest_message_bytes = 20;

template <typename Value>
Value option(const Values& options, const char* key, Value missing) {
  const auto at = options.find(key);
  return at != options.end() && at->second.containsValueOfType<Value>() ? at->second.get<Value>() : missing;
}

bool offers_setup(const Values& device) {
  for (std::string uuid : option(device, "UUIDs", Texts{})) {
    std::transform(uuid.begin(), uuid.end(), uuid.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (uuid == wire::inject_service_uuid) return true;
  }
  return false;
}

}  // namespace

class BleRadio::Impl final {
 public:
  Impl(std::string adapter, Millis window)
      : adapter_{std::move(adapter)}, path_{agent::linux_port::ble_adapter_path(adapter_)}, window_ms_{window} {}
  ~Impl() {
    if (bus_.connection() != nullptr && !lost_ && restoring_ == Restoring::no) clean_up_at_once();
    let_go();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::string start() {
    if (std::string problem = bus_.open(); !problem.empty()) return problem;
    if (std::string problem = agent::linux_port::check_ble_adapter(bus_, adapter_); !problem.empty()) return problem;
    try {
      adapter_proxy_ = sdbus::createProxy(*bus_.connection(), BleBus::service, path_);
      root_proxy_ = sdbus::createProxy(*bus_.connection(), BleBus::service, "/");
      sdbus::Variant powered;
      adapter_proxy_->callMethod("Get")
          .onInterface(properties_interface)
          .withTimeout(start_patience_us)
          .withArguments(std::string{adapter_interface}, std::string{"Powered"})
          .storeResultsTo(powered);
      if (!powered.get<bool>()) {
        set_power(true);
        was_off_ = true;
      }
    } catch (const sdbus::Error& error) {
      return "The Bluetooth adapter " + adapter_ + " cannot be used: " + error.getMessage();
    }
    watch();
    return {};
  }

  // ---- looking for devices

  void scan() {
    ++run_;
    found_.clear();
    windows_ = 0;
    windows_after_find_ = 0;
    begin_window();
  }

  void begin_window() {
    seen_.clear();
    state_ = State::scanning;
    due_ = never;
    call(
        *adapter_proxy_, adapter_interface, "SetDiscoveryFilter",
        [this](const sdbus::Error*) {
          call(*adapter_proxy_, adapter_interface, "StartDiscovery", [this](const sdbus::Error* error) {
            if (error != nullptr && error->getName() != "org.bluez.Error.InProgress") problem_ = error->getMessage();
            due_ = now_ + window_ms_;
          });
        },
        Values{{"Transport", sdbus::Variant{std::string{"le"}}}, {"DuplicateData", sdbus::Variant{true}}});
  }

  void end_window() {
    due_ = never;
    ask_objects([this](const Objects& objects) {
      collect(objects);
      call(*adapter_proxy_, adapter_interface, "StopDiscovery", [this](const sdbus::Error*) {
        if (!found_.empty()) ++windows_after_find_;
        if (++windows_ >= windows_max || windows_after_find_ >= 2) {
          end_scan();
        } else {
          begin_window();
        }
      });
    });
  }

  void collect(const Objects& objects) {
    for (const auto& [path, interfaces] : objects) {
      const auto at = interfaces.find(device_interface);
      if (at == interfaces.end() || path.rfind(path_ + "/", 0) != 0) continue;
      const bool heard = seen_.count(path) != 0 || at->second.count("RSSI") != 0;
      if (!heard || !offers_setup(at->second)) continue;
      Found device;
      device.name = option(at->second, "Name", option(at->second, "Alias", std::string{path}));
      device.address = option(at->second, "Address", std::string{});
      device.rssi_dbm = option<std::int16_t>(at->second, "RSSI", 0);
      device.keep = option(at->second, "Paired", false) || option(at->second, "Trusted", false);
      found_[path] = std::move(device);
    }
  }

  void end_scan() {
    state_ = State::idle;
    names_.clear();
    std::vector<AccessPoint> devices;
    for (const auto& [path, device] : found_) {
      const auto same = std::count_if(found_.begin(), found_.end(), [&](const auto& other) { return other.second.name == device.name; });
      const std::string name = same > 1 ? device.name + " (" + device.address + ")" : device.name;
      names_[name] = path;
      devices.push_back({name, device.rssi_dbm, 0, true});
    }
    listener_->on_scanned(devices, now_);
  }

  // ---- the device

  void join(std::string_view name) {
    ++run_;
    const auto at = names_.find(std::string{name});
    connects_ = 0;
    if (at == names_.end()) {
      fail_soon(HostJoinFailure::not_found);
      return;
    }
    device_ = at->second;
    keep_device_ = found_[device_].keep;
    join_due_ = never;
    connect();
  }

  void connect() {
    state_ = State::connecting;
    if (join_due_ == never) join_due_ = now_ + join_timeout_ms;
    ++connects_;
    try {
      device_proxy_ = sdbus::createProxy(*bus_.connection(), BleBus::service, device_);
    } catch (const sdbus::Error&) {
      fail_soon(HostJoinFailure::other);
      return;
    }
    call(*device_proxy_, device_interface, "Connect", [this](const sdbus::Error* error) {
      if (error == nullptr) {
        state_ = State::resolving;
        look_at_services();
      } else if (connects_ < connects_max) {
        due_ = now_ + 300;
      } else {
        problem_ = error->getMessage();
        fail_join(HostJoinFailure::timeout);
      }
    });
  }

  void look_at_services() {
    ask_objects([this](const Objects& objects) {
      if (state_ != State::resolving) return;
      const auto device = objects.find(sdbus::ObjectPath{device_});
      if (device == objects.end()) {
        fail_join(HostJoinFailure::other);
        return;
      }
      const auto at = device->second.find(device_interface);
      if (at == device->second.end() || !option(at->second, "ServicesResolved", false)) return;  // It will be told.
      rx_.clear();
      tx_.clear();
      for (const auto& [path, interfaces] : objects) {
        const auto characteristic = interfaces.find(characteristic_interface);
        if (characteristic == interfaces.end() || path.rfind(device_ + "/", 0) != 0) continue;
        const auto uuid = option(characteristic->second, "UUID", std::string{});
        if (uuid == wire::inject_tx_uuid) tx_ = path;
        if (uuid != wire::inject_rx_uuid) continue;
        rx_ = path;
        mtu_ = option<std::uint16_t>(characteristic->second, "MTU", 0);
      }
      subscribe();
    });
  }

  void subscribe() {
    if (rx_.empty() || tx_.empty()) {
      problem_ = "The device does not offer what a set-up needs.";
      fail_join(HostJoinFailure::other);
      return;
    }
    state_ = State::subscribing;
    try {
      rx_proxy_ = sdbus::createProxy(*bus_.connection(), BleBus::service, rx_);
      tx_proxy_ = sdbus::createProxy(*bus_.connection(), BleBus::service, tx_);
    } catch (const sdbus::Error&) {
      fail_join(HostJoinFailure::other);
      return;
    }
    call(*tx_proxy_, characteristic_interface, "StartNotify", [this](const sdbus::Error* error) {
      if (error != nullptr) {
        problem_ = error->getMessage();
        fail_join(HostJoinFailure::other);
        return;
      }
      state_ = State::linked;
      join_due_ = never;
      dialect_->on_linked();
      listener_->on_host_joined(now_);
    });
  }

  /// Not from inside join_open().
  void fail_soon(HostJoinFailure failure) {
    failing_ = failure;
    state_ = State::failing;
    due_ = 0;
  }
  void fail_join(HostJoinFailure failure) {
    ++run_;
    forget_device();
    listener_->on_host_join_failed(failure, now_);
  }

  void leave() {
    ++run_;
    forget_device();
  }

  /// The link ends with it.
  void forget_device() {
    const bool scanning = std::exchange(state_, State::idle) == State::scanning;
    due_ = join_due_ = never;
    writes_.clear();
    writing_ = false;
    arrived_.clear();
    retire(rx_proxy_);
    retire(tx_proxy_);
    rx_.clear();
    tx_.clear();
    if (lost_ || bus_.connection() == nullptr) return;
    if (scanning) finish_up(*adapter_proxy_, adapter_interface, "StopDiscovery");
    if (device_.empty()) return;
    if (keep_device_) {
      finish_up(*device_proxy_, device_interface, "Disconnect");
      partings_.push_back(std::move(device_proxy_));
    } else {
      finish_up(*adapter_proxy_, adapter_interface, "RemoveDevice", sdbus::ObjectPath{device_});
    }
    device_.clear();
  }

  void restore() {
    if (restoring_ == Restoring::no) restoring_ = Restoring::wanted;
  }
  /// One thing after the other: an adapter that is switched off leaves the question before unanswered.
  void go_on_restoring() {
    if (std::exchange(was_off_, false) && !lost_) {
      finish_up(*adapter_proxy_, properties_interface, "Set", std::string{adapter_interface}, std::string{"Powered"},
                sdbus::Variant{false});
    } else {
      restoring_ = Restoring::done;
      listener_->on_restored(now_);
    }
  }

  // ---- messages

  void write(std::string_view message) {
    writes_.emplace_back(message.begin(), message.end());
    if (!writing_) write_next();
  }

  void write_next() {
    if (writes_.empty() || rx_proxy_ == nullptr) return;
    Bytes message = std::move(writes_.front());
    writes_.pop_front();
    writing_ = true;
    call(
        *rx_proxy_, characteristic_interface, "WriteValue",
        [this](const sdbus::Error* error) {
          writing_ = false;
          if (error != nullptr) {
            writes_.clear();
            dialect_->on_write_failed(now_);
          } else {
            write_next();
          }
        },
        message, Values{{"type", sdbus::Variant{std::string{"request"}}}});
    std::fill(message.begin(), message.end(), std::uint8_t{0});
  }

  std::size_t message_size_max_bytes() const {
    return mtu_ > smallest_message_bytes + mtu_overhead_bytes ? mtu_ - mtu_overhead_bytes : smallest_message_bytes;
  }

  // ---- the loop

  void serve(Millis now) {
    now_ = now;
    retired_.clear();
    if (!bus_.serve()) {
      lose("The system's D-Bus has gone.");
      let_go();
    }
    while (!arrived_.empty()) {
      const std::string text = std::move(arrived_.front());
      arrived_.pop_front();
      dialect_->on_message(text, now_);
    }
    if (std::exchange(disconnected_, false)) on_disconnected();
    if (join_due_ <= now) {
      join_due_ = never;
      fail_join(HostJoinFailure::timeout);
    }
    if (due_ <= now) {
      due_ = never;
      on_due();
    }
    if (dialect_->next_deadline() <= now) dialect_->on_timer(now);
    if (restoring_ == Restoring::wanted && (outstanding_ == 0 || lost_)) go_on_restoring();
  }

  Millis next_deadline(Millis now) const {
    if (restoring_ == Restoring::wanted && (outstanding_ == 0 || lost_)) return now;
    return std::min({due_, join_due_, dialect_->next_deadline(), bus_.next_deadline(now)});
  }

  const std::string adapter_, path_;
  const Millis window_ms_;
  BleBus bus_;
  HostListener* listener_ = nullptr;
  BleDialect* dialect_ = nullptr;
  bool lost_ = false;
  std::string problem_;

 private:
  enum class State : std::uint8_t { idle, scanning, failing, connecting, resolving, subscribing, linked };
  enum class Restoring : std::uint8_t { no, wanted, done };
  struct Found {
    std::string name, address;
    std::int16_t rssi_dbm = 0;
    bool keep = false;  ///< The person has paired it: bluetoothd shall go on knowing it.
  };

  /// `done` is called with nullptr or the error, unless something newer has begun.
  template <typename... Arguments>
  void call(sdbus::IProxy& proxy, const char* interface, const char* method, std::function<void(const sdbus::Error*)> done,
            const Arguments&... arguments) {
    try {
      const std::string name{method};  // It is borrowed until the call is made.
      auto invoker = proxy.callMethodAsync(name);
      invoker.onInterface(interface);
      invoker.withArguments(arguments...);
      invoker.uponReplyInvoke([this, run = run_, done = std::move(done)](const sdbus::Error* error) {
        if (run == run_) done(error);
      });
    } catch (const sdbus::Error&) {
      lose("bluetoothd cannot be asked any more.");
    }
  }
  /// Asked without waiting; only restore() waits until all of these were answered.
  template <typename... Arguments>
  void finish_up(sdbus::IProxy& proxy, const char* interface, const char* method, const Arguments&... arguments) {
    try {
      const std::string name{method};  // It is borrowed until the call is made.
      auto invoker = proxy.callMethodAsync(name);
      invoker.onInterface(interface);
      invoker.withArguments(arguments...);
      invoker.withTimeout(end_patience_us);
      invoker.uponReplyInvoke([this](const sdbus::Error*) { --outstanding_; });
      ++outstanding_;
    } catch (const sdbus::Error&) {}
  }
  void ask_objects(std::function<void(const Objects&)> done) {
    try {
      root_proxy_->callMethodAsync("GetManagedObjects")
          .onInterface("org.freedesktop.DBus.ObjectManager")
          .uponReplyInvoke([this, run = run_, done = std::move(done)](const sdbus::Error* error, const Objects& objects) {
            if (run == run_) done(error == nullptr ? objects : Objects{});
          });
    } catch (const sdbus::Error&) {
      lose("bluetoothd cannot be asked any more.");
    }
  }

  /// This may run inside a callback of the proxy, so it goes later.
  void retire(std::unique_ptr<sdbus::IProxy>& proxy) {
    if (proxy != nullptr) retired_.push_back(std::move(proxy));
  }

  void set_power(bool on) {
    adapter_proxy_->callMethod("Set")
        .onInterface(properties_interface)
        .withTimeout(start_patience_us)
        .withArguments(std::string{adapter_interface}, std::string{"Powered"}, sdbus::Variant{on});
  }

  void watch() {
    const auto from_bluez = [](const char* rest) { return std::string{"type='signal',sender='org.bluez',"} + rest; };
    const bool watching =
        bus_.watch(from_bluez("interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',path_namespace='") + path_ + "'",
                   [this](sdbus::Message& message) {
                     std::string interface;
                     Values changed;
                     message >> interface >> changed;
                     on_changed(message.getPath(), interface, changed);
                   }) &&
        bus_.watch(from_bluez("interface='org.freedesktop.DBus.ObjectManager',member='InterfacesAdded'"),
                   [this](sdbus::Message& message) {
                     sdbus::ObjectPath object;
                     message >> object;
                     seen_.insert(object);
                   }) &&
        bus_.watch(from_bluez("interface='org.freedesktop.DBus.ObjectManager',member='InterfacesRemoved'"),
                   [this](sdbus::Message& message) {
                     sdbus::ObjectPath object;
                     Texts interfaces;
                     message >> object >> interfaces;
                     const bool device = std::count(interfaces.begin(), interfaces.end(), device_interface) != 0;
                     if (device && object == device_) disconnected_ = true;
                     if (object == path_) lose("The Bluetooth adapter has gone.");
                   }) &&
        bus_.watch("type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.bluez'",
                   [this](sdbus::Message&) { lose("bluetoothd has ended."); });
    if (!watching) lose("D-Bus does not tell what Bluetooth does.");
  }

  void on_changed(const std::string& path, const std::string& interface, const Values& changed) {
    if (interface == device_interface) {
      seen_.insert(path);
      if (path != device_) return;
      if (!option(changed, "Connected", true)) disconnected_ = true;
      if (option(changed, "ServicesResolved", false) && state_ == State::resolving) look_at_services();
    } else if (interface == characteristic_interface && path == tx_) {
      const auto at = changed.find("Value");
      if (at == changed.end() || !at->second.containsValueOfType<Bytes>() || arrived_.size() >= messages_max) return;
      const auto value = at->second.get<Bytes>();
      arrived_.emplace_back(value.begin(), value.end());
    }
  }

  void on_disconnected() {
    if (state_ == State::linked) {
      ++run_;
      forget_device();
      listener_->on_host_lost(now_);
    } else if (state_ == State::resolving || state_ == State::subscribing) {
      ++run_;
      if (connects_ < connects_max) {
        state_ = State::connecting;
        due_ = now_ + 300;
      } else {
        fail_join(HostJoinFailure::timeout);
      }
    }
  }

  void on_due() {
    switch (state_) {
      case State::scanning: end_window(); break;
      case State::connecting: connect(); break;
      case State::failing: fail_join(failing_); break;
      default: break;
    }
  }

  void lose(const char* why) {
    if (!lost_) problem_ = why;
    lost_ = true;
  }
  /// The program ends before restore() was called.
  void clean_up_at_once() noexcept {
    try {
      if (!device_.empty() && !keep_device_) {
        adapter_proxy_->callMethod("RemoveDevice")
            .onInterface(adapter_interface)
            .withTimeout(start_patience_us)
            .withArguments(sdbus::ObjectPath{device_});
      }
      if (was_off_) set_power(false);
    } catch (const sdbus::Error&) {}
  }
  void let_go() noexcept {
    retired_.clear();
    partings_.clear();
    for (auto* proxy : {&rx_proxy_, &tx_proxy_, &device_proxy_, &adapter_proxy_, &root_proxy_}) proxy->reset();
    bus_.close();
  }

  std::unique_ptr<sdbus::IProxy> adapter_proxy_, root_proxy_, device_proxy_, rx_proxy_, tx_proxy_;
  std::vector<std::unique_ptr<sdbus::IProxy>> retired_, partings_;  ///< Done with; waiting for the answer to their last call.
  State state_ = State::idle;
  Restoring restoring_ = Restoring::no;
  std::map<std::string, Found> found_;        ///< By path.
  std::map<std::string, std::string> names_;  ///< Paths, by the names that were told.
  std::set<std::string> seen_;                ///< Heard of in this window.
  unsigned windows_ = 0, windows_after_find_ = 0, connects_ = 0;
  std::string device_, rx_, tx_;  ///< Paths.
  bool keep_device_ = false;
  std::uint16_t mtu_ = 0;
  std::deque<Bytes> writes_;
  std::deque<std::string> arrived_;
  HostJoinFailure failing_ = HostJoinFailure::other;
  Millis now_ = 0, due_ = never, join_due_ = never;
  unsigned run_ = 0;  ///< Answers to what is over are of no use.
  int outstanding_ = 0;
  bool writing_ = false, disconnected_ = false, was_off_ = false;
};

BleRadio::BleRadio(std::string adapter, Millis window) : impl_{std::make_unique<Impl>(std::move(adapter), window)} {}
BleRadio::~BleRadio() = default;
std::string BleRadio::start() { return impl_->start(); }
void BleRadio::attach(HostListener& listener, BleDialect& dialect) {
  impl_->listener_ = &listener;
  impl_->dialect_ = &dialect;
}
void BleRadio::scan() {
  if (!impl_->lost_) impl_->scan();
}
void BleRadio::join_open(std::string_view name, std::uint16_t) {
  if (!impl_->lost_) impl_->join(name);
}
void BleRadio::leave() { impl_->leave(); }
void BleRadio::restore() { impl_->restore(); }
void BleRadio::write(std::string_view message) { impl_->write(message); }
std::size_t BleRadio::message_size_max_bytes() const { return impl_->message_size_max_bytes(); }
void BleRadio::fill(std::vector<pollfd>& waiting) const { impl_->bus_.fill(waiting); }
Millis BleRadio::next_deadline(Millis now) const { return impl_->next_deadline(now); }
void BleRadio::serve(Millis now) { impl_->serve(now); }
bool BleRadio::is_lost() const noexcept { return impl_->lost_; }
const std::string& BleRadio::last_problem() const noexcept { return impl_->problem_; }

}  // namespace muster::provisioner
