// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <string>
#include <vector>

#include "cloud/base/log.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/store/sqlite/audit_log.hpp"
#include "cloud/store/sqlite/migrations.hpp"

namespace muster::store {

using domain::StoreError;

namespace {

constexpr int writer_cache_kib = 1024;
constexpr int reader_cache_kib = 1 * 1024;

/// Whether every byte of the open database and its log can be read. SQLite answers "corrupt" for both: for what it read, and for a
/// disk that does not give it (EIO).
bool medium_is_readable(const Connection& connection) {
  std::vector<char> block(256 * 1024);
  for (const int which : {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER}) {
    sqlite3_file* file = nullptr;
    if (sqlite3_file_control(connection.handle(), "main", which, static_cast<void*>(&file)) != SQLITE_OK || file == nullptr ||
        file->pMethods == nullptr)
      continue;
    for (sqlite3_int64 at = 0;; at += static_cast<sqlite3_int64>(block.size())) {
      const int code = file->pMethods->xRead(file, block.data(), static_cast<int>(block.size()), at);
      if (code == SQLITE_IOERR_SHORT_READ) break;
      if (code != SQLITE_OK) return false;
    }
  }
  return true;
}

}  // namespace

Database::Database(std::filesystem::path path, SqliteOptions options, const Clock& clock)
    : path_{std::move(path)}, options_{std::move(options)}, clock_{clock}, why_not_{StoreError::unavailable} {}

Database::~Database() { close(); }

ConnectionOptions Database::connection_options(int cache_kib) const {
  ConnectionOptions options;
  options.path = path_;
  options.vfs = options_.vfs;
  options.synchronous = static_cast<Synchronous>(options_.durability);
  options.busy_timeout = options_.busy_timeout;
  options.cache_kib = cache_kib;
  options.wal_autocheckpoint_pages = options_.checkpoint_pages;
  return options;
}

std::optional<Database::FileState> Database::look(const char* suffix) const {
  // Never open(2): closing a descriptor of the file would drop the locks that SQLite holds on it.
  struct stat status{};
  if (::stat((path_.native() + suffix).c_str(), &status) != 0) return std::nullopt;
  return FileState{status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

bool Database::is_moved() const {
  if (!options_.vfs.empty()) return false;
  const auto now = look();
  return !now || !now->same_file(file_);
}

Result<void> Database::ensure_open() {
  std::lock_guard lock{mutex_};
  return ensure_open_locked();
}

Result<void> Database::ensure_open_locked() {
  if (closed_) return StoreError::shutting_down;
  if (open_) {
    if (!is_moved()) return {};
    // Moved away or replaced: what is written from here on would go to a file that nobody finds again.
    forget_locked(StoreError::unavailable, true);
    tried_at_.reset();
  }
  const Instant now = clock_.now();
  if (tried_at_ && now - *tried_at_ < options_.retry_pause && now >= *tried_at_) return why_not_;
  tried_at_ = now;
  Result<void> result = try_open();
  // The pause starts when the attempt ends: one that waits for a lock must not be followed at once by the next caller's.
  tried_at_ = clock_.now();
  if (!result) {
    why_not_ = result.error();
    if (logged_ != why_not_) log::error("store_not_open", {{"file", path_.native()}, {"reason", why_not_.message()}});
    logged_ = why_not_;
    return why_not_;
  }
  if (logged_) log::info("store_open_again", {{"file", path_.native()}});
  logged_ = Error{};
  return {};
}

Result<void> Database::try_open() {
  bool create = options_.create && !ever_opened_;
  const bool watched = options_.vfs.empty();
  if (moved_) {
    // Who still holds the old file holds its log, which lies beside this path. Opening another file now would mix them.
    if (lent_ > 0) return StoreError::unavailable;
    const auto log = look("-wal");
    if (log && log_ && log->same_file(*log_) && log->size > 0) {
      log::error("store_log_of_moved_file", {{"file", path_.native() + "-wal"}});
      return StoreError::unavailable;
    }
  }
  FileState expected;  // Which file is to be opened; only when watched.
  if (watched) {
    auto present = look();
    if (present && corrupt_file_ == present) return StoreError::corrupt;  // Still as it was.
    if (!present) {
      if (!create) return StoreError::unavailable;
      // A log without its database is what is left when somebody moved the database: SQLite would throw the log away.
      if (const auto log = look("-wal"); log && log->size > 0) return StoreError::unavailable;
      // Made here, so that nobody else may read it; the files beside it take over its mode. (No lock to lose yet: it is new.)
      const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
      if (fd < 0) return errno == EROFS ? StoreError::read_only : errno == ENOSPC ? StoreError::disk_full : StoreError::unavailable;
      ::close(fd);
      present = look();
      if (!present) return StoreError::unavailable;
    }
    expected = *present;
  }
  auto opened = Connection::open(connection_options(writer_cache_kib), create ? Connection::Use::write_create : Connection::Use::write);
  if (!opened) return opened.error();
  std::unique_ptr<Connection> connection = std::move(opened).value();
  const bool read_only = connection->read_only();

  const auto judge = [&]() -> Result<void> {
    MUSTER_TRY(const Contents contents, look_at(*connection));
    // A file that was ours and is empty now lost what it held.
    if (contents == Contents::empty && !create) return StoreError::corrupt;
    if (contents != Contents::current && read_only) return StoreError::read_only;
    if (!read_only) {
      MUSTER_TRY(Statement mode, connection->query("PRAGMA journal_mode = WAL"));
      MUSTER_TRY(const bool row, mode.step());
      if (!row || mode.text(0) != "wal") return StoreError::unavailable;
    }
    if (contents != Contents::current) {
      MUSTER_TRY_VOID(migrate(*connection, *options_.audit_key, clock_.utc_now()));
      // The file's name has to survive a power cut as well as its contents.
      if (watched) {
        const auto folder = path_.parent_path();
        MUSTER_TRY_VOID(sync_directory(folder.empty() ? std::filesystem::path{"."} : folder));
      }
    }
    if (corrupt_file_) {  // It was damaged and has changed since: believe it only after reading all of it.
      MUSTER_TRY(Statement check, connection->query("PRAGMA quick_check(1)"));
      MUSTER_TRY(const bool row, check.step());
      if (!row || check.text(0) != "ok") return StoreError::corrupt;
    }
    return {};
  };
  Result<void> result = judge();
  if (result && watched) {
    const auto after = look();
    if (!after || !after->same_file(expected)) return StoreError::unavailable;
    file_ = *after;
    log_ = look("-wal");
  }
  if (!result) {
    if (result.error() == Error{StoreError::corrupt} && !medium_is_readable(*connection)) {
      log::error("store_unreadable", {{"file", path_.native()}, {"message", connection->last_message()}});
      connection.reset();
      corrupt_file_ = FileState{};  // When it can be read again, all of it is.
      result = StoreError::unavailable;
    } else if (result.error() == Error{StoreError::corrupt}) {
      log::error("store_corrupt", {{"file", path_.native()}, {"message", connection->last_message()}});
      connection.reset();  // First: closing may still write.
      corrupt_file_ = watched ? look() : std::nullopt;
    }
    // Errors of the system (syncing the folder) are trouble with the store.
    const Error error = result.error();
    return error.category() == domain::store_category() ? error : Error{StoreError::unavailable};
  }
  check_audit_tip(*connection, *options_.audit_key);
  open_ = true;
  ever_opened_ = true;
  writable_ = !read_only;
  moved_ = false;
  corrupt_file_.reset();
  ++generation_;
  readers_ = 0;
  idle_.clear();
  if (read_only) {
    readers_ = 1;
    idle_.push_back(std::move(connection));
  } else {
    writer_ = std::move(connection);
  }
  return {};
}

void Database::forget_locked(const Error& why, bool moved) {
  open_ = false;
  why_not_ = why;
  moved_ = moved;
  tried_at_ = clock_.now();
  ++generation_;
  for (auto& connection : idle_) retire_locked(std::move(connection));
  idle_.clear();
  if (writer_) retire_locked(std::move(writer_));
  readers_ = 0;
  if (logged_ != why) log::error("store_lost", {{"file", path_.native()}, {"reason", why.message()}, {"moved", moved}});
  logged_ = why;
  reader_back_.notify_all();
}

void Database::retire_locked(std::unique_ptr<Connection> connection) {
  if (moved_ || is_moved()) connection->let_go_of_moved_file();
  connection.reset();
}

void Database::forget_readers_locked() {
  open_ = false;
  ++generation_;
  for (auto& connection : idle_) retire_locked(std::move(connection));
  idle_.clear();
  readers_ = 0;
  tried_at_.reset();
}

Result<Database::Reader> Database::reader() {
  std::unique_lock lock{mutex_};
  const auto deadline = std::chrono::steady_clock::now() + options_.busy_timeout;
  for (;;) {
    MUSTER_TRY_VOID(ensure_open_locked());
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      ++lent_;
      return Reader{*this, std::move(connection), generation_};
    }
    if (readers_ < options_.readers_max) {
      ++readers_;
      ++lent_;
      const auto generation = generation_;
      lock.unlock();  // Opening reads the disk.
      auto connection = Connection::open(connection_options(reader_cache_kib), Connection::Use::read);
      lock.lock();
      // What lies at the path may have become another file between the look and the opening.
      if (connection && generation == generation_ && open_ && !is_moved()) return Reader{*this, std::move(connection).value(), generation};
      --lent_;
      if (generation == generation_) --readers_;
      reader_back_.notify_one();
      return connection ? Error{StoreError::unavailable} : connection.error();
    }
    if (reader_back_.wait_until(lock, deadline) == std::cv_status::timeout) return StoreError::busy;
  }
}

void Database::give_back(std::unique_ptr<Connection> connection, std::uint64_t generation) {
  std::lock_guard lock{mutex_};
  --lent_;
  if (generation == generation_ && open_ && !closed_) {
    idle_.push_back(std::move(connection));
    reader_back_.notify_one();
    return;
  }
  retire_locked(std::move(connection));
}

Result<Database::Writer> Database::borrow_writer() {
  std::lock_guard lock{mutex_};
  MUSTER_TRY_VOID(ensure_open_locked());
  if (!writer_ && !writable_) {
    const Instant now = clock_.now();
    if (tried_at_ && now - *tried_at_ < options_.retry_pause && now >= *tried_at_) return StoreError::read_only;
    // A log that one connection opened for reading only stays so for all of this process, until the last of them is closed.
    if (lent_ > 0) return StoreError::read_only;
    forget_readers_locked();
    MUSTER_TRY_VOID(ensure_open_locked());
    if (!writer_) return StoreError::read_only;
  }
  if (!writer_) {
    MUSTER_TRY(auto connection, Connection::open(connection_options(writer_cache_kib), Connection::Use::write));
    if (is_moved()) return StoreError::unavailable;
    if (connection->read_only()) return StoreError::read_only;
    writer_ = std::move(connection);
    writable_ = true;
  }
  ++lent_;
  return Writer{std::move(writer_), generation_};
}

void Database::give_back(Writer writer) {
  std::lock_guard lock{mutex_};
  --lent_;
  if (!writer.connection) return;
  if (writer.generation == generation_ && open_) {
    writer_ = std::move(writer.connection);
  } else {
    retire_locked(std::move(writer.connection));
  }
}

void Database::met(const Error& error, std::uint64_t generation, const Connection& connection) {
  if (error.category() != domain::store_category()) return;
  const auto kind = static_cast<StoreError>(error.value());
  if (kind == StoreError::busy || kind == StoreError::shutting_down) return;
  const std::string message = connection.last_message();
  std::lock_guard lock{mutex_};
  if (generation != generation_ || !open_ || closed_) return;
  log::error("store_error", {{"reason", error.message()}, {"message", message}});
  if (kind == StoreError::disk_full || kind == StoreError::read_only) return;  // Reading goes on; the next commit finds out.
  if (kind == StoreError::corrupt) {
    // What SQLite complains of may be a disk that does not answer: the next attempt reads all of it, and then judges. What only we see
    // in it does not pass by itself.
    const int code = sqlite3_errcode(connection.handle()) & 0xff;
    const bool complained = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_IOERR;
    corrupt_file_ = complained || !options_.vfs.empty() ? FileState{} : look();
  }
  forget_locked(error, false);
}

void Database::close() {
  std::lock_guard lock{mutex_};
  if (closed_) return;
  closed_ = true;
  open_ = false;
  ++generation_;
  for (auto& connection : idle_) retire_locked(std::move(connection));
  idle_.clear();
  if (writer_) retire_locked(std::move(writer_));
  reader_back_.notify_all();
}

}  // namespace muster::store
