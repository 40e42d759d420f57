// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cloud/domain/directory.hpp"

namespace muster::domain {

enum class ValueVerdict : std::uint8_t {
  accepted,       ///< `out` holds the value as stored: text of the type, clamped to min and max.
  undefined_pin,  ///< The template has datastreams, and none on this pin.
  wrong_type,     ///< Does not parse as the datastream's type.
  too_long,       ///< Over value_size_max_bytes.
};

inline constexpr std::size_t value_size_max_bytes = 1024;

/// Judges a value for a pin by its template. `value` is NUL-separated when there are several. Never allocates more than `out` needs;
/// leaves `out` empty and answers accepted when the value may be stored as it is (the common case).
/// docs/protocol/http-api.md section 3, docs/protocol/cloud-model.md section 2 (Datastream).
[[nodiscard]] ValueVerdict judge_value(const PublishedTemplate& published, std::uint8_t pin, std::string_view value, std::string& out);

}  // namespace muster::domain
