// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/data_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace muster::main {
namespace {

std::string make_directory(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) {
    struct stat facts{};
    if (::stat(path.c_str(), &facts) != 0) return fmt::format("{}: {}", path.string(), std::strerror(errno));
    if (!S_ISDIR(facts.st_mode)) return fmt::format("{} is a file; --data must name a directory", path.string());
    return {};
  }
  return fmt::format("{} cannot be made: {}; check the path and its permissions", path.string(), std::strerror(errno));
}

}  // namespace

std::variant<std::unique_ptr<DataDirectory>, DataDirectory::Problem> DataDirectory::open(const std::filesystem::path& given) {
  auto path = given;
  while (!path.has_filename() && path != path.parent_path()) path = path.parent_path();  // "data/" means "data".
  if (path.has_parent_path()) {
    std::error_code failure;
    const bool there = std::filesystem::exists(path.parent_path(), failure);
    if (failure) {
      return Problem{fmt::format("{} cannot be looked at: {}; check --data and the permissions of the directories above it", path.string(),
                                 failure.message())};
    }
    if (!there) return Problem{fmt::format("{} does not exist; make it first, or check --data", path.parent_path().string())};
  }
  for (const auto& directory : {path, path / "files"}) {
    if (auto complaint = make_directory(directory); !complaint.empty()) return Problem{std::move(complaint)};
  }
  const auto lock_file = path / "lock";
  const int lock = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0)
    return Problem{
        fmt::format("{} cannot be opened: {}; check the permissions of the data directory", lock_file.string(), std::strerror(errno))};
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return Problem{fmt::format("another muster serves {}; stop it first, or use another --data", path.string())};
  }
  return std::unique_ptr<DataDirectory>{new DataDirectory{path, lock}};
}

DataDirectory::~DataDirectory() { ::close(lock_); }

}  // namespace muster::main
