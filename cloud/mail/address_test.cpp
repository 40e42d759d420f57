// SPDX-License-Identifier: Apache-2.0
#include "cloud/mail/address.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "cloud/domain/rules.hpp"

namespace muster::mail {
namespace {

TEST(MailAddress, HasOneForm) {
  for (const auto& [given, kept] : {std::pair{" Ada+Tag@Example.ORG ", "ada+tag@example.org"},
                                    {"ada@bücher.example", "ada@xn--bcher-kva.example"},
                                    {"Ada@BÜCHER.Example", "ada@xn--bcher-kva.example"},
                                    {"ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"},
                                    {"ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"},
                                    {"ada@faß.example", "ada@xn--fa-hia.example"},
                                    {"ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"},
                                    {"ada@דוגמה.example", "ada@xn--6dbbec0c.example"},
                                    // Cyrillic letters that look like Latin ones are seen to be others.
                                    {"ada@\u0430\u0440\u0440\u04cf\u0435.example", "ada@xn--80ak6aa92e.example"}}) {
    EXPECT_EQ(normal_address(given), kept) << given;
    EXPECT_EQ(normal_address(kept), kept);
    EXPECT_FALSE(domain::check_email(normal_address(given))) << given;
  }
}

TEST(MailAddress, WhatCannotBeMailedStaysForTheRuleThatRefusesIt) {
  for (const auto* given : {"zoë@example.org", "zoë@bücher.example", "a@\u2067moc.live\u2069", "a@b\u200d.example", "a@-ü.example",
                            "a@ü..example", "a@\u00ad", "ü", "@ü", "a@ü@b", "a@\xff.example"}) {
    EXPECT_TRUE(domain::check_email(normal_address(given))) << given << " " << normal_address(given);
  }
  EXPECT_TRUE(domain::check_email(normal_address("a@" + std::string(70, 'a') + "ü.example")));
  EXPECT_TRUE(domain::check_email(normal_address(std::string("a@ü\0.example", 13))));
  std::string long_one = "a@";
  for (int i = 0; i < 500; ++i) long_one += "ü.";
  EXPECT_EQ(normal_address(long_one), long_one) << "no time is spent on it";
}

}  // namespace
}  // namespace muster::mail
