// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/password.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <new>
#include <utility>

#include "cloud/base/test_memory_limit.hpp"

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
  EXPECT_EQ(verify_password(verifier, "prehash"), PasswordVerdict::right);
  EXPECT_EQ(verify_password(verifier, "Prehash"), PasswordVerdict::wrong);
  EXPECT_EQ(verify_password(verifier, std::string_view{}), PasswordVerdict::wrong);
  EXPECT_NE(make_password_verifier("prehash"), verifier) << "each verifier has a salt of its own";
}

TEST(Password, DamagedVerifiersAcceptNothing) {
  const std::string verifier = make_password_verifier("prehash");
  EXPECT_EQ(verify_password(verifier.substr(0, verifier.size() - 1), "prehash"), PasswordVerdict::wrong);
  EXPECT_EQ(verify_password("prehash", "prehash"), PasswordVerdict::wrong);
  EXPECT_EQ(verify_password(std::string(5000, '$'), "prehash"), PasswordVerdict::wrong);
  EXPECT_EQ(verify_password(verifier + "A", "prehash"), PasswordVerdict::wrong);
  EXPECT_EQ(verify_password(verifier + '\0', "prehash"), PasswordVerdict::wrong);
  for (const auto& [from, to] : {std::pair{"m=65536", "m=7"},
                                 {"m=65536", "m=4294967295"},
                                 {"t=2", "t=0"},
                                 {"t=2", "t=17"},
                                 {"p=1", "p=2"},
                                 {"argon2id", "argon2i"},
                                 {"v=19", "v=16"}}) {
    std::string changed = verifier;
    changed.replace(changed.find(from), std::string_view{from}.size(), to);
    EXPECT_EQ(verify_password(changed, "prehash"), PasswordVerdict::wrong) << changed;
  }
}

TEST(Password, VerifiersOfOtherParametersGoOnWorking) {
  // Accepted by libsodium's own crypto_pwhash_str_verify.
  EXPECT_EQ(verify_password("$argon2id$v=19$m=8192,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$vYTn7jXZ7rOeq9zdu1Yh/RH9BIv5qUm5wyzheKM3p6g", "prehash"),
            PasswordVerdict::right);
}

TEST(Password, TooLittleMemoryIsNoWrongPassword) {
  const std::string verifier = make_password_verifier("prehash");
  const AddressSpaceLimit limit{16u << 20};
  EXPECT_EQ(verify_password(verifier, "prehash"), PasswordVerdict::no_memory);
  EXPECT_EQ(verify_password("", "prehash"), PasswordVerdict::no_memory);
  EXPECT_THROW((void)make_password_verifier("prehash"), std::bad_alloc);
}

TEST(Password, AnUnknownAccountCostsTheSameTime) {
  const std::string verifier = make_password_verifier("prehash");
  const auto time = [](std::string_view of) {
    auto best = std::chrono::steady_clock::duration::max();
    for (int i = 0; i < 5; ++i) {
      const auto start = std::chrono::steady_clock::now();
      EXPECT_EQ(verify_password(of, "wrong"), PasswordVerdict::wrong);
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
