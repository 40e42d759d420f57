// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cloud/domain/timeline.hpp"

namespace muster::api {

/// A line as answers and the live stream show it: one JSON object.
[[nodiscard]] std::string timeline_text(const domain::TimelineEntry& entry);

}  // namespace muster::api
