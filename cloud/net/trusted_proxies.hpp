// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "cloud/api/http.hpp"
#include "cloud/base/ip_address.hpp"
#include "cloud/base/ip_network.hpp"

namespace muster::net {

/// Whose word counts about where an HTTP request came from. Immutable, thread-safe. Device links know nothing of this.
///
/// The peer's own address decides first: what it says about others counts only when it is one of `networks`. Then `X-Forwarded-For` is read from its
/// end, where the nearest proxy wrote, and the first address that is no proxy of ours is the client: what stands before it may be forged.
/// `X-Forwarded-Proto` of the nearest proxy says whether the client's own link is encrypted.
class TrustedProxies {
 public:
  /// Addresses looked at in one request.
  static constexpr std::size_t hops_max = 32;

  explicit TrustedProxies(std::vector<IpNetwork> networks = {}) : networks_{std::move(networks)} {}

  struct Client {
    IpAddress address;
    bool secure = false;
  };
  /// `secure`: the link from `peer` is TLS. With no networks: the peer, at no cost.
  [[nodiscard]] Client client_of(const IpAddress& peer, bool secure, const std::vector<api::Header>& headers) const noexcept;

 private:
  [[nodiscard]] bool trusts(const IpAddress& address) const noexcept;
  std::vector<IpNetwork> networks_;
};

}  // namespace muster::net
