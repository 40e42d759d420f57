// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/time_zone_name.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <system_error>

namespace muster {
namespace {

constexpr std::size_t name_size_max_bytes = 64;

/// Words and slashes only: such a name cannot lead out of the directory.
bool is_well_formed(std::string_view name) noexcept {
  if (name.empty() || name.size() > name_size_max_bytes || name.front() == '/' || name.back() == '/') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '-' || c == '+';
  });
}

/// The same zones once more, in another reckoning of seconds, and files that are no zones.
bool is_beside_the_zones(std::string_view name) noexcept {
  return name.starts_with("posix/") || name.starts_with("right/") || name == "posixrules" || name == "localtime" || name == "Factory";
}

bool is_zone_file(const std::filesystem::path& file) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(file, failure)) return false;
  std::array<char, 4> magic{};
  std::ifstream in{file, std::ios::binary};
  in.read(magic.data(), magic.size());
  return in && std::string_view{magic.data(), magic.size()} == "TZif";
}

}  // namespace

std::optional<std::string> check_time_zone(std::string_view name, const std::filesystem::path& directory) {
  if (name == "UTC") return std::nullopt;
  if (is_well_formed(name) && !is_beside_the_zones(name)) {
    std::error_code failure;
    if (!std::filesystem::is_directory(directory, failure) || is_zone_file(directory / name)) return std::nullopt;
  }
  return "There is no such time zone; write UTC or a name of the tz database, like Europe/Berlin or America/New_York.";
}

}  // namespace muster
