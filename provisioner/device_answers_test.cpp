// SPDX-License-Identifier: Apache-2.0
#include "provisioner/device_answers.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace muster::provisioner {
namespace {

TEST(DeviceInfo, TellsTheDialect) {
  DeviceInfo info;
  ASSERT_TRUE(parse_device_info(
      R"({"board":"Lamp","tmpl_id":"TMPL1","fw_type":"TMPL1","fw_ver":"1.2","ssid":"Blynk Lamp-N1A9","bssid":"x","mac":"y","last_error":701,"wifi_scan":true,"static_ip":true})",
      info));
  EXPECT_EQ(info.dialect, Dialect::g1);
  EXPECT_EQ(info.name, "Blynk Lamp-N1A9");
  EXPECT_EQ(info.template_id, "TMPL1");
  EXPECT_EQ(info.template_name, "Lamp");
  EXPECT_EQ(info.last_error, 701);
  ASSERT_TRUE(parse_device_info(
      R"({"vendor":"Blynk","tmpl_id":"TMPL1","fw_type":"a","fw_ver":"1","name":"Blynk \u00fc","uid":"u-1","bssid":"x","last_error":0,"ifs":[{"name":"wifi","mac":"x","scan":1}]})",
      info));
  EXPECT_EQ(info.dialect, Dialect::g2);
  EXPECT_EQ(info.name, "Blynk \xc3\xbc");
  EXPECT_EQ(info.uid, "u-1");
  EXPECT_EQ(info.last_error, 0);
  ASSERT_TRUE(
      parse_device_info(R"({"board":"Lamp","tmpl_id":"TMPL1","name":"N","ssid":"N","wifi_scan":true,"last_error":-5,"ifs":[]})", info));
  EXPECT_EQ(info.dialect, Dialect::muster);
  EXPECT_EQ(info.last_error, 0);
}

TEST(DeviceInfo, OfTheFirstGenerationMayHoldQuotesThatBreakJson) {
  DeviceInfo info;
  ASSERT_TRUE(parse_device_info(
      R"({"board":"The "big" lamp","tmpl_id":"TMPL1","ssid":"Blynk The "big" lamp-N1A9","wifi_scan":true,"last_error":0})", info));
  EXPECT_EQ(info.template_name, "The \"big\" lamp");
  EXPECT_EQ(info.name, "Blynk The \"big\" lamp-N1A9");
}

TEST(DeviceInfo, OfNoDeviceOrAHostileOneIsRefused) {
  DeviceInfo info;
  for (const std::string& text :
       {std::string{}, std::string{"{}"}, std::string{"[]"}, std::string{"<html>"}, std::string{R"({"tmpl_id":"TMPL1"})"},
        std::string{R"({"tmpl_id":"other","ssid":"x"})"}, R"({"tmpl_id":"TMPL1","ssid":")" + std::string(65, 'x') + R"("})",
        std::string(100'000, '{'), std::string(100'000, '['),
        R"({"tmpl_id":"TMPL1","ifs":)" + std::string(50, '[') + std::string(50, ']') + "}"}) {
    EXPECT_FALSE(parse_device_info(text, info)) << text.substr(0, 80);
  }
  std::string many = "{";
  for (int i = 0; i < 10'000; ++i) many += "\"ssid\":\"x\",";
  EXPECT_FALSE(parse_device_info(many + "\"tmpl_id\":\"TMPL1\"}", info));
}

TEST(DeviceInfo, SaysThatItIsBusyOnlyWhenItIs) {
  DeviceInfo info;
  const std::string rest = R"("tmpl_id":"TMPL1","name":"N","ssid":"N","wifi_scan":true,"ifs":[]})";
  ASSERT_TRUE(parse_device_info("{" + rest, info));
  EXPECT_FALSE(info.busy);
  ASSERT_TRUE(parse_device_info(R"({"busy":1,)" + rest, info));
  EXPECT_TRUE(info.busy);
  ASSERT_TRUE(parse_device_info(R"({"busy":0,)" + rest, info));
  EXPECT_FALSE(info.busy);
}

TEST(DeviceTexts, AreCutBetweenCharacters) {
  EXPECT_EQ(cut_text("abc", 3), "abc");
  EXPECT_EQ(cut_text("abcd", 3), "abc");
  EXPECT_EQ(cut_text("ab\xc3\xbc", 3), "ab");
  EXPECT_EQ(cut_text("a\xe6\xb8\xa9", 3), "a");
  EXPECT_EQ(cut_text("\xf0\x9f\x8f\xa0", 3), "");
  EXPECT_EQ(cut_text("\xf0\x9f\x8f\xa0z", 4), "\xf0\x9f\x8f\xa0");
  EXPECT_EQ(cut_text(std::string(9, '\x80'), 6), std::string(6, '\x80'));  // No text at all.
  std::string umlauts = "x";
  for (int i = 0; i < 40; ++i) umlauts += "\xc3\xbc";
  std::string message;
  EXPECT_FALSE(parse_config_answer(500, R"({"status":"error","msg":")" + umlauts + R"("})", message));
  EXPECT_EQ(message, umlauts.substr(0, 63));
}

std::vector<std::string> names(const std::vector<SeenNetwork>& networks) {
  std::vector<std::string> found;
  for (const auto& network : networks) found.push_back(network.ssid);
  return found;
}

TEST(Networks, AreSortedWithoutDoublesAndNameless) {
  std::vector<SeenNetwork> networks;
  ASSERT_TRUE(parse_networks(
      R"([{"ssid":"far","bssid":"x","rssi":-80,"sec":"WPA2","ch":1},{"ssid":"","rssi":-20,"sec":"OPEN","ch":1},{"ssid":"near","rssi":-40,"sec":"OPEN","ch":300},
          {"ssid":"far","rssi":-50,"sec":"WPA3","ch":6},{"ssid":"123456789012345678901234567890123","rssi":-1}])",
      networks));
  EXPECT_EQ(names(networks), (std::vector<std::string>{"near", "far"}));
  EXPECT_TRUE(networks[0].open());
  EXPECT_EQ(networks[0].channel, 255);
  EXPECT_EQ(networks[1].rssi_dbm, -50);
  EXPECT_FALSE(networks[1].open());
  ASSERT_TRUE(parse_networks("[]", networks));
  EXPECT_TRUE(networks.empty());
}

TEST(Networks, WithQuotesInTheirNamesAreReadAllTheSame) {
  std::vector<SeenNetwork> networks;
  ASSERT_TRUE(parse_networks(
      R"([{"ssid":"Bob"s "place"","bssid":"x","rssi":-40,"sec":"WPA2","ch":1},{"ssid":"Ann","bssid":"y","rssi":-50,"sec":"OPEN","ch":2}])",
      networks));
  EXPECT_EQ(names(networks), (std::vector<std::string>{"Bob\"s \"place\"", "Ann"}));
  ASSERT_TRUE(
      parse_networks("[{\"ssid\":\"tab\there\",\"rssi\":-40,\"sec\":\"WPA2\"}]", networks));  // A raw control character is no JSON either.
  EXPECT_EQ(names(networks), (std::vector<std::string>{"tab\there"}));
}

TEST(Networks, OfAHostileDeviceAreBounded) {
  std::vector<SeenNetwork> networks;
  std::string many = "[";
  for (int i = 0; i < 250; ++i) many += (i == 0 ? "" : ",") + std::string{R"({"ssid":"n)"} + std::to_string(i) + R"(","rssi":-50})";
  ASSERT_TRUE(parse_networks(many + "]", networks));
  EXPECT_EQ(networks.size(), networks_max);
  for (const std::string& text : {std::string{"{}"}, std::string{"x"}, std::string{}, std::string(70'000, '['), std::string{"[1]"}}) {
    EXPECT_FALSE(parse_networks(text, networks)) << text.substr(0, 50);
  }
}

TEST(ConfigAnswer, SaysWhetherTheSettingsWereTaken) {
  std::string message;
  EXPECT_TRUE(parse_config_answer(200, R"({"status":"ok","msg":"Trying to connect..."})", message));
  EXPECT_EQ(message, "Trying to connect...");
  EXPECT_FALSE(parse_config_answer(500, R"({"status":"error","msg":"Configuration invalid"})", message));
  EXPECT_EQ(message, "Configuration invalid");
  EXPECT_FALSE(parse_config_answer(200, R"({"status":"error"})", message));
  EXPECT_TRUE(parse_config_answer(200, "<html>", message));
  EXPECT_TRUE(message.empty());
}

}  // namespace
}  // namespace muster::provisioner
