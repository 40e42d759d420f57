// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

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

/// What the server remembers of a device's sessions. A device without one is not offline at once: it has a while to come back.
/// docs/protocol/cloud-model.md section 6.
enum class Contact : std::uint8_t {
  none,       ///< No session, and none is waited for.
  waiting,    ///< The last session ended a moment ago, or the server was restarted.
  connected,  ///< It has a session now.
};

/// Which device has its session where, and which ones are waited for. Thread-safe, sharded. Waiting costs no timer: whoever asks
/// compares times, and one sweep a second (`expire`) takes out those whose time has passed.
class SessionRegistry {
 public:
  explicit SessionRegistry(std::size_t waits_max = 1'000'000);
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
  /// Like unbind, but the device is waited for until `until`. With `waits_max` ends of waits to remember already it is not.
  bool leave(DeviceId device, const SessionAddress& address, Instant until, Instant now);
  /// After a start: the device had a session, or was waited for, when the server stopped. `end_unseen`: nobody wrote down when that
  /// session ended. Nothing changes for a device that is known already.
  void expect(DeviceId device, Instant until, bool end_unseen, Instant now);
  [[nodiscard]] Contact contact(DeviceId device, Instant now) const noexcept;
  struct Expired {
    DeviceId device;
    bool end_unseen = false;  ///< As told to expect().
    Instant until{};          ///< When the wait was over.
  };
  /// Forgets devices that were waited for in vain, and adds them to `out`.
  void expire(Instant now, std::vector<Expired>& out);
  [[nodiscard]] std::optional<SessionAddress> find(DeviceId device) const noexcept;
  [[nodiscard]] bool online(DeviceId device) const noexcept { return find(device).has_value(); }  ///< Has a session now.
  [[nodiscard]] std::size_t size() const noexcept;  ///< Sessions; devices that are waited for do not count.
  [[nodiscard]] std::size_t memory_bytes() const noexcept;
  void for_each(const std::function<void(DeviceId, const SessionAddress&)>& each) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::domain
