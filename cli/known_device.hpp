// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "cli/outcome.hpp"

namespace muster::cli {

/// Marks that servers gave with a sign-in, one an account: whoever shows one again was here before, and is not held up by what strangers
/// guess meanwhile. A mark signs nobody in. They outlive a sign-out: `$XDG_CONFIG_HOME/muster/known-devices.json` (0600),
/// `{"URL":{"EMAIL":"mark"},...}`.
class KnownDevices {
 public:
  /// No file, one that others may read and a damaged one: no marks. The next sign-in makes a new file.
  [[nodiscard]] static KnownDevices load(const std::filesystem::path& directory);
  /// Errors: exit_failed.
  [[nodiscard]] Outcome<void> save(const std::filesystem::path& directory) const;

  /// Empty: there is none. `url` normalized; emails are alike whatever their case.
  [[nodiscard]] std::string find(std::string_view url, std::string_view email) const;
  void put(std::string_view url, std::string_view email, std::string mark);

 private:
  std::map<std::pair<std::string, std::string>, std::string> marks_;
};

}  // namespace muster::cli
