// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "cloud/store/sqlite/audit_log.hpp"
#include "cloud/store/sqlite/store_events.hpp"
#include "cloud/store/sqlite/store_impl.hpp"
#include "cloud/store/sqlite/text_search.hpp"

/// Users and their access tokens.
namespace muster::store {

using domain::Actor;
using domain::ChangeKind;
using domain::DomainError;
using domain::User;
using domain::UserStatus;

namespace {

#define MUSTER_USER_COLUMNS                                                                                                         \
  "user.id, user.organization_id, user.role_id, user.email, user.name, user.status, user.locale, user.time_zone, user.created_at, " \
  "user.updated_at, user.last_logged_at"

User user_of(const Statement& row) {
  User value;
  value.id = row.id<UserId>(0);
  value.organization_id = row.id<OrganizationId>(1);
  value.role_id = row.id<RoleId>(2);
  value.email = row.text(3);
  value.name = row.text(4);
  value.status = static_cast<UserStatus>(row.integer(5));
  value.locale = row.text(6);
  value.time_zone = row.text(7);
  value.created_at = row.time(8);
  value.updated_at = row.time(9);
  value.last_logged_at = row.time(10);
  return value;
}

JsonText describe(const User& value) {
  JsonText text;
  text.text("email", value.email).personal("name", value.name).number("roleId", value.role_id.value());
  text.number("status", static_cast<int>(value.status)).text("locale", value.locale).text("timeZone", value.time_zone);
  return text;
}

}  // namespace

Result<bool> is_last_administrator(Connection& connection, const User& user) {
  if (user.role_id != domain::admin_role || user.status != UserStatus::active) return false;
  const auto others =
      connection.exists("SELECT 1 FROM user WHERE organization_id = ?1 AND role_id = ?2 AND status = ?3 AND id <> ?4 LIMIT 1",
                        user.organization_id, domain::admin_role, UserStatus::active, user.id);
  return others ? Result<bool>{!*others} : others;
}

Result<void> end_access_tokens(Transaction& transaction, UserId user, const std::optional<TokenDigest>& keep) {
  if (keep) {
    MUSTER_TRY_VOID(transaction->run("DELETE FROM access_token WHERE user_id = ?1 AND mac <> ?2", user, blob(keep->mac)));
  } else {
    MUSTER_TRY_VOID(transaction->run("DELETE FROM access_token WHERE user_id = ?1", user));
  }
  return transaction.change(ChangeKind::access_token, user.value());
}

Result<std::optional<User>> load_user(Connection& connection, UserId id) {
  MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_USER_COLUMNS " FROM user WHERE id = ?1", id));
  MUSTER_TRY(const bool found, row.step());
  return found ? std::optional{user_of(row)} : std::nullopt;
}

Result<User> insert_user(Transaction& transaction, const User& user, std::string_view verifier, const Actor& actor) {
  MUSTER_TRY(const bool organization, transaction->exists("SELECT 1 FROM organization WHERE id = ?1", user.organization_id));
  MUSTER_TRY(const bool role, transaction->exists("SELECT 1 FROM role WHERE id = ?1", user.role_id));
  if (!organization || !role) return DomainError::not_found;
  MUSTER_TRY(const bool taken, transaction->exists("SELECT 1 FROM user WHERE email = lower(?1)", user.email));
  if (taken) return DomainError::email_taken;
  MUSTER_TRY_VOID(transaction->run(
      "INSERT INTO user (organization_id, role_id, email, name, status, locale, time_zone, verifier, created_at, updated_at, "
      "last_logged_at) VALUES (?1, ?2, lower(?3), ?4, ?5, ?6, ?7, ?8, ?9, ?9, 0)",
      user.organization_id, user.role_id, user.email, user.name, user.status, user.locale, user.time_zone, verifier,
      transaction.at(actor)));
  const UserId id{transaction->last_insert_id()};
  MUSTER_TRY(const auto stored, load_user(*transaction, id));
  MUSTER_TRY_VOID(transaction.audit(actor, user.organization_id, "user.create", "user", id.value(),
                                    describe(*stored).number("organizationId", user.organization_id.value())));
  MUSTER_TRY_VOID(push_event(transaction, {.event = domain::Trigger::new_user, .at = transaction.at(actor), .user_id = id}));
  MUSTER_TRY_VOID(transaction.change(ChangeKind::user, id.value()));
  return stored.value();
}

Result<User> SqliteStore::create_user(const User& user, std::string_view verifier, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) { return insert_user(transaction, user, verifier, actor); });
}

Result<User> SqliteStore::update_user(UserId id, const domain::UserChange& change, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<User> {
    MUSTER_TRY(const auto before, load_user(*transaction, id));
    if (!before) return DomainError::not_found;
    if (change.status && (before->status == UserStatus::pending || *change.status == UserStatus::pending)) return DomainError::wrong_state;
    User user = *before;
    if (change.name) user.name = *change.name;
    if (change.locale) user.locale = *change.locale;
    if (change.time_zone) user.time_zone = *change.time_zone;
    if (change.role_id) user.role_id = *change.role_id;
    if (change.status) user.status = *change.status;
    MUSTER_TRY(const bool role, transaction->exists("SELECT 1 FROM role WHERE id = ?1", user.role_id));
    if (!role) return DomainError::not_found;
    if (user.role_id != domain::admin_role || user.status != UserStatus::active) {
      MUSTER_TRY(const bool last, is_last_administrator(*transaction, *before));
      if (last) return DomainError::last_admin;
    }
    MUSTER_TRY_VOID(
        transaction->run("UPDATE user SET name = ?2, role_id = ?3, status = ?4, locale = ?5, time_zone = ?6, updated_at = ?7 WHERE id = ?1",
                         user.id, user.name, user.role_id, user.status, user.locale, user.time_zone, transaction.at(actor)));
    if (change.status == UserStatus::suspended) {
      MUSTER_TRY_VOID(end_access_tokens(transaction, user.id, std::nullopt));
      MUSTER_TRY_VOID(end_sessions_of_user(transaction, user.id, "user_suspended", actor));
    }
    MUSTER_TRY(const auto after, load_user(*transaction, user.id));
    MUSTER_TRY_VOID(transaction.audit(actor, before->organization_id, "user.update", "user", user.id.value(),
                                      JsonText{}.object("before", describe(*before)).object("after", describe(*after))));
    MUSTER_TRY_VOID(push_event(transaction, {.event = domain::Trigger::updated_user, .at = transaction.at(actor), .user_id = user.id}));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::user, user.id.value()));
    return after.value();
  });
}

Result<void> SqliteStore::set_password(UserId id, std::string_view verifier, const std::optional<TokenDigest>& keep, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto user, load_user(*transaction, id));
    if (!user) return DomainError::not_found;
    MUSTER_TRY_VOID(transaction->run("UPDATE user SET verifier = ?2, updated_at = ?3 WHERE id = ?1", id, verifier, transaction.at(actor)));
    MUSTER_TRY_VOID(end_access_tokens(transaction, id, keep));
    MUSTER_TRY_VOID(
        transaction.audit(actor, user->organization_id, "user.password", "user", id.value(), JsonText{}.text("email", user->email)));
    return transaction.change(ChangeKind::user, id.value());
  });
}

Result<void> SqliteStore::delete_user(UserId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto user, load_user(*transaction, id));
    if (!user) return DomainError::not_found;
    MUSTER_TRY(const bool last, is_last_administrator(*transaction, *user));
    if (last) return DomainError::last_admin;
    MUSTER_TRY(const bool owner, transaction->exists("SELECT 1 FROM device WHERE owner_id = ?1 LIMIT 1", id));
    if (owner) return DomainError::in_use;
    MUSTER_TRY_VOID(end_access_tokens(transaction, id, std::nullopt));
    MUSTER_TRY_VOID(end_sessions_of_user(transaction, id, "user_deleted", actor));
    MUSTER_TRY_VOID(push_event(transaction, {.event = domain::Trigger::deleted_user, .at = transaction.at(actor), .user_id = id}));
    MUSTER_TRY_VOID(transaction->run("DELETE FROM user WHERE id = ?1", id));
    MUSTER_TRY_VOID(
        transaction.audit(actor, user->organization_id, "user.delete", "user", id.value(), JsonText{}.object("before", describe(*user))));
    // Also what the entry above says of the person: who was deleted is known by number.
    MUSTER_TRY_VOID(erase_audit_traces(*transaction, id, user->email));
    return transaction.change(ChangeKind::user, id.value());
  });
}

Result<std::vector<User>> SqliteStore::all_users() {
  return impl_->read([](Connection& connection) -> Result<std::vector<User>> {
    std::vector<User> all;
    MUSTER_TRY(Statement rows, connection.query("SELECT " MUSTER_USER_COLUMNS " FROM user ORDER BY id"));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return all;
      all.push_back(user_of(rows));
    }
  });
}

Result<domain::PageOf<User>> SqliteStore::users(OrganizationId organization, const domain::Page& page) {
  return impl_->read([&](Connection& connection) -> Result<domain::PageOf<User>> {
    domain::PageOf<User> out;
    std::string where = " FROM user WHERE user.organization_id = :organization";
    if (!page.query.empty()) where += " AND muster_contains(user.email, :query)";
    const std::string folded = fold_case(page.query);
    MUSTER_TRY(const std::string order, order_and_limit(page, "user"));
    const auto bind = [&](Statement& statement) {
      statement.bind_named(":organization", organization);
      statement.bind_named(":query", folded);
      bind_limit(statement, page);
    };
    MUSTER_TRY(Statement count, connection.prepare("SELECT count(*)" + where));
    bind(count);
    MUSTER_TRY_VOID(count.step());
    out.total = count.integer(0);
    MUSTER_TRY(Statement rows, connection.prepare("SELECT " MUSTER_USER_COLUMNS + where + order));
    bind(rows);
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return out;
      out.rows.push_back(user_of(rows));
    }
  });
}

Result<std::optional<User>> SqliteStore::find_user(UserId id) {
  return impl_->read([&](Connection& connection) { return load_user(connection, id); });
}

Result<std::optional<domain::Store::Credentials>> SqliteStore::find_credentials(std::string_view email) {
  return impl_->read([&](Connection& connection) -> Result<std::optional<Credentials>> {
    MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_USER_COLUMNS ", user.verifier FROM user WHERE email = lower(?1)", email));
    MUSTER_TRY(const bool found, row.step());
    if (!found) return std::optional<Credentials>{};
    return std::optional{Credentials{user_of(row), std::string{row.text(11)}}};
  });
}

// --- access tokens -------------------------------------------------------------------------------------------------------

Result<void> SqliteStore::create_access_token(UserId user, const TokenDigest& digest, UtcTime expires_at, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto present, load_user(*transaction, user));
    if (!present) return DomainError::not_found;
    if (present->status != UserStatus::active) return DomainError::not_active;
    const UtcTime at = transaction.at(actor);
    // What is over goes, and so do the oldest past the limit: a script that signs in without signing out must not fill the store.
    MUSTER_TRY_VOID(transaction->run("DELETE FROM access_token WHERE user_id = ?1 AND expires_at <= ?2", user, transaction.now()));
    MUSTER_TRY_VOID(
        transaction->run("DELETE FROM access_token WHERE mac IN (SELECT mac FROM access_token WHERE user_id = ?1 ORDER BY created_at DESC, "
                         "mac LIMIT -1 OFFSET ?2)",
                         user, impl_->options.access_tokens_per_user_max - 1));
    // The id that people see is drawn: it must not tell how many sessions there are.
    MUSTER_TRY_VOID(
        transaction->run("INSERT INTO access_token (mac, key_id, user_id, created_at, expires_at, id, client, ip, last_used_at) "
                         "VALUES (?1, ?2, ?3, ?4, ?5, random() & 0x1FFFFFFFFFFFFF, ?6, ?7, ?4)",
                         blob(digest.mac), digest.key_id, user, at, expires_at, actor.client, actor.ip));
    MUSTER_TRY_VOID(transaction->run("UPDATE user SET last_logged_at = ?2 WHERE id = ?1", user, at));
    MUSTER_TRY_VOID(transaction.audit(actor, present->organization_id, "session.create", "user", user.value(),
                                      JsonText{}.text("email", present->email)));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::access_token, user.value()));
    return transaction.change(ChangeKind::user, user.value());
  });
}

Result<std::optional<domain::StoredAccessToken>> SqliteStore::find_access_token(std::span<const TokenDigest> digests) {
  return impl_->read([&](Connection& connection) -> Result<std::optional<domain::StoredAccessToken>> {
    const UtcTime now = impl_->clock.utc_now();
    for (const TokenDigest& digest : digests) {
      MUSTER_TRY(Statement row, connection.query("SELECT user_id, created_at, expires_at FROM access_token WHERE mac = ?1 AND key_id = ?2",
                                                 blob(digest.mac), digest.key_id));
      MUSTER_TRY(const bool found, row.step());
      if (!found) continue;
      if (row.time(2) <= now) break;
      return std::optional{domain::StoredAccessToken{row.id<UserId>(0), row.time(1), row.time(2)}};
    }
    return std::optional<domain::StoredAccessToken>{};
  });
}

Result<void> SqliteStore::extend_access_token(std::span<const TokenDigest> digests, UtcTime expires_at) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    for (const TokenDigest& digest : digests) {
      // One that is over stays over, and one that ended meanwhile is not made again.
      MUSTER_TRY(const auto user, transaction->number("SELECT user_id FROM access_token WHERE mac = ?1 AND expires_at > ?2",
                                                      blob(digest.mac), transaction.now()));
      if (!user) continue;
      MUSTER_TRY_VOID(transaction->run("UPDATE access_token SET expires_at = ?2, last_used_at = ?3 WHERE mac = ?1", blob(digest.mac),
                                       expires_at, transaction.now()));
      return transaction.change(ChangeKind::access_token, *user);
    }
    return {};
  });
}

Result<void> SqliteStore::delete_access_token(std::span<const TokenDigest> digests, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    for (const TokenDigest& digest : digests) {
      MUSTER_TRY(const auto user, transaction->number("SELECT user_id FROM access_token WHERE mac = ?1", blob(digest.mac)));
      if (!user) continue;
      MUSTER_TRY_VOID(transaction->run("DELETE FROM access_token WHERE mac = ?1", blob(digest.mac)));
      MUSTER_TRY(const auto present, load_user(*transaction, UserId{*user}));
      MUSTER_TRY_VOID(transaction.audit(actor, present ? present->organization_id : OrganizationId{}, "session.delete", "user", *user));
      MUSTER_TRY_VOID(transaction.change(ChangeKind::access_token, *user));
    }
    return {};
  });
}

}  // namespace muster::store
