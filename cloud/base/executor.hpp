// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

namespace muster {

/// Work that blocks, away from the network loops. Each lane is a bounded queue with threads of its own, so that a flood
/// of one kind cannot starve another.
enum class Lane {
  login,          ///< Token look-ups that missed the index.
  api,            ///< HTTP handlers that touch the store.
  password,       ///< Argon2id.
  values,         ///< Last values that are not in memory.
  device_writes,  ///< What devices change in the store: provisioning, metadata. Each waits for a commit.
};
inline constexpr std::size_t lane_count = 5;

class Executor {
 public:
  virtual ~Executor() = default;
  /// Runs `job` later on the lane. False: its queue is full (or it is stopping); the job is dropped without being run.
  /// Thread-safe.
  [[nodiscard]] virtual bool post(Lane lane, std::function<void()> job) = 0;
};

}  // namespace muster
