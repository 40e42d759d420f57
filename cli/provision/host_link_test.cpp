// SPDX-License-Identifier: Apache-2.0
#include "cli/provision/host_link.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/ports/linux/clock.hpp"
#include "agent/ports/linux/random.hpp"
#include "cli/provision/address_link.hpp"

namespace muster::cli {
namespace {

class HostLinkTest : public testing::Test {
 protected:
  Outcome<std::unique_ptr<HostLink>> make(const std::string& radio, const std::string& url = {}) {
    ProvisionOptions options;
    options.radio = radio;
    options.device_url = url;
    options.ble = ble_;
    return make_host_link(options, clock_, random_);
  }
  agent::linux_port::BootClock clock_;
  agent::linux_port::KernelRandom random_;
  bool ble_ = false;
};

TEST_F(HostLinkTest, IsChosenByRadioOrAddress) {
  const auto air = make("sim:/tmp/nowhere");
  ASSERT_TRUE(air);
  EXPECT_FALSE((*air)->ready());
  EXPECT_THAT((*air)->trouble(), testing::HasSubstr("muster-agent --radio sim:/tmp/nowhere"));
  EXPECT_TRUE(make("sim"));
  EXPECT_TRUE(make("wpa"));
  const bool has_dbus = make("ble").has_value();
  EXPECT_EQ(make("nm").has_value(), has_dbus);
  EXPECT_EQ(make("nm:wlp3s0").has_value(), has_dbus);
  ble_ = true;  // --ble is --radio ble.
  EXPECT_EQ(make({}).has_value(), has_dbus);
  EXPECT_FALSE(make("sim"));
  ble_ = false;
  const auto address = make({}, "http://192.168.4.1");
  ASSERT_TRUE(address);
  EXPECT_TRUE((*address)->ready());
}

TEST_F(HostLinkTest, ACardThatIsNoneIsNamed) {
  const auto why = [&](const std::string& radio) {
    auto link = make(radio);
    if (!link) return std::string{"no link"};
    const auto begun = (*link)->start();
    return begun ? std::string{} : begun.error().message;
  };
  EXPECT_THAT(why("wpa:nothing0"), testing::StartsWith("There is no network interface nothing0."));
  EXPECT_THAT(why("wpa:../net/lo"), testing::StartsWith("There is no network interface "));
  EXPECT_THAT(why("wpa:lo"), testing::StartsWith("lo is no Wi-Fi card."));
}

TEST_F(HostLinkTest, WhatIsNoWayIsAMistakeOfUsage) {
  for (const auto& [radio, url] : {std::pair{"", ""},
                                   {"sim", "http://x"},
                                   {"magic", ""},
                                   {"sim:", ""},
                                   {"wpa:", ""},
                                   {"nm:", ""},
                                   {"ble:", ""},
                                   {"ble:eth0", ""},
                                   {"ble:hci0/x", ""},
                                   {"", "ftp://x"},
                                   {"", "http://"}}) {
    const auto made = make(radio, url);
    ASSERT_FALSE(made) << radio << url;
    EXPECT_EQ(made.error().exit_code, exit_usage) << radio << url;
    EXPECT_FALSE(made.error().message.empty());
  }
}

TEST_F(HostLinkTest, ReadsDeviceAddresses) {
  const auto read = [](const std::string& url) {
    const auto address = parse_device_url(url);
    return address ? address->host + " " + address->port : "refused";
  };
  EXPECT_EQ(read("http://192.168.4.1"), "192.168.4.1 80");
  EXPECT_EQ(read("http://192.168.4.1:8081/board_info.json"), "192.168.4.1 8081");
  EXPECT_EQ(read("http://[fe80::1]"), "fe80::1 80");
  EXPECT_EQ(read("https://192.168.4.1"), "refused");
  EXPECT_EQ(read("http://me@192.168.4.1"), "refused");
  EXPECT_EQ(read("http://lamp:http"), "refused");
  EXPECT_EQ(read("http://lamp:"), "refused");
}

}  // namespace
}  // namespace muster::cli
