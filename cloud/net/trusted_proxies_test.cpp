// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/trusted_proxies.hpp"

#include <gtest/gtest.h>

#include <string>

namespace muster::net {
namespace {

using Headers = std::vector<api::Header>;

class Proxies : public testing::Test {
 protected:
  std::string client(std::string_view peer, const Headers& headers) const {
    return proxies_.client_of(IpAddress::parse(peer).value(), false, headers).address.text();
  }
  bool secure(std::string_view peer, bool link, const Headers& headers) const {
    return proxies_.client_of(IpAddress::parse(peer).value(), link, headers).secure;
  }
  TrustedProxies proxies_{{IpNetwork::parse("10.0.0.0/8").value(), IpNetwork::parse("2001:db8:1::/48").value()}};
};

TEST_F(Proxies, TheNearestAddressThatIsNoProxyIsTheClient) {
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "203.0.113.9"}}), "203.0.113.9");
  EXPECT_EQ(client("10.0.0.1", {{"x-forwarded-FOR", "203.0.113.9, 10.0.0.2"}}), "203.0.113.9") << "a chain of ours";
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "198.51.100.1, 203.0.113.9,10.0.0.2"}}), "203.0.113.9") << "the first is forged";
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "198.51.100.1"}, {"Accept", "*/*"}, {"X-Forwarded-For", "203.0.113.9"}}), "203.0.113.9")
      << "two fields are one list";
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "203.0.113.9"}, {"X-Forwarded-For", "10.0.0.3"}}), "203.0.113.9");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "10.1.1.1, 10.0.0.2"}}), "10.1.1.1") << "all are ours";
  EXPECT_EQ(client("2001:db8:1::5", {{"X-Forwarded-For", "2001:db8:2::9"}}), "2001:db8:2::9");
}

TEST_F(Proxies, WhoIsNoProxySpeaksForItselfAlone) {
  EXPECT_EQ(client("203.0.113.9", {{"X-Forwarded-For", "198.51.100.1"}}), "203.0.113.9");
  EXPECT_FALSE(secure("203.0.113.9", false, {{"X-Forwarded-Proto", "https"}}));
  EXPECT_EQ(client("11.0.0.1", {{"X-Forwarded-For", "198.51.100.1"}}), "11.0.0.1");
  const TrustedProxies none;
  EXPECT_EQ(none.client_of(IpAddress::parse("10.0.0.1").value(), true, {{"X-Forwarded-For", "198.51.100.1"}}).address.text(), "10.0.0.1");
}

TEST_F(Proxies, WhatCannotBeReadEndsTheList) {
  EXPECT_EQ(client("10.0.0.1", {}), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", ""}}), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "unknown"}}), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "198.51.100.1, nonsense, 10.0.0.2"}}), "10.0.0.2");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "198.51.100.1,, 10.0.0.2"}}), "10.0.0.2");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "["}}), "10.0.0.1");
  std::string endless = "198.51.100.1";
  for (std::size_t i = 0; i < TrustedProxies::hops_max; ++i) endless += ", 10.0.0.2";
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", endless}}), "10.0.0.2");
}

TEST_F(Proxies, PortsAreLeftOut) {
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "203.0.113.9:4711"}}), "203.0.113.9");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "[2001:db8:2::9]:4711"}}), "2001:db8:2::9");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "[2001:db8:2::9]"}}), "2001:db8:2::9");
}

TEST_F(Proxies, TheNearestProxySaysWhetherTheClientsLinkIsEncrypted) {
  EXPECT_TRUE(secure("10.0.0.1", false, {{"X-Forwarded-Proto", "HTTPS"}}));
  EXPECT_FALSE(secure("10.0.0.1", true, {{"X-Forwarded-Proto", "http"}}));
  EXPECT_FALSE(secure("10.0.0.1", true, {{"X-Forwarded-Proto", "https, http"}}));
  EXPECT_TRUE(secure("10.0.0.1", true, {{"X-Forwarded-Proto", "gopher"}}));
  EXPECT_TRUE(secure("10.0.0.1", true, {}));
}

}  // namespace
}  // namespace muster::net
