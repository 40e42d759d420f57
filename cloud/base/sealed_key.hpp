// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace muster {

/// The id of the key that KeyRing::seal made `sealed` under; 0: it is no seal. For stores, which note the keys that their rows need.
[[nodiscard]] std::uint16_t key_of_sealed(std::string_view sealed) noexcept;

}  // namespace muster
