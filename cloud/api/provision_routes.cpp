// SPDX-License-Identifier: Apache-2.0
// Provisioning: tokens for devices that are being set up, and the flight recorder of how that went.
#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "cloud/api/provision_json.hpp"
#include "cloud/api/router.hpp"
#include "cloud/base/auth_token.hpp"
#include "cloud/domain/provision_session_life_cycle.hpp"
#include "cloud/domain/rules.hpp"

namespace muster::api {
namespace {

using domain::Permission;
using Place = Field::Place;
using namespace fields;

using domain::Permission;
using domain::ProvisionSession;
using domain::ProvisionStep;
using domain::StepSource;

constexpr std::size_t name_size_max_bytes = 60;  ///< Of `client` and `uid`.
constexpr std::size_t step_size_max_chars = 40, message_size_max_bytes = 200;
/// Older agents keep the host in 34 bytes.
constexpr std::size_t host_length_max_chars = 33;
/// Stock agents know no others.
constexpr std::array<std::uint16_t, 2> ports_dialed_plain{80, 8080}, ports_dialed_tls{443, 9443};

std::uint16_t best_port(const std::vector<std::uint16_t>& ports, const std::array<std::uint16_t, 2>& dialed) {
  for (const auto port : dialed) {
    if (std::find(ports.begin(), ports.end(), port) != ports.end()) return port;
  }
  return ports.empty() ? std::uint16_t{0} : ports.front();
}

/// Where the device shall dial.
struct Address {
  std::string host;
  std::uint16_t port_tls = 0, port_plain = 0;
};

/// `host[:port]` or `[v6]:port`, taken apart; port 0: none given.
Address split(std::string_view authority) {
  Address out;
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto end = std::min(authority.find(']'), authority.size());
    out.host = authority.substr(1, end - 1);
    if (authority.substr(end).starts_with("]:")) port = authority.substr(end + 2);
  } else {
    const auto colon = authority.find(':');
    out.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon + 1);
  }
  std::from_chars(port.data(), port.data() + port.size(), out.port_tls);
  return out;
}

Address address_for_devices(const Core& core, const Request& request) {
  const auto& options = core.options;
  // Every listener speaks TLS; the plain ones both.
  const auto& tls = options.ports_tls.empty() ? options.ports_plain : options.ports_tls;
  Address out;
  if (options.public_url.empty()) {
    out = split(request.local_address);
    out.port_tls = best_port(tls, ports_dialed_tls);
    out.port_plain = best_port(options.ports_plain, ports_dialed_plain);
    return out;
  }
  std::string_view url = options.public_url;
  const bool secure = url.starts_with("https://");
  url.remove_prefix(std::min(url.size(), url.find("://") + 3));
  out = split(url.substr(0, url.find_first_of("/?#")));
  const std::uint16_t port = out.port_tls;
  out.port_tls = secure ? (port != 0 ? port : std::uint16_t{443}) : best_port(tls, ports_dialed_tls);
  out.port_plain = secure ? best_port(options.ports_plain, ports_dialed_plain) : (port != 0 ? port : std::uint16_t{80});
  return out;
}

std::vector<std::string_view> warnings_about(const Address& address) {
  std::vector<std::string_view> out;
  const auto is_among = [](std::uint16_t port, const auto& ports) { return std::find(ports.begin(), ports.end(), port) != ports.end(); };
  if (address.host.size() > host_length_max_chars) out.emplace_back("host_too_long");
  if (!is_among(address.port_tls, ports_dialed_tls) && !is_among(address.port_plain, ports_dialed_plain))
    out.emplace_back("port_not_dialed");
  const auto ip = IpAddress::parse(address.host);
  if (address.host == "localhost" || address.host.starts_with("127.") || (ip && ip->text() == "::1")) out.emplace_back("host_is_loopback");
  return out;
}

std::optional<Response> read_name(const Context& context, std::string_view field, std::string& out) {
  out = context.arguments.text(field).value_or("");
  if (out.size() > name_size_max_bytes || !domain::is_printable_text(out))
    return invalid_value(field, std::string{field} + " has at most 60 bytes of text, without control characters.");
  return std::nullopt;
}

Response issue(Context& context, domain::NewProvisionSession& wanted) {
  Core& core = context.core;
  if (auto refused = read_name(context, "client", wanted.client)) return std::move(*refused);
  if (auto refused = read_name(context, "uid", wanted.uid)) return std::move(*refused);
  if (wanted.client.empty()) wanted.client = client_name(context.request, context.by_cookie);
  // A token that is canceled again frees its place among the open ones, but not the device id that was reserved for it.
  if (const auto wait = core.provision_tokens.count(static_cast<std::uint64_t>(context.caller.user_id.value()), core.clock.now())) {
    core.metrics.http_throttled_total.add();
    return too_many("too_many_requests", "You have asked for too many provisioning tokens; wait and try again.", wait->count());
  }
  const domain::Actor actor = context.actor();
  wanted.expires_at = {actor.at.ms + std::chrono::duration_cast<std::chrono::milliseconds>(core.options.provision_token_life).count()};
  wanted.open_max = core.options.provision_sessions_open_max;
  const AuthToken token = AuthToken::generate(core.random);
  const TokenDigests digests = core.keys.digest(auth_token_domain, token.reveal());
  const domain::NewToken issued{digests.newest(), digests.all(), core.keys.seal(auth_token_domain, token.reveal(), core.random)};
  const auto session = core.store.create_provision_session(wanted, issued, actor);
  if (!session) return error_response(session.error());
  core.metrics.provision_sessions_created_total.add();
  const Address address = address_for_devices(core, context.request);
  JsonWriter json;
  json.object()
      .add("token", token.reveal())
      .add("deviceId", session->device_id.value())
      .add("sessionId", session->id.value())
      .add("host", address.host)
      .add("port", address.port_tls)
      .add("portPlain", address.port_plain)
      .add("expiresAt", session->expires_at.ms)
      .array("warnings");
  for (const auto warning : warnings_about(address)) json.item(warning);
  json.end_array().end_object();
  context.secret_shown = true;  // The AuthToken.
  return json_response(201, json.take());
}

Response reissue(Context& context, DeviceId device) {
  const auto access = context.core.views.directory.device_access(context.caller, device);
  if (!access.see) return not_found();
  if (!access.edit || !access.permissions.has(Permission::provision_devices))
    return error_response(403, "forbidden", "This needs the permission PROVISION_DEVICES and the right to edit the device.");
  context.organization = access.place.organization_id;
  domain::NewProvisionSession wanted;
  wanted.device_id = device;
  return issue(context, wanted);
}

/// May look at it: who made or owns it, and who may see the organization's sessions.
bool may_see(const domain::Directory& directory, const domain::Caller& caller, const ProvisionSession& session) {
  if (session.created_by == caller.user_id || (session.owner_id && session.owner_id == caller.user_id)) return true;
  return directory.permissions_in(caller, session.organization_id).has(Permission::provision_sessions_view);
}
/// May change it: who made it, and who could have made it and sees it.
bool may_change(const Core& core, const domain::Caller& caller, const ProvisionSession& session) {
  if (session.created_by == caller.user_id) return true;
  return core.views.directory.permissions_in(caller, session.organization_id).has(Permission::provision_devices);
}

/// The session that the request names, if the caller may see it; else a refusal, the same for "none" and "not yours".
std::optional<ProvisionSession> find_session(Context& context, std::optional<Response>& refusal) {
  const auto id = context.arguments.integer("sessionId").value_or(0);
  auto found = context.core.store.find_provision_session(ProvisionSessionId{id});
  if (!found) {
    refusal = error_response(found.error());
    return std::nullopt;
  }
  if (!*found || !may_see(context.core.views.directory, context.caller, **found)) {
    refusal = not_found();
    return std::nullopt;
  }
  context.organization = (*found)->organization_id;
  return std::move(*found);
}

}  // namespace

bool may_see_provision_session(const domain::Directory& directory, const domain::Caller& caller, const ProvisionSession& session) {
  return may_see(directory, caller, session);
}

namespace {

Response create_provision_token(Context& context) {
  Core& core = context.core;
  if (const auto device = context.arguments.integer("deviceId")) {
    if (*device < 1 || *device > INT32_MAX) return not_found();
    return reissue(context, DeviceId{static_cast<std::int32_t>(*device)});
  }
  domain::NewProvisionSession wanted;
  wanted.organization_id = context.organization;
  if (const Json* given = context.arguments.find("templateId")) {
    const auto published = usable_template(core, *given, context.organization);
    if (!published)
      return error_response(404, "not_found", "There is no such template, or the organization cannot use it.",
                            {{"templateId", "There is no such template, or the organization cannot use it."}});
    wanted.template_id = published->id;
  }
  if (const auto owner = context.arguments.integer("ownerId")) {
    wanted.owner_id = UserId{*owner};
    if (wanted.owner_id && wanted.owner_id != context.caller.user_id && !context.permissions.has(Permission::org_view_users))
      return error_response(403, "forbidden", "Another owner than yourself needs the permission ORG_VIEW_USERS there.");
    const auto user = core.views.directory.user(wanted.owner_id);
    if (wanted.owner_id && (!user || user->organization_id != context.organization))
      return invalid_value("ownerId", "The owner must be a member of the device's organization.");
  } else if (context.organization == context.caller.organization_id) {
    wanted.owner_id = context.caller.user_id;
  }
  return issue(context, wanted);
}

Response create_reprovision_token(Context& context) { return reissue(context, context.device); }

Response reconfigure_device(Context& context) {
  Core& core = context.core;
  if (!context.access.edit) return error_response(403, "forbidden", "Your role does not allow this there.");
  using namespace std::string_view_literals;
  domain::AuditEntry entry;
  const domain::Actor actor = context.actor();
  entry.at = actor.at;
  entry.actor_user_id = actor.user_id;
  entry.client = actor.client;
  entry.ip = actor.ip;
  entry.organization_id = actor.organization_id;
  entry.action = "device.reconfigure";
  entry.object_kind = "device";
  entry.object_id = context.device.value();
  entry.detail = "{}";
  if (const auto noted = core.store.append_audit(entry); !noted) return error_response(noted.error());
  const bool told = core.devices.push_internal(context.device, "dbg\0config start"sv);
  JsonWriter json;
  json.object().add("deviceIsOffline", !told).end_object();
  return json_response(200, json.take());
}

Response get_provision_sessions(Context& context) {
  Core& core = context.core;
  const auto& arguments = context.arguments;
  domain::Page page;
  if (auto refused = read_page(arguments, page)) return std::move(*refused);
  domain::ProvisionSessionFilter filter;
  std::vector<OrganizationId> organizations;
  const auto given = arguments.integer("orgId");
  const OrganizationId organization =
      given ? OrganizationId{static_cast<std::int32_t>(std::clamp<std::int64_t>(*given, 0, INT32_MAX))} : context.caller.organization_id;
  if (!core.views.directory.in_subtree(organization, context.caller.organization_id)) return not_found();
  const bool sees_all = core.views.directory.permissions_in(context.caller, organization).has(Permission::provision_sessions_view);
  if (given || sees_all) organizations.push_back(organization);
  // Without an organization: one's own from everywhere besides.
  if (!given) filter.or_user = context.caller.user_id;
  if (given && !sees_all) filter.user = context.caller.user_id;
  filter.organizations = organizations;
  if (const auto state = arguments.text("state")) {
    filter.state = domain::parse_provision_state(*state);
    if (!filter.state) return invalid_value("state", "There is no such state of a provisioning session.");
  }
  filter.client = arguments.text("client").value_or("");
  if (filter.client.size() > 255) return invalid_value("client", "client has at most 255 bytes.");
  const auto code = arguments.integer("code").value_or(0);
  if (code < 0 || code > 65'535) return invalid_value("code", "A code is 0 to 65535.");
  filter.code = static_cast<std::uint16_t>(code);
  const auto device = arguments.integer("deviceId").value_or(0);
  if (device < 0 || device > INT32_MAX) return invalid_value("deviceId", "A device id is 1 or more.");
  filter.device = DeviceId{static_cast<std::int32_t>(device)};
  bool nobody = false;
  if (const auto email = arguments.text("email")) {
    const auto user = core.store.find_credentials(*email);
    if (!user) return error_response(user.error());
    nobody = !*user || (filter.user && (*user)->user.id != filter.user);
    if (*user) filter.user = (*user)->user.id;
  }
  domain::PageOf<ProvisionSession> found;
  if (!nobody) {
    auto rows = core.store.provision_sessions(filter, page);
    if (!rows) return error_response(rows.error());
    found = std::move(*rows);
  }
  JsonWriter json;
  json.object().array("content");
  for (const auto& session : found.rows) {
    json.object();
    write_provision_session(json, core.views.directory, session);
    json.end_object();
  }
  json.end_array().add("totalElements", found.total).end_object();
  return json_response(200, json.take());
}

Response get_provision_session(Context& context) {
  std::optional<Response> refusal;
  const auto session = find_session(context, refusal);
  if (!session) return std::move(*refusal);
  const auto steps = context.core.store.provision_steps(session->id);
  if (!steps) return error_response(steps.error());
  JsonWriter json;
  json.object();
  write_provision_session(json, context.core.views.directory, *session);
  write_provision_steps(json, *steps);
  json.end_object();
  return json_response(200, json.take());
}

Response post_provision_step(Context& context) {
  std::optional<Response> refusal;
  const auto session = find_session(context, refusal);
  if (!session) return std::move(*refusal);
  if (!may_change(context.core, context.caller, *session))
    return error_response(403, "forbidden", "Only who started this session can add to it.");
  ProvisionStep step;
  step.at = context.core.clock.utc_now();
  step.step = *context.arguments.text("step");
  const bool plain =
      std::all_of(step.step.begin(), step.step.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
  if (step.step.empty() || step.step.size() > step_size_max_chars || !plain)
    return invalid_value("step", "A step is 1 to 40 of a-z, 0-9 and _.");
  const auto code = context.arguments.integer("code").value_or(0);
  if (code < 0 || code > 65'535) return invalid_value("code", "A code is 0 to 65535.");
  step.code = static_cast<std::uint16_t>(code);
  step.message = domain::printable_text(context.arguments.text("message").value_or(""));
  if (step.message.size() > message_size_max_bytes) return invalid_value("message", "A message has at most 200 bytes.");
  const std::string source = context.arguments.text("source").value_or("app");
  if (source != "app" && source != "agent") return invalid_value("source", "source must be app or agent.");
  step.source = source == "app" ? StepSource::app : StepSource::agent;
  const auto posted = context.core.store.post_provision_step(session->id, step);
  return posted ? no_content() : error_response(posted.error());
}

Response delete_provision_session(Context& context) {
  std::optional<Response> refusal;
  const auto session = find_session(context, refusal);
  if (!session) return std::move(*refusal);
  if (!may_change(context.core, context.caller, *session))
    return error_response(403, "forbidden", "Only who started this session can cancel it.");
  const auto canceled = context.core.store.cancel_provision_session(session->id, context.actor());
  if (!canceled) return error_response(canceled.error());
  context.core.metrics.provision_canceled_total.add();
  return no_content();
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field provision_token_fields[] = {org_id,      integer("ownerId"),  {"templateId", FieldType::integer_or_text},
                                            text("uid"), integer("deviceId"), text("client")};
constexpr Field device_fields[] = {device_id};
constexpr Field reprovision_token_fields[] = {device_id, text("uid"), text("client")};
constexpr Field provision_sessions_fields[] = {
    org_id, query_text("state"), query_text("email"), query_text("client"), query_integer("code"), query_integer("deviceId"), page, size};
constexpr Field provision_session_fields[] = {{"sessionId", FieldType::integer, Place::query, true}};
constexpr Field session_in_path{"sessionId", FieldType::integer, Place::path, true};
constexpr Field provision_step_fields[] = {session_in_path, text("step", true), integer("code"), text("message"), text("source")};
constexpr Field provision_cancel_fields[] = {session_in_path};

constexpr Route routes[] = {
    {Method::post, "/api/v1/organization/device/provision/token", on_organization(Permission::provision_devices), Lane::api,
     provision_token_fields, create_provision_token},
    {Method::post, "/api/v1/organization/device/provision/reprovision/token", on_device(Permission::provision_devices), Lane::api,
     reprovision_token_fields, create_reprovision_token},
    {Method::post, "/api/v1/organization/device/provision/reconfigure", on_device(Permission::provision_devices), Lane::api, device_fields,
     reconfigure_device},
    // Everybody sees one's own; the handlers ask for PROVISION_SESSIONS_VIEW for those of others.
    {Method::get, "/api/v1/provision/sessions", signed_in_or_program(Permission::provision_devices), Lane::api, provision_sessions_fields,
     get_provision_sessions},
    {Method::get, "/api/v1/provision/session", signed_in_or_program(Permission::provision_devices), Lane::api, provision_session_fields,
     get_provision_session},
    {Method::post, "/api/v1/provision/session/{id}/step", signed_in_or_program(Permission::provision_devices), Lane::api,
     provision_step_fields, post_provision_step},
    {Method::delete_, "/api/v1/provision/session/{id}", signed_in_or_program(Permission::provision_devices), Lane::api,
     provision_cancel_fields, delete_provision_session},
};

}  // namespace

std::span<const Route> provision_routes() noexcept { return routes; }

}  // namespace muster::api
