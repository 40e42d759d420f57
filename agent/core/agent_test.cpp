// SPDX-License-Identifier: Apache-2.0
#include "agent/core/agent.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "agent/core/agent_test_rig.hpp"

namespace muster::agent {
namespace {

using namespace std::string_view_literals;
using test::Bytes;
using test::frame;
using test::make_config;
using test::response;
using test::Rig;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using wire::Command;

// ---- becoming active
// --------------------------------------------------------------------------------------------------

TEST(Agent, LogsInAnnouncesItselfAndGoesOnline) {
  Rig rig;
  rig.start();
  EXPECT_THAT(rig.transport.connects, ElementsAre("cloud.example:9443+"));
  EXPECT_EQ(rig.agent.state(), State::connecting);
  rig.connect();
  EXPECT_EQ(rig.agent.state(), State::logging_in);
  rig.accept_login();
  EXPECT_EQ(rig.agent.state(), State::announcing);
  EXPECT_THAT(rig.transport.sent,
              ElementsAre("29:1:0123456789abcdefghijklmnopqrstuv",
                          "17:2:mcu|1.2.3|fw-type|TMPL2abcdefgh|build|Nov 24 2026 03:16:37|blynk|0.1.0|h-beat|40|buff-in|"
                          "512|dev|Linux|agent|muster|tmpl|TMPL2abcdefgh"));
  EXPECT_FALSE(rig.agent.online());
  rig.feed(response(2, 200));
  EXPECT_TRUE(rig.agent.online());
  EXPECT_THAT(rig.handler.log, ElementsAre("login_ok", "info_accepted", "online"));
}

TEST(Agent, TakesAlreadyRegisteredForALogin) {
  Rig rig;
  rig.start();
  rig.connect();
  rig.feed(response(1, 4));
  EXPECT_THAT(rig.handler.log, ElementsAre("login_ok"));
}

TEST(Agent, GoesOnlineWithoutAnAnswerToItsInfoAfterAWhile) {
  Rig rig;
  rig.start();
  rig.connect();
  rig.accept_login();
  rig.pass_ms(5'999);
  EXPECT_FALSE(rig.agent.online());
  rig.pass_ms(1);
  EXPECT_TRUE(rig.agent.online());
}

TEST(Agent, GoesOnlineThoughItsInfoWasRefused) {
  Rig rig;
  rig.start();
  rig.connect();
  rig.accept_login();
  rig.feed(response(2, 11));
  EXPECT_THAT(rig.handler.log, ElementsAre("login_ok", "info_refused", "online"));
}

TEST(Agent, DoesNotStartWithoutAUsableTokenAndHost) {
  Rig rig;
  EXPECT_FALSE(rig.agent.start(DeviceConfig{}, rig.now));
  DeviceConfig no_host = make_config();
  no_host.host.clear();
  EXPECT_FALSE(rig.agent.start(no_host, rig.now));
  EXPECT_EQ(rig.agent.state(), State::stopped);
  EXPECT_EQ(rig.agent.next_deadline(), never);
  EXPECT_THAT(rig.transport.connects, IsEmpty());
}

TEST(Agent, UnderstandsAnyCutOfTheStreamFromTheServer) {
  Bytes stream = response(1, 200);
  for (const Bytes& next : {response(2, 200), frame(Command::ping, 77),
                            frame(Command::hardware, 9,
                                  "vw\0"
                                  "5\0one\0two"sv),
                            frame(Command::internal, 10, "meta\0Device Name\0Lamp"sv),
                            frame(Command::hardware, 11,
                                  "vw\0"
                                  "6\0"sv)}) {
    stream.insert(stream.end(), next.begin(), next.end());
  }
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    Rig rig;
    rig.start();
    rig.connect();
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      const auto end = std::min(stream.size(), at + piece);
      rig.feed(Bytes{stream.begin() + static_cast<std::ptrdiff_t>(at), stream.begin() + static_cast<std::ptrdiff_t>(end)});
    }
    EXPECT_THAT(rig.handler.log, ElementsAre("login_ok", "info_accepted", "online", "write 5 one two", "meta Device Name=Lamp", "write 6 "))
        << piece;
    ASSERT_EQ(rig.transport.sent.size(), 3U);
    EXPECT_EQ(rig.transport.sent[2], "0:77:200");
  }
}

// ---- not becoming active
// ----------------------------------------------------------------------------------------------

TEST(Agent, GivesUpALoginThatIsNotAnsweredWithin6Seconds) {
  Rig rig;
  rig.start();
  rig.connect();
  rig.pass_ms(5'999);
  EXPECT_EQ(rig.transport.closes, 0);
  rig.pass_ms(1);
  EXPECT_EQ(rig.transport.closes, 1);
  EXPECT_THAT(rig.handler.log, ElementsAre("disconnected login_timeout"));
  EXPECT_THAT(rig.handler.delays_ms, ElementsAre(2'000));
}

TEST(Agent, IgnoresAnAnswerWithAnotherIdThanTheLogins) {
  Rig rig;
  rig.start();
  rig.connect();
  rig.feed(response(2, 200));
  EXPECT_EQ(rig.agent.state(), State::logging_in);
}

TEST(Agent, GivesUpAConnectThatTakesTooLong) {
  Rig rig;
  rig.start();
  rig.pass_ms(20'000);
  EXPECT_EQ(rig.transport.closes, 1);
  EXPECT_THAT(rig.handler.log, ElementsAre("connect_failed connect_timeout"));
}

TEST(Agent, RetriesWithCappedExponentialBackoffAndFullJitter) {
  Rig rig;
  rig.start();
  for (int i = 0; i < 8; ++i) {
    rig.agent.on_closed(CloseReason::refused, rig.now);
    rig.wait_out();
  }
  EXPECT_THAT(rig.handler.delays_ms, ElementsAre(2'000, 4'000, 8'000, 16'000, 32'000, 60'000, 60'000, 60'000));
  EXPECT_EQ(rig.transport.connects.size(), 9U);

  Rig lucky;
  lucky.random.value = 0x40000000U;  // A quarter of the way.
  lucky.start();
  lucky.agent.on_closed(CloseReason::refused, lucky.now);
  EXPECT_THAT(lucky.handler.delays_ms, ElementsAre(500));
  lucky.pass_ms(499);
  EXPECT_EQ(lucky.transport.connects.size(), 1U);
  lucky.pass_ms(1);
  EXPECT_EQ(lucky.transport.connects.size(), 2U);
}

TEST(Agent, OtherLoginStatusesAreRetriedLikeATrouble) {
  for (const std::uint16_t status : std::initializer_list<std::uint16_t>{1, 2, 3, 7, 16, 19, 20, 0, 65535}) {
    Rig rig;
    rig.start();
    rig.connect();
    rig.feed(response(1, status));
    EXPECT_THAT(rig.handler.log, ElementsAre("disconnected login_refused")) << status;
    EXPECT_THAT(rig.handler.delays_ms, ElementsAre(2'000));
  }
}

TEST(Agent, KeepsItsConfigurationOnAnInvalidTokenAndRetriesInMinutesGrowingToAnHour) {
  Rig rig;
  rig.random.value = 0;  // Equal jitter gives its upper limit.
  rig.start();
  for (int i = 0; i < 6; ++i) {
    rig.connect();
    rig.feed(response(1, 9));
    EXPECT_EQ(rig.agent.config().token.view(), test::token);
    EXPECT_EQ(rig.agent.state(), State::waiting);
    rig.wait_out();
  }
  EXPECT_THAT(rig.handler.delays_ms, ElementsAre(300'000, 600'000, 1'200'000, 2'400'000, 3'600'000, 3'600'000));
  EXPECT_EQ(rig.handler.log[0], "disconnected invalid_token");
  EXPECT_EQ(rig.handler.log[1], "invalid_token");
  // A login that succeeds ends it.
  rig.connect();
  rig.accept_login();
  rig.forget();
  rig.agent.on_closed(CloseReason::peer_closed, rig.now);
  EXPECT_LE(rig.handler.delays_ms.at(0), 2'000U);
}

TEST(Agent, WaitsAtLeastHalfOfTheLimitAfterAnInvalidToken) {
  Rig rig;
  rig.start();
  rig.connect();
  rig.feed(response(1, 9));
  EXPECT_THAT(rig.handler.delays_ms, ElementsAre(150'000));
}

TEST(Agent, CanBeToldToRetryNow) {
  Rig rig;
  rig.start();
  rig.connect();
  rig.feed(response(1, 9));
  rig.agent.retry_now(rig.now);
  EXPECT_EQ(rig.transport.connects.size(), 2U);
  rig.agent.retry_now(rig.now);  // Not while it is at it.
  EXPECT_EQ(rig.transport.connects.size(), 2U);
}

TEST(Agent, IgnoresInvalidTokenOnceItIsOnline) {
  Rig rig;
  rig.go_online();
  rig.feed(response(5, 9));
  rig.feed(response(1, 9));
  EXPECT_TRUE(rig.agent.online());
}

TEST(Agent, TriesTheTwoUsualPortsByTurnsWhenNoneIsConfigured) {
  Rig rig;
  rig.start(make_config("c.example", 0));
  for (int i = 0; i < 3; ++i) {
    rig.agent.on_closed(CloseReason::refused, rig.now);
    rig.pass_ms(0);
    rig.agent.on_closed(CloseReason::refused, rig.now);
    rig.wait_out();
  }
  EXPECT_THAT(rig.transport.connects, ElementsAre("c.example:443+", "c.example:9443+", "c.example:443+", "c.example:9443+",
                                                  "c.example:443+", "c.example:9443+", "c.example:443+"));
  EXPECT_THAT(rig.handler.delays_ms, ElementsAre(2'000, 4'000, 8'000));  // No wait between the two.

  Rig plain;
  DeviceConfig config = make_config("c.example", 0);
  config.security = Security::plain;
  plain.start(config);
  plain.agent.on_closed(CloseReason::refused, plain.now);
  plain.pass_ms(0);
  EXPECT_THAT(plain.transport.connects, ElementsAre("c.example:80", "c.example:8080"));
}

TEST(Agent, TriesTheOtherUsualPortAfterAServerThatDoesNotAnswerLogins) {
  Rig rig;
  rig.start(make_config("c.example", 0));
  rig.connect();
  rig.pass_ms(6'000 + 2'000);
  EXPECT_THAT(rig.transport.connects, ElementsAre("c.example:443+", "c.example:9443+"));
}

TEST(Agent, ComesBackToTheUsualPortThatWorked) {
  Rig rig;
  rig.start(make_config("c.example", 0));
  rig.agent.on_closed(CloseReason::refused, rig.now);
  rig.pass_ms(0);
  rig.connect();
  rig.accept_login();
  rig.agent.on_closed(CloseReason::peer_closed, rig.now);
  rig.wait_out();
  EXPECT_THAT(rig.transport.connects, ElementsAre("c.example:443+", "c.example:9443+", "c.example:9443+"));
}

TEST(Agent, AShortSessionDoesNotEndTheBackoffALongOneDoes) {
  Rig rig;
  rig.start();
  for (int i = 0; i < 4; ++i) {  // As when another device has the same token.
    rig.connect();
    rig.accept_login();
    rig.feed(response(2, 200));
    rig.pass_ms(1'000);
    rig.agent.on_closed(CloseReason::peer_closed, rig.now);
    rig.wait_out();
  }
  EXPECT_THAT(rig.handler.delays_ms, ElementsAre(2'000, 4'000, 8'000, 16'000));
  rig.connect();
  rig.accept_login();
  rig.feed(response(2, 200));
  rig.pass_ms(30'000);
  rig.agent.on_closed(CloseReason::peer_closed, rig.now);
  EXPECT_EQ(rig.handler.delays_ms.back(), 2'000U);
}

// ---- redirects
// --------------------------------------------------------------------------------------------------------

TEST(Agent, FollowsARedirectThatAnswersItsLoginAtOnce) {
  Rig rig;
  rig.start();
  rig.connect();
  rig.feed(frame(Command::redirect, 1,
                 "eu.example\0"
                 "8443"sv));
  EXPECT_EQ(rig.transport.closes, 1);
  rig.pass_ms(0);
  EXPECT_THAT(rig.transport.connects, ElementsAre("cloud.example:9443+", "eu.example:8443+"));
  EXPECT_THAT(rig.handler.delays_ms, IsEmpty());
  rig.connect();
  rig.accept_login();
  EXPECT_EQ(rig.transport.sent.at(1), "29:1:0123456789abcdefghijklmnopqrstuv");
}

TEST(Agent, RemembersARedirectWhileItWorksAndNoLonger) {
  Rig rig;
  rig.start();
  rig.connect();
  rig.feed(frame(Command::redirect, 1,
                 "eu.example\0"
                 "8443"sv));
  rig.pass_ms(0);
  rig.connect();
  rig.accept_login();
  rig.pass_ms(31'000);
  rig.feed(frame(Command::ping, 3));
  rig.agent.on_closed(CloseReason::peer_closed, rig.now);
  rig.wait_out();
  EXPECT_EQ(rig.transport.connects.back(), "eu.example:8443+");
  rig.agent.on_closed(CloseReason::refused, rig.now);
  rig.wait_out();
  EXPECT_EQ(rig.transport.connects.back(), "cloud.example:9443+");
}

TEST(Agent, KeepsThePortOfARedirectThatNamesNone) {
  for (const auto body : {"eu.example"sv, "eu.example\0"sv}) {
    Rig rig;
    rig.start();
    rig.connect();
    rig.feed(frame(Command::redirect, 1, body));
    rig.pass_ms(0);
    EXPECT_EQ(rig.transport.connects.back(), "eu.example:9443+");
  }
}

TEST(Agent, RefusesARedirectToNowhere) {
  for (const auto body : {""sv,
                          "\0"
                          "443"sv,
                          "a b\0"
                          "443"sv,
                          "eu.example\0"
                          "0"sv,
                          "eu.example\0"
                          "65536"sv,
                          "eu.example\0-1"sv, "eu.example\0port"sv, "https://eu.example"sv,
                          "this-name-is-one-character-longer-than-the-sixty-three-allowed-x\0"
                          "443"sv}) {
    Rig rig;
    rig.start();
    rig.connect();
    rig.feed(frame(Command::redirect, 1, body));
    EXPECT_THAT(rig.handler.log, ElementsAre("disconnected protocol_error")) << body;
    EXPECT_THAT(rig.handler.delays_ms, ElementsAre(2'000));
  }
}

TEST(Agent, LeavesARedirectLoopAfterThreeHopsWithAPauseThatGrows) {
  Rig rig;
  rig.start();
  for (int round = 0; round < 3; ++round) {
    for (int hop = 0; hop < 4; ++hop) {
      rig.connect();
      rig.feed(frame(Command::redirect, 1,
                     hop % 2 == 0 ? "b.example\0"
                                    "443"sv
                                  : "cloud.example\0"
                                    "9443"sv));
      if (hop < 3) {
        rig.pass_ms(0);
      }
    }
    EXPECT_EQ(rig.handler.log.back(), "disconnected redirect_loop");
    rig.wait_out();
    EXPECT_EQ(rig.transport.connects.back(), "cloud.example:9443+");
  }
  EXPECT_THAT(rig.handler.delays_ms, ElementsAre(2'000, 4'000, 8'000));
}

TEST(Agent, FollowsARedirectWhenOnlineButNotForEver) {
  Rig rig;
  rig.start();
  for (int hop = 0; hop < 4; ++hop) {
    rig.connect();
    rig.accept_login();
    rig.feed(response(2, 200));
    rig.feed(frame(Command::redirect, 50,
                   "b.example\0"
                   "443"sv));
    if (hop < 3) {
      rig.pass_ms(0);
      EXPECT_EQ(rig.transport.connects.back(), "b.example:443+");
    }
  }
  EXPECT_EQ(rig.handler.log.back(), "disconnected redirect_loop");
}

TEST(Agent, AnInvalidTokenAtARedirectedHostLeadsBackHome) {
  Rig rig;
  rig.random.value = 0;
  rig.start();
  rig.connect();
  rig.feed(frame(Command::redirect, 1,
                 "eu.example\0"
                 "443"sv));
  rig.pass_ms(0);
  rig.connect();
  rig.feed(response(1, 9));
  EXPECT_THAT(rig.handler.delays_ms, ElementsAre(300'000));
  rig.pass_ms(300'000);
  EXPECT_EQ(rig.transport.connects.back(), "cloud.example:9443+");
}

// ---- heartbeat
// --------------------------------------------------------------------------------------------------------

TEST(Agent, PingsAfterHOfSilenceAtMostEvery6SecondsAndClosesAtHAnd18) {
  Rig rig;
  rig.go_online();
  const Millis t0 = rig.now;
  rig.pass_ms(39'999);
  EXPECT_THAT(rig.transport.sent, IsEmpty());
  rig.pass_ms(1);
  EXPECT_THAT(rig.transport.sent, ElementsAre("6:3:"));
  rig.feed(response(3, 200));
  // The recorded client did this with H = 10: unanswered pings 10, 16 and 22 s after the last reception, closed at 28
  // s.
  rig.pass_ms(40'000 + 17'999);
  EXPECT_THAT(rig.transport.sent, ElementsAre("6:3:", "6:4:", "6:5:", "6:6:"));
  EXPECT_EQ(rig.transport.closes, 0);
  rig.pass_ms(1);
  EXPECT_EQ(rig.transport.closes, 1);
  EXPECT_EQ(rig.now, t0 + 40'000 + 58'000);
  EXPECT_EQ(rig.handler.log.back(), "disconnected silent");
}

TEST(Agent, PingsWhenItOnlySendsOrOnlyReceives) {
  Rig sender;
  sender.go_online();
  for (int i = 0; i < 5; ++i) {
    sender.pass_ms(9'000);
    sender.agent.write(1, 1, sender.now);
  }
  EXPECT_THAT(sender.transport.sent, ::testing::Contains("6:7:"));  // At 40 s, though it wrote at 36 s.

  Rig receiver;
  receiver.go_online();
  for (int i = 0; i < 5; ++i) {
    receiver.pass_ms(9'000);
    receiver.feed(frame(Command::hardware, 9,
                        "vw\0"
                        "1\0"
                        "1"sv));
  }
  EXPECT_THAT(receiver.transport.sent, ElementsAre("6:3:"));
}

TEST(Agent, HalfAFrameIsNoSignOfLife) {
  Rig rig;
  rig.go_online();
  const Bytes push = frame(Command::hardware, 9,
                           "vw\0"
                           "1\0a long enough value to come in drops for more than a minute"sv);
  for (std::size_t i = 0; i < push.size() && rig.transport.closes == 0; ++i) {
    rig.feed({push[i]});
    rig.pass_ms(1'000);
  }
  EXPECT_EQ(rig.transport.closes, 1);
}

TEST(Agent, AClockThatGoesBackChangesNothing) {
  Rig rig;
  rig.go_online();
  rig.pass_ms(10'000);
  rig.agent.on_timer(5);
  const Bytes ping = frame(Command::ping, 4);
  rig.agent.on_bytes({ping.data(), ping.size()}, 0);  // Seen and answered long ago, says the clock.
  EXPECT_TRUE(rig.agent.online());
  EXPECT_EQ(rig.agent.next_deadline(), rig.now + 20'000);  // Stable after 30 s, as before.
}

// ---- what the server sends
// --------------------------------------------------------------------------------------------

TEST(Agent, AnswersPingsWithTheirIdAlsoBeforeLogin) {
  Rig rig;
  rig.start();
  rig.connect();
  rig.feed(frame(Command::ping, 500));
  EXPECT_EQ(rig.transport.sent.back(), "0:500:200");
  EXPECT_EQ(rig.agent.state(), State::logging_in);
}

TEST(Agent, DropsCommandsBeforeLogin) {
  Rig rig;
  rig.start();
  rig.connect();
  rig.feed(frame(Command::hardware, 5,
                 "vw\0"
                 "1\0x"sv));
  rig.feed(frame(Command::internal, 6, "dbg\0reboot"sv));
  rig.feed(frame(Command::debug_print, 7, "hello"sv));
  EXPECT_THAT(rig.handler.log, IsEmpty());
  EXPECT_EQ(rig.agent.state(), State::logging_in);
}

TEST(Agent, HandsWritesMetadataTimeConsoleTextAndOffersToTheProgram) {
  Rig rig;
  rig.go_online();
  rig.feed(frame(Command::hardware, 1,
                 "vw\0"
                 "255\0"
                 "30.5\0"
                 "50.4"sv));
  rig.feed(frame(Command::hardware, 2,
                 "vw\0"
                 "7"sv));  // No value at all.
  rig.feed(frame(Command::bridge, 3,
                 "vw\0"
                 "8\0b"sv));
  rig.feed(frame(Command::internal, 4, "meta\0Location\0Kyiv"sv));
  rig.feed(frame(Command::internal, 5,
                 "utc\0time\0"
                 "1601968576000"sv));
  rig.feed(frame(Command::internal, 6, "dbg\0reboot"sv));
  rig.feed(frame(Command::internal, 7, "ota\0http://x/y"sv));
  rig.feed(frame(Command::debug_print, 8, "hi"sv));
  EXPECT_THAT(rig.handler.log, ElementsAre("write 255 30.5 50.4", "write 7", "write 8 b", "meta Location=Kyiv", "utc 1601968576000",
                                           "console reboot", "update http://x/y", "print hi"));
  EXPECT_THAT(rig.transport.sent, IsEmpty());
}

TEST(Agent, IgnoresInternalWordsThatItDoesNotKnowAndBrokenOnes) {
  Rig rig;
  rig.go_online();
  for (const auto body : {""sv, "\0"sv, "acon\0"sv, "adis"sv, "vfs\0x"sv,
                          "rtc\0"
                          "1"sv,
                          "new\0word"sv, "utc\0time\0abc"sv, "utc\0time"sv,
                          "utc\0time\0"
                          "99999999999999999999"sv,
                          "utc\0tz\0"
                          "120\0"
                          "60"sv}) {
    rig.feed(frame(Command::internal, 4, body));
  }
  EXPECT_THAT(rig.handler.log, IsEmpty());
  EXPECT_THAT(rig.transport.sent, IsEmpty());
  EXPECT_TRUE(rig.agent.online());
}

TEST(Agent, AnswersIllegalCommandToHardwareWordsThatItCannotServe) {
  Rig rig;
  rig.go_online();
  for (const auto body : {"vr\0"
                          "1"sv,
                          "dr\0"
                          "1"sv,
                          "ar\0"
                          "1"sv,
                          "xx\0"
                          "1"sv,
                          ""sv, "vw"sv, "vw\0"sv,
                          "vw\0"
                          "256\0"
                          "1"sv,
                          "vw\0-1\0"
                          "1"sv}) {
    rig.transport.sent.clear();
    rig.feed(frame(Command::hardware, 321, body));
    EXPECT_THAT(rig.transport.sent, ElementsAre("0:321:2")) << test::escaped(body);
  }
  rig.transport.sent.clear();
  rig.feed(frame(Command::hardware, 1,
                 "pm\0"
                 "1\0out"sv));  // Old servers send it after each login.
  rig.feed(frame(Command::hardware, 1,
                 "dw\0"
                 "1\0"
                 "1"sv));
  EXPECT_THAT(rig.transport.sent, IsEmpty());
  EXPECT_THAT(rig.handler.log, IsEmpty());
}

TEST(Agent, AnswersUnknownCommandsAndStays) {
  const std::set<int> served{0, 6, 15, 17, 20, 41, 55};
  for (int command = 0; command <= 255; ++command) {
    if (served.count(command) != 0) {
      continue;
    }
    Rig rig;
    rig.go_online();
    rig.feed(frame(static_cast<Command>(command), 44, "a\0b"sv));
    EXPECT_THAT(rig.transport.sent, ElementsAre("0:44:2")) << command;
    EXPECT_TRUE(rig.agent.online());
  }
}

TEST(Agent, ClosesOnIdZeroOnStatus5AndOnAFrameLargerThanItsRoom) {
  Rig zero;
  zero.go_online();
  zero.feed({20, 0, 0, 0, 6, 'v', 'w', 0, '1', 0, '5'});
  EXPECT_THAT(zero.handler.log, ElementsAre("disconnected protocol_error"));
  Rig status;
  status.go_online();
  status.feed(response(9, 5));
  EXPECT_THAT(status.handler.log, ElementsAre("disconnected not_authenticated"));
  Rig fits;
  fits.go_online();
  fits.feed(frame(Command::debug_print, 9, std::string(512, 'x')));
  EXPECT_TRUE(fits.agent.online());
  Rig big;
  big.go_online();
  big.feed({55, 0, 9, 2, 1});  // 513 bytes: known from the header.
  EXPECT_THAT(big.handler.log, ElementsAre("disconnected protocol_error"));
}

TEST(Agent, IgnoresOtherStatuses) {
  Rig rig;
  rig.go_online();
  for (const std::uint16_t status : std::initializer_list<std::uint16_t>{0, 2, 3, 4, 6, 7, 9, 11, 19, 200, 65535}) {
    rig.feed(response(7, status));
  }
  EXPECT_TRUE(rig.agent.online());
  EXPECT_EQ(rig.handler.log.size(), 11U);
  EXPECT_EQ(rig.handler.log[0], "response 7 0");
}

// ---- what the program sends
// -------------------------------------------------------------------------------------------

TEST(Agent, SendsValuesSyncsMetadataPropertiesAndEvents) {
  Rig rig;
  rig.go_online();
  EXPECT_EQ(rig.agent.write(0, "on"sv, rig.now), SendResult::sent);
  EXPECT_EQ(rig.agent.write(255, std::int64_t{-12}, rig.now), SendResult::sent);
  const std::string_view location[] = {"30.5", "50.4"};
  EXPECT_EQ(rig.agent.write(3, location, 2, rig.now), SendResult::sent);
  EXPECT_EQ(rig.agent.write(3, nullptr, 0, rig.now), SendResult::sent);
  EXPECT_EQ(rig.agent.sync(rig.now), SendResult::sent);
  const std::uint8_t pins[] = {1, 20};
  EXPECT_EQ(rig.agent.sync(pins, 2, rig.now), SendResult::sent);
  EXPECT_EQ(rig.agent.set_property(4, "color", "#fff", rig.now), SendResult::sent);
  EXPECT_EQ(rig.agent.log_event("hot", {}, rig.now), SendResult::sent);
  EXPECT_EQ(rig.agent.log_event("hot", "very", rig.now), SendResult::sent);
  EXPECT_EQ(rig.agent.get_metadata("Device Name", rig.now), SendResult::sent);
  EXPECT_EQ(rig.agent.set_metadata("Room", "Attic", rig.now), SendResult::sent);
  EXPECT_EQ(rig.agent.request_utc(rig.now), SendResult::sent);
  EXPECT_THAT(rig.transport.sent, ElementsAre("20:3:vw|0|on", "20:4:vw|255|-12", "20:5:vw|3|30.5|50.4", "20:6:vw|3|",
                                              "16:7:", "16:8:vr|1|20", "19:9:4|color|#fff", "64:10:hot", "64:11:hot|very",
                                              "17:12:meta|get|Device Name", "17:13:meta|set|Room|Attic", "17:14:utc|time"));
  EXPECT_THAT(rig.handler.log, ElementsAre("first_value_sent"));
}

TEST(Agent, SendsNothingWhileItIsNotOnline) {
  Rig rig;
  EXPECT_EQ(rig.agent.write(1, 1, rig.now), SendResult::not_online);
  rig.start();
  EXPECT_EQ(rig.agent.write(1, 1, rig.now), SendResult::not_online);
  rig.connect();
  EXPECT_EQ(rig.agent.write(1, 1, rig.now), SendResult::not_online);
  rig.accept_login();
  EXPECT_EQ(rig.agent.sync(rig.now), SendResult::not_online);
  rig.feed(response(2, 200));
  EXPECT_EQ(rig.agent.write(1, 1, rig.now), SendResult::sent);
  rig.agent.on_closed(CloseReason::peer_closed, rig.now);
  EXPECT_EQ(rig.agent.write(1, 1, rig.now), SendResult::not_online);
}

TEST(Agent, RefusesValuesThatDoNotFitInsteadOfCuttingThem) {
  Rig rig;
  rig.go_online();
  EXPECT_EQ(rig.agent.write(1, std::string(512 - 5, 'x'), rig.now), SendResult::sent);
  EXPECT_EQ(rig.agent.write(1, std::string(512 - 4, 'x'), rig.now), SendResult::too_big);
  EXPECT_EQ(rig.agent.log_event("c", std::string(300, 'x'), rig.now), SendResult::sent);
  EXPECT_EQ(rig.agent.log_event("c", std::string(301, 'x'), rig.now), SendResult::too_big);
  EXPECT_TRUE(rig.agent.online());
}

TEST(Agent, StaysBelow50FramesInAnySecond) {
  Rig rig;
  rig.go_online();
  std::vector<Millis> sent_at;
  for (int ms = 0; ms < 5'000; ms += 3) {
    if (rig.agent.write(1, ms, rig.now) == SendResult::sent) {
      sent_at.push_back(rig.now);
    }
    rig.pass_ms(3);
  }
  for (std::size_t i = 50; i < sent_at.size(); ++i) {
    EXPECT_GE(sent_at[i] - sent_at[i - 50], 1'000U);
  }
  EXPECT_GE(sent_at.size(), 140U);
  EXPECT_LE(sent_at.size(), 151U);
  static_cast<void>(rig.agent.write(1, 1, rig.now));
  EXPECT_EQ(rig.agent.write(1, 1, rig.now), SendResult::throttled);
}

TEST(Agent, PausesAfterAQuotaStatus) {
  Rig rig;
  rig.go_online();
  rig.feed(response(4, 1));
  EXPECT_THAT(rig.handler.log, ElementsAre("quota"));
  EXPECT_EQ(rig.agent.write(1, 1, rig.now), SendResult::throttled);
  rig.pass_ms(1'000);
  EXPECT_EQ(rig.agent.write(1, 1, rig.now), SendResult::sent);
}

TEST(Agent, NumbersItsFramesFrom1AndNeverUsesZero) {
  Rig rig{[] {
    Limits limits;
    limits.send_burst = 60'000;
    limits.sends_per_s = 60'000;
    return limits;
  }()};
  rig.go_online();
  std::set<std::string> seen;
  for (int i = 3; i <= 65'535 + 2; ++i) {
    if (i % 1'000 == 0) {
      rig.pass_ms(1'000);
    }
    rig.transport.sent.clear();
    ASSERT_EQ(rig.agent.sync(rig.now), SendResult::sent);
    const std::string expected = "16:" + std::to_string(i > 65'535 ? i - 65'535 : i) + ":";
    ASSERT_EQ(rig.transport.sent.back(), expected);
    rig.feed(frame(Command::hardware, 1, "pm"sv));  // Keeps the heartbeat away.
  }
}

TEST(Agent, TellsWhenTheTransportHasNoRoom) {
  Rig rig;
  rig.go_online();
  rig.transport.has_room = false;
  EXPECT_EQ(rig.agent.write(1, 1, rig.now), SendResult::busy);
  EXPECT_TRUE(rig.agent.online());
  rig.feed(frame(Command::ping, 9));  // A ping that cannot be answered ends the connection.
  EXPECT_THAT(rig.handler.log, ElementsAre("disconnected send_failed"));
}

// ---- the program in charge
// --------------------------------------------------------------------------------------------

TEST(Agent, StopsInEveryStateAndStaysStopped) {
  for (int stage = 0; stage < 6; ++stage) {
    Rig rig;
    if (stage > 0) rig.start();
    if (stage > 1) rig.connect();
    if (stage > 2) rig.accept_login();
    if (stage > 3) rig.feed(response(2, 200));
    if (stage > 4) rig.agent.on_closed(CloseReason::peer_closed, rig.now);
    const int closes = rig.transport.closes;
    rig.agent.stop(rig.now);
    EXPECT_EQ(rig.transport.closes - closes, stage >= 1 && stage <= 4 ? 1 : 0) << stage;
    EXPECT_EQ(rig.agent.state(), State::stopped);
    EXPECT_EQ(rig.agent.next_deadline(), never);
    rig.forget();
    rig.pass_ms(10'000'000);
    rig.feed(response(1, 200));
    rig.agent.on_connected(rig.now);
    rig.agent.on_closed(CloseReason::peer_closed, rig.now);
    rig.agent.retry_now(rig.now);
    rig.agent.on_timer(rig.now);
    EXPECT_THAT(rig.transport.connects, IsEmpty());
    EXPECT_THAT(rig.handler.log, IsEmpty());
  }
}

TEST(Agent, StartsAgainWithAnotherConfiguration) {
  Rig rig;
  rig.go_online();
  rig.start(make_config("other.example", 1234));
  EXPECT_EQ(rig.transport.closes, 1);
  EXPECT_THAT(rig.transport.connects, ElementsAre("other.example:1234+"));
}

TEST(Agent, CanBeStoppedFromInsideEachOfItsCallbacks) {
  struct Stopper : test::RecordingHandler {
    Agent* agent = nullptr;
    std::string at;
    void check() {
      if (!log.empty() && log.back() == at) {
        at.clear();
        agent->stop(0);
      }
    }
    void on_event(const Event& event, Millis now) override {
      if (to_text(event.kind) == at) {
        at.clear();
        agent->stop(now);
        return;
      }
      test::RecordingHandler::on_event(event, now);
    }
    void on_write(std::uint8_t pin, wire::Fields values, Millis now) override {
      test::RecordingHandler::on_write(pin, values, now);
      check();
    }
  };
  for (const char* at : {"connecting", "connected", "login_ok", "info_sent", "info_accepted", "online", "redirected", "disconnected",
                         "retry_in", "write 5 v", "invalid_token"}) {
    test::FakeTransport transport;
    Stopper handler;
    test::FakeRandom random;
    std::uint8_t in[300];
    std::uint8_t out[300];
    Agent agent{transport, handler, random, {in, sizeof in}, {out, sizeof out}, Identity{}};
    handler.agent = &agent;
    handler.at = at;
    const auto feed = [&](const Bytes& bytes) { agent.on_bytes({bytes.data(), bytes.size()}, 10); };
    agent.start(make_config(), 10);
    agent.on_connected(10);
    if (std::string_view{at} == "invalid_token") {
      feed(response(1, 9));
    }
    Bytes stream = response(1, 200);
    for (const Bytes& next : {response(2, 200),
                              frame(Command::hardware, 5,
                                    "vw\0"
                                    "5\0v"sv),
                              frame(Command::hardware, 6,
                                    "vw\0"
                                    "6\0v"sv),
                              frame(Command::redirect, 7, "b.example"sv)}) {
      stream.insert(stream.end(), next.begin(), next.end());
    }
    feed(stream);
    if (std::string_view{at} == "retry_in") {
      agent.on_timer(10);
      agent.on_closed(CloseReason::refused, 10);
    }
    EXPECT_EQ(agent.state(), State::stopped) << at;
    EXPECT_EQ(agent.next_deadline(), never) << at;
    EXPECT_TRUE(handler.at.empty()) << at;
    if (std::string_view{at} == "write 5 v") {
      EXPECT_THAT(handler.log,
                  ::testing::Not(::testing::Contains("write 6 v")));  // Later frames of the same bytes are not handled.
    }
  }
}

TEST(Agent, MayAnswerFromInsideAWrite) {
  struct Echo : test::RecordingHandler {
    Agent* agent = nullptr;
    void on_write(std::uint8_t pin, wire::Fields values, Millis now) override {
      EXPECT_EQ(agent->write(static_cast<std::uint8_t>(pin + 1), values.next(), now), SendResult::sent);
    }
  };
  test::FakeTransport transport;
  Echo handler;
  test::FakeRandom random;
  std::uint8_t in[300];
  std::uint8_t out[300];
  Agent agent{transport, handler, random, {in, sizeof in}, {out, sizeof out}, Identity{}};
  handler.agent = &agent;
  agent.start(make_config(), 1);
  agent.on_connected(1);
  for (const Bytes& bytes : {response(1, 200), response(2, 200),
                             frame(Command::hardware, 7777,
                                   "vw\0"
                                   "7\0same"sv)}) {
    agent.on_bytes({bytes.data(), bytes.size()}, 1);
  }
  EXPECT_EQ(transport.sent.back(), "20:3:vw|8|same");  // With an id of its own.
}

}  // namespace
}  // namespace muster::agent
