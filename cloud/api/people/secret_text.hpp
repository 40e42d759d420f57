// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "cloud/base/random.hpp"

namespace muster::api {

[[nodiscard]] std::string base64url(std::span<const std::uint8_t> bytes);  ///< Without padding.
/// 43 characters of base64url: 256 random bits.
[[nodiscard]] std::string random_secret(Random& random);

}  // namespace muster::api
