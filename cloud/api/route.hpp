// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cloud/api/http.hpp"
#include "cloud/domain/permission.hpp"

/// What a row of the route table says. Each file of handlers (NAME_routes.cpp) has the rows of its resource at its end; the router reads
/// them all as one table.
namespace muster::api {

struct Context;

enum class FieldType : std::uint8_t {
  text,
  integer,
  number_or_null,
  boolean,
  object,
  array,
  integer_or_text,  ///< templateId, pin.
};

/// One field of a request. `query`: from the query alone; `body`: from the JSON body alone; `both`: ids; `path`: the
/// part of the path that the route spells `{id}`.
struct Field {
  enum class Place : std::uint8_t { query, body, both, path };
  std::string_view name;
  FieldType type = FieldType::text;
  Place place = Place::body;
  bool required = false;
};

/// What the permission check looks at, and what it asks for.
enum class Target : std::uint8_t { nothing, caller, organization, device, user, template_ };
enum class DeviceRight : std::uint8_t { see, edit, remove };

struct Rule {
  Target target = Target::nothing;
  std::optional<domain::Permission> permission;   ///< None on an organization: any permission there is enough.
  std::optional<domain::Permission> alternative;  ///< Either is enough.
  DeviceRight right = DeviceRight::see;           ///< Only for devices; `permission` is asked besides.
  bool or_oneself = false;                        ///< Only for users.
  /// Whether a program may ask, with an API key or as an OAuth2 client. Routes about the caller alone are a person's unless they say
  /// otherwise; `permission` is then what the program needs.
  bool programs = true;
};

[[nodiscard]] constexpr Rule public_rule() noexcept { return {}; }
[[nodiscard]] constexpr Rule signed_in() noexcept { return {Target::caller, {}, {}, {}, false, false}; }
[[nodiscard]] constexpr Rule signed_in_or_program(std::optional<domain::Permission> needed = {}) noexcept {
  return {Target::caller, needed, {}, {}, false, true};
}
[[nodiscard]] constexpr Rule people_only(Rule rule) noexcept {
  rule.programs = false;
  return rule;
}
[[nodiscard]] constexpr Rule on_organization() noexcept { return {Target::organization, {}, {}, {}, false}; }
[[nodiscard]] constexpr Rule on_organization(domain::Permission permission) noexcept {
  return {Target::organization, permission, {}, {}, false};
}
[[nodiscard]] constexpr Rule on_organization(domain::Permission permission, domain::Permission alternative) noexcept {
  return {Target::organization, permission, alternative, {}, false};
}
[[nodiscard]] constexpr Rule on_device(DeviceRight right) noexcept { return {Target::device, {}, {}, right, false}; }
[[nodiscard]] constexpr Rule on_device(domain::Permission permission) noexcept {
  return {Target::device, permission, {}, DeviceRight::see, false};
}
[[nodiscard]] constexpr Rule on_user(domain::Permission permission) noexcept { return {Target::user, permission, {}, {}, false}; }
[[nodiscard]] constexpr Rule on_user_or_oneself(domain::Permission permission) noexcept { return {Target::user, permission, {}, {}, true}; }
[[nodiscard]] constexpr Rule on_template(domain::Permission permission) noexcept { return {Target::template_, permission, {}, {}, false}; }

/// As in openapi.yaml's x-permission.
[[nodiscard]] std::string rule_text(const Rule& rule);

enum class BodyKind : std::uint8_t {
  json,
  form,  ///< The handler reads query, body and Authorization itself.
};

struct Route {
  Method method = Method::get;
  std::string_view path;
  Rule rule;
  Lane lane = Lane::api;
  std::span<const Field> fields;
  Response (*handler)(Context&) = nullptr;
  BodyKind body = BodyKind::json;
};

// --- the rows, one file a resource ------------------------------------------------------------------------------------------------
[[nodiscard]] std::span<const Route> session_routes() noexcept;
[[nodiscard]] std::span<const Route> organization_routes() noexcept;
[[nodiscard]] std::span<const Route> role_routes() noexcept;
[[nodiscard]] std::span<const Route> user_routes() noexcept;
[[nodiscard]] std::span<const Route> people_routes() noexcept;
[[nodiscard]] std::span<const Route> template_routes() noexcept;
[[nodiscard]] std::span<const Route> device_routes() noexcept;
[[nodiscard]] std::span<const Route> transfer_routes() noexcept;
[[nodiscard]] std::span<const Route> job_routes() noexcept;
[[nodiscard]] std::span<const Route> provision_routes() noexcept;
[[nodiscard]] std::span<const Route> audit_routes() noexcept;
[[nodiscard]] std::span<const Route> access_routes() noexcept;
[[nodiscard]] std::span<const Route> timeline_routes() noexcept;
[[nodiscard]] std::span<const Route> webhook_routes() noexcept;

/// Fields that many routes have, and how to spell others.
namespace fields {

inline constexpr Field org_id{"orgId", FieldType::integer, Field::Place::both};
inline constexpr Field device_id{"deviceId", FieldType::integer, Field::Place::both, true};
inline constexpr Field user_id{"userId", FieldType::integer, Field::Place::both, true};
inline constexpr Field template_id{"templateId", FieldType::integer_or_text, Field::Place::both, true};
inline constexpr Field version{"version", FieldType::integer, Field::Place::both};
inline constexpr Field page{"page", FieldType::integer, Field::Place::query};
inline constexpr Field size{"size", FieldType::integer, Field::Place::query};
inline constexpr Field search{"query", FieldType::text, Field::Place::query};
inline constexpr Field sort_by{"sortBy", FieldType::text, Field::Place::query};
inline constexpr Field sort_order{"sortOrder", FieldType::text, Field::Place::query};

constexpr Field text(std::string_view name, bool required = false) { return {name, FieldType::text, Field::Place::body, required}; }
constexpr Field integer(std::string_view name, bool required = false) { return {name, FieldType::integer, Field::Place::body, required}; }
constexpr Field flag(std::string_view name) { return {name, FieldType::boolean, Field::Place::body}; }
constexpr Field query_flag(std::string_view name) { return {name, FieldType::boolean, Field::Place::query}; }
constexpr Field query_integer(std::string_view name) { return {name, FieldType::integer, Field::Place::query}; }
constexpr Field query_text(std::string_view name) { return {name, FieldType::text, Field::Place::query}; }
constexpr Field number(std::string_view name) { return {name, FieldType::number_or_null, Field::Place::body}; }
constexpr Field list(std::string_view name) { return {name, FieldType::array, Field::Place::body}; }

}  // namespace fields

}  // namespace muster::api
