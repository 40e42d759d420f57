// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/provision_directory.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "cloud/domain/provision_session_life_cycle.hpp"

namespace muster::domain {

bool ProvisionDirectory::waits_for_value(const ProvisionSession& session) noexcept {
  return session.first_value_at.ms == 0 && (session.state == ProvisionState::active || session.state == ProvisionState::proving);
}

std::optional<ProvisionSession> ProvisionDirectory::find(ProvisionSessionId id) const {
  const std::shared_lock lock{mutex_};
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? std::nullopt : std::optional{found->second};
}

std::optional<ProvisionSession> ProvisionDirectory::by_token(AuthTokenId token) const {
  if (size() == 0) return std::nullopt;  // Every login asks.
  const std::shared_lock lock{mutex_};
  const auto found = by_token_.find(token);
  return found == by_token_.end() ? std::nullopt : std::optional{sessions_.at(found->second)};
}

std::optional<ProvisionSession> ProvisionDirectory::proving_of(DeviceId device) const {
  if (size() == 0) return std::nullopt;
  const std::shared_lock lock{mutex_};
  const auto found = proving_.find(device);
  return found == proving_.end() ? std::nullopt : std::optional{sessions_.at(found->second)};
}

std::optional<ProvisionSessionId> ProvisionDirectory::awaits_first_value(DeviceId device) const {
  if (without_value_count_.load(std::memory_order_relaxed) == 0) return std::nullopt;
  const std::shared_lock lock{mutex_};
  const auto found = without_value_.find(device);
  return found == without_value_.end() ? std::nullopt : std::optional{found->second};
}

bool ProvisionDirectory::has_due(UtcTime now) const {
  const std::shared_lock lock{mutex_};
  return std::any_of(sessions_.begin(), sessions_.end(),
                     [&](const auto& one) { return one.second.state != ProvisionState::proving && one.second.expires_at.ms <= now.ms; });
}

void ProvisionDirectory::count() noexcept {
  count_.store(sessions_.size(), std::memory_order_relaxed);
  without_value_count_.store(without_value_.size(), std::memory_order_relaxed);
}

void ProvisionDirectory::for_each(const std::function<void(const ProvisionSession&)>& each) const {
  const std::shared_lock lock{mutex_};
  for (const auto& [id, session] : sessions_) each(session);
}

void ProvisionDirectory::put(const ProvisionSession& session) {
  const std::unique_lock lock{mutex_};
  forget(session.id);
  if (is_ended(session.state)) return count();
  sessions_.insert_or_assign(session.id, session);
  by_token_.insert_or_assign(session.token_id, session.id);
  if (session.state == ProvisionState::proving && proving_.insert_or_assign(session.device_id, session.id).second)
    proving_marks_[mark_of(session.device_id)].fetch_add(1, std::memory_order_relaxed);
  if (waits_for_value(session)) without_value_.insert_or_assign(session.device_id, session.id);
  count();
}

void ProvisionDirectory::remove(ProvisionSessionId id) {
  const std::unique_lock lock{mutex_};
  forget(id);
  count();
}

void ProvisionDirectory::forget(ProvisionSessionId id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const auto erase_if_own = [&](auto& map, const auto& key) {
    const auto entry = map.find(key);
    if (entry == map.end() || entry->second != id) return false;
    map.erase(entry);
    return true;
  };
  erase_if_own(by_token_, found->second.token_id);
  if (erase_if_own(proving_, found->second.device_id))
    proving_marks_[mark_of(found->second.device_id)].fetch_sub(1, std::memory_order_relaxed);
  erase_if_own(without_value_, found->second.device_id);
  sessions_.erase(found);
}

void ProvisionDirectory::swap(ProvisionDirectory& other) {
  if (this == &other) return;
  const std::scoped_lock lock{mutex_, other.mutex_};
  std::swap(sessions_, other.sessions_);
  std::swap(by_token_, other.by_token_);
  std::swap(proving_, other.proving_);
  std::swap(without_value_, other.without_value_);
  for (std::size_t mark = 0; mark < mark_count; ++mark) {
    const auto ours = proving_marks_[mark].load(std::memory_order_relaxed);
    proving_marks_[mark].store(other.proving_marks_[mark].exchange(ours, std::memory_order_relaxed), std::memory_order_relaxed);
  }
  count();
  other.count();
}

}  // namespace muster::domain
