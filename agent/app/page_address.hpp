// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace muster::agent::app {

/// An IPv4 address of this machine and a TCP port.
struct PageAddress {
  std::uint32_t address = 0;
  std::uint16_t port = 0;
};
/// "127.0.0.1:8181". nullopt: it is none, or its port is 0.
[[nodiscard]] std::optional<PageAddress> parse_page_address(const std::string& text);

}  // namespace muster::agent::app
