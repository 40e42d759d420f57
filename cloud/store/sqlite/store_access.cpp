// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "cloud/store/sqlite/store_impl.hpp"

/// API keys, OAuth2 clients and their tokens.
namespace muster::store {

using domain::Actor;
using domain::ApiKey;
using domain::ChangeKind;
using domain::DomainError;
using domain::OAuthClient;
using domain::RefreshVerdict;

namespace {

constexpr std::int64_t keys_per_organization_max = 1'000, clients_per_organization_max = 1'000;
constexpr std::int64_t tokens_per_client_max = 2'000;  // Of both kinds; the oldest ones end.
constexpr int kind_access = 1, kind_refresh = 2;
constexpr std::int64_t day_ms = 24 * 3'600'000LL;

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const auto end = text.find(' ');
    words.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return words;
}

/// Names of permissions, as they are known outside.
std::string scope_names(domain::PermissionSet scopes) {
  std::string names;
  for (std::uint8_t i = 0; i < domain::permission_count; ++i) {
    const auto permission = static_cast<domain::Permission>(i);
    if (scopes.has(permission)) names.append(names.empty() ? "" : " ").append(domain::permission_name(permission));
  }
  return names;
}

#define MUSTER_API_KEY_COLUMNS                                                                              \
  "api_key.id, api_key.organization_id, api_key.user_id, api_key.name, api_key.scopes, api_key.addresses, " \
  "api_key.requests_per_minute, api_key.created_at, api_key.expires_at, api_key.last_used_at, api_key.last_ip"
#define MUSTER_OAUTH_CLIENT_COLUMNS                                                                                  \
  "oauth_client.id, oauth_client.organization_id, oauth_client.user_id, oauth_client.name, oauth_client.client_id, " \
  "oauth_client.scopes, oauth_client.redirect_urls, oauth_client.refresh_tokens, oauth_client.created_at, oauth_client.last_used_at"

ApiKey api_key_of(const Statement& row) {
  ApiKey key;
  key.id = row.id<ApiKeyId>(0);
  key.organization_id = row.id<OrganizationId>(1);
  key.user_id = row.id<UserId>(2);
  key.name = row.text(3);
  key.scopes = domain::PermissionSet{static_cast<std::uint64_t>(row.integer(4))};
  key.addresses = split(row.text(5));
  key.requests_per_minute = static_cast<std::uint32_t>(row.integer(6));
  key.created_at = row.time(7);
  key.expires_at = row.time(8);
  key.last_used_at = row.time(9);
  key.last_ip = row.text(10);
  return key;
}

OAuthClient oauth_client_of(const Statement& row) {
  OAuthClient client;
  client.id = row.id<OAuthClientId>(0);
  client.organization_id = row.id<OrganizationId>(1);
  client.user_id = row.id<UserId>(2);
  client.name = row.text(3);
  client.client_id = row.text(4);
  client.scopes = domain::PermissionSet{static_cast<std::uint64_t>(row.integer(5))};
  client.redirect_urls = split(row.text(6));
  client.refresh_tokens = row.flag(7);
  client.created_at = row.time(8);
  client.last_used_at = row.time(9);
  return client;
}

/// Both must be there, and there must be room for one more.
Result<void> check_place(Transaction& transaction, OrganizationId organization, UserId user, std::string_view count_sql,
                         std::int64_t most) {
  MUSTER_TRY(const auto place, load_organization(*transaction, organization));
  MUSTER_TRY(const auto maker, load_user(*transaction, user));
  if (!place || !maker) return DomainError::not_found;
  MUSTER_TRY(const auto count, transaction->number(count_sql, organization));
  if (count.value_or(0) >= most) return DomainError::limit_reached;
  return {};
}

Result<std::optional<OAuthClient>> load_oauth_client(Connection& connection, OAuthClientId id) {
  MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_OAUTH_CLIENT_COLUMNS " FROM oauth_client WHERE id = ?1", id));
  MUSTER_TRY(const bool found, row.step());
  return found ? std::optional{oauth_client_of(row)} : std::nullopt;
}

Result<std::optional<ApiKey>> load_api_key(Connection& connection, ApiKeyId id) {
  MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_API_KEY_COLUMNS " FROM api_key WHERE id = ?1", id));
  MUSTER_TRY(const bool found, row.step());
  return found ? std::optional{api_key_of(row)} : std::nullopt;
}

Result<void> insert_token(Transaction& transaction, const TokenDigest& digest, OAuthClientId client, int kind, std::int64_t family,
                          UtcTime at, UtcTime expires_at) {
  MUSTER_TRY_VOID(transaction->run(
      "INSERT INTO oauth_token (mac, key_id, client, kind, family, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
      blob(digest.mac), digest.key_id, client, kind, family, at, expires_at));
  return {};
}

Result<void> insert_tokens(Transaction& transaction, OAuthClientId client, std::int64_t family, const domain::NewOAuthTokens& tokens,
                           UtcTime at) {
  MUSTER_TRY_VOID(insert_token(transaction, tokens.access, client, kind_access, family, at, tokens.access_expires_at));
  if (tokens.refresh)
    MUSTER_TRY_VOID(insert_token(transaction, *tokens.refresh, client, kind_refresh, family, at, tokens.refresh_expires_at));
  return {};
}

}  // namespace

// --- API keys ----------------------------------------------------------------------------------------------------------------

Result<ApiKey> SqliteStore::create_api_key(const ApiKey& key, const TokenDigest& secret, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<ApiKey> {
    MUSTER_TRY_VOID(check_place(transaction, key.organization_id, key.user_id, "SELECT count(*) FROM api_key WHERE organization_id = ?1",
                                keys_per_organization_max));
    MUSTER_TRY_VOID(transaction->run(
        "INSERT INTO api_key (organization_id, user_id, name, scopes, addresses, requests_per_minute, key_id, mac, created_at, expires_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        key.organization_id, key.user_id, key.name, static_cast<std::int64_t>(key.scopes.bits()), join(key.addresses),
        key.requests_per_minute, secret.key_id, blob(secret.mac), transaction.at(actor), key.expires_at));
    const ApiKeyId id{static_cast<std::int32_t>(transaction->last_insert_id())};
    MUSTER_TRY_VOID(transaction.audit(actor, key.organization_id, "apikey.create", "apikey", id.value(),
                                      JsonText{}
                                          .text("name", key.name)
                                          .text("scopes", scope_names(key.scopes))
                                          .text("addresses", join(key.addresses))
                                          .number("expiresAt", key.expires_at.ms)));
    MUSTER_TRY(const auto stored, load_api_key(*transaction, id));
    return stored.value();
  });
}

Result<std::vector<ApiKey>> SqliteStore::api_keys(OrganizationId organization) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<ApiKey>> {
    std::vector<ApiKey> all;
    MUSTER_TRY(Statement rows,
               connection.query("SELECT " MUSTER_API_KEY_COLUMNS " FROM api_key WHERE organization_id = ?1 ORDER BY id", organization));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return all;
      all.push_back(api_key_of(rows));
    }
  });
}

Result<std::optional<ApiKey>> SqliteStore::find_api_key(ApiKeyId id) {
  return impl_->read([&](Connection& connection) { return load_api_key(connection, id); });
}

Result<std::optional<ApiKey>> SqliteStore::find_api_key(std::span<const TokenDigest> digests) {
  return impl_->read([&](Connection& connection) -> Result<std::optional<ApiKey>> {
    for (const TokenDigest& digest : digests) {
      MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_API_KEY_COLUMNS " FROM api_key WHERE mac = ?1 AND key_id = ?2",
                                                 blob(digest.mac), digest.key_id));
      MUSTER_TRY(const bool found, row.step());
      if (found) return std::optional{api_key_of(row)};
    }
    return std::optional<ApiKey>{};
  });
}

Result<void> SqliteStore::delete_api_key(ApiKeyId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto key, load_api_key(*transaction, id));
    if (!key) return DomainError::not_found;
    MUSTER_TRY_VOID(transaction->run("DELETE FROM api_key WHERE id = ?1", id));
    MUSTER_TRY_VOID(
        transaction.audit(actor, key->organization_id, "apikey.delete", "apikey", id.value(), JsonText{}.text("name", key->name)));
    return transaction.change(ChangeKind::access_token, key->user_id.value());
  });
}

Result<void> SqliteStore::note_api_key_uses(std::span<const domain::KeyUse> uses) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    for (const domain::KeyUse& use : uses) {
      MUSTER_TRY(const auto key, load_api_key(*transaction, use.id));
      if (!key || key->last_used_at > use.at) continue;
      MUSTER_TRY_VOID(transaction->run("UPDATE api_key SET last_used_at = ?2, last_ip = ?3 WHERE id = ?1", use.id, use.at, use.ip));
      if (key->last_used_at.ms / day_ms == use.at.ms / day_ms && key->last_ip == use.ip) continue;
      Actor actor;
      actor.user_id = key->user_id;
      actor.organization_id = key->organization_id;
      actor.client = "HTTPS API";
      actor.ip = use.ip;
      actor.at = use.at;
      actor.api_key_id = key->id;
      MUSTER_TRY_VOID(
          transaction.audit(actor, key->organization_id, "apikey.use", "apikey", key->id.value(), JsonText{}.text("name", key->name)));
    }
    return {};
  });
}

// --- OAuth2 ------------------------------------------------------------------------------------------------------------------

Result<OAuthClient> SqliteStore::create_oauth_client(const OAuthClient& client, const TokenDigest& secret, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<OAuthClient> {
    MUSTER_TRY_VOID(check_place(transaction, client.organization_id, client.user_id,
                                "SELECT count(*) FROM oauth_client WHERE organization_id = ?1", clients_per_organization_max));
    MUSTER_TRY_VOID(transaction->run(
        "INSERT INTO oauth_client (organization_id, user_id, name, client_id, scopes, redirect_urls, refresh_tokens, key_id, mac, "
        "created_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        client.organization_id, client.user_id, client.name, client.client_id, static_cast<std::int64_t>(client.scopes.bits()),
        join(client.redirect_urls), client.refresh_tokens, secret.key_id, blob(secret.mac), transaction.at(actor)));
    const OAuthClientId id{static_cast<std::int32_t>(transaction->last_insert_id())};
    MUSTER_TRY_VOID(transaction.audit(actor, client.organization_id, "oauth.client.create", "oauth_client", id.value(),
                                      JsonText{}
                                          .text("name", client.name)
                                          .text("clientId", client.client_id)
                                          .text("scopes", scope_names(client.scopes))
                                          .flag("refreshTokens", client.refresh_tokens)));
    MUSTER_TRY(const auto stored, load_oauth_client(*transaction, id));
    return stored.value();
  });
}

Result<std::vector<OAuthClient>> SqliteStore::oauth_clients(OrganizationId organization) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<OAuthClient>> {
    std::vector<OAuthClient> all;
    MUSTER_TRY(
        Statement rows,
        connection.query("SELECT " MUSTER_OAUTH_CLIENT_COLUMNS " FROM oauth_client WHERE organization_id = ?1 ORDER BY id", organization));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return all;
      all.push_back(oauth_client_of(rows));
    }
  });
}

Result<std::optional<OAuthClient>> SqliteStore::find_oauth_client(OAuthClientId id) {
  return impl_->read([&](Connection& connection) { return load_oauth_client(connection, id); });
}

Result<std::optional<OAuthClient>> SqliteStore::find_oauth_client(std::string_view client_id, std::span<const TokenDigest> secret) {
  return impl_->read([&](Connection& connection) -> Result<std::optional<OAuthClient>> {
    for (const TokenDigest& digest : secret) {
      MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_OAUTH_CLIENT_COLUMNS
                                                 " FROM oauth_client WHERE client_id = ?1 AND mac = ?2 AND key_id = ?3",
                                                 client_id, blob(digest.mac), digest.key_id));
      MUSTER_TRY(const bool found, row.step());
      if (found) return std::optional{oauth_client_of(row)};
    }
    return std::optional<OAuthClient>{};
  });
}

Result<void> SqliteStore::set_oauth_secret(OAuthClientId id, const TokenDigest& secret, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto client, load_oauth_client(*transaction, id));
    if (!client) return DomainError::not_found;
    MUSTER_TRY_VOID(transaction->run("UPDATE oauth_client SET key_id = ?2, mac = ?3 WHERE id = ?1", id, secret.key_id, blob(secret.mac)));
    MUSTER_TRY_VOID(transaction->run("DELETE FROM oauth_token WHERE client = ?1", id));
    MUSTER_TRY_VOID(transaction.audit(actor, client->organization_id, "oauth.client.secret", "oauth_client", id.value()));
    return transaction.change(ChangeKind::access_token, client->user_id.value());
  });
}

Result<void> SqliteStore::end_oauth_tokens(OAuthClientId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto client, load_oauth_client(*transaction, id));
    if (!client) return DomainError::not_found;
    MUSTER_TRY_VOID(transaction->run("DELETE FROM oauth_token WHERE client = ?1", id));
    MUSTER_TRY_VOID(transaction.audit(actor, client->organization_id, "oauth.client.revoke", "oauth_client", id.value()));
    return transaction.change(ChangeKind::access_token, client->user_id.value());
  });
}

Result<void> SqliteStore::delete_oauth_client(OAuthClientId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto client, load_oauth_client(*transaction, id));
    if (!client) return DomainError::not_found;
    MUSTER_TRY_VOID(transaction->run("DELETE FROM oauth_client WHERE id = ?1", id));
    MUSTER_TRY_VOID(transaction.audit(actor, client->organization_id, "oauth.client.delete", "oauth_client", id.value(),
                                      JsonText{}.text("name", client->name).text("clientId", client->client_id)));
    return transaction.change(ChangeKind::access_token, client->user_id.value());
  });
}

Result<void> SqliteStore::issue_oauth_tokens(OAuthClientId id, const domain::NewOAuthTokens& tokens, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto client, load_oauth_client(*transaction, id));
    if (!client) return DomainError::not_found;
    // What is over goes, and so do the oldest past the limit: a program that asks before every request must not fill the store.
    MUSTER_TRY_VOID(transaction->run("DELETE FROM oauth_token WHERE client = ?1 AND expires_at <= ?2", id, transaction.now()));
    MUSTER_TRY_VOID(
        transaction->run("DELETE FROM oauth_token WHERE mac IN (SELECT mac FROM oauth_token WHERE client = ?1 ORDER BY created_at DESC, "
                         "mac LIMIT -1 OFFSET ?2)",
                         id, tokens_per_client_max - 2));
    MUSTER_TRY(const auto newest, transaction->number("SELECT max(family) FROM oauth_token"));
    const UtcTime at = transaction.at(actor);
    MUSTER_TRY_VOID(insert_tokens(transaction, id, newest.value_or(0) + 1, tokens, at));
    MUSTER_TRY_VOID(transaction->run("UPDATE oauth_client SET last_used_at = ?2 WHERE id = ?1", id, at));
    return transaction.audit(actor, client->organization_id, "oauth.token.issue", "oauth_client", id.value(),
                             JsonText{}.text("clientId", client->client_id));
  });
}

Result<RefreshVerdict> SqliteStore::refresh_oauth_tokens(OAuthClientId id, std::span<const TokenDigest> refresh,
                                                         const domain::NewOAuthTokens& tokens, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<RefreshVerdict> {
    MUSTER_TRY(const auto client, load_oauth_client(*transaction, id));
    if (!client) return RefreshVerdict::unknown;
    for (const TokenDigest& digest : refresh) {
      std::int64_t family = 0;
      bool used = false;
      {
        MUSTER_TRY(Statement row,
                   transaction->query("SELECT family, used FROM oauth_token WHERE mac = ?1 AND key_id = ?2 AND client = ?3 AND "
                                      "kind = ?4 AND expires_at > ?5",
                                      blob(digest.mac), digest.key_id, id, kind_refresh, transaction.now()));
        MUSTER_TRY(const bool found, row.step());
        if (!found) continue;
        family = row.integer(0);
        used = row.flag(1);
      }
      if (used) {
        // Somebody else has it, too: nobody can tell which of the two is the client.
        MUSTER_TRY_VOID(transaction->run("DELETE FROM oauth_token WHERE family = ?1", family));
        MUSTER_TRY_VOID(transaction.audit(actor, client->organization_id, "oauth.token.reuse", "oauth_client", id.value(),
                                          JsonText{}.text("clientId", client->client_id)));
        MUSTER_TRY_VOID(transaction.change(ChangeKind::access_token, client->user_id.value()));
        return RefreshVerdict::reused;
      }
      const UtcTime at = transaction.at(actor);
      MUSTER_TRY_VOID(transaction->run("UPDATE oauth_token SET used = 1 WHERE mac = ?1", blob(digest.mac)));
      MUSTER_TRY_VOID(transaction->run("DELETE FROM oauth_token WHERE family = ?1 AND kind = ?2", family, kind_access));
      MUSTER_TRY_VOID(insert_tokens(transaction, id, family, tokens, at));
      MUSTER_TRY_VOID(transaction->run("UPDATE oauth_client SET last_used_at = ?2 WHERE id = ?1", id, at));
      MUSTER_TRY_VOID(transaction.audit(actor, client->organization_id, "oauth.token.refresh", "oauth_client", id.value(),
                                        JsonText{}.text("clientId", client->client_id)));
      MUSTER_TRY_VOID(transaction.change(ChangeKind::access_token, client->user_id.value()));
      return RefreshVerdict::done;
    }
    return RefreshVerdict::unknown;
  });
}

Result<std::optional<domain::AccessStore::FoundOAuthToken>> SqliteStore::find_oauth_token(std::span<const TokenDigest> digests) {
  return impl_->read([&](Connection& connection) -> Result<std::optional<FoundOAuthToken>> {
    const UtcTime now = impl_->clock.utc_now();
    for (const TokenDigest& digest : digests) {
      MUSTER_TRY(Statement row,
                 connection.query("SELECT " MUSTER_OAUTH_CLIENT_COLUMNS ", oauth_token.expires_at FROM oauth_token JOIN oauth_client ON "
                                  "oauth_client.id = oauth_token.client WHERE oauth_token.mac = ?1 AND oauth_token.key_id = ?2 AND "
                                  "oauth_token.kind = ?3 AND oauth_token.expires_at > ?4",
                                  blob(digest.mac), digest.key_id, kind_access, now));
      MUSTER_TRY(const bool found, row.step());
      if (found) return std::optional{FoundOAuthToken{oauth_client_of(row), row.time(10)}};
    }
    return std::optional<FoundOAuthToken>{};
  });
}

}  // namespace muster::store
