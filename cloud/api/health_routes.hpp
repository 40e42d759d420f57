// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "cloud/api/core.hpp"

namespace muster::api {

/// What the server says about itself: `/`, `/healthz`, `/readyz`, `/metrics`.
[[nodiscard]] bool is_health_path(std::string_view path) noexcept;
/// From memory, on a loop. nullopt: `/readyz` has to ask the store, run readiness() on a worker.
[[nodiscard]] std::optional<Response> health_from_memory(Core& core, const Request& request);
[[nodiscard]] Response readiness(Core& core);
[[nodiscard]] std::vector<Api::RouteInfo> health_routes();

}  // namespace muster::api
