// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/key_ring.hpp"
#include "cloud/base/result.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/permission.hpp"
#include "cloud/domain/store_types.hpp"

namespace muster::domain {

/// What a program sends as Bearer in place of a person's access token. Its secret is kept as a digest only.
/// docs/guides/api-access.md.
struct ApiKey {
  ApiKeyId id;
  OrganizationId organization_id;  ///< It reaches this one and what is beneath.
  UserId user_id;                  ///< Who made it: it does what he may do now, and dies with his account.
  std::string name;                ///< 1..64.
  PermissionSet scopes;
  std::vector<std::string> addresses;     ///< Networks it may be used from ("10.0.0.0/8"); none: from anywhere.
  std::uint32_t requests_per_minute = 0;  ///< 0: the server's limit.
  UtcTime created_at, expires_at;         ///< expires_at.ms 0: never.
  UtcTime last_used_at;                   ///< Written behind, to the minute.
  std::string last_ip;
};

/// One program of an organization that signs in by OAuth2.
struct OAuthClient {
  OAuthClientId id;
  OrganizationId organization_id;
  UserId user_id;         ///< Who made it, with the meaning of ApiKey::user_id.
  std::string name;       ///< 1..64.
  std::string client_id;  ///< "oa2-client-id_" + 32.
  PermissionSet scopes;
  std::vector<std::string> redirect_urls;  ///< At most 11.
  bool refresh_tokens = true;              ///< Whether it is given any.
  UtcTime created_at, last_used_at;        ///< last_used_at: its last sign-in.
};

/// What a token endpoint issues at a time: tokens of one family.
struct NewOAuthTokens {
  TokenDigest access;
  UtcTime access_expires_at;
  std::optional<TokenDigest> refresh;
  UtcTime refresh_expires_at;
};

struct KeyUse {
  ApiKeyId id;
  UtcTime at;
  std::string ip;
};

enum class RefreshVerdict : std::uint8_t {
  done,
  unknown,  ///< Never issued to this client, out of time, or its family has ended.
  reused,   ///< Used before: its whole family has ended now.
};

/// OAuth2 clients with their tokens, and API keys.
/// A part of Store, with its rules: see there. What a backend does not override is unavailable.
class AccessStore {
 public:
  virtual ~AccessStore() = default;

  // --- API keys --------------------------------------------------------------------------------------------------------------
  /// Errors: not_found (organization, user), limit_reached.
  virtual Result<ApiKey> create_api_key(const ApiKey&, const TokenDigest& /*secret*/, const Actor&) { return StoreError::unavailable; }
  virtual Result<std::vector<ApiKey>> api_keys(OrganizationId) { return StoreError::unavailable; }  ///< By id.
  virtual Result<std::optional<ApiKey>> find_api_key(ApiKeyId) { return StoreError::unavailable; }
  /// Also one that is out of time: who asks looks at expires_at.
  virtual Result<std::optional<ApiKey>> find_api_key(std::span<const TokenDigest>) { return StoreError::unavailable; }
  /// Errors: not_found.
  virtual Result<void> delete_api_key(ApiKeyId, const Actor&) { return StoreError::unavailable; }
  /// Written behind. A key that is used for the first time on a day, or from another address than before, gets an audit entry
  /// ("apikey.use"). Unknown keys are skipped.
  virtual Result<void> note_api_key_uses(std::span<const KeyUse>) { return StoreError::unavailable; }

  // --- OAuth2 clients and their tokens ---------------------------------------------------------------------------------------
  /// Errors: not_found (organization, user), limit_reached.
  virtual Result<OAuthClient> create_oauth_client(const OAuthClient&, const TokenDigest& /*secret*/, const Actor&) {
    return StoreError::unavailable;
  }
  virtual Result<std::vector<OAuthClient>> oauth_clients(OrganizationId) { return StoreError::unavailable; }  ///< By id.
  virtual Result<std::optional<OAuthClient>> find_oauth_client(OAuthClientId) { return StoreError::unavailable; }
  /// A client whose present secret has one of these digests.
  virtual Result<std::optional<OAuthClient>> find_oauth_client(std::string_view /*client_id*/, std::span<const TokenDigest> /*secret*/) {
    return StoreError::unavailable;
  }
  /// Another secret; every token of the client ends. Errors: not_found.
  virtual Result<void> set_oauth_secret(OAuthClientId, const TokenDigest&, const Actor&) { return StoreError::unavailable; }
  /// Every token of the client ends. Errors: not_found.
  virtual Result<void> end_oauth_tokens(OAuthClientId, const Actor&) { return StoreError::unavailable; }
  /// With its tokens. Errors: not_found.
  virtual Result<void> delete_oauth_client(OAuthClientId, const Actor&) { return StoreError::unavailable; }

  /// The first tokens of a new family; what is out of time goes. Errors: not_found.
  virtual Result<void> issue_oauth_tokens(OAuthClientId, const NewOAuthTokens&, const Actor&) { return StoreError::unavailable; }
  /// The next tokens of the family that this refresh token belongs to; the access token before them ends.
  virtual Result<RefreshVerdict> refresh_oauth_tokens(OAuthClientId, std::span<const TokenDigest> /*refresh*/, const NewOAuthTokens&,
                                                      const Actor&) {
    return StoreError::unavailable;
  }
  struct FoundOAuthToken {
    OAuthClient client;
    UtcTime expires_at;
  };
  virtual Result<std::optional<FoundOAuthToken>> find_oauth_token(std::span<const TokenDigest>) {
    return StoreError::unavailable;
  }  ///< An access token; expired ones are not found.
};

}  // namespace muster::domain
