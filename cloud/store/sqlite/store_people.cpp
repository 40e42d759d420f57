// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "cloud/base/sealed_key.hpp"
#include "cloud/store/sqlite/audit_log.hpp"
#include "cloud/store/sqlite/store_events.hpp"
#include "cloud/store/sqlite/store_impl.hpp"

/// Links by mail, and what follows when one is opened; people who move and leave.
namespace muster::store {

using domain::Actor;
using domain::ChangeKind;
using domain::DomainError;
using domain::Link;
using domain::LinkKind;
using domain::NewLink;
using domain::NewMail;
using domain::OwnedDevices;
using domain::User;
using domain::UserStatus;

namespace {

constexpr std::int64_t day_ms = 24LL * 3'600'000;
constexpr int numbered_names_max = 10'000;

#define MUSTER_LINK_COLUMNS "id, kind, email, organization_id, role_id, name, locale, sign_up, created_by, created_at, expires_at"

Link link_of(const Statement& row) {
  Link value;
  value.id = row.id<LinkId>(0);
  value.kind = static_cast<LinkKind>(row.integer(1));
  value.email = row.text(2);
  value.organization_id = row.id<OrganizationId>(3);
  value.role_id = row.id<RoleId>(4);
  value.name = row.text(5);
  value.locale = row.text(6);
  value.sign_up = static_cast<domain::SignUpKind>(row.integer(7));
  value.created_by = row.id<UserId>(8);
  value.created_at = row.time(9);
  value.expires_at = row.time(10);
  return value;
}

Result<std::optional<Link>> one_link(Result<Statement> query) {
  if (!query) return query.error();
  MUSTER_TRY(const bool found, query->step());
  return found ? std::optional{link_of(*query)} : std::nullopt;
}

/// The newest of its kind for this person (and organization): the one before works no more.
Result<LinkId> insert_link(Transaction& transaction, const NewLink& made, const Actor& actor) {
  const Link& link = made.link;
  MUSTER_TRY_VOID(transaction->run("DELETE FROM link WHERE kind = ?1 AND email = lower(?2) AND ifnull(organization_id, 0) = ?3", link.kind,
                                   link.email, link.organization_id));
  MUSTER_TRY_VOID(transaction->run(
      "INSERT INTO link (kind, key_id, mac, email, organization_id, role_id, name, locale, sign_up, created_by, created_at, expires_at) "
      "VALUES (?1, ?2, ?3, lower(?4), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
      link.kind, made.digest.key_id, blob(made.digest.mac), link.email, or_null(link.organization_id), or_null(link.role_id), link.name,
      link.locale, link.sign_up, link.created_by, transaction.at(actor), link.expires_at));
  return LinkId{transaction->last_insert_id()};
}

/// Counts one more invitation of the day. Errors: limit_reached.
Result<void> count_invitation(Transaction& transaction, OrganizationId organization, std::size_t per_day_max, const Actor& actor) {
  const std::int64_t day = transaction.at(actor).ms / day_ms;
  MUSTER_TRY_VOID(
      transaction->run("INSERT INTO invitation_count (organization_id, day, count) VALUES (?1, ?2, 1) "
                       "ON CONFLICT DO UPDATE SET count = count + 1",
                       organization, day));
  MUSTER_TRY(const auto count,
             transaction->number("SELECT count FROM invitation_count WHERE organization_id = ?1 AND day = ?2", organization, day));
  if (per_day_max != 0 && count.value_or(0) > static_cast<std::int64_t>(per_day_max)) return DomainError::limit_reached;
  return {};
}

Result<std::optional<Link>> live_link(Connection& connection, LinkKind kind, std::span<const TokenDigest> digests, UtcTime now) {
  for (const TokenDigest& digest : digests) {
    MUSTER_TRY(auto link, one_link(connection.query("SELECT " MUSTER_LINK_COLUMNS
                                                    " FROM link WHERE mac = ?1 AND key_id = ?2 AND kind = ?3 AND expires_at > ?4",
                                                    blob(digest.mac), digest.key_id, kind, now)));
    if (link) return link;
  }
  return std::optional<Link>{};
}

/// Takes the link: it works once. Errors: not_found.
Result<Link> take_link(Transaction& transaction, LinkKind kind, std::span<const TokenDigest> digests, UtcTime now) {
  MUSTER_TRY(const auto link, live_link(*transaction, kind, digests, now));
  if (!link) return DomainError::not_found;
  MUSTER_TRY_VOID(transaction->run("DELETE FROM link WHERE id = ?1", link->id));
  return *link;
}

Result<std::optional<User>> user_of_email(Connection& connection, std::string_view email) {
  MUSTER_TRY(const auto id, connection.number("SELECT id FROM user WHERE email = lower(?1)", email));
  if (!id) return std::optional<User>{};
  return load_user(connection, UserId{*id});
}

Result<void> note_confirmed(Transaction& transaction, UserId user, UtcTime at) {
  MUSTER_TRY_VOID(transaction->run("UPDATE user SET email_confirmed_at = ?2 WHERE id = ?1", user, at));
  // Who has an account needs no link that makes one.
  MUSTER_TRY_VOID(
      transaction->run("DELETE FROM link WHERE kind = ?2 AND email = (SELECT email FROM user WHERE id = ?1)", user, LinkKind::sign_up));
  return {};
}

Actor as_himself(const Actor& actor, const User& user) {
  Actor himself = actor;
  himself.user_id = user.id;
  himself.organization_id = user.organization_id;
  return himself;
}

Result<std::vector<DeviceId>> devices_in(Connection& connection, OrganizationId organization) {
  std::vector<DeviceId> all;
  MUSTER_TRY(Statement rows, connection.query("SELECT id FROM device WHERE organization_id = ?1 ORDER BY id", organization));
  for (;;) {
    MUSTER_TRY(const bool row, rows.step());
    if (!row) return all;
    all.push_back(rows.id<DeviceId>(0));
  }
}

Result<User> move_user(Transaction& transaction, UserId id, OrganizationId to, RoleId role, OwnedDevices devices, const Actor& actor) {
  MUSTER_TRY(const auto before, load_user(*transaction, id));
  MUSTER_TRY(const auto place, load_organization(*transaction, to));
  if (!before || !place) return DomainError::not_found;
  const RoleId next_role = role ? role : before->role_id;
  MUSTER_TRY(const bool known, transaction->exists("SELECT 1 FROM role WHERE id = ?1", next_role));
  if (!known) return DomainError::not_found;
  if (before->organization_id == to) return DomainError::same_place;
  MUSTER_TRY(const bool last, is_last_administrator(*transaction, *before));
  if (last) return DomainError::last_admin;
  MUSTER_TRY(const bool owner, transaction->exists("SELECT 1 FROM device WHERE owner_id = ?1 LIMIT 1", id));
  if (owner && devices == OwnedDevices::refuse) return DomainError::in_use;
  if (devices == OwnedDevices::release) MUSTER_TRY_VOID(leave_devices_of_owner(transaction, id, actor));
  if (devices == OwnedDevices::move) MUSTER_TRY_VOID(move_devices_of_owner(transaction, id, to, actor));
  MUSTER_TRY_VOID(end_access_tokens(transaction, id, std::nullopt));
  MUSTER_TRY_VOID(end_sessions_of_user(transaction, id, "user_transferred", actor));
  MUSTER_TRY_VOID(transaction->run("UPDATE user SET organization_id = ?2, role_id = ?3, updated_at = ?4 WHERE id = ?1", id, to, next_role,
                                   transaction.at(actor)));
  const JsonText detail = JsonText{}
                              .text("email", before->email)
                              .number("from", before->organization_id.value())
                              .number("to", to.value())
                              .number("roleId", next_role.value());
  // Both organizations see it.
  for (const OrganizationId shown_in : {before->organization_id, to}) {
    Actor there = actor;
    there.organization_id = shown_in;
    MUSTER_TRY_VOID(transaction.audit(there, shown_in, "user.transfer", "user", id.value(), detail));
    MUSTER_TRY_VOID(push_event(
        transaction, {.event = domain::Trigger::updated_user, .at = transaction.at(actor), .organization_id = shown_in, .user_id = id}));
  }
  MUSTER_TRY_VOID(transaction.change(ChangeKind::user, id.value()));
  MUSTER_TRY(const auto after, load_user(*transaction, id));
  return after.value();
}

}  // namespace

// --- invitations ---------------------------------------------------------------------------------------------------------

Result<Link> SqliteStore::create_invitation(const NewLink& made, const std::optional<NewMail>& mail, std::size_t per_day_max,
                                            const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Link> {
    const OrganizationId organization = made.link.organization_id;
    MUSTER_TRY(const bool place, transaction->exists("SELECT 1 FROM organization WHERE id = ?1", organization));
    MUSTER_TRY(const bool role, transaction->exists("SELECT 1 FROM role WHERE id = ?1", made.link.role_id));
    if (!place || !role) return DomainError::not_found;
    MUSTER_TRY_VOID(count_invitation(transaction, organization, per_day_max, actor));
    MUSTER_TRY(const LinkId id, insert_link(transaction, made, actor));
    if (mail) MUSTER_TRY_VOID(insert_mail(transaction, *mail, organization, MailGoes::out, transaction.at(actor)));
    MUSTER_TRY(const auto link, one_link(transaction->query("SELECT " MUSTER_LINK_COLUMNS " FROM link WHERE id = ?1", id)));
    MUSTER_TRY_VOID(transaction.audit(actor, organization, "user.invite", "invitation", id.value(),
                                      JsonText{}.text("email", link->email).number("roleId", link->role_id.value())));
    return *link;
  });
}

Result<Link> SqliteStore::renew_invitation(LinkId id, const TokenDigest& digest, UtcTime expires_at, const std::optional<NewMail>& mail,
                                           std::size_t per_day_max, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Link> {
    MUSTER_TRY(auto link,
               one_link(transaction->query("SELECT " MUSTER_LINK_COLUMNS " FROM link WHERE id = ?1 AND kind = ?2", id, LinkKind::invite)));
    if (!link) return DomainError::not_found;
    MUSTER_TRY_VOID(count_invitation(transaction, link->organization_id, per_day_max, actor));
    MUSTER_TRY_VOID(transaction->run("UPDATE link SET key_id = ?2, mac = ?3, expires_at = ?4 WHERE id = ?1", id, digest.key_id,
                                     blob(digest.mac), expires_at));
    link->expires_at = expires_at;
    if (mail) MUSTER_TRY_VOID(insert_mail(transaction, *mail, link->organization_id, MailGoes::out, transaction.at(actor)));
    MUSTER_TRY_VOID(transaction.audit(actor, link->organization_id, "user.invite.resend", "invitation", id.value(),
                                      JsonText{}.text("email", link->email)));
    return *link;
  });
}

Result<void> SqliteStore::revoke_invitation(LinkId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto link,
               one_link(transaction->query("SELECT " MUSTER_LINK_COLUMNS " FROM link WHERE id = ?1 AND kind = ?2", id, LinkKind::invite)));
    if (!link) return DomainError::not_found;
    MUSTER_TRY_VOID(transaction->run("DELETE FROM link WHERE id = ?1", id));
    return transaction.audit(actor, link->organization_id, "user.invite.revoke", "invitation", id.value(),
                             JsonText{}.text("email", link->email));
  });
}

Result<domain::PageOf<Link>> SqliteStore::invitations(OrganizationId organization, const domain::Page& page) {
  return impl_->read([&](Connection& connection) -> Result<domain::PageOf<Link>> {
    domain::PageOf<Link> out;
    const UtcTime now = impl_->clock.utc_now();
    MUSTER_TRY(const auto total,
               connection.number("SELECT count(*) FROM link WHERE organization_id = ?1 AND expires_at > ?2", organization, now));
    out.total = total.value_or(0);
    MUSTER_TRY(Statement rows, connection.query("SELECT " MUSTER_LINK_COLUMNS " FROM link WHERE organization_id = ?1 AND expires_at > ?2 "
                                                "ORDER BY id LIMIT ?3 OFFSET ?4",
                                                organization, now, page.limit, page.offset));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return out;
      out.rows.push_back(link_of(rows));
    }
  });
}

Result<std::optional<Link>> SqliteStore::find_invitation(LinkId id) {
  return impl_->read([&](Connection& connection) {
    return one_link(connection.query("SELECT " MUSTER_LINK_COLUMNS " FROM link WHERE id = ?1 AND kind = ?2", id, LinkKind::invite));
  });
}

Result<User> SqliteStore::accept_invitation(std::span<const TokenDigest> digests, std::string_view verifier, std::string_view name,
                                            const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<User> {
    const UtcTime at = transaction.at(actor);
    MUSTER_TRY(const Link link, take_link(transaction, LinkKind::invite, digests, transaction.now()));
    User user;
    user.organization_id = link.organization_id;
    user.role_id = link.role_id;
    user.email = link.email;
    user.name = name;
    user.locale = link.locale;
    user.status = UserStatus::active;
    Actor himself = actor;
    himself.organization_id = link.organization_id;
    MUSTER_TRY(const User made, insert_user(transaction, user, verifier, himself));
    MUSTER_TRY_VOID(note_confirmed(transaction, made.id, at));
    MUSTER_TRY_VOID(transaction.audit(as_himself(actor, made), made.organization_id, "user.invite.accept", "user", made.id.value(),
                                      JsonText{}.text("email", made.email).number("invitedBy", link.created_by.value())));
    return made;
  });
}

Result<User> SqliteStore::accept_invitation_as(std::span<const TokenDigest> digests, UserId id, OwnedDevices devices, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<User> {
    MUSTER_TRY(const Link link, take_link(transaction, LinkKind::invite, digests, transaction.now()));
    MUSTER_TRY(const auto user, load_user(*transaction, id));
    if (!user || user->email != link.email) return DomainError::not_found;
    if (user->status != UserStatus::active) return DomainError::not_active;
    return move_user(transaction, id, link.organization_id, link.role_id, devices, as_himself(actor, *user));
  });
}

// --- links that a person asks for --------------------------------------------------------------------------------------------

Result<void> SqliteStore::request_link(const NewLink& made, const NewMail& mail, bool needs_account, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto user, user_of_email(*transaction, made.link.email));
    const bool goes = !needs_account || (user && user->status == UserStatus::active);
    MUSTER_TRY(const auto root, transaction->number("SELECT id FROM organization WHERE parent_id IS NULL"));
    const OrganizationId shown_in = user ? user->organization_id : OrganizationId{static_cast<std::int32_t>(root.value_or(0))};
    MUSTER_TRY_VOID(insert_link(transaction, made, actor));
    MUSTER_TRY_VOID(insert_mail(transaction, mail, shown_in, goes ? MailGoes::out : MailGoes::nowhere, transaction.at(actor)));
    // Of an unknown email the log has no more than that somebody asked: people type anything into such a field.
    Actor himself = actor;
    himself.organization_id = shown_in;
    return transaction.audit(himself, shown_in, made.link.kind == LinkKind::reset ? "user.reset.request" : "user.link.request", "user",
                             user ? user->id.value() : 0);
  });
}

Result<std::optional<Link>> SqliteStore::find_link(LinkKind kind, std::span<const TokenDigest> digests) {
  return impl_->read([&](Connection& connection) { return live_link(connection, kind, digests, impl_->clock.utc_now()); });
}

Result<std::size_t> SqliteStore::expire_links(UtcTime now, std::size_t limit) {
  return impl_->write([&](Transaction& transaction) -> Result<std::size_t> {
    MUSTER_TRY(const auto links,
               transaction->run("DELETE FROM link WHERE id IN (SELECT id FROM link WHERE expires_at <= ?1 LIMIT ?2)", now, limit));
    MUSTER_TRY(const auto mails, transaction->run("DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE state = 3 OR (state = 2 AND "
                                                  "next_try_at <= ?1) LIMIT ?2)",
                                                  UtcTime{now.ms - domain::given_up_mail_kept_ms}, limit));
    MUSTER_TRY_VOID(transaction->run("DELETE FROM invitation_count WHERE day < ?1", now.ms / day_ms - 1));
    return static_cast<std::size_t>(links + mails);
  });
}

Result<User> SqliteStore::complete_sign_up(std::span<const TokenDigest> digests, std::string_view verifier, std::string_view name,
                                           OrganizationId group, std::string_view organization_name, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<User> {
    MUSTER_TRY(const Link link, take_link(transaction, LinkKind::sign_up, digests, transaction.now()));
    MUSTER_TRY(const auto present, user_of_email(*transaction, link.email));
    if (present) return DomainError::email_taken;
    domain::Organization organization;
    organization.parent_id = group;
    organization.name = organization_name;
    const bool partner = link.sign_up == domain::SignUpKind::partner;
    organization.type = partner ? domain::OrganizationType::business : domain::OrganizationType::personal;
    organization.can_create_sub_organizations = partner;
    for (int number = 2; number < numbered_names_max; ++number) {
      MUSTER_TRY(const bool taken,
                 transaction->exists("SELECT 1 FROM organization WHERE parent_id = ?1 AND name = ?2", group, organization.name));
      if (!taken) break;
      organization.name = std::string{organization_name} + ' ' + std::to_string(number);
    }
    Actor himself = actor;
    himself.organization_id = {};
    MUSTER_TRY(const auto home, insert_organization(transaction, organization, impl_->options.organization_depth_max, himself));
    User user;
    user.organization_id = home.id;
    user.role_id = domain::admin_role;
    user.email = link.email;
    user.name = name;
    user.locale = link.locale;
    MUSTER_TRY(const User made, insert_user(transaction, user, verifier, himself));
    MUSTER_TRY_VOID(note_confirmed(transaction, made.id, transaction.at(actor)));
    MUSTER_TRY_VOID(
        transaction.audit(as_himself(actor, made), home.id, "user.sign_up", "user", made.id.value(), JsonText{}.text("email", made.email)));
    return made;
  });
}

Result<User> SqliteStore::reset_password(std::span<const TokenDigest> digests, std::string_view verifier,
                                         const std::optional<NewMail>& note, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<User> {
    MUSTER_TRY(const Link link, take_link(transaction, LinkKind::reset, digests, transaction.now()));
    MUSTER_TRY(const auto user, user_of_email(*transaction, link.email));
    if (!user) return DomainError::not_found;
    if (user->status != UserStatus::active) return DomainError::not_active;
    const UtcTime at = transaction.at(actor);
    MUSTER_TRY_VOID(transaction->run("UPDATE user SET verifier = ?2, updated_at = ?3 WHERE id = ?1", user->id, verifier, at));
    MUSTER_TRY_VOID(end_access_tokens(transaction, user->id, std::nullopt));
    MUSTER_TRY_VOID(note_confirmed(transaction, user->id, at));
    if (note) MUSTER_TRY_VOID(insert_mail(transaction, *note, user->organization_id, MailGoes::out, at));
    MUSTER_TRY_VOID(transaction.audit(as_himself(actor, *user), user->organization_id, "user.reset", "user", user->id.value(),
                                      JsonText{}.text("email", user->email)));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::user, user->id.value()));
    return *user;
  });
}

Result<UserId> SqliteStore::confirm_email(std::span<const TokenDigest> digests, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<UserId> {
    MUSTER_TRY(const Link link, take_link(transaction, LinkKind::confirm_email, digests, transaction.now()));
    MUSTER_TRY(const auto user, user_of_email(*transaction, link.email));
    if (!user) return DomainError::not_found;
    MUSTER_TRY_VOID(note_confirmed(transaction, user->id, transaction.at(actor)));
    MUSTER_TRY_VOID(transaction.audit(as_himself(actor, *user), user->organization_id, "user.email.confirm", "user", user->id.value(),
                                      JsonText{}.text("email", user->email)));
    return user->id;
  });
}

Result<UtcTime> SqliteStore::email_confirmed_at(UserId id) {
  return impl_->read([&](Connection& connection) -> Result<UtcTime> {
    MUSTER_TRY(const auto at, connection.number("SELECT email_confirmed_at FROM user WHERE id = ?1", id));
    if (!at) return DomainError::not_found;
    return UtcTime{*at};
  });
}

// --- people move and leave -----------------------------------------------------------------------------------------------------

Result<User> SqliteStore::transfer_user(UserId id, OrganizationId to, RoleId role, OwnedDevices devices, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) { return move_user(transaction, id, to, role, devices, actor); });
}

Result<void> SqliteStore::leave(UserId id, OwnedDevices devices, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto user, load_user(*transaction, id));
    if (!user) return DomainError::not_found;
    MUSTER_TRY(const auto home, load_organization(*transaction, user->organization_id));
    MUSTER_TRY(const bool others, transaction->exists("SELECT 1 FROM user WHERE organization_id = ?1 AND id <> ?2 LIMIT 1", home->id, id));
    MUSTER_TRY(const bool last, is_last_administrator(*transaction, *user));
    if (last && (others || !home->parent_id)) return DomainError::last_admin;
    if (others || !home->parent_id) {
      MUSTER_TRY(const bool owner, transaction->exists("SELECT 1 FROM device WHERE owner_id = ?1 LIMIT 1", id));
      if (owner && devices != OwnedDevices::release) return DomainError::in_use;
      MUSTER_TRY_VOID(leave_devices_of_owner(transaction, id, actor));
    } else {
      MUSTER_TRY(const auto all, devices_in(*transaction, home->id));
      if (!all.empty() && devices != OwnedDevices::release) return DomainError::in_use;
      for (const DeviceId device : all) MUSTER_TRY_VOID(remove_device(transaction, device, actor));
    }
    MUSTER_TRY_VOID(end_access_tokens(transaction, id, std::nullopt));
    MUSTER_TRY_VOID(end_sessions_of_user(transaction, id, "user_deleted", actor));
    // The entry stays in an organization that stays.
    const OrganizationId shown_in = others || !home->parent_id ? home->id : home->parent_id;
    MUSTER_TRY_VOID(push_event(
        transaction, {.event = domain::Trigger::deleted_user, .at = transaction.at(actor), .organization_id = shown_in, .user_id = id}));
    MUSTER_TRY_VOID(transaction->run("DELETE FROM user WHERE id = ?1", id));
    Actor there = actor;
    there.organization_id = shown_in;
    MUSTER_TRY_VOID(transaction.audit(there, shown_in, "user.leave", "user", id.value(), JsonText{}.text("email", user->email)));
    // Also what the entry above says of the person: who left is known by number.
    MUSTER_TRY_VOID(erase_audit_traces(*transaction, id, user->email));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::user, id.value()));
    if (others || !home->parent_id) return {};
    return remove_organization(transaction, home->id, there);
  });
}

Result<std::vector<domain::AuditEntry>> SqliteStore::acts_of(UserId id, std::size_t limit) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<domain::AuditEntry>> {
    std::vector<domain::AuditEntry> all;
    MUSTER_TRY(
        Statement rows,
        connection.query("SELECT audit.id, audit.at, audit.client, ifnull(came.text, ''), audit.organization_id, audit.action, "
                         "audit.object_kind, audit.object_id FROM audit LEFT JOIN audit_personal AS came ON came.entry = audit.number "
                         "AND came.part = 0 WHERE audit.actor_user_id = ?1 AND audit.organization_id = (SELECT organization_id FROM "
                         "user WHERE id = ?1) ORDER BY audit.id DESC LIMIT ?2",
                         id, limit));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return all;
      domain::AuditEntry entry;
      entry.id = rows.id<AuditId>(0);
      entry.at = rows.time(1);
      entry.actor_user_id = id;
      entry.client = rows.text(2);
      entry.ip = rows.text(3);
      entry.organization_id = rows.id<OrganizationId>(4);
      entry.action = rows.text(5);
      entry.object_kind = rows.text(6);
      entry.object_id = rows.integer(7);
      all.push_back(std::move(entry));
    }
  });
}

}  // namespace muster::store
