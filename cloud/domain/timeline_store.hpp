// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/base/result.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/store_types.hpp"

namespace muster::domain {

/// What happened to devices (the timeline), and the feed of events that webhooks are fired from.
/// A part of Store, with its rules: see there. What a backend does not override is unavailable.
class TimelineStore {
 public:
  virtual ~TimelineStore() = default;
};

}  // namespace muster::domain
