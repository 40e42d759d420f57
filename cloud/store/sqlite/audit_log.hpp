// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "cloud/base/audit_key.hpp"
#include "cloud/base/clock.hpp"
#include "cloud/domain/audit_chain.hpp"
#include "cloud/domain/entities.hpp"
#include "cloud/store/sqlite/connection.hpp"

/// The audit log as rows: entries are laid at the end of their chain inside whatever transaction is open.
namespace muster::store {

[[nodiscard]] Result<domain::AuditTip> read_audit_tip(Connection& connection);
/// Of the connection's open transaction. `entry.at` must be set; `detail` empty means {}.
[[nodiscard]] Result<void> lay_audit_entry(Connection& connection, const AuditKey& key, const domain::AuditEntry& entry);
/// Takes what names this user out of the log, also as the guest that somebody invited by `email`; the entries stay, and the chain stays
/// whole.
[[nodiscard]] Result<void> erase_audit_traces(Connection& connection, UserId user, std::string_view email);

/// What migration 0003 left in `audit_unchained` goes into the chain, in its order, and an entry ("audit.chain") marks where that ended.
[[nodiscard]] Result<void> chain_existing_audit(Connection& connection, const AuditKey& key, UtcTime now);
/// Complains in the log when the newest entry is not of this key: somebody changed it, or the key.
void check_audit_tip(Connection& connection, const AuditKey& key);

/// Reads the chain from its beginning.
[[nodiscard]] Result<void> walk_audit_chain(Connection& connection, const std::function<void(const domain::AuditLink&)>& each);

}  // namespace muster::store
