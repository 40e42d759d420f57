// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/webhook_target.hpp"

#include <algorithm>

namespace muster::domain {

namespace {

struct Refused {
  IpNetwork network;
  std::string_view what;
};

/// Everything that is not a unicast address of the public internet (IANA's special-purpose registries), and what clouds answer metadata
/// on. IPv4 inside IPv6 (::ffff:0:0/96) is IPv4 to IpAddress already.
const std::vector<Refused>& refused() {
  static const std::vector<Refused> all = [] {
    std::vector<Refused> made;
    const auto add = [&](std::string_view what, std::initializer_list<std::string_view> networks) {
      for (const auto text : networks) made.push_back({*IpNetwork::parse(text), what});
    };
    add("loopback", {"127.0.0.0/8", "::1/128"});
    add("this host", {"0.0.0.0/8", "::/128"});
    add("a private network", {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"});
    add("link-local or cloud metadata", {"169.254.0.0/16", "fe80::/10", "168.63.129.16/32"});
    add("carrier-grade NAT", {"100.64.0.0/10"});
    add("an IPv4 address in disguise", {"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "192.88.99.0/24"});
    add("multicast or reserved",
        {"224.0.0.0/4", "240.0.0.0/4", "ff00::/8", "192.0.0.0/24", "198.18.0.0/15", "100::/64", "2001:2::/48", "5f00::/16"});
    add("documentation", {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"});
    return made;
  }();
  return all;
}

}  // namespace

std::string_view WebhookTargets::refusal(const IpAddress& address) const {
  if (std::any_of(allowed_.begin(), allowed_.end(), [&](const IpNetwork& network) { return network.contains(address); })) return {};
  const auto found = std::find_if(refused().begin(), refused().end(), [&](const Refused& each) { return each.network.contains(address); });
  return found == refused().end() ? std::string_view{} : found->what;
}

}  // namespace muster::domain
