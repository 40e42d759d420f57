// SPDX-License-Identifier: Apache-2.0
#include <openssl/crypto.h>

#include <array>
#include <cstring>

#include "cloud/api/router.hpp"
#include "cloud/base/log.hpp"
#include "cloud/base/password.hpp"
#include "cloud/domain/rules.hpp"

namespace muster::api {
namespace {

using namespace fields;

constexpr std::size_t access_token_random_bytes = 32;

std::string base64url(std::span<const std::uint8_t> bytes) {
  static constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t buffer = 0;
  int bits = 0;
  for (const std::uint8_t byte : bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      out += alphabet[(buffer >> bits) & 63];
    }
  }
  if (bits > 0) out += alphabet[(buffer << (6 - bits)) & 63];
  return out;
}

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

/// The root, in which attempts on unknown accounts are told.
OrganizationId root_of(Core& core) {
  const auto all = core.store.organizations();
  if (!all) return {};
  for (const auto& organization : *all) {
    if (!organization.parent_id) return organization.id;
  }
  return {};
}

/// Who was refused, and from where. Unknown accounts get the same entry in the root, so that the time tells nothing; the email that
/// was typed is left out there: people type passwords into the wrong field.
void audit_refusal(Core& core, const Request& request, const domain::User* user, std::string_view why) {
  domain::AuditEntry entry;
  entry.at = core.clock.utc_now();
  entry.client = client_name(request, false);
  entry.ip = request.peer.text();
  const OrganizationId root = root_of(core);
  entry.organization_id = user != nullptr ? user->organization_id : root;
  entry.action = "session.refused";
  entry.object_kind = "user";
  entry.object_id = user != nullptr ? user->id.value() : 0;
  JsonWriter detail;
  detail.object().add("reason", why).end_object();
  entry.detail = detail.take();
  if (const auto written = core.store.append_audit(entry); !written)
    log::warning("audit_not_written", {{"action", entry.action}, {"error", written.error().message()}});
}

}  // namespace

std::uint64_t account_key(const Core& core, std::string_view email) {
  const auto mac = core.keys.digest("sign-in-account", domain::lower_ascii(domain::trim(email))).newest().mac;
  std::uint64_t key = 0;
  std::memcpy(&key, mac.data(), sizeof key);
  return key == setup_key() ? 1 : key;
}

Result<IssuedAccessToken> issue_access_token(Core& core, UserId user, const domain::Actor& actor) {
  std::array<std::uint8_t, access_token_random_bytes> bytes{};
  core.random.fill(bytes);
  IssuedAccessToken issued;
  issued.token = base64url(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  issued.expires_at = {core.clock.utc_now().ms +
                       std::chrono::duration_cast<std::chrono::milliseconds>(core.options.access_token_life).count()};
  const auto digest = core.keys.digest(access_token_domain, issued.token);
  MUSTER_TRY_VOID(core.store.create_access_token(user, digest.newest(), issued.expires_at, actor));
  return issued;
}

Response signed_in_response(Core& core, const Request& request, const IssuedAccessToken& issued, UserId user, OrganizationId organization) {
  JsonWriter json;
  json.object()
      .add("accessToken", issued.token)
      .add("expiresAt", issued.expires_at.ms)
      .add("userId", user.value())
      .add("organizationId", organization.value())
      .end_object();
  Response response = json_response(201, json.take());
  response.headers.emplace_back("Set-Cookie", session_cookie_header(issued.token, core.options.access_token_life, request.secure));
  return response;
}

namespace {

Response post_setup(Context& context) {
  Core& core = context.core;
  const std::string email = domain::lower_ascii(domain::trim(*context.arguments.text("email")));
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
  return signed_in_response(core, context.request, *issued, made->user_id, made->organization_id);
}

Response post_session(Context& context) {
  Core& core = context.core;
  const std::string email = domain::lower_ascii(domain::trim(*context.arguments.text("email")));
  const auto password = context.arguments.text("password");
  const auto password_hash = context.arguments.text("passwordHash");
  if (password.has_value() == password_hash.has_value()) return invalid_value("password", "Give either password or passwordHash.");
  if (email.size() > 320) return invalid_value("email", "An email has at most 320 bytes.");
  if (password && password->size() > 1024) return invalid_value("password", "A password has at most 1024 bytes.");
  if (password_hash && password_hash->size() > 128) return invalid_value("passwordHash", "A passwordHash has 44 characters.");

  const std::uint64_t address = context.request.peer.limit_key();
  const std::uint64_t account = account_key(core, email);
  if (const auto wait = core.sign_in_throttle.begin(address, account, core.clock.now())) return too_many_failures(core, *wait);

  const auto found = core.store.find_credentials(email);
  if (!found) {
    core.sign_in_throttle.undecided(address, account);
    return error_response(found.error());
  }
  const std::string prehash = password ? password_prehash(*password, email) : *password_hash;
  // An unknown account, and one without a password yet, cost the same as a wrong password.
  const PasswordVerdict verdict = verify_password(*found ? std::string_view{(*found)->verifier} : std::string_view{}, prehash);
  if (verdict == PasswordVerdict::no_memory) {
    core.sign_in_throttle.undecided(address, account);
    return too_busy();
  }
  if (!*found || verdict != PasswordVerdict::right) {
    audit_refusal(core, context.request, *found ? &(*found)->user : nullptr, "wrong_credentials");
    return error_response(401, "invalid_credentials", "The email or the password is wrong.");
  }
  const domain::User& user = (*found)->user;
  core.sign_in_throttle.succeeded(address, account);
  if (user.status != domain::UserStatus::active) {
    audit_refusal(core, context.request, &user, "not_active");
    return error_response(domain::DomainError::not_active);
  }
  const domain::Actor actor{user.id, user.organization_id, client_name(context.request, false), context.request.peer.text(),
                            core.clock.utc_now()};
  const auto issued = issue_access_token(core, user.id, actor);
  if (!issued) return error_response(issued.error());
  return signed_in_response(core, context.request, *issued, user.id, user.organization_id);
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
constexpr Field session_fields[] = {text("email", true), text("password"), text("passwordHash")};

constexpr Route routes[] = {
    {Method::post, "/api/v1/setup", public_rule(), Lane::password, setup_fields, post_setup},
    {Method::post, "/api/v1/session", public_rule(), Lane::password, session_fields, post_session},
    {Method::get, "/api/v1/session", signed_in_or_program(), Lane::api, {}, get_session},
    {Method::delete_, "/api/v1/session", signed_in(), Lane::api, {}, delete_session},
};

}  // namespace

std::span<const Route> session_routes() noexcept { return routes; }

}  // namespace muster::api
