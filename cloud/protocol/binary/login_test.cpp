// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "cloud/protocol/testing/rig.hpp"

namespace muster::protocol::testing {
namespace {

using namespace std::chrono_literals;
using domain::StoreError;
using wire::Command;
using wire::Status;

std::string login(const AuthToken& token, std::uint16_t id = 1) { return frame(29, id, token.reveal()); }
const std::string unknown_login = frame(29, 1, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");

class Login : public ::testing::Test {
 protected:
  explicit Login(GatewayLimits limits = {}) : rig{std::move(limits)} {}
  void SetUp() override {
    published = rig.make_template();
    made.emplace(rig.make_device(published));
  }
  Connection& online(const Peer& from = Rig::peer()) {
    Connection& connection = rig.connect(from);
    connection.feed(login(made->token));
    EXPECT_EQ(connection.take(), (std::vector{response(1, Status::success)}));
    return connection;
  }
  Rig rig;
  domain::Template published;
  std::optional<Rig::Made> made;
};

TEST_F(Login, AKnownTokenIsAnsweredAtOnceWithoutTheStore) {
  rig.load();
  const auto calls = rig.store.calls;
  Connection& connection = rig.connect();
  connection.feed(frame(29, 77, made->token.reveal()));
  EXPECT_EQ(connection.take(), (std::vector{response(77, Status::success)}));
  EXPECT_EQ(connection.session.state(), DeviceSession::State::active);
  EXPECT_EQ(connection.session.device(), made->device.id);
  EXPECT_TRUE(rig.sessions.online(made->device.id));
  EXPECT_TRUE(rig.executor.jobs.empty());
  EXPECT_EQ(rig.store.calls, calls);
  EXPECT_EQ(rig.metrics.logins_ok_total.value(), 1u);
  EXPECT_EQ(rig.metrics.sessions_open.value(), 1u);
}

TEST_F(Login, TheOldCommandLogsInAsWell) {
  rig.load();
  Connection& connection = rig.connect();
  connection.feed(frame(2, 1, made->token.reveal()));
  EXPECT_EQ(connection.take(), (std::vector{response(1, Status::success)}));
}

TEST_F(Login, ComesByteByByteToo) {
  rig.load();
  Connection& connection = rig.connect();
  for (const char byte : login(made->token)) connection.feed({&byte, 1});
  EXPECT_EQ(connection.take(), (std::vector{response(1, Status::success)}));
}

TEST_F(Login, WhiteSpaceAroundTheTokenAndATrailingNulDoNotMatter) {
  rig.load();
  for (const std::string& body : {" " + std::string{made->token.reveal()} + "\r\n", std::string{made->token.reveal()} + '\0'}) {
    Connection& connection = rig.connect();
    connection.feed(frame(29, 1, body));
    EXPECT_EQ(connection.take(), (std::vector{response(1, Status::success)}));
  }
}

TEST_F(Login, PresenceIsQueuedAndSaysWhetherTheLinkIsPlain) {
  rig.load();
  rig.live.watch(true);
  online(Rig::peer("10.1.2.3", Transport::tcp));
  auto waiting = rig.presence.take(10);
  ASSERT_EQ(waiting.size(), 1u);
  EXPECT_EQ(waiting[0].connected_at, rig.clock.utc_now());
  EXPECT_EQ(waiting[0].ip, "10.1.2.3");
  EXPECT_EQ(waiting[0].plain_text_link, true);
  EXPECT_EQ(rig.live.statuses, std::vector{made->device.id});
  rig.clock.advance(5s);
  rig.connections[0]->hang_up();
  waiting = rig.presence.take(10);
  ASSERT_EQ(waiting.size(), 1u);
  EXPECT_EQ(waiting[0].disconnected_at, rig.clock.utc_now());
  EXPECT_EQ(rig.live.statuses.size(), 2u);
  EXPECT_FALSE(rig.sessions.online(made->device.id));
  EXPECT_EQ(rig.metrics.sessions_open.value(), 0u);
}

TEST_F(Login, AServerThatStopsIsNoDisconnectOfTheDevice) {
  rig.load();
  Connection& connection = online();
  rig.presence.take(10);
  connection.event(CloseSession{CloseReason::shutdown});
  EXPECT_EQ(connection.closed_because, CloseReason::shutdown);
  EXPECT_TRUE(connection.take().empty());
  EXPECT_EQ(rig.presence.size(), 0u);
  EXPECT_FALSE(rig.sessions.online(made->device.id));
}

TEST_F(Login, ClosesWhenItDoesNotArriveInTime) {
  Connection& silent = rig.connect();
  Connection& slow = rig.connect();
  for (const char byte : unknown_login.substr(0, 9)) {
    slow.feed({&byte, 1});
    rig.pass(1s);
  }
  EXPECT_TRUE(silent.open());
  rig.pass(999ms);
  EXPECT_TRUE(silent.open());
  rig.pass(1ms);
  EXPECT_EQ(silent.closed_because, CloseReason::login_timeout);
  EXPECT_EQ(slow.closed_because, CloseReason::login_timeout);
  EXPECT_TRUE(slow.take().empty());
  EXPECT_EQ(rig.metrics.login_timeouts_total.value(), 2u);
}

TEST_F(Login, ACommandBeforeItIsAnsweredFiveAndClosed) {
  for (int command = 0; command < 256; ++command) {
    if (command == 2 || command == 29) continue;
    Connection& connection = rig.connect();
    connection.feed(frame(command, 9, command == 0 ? "" : "vw"));
    EXPECT_EQ(connection.closed_because, CloseReason::not_logged_in) << command;
    EXPECT_EQ(connection.take(), command == 0 ? std::vector<Seen>{} : (std::vector{response(9, Status::not_authenticated)}));
  }
}

TEST_F(Login, MessageIdZeroOrALargeBodyCloses) {
  for (const std::string& bytes :
       {frame(29, 0, made->token.reveal()), frame(29, 1, std::string(257, 'a')), std::string("\x1d\x00\x01\xff\xff", 5)}) {
    Connection& connection = rig.connect();
    connection.feed(bytes);
    EXPECT_EQ(connection.closed_because, CloseReason::malformed);
    EXPECT_TRUE(connection.take().empty());
  }
  Connection& largest = rig.connect();
  largest.feed(frame(29, 1, std::string(256, 'a')));
  EXPECT_EQ(largest.take(), (std::vector{response(1, Status::invalid_token)}));
}

// --- who hears "invalid" ---------------------------------------------------------------------------------------------------------

TEST_F(Login, AStringThatIsNoTokenHearsInvalidWithoutALookUp) {
  rig.load();
  const auto calls = rig.store.calls;
  for (const std::string& text :
       {std::string{}, std::string(31, 'a'), std::string(33, 'a'), std::string(31, 'a') + "!", std::string("a\0b", 3)}) {
    Connection& connection = rig.connect();
    connection.feed(frame(29, 3, text));
    EXPECT_EQ(connection.take(), (std::vector{response(3, Status::invalid_token)}));
    EXPECT_EQ(connection.closed_because, CloseReason::invalid_token);
  }
  EXPECT_EQ(rig.metrics.logins_malformed_total.value(), 5u);
  EXPECT_EQ(rig.metrics.logins_invalid_total.value(), 5u);
  EXPECT_EQ(rig.store.calls, calls);
}

TEST_F(Login, AnUnknownTokenHearsInvalidOnlyAfterTheStoreSaidSo) {
  rig.load();
  Connection& connection = rig.connect();
  connection.feed(unknown_login);
  EXPECT_TRUE(connection.step.paused);
  EXPECT_TRUE(connection.take().empty());
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{response(1, Status::invalid_token)}));
  EXPECT_EQ(connection.closed_because, CloseReason::invalid_token);
  EXPECT_EQ(rig.metrics.logins_invalid_total.value(), 1u);
}

TEST_F(Login, ARevokedTokenHearsInvalid) {
  rig.load();
  const AuthToken next = AuthToken::generate(rig.random);
  rig.replace_token(made->device.id, next);
  rig.load();
  Connection& old_one = rig.connect();
  old_one.feed(login(made->token));
  rig.settle();
  EXPECT_EQ(old_one.take(), (std::vector{response(1, Status::invalid_token)}));
  Connection& new_one = rig.connect();
  new_one.feed(login(next));
  EXPECT_EQ(new_one.take(), (std::vector{response(1, Status::success)}));
}

TEST_F(Login, ATokenThatTheIndexHasNotSeenYetIsFoundInTheStore) {
  rig.load();
  const Rig::Made late = rig.make_device(published);
  Connection& connection = rig.connect();
  connection.feed(login(late.token) + frame(6, 2));
  EXPECT_TRUE(connection.step.paused);
  EXPECT_TRUE(connection.take().empty());
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{response(1, Status::success), response(2, Status::success)}));
}

TEST_F(Login, AYesFromTheStoreIsOvertakenByARevocation) {
  rig.load();
  const Rig::Made late = rig.make_device(published);
  Connection& connection = rig.connect();
  connection.feed(login(late.token));
  rig.executor.run_all();  // The store says yes; before the session hears it ...
  rig.replace_token(late.device.id, AuthToken::generate(rig.random));
  rig.load();
  rig.settle();
  EXPECT_TRUE(connection.take().empty());
  rig.pass(500ms);
  EXPECT_EQ(connection.take(), (std::vector{response(1, Status::invalid_token)}));
  EXPECT_FALSE(rig.sessions.online(late.device.id));
}

TEST_F(Login, ANoFromTheStoreIsOvertakenByACreation) {
  rig.load();
  Connection& connection = rig.connect();
  const AuthToken token = AuthToken::generate(rig.random);
  connection.feed(login(token));
  rig.executor.run_all();
  domain::Device device = made->device;
  rig.store.add_device(device, rig.digest(token));
  rig.load();
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{response(1, Status::success)}));
}

TEST_F(Login, WithTheStoreFailingNobodyHearsInvalid) {
  rig.load();
  for (const StoreError error : {StoreError::unavailable, StoreError::busy, StoreError::read_only, StoreError::disk_full,
                                 StoreError::corrupt, StoreError::newer_version, StoreError::shutting_down}) {
    rig.store.before = [error](std::string_view) -> Error { return error; };
    Connection& unknown = rig.connect();
    Connection& known = rig.connect();
    const Instant begin = rig.clock.now();
    unknown.feed(unknown_login);
    known.feed(login(made->token));
    EXPECT_EQ(known.take(), (std::vector{response(1, Status::success)}));
    rig.pass(3'950ms);
    EXPECT_TRUE(unknown.open());
    rig.pass(50ms);
    EXPECT_EQ(unknown.closed_because, CloseReason::held);
    EXPECT_EQ(rig.clock.now() - begin, 4s);
    EXPECT_TRUE(unknown.take().empty());
  }
  EXPECT_EQ(rig.metrics.logins_invalid_total.value(), 0u);
  EXPECT_EQ(rig.metrics.logins_held_total.value(), 7u);
}

TEST_F(Login, IsAnsweredWhenTheStoreComesBackInTime) {
  rig.load();
  const Rig::Made late = rig.make_device(published);
  rig.store.before = [](std::string_view) -> Error { return StoreError::unavailable; };
  Connection& connection = rig.connect();
  connection.feed(login(late.token));
  rig.pass(2'500ms);
  EXPECT_TRUE(connection.take().empty());
  rig.store.before = nullptr;
  rig.pass(1s);
  EXPECT_EQ(connection.take(), (std::vector{response(1, Status::success)}));
}

TEST_F(Login, WaitsForTheViewsAndIsAnsweredOnceTheyAreThere) {
  Connection& known = rig.connect();
  Connection& unknown = rig.connect();
  known.feed(login(made->token));
  unknown.feed(unknown_login);
  rig.pass(2s);
  EXPECT_TRUE(known.take().empty());
  EXPECT_TRUE(known.step.paused);
  EXPECT_EQ(rig.store.calls.count("find_token"), 0u);
  rig.load();
  rig.pass(300ms);
  EXPECT_EQ(known.take(), (std::vector{response(1, Status::success)}));
  EXPECT_EQ(unknown.take(), (std::vector{response(1, Status::invalid_token)}));
}

TEST_F(Login, APauseEndsWithAnEventNeverWithADeadline) {
  Connection& connection = rig.connect();
  connection.feed(login(made->token) + frame(6, 2));
  rig.load();
  for (int i = 0; i < 20; ++i) {
    rig.clock.advance(50ms);
    connection.tick();
    EXPECT_TRUE(connection.step.paused);
    EXPECT_TRUE(connection.take().empty());
  }
  ASSERT_EQ(rig.router.events.size(), 1u);
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{response(1, Status::success), response(2, Status::success)}));
}

TEST_F(Login, ClosesUnansweredWhenTheViewsDoNotComeInTime) {
  Connection& connection = rig.connect();
  connection.feed(login(made->token));
  rig.pass(4s);
  EXPECT_EQ(connection.closed_because, CloseReason::held);
  EXPECT_TRUE(connection.take().empty());
}

TEST_F(Login, ARestoredStoreHoldsUnknownTokensAndRefusesRevokedOnes) {
  rig.store.mode = domain::UnknownTokens::hold;
  const AuthToken next = AuthToken::generate(rig.random);
  rig.replace_token(made->device.id, next);
  rig.load();
  Connection& unknown = rig.connect();
  Connection& revoked = rig.connect();
  unknown.feed(unknown_login);
  revoked.feed(login(made->token));
  rig.pass(4s);
  EXPECT_EQ(unknown.closed_because, CloseReason::held);
  EXPECT_TRUE(unknown.take().empty());
  EXPECT_GE(rig.metrics.unknown_token_holds_total.value(), 1u);
  EXPECT_EQ(revoked.take(), (std::vector{response(1, Status::invalid_token)}));
}

TEST_F(Login, AStoreThatDoesNotAnswerEndsInAClose) {
  rig.load();
  Connection& connection = rig.connect();
  connection.feed(unknown_login);
  for (int i = 0; i < 80; ++i) {
    rig.clock.advance(50ms);
    rig.tick();
  }
  EXPECT_EQ(connection.closed_because, CloseReason::held);
  EXPECT_EQ(rig.executor.jobs.size(), 1u) << "one question at a time";
  rig.settle();  // The late answer finds nobody.
  EXPECT_TRUE(connection.take().empty());
}

TEST_F(Login, AnAnswerLostOnItsWayIsAskedForAgain) {
  rig.load();
  Connection& connection = rig.connect();
  connection.feed(unknown_login);
  rig.router.limit = 0;
  rig.executor.run_all();
  rig.router.limit = 100;
  rig.pass(1'100ms);
  EXPECT_EQ(connection.take(), (std::vector{response(1, Status::invalid_token)}));
}

TEST_F(Login, AFullLaneHolds) {
  rig.load();
  rig.executor.limit = 0;
  Connection& connection = rig.connect();
  connection.feed(unknown_login);
  EXPECT_TRUE(connection.step.paused);
  EXPECT_GE(rig.metrics.queue_full_total.value(), 1u);
  rig.executor.limit = 10;
  rig.pass(1'100ms);
  EXPECT_EQ(connection.take(), (std::vector{response(1, Status::invalid_token)}));
}

class FewLookUps : public Login {
 protected:
  FewLookUps()
      : Login{[] {
          GatewayLimits limits;
          limits.login_misses_queued_max = 3;
          limits.logins_held_max = 5;
          return limits;
        }()} {}
};

TEST_F(FewLookUps, TheQueueOfLookUpsAndTheNumberOfWaitingLoginsAreBounded) {
  rig.load();
  for (std::uint32_t i = 0; i < 6; ++i) rig.connect(Rig::peer("10.0.0." + std::to_string(i + 1))).feed(unknown_login);
  EXPECT_EQ(rig.executor.jobs.size(), 3u);
  EXPECT_TRUE(rig.connections[4]->open());
  EXPECT_EQ(rig.connections[5]->closed_because, CloseReason::held) << "one more than may wait";
  rig.pass(3'900ms);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(rig.connections[static_cast<std::size_t>(i)]->take(), (std::vector{response(1, Status::invalid_token)}));
  rig.connect().feed(unknown_login);
  EXPECT_TRUE(rig.connections[6]->open()) << "places are given back";
}

TEST_F(Login, GuessesFromOneAddressCostABoundedNumberOfQueriesAndDoNotTripTheBreaker) {
  rig.load();
  online();  // So that this address is a known one.
  for (int i = 0; i < 2'000; ++i) {
    rig.connect().feed(frame(29, 1, AuthToken::generate(rig.random).reveal()));
    rig.clock.advance(5ms);
    rig.settle();
    if (i % 200 == 0) rig.tick();
  }
  EXPECT_LE(rig.store.calls["find_token"], 20u + 10u * 20u + 20u);
  const Rig::Made other = rig.make_device(published);
  rig.load();
  Connection& revoked = rig.connect(Rig::peer("10.9.9.9"));
  rig.replace_token(other.device.id, AuthToken::generate(rig.random));
  rig.load();
  revoked.feed(login(other.token));
  rig.settle();
  EXPECT_EQ(revoked.take(), (std::vector{response(1, Status::invalid_token)}));
  EXPECT_EQ(rig.metrics.invalid_suppressed_by_breaker_total.value(), 0u);
}

TEST_F(Login, MalformedTokensCountToTheAddressesBudget) {
  rig.load();
  int answered = 0;
  for (int i = 0; i < 100; ++i) {
    Connection& connection = rig.connect();
    connection.feed(frame(29, 1, "short"));
    answered += connection.open() ? 0 : 1;
  }
  EXPECT_EQ(answered, 20);
  rig.pass(4s);
  EXPECT_EQ(rig.connections.back()->closed_because, CloseReason::held);
  EXPECT_TRUE(rig.connections.back()->take().empty());
}

TEST_F(Login, TheBreakerSilencesInvalidForAFleetThatHadLoggedIn) {
  rig.load();
  std::vector<Peer> peers;
  for (int i = 1; i <= 40; ++i) peers.push_back(Rig::peer("10.0.1." + std::to_string(i)));
  for (const Peer& peer : peers) online(peer);
  // The same fleet, all of its tokens unknown: the database is not the right one.
  std::size_t heard = 0;
  for (const Peer& peer : peers) {
    Connection& connection = rig.connect(peer);
    connection.feed(frame(29, 1, AuthToken::generate(rig.random).reveal()));
    rig.settle();
    heard += connection.take().size();
  }
  EXPECT_EQ(heard, 20u);
  EXPECT_EQ(rig.metrics.invalid_suppressed_by_breaker_total.value(), 20u);
  rig.pass(4s);
  EXPECT_EQ(rig.connections.back()->closed_because, CloseReason::held);
  EXPECT_TRUE(rig.connections.back()->take().empty());
}

TEST_F(Login, OneBreakerCountsInvalidForAllProtocols) {
  rig.load();
  const auto address = [](int i) { return Rig::peer("10.0.1." + std::to_string(i)).address; };
  // Devices that proved their token over HTTP count as much as those that logged in.
  for (int i = 1; i <= 40; ++i) rig.gateway->remember_address(address(i));
  int said = 0;
  for (int i = 1; i <= 40; ++i) said += rig.gateway->may_say_invalid(address(i), rig.clock.now()) ? 1 : 0;
  EXPECT_EQ(said, 20);
  EXPECT_EQ(rig.metrics.logins_invalid_total.value(), 20u);
  EXPECT_EQ(rig.metrics.invalid_suppressed_by_breaker_total.value(), 20u);
  Connection& connection = rig.connect(Rig::peer("192.0.2.1"));
  connection.feed(login(AuthToken::generate(rig.random)));
  rig.settle();
  EXPECT_TRUE(connection.take().empty());
}

TEST_F(Login, HttpAsksTheSameRuleOfHomes) {
  GatewayLimits limits;
  limits.own_hosts = {"Here.example"};
  limits.redirect_back_hosts = {"bounces.example"};
  rig.gateway->set_limits(limits);
  for (const std::string host : {"here.example.", "BOUNCES.example", "", "192.0.2.7"})
    EXPECT_FALSE(rig.gateway->is_elsewhere({host, 8080, 8443}, IpAddress::parse("192.0.2.7"))) << host;
  EXPECT_TRUE(rig.gateway->is_elsewhere({"there.example", 80, 443}, std::nullopt));
}

// --- newest wins -----------------------------------------------------------------------------------------------------------------

TEST_F(Login, TheNewestLoginWinsAndTheOlderSessionIsClosedWithoutAFrame) {
  rig.load();
  Connection& first = online();
  Connection& second = online();
  rig.settle();
  EXPECT_EQ(first.closed_because, CloseReason::replaced);
  EXPECT_TRUE(first.take().empty());
  EXPECT_TRUE(second.open());
  EXPECT_EQ(rig.sessions.find(made->device.id), second.self);
  EXPECT_EQ(rig.metrics.sessions_replaced_total.value(), 1u);
  const auto waiting = rig.presence.take(10);
  ASSERT_EQ(waiting.size(), 1u);
  EXPECT_FALSE(waiting[0].disconnected_at) << "the device is online";
  EXPECT_TRUE(rig.gateway->push_value(made->device.id, 1, "x"));
  rig.settle();
  EXPECT_EQ(second.take().size(), 1u);
}

TEST_F(Login, ManySwapsRaiseAConflictAtMostOnceAMinuteInTheAuditLog) {
  rig.load();
  for (int i = 0; i < 30; ++i) {
    online();
    rig.pass(1s);
  }
  EXPECT_GT(rig.metrics.token_conflicts_total.value(), 1u);
  std::size_t entries = 0;
  for (const auto& entry : rig.store.audit_entries) entries += entry.action == "device.token_conflict" ? 1 : 0;
  EXPECT_EQ(entries, 1u);
}

TEST_F(Login, ASecondLoginOnALiveSessionHearsAlreadyRegistered) {
  rig.load();
  Connection& connection = online();
  connection.feed(frame(29, 5, made->token.reveal()) + frame(2, 6, "x"));
  EXPECT_EQ(connection.take(), (std::vector{response(5, Status::already_registered), response(6, Status::already_registered)}));
  EXPECT_TRUE(connection.open());
}

TEST_F(Login, ASessionWhoseTokenIsRevokedIsClosedWithoutAFrame) {
  rig.load();
  struct Closer final : domain::Views::Listener {
    DeviceGateway* gateway = nullptr;
    void token_gone(DeviceId device, AuthTokenId token) override { gateway->close_token(device, token, CloseReason::token_gone); }
    void device_gone(DeviceId device) override { gateway->close_device(device, CloseReason::token_gone); }
    void permissions_changed() override {}
  } closer;
  closer.gateway = rig.gateway.get();
  rig.views.set_listener(&closer);
  Connection& connection = online();
  rig.replace_token(made->device.id, AuthToken::generate(rig.random));
  rig.load();
  rig.settle();
  EXPECT_EQ(connection.closed_because, CloseReason::token_gone);
  EXPECT_TRUE(connection.take().empty());
  Connection& again = rig.connect();
  again.feed(login(made->token));
  rig.settle();
  EXPECT_EQ(again.take(), (std::vector{response(1, Status::invalid_token)}));
}

TEST_F(Login, ARevocationAndALoginAtTheSameMomentLeaveNoSession) {
  rig.load();
  struct LockedRouter final : SessionRouter {
    std::mutex mutex;
    std::vector<domain::SessionAddress> closed;
    bool post(const domain::SessionAddress& address, SessionEvent event) override {
      const std::lock_guard lock{mutex};
      if (std::holds_alternative<CloseSession>(event)) closed.push_back(address);
      return true;
    }
  } router;
  DeviceGateway gateway{{rig.store, rig.views, rig.sessions, rig.values, rig.presence, rig.timeline, rig.live, *rig.keys, rig.executor,
                         router, rig.clock, rig.metrics},
                        {}};
  domain::TokenRecord record = rig.store.all_tokens().at(0);
  ASSERT_EQ(record.device_id, made->device.id);
  const Peer peer = Rig::peer();
  const std::string bytes = login(made->token);
  int held = 0;
  for (std::uint32_t round = 1; round <= 3'000; ++round) {
    record.kind = domain::TokenKind::device;
    rig.views.credentials.apply(record);
    router.closed.clear();
    std::atomic<int> ready{0};
    // As the views' follower does it: first the index, then the session.
    std::thread revoker{[&] {
      ready.fetch_add(1);
      while (ready.load() < 2) {}
      record.kind = domain::TokenKind::revoked;
      rig.views.credentials.apply(record);
      gateway.close_device(made->device.id, CloseReason::token_gone);
    }};
    DeviceSession session;
    const domain::SessionAddress self{0, 0, 1, round};
    std::vector<std::uint8_t> answer;
    Output out{answer};
    static_cast<void>(gateway.on_open(session, peer, rig.clock.now()));
    ready.fetch_add(1);
    while (ready.load() < 2) {}
    static_cast<void>(gateway.on_bytes(session, self, peer, wire::ByteView{std::string_view{bytes}}, out, rig.clock.now()));
    revoker.join();
    if (session.state() == DeviceSession::State::active) {
      ASSERT_NE(std::find(router.closed.begin(), router.closed.end(), self), router.closed.end()) << "round " << round;
    } else {
      ++held;
      ASSERT_FALSE(rig.sessions.online(made->device.id)) << "round " << round;
    }
    gateway.on_closed(session, self, rig.clock.now());
    rig.executor.jobs.clear();
  }
  RecordProperty("held", held);
}

// --- plain text ------------------------------------------------------------------------------------------------------------------

TEST_F(Login, PlainTextIsForPrivateAddressesUnlessTheTemplateOrTheConfigurationAllows) {
  rig.load();
  for (const char* address : {"127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fd00::1"}) {
    for (const Transport transport : {Transport::tcp, Transport::websocket})
      EXPECT_TRUE(online(Rig::peer(address, transport)).open()) << address;
  }
  for (const char* address : {"8.8.8.8", "2001:4860::1"}) {
    for (const Transport transport : {Transport::tcp, Transport::websocket}) {
      Connection& refused = rig.connect(Rig::peer(address, transport));
      refused.feed(login(made->token));
      EXPECT_EQ(refused.closed_because, CloseReason::plain_refused);
      EXPECT_TRUE(refused.take().empty()) << "a refusal is a close, never a 9";
      EXPECT_EQ(refused.session.device(), DeviceId{});
    }
    for (const Transport transport : {Transport::tls, Transport::websocket_tls}) EXPECT_TRUE(online(Rig::peer(address, transport)).open());
  }
  EXPECT_EQ(rig.metrics.plain_refused_total.value(), 4u);
  published.allow_public_plain_text = true;
  ASSERT_TRUE(rig.store.update_template(published, 1, {}));
  rig.load();
  online(Rig::peer("8.8.8.8", Transport::tcp));
}

TEST_F(Login, TheConfigurationCanAllowPlainTextFromEverywhere) {
  rig.load();
  GatewayLimits limits;
  limits.allow_plain_from_public = true;
  rig.gateway->set_limits(limits);
  online(Rig::peer("8.8.8.8", Transport::tcp));
}

// --- redirect --------------------------------------------------------------------------------------------------------------------

class Redirect : public Login {
 protected:
  Redirect()
      : Login{[] {
          GatewayLimits limits;
          limits.own_hosts = {"here.example"};
          limits.redirect_back_hosts = {"back.example"};
          return limits;
        }()} {}
  void home(const std::string& host) {
    ASSERT_TRUE(rig.store.set_device_home(made->device.id, {host, 81, 444}, {}));
    rig.load();
  }
};

TEST_F(Redirect, GoesToTheHomeWithThePortOfTheSameTransport) {
  rig.load();
  home("eu.example");
  const auto expect = [&](Transport transport, const char* port) {
    Connection& connection = rig.connect(Rig::peer("10.0.0.1", transport));
    connection.feed(login(made->token, 9));
    EXPECT_EQ(connection.take(), (std::vector{Seen{Command::redirect, 9, 0, fields({"eu.example", port})}}));
    EXPECT_EQ(connection.closed_because, CloseReason::redirected);
    rig.pass(31s);
  };
  expect(Transport::tls, "444");
  expect(Transport::tcp, "81");
  expect(Transport::websocket, "81");
  expect(Transport::websocket_tls, "444");
  EXPECT_EQ(rig.metrics.logins_redirected_total.value(), 4u);
  EXPECT_FALSE(rig.sessions.online(made->device.id));
}

TEST_F(Redirect, NeverGoesToItselfOrToAHostThatSendsBack) {
  rig.load();
  for (const char* host : {"here.example", "HERE.example", "back.example"}) {
    home(host);
    online();
  }
}

TEST_F(Redirect, NeverGoesToTheAddressThatTheDeviceDialed) {
  rig.load();
  rig.router.local = IpAddress::parse("10.0.0.9");
  for (const char* host : {"10.0.0.9", "localhost", "127.0.0.1", "::1"}) {
    home(host);
    online();
  }
  home("10.0.0.8");
  Connection& connection = rig.connect();
  connection.feed(login(made->token));
  EXPECT_EQ(connection.closed_because, CloseReason::redirected);
}

TEST_F(Redirect, AHostThatSendsTheDeviceBackIsLeftAlone) {
  rig.load();
  home("loop.example");
  for (int i = 0; i < 3; ++i) {
    Connection& connection = rig.connect();
    connection.feed(login(made->token));
    EXPECT_EQ(connection.closed_because, CloseReason::redirected);
  }
  Connection& fourth = rig.connect();
  fourth.feed(login(made->token));
  EXPECT_TRUE(fourth.open());
  EXPECT_TRUE(fourth.step.paused);
  rig.pass(4s);
  EXPECT_EQ(fourth.closed_because, CloseReason::held);
  EXPECT_TRUE(fourth.take().empty());
}

TEST_F(Redirect, AnOldClientThatTakesALengthOfNineForAStatusGetsAnotherLength) {
  rig.load();
  home("abcd.e");  // With NUL and 81: nine.
  Connection& old_client = rig.connect(Rig::peer("10.0.0.1", Transport::tcp));
  old_client.feed(frame(2, 1, made->token.reveal()));
  EXPECT_EQ(old_client.take(), (std::vector{Seen{Command::redirect, 1, 0, fields({"abcd.e", "081"})}}));
}

}  // namespace
}  // namespace muster::protocol::testing
