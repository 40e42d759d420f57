// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "cloud/base/clock.hpp"

namespace muster::api {

/// Failed sign-ins per address and per account: so many failures within the block time, then a block.
/// docs/protocol/cloud-model.md section 7. Thread-safe and bounded: when a table is full, an entry with the oldest failure makes room.
class SignInThrottle {
 public:
  SignInThrottle(unsigned failures_max, std::chrono::seconds block, std::size_t entries_max = 65'536);

  /// nullopt: may try. Else how long to wait.
  [[nodiscard]] std::optional<std::chrono::seconds> blocked(std::uint64_t address, std::uint64_t account, Instant now) const;
  [[nodiscard]] std::optional<std::chrono::seconds> address_blocked(std::uint64_t address, Instant now) const;
  /// Charges a failure before the password is looked at, so that parallel guesses count. nullopt: go on.
  [[nodiscard]] std::optional<std::chrono::seconds> begin(std::uint64_t address, std::uint64_t account, Instant now);
  /// The same for the address alone, for whom the account's block does not hold.
  [[nodiscard]] std::optional<std::chrono::seconds> begin_address(std::uint64_t address, Instant now);
  /// Takes back what `begin` charged, and forgets the account's failures. Those of the address stay: an attacker
  /// with an account of his own must not wash them off.
  void succeeded(std::uint64_t address, std::uint64_t account);
  /// The account's failures count no more.
  void forget(std::uint64_t account);
  /// Takes back what `begin` charged: the store could not tell.
  void undecided(std::uint64_t address, std::uint64_t account);
  [[nodiscard]] std::size_t size() const;

 private:
  struct Entry {
    unsigned failures = 0;
    Instant first_failure{};
    Instant blocked_until{};
  };
  using Table = std::unordered_map<std::uint64_t, Entry>;
  void charge(Table& table, std::uint64_t key, Instant now);
  static void refund(Table& table, std::uint64_t key);
  static std::optional<std::chrono::seconds> wait(const Table& table, std::uint64_t key, Instant now);

  const unsigned failures_max_;
  const std::chrono::seconds block_;
  const std::size_t entries_max_;
  mutable std::mutex mutex_;
  Table addresses_, accounts_;
};

}  // namespace muster::api
