// SPDX-License-Identifier: Apache-2.0
#include "cli/database_copy.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <memory>
#include <string>

namespace muster::cli {

namespace {

struct Close {
  void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using Handle = std::unique_ptr<sqlite3, Close>;
using StatementHandle = std::unique_ptr<sqlite3_stmt, Close>;

Failure trouble(const std::filesystem::path& path, sqlite3* handle) {
  return failed(path.string() + ": " + (handle == nullptr ? "no memory" : sqlite3_errmsg(handle)) + ".");
}

Outcome<Handle> open(const std::filesystem::path& path, int flags) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Handle handle{raw};
  if (code != SQLITE_OK) return trouble(path, raw);
  sqlite3_busy_timeout(raw, 10'000);
  return handle;
}

}  // namespace

Outcome<void> copy_database(const std::filesystem::path& from, const std::filesystem::path& to, const std::function<void(int)>& progress) {
  auto source = open(from, SQLITE_OPEN_READONLY);
  if (!source) return source.error();
  // SQLite would make the file as the umask says; it holds verifiers and email addresses.
  const int made = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (made < 0) return failed(to.string() + " cannot be made.");
  ::close(made);
  auto target = open(to, SQLITE_OPEN_READWRITE);
  if (!target) return target.error();
  // One read transaction holds the moment: a copy in steps would start over with every write of a busy server.
  if (sqlite3_exec(source->get(), "BEGIN; SELECT count(*) FROM sqlite_schema", nullptr, nullptr, nullptr) != SQLITE_OK) return trouble(from, source->get());
  sqlite3_backup* const backup = sqlite3_backup_init(target->get(), "main", source->get(), "main");
  if (backup == nullptr) return trouble(to, target->get());
  int code = SQLITE_OK;
  do {
    code = sqlite3_backup_step(backup, 4096);
    const int total = sqlite3_backup_pagecount(backup);
    if (progress && total > 0) progress(static_cast<int>(100LL * (total - sqlite3_backup_remaining(backup)) / total));
  } while (code == SQLITE_OK);
  sqlite3_backup_finish(backup);
  if (code != SQLITE_DONE) return trouble(from, target->get());
  // One file, without a log beside it.
  if (sqlite3_exec(target->get(), "PRAGMA journal_mode = DELETE", nullptr, nullptr, nullptr) != SQLITE_OK) return trouble(to, target->get());
  return {};
}

Outcome<void> check_database(const std::filesystem::path& path) {
  auto handle = open(path, SQLITE_OPEN_READWRITE);
  if (!handle) return handle.error();
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(handle->get(), "PRAGMA integrity_check(1)", -1, &raw, nullptr) != SQLITE_OK) return trouble(path, handle->get());
  const StatementHandle statement{raw};
  if (sqlite3_step(raw) != SQLITE_ROW) return trouble(path, handle->get());
  const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(raw, 0));
  if (text == nullptr || std::string_view{text} != "ok") return failed(path.string() + " is damaged: " + (text == nullptr ? "" : text) + ".");
  return {};
}

}  // namespace muster::cli
