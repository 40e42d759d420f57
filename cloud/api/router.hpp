// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/api/api.hpp"
#include "cloud/api/core.hpp"
#include "cloud/api/errors.hpp"
#include "cloud/api/json.hpp"
#include "cloud/domain/permission.hpp"

/// The route table and the way that every request of /api/v1 goes: route, credentials, limits, shape, the one permission check, handler.
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
};

[[nodiscard]] constexpr Rule public_rule() noexcept { return {}; }
[[nodiscard]] constexpr Rule signed_in() noexcept { return {Target::caller, {}, {}, {}, false}; }
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

struct Route {
  Method method = Method::get;
  std::string_view path;
  Rule rule;
  Lane lane = Lane::api;
  std::span<const Field> fields;
  Response (*handler)(Context&) = nullptr;
};

/// Of a request that needs no access token: an email, a password of 1024 bytes however it is escaped, a name.
inline constexpr std::size_t public_body_size_max_bytes = 8'192;

/// Every route of /api/v1 but the stream.
[[nodiscard]] std::span<const Route> route_table() noexcept;

/// The fields of one request, from query and body, with the types that the route declares.
class Arguments {
 public:
  [[nodiscard]] const Json* find(std::string_view name) const noexcept { return all_.find(name); }
  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name) const;
  [[nodiscard]] bool flag(std::string_view name, bool fallback = false) const;
  [[nodiscard]] const Json& as_object() const noexcept { return all_; }

 private:
  friend std::optional<Response> read_arguments(const Route& route, const Request& request, Arguments& out);
  Json all_;
};

/// Reads and checks shape and types; a response when something is wrong, naming each field.
[[nodiscard]] std::optional<Response> read_arguments(const Route& route, const Request& request, Arguments& out);
/// Complains about unknown members and wrong types of a nested object; `where` is what it is called ("home", "datastreams[2]").
void check_members(const Json& object, std::span<const Field> fields, const std::string& where, std::vector<Detail>& details);

/// One authenticated request on its way.
struct Context {
  Core& core;
  const Request& request;
  const Route& route;
  Arguments arguments;

  domain::Caller caller;        ///< Set for all rules but the public one.
  TokenDigests access_digests;  ///< Of the access token that was sent.
  UtcTime access_expires_at;
  bool by_cookie = false;

  OrganizationId organization;                                 ///< Of the target.
  domain::PermissionSet permissions;                           ///< The caller's there.
  DeviceId device;                                             ///< For rules on a device.
  domain::Directory::DeviceAccess access;                      ///< For rules on a device.
  std::optional<domain::User> user;                            ///< For rules on a user.
  DeviceId made_device;                                        ///< Set by create_device: its answer shows an AuthToken.
  std::shared_ptr<const domain::PublishedTemplate> published;  ///< For rules on a template. Shared as in Directory::find_template.

  [[nodiscard]] domain::Actor actor() const;
  [[nodiscard]] domain::Actor actor_in(OrganizationId where) const;
};

/// Who the request comes from, for the audit log: "Web", "CLI" or "HTTPS API".
[[nodiscard]] std::string client_name(const Request& request, bool by_cookie);

/// The access token of a request: Bearer, else the cookie. Borrows from the request.
struct SentAccessToken {
  std::string_view token;
  bool by_cookie = false;
};
/// An access token is 43 characters of base64url; anything else needs no look-up.
[[nodiscard]] bool looks_like_access_token(std::string_view text) noexcept;
[[nodiscard]] SentAccessToken sent_access_token(const Request& request) noexcept;
/// True when a request with the cookie comes from a page of this server: Origin names the host that the request came to, or the public URL.
[[nodiscard]] bool origin_is_ours(const Request& request, std::string_view public_url) noexcept;
[[nodiscard]] std::string session_cookie_header(std::string_view token, std::chrono::seconds life, bool secure);

class Router {
 public:
  explicit Router(Core& core) : core_{core} {}
  /// The route's table entry, also under its alias. Sets `refusal` (404, 405) when there is none.
  [[nodiscard]] const Route* find(const Request& request, std::optional<Response>& refusal) const;
  /// What can be said without the store: credentials missing, foreign Origin, wrong media type, throttled.
  [[nodiscard]] std::optional<Response> refuse_early(const Route& route, const Request& request) const;
  /// Blocks.
  [[nodiscard]] Response run(const Route& route, const Request& request);

 private:
  [[nodiscard]] std::optional<Response> authenticate(Context& context);
  [[nodiscard]] std::optional<Response> check_permission(Context& context) const;
  /// The handler, at most once for each Idempotency-Key.
  [[nodiscard]] Response run_once(Context& context) const;
  Core& core_;
};

// --- paging, shared by the lists ----------------------------------------------------------------------------------------------
inline constexpr std::int64_t page_size_default = 50, page_size_max = 1000;
/// Reads page, size, query, sortBy and sortOrder.
[[nodiscard]] std::optional<Response> read_page(const Arguments& arguments, domain::Page& page);

// --- handlers, one file a resource ---------------------------------------------------------------------------------------------
Response post_setup(Context&);
Response post_session(Context&);
Response get_session(Context&);
Response delete_session(Context&);

Response get_organization_profile(Context&);
Response get_organization(Context&);
Response put_organization(Context&);
Response delete_organization(Context&);
Response get_sub_organizations(Context&);
Response search_organizations(Context&);
Response create_organization(Context&);

Response get_users(Context&);
Response get_user(Context&);
Response get_user_profile(Context&);
Response put_user(Context&);
Response delete_user(Context&);
Response create_user_in_organization(Context&);
Response put_user_role(Context&);
Response suspend_user(Context&);
Response activate_user(Context&);
Response put_user_password(Context&);
Response get_roles(Context&);

Response get_templates(Context&);
Response get_template(Context&);
Response create_template(Context&);
Response put_template(Context&);
Response delete_template(Context&);
Response get_datastreams(Context&);
Response create_datastream(Context&);
Response put_datastream(Context&);
Response delete_datastream(Context&);
Response get_meta_fields(Context&);
Response create_meta_field(Context&);
Response put_meta_field(Context&);
Response delete_meta_field(Context&);
Response get_events(Context&);
Response create_event(Context&);
Response put_event(Context&);
Response delete_event(Context&);

Response get_devices(Context&);
Response get_device(Context&);
Response create_device(Context&);
/// Answers as create_device did; the AuthToken is revealed anew, and so the audit log says.
Response show_created_device(Context&, DeviceId);
Response put_device(Context&);
Response put_device_home(Context&);
Response delete_device(Context&);
Response get_device_online(Context&);
Response get_device_token(Context&);
Response put_device_token(Context&);
Response get_device_metadata(Context&);
Response post_device_metadata(Context&);

Response create_provision_token(Context&);
Response create_reprovision_token(Context&);
Response reconfigure_device(Context&);
Response get_provision_sessions(Context&);
Response get_provision_session(Context&);
Response post_provision_step(Context&);
Response delete_provision_session(Context&);

Response get_audit(Context&);

/// A template that devices of `organization` can follow: its own or one of an organization above it. Shared as in
/// Directory::find_template.
[[nodiscard]] std::shared_ptr<const domain::PublishedTemplate> usable_template(const Core& core, const Json& given,
                                                                               OrganizationId organization);
/// Whose business a provisioning session is; asked again for each row of the live stream.
[[nodiscard]] bool may_see_provision_session(const domain::Directory& directory, const domain::Caller& caller,
                                             const domain::ProvisionSession& session);

// --- shared pieces of JSON --------------------------------------------------------------------------------------------------------
inline constexpr Field home_fields[] = {{"host", FieldType::text}, {"portPlain", FieldType::integer}, {"portTls", FieldType::integer}};
void write_home(JsonWriter& json, const domain::Home& home);
/// Only what `object` names is changed. A response when a value is not allowed.
[[nodiscard]] std::optional<Response> read_home(const Json& object, domain::Home& home);

/// As in the API: "Text", "DeviceEUI", ...
[[nodiscard]] std::string_view meta_field_type_word(domain::MetaFieldType type);

/// Issues an access token for a user who has just proved who he is. Blocks.
struct IssuedAccessToken {
  std::string token;
  UtcTime expires_at;
};
[[nodiscard]] Result<IssuedAccessToken> issue_access_token(Core& core, UserId user, const domain::Actor& actor);
[[nodiscard]] Response signed_in_response(Core& core, const Request& request, const IssuedAccessToken& issued, UserId user,
                                          OrganizationId organization);
/// Keys that the sign-in throttle counts by.
[[nodiscard]] std::uint64_t account_key(const Core& core, std::string_view email);

}  // namespace muster::api
