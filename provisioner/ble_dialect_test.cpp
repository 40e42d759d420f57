// SPDX-License-Identifier: Apache-2.0
// The dialect of Bluetooth against scripted answers of devices: stock ones, odd ones and hostile ones.
#include "provisioner/ble_dialect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace muster::provisioner {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Texts = std::vector<std::string>;

const std::string token_text(32, 't');
const std::string stock_info =
    R"({"t":"info","vendor":"Blynk","tmpl_id":"TMPL1","fw_type":"TMPL1","fw_ver":"1.0","name":"Blynk Lamp-N1A9","uid":"u-1","caps":["live_status"]})";
const std::string wifi_interface = R"({"t":"if","name":"wifi","mac":"AA:BB:CC:DD:EE:FF","scan":1,"5ghz":0,"static_ip":1})";

struct Rig final : BleLink, DeviceListener {
  Rig() {
    dialect.attach(*this);
    dialect.on_linked();
  }
  void write(std::string_view message) override {
    EXPECT_LE(message.size(), wire::inject_message_size_max_bytes);
    sent.emplace_back(message);
  }
  std::size_t message_size_max_bytes() const override { return size_max; }

  void on_device_info(const DeviceInfo& info, agent::Millis) override {
    log.push_back("info " + info.template_id + " " + info.uid + (info.live ? " live" : "") +
                  (info.last_error == 0 ? "" : " " + std::to_string(info.last_error)));
    EXPECT_EQ(info.dialect, Dialect::ble);
  }
  void on_device_networks(std::vector<SeenNetwork> networks, bool readable, agent::Millis) override {
    log.push_back(readable ? "networks" : "no networks");
    for (const auto& network : networks)
      log.push_back(network.ssid + " " + std::to_string(network.rssi_dbm) + " " + network.security + " " + std::to_string(network.channel));
  }
  void on_device_forgot(agent::Millis) override { log.emplace_back("forgot"); }
  void on_settings_answer(bool taken, const std::string& message, agent::Millis) override {
    log.push_back((taken ? "taken" : "refused") + (message.empty() ? "" : " " + message));
  }
  void on_device_unreadable(const std::string& why, agent::Millis) override {
    log.push_back("unreadable" + (why.empty() ? "" : " " + why));
  }
  void on_device_no_answer(agent::Millis) override { log.emplace_back("no answer"); }
  void on_device_progress(DeviceProgress progress, const std::string& detail, agent::Millis) override {
    constexpr const char* words[] = {"joining", "joined", "dialing", "stored"};
    log.push_back(words[static_cast<int>(progress)] + (detail.empty() ? "" : " " + detail));
  }
  void on_device_failed(std::uint16_t code, const std::string& message, agent::Millis) override {
    log.push_back("failed " + std::to_string(code) + (message.empty() ? "" : " " + message));
  }

  void hear(const std::string& text) {
    const std::string exact{text};
    dialect.on_message(exact, now);
  }
  Texts told() { return std::exchange(log, {}); }
  Texts wrote() { return std::exchange(sent, {}); }
  void pass(agent::Millis ms) {
    now += ms;
    if (dialect.next_deadline() <= now) dialect.on_timer(now);
  }
  void get_info() {
    dialect.ask_info();
    hear(stock_info);
    hear(R"({"t":"ifs_start"})");
    hear(wifi_interface);
    hear(R"({"t":"ifs_end"})");
    EXPECT_THAT(told(), ElementsAre("info TMPL1 u-1 live"));
    wrote();
  }
  /// Up to `connect`, which is not answered yet.
  void send_all(const DeviceSettings& settings = {"Home", "password", token_text, "cloud.example", 9443}) {
    dialect.send_settings(settings);
    for (int i = 0; i < 20 && sent.back() != R"({"t":"connect"})"; ++i) hear(R"({"t":"set_ok"})");
  }

  agent::Millis now = 1'000;
  std::size_t size_max = 244;
  Texts sent, log;
  BleDialect dialect{*this};
};

TEST(BleDialect, AsksInfoAndInterfaces) {
  Rig rig;
  rig.dialect.ask_info();
  EXPECT_THAT(rig.wrote(), ElementsAre(R"({"t":"info"})"));
  rig.hear(stock_info);
  EXPECT_THAT(rig.told(), IsEmpty());
  EXPECT_THAT(rig.wrote(), ElementsAre(R"({"t":"ifs"})"));
  rig.hear(wifi_interface);
  rig.hear(R"({"t":"ifs_end"})");
  EXPECT_THAT(rig.told(), ElementsAre("info TMPL1 u-1 live"));
  rig.dialect.ask_info();  // The interfaces do not change.
  rig.hear(stock_info);
  EXPECT_THAT(rig.wrote(), ElementsAre(R"({"t":"info"})"));
  EXPECT_THAT(rig.told(), ElementsAre("info TMPL1 u-1 live"));
}

TEST(BleDialect, TheEspIdfComponentHasALastErrorAndNoLiveMessages) {
  Rig rig;
  rig.dialect.ask_info();
  rig.hear(R"({"t":"info","tmpl_id":"TMPL1","fw_ver":"1","name":"n","last_error":703})");
  rig.pass(BleDialect::quiet_ms);  // It says nothing of its interfaces.
  EXPECT_THAT(rig.told(), ElementsAre("info TMPL1  703"));
}

TEST(BleDialect, ADeviceWithoutWifiIsSeenAsThat) {
  Rig rig;
  rig.dialect.ask_info();
  rig.hear(stock_info);
  rig.hear(R"({"t":"if","name":"eth","mac":"AA:BB:CC:DD:EE:FF","status":"up"})");
  rig.hear(R"({"t":"ifs_end"})");
  EXPECT_THAT(rig.told(), ElementsAre("unreadable It has no Wi-Fi."));
}

TEST(BleDialect, InfoThatIsNoneIsUnreadableAtOnce) {
  const std::string long_text(65, 'x');
  for (const std::string& answer :
       {std::string{"{"}, std::string{}, std::string{"\xff\xfe\x00", 3}, std::string{R"(["t"])"}, stock_info.substr(0, 60),
        std::string(600, ' '), R"({"t":"info","tmpl_id":)" + std::string(600, '1') + "}", std::string{R"({"t":"info"})"},
        std::string{R"({"t":"info","tmpl_id":"LAMP"})"}, std::string{R"({"t":"info","tmpl_id":7,"name":["TMPL"]})"},
        std::string{R"({"t":5})"}, R"({"t":"info","tmpl_id":"TMPL1","name":")" + long_text + R"("})",
        R"({"t":"info","tmpl_id":"TMPL)" + long_text + R"("})", std::string{R"({"t":"error","msg":"invalid command"})"}}) {
    Rig rig;
    rig.dialect.ask_info();
    rig.hear(answer);
    const auto told = rig.told();
    ASSERT_EQ(told.size(), 1U) << answer;
    EXPECT_EQ(told[0].substr(0, 10), "unreadable") << answer;
    EXPECT_EQ(rig.dialect.next_deadline(), agent::never);
    rig.hear(stock_info);
    EXPECT_THAT(rig.told(), IsEmpty());  // Too late.
  }
}

TEST(BleDialect, AScanIsAListStrongestFirst) {
  Rig rig;
  rig.dialect.ask_networks();
  EXPECT_THAT(rig.wrote(), ElementsAre(R"({"t":"scan"})"));
  rig.hear(R"({"t":"scan_start"})");
  rig.hear(R"({"t":"scan","ssid":"Guests","bssid":"x","rssi":-60,"sec":"OPEN","ch":6})");
  rig.hear(R"({"t":"scan","ssid":"Home","bssid":"x","rssi":-70,"sec":"WPA2","ch":6})");
  rig.hear(R"({"t":"scan","ssid":"Home","bssid":"y","rssi":-50,"sec":"WPA2","ch":11})");
  rig.hear(R"({"t":"scan","ssid":"","rssi":-40,"sec":"WPA2","ch":1})");
  rig.hear(R"({"t":"scan","ssid":"Half","rssi":-4)");  // Cut.
  rig.hear(R"({"t":"scan_end"})");
  EXPECT_THAT(rig.told(), ElementsAre("networks", "Home -50 WPA2 11", "Guests -60 OPEN 6"));
}

TEST(BleDialect, AListWhoseEndWasLostCountsWhenItIsQuiet) {
  Rig rig;
  rig.dialect.ask_networks();
  rig.hear(R"({"t":"scan_start"})");
  rig.pass(20'000);
  EXPECT_THAT(rig.told(), IsEmpty());  // Looking takes time; the asker decides how long it waits.
  rig.hear(R"({"t":"scan","ssid":"Home","rssi":-50,"sec":"WPA2","ch":6})");
  rig.pass(BleDialect::quiet_ms - 1);
  EXPECT_THAT(rig.told(), IsEmpty());
  rig.pass(1);
  EXPECT_THAT(rig.told(), ElementsAre("networks", "Home -50 WPA2 6"));
  rig.dialect.ask_networks();
  rig.hear(R"({"t":"error","msg":"no wifi"})");
  EXPECT_THAT(rig.told(), ElementsAre("networks"));
}

TEST(BleDialect, NetworksWithLyingFieldsAreBounded) {
  Rig rig;
  rig.dialect.ask_networks();
  rig.hear(R"({"t":"scan","ssid":5,"rssi":"x"})");
  rig.hear(R"({"t":"scan","ssid":")" + std::string(33, 's') + R"(","rssi":-1})");
  rig.hear(R"({"t":"scan","ssid":"A","rssi":999999999999,"sec":["WPA2"],"ch":-5})");
  rig.hear(R"({"t":"scan","ssid":"B","rssi":-99999,"sec":")" + std::string(200, 'w') + R"(","ch":70000})");
  for (int i = 0; i < 1'000; ++i) rig.hear(R"({"t":"scan","ssid":"C)" + std::to_string(i) + R"(","rssi":-90,"sec":"WPA2","ch":1})");
  rig.hear(R"({"t":"scan_end"})");
  const auto told = rig.told();
  EXPECT_EQ(told.size(), 1 + networks_max);
  EXPECT_EQ(told[1], "A 0  0");
}

TEST(BleDialect, SettingsGoInSeveralMessagesOfKnownKeys) {
  Rig rig;
  rig.get_info();
  rig.dialect.send_settings({"Home \"5\"", "pass\\word", token_text, "cloud.example", 9443});
  EXPECT_THAT(rig.wrote(),
              ElementsAre(R"({"t":"set","if":"wifi","ssid":"Home \"5\"","pass":"pass\\word","blynk":")" + token_text + R"("})"));
  rig.hear(R"({"t":"set_ok"})");
  EXPECT_THAT(rig.wrote(), ElementsAre(R"({"t":"set","host":"cloud.example"})"));
  rig.hear(R"({"t":"set_ok"})");
  EXPECT_THAT(rig.wrote(), ElementsAre(R"({"t":"set","port":9443})"));
  rig.hear(R"({"t":"set_ok"})");
  EXPECT_THAT(rig.wrote(), ElementsAre(R"({"t":"connect"})"));
  EXPECT_THAT(rig.told(), IsEmpty());
  rig.hear(R"({"t":"connecting"})");
  EXPECT_THAT(rig.told(), ElementsAre("taken"));
}

TEST(BleDialect, ASmallMtuSplitsFieldByField) {
  Rig rig;
  rig.size_max = 20;
  rig.send_all({std::string(31, '\x01'), std::string(64, 'a'), token_text, std::string(33, 'h'), 443});
  const auto wrote = rig.wrote();
  EXPECT_EQ(wrote.size(), 7U);  // if, ssid, pass, blynk, host, port, connect
  Rig roomy;
  roomy.size_max = 514;
  roomy.send_all({std::string(31, '\x01'), std::string(64, 'a'), token_text, std::string(33, 'h'), 443});
  for (const auto& message : roomy.wrote()) EXPECT_LE(message.size(), 240U);  // One field of control characters is longer than the rest.
}

TEST(BleDialect, APortThatADeviceDoesNotKnowIsNoRefusal) {
  Rig rig;
  rig.dialect.send_settings({"Home", "password", token_text, "h", 9443});
  rig.hear(R"({"t":"set_ok"})");
  rig.wrote();
  rig.hear(R"({"t":"set_fail"})");  // Of the port.
  EXPECT_THAT(rig.wrote(), ElementsAre(R"({"t":"connect"})"));
  Rig other;
  other.dialect.send_settings({"Home", "password", token_text, "h", 9443});
  other.hear(R"({"t":"set_fail"})");
  EXPECT_THAT(other.told(), ElementsAre("refused"));
}

TEST(BleDialect, RefusalsHaveTheDevicesWord) {
  Rig rig;
  rig.send_all();
  rig.hear(R"({"t":"connect_fail","msg":"configuration invalid"})");
  EXPECT_THAT(rig.told(), ElementsAre("refused configuration invalid"));
  Rig other;
  other.send_all();
  other.hear(R"({"t":"error","msg":")" + std::string(300, 'm') + R"("})");
  EXPECT_THAT(other.told(), ElementsAre("refused " + std::string(device_text_max_bytes, 'm')));
}

TEST(BleDialect, LiveMessagesBecomeProgress) {
  Rig rig;
  rig.send_all();
  rig.hear(R"({"t":"connecting"})");
  rig.hear(R"({"t":"status","s":"connecting_net"})");
  rig.hear(R"({"t":"net_status","if":"wifi","state":"SCANNING","ssid":"Home","bssid":"x","ip":"192.168.1.7","rssi":-50})");
  rig.hear(R"({"t":"net_status","if":"eth","state":"down"})");
  rig.hear(R"({"t":"status","s":"connecting_cloud"})");
  rig.hear(R"({"t":"status","s":"connected"})");
  EXPECT_THAT(rig.told(), ElementsAre("taken", "joining", "joined 192.168.1.7", "dialing", "stored"));
  Rig lost;  // A device drops a message for which it finds no room.
  lost.send_all();
  lost.hear(R"({"t":"status","s":"connecting_net"})");
  EXPECT_THAT(lost.told(), ElementsAre("taken", "joining"));
}

TEST(BleDialect, FailuresHaveTheirCodes) {
  struct Case {
    std::string message;
    int code;
  };
  for (const auto& wanted :
       {Case{R"({"t":"net_fail","reason":"invalid_credentials"})", 722}, Case{R"({"t":"net_fail","reason":"not_found"})", 720},
        Case{R"({"t":"net_fail","reason":"no_ip_assigned"})", 723}, Case{R"({"t":"net_fail","reason":"timeout"})", 701},
        Case{R"({"t":"net_fail"})", 704}, Case{R"({"t":"net_fail","reason":"of a later version"})", 704},
        Case{R"({"t":"net_fail","reason":{"deep":[1]}})", 704}, Case{R"({"t":"cloud_fail","reason":"auth_failed"})", 703},
        Case{R"({"t":"cloud_fail","reason":"dns_failed"})", 710}, Case{R"({"t":"cloud_fail","reason":"invalid_certificate"})", 711},
        Case{R"({"t":"cloud_fail","reason":"captive_portal"})", 712}, Case{R"({"t":"cloud_fail","reason":"timeout"})", 702},
        Case{R"({"t":"cloud_fail"})", 705}, Case{R"({"t":"connect_fail"})", 700}}) {
    Rig rig;
    rig.send_all();
    rig.hear(R"({"t":"connecting"})");
    rig.told();
    rig.hear(wanted.message);
    EXPECT_THAT(rig.told(), ElementsAre("failed " + std::to_string(wanted.code))) << wanted.message;
  }
}

TEST(BleDialect, AfterACloudFailureTheNetworkIsForgottenFirst) {
  Rig rig;
  rig.send_all();
  rig.hear(R"({"t":"connecting"})");
  rig.hear(R"({"t":"cloud_fail","reason":"timeout"})");
  rig.wrote();
  rig.dialect.send_settings({"Other", "password", token_text, "h", 9443});
  EXPECT_THAT(rig.wrote(), ElementsAre(R"({"t":"reset"})"));
  rig.hear(R"({"t":"reset_ok"})");
  EXPECT_EQ(rig.wrote().size(), 1U);
  rig.dialect.send_settings({"Other", "password", token_text, "h", 9443});
  EXPECT_THAT(rig.wrote(), ElementsAre(::testing::HasSubstr("Other")));  // Once is enough.

  Rig wifi;  // After a failure of the network that is not needed, and would cost a good one.
  wifi.send_all();
  wifi.hear(R"({"t":"connecting"})");
  wifi.hear(R"({"t":"net_fail","reason":"invalid_credentials"})");
  wifi.wrote();
  wifi.dialect.send_settings({"Home", "password", token_text, "h", 9443});
  EXPECT_THAT(wifi.wrote(), ElementsAre(::testing::HasSubstr("Home")));

  Rig cannot;
  cannot.send_all();
  cannot.hear(R"({"t":"cloud_fail"})");
  cannot.wrote();
  cannot.dialect.send_settings({"Other", "password", token_text, "h", 9443});
  cannot.hear(R"({"t":"error","msg":"invalid command"})");
  EXPECT_THAT(cannot.wrote(), ElementsAre(R"({"t":"reset"})", ::testing::HasSubstr("Other")));
  cannot.dialect.on_linked();  // Another device perhaps.
  cannot.dialect.send_settings({"Other", "password", token_text, "h", 9443});
  EXPECT_THAT(cannot.wrote(), ElementsAre(::testing::HasSubstr("Other")));
}

TEST(BleDialect, ForgettingIsAnsweredWhateverTheDeviceSays) {
  for (const char* const answer : {R"({"t":"reset_ok"})", R"({"t":"error","msg":"not now"})"}) {
    Rig rig;
    rig.dialect.forget_networks();
    EXPECT_THAT(rig.wrote(), ElementsAre(R"({"t":"reset"})"));
    rig.hear(answer);
    EXPECT_THAT(rig.told(), ElementsAre("forgot"));
  }
}

TEST(BleDialect, AnswersWithoutAQuestionAndRepeatedOnesChangeNothing) {
  Rig rig;
  for (int i = 0; i < 2; ++i) {
    for (const std::string& text :
         {stock_info, wifi_interface, std::string{R"({"t":"ifs_end"})"}, std::string{R"({"t":"scan_start"})"},
          std::string{R"({"t":"scan","ssid":"X","rssi":-1})"}, std::string{R"({"t":"scan_end"})"}, std::string{R"({"t":"set_ok"})"},
          std::string{R"({"t":"set_fail"})"}, std::string{R"({"t":"reset_ok"})"}, std::string{R"({"t":"connecting"})"},
          std::string{R"({"t":"error","msg":"x"})"}, std::string{R"({"t":"ota_ok"})"}, std::string{R"({"t":"no such word"})"}}) {
      rig.hear(text);
    }
  }
  EXPECT_THAT(rig.told(), IsEmpty());
  EXPECT_THAT(rig.wrote(), IsEmpty());
  rig.send_all();
  rig.hear(R"({"t":"connecting"})");
  rig.hear(R"({"t":"connecting"})");
  EXPECT_THAT(rig.told(), ElementsAre("taken"));
}

TEST(BleDialect, AMessageThatCannotBeSentIsNoAnswerAndACanceledQuestionNone) {
  Rig rig;
  rig.dialect.on_write_failed(rig.now);
  EXPECT_THAT(rig.told(), IsEmpty());
  rig.dialect.ask_info();
  rig.dialect.on_write_failed(rig.now);
  EXPECT_THAT(rig.told(), ElementsAre("no answer"));
  rig.dialect.ask_networks();
  rig.hear(R"({"t":"scan","ssid":"Home","rssi":-50,"sec":"WPA2","ch":6})");
  rig.dialect.cancel();
  rig.pass(10'000);
  rig.hear(R"({"t":"scan_end"})");
  EXPECT_THAT(rig.told(), IsEmpty());
}

}  // namespace
}  // namespace muster::provisioner
