// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/sqlite_store.hpp"

#include <algorithm>

#include "cloud/store/sqlite/store_impl.hpp"

/// Opening and closing, settings, the change feed.
namespace muster::store {

using domain::ChangeKind;
using domain::DomainError;
using domain::StoreError;

std::unique_ptr<SqliteStore> SqliteStore::open(std::filesystem::path path, SqliteOptions options) {
  return std::unique_ptr<SqliteStore>{new SqliteStore{std::make_unique<Impl>(std::move(path), options)}};
}

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) noexcept : impl_{std::move(impl)} {}

SqliteStore::~SqliteStore() { close(); }

void SqliteStore::close() {
  impl_->writer.stop();
  impl_->database.close();
}

SqliteStore::WriterStatistics SqliteStore::writer_statistics() const noexcept {
  return {impl_->writer.operations(), impl_->writer.commits()};
}

Result<void> SqliteStore::check() {
  // A row is really read: a file that opens and cannot be read is not there.
  return impl_->read([](Connection& connection) -> Result<void> {
    MUSTER_TRY_VOID(read_setting(connection, "unknown_tokens"));
    return {};
  });
}

// --- settings ------------------------------------------------------------------------------------------------------------

Result<std::int64_t> read_setting(Connection& connection, std::string_view name) {
  MUSTER_TRY(const auto value, connection.number("SELECT value FROM setting WHERE name = ?1", name));
  if (!value) return StoreError::corrupt;
  return *value;
}

Result<void> write_setting(Connection& connection, std::string_view name, std::int64_t value) {
  MUSTER_TRY(const auto rows, connection.run("UPDATE setting SET value = ?2 WHERE name = ?1", name, value));
  if (rows != 1) return StoreError::corrupt;
  return {};
}

Result<domain::UnknownTokens> SqliteStore::unknown_tokens() {
  return impl_->read([](Connection& connection) -> Result<domain::UnknownTokens> {
    MUSTER_TRY(const auto value, read_setting(connection, "unknown_tokens"));
    if (value < 0 || value > static_cast<std::int64_t>(domain::UnknownTokens::hold_through_set_up)) return domain::UnknownTokens::hold;
    return static_cast<domain::UnknownTokens>(value);
  });
}

Result<void> SqliteStore::set_unknown_tokens(domain::UnknownTokens mode, const domain::Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY_VOID(write_setting(*transaction, "unknown_tokens", static_cast<std::int64_t>(mode)));
    MUSTER_TRY_VOID(transaction.audit(actor, {}, "store.unknown_tokens", "settings", 0,
                                      JsonText{}.text("unknownTokens", mode == domain::UnknownTokens::refuse ? "refuse" : "hold")));
    return transaction.change(ChangeKind::settings, 0);
  });
}

// --- change feed ---------------------------------------------------------------------------------------------------------

namespace {

Result<std::int64_t> newest(Connection& connection) {
  MUSTER_TRY(const auto last, connection.number("SELECT max(seq) FROM changes"));
  if (last) return *last;
  return read_setting(connection, "changes_trimmed_to");
}

}  // namespace

Result<std::int64_t> SqliteStore::newest_change() {
  return impl_->read([](Connection& connection) { return newest(connection); });
}

Result<domain::Store::Changes> SqliteStore::changes_after(std::int64_t after, std::size_t limit) {
  return impl_->read([&](Connection& connection) -> Result<Changes> {
    Changes changes;
    MUSTER_TRY(const auto trimmed_to, read_setting(connection, "changes_trimmed_to"));
    MUSTER_TRY(const auto last, newest(connection));
    // Ahead of the feed: the store was replaced by an older one.
    if (after < trimmed_to || after > last) {
      changes.too_far_behind = true;
      return changes;
    }
    // One writer: numbers appear in their order, so that there are no gaps to wait for.
    MUSTER_TRY(Statement rows, connection.query("SELECT seq, kind, id FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2", after, limit));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) break;
      changes.rows.push_back({rows.integer(0), static_cast<ChangeKind>(rows.integer(1)), rows.integer(2)});
    }
    return changes;
  });
}

Result<void> SqliteStore::trim_changes(std::int64_t up_to) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto last, newest(*transaction));
    MUSTER_TRY(const auto trimmed_to, read_setting(*transaction, "changes_trimmed_to"));
    const auto target = std::min(up_to, last);
    if (target <= trimmed_to) return {};
    MUSTER_TRY_VOID(transaction->run("DELETE FROM changes WHERE seq <= ?1", target));
    return write_setting(*transaction, "changes_trimmed_to", target);
  });
}

// --- lists ---------------------------------------------------------------------------------------------------------------

Result<std::string> order_and_limit(const domain::Page& page, std::string_view prefix) {
  const std::string table{prefix};
  const std::string direction = page.descending ? " DESC" : " ASC";
  std::string order;
  if (page.sort_by.empty() || page.sort_by == "id") {
    order = table + ".id" + direction;
  } else if (page.sort_by == "name") {
    order = table + ".name COLLATE NOCASE" + direction + ", " + table + ".id" + direction;
  } else if (page.sort_by == "createdAt") {
    order = table + ".created_at" + direction + ", " + table + ".id" + direction;
  } else {
    return DomainError::invalid_value;
  }
  return " ORDER BY " + order + " LIMIT :limit OFFSET :offset";
}

void bind_limit(Statement& statement, const domain::Page& page) {
  statement.bind_named(":limit", std::clamp<std::int64_t>(page.limit, 1, 1000));
  statement.bind_named(":offset", std::max<std::int64_t>(page.offset, 0));
}

}  // namespace muster::store
