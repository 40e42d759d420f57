// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "cloud/base/ip_address.hpp"
#include "cloud/base/ip_network.hpp"

namespace muster::domain {

/// Where the server sends requests that people configure: never into its own network, unless its operator says so. Asked of the address
/// that a connection really goes to.
class WebhookTargets {
 public:
  WebhookTargets() = default;
  /// `allowed`: networks that are fine although they are refused by default.
  explicit WebhookTargets(std::vector<IpNetwork> allowed) : allowed_{std::move(allowed)} {}
  /// Empty: fine. Else what kind of address it is: "loopback", "a private network", ...
  [[nodiscard]] std::string_view refusal(const IpAddress& address) const;

 private:
  std::vector<IpNetwork> allowed_;
};

}  // namespace muster::domain
