// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/people/totp.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

namespace muster::api::totp {
namespace {

constexpr std::string_view rfc_secret = "12345678901234567890";

TEST(Totp, AgreesWithTheVectorsOfRfc6238) {
  struct Vector {
    std::int64_t seconds;
    std::string_view code;
  };
  for (const auto& [seconds, expected] :
       {Vector{59, "94287082"}, Vector{1'111'111'109, "07081804"}, Vector{1'111'111'111, "14050471"}, Vector{1'234'567'890, "89005924"},
        Vector{2'000'000'000, "69279037"}, Vector{20'000'000'000, "65353130"}}) {
    EXPECT_EQ(code(rfc_secret, step_of({seconds * 1000}), 8), expected);
    EXPECT_EQ(code(rfc_secret, step_of({seconds * 1000})), expected.substr(2));
  }
}

TEST(Totp, AgreesWithOathtool) {
  ASSERT_EQ(std::system("command -v oathtool >/dev/null"), 0) << "./dev setup installs it";
  const std::string command = "oathtool --totp -b --now '2026-01-01 00:00:00 UTC' " + base32(rfc_secret);
  std::array<char, 64> line{};
  FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  ASSERT_NE(std::fgets(line.data(), line.size(), pipe), nullptr);
  EXPECT_EQ(::pclose(pipe), 0);
  EXPECT_EQ(std::string(line.data()).substr(0, 6), code(rfc_secret, step_of({1'767'225'600'000})));
}

TEST(Totp, MatchesThePresentStepAndItsNeighbors) {
  const UtcTime now{1'767'225'600'000};
  for (std::int64_t off = -1; off <= 1; ++off) EXPECT_EQ(match(rfc_secret, code(rfc_secret, step_of(now) + off), now), step_of(now) + off);
  for (const std::int64_t off : {-2, 2}) EXPECT_FALSE(match(rfc_secret, code(rfc_secret, step_of(now) + off), now));
  for (const std::string_view text : {"", "12345", "1234567", "12345a", "-12345"}) EXPECT_FALSE(match(rfc_secret, text, now));
}

TEST(Totp, TheAddressIsWhatAuthenticatorAppsRead) {
  EXPECT_EQ(base32("12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
  EXPECT_EQ(uri(rfc_secret, "Pumps & Co", "a+b@example.org"),
            "otpauth://totp/Pumps%20%26%20Co:a%2Bb%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Pumps%20%26%20Co"
            "&algorithm=SHA1&digits=6&period=30");
}

TEST(RecoveryCodes, DifferAndAreReadAsTyped) {
  SeededRandom random{7};
  const auto codes = make_recovery_codes(random);
  EXPECT_EQ(std::set<std::string>(codes.begin(), codes.end()).size(), recovery_code_count);
  EXPECT_EQ(codes[0].size(), 14u);
  EXPECT_EQ(normal_recovery_code("ABCD-01oi lL"), "abcd010111");
}

}  // namespace
}  // namespace muster::api::totp
