// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/domain/store.hpp"

namespace muster::domain {

/// Last values in memory: written by sessions and HTTP, flushed to the store behind (at most 1 s later), loaded from it on demand.
/// Thread-safe, sharded by device. Bounded: clean devices that nobody used lately leave when `limit_bytes` is passed.
class ValueCache {
 public:
  explicit ValueCache(std::size_t limit_bytes = 256u << 20);
  ~ValueCache();

  /// The newest value of a pin. `value` holds several values NUL-separated as on the wire. No allocation when the pin is known
  /// and the value is not longer than before.
  void put(DeviceId device, std::uint8_t pin, std::string_view value, UtcTime at);

  enum class Loaded { yes, no };
  /// What is known of the device's pins; `no`: the store may know more (call load with values_of()).
  Loaded read(DeviceId device, std::vector<PinValue>& out) const;
  Loaded read_pin(DeviceId device, std::uint8_t pin, std::optional<PinValue>& out) const;
  /// Merges what the store holds under what was put meanwhile.
  void load(DeviceId device, const std::vector<PinValue>& stored);
  /// Forgets a device (deleted, erased).
  void forget(DeviceId device);

  /// Takes at most `limit` updates not written yet; `retry` gives them back after a failed write (newer puts win).
  std::vector<ValueUpdate> take_dirty(std::size_t limit);
  void retry(const std::vector<ValueUpdate>& updates);
  [[nodiscard]] std::size_t dirty_devices() const noexcept;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::domain
