// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cloud/store/sqlite/audit_log.hpp"
#include "cloud/store/sqlite/store_impl.hpp"
#include "cloud/store/sqlite/text_search.hpp"

/// The audit log: entries without an operation of their own, reading, the chain as a whole.
namespace muster::store {

using domain::AuditEntry;

namespace {

constexpr std::string_view from_rows =
    " FROM audit LEFT JOIN audit_personal AS came ON came.entry = audit.number AND came.part = 0 LEFT JOIN audit_personal AS about ON "
    "about.entry = audit.number AND about.part = 1";

/// The part behind FROM, with `:name` for what is asked.
std::string condition(const domain::AuditStore::AuditFilter& filter) {
  std::string where = filter.organizations.size() == 1 ? " WHERE audit.organization_id = :organization"
                                                       : " WHERE audit.organization_id IN (SELECT value FROM json_each(:organizations))";
  const bool prefix = filter.action.ends_with('.');
  if (prefix) where += " AND substr(audit.action, 1, length(:action)) = :action";
  if (!prefix && !filter.action.empty()) where += " AND audit.action = :action";
  if (filter.from.ms != 0) where += " AND audit.at >= :from";
  if (filter.to.ms != 0) where += " AND audit.at < :to";
  if (filter.actor) where += " AND audit.actor_user_id = :actor";
  if (!filter.object_kind.empty()) where += " AND audit.object_kind = :object_kind";
  if (filter.object_id != 0) where += " AND audit.object_id = :object_id";
  if (filter.before) where += " AND audit.id < :before";
  if (!filter.text.empty()) {
    where +=
        " AND (muster_contains(audit.action, :text) OR muster_contains(audit.detail, :text) OR muster_contains(ifnull(came.text, ''), "
        ":text) "
        "OR muster_contains(ifnull(about.text, ''), :text))";
  }
  return where;
}

}  // namespace

Result<void> SqliteStore::append_audit(const AuditEntry& entry) {
  return impl_->write([&](Transaction& transaction) { return transaction.lay(entry); });
}

Result<domain::PageOf<AuditEntry>> SqliteStore::audit(const AuditFilter& filter, const domain::Page& page) {
  return impl_->read([&](Connection& connection) -> Result<domain::PageOf<AuditEntry>> {
    const std::string where = std::string{from_rows} + condition(filter);
    const std::string text = fold_case(filter.text);
    const auto bind = [&](Statement& statement) {
      if (filter.organizations.size() == 1) {
        statement.bind_named(":organization", filter.organizations[0]);
      } else {
        statement.bind_named(":organizations", id_array(filter.organizations));
      }
      statement.bind_named(":action", filter.action);
      statement.bind_named(":from", filter.from);
      statement.bind_named(":to", filter.to);
      statement.bind_named(":actor", filter.actor);
      statement.bind_named(":object_kind", filter.object_kind);
      statement.bind_named(":object_id", filter.object_id);
      statement.bind_named(":before", filter.before);
      statement.bind_named(":text", text);
      bind_limit(statement, page);
    };
    domain::PageOf<AuditEntry> out;
    if (filter.count) {
      MUSTER_TRY(Statement count, connection.prepare("SELECT count(*)" + where));
      bind(count);
      MUSTER_TRY_VOID(count.step());
      out.total = count.integer(0);
    }
    MUSTER_TRY(
        Statement rows,
        connection.prepare("SELECT audit.id, audit.at, audit.actor_user_id, audit.client, ifnull(came.text, ''), "
                           "audit.organization_id, audit.action, audit.object_kind, audit.object_id, CASE WHEN about.text IS NULL THEN "
                           "audit.detail ELSE json_patch(audit.detail, about.text) END, audit.api_key_id, audit.oauth_client_id" +
                           where + " ORDER BY audit.id DESC LIMIT :limit OFFSET :offset"));
    bind(rows);
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return out;
      AuditEntry entry;
      entry.id = rows.id<AuditId>(0);
      entry.at = rows.time(1);
      entry.actor_user_id = rows.id<UserId>(2);
      entry.client = rows.text(3);
      entry.ip = rows.text(4);
      entry.organization_id = rows.id<OrganizationId>(5);
      entry.action = rows.text(6);
      entry.object_kind = rows.text(7);
      entry.object_id = rows.integer(8);
      entry.detail = rows.text(9);
      entry.api_key_id = rows.id<ApiKeyId>(10);
      entry.oauth_client_id = rows.id<OAuthClientId>(11);
      out.rows.push_back(std::move(entry));
    }
  });
}

Result<domain::AuditTip> SqliteStore::audit_tip() {
  return impl_->read([](Connection& connection) { return read_audit_tip(connection); });
}

Result<void> SqliteStore::for_each_audit_link(const std::function<void(const domain::AuditLink&)>& each) {
  return impl_->read([&](Connection& connection) { return walk_audit_chain(connection, each); });
}

Result<std::int64_t> SqliteStore::audit_numbers_given() {
  return impl_->read([](Connection& connection) -> Result<std::int64_t> {
    MUSTER_TRY(const auto given, connection.number("SELECT seq FROM sqlite_sequence WHERE name = 'audit'"));
    return given.value_or(0);
  });
}

}  // namespace muster::store
