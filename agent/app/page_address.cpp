// SPDX-License-Identifier: Apache-2.0
#include "agent/app/page_address.hpp"

#include <arpa/inet.h>

#include <charconv>

namespace muster::agent::app {

std::optional<PageAddress> parse_page_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  in_addr address{};
  if (colon == std::string::npos || ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address) != 1) return std::nullopt;
  PageAddress page;
  page.address = ntohl(address.s_addr);
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, page.port);
  if (error != std::errc{} || rest != end || page.port == 0) return std::nullopt;
  return page;
}

}  // namespace muster::agent::app
