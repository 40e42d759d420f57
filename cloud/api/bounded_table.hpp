// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <unordered_map>

namespace muster::api {

/// Makes room in `entries` for one more when it holds `entries_max`: of up to eight entries met from the bucket of `key` on, the
/// one that `older` puts first goes. Constant time, whatever keys a flood brings.
template <class Key, class Entry, class Older>
void make_room(std::unordered_map<Key, Entry>& entries, const Key& key, std::size_t entries_max, Older older) {
  if (entries.size() < entries_max) return;
  const Key* victim = nullptr;
  const Entry* victim_entry = nullptr;
  std::size_t seen = 0;
  const std::size_t buckets = entries.bucket_count();
  std::size_t bucket = entries.bucket(key);
  for (std::size_t step = 0; step < buckets && seen < 8; ++step, bucket = (bucket + 1) % buckets) {
    for (auto it = entries.cbegin(bucket); it != entries.cend(bucket) && seen < 8; ++it, ++seen) {
      if (victim == nullptr || older(it->second, *victim_entry)) {
        victim = &it->first;
        victim_entry = &it->second;
      }
    }
  }
  if (victim != nullptr) {
    const Key gone = *victim;  // A copy: erase would destroy what it refers to.
    entries.erase(gone);
  }
}

}  // namespace muster::api
