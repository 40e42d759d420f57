// SPDX-License-Identifier: Apache-2.0
#include "cloud/protocol/binary/address_budget.hpp"

#include <algorithm>
#include <chrono>

namespace muster::protocol {

AddressBudget::AddressBudget() : rows_{std::make_unique<Row[]>(rows)} {}
AddressBudget::~AddressBudget() = default;

bool AddressBudget::take(const IpAddress& address, std::size_t per_s, Instant now) {
  const std::uint64_t key = address.limit_key();
  const std::uint64_t mixed = (key ^ (key >> 32)) * 0x9E3779B97F4A7C15ull;
  const auto limit = static_cast<float>(per_s);
  const std::lock_guard lock{mutex_};
  Row& row = rows_[(mixed >> 40) % rows];
  Entry* entry = nullptr;
  for (Entry& candidate : row) {
    if (candidate.used && candidate.key == key) {
      entry = &candidate;
      break;
    }
  }
  if (entry == nullptr) {
    entry =
        &*std::min_element(row.begin(), row.end(), [](const Entry& a, const Entry& b) { return a.used != b.used ? !a.used : a.at < b.at; });
    *entry = {key, now, limit, true};
  }
  const float passed_s = std::chrono::duration<float>(now - entry->at).count();
  entry->left = std::min(limit, entry->left + std::max(0.0F, passed_s) * limit);
  entry->at = now;
  if (entry->left < 1.0F) return false;
  entry->left -= 1.0F;
  return true;
}

}  // namespace muster::protocol
