// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "cloud/base/clock.hpp"
#include "cloud/base/ip_address.hpp"

namespace muster::protocol {

/// How often an address may cost us something: a token bucket for each, in a table of fixed size (about 400 KB). When more
/// addresses come than it holds, the one idle longest in its row makes room; it then starts with a full bucket again, so the
/// table bounds one address, not the sum of all (the queue behind does that). Thread-safe.
class AddressBudget {
 public:
  static constexpr std::size_t rows = 4'096, ways = 4;

  AddressBudget();
  ~AddressBudget();
  /// Takes one; false when the address has had `per_s` in the last second.
  [[nodiscard]] bool take(const IpAddress& address, std::size_t per_s, Instant now);

 private:
  struct Entry {
    std::uint64_t key = 0;
    Instant at{};
    float left = 0;
    bool used = false;
  };
  using Row = std::array<Entry, ways>;

  std::mutex mutex_;
  std::unique_ptr<Row[]> rows_;
};

}  // namespace muster::protocol
