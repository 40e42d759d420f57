// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/connection.hpp"

#include <sqlite3.h>

#include <utility>

#include "cloud/domain/error.hpp"
#include "cloud/store/sqlite/text_search.hpp"

namespace muster::store {

using domain::DomainError;
using domain::StoreError;

Error error_of_code(int sqlite_code) noexcept {
  switch (sqlite_code) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return {};
    // Nested codes whose own meaning is not that of their family.
    case SQLITE_IOERR_CORRUPTFS: return StoreError::corrupt;
    case SQLITE_READONLY_DBMOVED:
    case SQLITE_READONLY_CANTINIT:
    case SQLITE_READONLY_RECOVERY: return StoreError::unavailable;
    default: break;
  }
  switch (sqlite_code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return StoreError::busy;
    case SQLITE_READONLY: return StoreError::read_only;
    case SQLITE_FULL: return StoreError::disk_full;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return StoreError::corrupt;
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE: return DomainError::invalid_value;
    default: return StoreError::unavailable;
  }
}

// --- Statement -----------------------------------------------------------------------------------------------------------

Statement::Statement(Statement&& other) noexcept
    : handle_{std::exchange(other.handle_, nullptr)}, in_use_{other.in_use_}, bind_error_{other.bind_error_} {}

Statement::~Statement() {
  if (handle_ == nullptr) return;
  if (in_use_ == nullptr) {
    sqlite3_finalize(handle_);
    return;
  }
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);  // Else a secret's digest or sealed copy stays in memory until the next use.
  *in_use_ = false;
}

void Statement::bind_integer(int index, std::int64_t value) noexcept { bind_error_ |= sqlite3_bind_int64(handle_, index, value); }
void Statement::bind_real(int index, double value) noexcept { bind_error_ |= sqlite3_bind_double(handle_, index, value); }
void Statement::bind_null(int index) noexcept { bind_error_ |= sqlite3_bind_null(handle_, index); }
void Statement::bind_text(int index, std::string_view value) noexcept {
  // A null pointer would bind NULL instead of the empty text.
  bind_error_ |=
      sqlite3_bind_text64(handle_, index, value.data() == nullptr ? "" : value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}
void Statement::bind_blob(int index, std::string_view value) noexcept {
  bind_error_ |= value.empty() ? sqlite3_bind_zeroblob(handle_, index, 0)
                               : sqlite3_bind_blob64(handle_, index, value.data(), value.size(), SQLITE_TRANSIENT);
}
int Statement::parameter(const char* name) const noexcept { return sqlite3_bind_parameter_index(handle_, name); }

Result<bool> Statement::step() noexcept {
  if (bind_error_ != 0) return failed<Result<bool>>(error_of_code(SQLITE_RANGE));
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return failed<Result<bool>>(error_of_code(code));
}

std::int64_t Statement::integer(int column) const noexcept { return sqlite3_column_int64(handle_, column); }
double Statement::real(int column) const noexcept { return sqlite3_column_double(handle_, column); }
bool Statement::is_null(int column) const noexcept { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
std::string_view Statement::text(int column) const noexcept {
  const void* data = sqlite3_column_blob(handle_, column);
  const int size = sqlite3_column_bytes(handle_, column);
  return data == nullptr ? std::string_view{} : std::string_view{static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

// --- Connection ----------------------------------------------------------------------------------------------------------

namespace {

/// muster_contains(text, folded): whether `text` holds `folded`, whatever the case.
void contains_function(sqlite3_context* context, int, sqlite3_value** arguments) {
  const auto text = [](sqlite3_value* value) {
    const auto* data = static_cast<const char*>(sqlite3_value_blob(value));
    return data == nullptr ? std::string_view{} : std::string_view{data, static_cast<std::size_t>(sqlite3_value_bytes(value))};
  };
  try {
    sqlite3_result_int(context, contains_folded(text(arguments[0]), text(arguments[1])) ? 1 : 0);
  } catch (const std::bad_alloc&) {
    sqlite3_result_error_nomem(context);
  }
}

Result<void> set_up(sqlite3* handle, const ConnectionOptions& options, Connection::Use use) {
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, static_cast<int>(options.busy_timeout.count()));
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
  if (const int code = sqlite3_create_function_v2(handle, "muster_contains", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
                                                  nullptr, contains_function, nullptr, nullptr, nullptr);
      code != SQLITE_OK) {
    return error_of_code(code);
  }
  // cell_size_check finds damaged pages when they are read. No memory mapping: a file that is cut short would be a signal
  // instead of an error.
  std::string pragmas = "PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;";
  pragmas += "PRAGMA cache_size = -" + std::to_string(options.cache_kib) + ";";
  pragmas += "PRAGMA synchronous = " + std::to_string(static_cast<int>(options.synchronous)) + ";";
  if (use == Connection::Use::read) {
    pragmas += "PRAGMA query_only = ON;";
  } else {
    // What is deleted is overwritten with zeros, in the pages that reach the log as well.
    pragmas += "PRAGMA secure_delete = ON; PRAGMA journal_size_limit = 67108864;";
    pragmas += "PRAGMA wal_autocheckpoint = " + std::to_string(options.wal_autocheckpoint_pages) + ";";
  }
  return error_of_code(sqlite3_exec(handle, pragmas.c_str(), nullptr, nullptr, nullptr))
             ? Result<void>{error_of_code(sqlite3_extended_errcode(handle))}
             : Result<void>{};
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const ConnectionOptions& options, Use use) {
  // SQLite counts its memory under a lock that every connection shares; nobody reads that count. Refused, and no harm done, when
  // something else has started SQLite already.
  static const int counting_off = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(counting_off);
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE |
                    (use == Use::write_create ? SQLITE_OPEN_CREATE : 0);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(options.path.c_str(), &handle, flags, options.vfs.empty() ? nullptr : options.vfs.c_str());
  std::unique_ptr<Connection> connection{new Connection{handle}};  // Also when it failed: the handle wants to be closed.
  if (code != SQLITE_OK) return error_of_code(code);
  MUSTER_TRY_VOID(set_up(handle, options, use));
  return Result<std::unique_ptr<Connection>>{std::move(connection)};
}

Connection::~Connection() {
  for (auto& [sql, cached] : statements_) sqlite3_finalize(cached->handle);
  sqlite3_close_v2(handle_);
}

Result<void> Connection::execute(const char* sql) noexcept {
  if (const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); code != SQLITE_OK)
    return error_of_code(sqlite3_extended_errcode(handle_));
  return {};
}

Result<Statement> Connection::prepare(std::string_view sql) {
  constexpr std::size_t statements_max = 256;  // Texts are put together of few parts; this only bounds a mistake.
  const auto found = statements_.find(sql);
  if (found != statements_.end() && !found->second->in_use) {
    found->second->in_use = true;
    return Statement{found->second->handle, &found->second->in_use};
  }
  const bool keep = found == statements_.end() && statements_.size() < statements_max;
  sqlite3_stmt* handle = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), keep ? SQLITE_PREPARE_PERSISTENT : 0, &handle, nullptr);
  // A table or column that is missing in a file which carries our version is damage.
  if (code == SQLITE_ERROR) return StoreError::corrupt;
  if (code != SQLITE_OK) return error_of_code(code);
  if (!keep) return Statement{handle, nullptr};
  auto cached = std::make_unique<Cached>(Cached{handle, true});
  bool* in_use = &cached->in_use;
  statements_.emplace(std::string{sql}, std::move(cached));
  return Statement{handle, in_use};
}

std::int64_t Connection::changed_rows() const noexcept { return sqlite3_changes64(handle_); }
std::int64_t Connection::last_insert_id() const noexcept { return sqlite3_last_insert_rowid(handle_); }
bool Connection::in_transaction() const noexcept { return sqlite3_get_autocommit(handle_) == 0; }
bool Connection::read_only() const noexcept { return sqlite3_db_readonly(handle_, "main") == 1; }
const char* Connection::last_message() const noexcept { return sqlite3_errmsg(handle_); }
void Connection::let_go_of_moved_file() noexcept {
  // Best effort: where it fails, the log stays, and Database opens nothing else beside it.
  sqlite3_wal_checkpoint_v2(handle_, "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  int persist = 1;
  sqlite3_file_control(handle_, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
}

// --- ReadTransaction -----------------------------------------------------------------------------------------------------

Result<ReadTransaction> ReadTransaction::begin(Connection& connection) {
  MUSTER_TRY_VOID(connection.run("BEGIN"));
  return ReadTransaction{connection};
}

ReadTransaction::~ReadTransaction() {
  if (connection_ == nullptr || !connection_->in_transaction()) return;
  // Ending a read transaction only gives up its lock; a connection on which even that fails is noticed at its next use.
  if (!connection_->run("COMMIT") && connection_->in_transaction()) static_cast<void>(connection_->execute("ROLLBACK"));
}

}  // namespace muster::store
