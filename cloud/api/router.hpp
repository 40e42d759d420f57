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
#include "cloud/api/route.hpp"
#include "cloud/domain/permission.hpp"

/// The route table and the way that every request of /api/v1 goes: route, credentials, limits, shape, the one permission check, handler.
namespace muster::api {

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

  OrganizationId organization;             ///< Of the target.
  domain::PermissionSet permissions;       ///< The caller's there.
  DeviceId device;                         ///< For rules on a device.
  domain::Directory::DeviceAccess access;  ///< For rules on a device.
  std::optional<domain::User> user;        ///< For rules on a user.
  DeviceId made_device;                    ///< Set by create_device: its answer shows an AuthToken.
  bool secret_shown = false;               ///< The answer holds a secret that cannot be shown again.
  ApiKeyId api_key_id{};                   ///< What a program came in with: a key ...
  OAuthClientId oauth_client_id{};         ///< ... or a client's access token.
  [[nodiscard]] bool is_program() const noexcept { return api_key_id || oauth_client_id; }
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
/// Whether it has the shape of an access token or an API key; anything else needs no look-up.
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
  [[nodiscard]] std::optional<Response> authenticate_program(Context& context, std::string_view token);
  [[nodiscard]] std::optional<Response> check_permission(Context& context) const;
  /// The handler, at most once for each Idempotency-Key.
  [[nodiscard]] Response run_once(Context& context) const;
  Core& core_;
};

// --- paging, shared by the lists ----------------------------------------------------------------------------------------------
inline constexpr std::int64_t page_size_default = 50, page_size_max = 1000;
/// Reads page, size, query, sortBy and sortOrder.
[[nodiscard]] std::optional<Response> read_page(const Arguments& arguments, domain::Page& page);

// --- what the files of several resources use -------------------------------------------------------------------------------------
/// Answers as create_device did; the AuthToken is revealed anew, and so the audit log says.
Response show_created_device(Context&, DeviceId);

/// A device as the API shows it; `token` only when the caller may see it.
[[nodiscard]] Response device_response(const Core& core, unsigned status, const domain::Device& device, std::string_view token = {});
/// Reads `orgId`-like fields: an organization within the caller's, or a 404. `permission`: what he needs there, or a 403.
[[nodiscard]] std::optional<Response> read_organization(const Context& context, std::string_view field, domain::Permission permission,
                                                        OrganizationId& out);

/// Reads whom a device goes to: within the caller's organizations, where he may give devices; else 404 or 403.
[[nodiscard]] std::optional<Response> read_new_owner(const Context& context, std::string_view field, domain::DeviceDestination& to);

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
                                          OrganizationId organization, std::string_view known_device = {});
/// Like en_US.
[[nodiscard]] bool is_locale(std::string_view text) noexcept;

/// The role named by roleId or role, which must not allow more than the caller may do in the organization of the context.
struct RoleChoice {
  std::optional<domain::Role> role;
  std::optional<Response> refusal;
};
[[nodiscard]] RoleChoice read_role(Context& context, const std::vector<domain::Role>& roles, std::optional<RoleId> fallback);
/// A caller cannot act on somebody whose role allows more than his own does there.
[[nodiscard]] std::optional<Response> refuse_stronger(const Context& context);

/// Keys that the sign-in throttle counts by.
[[nodiscard]] std::uint64_t account_key(const Core& core, std::string_view email);

}  // namespace muster::api
