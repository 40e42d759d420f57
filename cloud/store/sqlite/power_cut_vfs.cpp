// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/power_cut_vfs.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace muster::store {
namespace {

constexpr std::size_t sector_bytes = 512;

void put(std::string& data, std::size_t offset, std::string_view bytes) {
  if (data.size() < offset + bytes.size()) data.resize(offset + bytes.size(), '\0');
  std::copy(bytes.begin(), bytes.end(), data.begin() + static_cast<std::ptrdiff_t>(offset));
}

}  // namespace

struct PowerCutDisk::File {
  struct Change {
    bool truncate = false;
    std::size_t offset = 0;  ///< Or the new size.
    std::string bytes;
  };
  std::string data;     ///< What programs see.
  std::string durable;  ///< What survives.
  std::vector<Change> unsynced;
  bool durable_name = false;  ///< Whether the file itself survives.
  bool deleted = false;       ///< By programs, but not yet durably.
  int handles = 0;

  // Locks of the rollback-journal protocol, which WAL mode uses to keep others out while it opens and closes.
  int shared = 0;
  const void* reserved = nullptr;   ///< Who holds RESERVED, PENDING or EXCLUSIVE.
  const void* exclusive = nullptr;  ///< Who holds PENDING or EXCLUSIVE: no new SHARED.

  // The shared memory of WAL mode. It dies with the power.
  std::vector<std::unique_ptr<char[]>> regions;
  std::array<int, SQLITE_SHM_NLOCK> shm_shared{};
  std::array<const void*, SQLITE_SHM_NLOCK> shm_exclusive{};
  int shm_users = 0;
};

namespace {

struct Handle {
  sqlite3_file base;
  PowerCutDisk* disk;
  std::shared_ptr<void>* file;
  int level;
  bool shm;
  std::uint32_t shm_shared;  ///< Bits of the slots this handle holds shared.
};

}  // namespace

struct PowerCutDisk::Methods {
  sqlite3_vfs vfs{};
  sqlite3_io_methods io{};
};

struct PowerCutMethods {
  using File = PowerCutDisk::File;

  static Handle& handle(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }  // NOLINT: SQLite's convention.
  static File& file(Handle& h) { return *static_cast<File*>(h.file->get()); }
  static sqlite3_vfs* system() { return sqlite3_vfs_find(nullptr); }

  /// Counts an operation that changes the disk; true when it fails, and how. The mutex is held.
  static int changing(PowerCutDisk& disk) {
    ++disk.operations_;
    if (disk.cut_at_ != 0 && disk.operations_ >= disk.cut_at_) disk.off_ = true;
    if (disk.off_) return SQLITE_IOERR_WRITE;
    return disk.write_error_;
  }

  // --- files ---------------------------------------------------------------------------------------------------------------
  static int close(sqlite3_file* base) {
    Handle& h = handle(base);
    {
      std::lock_guard lock{h.disk->mutex_};
      File& f = file(h);
      unlock_to(h, f, SQLITE_LOCK_NONE);
      leave_shm(h, f);
      --f.handles;
    }
    delete h.file;
    h.base.pMethods = nullptr;
    return SQLITE_OK;
  }

  static int read(sqlite3_file* base, void* out, int size, sqlite3_int64 offset) {
    Handle& h = handle(base);
    std::lock_guard lock{h.disk->mutex_};
    if (h.disk->off_) return SQLITE_IOERR_READ;
    if (h.disk->read_error_ != 0) {
      if (h.disk->read_error_ == SQLITE_IOERR_SHORT_READ) std::memset(out, 0, static_cast<std::size_t>(size));  // What a VFS must do.
      return h.disk->read_error_;
    }
    const std::string& data = file(h).data;
    const auto start = std::min(static_cast<std::size_t>(offset), data.size());
    const auto count = std::min(static_cast<std::size_t>(size), data.size() - start);
    std::memcpy(out, data.data() + start, count);
    if (count == static_cast<std::size_t>(size)) return SQLITE_OK;
    std::memset(static_cast<char*>(out) + count, 0, static_cast<std::size_t>(size) - count);
    return SQLITE_IOERR_SHORT_READ;
  }

  static int write(sqlite3_file* base, const void* in, int size, sqlite3_int64 offset) {
    Handle& h = handle(base);
    std::lock_guard lock{h.disk->mutex_};
    if (const int error = changing(*h.disk); error != 0) return error;
    File& f = file(h);
    std::string bytes{static_cast<const char*>(in), static_cast<std::size_t>(size)};
    put(f.data, static_cast<std::size_t>(offset), bytes);
    f.unsynced.push_back({false, static_cast<std::size_t>(offset), std::move(bytes)});
    return SQLITE_OK;
  }

  static int truncate(sqlite3_file* base, sqlite3_int64 size) {
    Handle& h = handle(base);
    std::lock_guard lock{h.disk->mutex_};
    if (const int error = changing(*h.disk); error != 0) return error;
    File& f = file(h);
    f.data.resize(static_cast<std::size_t>(size));
    f.unsynced.push_back({true, static_cast<std::size_t>(size), {}});
    return SQLITE_OK;
  }

  static int sync(sqlite3_file* base, int) {
    Handle& h = handle(base);
    std::lock_guard lock{h.disk->mutex_};
    if (const int error = changing(*h.disk); error != 0) return error == SQLITE_IOERR_WRITE ? SQLITE_IOERR_FSYNC : error;
    File& f = file(h);
    for (const File::Change& change : f.unsynced) {
      change.truncate ? f.durable.resize(change.offset) : put(f.durable, change.offset, change.bytes);
    }
    f.unsynced.clear();
    f.durable_name = true;  // SQLite's own VFS syncs the folder together with a file that it made.
    return SQLITE_OK;
  }

  static int file_size(sqlite3_file* base, sqlite3_int64* size) {
    Handle& h = handle(base);
    std::lock_guard lock{h.disk->mutex_};
    *size = static_cast<sqlite3_int64>(file(h).data.size());
    return SQLITE_OK;
  }

  static int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector_size(sqlite3_file*) { return 4096; }
  /// As SQLite's own VFS says of Linux: a write that is cut off leaves the bytes around it alone.
  static int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  // --- locks ---------------------------------------------------------------------------------------------------------------
  static int lock(sqlite3_file* base, int level) {
    Handle& h = handle(base);
    std::lock_guard guard{h.disk->mutex_};
    File& f = file(h);
    if (h.level >= level) return SQLITE_OK;
    if (level == SQLITE_LOCK_SHARED) {
      if (f.exclusive != nullptr && f.exclusive != &h) return SQLITE_BUSY;
      ++f.shared;
      h.level = level;
      return SQLITE_OK;
    }
    if (f.reserved != nullptr && f.reserved != &h) return SQLITE_BUSY;
    f.reserved = &h;
    if (level == SQLITE_LOCK_RESERVED) {
      h.level = level;
      return SQLITE_OK;
    }
    f.exclusive = &h;  // PENDING: no new readers; wait for the others to leave.
    if (f.shared > 1) {
      h.level = SQLITE_LOCK_PENDING;
      return SQLITE_BUSY;
    }
    h.level = SQLITE_LOCK_EXCLUSIVE;
    return SQLITE_OK;
  }

  static void unlock_to(Handle& h, File& f, int level) {
    if (level >= h.level) return;
    if (h.level > SQLITE_LOCK_SHARED) {
      if (f.reserved == &h) f.reserved = nullptr;
      if (f.exclusive == &h) f.exclusive = nullptr;
    }
    if (level == SQLITE_LOCK_NONE) --f.shared;
    h.level = level;
  }
  static int unlock(sqlite3_file* base, int level) {
    Handle& h = handle(base);
    std::lock_guard guard{h.disk->mutex_};
    unlock_to(h, file(h), level);
    return SQLITE_OK;
  }
  static int check_reserved(sqlite3_file* base, int* result) {
    Handle& h = handle(base);
    std::lock_guard guard{h.disk->mutex_};
    *result = file(h).reserved != nullptr ? 1 : 0;
    return SQLITE_OK;
  }

  // --- shared memory -------------------------------------------------------------------------------------------------------
  static int shm_map(sqlite3_file* base, int region, int size, int extend, void volatile** out) {
    Handle& h = handle(base);
    std::lock_guard guard{h.disk->mutex_};
    if (h.disk->off_) return SQLITE_IOERR_SHMMAP;
    File& f = file(h);
    if (!h.shm) {
      h.shm = true;
      ++f.shm_users;
    }
    const auto index = static_cast<std::size_t>(region);
    if (f.regions.size() <= index) {
      *out = nullptr;
      if (extend == 0) return SQLITE_OK;
      while (f.regions.size() <= index) f.regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
    }
    *out = f.regions[index].get();
    return SQLITE_OK;
  }

  static int shm_lock(sqlite3_file* base, int offset, int count, int flags) {
    Handle& h = handle(base);
    std::lock_guard guard{h.disk->mutex_};
    File& f = file(h);
    const auto first = static_cast<std::size_t>(offset), last = static_cast<std::size_t>(offset + count);
    const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
      for (auto slot = first; slot < last; ++slot) {
        if (exclusive) {
          if (f.shm_exclusive[slot] == &h) f.shm_exclusive[slot] = nullptr;
        } else if ((h.shm_shared >> slot & 1u) != 0) {
          h.shm_shared &= ~(1u << slot);
          --f.shm_shared[slot];
        }
      }
      return SQLITE_OK;
    }
    for (auto slot = first; slot < last; ++slot) {
      if (f.shm_exclusive[slot] != nullptr && f.shm_exclusive[slot] != &h) return SQLITE_BUSY;
      const int mine = static_cast<int>(h.shm_shared >> slot & 1u);
      if (exclusive && f.shm_shared[slot] > mine) return SQLITE_BUSY;
    }
    for (auto slot = first; slot < last; ++slot) {
      if (exclusive) {
        f.shm_exclusive[slot] = &h;
      } else if ((h.shm_shared >> slot & 1u) == 0) {
        h.shm_shared |= 1u << slot;
        ++f.shm_shared[slot];
      }
    }
    return SQLITE_OK;
  }

  static void shm_barrier(sqlite3_file* base) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    std::lock_guard guard{handle(base).disk->mutex_};
  }

  static void leave_shm(Handle& h, File& f) {
    if (!h.shm) return;
    for (std::size_t slot = 0; slot < SQLITE_SHM_NLOCK; ++slot) {
      if (f.shm_exclusive[slot] == &h) f.shm_exclusive[slot] = nullptr;
      if ((h.shm_shared >> slot & 1u) != 0) --f.shm_shared[slot];
    }
    h.shm_shared = 0;
    h.shm = false;
    if (--f.shm_users == 0) f.regions.clear();
  }
  static int shm_unmap(sqlite3_file* base, int) {
    Handle& h = handle(base);
    std::lock_guard guard{h.disk->mutex_};
    leave_shm(h, file(h));
    return SQLITE_OK;
  }

  // --- the file system -----------------------------------------------------------------------------------------------------
  static PowerCutDisk& disk(sqlite3_vfs* vfs) { return *static_cast<PowerCutDisk*>(vfs->pAppData); }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* base, int flags, int* out_flags) {
    PowerCutDisk& d = disk(vfs);
    base->pMethods = nullptr;
    std::lock_guard guard{d.mutex_};
    if (d.off_) return SQLITE_CANTOPEN;
    std::shared_ptr<File> f;
    if (name == nullptr) {
      f = std::make_shared<File>();
    } else if (const auto found = d.files_.find(name); found != d.files_.end() && !found->second->deleted) {
      f = found->second;
    } else {
      if ((flags & SQLITE_OPEN_CREATE) == 0 || d.read_only_) return SQLITE_CANTOPEN;
      auto& slot = d.files_[name];
      if (slot == nullptr) slot = std::make_shared<File>();
      f = slot;  // One that was deleted but not durably comes back empty; what it held before is still what survives.
      f->deleted = false;
      f->data.clear();
      f->unsynced.push_back({true, 0, {}});
    }
    if (d.read_only_ && (flags & SQLITE_OPEN_READWRITE) != 0) {
      if ((flags & SQLITE_OPEN_MAIN_DB) == 0) return SQLITE_CANTOPEN;
      flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
    }
    ++f->handles;
    Handle& h = handle(base);
    h.disk = &d;
    h.file = new std::shared_ptr<void>{std::move(f)};
    h.level = SQLITE_LOCK_NONE;
    h.shm = false;
    h.shm_shared = 0;
    h.base.pMethods = &d.methods_->io;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }

  static int remove(sqlite3_vfs* vfs, const char* name, int sync_folder) {
    PowerCutDisk& d = disk(vfs);
    std::lock_guard guard{d.mutex_};
    if (const int error = changing(d); error != 0) return SQLITE_IOERR_DELETE;
    const auto found = d.files_.find(name);
    if (found == d.files_.end() || found->second->deleted) return SQLITE_IOERR_DELETE_NOENT;
    if (sync_folder != 0 || !found->second->durable_name) {
      d.files_.erase(found);
    } else {
      found->second->deleted = true;
    }
    return SQLITE_OK;
  }

  static int access(sqlite3_vfs* vfs, const char* name, int, int* result) {
    PowerCutDisk& d = disk(vfs);
    std::lock_guard guard{d.mutex_};
    const auto found = d.files_.find(name);
    *result = found != d.files_.end() && !found->second->deleted ? 1 : 0;
    return SQLITE_OK;
  }

  static int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
  }
  static int randomness(sqlite3_vfs*, int size, char* out) { return system()->xRandomness(system(), size, out); }
  static int sleep(sqlite3_vfs*, int microseconds) { return system()->xSleep(system(), microseconds); }
  static int current_time(sqlite3_vfs*, double* out) { return system()->xCurrentTime(system(), out); }
  static int current_time_64(sqlite3_vfs*, sqlite3_int64* out) { return system()->xCurrentTimeInt64(system(), out); }
  static int last_error(sqlite3_vfs*, int, char*) { return 0; }
};

PowerCutDisk::PowerCutDisk(std::string name) : name_{std::move(name)}, methods_{std::make_unique<Methods>()} {
  using M = PowerCutMethods;
  sqlite3_io_methods& io = methods_->io;
  io.iVersion = 2;
  io.xClose = M::close;
  io.xRead = M::read;
  io.xWrite = M::write;
  io.xTruncate = M::truncate;
  io.xSync = M::sync;
  io.xFileSize = M::file_size;
  io.xLock = M::lock;
  io.xUnlock = M::unlock;
  io.xCheckReservedLock = M::check_reserved;
  io.xFileControl = M::file_control;
  io.xSectorSize = M::sector_size;
  io.xDeviceCharacteristics = M::characteristics;
  io.xShmMap = M::shm_map;
  io.xShmLock = M::shm_lock;
  io.xShmBarrier = M::shm_barrier;
  io.xShmUnmap = M::shm_unmap;
  sqlite3_vfs& vfs = methods_->vfs;
  vfs.iVersion = 2;
  vfs.szOsFile = sizeof(Handle);
  vfs.mxPathname = 512;
  vfs.zName = name_.c_str();
  vfs.pAppData = this;
  vfs.xOpen = M::open;
  vfs.xDelete = M::remove;
  vfs.xAccess = M::access;
  vfs.xFullPathname = M::full_path;
  vfs.xRandomness = M::randomness;
  vfs.xSleep = M::sleep;
  vfs.xCurrentTime = M::current_time;
  vfs.xCurrentTimeInt64 = M::current_time_64;
  vfs.xGetLastError = M::last_error;
  sqlite3_vfs_register(&vfs, 0);
}

PowerCutDisk::~PowerCutDisk() { sqlite3_vfs_unregister(&methods_->vfs); }

void PowerCutDisk::cut_at(std::uint64_t operation) {
  std::lock_guard lock{mutex_};
  cut_at_ = operation == 0 ? 0 : operations_ + operation;
}

bool PowerCutDisk::off() const {
  std::lock_guard lock{mutex_};
  return off_;
}

std::uint64_t PowerCutDisk::operations() const {
  std::lock_guard lock{mutex_};
  return operations_;
}

void PowerCutDisk::power_cycle(Unsynced unsynced, Random& random) {
  std::lock_guard lock{mutex_};
  const bool torn = unsynced == Unsynced::torn;
  // How much of what was not synced had reached the disk by then: anything between nothing and all.
  const std::uint64_t eighths = torn ? random.below(9) : 0;
  const auto survives = [&] { return random.below(8) < eighths; };
  for (auto entry = files_.begin(); entry != files_.end();) {
    File& f = *entry->second;
    if (f.handles != 0) std::abort();  // A test that forgot to close its store.
    if (!f.durable_name && !survives()) {
      entry = files_.erase(entry);
      continue;
    }
    // Whether a deletion that was not synced has happened is open. When it has not, the old bytes come back.
    if (f.deleted && survives()) {
      entry = files_.erase(entry);
      continue;
    }
    std::string data = f.durable;
    if (!f.deleted) {
      for (const File::Change& change : f.unsynced) {
        if (change.truncate) {
          if (survives()) data.resize(change.offset);
          continue;
        }
        for (std::size_t done = 0; done < change.bytes.size();) {
          const auto offset = change.offset + done;
          const auto length = std::min(sector_bytes - offset % sector_bytes, change.bytes.size() - done);
          if (survives()) put(data, offset, std::string_view{change.bytes}.substr(done, length));
          done += length;
        }
      }
    }
    auto fresh = std::make_shared<File>();
    fresh->data = fresh->durable = std::move(data);
    fresh->durable_name = true;
    entry->second = std::move(fresh);
    ++entry;
  }
  off_ = false;
  cut_at_ = 0;
}

PowerCutDisk::Image PowerCutDisk::save() const {
  std::lock_guard lock{mutex_};
  Image image;
  for (const auto& [name, f] : files_) {
    if (!f->deleted) image[name] = f->data;
  }
  return image;
}

void PowerCutDisk::load(const Image& image) {
  std::lock_guard lock{mutex_};
  for (const auto& [name, f] : files_) {
    if (f->handles != 0) std::abort();
  }
  files_.clear();
  for (const auto& [name, data] : image) {
    auto f = std::make_shared<File>();
    f->data = f->durable = data;
    f->durable_name = true;
    files_[name] = std::move(f);
  }
  operations_ = cut_at_ = 0;
  off_ = read_only_ = false;
  write_error_ = read_error_ = 0;
}

void PowerCutDisk::fail_writes(int sqlite_code) {
  std::lock_guard lock{mutex_};
  write_error_ = sqlite_code;
}

void PowerCutDisk::fail_reads(int sqlite_code) {
  std::lock_guard lock{mutex_};
  read_error_ = sqlite_code;
}

void PowerCutDisk::set_read_only(bool on) {
  std::lock_guard lock{mutex_};
  read_only_ = on;
}

void PowerCutDisk::overwrite(std::string_view file, std::size_t offset, std::string_view bytes) {
  std::lock_guard lock{mutex_};
  const auto found = files_.find(file);
  if (found == files_.end()) std::abort();
  put(found->second->data, offset, bytes);
  put(found->second->durable, offset, bytes);
}

}  // namespace muster::store
