// SPDX-License-Identifier: Apache-2.0
// Both ends of the Bluetooth link over a real D-Bus with a small bluetoothd of the test's own: the agent's peripheral and the provisioner's radio.
#include "provisioner/radios/ble_radio.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "agent/ports/linux/ble_bus.hpp"
#include "agent/ports/linux/ble_fake.hpp"
#include "agent/ports/linux/ble_peripheral.hpp"
#include "agent/ports/linux/clock.hpp"

namespace muster::provisioner {
namespace {

using agent::Millis;
using agent::linux_port::BlePeripheral;
using agent::linux_port::test::FakeBluez;
using agent::linux_port::test::PrivateBus;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string device_name = "Blynk Lamp-N1A9";

struct BleRadioTest : ::testing::Test, HostListener, DeviceListener, agent::linux_port::BleListener {
  void SetUp() override { ASSERT_TRUE(bus.ok()) << "dbus-daemon is missing"; }

  // The device's end.
  void on_ble_client(bool here, Millis) override { app.emplace_back(here ? "app" : "no app"); }
  void on_ble_message(std::string_view text, Millis) override {
    app.emplace_back(text);
    if (text == R"({"t":"info"})") peripheral->send(R"({"t":"info","tmpl_id":"TMPL1","name":"Lamp"})");
    if (text == R"({"t":"ifs"})") peripheral->send(R"({"t":"ifs_end"})");
  }
  // The radio's end.
  void on_scanned(const std::vector<AccessPoint>& found, Millis) override {
    for (const auto& device : found) radio_told.push_back("found " + device.ssid);
    radio_told.emplace_back("scanned");
  }
  void on_host_joined(Millis) override { radio_told.emplace_back("joined"); }
  void on_host_join_failed(HostJoinFailure failure, Millis) override {
    radio_told.push_back("join failed " + std::to_string(static_cast<int>(failure)));
  }
  void on_host_lost(Millis) override { radio_told.emplace_back("lost"); }
  void on_restored(Millis) override { radio_told.emplace_back("restored"); }
  // The dialect's.
  void on_device_info(const DeviceInfo& info, Millis) override { radio_told.push_back("info " + info.template_id); }
  void on_device_networks(std::vector<SeenNetwork>, bool, Millis) override {}
  void on_device_forgot(Millis) override {}
  void on_settings_answer(bool, const std::string&, Millis) override {}
  void on_device_unreadable(const std::string&, Millis) override { radio_told.emplace_back("unreadable"); }
  void on_device_no_answer(Millis) override { radio_told.emplace_back("no answer"); }
  void on_device_progress(DeviceProgress, const std::string&, Millis) override {}
  void on_device_failed(std::uint16_t, const std::string&, Millis) override {}

  void open_device() {
    peripheral = std::make_unique<BlePeripheral>("hci0");
    peripheral->attach(*this);
    EXPECT_EQ(peripheral->start(), "");
    peripheral->open(device_name);
    pump_until([this] { return bluez->advertised.load(); });
  }
  void start_radio() {
    radio = std::make_unique<BleRadio>("hci1", 100);
    dialect = std::make_unique<BleDialect>(*radio);
    dialect->attach(*this);
    radio->attach(*this, *dialect);
    EXPECT_EQ(radio->start(), "");
  }
  void join() {
    radio->scan();
    pump_until([this] { return told("scanned"); });
    radio->join_open(device_name, 0);
    pump_until([this] { return told("joined"); });
  }
  [[nodiscard]] bool told(const std::string& what) const {
    return std::find(radio_told.begin(), radio_told.end(), what) != radio_told.end();
  }
  /// Serves both ends until it holds; at most 10 s.
  template <typename Condition>
  void pump_until(Condition holds) {
    const Millis end = clock.now() + 10'000;
    while (!holds() && clock.now() < end) {
      std::vector<pollfd> waiting;
      if (peripheral) peripheral->fill(waiting);
      if (radio) radio->fill(waiting);
      ::poll(waiting.data(), waiting.size(), 10);
      if (peripheral) peripheral->serve(clock.now());
      if (radio) radio->serve(clock.now());
    }
    EXPECT_TRUE(holds());
  }

  PrivateBus bus;
  std::unique_ptr<FakeBluez> bluez = bus.ok() ? std::make_unique<FakeBluez>() : nullptr;
  agent::linux_port::BootClock clock;
  std::unique_ptr<BlePeripheral> peripheral;
  std::unique_ptr<BleRadio> radio;
  std::unique_ptr<BleDialect> dialect;
  std::vector<std::string> app, radio_told;
};

TEST_F(BleRadioTest, FindsJoinsTalksLeavesAndPutsBack) {
  open_device();
  EXPECT_EQ(bluez->name(), device_name);
  start_radio();
  EXPECT_TRUE(bluez->powered_hci1);
  bluez->connects_that_fail = 2;  // A first try often ends at once.
  join();
  EXPECT_THAT(radio_told, ElementsAre("found " + device_name, "scanned", "joined"));
  EXPECT_EQ(radio->message_size_max_bytes(), 244U);
  dialect->ask_info();
  pump_until([this] { return told("info TMPL1"); });
  EXPECT_THAT(app, ElementsAre("app", R"({"t":"info"})", R"({"t":"ifs"})"));

  radio->leave();
  radio->restore();
  pump_until([this] { return told("restored") && app.back() == "no app"; });
  EXPECT_FALSE(bluez->device_known);
  EXPECT_FALSE(bluez->powered_hci1);
  EXPECT_FALSE(told("lost"));
  EXPECT_TRUE(bluez->advertised);
}

TEST_F(BleRadioTest, ADeviceThatClosesEndsTheLink) {
  open_device();
  start_radio();
  join();
  dialect->ask_info();
  pump_until([this] { return told("info TMPL1"); });
  peripheral->shut();
  pump_until([this] { return !bluez->advertised && !bluez->registered; });
  EXPECT_EQ(app.back(), "no app");
  peripheral->open("Blynk Other");
  pump_until([this] { return bluez->advertised.load(); });
  EXPECT_EQ(bluez->name(), "Blynk Other");
}

TEST_F(BleRadioTest, OneAppAtATimeAndMessagesAreWhole) {
  open_device();
  const auto write = [this](const std::string& device, const std::string& text, std::uint16_t offset = 0) {
    auto result = std::async(std::launch::async, [&] { return bluez->write_as(device, text, offset); });
    pump_until([&] { return result.wait_for(std::chrono::seconds{0}) == std::future_status::ready; });
    return result.get();
  };
  EXPECT_EQ(write("/org/bluez/hci0/dev_1", "one", 3), "org.bluez.Error.InvalidOffset");
  EXPECT_TRUE(app.empty());
  EXPECT_EQ(write("/org/bluez/hci0/dev_1", "one"), "");
  EXPECT_EQ(write("/org/bluez/hci0/dev_2", "two"), "org.bluez.Error.NotPermitted");
  EXPECT_EQ(write("/org/bluez/hci0/dev_1", std::string(512, 'x')), "");
  EXPECT_THAT(app, ElementsAre("app", "one", std::string(512, 'x')));
}

TEST_F(BleRadioTest, BluetoothdComesGoesAndComesBack) {
  bluez.reset();
  peripheral = std::make_unique<BlePeripheral>("hci0");
  peripheral->attach(*this);
  EXPECT_THAT(peripheral->start(), HasSubstr("bluetoothd does not answer"));
  peripheral->open(device_name);
  bluez = std::make_unique<FakeBluez>();
  pump_until([this] { return bluez->advertised && peripheral->trouble().empty(); });
  start_radio();
  join();
  dialect->ask_info();
  pump_until([this] { return told("info TMPL1"); });

  bluez.reset();
  pump_until([this] { return radio->is_lost() && app.back() == "no app"; });
  EXPECT_EQ(radio->last_problem(), "bluetoothd has ended.");
  EXPECT_EQ(peripheral->trouble(), "bluetoothd has ended.");
  radio->leave();
  radio->restore();
  pump_until([this] { return told("restored"); });  // There is nothing to put back any more.
  bluez = std::make_unique<FakeBluez>();
  pump_until([this] { return bluez->advertised && peripheral->trouble().empty(); });
}

TEST_F(BleRadioTest, WhatIsMissingIsNamed) {
  {
    agent::linux_port::BleBus open;
    ASSERT_EQ(open.open(), "");
    EXPECT_EQ(check_ble_adapter(open, "hci7"), "There is no Bluetooth adapter hci7 here, but hci0, hci1.");
  }
  start_radio();
  radio->scan();
  pump_until([this] { return told("scanned"); });
  EXPECT_THAT(radio_told, ElementsAre("scanned"));
  radio->join_open("nobody", 0);
  pump_until([this] { return told("join failed 0"); });
  bluez.reset();
  bus.stop();
  pump_until([this] { return radio->is_lost(); });
  EXPECT_THAT(BlePeripheral{"hci0"}.start(), HasSubstr("no system D-Bus"));
}

}  // namespace
}  // namespace muster::provisioner
