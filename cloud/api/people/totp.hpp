// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/random.hpp"

/// Time-based one-time passwords: RFC 6238 with SHA-1, 6 digits, 30 s, as every authenticator app does them.
namespace muster::api::totp {

inline constexpr std::size_t secret_size_bytes = 20;
inline constexpr std::size_t recovery_code_count = 10;

[[nodiscard]] std::int64_t step_of(UtcTime at) noexcept;
/// `digits` 6..8.
[[nodiscard]] std::string code(std::string_view secret, std::int64_t step, int digits = 6);
/// The step whose code `text` is: the present one, the one before or the one after. Looks at all three in any case.
[[nodiscard]] std::optional<std::int64_t> match(std::string_view secret, std::string_view text, UtcTime now);
[[nodiscard]] bool looks_like_code(std::string_view text) noexcept;

[[nodiscard]] std::string make_secret(Random& random);
[[nodiscard]] std::string base32(std::string_view bytes);  ///< RFC 4648, without padding.
/// `otpauth://totp/...`, as authenticator apps read it from a QR code.
[[nodiscard]] std::string uri(std::string_view secret, std::string_view issuer, std::string_view account);

/// `xxxx-xxxx-xxxx`: 60 random bits of Crockford's base32, lower case.
[[nodiscard]] std::vector<std::string> make_recovery_codes(Random& random);
/// As it is digested: without separators, in lower case, with I, L and O read as digits.
[[nodiscard]] std::string normal_recovery_code(std::string_view text);

}  // namespace muster::api::totp
