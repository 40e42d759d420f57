// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/idempotency.hpp"

#include <algorithm>

namespace muster::api {

void Idempotency::erase(Entries::iterator entry) {
  bytes_ -= entry->made.body.size();
  by_name_.erase(entry->name);
  const auto count = per_user_.find(entry->name.first);
  if (--count->second == 0) per_user_.erase(count);
  entries_.erase(entry);
}

bool Idempotency::erase_oldest(std::int64_t user) {
  // One in flight stays: there are no more of them than workers.
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.done && (user == 0 || entry.name.first == user); });
  if (found == entries_.end()) return false;
  erase(found);
  return true;
}

void Idempotency::make_room(UserId user, Instant now) {
  while (!entries_.empty() && entries_.front().done && now - entries_.front().since >= limits_.remembered_for) erase(entries_.begin());
  const auto count = per_user_.find(user.value());
  if (count != per_user_.end() && count->second >= limits_.keys_per_user_max) (void)erase_oldest(user.value());
  while (entries_.size() >= limits_.keys_max && erase_oldest(0)) {}
}

Idempotency::Verdict Idempotency::begin(UserId user, std::string_view key, const Fingerprint& fingerprint, Instant now, Made& made) {
  const std::lock_guard lock{mutex_};
  Name name{user.value(), std::string{key}};
  if (const auto found = by_name_.find(name); found != by_name_.end()) {
    const Entry& entry = *found->second;
    const bool over = entry.done && now - entry.since >= limits_.remembered_for;
    if (!over) {
      if (entry.fingerprint != fingerprint) return Verdict::reused;
      if (!entry.done) return Verdict::in_flight;
      made = entry.made;
      return Verdict::made;
    }
    erase(found->second);
  }
  make_room(user, now);
  entries_.push_back({name, fingerprint, false, now, {}});
  by_name_.emplace(std::move(name), std::prev(entries_.end()));
  ++per_user_[user.value()];
  return Verdict::go_on;
}

void Idempotency::finish(UserId user, std::string_view key, Made made, Instant now) {
  const std::lock_guard lock{mutex_};
  const auto found = by_name_.find({user.value(), std::string{key}});
  if (found == by_name_.end()) return;
  Entry& entry = *found->second;
  entry.done = true;
  entry.since = now;
  entry.made = std::move(made);
  bytes_ += entry.made.body.size();
  while (bytes_ > limits_.bytes_max && erase_oldest(0)) {}
}

void Idempotency::forget(UserId user, std::string_view key) {
  const std::lock_guard lock{mutex_};
  const auto found = by_name_.find({user.value(), std::string{key}});
  if (found != by_name_.end()) erase(found->second);
}

std::size_t Idempotency::size() const {
  const std::lock_guard lock{mutex_};
  return entries_.size();
}

}  // namespace muster::api
