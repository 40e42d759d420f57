// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "cloud/base/audit_key.hpp"
#include "cloud/base/result.hpp"
#include "cloud/domain/audit_chain.hpp"
#include "cloud/domain/store.hpp"

/// Signed heads of the audit chain, as lines of text: `files/audit-heads/YYYY-MM` in the data directory, one file a month (UTC).
/// docs/operating/README.md says where to keep copies of them, and why.
namespace muster::main {

inline constexpr std::string_view audit_heads_folder = "audit-heads";

/// Signs where the chain ends now and appends the line, on disk before it returns. Errors: those of the store and of the system.
[[nodiscard]] Result<domain::AuditHead> write_audit_head(const std::filesystem::path& data_directory, const AuditKey& key,
                                                         domain::Store& store, UtcTime now);
/// The heads in a file: any text with head lines in it, such as a server's log. The newest AuditCheck::heads_max of them.
/// Errors: those of the system.
[[nodiscard]] Result<std::vector<domain::AuditHead>> read_audit_heads(const std::filesystem::path& file);
/// Of the data directory itself; none when there is no such folder.
[[nodiscard]] Result<std::vector<domain::AuditHead>> own_audit_heads(const std::filesystem::path& data_directory);

/// What `muster audit verify` found.
struct AuditVerdict {
  std::vector<domain::AuditFinding> findings;
  std::uint64_t findings_left_out = 0;
  std::int64_t entries = 0, genuine = 0, erased = 0;
  std::size_t heads_met = 0;
  domain::AuditTip tip;
  [[nodiscard]] bool whole() const noexcept { return findings.empty(); }
};
/// Walks the chain of the data directory's store. Changes nothing. Memory does not depend on the log's length.
/// Errors: those of the store, of AuditKey and of the system.
[[nodiscard]] Result<AuditVerdict> verify_audit(const std::filesystem::path& data_directory, const AuditKey& key, domain::Store& store,
                                                std::vector<domain::AuditHead> kept_heads);

}  // namespace muster::main
