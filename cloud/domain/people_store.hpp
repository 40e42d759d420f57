// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/base/result.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/store_types.hpp"

namespace muster::domain {

/// Links by mail (invitation, sign-up, reset), second factors, and the sessions of people.
/// A part of Store, with its rules: see there. What a backend does not override is unavailable.
class PeopleStore {
 public:
  virtual ~PeopleStore() = default;
};

}  // namespace muster::domain
