// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "cli/commands.hpp"

/// Fields of the API's answers, and answers as they are printed. Inside cli/ only.
namespace muster::cli {

namespace json = boost::json;

[[nodiscard]] inline std::string text_of(const json::value& row, std::string_view key) {
  const auto* const object = row.if_object();
  const auto* const value = object == nullptr ? nullptr : object->if_contains(key);
  if (value == nullptr || value->is_null()) return {};
  if (value->is_string()) return std::string{value->get_string()};
  if (value->is_bool()) return value->get_bool() ? "yes" : "no";
  return json::serialize(*value);
}

[[nodiscard]] inline std::int64_t number_of(const json::value& row, std::string_view key) {
  const auto* const object = row.if_object();
  const auto* const value = object == nullptr ? nullptr : object->if_contains(key);
  if (value == nullptr) return 0;
  boost::system::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  return error ? 0 : number;
}

[[nodiscard]] inline bool flag_of(const json::value& row, std::string_view key) {
  const auto* const object = row.if_object();
  const auto* const value = object == nullptr ? nullptr : object->if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

[[nodiscard]] inline std::string time_of(const json::value& row, std::string_view key) { return format_time(number_of(row, key)); }

/// Puts a text into a request, unless it was not given.
inline void put_given(json::object& body, std::string_view key, const std::string& value) {
  if (!value.empty()) body[key] = value;
}

inline void put_organization(const Context& context, Query& query) {
  if (context.globals.organization) query.emplace_back("orgId", std::to_string(*context.globals.organization));
}
inline void put_organization(const Context& context, json::object& body) {
  if (context.globals.organization) body["orgId"] = *context.globals.organization;
}

/// "TMPL..." stays a text, a number becomes one.
[[nodiscard]] inline json::value template_reference(const std::string& id) {
  if (id.empty() || id.size() > 9 || id.find_first_not_of("0123456789") != std::string::npos) return json::value(id);
  return json::value(std::stoll(id));
}

inline void print_json(std::ostream& out, const json::value& value) { out << json::serialize(value) << "\n"; }

}  // namespace muster::cli
