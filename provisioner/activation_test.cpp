// SPDX-License-Identifier: Apache-2.0
// The whole way in virtual time: the agent's device with its local web server, the air, and the provisioner, with a small cloud behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/core/device.hpp"
#include "agent/core/local_server.hpp"
#include "agent/ports/sim/air_room.hpp"
#include "agent/ports/sim/network.hpp"
#include "provisioner/provisioner.hpp"
#include "provisioner/radios/air_radio.hpp"
#include "wire/frame.hpp"

namespace muster::provisioner {
namespace {

using namespace agent;
namespace sim = agent::sim;
using F = wire::ActivationFailure;

const std::string cloud_token(32, 'n');

/// Accepts one token; its session becomes active with the info block.
struct SmallCloud {
  std::string expected = cloud_token;
  CloseReason closes = CloseReason::stopped;  ///< Other than that: every connect fails so.
  SessionView session{"TOKEN_ISSUED", 0, {}};
  bool canceled = false;
  std::vector<std::string> steps;
};

/// A device with all its parts on the air.
struct SimDevice final : sim::RadioEvents, Transport, LocalServer::Sink {
  SimDevice(sim::Network& network, sim::AirRoom& room, SmallCloud& its_cloud)
      : net{network},
        cloud{its_cloud},
        place{room},
        radio{place, *this},
        listener{radio},
        random{7},
        device{DeviceParts{&radio, store, *this, random, handler, {receive_room, sizeof receive_room}, {send_room, sizeof send_room}},
               make_profile(), Identity{"1.2.3", "Nov 24 2026", "0.1.0", "Linux", {}, {}}},
        web{device, *this, LocalServer::Options{}} {
    place.attach(listener);
    device.start(net.now());
    tick();
  }
  static DeviceProfile make_profile() {
    DeviceProfile profile;
    profile.template_id = "TMPL12345678";
    profile.template_name = "Lamp";
    profile.firmware_version = "1.2.3";
    profile.uid = "0e3a5f2c-0000-4000-8000-000000000001";
    profile.suffix = "N1A9";
    return profile;
  }
  void tick() {
    device.on_timer(net.now());
    web.on_timer(net.now());
    net.schedule(net.now() + 20, [this] { tick(); });
  }

  // The radio.
  void on_opened(Millis now) override { device.on_opened(now); }
  void on_open_failed(Millis now) override { device.on_open_failed(now); }
  void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis now) override { device.on_scanned(networks, count, now); }
  void on_joined(const JoinedNetwork& network, Millis now) override { device.on_joined(network, now); }
  void on_join_failed(JoinFailure failure, Millis now) override { device.on_join_failed(failure, now); }
  void on_network_lost(Millis now) override { device.on_network_lost(now); }
  void on_visitors(std::size_t count, Millis now) override { device.on_visitors(count, now); }
  // Its streams.
  void on_stream_opened(std::uint32_t stream, Millis now) override {
    if (!web.on_open(stream, now)) radio.close(stream);
  }
  void on_stream_bytes(std::uint32_t stream, wire::ByteView bytes, Millis now) override { web.on_bytes(stream, bytes, now); }
  void on_stream_closed(std::uint32_t stream, Millis now) override { web.on_closed(stream, now); }
  bool send(agent::ConnectionId stream, wire::ByteView bytes) override {
    radio.send(stream, bytes);
    return true;
  }
  void close(agent::ConnectionId stream) override { radio.close(stream); }

  // The way to the cloud: as good as the network that was joined.
  void connect(const Endpoint& endpoint) override {
    const unsigned mine = ++connection;
    dialled.push_back(std::string{endpoint.host} + ":" + std::to_string(endpoint.port));
    CloseReason failure = cloud.closes;
    Millis after = 30;
    switch (radio.uplink()) {
      case sim::Uplink::good: break;
      case sim::Uplink::dns_dead: failure = CloseReason::host_unknown; break;
      case sim::Uplink::captive_portal: failure = CloseReason::captive_portal; break;
      case sim::Uplink::dead:
      case sim::Uplink::none:
        failure = CloseReason::connect_timeout;
        after = 10'000;
        break;
    }
    net.schedule(net.now() + after, [this, mine, failure] {
      if (mine != connection) return;
      if (failure == CloseReason::stopped) {
        device.on_connected(net.now());
      } else {
        ++connection;
        device.on_closed(failure, net.now());
      }
    });
  }
  bool send(wire::ByteView bytes) override {
    const auto decoded = wire::decode_frame(bytes);
    if (decoded.status != wire::DecodeStatus::ok) return true;
    const auto& frame = decoded.frame;
    std::uint16_t status = 200;
    if (frame.command == wire::Command::hw_login && frame.body.text() != cloud.expected) status = 9;
    if (frame.command == wire::Command::internal && cloud.session.state == "TOKEN_ISSUED") cloud.session.state = "ACTIVE";
    const bool answered =
        frame.command == wire::Command::hw_login || frame.command == wire::Command::internal || frame.command == wire::Command::ping;
    if (!answered) return true;
    net.schedule(net.now() + 30, [this, mine = connection, id = frame.id, status] {
      if (mine != connection) return;
      std::uint8_t room[16];
      const auto size = wire::encode_frame({wire::Command::response, id, status, {}}, {room, sizeof room});
      device.on_bytes({room, size}, net.now());
    });
    return true;
  }
  void close() override { ++connection; }

  struct Listener final : sim::AirListener {
    explicit Listener(sim::AirRadio& to) : radio{to} {}
    void on_air(const sim::AirEvent& event, Millis now) override { radio.on_air(event, now); }
    sim::AirRadio& radio;
  };
  struct Silent final : Handler {};

  sim::Network& net;
  SmallCloud& cloud;
  sim::AirRoom::Place place;
  sim::AirRadio radio;
  Listener listener;
  sim::Random random;
  sim::MemoryStore store;
  Silent handler;
  std::uint8_t receive_room[1100];
  std::uint8_t send_room[1100];
  Device device;
  LocalServer web;
  unsigned connection = 0;
  std::vector<std::string> dialled;
};

struct Activation : ::testing::Test, CloudApi, Front {
  Activation() : place{room}, radio{place} {
    home({sim::default_home_network()});
    place.attach(radio);
  }
  void home(std::vector<sim::HomeNetwork> networks) {
    room.air().set_home_networks(std::move(networks), net.now());
    room.pump();
  }
  void begin() {
    muster = std::make_unique<Provisioner>(&radio, radio, *this, *this, options);
    radio.attach(*muster);
    muster->start(net.now());
    tick();
  }
  void tick() {
    if (muster->next_deadline() <= net.now()) muster->on_timer(net.now());
    radio.serve(net.now());
    if (!muster->finished()) net.schedule(net.now() + 20, [this] { tick(); });
  }
  /// Until the provisioner has finished; the time that took.
  Millis run() {
    const Millis from = net.now();
    while (!muster->finished() && net.now() < from + 300'000) net.run_until(net.now() + 100);
    return net.now() - from;
  }
  void after(std::function<void()> answer) { net.schedule(net.now() + 20, std::move(answer)); }
  void ask_template(const std::string& id) override {
    after([this, id] { muster->on_template(id == "TMPL12345678", net.now()); });
  }
  void ask_reconfigure(std::int64_t) override {
    after([this] { muster->on_reconfigure({}, net.now()); });
  }
  void ask_token(const TokenRequest&) override {
    after([this] { muster->on_token({cloud_token, 7, 3, "cloud.example", 9443, 8080, {}}, net.now()); });
  }
  void ask_session(std::int64_t) override {
    after([this] { muster->on_session(cloud.session, net.now()); });
  }
  void post_step(std::int64_t, std::string_view step, std::uint16_t, std::string_view) override { cloud.steps.emplace_back(step); }
  void cancel_session(std::int64_t) override { cloud.canceled = true; }
  void on_report(const Report&, Millis) override {}
  void on_warning(std::string_view, const std::string&, Millis) override {}
  void on_choose_device(const std::vector<AccessPoint>&, Millis) override {}
  void on_choose_network(const std::vector<SeenNetwork>& networks, Millis now) override {
    for (const auto& network : networks) shown.push_back(network.ssid);
    muster->choose_network(ssid, now);
  }
  void on_ask_password(const std::string&, Millis now) override { muster->give_password(password, now); }

  sim::Network net{1};
  sim::AirRoom room{net};
  SmallCloud cloud;
  SimDevice device{net, room, cloud};
  sim::AirRoom::Place place;
  AirHostRadio radio;
  Options options;
  std::string ssid = "Muster Home", password = "muster-home";
  std::vector<std::string> shown;
  std::unique_ptr<Provisioner> muster;
};

TEST_F(Activation, ADeviceWithoutCredentialsIsOnlineAMomentLater) {
  begin();
  const auto took = run();
  ASSERT_TRUE(muster->succeeded()) << to_text(muster->failure().step) << " " << muster->failure().code << " " << muster->failure().message;
  EXPECT_EQ(device.device.name(), "Blynk Lamp-N1A9");
  EXPECT_EQ(muster->device().dialect, Dialect::muster);
  EXPECT_THAT(shown, ::testing::ElementsAre("Muster Home"));
  EXPECT_EQ(device.dialled.back(), "cloud.example:9443");
  EXPECT_LT(took, 20'000U);
  net.run_until(net.now() + 5'000);
  EXPECT_EQ(to_text(device.device.state()), "running");
  EXPECT_TRUE(device.device.has_proved());
  EXPECT_EQ(room.air().joined_to(place.id()), "");
  EXPECT_EQ(cloud.steps.back(), "done");
  EXPECT_FALSE(cloud.canceled);
  EXPECT_FALSE(room.air().is_open(device.place.id()));  // The result was read, so set-up has closed.
}

TEST_F(Activation, EachTroubleIsNamedWithinFifteenSecondsAndTheDeviceIsOpenAgain) {
  struct Case {
    std::string what;
    std::function<void(Activation&, sim::HomeNetwork&)> spoil;
    F code;
    Millis knowable;  ///< After the settings were sent.
  };
  const std::vector<Case> cases{
      {"wrong password", [](Activation& a, sim::HomeNetwork&) { a.password = "not this one"; }, F::wrong_password, 5'000},
      {"absent", [](Activation&, sim::HomeNetwork& h) { h.absent = true; }, F::network_not_found, 6'000},
      {"no DHCP", [](Activation&, sim::HomeNetwork& h) { h.no_dhcp = true; }, F::no_address, 12'000},
      {"DNS dead", [](Activation&, sim::HomeNetwork& h) { h.dns_dead = true; }, F::dns_failed, 2'000},
      {"portal", [](Activation&, sim::HomeNetwork& h) { h.captive_portal = true; }, F::captive_portal, 2'000},
      {"certificate", [](Activation& a, sim::HomeNetwork&) { a.cloud.closes = CloseReason::tls_untrusted; }, F::certificate_invalid, 2'000},
      {"port closed", [](Activation& a, sim::HomeNetwork&) { a.cloud.closes = CloseReason::refused; }, F::cloud_timeout, 2'000},
      {"token revoked", [](Activation& a, sim::HomeNetwork&) { a.cloud.expected = "another"; }, F::token_refused, 2'000},
  };
  for (const Case& wanted : cases) {
    struct One : Activation {
      void TestBody() override {}
    } one;
    sim::HomeNetwork home = sim::default_home_network();
    wanted.spoil(one, home);
    one.home({home});
    one.begin();
    while (std::find(one.cloud.steps.begin(), one.cloud.steps.end(), "sent") == one.cloud.steps.end() && one.net.now() < 60'000) {
      one.net.run_until(one.net.now() + 20);
    }
    const Millis sent = one.net.now();
    one.run();
    EXPECT_FALSE(one.muster->succeeded()) << wanted.what;
    EXPECT_EQ(one.muster->failure().code, static_cast<std::uint16_t>(wanted.code)) << wanted.what;
    EXPECT_LE(one.net.now() - sent, wanted.knowable + 15'000) << wanted.what;
    EXPECT_TRUE(one.cloud.canceled) << wanted.what;
    one.net.run_until(sent + 60'000);
    EXPECT_TRUE(one.room.air().is_open(one.device.place.id())) << wanted.what;
    EXPECT_FALSE(one.device.device.has_proved()) << wanted.what;
    // And it can be set up after all.
    one.cloud = SmallCloud{};
    one.password = "muster-home";
    one.home({sim::default_home_network()});
    one.begin();
    one.run();
    EXPECT_TRUE(one.muster->succeeded()) << wanted.what << " " << one.muster->failure().code;
  }
}

TEST_F(Activation, APhoneThatIsLostAfterTheSettingsHearsOfItFromTheCloud) {
  room.air().set_lose_on_hop(true);
  begin();
  run();
  EXPECT_TRUE(muster->succeeded());
  EXPECT_THAT(cloud.steps, ::testing::Contains("ap_lost"));
}

TEST_F(Activation, AStoppedProvisionerLeavesTheDeviceOpen) {
  for (Millis at = 500; at < 9'000; at += 700) {
    struct One : Activation {
      void TestBody() override {}
    } one;
    one.begin();
    one.net.run_until(at);
    if (one.muster->finished()) break;
    one.muster->stop(one.net.now());
    one.run();
    EXPECT_TRUE(one.muster->finished());
    EXPECT_EQ(one.room.air().joined_to(one.place.id()), "");
    one.cloud = SmallCloud{};
    one.net.run_until(one.net.now() + 70'000);
    EXPECT_TRUE(one.room.air().is_open(one.device.place.id()) || one.device.device.has_proved()) << at;
  }
}

}  // namespace
}  // namespace muster::provisioner
