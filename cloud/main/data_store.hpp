// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "cloud/base/result.hpp"
#include "cloud/domain/store.hpp"

/// Where the store of a data directory lies. `serve` writes it down (the file `store` in the directory) when it is not muster.db in
/// the directory itself, so that commands without the server work on the store that the server uses.
namespace muster::main {

/// The database that `store_url` names: sqlite:PATH.
[[nodiscard]] std::filesystem::path database_of_url(std::string_view store_url);
/// Whether this version knows what `store_url` names.
[[nodiscard]] bool is_store_url(std::string_view store_url) noexcept;

/// The database that belongs to `data_directory`: what was recorded, else its muster.db. Whether it exists is not looked at.
/// Errors: BaseError::file_damaged (the record), those of the system.
[[nodiscard]] Result<std::filesystem::path> recorded_database(const std::filesystem::path& data_directory);
/// Records `database`; one inside the directory by its name there, so that the directory can be moved. Writes only what changes.
/// Errors: those of the system.
[[nodiscard]] Result<void> record_database(const std::filesystem::path& data_directory, const std::filesystem::path& database);

/// The store in an existing database, for a command that works on it beside a server or without one; its audit log goes on under the
/// key in `data_directory`. Waits up to 10 s for locks. Errors: any StoreError, those of AuditKey; an absent database is not made.
[[nodiscard]] Result<std::unique_ptr<domain::Store>> open_data_store(const std::filesystem::path& data_directory,
                                                                     const std::filesystem::path& database);

}  // namespace muster::main
