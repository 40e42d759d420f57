// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/address_limiter.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <mutex>

namespace muster::net {
namespace {
constexpr std::size_t shard_count = 64;
}

struct alignas(64) AddressLimiter::Shard {
  std::mutex mutex;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> held;
};

AddressLimiter::AddressLimiter(std::size_t max_each) : max_each_{max_each}, shards_{std::make_unique<Shard[]>(shard_count)} {}
AddressLimiter::~AddressLimiter() = default;

AddressLimiter::Shard& AddressLimiter::shard(std::uint64_t key) const noexcept { return shards_[(key * 0x9E3779B97F4A7C15ull) >> 58]; }

bool AddressLimiter::acquire(std::uint64_t key, std::size_t count) {
  Shard& owner = shard(key);
  const std::lock_guard lock{owner.mutex};
  std::uint32_t& held = owner.held[key];
  if (count > max_each_ || held > max_each_ - count) {
    if (held == 0) owner.held.erase(key);
    return false;
  }
  held += static_cast<std::uint32_t>(count);
  return true;
}

void AddressLimiter::release(std::uint64_t key, std::size_t count) noexcept {
  Shard& owner = shard(key);
  const std::lock_guard lock{owner.mutex};
  const auto found = owner.held.find(key);
  if (found == owner.held.end()) return;
  found->second -= static_cast<std::uint32_t>(count);
  if (found->second == 0) owner.held.erase(found);
}

std::size_t AddressLimiter::held(std::uint64_t key) const {
  Shard& owner = shard(key);
  const std::lock_guard lock{owner.mutex};
  const auto found = owner.held.find(key);
  return found == owner.held.end() ? 0 : found->second;
}

}  // namespace muster::net
