// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cloud/api/token_request.hpp"

/// Lines: query, Authorization, Content-Type; what follows is the body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster::api;
  std::string_view rest{reinterpret_cast<const char*>(data), size};  // NOLINT: bytes are bytes.
  std::array<std::string_view, 3> lines;
  for (auto& line : lines) {
    const auto end = rest.find('\n');
    line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  }
  const auto read = read_token_request(lines[0], rest, lines[1], lines[2]);
  if (const auto* const request = std::get_if<TokenRequest>(&read)) {
    // What is taken is complete and bounded, and no secret of it came by the URL.
    if (request->grant_type.empty() || request->client_id.empty() || request->client_secret.empty()) std::abort();
    if (request->client_id.size() > token_field_max_bytes || request->client_secret.size() > token_field_max_bytes ||
        request->refresh_token.size() > token_field_max_bytes)
      std::abort();
    if (lines[0].find("client_secret=") == 0) std::abort();
    if (request->by_basic == lines[1].empty()) std::abort();
  }
  static_cast<void>(decode_base64(lines[1]));
  return 0;
}
