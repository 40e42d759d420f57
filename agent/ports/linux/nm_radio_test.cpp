// SPDX-License-Identifier: Apache-2.0
// What the radio makes of what NetworkManager says. The real one is in tests/radio (scenario nm).
#include "agent/ports/linux/nm_radio.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>

#include "agent/ports/linux/test_nm.hpp"
#include "agent/ports/linux/test_wpa.hpp"

namespace muster::agent::linux_port {
namespace {

using test::FakeNm;
using test::FakeSystem;
using test::network;
using test::TestClock;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct Recorder final : RadioListener {
  std::vector<std::string> log;
  void on_opened(Millis) override { log.emplace_back("opened"); }
  void on_open_failed(Millis) override { log.emplace_back("open failed"); }
  void on_visitors(std::size_t count, Millis) override { log.push_back("visitors " + std::to_string(count)); }
  void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis) override {
    std::string text = "scanned";
    for (std::size_t i = 0; i < count; ++i) text += " " + std::string{networks[i].ssid};
    log.push_back(text);
  }
  void on_joined(const JoinedNetwork& network, Millis) override {
    log.push_back("joined " + std::to_string(network.address & 255) + " channel " + std::to_string(network.channel));
  }
  void on_join_failed(JoinFailure failure, Millis) override { log.push_back("join failed " + std::to_string(static_cast<int>(failure))); }
  void on_network_lost(Millis) override { log.emplace_back("lost"); }
};

std::string failed(JoinFailure failure) { return "join failed " + std::to_string(static_cast<int>(failure)); }

class NmRadioTest : public testing::Test {
 protected:
  NmRadioTest() {
    options_.interface = "wl0";
    options_.control_directory = options_.run_directory = "/nowhere";
    nm_.station.networks = {network("Home", 2437, NetworkSecurity::wpa2), network("Home3", 2412, NetworkSecurity::wpa3),
                            network("Cafe", 2412, NetworkSecurity::open), network("Office", 2412, NetworkSecurity::enterprise)};
    radio_ = std::make_unique<NmRadio>(clock_, system_, nm_, options_);
    EXPECT_EQ(radio_->start(), "");
  }
  void run(Millis duration_ms = 0) {
    const Millis until = clock_.time + duration_ms;
    for (int i = 0; i < 10'000; ++i) {
      if (radio_->next_deadline() > until) break;
      clock_.time = std::max(clock_.time, std::min(radio_->next_deadline(), until));
      radio_->serve(recorder_);
    }
    clock_.time = until;
    radio_->serve(recorder_);
  }
  void state(const char* device, NmState to, std::uint32_t reason = 0) {
    nm_.listener->on_device_state(device, to, reason);
    run();
  }
  void open() {
    radio_->open("Blynk Lamp-0W8N");
    run(500);
    state("/ap", NmState::activated);
  }
  void scan_ends() {
    nm_.listener->on_scan_done("/station");
    run();
  }
  void join(const char* ssid, const char* passphrase) {
    JoinTarget target;
    target.ssid = ssid;
    target.passphrase = passphrase;
    radio_->join(target);
    run();
  }
  void gets_address() {
    nm_.station.address = 0xC0A84D02U;
    nm_.station.mask = 0xFFFFFF00U;
    state("/station", NmState::ip_config);
    state("/station", NmState::activated);
  }

  TestClock clock_;
  FakeSystem system_;
  FakeNm nm_;
  NmOptions options_;
  Recorder recorder_;
  std::unique_ptr<NmRadio> radio_;
};

TEST_F(NmRadioTest, OpensOnAnInterfaceOfItsOwnOnceNetworkManagerHasIt) {
  nm_.access_point.reset();
  radio_->open("Blynk Lamp-0W8N");
  run(1'000);
  nm_.access_point = NmDevice{"/ap", NmState::unmanaged, {}, {}, 0, 0, {}};
  run(1'000);
  EXPECT_THAT(system_.log, Contains("add muster-ap beside wl0"));
  EXPECT_THAT(nm_.log, ElementsAre("manage /ap", "activate /ap Blynk Lamp-0W8N"));
  EXPECT_TRUE(nm_.profiles.at(0).access_point);
  EXPECT_THAT(recorder_.log, IsEmpty());
  state("/ap", NmState::activated);
  EXPECT_THAT(recorder_.log, ElementsAre("opened"));
  radio_->open("Blynk Lamp-0W8N");
  run();
  EXPECT_THAT(recorder_.log, ElementsAre("opened", "opened"));
  radio_->shut();
  run();
  EXPECT_THAT(nm_.log, Contains("deactivate /connection1"));
  EXPECT_EQ(nm_.log.back(), "leave /ap");
  EXPECT_EQ(system_.log.back(), "remove muster-ap");
}

TEST_F(NmRadioTest, TellsThatItCannotOpen) {
  nm_.activate_problem = "no";
  radio_->open("Lamp");
  run(NmRadio::open_timeout_ms + 1);
  EXPECT_THAT(recorder_.log, ElementsAre("open failed"));
  EXPECT_THAT(radio_->last_problem(), HasSubstr("no access point: no"));
}

TEST_F(NmRadioTest, ComesBackWhenTheAccessPointIsTakenAway) {
  open();
  nm_.activate_problem = "no";
  state("/ap", NmState::failed, 36);
  run(NmRadio::open_timeout_ms + 1'000);
  nm_.activate_problem.clear();
  run(10'000);
  state("/ap", NmState::activated);
  EXPECT_THAT(recorder_.log, ElementsAre("opened", "opened")) << "the interface is a new one: what listens on it is told";
  nm_.listener->on_phone("aa", true);
  run();
  EXPECT_EQ(recorder_.log.back(), "visitors 1");
}

TEST_F(NmRadioTest, AnAccessPointThatGaveWayToTheHomeOpensWhenThatEnds) {
  open();
  join("Cafe", "");
  scan_ends();
  nm_.station.address = 0xC0A80432U;  // The access point's own range.
  nm_.station.mask = 0xFFFFFF00U;
  state("/station", NmState::activated);
  run(20'000);
  const std::size_t before = nm_.profiles.size();
  ASSERT_EQ(system_.log.back(), "remove muster-ap");
  radio_->leave();
  run(2'000);
  ASSERT_EQ(nm_.profiles.size(), before + 1);
  EXPECT_TRUE(nm_.profiles.back().access_point);
  state("/ap", NmState::activated);
  EXPECT_EQ(recorder_.log.back(), "opened");
}

TEST_F(NmRadioTest, CountsThePhones) {
  nm_.listener->on_phone("aa", true);  // Of another access point, before this one is there.
  open();
  nm_.listener->on_phone("aa", true);
  nm_.listener->on_phone("aa", true);
  run();
  nm_.listener->on_phone("bb", true);
  run();
  nm_.listener->on_phone("aa", false);
  run();
  EXPECT_THAT(recorder_.log, ElementsAre("opened", "visitors 1", "visitors 2", "visitors 1"));
}

TEST_F(NmRadioTest, LooksAroundAndAsksAgainWhenRefused) {
  nm_.scan_ok = false;
  radio_->scan();
  run(500);
  nm_.scan_ok = true;
  run(2'000);
  EXPECT_THAT(nm_.log, ElementsAre("scan /station ", "scan /station "));
  scan_ends();
  EXPECT_THAT(recorder_.log, ElementsAre("scanned Home Home3 Cafe Office"));
  radio_->scan();
  run(NmRadio::scan_timeout_ms + 1);
  EXPECT_EQ(recorder_.log.size(), 2U);  // The end never came.
}

TEST_F(NmRadioTest, JoinsAndTellsWhere) {
  join("Home", "correct horse");
  EXPECT_THAT(nm_.log, ElementsAre("scan /station Home"));
  scan_ends();
  ASSERT_EQ(nm_.profiles.size(), 1U);
  EXPECT_EQ(nm_.profiles[0].key_management, "wpa-psk");
  EXPECT_EQ(nm_.profiles[0].key, "correct horse");
  state("/station", NmState::need_auth);
  state("/station", NmState::config);
  gets_address();
  EXPECT_THAT(recorder_.log, ElementsAre("joined 2 channel 6"));
  state("/station", NmState::failed, 53);
  EXPECT_THAT(recorder_.log, ElementsAre("joined 2 channel 6", "lost"));
  EXPECT_EQ(nm_.log.back(), "deactivate /connection1");
}

TEST_F(NmRadioTest, TellsEveryFailure) {
  const auto begin = [&](const char* ssid, const char* passphrase) {
    recorder_.log.clear();
    join(ssid, passphrase);
    scan_ends();
  };
  begin("Home", "wrong horse");
  state("/station", NmState::need_auth, 8);
  EXPECT_THAT(recorder_.log, ElementsAre(failed(JoinFailure::wrong_password)));
  state("/station", NmState::failed, 7);  // NetworkManager's own end of it is no news.
  EXPECT_EQ(recorder_.log.size(), 1U);

  begin("Home3", "wrong horse");
  nm_.listener->on_refused(1);
  run();
  EXPECT_THAT(recorder_.log, IsEmpty());  // Once can be bad luck.
  nm_.listener->on_refused(1);
  run();
  EXPECT_THAT(recorder_.log, ElementsAre(failed(JoinFailure::wrong_password)));

  begin("Home", "correct horse");
  state("/station", NmState::ip_config);
  state("/station", NmState::failed, 5);
  EXPECT_THAT(recorder_.log, ElementsAre(failed(JoinFailure::no_address)));

  begin("Home", "correct horse");
  state("/station", NmState::failed, 53);  // It was seen a moment ago.
  EXPECT_THAT(recorder_.log, ElementsAre(failed(JoinFailure::timeout)));

  begin("Home", "correct horse");
  run(NmRadio::join_timeout_ms + 1);
  EXPECT_THAT(recorder_.log, ElementsAre(failed(JoinFailure::timeout)));

  begin("Office", "correct horse");
  EXPECT_THAT(recorder_.log, ElementsAre(failed(JoinFailure::other)));
  begin("Cafe", "correct horse");
  EXPECT_THAT(recorder_.log, ElementsAre(failed(JoinFailure::wrong_password)));

  nm_.activate_problem = "no";
  begin("Home", "correct horse");
  EXPECT_THAT(recorder_.log, ElementsAre(failed(JoinFailure::other)));
}

TEST_F(NmRadioTest, TellsThatANetworkIsNotThereAfterTwoLooks) {
  join("Nowhere", "correct horse");
  scan_ends();
  EXPECT_THAT(recorder_.log, IsEmpty());
  scan_ends();
  EXPECT_THAT(recorder_.log, ElementsAre(failed(JoinFailure::not_found)));
  join("Nowhere", "correct horse");
  // By name only when the one before has surely been looked for.
  EXPECT_THAT(nm_.log, ElementsAre("scan /station Nowhere", "scan /station ", "scan /station Nowhere"));
}

TEST_F(NmRadioTest, RefusesAFixedAddressThatCannotBe) {
  StaticAddress fixed;
  JoinTarget target;
  target.ssid = "Home";
  target.fixed = &fixed;
  fixed.address = 0x7F000001U;
  radio_->join(target);
  fixed.address = 0xC0A84D05U;
  fixed.mask = 0xFF00FF00U;
  run();
  radio_->join(target);
  run();
  EXPECT_THAT(recorder_.log, ElementsAre(failed(JoinFailure::bad_address), failed(JoinFailure::bad_address)));
}

TEST_F(NmRadioTest, TheAccessPointGoesToTheNetworksChannelFirst) {
  open();
  join("Home", "correct horse");
  scan_ends();
  // Nobody can be asked to take the phones along: down, and up again over there.
  ASSERT_EQ(nm_.profiles.size(), 2U);
  EXPECT_TRUE(nm_.profiles[1].access_point);
  EXPECT_EQ(nm_.profiles[1].frequency_mhz, 2437);
  state("/ap", NmState::deactivating, 60);
  state("/ap", NmState::activated);
  ASSERT_EQ(nm_.profiles.size(), 3U);
  EXPECT_FALSE(nm_.profiles[2].access_point);
  gets_address();
  EXPECT_THAT(recorder_.log, ElementsAre("opened", "joined 2 channel 6"));
}

TEST_F(NmRadioTest, GivesWayToAHomeThatUsesItsOwnRange) {
  open();
  join("Cafe", "");
  scan_ends();
  nm_.station.address = 0xC0A80432U;
  nm_.station.mask = 0xFFFFFF00U;
  state("/station", NmState::activated);
  EXPECT_THAT(recorder_.log, ElementsAre("opened", "joined 50 channel 1"));
  EXPECT_EQ(system_.log.back(), "remove muster-ap");
  EXPECT_THAT(radio_->last_problem(), HasSubstr("range"));
}

TEST_F(NmRadioTest, OneThingAtATimeWhereTheCardTakesNoSecondInterface) {
  system_.on_add_ap = [] { return std::string{"No second interface."}; };
  radio_->open("Lamp");
  run();
  EXPECT_THAT(nm_.log, ElementsAre("scan /station "));  // While it can.
  scan_ends();
  run(500);
  state("/station", NmState::activated);
  EXPECT_THAT(recorder_.log, ElementsAre("opened"));
  EXPECT_EQ(radio_->ap_interface(), "wl0");
  EXPECT_THAT(radio_->last_problem(), HasSubstr("away while it joins"));
  radio_->scan();
  run();
  EXPECT_EQ(recorder_.log.back(), "scanned Home Home3 Cafe Office");
  join("Home", "wrong horse");
  state("/station", NmState::need_auth, 8);
  EXPECT_EQ(recorder_.log.back(), failed(JoinFailure::wrong_password));
  run(1'000);
  EXPECT_EQ(nm_.log.back(), "activate /station Lamp");  // Open again by itself.
  state("/station", NmState::activated);
  join("Home", "correct horse");
  gets_address();
  EXPECT_EQ(recorder_.log.back(), "joined 2 channel 6");
}

TEST_F(NmRadioTest, OutlivesNetworkManager) {
  open();
  join("Cafe", "");
  scan_ends();
  gets_address();
  nm_.listener->on_gone();
  run();
  EXPECT_THAT(recorder_.log, ElementsAre("opened", "joined 2 channel 1", "lost"));
  join("Cafe", "");
  EXPECT_EQ(recorder_.log.back(), failed(JoinFailure::other));
  radio_->scan();
  run();
  EXPECT_THAT(recorder_.log.back(), HasSubstr("scanned"));
  const std::size_t before = nm_.profiles.size();
  run(5'000);
  EXPECT_EQ(nm_.profiles.size(), before + 1);  // The access point, again.
}

TEST_F(NmRadioTest, LeavesNothingBehind) {
  open();
  join("Cafe", "");
  scan_ends();
  gets_address();
  radio_->stop();
  EXPECT_THAT(nm_.log, Contains("deactivate /connection1"));
  EXPECT_THAT(nm_.log, Contains("deactivate /connection2"));
  EXPECT_EQ(nm_.log.back(), "close");
  EXPECT_EQ(system_.log.back(), "remove muster-ap");
}

TEST_F(NmRadioTest, NothingComesOfWhatWasEnded) {
  radio_->open("Lamp");
  radio_->shut();
  run(500);
  state("/ap", NmState::activated);
  join("Home", "correct horse");
  radio_->leave();
  scan_ends();
  state("/station", NmState::activated);
  run(NmRadio::join_timeout_ms * 2);
  EXPECT_THAT(recorder_.log, IsEmpty());
  EXPECT_THAT(nm_.log, Not(Contains(HasSubstr("activate"))));
}

}  // namespace
}  // namespace muster::agent::linux_port
