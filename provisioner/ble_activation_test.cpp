// SPDX-License-Identifier: Apache-2.0
// The whole way over Bluetooth in virtual time: the agent's device with its message server, a link that loses nothing (or what the test says),
// and the provisioner with its dialect.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/device_test_rig.hpp"
#include "agent/core/inject_server.hpp"
#include "provisioner/ble_dialect.hpp"
#include "provisioner/provisioner.hpp"

namespace muster::provisioner {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using F = wire::ActivationFailure;
namespace rig = agent::test;

const std::string device_name = "Blynk Lamp-N1A9";
constexpr Millis air_ms = 5;

struct Ble final : HostRadio, BleLink, agent::InjectServer::Sink, CloudApi, Front {
  Ble() : inject{device.device, *this} {
    device.start();
    follow_device();
  }

  // --- the device's surroundings
  void follow_device() {
    while (radio_seen < device.radio.log.size()) {
      const std::string order = device.radio.log[radio_seen++];
      if (order.starts_with("open ")) later(50, [this] { device.device.on_opened(now()); });
      if (order == "scan") later(800, [this] { show_networks(); });
      if (order.starts_with("join ")) {
        if (join_failure) {
          later(1'000, [this, failure = *join_failure] { device.device.on_join_failed(failure, now()); });
        } else if (order == "join Home/password") {
          later(1'000, [this] { device.join(); });
        } else {
          later(1'000, [this] { device.device.on_join_failed(agent::JoinFailure::wrong_password, now()); });
        }
      }
    }
    while (dials_seen < device.transport.connects.size()) {
      ++dials_seen;
      dialled = device.transport.connects.back();
      if (cloud_closes) {
        later(30, [this, reason = *cloud_closes] { device.device.on_closed(reason, now()); });
        continue;
      }
      later(30, [this] { device.connect(); });
      later(60, [this] { cloud_knows_token ? device.accept_login() : device.refuse_login(); });
      later(90, [this] {
        if (!cloud_knows_token) return;
        device.accept_info();
        session.state = "ACTIVE";
      });
    }
  }
  void show_networks() {
    std::vector<agent::ScannedNetwork> networks(2);
    networks[0].ssid = "Home";
    networks[0].rssi_dbm = -50;
    networks[0].security = agent::NetworkSecurity::wpa2;
    networks[1].ssid = "Guests";
    networks[1].rssi_dbm = -60;
    networks[1].security = agent::NetworkSecurity::open;
    device.device.on_scanned(networks.data(), networks.size(), now());
  }

  // --- the link
  [[nodiscard]] bool keeps_internet() const override { return true; }
  [[nodiscard]] bool borrows_wifi() const override { return false; }
  void scan() override {
    later(200, [this] {
      std::vector<AccessPoint> found;
      if (device.device.open_for_setup() && !linked) found.push_back({device_name, -40, 0, true});
      muster->on_scanned(found, now());
    });
  }
  void join_open(std::string_view, std::uint16_t) override {
    later(300, [this] {
      linked = true;
      dialect.on_linked();
      muster->on_host_joined(now());
    });
  }
  void leave() override { unlink(); }
  void restore() override {
    later(1, [this] { muster->on_restored(now()); });
  }
  void unlink() {
    linked = false;
    if (!app_seen) return;
    app_seen = false;
    later(1, [this] {
      inject.on_client(false, now());
      device.device.on_visitors(0, now());
    });
  }
  void lose() {
    unlink();
    muster->on_host_lost(now());
  }
  void write(std::string_view message) override {
    wrote.emplace_back(message);
    later(air_ms, [this, text = std::string{message}] {
      if (!linked) return;
      if (!app_seen) {
        app_seen = true;
        inject.on_client(true, now());
        device.device.on_visitors(1, now());
      }
      inject.on_message(text, now());
    });
  }
  [[nodiscard]] std::size_t message_size_max_bytes() const override { return 244; }
  void send(std::string_view text) override {
    if (lose_message && lose_message(text)) return;
    later(air_ms, [this, copy = std::string{text}] {
      if (linked) dialect.on_message(copy, now());
    });
  }

  // --- the cloud
  void ask_template(const std::string& id) override {
    later(20, [this, id] { muster->on_template(id == "TMPL2abcdefgh", now()); });
  }
  void ask_reconfigure(std::int64_t) override {}
  void ask_token(const TokenRequest& request) override {
    asked_uid = request.uid;
    later(20, [this] { muster->on_token({std::string{rig::other_token}, 7, 3, "cloud.example", 9443, 8080, {}}, now()); });
  }
  void ask_session(std::int64_t) override {
    later(20, [this] { muster->on_session(session, now()); });
  }
  void post_step(std::int64_t, std::string_view step, std::uint16_t code, std::string_view) override {
    steps.push_back(std::string{step} + (code == 0 ? "" : " " + std::to_string(code)));
  }
  void cancel_session(std::int64_t) override { canceled = true; }
  // --- the person
  void on_report(const Report& report, Millis) override {
    if (report.state == StepState::done) done.emplace_back(to_text(report.step));
  }
  void on_warning(std::string_view code, const std::string&, Millis) override { warnings.emplace_back(code); }
  void on_choose_device(const std::vector<AccessPoint>&, Millis) override {}
  void on_choose_network(const std::vector<SeenNetwork>& networks, Millis when) override {
    for (const auto& network : networks) shown.push_back(network.ssid);
    muster->choose_network(ssid, when);
  }
  void on_ask_password(const std::string&, Millis when) override {
    ++passwords_asked;
    muster->give_password(passwords_asked == 1 ? password : "password", when);
  }

  [[nodiscard]] Millis now() const { return device.now; }
  void later(Millis ms, std::function<void()> action) { queue.emplace(now() + ms, std::move(action)); }
  void begin() {
    options.prefix.clear();
    muster = std::make_unique<Provisioner>(this, dialect, *this, *this, options);
    dialect.attach(*muster);
    muster->start(now());
  }
  /// Until the provisioner has finished or so much time has passed; the time that took.
  Millis run(Millis for_ms = 300'000, bool stop_when_finished = true) {
    if (!muster) begin();
    const Millis from = now(), end = from + for_ms;
    while (!(stop_when_finished && muster->finished())) {
      Millis due = std::min({muster->next_deadline(), dialect.next_deadline(), device.device.next_deadline()});
      if (!queue.empty()) due = std::min(due, queue.begin()->first);
      if (due > end) {
        device.now = end;
        break;
      }
      device.now = std::max(now(), due);
      if (!queue.empty() && queue.begin()->first <= now()) {
        const auto action = queue.begin()->second;
        queue.erase(queue.begin());
        action();
      } else {
        if (device.device.next_deadline() <= now()) device.device.on_timer(now());
        if (dialect.next_deadline() <= now()) dialect.on_timer(now());
        if (muster->next_deadline() <= now()) muster->on_timer(now());
      }
      follow_device();
    }
    return now() - from;
  }
  void expect_failure(StepKind step, F code) {
    EXPECT_TRUE(muster->finished());
    EXPECT_FALSE(muster->succeeded());
    EXPECT_EQ(to_text(muster->failure().step), to_text(step));
    EXPECT_EQ(muster->failure().code, static_cast<std::uint16_t>(code));
    EXPECT_TRUE(canceled);
  }

  rig::DeviceRig device;
  agent::InjectServer inject;
  BleDialect dialect{*this};
  std::unique_ptr<Provisioner> muster;
  Options options;
  std::multimap<Millis, std::function<void()>> queue;
  std::size_t radio_seen = 0, dials_seen = 0;
  bool linked = false, app_seen = false, canceled = false, cloud_knows_token = true;
  std::optional<agent::JoinFailure> join_failure;
  std::optional<agent::CloseReason> cloud_closes;
  std::function<bool(std::string_view)> lose_message;
  SessionView session{"TOKEN_ISSUED", 0, {}};
  std::string ssid = "Home", password = "password", dialled, asked_uid;
  int passwords_asked = 0;
  std::vector<std::string> wrote, steps, done, warnings, shown;
};

TEST(BleActivation, ADeviceWithoutCredentialsIsOnlineAMomentLater) {
  Ble ble;
  const auto took = ble.run();
  ASSERT_TRUE(ble.muster->succeeded()) << ble.muster->failure().code << " " << ble.muster->failure().message;
  EXPECT_LT(took, 10'000U);
  EXPECT_EQ(ble.dialled, "cloud.example:9443+");
  EXPECT_EQ(ble.asked_uid, "11111111-2222-4333-8444-555555555555");
  EXPECT_THAT(ble.shown, ElementsAre("Home", "Guests"));
  EXPECT_THAT(ble.done, ElementsAre("find_device", "join_device", "device_info", "check_template", "list_networks", "choose_network",
                                    "get_token", "send_settings", "join_network", "reach_cloud"));
  EXPECT_THAT(ble.steps, ElementsAre("board_info", "sent", "device_joined", "done"));
  EXPECT_FALSE(ble.linked);
  EXPECT_TRUE(ble.warnings.empty());
  EXPECT_THAT(ble.wrote, Not(Contains(R"({"t":"reset"})")));
  EXPECT_EQ(ble.wrote.front(), R"({"t":"info"})");
  ble.run(5'000, false);
  EXPECT_EQ(ble.device.proved_token(), rig::other_token);
  EXPECT_FALSE(ble.device.device.open_for_setup());  // The result was told, so set-up has closed.
}

TEST(BleActivation, EachFailureIsNamedAtOnceAndTheDeviceCanBeSetUpAfterIt) {
  struct Case {
    std::function<void(Ble&)> spoil;
    StepKind step;
    F code;
  };
  const std::vector<Case> cases{
      {[](Ble& ble) { ble.password = "not this one"; }, StepKind::join_network, F::wrong_password},
      {[](Ble& ble) { ble.join_failure = agent::JoinFailure::not_found; }, StepKind::join_network, F::network_not_found},
      {[](Ble& ble) { ble.join_failure = agent::JoinFailure::no_address; }, StepKind::join_network, F::no_address},
      {[](Ble& ble) { ble.cloud_closes = agent::CloseReason::host_unknown; }, StepKind::reach_cloud, F::dns_failed},
      {[](Ble& ble) { ble.cloud_closes = agent::CloseReason::tls_untrusted; }, StepKind::reach_cloud, F::certificate_invalid},
      {[](Ble& ble) { ble.cloud_closes = agent::CloseReason::captive_portal; }, StepKind::reach_cloud, F::captive_portal},
      {[](Ble& ble) { ble.cloud_closes = agent::CloseReason::refused; }, StepKind::reach_cloud, F::cloud_timeout},
      {[](Ble& ble) { ble.cloud_knows_token = false; }, StepKind::reach_cloud, F::token_refused},
  };
  for (const auto& wanted : cases) {
    Ble ble;
    wanted.spoil(ble);
    ble.begin();
    while (std::find(ble.steps.begin(), ble.steps.end(), "sent") == ble.steps.end()) ble.run(50);
    const auto took = ble.run();
    ble.expect_failure(wanted.step, wanted.code);
    EXPECT_LT(took, 16'000U) << static_cast<int>(wanted.code);
    EXPECT_EQ(ble.device.proved_token(), "none");
    // And with everything in order it works, on a new link.
    ble.join_failure.reset();
    ble.cloud_closes.reset();
    ble.cloud_knows_token = true;
    ble.password = "password";
    ble.session = {"TOKEN_ISSUED", 0, {}};
    ble.muster.reset();
    ble.run();
    EXPECT_TRUE(ble.muster->succeeded()) << static_cast<int>(wanted.code) << " then " << ble.muster->failure().code;
  }
}

TEST(BleActivation, AWrongPasswordIsAskedAgainOverTheSameLink) {
  Ble ble;
  ble.options.passwords_max = 2;
  ble.password = "not this one";
  ble.run();
  EXPECT_TRUE(ble.muster->succeeded());
  EXPECT_EQ(ble.passwords_asked, 2);
  EXPECT_THAT(ble.steps, Contains("join_network 722"));
  EXPECT_EQ(std::count(ble.wrote.begin(), ble.wrote.end(), R"({"t":"info"})"), 1);
}

TEST(BleActivation, ALinkThatIsLostLeavesTheWordToTheCloud) {
  Ble ble;
  ble.begin();
  while (std::find(ble.steps.begin(), ble.steps.end(), "sent") == ble.steps.end()) ble.run(50);
  ble.run(500);
  ble.lose();
  ble.run();
  EXPECT_TRUE(ble.muster->succeeded());
  EXPECT_THAT(ble.steps, Contains("ap_lost"));
}

TEST(BleActivation, WithoutAnyLiveMessageTheCloudIsEnough) {
  Ble ble;
  ble.lose_message = [](std::string_view text) {
    return text.find("\"status\"") != std::string_view::npos || text.find("net_status") != std::string_view::npos;
  };
  ble.run();
  EXPECT_TRUE(ble.muster->succeeded());
}

TEST(BleActivation, EveryMessageMayBeLostOnce) {
  std::size_t count = 0;
  {
    Ble ble;
    ble.lose_message = [&](std::string_view) {
      ++count;
      return false;
    };
    ble.run();
  }
  EXPECT_GT(count, 10U);
  for (std::size_t lost = 1; lost <= count; ++lost) {
    Ble ble;
    std::size_t at = 0;
    ble.lose_message = [&](std::string_view) { return ++at == lost; };
    ble.run();
    EXPECT_TRUE(ble.muster->succeeded()) << lost << ": " << to_text(ble.muster->failure().step) << " " << ble.muster->failure().code;
  }
}

TEST(BleActivation, StoppedAtAnyMomentTheLinkEndsAndTheDeviceIsAsBeforeOrOnline) {
  for (Millis at = 100; at < 6'000; at += 130) {
    Ble ble;
    ble.run(at);
    if (ble.muster->finished()) break;
    ble.muster->stop(ble.now());
    ble.run(30'000);
    EXPECT_TRUE(ble.muster->finished());
    EXPECT_FALSE(ble.linked);
    ble.run(70'000, false);
    EXPECT_TRUE(ble.device.device.open_for_setup() || ble.device.device.has_proved()) << at;
  }
}

}  // namespace
}  // namespace muster::provisioner
