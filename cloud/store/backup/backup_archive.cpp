// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/backup/backup_archive.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "cloud/base/audit_key.hpp"
#include "cloud/base/clock.hpp"
#include "cloud/base/error.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/store/backup/tar.hpp"
#include "cloud/store/sqlite/backup.hpp"

namespace muster::store {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view database_name = "muster.db", keys_name = "keys.export", audit_key_name = "audit-key.export",
                           manifest_name = "manifest.json";
constexpr std::string_view backup_scratch = ".backup-", restore_scratch = ".restore-";  // In the data directory.
constexpr std::array<std::string_view, 2> folders{"tls", "files"};
/// The number grows when an older program could not restore what is written. 1: without the audit log's key.
constexpr std::string_view manifest_start = R"({"format":2,)", manifest_start_before = R"({"format":1,)";
constexpr std::size_t small_file_max_bytes = 64 * 1024;  ///< Manifest and keys, which are held in memory.
constexpr std::size_t files_max = 100'000;
constexpr int folder_depth_max = 8;

// Boost's category has a protected destructor, which is safe but not virtual.
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class BackupCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "muster.backup"; }
  std::string message(int value) const override {
    switch (static_cast<BackupError>(value)) {
      case BackupError::directory_not_empty: return "The data directory is not empty; a backup is only restored into an empty one.";
      case BackupError::no_database: return "This is not a data directory: it has no muster.db.";
      case BackupError::not_a_backup: return "The file was opened, but it is no backup that this version can restore.";
      case BackupError::secret_missing: return "Give either a passphrase or a key, not both.";
      case BackupError::another_is_running: return "Another backup or restore works on this data directory; wait for its end.";
      case BackupError::keys_keep_changing: return "Keys were rotated while the backup was made; try again when that has ended.";
    }
    return "Unknown backup error.";
  }
};

Error system_error() noexcept { return {errno, boost::system::generic_category()}; }

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_{fd} {}
  Descriptor(Descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

Result<void> write_all(int fd, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return system_error();
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::size_t> read_some(int fd, std::span<std::uint8_t> room) {
  for (;;) {
    const ssize_t count = ::read(fd, room.data(), room.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return system_error();
  }
}

std::span<const std::uint8_t> bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};  // NOLINT: bytes are bytes.
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path{"."}; }

/// Removes what it was given when the work did not end well.
class Unfinished {
 public:
  explicit Unfinished(fs::path path) : path_{std::move(path)} {}
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  void keep() noexcept { path_.clear(); }

 private:
  fs::path path_;
};

/// Nobody else backs up or restores here while it is held, so that scratch folders that are there belong to nobody.
Result<FolderLock> work_alone_in(const fs::path& data_directory) {
  auto lock = FolderLock::take(data_directory);
  if (!lock && lock.error() == boost::system::errc::operation_would_block) return BackupError::another_is_running;
  return lock;
}

void remove_scratch_of_the_dead(const fs::path& data_directory, std::string_view prefix) {
  std::vector<fs::path> left;
  std::error_code error;
  for (fs::directory_iterator entry{data_directory, error}, end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename().native().starts_with(prefix)) left.push_back(entry->path());
  }
  for (const fs::path& path : left) fs::remove_all(path, error);
}

/// All of `path` goes to the owner of `folder`, when root works for another user.
Result<void> give_all_to_owner_of(const fs::path& folder, const fs::path& path) {
  MUSTER_TRY_VOID(give_to_owner_of(folder, path));
  std::error_code error;
  for (fs::recursive_directory_iterator entry{path, error}, end; !error && entry != end; entry.increment(error))
    MUSTER_TRY_VOID(give_to_owner_of(folder, entry->path()));
  if (error) return Error{error.value(), boost::system::generic_category()};
  return {};
}

std::string random_suffix(Random& random) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < 12; ++i) text += digits[random.below(digits.size())];
  return text;
}

Result<fs::path> make_private_folder(const fs::path& parent, std::string_view prefix) {
  std::string name = (parent / (std::string{prefix} + "XXXXXX")).native();
  if (::mkdtemp(name.data()) == nullptr) return system_error();
  return fs::path{name};
}

}  // namespace

const boost::system::error_category& backup_category() noexcept {
  static const BackupCategory category;
  return category;
}

// --- backup --------------------------------------------------------------------------------------------------------------

namespace {

/// The archive on its way into the encryptor.
class ArchiveWriter {
 public:
  explicit ArchiveWriter(age::Encryptor& out) noexcept : out_{out} {}

  Result<void> add_text(std::string_view name, std::string_view text, std::int64_t now_s) {
    MUSTER_TRY_VOID(out_.write(bytes_of(tar::header(name, text.size(), now_s))));
    MUSTER_TRY_VOID(out_.write(bytes_of(text)));
    MUSTER_TRY_VOID(out_.write(bytes_of(tar::padding(text.size()))));
    return count(text.size());
  }

  Result<void> add_file(std::string_view name, const fs::path& path) {
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    struct stat status{};
    if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return system_error();
    if (!S_ISREG(status.st_mode)) return Error{EINVAL, boost::system::generic_category()};
    const auto size = static_cast<std::uint64_t>(status.st_size);
    MUSTER_TRY_VOID(out_.write(bytes_of(tar::header(name, size, status.st_mtim.tv_sec))));
    std::array<std::uint8_t, 64 * 1024> buffer;
    for (std::uint64_t left = size; left > 0;) {
      MUSTER_TRY(const std::size_t got,
                 read_some(file.get(), std::span{buffer}.first(static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size())))));
      if (got == 0) return Error{EIO, boost::system::generic_category()};  // It shrank while it was read.
      MUSTER_TRY_VOID(out_.write(std::span{buffer}.first(got)));
      left -= got;
    }
    MUSTER_TRY_VOID(out_.write(bytes_of(tar::padding(size))));
    return count(size);
  }

  /// Regular files only; what else lies there is left out.
  Result<void> add_folder(const std::string& name, const fs::path& path, int depth = 0) {
    std::error_code error;
    std::vector<fs::path> entries;
    for (fs::directory_iterator it{path, error}, end; !error && it != end; it.increment(error)) entries.push_back(it->path());
    if (error) return Error{error.value(), boost::system::generic_category()};
    std::sort(entries.begin(), entries.end());
    for (const fs::path& entry : entries) {
      const std::string inner = name + '/' + entry.filename().native();
      const auto status = fs::symlink_status(entry, error);
      if (error) continue;  // Gone meanwhile.
      if (inner.size() > tar::name_max_chars || depth > folder_depth_max) return Error{ENAMETOOLONG, boost::system::generic_category()};
      if (fs::is_directory(status)) {
        MUSTER_TRY_VOID(add_folder(inner, entry, depth + 1));
      } else if (fs::is_regular_file(status)) {
        MUSTER_TRY_VOID(add_file(inner, entry));
      }
    }
    return {};
  }

  Result<void> end() { return out_.write(bytes_of(tar::end())); }
  [[nodiscard]] const BackupSummary& summary() const noexcept { return summary_; }

 private:
  Result<void> count(std::uint64_t bytes) {
    if (++summary_.files > files_max) return BaseError::over_limit;
    summary_.plain_bytes += bytes;
    return {};
  }
  age::Encryptor& out_;
  BackupSummary summary_;
};

/// A copy of the database at `copy`, and the keys that go with it: all that anything in it was sealed with.
Result<std::string> copy_database_with_keys(const fs::path& data, const fs::path& database, const fs::path& copy, Random& random) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto keys = [&]() -> Result<std::string> {
      MUSTER_TRY(const auto ring, KeyRing::open(data / "keys", random));
      return ring->export_keys();
    };
    MUSTER_TRY(const std::string before, keys());
    MUSTER_TRY_VOID(back_up(database, copy));
    MUSTER_TRY(std::string after, keys());
    // A key that was added in between seals what is in the copy; one that was removed may still be needed by it.
    if (before == after) return after;
    std::error_code ignored;
    fs::remove(copy, ignored);
  }
  return BackupError::keys_keep_changing;
}

}  // namespace

bool is_restore_scratch(const fs::path& path) { return path.filename().native().starts_with(restore_scratch); }

Result<BackupSummary> create_backup(const fs::path& data_directory, const fs::path& database, const fs::path& out_file,
                                    const BackupRecipients& to, Random& random) {
  if (to.recipients.empty() == to.passphrase.empty()) return BackupError::secret_missing;
  std::error_code error;
  if (!fs::is_regular_file(database, error)) return BackupError::no_database;
  if (!fs::is_directory(data_directory / "keys", error)) return BaseError::key_damaged;  // Else opening the ring would make one.
  if (fs::exists(fs::symlink_status(out_file, error))) return BaseError::file_exists;

  MUSTER_TRY(const FolderLock alone, work_alone_in(data_directory));
  remove_scratch_of_the_dead(data_directory, backup_scratch);
  MUSTER_TRY(const fs::path scratch, make_private_folder(data_directory, backup_scratch));
  const Unfinished remove_scratch{scratch};
  const fs::path copy = scratch / database_name;
  MUSTER_TRY(const std::string keys, copy_database_with_keys(data_directory, database, copy, random));
  MUSTER_TRY(const auto audit_key, AuditKey::open(data_directory / "keys", random));

  // A name of its own: what is left of a backup that was cut off is in nobody's way.
  const fs::path partial = out_file.native() + "." + random_suffix(random) + ".partial";
  const Descriptor file{::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (file.get() < 0) return errno == EEXIST ? Error{BaseError::file_exists} : system_error();
  Unfinished remove_partial{partial};
  const age::Sink sink = [&](std::span<const std::uint8_t> bytes) { return write_all(file.get(), bytes); };
  MUSTER_TRY(age::Encryptor encryptor, to.passphrase.empty() ? age::Encryptor::to_recipients(to.recipients, random, sink)
                                                             : age::Encryptor::to_passphrase(to.passphrase, random, sink, to.work_factor));
  ArchiveWriter archive{encryptor};
  const UtcTime now = SystemClock{}.utc_now();
  MUSTER_TRY_VOID(
      archive.add_text(manifest_name, std::string{manifest_start} + "\"createdAt\":" + std::to_string(now.ms) + "}\n", now.ms / 1000));
  MUSTER_TRY_VOID(archive.add_text(keys_name, keys, now.ms / 1000));
  MUSTER_TRY_VOID(archive.add_text(audit_key_name, audit_key->export_key(), now.ms / 1000));
  for (const auto folder : folders) {
    if (fs::is_directory(data_directory / folder, error)) MUSTER_TRY_VOID(archive.add_folder(std::string{folder}, data_directory / folder));
  }
  MUSTER_TRY_VOID(archive.add_file(database_name, copy));
  MUSTER_TRY_VOID(archive.end());
  MUSTER_TRY_VOID(encryptor.finish());
  if (::fsync(file.get()) != 0) return system_error();
  MUSTER_TRY_VOID(move_without_replacing(partial, out_file));
  remove_partial.keep();
  return archive.summary();
}

// --- restore -------------------------------------------------------------------------------------------------------------

namespace {

/// Unpacks into a folder of its own, and nowhere else, whatever the archive says.
class Unpacker final : public tar::Reader::Files {
 public:
  explicit Unpacker(fs::path into) : into_{std::move(into)} {}

  Result<void> begin(std::string_view name, std::uint64_t size) override {
    if (++summary.files > files_max) return BaseError::over_limit;
    summary.plain_bytes += size;
    text_ = name == manifest_name ? &manifest : name == keys_name ? &keys : name == audit_key_name ? &audit_key : nullptr;
    if (text_ != nullptr) return size > small_file_max_bytes || !text_->empty() ? Result<void>{BackupError::not_a_backup} : Result<void>{};
    if (!allowed(name)) return BackupError::not_a_backup;
    const fs::path path = into_ / name;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) return Error{error.value(), boost::system::generic_category()};
    fs::permissions(path.parent_path(), fs::perms::owner_all, error);
    file_.emplace(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file_->get() < 0) return errno == EEXIST ? Error{BackupError::not_a_backup} : system_error();
    has_database = has_database || name == database_name;
    return {};
  }

  Result<void> bytes(std::span<const std::uint8_t> bytes) override {
    if (text_ != nullptr) {
      text_->append(bytes.begin(), bytes.end());
      return {};
    }
    return write_all(file_->get(), bytes);
  }

  Result<void> end() override {
    if (text_ != nullptr) return {};
    if (::fsync(file_->get()) != 0) return system_error();
    file_.reset();
    return {};
  }

  std::string manifest, keys, audit_key;
  bool has_database = false;
  BackupSummary summary;

 private:
  static bool allowed(std::string_view name) {
    if (name == database_name) return true;
    if (std::none_of(folders.begin(), folders.end(), [&](std::string_view folder) {
          return name.starts_with(folder) && name.size() > folder.size() + 1 && name[folder.size()] == '/';
        })) {
      return false;
    }
    for (std::string_view rest = name; !rest.empty();) {
      const auto slash = rest.find('/');
      const std::string_view part = rest.substr(0, slash);
      if (part.empty() || part == "." || part == "..") return false;
      rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
      if (slash != std::string_view::npos && rest.empty()) return false;
    }
    return true;
  }

  fs::path into_;
  std::string* text_ = nullptr;
  std::optional<Descriptor> file_;
};

Result<void> sync_folders(const fs::path& path) {
  std::error_code error;
  for (fs::recursive_directory_iterator it{path, error}, end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error)) MUSTER_TRY_VOID(sync_directory(it->path()));
  }
  return sync_directory(path);
}

}  // namespace

Result<BackupSummary> restore_backup(const fs::path& file, const BackupIdentities& with, const fs::path& data_directory) {
  if (with.identities.empty() == with.passphrase.empty()) return BackupError::secret_missing;
  const Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (in.get() < 0) return system_error();

  std::error_code error;
  const bool existed = fs::exists(data_directory, error);
  if (error) return Error{error.value(), boost::system::generic_category()};
  if (!existed) {
    if (::mkdir(data_directory.c_str(), 0700) != 0) return system_error();
  }
  Unfinished remove_directory{existed ? fs::path{} : data_directory};
  MUSTER_TRY(const FolderLock alone, work_alone_in(data_directory));
  for (fs::directory_iterator entry{data_directory, error}, end; !error && entry != end; entry.increment(error)) {
    if (!is_restore_scratch(entry->path())) return BackupError::directory_not_empty;
  }
  if (error) return Error{error.value(), boost::system::generic_category()};
  remove_scratch_of_the_dead(data_directory, restore_scratch);
  MUSTER_TRY(const fs::path scratch, make_private_folder(data_directory, restore_scratch));
  const Unfinished remove_scratch{scratch};

  Unpacker unpacker{scratch};
  tar::Reader reader{unpacker};
  const age::Source source = [&](std::span<std::uint8_t> room) { return read_some(in.get(), room); };
  const age::Sink sink = [&](std::span<const std::uint8_t> bytes) { return reader.write(bytes); };
  MUSTER_TRY_VOID(with.passphrase.empty() ? age::decrypt(source, sink, with.identities)
                                          : age::decrypt_with_passphrase(source, sink, with.passphrase));
  if (!reader.complete()) return BaseError::file_damaged;
  const bool known =
      unpacker.manifest.starts_with(manifest_start) ? !unpacker.audit_key.empty() : unpacker.manifest.starts_with(manifest_start_before);
  if (!known || !unpacker.has_database || unpacker.keys.empty()) return BackupError::not_a_backup;

  MUSTER_TRY_VOID(KeyRing::import_keys(scratch / "keys", unpacker.keys));
  if (!unpacker.audit_key.empty()) MUSTER_TRY_VOID(AuditKey::import_key(scratch / "keys", unpacker.audit_key));
  SecureRandom random;
  MUSTER_TRY(const auto audit_key, AuditKey::open(scratch / "keys", random));  // A backup from before the chain has none.
  MUSTER_TRY_VOID(prepare_restored(scratch / database_name, *audit_key));
  MUSTER_TRY_VOID(give_all_to_owner_of(data_directory, scratch));
  MUSTER_TRY_VOID(sync_folders(scratch));
  // The database last: until it is there, no server takes this for a restored directory.
  std::vector<std::string_view> moved{"keys"};
  moved.insert(moved.end(), folders.begin(), folders.end());
  moved.push_back(database_name);
  std::vector<std::unique_ptr<Unfinished>> undo;
  for (const auto name : moved) {
    if (!fs::exists(scratch / name, error)) continue;
    if (name == database_name) MUSTER_TRY_VOID(sync_directory(data_directory));
    fs::rename(scratch / name, data_directory / name, error);
    if (error) return Error{error.value(), boost::system::generic_category()};
    undo.push_back(std::make_unique<Unfinished>(data_directory / name));
  }
  MUSTER_TRY_VOID(sync_directory(data_directory));
  if (!existed) MUSTER_TRY_VOID(sync_directory(folder_of(fs::absolute(data_directory))));
  for (const auto& each : undo) each->keep();
  remove_directory.keep();
  return unpacker.summary;
}

}  // namespace muster::store
