// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/home_rule.hpp"

#include <algorithm>

namespace muster::domain {

namespace {

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_names(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

/// Without brackets and final dot.
std::string_view bare(std::string_view host) noexcept {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') return host.substr(1, host.size() - 2);
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

bool is_any(const IpAddress& address) noexcept { return address == IpAddress{} || address == IpAddress::from_v4(0); }

bool is_one_of(std::string_view host, std::span<const std::string> hosts) noexcept {
  return std::any_of(hosts.begin(), hosts.end(), [&](const std::string& one) { return same_host(host, one); });
}

}  // namespace

bool same_host(std::string_view a, std::string_view b) noexcept {
  a = bare(a);
  b = bare(b);
  if (equal_names(a, b)) return true;
  const auto left = IpAddress::parse(a);
  return left && left == IpAddress::parse(b);
}

bool names_this_node(std::string_view host, std::span<const std::string> own_hosts, const std::optional<IpAddress>& local) noexcept {
  if (is_one_of(host, own_hosts) || equal_names(bare(host), "localhost")) return true;
  const auto address = IpAddress::parse(bare(host));
  if (!address) return false;
  if (address == local || is_any(*address)) return true;
  if (!address->is_loopback()) return false;
  // On one machine several nodes may share 127/8. From outside, such an address leads the device to itself.
  const bool usual = *address == IpAddress::from_v4(0x7f000001) || !address->is_v4();
  return usual || (local && !local->is_loopback());
}

bool is_elsewhere(const Home& home, std::span<const std::string> own_hosts, std::span<const std::string> redirect_back_hosts,
                  const std::optional<IpAddress>& local) noexcept {
  return !home.host.empty() && !names_this_node(home.host, own_hosts, local) && !is_one_of(home.host, redirect_back_hosts);
}

}  // namespace muster::domain
