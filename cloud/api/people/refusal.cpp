// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/people/refusal.hpp"

#include "cloud/api/json.hpp"

namespace muster::api {

Response response_of(const Refusal& refusal) {
  if (refusal.status == 429) return too_many(refusal.code, refusal.message, refusal.retry_after_s);
  std::vector<Detail> details;
  if (!refusal.field.empty()) details.push_back({refusal.field, refusal.message});
  Response response = error_response(refusal.status, refusal.code, refusal.message, details);
  if (refusal.status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Refusal refusal_of(const Error& error) {
  // The words of an error are said in one place.
  const Response response = error_response(error);
  Refusal refusal{response.status, {}, {}, {}, {}};
  const ParsedJson parsed = parse_json(response.body);
  if (const Json* said = parsed.value.find("error")) {
    if (const Json* code = said->find("code")) refusal.code = code->text;
    if (const Json* message = said->find("message")) refusal.message = message->text;
  }
  return refusal;
}

Refusal wrong_value(std::string field, std::string message) { return {400, "invalid_value", std::move(message), std::move(field), 0}; }

Refusal throttled(long long retry_after_s) {
  return {429, "too_many_failures", "Too many failed attempts; wait and try again.", {}, retry_after_s};
}

}  // namespace muster::api
