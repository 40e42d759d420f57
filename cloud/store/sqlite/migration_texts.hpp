// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace muster::store {

/// The files of cloud/store/migrations in their order, as the build embeds them.
extern const std::span<const char* const> migration_texts;

}  // namespace muster::store
