// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

/// The messages that every kind of subscription sends. `x-stream` in openapi.yaml.
namespace muster::api {

[[nodiscard]] std::string error_text(std::string_view id, std::string_view code, std::string_view message);
[[nodiscard]] std::string reset_text(std::string_view reason);
[[nodiscard]] std::string rows_text(std::string_view type, const std::string& id, const std::string& cursor,
                                    std::span<const std::string> rows, std::optional<bool> last);

}  // namespace muster::api
