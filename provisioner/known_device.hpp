// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "provisioner/device_answers.hpp"
#include "provisioner/ports.hpp"

/// Whether a device nearby is the one that the cloud means. What a device says of itself is no proof; it keeps the token of one device from
/// going to its neighbour by mistake.
namespace muster::provisioner {

enum class Likeness : std::uint8_t {
  same,
  nothing_to_compare,
  other_uid,   ///< But the name. A device whose memory was erased makes itself a new UID.
  other_name,  ///< And no UID that could tell. Firmware gives a device another name when its template has another one.
  other,
};
[[nodiscard]] Likeness compare(const KnownDevice& known, const DeviceInfo& info) noexcept;

/// Whether an access point bears the name of the known device; over Bluetooth an address follows where several have the same name.
[[nodiscard]] bool bears_name_of(const KnownDevice& known, const std::string& ssid) noexcept;

}  // namespace muster::provisioner
