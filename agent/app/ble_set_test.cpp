// SPDX-License-Identifier: Apache-2.0
// A device's Bluetooth side over a real D-Bus with a small bluetoothd of the test's own. The device's time is virtual.
#include "agent/app/ble_set.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "agent/core/device_test_rig.hpp"
#include "agent/ports/linux/ble_fake.hpp"

namespace muster::agent::app {
namespace {

using linux_port::test::FakeBluez;
using linux_port::test::PrivateBus;

constexpr const char* phone = "/org/bluez/hci0/dev_1";

struct BleSetTest : ::testing::Test {
  void SetUp() override { ASSERT_TRUE(bus.ok()) << "dbus-daemon is missing"; }

  void start(bool at_home = false) {
    ble = make_ble_set("hci0");
    EXPECT_EQ(ble->start(), "");
    visitors.attach(rig.device);
    ble->attach(rig.device, visitors);
    if (at_home) rig.store.put(Slot::proved, test::home_config());
    rig.start();
  }
  /// As the program's loop: served only when something arrived or is due. The device's time stands still.
  void turn() {
    std::vector<pollfd> waiting;
    ble->fill(waiting);
    const int ready = ::poll(waiting.data(), waiting.size(), 10);
    if (ready > 0 || ble->next_deadline(rig.now) <= rig.now) ble->serve(rig.now);
  }
  template <typename Condition>
  void pump_until(Condition holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (!holds() && std::chrono::steady_clock::now() < end) turn();
    EXPECT_TRUE(holds());
  }
  void pump_until_open() {
    pump_until([this] { return bluez->advertised.load(); });
  }
  /// Whether it is still open after everything that is due by now was done.
  bool stays_open() {
    for (int i = 0; i < 20; ++i) turn();
    return bluez->advertised;
  }
  void shuts_in(Millis ms) {
    EXPECT_TRUE(stays_open());
    rig.now += ms - 1;
    EXPECT_TRUE(stays_open());
    ++rig.now;
    pump_until([this] { return !bluez->advertised && !bluez->registered; });
  }
  bool write(const std::string& text) {
    auto result = std::async(std::launch::async, [&] { return bluez->write_as(phone, text); });
    pump_until([&] { return result.wait_for(std::chrono::seconds{0}) == std::future_status::ready; });
    return result.get().empty();
  }
  void hears(const std::string& text) {
    pump_until([&] {
      const auto said = bluez->said();
      return std::find(said.begin(), said.end(), text) != said.end();
    });
  }
  void set_up() {
    EXPECT_TRUE(write(R"({"t":"info"})"));
    EXPECT_TRUE(write(R"({"t":"set","if":"wifi","ssid":"new","pass":"secret456"})"));
    EXPECT_TRUE(write(R"({"t":"set","blynk":"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345","host":"new.example"})"));
    EXPECT_TRUE(write(R"({"t":"connect"})"));
    hears(R"({"t":"connecting"})");
    rig.pass_ms(200);
    ASSERT_EQ(rig.last_radio(), "join new/secret456");
  }

  PrivateBus bus;
  std::unique_ptr<FakeBluez> bluez = bus.ok() ? std::make_unique<FakeBluez>() : nullptr;
  test::DeviceRig rig;
  Visitors visitors;
  std::unique_ptr<BleSet> ble;
};

TEST_F(BleSetTest, ADeviceWhoseAccessPointCannotBeOpenedIsSetUpAllTheSame) {
  start();
  rig.device.on_open_failed(rig.now);
  pump_until_open();
  EXPECT_EQ(bluez->name(), "Blynk Lamp-N1A9");
  set_up();
  rig.join();
  rig.go_online();
  hears(R"({"t":"status","s":"connected"})");
  EXPECT_EQ(rig.state(), DeviceState::running);
  shuts_in(1'000);
}

TEST_F(BleSetTest, ItStaysOpenForAnotherTry) {
  start(true);
  rig.device.request_setup(rig.now);
  rig.device.on_open_failed(rig.now);
  pump_until_open();
  set_up();
  rig.device.on_join_failed(JoinFailure::wrong_password, rig.now);
  hears(R"({"t":"net_fail","reason":"invalid_credentials"})");
  rig.now += 2'000;
  EXPECT_TRUE(stays_open());
  // The access point comes after all, and a phone leaves it: the app here is still there.
  rig.device.on_timer(rig.now);
  rig.open();
  visitors.on_stations(1, rig.now);
  visitors.on_stations(0, rig.now);
  rig.pass_ms(5'000);
  EXPECT_TRUE(rig.saw("setup_opened"));
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  set_up();
  rig.join();
  rig.go_online();
  hears(R"({"t":"status","s":"connected"})");
}

TEST_F(BleSetTest, AnAppThatLeavesNeedNotBeWaitedForUntilItFails) {
  start();
  rig.device.on_open_failed(rig.now);
  pump_until_open();
  set_up();
  bluez->leave(phone);
  shuts_in(1'000);
  rig.device.on_join_failed(JoinFailure::wrong_password, rig.now);
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  pump_until_open();
}

TEST_F(BleSetTest, OpensAndShutsWithTheAccessPoint) {
  start(true);
  EXPECT_FALSE(stays_open());
  rig.device.request_setup(rig.now);
  rig.open();
  pump_until_open();
  rig.take();
  EXPECT_TRUE(stays_open());
  rig.join();
  rig.go_online();
  rig.now += 10'000;
  EXPECT_TRUE(stays_open());  // Nobody has read the result yet.
  rig.device.on_result_read(rig.now);
  rig.pass_ms(1'000);
  EXPECT_FALSE(rig.device.open_for_setup());
  shuts_in(1'000);
}

}  // namespace
}  // namespace muster::agent::app
