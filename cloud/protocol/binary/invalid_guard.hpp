// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/ip_address.hpp"

namespace muster::protocol {

/// The fleet breaker. "Invalid token" makes stock firmware leave normal operation, so when many addresses that had logged in
/// before are about to hear it, the likelier truth is that this server is wrong (an old database, a foreign one, a bug).
/// Then nobody hears it until a minute has passed with few enough of them. Addresses that never logged in do not count: no
/// stranger can trip it.
///
/// An IPv4 address counts as itself, an IPv6 one by its /64. Thread-safe. Bounded: of `known_max` addresses the least
/// recently seen half is forgotten when they do not fit.
class InvalidGuard {
 public:
  InvalidGuard(std::size_t addresses_per_minute, std::size_t known_max);

  /// A device logged in from there (also: had, before the server started).
  void remember(const IpAddress& address);
  [[nodiscard]] bool known(const IpAddress& address) const;

  struct Verdict {
    bool may_answer = true;
    bool opened = false;  ///< This call opened the breaker: tell the operator.
  };
  /// Asks before each "invalid". Counts `address` when it is a known one.
  [[nodiscard]] Verdict ask(const IpAddress& address, Instant now);
  /// No "invalid" is sent at present.
  [[nodiscard]] bool open(Instant now) const;

  void set_limits(std::size_t addresses_per_minute, std::size_t known_max);

 private:
  static constexpr std::size_t shard_count = 16;
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_set<std::uint64_t> recent, older;  ///< When `recent` is full it becomes `older`, and what was older is forgotten.
  };
  struct Heard {
    std::uint64_t key = 0;
    Instant at;
  };
  [[nodiscard]] std::size_t count_since(Instant moment) const;

  std::array<Shard, shard_count> shards_;
  std::atomic<std::size_t> generation_max_;  ///< Of one generation of one shard.
  mutable std::mutex mutex_;
  std::size_t limit_;
  std::vector<Heard> heard_;  ///< Known addresses, each once, at most limit_ + 1 of them.
  bool open_ = false;
};

}  // namespace muster::protocol
