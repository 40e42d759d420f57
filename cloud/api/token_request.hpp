// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

/// What a program sends to the token endpoint (RFC 6749 sections 2.3, 4.4, 6), without its transport.
namespace muster::api {

struct TokenRequest {
  std::string grant_type;
  std::string client_id, client_secret;  ///< By HTTP Basic or in the form.
  std::string refresh_token;
  bool by_basic = false;
};

/// An answer of RFC 6749 section 5.2.
struct TokenError {
  std::string_view code;  ///< "invalid_request", "invalid_client", ...
  std::string_view description;
};

/// No field may be longer: ours have at most 64 characters.
inline constexpr std::size_t token_field_max_bytes = 255;

/// Reads one. `query` and `body` as sent, `authorization` the header's value, `content_type` as sent, with its parameters.
///
/// `grant_type`, `client_id` and `scope` may stand in the query; secrets may not, because URLs end up in logs. Fields that are not known are
/// passed over, as the RFC asks.
[[nodiscard]] std::variant<TokenRequest, TokenError> read_token_request(std::string_view query, std::string_view body,
                                                                        std::string_view authorization, std::string_view content_type);

/// Strict base64 with its padding; nullopt: it is none.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace muster::api
