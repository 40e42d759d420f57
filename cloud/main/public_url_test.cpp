// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/public_url.hpp"

#include <gtest/gtest.h>

namespace muster::main {
namespace {

TEST(PublicUrl, GivesItsHost) {
  EXPECT_EQ(host_of("https://iot.example.com"), "iot.example.com");
  EXPECT_EQ(host_of("http://iot.example.com:8080/x?y#z"), "iot.example.com");
  EXPECT_EQ(host_of("https://[2001:db8::1]:9443/"), "2001:db8::1");
  EXPECT_EQ(host_of("https://iot.example.com?x"), "iot.example.com");
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
