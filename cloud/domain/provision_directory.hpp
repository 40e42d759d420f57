// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <shared_mutex>
#include <unordered_map>

#include "cloud/domain/entities.hpp"

namespace muster::domain {

/// The provisioning sessions that have not ended, in memory: what a login with a token of theirs is decided from. Few beside devices.
/// Thread-safe: many readers, one writer (the views' follower).
class ProvisionDirectory {
 public:
  [[nodiscard]] std::optional<ProvisionSession> find(ProvisionSessionId id) const;
  [[nodiscard]] std::optional<ProvisionSession> by_token(AuthTokenId token) const;
  /// The session in which the device got a token that is not proved yet.
  [[nodiscard]] std::optional<ProvisionSession> proving_of(DeviceId device) const;
  /// False: `proving_of` has none. For every request of every device: no lock, one load.
  [[nodiscard]] bool may_be_proving(DeviceId device) const noexcept {
    return proving_marks_[mark_of(device)].load(std::memory_order_relaxed) != 0;
  }
  /// The active session of a device whose first value is waited for. No lock while there is none at all.
  [[nodiscard]] std::optional<ProvisionSessionId> awaits_first_value(DeviceId device) const;
  [[nodiscard]] bool has_due(UtcTime now) const;
  [[nodiscard]] std::size_t size() const noexcept { return count_.load(std::memory_order_relaxed); }
  void for_each(const std::function<void(const ProvisionSession&)>& each) const;  ///< Under the read lock: must not call back.

  // --- kept by the follower -------------------------------------------------------------------------------------------------
  void put(const ProvisionSession& session);  ///< One that has ended is removed.
  void remove(ProvisionSessionId id);
  void swap(ProvisionDirectory& other);

 private:
  void forget(ProvisionSessionId id);
  [[nodiscard]] static bool waits_for_value(const ProvisionSession& session) noexcept;

  mutable std::shared_mutex mutex_;
  std::unordered_map<ProvisionSessionId, ProvisionSession> sessions_;
  std::unordered_map<AuthTokenId, ProvisionSessionId> by_token_;
  std::unordered_map<DeviceId, ProvisionSessionId> proving_, without_value_;
  std::atomic<std::size_t> count_{0}, without_value_count_{0};
  /// How many devices with this mark are in `proving_`.
  static constexpr std::size_t mark_count = 1'024;
  std::array<std::atomic<std::uint32_t>, mark_count> proving_marks_{};
  [[nodiscard]] static constexpr std::size_t mark_of(DeviceId device) noexcept {
    return static_cast<std::uint32_t>(device.value()) % mark_count;
  }
  void count() noexcept;
};

}  // namespace muster::domain
