// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/wpa_radio.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>

#include "agent/ports/linux/test_wpa.hpp"

namespace muster::agent::linux_port {
namespace {

using test::FakeSocket;
using test::FakeSystem;
using test::TestClock;
using test::TestRandom;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct Recorder final : RadioListener {
  std::vector<std::string> log;
  std::vector<std::string> names;
  std::function<void(const std::string&)> on_any = [](const std::string&) {};
  void note(const std::string& what) {
    log.push_back(what);
    on_any(what);
  }
  void on_opened(Millis) override { note("opened"); }
  void on_open_failed(Millis) override { note("open failed"); }
  void on_visitors(std::size_t count, Millis) override { note("visitors " + std::to_string(count)); }
  void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis) override {
    names.clear();
    for (std::size_t i = 0; i < count; ++i) names.emplace_back(networks[i].ssid);
    note("scanned " + std::to_string(count));
  }
  void on_joined(const JoinedNetwork& network, Millis) override {
    note("joined " + std::to_string(network.address) + " channel " + std::to_string(network.channel));
  }
  void on_join_failed(JoinFailure failure, Millis) override { note("join failed " + std::to_string(static_cast<int>(failure))); }
  void on_network_lost(Millis) override { note("lost"); }
};

std::string failed(JoinFailure failure) { return "join failed " + std::to_string(static_cast<int>(failure)); }

constexpr const char* home_joined = "joined 3232255234 channel 6";  // 192.168.77.2

class WpaRadioTest : public testing::Test {
 protected:
  WpaRadioTest() {
    std::string path = "/tmp/muster-wpa-test-XXXXXX";
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    std::filesystem::create_directory(folder_ + "/control");
    options_.run_directory = folder_;
    options_.control_directory = folder_ + "/none";
    options_.interface = "wl0";
  }
  ~WpaRadioTest() override {
    radio_.reset();
    std::filesystem::remove_all(folder_);
  }

  /// One that was there before.
  void make_theirs() {
    std::filesystem::create_directory(folder_ + "/theirs");
    options_.control_directory = folder_ + "/theirs";
    station_.reset();
    station_ = std::make_unique<FakeSocket>(folder_ + "/theirs/wl0");
    station_->answer = [this](const std::string& command) { return station_answer(command); };
  }
  /// As by kill -9: nobody says a word.
  void kill_supplicant() {
    global_.reset();
    station_.reset();
    ap_.reset();
    system_.running = false;
  }
  /// Once another one was started.
  void revive_supplicant() {
    system_.running = true;
    make_supplicant();
  }
  /// A started radio whose wpa_supplicant answers.
  void begin() {
    radio_ = std::make_unique<WpaRadio>(clock_, random_, system_, options_);
    ASSERT_EQ(radio_->start(), "");
    make_supplicant();
    run(100);
  }
  void make_supplicant() {
    global_.reset();
    station_.reset();
    global_ = std::make_unique<FakeSocket>(folder_ + "/global");
    station_ = std::make_unique<FakeSocket>(folder_ + "/control/wl0");
    global_->answer = [this](const std::string& command) {
      if (command.find("INTERFACE_ADD muster-ap") == 0) make_ap();
      return "OK\n";
    };
    station_->answer = [this](const std::string& command) { return station_answer(command); };
  }
  void make_ap() {
    ap_.reset();
    ap_ = std::make_unique<FakeSocket>(folder_ + "/control/muster-ap");
    ap_->answer = [this](const std::string& command) -> std::string {
      if (command.find("SELECT") == 0 && ap_comes_up_) ap_->later.push_back("<3>AP-ENABLED ");
      if (command.find("CHAN_SWITCH 5 ") == 0) {
        if (!can_switch_) return "FAIL\n";
        ap_->later.push_back("<3>AP-CSA-FINISHED freq=" + command.substr(14) + " dfs=0");
      }
      return command == "ADD_NETWORK" ? "0\n" : "OK\n";
    };
  }
  std::string station_answer(const std::string& command) {
    if (command == "ADD_NETWORK") return std::to_string(++network_) + "\n";
    if (command.find("SCAN") == 0) station_->later.push_back("<3>CTRL-EVENT-SCAN-RESULTS ");
    if (command.find("BSS RANGE=0-") == 0) return air_;
    if (command.find("BSS RANGE=") == 0) return "";
    if (command.find("SELECT_NETWORK") == 0) {
      for (std::string event : on_select_) {
        if (const std::size_t at = event.find("id=?"); at != std::string::npos) event.replace(at, 4, "id=" + std::to_string(network_));
        station_->later.push_back(event);
      }
    }
    return "OK\n";
  }

  /// Lets `time_ms` pass; everybody does what he has to, in time.
  void run(Millis time_ms) {
    const Millis end = clock_.time + time_ms;
    for (int i = 0; i < 100'000; ++i) {
      bool busy = (global_ && global_->serve()) || (station_ && station_->serve()) || (ap_ && ap_->serve());
      pollfd ready{radio_->fd(), POLLIN, 0};
      if (::poll(&ready, 1, 0) == 1) {
        // /dev/null, which stands for the DHCP server's socket, is not in the set: epoll takes no files.
        radio_->on_ready(heard_);
        busy = true;
      } else if (radio_->next_deadline() <= clock_.time) {
        radio_->on_timer(heard_);
        busy = true;
      }
      if (busy) continue;
      if (clock_.time >= end) return;
      clock_.time = std::min(end, std::max(radio_->next_deadline(), clock_.time + 1));
    }
    FAIL() << "it does not come to rest";
  }
  void join(std::string_view ssid, std::string_view passphrase, const StaticAddress* fixed = nullptr) {
    JoinTarget target;
    target.ssid = ssid;
    target.passphrase = passphrase;
    target.fixed = fixed;
    radio_->join(target);
  }
  int count(const FakeSocket& socket, const std::string& start) const {
    return static_cast<int>(
        std::count_if(socket.commands.begin(), socket.commands.end(), [&](const std::string& c) { return c.find(start) == 0; }));
  }

  TestClock clock_;
  TestRandom random_;
  FakeSystem system_;
  WpaOptions options_;
  Recorder heard_;
  std::string folder_;
  std::unique_ptr<FakeSocket> global_, station_, ap_;
  std::unique_ptr<WpaRadio> radio_;
  int network_ = -1;
  bool ap_comes_up_ = true, can_switch_ = true;
  std::string air_ =
      "id=0\nbssid=02:00:00:00:00:01\nfreq=2437\nlevel=-40\nflags=[WPA2-PSK-CCMP][ESS]\nssid=Home\n====\n"
      "id=1\nbssid=02:00:00:00:00:02\nfreq=2412\nlevel=-20\nflags=[ESS]\nssid=Cafe\n====\n"
      "id=2\nbssid=02:00:00:00:00:03\nfreq=2462\nlevel=-60\nflags=[WPA2-SAE-CCMP][ESS]\nssid=New\n####\n";
  std::vector<std::string> on_select_ = {"<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:00:01 completed [id=? id_str=]"};
};

TEST_F(WpaRadioTest, StartsASupplicantOfItsOwnWhenNoneServesTheInterface) {
  begin();
  EXPECT_THAT(system_.log, Contains("start wpa_supplicant"));
  EXPECT_THAT(global_->commands, Contains(HasSubstr("INTERFACE_ADD wl0\t" + folder_ + "/wpa.conf\tnl80211\t" + folder_ + "/control")));
  EXPECT_THAT(station_->commands, ElementsAre("ATTACH"));
  EXPECT_THAT(heard_.log, IsEmpty());
}

TEST_F(WpaRadioTest, UsesTheSupplicantThatIsThere) {
  make_theirs();
  radio_ = std::make_unique<WpaRadio>(clock_, random_, system_, options_);
  ASSERT_EQ(radio_->start(), "");
  run(10);
  EXPECT_THAT(system_.log, IsEmpty());
  join("Home", "correct horse");
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre(home_joined));
  radio_->leave();
  run(10);
  EXPECT_THAT(station_->commands, Contains("ENABLE_NETWORK all"));  // The networks of its owner are tried again.
}

TEST_F(WpaRadioTest, SaysWhenThereIsNoSuchInterfaceAndWhenTheSupplicantDoesNotStart) {
  system_.has_interface = false;
  radio_ = std::make_unique<WpaRadio>(clock_, random_, system_, options_);
  EXPECT_THAT(radio_->start(), HasSubstr("no network interface wl0"));
  system_.has_interface = true;
  system_.running = false;
  radio_ = std::make_unique<WpaRadio>(clock_, random_, system_, options_);
  ASSERT_EQ(radio_->start(), "");
  radio_->open("Lamp");
  join("Home", "correct horse");
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre("open failed", failed(JoinFailure::other)));
  EXPECT_THAT(radio_->last_problem(), HasSubstr("wpasupplicant"));
}

TEST_F(WpaRadioTest, OpensAnAccessPointAndTellsWhoComes) {
  begin();
  radio_->open("Lamp \"1\"");
  run(100);
  EXPECT_THAT(heard_.log, ElementsAre("opened"));
  EXPECT_THAT(ap_->commands, Contains("SET_NETWORK 0 ssid 4c616d7020223122"));
  EXPECT_THAT(ap_->commands, Contains("SET_NETWORK 0 key_mgmt NONE"));
  EXPECT_THAT(system_.log, Contains("address muster-ap 3232236545 via 0"));
  ap_->event("<3>AP-STA-CONNECTED 02:00:00:00:02:00");
  ap_->event("<3>AP-STA-CONNECTED 02:00:00:00:02:00");
  run(1);
  ap_->event("<3>AP-STA-DISCONNECTED 02:00:00:00:02:00");
  run(1);
  EXPECT_THAT(heard_.log, ElementsAre("opened", "visitors 1", "visitors 0"));
  radio_->shut();
  run(100);
  EXPECT_THAT(global_->commands, Contains("INTERFACE_REMOVE muster-ap"));
  EXPECT_EQ(system_.log.back(), "remove muster-ap");
  radio_->open("Again");
  run(100);
  EXPECT_EQ(heard_.log.back(), "opened");
}

TEST_F(WpaRadioTest, AnAccessPointThatDoesNotComeUpIsToldInTime) {
  begin();
  ap_comes_up_ = false;
  radio_->open("Lamp");
  run(WpaRadio::open_timeout_ms - 100);
  EXPECT_THAT(heard_.log, IsEmpty());
  run(200);
  EXPECT_THAT(heard_.log, ElementsAre("open failed"));
  system_.on_add_ap = [] { return std::string{"The radio cannot."}; };
  radio_->open("Lamp");
  run(100);
  EXPECT_THAT(heard_.log, ElementsAre("open failed", "open failed"));
  EXPECT_EQ(radio_->last_problem(), "The radio cannot.");
}

TEST_F(WpaRadioTest, AScanTellsTheStrongestFirstAndAPageThatWasCutIsGoneOnWith) {
  begin();
  station_->answer = [this](const std::string& command) -> std::string {
    if (command.find("BSS RANGE=0-") == 0) return air_.substr(0, air_.find("id=1")) + "id=1\nbssid=02:0";
    if (command.find("BSS RANGE=1-") == 0) return air_.substr(air_.find("id=1"));
    return station_answer(command);
  };
  radio_->scan();
  run(100);
  EXPECT_THAT(heard_.log, ElementsAre("scanned 3"));
  EXPECT_THAT(heard_.names, ElementsAre("Cafe", "Home", "New"));
}

TEST_F(WpaRadioTest, AVisitLeavesRoutesAndNameServersAlone) {
  options_.default_route = false;
  begin();
  radio_->look_at("2400-2500");
  radio_->scan();
  run(100);
  EXPECT_THAT(station_->commands, Contains("SCAN TYPE=ONLY freq=2400-2500"));
  join("Home", "correct horse");
  run(1'000);
  EXPECT_EQ(heard_.log.back(), home_joined);
  EXPECT_THAT(system_.log, Contains("address wl0 3232255234 via 0"));
  EXPECT_THAT(system_.log, Not(Contains(HasSubstr("dns"))));
  radio_->stop();
  EXPECT_EQ(system_.dns_clears, 0);
}

TEST_F(WpaRadioTest, AScanIsAskedForAgainWhileTheSupplicantIsBusyAndAnsweredInTheEnd) {
  begin();
  int refusals = 3;
  station_->answer = [this, &refusals](const std::string& command) -> std::string {
    return command.find("SCAN") == 0 && refusals-- > 0 ? "FAIL-BUSY\n" : station_answer(command);
  };
  radio_->scan();
  run(2'000);
  EXPECT_THAT(heard_.log, ElementsAre("scanned 3"));
  station_->answer = [](const std::string&) { return "OK\n"; };  // And then nothing.
  radio_->scan();
  run(WpaRadio::scan_timeout_ms + 100);
  EXPECT_THAT(heard_.log, ElementsAre("scanned 3", "scanned 3"));
}

TEST_F(WpaRadioTest, JoinsOnTheChannelThatAScanHasShown) {
  begin();
  radio_->scan();
  run(100);
  join("Home", "correct horse");
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre("scanned 3", home_joined));
  EXPECT_EQ(count(*station_, "SCAN"), 1);
  EXPECT_THAT(station_->commands, Contains("SET_NETWORK 0 scan_freq 2437"));
  EXPECT_THAT(system_.log, Contains("address wl0 3232255234 via 3232255233"));
  EXPECT_THAT(system_.log, Contains("dns 3232255233"));
}

TEST_F(WpaRadioTest, LooksAtTheUsualChannelsFirstAndByName) {
  begin();
  join("Home", "correct horse");
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre(home_joined));
  EXPECT_THAT(station_->commands, Contains("SCAN TYPE=ONLY freq=2412,2437,2462 ssid 486f6d65 ssid "));
}

TEST_F(WpaRadioTest, AMissingNetworkIsToldAfterTwoLooksAtAllChannels) {
  begin();
  join("Nowhere", "whatever1");
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre(failed(JoinFailure::not_found)));
  EXPECT_EQ(count(*station_, "SCAN TYPE=ONLY freq="), 1);
  EXPECT_EQ(count(*station_, "SCAN TYPE=ONLY ssid "), 2);
  EXPECT_EQ(count(*station_, "ADD_NETWORK"), 0);
}

TEST_F(WpaRadioTest, ANetworkThatHasMovedSinceItWasSeenIsLookedForAgain) {
  begin();
  radio_->scan();
  run(100);
  const auto connected = std::exchange(on_select_, {"<3>CTRL-EVENT-NETWORK-NOT-FOUND "});
  join("Home", "correct horse");
  air_.replace(air_.find("2437"), 4, "2462");
  station_->answer = [this, connected](const std::string& command) {
    if (command.find("scan_freq 2462") != std::string::npos) on_select_ = connected;
    return station_answer(command);
  };
  run(5'000);
  EXPECT_THAT(heard_.log, ElementsAre("scanned 3", "joined 3232255234 channel 11"));
}

TEST_F(WpaRadioTest, ANetworkThatIsSeenButNeverFoundIsMissingInTheEnd) {
  begin();
  on_select_ = {"<3>CTRL-EVENT-NETWORK-NOT-FOUND ", "<3>CTRL-EVENT-NETWORK-NOT-FOUND ", "<3>CTRL-EVENT-NETWORK-NOT-FOUND "};
  join("Home", "correct horse");
  run(5'000);
  EXPECT_THAT(heard_.log, ElementsAre(failed(JoinFailure::not_found)));
}

TEST_F(WpaRadioTest, AWrongPasswordIsToldAtTheFirstFailedHandshake) {
  begin();
  on_select_ = {"<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:00:01 reason=15",
                "<3>CTRL-EVENT-SSID-TEMP-DISABLED id=? ssid=\"Home\" auth_failures=1 duration=10 reason=WRONG_KEY"};
  join("Home", "wrong horse");
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre(failed(JoinFailure::wrong_password)));
  EXPECT_THAT(station_->commands, Contains("REMOVE_NETWORK 0"));
}

TEST_F(WpaRadioTest, AWrongPasswordOfWpa3IsToldWhenItWasRefusedTwice) {
  begin();
  const std::string refused = "<3>CTRL-EVENT-AUTH-REJECT 02:00:00:00:00:03 auth_type=3 auth_transaction=2 status_code=1";
  on_select_ = {refused};
  join("New", "wrong horse");
  run(1'000);
  EXPECT_THAT(heard_.log, IsEmpty());
  station_->event(refused);
  run(10);
  EXPECT_THAT(heard_.log, ElementsAre(failed(JoinFailure::wrong_password)));
}

TEST_F(WpaRadioTest, APasswordThatCannotBeRightIsNotTried) {
  begin();
  radio_->scan();
  run(100);
  heard_.log.clear();
  join("Home", "");
  run(100);
  join("Home", "short");
  run(100);
  join("Cafe", "correct horse");
  run(100);
  EXPECT_THAT(heard_.log,
              ElementsAre(failed(JoinFailure::wrong_password), failed(JoinFailure::wrong_password), failed(JoinFailure::wrong_password)));
  EXPECT_EQ(count(*station_, "ADD_NETWORK"), 0);
}

TEST_F(WpaRadioTest, NoAddressIsToldAfterTenSeconds) {
  begin();
  system_.dhcp_answers = false;
  join("Home", "correct horse");
  run(9'900);
  EXPECT_THAT(heard_.log, IsEmpty());
  run(200);
  EXPECT_THAT(heard_.log, ElementsAre(failed(JoinFailure::no_address)));
  EXPECT_EQ(system_.dhcp_client[0], -1);
}

TEST_F(WpaRadioTest, ANetworkThatDoesNotAnswerIsGivenUp) {
  begin();
  on_select_.clear();
  join("Home", "correct horse");
  run(WpaRadio::join_timeout_ms + 200);
  EXPECT_THAT(heard_.log, ElementsAre(failed(JoinFailure::timeout)));
}

TEST_F(WpaRadioTest, AFixedAddressNeedsNoDhcpAndMustBeUsable) {
  begin();
  system_.dhcp_answers = false;
  const StaticAddress fixed{0x0A000005, 0xFF000000, 0x0A000001, 0x0A000002, 0};
  join("Home", "correct horse", &fixed);
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre("joined 167772165 channel 6"));
  EXPECT_THAT(system_.log, Contains("dns 167772162"));
  const StaticAddress bad{0xFF000005, 0, 0, 0, 0};
  join("Home", "correct horse", &bad);
  run(10);
  EXPECT_EQ(heard_.log.back(), failed(JoinFailure::bad_address));
}

TEST_F(WpaRadioTest, TheAccessPointTakesItsGuestsToTheNetworksChannel) {
  begin();
  radio_->open("Lamp");
  run(100);
  join("Home", "correct horse");
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre("opened", home_joined));
  EXPECT_THAT(ap_->commands, Contains("CHAN_SWITCH 5 2437"));
  // One that is opened later begins there.
  radio_->shut();
  run(10);
  radio_->open("Lamp");
  run(100);
  EXPECT_THAT(ap_->commands, Contains("SET_NETWORK 0 frequency 2437"));
}

TEST_F(WpaRadioTest, AnAccessPointThatCannotMoveStartsAnewOnTheOtherChannel) {
  begin();
  radio_->open("Lamp");
  run(100);
  can_switch_ = false;
  join("Home", "correct horse");
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre("opened", home_joined));
  EXPECT_THAT(ap_->commands, Contains("SET_NETWORK 0 frequency 2437"));
}

TEST_F(WpaRadioTest, ALinkThatComesBackByItselfWasNeverLost) {
  begin();
  join("Home", "correct horse");
  run(1'000);
  station_->event("<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:00:01 reason=3");
  run(WpaRadio::lost_grace_ms - 100);
  station_->event("<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:00:01 completed [id=0 id_str=]");
  run(10'000);
  EXPECT_THAT(heard_.log, ElementsAre(home_joined));
  station_->event("<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:00:01 reason=3");
  run(WpaRadio::lost_grace_ms + 100);
  EXPECT_THAT(heard_.log, ElementsAre(home_joined, "lost"));
  EXPECT_THAT(system_.log, Contains("clear wl0"));
}

TEST_F(WpaRadioTest, NothingMoreComesOfWhatWasEnded) {
  begin();
  join("Home", "correct horse");
  radio_->open("Lamp");
  radio_->leave();
  radio_->shut();
  run(60'000);
  EXPECT_THAT(heard_.log, IsEmpty());
  // Also when it had happened and was not told yet.
  join("", "");
  radio_->leave();
  run(10);
  EXPECT_THAT(heard_.log, IsEmpty());
}

TEST_F(WpaRadioTest, AnotherJoinReplacesTheFirst) {
  begin();
  on_select_.clear();
  join("New", "correct horse");
  run(100);
  on_select_ = {"<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:00:01 completed [id=? id_str=]"};
  join("Home", "correct horse");
  run(60'000);
  EXPECT_THAT(heard_.log, ElementsAre(home_joined));
  EXPECT_THAT(station_->commands, Contains("REMOVE_NETWORK 0"));
}

TEST_F(WpaRadioTest, ASupplicantThatEndsLosesTheNetworkAndTheNextJoinStartsAnother) {
  begin();
  radio_->open("Lamp");
  join("Home", "correct horse");
  run(1'000);
  station_->event("<3>CTRL-EVENT-TERMINATING ");
  run(100);
  EXPECT_THAT(heard_.log, ElementsAre("opened", home_joined, "open failed", "lost"));
  join("Home", "correct horse");
  make_supplicant();
  run(1'000);
  EXPECT_EQ(heard_.log.back(), home_joined);
}

TEST_F(WpaRadioTest, ASupplicantThatHangsIsNoticed) {
  begin();
  station_->answer = [](const std::string&) { return std::string{}; };
  join("Home", "correct horse");
  run(WpaControl::answer_timeout_ms + 100);
  EXPECT_THAT(heard_.log, ElementsAre(failed(JoinFailure::other)));
}

TEST_F(WpaRadioTest, NameServersComeBackAtTheEndAndAtTheStartAfterAKill) {
  begin();
  EXPECT_EQ(system_.dns_clears, 1);
  system_.dns_problem = "It is a link.";
  join("Home", "correct horse");
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre(home_joined));
  EXPECT_EQ(radio_->last_problem(), "It is a link.");
  EXPECT_EQ(system_.dns_clears, 1);
  radio_->stop();
  EXPECT_EQ(system_.dns_clears, 2);
}

TEST_F(WpaRadioTest, ASupplicantThatWasKilledIsNoticedAndTheNextWishesStartAnother) {
  begin();
  radio_->open("Lamp");
  join("Home", "correct horse");
  run(1'000);
  kill_supplicant();
  run(WpaRadio::alive_every_ms + 10);
  EXPECT_THAT(heard_.log, ElementsAre("opened", home_joined, "open failed", "lost"));
  EXPECT_TRUE(radio_->is_lost());
  EXPECT_THAT(system_.log, Contains("clear wl0"));
  radio_->open("Lamp");
  join("Home", "correct horse");
  revive_supplicant();
  run(1'000);
  EXPECT_EQ(std::count(system_.log.begin(), system_.log.end(), "start wpa_supplicant"), 2);
  EXPECT_THAT(heard_.log, ElementsAre("opened", home_joined, "open failed", "lost", "opened", home_joined));
  run(60'000);
  EXPECT_EQ(heard_.log.size(), 6U) << "one that answers is left alone";
}

TEST_F(WpaRadioTest, ASupplicantThatHangsWhileNothingIsWantedOfItIsNoticed) {
  begin();
  join("Home", "correct horse");
  run(1'000);
  station_->answer = [](const std::string&) { return std::string{}; };
  run(WpaRadio::alive_every_ms + WpaControl::answer_timeout_ms + 10);
  EXPECT_THAT(heard_.log, ElementsAre(home_joined, "lost"));
  EXPECT_EQ(system_.stops, 1);
}

TEST_F(WpaRadioTest, ASupplicantOfTheMachinesThatWasStartedAgainIsUsedAgain) {
  make_theirs();
  radio_ = std::make_unique<WpaRadio>(clock_, random_, system_, options_);
  ASSERT_EQ(radio_->start(), "");
  join("Home", "correct horse");
  run(1'000);
  heard_.on_any = [this](const std::string& what) {
    if (what == "lost") join("Home", "correct horse");
  };
  make_theirs();  // A new one at the same place: the old socket is dead.
  run(WpaRadio::alive_every_ms + 2'000);
  EXPECT_THAT(heard_.log, ElementsAre(home_joined, "lost", home_joined));
  EXPECT_THAT(system_.log, Not(Contains("start wpa_supplicant")));
}

TEST_F(WpaRadioTest, ASupplicantOfTheMachinesThatStaysAwayIsReplacedByOneOfItsOwn) {
  make_theirs();
  radio_ = std::make_unique<WpaRadio>(clock_, random_, system_, options_);
  ASSERT_EQ(radio_->start(), "");
  join("Home", "correct horse");
  run(1'000);
  heard_.on_any = [this](const std::string& what) {
    if (what == "lost") join("Home", "correct horse");
  };
  station_->event("<3>CTRL-EVENT-TERMINATING ");
  station_.reset();
  run(WpaRadio::return_grace_ms - 1'000);
  EXPECT_THAT(heard_.log, ElementsAre(home_joined, "lost"));
  EXPECT_THAT(system_.log, Not(Contains("start wpa_supplicant")));
  EXPECT_FALSE(radio_->is_lost());
  run(1'100);
  EXPECT_THAT(system_.log, Contains("start wpa_supplicant"));
  make_supplicant();
  run(2'000);
  EXPECT_THAT(heard_.log, ElementsAre(home_joined, "lost", home_joined));
}

TEST_F(WpaRadioTest, AnAccessPointThatIsTakenAwayIsOpenedAgain) {
  begin();
  radio_->open("Lamp");
  run(100);
  ap_->event("<3>AP-STA-CONNECTED 02:00:00:00:02:00");
  run(1);
  ap_->event("<3>AP-DISABLED ");
  run(2'000);
  EXPECT_THAT(heard_.log, ElementsAre("opened", "visitors 1", "visitors 0"));
  EXPECT_EQ(count(*ap_, "SELECT_NETWORK"), 2);
  ap_->event("<3>AP-STA-CONNECTED 02:00:00:00:02:00");
  run(1);
  EXPECT_EQ(heard_.log.back(), "visitors 1");
}

TEST_F(WpaRadioTest, TheListenerMayCallTheRadioFromInside) {
  begin();
  heard_.on_any = [this](const std::string& what) {
    if (what == "opened") join("Nowhere", "whatever1");
    if (what == failed(JoinFailure::not_found)) radio_->shut();
  };
  radio_->open("Lamp");
  run(1'000);
  EXPECT_THAT(heard_.log, ElementsAre("opened", failed(JoinFailure::not_found)));
}

TEST_F(WpaRadioTest, AnswersThatMakeNoSenseAreStood) {
  begin();
  station_->answer = [](const std::string& command) -> std::string {
    if (command == "ADD_NETWORK") return "99999999999999999999\n";
    return command.find("BSS") == 0 ? "id=1\nbssid=02:00:00:00:00:01\nfreq=2437\nflags=\nssid=Home\n####\n" : std::string(8000, 'x');
  };
  radio_->scan();
  run(10);
  station_->event("<3>CTRL-EVENT-SCAN-RESULTS ");
  run(10);
  join("Home", "");
  run(10);
  EXPECT_THAT(heard_.log, ElementsAre("scanned 1", failed(JoinFailure::other)));
}

}  // namespace
}  // namespace muster::agent::linux_port
