// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/errors.hpp"

#include <algorithm>

#include "cloud/api/json.hpp"
#include "cloud/base/log.hpp"
#include "cloud/domain/error.hpp"

namespace muster::api {
namespace {

struct Known {
  unsigned status;
  std::string_view code, message;
};

Known describe(domain::DomainError error) {
  using enum domain::DomainError;
  switch (error) {
    case domain::DomainError::not_found: return {404, "not_found", "There is no such thing, or you may not see it."};
    case name_taken: return {409, "name_taken", "This name is taken; choose another one."};
    case email_taken: return {409, "email_taken", "There is already an account with this email."};
    case version_conflict: return {409, "version_conflict", "Somebody else changed it in between; read it again and repeat your change."};
    case already_set_up: return {409, "already_set_up", "This server has an administrator already; sign in instead."};
    case setup_code_wrong: return {403, "setup_code_wrong", "The setup code is wrong; it is in the server's ready line."};
    case tree_too_deep: return {409, "tree_too_deep", "Organizations cannot be nested any deeper."};
    case last_admin: return {409, "last_admin", "An organization needs at least one active administrator."};
    case in_use: return {409, "in_use", "It is still in use: devices, users or organizations depend on it."};
    case token_taken: return {409, "token_taken", "This token is, or once was, in use."};
    case limit_reached: return {409, "limit_reached", "A limit of this organization is reached."};
    case template_not_in_organization: return {400, "invalid_value", "The organization cannot use this template."};
    case owner_not_in_organization: return {400, "invalid_value", "The owner must be a member of the device's organization."};
    case not_active: return {403, "not_active", "This user is disabled."};
    case wrong_state: return {409, "wrong_state", "Its present state does not allow this."};
    case pin_taken: return {409, "pin_taken", "Another datastream of the template has this pin."};
    case domain::DomainError::invalid_value: return {400, "invalid_value", "A value is not allowed."};
    case protected_entity: return {409, "protected_entity", "It is built in and can be neither changed so nor deleted."};
    case beneath_itself: return {409, "beneath_itself", "An organization cannot move under itself or under one beneath it."};
    case same_place: return {409, "same_place", "It is there already."};
  }
  return {500, "internal_error", "Something went wrong on the server."};
}

}  // namespace

Response json_response(unsigned status, std::string body) {
  Response response;
  response.status = status;
  response.content_type = "application/json";
  response.body = std::move(body);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

Response no_content() {
  Response response;
  response.status = 204;
  return response;
}

Response error_response(unsigned status, std::string_view code, std::string_view message, const std::vector<Detail>& details) {
  JsonWriter json;
  json.object().object("error").add("code", code).add("message", message).array("details");
  for (const auto& detail : details) json.object().add("field", detail.field).add("message", detail.message).end_object();
  json.end_array().end_object().end_object();
  return json_response(status, json.take());
}

bool is_store_trouble(const Error& error) noexcept { return error.category() == domain::store_category(); }

Response error_response(const Error& error) {
  if (error.category() == domain::domain_category()) {
    const Known known = describe(static_cast<domain::DomainError>(error.value()));
    return error_response(known.status, known.code, known.message);
  }
  if (is_store_trouble(error)) {
    Response response = error_response(503, "unavailable", "The server cannot reach its store now; try again soon.");
    response.headers.emplace_back("Retry-After", "1");
    return response;
  }
  log::error("request_failed", {{"error", error.message()}});
  return error_response(500, "internal_error", "Something went wrong on the server.");
}

Response not_found() { return error_response(domain::DomainError::not_found); }

Response invalid_value(std::string_view field, std::string_view message) {
  return error_response(400, "invalid_value", message, {{std::string{field}, std::string{message}}});
}

Response too_many(std::string_view code, std::string_view message, long long retry_after_s) {
  Response response = error_response(429, code, message);
  response.headers.emplace_back("Retry-After", std::to_string(std::max(1LL, retry_after_s)));
  return response;
}

Response too_busy() {
  Response response = error_response(503, "unavailable", "The server is short of memory now; try again soon.");
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

Response external_error(unsigned status, std::string_view message) {
  std::string body = R"({"error":{"message":)";
  append_json_string(body, message);
  body += "}}";
  Response response;
  response.status = status;
  response.content_type = "application/json";
  response.body = std::move(body);
  return response;
}

}  // namespace muster::api
