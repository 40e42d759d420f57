// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/public_url.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <string>

namespace muster::main {
namespace {

TEST(PublicUrl, GivesItsHost) {
  EXPECT_EQ(host_of("https://iot.example.com"), "iot.example.com");
  EXPECT_EQ(host_of("http://iot.example.com:8080/x?y#z"), "iot.example.com");
  EXPECT_EQ(host_of("https://[2001:db8::1]:9443/"), "2001:db8::1");
  EXPECT_EQ(host_of("https://iot.example.com?x"), "iot.example.com");
}

TEST(OwnHosts, HoldsThePublicUrlAndTheMachinesName) {
  std::array<char, HOST_NAME_MAX + 1> name{};
  ASSERT_EQ(::gethostname(name.data(), name.size() - 1), 0);
  const std::string full{name.data()}, label = full.substr(0, full.find('.'));
  const auto hosts = own_hosts("https://iot.example.com:9443");
  EXPECT_EQ(hosts.front(), "iot.example.com");
  for (const std::string& own : {full, label, label + ".local"}) EXPECT_NE(std::find(hosts.begin(), hosts.end(), own), hosts.end()) << own;
  EXPECT_EQ(own_hosts("").front(), full);
}

TEST(PublicUrl, RefusesWhatIsNone) {
  EXPECT_EQ(check_public_url("https://iot.example.com"), "");
  for (const auto* url :
       {"iot.example.com", "ftp://x", "https://", "https://user@host", "https://[::1", "https://a b", "https://ex\"ample"}) {
    EXPECT_NE(check_public_url(url), "") << url;
  }
}

}  // namespace
}  // namespace muster::main
