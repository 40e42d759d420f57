// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace muster::net {

/// Counts what each address holds open, over all loops. Thread-safe; sharded, so that loops seldom meet. Memory is only kept
/// for addresses that hold something.
class AddressLimiter {
 public:
  explicit AddressLimiter(std::size_t max_each);
  ~AddressLimiter();
  /// False: the address would hold more than `max_each`. Each success must be given back by `release`. `key` is IpAddress::limit_key().
  [[nodiscard]] bool acquire(std::uint64_t key, std::size_t count = 1);
  void release(std::uint64_t key, std::size_t count = 1) noexcept;
  [[nodiscard]] std::size_t held(std::uint64_t key) const;

 private:
  struct Shard;
  [[nodiscard]] Shard& shard(std::uint64_t key) const noexcept;
  std::size_t max_each_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace muster::net
