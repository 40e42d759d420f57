// SPDX-License-Identifier: Apache-2.0
// What the host's radio makes of what NetworkManager says; nm_bus_test.cpp has the D-Bus between them.
#include "provisioner/radios/nm_host_radio.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/ports/linux/test_nm.hpp"
#include "agent/ports/linux/test_wpa.hpp"

namespace muster::provisioner {
namespace {

using agent::NetworkSecurity;
using agent::linux_port::NmState;
using agent::linux_port::test::FakeNm;
using agent::linux_port::test::FakeSystem;
using agent::linux_port::test::network;
using agent::linux_port::test::TestClock;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint32_t dhcp_failed = 17;  // Reasons of a device's state, as NetworkManager numbers them.
constexpr std::uint32_t ssid_not_found = 53;
constexpr const char* home = "/Settings/home";  // The connection that the host was on.

class NmHostRadioTest : public testing::Test, protected HostListener {
 protected:
  NmHostRadioTest() {
    nm_.station.state = NmState::activated;
    nm_.station.connection = home;
    nm_.station.networks = {network("Home", 2437, NetworkSecurity::wpa2), network("Blynk Lamp-N1A9", 2412, NetworkSecurity::open)};
    nm_.station.networks[1].rssi_dbm = -30;
    radio_.attach(*this);
    EXPECT_EQ(radio_.start(), "");
  }
  void run(Millis duration_ms = 0) {
    const Millis until = clock_.time + duration_ms;
    for (int i = 0; i < 1'000 && radio_.next_deadline() <= until; ++i) {
      clock_.time = std::max(clock_.time, radio_.next_deadline());
      radio_.serve();
    }
    clock_.time = until;
    radio_.serve();
  }
  void state(NmState to, std::uint32_t reason = 0) {
    nm_.listener->on_device_state("/station", to, reason);
    run();
  }
  void join() {
    radio_.join_open("Blynk Lamp-N1A9", 1);
    run();
    state(NmState::ip_config);
    nm_.station.address = 0xC0A80402U;
    state(NmState::activated);
    EXPECT_THAT(heard_, ElementsAre("joined"));
    heard_.clear();
  }

  using Millis = agent::Millis;
  void on_scanned(const std::vector<AccessPoint>& found, Millis) override {
    std::string text = "scanned";
    for (const auto& ap : found) text += " " + ap.ssid + (ap.open ? " open " : " closed ") + std::to_string(ap.channel);
    heard_.push_back(text);
  }
  void on_host_joined(Millis) override { heard_.emplace_back("joined"); }
  void on_host_join_failed(HostJoinFailure failure, Millis) override {
    heard_.push_back("failed " + std::to_string(static_cast<int>(failure)));
  }
  void on_host_lost(Millis) override { heard_.emplace_back("lost"); }
  void on_restored(Millis) override { heard_.emplace_back("restored"); }
  static std::string failed(HostJoinFailure failure) { return "failed " + std::to_string(static_cast<int>(failure)); }

  TestClock clock_;
  FakeSystem system_;
  FakeNm nm_;
  NmHostRadio radio_{clock_, system_, nm_, "wl0"};
  std::vector<std::string> heard_;
};

TEST_F(NmHostRadioTest, SaysWhyItCannotBegin) {
  const auto why = [&](NmState state, const char* interface = "wl0") {
    FakeNm nm;
    nm.station.state = state;
    return NmHostRadio{clock_, system_, nm, interface}.start();
  };
  EXPECT_EQ(why(NmState::disconnected), "");
  EXPECT_THAT(why(NmState::unmanaged), HasSubstr("nmcli device set wl0 managed yes"));
  EXPECT_THAT(why(NmState::unavailable), HasSubstr("nmcli radio wifi on"));
  EXPECT_EQ(why(NmState::disconnected, "wl1"), "no such card");
}

TEST_F(NmHostRadioTest, LooksAroundAlsoWhenItIsToldToWait) {
  radio_.scan();
  run();
  EXPECT_TRUE(heard_.empty());
  nm_.listener->on_scan_done("/station");
  run();
  EXPECT_THAT(heard_, ElementsAre("scanned Blynk Lamp-N1A9 open 1 Home closed 6"));
  heard_.clear();
  nm_.scan_ok = false;
  radio_.scan();
  run(5'000);
  EXPECT_TRUE(heard_.empty());
  EXPECT_GT(std::count(nm_.log.begin(), nm_.log.end(), "scan /station "), 4);
  run(8'000);  // What it saw last is better than nothing.
  EXPECT_EQ(heard_.size(), 1U);
  run(60'000);
  EXPECT_EQ(heard_.size(), 1U);
}

TEST_F(NmHostRadioTest, TheDevicesNetworkTakesNothingOfTheHostsAndTheOneBeforeComesBack) {
  join();
  ASSERT_EQ(nm_.profiles.size(), 1U);
  EXPECT_EQ(nm_.profiles[0].ssid, "Blynk Lamp-N1A9");
  EXPECT_TRUE(nm_.profiles[0].local_only);
  EXPECT_TRUE(nm_.profiles[0].key_management.empty());
  radio_.leave();
  radio_.restore();
  run();
  EXPECT_THAT(nm_.log, Contains("deactivate /connection1"));
  EXPECT_EQ(nm_.log.back(), std::string{"activate /station "} + home);
  EXPECT_TRUE(heard_.empty());
  state(NmState::disconnected);  // Of the device's network.
  state(NmState::ip_config);
  EXPECT_TRUE(heard_.empty());
  state(NmState::activated);
  EXPECT_THAT(heard_, ElementsAre("restored"));
}

TEST_F(NmHostRadioTest, WhatWasNotTouchedOrNotThereIsNotPutBack) {
  radio_.restore();
  run();
  EXPECT_THAT(heard_, ElementsAre("restored"));
  EXPECT_THAT(nm_.log, Not(Contains(HasSubstr(home))));

  heard_.clear();
  FakeNm nm;  // The host was on no network.
  NmHostRadio radio{clock_, system_, nm, "wl0"};
  radio.attach(*this);
  ASSERT_EQ(radio.start(), "");
  radio.join_open("Blynk Lamp-N1A9", 1);
  radio.serve();
  radio.restore();
  radio.serve();
  EXPECT_THAT(heard_, ElementsAre("restored"));
  EXPECT_EQ(nm.log.back(), "deactivate /connection1");
}

TEST_F(NmHostRadioTest, PuttingBackEndsAlsoWhenTheNetworkDoesNotComeBack) {
  join();
  radio_.restore();
  run();
  state(NmState::failed, ssid_not_found);
  EXPECT_THAT(heard_, ElementsAre("restored"));
  EXPECT_THAT(radio_.last_problem(), HasSubstr("reason 53"));

  heard_.clear();
  join();
  radio_.restore();
  run(NmHostRadio::restore_timeout_ms - 1);
  EXPECT_TRUE(heard_.empty());
  run(1);
  EXPECT_THAT(heard_, ElementsAre("restored"));

  heard_.clear();
  join();
  nm_.activate_problem = "not authorized";
  radio_.restore();
  run();
  EXPECT_THAT(heard_, ElementsAre("restored"));
  EXPECT_THAT(radio_.last_problem(), HasSubstr("not authorized"));
}

TEST_F(NmHostRadioTest, JoinsFailWithTheirReason) {
  const auto begin = [&] {
    heard_.clear();
    nm_.station.address = 0;
    radio_.join_open("Blynk Lamp-N1A9", 1);
    run();
  };
  begin();
  state(NmState::failed, ssid_not_found);
  EXPECT_THAT(heard_, ElementsAre(failed(HostJoinFailure::not_found)));
  begin();
  state(NmState::ip_config);
  state(NmState::failed, dhcp_failed);
  EXPECT_THAT(heard_, ElementsAre(failed(HostJoinFailure::no_address)));
  begin();
  state(NmState::activated);  // And no address.
  EXPECT_THAT(heard_, ElementsAre(failed(HostJoinFailure::no_address)));
  begin();
  run(NmHostRadio::join_timeout_ms);
  EXPECT_THAT(heard_, ElementsAre(failed(HostJoinFailure::timeout)));
  begin();
  nm_.listener->on_connection_ended("/connection5");
  EXPECT_THAT(heard_, ElementsAre(failed(HostJoinFailure::other)));
  nm_.activate_problem = "not authorized";
  begin();
  EXPECT_THAT(heard_, ElementsAre(failed(HostJoinFailure::other)));
  EXPECT_THAT(radio_.last_problem(), HasSubstr("not authorized"));
}

TEST_F(NmHostRadioTest, ANetworkThatEndsIsLostOnceAndOneThatWasLeftIsNot) {
  join();
  state(NmState::deactivating);
  nm_.listener->on_connection_ended("/connection1");
  state(NmState::disconnected);
  EXPECT_THAT(heard_, ElementsAre("lost"));
  heard_.clear();
  join();
  radio_.leave();
  state(NmState::deactivating);
  state(NmState::disconnected);
  EXPECT_TRUE(heard_.empty());
}

TEST_F(NmHostRadioTest, NetworkManagerMayEnd) {
  join();
  nm_.listener->on_gone();
  EXPECT_TRUE(radio_.is_lost());
  radio_.restore();
  run();
  EXPECT_THAT(heard_, ElementsAre("restored"));
}

}  // namespace
}  // namespace muster::provisioner
