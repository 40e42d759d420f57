// SPDX-License-Identifier: Apache-2.0
#include "provisioner/radios/wpa_host_radio.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <filesystem>

#include "agent/ports/linux/test_wpa.hpp"

namespace muster::provisioner {
namespace {

using agent::Millis;
using agent::linux_port::test::FakeSocket;
using agent::linux_port::test::FakeSystem;
using agent::linux_port::test::TestClock;
using agent::linux_port::test::TestRandom;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

TEST(WpaHostState, IsReadFromTheAnswers) {
  const auto state =
      parse_wpa_host_state("bssid=02:00:00:00:00:01\nfreq=2437\nssid=Home\nid=3\nwpa_state=COMPLETED\n",
                           "network id / ssid / bssid / flags\n0\tOld\tany\t[DISABLED]\n1\tOffice\tany\t\n3\tHome\tany\t[CURRENT]\n");
  EXPECT_EQ(state.current_id, 3);
  EXPECT_EQ(state.frequency_mhz, 2437);
  EXPECT_THAT(state.enabled, ElementsAre(1, 3));
  EXPECT_EQ(parse_wpa_host_state("id=3\nwpa_state=SCANNING\n", "").current_id, -1);
  EXPECT_THAT(parse_wpa_host_state("FAIL", "\n\n-1\tx\nx\t\n7").enabled, IsEmpty());
}

struct Recorder final : HostListener {
  std::vector<std::string> log;
  std::vector<AccessPoint> seen;
  void on_scanned(const std::vector<AccessPoint>& found, Millis) override {
    seen = found;
    log.emplace_back("scanned");
  }
  void on_host_joined(Millis) override { log.emplace_back("joined"); }
  void on_host_join_failed(HostJoinFailure failure, Millis) override {
    log.push_back("join failed " + std::to_string(static_cast<int>(failure)));
  }
  void on_host_lost(Millis) override { log.emplace_back("lost"); }
  void on_restored(Millis) override { log.emplace_back("restored"); }
};

/// A host that is on network 1 of its wpa_supplicant; network 0 is switched off, network 2 is not.
class WpaHostRadioTest : public testing::Test {
 protected:
  WpaHostRadioTest() {
    std::string path = "/tmp/muster-host-test-XXXXXX";
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    options_.interface = "wl0";
    options_.control_directory = folder_;
    options_.run_directory = folder_;
    supplicant_ = std::make_unique<FakeSocket>(folder_ + "/wl0");
    supplicant_->answer = [this](const std::string& command) { return answer(command); };
    system_.host_address = 0xC0A84D05U;
    radio_ = std::make_unique<WpaHostRadio>(clock_, random_, system_, options_);
    EXPECT_EQ(radio_->start(), "");
    radio_->attach(heard_);
  }
  ~WpaHostRadioTest() override {
    radio_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::string answer(const std::string& command) {
    if (command == "STATUS") return "freq=2437\nid=1\nwpa_state=COMPLETED\n";
    if (command == "LIST_NETWORKS")
      return "network id / ssid / bssid / flags\n0\tOld\tany\t[DISABLED]\n1\tHome\tany\t[CURRENT]\n2\tOffice\tany\t\n";
    if (command == "ADD_NETWORK") return "9\n";
    if (command.find("SCAN") == 0) supplicant_->later.push_back("<3>CTRL-EVENT-SCAN-RESULTS ");
    if (command.find("BSS RANGE=0-") == 0) {
      return "id=0\nbssid=02:00:00:00:00:01\nfreq=2412\nlevel=-40\nflags=[ESS]\nssid=Blynk Lamp-0W8N\n====\n"
             "id=1\nbssid=02:00:00:00:00:02\nfreq=2437\nlevel=-50\nflags=[WPA2-PSK-CCMP][ESS]\nssid=Home\n####\n";
    }
    if (command == "SELECT_NETWORK 9" && device_answers_)
      supplicant_->later.push_back("<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:00:01 completed [id=9 id_str=]");
    if (command.find("SELECT_NETWORK 1") == 0 && home_answers_) {
      supplicant_->later.push_back("<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:00:02 completed [id=1 id_str=]");
    }
    return "OK\n";
  }
  void run(Millis time_ms) {
    const Millis end = clock_.time + time_ms;
    for (int i = 0; i < 100'000; ++i) {
      const bool busy = supplicant_ && supplicant_->serve();
      const std::size_t before = heard_.log.size();
      radio_->serve();
      if (busy || heard_.log.size() != before || radio_->next_deadline() <= clock_.time) continue;
      if (clock_.time >= end) return;
      clock_.time = std::min(end, clock_.time + 10);
    }
    FAIL() << "it does not come to rest";
  }

  TestClock clock_;
  TestRandom random_;
  FakeSystem system_;
  agent::linux_port::WpaOptions options_;
  Recorder heard_;
  std::string folder_;
  std::unique_ptr<FakeSocket> supplicant_;
  std::unique_ptr<WpaHostRadio> radio_;
  bool home_answers_ = true, device_answers_ = true;
};

TEST_F(WpaHostRadioTest, FindsDevicesAndJoinsOneWithoutTouchingRoutes) {
  radio_->scan();
  run(100);
  ASSERT_EQ(heard_.seen.size(), 2U);
  EXPECT_EQ(heard_.seen[0].ssid, "Blynk Lamp-0W8N");
  EXPECT_TRUE(heard_.seen[0].open);
  EXPECT_FALSE(heard_.seen[1].open);
  radio_->join_open("Blynk Lamp-0W8N", 1);
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre("scanned", "joined"));
  EXPECT_THAT(system_.log, Contains("address wl0 3232255234 via 0"));
}

TEST_F(WpaHostRadioTest, PutsTheHostsNetworkAndItsAddressBack) {
  radio_->join_open("Blynk Lamp-0W8N", 1);
  run(1'000);
  radio_->restore();
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre("joined", "restored"));
  EXPECT_THAT(supplicant_->commands, Contains("REMOVE_NETWORK 9"));
  EXPECT_THAT(supplicant_->commands, Contains("SELECT_NETWORK 1 freq=2437"));
  EXPECT_THAT(supplicant_->commands, Contains("ENABLE_NETWORK 1"));
  EXPECT_THAT(supplicant_->commands, Contains("ENABLE_NETWORK 2"));
  EXPECT_THAT(supplicant_->commands, Not(Contains("ENABLE_NETWORK 0")));
  EXPECT_THAT(supplicant_->commands, Not(Contains("ENABLE_NETWORK all")));
  EXPECT_EQ(system_.log.back(), "address wl0 3232255237 via 3232255233");
}

TEST_F(WpaHostRadioTest, EveryNetworkIsBackWhenItSaysSo) {
  // A program may end at that moment.
  radio_->join_open("Blynk Lamp-0W8N", 1);
  run(1'000);
  radio_->restore();
  for (int i = 0; i < 10'000 && heard_.log.back() != "restored"; ++i) {
    supplicant_->serve();
    radio_->serve();
    ++clock_.time;
  }
  EXPECT_EQ(heard_.log.back(), "restored");
  EXPECT_THAT(supplicant_->commands, Contains("ENABLE_NETWORK 1"));
  EXPECT_THAT(supplicant_->commands, Contains("ENABLE_NETWORK 2"));
}

TEST_F(WpaHostRadioTest, PutsBackAlsoInTheMiddleOfAJoinAndWhenHomeDoesNotAnswer) {
  home_answers_ = device_answers_ = false;
  radio_->join_open("Blynk Lamp-0W8N", 1);
  run(1'000);
  radio_->restore();
  run(WpaHostRadio::restore_timeout_ms - 1'000);
  EXPECT_THAT(heard_.log, IsEmpty());
  run(2'000);
  EXPECT_THAT(heard_.log, ElementsAre("restored"));
  EXPECT_THAT(supplicant_->commands, Contains("ENABLE_NETWORK 2"));
}

TEST_F(WpaHostRadioTest, NothingIsDoneWhereNothingWasTouched) {
  radio_->scan();
  run(100);
  radio_->restore();
  run(100);
  EXPECT_THAT(heard_.log, ElementsAre("scanned", "restored"));
  EXPECT_THAT(supplicant_->commands, Not(Contains("SELECT_NETWORK 1 freq=2437")));
}

TEST_F(WpaHostRadioTest, AHostWhoseSupplicantEndsIsLeftWithItsAddress) {
  radio_->join_open("Blynk Lamp-0W8N", 1);
  run(1'000);
  supplicant_->event("<3>CTRL-EVENT-TERMINATING ");
  supplicant_.reset();
  run(100);
  EXPECT_THAT(heard_.log, ElementsAre("joined", "lost"));
  radio_->restore();
  run(WpaHostRadio::restore_timeout_ms + 1'000);
  EXPECT_EQ(heard_.log.back(), "restored");
}

}  // namespace
}  // namespace muster::provisioner
