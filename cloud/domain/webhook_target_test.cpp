// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/webhook_target.hpp"

#include <gtest/gtest.h>

namespace muster::domain {
namespace {

std::string_view refusal(const WebhookTargets& targets, std::string_view address) {
  const auto parsed = IpAddress::parse(address);
  EXPECT_TRUE(parsed) << address;
  return parsed ? targets.refusal(*parsed) : "unreadable";
}

TEST(WebhookTargets, AddressesOfThePublicInternetAreFine) {
  const WebhookTargets targets;
  for (const auto* address : {"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
                              "128.0.0.1", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255",
                              "192.169.0.0", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001:831::200e", "::ffff:8.8.8.8"})
    EXPECT_EQ(refusal(targets, address), "") << address;
}

TEST(WebhookTargets, EveryRangeThatIsNotIsRefusedAtBothEnds) {
  const WebhookTargets targets;
  for (const auto* address : {"127.0.0.1",
                              "127.255.255.255",
                              "::1",
                              "::ffff:127.0.0.1",
                              "0.0.0.0",
                              "0.255.255.255",
                              "::",
                              "10.0.0.0",
                              "10.255.255.255",
                              "172.16.0.0",
                              "172.31.255.255",
                              "192.168.0.0",
                              "192.168.255.255",
                              "::ffff:10.1.2.3",
                              "fc00::",
                              "fdff:ffff::1",
                              "fd00:ec2::254",
                              "fec0::1",
                              "169.254.0.0",
                              "169.254.169.254",
                              "::ffff:169.254.169.254",
                              "fe80::1",
                              "febf::1",
                              "168.63.129.16",
                              "100.64.0.0",
                              "100.100.100.200",
                              "100.127.255.255",
                              "::7f00:1",
                              "64:ff9b::7f00:1",
                              "64:ff9b:1::1",
                              "2002:7f00:1::",
                              "2001::1",
                              "192.88.99.1",
                              "224.0.0.1",
                              "239.255.255.255",
                              "240.0.0.1",
                              "255.255.255.255",
                              "ff02::1",
                              "192.0.0.192",
                              "198.18.0.1",
                              "198.19.255.255",
                              "100::1",
                              "192.0.2.1",
                              "198.51.100.1",
                              "203.0.113.1",
                              "2001:db8::1",
                              "2001:2::1",
                              "3fff::1",
                              "5f00::1"})
    EXPECT_NE(refusal(targets, address), "") << address;
}

TEST(WebhookTargets, TheOperatorMayAllowANetworkAndNoMoreThanThat) {
  const WebhookTargets targets{{*IpNetwork::parse("10.1.0.0/16")}};
  EXPECT_EQ(refusal(targets, "10.1.2.3"), "");
  EXPECT_EQ(refusal(targets, "::ffff:10.1.2.3"), "");
  EXPECT_EQ(refusal(targets, "10.2.0.1"), "a private network");
}

}  // namespace
}  // namespace muster::domain
