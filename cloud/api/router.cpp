// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/router.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_map>

#include "cloud/api/query.hpp"
#include "cloud/base/log.hpp"
#include "cloud/domain/rules.hpp"

namespace muster::api {
namespace {

using domain::Permission;
using Place = Field::Place;

// --- the fields of each route ------------------------------------------------------------------------------------------------
constexpr Field org_id{"orgId", FieldType::integer, Place::both};
constexpr Field device_id{"deviceId", FieldType::integer, Place::both, true};
constexpr Field user_id{"userId", FieldType::integer, Place::both, true};
constexpr Field template_id{"templateId", FieldType::integer_or_text, Place::both, true};
constexpr Field version{"version", FieldType::integer, Place::both};
constexpr Field page{"page", FieldType::integer, Place::query};
constexpr Field size{"size", FieldType::integer, Place::query};
constexpr Field search{"query", FieldType::text, Place::query};
constexpr Field sort_by{"sortBy", FieldType::text, Place::query};
constexpr Field sort_order{"sortOrder", FieldType::text, Place::query};

constexpr Field text(std::string_view name, bool required = false) { return {name, FieldType::text, Place::body, required}; }
constexpr Field integer(std::string_view name, bool required = false) { return {name, FieldType::integer, Place::body, required}; }
constexpr Field flag(std::string_view name) { return {name, FieldType::boolean, Place::body}; }
constexpr Field query_flag(std::string_view name) { return {name, FieldType::boolean, Place::query}; }
constexpr Field query_integer(std::string_view name) { return {name, FieldType::integer, Place::query}; }
constexpr Field query_text(std::string_view name) { return {name, FieldType::text, Place::query}; }
constexpr Field number(std::string_view name) { return {name, FieldType::number_or_null, Place::body}; }
constexpr Field list(std::string_view name) { return {name, FieldType::array, Place::body}; }

constexpr Field setup_fields[] = {text("code", true), text("email", true), text("password", true), text("organizationName")};
constexpr Field session_fields[] = {text("email", true), text("password"), text("passwordHash")};

constexpr Field organization_fields[] = {org_id};
constexpr Field organization_required_fields[] = {{"orgId", FieldType::integer, Place::both, true}};
constexpr Field organization_put_fields[] = {org_id, text("name"), text("description"), text("timeZone"), {"home", FieldType::object}};
constexpr Field sub_organizations_fields[] = {org_id, query_flag("recursive"), page, size, sort_by, sort_order};
constexpr Field organization_search_fields[] = {org_id, search, page, size, sort_by, sort_order};
constexpr Field organization_create_fields[] = {org_id,           text("name", true), text("description"),
                                                text("timeZone"), text("type"),       flag("canCreateSubOrgs")};

constexpr Field users_fields[] = {org_id, page, size, sort_by, sort_order};
constexpr Field users_search_fields[] = {org_id, search, page, size, sort_by, sort_order};
constexpr Field user_fields[] = {user_id};
constexpr Field user_put_fields[] = {user_id, text("name"), text("locale"), text("timeZone")};
constexpr Field user_create_fields[] = {org_id,       text("email", true),    text("name"),   integer("roleId"),
                                        text("role"), text("password", true), text("locale"), text("timeZone")};
constexpr Field user_role_fields[] = {user_id, integer("roleId"), text("role")};
constexpr Field user_password_fields[] = {user_id, text("password", true), text("currentPassword")};

constexpr Field templates_fields[] = {org_id, search, page, size, sort_by, sort_order};
constexpr Field template_fields[] = {template_id};
constexpr Field template_delete_fields[] = {template_id, query_flag("withDevices")};
constexpr Field template_create_fields[] = {org_id,
                                            text("name", true),
                                            text("boardType"),
                                            text("connectionType"),
                                            text("manufacturer"),
                                            text("description"),
                                            text("hotspotPrefix"),
                                            text("firmwareType"),
                                            integer("offlineIgnorePeriod"),
                                            flag("allowPublicPlainText"),
                                            list("datastreams")};
constexpr Field template_put_fields[] = {template_id,
                                         version,
                                         text("name"),
                                         text("boardType"),
                                         text("connectionType"),
                                         text("manufacturer"),
                                         text("description"),
                                         text("hotspotPrefix"),
                                         text("firmwareType"),
                                         integer("offlineIgnorePeriod"),
                                         flag("allowPublicPlainText")};

#define MUSTER_DATASTREAM_FIELDS                                                                                                     \
  text("name"), text("alias"), text("type"), text("units"), number("min"), number("max"), text("defaultValue"), integer("decimals"), \
      flag("syncOnConnect"), list("enumValues")
constexpr Field datastream_id{"dataStreamId", FieldType::integer, Place::both, true};
constexpr Field datastream_create_fields[] = {
    template_id, version, {"pin", FieldType::integer_or_text, Place::body, true}, MUSTER_DATASTREAM_FIELDS};
constexpr Field datastream_put_fields[] = {
    template_id, version, datastream_id, {"pin", FieldType::integer_or_text}, MUSTER_DATASTREAM_FIELDS};
#undef MUSTER_DATASTREAM_FIELDS
constexpr Field datastream_delete_fields[] = {template_id, version, datastream_id};

constexpr Field meta_field_id{"metaFieldId", FieldType::integer, Place::both, true};
constexpr Field meta_field_create_fields[] = {
    template_id,     version, text("name", true), text("type"), text("defaultValue"), text("description"), flag("inProvisioning"),
    flag("required")};
constexpr Field meta_field_put_fields[] = {
    template_id,     version, meta_field_id, text("name"), text("type"), text("defaultValue"), text("description"), flag("inProvisioning"),
    flag("required")};
constexpr Field meta_field_delete_fields[] = {template_id, version, meta_field_id};

constexpr Field event_id{"eventId", FieldType::integer, Place::both, true};
constexpr Field event_create_fields[] = {template_id,        version, text("name", true), text("eventCode", true), text("type"),
                                         text("description")};
constexpr Field event_put_fields[] = {template_id, version, event_id, text("name"), text("eventCode"), text("type"), text("description")};
constexpr Field event_delete_fields[] = {template_id, version, event_id};

constexpr Field template_filter{"templateId", FieldType::integer_or_text, Place::query};
constexpr Field devices_fields[] = {
    org_id, query_flag("includeSubOrgDevices"), query_integer("ownerId"), template_filter, page, size, sort_by, sort_order};
constexpr Field devices_search_fields[] = {
    org_id, query_flag("includeSubOrgDevices"), query_integer("ownerId"), template_filter, search, page, size, sort_by, sort_order};
constexpr Field device_fields[] = {device_id};
constexpr Field device_create_fields[] = {
    org_id, {"templateId", FieldType::integer_or_text, Place::body, true}, text("name", true), integer("ownerId"), integer("onwerId")};
constexpr Field device_put_fields[] = {device_id, text("name", true)};
constexpr Field device_home_fields[] = {device_id, text("host", true), integer("portPlain"), integer("portTls")};
constexpr Field metadata_get_fields[] = {device_id, {"metaFieldId", FieldType::integer, Place::query}, query_text("name")};
constexpr Field metadata_post_fields[] = {device_id, integer("metaFieldId"), text("name"), text("value", true)};

constexpr Field provision_token_fields[] = {org_id,      integer("ownerId"),  {"templateId", FieldType::integer_or_text},
                                            text("uid"), integer("deviceId"), text("client")};
constexpr Field reprovision_token_fields[] = {device_id, text("uid"), text("client")};
constexpr Field provision_sessions_fields[] = {
    org_id, query_text("state"), query_text("email"), query_text("client"), query_integer("code"), query_integer("deviceId"), page, size};
constexpr Field provision_session_fields[] = {{"sessionId", FieldType::integer, Place::query, true}};
constexpr Field session_in_path{"sessionId", FieldType::integer, Place::path, true};
constexpr Field provision_step_fields[] = {session_in_path, text("step", true), integer("code"), text("message"), text("source")};
constexpr Field provision_cancel_fields[] = {session_in_path};

constexpr Field audit_fields[] = {
    org_id, query_flag("includeSubOrgs"), query_text("action"), query_integer("from"), query_integer("to"), page, size};

// --- THE route table ---------------------------------------------------------------------------------------------------------
constexpr std::string_view device_prefix = "/api/v1/organization/device", device_alias = "/api/v1/device";

constexpr Route routes_of_api[] = {
    {Method::post, "/api/v1/setup", public_rule(), Lane::password, setup_fields, post_setup},
    {Method::post, "/api/v1/session", public_rule(), Lane::password, session_fields, post_session},
    {Method::get, "/api/v1/session", signed_in(), Lane::api, {}, get_session},
    {Method::delete_, "/api/v1/session", signed_in(), Lane::api, {}, delete_session},

    {Method::get, "/api/v1/organization/profile", signed_in(), Lane::api, {}, get_organization_profile},
    {Method::get, "/api/v1/organization", on_organization(), Lane::api, organization_fields, get_organization},
    {Method::put, "/api/v1/organization", on_organization(Permission::org_edit), Lane::api, organization_put_fields, put_organization},
    {Method::delete_, "/api/v1/organization", on_organization(Permission::org_delete), Lane::api, organization_required_fields,
     delete_organization},
    {Method::get, "/api/v1/organization/sub-organizations", on_organization(), Lane::api, sub_organizations_fields, get_sub_organizations},
    {Method::get, "/api/v1/organization/search", on_organization(), Lane::api, organization_search_fields, search_organizations},
    {Method::post, "/api/v1/organization/create", on_organization(Permission::org_create), Lane::api, organization_create_fields,
     create_organization},

    {Method::get, "/api/v1/users", on_organization(Permission::org_view_users), Lane::api, users_fields, get_users},
    {Method::get, "/api/v1/search/users", on_organization(Permission::org_view_users), Lane::api, users_search_fields, get_users},
    {Method::get, "/api/v1/user", on_user_or_oneself(Permission::org_view_users), Lane::api, user_fields, get_user},
    {Method::put, "/api/v1/user", on_user_or_oneself(Permission::user_edit), Lane::api, user_put_fields, put_user},
    {Method::delete_, "/api/v1/user", on_user(Permission::user_delete), Lane::api, user_fields, delete_user},
    {Method::get, "/api/v1/user/profile", signed_in(), Lane::api, {}, get_user_profile},
    {Method::post, "/api/v1/users/create-in-org", on_organization(Permission::user_invite), Lane::password, user_create_fields,
     create_user_in_organization},
    {Method::put, "/api/v1/users/role", on_user(Permission::user_edit), Lane::api, user_role_fields, put_user_role},
    {Method::post, "/api/v1/user/suspend", on_user(Permission::user_suspend), Lane::api, user_fields, suspend_user},
    {Method::post, "/api/v1/user/activate", on_user(Permission::user_suspend), Lane::api, user_fields, activate_user},
    {Method::put, "/api/v1/user/password", on_user_or_oneself(Permission::user_password), Lane::password, user_password_fields,
     put_user_password},
    {Method::get, "/api/v1/roles", on_organization(), Lane::api, organization_fields, get_roles},

    {Method::get, "/api/v1/templates", on_organization(Permission::template_view), Lane::api, templates_fields, get_templates},
    {Method::get, "/api/v1/template", on_template(Permission::template_view), Lane::api, template_fields, get_template},
    {Method::put, "/api/v1/template", on_template(Permission::template_edit), Lane::api, template_put_fields, put_template},
    {Method::delete_, "/api/v1/template", on_template(Permission::template_delete), Lane::api, template_delete_fields, delete_template},
    {Method::post, "/api/v1/template/create", on_organization(Permission::template_create), Lane::api, template_create_fields,
     create_template},
    {Method::get, "/api/v1/template/datastreams", on_template(Permission::template_view), Lane::api, template_fields, get_datastreams},
    {Method::post, "/api/v1/template/datastream/create", on_template(Permission::template_edit), Lane::api, datastream_create_fields,
     create_datastream},
    {Method::put, "/api/v1/template/datastream", on_template(Permission::template_edit), Lane::api, datastream_put_fields, put_datastream},
    {Method::delete_, "/api/v1/template/datastream", on_template(Permission::template_edit), Lane::api, datastream_delete_fields,
     delete_datastream},
    {Method::get, "/api/v1/template/metafields", on_template(Permission::template_view), Lane::api, template_fields, get_meta_fields},
    {Method::post, "/api/v1/template/metafield/create", on_template(Permission::template_edit), Lane::api, meta_field_create_fields,
     create_meta_field},
    {Method::put, "/api/v1/template/metafield", on_template(Permission::template_edit), Lane::api, meta_field_put_fields, put_meta_field},
    {Method::delete_, "/api/v1/template/metafield", on_template(Permission::template_edit), Lane::api, meta_field_delete_fields,
     delete_meta_field},
    {Method::get, "/api/v1/template/events", on_template(Permission::template_view), Lane::api, template_fields, get_events},
    {Method::post, "/api/v1/template/event/create", on_template(Permission::template_edit), Lane::api, event_create_fields, create_event},
    {Method::put, "/api/v1/template/event", on_template(Permission::template_edit), Lane::api, event_put_fields, put_event},
    {Method::delete_, "/api/v1/template/event", on_template(Permission::template_edit), Lane::api, event_delete_fields, delete_event},

    {Method::get, "/api/v1/organization/devices", on_organization(Permission::org_devices_view, Permission::own_devices_view), Lane::api,
     devices_fields, get_devices},
    {Method::get, "/api/v1/organization/search/devices", on_organization(Permission::org_devices_view, Permission::own_devices_view),
     Lane::api, devices_search_fields, get_devices},
    {Method::get, "/api/v1/organization/device", on_device(DeviceRight::see), Lane::api, device_fields, get_device},
    {Method::put, "/api/v1/organization/device", on_device(DeviceRight::edit), Lane::api, device_put_fields, put_device},
    {Method::delete_, "/api/v1/organization/device", on_device(DeviceRight::remove), Lane::api, device_fields, delete_device},
    {Method::post, "/api/v1/organization/device/create", on_organization(Permission::org_devices_create), Lane::api, device_create_fields,
     create_device},
    {Method::get, "/api/v1/organization/device/online", on_device(DeviceRight::see), Lane::api, device_fields, get_device_online},
    // A home sends the device, token in hand, to another server: that is for who runs the organization, not for who edits devices.
    {Method::put, "/api/v1/organization/device/home", on_device(Permission::org_edit), Lane::api, device_home_fields, put_device_home},
    {Method::get, "/api/v1/organization/device/token", on_device(Permission::auth_token_view), Lane::api, device_fields, get_device_token},
    {Method::put, "/api/v1/organization/device/token", on_device(Permission::auth_token_edit), Lane::api, device_fields, put_device_token},
    {Method::get, "/api/v1/organization/device/metafield", on_device(DeviceRight::see), Lane::api, metadata_get_fields,
     get_device_metadata},
    {Method::post, "/api/v1/organization/device/metafield", on_device(DeviceRight::edit), Lane::api, metadata_post_fields,
     post_device_metadata},

    {Method::post, "/api/v1/organization/device/provision/token", on_organization(Permission::provision_devices), Lane::api,
     provision_token_fields, create_provision_token},
    {Method::post, "/api/v1/organization/device/provision/reprovision/token", on_device(Permission::provision_devices), Lane::api,
     reprovision_token_fields, create_reprovision_token},
    {Method::post, "/api/v1/organization/device/provision/reconfigure", on_device(Permission::provision_devices), Lane::api, device_fields,
     reconfigure_device},
    // Everybody sees one's own; the handlers ask for PROVISION_SESSIONS_VIEW for those of others.
    {Method::get, "/api/v1/provision/sessions", signed_in(), Lane::api, provision_sessions_fields, get_provision_sessions},
    {Method::get, "/api/v1/provision/session", signed_in(), Lane::api, provision_session_fields, get_provision_session},
    {Method::post, "/api/v1/provision/session/{id}/step", signed_in(), Lane::api, provision_step_fields, post_provision_step},
    {Method::delete_, "/api/v1/provision/session/{id}", signed_in(), Lane::api, provision_cancel_fields, delete_provision_session},

    {Method::get, "/api/v1/audit", on_organization(Permission::audit_view), Lane::api, audit_fields, get_audit},
};

std::string_view method_name(Method method) noexcept {
  switch (method) {
    case Method::get: return "GET";
    case Method::head: return "HEAD";
    case Method::post: return "POST";
    case Method::put: return "PUT";
    case Method::patch: return "PATCH";
    case Method::delete_: return "DELETE";
    case Method::options: return "OPTIONS";
    case Method::other: break;
  }
  return "";
}

std::string_view type_words(FieldType type) noexcept {
  switch (type) {
    case FieldType::text: return "a string";
    case FieldType::integer: return "an integer";
    case FieldType::number_or_null: return "a number or null";
    case FieldType::boolean: return "true or false";
    case FieldType::object: return "an object";
    case FieldType::array: return "an array";
    case FieldType::integer_or_text: return "an integer or a string";
  }
  return "";
}

bool has_type(const Json& value, FieldType type) noexcept {
  using Kind = Json::Kind;
  switch (type) {
    case FieldType::text: return value.kind == Kind::text;
    case FieldType::integer: return value.kind == Kind::integer;
    case FieldType::number_or_null: return value.kind == Kind::integer || value.kind == Kind::number || value.kind == Kind::null;
    case FieldType::boolean: return value.kind == Kind::boolean;
    case FieldType::object: return value.kind == Kind::object;
    case FieldType::array: return value.kind == Kind::array;
    case FieldType::integer_or_text: return value.kind == Kind::integer || value.kind == Kind::text;
  }
  return false;
}

std::optional<std::int64_t> parse_integer(std::string_view text) noexcept {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Json> from_query(std::string text, FieldType type) {
  switch (type) {
    case FieldType::text: return Json::of(std::string_view{text});
    case FieldType::integer: {
      const auto value = parse_integer(text);
      return value ? std::optional{Json::of(*value)} : std::nullopt;
    }
    case FieldType::integer_or_text: {
      const auto value = parse_integer(text);
      return value ? Json::of(*value) : Json::of(std::string_view{text});
    }
    case FieldType::boolean:
      if (text == "true") return Json::of(true);
      if (text == "false") return Json::of(false);
      return std::nullopt;
    default: return std::nullopt;  // Never declared for the query.
  }
}

const Field* find_field(std::span<const Field> fields, std::string_view name) noexcept {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& field) { return field.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

std::string in_quotes(std::string_view word) {
  std::string out;
  append_json_string(out, word.substr(0, 100));  // Names of unknown fields are the client's: bounded.
  return out;
}

Response wrong_field(std::string_view code, std::string field, std::string message) {
  std::string sentence = message;
  return error_response(400, code, sentence, {{std::move(field), std::move(message)}});
}

bool same(const Json& a, const Json& b) { return to_text(a) == to_text(b); }

std::optional<Response> put_argument(Json& all, const Field& field, Json value) {
  if (const Json* already = all.find(field.name)) {
    if (same(*already, value)) return std::nullopt;
    return wrong_field("conflicting_field", std::string{field.name},
                       "Field " + in_quotes(field.name) + " is given twice with different values.");
  }
  all.members.emplace_back(std::string{field.name}, std::move(value));
  return std::nullopt;
}

Response forbidden(const Rule& rule) {
  if (rule.permission) {
    std::string message = "This needs the permission ";
    message += domain::permission_name(*rule.permission);
    if (rule.alternative) message.append(" or ").append(domain::permission_name(*rule.alternative));
    return error_response(403, "forbidden", message + " there.");
  }
  return error_response(403, "forbidden", "Your role does not allow this there.");
}

template <class IdType>
std::optional<IdType> to_id(std::int64_t value) noexcept {
  if (value < 1 || value > std::numeric_limits<typename IdType::rep>::max()) return std::nullopt;
  return IdType{static_cast<typename IdType::rep>(value)};
}

Response access_token_invalid() {
  Response response = error_response(401, "access_token_invalid", "This access token is unknown, expired or signed out; sign in again.");
  response.headers.emplace_back("WWW-Authenticate", "Bearer error=\"invalid_token\"");
  return response;
}

Response not_signed_in() {
  Response response = error_response(401, "not_signed_in", "Sign in first (POST /api/v1/session) and send the access token.");
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return lower(x) == lower(y);
  });
}

std::string_view without_scheme(std::string_view url) noexcept {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (url.starts_with(scheme)) url.remove_prefix(scheme.size());
  }
  return url.substr(0, url.find('/'));
}

/// The part of `path` that the route spells `{id}`; nullopt: it is not of this route. An id is 1 to 18 digits.
std::optional<std::string_view> path_parameter(std::string_view route, std::string_view path) noexcept {
  const auto open = route.find('{');
  if (open == std::string_view::npos) return std::nullopt;
  const std::string_view before = route.substr(0, open), after = route.substr(route.find('}') + 1);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after)) return std::nullopt;
  const std::string_view id = path.substr(before.size(), path.size() - before.size() - after.size());
  const bool digits = std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && id.size() <= 18 ? std::optional{id} : std::nullopt;
}

bool is_unsafe(Method method) noexcept { return method != Method::get && method != Method::head; }

}  // namespace

std::string rule_text(const Rule& rule) {
  std::string what;
  if (rule.permission) what = domain::permission_name(*rule.permission);
  if (rule.alternative) what.append(" or ").append(domain::permission_name(*rule.alternative));
  switch (rule.target) {
    case Target::nothing: return "public";
    case Target::caller: return "signed-in";
    case Target::organization: return (what.empty() ? std::string{"any"} : what) + " on organization";
    case Target::device:
      if (what.empty()) what = rule.right == DeviceRight::see ? "see" : rule.right == DeviceRight::edit ? "edit" : "delete";
      return what + " on device";
    case Target::user: return what + " on user" + (rule.or_oneself ? ", or oneself" : "");
    case Target::template_: return what + " on template";
  }
  return {};
}

std::span<const Route> route_table() noexcept { return routes_of_api; }

// --- arguments -----------------------------------------------------------------------------------------------------------------

std::optional<std::string> Arguments::text(std::string_view name) const {
  const Json* found = find(name);
  return found != nullptr && found->kind == Json::Kind::text ? std::optional{found->text} : std::nullopt;
}

std::optional<std::int64_t> Arguments::integer(std::string_view name) const {
  const Json* found = find(name);
  return found != nullptr && found->kind == Json::Kind::integer ? std::optional{found->integer} : std::nullopt;
}

bool Arguments::flag(std::string_view name, bool fallback) const {
  const Json* found = find(name);
  return found != nullptr && found->kind == Json::Kind::boolean ? found->boolean : fallback;
}

std::optional<Response> read_arguments(const Route& route, const Request& request, Arguments& out) {
  out.all_.kind = Json::Kind::object;
  for (const Field& field : route.fields) {
    if (field.place != Place::path) continue;
    const auto id = path_parameter(route.path, request.path);
    if (const auto value = id ? parse_integer(*id) : std::nullopt) out.all_.members.emplace_back(std::string{field.name}, Json::of(*value));
  }
  QueryReader query{request.query};
  QueryReader::Pair pair;
  while (query.next(pair)) {
    const std::string name = percent_decoded(pair.name);
    const Field* field = find_field(route.fields, name);
    if (field == nullptr || field->place == Place::body || field->place == Place::path) {
      return wrong_field("unknown_parameter", name.substr(0, 100), "Unknown query parameter " + in_quotes(name) + ".");
    }
    std::string value = percent_decoded(pair.value);
    if (!domain::is_valid_utf8(value)) return wrong_field("invalid_utf8", name, "Query parameter " + in_quotes(name) + " is not UTF-8.");
    auto parsed = from_query(std::move(value), field->type);
    if (!parsed)
      return wrong_field("wrong_type", name,
                         "Query parameter " + in_quotes(name) + " must be " + std::string{type_words(field->type)} + ".");
    if (auto refused = put_argument(out.all_, *field, std::move(*parsed))) return refused;
  }

  if (!request.body.empty()) {
    ParsedJson parsed = parse_json(request.body);
    switch (parsed.problem) {
      case JsonProblem::none: break;
      case JsonProblem::bad_utf8: return error_response(400, "invalid_utf8", "The body is not UTF-8.");
      case JsonProblem::name_twice:
        return error_response(400, "invalid_json", "The body names a member of one object twice; give each once.");
      case JsonProblem::too_deep: return error_response(400, "invalid_json", "The body is nested too deeply.");
      case JsonProblem::too_many:
        return error_response(413, "body_too_large", "The body has at most " + std::to_string(json_values_max) + " values.");
      case JsonProblem::malformed: return error_response(400, "invalid_json", "The body is not JSON.");
    }
    if (parsed.value.kind != Json::Kind::object) return error_response(400, "invalid_json", "The body must be a JSON object.");
    for (auto& [name, value] : parsed.value.members) {
      const Field* field = find_field(route.fields, name);
      if (field == nullptr || field->place == Place::query || field->place == Place::path)
        return wrong_field("unknown_field", name.substr(0, 100), "Unknown field " + in_quotes(name) + ".");
      if (!has_type(value, field->type))
        return wrong_field("wrong_type", name, "Field " + in_quotes(name) + " must be " + std::string{type_words(field->type)} + ".");
      if (auto refused = put_argument(out.all_, *field, std::move(value))) return refused;
    }
  }

  std::vector<Detail> missing;
  for (const Field& field : route.fields) {
    if (field.required && out.find(field.name) == nullptr)
      missing.push_back({std::string{field.name}, "Field " + in_quotes(field.name) + " is missing."});
  }
  if (!missing.empty()) {
    const std::string message = missing.front().message;
    return error_response(400, "missing_field", message, missing);
  }
  return std::nullopt;
}

void check_members(const Json& object, std::span<const Field> fields, const std::string& where, std::vector<Detail>& details) {
  for (const auto& [name, value] : object.members) {
    const Field* field = find_field(fields, name);
    const std::string full = where + "." + name.substr(0, 100);
    if (field == nullptr) {
      details.push_back({full, "Unknown field " + in_quotes(full) + "."});
    } else if (!has_type(value, field->type)) {
      details.push_back({full, "Field " + in_quotes(full) + " must be " + std::string{type_words(field->type)} + "."});
    }
  }
  for (const Field& field : fields) {
    if (field.required && object.find(field.name) == nullptr) {
      details.push_back(
          {where + "." + std::string{field.name}, "Field " + in_quotes(where + "." + std::string{field.name}) + " is missing."});
    }
  }
}

std::optional<Response> read_page(const Arguments& arguments, domain::Page& out) {
  const std::int64_t number_of_page = arguments.integer("page").value_or(0);
  out.limit = arguments.integer("size").value_or(page_size_default);
  if (out.limit < 1 || out.limit > page_size_max) return invalid_value("size", "size must be 1 to 1000.");
  if (number_of_page < 0 || number_of_page > 1'000'000'000) return invalid_value("page", "page must be 0 or more.");
  out.offset = number_of_page * out.limit;
  out.query = arguments.text("query").value_or("");
  if (out.query.size() > 255) return invalid_value("query", "query has at most 255 bytes.");
  out.sort_by = arguments.text("sortBy").value_or("id");
  if (out.sort_by != "id" && out.sort_by != "name" && out.sort_by != "createdAt")
    return invalid_value("sortBy", "sortBy must be id, name or createdAt.");
  const std::string order = arguments.text("sortOrder").value_or("ASC");
  if (order != "ASC" && order != "DESC") return invalid_value("sortOrder", "sortOrder must be ASC or DESC.");
  out.descending = order == "DESC";
  return std::nullopt;
}

// --- who asks ------------------------------------------------------------------------------------------------------------------

domain::Actor Context::actor() const { return actor_in(organization ? organization : caller.organization_id); }

domain::Actor Context::actor_in(OrganizationId where) const {
  return {caller.user_id, where, client_name(request, by_cookie), request.peer.text(), core.clock.utc_now()};
}

std::string client_name(const Request& request, bool by_cookie) {
  if (by_cookie || !request.header("Sec-Fetch-Site").empty()) return "Web";
  return request.header("User-Agent").starts_with("muster-cli/") ? "CLI" : "HTTPS API";
}

bool looks_like_access_token(std::string_view text) noexcept {
  if (text.size() != 43) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

SentAccessToken sent_access_token(const Request& request) noexcept {
  const std::string_view authorization = request.header("Authorization");
  if (!authorization.empty()) {
    constexpr std::string_view scheme = "Bearer ";
    if (authorization.size() < scheme.size() || !equal_ignoring_case(authorization.substr(0, scheme.size()), scheme)) return {};
    std::string_view token = authorization.substr(scheme.size());
    while (token.starts_with(' ')) token.remove_prefix(1);
    return {token, false};
  }
  std::string_view cookies = request.header("Cookie");
  while (!cookies.empty()) {
    const auto end = cookies.find(';');
    std::string_view cookie = cookies.substr(0, end);
    cookies = end == std::string_view::npos ? std::string_view{} : cookies.substr(end + 1);
    while (cookie.starts_with(' ')) cookie.remove_prefix(1);
    if (cookie.size() > session_cookie.size() && cookie.starts_with(session_cookie) && cookie[session_cookie.size()] == '=') {
      return {cookie.substr(session_cookie.size() + 1), true};
    }
  }
  return {};
}

bool origin_is_ours(const Request& request, std::string_view public_url) noexcept {
  const std::string_view origin = request.header("Origin");
  if (!origin.starts_with("https://") && !origin.starts_with("http://")) return false;  // Also "null".
  const std::string_view host = without_scheme(origin);
  // The scheme may differ: a proxy in front of the server may end TLS.
  return !host.empty() && (equal_ignoring_case(host, request.header("Host")) ||
                           (!public_url.empty() && equal_ignoring_case(host, without_scheme(public_url))));
}

std::string session_cookie_header(std::string_view token, std::chrono::seconds life, bool secure) {
  std::string cookie{session_cookie};
  cookie.append("=").append(token).append("; Path=/; HttpOnly; SameSite=Strict; Max-Age=").append(std::to_string(life.count()));
  if (secure) cookie += "; Secure";
  return cookie;
}

// --- the way of a request --------------------------------------------------------------------------------------------------------

const Route* Router::find(const Request& request, std::optional<Response>& refusal) const {
  using ByPath = std::unordered_map<std::string_view, std::vector<const Route*>>;
  static const ByPath by_path = [] {
    ByPath made;
    for (const Route& route : routes_of_api) made[route.path].push_back(&route);
    return made;
  }();
  std::string spelled_out;
  std::string_view path = request.path;
  if (path.starts_with(device_alias) && (path.size() == device_alias.size() || path[device_alias.size()] == '/')) {
    if (path.size() > 200) {
      refusal = not_found();
      return nullptr;
    }
    spelled_out = std::string{device_prefix} + std::string{path.substr(device_alias.size())};
    path = spelled_out;
  }
  // How a route spells its parameter is no path.
  auto found = path.find('{') == std::string_view::npos ? by_path.find(path) : by_path.end();
  if (found == by_path.end()) {
    static const std::vector<std::string_view> with_parameter = [] {
      std::vector<std::string_view> made;
      for (const Route& route : routes_of_api) {
        if (route.path.find('{') != std::string_view::npos) made.push_back(route.path);
      }
      return made;
    }();
    for (const std::string_view route : with_parameter) {
      if (path_parameter(route, path)) found = by_path.find(route);
    }
  }
  if (found == by_path.end()) {
    refusal = not_found();
    return nullptr;
  }
  const Method method = request.method == Method::head ? Method::get : request.method;  // Whoever writes the answer leaves its body out.
  std::string allowed;
  for (const Route* route : found->second) {
    if (route->method == method) return route;
    if (!allowed.empty()) allowed += ", ";
    allowed += method_name(route->method);
    if (route->method == Method::get) allowed += ", HEAD";
  }
  refusal = error_response(405, "method_not_allowed", "This path takes " + allowed + ".");
  refusal->headers.emplace_back("Allow", allowed);
  return nullptr;
}

std::optional<Response> Router::refuse_early(const Route& route, const Request& request) const {
  const bool is_public = route.rule.target == Target::nothing;
  const std::size_t size_max =
      is_public ? std::min(core_.options.body_size_max_bytes, public_body_size_max_bytes) : core_.options.body_size_max_bytes;
  if (request.body.size() > size_max) {
    Response response = error_response(413, "body_too_large", "The body has at most " + std::to_string(size_max) + " bytes.");
    response.close = true;
    return response;
  }
  if (is_public) {
    // Signing somebody in from a foreign page would make him work in the attacker's account.
    if (!request.header("Origin").empty() && !origin_is_ours(request, core_.options.public_url)) {
      return error_response(403, "origin_refused", "Requests from pages of other servers are refused.");
    }
    if (const auto wait = core_.sign_in_throttle.address_blocked(request.peer.limit_key(), core_.clock.now())) {
      core_.metrics.http_throttled_total.add();
      return too_many("too_many_failures", "Too many failed attempts; wait and try again.", wait->count());
    }
  } else {
    const SentAccessToken sent = sent_access_token(request);
    if (sent.token.empty()) return not_signed_in();
    if (!looks_like_access_token(sent.token)) return access_token_invalid();
    if (sent.by_cookie && is_unsafe(request.method) && !origin_is_ours(request, core_.options.public_url)) {
      return error_response(403, "origin_refused", "A request with the session cookie must come from a page of this server.");
    }
    if (const auto wait = core_.unknown_access_tokens.peek(request.peer.limit_key(), core_.clock.now())) {
      core_.metrics.http_throttled_total.add();
      return too_many("too_many_failures", "Too many wrong access tokens from this address; wait and try again.", wait->count());
    }
  }
  if (!request.body.empty()) {
    std::string_view type = request.header("Content-Type");
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' ')) type.remove_suffix(1);
    if (!type.empty() && !equal_ignoring_case(type, "application/json"))
      return error_response(415, "unsupported_media_type", "The body must be application/json.");
  }
  return std::nullopt;
}

std::optional<Response> Router::authenticate(Context& context) {
  const SentAccessToken sent = sent_access_token(context.request);
  context.by_cookie = sent.by_cookie;
  context.access_digests = core_.keys.digest(access_token_domain, sent.token);
  const auto found = core_.store.find_access_token(context.access_digests.all());
  if (!found) return error_response(found.error());
  if (!*found) {
    (void)core_.unknown_access_tokens.count(context.request.peer.limit_key(), core_.clock.now());
    return access_token_invalid();
  }
  if (!core_.views.ready()) return error_response(domain::StoreError::unavailable);
  const auto caller = core_.views.directory.caller((*found)->user_id);
  if (!caller) return access_token_invalid();  // Disabled or deleted.
  context.caller = *caller;
  context.access_expires_at = (*found)->expires_at;
  return std::nullopt;
}

std::optional<Response> Router::check_permission(Context& context) const {
  const domain::Directory& directory = core_.views.directory;
  const Rule& rule = context.route.rule;
  const auto allowed = [&](domain::PermissionSet permissions) {
    if (!rule.permission) return permissions.bits() != 0;
    return permissions.has(*rule.permission) || (rule.alternative && permissions.has(*rule.alternative));
  };
  switch (rule.target) {
    case Target::nothing: return std::nullopt;
    case Target::caller:
      context.organization = context.caller.organization_id;
      context.permissions = directory.permissions_in(context.caller, context.organization);
      return std::nullopt;
    case Target::organization: {
      const auto given = context.arguments.integer("orgId");
      const auto id = given ? to_id<OrganizationId>(*given) : std::optional{context.caller.organization_id};
      if (!id || !directory.in_subtree(*id, context.caller.organization_id)) return not_found();
      context.organization = *id;
      context.permissions = directory.permissions_in(context.caller, *id);
      return allowed(context.permissions) ? std::nullopt : std::optional{forbidden(rule)};
    }
    case Target::device: {
      const auto id = to_id<DeviceId>(context.arguments.integer("deviceId").value_or(0));
      context.access = directory.device_access(context.caller, id.value_or(DeviceId{}));
      if (!id || !context.access.see) return not_found();
      context.device = *id;
      context.organization = context.access.place.organization_id;
      context.permissions = context.access.permissions;
      const bool right = rule.right == DeviceRight::see || (rule.right == DeviceRight::edit ? context.access.edit : context.access.remove);
      if (!right || (rule.permission && !allowed(context.permissions))) return forbidden(rule);
      return std::nullopt;
    }
    case Target::user: {
      const auto id = to_id<UserId>(context.arguments.integer("userId").value_or(0));
      context.user = directory.user(id.value_or(UserId{}));
      if (!context.user || !directory.in_subtree(context.user->organization_id, context.caller.organization_id)) return not_found();
      context.organization = context.user->organization_id;
      context.permissions = directory.permissions_in(context.caller, context.organization);
      if (rule.or_oneself && *id == context.caller.user_id) return std::nullopt;
      return allowed(context.permissions) ? std::nullopt : std::optional{forbidden(rule)};
    }
    case Target::template_: {
      const Json* given = context.arguments.find("templateId");
      std::optional<TemplateId> id;
      if (given->kind == Json::Kind::integer) {
        id = to_id<TemplateId>(given->integer);
      } else {
        id = directory.template_by_tmpl(given->text);
      }
      context.published = directory.find_template(id.value_or(TemplateId{}));
      if (!context.published) return not_found();
      const OrganizationId owner = context.published->organization_id;
      context.organization = owner;
      if (directory.in_subtree(owner, context.caller.organization_id)) {
        context.permissions = directory.permissions_in(context.caller, owner);
        return allowed(context.permissions) ? std::nullopt : std::optional{forbidden(rule)};
      }
      if (!directory.in_subtree(context.caller.organization_id, owner)) return not_found();
      // A template from above: it can be used and seen, and changed only there.
      context.permissions = directory.permissions_in(context.caller, context.caller.organization_id);
      if (rule.permission != Permission::template_view || !allowed(context.permissions)) return forbidden(rule);
      return std::nullopt;
    }
  }
  return not_found();
}

Response Router::run_once(Context& context) const {
  const Route& route = context.route;
  const std::string_view key = context.request.header("Idempotency-Key");
  const bool makes_something = route.method == Method::post && (route.path.ends_with("/create") || route.path.ends_with("/create-in-org"));
  if (key.empty() || !makes_something) return route.handler(context);
  if (key.size() > Idempotency::key_size_max) return invalid_value("Idempotency-Key", "An Idempotency-Key has at most 255 characters.");

  // As an HMAC: the body may hold a password.
  std::string request{route.path};
  request.append("\n").append(context.request.query).append("\n").append(context.request.body);
  const auto fingerprint = core_.keys.digest("idempotency", request).newest().mac;
  const UserId user = context.caller.user_id;
  Idempotency::Made made;
  switch (core_.idempotency.begin(user, key, fingerprint, core_.clock.now(), made)) {
    case Idempotency::Verdict::go_on: break;
    case Idempotency::Verdict::in_flight: {
      Response response = error_response(409, "request_in_flight", "A request with this Idempotency-Key is being done; ask again soon.");
      response.headers.emplace_back("Retry-After", "1");
      return response;
    }
    case Idempotency::Verdict::reused:
      return error_response(409, "idempotency_key_reused", "This Idempotency-Key came with another request before.");
    case Idempotency::Verdict::made: {
      if (made.device) return show_created_device(context, made.device);
      Response response;
      response.status = made.status;
      response.content_type = std::move(made.content_type);
      response.body = std::move(made.body);
      return response;
    }
  }
  struct Forgetter {
    Idempotency& all;
    UserId user;
    std::string_view key;
    bool armed = true;
    ~Forgetter() {
      if (armed) all.forget(user, key);
    }
  } forgetter{core_.idempotency, user, key};
  Response response = route.handler(context);
  if (response.status != 201) return response;
  forgetter.armed = false;
  if (context.made_device) {
    made.device = context.made_device;
  } else {
    made.status = response.status;
    made.content_type = response.content_type;
    made.body = response.body;
  }
  core_.idempotency.finish(user, key, std::move(made), core_.clock.now());
  return response;
}

Response Router::run(const Route& route, const Request& request) {
  if (auto refused = refuse_early(route, request)) return std::move(*refused);
  Context context{core_, request, route, {}, {}, {}, {}, false, {}, {}, {}, {}, {}, {}, {}};
  std::optional<std::string> renewed_cookie;
  if (route.rule.target != Target::nothing) {
    if (auto refused = authenticate(context)) return std::move(*refused);
    if (const auto wait =
            core_.organization_rate.count(static_cast<std::uint64_t>(context.caller.organization_id.value()), core_.clock.now())) {
      core_.metrics.http_throttled_total.add();
      return too_many("too_many_requests", "Your organization sends too many requests; wait and try again.", wait->count());
    }
    // Rolling: renewed at most once a day, so that reading does not become writing.
    const UtcTime now = core_.clock.utc_now();
    const auto life_ms = std::chrono::duration_cast<std::chrono::milliseconds>(core_.options.access_token_life).count();
    if (context.access_expires_at.ms - now.ms < life_ms - 24 * 3'600'000LL) {
      const UtcTime until{now.ms + life_ms};
      if (core_.store.extend_access_token(context.access_digests.all(), until)) {
        context.access_expires_at = until;
        if (context.by_cookie)
          renewed_cookie = session_cookie_header(sent_access_token(request).token, core_.options.access_token_life, request.secure);
      }
    }
  }
  if (auto refused = read_arguments(route, request, context.arguments)) return std::move(*refused);
  if (auto refused = check_permission(context)) return std::move(*refused);
  Response response = run_once(context);
  if (is_unsafe(route.method) && response.status < 400) {
    // The caller's next request, on whatever loop, must see what he has just done.
    if (const auto caught_up = core_.views.catch_up(); !caught_up) log::warning("views_behind", {{"error", caught_up.error().message()}});
  }
  const bool sets_cookie =
      std::any_of(response.headers.begin(), response.headers.end(), [](const auto& header) { return header.first == "Set-Cookie"; });
  if (renewed_cookie && !sets_cookie) response.headers.emplace_back("Set-Cookie", std::move(*renewed_cookie));
  return response;
}

}  // namespace muster::api
