// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace muster::webhook {

/// The value of the header webhook-signature: `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`. The key is what the secret's
/// base64 behind `whsec_` stands for.
[[nodiscard]] std::string sign(std::string_view secret, std::string_view id, std::string_view timestamp, std::string_view body);

}  // namespace muster::webhook
