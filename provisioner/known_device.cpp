// SPDX-License-Identifier: Apache-2.0
#include "provisioner/known_device.hpp"

#include <string_view>

namespace muster::provisioner {

namespace {

/// A device that could not store its UID says so by this word.
bool is_uid(std::string_view text) noexcept { return !text.empty() && text != "none"; }

}  // namespace

Likeness compare(const KnownDevice& known, const DeviceInfo& info) noexcept {
  const bool names = !known.hotspot_name.empty() && !info.name.empty();
  if (is_uid(known.uid) && is_uid(info.uid)) {
    if (known.uid == info.uid) return Likeness::same;
    return names && known.hotspot_name == info.name ? Likeness::other_uid : Likeness::other;
  }
  if (!names) return Likeness::nothing_to_compare;
  return known.hotspot_name == info.name ? Likeness::same : Likeness::other_name;
}

bool bears_name_of(const KnownDevice& known, const std::string& ssid) noexcept {
  const std::string_view name = known.hotspot_name;
  return !name.empty() && ssid.starts_with(name) && (ssid.size() == name.size() || ssid.compare(name.size(), 2, " (") == 0);
}

}  // namespace muster::provisioner
