// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>

#include "cloud/base/result.hpp"
#include "cloud/domain/store.hpp"

namespace muster::main {

/// The store of an existing data directory, for a command that works on it beside a server or without one. Waits up to 10 s for
/// locks. Errors: any StoreError; an absent database is not made.
[[nodiscard]] Result<std::unique_ptr<domain::Store>> open_data_store(const std::filesystem::path& data_directory);

}  // namespace muster::main
