// SPDX-License-Identifier: Apache-2.0
#include "cli/known_device.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

#include "cloud/base/secure_file.hpp"
#include "cloud/domain/rules.hpp"

namespace muster::cli {

namespace {

namespace json = boost::json;

constexpr auto file_name = "known-devices.json";
constexpr std::size_t file_size_max_bytes = 1u << 20, mark_size_max = 512;

/// It goes into a header.
bool is_plain(std::string_view mark) {
  return !mark.empty() && mark.size() <= mark_size_max && std::all_of(mark.begin(), mark.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

std::pair<std::string, std::string> key_of(std::string_view url, std::string_view email) {
  return {std::string{url}, domain::lower_ascii(domain::trim(email))};
}

}  // namespace

KnownDevices KnownDevices::load(const std::filesystem::path& directory) {
  KnownDevices known;
  const auto bytes = read_file(directory / file_name, file_size_max_bytes, FileAccess::owner_only);
  if (!bytes) return known;
  boost::system::error_code error;
  const auto document = json::parse(*bytes, error);
  if (error || !document.is_object()) return known;
  for (const auto& [url, accounts] : document.get_object()) {
    if (!accounts.is_object()) continue;
    for (const auto& [email, mark] : accounts.get_object()) {
      if (mark.is_string()) known.put(std::string_view{url}, std::string_view{email}, std::string{mark.get_string()});
    }
  }
  return known;
}

Outcome<void> KnownDevices::save(const std::filesystem::path& directory) const {
  std::error_code error;
  std::filesystem::create_directories(directory.parent_path(), error);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return failed(directory.string() + " cannot be made: " + std::strerror(errno) + ".");
  json::object document;
  for (const auto& [key, mark] : marks_) {
    auto& accounts = document[key.first];
    if (!accounts.is_object()) accounts.emplace_object();
    accounts.get_object()[key.second] = mark;
  }
  const auto path = directory / file_name;
  if (const auto written = write_file_atomically(path, json::serialize(document) + "\n", 0600); !written)
    return failed(path.string() + " cannot be written: " + written.error().message() + ".");
  return {};
}

std::string KnownDevices::find(std::string_view url, std::string_view email) const {
  const auto found = marks_.find(key_of(url, email));
  return found == marks_.end() ? std::string{} : found->second;
}

void KnownDevices::put(std::string_view url, std::string_view email, std::string mark) {
  if (is_plain(mark)) marks_[key_of(url, email)] = std::move(mark);
}

}  // namespace muster::cli
