// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <limits>

#include "cloud/api/credential.hpp"
#include "cloud/api/router.hpp"
#include "cloud/api/token_request.hpp"
#include "cloud/base/ip_network.hpp"
#include "cloud/base/log.hpp"
#include "cloud/domain/rules.hpp"

/// What programs come in by: API keys, OAuth2 clients, the token endpoint. docs/guides/api-access.md.
namespace muster::api {

namespace {

using domain::Permission;
using domain::PermissionSet;
using namespace fields;

constexpr std::size_t name_max_chars = 64, addresses_max = 32, redirect_urls_max = 11, redirect_url_max_bytes = 512;
constexpr std::string_view client_id_prefix = "oa2-client-id_";
constexpr std::size_t client_id_random_chars = 32;
constexpr std::int64_t access_life_ms = 24 * 3'600'000LL, refresh_life_ms = 30 * 24 * 3'600'000LL;

// --- shared -----------------------------------------------------------------------------------------------------------------------

std::optional<Response> read_name(const Context& context, std::string& name) {
  name = domain::trim(*context.arguments.text("name"));
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (name.empty() || name.size() > name_max_chars || std::any_of(name.begin(), name.end(), control))
    return invalid_value("name", "A name has 1 to 64 bytes.");
  return std::nullopt;
}

/// Names of permissions, each of which the caller has there: nobody gives away what he lacks.
std::optional<Response> read_scopes(const Context& context, PermissionSet& scopes) {
  const Json& given = *context.arguments.find("scopes");
  if (given.items.empty()) return invalid_value("scopes", "Name at least one permission.");
  for (const Json& item : given.items) {
    const auto permission = item.kind == Json::Kind::text ? domain::parse_permission(item.text) : std::nullopt;
    if (!permission) return invalid_value("scopes", "A scope is the name of a permission, like OWN_DEVICES_VIEW.");
    if (!context.permissions.has(*permission)) {
      std::string message = "You do not have the permission ";
      message.append(domain::permission_name(*permission)).append(" there yourself.");
      return error_response(403, "scope_not_held", message, {{"scopes", message}});
    }
    scopes.add(*permission);
  }
  return std::nullopt;
}

void write_scopes(JsonWriter& json, PermissionSet scopes) {
  json.array("scopes");
  for (std::uint8_t i = 0; i < domain::permission_count; ++i) {
    const auto permission = static_cast<Permission>(i);
    if (scopes.has(permission)) json.item(domain::permission_name(permission));
  }
  json.end_array();
}

/// The thing of this id, when it belongs to the organization that the request is about; else none, as for an unknown id.
template <class IdType, class Find>
Result<bool> belongs_here(const Context& context, std::int64_t id, Find find) {
  if (id < 1 || id > std::numeric_limits<std::int32_t>::max()) return false;
  const auto found = find(IdType{static_cast<std::int32_t>(id)});
  if (!found) return Result<bool>{boost::system::in_place_error, found.error()};
  return *found && (*found)->organization_id == context.organization;
}

// --- API keys -----------------------------------------------------------------------------------------------------------------------

void write_api_key(JsonWriter& json, const domain::ApiKey& key, std::string_view secret) {
  json.object()
      .add("id", key.id.value())
      .add("orgId", key.organization_id.value())
      .add("userId", key.user_id.value())
      .add("name", key.name);
  write_scopes(json, key.scopes);
  json.array("addresses");
  for (const auto& address : key.addresses) json.item(address);
  json.end_array()
      .add("requestsPerMinute", key.requests_per_minute)
      .add("createdAt", key.created_at.ms)
      .add("expiresAt", key.expires_at.ms)
      .add("lastUsedAt", key.last_used_at.ms)
      .add("lastIp", key.last_ip);
  if (!secret.empty()) json.add("secret", secret);
  json.end_object();
}

Response get_api_keys(Context& context) {
  const auto keys = context.core.store.api_keys(context.organization);
  if (!keys) return error_response(keys.error());
  JsonWriter json;
  json.object().array("content");
  for (const auto& key : *keys) write_api_key(json, key, {});
  json.end_array().add("totalElements", keys->size()).end_object();
  return json_response(200, json.take());
}

Response post_api_key(Context& context) {
  Core& core = context.core;
  domain::ApiKey key;
  key.organization_id = context.organization;
  key.user_id = context.caller.user_id;
  if (auto refused = read_name(context, key.name)) return std::move(*refused);
  if (auto refused = read_scopes(context, key.scopes)) return std::move(*refused);
  key.expires_at = {context.arguments.integer("expiresAt").value_or(0)};
  if (key.expires_at.ms != 0 && key.expires_at <= core.clock.utc_now())
    return invalid_value("expiresAt", "This time is over; 0 means never.");
  const auto rate = context.arguments.integer("requestsPerMinute").value_or(0);
  if (rate < 0 || rate > 1'000'000) return invalid_value("requestsPerMinute", "0 (the server's limit) to 1000000.");
  key.requests_per_minute = static_cast<std::uint32_t>(rate);
  if (const Json* const addresses = context.arguments.find("addresses")) {
    if (addresses->items.size() > addresses_max) return invalid_value("addresses", "At most 32 networks.");
    for (const Json& item : addresses->items) {
      if (item.kind != Json::Kind::text || !IpNetwork::parse(item.text))
        return invalid_value("addresses", "An address or a network, like 192.0.2.7 or 2001:db8::/32.");
      key.addresses.push_back(item.text);
    }
  }
  const std::string secret = std::string{api_key_prefix} + make_program_secret(core.random);
  const auto made = core.store.create_api_key(key, core.keys.digest(api_key_domain, secret).newest(), context.actor());
  if (!made) return error_response(made.error());
  context.secret_shown = true;
  JsonWriter json;
  write_api_key(json, *made, secret);
  return json_response(201, json.take());
}

Response delete_api_key(Context& context) {
  domain::Store& store = context.core.store;
  const std::int64_t id = *context.arguments.integer("apiKeyId");
  const auto here = belongs_here<ApiKeyId>(context, id, [&](ApiKeyId key) { return store.find_api_key(key); });
  if (!here) return error_response(here.error());
  if (!*here) return not_found();
  const auto deleted = store.delete_api_key(ApiKeyId{static_cast<std::int32_t>(id)}, context.actor());
  return deleted ? no_content() : error_response(deleted.error());
}

// --- OAuth2 clients -----------------------------------------------------------------------------------------------------------------

void write_client(JsonWriter& json, const domain::OAuthClient& client, std::string_view secret) {
  json.object()
      .add("id", client.id.value())
      .add("orgId", client.organization_id.value())
      .add("userId", client.user_id.value())
      .add("name", client.name)
      .add("clientId", client.client_id);
  write_scopes(json, client.scopes);
  json.array("redirectUrls");
  for (const auto& url : client.redirect_urls) json.item(url);
  json.end_array()
      .add("refreshTokens", client.refresh_tokens)
      .add("createdAt", client.created_at.ms)
      .add("lastUsedAt", client.last_used_at.ms);
  if (!secret.empty()) json.add("clientSecret", secret);
  json.end_object();
}

Response get_clients(Context& context) {
  const auto clients = context.core.store.oauth_clients(context.organization);
  if (!clients) return error_response(clients.error());
  JsonWriter json;
  json.object().array("content");
  for (const auto& client : *clients) write_client(json, client, {});
  json.end_array().add("totalElements", clients->size()).end_object();
  return json_response(200, json.take());
}

Response post_client(Context& context) {
  Core& core = context.core;
  domain::OAuthClient client;
  client.organization_id = context.organization;
  client.user_id = context.caller.user_id;
  client.refresh_tokens = context.arguments.flag("refreshTokens", true);
  if (auto refused = read_name(context, client.name)) return std::move(*refused);
  if (auto refused = read_scopes(context, client.scopes)) return std::move(*refused);
  if (const Json* const urls = context.arguments.find("redirectUrls")) {
    if (urls->items.size() > redirect_urls_max) return invalid_value("redirectUrls", "At most 11 URLs.");
    for (const Json& item : urls->items) {
      const bool is_url = item.kind == Json::Kind::text && (item.text.starts_with("https://") || item.text.starts_with("http://")) &&
                          item.text.size() <= redirect_url_max_bytes && item.text.find_first_of(" \t\r\n") == std::string::npos;
      if (!is_url) return invalid_value("redirectUrls", "A URL begins with https:// or http:// and has at most 512 bytes.");
      client.redirect_urls.push_back(item.text);
    }
  }
  client.client_id = std::string{client_id_prefix} + make_program_secret(core.random).substr(0, client_id_random_chars);
  const std::string secret = make_program_secret(core.random);
  const auto made = core.store.create_oauth_client(client, core.keys.digest(oauth_secret_domain, secret).newest(), context.actor());
  if (!made) return error_response(made.error());
  context.secret_shown = true;
  JsonWriter json;
  write_client(json, *made, secret);
  return json_response(201, json.take());
}

/// Its id, when it is one of this organization's.
std::optional<Response> find_client(Context& context, OAuthClientId& id) {
  const std::int64_t given = *context.arguments.integer("oauthClientId");
  const auto here =
      belongs_here<OAuthClientId>(context, given, [&](OAuthClientId client) { return context.core.store.find_oauth_client(client); });
  if (!here) return error_response(here.error());
  if (!*here) return not_found();
  id = OAuthClientId{static_cast<std::int32_t>(given)};
  return std::nullopt;
}

Response delete_client(Context& context) {
  OAuthClientId id;
  if (auto refused = find_client(context, id)) return std::move(*refused);
  const auto deleted = context.core.store.delete_oauth_client(id, context.actor());
  return deleted ? no_content() : error_response(deleted.error());
}

Response put_client_secret(Context& context) {
  OAuthClientId id;
  if (auto refused = find_client(context, id)) return std::move(*refused);
  Core& core = context.core;
  const std::string secret = make_program_secret(core.random);
  const auto set = core.store.set_oauth_secret(id, core.keys.digest(oauth_secret_domain, secret).newest(), context.actor());
  if (!set) return error_response(set.error());
  JsonWriter json;
  json.object().add("id", id.value()).add("clientSecret", secret).end_object();
  return json_response(200, json.take());
}

Response delete_client_tokens(Context& context) {
  OAuthClientId id;
  if (auto refused = find_client(context, id)) return std::move(*refused);
  const auto ended = context.core.store.end_oauth_tokens(id, context.actor());
  return ended ? no_content() : error_response(ended.error());
}

// --- the token endpoint -----------------------------------------------------------------------------------------------------------------

Response token_error(unsigned status, std::string_view code, std::string_view description, bool by_basic = false) {
  JsonWriter json;
  json.object().add("error", code).add("error_description", description).end_object();
  Response response = json_response(status, json.take());
  response.headers.emplace_back("Pragma", "no-cache");
  if (status == 401 && by_basic) response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"muster\"");
  return response;
}

Response post_token(Context& context) {
  Core& core = context.core;
  const Request& request = context.request;
  const std::uint64_t address = request.peer.limit_key();
  if (const auto wait = core.unknown_access_tokens.peek(address, core.clock.now())) {
    core.metrics.http_throttled_total.add();
    Response response = token_error(429, "slow_down", "Too many wrong clients or tokens from this address; wait and try again.");
    response.headers.emplace_back("Retry-After", std::to_string(std::max<long long>(1, wait->count())));
    return response;
  }
  const auto read = read_token_request(request.query, request.body, request.header("Authorization"), request.header("Content-Type"));
  const bool sent_basic = !request.header("Authorization").empty();
  if (const auto* const error = std::get_if<TokenError>(&read))
    return token_error(error->code == "invalid_client" ? 401 : 400, error->code, error->description, sent_basic);
  const auto& wanted = std::get<TokenRequest>(read);
  if (wanted.grant_type != "client_credentials" && wanted.grant_type != "refresh_token") {
    return token_error(400, "unsupported_grant_type",
                       "There are client_credentials and refresh_token; people sign in with POST /api/v1/session.");
  }
  const auto trouble = [] {
    Response response = token_error(503, "temporarily_unavailable", "The server cannot reach its store now; try again soon.");
    response.headers.emplace_back("Retry-After", "1");
    return response;
  };
  if (!core.views.ready()) return trouble();
  const auto digests = core.keys.digest(oauth_secret_domain, wanted.client_secret);
  const auto client = core.store.find_oauth_client(wanted.client_id, digests.all());
  if (!client) return trouble();
  if (!*client) {
    (void)core.unknown_access_tokens.count(address, core.clock.now());
    return token_error(401, "invalid_client", "This client is unknown, or its secret is wrong.", wanted.by_basic);
  }
  const domain::OAuthClient& who = **client;
  if (const auto wait = core.organization_rate.count(static_cast<std::uint64_t>(who.organization_id.value()), core.clock.now())) {
    core.metrics.http_throttled_total.add();
    Response response = token_error(429, "slow_down", "This organization sends too many requests; wait and try again.");
    response.headers.emplace_back("Retry-After", std::to_string(std::max<long long>(1, wait->count())));
    return response;
  }
  if (!program_caller(core.views.directory, who.user_id, who.organization_id, who.scopes))
    return token_error(400, "unauthorized_client", "Whoever made this client is disabled, or can no longer act in its organization.");

  const UtcTime now = core.clock.utc_now();
  const domain::Actor actor{.user_id = who.user_id,
                            .organization_id = who.organization_id,
                            .client = client_name(request, false),
                            .ip = request.peer.text(),
                            .at = now,
                            .oauth_client_id = who.id};
  const std::string access = make_program_secret(core.random);
  const std::string refresh = who.refresh_tokens ? make_program_secret(core.random) : std::string{};
  domain::NewOAuthTokens tokens;
  tokens.access = core.keys.digest(oauth_access_domain, access).newest();
  tokens.access_expires_at = {now.ms + access_life_ms};
  if (!refresh.empty()) tokens.refresh = core.keys.digest(oauth_refresh_domain, refresh).newest();
  tokens.refresh_expires_at = {now.ms + refresh_life_ms};
  if (wanted.grant_type == "client_credentials") {
    if (const auto issued = core.store.issue_oauth_tokens(who.id, tokens, actor); !issued) return trouble();
  } else {
    if (wanted.refresh_token.empty()) return token_error(400, "invalid_request", "refresh_token is missing.");
    const auto sent = core.keys.digest(oauth_refresh_domain, wanted.refresh_token);
    const auto verdict = core.store.refresh_oauth_tokens(who.id, sent.all(), tokens, actor);
    if (!verdict) return trouble();
    if (*verdict == domain::RefreshVerdict::reused) {
      log::warning("oauth_refresh_token_reused", {{"client", who.client_id}, {"ip", request.peer.text()}});
      if (!core.views.catch_up()) log::warning("views_behind");
      return token_error(400, "invalid_grant", "This refresh token was used before; all tokens that came from it have ended.");
    }
    if (*verdict == domain::RefreshVerdict::unknown) {
      (void)core.unknown_access_tokens.count(address, core.clock.now());
      return token_error(400, "invalid_grant", "This refresh token is unknown, expired or ended.");
    }
  }
  JsonWriter json;
  json.object().add("access_token", access).add("token_type", "Bearer").add("expires_in", access_life_ms / 1000);
  if (!refresh.empty()) json.add("refresh_token", refresh);
  std::string scope;
  for (std::uint8_t i = 0; i < domain::permission_count; ++i) {
    const auto permission = static_cast<Permission>(i);
    if (who.scopes.has(permission)) scope.append(scope.empty() ? "" : " ").append(domain::permission_name(permission));
  }
  json.add("scope", scope).end_object();
  Response response = json_response(200, json.take());
  response.headers.emplace_back("Pragma", "no-cache");
  return response;
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field list_fields[] = {org_id};
constexpr Field api_key_fields[] = {org_id,
                                    text("name", true),
                                    Field{"scopes", FieldType::array, Field::Place::body, true},
                                    list("addresses"),
                                    integer("expiresAt"),
                                    integer("requestsPerMinute")};
constexpr Field api_key_id_fields[] = {org_id, Field{"apiKeyId", FieldType::integer, Field::Place::both, true}};
constexpr Field client_fields[] = {org_id, text("name", true), Field{"scopes", FieldType::array, Field::Place::body, true},
                                   list("redirectUrls"), flag("refreshTokens")};
constexpr Field client_id_fields[] = {org_id, Field{"oauthClientId", FieldType::integer, Field::Place::both, true}};

constexpr Rule on_access(Permission permission) noexcept { return people_only(on_organization(permission)); }

constexpr Route routes[] = {
    {Method::get, "/api/v1/apikeys", on_access(Permission::oauth_view), Lane::api, list_fields, get_api_keys},
    {Method::post, "/api/v1/apikeys/create", on_access(Permission::oauth_create), Lane::api, api_key_fields, post_api_key},
    {Method::delete_, "/api/v1/apikey", on_access(Permission::oauth_delete), Lane::api, api_key_id_fields, delete_api_key},
    {Method::get, "/api/v1/oauth/clients", on_access(Permission::oauth_view), Lane::api, list_fields, get_clients},
    {Method::post, "/api/v1/oauth/clients/create", on_access(Permission::oauth_create), Lane::api, client_fields, post_client},
    {Method::put, "/api/v1/oauth/client/secret", on_access(Permission::oauth_edit), Lane::api, client_id_fields, put_client_secret},
    {Method::delete_, "/api/v1/oauth/client/tokens", on_access(Permission::oauth_edit), Lane::api, client_id_fields, delete_client_tokens},
    {Method::delete_, "/api/v1/oauth/client", on_access(Permission::oauth_delete), Lane::api, client_id_fields, delete_client},
    {Method::post, "/oauth2/token", public_rule(), Lane::api, {}, post_token, BodyKind::form},
    {Method::post, "/api/v1/oauth2/token", public_rule(), Lane::api, {}, post_token, BodyKind::form},
};

}  // namespace

std::span<const Route> access_routes() noexcept { return routes; }

}  // namespace muster::api
