// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/ip_address.hpp"

#include <gtest/gtest.h>

namespace muster {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

TEST(IpAddress, ParsesAndPrintsBothFamilies) {
  EXPECT_EQ(ip("192.168.1.20").text(), "192.168.1.20");
  EXPECT_EQ(ip("2001:DB8:0::1").text(), "2001:db8::1");
  EXPECT_EQ(ip("::ffff:10.0.0.1").text(), "10.0.0.1");
  EXPECT_EQ(ip("::ffff:10.0.0.1"), ip("10.0.0.1"));
  EXPECT_EQ(IpAddress::from_v4(0x7f000001), ip("127.0.0.1"));
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
  for (const std::string_view text :
       {"", "1", "1.2.3", "1.2.3.256", "1.2.3.4 ", "fe80::1%eth0", "[::1]", "localhost",
        ":::", "1111:2222:3333:4444:5555:6666:7777:8888:9999", "0000000000000000000000000000000000000000000000000001"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view{"1.2.3.4\0", 8}));
}

TEST(IpAddress, KnowsItsFamily) {
  EXPECT_TRUE(ip("1.2.3.4").is_v4());
  EXPECT_FALSE(ip("::1").is_v4());
  EXPECT_FALSE(ip("::1.2.3.4").is_v4());
}

TEST(IpAddress, KnowsLoopback) {
  for (const std::string_view text : {"127.0.0.1", "127.255.255.255", "::1"}) EXPECT_TRUE(ip(text).is_loopback()) << text;
  for (const std::string_view text : {"126.255.255.255", "128.0.0.1", "::", "::2", "1::1"}) EXPECT_FALSE(ip(text).is_loopback()) << text;
}

TEST(IpAddress, KnowsPrivateRangesToTheirEdges) {
  for (const std::string_view text :
       {"127.0.0.1", "::1", "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "100.64.0.0",
        "100.127.255.255", "169.254.0.0", "169.254.255.255", "fe80::1", "febf::1", "fc00::", "fdff::1"}) {
    EXPECT_TRUE(ip(text).is_private()) << text;
  }
  for (const std::string_view text :
       {"9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "100.63.255.255", "100.128.0.0",
        "169.253.255.255", "169.255.0.0", "fe7f::1", "fec0::1", "fbff::", "fe00::1", "2001:db8::1", "8.8.8.8", "0.0.0.0", "::"}) {
    EXPECT_FALSE(ip(text).is_private()) << text;
  }
}

TEST(IpAddress, LimitKeyIsTheAddressOrTheNetworkOfSixtyFourBits) {
  EXPECT_NE(ip("1.2.3.4").limit_key(), ip("1.2.3.5").limit_key());
  EXPECT_EQ(ip("1.2.3.4").limit_key(), ip("::ffff:1.2.3.4").limit_key());
  EXPECT_EQ(ip("2001:db8:1:2::1").limit_key(), ip("2001:db8:1:2:ffff:ffff:ffff:ffff").limit_key());
  EXPECT_NE(ip("2001:db8:1:2::1").limit_key(), ip("2001:db8:1:3::1").limit_key());
  EXPECT_NE(ip("0.0.0.0").limit_key(), ip("::1").limit_key());
}

}  // namespace
}  // namespace muster
