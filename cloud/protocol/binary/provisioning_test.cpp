// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cloud/protocol/testing/rig.hpp"

namespace muster::protocol::testing {
namespace {

using namespace std::chrono_literals;
using domain::ProvisionState;
using domain::TokenKind;
using wire::Status;

class ProvisioningTest : public ::testing::Test {
 protected:
  void SetUp() override {
    product = rig.make_template();
    rig.load();
  }
  struct Issued {
    domain::ProvisionSession session;
    AuthToken token;
  };
  Issued issue(DeviceId device = {}, std::chrono::milliseconds life = std::chrono::hours{24}) {
    const AuthToken token = AuthToken::generate(rig.random);
    const TokenDigests digests = rig.digest(token);
    domain::NewProvisionSession wanted;
    wanted.organization_id = OrganizationId{1};
    wanted.device_id = device;
    wanted.expires_at = {rig.clock.utc_now().ms + life.count()};
    const auto made = rig.store.create_provision_session(wanted, {digests.newest(), digests.all(), {}}, {}).value();
    rig.load();
    return {made, token};
  }
  static std::string login(const AuthToken& token) { return frame(29, 1, token.reveal()); }
  static std::string info(std::string_view tmpl, std::uint16_t id = 2) {
    return frame(17, id, fields({"mcu", "1.0", "h-beat", "40", "buff-in", "1024", "tmpl", tmpl}));
  }
  Connection& log_in(const AuthToken& token, const Peer& from = Rig::peer()) {
    Connection& connection = rig.connect(from);
    connection.feed(login(token));
    rig.settle();
    return connection;
  }
  domain::ProvisionSession now(const Issued& issued) { return rig.store.find_provision_session(issued.session.id).value().value(); }
  std::vector<std::string> steps(const Issued& issued) {
    std::vector<std::string> out;
    const auto all = rig.store.provision_steps(issued.session.id).value();
    for (const auto& step : all) out.push_back(step.step);
    return out;
  }
  TokenKind kind(AuthTokenId id) { return rig.store.find_token_by_id(id).value().value().kind; }

  Rig rig;
  domain::Template product;
};

TEST_F(ProvisioningTest, TheDeviceIsMadeByItsInfoAndGoesOnAsAnOrdinaryOne) {
  const auto issued = issue();
  Connection& connection = rig.connect();
  connection.feed(login(issued.token));
  EXPECT_EQ(connection.take(), (std::vector{response(1, Status::success)}));
  EXPECT_EQ(connection.session.state(), DeviceSession::State::await_info);
  rig.settle();
  EXPECT_EQ(now(issued).state, ProvisionState::connected);
  EXPECT_FALSE(rig.store.find_device(issued.session.device_id).value());
  // What belongs to a device that does not exist is not heard.
  connection.feed(frame(20, 7, fields({"vw", "1", "5"})) + frame(17, 8, fields({"meta", "set", "Hotspot Name", "X"})) + frame(6, 9));
  EXPECT_EQ(connection.take(), (std::vector{response(9, Status::success)}));

  connection.feed(info(product.tmpl_ids[0]) + frame(20, 3, fields({"vw", "1", "6"})) + frame(6, 4));
  EXPECT_TRUE(connection.take().empty()) << "nothing before the store has decided";
  EXPECT_TRUE(connection.step.paused);
  rig.settle();
  EXPECT_EQ(connection.take(), (std::vector{response(2, Status::success), response(4, Status::success)}));
  EXPECT_EQ(connection.session.state(), DeviceSession::State::active);
  EXPECT_EQ(connection.session.device(), issued.session.device_id);
  EXPECT_TRUE(rig.sessions.online(issued.session.device_id));
  const auto device = rig.store.find_device(issued.session.device_id).value();
  ASSERT_TRUE(device);
  EXPECT_EQ(device->activation_way, domain::ActivationWay::dynamic);
  EXPECT_EQ(kind(issued.session.token_id), TokenKind::device);
  connection.feed(frame(20, 5, fields({"vw", "1", "7"})));
  rig.settle();
  EXPECT_EQ(steps(issued), (std::vector<std::string>{"login", "active", "first_value"}));
  const auto presence = rig.presence.take(10);
  ASSERT_FALSE(presence.empty());
  EXPECT_EQ(presence[0].hardware->version, "1.0");

  // The next login is any device's.
  connection.hang_up();
  Connection& again = log_in(issued.token);
  EXPECT_EQ(again.take(), (std::vector{response(1, Status::success)}));
  EXPECT_EQ(again.session.state(), DeviceSession::State::active);
}

TEST_F(ProvisioningTest, ARefusalClosesWithoutAnAnswerAndTheNextLoginHearsIt) {
  const auto issued = issue();
  Connection& connection = log_in(issued.token);
  connection.take();
  connection.feed(info("TMPLnobody"));
  rig.settle();
  EXPECT_TRUE(connection.take().empty());
  EXPECT_EQ(connection.closed_because, CloseReason::provisioning_refused);
  EXPECT_EQ(rig.metrics.provision_refused_total.value(), 1u);
  Connection& next = log_in(issued.token);
  EXPECT_EQ(next.take(), (std::vector{response(1, Status::invalid_token)}));
  EXPECT_TRUE(rig.store.all_devices().empty());
}

TEST_F(ProvisioningTest, StoreTroubleIsNoRefusal) {
  for (const std::string operation : {"accept_info", "changes_after"}) {
    SCOPED_TRACE(operation);
    const auto issued = issue();
    Connection& connection = log_in(issued.token);
    connection.take();
    rig.store.before = [&](std::string_view now_running) {
      return now_running == operation ? Error{domain::StoreError::unavailable} : Error{};
    };
    connection.feed(info(product.tmpl_ids[0]));
    rig.settle();
    rig.store.before = nullptr;
    EXPECT_TRUE(connection.take().empty());
    EXPECT_EQ(connection.closed_because, CloseReason::server_error);
    rig.load();
    Connection& next = log_in(issued.token);
    EXPECT_EQ(next.take(), (std::vector{response(1, Status::success)}));
    next.feed(info(product.tmpl_ids[0]));
    rig.settle();
    EXPECT_EQ(next.take(), (std::vector{response(2, Status::success)}));
    EXPECT_TRUE(next.open());
  }
}

TEST_F(ProvisioningTest, AFullQueueIsNoRefusalEither) {
  const auto issued = issue();
  Connection& connection = log_in(issued.token);
  connection.take();
  rig.executor.limit = 0;
  connection.feed(info(product.tmpl_ids[0]));
  EXPECT_TRUE(connection.take().empty());
  EXPECT_EQ(connection.closed_because, CloseReason::server_error);
  rig.executor.limit = 1'000;
  EXPECT_EQ(log_in(issued.token).take(), (std::vector{response(1, Status::success)}));
}

TEST_F(ProvisioningTest, WaitsThirtySecondsForTheInfo) {
  const auto issued = issue();
  Connection& connection = log_in(issued.token);
  connection.take();
  rig.pass(29s);
  connection.feed(frame(6, 3));
  EXPECT_TRUE(connection.open());
  rig.pass(2s);
  EXPECT_EQ(connection.closed_because, CloseReason::info_missing);
  rig.settle();
  EXPECT_EQ(steps(issued).back(), "info_missing");
  EXPECT_EQ(now(issued).failure_code, 802);
  EXPECT_EQ(kind(issued.session.token_id), TokenKind::provision);
  // A store that hangs with the decision holds the device no longer than that.
  Connection& held = log_in(issued.token);
  held.take();
  held.feed(info(product.tmpl_ids[0]));
  rig.clock.advance(31s);
  rig.tick();
  EXPECT_EQ(held.closed_because, CloseReason::held);
  EXPECT_TRUE(held.take().empty());
}

TEST_F(ProvisioningTest, AnExpiredTokenHears9AndAnExpiredReprovisioningTokenNothing) {
  const auto device = rig.make_device(product);
  const auto fresh = issue({}, 1h), renewed = issue(device.device.id, 1h);
  rig.clock.set_utc({rig.clock.utc_now().ms + 3'600'000});
  Connection& first = rig.connect();
  first.feed(login(fresh.token));
  rig.pass(2s);
  EXPECT_EQ(first.take(), (std::vector{response(1, Status::invalid_token)}));
  EXPECT_EQ(now(fresh).state, ProvisionState::expired);
  Connection& second = rig.connect();
  second.feed(login(renewed.token));
  rig.pass(5s);
  EXPECT_TRUE(second.take().empty());
  EXPECT_FALSE(second.open());
  EXPECT_EQ(log_in(device.token).take(), (std::vector{response(1, Status::success)}));
}

TEST_F(ProvisioningTest, WhileTheStoreIsDownAnExpiredTokenHearsNothing) {
  const auto fresh = issue({}, 1h);
  rig.clock.set_utc({rig.clock.utc_now().ms + 3'600'000});
  rig.store.before = [](std::string_view) { return Error{domain::StoreError::unavailable}; };
  Connection& connection = rig.connect();
  connection.feed(login(fresh.token));
  rig.pass(5s);
  EXPECT_TRUE(connection.take().empty());
  EXPECT_EQ(connection.closed_because, CloseReason::held);
}

TEST_F(ProvisioningTest, TheOldSessionLivesUntilTheNewTokensInfoIsAccepted) {
  const auto device = rig.make_device(product);
  const auto other = rig.make_template();
  rig.load();
  Connection& old = log_in(device.token);
  const auto renewed = issue(device.device.id);
  Connection& wrong = log_in(renewed.token);
  wrong.feed(info(other.tmpl_ids[0]));
  rig.settle();
  EXPECT_EQ(wrong.closed_because, CloseReason::provisioning_refused);
  EXPECT_TRUE(old.open());
  Connection& fresh = log_in(renewed.token);
  EXPECT_EQ(fresh.take(), (std::vector{response(1, Status::success)})) << "only closed: never 9";
  EXPECT_TRUE(old.open());
  fresh.feed(info(product.tmpl_ids[0]));
  rig.settle();
  EXPECT_TRUE(fresh.open());
  EXPECT_EQ(old.closed_because, CloseReason::replaced);
  EXPECT_EQ(now(renewed).state, ProvisionState::proving);
}

TEST_F(ProvisioningTest, AMinuteOnlineProvesTheNewToken) {
  const auto device = rig.make_device(product);
  rig.load();
  const auto renewed = issue(device.device.id);
  Connection& fresh = log_in(renewed.token);
  fresh.feed(info(product.tmpl_ids[0]));
  rig.settle();
  const auto minute = [&](std::chrono::seconds time) {
    for (auto left = time; left > 0s; left -= 1s) {
      rig.pass(1s);
      if (fresh.open()) fresh.feed(frame(6, 3));
      rig.gateway->end_waits();
      rig.settle();
    }
  };
  minute(58s);
  EXPECT_EQ(now(renewed).state, ProvisionState::proving);
  EXPECT_EQ(kind(renewed.session.old_token_id), TokenKind::grace);
  minute(4s);
  EXPECT_EQ(now(renewed).state, ProvisionState::active);
  EXPECT_EQ(kind(renewed.session.old_token_id), TokenKind::revoked);
  EXPECT_TRUE(fresh.open());
  EXPECT_EQ(rig.metrics.reprovision_proved_total.value(), 1u);
}

TEST_F(ProvisioningTest, ASessionThatEndsBeforeTheMinuteProvesNothing) {
  const auto device = rig.make_device(product);
  rig.load();
  const auto renewed = issue(device.device.id);
  Connection& fresh = log_in(renewed.token);
  fresh.feed(info(product.tmpl_ids[0]));
  rig.settle();
  rig.pass(30s);
  fresh.hang_up();
  for (int i = 0; i < 60; ++i) {
    rig.pass(1s);
    rig.gateway->end_waits();
    rig.settle();
  }
  EXPECT_EQ(now(renewed).state, ProvisionState::proving);
  // Both tokens work, whichever the device has kept.
  Connection& back = log_in(device.token);
  EXPECT_EQ(back.take(), (std::vector{response(1, Status::success)}));
  EXPECT_EQ(now(renewed).state, ProvisionState::proving);
  EXPECT_EQ(log_in(renewed.token).take(), (std::vector{response(1, Status::success)}));
  EXPECT_EQ(now(renewed).state, ProvisionState::active) << "the second login";
  EXPECT_EQ(kind(renewed.session.old_token_id), TokenKind::revoked);
}

TEST_F(ProvisioningTest, AfterItsTimeALoginWithTheOldTokenDropsTheNewOne) {
  const auto device = rig.make_device(product);
  rig.load();
  const auto renewed = issue(device.device.id, 1h);
  Connection& fresh = log_in(renewed.token);
  fresh.feed(info(product.tmpl_ids[0]));
  rig.settle();
  fresh.hang_up();
  rig.clock.set_utc({rig.clock.utc_now().ms + 3'600'000});
  Connection& back = log_in(device.token);
  EXPECT_EQ(back.take(), (std::vector{response(1, Status::success)}));
  EXPECT_EQ(now(renewed).state, ProvisionState::expired);
  EXPECT_EQ(kind(renewed.session.old_token_id), TokenKind::device);
  EXPECT_EQ(kind(renewed.session.token_id), TokenKind::revoked);
  EXPECT_TRUE(back.open());
}

TEST_F(ProvisioningTest, ADeviceThatStaysOnItsOldTokenUntilTheNewOnesTimeIsOverHasFallenBack) {
  const auto device = rig.make_device(product);
  rig.load();
  const auto renewed = issue(device.device.id, 1h);
  Connection& fresh = log_in(renewed.token);
  fresh.feed(info(product.tmpl_ids[0]));
  rig.settle();
  fresh.hang_up();
  Connection& back = log_in(device.token);
  rig.gateway->end_waits();
  rig.settle();
  EXPECT_EQ(now(renewed).state, ProvisionState::proving);
  rig.clock.set_utc({rig.clock.utc_now().ms + 3'600'000});
  rig.gateway->end_waits();
  rig.settle();
  EXPECT_EQ(now(renewed).state, ProvisionState::expired);
  EXPECT_EQ(kind(renewed.session.old_token_id), TokenKind::device);
  EXPECT_EQ(kind(renewed.session.token_id), TokenKind::revoked);
  EXPECT_TRUE(back.open());
}

TEST_F(ProvisioningTest, AProofThatTheStoreCannotTakeNowIsToldAgain) {
  const auto device = rig.make_device(product);
  rig.load();
  const auto renewed = issue(device.device.id);
  Connection& fresh = log_in(renewed.token);
  fresh.feed(info(product.tmpl_ids[0]));
  rig.settle();
  fresh.hang_up();
  rig.store.before = [](std::string_view operation) {
    return operation == "finish_reprovision" ? Error{domain::StoreError::busy} : Error{};
  };
  Connection& second = log_in(renewed.token);
  rig.settle();
  EXPECT_EQ(now(renewed).state, ProvisionState::proving);
  rig.gateway->end_waits();
  rig.settle();
  EXPECT_EQ(now(renewed).state, ProvisionState::proving);
  rig.store.before = nullptr;
  rig.gateway->end_waits();
  rig.settle();
  EXPECT_EQ(now(renewed).state, ProvisionState::active);
  EXPECT_TRUE(second.open());
}

TEST_F(ProvisioningTest, TheEndOfAnotherTokenDoesNotEndASession) {
  const auto device = rig.make_device(product);
  rig.load();
  Connection& connection = log_in(device.token);
  const auto renewed = issue(device.device.id);
  rig.gateway->close_token(device.device.id, renewed.session.token_id, CloseReason::token_gone);
  rig.settle();
  EXPECT_TRUE(connection.open());
  rig.gateway->close_token(device.device.id, renewed.session.old_token_id, CloseReason::token_gone);
  rig.settle();
  EXPECT_EQ(connection.closed_because, CloseReason::token_gone);
}

TEST_F(ProvisioningTest, PlainTextFromAPublicAddressNeedsATemplateThatAllowsIt) {
  const auto issued = issue();
  const Peer exposed = Rig::peer("8.8.8.8", Transport::tcp);
  Connection& refused = log_in(issued.token, exposed);
  EXPECT_TRUE(refused.take().empty());
  EXPECT_EQ(refused.closed_because, CloseReason::plain_refused);
  rig.settle();
  EXPECT_EQ(now(issued).failure_code, 806);
  product.allow_public_plain_text = true;
  ASSERT_TRUE(rig.store.update_template(product, product.version, {}));
  rig.load();
  EXPECT_EQ(log_in(issued.token, exposed).take(), (std::vector{response(1, Status::success)}));
}

}  // namespace
}  // namespace muster::protocol::testing
