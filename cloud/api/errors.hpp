// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cloud/api/http.hpp"
#include "cloud/base/result.hpp"

namespace muster::api {

/// Which field of a request is wrong, and how.
struct Detail {
  std::string field;
  std::string message;
};

/// `{"error":{"code","message","details"}}`. The codes are listed in openapi.yaml (x-error-codes) and never change.
[[nodiscard]] Response error_response(unsigned status, std::string_view code, std::string_view message,
                                      const std::vector<Detail>& details = {});
/// The same for what the domain or the store refuses. Store trouble is a 503.
[[nodiscard]] Response error_response(const Error& error);
[[nodiscard]] Response not_found();
/// 400 invalid_value about one field.
[[nodiscard]] Response invalid_value(std::string_view field, std::string_view message);
/// 429 with Retry-After of at least one second.
[[nodiscard]] Response too_many(std::string_view code, std::string_view message, long long retry_after_s);
/// 503: this server is short of something that may be there again in a moment.
[[nodiscard]] Response too_busy();
/// `{"error":{"message"}}`, the shape of /external/api.
[[nodiscard]] Response external_error(unsigned status, std::string_view message);
[[nodiscard]] Response json_response(unsigned status, std::string body);
[[nodiscard]] Response no_content();
[[nodiscard]] bool is_store_trouble(const Error& error) noexcept;

}  // namespace muster::api
