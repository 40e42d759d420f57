// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "cloud/base/clock.hpp"

/// The JSON that webhooks deal with, so that Boost.JSON is compiled in one file only.
namespace muster::webhook {

/// What placeholders stand for. Numbers are their digits.
using Facts = std::map<std::string, std::string, std::less<>>;
/// The members of a JSON object that are texts, numbers, true or false; empty when `json` is none.
[[nodiscard]] Facts parse_facts(std::string_view json);
/// The body of a webhook that has none of its own: `{"id":...,"type":...,"timestamp":...,"data":{...}}`.
[[nodiscard]] std::string whole_event(std::string_view message_id, std::string_view type, UtcTime at, std::string_view facts_json);

/// An access token from the answer of an OAuth 2 token endpoint, and how long it is good.
struct GrantedToken {
  std::string token;
  std::int64_t expires_in_s = 0;
};
[[nodiscard]] std::optional<GrantedToken> parse_granted_token(std::string_view json);

/// "2026-01-31T12:00:00.000Z".
[[nodiscard]] std::string iso8601(UtcTime at);

}  // namespace muster::webhook
