// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/base/result.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/store_types.hpp"

namespace muster::domain {

/// Mail that waits to be sent.
/// A part of Store, with its rules: see there. What a backend does not override is unavailable.
class MailStore {
 public:
  virtual ~MailStore() = default;
};

}  // namespace muster::domain
