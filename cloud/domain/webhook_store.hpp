// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/base/result.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/store_types.hpp"

namespace muster::domain {

/// Webhooks, and their deliveries on the way.
/// A part of Store, with its rules: see there. What a backend does not override is unavailable.
class WebhookStore {
 public:
  virtual ~WebhookStore() = default;
};

}  // namespace muster::domain
