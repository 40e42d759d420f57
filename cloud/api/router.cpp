// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/router.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_map>

#include "cloud/api/credential.hpp"
#include "cloud/api/people/known_device.hpp"
#include "cloud/api/query.hpp"
#include "cloud/base/ip_network.hpp"
#include "cloud/base/log.hpp"
#include "cloud/domain/rules.hpp"

namespace muster::api {
namespace {

constexpr std::string_view device_prefix = "/api/v1/organization/device", device_alias = "/api/v1/device";

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

std::span<const Route> route_table() noexcept {
  static const std::vector<Route> all = [] {
    std::vector<Route> routes;
    for (const auto part : {session_routes(), organization_routes(), role_routes(), user_routes(), people_routes(), template_routes(),
                            device_routes(), transfer_routes(), job_routes(), provision_routes(), audit_routes(), access_routes(),
                            timeline_routes(), webhook_routes()})
      routes.insert(routes.end(), part.begin(), part.end());
    return routes;
  }();
  return all;
}

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
  if (route.body == BodyKind::form) return std::nullopt;
  for (const Field& field : route.fields) {
    if (field.place != Field::Place::path) continue;
    const auto id = path_parameter(route.path, request.path);
    if (const auto value = id ? parse_integer(*id) : std::nullopt) out.all_.members.emplace_back(std::string{field.name}, Json::of(*value));
  }
  QueryReader query{request.query};
  QueryReader::Pair pair;
  while (query.next(pair)) {
    const std::string name = percent_decoded(pair.name);
    const Field* field = find_field(route.fields, name);
    if (field == nullptr || field->place == Field::Place::body || field->place == Field::Place::path) {
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
      if (field == nullptr || field->place == Field::Place::query || field->place == Field::Place::path)
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
  return {caller.user_id, where, client_name(request, by_cookie), request.peer.text(), core.clock.utc_now(), api_key_id, oauth_client_id};
}

std::string client_name(const Request& request, bool by_cookie) {
  if (by_cookie || !request.header("Sec-Fetch-Site").empty()) return "Web";
  return request.header("User-Agent").starts_with("muster-cli/") ? "CLI" : "HTTPS API";
}

bool looks_like_access_token(std::string_view text) noexcept { return credential_kind(text) != CredentialKind::none; }

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
    for (const Route& route : route_table()) made[route.path].push_back(&route);
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
      for (const Route& route : route_table()) {
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
    const auto wait = core_.sign_in_throttle.address_blocked(request.peer.limit_key(), core_.clock.now());
    // A device that signed in before is counted by itself, wherever it is.
    if (wait && !is_known_device(core_, sent_known_device(request))) {
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
  if (!request.body.empty() && route.body == BodyKind::json) {
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
  if (credential_kind(sent.token) != CredentialKind::session) return authenticate_program(context, sent.token);
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

std::optional<Response> Router::authenticate_program(Context& context, std::string_view token) {
  if (context.by_cookie) return access_token_invalid();
  if (!core_.views.ready()) return error_response(domain::StoreError::unavailable);
  const UtcTime now = core_.clock.utc_now();
  const CredentialKind kind = credential_kind(token);
  context.access_digests = digest_credential(core_.keys, kind, token);
  const auto found = find_program(core_.store, core_.views.directory, kind, context.access_digests.all(), now);
  if (!found) return error_response(found.error());
  if (!*found) {
    (void)core_.unknown_access_tokens.count(context.request.peer.limit_key(), core_.clock.now());
    return access_token_invalid();
  }
  const Program& program = **found;
  if (!program.addresses.empty() && std::none_of(program.addresses.begin(), program.addresses.end(), [&](const std::string& text) {
        const auto network = IpNetwork::parse(text);
        return network && network->contains(context.request.peer);
      })) {
    return error_response(403, "address_not_allowed", "This API key may not be used from your address.");
  }
  const std::uint64_t counted =
      (program.api_key_id ? std::uint64_t{1} << 40 : std::uint64_t{2} << 40) |
      static_cast<std::uint64_t>(program.api_key_id ? program.api_key_id.value() : program.oauth_client_id.value());
  const unsigned most = program.requests_per_minute != 0 ? program.requests_per_minute : core_.options.requests_per_minute_per_key;
  if (const auto wait = core_.program_rate.count(counted, core_.clock.now(), most)) {
    core_.metrics.http_throttled_total.add();
    return too_many("too_many_requests", "This key sends too many requests; wait and try again.", wait->count());
  }
  if (program.api_key_id) core_.key_uses.note(program.api_key_id, now, context.request.peer.text());
  context.api_key_id = program.api_key_id;
  context.oauth_client_id = program.oauth_client_id;
  context.caller = program.caller;
  context.access_expires_at = program.expires_at;
  return std::nullopt;
}

std::optional<Response> read_organization(const Context& context, std::string_view field, domain::Permission permission,
                                          OrganizationId& out) {
  const domain::Directory& directory = context.core.views.directory;
  const auto id = to_id<OrganizationId>(context.arguments.integer(field).value_or(0));
  if (!id || !directory.in_subtree(*id, context.caller.organization_id)) return not_found();
  Rule rule;
  rule.permission = permission;
  if (!directory.permissions_in(context.caller, *id).has(permission)) return forbidden(rule);
  out = *id;
  return std::nullopt;
}

std::optional<Response> Router::check_permission(Context& context) const {
  const domain::Directory& directory = core_.views.directory;
  const Rule& rule = context.route.rule;
  const auto allowed = [&](domain::PermissionSet permissions) {
    if (!rule.permission) return permissions.bits() != 0;
    return permissions.has(*rule.permission) || (rule.alternative && permissions.has(*rule.alternative));
  };
  if (context.is_program() && !rule.programs)
    return error_response(403, "people_only", "Only a signed-in person may do this, no API key and no OAuth2 client.");
  switch (rule.target) {
    case Target::nothing: return std::nullopt;
    case Target::caller:
      context.organization = context.caller.organization_id;
      context.permissions = directory.permissions_in(context.caller, context.organization);
      if (context.is_program() && rule.permission && !allowed(context.permissions)) return forbidden(rule);
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
      if (rule.or_oneself && *id == context.caller.user_id && !context.is_program()) return std::nullopt;
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
      if (rule.permission != domain::Permission::template_view || !allowed(context.permissions)) return forbidden(rule);
      return std::nullopt;
    }
  }
  return not_found();
}

Response Router::run_once(Context& context) const {
  const Route& route = context.route;
  const std::string_view key = context.request.header("Idempotency-Key");
  const bool makes_something = route.method == Method::post && route.rule.target != Target::nothing;
  if (key.empty() || !makes_something) return route.handler(context);
  if (key.size() > Idempotency::key_size_max) return invalid_value("Idempotency-Key", "An Idempotency-Key has at most 255 characters.");

  // As an HMAC: the body may hold a password.
  std::string request{route.path};
  request.append("\n").append(context.request.query).append("\n").append(context.request.body);
  const auto fingerprint = core_.keys.digest("idempotency", request).newest().mac;
  // Keys of programs are their own: two of one person's never meet.
  const UserId user{context.api_key_id        ? -2 * std::int64_t{context.api_key_id.value()}
                    : context.oauth_client_id ? -2 * std::int64_t{context.oauth_client_id.value()} - 1
                                              : context.caller.user_id.value()};
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
      if (made.status == 409)
        return error_response(409, "already_done", "This was done with the same Idempotency-Key before; its secret was shown then.");
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
  if (response.status < 200 || response.status >= 300) return response;
  forgetter.armed = false;
  if (context.secret_shown) {
    made.status = 409;  // Kept is that it was done, never the secret.
  } else if (context.made_device) {
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
    if (!context.is_program()) {
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
