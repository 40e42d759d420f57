// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/dhcp.hpp"

#include <gtest/gtest.h>

#include "agent/ports/linux/wpa_system.hpp"

namespace muster::agent::linux_port {
namespace {

constexpr std::uint8_t mac_a[6] = {2, 0, 0, 0, 0, 1};
constexpr std::uint8_t mac_b[6] = {2, 0, 0, 0, 0, 2};

wire::ByteView view(const std::vector<std::uint8_t>& bytes) { return {bytes.data(), bytes.size()}; }

/// Lets both talk until the client is bound or has nothing to say.
void converse(DhcpClient& client, DhcpServer& server, Millis now) {
  for (auto message = client.take_message(); !message.empty(); message = client.take_message()) {
    client.on_message(view(server.on_message(view(message), now)), now);
  }
}

TEST(Dhcp, AClientGetsAnAddressFromTheServerAndKeepsItAnotherDay) {
  DhcpServer server;
  DhcpClient client;
  client.start(mac_a, 0x1234, "lamp", 0);
  EXPECT_EQ(client.state(), DhcpClient::State::selecting);
  converse(client, server, 0);
  ASSERT_EQ(client.state(), DhcpClient::State::bound);
  EXPECT_EQ(client.lease().address, 0xC0A80402U);
  EXPECT_EQ(client.lease().mask, 0xFFFFFF00U);
  EXPECT_EQ(client.lease().gateway, 0xC0A80401U);
  EXPECT_EQ(client.lease().dns, 0xC0A80401U);
  DhcpClient other;
  other.start(mac_b, 7, {}, 10);
  converse(other, server, 10);
  EXPECT_EQ(other.lease().address, 0xC0A80403U);
  client.start(mac_a, 99, "lamp", 20);
  converse(client, server, 20);
  EXPECT_EQ(client.lease().address, 0xC0A80402U);
}

TEST(Dhcp, ALeaseIsRenewedAtHalfItsTimeAndLostAtItsEnd) {
  DhcpServer server;
  DhcpClient client;
  client.start(mac_a, 1, {}, 0);
  converse(client, server, 0);
  EXPECT_EQ(client.next_deadline(), 1800'000U);
  client.on_timer(1800'000);
  EXPECT_EQ(client.state(), DhcpClient::State::renewing);
  converse(client, server, 1800'000);
  EXPECT_EQ(client.state(), DhcpClient::State::bound);
  EXPECT_EQ(client.next_deadline(), 3600'000U);
  while (client.state() == DhcpClient::State::bound || client.state() == DhcpClient::State::renewing)
    client.on_timer(client.next_deadline());
  EXPECT_EQ(client.state(), DhcpClient::State::lost);
}

TEST(Dhcp, AClientAsksAgainWhenNobodyAnswersAndStartsOverWhenItIsRefused) {
  DhcpServer server;
  DhcpClient client;
  client.start(mac_a, 1, {}, 0);
  int messages = 0;
  Millis now = 0;
  for (; now < 10'000; now = client.next_deadline(), client.on_timer(now)) messages += client.take_message().empty() ? 0 : 1;
  EXPECT_GE(messages, 4);
  EXPECT_LE(messages, 8);
  // The request is for an address that the server, which was restarted, knows nothing of.
  client.on_message(view(server.on_message(view(client.take_message()), now)), now);
  ASSERT_EQ(client.state(), DhcpClient::State::requesting);
  server.clear();
  client.on_message(view(server.on_message(view(client.take_message()), now)), now);
  ASSERT_EQ(client.state(), DhcpClient::State::selecting);
  client.on_timer(client.next_deadline());
  converse(client, server, now + 1000);
  EXPECT_EQ(client.state(), DhcpClient::State::bound);
}

TEST(Dhcp, AnswersForOthersAreNotTaken) {
  DhcpServer server;
  DhcpClient client;
  client.start(mac_a, 1, {}, 0);
  const auto mine = client.take_message();
  auto offer = server.on_message(view(mine), 0);
  auto other_transaction = offer, other_mac = offer, no_cookie = offer, other_operation = offer;
  other_transaction[7] ^= 1;
  other_mac[33] ^= 1;
  no_cookie[236] ^= 1;
  other_operation[0] = 1;
  for (const auto& wrong : {other_transaction, other_mac, no_cookie, other_operation}) {
    client.on_message(view(wrong), 0);
    EXPECT_EQ(client.state(), DhcpClient::State::selecting);
  }
  for (std::size_t size = 0; size < 240; ++size) client.on_message({offer.data(), size}, 0);
  EXPECT_EQ(client.state(), DhcpClient::State::selecting);
  client.on_message(view(offer), 0);
  EXPECT_EQ(client.state(), DhcpClient::State::requesting);
}

TEST(Dhcp, TheServersPlacesAreLimitedAndFreedWithTime) {
  DhcpServer server;
  const auto get = [&](std::uint8_t number, Millis now) {
    DhcpClient client;
    const std::uint8_t mac[6] = {2, 0, 0, 0, 1, number};
    client.start(mac, number, {}, now);
    converse(client, server, now);
    return client.state() == DhcpClient::State::bound ? client.lease().address : 0;
  };
  for (std::uint8_t i = 0; i < DhcpServer::leases_max; ++i) EXPECT_EQ(get(i, i), 0xC0A80402U + i);
  EXPECT_EQ(get(100, 1000), 0U);
  EXPECT_EQ(get(101, Millis{DhcpServer::lease_s} * 1000 + 50), 0xC0A80402U);
}

TEST(Dhcp, APacketCarriesTheMessageAndOnlyWholeOnesAreOpened) {
  DhcpClient client;
  client.start(mac_a, 1, {}, 0);
  const auto message = client.take_message();
  auto packet = packet_with_dhcp(message);
  EXPECT_TRUE(dhcp_in_packet(view(packet)).empty());  // It is for the server's port.
  packet[23] = 68;
  const wire::ByteView opened = dhcp_in_packet(view(packet));
  EXPECT_EQ(std::vector<std::uint8_t>(opened.begin(), opened.end()), message);
  for (std::size_t size = 0; size < packet.size(); ++size) EXPECT_TRUE(dhcp_in_packet({packet.data(), size}).empty());
  auto fragment = packet;
  fragment[7] = 1;
  EXPECT_TRUE(dhcp_in_packet(view(fragment)).empty());
  // The header's sum with itself is all ones.
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 20; i += 2) sum += static_cast<std::uint32_t>(packet[i] << 8 | packet[i + 1]);
  EXPECT_EQ((sum & 0xFFFF) + (sum >> 16), 0xFFFFU);
}

}  // namespace
}  // namespace muster::agent::linux_port
