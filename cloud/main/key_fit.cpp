// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/key_fit.hpp"

#include <algorithm>

#include "cloud/base/error.hpp"

namespace muster::main {
namespace {

constexpr std::size_t tokens_tried_max = 8;  // One damaged row says nothing about its key.
constexpr std::string_view auth_token_domain = "auth-token";

}  // namespace

Result<void> check_key_fits(const KeyRing& keys, domain::Store& store, std::uint16_t key_id) {
  MUSTER_TRY(const auto tokens, store.sealed_tokens(key_id, tokens_tried_max));
  if (tokens.empty()) return {};
  const auto ids = keys.key_ids();
  if (std::find(ids.begin(), ids.end(), key_id) == ids.end()) return BaseError::key_unknown;
  for (const auto& token : tokens) {
    const auto plain = keys.open_sealed(auth_token_domain, token.sealed);
    if (!plain) continue;
    const auto digest = keys.digest_under(key_id, auth_token_domain, *plain);
    if (digest && *digest == token.digest) return {};
  }
  return BaseError::keys_foreign;
}

}  // namespace muster::main
