// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/wpa_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::agent::linux_port {
namespace {

using testing::Contains;
using testing::Each;
using testing::IsEmpty;
using testing::Not;

TEST(WpaText, APageOfNetworksIsReadAndTellsWhereTheNextBegins) {
  const auto page = parse_bss_page(
      "id=3\nbssid=02:00:00:00:00:0a\nfreq=2437\nlevel=-30\nflags=[WPA2-SAE-CCMP][ESS]\nssid=Caf\\xc3\\xa9 \\\"1\\\" \\\\\n====\n"
      "id=5\nbssid=02:00:00:00:00:0b\nfreq=5180\nlevel=-71\nflags=[ESS]\nssid=\n====\n"
      "id=6\nbssid=02:00:00:00:00:0c\nfreq=54",
      0);
  ASSERT_EQ(page.networks.size(), 2U);
  EXPECT_EQ(page.networks[0].ssid, "Caf\xc3\xa9 \"1\" \\");
  EXPECT_EQ(page.networks[0].bssid[5], 0x0a);
  EXPECT_EQ(page.networks[0].frequency_mhz, 2437);
  EXPECT_EQ(page.networks[0].rssi_dbm, -30);
  EXPECT_EQ(page.networks[0].security, NetworkSecurity::wpa3);
  EXPECT_EQ(page.networks[1].ssid, "");
  EXPECT_EQ(page.networks[1].security, NetworkSecurity::open);
  EXPECT_FALSE(page.last);
  EXPECT_EQ(page.next_id, 6U);
  EXPECT_TRUE(parse_bss_page("", 6).last);
  EXPECT_TRUE(parse_bss_page("id=9\nbssid=02:00:00:00:00:0a\nfreq=2437\nlevel=1\nflags=\nssid=x\n####\n", 6).last);
}

TEST(WpaText, APageThatLeadsNowhereIsTheLast) {
  EXPECT_TRUE(parse_bss_page("id=2\nssid=x\n====\n", 7).last);
  EXPECT_TRUE(parse_bss_page("id=4294967295\nssid=x\n====\n", 7).last);
  EXPECT_TRUE(parse_bss_page("FAIL\n", 0).last);
}

TEST(WpaText, AnSsidCannotPretendToBeAnotherLine) {
  const auto page =
      parse_bss_page("id=1\nbssid=02:00:00:00:00:0a\nfreq=2437\nlevel=-1\nflags=[WPA2-PSK-CCMP][ESS]\nssid=a\\n====\\nflags=\n####\n", 0);
  ASSERT_EQ(page.networks.size(), 1U);
  EXPECT_EQ(page.networks[0].ssid, "a\n====\nflags=");
  EXPECT_EQ(page.networks[0].security, NetworkSecurity::wpa2);
  EXPECT_THAT(parse_bss_page("id=1\nbssid=02:00:00:00:00:0a\nfreq=2437\nflags=\nssid=" + std::string(33, 'x') + "\n####\n", 0).networks,
              IsEmpty());
  EXPECT_EQ(parse_bss_page("id=1\nbssid=02:00:00:00:00:0a\nfreq=2437\nflags=\nssid=\\x00\\x00\n####\n", 0).networks.at(0).ssid, "");
}

TEST(WpaText, FlagsTellTheSecurity) {
  const std::pair<const char*, NetworkSecurity> cases[] = {
      {"[ESS]", NetworkSecurity::open},
      {"[WEP][ESS]", NetworkSecurity::wep},
      {"[WPA-PSK-TKIP][ESS]", NetworkSecurity::wpa},
      {"[WPA2-PSK-CCMP][WPS][ESS]", NetworkSecurity::wpa2},
      {"[WPA2-PSK-SHA256-CCMP][ESS]", NetworkSecurity::wpa2},
      {"[WPA-PSK-CCMP+TKIP][WPA2-PSK-CCMP+TKIP][ESS]", NetworkSecurity::wpa_wpa2},
      {"[WPA2-SAE-CCMP][SAE-H2E][ESS]", NetworkSecurity::wpa3},
      {"[WPA2-PSK+SAE-CCMP][ESS]", NetworkSecurity::wpa2_wpa3},
      {"[WPA2-PSK+FT/SAE-CCMP][ESS]", NetworkSecurity::wpa2_wpa3},
      {"[WPA2-OWE-CCMP][ESS]", NetworkSecurity::owe},
      {"[WPA2-EAP-CCMP][ESS]", NetworkSecurity::enterprise},
      {"[WPA2-EAP-SUITE-B-192-GCMP-256][ESS]", NetworkSecurity::enterprise},
      {"[WPA2--CCMP][ESS]", NetworkSecurity::unknown},
  };
  for (const auto& [flags, security] : cases) EXPECT_EQ(wpa_security(flags), security) << flags;
}

TEST(WpaText, FrequenciesAreChannels) {
  EXPECT_EQ(channel_of(2412), 1);
  EXPECT_EQ(channel_of(2472), 13);
  EXPECT_EQ(channel_of(2484), 14);
  EXPECT_EQ(channel_of(5180), 36);
  EXPECT_EQ(channel_of(5955), 1);
  EXPECT_EQ(channel_of(0), 0);
}

TEST(WpaText, BrokenEscapesAreNoText) {
  for (const char* const text : {"\\", "\\x", "\\x1", "\\xg0", "\\q"}) EXPECT_FALSE(unescape(text)) << text;
  EXPECT_EQ(unescape("\\e\\t\\r\\n\\x7f"), "\033\t\r\n\x7f");
}

TEST(WpaText, TheKeyIsThatOfTheStandardsExample) {
  // IEEE 802.11, annex J.4.2.
  EXPECT_EQ(wpa_key("IEEE", "password"), "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e");
}

TEST(WpaText, SettingsFitTheNetwork) {
  const auto wpa2 = wpa_network_settings("IEEE", "password", NetworkSecurity::wpa2, 2437);
  EXPECT_THAT(wpa2, Contains("ssid 49454545"));
  EXPECT_THAT(wpa2, Contains("scan_ssid 1"));
  EXPECT_THAT(wpa2, Contains("scan_freq 2437"));
  EXPECT_THAT(wpa2, Contains("psk f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"));
  const auto wpa3 = wpa_network_settings("IEEE", "pass\"\nword", NetworkSecurity::wpa3, 0);
  EXPECT_THAT(wpa3, Contains("sae_password 70617373220a776f7264"));
  EXPECT_THAT(wpa3, Contains("ieee80211w 2"));
  EXPECT_THAT(wpa_network_settings("x", "", NetworkSecurity::open, 0), Contains("key_mgmt NONE"));
  const std::string raw(64, 'a');
  EXPECT_THAT(wpa_network_settings("x", raw, NetworkSecurity::wpa2, 0), Contains("psk " + raw));
  EXPECT_THAT(wpa_network_settings("x", raw, NetworkSecurity::wpa2_wpa3, 0), Contains("key_mgmt WPA-PSK WPA-PSK-SHA256"));
}

TEST(WpaText, NoByteOfNameOrPasswordReachesTheCommandAsItIs) {
  std::string ssid, password;
  for (int i = 1; i <= 32; ++i) ssid += static_cast<char>(i);
  for (int i = 0; i < 63; ++i) password += static_cast<char>(i % 2 == 0 ? '\n' : '"');
  for (const NetworkSecurity security : {NetworkSecurity::wpa2, NetworkSecurity::wpa3, NetworkSecurity::wpa2_wpa3}) {
    const auto settings = wpa_network_settings(ssid, password, security, 0);
    EXPECT_THAT(settings, Not(IsEmpty()));
    EXPECT_THAT(settings, Each(Not(testing::ContainsRegex("[^a-zA-Z0-9_ -]"))));
  }
}

TEST(WpaText, WhatCannotBeJoinedHasNoSettings) {
  EXPECT_THAT(wpa_network_settings("", "", NetworkSecurity::open, 0), IsEmpty());
  EXPECT_THAT(wpa_network_settings(std::string(33, 'x'), "", NetworkSecurity::open, 0), IsEmpty());
  EXPECT_THAT(wpa_network_settings("x", "", NetworkSecurity::wpa2, 0), IsEmpty());
  EXPECT_THAT(wpa_network_settings("x", "password", NetworkSecurity::open, 0), IsEmpty());
  EXPECT_THAT(wpa_network_settings("x", "1234567", NetworkSecurity::wpa2, 0), IsEmpty());
  EXPECT_THAT(wpa_network_settings("x", std::string(64, 'z'), NetworkSecurity::wpa2, 0), IsEmpty());
  EXPECT_THAT(wpa_network_settings("x", "password", NetworkSecurity::enterprise, 0), IsEmpty());
}

TEST(WpaText, EventsAreToldFromAnswersAndRead) {
  EXPECT_FALSE(parse_wpa_event("OK"));
  EXPECT_FALSE(parse_wpa_event("<"));
  const auto wrong = parse_wpa_event("<3>CTRL-EVENT-SSID-TEMP-DISABLED id=4 ssid=\"x\" auth_failures=1 duration=10 reason=WRONG_KEY");
  ASSERT_TRUE(wrong);
  EXPECT_EQ(wrong->kind, WpaEventKind::temporarily_disabled);
  EXPECT_EQ(wrong->network_id, 4);
  EXPECT_EQ(wrong->reason, "WRONG_KEY");
  EXPECT_EQ(
      parse_wpa_event("<3>CTRL-EVENT-SSID-TEMP-DISABLED id=4 ssid=\"a reason=WRONG_KEY\" auth_failures=1 duration=10 reason=CONN_FAILED")
          ->reason,
      "CONN_FAILED");
  const auto up = parse_wpa_event("<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:00:01 completed [id=7 id_str=]");
  EXPECT_EQ(up->kind, WpaEventKind::connected);
  EXPECT_EQ(up->network_id, 7);
  EXPECT_EQ(up->bssid[5], 1);
  const auto refused = parse_wpa_event("<3>CTRL-EVENT-AUTH-REJECT 02:00:00:00:00:00 auth_type=3 auth_transaction=2 status_code=1");
  EXPECT_EQ(refused->kind, WpaEventKind::auth_rejected);
  EXPECT_EQ(refused->auth_type, 3);
  EXPECT_EQ(refused->status, 1);
  EXPECT_EQ(parse_wpa_event("<3>CTRL-EVENT-SCAN-RESULTS ")->kind, WpaEventKind::scan_results);
  EXPECT_EQ(parse_wpa_event("<3>CTRL-EVENT-SCAN-RESULTS-OF-ANOTHER")->kind, WpaEventKind::other);
  EXPECT_EQ(parse_wpa_event("<3>CTRL-EVENT-NETWORK-NOT-FOUND ")->kind, WpaEventKind::network_not_found);
  EXPECT_EQ(parse_wpa_event("<3>AP-ENABLED ")->kind, WpaEventKind::ap_enabled);
  EXPECT_EQ(parse_wpa_event("<3>AP-STA-CONNECTED 02:00:00:00:02:00")->bssid[4], 2);
  EXPECT_EQ(parse_wpa_event("<3>AP-CSA-FINISHED freq=2437 dfs=0")->frequency_mhz, 2437);
}

}  // namespace
}  // namespace muster::agent::linux_port
