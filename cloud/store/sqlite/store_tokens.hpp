// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/store/sqlite/store_impl.hpp"

/// The registry of AuthTokens, for the other operations of this module.
namespace muster::store {

/// Adds a live token. Errors: DomainError::token_taken when any of its digests is, or was, anything else's.
[[nodiscard]] Result<AuthTokenId> insert_token(Transaction& transaction, domain::TokenKind kind, DeviceId device,
                                               const domain::NewToken& token, UtcTime at);

/// Makes tombstones of all live tokens of a device, with a change row each.
[[nodiscard]] Result<void> revoke_tokens_of(Transaction& transaction, DeviceId device);

}  // namespace muster::store
