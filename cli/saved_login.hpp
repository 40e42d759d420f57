// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/outcome.hpp"

namespace muster::cli {

struct Login {
  std::string email;
  std::string access_token;
  std::string ca;  ///< Path of the CA certificate to trust; empty: the system's.
  friend bool operator==(const Login&, const Login&) = default;
};

/// Sign-ins on this machine, by URL: `$XDG_CONFIG_HOME/muster/login.json` (0600), `{"URL":{"email","accessToken","ca"?},...}`.
/// The last one is the present one.
class SavedLogins {
 public:
  /// `$XDG_CONFIG_HOME/muster`, or `~/.config/muster`. Errors: neither is set.
  [[nodiscard]] static Outcome<std::filesystem::path> directory();
  /// No file: no logins. Errors: a file that others may read, or that is damaged.
  [[nodiscard]] static Outcome<SavedLogins> load(const std::filesystem::path& directory);
  [[nodiscard]] Outcome<void> save(const std::filesystem::path& directory) const;

  [[nodiscard]] const Login* find(std::string_view url) const noexcept;
  [[nodiscard]] std::optional<std::string> current_url() const;
  /// Makes it the present one.
  void put(std::string_view url, Login login);
  /// True if there was one.
  bool remove(std::string_view url);

 private:
  std::vector<std::pair<std::string, Login>> logins_;
};

/// "https://Host:9443/" becomes "https://host:9443". Errors: neither http nor https, a path, a user name in it.
[[nodiscard]] Outcome<std::string> normalize_url(std::string_view url);

struct UrlParts {
  bool tls = false;
  std::string host;  ///< Without brackets.
  std::uint16_t port = 0;
};
/// Of a normalized URL.
[[nodiscard]] UrlParts parse_url(std::string_view url);

}  // namespace muster::cli
