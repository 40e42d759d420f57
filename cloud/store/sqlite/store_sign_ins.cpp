// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/sealed_key.hpp"
#include "cloud/store/sqlite/store_impl.hpp"

/// The sessions of people, and second factors.
namespace muster::store {

using domain::Actor;
using domain::ChangeKind;
using domain::DomainError;

namespace {

Result<void> insert_recovery_codes(Transaction& transaction, UserId user, std::span<const TokenDigest> codes) {
  MUSTER_TRY_VOID(transaction->run("DELETE FROM recovery_code WHERE user_id = ?1", user));
  for (const TokenDigest& code : codes) {
    MUSTER_TRY_VOID(
        transaction->run("INSERT INTO recovery_code (user_id, mac, key_id) VALUES (?1, ?2, ?3)", user, blob(code.mac), code.key_id));
  }
  return {};
}

Result<void> remember_step(Transaction& transaction, UserId user, std::int64_t step) {
  MUSTER_TRY(const auto added,
             transaction->run("INSERT INTO totp_used (user_id, step) VALUES (?1, ?2) ON CONFLICT DO NOTHING", user, step));
  if (added == 0) return DomainError::wrong_state;
  MUSTER_TRY_VOID(
      transaction->run("DELETE FROM totp_used WHERE id IN (SELECT id FROM totp_used WHERE user_id = ?1 ORDER BY id DESC "
                       "LIMIT -1 OFFSET ?2)",
                       user, domain::totp_steps_remembered));
  return {};
}

Result<bool> is_enabled(Connection& connection, UserId user) {
  return connection.exists("SELECT 1 FROM second_factor WHERE user_id = ?1 AND enabled_at <> 0", user);
}

/// With an entry that says whose it was.
Result<void> audit_user(Transaction& transaction, UserId id, std::string_view action, const Actor& actor) {
  MUSTER_TRY(const auto user, load_user(*transaction, id));
  if (!user) return DomainError::not_found;
  return transaction.audit(actor, user->organization_id, action, "user", id.value(), JsonText{}.text("email", user->email));
}

}  // namespace

// --- sessions ------------------------------------------------------------------------------------------------------------------

Result<std::vector<domain::SignIn>> SqliteStore::sign_ins(UserId user) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<domain::SignIn>> {
    std::vector<domain::SignIn> all;
    MUSTER_TRY(Statement rows,
               connection.query("SELECT id, created_at, last_used_at, expires_at, client, ip, key_id, mac FROM access_token "
                                "WHERE user_id = ?1 AND expires_at > ?2 ORDER BY created_at DESC, id",
                                user, impl_->clock.utc_now()));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return all;
      domain::SignIn value;
      value.id = rows.id<SignInId>(0);
      value.created_at = rows.time(1);
      value.last_used_at = rows.time(2);
      value.expires_at = rows.time(3);
      value.client = rows.text(4);
      value.ip = rows.text(5);
      value.digest.key_id = static_cast<std::uint16_t>(rows.integer(6));
      if (!rows.bytes(7, value.digest.mac)) return domain::StoreError::corrupt;
      all.push_back(std::move(value));
    }
  });
}

Result<void> SqliteStore::end_sign_in(UserId user, SignInId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto ended, transaction->run("DELETE FROM access_token WHERE user_id = ?1 AND id = ?2", user, id));
    if (ended == 0) return DomainError::not_found;
    MUSTER_TRY_VOID(audit_user(transaction, user, "session.end", actor));
    return transaction.change(ChangeKind::access_token, user.value());
  });
}

Result<void> SqliteStore::end_sign_ins(UserId user, const std::optional<TokenDigest>& keep, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY_VOID(audit_user(transaction, user, "session.end_all", actor));
    return end_access_tokens(transaction, user, keep);
  });
}

// --- second factors ------------------------------------------------------------------------------------------------------------

Result<std::optional<domain::SecondFactor>> SqliteStore::find_second_factor(UserId user) {
  return impl_->read([&](Connection& connection) -> Result<std::optional<domain::SecondFactor>> {
    MUSTER_TRY(Statement row,
               connection.query("SELECT sealed, enabled_at, (SELECT count(*) FROM recovery_code WHERE user_id = ?1) FROM second_factor "
                                "WHERE user_id = ?1",
                                user));
    MUSTER_TRY(const bool found, row.step());
    if (!found) return std::optional<domain::SecondFactor>{};
    return std::optional{
        domain::SecondFactor{std::string{row.text(0)}, row.integer(1) != 0, row.time(1), static_cast<std::size_t>(row.integer(2))}};
  });
}

Result<void> SqliteStore::begin_second_factor(UserId user, std::string_view sealed) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto present, load_user(*transaction, user));
    if (!present) return DomainError::not_found;
    MUSTER_TRY(const bool enabled, is_enabled(*transaction, user));
    if (enabled) return DomainError::wrong_state;
    MUSTER_TRY_VOID(transaction->run("INSERT OR REPLACE INTO second_factor (user_id, sealed, key_id, enabled_at) VALUES (?1, ?2, ?3, 0)",
                                     user, blob(sealed), key_of_sealed(sealed)));
    return {};
  });
}

Result<void> SqliteStore::enable_second_factor(UserId user, std::int64_t step, std::span<const TokenDigest> recovery_codes,
                                               const std::optional<TokenDigest>& keep, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto changed, transaction->run("UPDATE second_factor SET enabled_at = ?2 WHERE user_id = ?1 AND enabled_at = 0", user,
                                                    transaction.at(actor)));
    if (changed == 0) return DomainError::wrong_state;
    MUSTER_TRY_VOID(remember_step(transaction, user, step));
    MUSTER_TRY_VOID(insert_recovery_codes(transaction, user, recovery_codes));
    MUSTER_TRY_VOID(end_access_tokens(transaction, user, keep));
    return audit_user(transaction, user, "user.totp.enable", actor);
  });
}

Result<void> SqliteStore::use_totp_step(UserId user, std::int64_t step) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const bool enabled, is_enabled(*transaction, user));
    if (!enabled) return DomainError::wrong_state;
    return remember_step(transaction, user, step);
  });
}

Result<void> SqliteStore::use_recovery_code(UserId user, std::span<const TokenDigest> digests, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    for (const TokenDigest& digest : digests) {
      MUSTER_TRY(const auto used, transaction->run("DELETE FROM recovery_code WHERE user_id = ?1 AND mac = ?2 AND key_id = ?3", user,
                                                   blob(digest.mac), digest.key_id));
      if (used != 0) return audit_user(transaction, user, "user.totp.recovery", actor);
    }
    return DomainError::not_found;
  });
}

Result<void> SqliteStore::replace_recovery_codes(UserId user, std::span<const TokenDigest> codes, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const bool enabled, is_enabled(*transaction, user));
    if (!enabled) return DomainError::wrong_state;
    MUSTER_TRY_VOID(insert_recovery_codes(transaction, user, codes));
    return audit_user(transaction, user, "user.totp.codes", actor);
  });
}

Result<void> SqliteStore::remove_second_factor(UserId user, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY_VOID(transaction->run("DELETE FROM second_factor WHERE user_id = ?1", user));
    MUSTER_TRY_VOID(transaction->run("DELETE FROM recovery_code WHERE user_id = ?1", user));
    MUSTER_TRY_VOID(transaction->run("DELETE FROM totp_used WHERE user_id = ?1", user));
    return audit_user(transaction, user, "user.totp.disable", actor);
  });
}

}  // namespace muster::store
