// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace muster {

/// What a password is hashed with before Argon2id, so that both the console's plain form and the official client's
/// `passwordHash` verify: base64(SHA-256(password || SHA-256(lowercase(email)))). docs/protocol/cloud-model.md
/// section 7.
[[nodiscard]] std::string password_prehash(std::string_view password, std::string_view email);

/// Argon2id verifier (libsodium's text form) of a prehash. Takes tens of milliseconds and 64 MiB or more: on its own
/// pool only. Throws std::bad_alloc when there is not so much.
[[nodiscard]] std::string make_password_verifier(std::string_view prehash);
enum class PasswordVerdict : std::uint8_t {
  wrong,
  right,
  no_memory,  ///< Nobody knows: there was no room to find out.
};
/// Constant-time in the password. An empty verifier costs the same and answers wrong: use it for unknown accounts.
[[nodiscard]] PasswordVerdict verify_password(std::string_view verifier, std::string_view prehash) noexcept;

}  // namespace muster
