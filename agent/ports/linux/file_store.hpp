// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "agent/port/store.hpp"

namespace muster::agent::linux_port {

/// Records as files of one directory (made with mode 0700 when it is not there; files have mode 0600). A file is
/// replaced by writing beside it, fsync, rename and fsync of the directory. Holds a lock while open, so that two agents
/// do not share one identity.
class FileStore final : public Store {
 public:
  static constexpr std::size_t file_size_max_bytes = std::size_t{1} << 20;

  FileStore() = default;
  ~FileStore();
  FileStore(const FileStore&) = delete;
  FileStore& operator=(const FileStore&) = delete;

  /// Empty when it worked, else a sentence for people.
  [[nodiscard]] std::string open(const std::string& directory);

  [[nodiscard]] StoreStatus load(Slot slot, wire::ByteSpan room, std::size_t& size_bytes) override;
  [[nodiscard]] StoreStatus save(Slot slot, wire::ByteView record) override;
  [[nodiscard]] StoreStatus erase(Slot slot) override;

  /// The same for any other file of the directory, such as the CA that is trusted. `name` is a plain file name.
  [[nodiscard]] StoreStatus save_file(std::string_view name, wire::ByteView content);
  /// Its content; empty when there is none, or it is larger than 64 KiB.
  [[nodiscard]] std::string load_file(std::string_view name) const;
  [[nodiscard]] std::string path_of(std::string_view name) const;

 private:
  std::string directory_;
  int directory_fd_ = -1;
  int lock_fd_ = -1;
};

}  // namespace muster::agent::linux_port
