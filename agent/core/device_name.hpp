// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/core/fixed_text.hpp"
#include "wire/bytes.hpp"

/// How a device calls itself while it is open for set-up. Facts: docs/protocol/provisioning.md section 1.
namespace muster::agent {

enum class NameRule : std::uint8_t {
  first,   ///< The original agents': at most 31 bytes.
  second,  ///< The 2026 agents': at most 29 bytes, so that it fits a BLE scan response. Ours.
};

using DeviceName = FixedText<32>;
using UniqueSuffix = FixedText<4>;

/// Four characters made of the chip's identity, so that devices of one kind can be told apart.
[[nodiscard]] UniqueSuffix make_unique_suffix(wire::ByteView chip_id, NameRule rule = NameRule::second) noexcept;

/// `<vendor> <template name>-<suffix>`, cut as the rule says. Ours differs from the stock agents' in one point: a cut never splits a UTF-8
/// character.
[[nodiscard]] DeviceName make_device_name(std::string_view vendor, std::string_view template_name, std::string_view suffix,
                                          NameRule rule = NameRule::second) noexcept;

/// The name for DHCP: every space becomes a dash.
[[nodiscard]] DeviceName make_host_name(std::string_view device_name) noexcept;

/// A version-4 UUID as text, of 16 random bytes: the device UID. The port makes it once and keeps it.
[[nodiscard]] FixedText<36> make_device_uid(const std::uint8_t (&random)[16]) noexcept;

}  // namespace muster::agent
