// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/sign_in_throttle.hpp"

#include <algorithm>

#include "cloud/api/bounded_table.hpp"

namespace muster::api {

SignInThrottle::SignInThrottle(unsigned failures_max, std::chrono::seconds block, std::size_t entries_max)
    : failures_max_{failures_max}, block_{block}, entries_max_{std::max<std::size_t>(1, entries_max)} {}

std::optional<std::chrono::seconds> SignInThrottle::wait(const Table& table, std::uint64_t key, Instant now) {
  const auto found = table.find(key);
  if (found == table.end() || found->second.blocked_until <= now) return std::nullopt;
  return std::max(std::chrono::seconds{1}, std::chrono::ceil<std::chrono::seconds>(found->second.blocked_until - now));
}

std::optional<std::chrono::seconds> SignInThrottle::blocked(std::uint64_t address, std::uint64_t account, Instant now) const {
  const std::lock_guard lock{mutex_};
  const auto by_address = wait(addresses_, address, now);
  const auto by_account = wait(accounts_, account, now);
  if (!by_address && !by_account) return std::nullopt;
  return std::max(by_address.value_or(std::chrono::seconds{0}), by_account.value_or(std::chrono::seconds{0}));
}

std::optional<std::chrono::seconds> SignInThrottle::address_blocked(std::uint64_t address, Instant now) const {
  const std::lock_guard lock{mutex_};
  return wait(addresses_, address, now);
}

void SignInThrottle::charge(Table& table, std::uint64_t key, Instant now) {
  auto found = table.find(key);
  if (found == table.end()) {
    make_room(table, key, entries_max_, [](const Entry& a, const Entry& b) { return a.first_failure < b.first_failure; });
    found = table.emplace(key, Entry{0, now, {}}).first;
  }
  Entry& entry = found->second;
  if (now - entry.first_failure >= block_ && entry.blocked_until <= now) entry = Entry{0, now, {}};
  if (++entry.failures >= failures_max_) entry.blocked_until = now + block_;
}

void SignInThrottle::refund(Table& table, std::uint64_t key) {
  const auto found = table.find(key);
  if (found == table.end()) return;
  Entry& entry = found->second;
  if (entry.failures > 0) --entry.failures;
  entry.blocked_until = {};
  if (entry.failures == 0) table.erase(found);
}

std::optional<std::chrono::seconds> SignInThrottle::begin(std::uint64_t address, std::uint64_t account, Instant now) {
  if (failures_max_ == 0) return std::nullopt;
  const std::lock_guard lock{mutex_};
  const auto by_address = wait(addresses_, address, now);
  const auto by_account = wait(accounts_, account, now);
  if (by_address || by_account) return std::max(by_address.value_or(std::chrono::seconds{0}), by_account.value_or(std::chrono::seconds{0}));
  charge(addresses_, address, now);
  charge(accounts_, account, now);
  return std::nullopt;
}

std::optional<std::chrono::seconds> SignInThrottle::begin_address(std::uint64_t address, Instant now) {
  if (failures_max_ == 0) return std::nullopt;
  const std::lock_guard lock{mutex_};
  if (const auto by_address = wait(addresses_, address, now)) return by_address;
  charge(addresses_, address, now);
  return std::nullopt;
}

void SignInThrottle::succeeded(std::uint64_t address, std::uint64_t account) {
  const std::lock_guard lock{mutex_};
  refund(addresses_, address);
  accounts_.erase(account);
}

void SignInThrottle::forget(std::uint64_t account) {
  const std::lock_guard lock{mutex_};
  accounts_.erase(account);
}

void SignInThrottle::undecided(std::uint64_t address, std::uint64_t account) {
  const std::lock_guard lock{mutex_};
  refund(addresses_, address);
  refund(accounts_, account);
}

std::size_t SignInThrottle::size() const {
  const std::lock_guard lock{mutex_};
  return addresses_.size() + accounts_.size();
}

}  // namespace muster::api
