// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cloud/store/sqlite/store_impl.hpp"

/// The audit log.
namespace muster::store {

using domain::AuditEntry;

Result<void> SqliteStore::append_audit(const AuditEntry& entry) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    const UtcTime at = entry.at.ms != 0 ? entry.at : transaction.now();
    MUSTER_TRY_VOID(
        transaction->run("INSERT INTO audit (at, actor_user_id, client, ip, organization_id, action, object_kind, object_id, detail) "
                         "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                         at, entry.actor_user_id, entry.client, entry.ip, entry.organization_id, entry.action, entry.object_kind,
                         entry.object_id, entry.detail.empty() ? std::string_view{"{}"} : std::string_view{entry.detail}));
    return {};
  });
}

Result<domain::PageOf<AuditEntry>> SqliteStore::audit(const AuditFilter& filter, const domain::Page& page) {
  return impl_->read([&](Connection& connection) -> Result<domain::PageOf<AuditEntry>> {
    std::string where = filter.organizations.size() == 1
                            ? " FROM audit WHERE organization_id = :organization"
                            : " FROM audit WHERE organization_id IN (SELECT value FROM json_each(:organizations))";
    const bool prefix = filter.action.ends_with('.');
    if (prefix) where += " AND substr(action, 1, length(:action)) = :action";
    if (!prefix && !filter.action.empty()) where += " AND action = :action";
    if (filter.from.ms != 0) where += " AND at >= :from";
    if (filter.to.ms != 0) where += " AND at < :to";
    const auto bind = [&](Statement& statement) {
      if (filter.organizations.size() == 1) {
        statement.bind_named(":organization", filter.organizations[0]);
      } else {
        statement.bind_named(":organizations", id_array(filter.organizations));
      }
      statement.bind_named(":action", filter.action);
      statement.bind_named(":from", filter.from);
      statement.bind_named(":to", filter.to);
      bind_limit(statement, page);
    };
    domain::PageOf<AuditEntry> out;
    MUSTER_TRY(Statement count, connection.prepare("SELECT count(*)" + where));
    bind(count);
    MUSTER_TRY_VOID(count.step());
    out.total = count.integer(0);
    MUSTER_TRY(Statement rows,
               connection.prepare("SELECT id, at, actor_user_id, client, ip, organization_id, action, object_kind, object_id, detail" +
                                  where + " ORDER BY id DESC LIMIT :limit OFFSET :offset"));
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
      out.rows.push_back(std::move(entry));
    }
  });
}

}  // namespace muster::store
