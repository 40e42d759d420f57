// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/sealed_key.hpp"
#include "cloud/store/sqlite/store_impl.hpp"
#include "cloud/store/sqlite/text_search.hpp"

/// Mail that waits.
namespace muster::store {

using domain::DomainError;
using domain::NewMail;
using domain::QueuedMail;

namespace {

enum class MailState : std::uint8_t { waits = 1, given_up = 2, nowhere = 3 };
constexpr std::size_t reason_max_bytes = 300;

QueuedMail mail_of(const Statement& row) {
  QueuedMail value;
  value.id = row.id<MailId>(0);
  value.organization_id = row.id<OrganizationId>(1);
  value.recipient = row.text(2);
  value.kind = row.text(3);
  value.queued_at = row.time(4);
  value.next_try_at = row.time(5);
  value.tries = static_cast<std::uint32_t>(row.integer(6));
  value.given_up = row.integer(7) == static_cast<int>(MailState::given_up);
  value.reason = row.text(8);
  return value;
}
#define MUSTER_MAIL_COLUMNS "id, organization_id, recipient, kind, queued_at, next_try_at, tries, state, reason"

}  // namespace

Result<void> insert_mail(Transaction& transaction, const NewMail& mail, OrganizationId organization, MailGoes goes, UtcTime at) {
  MUSTER_TRY_VOID(
      transaction->run("INSERT INTO mail (organization_id, recipient, kind, sealed, key_id, state, queued_at, next_try_at) "
                       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
                       organization, mail.recipient, mail.kind, blob(mail.sealed), key_of_sealed(mail.sealed),
                       goes == MailGoes::out ? MailState::waits : MailState::nowhere, at));
  return {};
}

Result<void> SqliteStore::queue_mail(const NewMail& mail, OrganizationId organization, UtcTime now) {
  return impl_->write([&](Transaction& transaction) { return insert_mail(transaction, mail, organization, MailGoes::out, now); });
}

Result<std::vector<QueuedMail>> SqliteStore::due_mail(UtcTime now, std::size_t limit) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<QueuedMail>> {
    std::vector<QueuedMail> due;
    MUSTER_TRY(Statement rows, connection.query("SELECT " MUSTER_MAIL_COLUMNS ", sealed FROM mail WHERE state = 1 AND next_try_at <= ?1 "
                                                "ORDER BY next_try_at, id LIMIT ?2",
                                                now, limit));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return due;
      due.push_back(mail_of(rows));
      due.back().sealed = rows.text(9);
    }
  });
}

Result<void> SqliteStore::mail_sent(MailId id) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY_VOID(transaction->run("DELETE FROM mail WHERE id = ?1", id));
    return {};
  });
}

Result<void> SqliteStore::mail_failed(MailId id, std::optional<UtcTime> next_try_at, std::string_view reason, UtcTime now) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    const std::string_view why = reason.substr(0, reason_max_bytes);
    if (next_try_at) {
      MUSTER_TRY_VOID(transaction->run("UPDATE mail SET tries = tries + 1, next_try_at = ?2, reason = ?3 WHERE id = ?1 AND state = 1", id,
                                       *next_try_at, why));
      return {};
    }
    MUSTER_TRY_VOID(transaction->run(
        "UPDATE mail SET tries = tries + 1, next_try_at = ?2, reason = ?3, state = 2, sealed = x'', key_id = 0 WHERE id = ?1 AND state = 1",
        id, now, why));
    return {};
  });
}

Result<domain::PageOf<QueuedMail>> SqliteStore::queued_mail(OrganizationId organization, const domain::Page& page) {
  return impl_->read([&](Connection& connection) -> Result<domain::PageOf<QueuedMail>> {
    domain::PageOf<QueuedMail> out;
    MUSTER_TRY(const auto total, connection.number("SELECT count(*) FROM mail WHERE organization_id = ?1 AND state < 3", organization));
    out.total = total.value_or(0);
    MUSTER_TRY(Statement rows, connection.query("SELECT " MUSTER_MAIL_COLUMNS " FROM mail WHERE organization_id = ?1 AND state < 3 "
                                                "ORDER BY id DESC LIMIT ?2 OFFSET ?3",
                                                organization, page.limit, page.offset));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return out;
      out.rows.push_back(mail_of(rows));
    }
  });
}

}  // namespace muster::store
