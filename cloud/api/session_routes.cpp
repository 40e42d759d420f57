// SPDX-License-Identifier: Apache-2.0
#include <openssl/crypto.h>

#include <cstring>

#include "cloud/api/people/known_device.hpp"
#include "cloud/api/people/secret_text.hpp"
#include "cloud/api/people/sign_in.hpp"
#include "cloud/api/router.hpp"
#include "cloud/base/log.hpp"
#include "cloud/base/password.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/mail/address.hpp"

namespace muster::api {
namespace {

using namespace fields;

/// In a time that depends on the length of `guess` alone.
bool same_secret(const Core& core, std::string_view secret, std::string_view guess) {
  const auto a = core.keys.digest("setup-code", secret).newest().mac;
  const auto b = core.keys.digest("setup-code", guess).newest().mac;
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Response too_many_failures(Core& core, std::chrono::seconds wait) {
  core.metrics.http_throttled_total.add();
  return too_many("too_many_failures", "Too many failed attempts; wait and try again.", wait.count());
}

std::uint64_t setup_key() { return 0; }

}  // namespace

std::uint64_t account_key(const Core& core, std::string_view email) {
  const auto mac = core.keys.digest("sign-in-account", mail::normal_address(email)).newest().mac;
  std::uint64_t key = 0;
  std::memcpy(&key, mac.data(), sizeof key);
  return key == setup_key() ? 1 : key;
}

Result<IssuedAccessToken> issue_access_token(Core& core, UserId user, const domain::Actor& actor) {
  IssuedAccessToken issued;
  issued.token = random_secret(core.random);
  issued.expires_at = {core.clock.utc_now().ms +
                       std::chrono::duration_cast<std::chrono::milliseconds>(core.options.access_token_life).count()};
  const auto digest = core.keys.digest(access_token_domain, issued.token);
  MUSTER_TRY_VOID(core.store.create_access_token(user, digest.newest(), issued.expires_at, actor));
  return issued;
}

Response signed_in_response(Core& core, const Request& request, const IssuedAccessToken& issued, UserId user, OrganizationId organization,
                            std::string_view known_device) {
  JsonWriter json;
  json.object()
      .add("accessToken", issued.token)
      .add("expiresAt", issued.expires_at.ms)
      .add("userId", user.value())
      .add("organizationId", organization.value());
  if (!known_device.empty()) json.add("knownDevice", known_device);
  json.end_object();
  Response response = json_response(201, json.take());
  response.headers.emplace_back("Set-Cookie", session_cookie_header(issued.token, core.options.access_token_life, request.secure));
  if (!known_device.empty()) response.headers.emplace_back("Set-Cookie", known_device_cookie_header(known_device, request.secure));
  return response;
}

namespace {

Response post_setup(Context& context) {
  Core& core = context.core;
  const std::string email = mail::normal_address(*context.arguments.text("email"));
  const std::string password = *context.arguments.text("password");
  const std::string organization = domain::trim(context.arguments.text("organizationName").value_or("Muster"));

  const std::uint64_t address = context.request.peer.limit_key();
  const Instant now = core.clock.now();
  // The account key is the address's own: strangers who guess must not block the person with the code.
  if (const auto wait = core.sign_in_throttle.begin(address, address, now)) return too_many_failures(core, *wait);
  const auto done = core.store.has_administrator();
  if (!done || *done) {
    core.sign_in_throttle.undecided(address, address);
    return done ? error_response(domain::DomainError::already_set_up) : error_response(done.error());
  }
  if (core.options.setup_code.empty() || !same_secret(core, core.options.setup_code, *context.arguments.text("code"))) {
    log::warning("setup_refused", {{"ip", context.request.peer.text()}});
    return error_response(domain::DomainError::setup_code_wrong);
  }
  core.sign_in_throttle.succeeded(address, address);
  if (const auto complaint = domain::check_email(email)) return invalid_value("email", *complaint);
  if (const auto complaint = domain::check_password(password)) return invalid_value("password", *complaint);
  if (const auto complaint = domain::check_organization_name(organization)) return invalid_value("organizationName", *complaint);

  domain::Actor actor{{}, {}, client_name(context.request, false), context.request.peer.text(), core.clock.utc_now()};
  const std::string verifier = make_password_verifier(password_prehash(password, email));
  const auto made = core.store.set_up(organization, email, verifier, actor);
  if (!made) return error_response(made.error());
  actor.user_id = made->user_id;
  actor.organization_id = made->organization_id;
  const auto issued = issue_access_token(core, made->user_id, actor);
  if (!issued) return error_response(issued.error());
  return signed_in_response(core, context.request, *issued, made->user_id, made->organization_id, make_known_device(core, email));
}

Response post_session(Context& context) {
  const auto& given = context.arguments;
  const SignInAttempt attempt{*given.text("email"), given.text("password"), given.text("passwordHash"), given.text("totp").value_or("")};
  auto outcome = sign_in(context.core, context.request, attempt);
  if (auto* refusal = std::get_if<Refusal>(&outcome)) return response_of(*refusal);
  const auto& signed_in = std::get<SignedIn>(outcome);
  return signed_in_response(context.core, context.request, signed_in.access, signed_in.user.id, signed_in.user.organization_id,
                            signed_in.known_device);
}

Response get_session(Context& context) {
  const auto user = context.core.views.directory.user(context.caller.user_id);
  if (!user) return not_found();
  const auto roles = context.core.store.roles();
  if (!roles) return error_response(roles.error());
  JsonWriter json;
  json.object()
      .add("userId", user->id.value())
      .add("organizationId", user->organization_id.value())
      .add("email", user->email)
      .add("name", user->name)
      .add("roleId", user->role_id.value());
  for (const auto& role : *roles) {
    if (role.id == user->role_id) json.add("role", role.name);
  }
  json.array("permissions");
  for (std::uint8_t i = 0; i < domain::permission_count; ++i) {
    const auto permission = static_cast<domain::Permission>(i);
    if (context.permissions.has(permission)) json.item(domain::permission_name(permission));
  }
  json.end_array().add("expiresAt", context.access_expires_at.ms).end_object();
  return json_response(200, json.take());
}

Response delete_session(Context& context) {
  const auto deleted = context.core.store.delete_access_token(context.access_digests.all(), context.actor());
  if (!deleted) return error_response(deleted.error());
  context.core.stream.access_tokens_changed(context.caller.user_id);
  Response response = no_content();
  response.headers.emplace_back("Set-Cookie", session_cookie_header("", std::chrono::seconds{0}, context.request.secure));
  return response;
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field setup_fields[] = {text("code", true), text("email", true), text("password", true), text("organizationName")};
constexpr Field session_fields[] = {text("email", true), text("password"), text("passwordHash"), text("totp")};

constexpr Route routes[] = {
    {Method::post, "/api/v1/setup", public_rule(), Lane::password, setup_fields, post_setup},
    {Method::post, "/api/v1/session", public_rule(), Lane::password, session_fields, post_session},
    {Method::get, "/api/v1/session", signed_in_or_program(), Lane::api, {}, get_session},
    {Method::delete_, "/api/v1/session", signed_in(), Lane::api, {}, delete_session},
};

}  // namespace

std::span<const Route> session_routes() noexcept { return routes; }

}  // namespace muster::api
