// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "cloud/api/people/links.hpp"
#include "cloud/api/people/sign_in.hpp"
#include "cloud/api/people/totp.hpp"
#include "cloud/api/router.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/mail/address.hpp"

/// How people come, sign in, move and leave. What they do alike on the pages under /account is in cloud/api/people.
namespace muster::api {
namespace {

using domain::Permission;
using namespace fields;

constexpr std::size_t acts_exported_max = 10'000;

template <class T, class Answer>
Response answer(const Outcome<T>& outcome, Answer&& make) {
  if (const auto* refusal = std::get_if<Refusal>(&outcome)) return response_of(*refusal);
  return make(std::get<T>(outcome));
}

Response accepted() {
  Response response;
  response.status = 202;
  return response;
}

// --- invitations ---------------------------------------------------------------------------------------------------------------

JsonWriter& write_invitation(JsonWriter& json, const domain::Link& link) {
  return json.object()
      .add("invitationId", link.id.value())
      .add("orgId", link.organization_id.value())
      .add("roleId", link.role_id.value())
      .add("email", link.email)
      .add("name", link.name)
      .add("locale", link.locale)
      .add("status", "Pending")
      .add("invitedBy", link.created_by.value())
      .add("createdAt", link.created_at.ms)
      .add("expiresAt", link.expires_at.ms);
}

Response invited_response(Context& context, unsigned status, const Invited& invited) {
  context.secret_shown = !invited.link.empty();
  JsonWriter json;
  write_invitation(json, invited.invitation).add("mailed", invited.link.empty());
  if (!invited.link.empty()) json.add("link", invited.link).add("reason", invited.reason);
  json.end_object();
  return json_response(status, json.take());
}

Response invite_user(Context& context) {
  domain::Link invitation;
  invitation.organization_id = context.organization;
  invitation.email = mail::normal_address(*context.arguments.text("email"));
  if (const auto complaint = domain::check_email(invitation.email)) return invalid_value("email", *complaint);
  invitation.name = domain::trim(context.arguments.text("name").value_or(""));
  if (const auto complaint = domain::check_user_name(invitation.name)) return invalid_value("name", *complaint);
  invitation.locale = context.arguments.text("locale").value_or("en_US");
  if (!is_locale(invitation.locale)) return invalid_value("locale", "locale must be like en_US.");
  const auto roles = context.core.store.roles();
  if (!roles) return error_response(roles.error());
  RoleChoice choice = read_role(context, *roles, domain::user_role);
  if (choice.refusal) return std::move(*choice.refusal);
  invitation.role_id = choice.role->id;
  return answer(invite(context.core, invitation, context.actor()),
                [&](const Invited& made) { return invited_response(context, 201, made); });
}

Response get_invitations(Context& context) {
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  const auto found = context.core.store.invitations(context.organization, page);
  if (!found) return error_response(found.error());
  JsonWriter json;
  json.object().array("content");
  for (const auto& link : found->rows) write_invitation(json, link).end_object();
  json.end_array().add("totalElements", found->total).end_object();
  return json_response(200, json.take());
}

/// The invitation of the request, when it is one of the organization that the request is about.
Outcome<domain::Link> named_invitation(Context& context) {
  const std::int64_t id = context.arguments.integer("invitationId").value_or(0);
  const auto found = context.core.store.find_invitation(LinkId{id});
  if (!found) return refusal_of(found.error());
  if (!*found || (*found)->organization_id != context.organization) return refusal_of(domain::DomainError::not_found);
  return **found;
}

Response resend_invitation(Context& context) {
  const auto named = named_invitation(context);
  return answer(named, [&](const domain::Link& link) {
    return answer(invite_again(context.core, link, context.actor()),
                  [&](const Invited& made) { return invited_response(context, 200, made); });
  });
}

Response revoke_invitation(Context& context) {
  const auto named = named_invitation(context);
  return answer(named, [&](const domain::Link& link) {
    const auto revoked = context.core.store.revoke_invitation(link.id, context.actor());
    return revoked ? no_content() : error_response(revoked.error());
  });
}

Response account_response(unsigned status, const domain::User& user) {
  JsonWriter json;
  json.object()
      .add("id", user.id.value())
      .add("orgId", user.organization_id.value())
      .add("roleId", user.role_id.value())
      .add("email", user.email)
      .add("name", user.name)
      .end_object();
  return json_response(status, json.take());
}

domain::OwnedDevices owned_devices(const Arguments& arguments) {
  if (arguments.flag("moveDevices")) return domain::OwnedDevices::move;
  return arguments.flag("releaseDevices") ? domain::OwnedDevices::release : domain::OwnedDevices::refuse;
}

Response post_accept_invitation(Context& context) {
  const auto& given = context.arguments;
  const std::string link = *given.text("link"), password = *given.text("password");
  const auto outcome =
      given.flag("move")
          ? accept_invitation_and_move(context.core, context.request, link, password, given.text("totp").value_or(""), owned_devices(given))
          : accept_invitation(context.core, context.request, link, password, given.text("name").value_or(""));
  return answer(outcome, [](const domain::User& user) { return account_response(201, user); });
}

// --- sign-up, reset, confirmation ----------------------------------------------------------------------------------------------

Response post_register(Context& context) {
  const std::string kind = context.arguments.text("kind").value_or("client");
  if (kind != "client" && kind != "partner") return invalid_value("kind", "kind must be client or partner.");
  return answer(request_sign_up(context.core, context.request, *context.arguments.text("email"),
                                kind == "partner" ? domain::SignUpKind::partner : domain::SignUpKind::client),
                [](Done) { return accepted(); });
}

Response post_complete_sign_up(Context& context) {
  const auto& given = context.arguments;
  return answer(complete_sign_up(context.core, context.request, *given.text("link"), *given.text("password"),
                                 given.text("name").value_or(""), given.text("organizationName").value_or("")),
                [](const domain::User& user) { return account_response(201, user); });
}

Response post_reset(Context& context) {
  return answer(request_reset(context.core, context.request, *context.arguments.text("email")), [](Done) { return accepted(); });
}

Response post_complete_reset(Context& context) {
  return answer(complete_reset(context.core, context.request, *context.arguments.text("link"), *context.arguments.text("password")),
                [](const domain::User&) { return no_content(); });
}

Response post_request_confirmation(Context& context) {
  const auto user = context.core.views.directory.user(context.caller.user_id);
  if (!user) return not_found();
  return answer(request_confirmation(context.core, context.request, *user), [](Done) { return accepted(); });
}

Response post_confirm_email(Context& context) {
  return answer(confirm_email(context.core, context.request, *context.arguments.text("link")), [](Done) { return no_content(); });
}

// --- people move and leave -----------------------------------------------------------------------------------------------------

Response transfer_user(Context& context) {
  const auto& given = context.arguments;
  const domain::Directory& directory = context.core.views.directory;
  if (auto refused = refuse_stronger(context)) return std::move(*refused);
  const auto to = given.integer("toOrgId");
  const auto admin = given.text("toAdminEmail");
  if (to.has_value() == admin.has_value()) return invalid_value("toOrgId", "Give either toOrgId or toAdminEmail.");
  OrganizationId destination;
  if (to && *to > 0 && *to <= INT32_MAX) destination = OrganizationId{static_cast<std::int32_t>(*to)};
  if (admin) {
    const auto found = context.core.store.find_credentials(mail::normal_address(*admin));
    if (!found) return error_response(found.error());
    if (*found && (*found)->user.role_id == domain::admin_role) destination = (*found)->user.organization_id;
  }
  // Outside of the caller's subtree there is nothing.
  if (!destination || !directory.in_subtree(destination, context.caller.organization_id)) return not_found();
  const domain::PermissionSet there = directory.permissions_in(context.caller, destination);
  if (!there.has(Permission::user_transfer))
    return error_response(403, "forbidden", "This needs the permission USER_TRANSFER at the destination, too.");
  RoleId role;
  if (given.integer("roleId") || given.text("role")) {
    const auto roles = context.core.store.roles();
    if (!roles) return error_response(roles.error());
    const OrganizationId here = std::exchange(context.organization, destination);
    const domain::PermissionSet mine = std::exchange(context.permissions, there);
    RoleChoice choice = read_role(context, *roles, std::nullopt);
    context.organization = here;
    context.permissions = mine;
    if (choice.refusal) return std::move(*choice.refusal);
    role = choice.role->id;
  } else if (!there.contains(directory.permissions_in({{}, destination, context.user->role_id}, destination))) {
    return error_response(403, "role_exceeds_own", "This user's role allows more there than you may do yourself; give another one.");
  }
  const auto moved = context.core.store.transfer_user(context.user->id, destination, role, owned_devices(given), context.actor());
  if (!moved) return error_response(moved.error());
  context.core.stream.access_tokens_changed(context.user->id);
  return account_response(200, *moved);
}

Response delete_own_account(Context& context) {
  const auto user = context.core.views.directory.user(context.caller.user_id);
  if (!user) return not_found();
  const auto checked = check_own_password(context.core, context.request, *user, *context.arguments.text("password"));
  return answer(checked, [&](Done) {
    const auto devices = context.arguments.flag("withDevices") ? domain::OwnedDevices::release : domain::OwnedDevices::refuse;
    const auto left = context.core.store.leave(user->id, devices, context.actor());
    if (!left) return error_response(left.error());
    context.core.stream.access_tokens_changed(user->id);
    Response response = no_content();
    response.headers.emplace_back("Set-Cookie", session_cookie_header("", std::chrono::seconds{0}, context.request.secure));
    return response;
  });
}

void write_sign_ins(JsonWriter& json, const std::vector<domain::SignIn>& all, const TokenDigests& present) {
  json.array("sessions");
  for (const auto& each : all) {
    bool current = false;
    for (const TokenDigest& digest : present.all()) current = current || digest == each.digest;
    json.object()
        .add("id", each.id.value())
        .add("client", each.client)
        .add("ip", each.ip)
        .add("createdAt", each.created_at.ms)
        .add("lastUsedAt", each.last_used_at.ms)
        .add("expiresAt", each.expires_at.ms)
        .add("current", current)
        .end_object();
  }
  json.end_array();
}

Response export_own_data(Context& context) {
  Core& core = context.core;
  const UserId id = context.caller.user_id;
  const auto user = core.store.find_user(id);
  if (!user) return error_response(user.error());
  if (!*user) return not_found();
  const auto confirmed = core.store.email_confirmed_at(id);
  const auto sessions = core.store.sign_ins(id);
  const auto factor = core.store.find_second_factor(id);
  const auto acts = core.store.acts_of(id, acts_exported_max);
  if (!confirmed) return error_response(confirmed.error());
  if (!sessions) return error_response(sessions.error());
  if (!factor) return error_response(factor.error());
  if (!acts) return error_response(acts.error());
  const domain::Actor actor = context.actor();
  domain::AuditEntry noted;
  noted.at = actor.at;
  noted.actor_user_id = id;
  noted.client = actor.client;
  noted.ip = actor.ip;
  noted.organization_id = (*user)->organization_id;
  noted.action = "user.export";
  noted.object_kind = "user";
  noted.object_id = id.value();
  if (const auto written = core.store.append_audit(noted); !written) return error_response(written.error());
  JsonWriter json;
  json.object()
      .object("profile")
      .add("id", id.value())
      .add("orgId", (*user)->organization_id.value())
      .add("roleId", (*user)->role_id.value())
      .add("email", (*user)->email)
      .add("name", (*user)->name)
      .add("locale", (*user)->locale)
      .add("timeZone", (*user)->time_zone)
      .add("createdAt", (*user)->created_at.ms)
      .add("updatedAt", (*user)->updated_at.ms)
      .add("lastLoggedAt", (*user)->last_logged_at.ms)
      .add("emailConfirmedAt", confirmed->ms)
      .add("secondFactor", factor->has_value() && (*factor)->enabled)
      .end_object();
  write_sign_ins(json, *sessions, context.access_digests);
  json.array("devices");
  core.views.directory.for_each_device([&](DeviceId device, const domain::DevicePlace& place) {
    if (place.owner_id != id) return;
    json.object()
        .add("id", device.value())
        .add("orgId", place.organization_id.value())
        .add("templateId", place.template_id.value())
        .end_object();
  });
  json.end_array().array("acts");
  for (const auto& act : *acts) {
    json.object()
        .add("at", act.at.ms)
        .add("action", act.action)
        .add("objectKind", act.object_kind)
        .add("objectId", act.object_id)
        .add("client", act.client)
        .add("ip", act.ip)
        .end_object();
  }
  json.end_array().end_object();
  Response response = json_response(200, json.take());
  response.headers.emplace_back("Content-Disposition", "attachment; filename=\"my-data.json\"");
  return response;
}

// --- sessions ------------------------------------------------------------------------------------------------------------------

Response get_sessions(Context& context) {
  const auto all = context.core.store.sign_ins(context.user->id);
  if (!all) return error_response(all.error());
  JsonWriter json;
  json.object();
  write_sign_ins(json, *all, context.access_digests);
  json.end_object();
  return json_response(200, json.take());
}

Response delete_user_session(Context& context) {
  if (context.user->id != context.caller.user_id) {
    if (auto refused = refuse_stronger(context)) return std::move(*refused);
  }
  const auto ended = context.core.store.end_sign_in(context.user->id, SignInId{*context.arguments.integer("sessionId")}, context.actor());
  if (!ended) return error_response(ended.error());
  context.core.stream.access_tokens_changed(context.user->id);
  return no_content();
}

Response force_logout(Context& context) {
  const bool own = context.user->id == context.caller.user_id;
  if (!own) {
    if (auto refused = refuse_stronger(context)) return std::move(*refused);
  }
  std::optional<TokenDigest> keep;
  if (own) keep = context.access_digests.newest();
  const auto ended = context.core.store.end_sign_ins(context.user->id, keep, context.actor());
  if (!ended) return error_response(ended.error());
  context.core.stream.access_tokens_changed(context.user->id);
  return no_content();
}

// --- the second factor -----------------------------------------------------------------------------------------------------------

/// The codes to be shown once, and what is stored of them.
struct RecoveryCodes {
  std::vector<std::string> shown;
  std::vector<TokenDigest> digests;
};
RecoveryCodes make_recovery_codes(Context& context) {
  RecoveryCodes made{totp::make_recovery_codes(context.core.random), {}};
  for (const auto& code : made.shown) {
    const std::string bound = std::to_string(context.caller.user_id.value()) + ":" + totp::normal_recovery_code(code);
    made.digests.push_back(context.core.keys.digest(recovery_code_domain, bound).newest());
  }
  return made;
}
Response recovery_codes_response(Context& context, const RecoveryCodes& codes) {
  context.secret_shown = true;
  JsonWriter json;
  json.object().array("recoveryCodes");
  for (const auto& code : codes.shown) json.item(code);
  json.end_array().end_object();
  return json_response(200, json.take());
}

std::optional<Response> refuse_without_password(Context& context) {
  const auto user = context.core.views.directory.user(context.caller.user_id);
  if (!user) return not_found();
  const auto checked = check_own_password(context.core, context.request, *user, *context.arguments.text("password"));
  if (const auto* refusal = std::get_if<Refusal>(&checked)) return response_of(*refusal);
  return std::nullopt;
}

Response get_totp(Context& context) {
  const auto factor = context.core.store.find_second_factor(context.caller.user_id);
  if (!factor) return error_response(factor.error());
  const bool enabled = *factor && (*factor)->enabled;
  JsonWriter json;
  json.object()
      .add("enabled", enabled)
      .add("enabledAt", enabled ? (*factor)->enabled_at.ms : 0)
      .add("recoveryCodesLeft", enabled ? static_cast<std::int64_t>((*factor)->recovery_codes_left) : 0)
      .end_object();
  return json_response(200, json.take());
}

Response begin_totp(Context& context) {
  if (auto refused = refuse_without_password(context)) return std::move(*refused);
  Core& core = context.core;
  const auto user = core.views.directory.user(context.caller.user_id);
  if (!user) return not_found();
  const std::string secret = totp::make_secret(core.random);
  const auto begun = core.store.begin_second_factor(user->id, core.keys.seal(totp_seal_context, secret, core.random));
  if (!begun) return error_response(begun.error());
  context.secret_shown = true;
  JsonWriter json;
  json.object().add("secret", totp::base32(secret)).add("uri", totp::uri(secret, core.options.brand.name, user->email)).end_object();
  return json_response(200, json.take());
}

Response enable_totp(Context& context) {
  Core& core = context.core;
  const UserId user = context.caller.user_id;
  const auto factor = core.store.find_second_factor(user);
  if (!factor) return error_response(factor.error());
  if (!*factor || (*factor)->enabled) return error_response(domain::DomainError::wrong_state);
  const auto secret = core.keys.open_sealed(totp_seal_context, (*factor)->sealed);
  if (!secret) return error_response(secret.error());
  const auto step = totp::match(*secret, *context.arguments.text("totp"), core.clock.utc_now());
  if (!step) return error_response(400, "totp_wrong", "This code is wrong; are the clocks of the phone and of the server right?");
  const RecoveryCodes codes = make_recovery_codes(context);
  const auto enabled = core.store.enable_second_factor(user, *step, codes.digests, context.access_digests.newest(), context.actor());
  if (!enabled) return error_response(enabled.error());
  core.stream.access_tokens_changed(user);
  return recovery_codes_response(context, codes);
}

Response new_recovery_codes(Context& context) {
  if (auto refused = refuse_without_password(context)) return std::move(*refused);
  const RecoveryCodes codes = make_recovery_codes(context);
  const auto replaced = context.core.store.replace_recovery_codes(context.caller.user_id, codes.digests, context.actor());
  return replaced ? recovery_codes_response(context, codes) : error_response(replaced.error());
}

Response disable_totp(Context& context) {
  if (auto refused = refuse_without_password(context)) return std::move(*refused);
  const auto removed = context.core.store.remove_second_factor(context.caller.user_id, context.actor());
  return removed ? no_content() : error_response(removed.error());
}

/// For who has lost phone and codes: an administrator takes the second factor away.
Response remove_totp(Context& context) {
  if (auto refused = refuse_stronger(context)) return std::move(*refused);
  const auto removed = context.core.store.remove_second_factor(context.user->id, context.actor());
  return removed ? no_content() : error_response(removed.error());
}

// --- mail that waits ---------------------------------------------------------------------------------------------------------------

Response get_mail(Context& context) {
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  const auto found = context.core.store.queued_mail(context.organization, page);
  if (!found) return error_response(found.error());
  JsonWriter json;
  json.object().array("content");
  for (const auto& mail : found->rows) {
    json.object()
        .add("id", mail.id.value())
        .add("kind", mail.kind)
        .add("recipient", mail.recipient)
        .add("status", mail.given_up ? "given_up" : "waiting")
        .add("tries", static_cast<std::int64_t>(mail.tries))
        .add("reason", mail.reason)
        .add("queuedAt", mail.queued_at.ms)
        .add("nextTryAt", mail.given_up ? 0 : mail.next_try_at.ms)
        .end_object();
  }
  json.end_array().add("totalElements", found->total).end_object();
  return json_response(200, json.take());
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field invitation_id{"invitationId", FieldType::integer, Field::Place::both, true};
constexpr Field session_id{"sessionId", FieldType::integer, Field::Place::both, true};
constexpr Field page_fields[] = {org_id, page, size};
constexpr Field invite_fields[] = {org_id, text("email", true), text("name"), integer("roleId"), text("role"), text("locale")};
constexpr Field invitation_fields[] = {org_id, invitation_id};
constexpr Field accept_fields[] = {text("link", true), text("password", true), text("name"),          text("totp"),
                                   flag("move"),       flag("moveDevices"),    flag("releaseDevices")};
constexpr Field register_fields[] = {text("email", true), text("kind")};
constexpr Field complete_fields[] = {text("link", true), text("password", true), text("name"), text("organizationName")};
constexpr Field reset_fields[] = {text("email", true)};
constexpr Field complete_reset_fields[] = {text("link", true), text("password", true)};
constexpr Field link_fields[] = {text("link", true)};
constexpr Field transfer_fields[] = {user_id,      integer("toOrgId"),  text("toAdminEmail"),  integer("roleId"),
                                     text("role"), flag("moveDevices"), flag("releaseDevices")};
constexpr Field leave_fields[] = {text("password", true), flag("withDevices")};
constexpr Field user_fields[] = {user_id};
constexpr Field session_fields[] = {user_id, session_id};
constexpr Field password_fields[] = {text("password", true)};
constexpr Field totp_fields[] = {text("totp", true)};

constexpr Route routes[] = {
    {Method::post, "/api/v1/users/invite", on_organization(Permission::user_invite), Lane::api, invite_fields, invite_user},
    {Method::get, "/api/v1/users/invitations", on_organization(Permission::org_view_users), Lane::api, page_fields, get_invitations},
    {Method::post, "/api/v1/users/invitation/resend", on_organization(Permission::user_invite), Lane::api, invitation_fields,
     resend_invitation},
    {Method::delete_, "/api/v1/users/invitation", on_organization(Permission::user_invite), Lane::api, invitation_fields,
     revoke_invitation},
    {Method::post, "/api/v1/users/invitation/accept", public_rule(), Lane::password, accept_fields, post_accept_invitation},
    {Method::post, "/api/v1/users/register", public_rule(), Lane::api, register_fields, post_register},
    {Method::post, "/api/v1/users/register/complete", public_rule(), Lane::password, complete_fields, post_complete_sign_up},
    {Method::post, "/api/v1/users/reset", public_rule(), Lane::api, reset_fields, post_reset},
    {Method::post, "/api/v1/users/reset/complete", public_rule(), Lane::password, complete_reset_fields, post_complete_reset},
    {Method::post, "/api/v1/users/confirm-email", public_rule(), Lane::api, link_fields, post_confirm_email},
    {Method::post, "/api/v1/user/confirm-email", signed_in(), Lane::api, {}, post_request_confirmation},
    {Method::post, "/api/v1/users/transfer", on_user(Permission::user_transfer), Lane::api, transfer_fields, transfer_user},
    {Method::post, "/api/v1/user/delete-account", signed_in(), Lane::password, leave_fields, delete_own_account},
    {Method::get, "/api/v1/user/export", signed_in(), Lane::api, {}, export_own_data},
    {Method::get, "/api/v1/user/sessions", on_user_or_oneself(Permission::user_force_logout), Lane::api, user_fields, get_sessions},
    {Method::delete_, "/api/v1/user/session", on_user_or_oneself(Permission::user_force_logout), Lane::api, session_fields,
     delete_user_session},
    {Method::post, "/api/v1/user/force-logout", on_user_or_oneself(Permission::user_force_logout), Lane::api, user_fields, force_logout},
    {Method::get, "/api/v1/user/totp", signed_in(), Lane::api, {}, get_totp},
    {Method::post, "/api/v1/user/totp", signed_in(), Lane::password, password_fields, begin_totp},
    {Method::post, "/api/v1/user/totp/enable", signed_in(), Lane::api, totp_fields, enable_totp},
    {Method::post, "/api/v1/user/totp/recovery-codes", signed_in(), Lane::password, password_fields, new_recovery_codes},
    {Method::post, "/api/v1/user/totp/disable", signed_in(), Lane::password, password_fields, disable_totp},
    {Method::post, "/api/v1/user/totp/remove", on_user(Permission::user_password), Lane::api, user_fields, remove_totp},
    {Method::get, "/api/v1/mail", on_organization(Permission::audit_view), Lane::api, page_fields, get_mail},
};

}  // namespace

std::span<const Route> people_routes() noexcept { return routes; }

}  // namespace muster::api
