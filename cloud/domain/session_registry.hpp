// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "cloud/base/clock.hpp"
#include "cloud/base/ids.hpp"

namespace muster::domain {

/// A session is an address, not a pointer: the generation tells a slot's present tenant from its former ones.
struct SessionAddress {
  std::uint16_t node = 0;
  std::uint16_t loop = 0;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  friend bool operator==(const SessionAddress&, const SessionAddress&) noexcept = default;
};

/// Which device is online where. Thread-safe, sharded.
class SessionRegistry {
 public:
  SessionRegistry();
  ~SessionRegistry();

  struct Replaced {
    SessionAddress address;
    std::uint32_t swaps_in_last_minute = 0;
  };
  /// Newest login wins: binds the device to `address` and returns the session that it replaces, if any (the caller closes it).
  /// Each bind has a fence higher than all before.
  std::optional<Replaced> bind(DeviceId device, const SessionAddress& address, Instant now);
  /// Unbinds only if `address` is still the device's session. True if it was.
  bool unbind(DeviceId device, const SessionAddress& address);
  [[nodiscard]] std::optional<SessionAddress> find(DeviceId device) const noexcept;
  [[nodiscard]] bool online(DeviceId device) const noexcept { return find(device).has_value(); }
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;
  void for_each(const std::function<void(DeviceId, const SessionAddress&)>& each) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::domain
