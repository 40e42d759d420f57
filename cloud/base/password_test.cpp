// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/password.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace muster {
namespace {

TEST(Password, PrehashIsTheOneOfOfficialClients) {
  // Made with: { printf secret; printf user@example.com | openssl dgst -sha256 -binary; } | openssl dgst -sha256
  // -binary | base64
  EXPECT_EQ(password_prehash("secret", "user@example.com"), "a8tkdUO4k1lYxwJPWCjMj+uIeGx7MhYDWV250SJ4/Jo=");
}

TEST(Password, PrehashIgnoresTheCaseOfTheEmailOnly) {
  EXPECT_EQ(password_prehash("secret", "User@Example.COM"), password_prehash("secret", "user@example.com"));
  EXPECT_NE(password_prehash("Secret", "user@example.com"), password_prehash("secret", "user@example.com"));
  EXPECT_NE(password_prehash("secret", "other@example.com"), password_prehash("secret", "user@example.com"));
}

TEST(Password, VerifierIsArgon2idAndAcceptsOnlyItsPassword) {
  const std::string verifier = make_password_verifier("prehash");
  EXPECT_TRUE(verifier.starts_with("$argon2id$v=19$m=65536,t=2,p=1$")) << verifier;
  EXPECT_TRUE(verify_password(verifier, "prehash"));
  EXPECT_FALSE(verify_password(verifier, "Prehash"));
  EXPECT_FALSE(verify_password(verifier, std::string_view{}));
  EXPECT_NE(make_password_verifier("prehash"), verifier) << "each verifier has a salt of its own";
}

TEST(Password, DamagedVerifiersAcceptNothing) {
  const std::string verifier = make_password_verifier("prehash");
  EXPECT_FALSE(verify_password(verifier.substr(0, verifier.size() - 1), "prehash"));
  EXPECT_FALSE(verify_password("prehash", "prehash"));
  EXPECT_FALSE(verify_password(std::string(5000, '$'), "prehash"));
}

TEST(Password, AnUnknownAccountCostsTheSameTime) {
  const std::string verifier = make_password_verifier("prehash");
  const auto time = [](std::string_view of) {
    auto best = std::chrono::steady_clock::duration::max();
    for (int i = 0; i < 5; ++i) {
      const auto start = std::chrono::steady_clock::now();
      EXPECT_FALSE(verify_password(of, "wrong"));
      best = std::min(best, std::chrono::steady_clock::now() - start);
    }
    return std::chrono::duration<double>(best).count();
  };
  const double ratio = time("") / time(verifier);
  EXPECT_GT(ratio, 0.5);
  EXPECT_LT(ratio, 2.0);
}

}  // namespace
}  // namespace muster
