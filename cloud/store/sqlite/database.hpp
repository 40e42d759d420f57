// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/store/sqlite/connection.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"

namespace muster::store {

/// The file: whether it is open, why not, when it is tried again, and the connections to it. Thread-safe.
///
/// Everything opened between two troubles is one generation. Trouble with the file closes the whole generation; connections on
/// loan are closed when they come back.
class Database {
 public:
  Database(std::filesystem::path path, SqliteOptions options, const Clock& clock);
  ~Database();

  /// Opens when it is not open and the pause is over. Success: reads work.
  [[nodiscard]] Result<void> ensure_open();

  /// A connection for reading, on loan.
  class Reader {
   public:
    Reader(Database& database, std::unique_ptr<Connection> connection, std::uint64_t generation) noexcept
        : database_{&database}, connection_{std::move(connection)}, generation_{generation} {}
    Reader(Reader&&) noexcept = default;
    Reader& operator=(Reader&&) = delete;
    ~Reader() {
      if (connection_ != nullptr) database_->give_back(std::move(connection_), generation_);
    }
    [[nodiscard]] Connection& operator*() const noexcept { return *connection_; }
    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }

   private:
    Database* database_;
    std::unique_ptr<Connection> connection_;
    std::uint64_t generation_;
  };
  [[nodiscard]] Result<Reader> reader();

  /// The connection for writing, on loan; only for the writer thread, which has one at a time.
  struct Writer {
    std::unique_ptr<Connection> connection;
    std::uint64_t generation = 0;
  };
  /// Errors also: StoreError::read_only.
  [[nodiscard]] Result<Writer> borrow_writer();
  void give_back(Writer writer);

  /// An operation of this generation met `error`: decides whether the file has to be closed and opened again.
  void met(const Error& error, std::uint64_t generation, const Connection& connection);

  void close();

 private:
  struct FileState {
    std::uint64_t device = 0, inode = 0;
    std::int64_t size = 0, changed_ns = 0;
    friend bool operator==(const FileState&, const FileState&) = default;
    [[nodiscard]] bool same_file(const FileState& other) const noexcept { return device == other.device && inode == other.inode; }
  };
  [[nodiscard]] std::optional<FileState> look(const char* suffix = "") const;  ///< nullopt: not there, or not to be seen.
  [[nodiscard]] Result<void> ensure_open_locked();
  [[nodiscard]] Result<void> try_open();
  void forget_locked(const Error& why, bool moved);
  /// Closes one that nobody uses any more.
  void retire_locked(std::unique_ptr<Connection> connection);
  /// Closes what reads, so that the next attempt opens everything anew. Nothing may be on loan.
  void forget_readers_locked();
  [[nodiscard]] bool is_moved() const;
  void give_back(std::unique_ptr<Connection> connection, std::uint64_t generation);
  [[nodiscard]] ConnectionOptions connection_options(int cache_kib) const;

  const std::filesystem::path path_;
  const SqliteOptions options_;
  const Clock& clock_;

  std::mutex mutex_;
  std::condition_variable reader_back_;
  bool open_ = false, closed_ = false, ever_opened_ = false, writable_ = false;
  bool moved_ = false;  ///< The file that was open last is no longer at its path.
  Error why_not_;
  Error logged_;
  std::optional<Instant> tried_at_;
  FileState file_;                         ///< As it was opened.
  std::optional<FileState> log_;           ///< The log that belongs to it.
  std::optional<FileState> corrupt_file_;  ///< As it was when it was found corrupt; empty fields: under suspicion, to be read wholly.
  std::uint64_t generation_ = 0;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::size_t readers_ = 0;             ///< Of this generation, idle or on loan.
  std::size_t lent_ = 0;                ///< Of any generation.
  std::unique_ptr<Connection> writer_;  ///< Unless it is on loan.
};

}  // namespace muster::store
