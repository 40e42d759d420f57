// SPDX-License-Identifier: Apache-2.0
#include "agent/core/inject_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "agent/core/device_test_rig.hpp"

namespace muster::agent::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct InjectRig : DeviceRig {
  struct Texts final : InjectServer::Sink {
    std::vector<std::string> log;
    void send(std::string_view text) override { log.emplace_back(text); }
  } sink;
  InjectServer inject;
  explicit InjectRig(const DeviceProfile& profile = make_profile()) : DeviceRig{profile}, inject{device, sink} {
    start();
    open();
    arrive();
  }
  void arrive() {
    inject.on_client(true, now);
    device.on_visitors(1, now);
  }
  void leave() {
    inject.on_client(false, now);
    device.on_visitors(0, now);
  }
  /// What the device says to that.
  std::vector<std::string> say(std::string_view text) {
    sink.log.clear();
    const std::string exact{text};
    inject.on_message(exact, now);
    return std::exchange(sink.log, {});
  }
  std::vector<std::string> heard() { return std::exchange(sink.log, {}); }
  void send_settings() {
    EXPECT_THAT(say(R"({"t":"set","if":"wifi","ssid":"new","pass":"secret456"})"), ElementsAre(R"({"t":"set_ok"})"));
    EXPECT_THAT(say(R"({"t":"set","blynk":"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345","host":"new.example","port":9443})"),
                ElementsAre(R"({"t":"set_ok"})"));
  }
  void begin() {
    send_settings();
    EXPECT_THAT(say(R"({"t":"connect"})"), ElementsAre(R"({"t":"connecting"})"));
    pass_ms(200);
  }
};

TEST(InjectServer, TellsWhatItIs) {
  InjectRig rig;
  EXPECT_THAT(
      rig.say(R"({"t":"info"})"),
      ElementsAre(
          R"({"t":"info","vendor":"Blynk","tmpl_id":"TMPL2abcdefgh","fw_type":"TMPL2abcdefgh","fw_ver":"1.2.3","name":"Blynk Lamp-N1A9",)"
          R"("uid":"11111111-2222-4333-8444-555555555555","caps":["live_status"]})"));
  EXPECT_EQ(rig.state(), DeviceState::configuring);
  EXPECT_THAT(rig.say(R"({"t":"ifs"})"),
              ElementsAre(R"({"t":"ifs_start"})", R"({"t":"if","name":"wifi","mac":"AA:00:00:00:00:00","scan":1,"5ghz":0,"static_ip":1})",
                          R"({"t":"ifs_end"})"));
}

TEST(InjectServer, TheWholeWayWithLiveMessages) {
  InjectRig rig;
  rig.begin();
  EXPECT_THAT(rig.heard(), ElementsAre(R"({"t":"status","s":"connecting_net"})"));
  rig.join();
  EXPECT_THAT(
      rig.heard(),
      ElementsAre(
          R"({"t":"net_status","if":"wifi","state":"CONNECTED","ssid":"new","bssid":"00:00:00:00:00:00","ip":"10.0.0.2","rssi":-50})",
          R"({"t":"status","s":"connecting_cloud"})"));
  EXPECT_EQ(rig.transport.connects.back(), "new.example:9443+");
  rig.connect();
  rig.accept_login();
  EXPECT_THAT(rig.heard(), IsEmpty());
  rig.accept_info();
  EXPECT_THAT(rig.heard(), ElementsAre(R"({"t":"status","s":"connected"})"));  // Once, and only when it is stored.
  EXPECT_EQ(rig.proved_token(), other_token);
  rig.pass_ms(1'000);
  EXPECT_FALSE(rig.device.open_for_setup());
}

TEST(InjectServer, SaysWhatFailedAndTakesAllSettingsAnew) {
  InjectRig rig;
  rig.begin();
  rig.heard();
  rig.device.on_join_failed(JoinFailure::wrong_password, rig.now);
  EXPECT_THAT(rig.heard(), ElementsAre(R"({"t":"net_fail","reason":"invalid_credentials"})"));
  EXPECT_THAT(rig.say(R"({"t":"connect"})"), ElementsAre(R"({"t":"connect_fail","msg":"configuration invalid"})"));  // Forgotten.
  rig.begin();
  rig.join();
  rig.connect();
  rig.heard();
  rig.refuse_login();
  EXPECT_THAT(rig.heard(), ElementsAre(R"({"t":"cloud_fail","reason":"auth_failed","msg":"invalid_token"})"));
  rig.begin();
  rig.join();
  rig.connect();
  rig.accept_login();
  rig.heard();
  rig.store.fails = true;
  rig.accept_info();
  EXPECT_THAT(rig.heard(), ElementsAre(R"({"t":"connect_fail","msg":"failed to store configuration"})"));
}

TEST(InjectServer, KnownKeysCountBesideUnknownOnes) {
  InjectRig rig;
  rig.send_settings();
  EXPECT_THAT(rig.say(R"({"t":"set","ssid":"better","color":"red"})"), ElementsAre(R"({"t":"set_fail"})"));
  EXPECT_THAT(rig.say(R"({"t":"set","pass":["x"]})"), ElementsAre(R"({"t":"set_fail"})"));
  EXPECT_THAT(rig.say(R"({"t":"connect"})"), ElementsAre(R"({"t":"connecting"})"));
  rig.pass_ms(200);
  EXPECT_EQ(rig.last_radio(), "join better/secret456");
}

TEST(InjectServer, ScansAndTellsTheUsefulOnes) {
  InjectRig rig;
  EXPECT_THAT(rig.say(R"({"t":"scan"})"), ElementsAre(R"({"t":"scan_start"})"));
  ScannedNetwork seen[3];
  seen[0].ssid = "weak";
  seen[0].rssi_dbm = -91;
  seen[1].ssid = "home";
  seen[1].rssi_dbm = -60;
  seen[1].security = NetworkSecurity::wpa2;
  seen[1].channel = 11;
  seen[2].ssid = "";
  rig.device.on_scanned(seen, 3, rig.now);
  EXPECT_THAT(rig.heard(), ElementsAre(R"({"t":"scan","ssid":"home","bssid":"00:00:00:00:00:00","rssi":-60,"sec":"WPA2","ch":11})",
                                       R"({"t":"scan_end"})"));
  rig.device.on_scanned(seen, 3, rig.now);
  EXPECT_THAT(rig.heard(), IsEmpty());  // Nobody asked.
}

TEST(InjectServer, SaysNoToWhatItDoesNotKnow) {
  InjectRig rig;
  for (const char* bad : {"", "x", "[]", "{}", R"({"t":5})", "{\"t\":\"info\""}) {
    EXPECT_THAT(rig.say(bad), ElementsAre(R"({"t":"error","msg":"wrong format"})")) << bad;
  }
  EXPECT_THAT(rig.say(R"({"t":"info","x":")" + std::string(512, 'x') + "\"}"), ElementsAre(R"({"t":"error","msg":"wrong format"})"));
  for (const char* bad : {R"({"t":"dance"})", R"({"t":"status"})", R"({"t":"set_ok"})"}) {
    EXPECT_THAT(rig.say(bad), ElementsAre(R"({"t":"error","msg":"invalid command"})")) << bad;
  }
  EXPECT_THAT(rig.say(R"({"t":"ota_start","name":"x.bin"})"),
              ElementsAre(R"({"t":"ota_start_fail","msg":"this device takes no firmware here"})"));
}

TEST(InjectServer, ResetForgetsAndRebootRestarts) {
  InjectRig rig;
  rig.send_settings();
  EXPECT_THAT(rig.say(R"({"t":"reset"})"), ElementsAre(R"({"t":"reset_ok"})"));
  EXPECT_THAT(rig.say(R"({"t":"connect"})"), ElementsAre(R"({"t":"connect_fail","msg":"configuration invalid"})"));
  EXPECT_THAT(rig.say(R"({"t":"reboot"})"), IsEmpty());
  EXPECT_EQ(rig.observer.restarts, 1);
}

TEST(InjectServer, AnAppThatIsGoneAfterEachMessageLeavesNothingBehind) {
  for (int steps = 0; steps < 3; ++steps) {
    InjectRig rig;
    if (steps > 0) rig.say(R"({"t":"info"})");
    if (steps > 1) rig.send_settings();
    rig.leave();
    EXPECT_EQ(rig.state(), DeviceState::wait_config);
    EXPECT_THAT(rig.say(R"({"t":"info"})"), IsEmpty());  // Nobody is there.
    rig.arrive();
    EXPECT_THAT(rig.say(R"({"t":"connect"})"), ElementsAre(R"({"t":"connect_fail","msg":"configuration invalid"})"));
  }
  InjectRig rig;
  rig.begin();
  rig.leave();
  rig.join();  // It goes on, and says nothing into the air.
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
  EXPECT_THAT(rig.heard(), ElementsAre(R"({"t":"status","s":"connecting_net"})"));
}

TEST(InjectServer, TellsASecondAppThatTheDeviceIsBusy) {
  InjectRig rig;
  rig.begin();
  rig.leave();
  rig.arrive();
  rig.say(R"({"t":"set","ssid":"other","blynk":"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345","host":"h"})");
  EXPECT_THAT(rig.say(R"({"t":"connect"})"), ElementsAre(R"({"t":"connect_fail","msg":"busy with other settings"})"));
}

TEST(InjectServer, WhatItIsCalledIsToldAgainAfterEverySetUp) {
  // The new settings may be of another cloud, where it is another device.
  InjectRig rig;
  const auto names_told = [&rig] {
    return std::count_if(rig.transport.sent.begin(), rig.transport.sent.end(),
                         [](const std::string& sent) { return sent.find("Hotspot Name") != std::string::npos; });
  };
  rig.begin();
  rig.join();
  rig.go_online();
  EXPECT_EQ(names_told(), 1);
  rig.leave();
  rig.device.request_setup(rig.now);
  rig.open();
  rig.arrive();
  rig.begin();
  rig.join();
  rig.go_online();
  EXPECT_EQ(names_told(), 2);
}

}  // namespace
}  // namespace muster::agent::test
