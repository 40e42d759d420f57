// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/key_ring.hpp"
#include "cloud/domain/directory.hpp"
#include "cloud/domain/store.hpp"

/// What stands behind "Bearer": a person's session, an API key, or an access token of an OAuth2 client.
namespace muster::api {

enum class CredentialKind : std::uint8_t { none, session, api_key, oauth };

/// By its shape alone: 43 characters of base64url are a session's, 40 an OAuth2 access token, `mak_` and 40 an API key.
[[nodiscard]] CredentialKind credential_kind(std::string_view text) noexcept;
inline constexpr std::string_view api_key_prefix = "mak_";
inline constexpr std::size_t program_secret_chars = 40;

inline constexpr std::string_view api_key_domain = "api-key", oauth_access_domain = "oauth-access-token",
                                  oauth_refresh_domain = "oauth-refresh-token", oauth_secret_domain = "oauth-client-secret";
[[nodiscard]] TokenDigests digest_credential(const KeyRing& keys, CredentialKind kind, std::string_view text);

/// 40 characters of base64url: 240 random bits.
[[nodiscard]] std::string make_program_secret(Random& random);

/// A program that has shown a key or token that is good now.
struct Program {
  ApiKeyId api_key_id;
  OAuthClientId oauth_client_id;
  domain::Caller caller;  ///< What its maker may do now, within its scopes and its organization.
  UtcTime expires_at;     ///< 0: never.
  std::vector<std::string> addresses;
  std::uint32_t requests_per_minute = 0;
};

/// nullopt: unknown, out of time, or its maker cannot act there any more. Blocks. Errors: those of the store.
[[nodiscard]] Result<std::optional<Program>> find_program(domain::Store& store, const domain::Directory& directory, CredentialKind kind,
                                                          std::span<const TokenDigest> digests, UtcTime now);
/// nullopt: its maker is disabled or gone, or the organization lies no longer beneath the maker's.
[[nodiscard]] std::optional<domain::Caller> program_caller(const domain::Directory& directory, UserId maker, OrganizationId organization,
                                                           domain::PermissionSet scopes);

}  // namespace muster::api
