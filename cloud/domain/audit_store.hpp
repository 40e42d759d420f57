// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>

#include "cloud/base/result.hpp"
#include "cloud/domain/audit_chain.hpp"
#include "cloud/domain/entities.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/store_types.hpp"

namespace muster::domain {

/// The audit log. Every operation that takes an Actor lays its entry in its own transaction; what is here is for entries without one,
/// for reading, and for checking the chain (audit_chain.hpp).
/// A part of Store, with its rules: see there.
class AuditStore {
 public:
  virtual ~AuditStore() = default;

  /// An audit entry with no change of its own (a refused sign-in, an export).
  virtual Result<void> append_audit(const AuditEntry& entry) = 0;

  struct AuditFilter {
    std::span<const OrganizationId> organizations;
    std::string action;          ///< Empty: all; "device." = all that begin so.
    UtcTime from, to;            ///< to.ms 0: no end.
    UserId actor{};              ///< Who did it, when set.
    std::string object_kind{};   ///< Of such objects only, when not empty ...
    std::int64_t object_id = 0;  ///< ... and only this one, when not 0.
    std::string text{};          ///< In action, details, address or the person named; case-insensitive.
    AuditId before{};            ///< Only older ones, when set: goes on where a page ended.
    bool count = true;           ///< False: the total, which costs a look at every entry that fits, is left 0.
  };
  virtual Result<PageOf<AuditEntry>> audit(const AuditFilter& filter, const Page& page) = 0;  ///< Newest first.

  /// Where the chain ends now.
  virtual Result<AuditTip> audit_tip() { return StoreError::unavailable; }
  /// The chain from its beginning, one row in memory at a time, in one snapshot. What the row borrows is valid in the call.
  virtual Result<void> for_each_audit_link(const std::function<void(const AuditLink&)>&) { return StoreError::unavailable; }
  /// Entries that the store says it ever gave a number, also when the newest are gone.
  virtual Result<std::int64_t> audit_numbers_given() { return StoreError::unavailable; }
};

}  // namespace muster::domain
