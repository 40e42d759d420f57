// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "cloud/api/people/refusal.hpp"
#include "cloud/api/router.hpp"

namespace muster::api {

struct SignInAttempt {
  std::string email;
  std::optional<std::string> password, password_hash;  ///< One of them.
  std::string totp;                                    ///< A code of the second factor, or a recovery code; empty: none was given.
};
struct SignedIn {
  domain::User user;
  IssuedAccessToken access;
  std::string known_device;  ///< cloud/api/people/known_device.hpp
};

/// Proves who somebody is and gives him an access token. Every refusal of an unknown account, a wrong password and an account without
/// one is the same and costs the same. Codes of refusals: invalid_credentials, totp_required (only after a right password), totp_wrong,
/// not_active, too_many_failures, unavailable. Blocks, with Argon2id: on Lane::password only.
///
/// Throttled by address and by account. So that strangers who guess cannot keep the owner out, two ways lead past the account's
/// block: a device that signed in before (counted by itself), and a right code of the second factor, looked at before the password and used up by it.
[[nodiscard]] Outcome<SignedIn> sign_in(Core& core, const Request& request, const SignInAttempt& attempt);

/// Whether `password` is the one of `user`, with the limits of a sign-in: for what needs it once more. With `totp`, empty or not, the second
/// factor is asked for as well, where there is one.
[[nodiscard]] Outcome<Done> check_own_password(Core& core, const Request& request, const domain::User& user, std::string_view password,
                                               std::optional<std::string_view> totp = std::nullopt);

enum class CodeVerdict : std::uint8_t {
  wrong,  ///< Also: used before, or there is no second factor.
  right,  ///< And used up.
};
/// A code of the second factor, or a recovery code.
[[nodiscard]] Result<CodeVerdict> take_code(Core& core, UserId user, std::string_view text, const domain::Actor& actor);

inline constexpr std::string_view totp_seal_context = "totp";
inline constexpr std::string_view recovery_code_domain = "recovery-code";

}  // namespace muster::api
