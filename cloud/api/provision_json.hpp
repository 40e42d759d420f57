// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "cloud/api/json.hpp"
#include "cloud/domain/directory.hpp"
#include "cloud/domain/entities.hpp"

namespace muster::api {

struct Core;

/// The members of a provisioning session, inside an object that the caller opens and ends: the same in answers and in the live stream.
void write_provision_session(JsonWriter& json, const domain::Directory& directory, const domain::ProvisionSession& session);
/// Its member "steps".
void write_provision_steps(JsonWriter& json, const std::vector<domain::ProvisionStep>& steps);

}  // namespace muster::api
