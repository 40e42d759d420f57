// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/credential.hpp"

#include <algorithm>
#include <array>

namespace muster::api {

namespace {

constexpr std::size_t session_token_chars = 43;
constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool is_base64url(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

}  // namespace

CredentialKind credential_kind(std::string_view text) noexcept {
  if (!is_base64url(text)) return CredentialKind::none;
  if (text.size() == session_token_chars) return CredentialKind::session;
  if (text.size() == program_secret_chars) return CredentialKind::oauth;
  if (text.size() == api_key_prefix.size() + program_secret_chars && text.starts_with(api_key_prefix)) return CredentialKind::api_key;
  return CredentialKind::none;
}

TokenDigests digest_credential(const KeyRing& keys, CredentialKind kind, std::string_view text) {
  return keys.digest(kind == CredentialKind::api_key ? api_key_domain : oauth_access_domain, text);
}

std::string make_program_secret(Random& random) {
  std::array<std::uint8_t, program_secret_chars> bytes{};
  random.fill(bytes);
  std::string secret;
  for (const std::uint8_t byte : bytes) secret += alphabet[byte % alphabet.size()];  // 256 is a multiple of 64: each is as likely.
  return secret;
}

std::optional<domain::Caller> program_caller(const domain::Directory& directory, UserId maker, OrganizationId organization,
                                             domain::PermissionSet scopes) {
  const auto person = directory.caller(maker);
  if (!person || !directory.in_subtree(organization, person->organization_id)) return std::nullopt;
  domain::Caller caller = *person;
  caller.limit = directory.permissions_in(*person, organization).intersect(scopes);
  caller.organization_id = organization;
  return caller;
}

Result<std::optional<Program>> find_program(domain::Store& store, const domain::Directory& directory, CredentialKind kind,
                                            std::span<const TokenDigest> digests, UtcTime now) {
  Program program;
  std::optional<domain::Caller> caller;
  if (kind == CredentialKind::api_key) {
    MUSTER_TRY(auto found, store.find_api_key(digests));
    if (!found || (found->expires_at.ms != 0 && found->expires_at <= now)) return std::optional<Program>{};
    program.api_key_id = found->id;
    program.expires_at = found->expires_at;
    program.addresses = std::move(found->addresses);
    program.requests_per_minute = found->requests_per_minute;
    caller = program_caller(directory, found->user_id, found->organization_id, found->scopes);
  } else {
    MUSTER_TRY(const auto found, store.find_oauth_token(digests));
    if (!found) return std::optional<Program>{};
    program.oauth_client_id = found->client.id;
    program.expires_at = found->expires_at;
    caller = program_caller(directory, found->client.user_id, found->client.organization_id, found->client.scopes);
  }
  if (!caller) return std::optional<Program>{};
  program.caller = *caller;
  return std::optional{std::move(program)};
}

}  // namespace muster::api
