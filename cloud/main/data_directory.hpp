// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <variant>

namespace muster::main {

/// The data directory of one server: made (0700) when it is not there, and held by a lock file until destroyed, so that two servers
/// never share it. `muster.db` (unless the store lies elsewhere: data_store.hpp), `keys/`, `tls/`, `files/` lie in it.
class DataDirectory {
 public:
  /// What went wrong, as one sentence that says what to do.
  struct Problem {
    std::string message;
  };
  [[nodiscard]] static std::variant<std::unique_ptr<DataDirectory>, Problem> open(const std::filesystem::path& given);
  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path database() const { return path_ / "muster.db"; }
  [[nodiscard]] std::filesystem::path keys() const { return path_ / "keys"; }
  [[nodiscard]] std::filesystem::path tls() const { return path_ / "tls"; }
  [[nodiscard]] std::filesystem::path files() const { return path_ / "files"; }

 private:
  DataDirectory(std::filesystem::path path, int lock) noexcept : path_{std::move(path)}, lock_{lock} {}
  std::filesystem::path path_;
  int lock_;
};

}  // namespace muster::main
