// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "cloud/base/random.hpp"

namespace muster {

/// Secret a device logs in with: 32 characters of [-_A-Za-z0-9]. docs/protocol/cloud-model.md section 1.
/// Has no operator<< and no conversion to string, so it cannot reach a log by accident; wiped when destroyed.
class AuthToken {
 public:
  static constexpr std::size_t length_chars = 32;

  /// nullopt: not 32 characters of the alphabet. Surrounding white space is trimmed (old clients send some).
  [[nodiscard]] static std::optional<AuthToken> parse(std::string_view text) noexcept;
  /// 24 random bytes as base64url.
  [[nodiscard]] static AuthToken generate(Random& random) noexcept;

  AuthToken(const AuthToken&) noexcept = default;
  AuthToken& operator=(const AuthToken&) noexcept = default;
  ~AuthToken();

  /// The secret itself, valid while *this is. For the codec, the digest and an answer that was asked for; never for a
  /// log.
  [[nodiscard]] std::string_view reveal() const noexcept { return {chars_.data(), chars_.size()}; }

 private:
  AuthToken() noexcept = default;
  std::array<char, length_chars> chars_{};
};

}  // namespace muster
