// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/trusted_proxies.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

namespace muster::net {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equals(std::string_view text, std::string_view lower_case) noexcept {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(), [](char a, char b) { return lower(a) == b; });
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Takes the last item off a list with commas.
std::string_view take_last(std::string_view& list) noexcept {
  const auto comma = list.rfind(',');
  const std::string_view item = trimmed(comma == std::string_view::npos ? list : list.substr(comma + 1));
  list = comma == std::string_view::npos ? std::string_view{} : list.substr(0, comma);
  return item;
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` or `[2001:db8::1]:443`.
std::optional<IpAddress> address_of(std::string_view text) noexcept {
  if (text.starts_with('[')) return IpAddress::parse(text.substr(1, std::max<std::size_t>(text.find(']'), 1) - 1));
  if (const auto colon = text.find(':'); colon != std::string_view::npos && colon == text.rfind(':')) text = text.substr(0, colon);
  return IpAddress::parse(text);
}

}  // namespace

bool TrustedProxies::trusts(const IpAddress& address) const noexcept {
  return std::any_of(networks_.begin(), networks_.end(), [&](const IpNetwork& network) { return network.contains(address); });
}

TrustedProxies::Client TrustedProxies::client_of(const IpAddress& peer, bool secure,
                                                 const std::vector<api::Header>& headers) const noexcept {
  Client client{peer, secure};
  if (!trusts(peer)) return client;
  for (auto header = headers.rbegin(); header != headers.rend(); ++header) {
    if (!equals(header->name, "x-forwarded-proto")) continue;
    std::string_view list = header->value;
    const std::string_view nearest = take_last(list);
    if (equals(nearest, "https")) client.secure = true;
    if (equals(nearest, "http")) client.secure = false;
    break;
  }
  std::size_t hops = 0;
  for (auto header = headers.rbegin(); header != headers.rend(); ++header) {
    if (!equals(header->name, "x-forwarded-for")) continue;
    for (std::string_view list = header->value; !list.empty();) {
      const auto address = address_of(take_last(list));
      if (!address || ++hops > hops_max) return client;  // Nobody knows what stands before it.
      client.address = *address;
      if (!trusts(*address)) return client;
    }
  }
  return client;
}

}  // namespace muster::net
