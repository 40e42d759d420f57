// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "cloud/base/key_ring.hpp"
#include "cloud/base/result.hpp"
#include "cloud/domain/store.hpp"

namespace muster::main {

/// Whether the key of this id is the one that the store's live AuthTokens under it were digested with: some are opened and digested
/// again. Every ring counts from 1, so that the id alone says nothing about a ring that belongs to another database; with such a ring
/// every live token would look unknown. Success also when no live token is under the key.
/// Errors: BaseError::{key_unknown, keys_foreign}, those of the store.
[[nodiscard]] Result<void> check_key_fits(const KeyRing& keys, domain::Store& store, std::uint16_t key_id);

}  // namespace muster::main
