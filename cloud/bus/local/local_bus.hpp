// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "cloud/bus/bus.hpp"

namespace muster::bus {

/// The bus of a single node: one thread that calls the subscribers of this process.
class LocalBus final : public Bus {
 public:
  LocalBus();
  /// Hints that wait are dropped. No subscription may be left.
  ~LocalBus() override;

  void notify_changes(std::int64_t seq) override;
  [[nodiscard]] std::unique_ptr<Subscription> subscribe(ChangesCallback callback) override;

 private:
  struct Impl;
  class LocalSubscription;
  /// Shared with the subscriptions, so that one which outlives the bus by mistake does not touch freed memory.
  std::shared_ptr<Impl> impl_;
};

}  // namespace muster::bus
