// SPDX-License-Identifier: Apache-2.0
#include "cli/saved_login.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "cloud/base/error.hpp"
#include "cloud/base/secure_file.hpp"

namespace muster::cli {

namespace {

namespace json = boost::json;

constexpr auto file_name = "login.json";
constexpr std::size_t file_size_max_bytes = 1u << 20;

std::string text_of(const json::object& object, std::string_view key) {
  const auto* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string{value->get_string()} : std::string{};
}

}  // namespace

Outcome<std::filesystem::path> SavedLogins::directory() {
  const char* const config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && *config != '\0') return std::filesystem::path{config} / "muster";
  const char* const home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') return std::filesystem::path{home} / ".config" / "muster";
  return failed(
      "Neither XDG_CONFIG_HOME nor HOME is set, so there is no place for the saved login; set one, or use MUSTER_URL and MUSTER_TOKEN.");
}

Outcome<SavedLogins> SavedLogins::load(const std::filesystem::path& directory) {
  const auto path = directory / file_name;
  const auto bytes = read_file(path, file_size_max_bytes, FileAccess::owner_only);
  if (!bytes) {
    if (bytes.error() == std::errc::no_such_file_or_directory) return SavedLogins{};
    if (bytes.error() == make_error_code(BaseError::key_unreadable)) {
      return failed(path.string() + " may be read or written by others, or belongs to somebody else; run: chmod 600 " + path.string());
    }
    return failed(path.string() + " cannot be read: " + bytes.error().message() + ".");
  }
  boost::system::error_code error;
  const auto document = json::parse(*bytes, error);
  if (error || !document.is_object()) return failed(path.string() + " is damaged; remove it and sign in again.");
  SavedLogins saved;
  for (const auto& [url, entry] : document.get_object()) {
    if (!entry.is_object()) return failed(path.string() + " is damaged; remove it and sign in again.");
    const auto& object = entry.get_object();
    saved.logins_.emplace_back(std::string{url}, Login{text_of(object, "email"), text_of(object, "accessToken"), text_of(object, "ca")});
  }
  return saved;
}

Outcome<void> SavedLogins::save(const std::filesystem::path& directory) const {
  std::error_code error;
  std::filesystem::create_directories(directory.parent_path(), error);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return failed(directory.string() + " cannot be made: " + std::strerror(errno) + ".");
  json::object document;
  for (const auto& [url, login] : logins_) {
    json::object entry{{"email", login.email}, {"accessToken", login.access_token}};
    if (!login.ca.empty()) entry["ca"] = login.ca;
    document[url] = std::move(entry);
  }
  const auto path = directory / file_name;
  if (const auto written = write_file_atomically(path, json::serialize(document) + "\n", 0600); !written) {
    return failed(path.string() + " cannot be written: " + written.error().message() + ".");
  }
  return {};
}

const Login* SavedLogins::find(std::string_view url) const noexcept {
  const auto found = std::find_if(logins_.begin(), logins_.end(), [&](const auto& entry) { return entry.first == url; });
  return found == logins_.end() ? nullptr : &found->second;
}

std::optional<std::string> SavedLogins::current_url() const { return logins_.empty() ? std::nullopt : std::optional{logins_.back().first}; }

void SavedLogins::put(std::string_view url, Login login) {
  remove(url);
  logins_.emplace_back(std::string{url}, std::move(login));
}

bool SavedLogins::remove(std::string_view url) {
  return std::erase_if(logins_, [&](const auto& entry) { return entry.first == url; }) != 0;
}

Outcome<std::string> normalize_url(std::string_view url) {
  const auto wrong = [&](std::string_view why) {
    return usage("\"" + std::string{url} + "\" " + std::string{why} +
                 "; write it like http://127.0.0.1:8080 or https://muster.example.com.");
  };
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return wrong("is not a URL");
  std::string normal{url};
  while (!normal.empty() && normal.back() == '/') normal.pop_back();
  std::transform(normal.begin(), normal.end(), normal.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (!normal.starts_with("http://") && !normal.starts_with("https://")) return wrong("is neither http nor https");
  const std::string_view authority = std::string_view{normal}.substr(scheme_end + 3 <= normal.size() ? scheme_end + 3 : normal.size());
  if (authority.empty()) return wrong("names no host");
  if (authority.find_first_of("/?#") != std::string_view::npos) return wrong("has something behind the host");
  if (authority.find('@') != std::string_view::npos) return wrong("has a user name in it");
  if (authority.find_first_of(" \t\r\n\"'<>\\") != std::string_view::npos) return wrong("is not a URL");
  std::string_view port_text;
  if (authority.front() == '[') {
    const auto end = authority.find(']');
    if (end == std::string_view::npos || end == 1) return wrong("has an IPv6 address without its brackets");
    const auto rest = authority.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return wrong("is not a URL");
    if (!rest.empty()) port_text = rest.substr(1);
    if (!rest.empty() && port_text.empty()) return wrong("ends with a colon but no port");
  } else if (const auto colon = authority.find(':'); colon != std::string_view::npos) {
    if (colon == 0) return wrong("names no host");
    port_text = authority.substr(colon + 1);
    if (port_text.empty()) return wrong("ends with a colon but no port");
  }
  if (!port_text.empty()) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (error != std::errc{} || end != port_text.data() + port_text.size() || port == 0 || port > 65535)
      return wrong("has a port that is none");
  }
  return normal;
}

UrlParts parse_url(std::string_view url) {
  UrlParts parts;
  parts.tls = url.starts_with("https://");
  parts.port = parts.tls ? 443 : 80;
  auto authority = url.substr(parts.tls ? 8 : 7);
  std::string_view port_text;
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    parts.host = authority.substr(1, end - 1);
    if (end + 1 < authority.size()) port_text = authority.substr(end + 2);
  } else {
    const auto colon = authority.find(':');
    parts.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port_text = authority.substr(colon + 1);
  }
  if (!port_text.empty()) {
    unsigned port = parts.port;
    std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    parts.port = static_cast<std::uint16_t>(port);
  }
  return parts;
}

}  // namespace muster::cli
