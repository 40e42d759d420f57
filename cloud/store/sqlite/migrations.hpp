// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "cloud/base/audit_key.hpp"
#include "cloud/base/clock.hpp"
#include "cloud/base/result.hpp"
#include "cloud/store/sqlite/connection.hpp"

namespace muster::store {

/// "MSTR": what SQLite's header says of the file, so that another program's database is not taken for ours.
inline constexpr std::int32_t application_id = 0x4D535452;

/// The number of the last migration that this program has.
[[nodiscard]] std::int32_t schema_version() noexcept;

/// What an opened file is.
enum class Contents : std::uint8_t { empty, older, current };

/// Looks, changes nothing. Errors: StoreError::newer_version, StoreError::corrupt (another program's file, or our number
/// without our tables).
[[nodiscard]] Result<Contents> look_at(Connection& connection);

/// Brings the file to schema_version() in one transaction; the audit log is laid into its chain with `audit_key`. Errors: as look_at, and those of writing.
[[nodiscard]] Result<void> migrate(Connection& connection, const AuditKey& audit_key, UtcTime now);

}  // namespace muster::store
