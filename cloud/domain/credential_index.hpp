// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "cloud/base/key_ring.hpp"
#include "cloud/domain/entities.hpp"

namespace muster::domain {

/// Every live AuthToken, by digest, in memory: what a login is answered from. About 60 bytes a token at 1,000,000.
/// Thread-safe: many readers, one writer (the views' follower). A miss proves nothing: ask the store.
class CredentialIndex {
 public:
  struct Entry {
    DeviceId device_id;
    TokenKind kind = TokenKind::device;
    AuthTokenId token_id;
  };

  CredentialIndex();
  ~CredentialIndex();

  /// Looks under every digest of `digests` (one a key). No allocation.
  [[nodiscard]] std::optional<Entry> find(const TokenDigests& digests) const noexcept;
  /// Inserts, updates or (revoked) erases. Also finds the entry when the token was sealed anew under another key meanwhile.
  void apply(const TokenRecord& record);
  /// Makes `other` (built aside) the present content.
  void swap(CredentialIndex& other) noexcept;
  void reserve(std::size_t count);

  /// By the token's id: for the follower, which must know whose session to close when a token stops being live.
  [[nodiscard]] std::optional<Entry> find(AuthTokenId id) const noexcept;
  /// Every entry, in no order, under the read lock: `each` must not call back.
  void for_each(const std::function<void(AuthTokenId, DeviceId)>& each) const;

  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::domain
