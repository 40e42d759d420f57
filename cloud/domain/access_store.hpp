// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/base/result.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/store_types.hpp"

namespace muster::domain {

/// OAuth2 clients with their tokens, and API keys.
/// A part of Store, with its rules: see there. What a backend does not override is unavailable.
class AccessStore {
 public:
  virtual ~AccessStore() = default;
};

}  // namespace muster::domain
