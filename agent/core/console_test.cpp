// SPDX-License-Identifier: Apache-2.0
#include "agent/core/console.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/core/device_test_rig.hpp"

namespace muster::agent::test {
namespace {

using testing::HasSubstr;

struct ConsoleRig : DeviceRig {
  struct Printer final : Console::Sink {
    std::string text;
    void print(std::string_view more) override { text += more; }
  } sink;
  Console console;
  explicit ConsoleRig(bool at_home = false) : console{device, sink} {
    if (at_home) store.put(Slot::proved, home_config());
    start();
    if (at_home) {
      join();
      go_online();
    }
  }
  std::string say(std::string_view text) {
    sink.text.clear();
    console.on_bytes(wire::ByteView{text}, now);
    return sink.text;
  }
};

TEST(Console, TellsWhatTheDeviceIsWithoutItsSecrets) {
  ConsoleRig rig{true};
  const std::string info = rig.say("devinfo\r\n") + rig.say("wifi\r");
  for (const char* part :
       {"name: Blynk Lamp-N1A9\r\n", "template: TMPL2abcdefgh\r\n", "state: running\r\n", "ssid: old\r\n", "ip: 10.0.0.2\r\n"}) {
    EXPECT_THAT(info, HasSubstr(part));
  }
  EXPECT_EQ(info.find(token), std::string::npos);
  EXPECT_EQ(info.find("secret"), std::string::npos);
}

TEST(Console, ConnectsOnTheNetworkItHas) {
  ConsoleRig rig{true};
  EXPECT_THAT(rig.say("connect " + std::string{other_token} + "\n"), HasSubstr("ok\r\n"));
  rig.pass_ms(200);
  EXPECT_EQ(rig.last_radio(), "join old/secret123");
}

TEST(Console, ConnectsOnTheNetworkItIsGiven) {
  ConsoleRig rig;
  EXPECT_EQ(rig.say("connect " + std::string{other_token} + " h.example:8443\n").substr(0, 5), "step:");  // Refused: no network yet.
  EXPECT_EQ(rig.say("wifi \"my home\" \"pass word\"\n"), "ok\r\n");
  EXPECT_THAT(rig.say("connect " + std::string{other_token} + " h.example:8443\n"), HasSubstr("ok\r\n"));
  rig.pass_ms(200);
  EXPECT_EQ(rig.last_radio(), "join my home/pass word");
  rig.join();
  EXPECT_EQ(rig.transport.connects.back(), "h.example:8443+");
}

TEST(Console, RefusesNonsense) {
  ConsoleRig rig;
  EXPECT_THAT(rig.say("dance\n"), HasSubstr("unknown command"));
  EXPECT_THAT(rig.say("wifi home short\n"), HasSubstr("error"));
  EXPECT_THAT(rig.say("connect " + std::string{other_token} + " h:0\n"), HasSubstr("no port"));
  EXPECT_THAT(rig.say("connect " + std::string{other_token} + " h:99999999999\n"), HasSubstr("no port"));
  EXPECT_EQ(rig.say(std::string(Console::line_size_max_bytes + 1, 'x') + "\r\n"), "error: line too long\r\n");
  EXPECT_EQ(rig.say("\r\n\r\n"), "");
  EXPECT_THAT(rig.say("devix\bnfo\n"), HasSubstr("name:"));  // The last letter was taken back.
}

TEST(Console, OpensClosesErasesAndRestarts) {
  ConsoleRig rig{true};
  rig.say("config start\n");
  EXPECT_EQ(rig.state(), DeviceState::wait_config);
  rig.say("config stop\n");
  EXPECT_EQ(rig.state(), DeviceState::connecting_net);
  rig.say("config erase\n");
  EXPECT_EQ(rig.proved_token(), "none");
  rig.say("reboot\n");
  EXPECT_EQ(rig.observer.restarts, 1);
}

TEST(Console, NamesFromTheAirCannotSteerTheTerminal) {
  ConsoleRig rig;
  rig.say("wifi scan\n");
  ScannedNetwork seen;
  seen.ssid = "\x1b[2Jx";
  seen.rssi_dbm = -50;
  rig.device.on_scanned(&seen, 1, rig.now);
  EXPECT_EQ(rig.sink.text, "-50 unknown ?[2Jx\r\nok\r\n");

  const auto shown = [&rig](std::string_view ssid) {
    rig.say("wifi scan\n");
    ScannedNetwork network;
    network.ssid = ssid;
    network.rssi_dbm = -50;
    rig.device.on_scanned(&network, 1, rig.now);
    std::string line = rig.sink.text.substr(0, rig.sink.text.find("\r\n"));
    return line.substr(line.rfind(' ') + 1);
  };
  EXPECT_EQ(shown("a\xc2\x9b"
                  "2Jb"),
            "a??2Jb");                           // CSI as UTF-8
  EXPECT_EQ(shown("\xc2\x80\xc2\x9f"), "????");  // The first and the last C1 control.
  EXPECT_EQ(shown("\xc2\xa0x"), "\xc2\xa0x");    // The first character behind them.
  EXPECT_EQ(shown("a\x9b"
                  "2Jb"),
            "a?2Jb");                             // CSI of a terminal that knows no UTF-8
  EXPECT_EQ(shown("\xe2\x80\xaegnp"), "???gnp");  // Right to left from here.
  EXPECT_EQ(shown("K\xc3\xbc"
                  "che\xe6\xb8\xa9\xf0\x9f\x8f\xa0"),
            "K\xc3\xbc"
            "che\xe6\xb8\xa9\xf0\x9f\x8f\xa0");
  EXPECT_EQ(shown("x\xe6\xb8"), "x??");  // Cut in the middle of a character.
  EXPECT_EQ(shown(std::string(31, 'x') + "\xc3"), std::string(31, 'x') + "?");
}

}  // namespace
}  // namespace muster::agent::test
