// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/sim/air.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/ports/sim/air_radio.hpp"
#include "agent/ports/sim/air_room.hpp"

namespace muster::agent::sim {
namespace {

using ::testing::ElementsAre;
using Kind = AirCommand::Kind;

AirCommand command(Kind kind, std::string ssid = {}, std::string passphrase = {}) {
  AirCommand made;
  made.kind = kind;
  made.ssid = std::move(ssid);
  made.passphrase = std::move(passphrase);
  return made;
}
AirCommand on_stream(Kind kind, std::uint32_t stream, std::string_view bytes = {}) {
  AirCommand made;
  made.kind = kind;
  made.stream = stream;
  made.bytes.assign(bytes.begin(), bytes.end());
  return made;
}

/// A radio of whoever holds it, with what it was told.
struct Station final : AirListener {
  explicit Station(AirRoom& room) : place{room} { place.attach(*this); }
  void on_air(const AirEvent& event, Millis now) override {
    using Event = AirEvent::Kind;
    std::string line = std::to_string(now) + " ";
    switch (event.kind) {
      case Event::opened: line += "opened"; break;
      case Event::open_failed: line += "open_failed"; break;
      case Event::scanned:
        line += "scanned";
        for (const AirNetwork& network : event.networks) line += " [" + network.ssid + "]";
        break;
      case Event::joined:
        line += "joined";
        uplink = event.uplink;
        break;
      case Event::join_failed: line += "join_failed " + std::to_string(static_cast<int>(event.failure)); break;
      case Event::lost: line += "lost"; break;
      case Event::stations: line += "stations " + std::to_string(event.count); break;
      case Event::dialed: line += "dialed " + std::to_string(event.stream); break;
      case Event::stream_opened: line += "opened stream " + std::to_string(event.stream); break;
      case Event::bytes: line += "bytes " + std::to_string(event.stream) + " " + std::string(event.bytes.begin(), event.bytes.end()); break;
      case Event::stream_closed: line += "closed " + std::to_string(event.stream); break;
    }
    log.push_back(line);
    count[event.kind]++;
  }
  void submit(const AirCommand& wish) { place.submit(wish); }
  AirRoom::Place place;
  std::vector<std::string> log;
  std::map<AirEvent::Kind, int> count;
  Uplink uplink = Uplink::none;
};

struct AirTest : ::testing::Test {
  AirTest() { home({default_home_network()}); }
  void home(std::vector<HomeNetwork> networks) {
    room.air().set_home_networks(std::move(networks), net.now());
    room.pump();
  }
  HomeNetwork network() { return default_home_network(); }
  Network net{1};
  AirRoom room{net};
};

TEST_F(AirTest, ADeviceIsFoundJoinedAndSpokenTo) {
  Station device{room}, phone{room};
  device.submit(command(Kind::open, "Blynk Lamp-N1A9"));
  net.run_until(1'000);
  phone.submit(command(Kind::scan));
  net.run_until(4'000);
  phone.submit(command(Kind::join, "Blynk Lamp-N1A9"));
  net.run_until(7'000);
  phone.submit(on_stream(Kind::dial, 5));
  net.run_until(7'100);
  phone.submit(on_stream(Kind::send, 5, "GET /"));
  phone.submit(on_stream(Kind::send, 5, " again"));
  net.run_until(7'200);
  device.submit(on_stream(Kind::send, 1, "200"));
  device.submit(on_stream(Kind::close, 1));
  device.submit(on_stream(Kind::send, 1, "too late"));
  net.run_until(8'000);
  EXPECT_THAT(device.log,
              ElementsAre("300 opened", "6000 stations 1", "7003 opened stream 1", "7103 bytes 1 GET /", "7103 bytes 1  again"));
  EXPECT_THAT(phone.log, ElementsAre("3500 scanned [Blynk Lamp-N1A9] [Muster Home]", "6000 joined", "7003 dialed 5", "7203 bytes 5 200",
                                     "7203 closed 5"));
}

TEST_F(AirTest, EachFaultOfAHomeNetworkHasItsOwnResult) {
  struct Case {
    HomeNetwork home;
    std::string ssid, passphrase;
    std::string log;
    Uplink uplink = Uplink::none;
  };
  std::vector<Case> cases;
  cases.push_back({network(), "Muster Home", "muster-home", "2000 joined", Uplink::good});
  cases.push_back({network(), "Muster Home", "muster-hom", "5000 join_failed 1"});
  cases.push_back({network(), "Muster Home", "", "6000 join_failed 0"});
  cases.push_back({network(), "Another", "muster-home", "6000 join_failed 0"});
  const auto with = [&](auto change, std::string log, Uplink uplink = Uplink::none) {
    Case made{network(), "Muster Home", "muster-home", std::move(log), uplink};
    change(made.home);
    cases.push_back(std::move(made));
  };
  with([](HomeNetwork& h) { h.absent = true; }, "6000 join_failed 0");
  with([](HomeNetwork& h) { h.hidden = true; }, "2000 joined", Uplink::good);
  with([](HomeNetwork& h) { h.refuses_all = true; }, "5000 join_failed 1");
  with([](HomeNetwork& h) { h.no_dhcp = true; }, "12000 join_failed 2");
  with([](HomeNetwork& h) { h.dns_dead = true; }, "2000 joined", Uplink::dns_dead);
  with([](HomeNetwork& h) { h.captive_portal = true; }, "2000 joined", Uplink::captive_portal);
  with([](HomeNetwork& h) { h.dead = true; }, "2000 joined", Uplink::dead);
  const std::string key(64, 'A');
  cases.push_back({network(), "Muster Home", std::string(64, 'a'), "2000 joined", Uplink::good});
  cases.back().home.passphrase = key;
  cases.push_back({network(), "Muster Home", "", "2000 joined", Uplink::good});
  cases.back().home.passphrase.clear();
  for (const Case& wanted : cases) {
    Network time{1};
    AirRoom other{time};
    other.air().set_home_networks({wanted.home}, 0);
    Station device{other};
    device.submit(command(Kind::join, wanted.ssid, wanted.passphrase));
    time.run_until(40'000);
    EXPECT_THAT(device.log, ElementsAre(wanted.log));
    EXPECT_EQ(device.uplink, wanted.uplink);
  }
}

TEST_F(AirTest, AWeakNetworkIsJoinedEveryOtherTime) {
  HomeNetwork weak = network();
  weak.weak = true;
  home({weak});
  Station device{room};
  for (int i = 0; i < 40; ++i) {
    device.submit(command(Kind::join, "Muster Home", "muster-home"));
    net.run_until(net.now() + 30'000);
  }
  EXPECT_GT(device.count[AirEvent::Kind::joined], 8);
  EXPECT_GT(device.count[AirEvent::Kind::join_failed], 8);
}

TEST_F(AirTest, AnAccessPointThatEndsLosesItsStationsAndTheirStreams) {
  Station device{room}, phone{room};
  device.submit(command(Kind::open, "Lamp"));
  net.run_until(1'000);
  phone.submit(command(Kind::join, "Lamp"));
  net.run_until(4'000);
  phone.submit(on_stream(Kind::dial, 1));
  net.run_until(4'100);
  phone.log.clear();
  device.submit(command(Kind::shut));
  net.run_until(4'200);
  EXPECT_THAT(phone.log, ElementsAre("4100 closed 1", "4100 lost"));
  phone.submit(on_stream(Kind::dial, 2));
  net.run_until(4'300);
  EXPECT_EQ(phone.log.back(), "4203 closed 2");
}

TEST_F(AirTest, AnAccessPointCanVanishWithoutKnowing) {
  Station device{room}, phone{room};
  device.submit(command(Kind::open, "Lamp"));
  net.run_until(1'000);
  phone.submit(command(Kind::join, "Lamp"));
  net.run_until(4'000);
  room.air().lose_access_point(device.place.id(), net.now());
  room.pump();
  net.run_until(4'100);
  EXPECT_EQ(phone.log.back(), "4000 lost");
  phone.submit(command(Kind::scan));
  phone.submit(command(Kind::join, "Lamp"));
  net.run_until(14'000);
  EXPECT_THAT(phone.log, ::testing::IsSupersetOf({"6600 scanned [Muster Home]", "10100 join_failed 0"}));
  device.submit(command(Kind::open, "Lamp"));  // Opened again it is back.
  phone.submit(command(Kind::join, "Lamp"));
  net.run_until(20'000);
  EXPECT_EQ(phone.log.back(), "16000 joined");
}

TEST_F(AirTest, ARadioWithoutPowerIsNoticedByOthersOnly) {
  Station phone{room};
  {
    Station device{room};
    device.submit(command(Kind::open, "Lamp"));
    net.run_until(1'000);
    phone.submit(command(Kind::join, "Lamp"));
    net.run_until(4'000);
    EXPECT_EQ(device.log.back(), "3000 stations 1");
  }
  net.run_until(5'000);
  EXPECT_EQ(phone.log.back(), "4000 lost");
}

TEST_F(AirTest, StationsAreLostWhenTheChannelChangesAndTheyDoNotFollow) {
  for (const bool lose : {false, true}) {
    Network time{1};
    AirRoom other{time};
    other.air().set_home_networks({network()}, 0);  // On channel 6; the device opens on 1.
    other.air().set_lose_on_hop(lose);
    Station device{other}, phone{other};
    device.submit(command(Kind::open, "Lamp"));
    time.run_until(1'000);
    phone.submit(command(Kind::join, "Lamp"));
    time.run_until(4'000);
    device.submit(command(Kind::join, "Muster Home", "muster-home"));
    time.run_until(8'000);
    EXPECT_EQ(phone.log.back(), lose ? "6000 lost" : "3000 joined");
  }
}

TEST_F(AirTest, ANetworkThatIsSwitchedOffIsLost) {
  Station device{room};
  device.submit(command(Kind::join, "Muster Home", "muster-home"));
  net.run_until(3'000);
  home({});
  net.run_until(3'100);
  EXPECT_EQ(device.log.back(), "3000 lost");
  EXPECT_EQ(room.air().joined_to(device.place.id()), "");
}

TEST_F(AirTest, FourStationsFitOnAnAccessPoint) {
  Station device{room};
  device.submit(command(Kind::open, "Lamp"));
  net.run_until(1'000);
  std::vector<std::unique_ptr<Station>> phones;
  for (int i = 0; i < 5; ++i) {
    phones.push_back(std::make_unique<Station>(room));
    phones.back()->submit(command(Kind::join, "Lamp"));
  }
  net.run_until(9'000);
  EXPECT_EQ(device.log.back(), "3000 stations 4");
  EXPECT_EQ(phones[4]->log.back(), "3000 join_failed 6");
}

TEST_F(AirTest, WhatIsTooMuchIsRefused) {
  Station device{room}, phone{room};
  auto& air = room.air();
  const RadioId id = phone.place.id();
  EXPECT_FALSE(air.apply(id, command(Kind::open, std::string(33, 'x')), 0));
  EXPECT_FALSE(air.apply(id, command(Kind::open, ""), 0));
  EXPECT_FALSE(air.apply(id, command(Kind::join, "x", std::string(65, 'x')), 0));
  EXPECT_FALSE(air.apply(id, on_stream(Kind::send, 1, std::string(air_bytes_max + 1, 'x')), 0));
  EXPECT_FALSE(air.apply(id, on_stream(Kind::dial, 0), 0));
  EXPECT_FALSE(air.apply(9'999, command(Kind::scan), 0));
  for (std::size_t i = 0; i < air_pending_max; ++i) EXPECT_TRUE(air.apply(id, command(Kind::scan), 0));
  EXPECT_FALSE(air.apply(id, command(Kind::scan), 0));
  room.pump();
  net.run_until(5'000);
  EXPECT_EQ(phone.count[AirEvent::Kind::scanned], 1);  // Only the newest is answered.

  // A stream whose reader is flooded ends.
  device.submit(command(Kind::open, "Lamp"));
  net.run_until(6'000);
  phone.submit(command(Kind::join, "Lamp"));
  net.run_until(9'000);
  phone.submit(on_stream(Kind::dial, 1));
  net.run_until(9'100);
  for (std::size_t sent = 0; sent <= air_in_flight_max; sent += air_bytes_max) {
    phone.submit(on_stream(Kind::send, 1, std::string(air_bytes_max, 'x')));
  }
  net.run_until(9'200);
  EXPECT_EQ(phone.log.back(), "9100 closed 1");
  for (std::uint32_t i = 2; i < 2 + air_streams_max; ++i) phone.submit(on_stream(Kind::dial, i));
  net.run_until(9'300);
  EXPECT_FALSE(air.apply(id, on_stream(Kind::dial, 99), net.now()));

  std::size_t radios = 2;
  while (air.add_radio() != 0) ++radios;
  EXPECT_EQ(radios, air_radios_max);
}

TEST_F(AirTest, HomeNetworksAreReadFromAText) {
  const auto homes = parse_home_networks(
      "# comment\nHome\tpassword\tno-dhcp,channel=11,wpa3\r\n\nOpen\n\ttoo nameless\nShort\tseven77\n"
      "All\tpassword\tabsent,hidden,wrong-password,dns-dead,captive-portal,dead,weak,nonsense,channel=x\n" +
      std::string(33, 'x') + "\tpassword\nLast\tpassword");
  ASSERT_EQ(homes.size(), 4U);
  EXPECT_EQ(homes[0].ssid, "Home");
  EXPECT_EQ(homes[0].passphrase, "password");
  EXPECT_TRUE(homes[0].no_dhcp);
  EXPECT_EQ(homes[0].channel, 11);
  EXPECT_EQ(homes[0].security, NetworkSecurity::wpa3);
  EXPECT_EQ(homes[1].ssid, "Open");
  EXPECT_TRUE(homes[1].passphrase.empty());
  const HomeNetwork& all = homes[2];
  EXPECT_TRUE(all.absent && all.hidden && all.refuses_all && all.dns_dead && all.captive_portal && all.dead && all.weak);
  EXPECT_EQ(homes[3].ssid, "Last");
  std::string many;
  for (int i = 0; i < 100; ++i) many += "n" + std::to_string(i) + "\n";
  EXPECT_EQ(parse_home_networks(many).size(), air_networks_max);
}

TEST(AirMessages, SurviveTheWayAndAreReadStrictly) {
  AirCommand join = command(Kind::join, "Home\n\xff", "password");
  join.fixed.address = 0x01020304;
  join.resume = true;
  for (const AirCommand& wish : {command(Kind::open, "Lamp"), command(Kind::shut), command(Kind::scan), join, command(Kind::leave),
                                 on_stream(Kind::dial, 7), on_stream(Kind::send, 0x01020304, "bytes"), on_stream(Kind::close, 7)}) {
    const auto bytes = encode_command(wish);
    AirCommand read;
    ASSERT_TRUE(decode_command(bytes.data(), bytes.size(), read));
    EXPECT_EQ(encode_command(read), bytes);
    EXPECT_EQ(read.ssid, wish.ssid);
    EXPECT_EQ(read.passphrase, wish.passphrase);
    EXPECT_EQ(read.stream, wish.stream);
    EXPECT_EQ(read.bytes, wish.bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      if (wish.kind != Kind::send || size < 5) {
        EXPECT_FALSE(decode_command(bytes.data(), size, read));
      }
    }
    auto longer = bytes;
    longer.push_back(0);
    EXPECT_EQ(decode_command(longer.data(), longer.size(), read), wish.kind == Kind::send);
  }
}

struct Told final : RadioEvents {
  void on_opened(Millis now) override { log.push_back(std::to_string(now) + " opened"); }
  void on_open_failed(Millis) override { log.push_back("open_failed"); }
  void on_scanned(const ScannedNetwork* networks, std::size_t count, Millis) override {
    log.push_back("scanned " + std::to_string(count) + " " + std::string{networks[0].ssid});
  }
  void on_joined(const JoinedNetwork& network, Millis now) override {
    log.push_back(std::to_string(now) + " joined on " + std::to_string(network.channel));
  }
  void on_join_failed(JoinFailure failure, Millis) override { log.push_back("join_failed " + std::to_string(static_cast<int>(failure))); }
  void on_network_lost(Millis) override { log.push_back("lost"); }
  void on_visitors(std::size_t count, Millis) override { log.push_back("visitors " + std::to_string(count)); }
  void on_stream_opened(std::uint32_t stream, Millis) override { log.push_back("stream " + std::to_string(stream)); }
  void on_stream_bytes(std::uint32_t, wire::ByteView bytes, Millis) override { log.emplace_back(bytes.text()); }
  void on_stream_closed(std::uint32_t stream, Millis) override { log.push_back("end " + std::to_string(stream)); }
  std::vector<std::string> log;
};

TEST_F(AirTest, ADevicesRadioSaysWhatThePortPromises) {
  Told told;
  AirRoom::Place place{room};
  AirRadio radio{place, told};
  struct Forward final : AirListener {
    explicit Forward(AirRadio& to) : radio{to} {}
    void on_air(const AirEvent& event, Millis now) override { radio.on_air(event, now); }
    AirRadio& radio;
  } forward{radio};
  place.attach(forward);
  radio.open("Lamp");
  radio.scan();
  radio.join({"Muster Home", "muster-home"});
  net.run_until(5'000);
  EXPECT_EQ(radio.uplink(), Uplink::good);
  home({});
  net.run_until(6'000);
  EXPECT_EQ(radio.uplink(), Uplink::none);
  radio.join({"Muster Home", "muster-home"});
  radio.leave();
  radio.shut();
  net.run_until(20'000);
  JoinTarget cable;
  cable.wired = true;
  radio.join(cable);
  net.run_until(30'000);
  EXPECT_THAT(told.log, ElementsAre("300 opened", "2000 joined on 6", "scanned 1 Muster Home", "lost", "join_failed 5"));
  radio.open("Lamp");
  radio.shut();
  radio.open("Lamp 2");
  net.run_until(40'000);
  EXPECT_EQ(told.log.size(), 6U);
  EXPECT_EQ(told.log.back(), "30300 opened");
}

}  // namespace
}  // namespace muster::agent::sim
