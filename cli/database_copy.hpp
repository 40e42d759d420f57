// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>

#include "cli/outcome.hpp"

namespace muster::cli {

/// Copies a SQLite database that may be in use into the file `to` (which must not exist), as it is at one moment; whoever uses it goes
/// on writing meanwhile. `progress` gets what is done, 0..100. Errors: exit_failed.
[[nodiscard]] Outcome<void> copy_database(const std::filesystem::path& from, const std::filesystem::path& to, const std::function<void(int)>& progress);
/// Whether every page and index is as it should be. Errors: exit_failed.
[[nodiscard]] Outcome<void> check_database(const std::filesystem::path& path);

}  // namespace muster::cli
