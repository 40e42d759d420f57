// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "cloud/domain/token_life_cycle.hpp"
#include "cloud/store/sqlite/store_impl.hpp"

/// The registry of AuthTokens, for the other operations of this module.
namespace muster::store {

/// Adds a live token. Errors: DomainError::token_taken when any of its digests is, or was, anything else's.
[[nodiscard]] Result<AuthTokenId> insert_token(Transaction& transaction, domain::TokenKind kind, DeviceId device,
                                               const domain::NewToken& token, UtcTime at, UtcTime expires_at = {});

/// Takes one token to the kind that its life cycle gives after `event`, with a change row. `quiet`: should it become a tombstone, devices
/// are not told. What the table says; nullopt: there is no such token.
[[nodiscard]] Result<std::optional<domain::TokenTransition>> move_token(Transaction& transaction, AuthTokenId id, domain::TokenEvent event,
                                                                        bool quiet = false);

/// What an event did to the tokens of a device.
struct MovedTokens {
  std::size_t moved = 0;
  std::optional<domain::DomainError> refusal;  ///< Some stayed as they were: the first one's reason.
};
/// Takes each live token of a device, but one, to the kind that its life cycle gives after `event`, with a change row each. Tombstones, and
/// after device_removed all others too, lose the device.
[[nodiscard]] Result<MovedTokens> move_tokens_of(Transaction& transaction, DeviceId device, domain::TokenEvent event, AuthTokenId but = {});

}  // namespace muster::store
