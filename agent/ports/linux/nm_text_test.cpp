// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/nm_text.hpp"

#include <gtest/gtest.h>

namespace muster::agent::linux_port {
namespace {

// As NetworkManager 1.42 told them of real routers (hostapd): pairwise and group ciphers in the low byte, key management above.
constexpr std::uint32_t psk_ccmp = 0x188, sae_ccmp = 0x488, psk_sae_ccmp = 0x588, psk_tkip = 0x144, enterprise_ccmp = 0x288,
                        owe_ccmp = 0x888;

TEST(NmText, TellsTheSecurityOfAnAccessPoint) {
  EXPECT_EQ(nm_security(0, 0, 0), NetworkSecurity::open);
  EXPECT_EQ(nm_security(0, 0, 0x1000), NetworkSecurity::open);
  EXPECT_EQ(nm_security(1, 0, 0), NetworkSecurity::wep);
  EXPECT_EQ(nm_security(1, psk_tkip, 0), NetworkSecurity::wpa);
  EXPECT_EQ(nm_security(1, 0, psk_ccmp), NetworkSecurity::wpa2);
  EXPECT_EQ(nm_security(1, psk_tkip, psk_ccmp), NetworkSecurity::wpa_wpa2);
  EXPECT_EQ(nm_security(1, 0, sae_ccmp), NetworkSecurity::wpa3);
  EXPECT_EQ(nm_security(1, 0, psk_sae_ccmp), NetworkSecurity::wpa2_wpa3);
  EXPECT_EQ(nm_security(1, 0, owe_ccmp), NetworkSecurity::owe);
  EXPECT_EQ(nm_security(1, 0, enterprise_ccmp), NetworkSecurity::enterprise);
  EXPECT_EQ(nm_security(1, 0, 0x2088), NetworkSecurity::enterprise);
  EXPECT_EQ(nm_security(1, 0, 0x88), NetworkSecurity::unknown);
}

TEST(NmText, TellsTheSignal) {
  EXPECT_EQ(nm_rssi_dbm(100), -40);
  EXPECT_EQ(nm_rssi_dbm(50), -70);
  EXPECT_EQ(nm_rssi_dbm(0), -100);
  EXPECT_EQ(nm_rssi_dbm(255), -40);
  EXPECT_EQ(nm_rssi_dbm(-1), -100);
}

TEST(NmText, TellsWhyAJoinFailed) {
  EXPECT_EQ(nm_join_failure(7), JoinFailure::wrong_password);
  EXPECT_EQ(nm_join_failure(53), JoinFailure::not_found);
  EXPECT_EQ(nm_join_failure(11), JoinFailure::timeout);
  for (const std::uint32_t reason : {5U, 6U, 15U, 16U, 17U}) EXPECT_EQ(nm_join_failure(reason), JoinFailure::no_address) << reason;
  for (const std::uint32_t reason : {0U, 4U, 8U, 10U, 36U, 1000U}) EXPECT_EQ(nm_join_failure(reason), JoinFailure::other) << reason;
}

TEST(NmText, KnowsARefusedKeyFromOneThatIsBeingFetched) {
  EXPECT_FALSE(nm_key_refused(NmState::need_auth, 0));
  EXPECT_TRUE(nm_key_refused(NmState::need_auth, 8));
  EXPECT_TRUE(nm_key_refused(NmState::need_auth, 7));
  EXPECT_FALSE(nm_key_refused(NmState::config, 8));
  EXPECT_FALSE(nm_key_refused(NmState::failed, 8));
}

TEST(NmText, ChoosesTheKeyManagement) {
  const std::string digits(64, 'a');
  EXPECT_EQ(nm_key_management(NetworkSecurity::open, ""), "");
  EXPECT_EQ(nm_key_management(NetworkSecurity::owe, ""), "owe");
  EXPECT_EQ(nm_key_management(NetworkSecurity::wpa2, "12345678"), "wpa-psk");
  EXPECT_EQ(nm_key_management(NetworkSecurity::wpa2, digits), "wpa-psk");
  EXPECT_EQ(nm_key_management(NetworkSecurity::wpa2_wpa3, "12345678"), "wpa-psk");
  EXPECT_EQ(nm_key_management(NetworkSecurity::wpa3, "12345678"), "sae");
  EXPECT_EQ(nm_key_management(NetworkSecurity::open, "12345678"), std::nullopt);
  EXPECT_EQ(nm_key_management(NetworkSecurity::wpa2, ""), std::nullopt);
  EXPECT_EQ(nm_key_management(NetworkSecurity::wpa2, "1234567"), std::nullopt);
  EXPECT_EQ(nm_key_management(NetworkSecurity::wpa2, std::string(64, 'x')), std::nullopt);
  for (const NetworkSecurity other : {NetworkSecurity::wep, NetworkSecurity::enterprise, NetworkSecurity::unknown})
    EXPECT_EQ(nm_key_management(other, "12345678"), std::nullopt);
}

TEST(NmText, CountsTheBitsOfAMask) {
  EXPECT_EQ(nm_prefix(0xFFFFFF00U), 24U);
  EXPECT_EQ(nm_prefix(0xFFFFFFFFU), 32U);
  EXPECT_EQ(nm_prefix(0x80000000U), 1U);
  EXPECT_EQ(nm_prefix(0), 0U);
  EXPECT_EQ(nm_prefix(0xFF00FF00U), std::nullopt);
  EXPECT_EQ(nm_prefix(0x000000FFU), std::nullopt);
}

TEST(NmText, KeepsEveryByteOfAName) {
  const std::string name{"\0\xff\"'\n", 5};
  EXPECT_EQ(nm_text(nm_bytes(name)), name);
  EXPECT_EQ(nm_bytes(name).size(), 5U);
}

}  // namespace
}  // namespace muster::agent::linux_port
