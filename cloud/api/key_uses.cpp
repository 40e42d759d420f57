// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/key_uses.hpp"

#include <utility>

namespace muster::api {

void KeyUses::note(ApiKeyId key, UtcTime at, std::string_view ip) {
  const std::lock_guard lock{mutex_};
  const auto found = noted_.find(key);
  // A clock that went back must not silence a key for long.
  if (found != noted_.end() && at.ms >= found->second.ms && at.ms - found->second.ms < pause_ms) return;
  if (found == noted_.end() && noted_.size() >= keys_max) noted_.clear();
  noted_[key] = at;
  if (waiting_.size() >= keys_max && !waiting_.contains(key)) return;
  waiting_[key] = {key, at, std::string{ip}};
}

std::vector<domain::KeyUse> KeyUses::take() {
  const std::lock_guard lock{mutex_};
  std::vector<domain::KeyUse> uses;
  uses.reserve(waiting_.size());
  for (auto& [key, use] : waiting_) uses.push_back(std::move(use));
  waiting_.clear();
  return uses;
}

void KeyUses::retry(std::vector<domain::KeyUse> uses) {
  const std::lock_guard lock{mutex_};
  for (auto& use : uses) waiting_.try_emplace(use.id, std::move(use));
}

}  // namespace muster::api
