// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/store_tokens.hpp"
#include "cloud/store/sqlite/store_events.hpp"

/// AuthTokens: look-up, replacement, key rotation.
namespace muster::store {

using domain::Actor;
using domain::ChangeKind;
using domain::DomainError;
using domain::FoundToken;
using domain::NewToken;
using domain::StoreError;
using domain::TokenEvent;
using domain::TokenKind;
using domain::TokenRecord;
using domain::TokenTransition;

namespace {

/// A token that waits for its first device is of the id that its session reserved.
#define MUSTER_TOKEN_COLUMNS                                                                                        \
  "id, kind, CASE WHEN device_id IS NULL AND session_id IS NOT NULL THEN (SELECT provision_session.device_id FROM " \
  "provision_session WHERE provision_session.id = auth_token.session_id) ELSE device_id END, key_id, mac, created_at, expires_at, quiet"

/// Errors: StoreError::corrupt for a row that no version of this program can have written.
Result<TokenRecord> token_of(const Statement& row) {
  TokenRecord record;
  record.id = row.id<AuthTokenId>(0);
  record.kind = static_cast<TokenKind>(row.integer(1));
  record.device_id = row.id<DeviceId>(2);
  record.digest.key_id = static_cast<std::uint16_t>(row.integer(3));
  if (!row.bytes(4, record.digest.mac) || record.kind < TokenKind::device || record.kind > TokenKind::revoked) return StoreError::corrupt;
  record.created_at = row.time(5);
  record.expires_at = row.time(6);
  record.is_quiet = row.flag(7);
  return record;
}

Result<bool> is_known(Connection& connection, const TokenDigest& digest) {
  return connection.exists("SELECT 1 FROM auth_token WHERE mac = ?1", blob(digest.mac));
}

}  // namespace

Result<AuthTokenId> insert_token(Transaction& transaction, TokenKind kind, DeviceId device, const NewToken& token, UtcTime at,
                                 UtcTime expires_at) {
  MUSTER_TRY(const bool taken, is_known(*transaction, token.digest));
  if (taken) return DomainError::token_taken;
  for (const TokenDigest& digest : token.all_digests) {
    if (digest == token.digest) continue;
    MUSTER_TRY(const bool known, is_known(*transaction, digest));
    if (known) return DomainError::token_taken;
  }
  MUSTER_TRY_VOID(
      transaction->run("INSERT INTO auth_token (kind, device_id, key_id, mac, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                       kind, or_null(device), token.digest.key_id, blob(token.digest.mac), at, expires_at));
  const AuthTokenId id{transaction->last_insert_id()};
  MUSTER_TRY_VOID(transaction->run("INSERT INTO auth_token_sealed (token_id, sealed) VALUES (?1, ?2)", id, blob(token.sealed)));
  return id;
}

Result<std::optional<TokenTransition>> move_token(Transaction& transaction, AuthTokenId id, TokenEvent event, bool quiet) {
  MUSTER_TRY(const auto kind, transaction->number("SELECT kind FROM auth_token WHERE id = ?1", id));
  if (!kind) return std::optional<TokenTransition>{};
  const auto transition = domain::next(static_cast<TokenKind>(*kind), event);
  if (!transition.allowed) return std::optional{transition};
  const bool dies = !domain::may_log_in(transition.next);
  if (dies) MUSTER_TRY_VOID(transaction->run("DELETE FROM auth_token_sealed WHERE token_id = ?1", id));
  // The session's time is over with it: a device's own token has none.
  MUSTER_TRY_VOID(transaction->run(
      "UPDATE auth_token SET kind = ?2, device_id = iif(?3, NULL, device_id), session_id = iif(?4, NULL, session_id), "
      "expires_at = iif(?5, 0, expires_at), quiet = ?6 WHERE id = ?1",
      id, transition.next, dies || event == TokenEvent::device_removed, dies, transition.next == TokenKind::device, dies && quiet));
  MUSTER_TRY_VOID(transaction.change(ChangeKind::token, id.value()));
  return std::optional{transition};
}

Result<MovedTokens> move_tokens_of(Transaction& transaction, DeviceId device, TokenEvent event, AuthTokenId but) {
  std::vector<std::int64_t> tokens;
  {
    MUSTER_TRY(Statement rows, transaction->query("SELECT id FROM auth_token WHERE device_id = ?1 ORDER BY id", device));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) break;
      tokens.push_back(rows.integer(0));
    }
  }
  MovedTokens result;
  for (const auto id : tokens) {
    const AuthTokenId token{id};
    if (token == but) continue;
    MUSTER_TRY(const auto transition, move_token(transaction, token, event));
    if (!transition) continue;
    if (!transition->allowed) {
      if (!result.refusal) result.refusal = transition->refusal;
      continue;
    }
    ++result.moved;
  }
  return result;
}

Result<std::string> SqliteStore::reveal_token(DeviceId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<std::string> {
    MUSTER_TRY(const auto organization, transaction->number("SELECT organization_id FROM device WHERE id = ?1", id));
    if (!organization) return DomainError::not_found;
    MUSTER_TRY(Statement row,
               transaction->query("SELECT auth_token.id, sealed, kind FROM auth_token JOIN auth_token_sealed ON token_id = auth_token.id "
                                  "WHERE device_id = ?1 ORDER BY kind = ?3 DESC, kind = ?2, auth_token.id DESC LIMIT 1",
                                  id, TokenKind::grace, TokenKind::device));
    MUSTER_TRY(const bool found, row.step());
    if (!found) return DomainError::not_found;
    MUSTER_TRY_VOID(domain::after(static_cast<TokenKind>(row.integer(2)), TokenEvent::revealed));
    std::string sealed{row.text(1)};
    MUSTER_TRY_VOID(transaction.audit(actor, OrganizationId{static_cast<std::int32_t>(*organization)}, "device.token.reveal", "device",
                                      id.value(), JsonText{}.number("tokenId", row.integer(0))));
    return sealed;
  });
}

Result<void> SqliteStore::replace_token(DeviceId id, const NewToken& token, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto organization, transaction->number("SELECT organization_id FROM device WHERE id = ?1", id));
    if (!organization) return DomainError::not_found;
    MUSTER_TRY(const MovedTokens former, move_tokens_of(transaction, id, TokenEvent::replaced));
    if (former.moved == 0 && former.refusal) return *former.refusal;
    MUSTER_TRY(const auto token_id, insert_token(transaction, TokenKind::device, id, token, transaction.at(actor)));
    MUSTER_TRY_VOID(transaction->run("UPDATE device SET updated_at = ?2 WHERE id = ?1", id, transaction.at(actor)));
    MUSTER_TRY_VOID(transaction.audit(actor, OrganizationId{static_cast<std::int32_t>(*organization)}, "device.token.replace", "device",
                                      id.value(), JsonText{}.number("tokenId", token_id.value())));
    MUSTER_TRY_VOID(push_event(transaction, {.event = domain::Trigger::token_rotated, .at = transaction.at(actor), .device_id = id}));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::token, token_id.value()));
    return transaction.change(ChangeKind::device, id.value());
  });
}

Result<std::optional<TokenRecord>> load_token(Connection& connection, AuthTokenId id) {
  MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_TOKEN_COLUMNS " FROM auth_token WHERE id = ?1", id));
  MUSTER_TRY(const bool found, row.step());
  if (!found) return std::optional<TokenRecord>{};
  MUSTER_TRY(const TokenRecord record, token_of(row));
  return std::optional{record};
}

Result<std::optional<FoundToken>> SqliteStore::find_token(std::span<const TokenDigest> digests) {
  return impl_->read([&](Connection& connection) -> Result<std::optional<FoundToken>> {
    for (const TokenDigest& digest : digests) {
      MUSTER_TRY(const auto id, connection.number("SELECT id FROM auth_token INDEXED BY auth_token_mac WHERE mac = ?1", blob(digest.mac)));
      if (!id) continue;
      // Index and table each hold the MAC: where they disagree, one of them is damaged.
      MUSTER_TRY(const auto record, load_token(connection, AuthTokenId{*id}));
      if (!record || record->digest != digest) return StoreError::corrupt;
      return std::optional{FoundToken{*record}};
    }
    return std::optional<FoundToken>{};
  });
}

Result<std::vector<TokenRecord>> SqliteStore::tokens_of_device(DeviceId id) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<TokenRecord>> {
    std::vector<TokenRecord> all;
    MUSTER_TRY(Statement rows, connection.query("SELECT " MUSTER_TOKEN_COLUMNS " FROM auth_token WHERE device_id = ?1 ORDER BY id", id));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return all;
      MUSTER_TRY(const TokenRecord record, token_of(rows));
      all.push_back(record);
    }
  });
}

Result<std::optional<TokenRecord>> SqliteStore::find_token_by_id(AuthTokenId id) {
  return impl_->read([&](Connection& connection) { return load_token(connection, id); });
}

Result<void> SqliteStore::for_each_live_token(const std::function<void(const TokenRecord&)>& each) {
  return impl_->read([&](Connection& connection) -> Result<void> {
    MUSTER_TRY(const auto expected, read_setting(connection, "live_tokens"));
    std::int64_t seen = 0;
    MUSTER_TRY(Statement rows, connection.query("SELECT " MUSTER_TOKEN_COLUMNS " FROM auth_token NOT INDEXED WHERE kind <> 6 ORDER BY id"));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) break;
      MUSTER_TRY(const TokenRecord record, token_of(rows));
      each(record);
      ++seen;
    }
    // A scan that ends early without an error would make live tokens unknown.
    if (seen != expected) return StoreError::corrupt;
    return {};
  });
}

// --- key rotation --------------------------------------------------------------------------------------------------------

namespace {

/// Each key id once, by jumping through an index that starts with it, without reading the rows in between.
#define MUSTER_KEY_IDS(table)                                                                                    \
  "WITH RECURSIVE k (id) AS (SELECT min(key_id) FROM " table " UNION ALL SELECT (SELECT min(key_id) FROM " table \
  " WHERE key_id > k.id) "                                                                                       \
  "FROM k WHERE k.id IS NOT NULL) SELECT id FROM k WHERE id IS NOT NULL"

Result<std::vector<std::uint16_t>> key_ids(Connection& connection, std::string_view sql) {
  std::vector<std::uint16_t> ids;
  MUSTER_TRY(Statement rows, connection.query(sql));
  for (;;) {
    MUSTER_TRY(const bool row, rows.step());
    if (!row) return ids;
    ids.push_back(static_cast<std::uint16_t>(rows.integer(0)));
  }
}

}  // namespace

Result<std::vector<domain::TokenToRotate>> SqliteStore::tokens_to_rotate(std::uint16_t newest_key, std::size_t limit) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<domain::TokenToRotate>> {
    std::vector<domain::TokenToRotate> batch;
    MUSTER_TRY(const auto keys, key_ids(connection, MUSTER_KEY_IDS("auth_token")));
    for (const auto key : keys) {
      if (key == newest_key || batch.size() >= limit) continue;
      MUSTER_TRY(Statement rows,
                 connection.query("SELECT auth_token.id, sealed FROM auth_token LEFT JOIN auth_token_sealed ON token_id = auth_token.id "
                                  "WHERE key_id = ?1 AND kind < 6 LIMIT ?2",
                                  key, limit - batch.size()));
      for (;;) {
        MUSTER_TRY(const bool row, rows.step());
        if (!row) break;
        if (rows.is_null(1)) return StoreError::corrupt;  // A live token without its sealed copy.
        batch.push_back({rows.id<AuthTokenId>(0), std::string{rows.text(1)}});
      }
    }
    return batch;
  });
}

Result<void> SqliteStore::rotate_tokens(std::span<const domain::RotatedToken> batch) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    for (const domain::RotatedToken& token : batch) {
      MUSTER_TRY(const auto kind, transaction->number("SELECT kind FROM auth_token WHERE id = ?1", token.id));
      const auto turned = kind ? domain::after(static_cast<TokenKind>(*kind), TokenEvent::key_rotated) : DomainError::not_found;
      if (!turned) continue;  // Revoked meanwhile.
      // No alias for the old digest: look-up asks for the digests under every key, so also for this one.
      MUSTER_TRY_VOID(transaction->run("UPDATE auth_token SET kind = ?4, key_id = ?2, mac = ?3 WHERE id = ?1", token.id,
                                       token.digest.key_id, blob(token.digest.mac), *turned));
      MUSTER_TRY_VOID(transaction->run("UPDATE auth_token_sealed SET sealed = ?2 WHERE token_id = ?1", token.id, blob(token.sealed)));
      MUSTER_TRY_VOID(transaction.change(ChangeKind::token, token.id.value()));
    }
    return {};
  });
}

Result<std::vector<domain::SealedToken>> SqliteStore::sealed_tokens(std::uint16_t key, std::size_t limit) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<domain::SealedToken>> {
    std::vector<domain::SealedToken> some;
    MUSTER_TRY(Statement rows, connection.query("SELECT key_id, mac, sealed FROM auth_token JOIN auth_token_sealed ON token_id = id "
                                                "WHERE key_id = ?1 AND kind < 6 LIMIT ?2",
                                                key, limit));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return some;
      domain::SealedToken token;
      token.digest.key_id = static_cast<std::uint16_t>(rows.integer(0));
      if (!rows.bytes(1, token.digest.mac)) return StoreError::corrupt;
      token.sealed = std::string{rows.text(2)};
      some.push_back(std::move(token));
    }
  });
}

namespace {

/// Sealed texts name their key in their second and third byte.
Result<void> add_sealing_keys(Connection& connection, std::vector<std::uint16_t>& ids) {
  MUSTER_TRY(Statement rows,
             connection.query("SELECT substr(sealed_secret, 2, 2) FROM webhook UNION SELECT substr(sealed_headers, 2, 2) FROM "
                              "webhook UNION SELECT substr(sealed_auth, 2, 2) FROM webhook UNION SELECT "
                              "substr(sealed_request, 2, 2) FROM webhook_delivery UNION SELECT substr(sealed_response, 2, 2) "
                              "FROM webhook_delivery"));
  for (;;) {
    MUSTER_TRY(const bool row, rows.step());
    if (!row) return {};
    const auto bytes = rows.text(0);
    if (bytes.size() == 2)
      ids.push_back(static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) << 8 | static_cast<unsigned char>(bytes[1])));
  }
}

}  // namespace

Result<std::vector<std::uint16_t>> SqliteStore::key_ids_in_use() {
  return impl_->read([](Connection& connection) -> Result<std::vector<std::uint16_t>> {
    MUSTER_TRY(auto ids, key_ids(connection, MUSTER_KEY_IDS("auth_token")));
    MUSTER_TRY(const auto more, key_ids(connection, MUSTER_KEY_IDS("access_token")));
    ids.insert(ids.end(), more.begin(), more.end());
    // Digests of programs' secrets cannot be made anew: their keys stay as long as they do.
    for (const auto* const sql : {MUSTER_KEY_IDS("api_key"), MUSTER_KEY_IDS("oauth_client"), MUSTER_KEY_IDS("oauth_token")}) {
      MUSTER_TRY(const auto of_programs, key_ids(connection, sql));
      ids.insert(ids.end(), of_programs.begin(), of_programs.end());
    }
    for (const auto* const sql :
         {MUSTER_KEY_IDS("link"), MUSTER_KEY_IDS("second_factor"), MUSTER_KEY_IDS("recovery_code"), MUSTER_KEY_IDS("mail")}) {
      MUSTER_TRY(const auto of_people, key_ids(connection, sql));
      ids.insert(ids.end(), of_people.begin(), of_people.end());
    }
    std::erase(ids, 0);  // Sealed by nobody: a mail that was given up.
    MUSTER_TRY_VOID(add_sealing_keys(connection, ids));
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  });
}

}  // namespace muster::store
