// SPDX-License-Identifier: Apache-2.0
#include "agent/core/device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "agent/core/device_test_rig.hpp"

namespace muster::agent::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

/// Stored, at home, online.
struct HomeRig : DeviceRig {
  explicit HomeRig(const DeviceLimits& limits = {}) : DeviceRig{make_profile(), limits} {
    store.put(Slot::proved, home_config());
    start();
    join();
    go_online();
    forget();
  }
  void forget() {
    observer.states.clear();
    observer.steps.clear();
    radio.log.clear();
    transport.connects.clear();
    transport.sent.clear();
    store.log.clear();
  }
  void open_for_setup() {
    device.request_setup(now);
    open();
    device.on_visitors(1, now);
    device.on_app_seen(now);
  }
};

/// Never set up; open, and an app is there.
struct NewRig : DeviceRig {
  explicit NewRig(const DeviceLimits& limits = {}) : DeviceRig{make_profile(), limits} {
    start();
    open();
    device.on_visitors(1, now);
    device.on_app_seen(now);
  }
};

TEST(Device, WithoutSettingsOpensUnderItsName) {
  DeviceRig rig;
  rig.start();
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  EXPECT_THAT(rig.radio.log, ElementsAre("open Blynk Lamp-N1A9"));
  EXPECT_EQ(rig.device.indicator(), (Indicator{Color::blue, Rhythm::blink, 50, 500}));
  rig.open();
  EXPECT_TRUE(rig.saw("setup_opened"));
}

TEST(Device, ARadioThatCannotOpenIsAskedAgain) {
  DeviceRig rig;
  rig.start();
  rig.device.on_open_failed(rig.now);
  rig.pass_ms(4'999);
  EXPECT_EQ(rig.radio.log.size(), 1U);
  rig.pass_ms(1);
  EXPECT_EQ(rig.radio.log.size(), 2U);
}

TEST(Device, TheWholeWayToOnlineProvesThenCommits) {
  NewRig rig;
  EXPECT_EQ(rig.state(), DeviceState::configuring);
  ASSERT_EQ(rig.configure(), ConfigureResult::started);
  EXPECT_EQ(rig.state(), DeviceState::switching);
  EXPECT_THAT(rig.store.log, ElementsAre("save pending"));  // Before anything is dialled or joined.
  EXPECT_THAT(rig.radio.log, ElementsAre("open Blynk Lamp-N1A9"));
  rig.pass_ms(199);
  EXPECT_EQ(rig.state(), DeviceState::switching);
  rig.pass_ms(1);
  EXPECT_EQ(rig.state(), DeviceState::connecting_net);
  EXPECT_EQ(rig.last_radio(), "join new/secret456");
  EXPECT_TRUE(rig.transport.connects.empty());
  rig.join();
  EXPECT_EQ(rig.state(), DeviceState::connecting_cloud);
  EXPECT_THAT(rig.transport.connects, ElementsAre("new.example:9443+"));
  rig.connect();
  rig.accept_login();
  EXPECT_EQ(rig.proved_token(), "none");  // A login alone proves nothing.
  rig.accept_info();
  EXPECT_EQ(rig.state(), DeviceState::running);
  EXPECT_EQ(rig.proved_token(), other_token);
  EXPECT_THAT(rig.store.log, ElementsAre("save pending", "save proved", "erase pending"));
  EXPECT_EQ(rig.device.outcome(), Outcome::succeeded);
  EXPECT_TRUE(rig.device.open_for_setup());
  const auto stored = rig.store.read(Slot::proved);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->network.ssid.view(), "new");
  EXPECT_EQ(stored->template_id.view(), "TMPL2abcdefgh");
  EXPECT_EQ(stored->port, 9443);
  EXPECT_THAT(rig.observer.steps, ElementsAre("setup_opened", "app_seen", "settings_taken trial", "joining trial", "joined trial",
                                              "dialing trial", "accepted trial", "stored trial", "online"));
  EXPECT_THAT(rig.observer.states, ElementsAre("wait_config", "configuring", "switching", "connecting_net", "connecting_cloud", "running"));
}

TEST(Device, TellsTheCloudItsUidAndNameOncePerRun) {
  NewRig rig;
  rig.take();
  rig.join();
  rig.go_online();
  const auto has = [&](const char* part) {
    return std::count_if(rig.transport.sent.begin(), rig.transport.sent.end(),
                         [&](const std::string& s) { return s.find(part) != std::string::npos; });
  };
  EXPECT_EQ(has("meta|set|Device UID|11111111-2222-4333-8444-555555555555"), 1);
  EXPECT_EQ(has("meta|set|Hotspot Name|Blynk Lamp-N1A9"), 1);
  rig.device.on_closed(CloseReason::peer_closed, rig.now);
  EXPECT_EQ(rig.state(), DeviceState::connecting_cloud);
  rig.pass_ms(2'000);
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
  EXPECT_EQ(has("Hotspot Name"), 1);
}

TEST(Device, SetupStaysOpenUntilTheResultWasReadOrAMinutePassed) {
  for (const bool read : {false, true}) {
    NewRig rig;
    rig.take();
    rig.join();
    rig.go_online();
    rig.pass_ms(10'000);
    EXPECT_TRUE(rig.device.open_for_setup());
    if (read) {
      rig.device.on_result_read(rig.now);
      rig.pass_ms(999);
      EXPECT_TRUE(rig.device.open_for_setup());
      rig.pass_ms(1);
    } else {
      rig.pass_ms(49'999);
      EXPECT_TRUE(rig.device.open_for_setup());
      rig.pass_ms(1);
    }
    EXPECT_FALSE(rig.device.open_for_setup());
    EXPECT_EQ(rig.last_radio(), "shut");
    EXPECT_EQ(rig.proved_token(), other_token);
  }
}

// ---- failures of new settings

struct JoinCase {
  JoinFailure failure;
  int code;
};
TEST(Device, NamesTheFailureOfAJoinAtOnce) {
  for (const JoinCase& c : {JoinCase{JoinFailure::not_found, 720},
                            {JoinFailure::wrong_password, 722},
                            {JoinFailure::no_address, 723},
                            {JoinFailure::bad_address, 700},
                            {JoinFailure::no_cable, 721}}) {
    NewRig rig;
    rig.take();
    rig.device.on_join_failed(c.failure, rig.now);
    EXPECT_EQ(rig.last_error(), c.code);
    EXPECT_EQ(rig.state(), DeviceState::wait_config);
    EXPECT_TRUE(rig.device.open_for_setup());
    EXPECT_FALSE(rig.store.read(Slot::pending)) << c.code;  // Such settings can never work.
    EXPECT_TRUE(rig.saw("gave_up " + std::to_string(c.code) + " trial"));
    EXPECT_EQ(rig.configure(), ConfigureResult::started);  // Open for a new try.
    EXPECT_EQ(rig.last_error(), 0);
  }
}

TEST(Device, AVagueJoinFailureIsTriedAgainUntilTheStageEnds) {
  for (const JoinCase& c : {JoinCase{JoinFailure::other, 704}, {JoinFailure::timeout, 701}}) {
    NewRig rig;
    rig.take();
    rig.device.on_join_failed(c.failure, rig.now);
    EXPECT_EQ(rig.state(), DeviceState::connecting_net);
    rig.pass_ms(3'000);
    EXPECT_EQ(std::count(rig.radio.log.begin(), rig.radio.log.end(), "join new/secret456"), 2);
    rig.device.on_join_failed(c.failure, rig.now);
    rig.pass_ms(46'999);
    EXPECT_EQ(rig.state(), DeviceState::connecting_net);
    rig.pass_ms(1);
    EXPECT_EQ(rig.state(), DeviceState::wait_config);
    EXPECT_EQ(rig.last_error(), c.code);
    EXPECT_TRUE(rig.store.read(Slot::pending));  // It may have been the radio.
  }
}

TEST(Device, ASilentRadioIs701After50Seconds) {
  NewRig rig;
  rig.take();
  rig.pass_ms(49'999);
  EXPECT_EQ(rig.state(), DeviceState::connecting_net);
  rig.pass_ms(1);
  EXPECT_EQ(rig.last_error(), 701);
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
}

struct CloudCase {
  CloseReason reason;
  int code;
  std::uint32_t within_ms;
};
TEST(Device, NamesTheFailureOfTheCloudStageEarly) {
  for (const CloudCase& c : {CloudCase{CloseReason::host_unknown, 710, 5'000},
                             {CloseReason::tls_untrusted, 711, 5'000},
                             {CloseReason::captive_portal, 712, 5'000},
                             {CloseReason::refused, 702, 12'000},
                             {CloseReason::unreachable, 702, 12'000},
                             {CloseReason::tls_failed, 705, 12'000},
                             {CloseReason::peer_closed, 705, 12'000}}) {
    NewRig rig;
    rig.take();
    rig.join();
    const Millis begun = rig.now;
    std::size_t dials = 0;
    while (rig.state() == DeviceState::connecting_cloud && rig.now < begun + 60'000) {
      if (rig.transport.connects.size() > dials) {
        dials = rig.transport.connects.size();
        rig.device.on_closed(c.reason, rig.now);
      }
      rig.pass_ms(100);
    }
    EXPECT_EQ(rig.last_error(), c.code) << to_text(c.reason);
    EXPECT_EQ(rig.state(), DeviceState::wait_config);
    EXPECT_LE(rig.now - begun, c.within_ms + 2'000);
    EXPECT_GE(rig.now - begun, c.within_ms);  // One bad moment is no verdict.
    EXPECT_GE(dials, 2U);
    EXPECT_TRUE(rig.store.read(Slot::pending));
  }
}

TEST(Device, ACloudThatComesBackInTimeIsNoFailure) {
  NewRig rig;
  rig.take();
  rig.join();
  rig.device.on_closed(CloseReason::host_unknown, rig.now);
  rig.pass_ms(2'000);
  rig.connect();
  rig.pass_ms(4'000);  // Past the verdict on the name, while the login waits.
  EXPECT_EQ(rig.state(), DeviceState::connecting_cloud);
  rig.accept_login();
  rig.accept_info();
  EXPECT_EQ(rig.state(), DeviceState::running);
}

TEST(Device, ASilentCloudIs702After50Seconds) {
  NewRig rig;
  rig.take();
  rig.join();
  const Millis begun = rig.now;
  while (rig.state() == DeviceState::connecting_cloud && rig.now < begun + 100'000) {
    rig.pass_ms(100);
  }
  EXPECT_EQ(rig.last_error(), 702);
  EXPECT_LE(rig.now - begun, 50'100U);
}

TEST(Device, ARefusedTokenIs703AtOnce) {
  NewRig rig;
  rig.take();
  rig.join();
  rig.connect();
  rig.refuse_login();
  EXPECT_EQ(rig.last_error(), 703);
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  EXPECT_FALSE(rig.store.read(Slot::pending));
  EXPECT_EQ(rig.last_radio(), "leave");
}

TEST(Device, ARefusedInfoBlockIs705AndNothingIsStored) {
  NewRig rig;
  rig.take();
  rig.join();
  rig.connect();
  rig.accept_login();
  rig.feed(response(2, 2));
  EXPECT_EQ(rig.last_error(), 705);
  EXPECT_EQ(rig.proved_token(), "none");
}

TEST(Device, ACloudThatNeverAnswersTheInfoBlockIsBelievedOnlyAfterAWhile) {
  NewRig rig;
  rig.take();
  rig.join();
  rig.connect();
  rig.accept_login();
  rig.pass_ms(6'000);  // The session goes online without an answer.
  EXPECT_TRUE(rig.device.agent().online());
  rig.feed(response(77, 200));  // It is there.
  rig.pass_ms(29'999);
  EXPECT_EQ(rig.proved_token(), "none");
  rig.pass_ms(1);
  EXPECT_EQ(rig.proved_token(), "none");  // Not heard of since.
  rig.pass_ms(4'000);
  rig.feed(response(78, 200));  // To the ping.
  rig.pass_ms(2'000);
  EXPECT_EQ(rig.proved_token(), other_token);
  EXPECT_EQ(rig.state(), DeviceState::running);
}

TEST(Device, AConnectionThatIsDeadWithoutTellingProvesNothing) {
  HomeRig rig;
  rig.open_for_setup();
  rig.take();
  rig.join();
  rig.connect();
  rig.accept_login();  // The info block does not arrive, and nobody says so.
  rig.pass_ms(120'000);
  EXPECT_EQ(rig.proved_token(), token);
  EXPECT_FALSE(rig.device.trying());
}

TEST(Device, ACloudThatClosesInsteadOfAnsweringTheInfoBlockProvesNothing) {
  NewRig rig;
  rig.take();
  rig.join();
  rig.connect();
  rig.accept_login();
  rig.pass_ms(10'000);
  rig.device.on_closed(CloseReason::peer_closed, rig.now);
  rig.pass_ms(120'000);
  EXPECT_EQ(rig.proved_token(), "none");
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  EXPECT_EQ(rig.last_error(), 705);
}

TEST(Device, LosingTheNetworkInATrialJoinsAgainButNotForEver) {
  NewRig rig;
  rig.take();
  const Millis begun = rig.now;
  while (rig.state() != DeviceState::wait_config && rig.now < begun + 300'000) {
    rig.join();
    rig.pass_ms(5'000);
    rig.device.on_network_lost(rig.now);
    rig.pass_ms(100);
  }
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  EXPECT_LE(rig.now - begun, 106'000U);
}

// ---- what may not be lost

TEST(Device, AFailedChangeCostsAWorkingDeviceNothing) {
  HomeRig rig;
  ASSERT_EQ(rig.state(), DeviceState::running);
  rig.open_for_setup();
  EXPECT_EQ(rig.state(), DeviceState::configuring);
  rig.take(settings("new", "wrong-one"));
  EXPECT_EQ(rig.last_radio(), "join new/wrong-one");
  rig.device.on_join_failed(JoinFailure::wrong_password, rig.now);
  EXPECT_EQ(rig.last_error(), 722);
  EXPECT_EQ(rig.proved_token(), token);
  EXPECT_EQ(rig.state(), DeviceState::wait_config);  // Open for a new try, for a minute.
  rig.pass_ms(60'000);
  EXPECT_EQ(rig.last_radio(), "join old/secret123");
  EXPECT_TRUE(rig.saw("fell_back"));
  rig.join();
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
  EXPECT_THAT(rig.transport.connects.back(), "cloud.example:9443+");
}

TEST(Device, GoesHomeAtOnceWhenTheAppKnowsAndIsGone) {
  HomeRig rig;
  rig.open_for_setup();
  rig.take();
  rig.device.on_join_failed(JoinFailure::not_found, rig.now);
  rig.device.on_result_read(rig.now);
  rig.device.on_visitors(0, rig.now);
  rig.pass_ms(1'000);
  EXPECT_EQ(rig.last_radio(), "join old/secret123");
  EXPECT_FALSE(rig.device.open_for_setup());
}

TEST(Device, KeepsTheErrorUntilItWasRead) {
  HomeRig rig;
  rig.open_for_setup();
  rig.take();
  rig.device.on_visitors(0, rig.now);
  rig.device.on_join_failed(JoinFailure::not_found, rig.now);
  rig.pass_ms(61'000);
  rig.join();
  rig.go_online();
  EXPECT_EQ(rig.last_error(), 720);
  rig.open_for_setup();
  EXPECT_EQ(rig.last_error(), 720);
  rig.device.on_result_read(rig.now);
  EXPECT_EQ(rig.last_error(), 720);  // It may be asked for twice.
  rig.device.end_setup(rig.now);
  EXPECT_EQ(rig.last_error(), 0);
}

TEST(Device, ARefusedStoredTokenIsKeptAndTriedAgain) {
  HomeRig rig;
  rig.device.on_closed(CloseReason::peer_closed, rig.now);
  rig.pass_ms(2'000);
  rig.connect();
  rig.refuse_login();
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  EXPECT_EQ(rig.last_error(), 703);
  EXPECT_EQ(rig.proved_token(), token);
  EXPECT_TRUE(rig.device.has_proved());
  rig.pass_ms(300'000);
  EXPECT_EQ(rig.last_radio(), "join old/secret123");
  rig.join();
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
}

TEST(Device, ARefusedProvedTokenMakesWayForThePendingOneBeforeAnythingElse) {
  DeviceRig rig;
  rig.store.put(Slot::proved, home_config());
  DeviceConfig pending = home_config();
  static_cast<void>(pending.token.assign(other_token));
  pending.network = wifi("new");
  pending.generation = 2;
  rig.store.put(Slot::pending, pending);
  rig.start();
  EXPECT_EQ(rig.last_radio(), "join old/secret123");  // The proved one first.
  rig.join();
  rig.connect();
  rig.refuse_login();
  EXPECT_EQ(rig.last_radio(), "join new/secret123");
  EXPECT_FALSE(rig.device.open_for_setup());
  rig.join();
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
  EXPECT_EQ(rig.proved_token(), other_token);
  EXPECT_FALSE(rig.store.read(Slot::pending));
}

/// At home, with an attempt on its store that the power cut short.
struct CutShortRig : DeviceRig {
  CutShortRig() {
    store.put(Slot::proved, home_config());
    DeviceConfig pending = home_config();
    static_cast<void>(pending.token.assign(other_token));
    pending.network = wifi("new");
    pending.generation = 2;
    store.put(Slot::pending, pending);
    start();
    join();
  }
};

TEST(Device, AnAttemptThatThePowerCutShortGoesOnOnceHomeIsKnownToBeGood) {
  CutShortRig rig;
  EXPECT_EQ(rig.last_radio(), "join old/secret123");
  rig.go_online();
  for (int resume = 0; resume < 4; ++resume) {  // The new cloud is away all the time.
    EXPECT_EQ(rig.last_radio(), "join new/secret123");
    rig.device.on_join_failed(JoinFailure::no_address, rig.now);
    EXPECT_EQ(rig.last_radio(), "join old/secret123");
    EXPECT_TRUE(rig.store.read(Slot::pending)) << resume;
    rig.join();
    rig.go_online();
    EXPECT_EQ(rig.state(), DeviceState::running);
    for (int i = 0; resume < 3 && i < 24; ++i) {
      rig.feed(response(999, 200));  // The session lives.
      rig.pass_ms(5'000);
    }
  }
  EXPECT_FALSE(rig.store.read(Slot::pending));
  EXPECT_EQ(rig.proved_token(), token);
}

TEST(Device, SettingsThatWereNotRefusedBecomeTheHomeOfADeviceWhoseTokenWas) {
  CutShortRig rig;
  rig.connect();
  rig.refuse_login();
  EXPECT_EQ(rig.last_radio(), "join new/secret123");
  rig.device.on_join_failed(JoinFailure::no_address, rig.now);  // Not now.
  EXPECT_EQ(rig.last_radio(), "join old/secret123");
  rig.join();
  rig.connect();
  rig.refuse_login();
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  EXPECT_EQ(rig.proved_token(), other_token);
  EXPECT_EQ(rig.store.read(Slot::pending)->token.view(), token);
  // A person's next settings, that are wrong, do not take its place.
  rig.open();
  rig.take(settings("typo"));
  rig.device.on_join_failed(JoinFailure::not_found, rig.now);
  EXPECT_EQ(rig.proved_token(), other_token);
  rig.pass_ms(60'000);
  EXPECT_EQ(rig.last_radio(), "join new/secret123");
  rig.join();
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
}

TEST(Device, WhenBothTokensAreRefusedItIsOpenForSetup) {
  DeviceRig rig;
  rig.store.put(Slot::proved, home_config());
  DeviceConfig pending = home_config();
  static_cast<void>(pending.token.assign(other_token));
  pending.generation = 2;
  rig.store.put(Slot::pending, pending);
  rig.start();
  for (int i = 0; i < 3; ++i) {
    if (rig.state() == DeviceState::wait_config) break;
    rig.join();
    rig.connect();
    rig.refuse_login();
  }
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  EXPECT_TRUE(rig.device.open_for_setup());
  EXPECT_EQ(rig.proved_token(), token);
}

TEST(Device, AProvedNetworkThatIsGoneMakesWayForThePendingOne) {
  DeviceRig rig;
  rig.store.put(Slot::proved, home_config());
  DeviceConfig pending = home_config();
  pending.network = wifi("new");
  pending.generation = 2;
  rig.store.put(Slot::pending, pending);
  rig.start();
  rig.device.on_join_failed(JoinFailure::not_found, rig.now);
  rig.pass_ms(50'000);
  EXPECT_EQ(rig.last_radio(), "join new/secret123");
  rig.device.on_join_failed(JoinFailure::timeout, rig.now);
  rig.pass_ms(50'000);
  EXPECT_EQ(rig.last_radio(), "join old/secret123");  // Neither: back to what was proved.
  EXPECT_TRUE(rig.saw("fell_back"));
}

TEST(Device, AFirstAttemptThatLostItsPowerGoesOnAndIsOpenMeanwhile) {
  DeviceRig rig;
  DeviceConfig pending = home_config();
  rig.store.put(Slot::pending, pending);
  rig.start();
  EXPECT_THAT(rig.radio.log, ElementsAre("open Blynk Lamp-N1A9", "join old/secret123"));
  rig.open();
  rig.device.on_visitors(1, rig.now);
  EXPECT_EQ(rig.configure(), ConfigureResult::started);  // Somebody stands before it.
  rig.pass_ms(200);
  EXPECT_EQ(rig.last_radio(), "join new/secret456");
}

TEST(Device, HowItTalksIsTheFirmwaresNotTheRecords) {
  DeviceRig rig;
  DeviceConfig stored = home_config();
  stored.security = Security::plain;  // From a start with other options.
  rig.store.put(Slot::proved, stored);
  rig.start();
  EXPECT_EQ(rig.device.settings().security, rig.device.profile().security);
  EXPECT_NE(rig.device.settings().security, Security::plain);
}

TEST(Device, APendingRecordThatBecameProvedIsErasedAtBoot) {
  DeviceRig rig;
  rig.store.put(Slot::proved, home_config());
  rig.store.put(Slot::pending, home_config());
  rig.start();
  EXPECT_FALSE(rig.store.read(Slot::pending));
}

TEST(Device, APendingRecordWhoseFailureWasToldGoesWhenTheOldSettingsWorkAgain) {
  HomeRig rig;
  rig.open_for_setup();
  rig.take();
  rig.join();
  const Millis begun = rig.now;
  std::size_t dials = 0;
  while (rig.state() == DeviceState::connecting_cloud && rig.now < begun + 60'000) {
    if (rig.transport.connects.size() > dials) {
      dials = rig.transport.connects.size();
      rig.device.on_closed(CloseReason::refused, rig.now);
    }
    rig.pass_ms(100);
  }
  EXPECT_EQ(rig.last_error(), 702);
  EXPECT_TRUE(rig.store.read(Slot::pending));  // The cloud may have taken it without our knowing.
  rig.pass_ms(60'000);
  rig.join();
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
  EXPECT_FALSE(rig.store.read(Slot::pending));
}

TEST(Device, SettingsThatTheCloudHasLetInAreNotGivenUpForTheNetwork) {
  NewRig rig;
  rig.take();
  rig.join();
  rig.connect();
  rig.accept_login();
  rig.device.on_network_lost(rig.now);  // With the cloud's yes to the info block, maybe.
  rig.device.on_join_failed(JoinFailure::not_found, rig.now);
  EXPECT_EQ(rig.last_error(), 720);
  EXPECT_TRUE(rig.store.read(Slot::pending));
  rig.pass_ms(600'000);  // Nobody comes.
  EXPECT_EQ(rig.last_radio(), "join new/secret456");
  rig.join();
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
  EXPECT_EQ(rig.proved_token(), other_token);
}

TEST(Device, APendingRecordOutlivesARouterThatComesBackLaterThanTheDevice) {
  for (const bool at_home : {false, true}) {
    DeviceRig rig;
    DeviceConfig pending = home_config();
    static_cast<void>(pending.token.assign(other_token));
    pending.network = wifi("new");
    pending.generation = 2;
    rig.store.put(Slot::pending, pending);
    if (at_home) {
      rig.store.put(Slot::proved, home_config());
    }
    rig.start();
    if (at_home) {
      rig.join();
      rig.connect();
      rig.refuse_login();
    }
    EXPECT_EQ(rig.last_radio(), "join new/secret123");
    rig.device.on_join_failed(JoinFailure::not_found, rig.now);
    EXPECT_TRUE(rig.store.read(Slot::pending)) << at_home;
  }
}

TEST(Device, SettingsThatCouldNotBeCommittedAreTriedAgain) {
  NewRig rig;
  rig.take();
  rig.join();
  rig.connect();
  rig.accept_login();
  rig.store.fails = true;
  rig.accept_info();
  EXPECT_EQ(rig.last_error(), 700);
  rig.store.fails = false;
  EXPECT_TRUE(rig.store.read(Slot::pending));
  rig.pass_ms(600'000);
  rig.join();
  rig.go_online();
  EXPECT_EQ(rig.proved_token(), other_token);
}

/// Both clouds answer as the real one does: the old token is good until the new one is proved.
TEST(Device, SurvivesAPowerCutAtEveryWrite) {
  int cuts = 0;
  for (const bool first_time : {false, true}) {
    for (int cut = 0;; ++cut) {
      DeviceRig rig;
      if (!first_time) {
        rig.store.put(Slot::proved, home_config());
      }
      rig.start();
      if (!first_time) {
        rig.join();
        rig.go_online();
        rig.device.request_setup(rig.now);
      }
      rig.open();
      rig.store.power_cut_in = cut;
      rig.store.writes = 0;
      rig.take();
      bool cloud_said_yes = false;
      rig.join();
      rig.connect();
      rig.accept_login();
      rig.accept_info();
      cloud_said_yes = true;
      if (rig.store.writes <= cut) {
        break;  // There is no such write.
      }
      ++cuts;
      // Power comes back: another device on the same store.
      DeviceRig next;
      next.store.records[0] = rig.store.records[0];
      next.store.records[1] = rig.store.records[1];
      next.start();
      const auto proved = next.store.read(Slot::proved);
      const auto pending = next.store.read(Slot::pending);
      if (proved || pending) {
        EXPECT_EQ(next.state(), DeviceState::connecting_net) << cut;
        next.join();
        next.go_online();
        if (next.device.trying()) {  // Home is good: the attempt that the power cut short goes on.
          EXPECT_TRUE(!first_time && pending) << cut;
          next.join();
          next.go_online();
          EXPECT_EQ(next.proved_token(), other_token) << cut;
        }
        EXPECT_EQ(next.state(), DeviceState::running) << cut;
        EXPECT_FALSE(next.device.has_pending()) << cut;
        EXPECT_TRUE(next.proved_token() == token || next.proved_token() == other_token);
      } else {
        EXPECT_TRUE(first_time && cut == 0);
        EXPECT_EQ(next.state(), DeviceState::wait_config);
      }
      EXPECT_TRUE(cloud_said_yes);
    }
  }
  EXPECT_EQ(cuts, 6);  // Three writes each.
}

TEST(Device, AStoreThatFailsIs700AndTheDeviceGoesHome) {
  HomeRig rig;
  rig.open_for_setup();
  rig.store.fails = true;
  EXPECT_EQ(rig.configure(), ConfigureResult::store_failed);
  EXPECT_EQ(rig.last_error(), 700);
  EXPECT_EQ(rig.state(), DeviceState::configuring);
  rig.store.fails = false;
  rig.take();
  rig.join();
  rig.connect();
  rig.accept_login();
  rig.store.fails = true;
  rig.accept_info();
  EXPECT_EQ(rig.last_error(), 700);
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  EXPECT_EQ(rig.proved_token(), token);
}

TEST(Device, ACommitThatTheStoreRefusesOnceIsWrittenAgain) {
  HomeRig rig;
  rig.open_for_setup();
  rig.take();
  rig.join();
  rig.connect();
  rig.accept_login();
  rig.store.fail_next = 2;
  rig.accept_info();
  EXPECT_EQ(rig.state(), DeviceState::running);
  EXPECT_EQ(rig.proved_token(), other_token);
}

TEST(Device, ANewerRecordIsNotOverwrittenUnasked) {
  DeviceRig rig;
  rig.store.put(Slot::proved, home_config());
  Bytes& record = *rig.store.records[0];
  record[4] = 2;
  std::uint32_t crc = 0xffffffffU;
  for (std::size_t i = 0; i + 4 < record.size(); ++i) {
    crc ^= record[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? (crc >> 1) ^ 0xedb88320U : crc >> 1;
  }
  for (std::size_t i = 0; i < 4; ++i) record[record.size() - 4 + i] = static_cast<std::uint8_t>(~crc >> (24 - 8 * i));
  rig.start();
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  EXPECT_EQ(rig.store.writes, 0);
}

// ---- settings

TEST(Device, RefusesSettingsThatCannotBeAtOnce) {
  NewRig rig;
  SetupSettings short_pass = settings("new", "1234567");
  EXPECT_EQ(rig.configure(short_pass), ConfigureResult::invalid);
  EXPECT_EQ(rig.last_error(), 700);
  EXPECT_EQ(rig.state(), DeviceState::configuring);
  EXPECT_TRUE(rig.store.log.empty());
  SetupSettings no_host = settings();
  no_host.set("host", "");
  EXPECT_EQ(rig.configure(no_host), ConfigureResult::invalid);
  SetupSettings eth = settings();
  eth.set("if", "eth");
  EXPECT_EQ(rig.configure(eth), ConfigureResult::invalid);
  SetupSettings cell = settings();
  cell.set("if", "cell");
  EXPECT_EQ(rig.configure(cell), ConfigureResult::invalid);
  EXPECT_EQ(rig.configure(settings(std::string(32, 'x'))), ConfigureResult::started);
}

TEST(Device, JoinsByCableWhereItCan) {
  DeviceProfile profile = make_profile();
  profile.ethernet = true;
  DeviceRig rig{profile};
  rig.start();
  SetupSettings eth = settings();
  eth.set("if", "eth");
  rig.take(eth);
  EXPECT_EQ(rig.last_radio(), "join / wired");
  rig.device.on_join_failed(JoinFailure::no_cable, rig.now);
  EXPECT_EQ(rig.last_error(), 721);
}

TEST(Device, UsesTheDefaultHostAndTheFixedAddress) {
  DeviceProfile profile = make_profile();
  profile.default_host = "default.example";
  DeviceRig rig{profile};
  rig.start();
  SetupSettings wanted = settings();
  wanted.set("host", "");
  wanted.set("port_ssl", "");
  wanted.set("ip", "10.0.0.9");
  wanted.set("mask", "255.255.255.0");
  rig.take(wanted);
  EXPECT_EQ(rig.last_radio(), "join new/secret456@10.0.0.9");
  rig.join();
  EXPECT_THAT(rig.transport.connects, ElementsAre("default.example:443+"));
}

TEST(Device, SaveStoresWithoutProofButKeepsTheOldSettingsForACloudThatSaysNo) {
  HomeRig rig;
  rig.open_for_setup();
  SetupSettings wanted = settings();
  wanted.set("save", "true");
  EXPECT_EQ(rig.configure(wanted), ConfigureResult::saved);
  EXPECT_EQ(rig.proved_token(), other_token);
  rig.pass_ms(200);
  rig.join();
  rig.connect();
  rig.refuse_login();
  EXPECT_EQ(rig.last_radio(), "join old/secret123");
  rig.join();
  rig.go_online();
  EXPECT_EQ(rig.proved_token(), token);
}

TEST(Device, TheHomeThatSaveKeptIsForARefusalOnlyAlsoAfterARestart) {
  HomeRig rig;
  rig.open_for_setup();
  SetupSettings wanted = settings();
  wanted.set("save", "true");
  EXPECT_EQ(rig.configure(wanted), ConfigureResult::saved);
  DeviceRig next;
  next.store.records[0] = rig.store.records[0];
  next.store.records[1] = rig.store.records[1];
  next.start();
  EXPECT_TRUE(next.device.has_pending());
  next.join();
  next.go_online();
  EXPECT_EQ(next.state(), DeviceState::running);
  EXPECT_EQ(next.proved_token(), other_token);
  EXPECT_FALSE(next.device.has_pending());
}

TEST(Device, TwoProvisionersAtOnceTheFirstIsServedAndARepeatIsNoSecond) {
  NewRig rig;
  EXPECT_EQ(rig.configure(), ConfigureResult::started);
  EXPECT_EQ(rig.configure(), ConfigureResult::started);
  EXPECT_EQ(rig.configure(settings("other")), ConfigureResult::busy);
  rig.pass_ms(200);
  EXPECT_EQ(rig.configure(), ConfigureResult::started);
  EXPECT_EQ(rig.configure(settings("new", "other-pass")), ConfigureResult::busy);
  rig.join();
  EXPECT_EQ(rig.configure(settings("other")), ConfigureResult::busy);
  rig.go_online();
  EXPECT_EQ(rig.configure(settings("other")), ConfigureResult::busy);  // Proved, and still open for the result.
  EXPECT_EQ(rig.proved_token(), other_token);
  EXPECT_EQ(rig.store.writes, 3);
}

TEST(Device, ForgettingNetworksKeepsTheToken) {
  HomeRig rig;
  EXPECT_FALSE(rig.device.forget_networks(rig.now));  // Not while it is used.
  rig.open_for_setup();
  EXPECT_TRUE(rig.device.forget_networks(rig.now));
  const auto stored = rig.store.read(Slot::proved);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->token.view(), token);
  EXPECT_TRUE(stored->network.ssid.empty());
  EXPECT_EQ(stored->network.interface, Interface::none);
  DeviceRig next;
  next.store.records[0] = rig.store.records[0];
  next.start();
  EXPECT_EQ(next.state(), DeviceState::wait_config);
}

// ---- waiting

TEST(Device, NobodyComesFor10MinutesThenIdleAndAPressOpensAgain) {
  DeviceRig rig;
  rig.start();
  rig.open();
  rig.pass_ms(599'999);
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  rig.pass_ms(1);
  EXPECT_EQ(rig.state(), DeviceState::idle);
  EXPECT_EQ(rig.last_radio(), "shut");
  EXPECT_EQ(rig.device.indicator(), (Indicator{Color::yellow, Rhythm::blink, 50, 2'000}));
  EXPECT_EQ(rig.device.next_deadline(), never);
  rig.device.on_button(true, rig.now);
  rig.pass_ms(200);
  rig.device.on_button(false, rig.now);
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
}

TEST(Device, WaitingStartsAnewWhileAnAppIsConfiguring) {
  NewRig rig;
  rig.pass_ms(500'000);
  rig.device.on_app_active(rig.now);
  rig.pass_ms(599'999);
  EXPECT_EQ(rig.state(), DeviceState::configuring);
  rig.device.on_visitors(0, rig.now);
  EXPECT_EQ(rig.state(), DeviceState::wait_config);  // The app is gone.
  rig.pass_ms(1);
  EXPECT_EQ(rig.state(), DeviceState::idle);
}

TEST(Device, ADeviceWithSettingsGoesBackToThemWhenNobodyComes) {
  HomeRig rig;
  rig.device.request_setup(rig.now);
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  EXPECT_THAT(rig.radio.log, ElementsAre("leave", "open Blynk Lamp-N1A9"));
  EXPECT_TRUE(rig.store.log.empty());  // Opening erases nothing.
  rig.pass_ms(600'000);
  EXPECT_EQ(rig.last_radio(), "join old/secret123");
}

TEST(Device, NeverWaitsForEverWithoutBeingToldTo) {
  DeviceLimits limits;
  limits.wait_config_ms = 0;
  DeviceRig rig{make_profile(), limits};
  rig.start();
  rig.pass_ms(10'000'000);
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  HomeRig home{limits};  // With settings there is something better to do.
  home.device.request_setup(home.now);
  home.pass_ms(600'000);
  EXPECT_EQ(home.state(), DeviceState::connecting_net);
}

TEST(Device, TheCloudOpensClosesAndRestartsIt) {
  HomeRig rig;
  const auto order = [&](std::string_view line) {
    std::string body{"dbg"};
    body += '\0';
    body += line;
    rig.feed(frame(wire::Command::internal, 77, body));
  };
  order("config erase");
  EXPECT_EQ(rig.state(), DeviceState::running);  // It cannot make it forget.
  EXPECT_EQ(rig.proved_token(), token);
  order("reboot");
  EXPECT_EQ(rig.observer.restarts, 1);
  order("config start");
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  EXPECT_THAT(rig.handler.log, Contains("console config start"));
  rig.device.end_setup(rig.now);
  EXPECT_EQ(rig.state(), DeviceState::connecting_net);
}

// ---- running

TEST(Device, AStoredDeviceJoinsAtBootAndGoesOnForEver) {
  DeviceRig rig;
  rig.store.put(Slot::proved, home_config());
  rig.start();
  EXPECT_THAT(rig.radio.log, ElementsAre("join old/secret123"));
  for (int i = 0; i < 20; ++i) {
    rig.device.on_join_failed(JoinFailure::wrong_password, rig.now);
    EXPECT_EQ(rig.state(), DeviceState::connecting_net);
    rig.pass_ms(60'000);  // At most so long between tries.
  }
  EXPECT_EQ(std::count(rig.radio.log.begin(), rig.radio.log.end(), "join old/secret123"), 30);
  EXPECT_FALSE(rig.device.open_for_setup());
  EXPECT_EQ(rig.proved_token(), token);
}

TEST(Device, After500RoundsItWantsToBeRestarted) {
  DeviceLimits limits;
  limits.rounds_max = 3;
  DeviceRig rig{make_profile(), limits};
  rig.store.put(Slot::proved, home_config());
  rig.start();
  rig.pass_ms(149'999);
  EXPECT_EQ(rig.state(), DeviceState::connecting_net);
  rig.pass_ms(1);
  EXPECT_EQ(rig.state(), DeviceState::error);
  EXPECT_EQ(rig.device.indicator().color, Color::red);
  rig.pass_ms(9'999);
  EXPECT_EQ(rig.observer.restarts, 0);
  rig.pass_ms(1);
  EXPECT_EQ(rig.observer.restarts, 1);
  EXPECT_EQ(rig.proved_token(), token);
}

TEST(Device, ALostNetworkIsJoinedAgainAndALostCloudDialled) {
  HomeRig rig;
  rig.device.on_network_lost(rig.now);
  EXPECT_EQ(rig.state(), DeviceState::connecting_net);
  EXPECT_FALSE(rig.device.agent().online());
  EXPECT_EQ(rig.last_radio(), "join old/secret123");
  rig.join();
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
  rig.device.on_closed(CloseReason::network_lost, rig.now);
  EXPECT_EQ(rig.state(), DeviceState::connecting_cloud);
  rig.pass_ms(2'000);
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
}

TEST(Device, WithoutARadioItGoesStraightToTheCloud) {
  DeviceRig rig{make_profile(), {}, false};
  rig.store.put(Slot::proved, make_config());
  rig.start();
  EXPECT_EQ(rig.state(), DeviceState::connecting_cloud);
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
  rig.device.on_closed(CloseReason::peer_closed, rig.now);
  rig.pass_ms(2'000);
  rig.connect();
  rig.refuse_login();
  EXPECT_EQ(rig.state(), DeviceState::connecting_cloud);  // Nothing to open; the session goes on with its back-off.
  rig.pass_ms(150'000);
  EXPECT_EQ(rig.transport.connects.size(), 3U);
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
  rig.device.request_setup(rig.now);
  EXPECT_EQ(rig.state(), DeviceState::running);
  EXPECT_FALSE(rig.device.request_scan(rig.now));
  EXPECT_TRUE(rig.radio.log.empty());
}

TEST(Device, WithoutARadioAndSettingsItIsIdleUntilTheConsoleGivesAToken) {
  DeviceRig rig{make_profile(), {}, false};
  rig.start();
  EXPECT_EQ(rig.state(), DeviceState::idle);
  EXPECT_EQ(rig.device.configure_token(token, "c.example", 0, rig.now), ConfigureResult::started);
  rig.pass_ms(200);
  rig.go_online();
  EXPECT_EQ(rig.state(), DeviceState::running);
  EXPECT_EQ(rig.proved_token(), token);
}

TEST(Device, ATokenFromTheConsoleIsTriedOnTheNetworkItHas) {
  HomeRig rig;
  EXPECT_EQ(rig.device.configure_token("short", "", 0, rig.now), ConfigureResult::invalid);
  EXPECT_EQ(rig.device.configure_token(other_token, "", 0, rig.now), ConfigureResult::started);
  rig.pass_ms(200);
  EXPECT_EQ(rig.last_radio(), "join old/secret123");
  EXPECT_EQ(rig.proved_token(), token);
  rig.join();
  rig.go_online();
  EXPECT_EQ(rig.proved_token(), other_token);
  EXPECT_EQ(rig.transport.connects.back(), "cloud.example:9443+");
}

// ---- the button

TEST(Device, HoldingTheButton10SecondsResetsFromEveryState) {
  const std::function<void(DeviceRig&)> ways[] = {
      [](DeviceRig& rig) { rig.start(); },  // connecting_net
      [](DeviceRig& rig) {
        rig.start();
        rig.join();
      },  // connecting_cloud
      [](DeviceRig& rig) {
        rig.start();
        rig.join();
        rig.go_online();
      },  // running
      [](DeviceRig& rig) {
        rig.start();
        rig.device.request_setup(rig.now);
      },  // wait_config
      [](DeviceRig& rig) {
        rig.start();
        rig.device.request_setup(rig.now);
        rig.device.on_app_seen(rig.now);
      },  // configuring
      [](DeviceRig& rig) {
        rig.start();
        rig.device.request_setup(rig.now);
        rig.take();
      },  // a trial
      [](DeviceRig& rig) {
        rig.store.fails = true;
        rig.store.put(Slot::proved, DeviceConfig{});
        rig.store.fails = false;
        rig.start();
      },
  };
  for (const auto& way : ways) {
    DeviceRig rig;
    rig.store.put(Slot::proved, home_config());
    way(rig);
    rig.device.on_button(true, rig.now);
    rig.pass_ms(4'000);
    EXPECT_EQ(rig.device.indicator(), (Indicator{Color::white, Rhythm::wave, 1'000, 0}));
    rig.pass_ms(6'000);
    EXPECT_EQ(rig.device.indicator(), (Indicator{Color::white, Rhythm::blink, 50, 50}));
    rig.device.on_button(false, rig.now);
    EXPECT_EQ(rig.state(), DeviceState::wait_config);
    EXPECT_EQ(rig.device.indicator(), (Indicator{Color::blue, Rhythm::blink, 50, 500}));
    EXPECT_FALSE(rig.store.read(Slot::proved));
    EXPECT_FALSE(rig.store.read(Slot::pending));
    EXPECT_TRUE(rig.device.open_for_setup());
    EXPECT_TRUE(rig.device.settings().token.empty());
    EXPECT_FALSE(rig.device.agent().online());
  }
}

TEST(Device, AShorterOrLongerHoldDoesNothing) {
  for (const std::uint64_t held_ms : {9'999U, 20'000U, 100'000U}) {
    HomeRig rig;
    rig.device.on_button(true, rig.now);
    rig.device.on_button(true, rig.now);  // A bounce.
    for (std::uint64_t ms = 0; ms < held_ms; ms += 1'000) {
      rig.pass_ms(held_ms - ms < 1'000 ? held_ms - ms : 1'000);
      if (rig.device.agent().state() == State::waiting) break;
    }
    if (held_ms >= 20'000) {
      EXPECT_EQ(rig.device.indicator().color, Color::brand);  // The light says that it is called off.
    }
    rig.device.on_button(false, rig.now);
    EXPECT_EQ(rig.proved_token(), token);
    EXPECT_FALSE(rig.saw("reset"));
  }
}

TEST(Device, ThePowerFailingInAResetLeavesTheOldDeviceOrANewOne) {
  for (int cut = 0; cut < 3; ++cut) {
    HomeRig rig;
    rig.open_for_setup();
    rig.take();
    rig.store.power_cut_in = cut;
    rig.device.reset_config(rig.now);
    DeviceRig next;
    next.store.records[0] = rig.store.records[0];
    next.store.records[1] = rig.store.records[1];
    next.start();
    EXPECT_EQ(next.state(), cut < 2 ? DeviceState::connecting_net : DeviceState::wait_config) << cut;
  }
}

TEST(Device, ScansForAllWhoAskAtOnceAndAnswersForASilentRadio) {
  NewRig rig;
  EXPECT_TRUE(rig.device.request_scan(rig.now));
  EXPECT_TRUE(rig.device.request_scan(rig.now));
  EXPECT_EQ(std::count(rig.radio.log.begin(), rig.radio.log.end(), "scan"), 1);
  rig.pass_ms(30'000);
  EXPECT_TRUE(rig.device.request_scan(rig.now));
  EXPECT_EQ(std::count(rig.radio.log.begin(), rig.radio.log.end(), "scan"), 2);
  rig.device.on_scanned(nullptr, 0, rig.now);
  rig.take();
  EXPECT_FALSE(rig.device.request_scan(rig.now));  // While it joins.
}

TEST(Device, IgnoresWhatComesLate) {
  NewRig rig;
  rig.join();
  rig.device.on_join_failed(JoinFailure::other, rig.now);
  rig.device.on_network_lost(rig.now);
  rig.device.on_closed(CloseReason::refused, rig.now);
  rig.connect();
  rig.accept_login();
  EXPECT_EQ(rig.state(), DeviceState::configuring);
  EXPECT_TRUE(rig.transport.connects.empty());
  rig.device.stop(rig.now);
  rig.device.on_opened(rig.now);
  rig.device.on_open_failed(rig.now);
  rig.device.on_visitors(3, rig.now);
  EXPECT_EQ(rig.state(), DeviceState::idle);
  EXPECT_EQ(rig.device.next_deadline(), never);
}

}  // namespace
}  // namespace muster::agent::test
