// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/backup.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>

#include "cloud/base/error.hpp"
#include "cloud/base/log.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/store/sqlite/migrations.hpp"
#include "cloud/store/sqlite/store_impl.hpp"

namespace muster::store {

using domain::StoreError;

namespace {

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path{"."};
}

Result<void> check_all_of(Connection& connection) {
  MUSTER_TRY(Statement check, connection.query("PRAGMA quick_check(1)"));
  MUSTER_TRY(const bool row, check.step());
  if (!row || check.text(0) != "ok") return StoreError::corrupt;
  return {};
}

Result<void> copy(Connection& source, sqlite3* destination) {
  sqlite3_backup* backup = sqlite3_backup_init(destination, "main", source.handle(), "main");
  if (backup == nullptr) return error_of_code(sqlite3_extended_errcode(destination));
  // All in one step: in WAL mode that is one snapshot, and the writer is not in its way. Smaller steps would begin anew
  // whenever the server has written in between, so that a busy one could not be copied at all.
  int code = SQLITE_BUSY;
  for (int attempt = 0; attempt < 10 && (code == SQLITE_BUSY || code == SQLITE_LOCKED); ++attempt) {
    if (attempt > 0) sqlite3_sleep(100);
    code = sqlite3_backup_step(backup, -1);
  }
  const int finished = sqlite3_backup_finish(backup);
  if (code != SQLITE_DONE) return error_of_code(code);
  if (finished != SQLITE_OK) return error_of_code(finished);
  return {};
}

}  // namespace

Result<void> back_up(const std::filesystem::path& database, const std::filesystem::path& destination) {
  ConnectionOptions options;
  options.path = database;
  MUSTER_TRY(const auto source, Connection::open(options, Connection::Use::read));
  MUSTER_TRY(const Contents contents, look_at(*source));
  if (contents == Contents::empty) return StoreError::corrupt;

  const int fd = ::open(destination.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return errno == EEXIST ? Error{BaseError::file_exists} : Error{errno, boost::system::generic_category()};
  ::close(fd);
  const auto work = [&]() -> Result<void> {
    options.path = destination;
    MUSTER_TRY(const auto target, Connection::open(options, Connection::Use::write));
    MUSTER_TRY_VOID(copy(*source, target->handle()));
    // One file that is complete by itself: the log is switched on again by whoever serves it.
    MUSTER_TRY_VOID(target->execute("PRAGMA journal_mode = DELETE"));
    return check_all_of(*target);
  };
  Result<void> result = work();
  if (result) result = sync_directory(folder_of(destination));
  if (!result) {
    std::error_code ignored;
    for (const auto* suffix : {"", "-journal", "-wal", "-shm"}) std::filesystem::remove(destination.native() + suffix, ignored);
  }
  return result;
}

Result<void> prepare_restored(const std::filesystem::path& database, const AuditKey& audit_key) {
  ConnectionOptions options;
  options.path = database;
  MUSTER_TRY(const auto connection, Connection::open(options, Connection::Use::write));
  if (connection->read_only()) return StoreError::read_only;
  MUSTER_TRY(const Contents contents, look_at(*connection));
  if (contents == Contents::empty) return StoreError::corrupt;
  MUSTER_TRY_VOID(check_all_of(*connection));
  if (contents == Contents::older) MUSTER_TRY_VOID(migrate(*connection, audit_key, SystemClock{}.utc_now()));
  MUSTER_TRY_VOID(connection->execute("BEGIN IMMEDIATE"));
  const auto work = [&]() -> Result<void> {
    const SystemClock clock;
    Transaction transaction{*connection, clock, audit_key};
    MUSTER_TRY_VOID(write_setting(*connection, "unknown_tokens", static_cast<std::int64_t>(domain::UnknownTokens::hold)));
    MUSTER_TRY_VOID(connection->run("DELETE FROM access_token"));
    MUSTER_TRY_VOID(connection->run("DELETE FROM oauth_token"));
    // Links may have been used since, and mail was sent.
    MUSTER_TRY_VOID(connection->run("DELETE FROM link"));
    MUSTER_TRY_VOID(connection->run("DELETE FROM mail"));
    MUSTER_TRY(const auto root, connection->number("SELECT id FROM organization WHERE parent_id IS NULL"));
    MUSTER_TRY_VOID(transaction.audit({}, OrganizationId{static_cast<std::int32_t>(root.value_or(0))}, "store.restore", "settings", 0,
                                      JsonText{}.text("unknownTokens", "hold")));
    MUSTER_TRY_VOID(transaction.change(domain::ChangeKind::settings, 0));
    return connection->execute("COMMIT");
  };
  Result<void> result = work();
  if (!result && connection->in_transaction()) static_cast<void>(connection->execute("ROLLBACK"));
  return result;
}

}  // namespace muster::store
