// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "cloud/base/audit_key.hpp"
#include "cloud/base/result.hpp"

/// Copies of the database while a server uses it, and what a copy needs before a server may use it in its stead.
namespace muster::store {

/// Writes a consistent copy of `database` as it is at one moment to `destination`, one file, mode 0600, checked and on disk. The
/// server goes on reading and writing meanwhile. Takes free space of the database's size. Blocks.
/// Errors: BaseError::file_exists (the destination), those of domain::StoreError, errors of the system.
[[nodiscard]] Result<void> back_up(const std::filesystem::path& database, const std::filesystem::path& destination);

/// Makes a copy ready for being served: tokens that it does not know are held from now on, because they may have been issued
/// after it was made; access tokens end, because some may have been ended since. No server may use it yet.
/// Errors: those of domain::StoreError; corrupt also when a full check of the file finds anything.
[[nodiscard]] Result<void> prepare_restored(const std::filesystem::path& database, const AuditKey& audit_key);

}  // namespace muster::store
