// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/result.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/store_types.hpp"

namespace muster::domain {

/// A mail to be queued. Whoever makes a link or a note queues its mail in the same operation.
struct NewMail {
  std::string recipient;  ///< Its address.
  std::string kind;       ///< "invite", "reset", ...: for lists and the log.
  std::string sealed;     ///< Subject, text and HTML (cloud/mail/message.hpp), sealed: they hold links.
};

/// A mail that waits, or that was given up.
struct QueuedMail {
  MailId id;
  OrganizationId organization_id;  ///< In which it is shown.
  std::string recipient, kind;
  std::string sealed;  ///< Empty in lists, and when it was given up.
  UtcTime queued_at, next_try_at;
  std::uint32_t tries = 0;
  bool given_up = false;
  std::string reason;  ///< Why the last try failed; at most 300 bytes.
};

inline constexpr std::int64_t given_up_mail_kept_ms = 30LL * 24 * 3'600'000;  ///< How long one can see that a mail was given up.

/// Mail that waits to be sent.
/// A part of Store, with its rules: see there. What a backend does not override is unavailable.
class MailStore {
 public:
  virtual ~MailStore() = default;

  /// A mail that belongs to nothing else (a note).
  virtual Result<void> queue_mail(const NewMail&, OrganizationId, UtcTime /*now*/) { return StoreError::unavailable; }
  /// Those whose time has come, the longest waiting first, with their sealed text.
  virtual Result<std::vector<QueuedMail>> due_mail(UtcTime /*now*/, std::size_t /*limit*/) { return StoreError::unavailable; }
  /// It is out: its row goes.
  virtual Result<void> mail_sent(MailId) { return StoreError::unavailable; }
  /// `next_try_at` none: it is given up, and its text is forgotten.
  virtual Result<void> mail_failed(MailId, std::optional<UtcTime> /*next_try_at*/, std::string_view /*reason*/, UtcTime /*now*/) {
    return StoreError::unavailable;
  }
  /// What waits or was given up, newest first.
  virtual Result<PageOf<QueuedMail>> queued_mail(OrganizationId, const Page&) { return StoreError::unavailable; }
};

}  // namespace muster::domain
