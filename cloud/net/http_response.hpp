// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/api/http.hpp"

namespace muster::net {

/// How an answer is written; see write_response.
struct ResponseContext {
  std::string_view path;
  std::string_view host;  ///< The request's Host field.
  std::string_view date;  ///< IMF-fixdate; empty: no Date field.
  bool head = false;      ///< Answer to HEAD: no body, but its length.
  bool version_1_1 = true;
  bool keep_alive = true;
  bool secure = false;
};

/// Appends a whole response. Always with Content-Length (devices look for it), never chunked. Security headers are added here,
/// in one place; a header that the handler set itself wins. What devices poll (`/external/api/` with a JSON or an empty answer,
/// which no browser renders) goes without them: that keeps the answer in one small segment.
void write_response(const api::Response& response, const ResponseContext& context, std::vector<std::uint8_t>& out);

[[nodiscard]] std::string_view reason_phrase(unsigned status) noexcept;
/// IMF-fixdate of RFC 9110: "Sun, 06 Nov 1994 08:49:37 GMT".
[[nodiscard]] std::string http_date(std::int64_t utc_ms);

}  // namespace muster::net
