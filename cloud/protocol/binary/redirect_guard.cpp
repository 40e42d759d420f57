// SPDX-License-Identifier: Apache-2.0
#include "cloud/protocol/binary/redirect_guard.hpp"

namespace muster::protocol {

bool RedirectGuard::ask(DeviceId device, std::string_view host, Instant now) {
  const std::lock_guard lock{mutex_};
  std::string name{host};
  if (const auto found = hosts_.find(name); found != hosts_.end()) {
    if (now < found->second) return false;
    hosts_.erase(found);
  }
  auto found = devices_.find(device);
  if (found == devices_.end()) {
    if (devices_.size() >= devices_max) {
      // At most once a second: the whole table is walked.
      if (now - swept_at_ < std::chrono::seconds{1}) return true;
      swept_at_ = now;
      std::erase_if(devices_, [&](const auto& entry) { return now - entry.second.since > window; });
      // All of them were redirected within half a minute: then none is in a circle that we could tell from the crowd.
      if (devices_.size() >= devices_max) return true;
    }
    found = devices_.try_emplace(device, Past{now, 0}).first;
  }
  Past& past = found->second;
  if (now - past.since > window) past = {now, 0};
  if (++past.count <= redirects_max) return true;
  devices_.erase(found);
  if (hosts_.size() >= hosts_max) {
    std::erase_if(hosts_, [&](const auto& entry) { return now >= entry.second; });
    if (hosts_.size() >= hosts_max) hosts_.erase(hosts_.begin());
  }
  hosts_.insert_or_assign(std::move(name), now + remembered_for);
  return false;
}

std::size_t RedirectGuard::device_count() const {
  const std::lock_guard lock{mutex_};
  return devices_.size();
}

}  // namespace muster::protocol
