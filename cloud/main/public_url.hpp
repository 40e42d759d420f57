// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace muster::main {

inline constexpr std::size_t host_length_max_chars =
    33;  ///< Older agents keep the host in 34 bytes. docs/protocol/cloud-model.md section 1.

/// The host of `http[s]://host[:port][/...]`; of an IPv6 address without its brackets. Empty: no such URL.
[[nodiscard]] std::string host_of(std::string_view url);
/// Names that this node goes by: the host of its public URL, its host name, also without its domain, and as mDNS tells it.
[[nodiscard]] std::vector<std::string> own_hosts(std::string_view public_url);
/// Empty when `url` can be given to people and devices, else one sentence that says what to do.
[[nodiscard]] std::string check_public_url(std::string_view url);

}  // namespace muster::main
