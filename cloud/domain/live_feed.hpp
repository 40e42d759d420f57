// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "cloud/base/ids.hpp"

namespace muster::domain {

/// Where sessions and handlers say that a row of the live stream changed; the receiver reads the present state itself.
/// Called on any thread; must be cheap. `watched()` false lets the hot path skip the call.
class LiveFeed {
 public:
  virtual ~LiveFeed() = default;
  [[nodiscard]] bool watched() const noexcept { return watched_.load(std::memory_order_relaxed); }
  virtual void device_status_changed(DeviceId device) = 0;
  virtual void value_changed(DeviceId device, std::uint8_t pin) = 0;

 protected:
  std::atomic<bool> watched_{false};
};

}  // namespace muster::domain
