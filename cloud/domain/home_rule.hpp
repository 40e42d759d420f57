// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cloud/base/ip_address.hpp"
#include "cloud/domain/entities.hpp"

/// Whether a home is another node. The binary protocol's redirect and HTTP's 308 both ask here. A device that is sent to the node
/// that it is on comes straight back: stock firmware goes round 50-300 times a second.
namespace muster::domain {

/// The same host in another spelling: letter case, a final dot, brackets around an IPv6 address, a longer form of the same address.
[[nodiscard]] bool same_host(std::string_view a, std::string_view b) noexcept;

/// Does `host` name this node? It does when it is one of `own_hosts` or the address that the connection came in on (`local`; unknown
/// is allowed). So do localhost, 127.0.0.1, ::1 and the addresses that mean "all", and other loopback addresses for whoever came
/// from outside. Ports do not matter: in front of the node they may be mapped.
[[nodiscard]] bool names_this_node(std::string_view host, std::span<const std::string> own_hosts,
                                   const std::optional<IpAddress>& local) noexcept;

/// Is a device or client of this home to be sent there? Not without a home, not to this node, not to a host that sends back here.
[[nodiscard]] bool is_elsewhere(const Home& home, std::span<const std::string> own_hosts, std::span<const std::string> redirect_back_hosts,
                                const std::optional<IpAddress>& local) noexcept;

}  // namespace muster::domain
