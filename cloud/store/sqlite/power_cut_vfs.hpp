// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/random.hpp"

/// A disk in memory for tests, as an SQLite VFS: it knows what was synced and what was only written, and can lose the power.
/// Test library; no server links it.
namespace muster::store {

/// What becomes of writes that no successful sync of their file followed, when the power goes.
enum class Unsynced : std::uint8_t {
  lost,  ///< All of them.
  torn,  ///< Each sector of 512 bytes of each of them by itself, by chance: so also in any order, and in parts.
};

/// A model of a disk behind a file system that keeps its promises: a sync makes a file's bytes, length and name durable;
/// before that nothing is. Thread-safe; files are shared by all connections that open the same name.
class PowerCutDisk {
 public:
  /// Registers itself with SQLite under `name`, which must be free.
  explicit PowerCutDisk(std::string name);
  /// All files must be closed.
  ~PowerCutDisk();
  PowerCutDisk(const PowerCutDisk&) = delete;
  PowerCutDisk& operator=(const PowerCutDisk&) = delete;

  [[nodiscard]] const std::string& vfs_name() const noexcept { return name_; }

  /// The power goes at the operation (write, truncate, sync, delete; from now on) with this number, from 1: it and all that
  /// follow fail and change nothing. 0: stays on.
  void cut_at(std::uint64_t operation);
  [[nodiscard]] bool off() const;
  /// Operations since the disk was made or loaded.
  [[nodiscard]] std::uint64_t operations() const;

  /// The power goes (if it has not) and comes back: what was not durable is lost or torn. All files must be closed.
  void power_cycle(Unsynced unsynced, Random& random);

  /// What the disk holds, to begin many runs with the same.
  using Image = std::map<std::string, std::string, std::less<>>;
  [[nodiscard]] Image save() const;
  /// All files must be closed.
  void load(const Image& image);

  /// From now on these fail with the SQLite code (SQLITE_FULL, SQLITE_IOERR_READ, ...); 0: work.
  void fail_writes(int sqlite_code);
  void fail_reads(int sqlite_code);
  /// From now on files can only be opened for reading.
  void set_read_only(bool on);
  /// Changes bytes behind SQLite's back.
  void overwrite(std::string_view file, std::size_t offset, std::string_view bytes);

 private:
  friend struct PowerCutMethods;
  struct File;
  struct Methods;

  const std::string name_;
  std::unique_ptr<Methods> methods_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<File>, std::less<>> files_;
  std::uint64_t operations_ = 0, cut_at_ = 0;
  bool off_ = false, read_only_ = false;
  int write_error_ = 0, read_error_ = 0;
};

}  // namespace muster::store
