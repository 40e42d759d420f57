// SPDX-License-Identifier: Apache-2.0
// The host's radio over a real D-Bus, with what it uses of NetworkManager by the test's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sdbus-c++/sdbus-c++.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/ports/linux/ble_fake.hpp"
#include "agent/ports/linux/clock.hpp"
#include "agent/ports/linux/nm_dbus.hpp"
#include "agent/ports/linux/test_wpa.hpp"
#include "provisioner/radios/nm_host_radio.hpp"

namespace muster::provisioner {
namespace {

using agent::Millis;
using agent::linux_port::test::FakeSystem;
using agent::linux_port::test::PrivateBus;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

using Values = std::map<std::string, sdbus::Variant>;
using Settings = std::map<std::string, Values>;

const std::string root = "/org/freedesktop/NetworkManager";
const std::string device_path = root + "/Devices/1", home_path = root + "/Settings/1", visit_path = root + "/ActiveConnection/2";

/// NetworkManager with one card, wl0, which is on the network "Home"; on a thread of its own.
class FakeNetworkManager final {
 public:
  FakeNetworkManager() : connection_{sdbus::createSystemBusConnection("org.freedesktop.NetworkManager")} {
    add("/org/freedesktop")->addObjectManager();
    auto* const manager = add(root);
    const std::string nm = "org.freedesktop.NetworkManager";
    manager->registerMethod("AddAndActivateConnection2")
        .onInterface(nm)
        .implementedAs([this](const Settings& settings, const sdbus::ObjectPath&, const sdbus::ObjectPath&, const Values& options) {
          const std::lock_guard lock{mutex_};
          settings_ = settings;
          options_ = options;
          log_.emplace_back("added");
          return std::tuple{sdbus::ObjectPath{root + "/Settings/2"}, sdbus::ObjectPath{visit_path}, Values{}};
        });
    manager->registerMethod("ActivateConnection")
        .onInterface(nm)
        .implementedAs([this](const sdbus::ObjectPath& kept, const sdbus::ObjectPath& device, const sdbus::ObjectPath& specific) {
          note("activated " + kept + " " + device + " " + specific);
          return sdbus::ObjectPath{root + "/ActiveConnection/3"};
        });
    manager->registerMethod("DeactivateConnection").onInterface(nm).implementedAs([this](const sdbus::ObjectPath& active) {
      note("deactivated " + active);
    });
    manager->finishRegistration();
    add_device();
    add_access_point("1", "Home", 2437, 60, 0x1, 0x100);
    add_access_point("2", "Blynk Lamp-N1A9", 2412, 90, 0, 0);
    auto* const active = add(root + "/ActiveConnection/1");
    value(active, "org.freedesktop.NetworkManager.Connection.Active", "Connection", sdbus::ObjectPath{home_path});
    active->finishRegistration();
    auto* const config = add(root + "/IP4Config/1");
    value(config, "org.freedesktop.NetworkManager.IP4Config", "AddressData",
          std::vector<Values>{{{"address", sdbus::Variant{std::string{"192.168.4.2"}}}, {"prefix", sdbus::Variant{std::uint32_t{24}}}}});
    config->finishRegistration();
    connection_->enterEventLoopAsync();
  }
  ~FakeNetworkManager() { connection_->leaveEventLoop(); }
  FakeNetworkManager(const FakeNetworkManager&) = delete;
  FakeNetworkManager& operator=(const FakeNetworkManager&) = delete;

  void say_state(std::uint32_t state, std::uint32_t reason = 0) {
    device_->emitSignal("StateChanged").onInterface(interface_).withArguments(state, std::uint32_t{0}, reason);
  }
  std::vector<std::string> log() const {
    const std::lock_guard lock{mutex_};
    return log_;
  }
  /// What the connection that was added says, as text.
  std::string setting(const std::string& group, const std::string& name) const {
    const std::lock_guard lock{mutex_};
    const auto at = settings_.find(group);
    if (at == settings_.end() || at->second.find(name) == at->second.end()) return "none";
    return text_of(at->second.at(name));
  }
  std::string option(const std::string& name) const {
    const std::lock_guard lock{mutex_};
    return options_.find(name) == options_.end() ? "none" : text_of(options_.at(name));
  }

 private:
  static std::string text_of(const sdbus::Variant& value) {
    if (value.containsValueOfType<bool>()) return value.get<bool>() ? "yes" : "no";
    if (value.containsValueOfType<std::string>()) return value.get<std::string>();
    if (value.containsValueOfType<std::vector<std::uint8_t>>()) {
      const auto bytes = value.get<std::vector<std::uint8_t>>();
      return {bytes.begin(), bytes.end()};
    }
    return "something else";
  }
  sdbus::IObject* add(const std::string& path) {
    objects_.push_back(sdbus::createObject(*connection_, path));
    return objects_.back().get();
  }
  template <class Value>
  static void value(sdbus::IObject* object, const std::string& interface, const std::string& name, Value held) {
    object->registerProperty(name).onInterface(interface).withGetter([held] { return held; });
  }
  void add_device() {
    device_ = add(device_path);
    const std::string wireless = interface_ + ".Wireless";
    value(device_, interface_, "Interface", std::string{"wl0"});
    value(device_, interface_, "State", std::uint32_t{100});
    value(device_, interface_, "HwAddress", std::string{"02:00:00:00:00:09"});
    value(device_, interface_, "ActiveConnection", sdbus::ObjectPath{root + "/ActiveConnection/1"});
    value(device_, interface_, "Ip4Config", sdbus::ObjectPath{root + "/IP4Config/1"});
    device_->registerSignal("StateChanged").onInterface(interface_).withParameters<std::uint32_t, std::uint32_t, std::uint32_t>();
    value(device_, wireless, "PermHwAddress", std::string{"02:00:00:00:00:09"});
    value(device_, wireless, "ActiveAccessPoint", sdbus::ObjectPath{root + "/AccessPoint/1"});
    value(device_, wireless, "AccessPoints",
          std::vector<sdbus::ObjectPath>{sdbus::ObjectPath{root + "/AccessPoint/1"}, sdbus::ObjectPath{root + "/AccessPoint/2"}});
    value(device_, wireless, "LastScan", std::int64_t{1});
    device_->registerMethod("RequestScan").onInterface(wireless).implementedAs([this, wireless](const Values&) {
      note("scan");
      device_->emitPropertiesChangedSignal(wireless, {"LastScan"});
    });
    device_->finishRegistration();
  }
  void add_access_point(const std::string& number, const std::string& ssid, std::uint32_t frequency, std::uint8_t strength,
                        std::uint32_t flags, std::uint32_t rsn) {
    auto* const object = add(root + "/AccessPoint/" + number);
    const std::string interface = "org.freedesktop.NetworkManager.AccessPoint";
    value(object, interface, "Ssid", std::vector<std::uint8_t>{ssid.begin(), ssid.end()});
    value(object, interface, "Frequency", frequency);
    value(object, interface, "Strength", strength);
    value(object, interface, "Flags", flags);
    value(object, interface, "WpaFlags", std::uint32_t{0});
    value(object, interface, "RsnFlags", rsn);
    value(object, interface, "HwAddress", "02:00:00:00:01:0" + number);
    object->finishRegistration();
  }
  void note(std::string what) {
    const std::lock_guard lock{mutex_};
    log_.push_back(std::move(what));
  }

  const std::string interface_ = "org.freedesktop.NetworkManager.Device";
  std::unique_ptr<sdbus::IConnection> connection_;
  std::vector<std::unique_ptr<sdbus::IObject>> objects_;
  sdbus::IObject* device_ = nullptr;
  mutable std::mutex mutex_;
  std::vector<std::string> log_;
  Settings settings_;
  Values options_;
};

struct NmBusTest : testing::Test, HostListener {
  void SetUp() override {
    ASSERT_TRUE(bus.ok()) << "dbus-daemon is missing";
    manager = std::make_unique<FakeNetworkManager>();
    radio.attach(*this);
    ASSERT_EQ(radio.start(), "");
  }
  void on_scanned(const std::vector<AccessPoint>& found, Millis) override {
    for (const auto& ap : found) told.push_back(ap.ssid + (ap.open ? " open" : " closed"));
    told.emplace_back("scanned");
  }
  void on_host_joined(Millis) override { told.emplace_back("joined"); }
  void on_host_join_failed(HostJoinFailure, Millis) override { told.emplace_back("join failed"); }
  void on_host_lost(Millis) override { told.emplace_back("lost"); }
  void on_restored(Millis) override { told.emplace_back("restored"); }

  void pump_until(const std::function<bool()>& done) {
    const Millis end = clock.now() + 5'000;
    while (!done() && clock.now() < end) {
      std::vector<pollfd> waiting;
      radio.fill(waiting);
      ::poll(waiting.data(), waiting.size(), 5);
      radio.serve();
    }
    EXPECT_TRUE(done());
  }
  void pump_until_told(const std::string& what) {
    pump_until([&] { return !told.empty() && told.back() == what; });
  }
  void pump_until_logged(const std::string& what) {
    pump_until([&] {
      const auto log = manager->log();
      return !log.empty() && log.back() == what;
    });
  }

  PrivateBus bus;
  std::unique_ptr<FakeNetworkManager> manager;
  agent::linux_port::BootClock clock;
  FakeSystem system;
  agent::linux_port::NmDbus client;
  NmHostRadio radio{clock, system, client, "wl0"};
  std::vector<std::string> told;
};

TEST_F(NmBusTest, FindsJoinsAndPutsBack) {
  radio.scan();
  pump_until_told("scanned");
  EXPECT_THAT(told, ElementsAre("Blynk Lamp-N1A9 open", "Home closed", "scanned"));

  radio.join_open("Blynk Lamp-N1A9", 1);
  pump_until_logged("added");
  EXPECT_EQ(manager->setting("802-11-wireless", "ssid"), "Blynk Lamp-N1A9");
  EXPECT_EQ(manager->setting("connection", "autoconnect"), "no");
  EXPECT_EQ(manager->setting("connection", "interface-name"), "wl0");
  EXPECT_EQ(manager->setting("802-11-wireless-security", "key-mgmt"), "none");  // There is no such group.
  EXPECT_EQ(manager->setting("ipv4", "method"), "auto");
  for (const auto* nothing_of : {"never-default", "ignore-auto-dns", "ignore-auto-routes"})
    EXPECT_EQ(manager->setting("ipv4", nothing_of), "yes");
  EXPECT_EQ(manager->setting("ipv6", "method"), "disabled");
  EXPECT_EQ(manager->option("persist"), "volatile");
  EXPECT_EQ(manager->option("bind-activation"), "dbus-client");
  for (int i = 0; i < 20; ++i) radio.serve();  // The answer.
  pump_until([&, tries = 0]() mutable { return ++tries > 20; });
  manager->say_state(70);
  manager->say_state(100);
  pump_until_told("joined");

  radio.leave();
  radio.restore();
  pump_until_logged("activated " + home_path + " " + device_path + " /");
  EXPECT_THAT(manager->log(), Contains("deactivated " + visit_path));
  pump_until([&, tries = 0]() mutable { return ++tries > 20; });
  manager->say_state(100);
  pump_until_told("restored");
}

TEST_F(NmBusTest, ABusThatEndsIsTold) {
  manager.reset();  // Its thread cannot do without one.
  bus.stop();
  pump_until([&] { return radio.is_lost(); });
  EXPECT_THAT(radio.last_problem(), HasSubstr("ended"));
  radio.restore();
  pump_until_told("restored");
}

}  // namespace
}  // namespace muster::provisioner
