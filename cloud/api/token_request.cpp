// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/token_request.hpp"

#include <algorithm>
#include <cstdint>

#include "cloud/api/query.hpp"

namespace muster::api {

namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) noexcept {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

int base64_digit(char c) noexcept {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

constexpr TokenError twice{"invalid_request", "A parameter is given twice."};
constexpr TokenError too_long{"invalid_request", "A parameter is too long."};

/// The fields that are looked at; each at most once, over query and body together.
struct Fields {
  std::optional<std::string> grant_type, client_id, client_secret, refresh_token, scope;

  std::optional<std::string>* find(std::string_view name) noexcept {
    if (name == "grant_type") return &grant_type;
    if (name == "client_id") return &client_id;
    if (name == "client_secret") return &client_secret;
    if (name == "refresh_token") return &refresh_token;
    if (name == "scope") return &scope;
    return nullptr;
  }
  [[nodiscard]] std::optional<TokenError> read(std::string_view text) {
    QueryReader reader{text};
    QueryReader::Pair pair;
    while (reader.next(pair)) {
      auto* const field = find(percent_decoded(pair.name));
      if (field == nullptr) continue;
      if (*field) return twice;
      std::string value = percent_decoded(pair.value);
      if (value.size() > (field == &scope ? 4096 : token_field_max_bytes)) return too_long;
      *field = std::move(value);
    }
    return std::nullopt;
  }
};

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string out;
  std::uint32_t buffer = 0;
  int bits = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) return std::nullopt;
    buffer = (buffer << 6) | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>((buffer >> bits) & 0xff);
    }
  }
  if ((buffer & ((1u << bits) - 1)) != 0) return std::nullopt;  // Bits that no byte has.
  return out;
}

std::variant<TokenRequest, TokenError> read_token_request(std::string_view query, std::string_view body, std::string_view authorization,
                                                          std::string_view content_type) {
  Fields fields;
  if (const auto error = fields.read(query)) return *error;
  if (fields.client_secret || fields.refresh_token) {
    return TokenError{"invalid_request",
                      "A secret does not belong into the URL, which ends up in logs: send the client by HTTP Basic or in the form, and the "
                      "refresh token in the form."};
  }
  if (!body.empty()) {
    const std::string_view type = trimmed(content_type.substr(0, content_type.find(';')));
    if (!type.empty() && !equal_ignoring_case(type, "application/x-www-form-urlencoded"))
      return TokenError{"invalid_request", "The body must be application/x-www-form-urlencoded."};
    if (const auto error = fields.read(body)) return *error;
  }

  TokenRequest request;
  request.grant_type = fields.grant_type.value_or("");
  request.refresh_token = fields.refresh_token.value_or("");
  if (request.grant_type.empty()) return TokenError{"invalid_request", "grant_type is missing."};
  constexpr std::string_view scheme = "Basic ";
  if (!authorization.empty()) {
    if (authorization.size() < scheme.size() || !equal_ignoring_case(authorization.substr(0, scheme.size()), scheme))
      return TokenError{"invalid_client", "A client is sent by HTTP Basic or in the form."};
    if (authorization.size() > 4 * token_field_max_bytes) return too_long;
    const auto pair = decode_base64(trimmed(authorization.substr(scheme.size())));
    const auto colon = pair ? pair->find(':') : std::string::npos;
    if (colon == std::string::npos) return TokenError{"invalid_client", "The Authorization header is no HTTP Basic."};
    request.by_basic = true;
    request.client_id = percent_decoded(std::string_view{*pair}.substr(0, colon));
    request.client_secret = percent_decoded(std::string_view{*pair}.substr(colon + 1));
    if (fields.client_secret) return TokenError{"invalid_request", "The client is given twice: by HTTP Basic and in the form."};
    if (fields.client_id && *fields.client_id != request.client_id)
      return TokenError{"invalid_request", "HTTP Basic and the form name different clients."};
  } else {
    request.client_id = fields.client_id.value_or("");
    request.client_secret = fields.client_secret.value_or("");
  }
  if (request.client_id.empty() || request.client_secret.empty())
    return TokenError{"invalid_client", "Send client_id and client_secret by HTTP Basic or in the form."};
  if (request.client_id.size() > token_field_max_bytes || request.client_secret.size() > token_field_max_bytes) return too_long;
  return request;
}

}  // namespace muster::api
