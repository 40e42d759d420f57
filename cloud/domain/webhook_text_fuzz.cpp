// SPDX-License-Identifier: Apache-2.0
// A webhook's URL and body as people give them, with values that devices choose.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cloud/domain/webhook_text.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster::domain;
  const std::string_view all{reinterpret_cast<const char*>(data), size};  // NOLINT: any bytes.
  const auto end = std::min(all.find('\n'), all.size());
  const std::string_view url = all.substr(0, end), body = all.substr(std::min(end + 1, all.size()));
  const auto hostile = [&](std::string_view) { return std::optional{std::string{body.substr(0, 200)} + "\"\\\r\n&{device_id}/@"}; };
  if (!check_webhook_url(url)) {
    const std::string filled = render(url, Escape::percent, hostile);
    // A value never reaches the host, and never ends the line.
    const auto authority_end = url.find_first_of("/?#", url.find("://") + 3);
    require(filled.starts_with(url.substr(0, authority_end)));
    require(std::none_of(filled.begin(), filled.end(), [](char c) { return c == '\r' || c == '\n' || c == ' '; }));
  }
  // Nothing known leaves nothing behind, and what is no placeholder stays.
  const std::string emptied = render(body, Escape::none, [](std::string_view) { return std::nullopt; });
  require(emptied.size() <= body.size());
  const std::string form = form_body({{std::string{url}, std::string{body}}});
  const std::string posted = render(form, Escape::percent, hostile);
  require(std::count(posted.begin(), posted.end(), '&') == 0 && std::count(posted.begin(), posted.end(), '=') == 1);
  const std::string quoted = render("\"{device_name}\"", Escape::json, hostile);
  for (std::size_t i = 1; i + 1 < quoted.size(); ++i) {
    require(static_cast<unsigned char>(quoted[i]) >= 0x20 && quoted[i] != '"');
    if (quoted[i] == '\\') ++i;
  }
  static_cast<void>(check_webhook_header(url, body));
  static_cast<void>(split_lines(all));
  return 0;
}
