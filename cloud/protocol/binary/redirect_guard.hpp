// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "cloud/base/clock.hpp"
#include "cloud/base/ids.hpp"

namespace muster::protocol {

/// Notices a host that sends devices back here: stock firmware follows such a circle without a pause, 50-300 logins a second.
/// A device that is redirected more than `redirects_max` times within `window` proves its target to be one; for `remembered_for`
/// nobody is redirected there. Thread-safe, bounded.
class RedirectGuard {
 public:
  static constexpr std::uint32_t redirects_max = 3;
  static constexpr std::chrono::seconds window{30};
  static constexpr std::chrono::minutes remembered_for{10};
  static constexpr std::size_t devices_max = 65'536, hosts_max = 1'024;

  /// May `device` be redirected to `host` now? Counts it when so.
  [[nodiscard]] bool ask(DeviceId device, std::string_view host, Instant now);
  [[nodiscard]] std::size_t device_count() const;

 private:
  struct Past {
    Instant since;
    std::uint32_t count = 0;
  };
  mutable std::mutex mutex_;
  std::unordered_map<DeviceId, Past> devices_;
  Instant swept_at_{};
  std::unordered_map<std::string, Instant> hosts_;  ///< Until when not to go there.
};

}  // namespace muster::protocol
