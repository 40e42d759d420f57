// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cloud/store/sqlite/store_events.hpp"
#include "cloud/store/sqlite/store_impl.hpp"

/// The timeline of devices.
namespace muster::store {

using domain::DomainError;
using domain::TimelineEntry;
using domain::TimelineNote;
using domain::TimelineType;
using domain::Trigger;

namespace {

#define MUSTER_TIMELINE_COLUMNS \
  "id, device_id, organization_id, at, type, code, name, description, user_id, resolved_at, resolved_by, resolve_comment"

TimelineEntry entry_of(const Statement& row) {
  TimelineEntry entry;
  entry.id = row.id<TimelineId>(0);
  entry.device_id = row.id<DeviceId>(1);
  entry.organization_id = row.id<OrganizationId>(2);
  entry.at = row.time(3);
  entry.type = static_cast<TimelineType>(row.integer(4));
  entry.code = row.text(5);
  entry.name = row.text(6);
  entry.description = row.text(7);
  entry.user_id = row.id<UserId>(8);
  entry.resolved_at = row.time(9);
  entry.resolved_by = row.id<UserId>(10);
  entry.resolve_comment = row.text(11);
  return entry;
}

Result<std::vector<TimelineEntry>> all_of(Statement& rows) {
  std::vector<TimelineEntry> all;
  for (;;) {
    MUSTER_TRY(const bool row, rows.step());
    if (!row) return all;
    all.push_back(entry_of(rows));
  }
}

Result<std::optional<TimelineEntry>> load_entry(Connection& connection, TimelineId id) {
  MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_TIMELINE_COLUMNS " FROM timeline WHERE id = ?1", id));
  MUSTER_TRY(const bool found, row.step());
  return found ? std::optional{entry_of(row)} : std::nullopt;
}

/// Whether the line says nothing new: the device was on the timeline as that already, or has moved on since.
Result<bool> is_told(Connection& connection, const TimelineNote& note) {
  return connection.exists(
      "SELECT 1 FROM (SELECT type, at FROM timeline WHERE device_id = ?1 AND type IN (4, 5) ORDER BY id DESC LIMIT 1) "
      "WHERE type = ?2 OR at > ?3",
      note.device_id, note.type, note.at);
}

Result<TimelineId> insert(Transaction& transaction, const TimelineEntry& entry) {
  MUSTER_TRY_VOID(transaction->run(
      "INSERT INTO timeline (device_id, organization_id, at, type, code, name, description, user_id) VALUES (?1, ?2, ?3, "
      "?4, ?5, ?6, ?7, ?8)",
      entry.device_id, entry.organization_id, entry.at, entry.type, entry.code, entry.name, entry.description, entry.user_id));
  const TimelineId id{transaction->last_insert_id()};
  if (domain::is_logged(entry.type)) {
    MUSTER_TRY_VOID(push_event(transaction,
                               {.event = Trigger::device_log_event,
                                .at = entry.at,
                                .organization_id = entry.organization_id,
                                .device_id = entry.device_id,
                                .code = entry.code},
                               JsonText{}
                                   .text("event_code", entry.code)
                                   .text("event_name", entry.name)
                                   .text("event_description", entry.description)
                                   .text("event_type", domain::timeline_type_name(entry.type))));
  } else if (entry.code == domain::timeline_code::token_conflict) {
    MUSTER_TRY_VOID(push_event(
        transaction,
        {.event = Trigger::token_conflict, .at = entry.at, .organization_id = entry.organization_id, .device_id = entry.device_id}));
  }
  return id;
}

Result<void> write(Transaction& transaction, const TimelineNote& note) {
  if (note.what != TimelineNote::What::add) {
    MUSTER_TRY_VOID(
        transaction->run("UPDATE timeline SET resolved_at = ?3 WHERE device_id = ?1 AND code = ?2 AND type <= 3 AND resolved_at "
                         "= 0 AND (?4 OR id = (SELECT max(id) FROM timeline WHERE device_id = ?1 AND code = ?2 AND type <= 3 AND "
                         "resolved_at = 0))",
                         note.device_id, note.code, note.at, note.what == TimelineNote::What::resolve_all));
    return {};
  }
  MUSTER_TRY(const auto organization,
             transaction->number("SELECT organization_id FROM device WHERE id = ?1 AND erased_at < ?2", note.device_id, note.at));
  if (!organization) return {};  // Deleted meanwhile, or emptied since.
  if (note.type == TimelineType::online || note.type == TimelineType::offline) {
    MUSTER_TRY(const bool told, is_told(*transaction, note));
    if (told) return {};
  }
  TimelineEntry entry;
  entry.device_id = note.device_id;
  entry.organization_id = OrganizationId{static_cast<std::int32_t>(*organization)};
  entry.at = note.at;
  entry.type = note.type;
  entry.code = note.code;
  entry.name = note.name;
  entry.description = note.description;
  MUSTER_TRY_VOID(insert(transaction, entry));
  return {};
}

}  // namespace

Result<void> SqliteStore::write_timeline(std::span<const TimelineNote> batch) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    for (const TimelineNote& note : batch) MUSTER_TRY_VOID(write(transaction, note));
    return {};
  });
}

Result<TimelineEntry> SqliteStore::add_timeline(const TimelineEntry& given) {
  return impl_->write([&](Transaction& transaction) -> Result<TimelineEntry> {
    MUSTER_TRY(const auto organization, transaction->number("SELECT organization_id FROM device WHERE id = ?1", given.device_id));
    if (!organization) return DomainError::not_found;
    TimelineEntry entry = given;
    entry.organization_id = OrganizationId{static_cast<std::int32_t>(*organization)};
    if (entry.at.ms == 0) entry.at = transaction.now();
    MUSTER_TRY(entry.id, insert(transaction, entry));
    return entry;
  });
}

Result<TimelineEntry> SqliteStore::resolve_timeline(DeviceId device, TimelineId id, std::string_view comment, const domain::Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<TimelineEntry> {
    MUSTER_TRY(const auto before, load_entry(*transaction, id));
    if (!before || before->device_id != device) return DomainError::not_found;
    if (before->resolved_at.ms != 0 || !domain::is_logged(before->type)) return DomainError::wrong_state;
    MUSTER_TRY_VOID(transaction->run("UPDATE timeline SET resolved_at = ?2, resolved_by = ?3, resolve_comment = ?4 WHERE id = ?1", id,
                                     transaction.at(actor), actor.user_id, comment));
    MUSTER_TRY(const auto after, load_entry(*transaction, id));
    return after.value();
  });
}

Result<domain::PageOf<TimelineEntry>> SqliteStore::timeline(const domain::TimelineFilter& filter, const domain::Page& page) {
  return impl_->read([&](Connection& connection) -> Result<domain::PageOf<TimelineEntry>> {
    std::string where = " FROM timeline WHERE device_id = :device";
    if (filter.type) where += " AND type = :type";
    if (!filter.code.empty()) where += " AND code = :code";
    if (filter.from.ms != 0) where += " AND at >= :from";
    if (filter.to.ms != 0) where += " AND at < :to";
    const auto bind = [&](Statement& statement) {
      statement.bind_named(":device", filter.device);
      statement.bind_named(":type", filter.type);
      statement.bind_named(":code", filter.code);
      statement.bind_named(":from", filter.from);
      statement.bind_named(":to", filter.to);
      bind_limit(statement, page);
    };
    domain::PageOf<TimelineEntry> out;
    MUSTER_TRY(Statement count, connection.prepare("SELECT count(*)" + where));
    bind(count);
    MUSTER_TRY_VOID(count.step());
    out.total = count.integer(0);
    MUSTER_TRY(Statement rows,
               connection.prepare("SELECT " MUSTER_TIMELINE_COLUMNS + where + " ORDER BY at DESC, id DESC LIMIT :limit OFFSET :offset"));
    bind(rows);
    MUSTER_TRY(out.rows, all_of(rows));
    return out;
  });
}

Result<std::vector<TimelineEntry>> SqliteStore::timeline_after(TimelineId after, std::size_t limit) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<TimelineEntry>> {
    MUSTER_TRY(Statement rows,
               connection.query("SELECT " MUSTER_TIMELINE_COLUMNS " FROM timeline WHERE id > ?1 ORDER BY id LIMIT ?2", after, limit));
    return all_of(rows);
  });
}

Result<std::vector<domain::TimelineStore::Logged>> SqliteStore::logged_since(UtcTime from, std::size_t limit) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<Logged>> {
    MUSTER_TRY(Statement rows,
               connection.query("SELECT device_id, count(*) FROM timeline INDEXED BY timeline_logged WHERE type <= 3 AND at >= ?1 GROUP "
                                "BY device_id LIMIT ?2",
                                from, limit));
    std::vector<Logged> all;
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return all;
      all.push_back({rows.id<DeviceId>(0), static_cast<unsigned>(rows.integer(1))});
    }
  });
}

Result<TimelineId> SqliteStore::newest_timeline() {
  return impl_->read([&](Connection& connection) -> Result<TimelineId> {
    MUSTER_TRY(const auto newest, connection.number("SELECT max(id) FROM timeline"));
    return TimelineId{newest.value_or(0)};
  });
}

Result<std::size_t> SqliteStore::trim_timeline(UtcTime before, std::size_t limit) {
  return impl_->write([&](Transaction& transaction) -> Result<std::size_t> {
    // Written in the order of their times, but for a few: the oldest are the first.
    MUSTER_TRY(
        const auto gone,
        transaction->run("DELETE FROM timeline WHERE id IN (SELECT id FROM timeline ORDER BY id LIMIT ?2) AND at < ?1", before, limit));
    return static_cast<std::size_t>(gone);
  });
}

}  // namespace muster::store
