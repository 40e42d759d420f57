// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/people/links.hpp"

#include "cloud/api/people/secret_text.hpp"
#include "cloud/api/people/sign_in.hpp"
#include "cloud/base/log.hpp"
#include "cloud/base/password.hpp"
#include "cloud/domain/rules.hpp"
#include "cloud/mail/address.hpp"
#include "cloud/mail/message.hpp"

namespace muster::api {
namespace {

using domain::Link;
using domain::LinkKind;
using domain::NewMail;

constexpr std::string_view link_domain = "link";

Refusal sign_up_closed() {
  return {403, "sign_up_closed", "This server takes no sign-ups of this kind; ask an administrator for an invitation.", {}, 0};
}
Refusal mail_not_configured(std::string message) { return {409, "mail_not_configured", std::move(message), {}, 0}; }
Refusal link_invalid() { return {404, "link_invalid", "This link has expired, was used already, or a newer one took its place.", {}, 0}; }
Refusal too_many_links(long long wait_s) {
  return {429, "too_many_requests", "Too many requests of this kind; wait and try again.", {}, wait_s};
}

struct NewSecret {
  std::string secret;
  TokenDigest digest;
};
NewSecret make_secret(Core& core) {
  NewSecret made{random_secret(core.random), {}};
  made.digest = core.keys.digest(link_domain, made.secret).newest();
  return made;
}
TokenDigests digests_of(const Core& core, std::string_view secret) { return core.keys.digest(link_domain, secret); }

std::string address_of(const Core& core, std::string_view path) {
  std::string base = core.options.public_url;
  while (base.ends_with('/')) base.pop_back();
  return base.append(path);
}
std::string address_of(const Core& core, LinkKind kind, std::string_view secret) { return address_of(core, link_path(kind, secret)); }

NewMail sealed(Core& core, std::string_view to, std::string_view kind, const mail::Message& message) {
  return {std::string{to}, std::string{kind}, core.keys.seal(mail::seal_context, mail::pack(message), core.random)};
}

domain::Actor nobody(Core& core, const Request& request) {
  return {{}, {}, client_name(request, false), request.peer.text(), core.clock.utc_now()};
}

UtcTime end_of(const Core& core, LinkKind kind) { return {core.clock.utc_now().ms + domain::link_life_ms(kind)}; }

mail::Message invitation_text(Core& core, const Link& link, const domain::Actor& actor, std::string_view secret, bool known) {
  const auto inviter = core.views.directory.user(actor.user_id);
  const auto organization = core.views.directory.organization(link.organization_id);
  const std::string who = inviter ? (inviter->name.empty() ? inviter->email : inviter->name) : std::string{};
  const std::string where = organization ? organization->name : std::string{};
  const std::string address = address_of(core, LinkKind::invite, secret);
  return known ? mail::invitation_to_move(core.options.brand, {who, where}, address)
               : mail::invitation(core.options.brand, {who, where}, address);
}

/// The mail of an invitation, or none when the inviter hands the link over. Who has an account reads other words; both are written, so
/// that the time is the same.
Result<std::optional<NewMail>> invitation_mail(Core& core, const Link& link, const domain::Actor& actor, std::string_view secret) {
  if (!why_no_mail(core).empty()) return std::optional<NewMail>{};
  MUSTER_TRY(const auto known, core.store.find_credentials(link.email));
  const mail::Message to_new = invitation_text(core, link, actor, secret, false),
                      to_known = invitation_text(core, link, actor, secret, true);
  return std::optional{sealed(core, link.email, "invite", known ? to_known : to_new)};
}

Invited told(const Core& core, const Link& link, std::string_view secret) {
  const std::string_view reason = why_no_mail(core);
  if (reason.empty()) return {link, {}, {}};
  return {link, address_of(core, LinkKind::invite, secret), std::string{reason}};
}

/// A stranger asks for mail to an address. Counted before anybody knows whether there is an account.
std::optional<Refusal> check_request(Core& core, const Request& request, std::string_view email) {
  if (const auto complaint = domain::check_email(email)) return wrong_value("email", *complaint);
  if (const auto wait = core.links_per_address.count(request.peer.limit_key(), core.clock.now())) return too_many_links(wait->count());
  if (const auto wait = core.links_per_email.count(account_key(core, email), core.clock.now())) return too_many_links(wait->count());
  return std::nullopt;
}

std::optional<Refusal> check_new_password(std::string_view password) {
  if (const auto complaint = domain::check_password(password)) return wrong_value("password", *complaint);
  return std::nullopt;
}

std::optional<Refusal> check_name(std::string_view name) {
  if (const auto complaint = domain::check_user_name(name)) return wrong_value("name", *complaint);
  return std::nullopt;
}

/// Who used a link in the meantime hears what he would have heard before.
Refusal refusal_of_link(const Error& error) { return error == domain::DomainError::not_found ? link_invalid() : refusal_of(error); }

std::string verifier_of(std::string_view password, std::string_view email) {
  return make_password_verifier(password_prehash(password, email));
}

}  // namespace

std::string link_path(LinkKind kind, std::string_view secret) {
  std::string path = "/account/";
  switch (kind) {
    case LinkKind::invite: path += "invitation"; break;
    case LinkKind::sign_up: path += "create-password"; break;
    case LinkKind::reset: path += "reset"; break;
    case LinkKind::confirm_email: path += "confirm-email"; break;
  }
  return path.append("?link=").append(secret);
}

std::string_view why_no_mail(const Core& core) {
  if (core.options.public_url.empty())
    return "The server was started without --public-url, so it does not know which address people reach it at: no mail was queued.";
  if (!core.options.has_smtp) return "No mail server is configured (section mail): no mail was queued.";
  return {};
}

// --- invitations ---------------------------------------------------------------------------------------------------------

Outcome<Invited> invite(Core& core, const Link& invitation, const domain::Actor& actor) {
  const NewSecret made = make_secret(core);
  domain::NewLink link{invitation, made.digest};
  link.link.kind = LinkKind::invite;
  link.link.created_by = actor.user_id;
  link.link.expires_at = end_of(core, LinkKind::invite);
  const auto mail = invitation_mail(core, link.link, actor, made.secret);
  if (!mail) return refusal_of(mail.error());
  const auto stored = core.store.create_invitation(link, *mail, core.options.invitations_per_day, actor);
  if (!stored) return refusal_of(stored.error());
  return told(core, *stored, made.secret);
}

Outcome<Invited> invite_again(Core& core, const Link& invitation, const domain::Actor& actor) {
  const NewSecret made = make_secret(core);
  const auto mail = invitation_mail(core, invitation, actor, made.secret);
  if (!mail) return refusal_of(mail.error());
  const auto stored = core.store.renew_invitation(invitation.id, made.digest, end_of(core, LinkKind::invite), *mail,
                                                  core.options.invitations_per_day, actor);
  if (!stored) return refusal_of(stored.error());
  return told(core, *stored, made.secret);
}

Outcome<Link> look_at_link(Core& core, const Request& request, LinkKind kind, std::string_view secret) {
  const std::uint64_t address = request.peer.limit_key();
  if (const auto wait = core.unknown_links.peek(address, core.clock.now())) return too_many_links(wait->count());
  // A link looks like an access token: 43 characters. Anything else needs no look-up.
  if (looks_like_access_token(secret)) {
    const auto link = core.store.find_link(kind, digests_of(core, secret).all());
    if (!link) return refusal_of(link.error());
    if (*link) return **link;
  }
  (void)core.unknown_links.count(address, core.clock.now());
  return link_invalid();
}

Result<bool> has_account(Core& core, const Link& link) {
  const auto known = core.store.find_credentials(link.email);
  return known ? Result<bool>{known->has_value()} : Result<bool>{boost::system::in_place_error, known.error()};
}

Outcome<domain::User> accept_invitation(Core& core, const Request& request, std::string_view secret, std::string_view password,
                                        std::string_view name) {
  auto looked = look_at_link(core, request, LinkKind::invite, secret);
  if (auto* refusal = std::get_if<Refusal>(&looked)) return std::move(*refusal);
  const Link& link = std::get<Link>(looked);
  const std::string called = domain::trim(name.empty() ? link.name : name);
  if (auto refused = check_new_password(password)) return std::move(*refused);
  if (auto refused = check_name(called)) return std::move(*refused);
  const auto known = has_account(core, link);
  if (!known) return refusal_of(known.error());
  if (*known) return refusal_of(domain::DomainError::email_taken);
  const auto user =
      core.store.accept_invitation(digests_of(core, secret).all(), verifier_of(password, link.email), called, nobody(core, request));
  if (!user) return refusal_of_link(user.error());
  return *user;
}

Outcome<domain::User> accept_invitation_and_move(Core& core, const Request& request, std::string_view secret, std::string_view password,
                                                 std::string_view totp, domain::OwnedDevices devices) {
  auto looked = look_at_link(core, request, LinkKind::invite, secret);
  if (auto* refusal = std::get_if<Refusal>(&looked)) return std::move(*refusal);
  const Link& link = std::get<Link>(looked);
  const auto credentials = core.store.find_credentials(link.email);
  if (!credentials) return refusal_of(credentials.error());
  if (!*credentials) return link_invalid();
  const domain::User& user = (*credentials)->user;
  auto checked = check_own_password(core, request, user, password, totp);
  if (auto* refusal = std::get_if<Refusal>(&checked)) return std::move(*refusal);
  const auto moved = core.store.accept_invitation_as(digests_of(core, secret).all(), user.id, devices, nobody(core, request));
  if (!moved) return refusal_of_link(moved.error());
  return *moved;
}

// --- reset -----------------------------------------------------------------------------------------------------------------

Outcome<Done> request_reset(Core& core, const Request& request, std::string_view given) {
  const std::string email = mail::normal_address(given);
  if (auto refused = check_request(core, request, email)) return std::move(*refused);
  if (const auto why = why_no_mail(core); !why.empty()) {
    log::warning("reset_not_possible", {{"why", why}, {"what_to_do", "an administrator sets a new password: muster user passwd"}});
    return Done{};
  }
  const NewSecret made = make_secret(core);
  domain::NewLink link{{}, made.digest};
  link.link.kind = LinkKind::reset;
  link.link.email = email;
  link.link.expires_at = end_of(core, LinkKind::reset);
  const NewMail mail = sealed(core, email, "reset", mail::reset(core.options.brand, address_of(core, LinkKind::reset, made.secret)));
  const auto queued = core.store.request_link(link, mail, true, nobody(core, request));
  if (!queued) return refusal_of(queued.error());
  return Done{};
}

Outcome<domain::User> complete_reset(Core& core, const Request& request, std::string_view secret, std::string_view password) {
  auto looked = look_at_link(core, request, LinkKind::reset, secret);
  if (auto* refusal = std::get_if<Refusal>(&looked)) return std::move(*refusal);
  if (auto refused = check_new_password(password)) return std::move(*refused);
  const Link& link = std::get<Link>(looked);
  std::optional<NewMail> note;
  if (why_no_mail(core).empty())
    note = sealed(core, link.email, "password_changed", mail::password_changed(core.options.brand, address_of(core, "/account/sign-in")));
  const auto user =
      core.store.reset_password(digests_of(core, secret).all(), verifier_of(password, link.email), note, nobody(core, request));
  if (!user) return refusal_of_link(user.error());
  core.stream.access_tokens_changed(user->id);
  core.sign_in_throttle.forget(account_key(core, user->email));
  return *user;
}

// --- sign-up ---------------------------------------------------------------------------------------------------------------

bool may_sign_up(const Core& core, domain::SignUpKind kind) noexcept {
  const SignUpMode mode = core.options.sign_up;
  if (mode == SignUpMode::both) return true;
  return mode == (kind == domain::SignUpKind::partner ? SignUpMode::partners : SignUpMode::clients);
}

Outcome<Done> request_sign_up(Core& core, const Request& request, std::string_view given, domain::SignUpKind kind) {
  if (!may_sign_up(core, kind)) return sign_up_closed();
  if (!why_no_mail(core).empty())
    return mail_not_configured("This server sends no mail, so nobody can sign up; ask an administrator for an invitation.");
  const std::string email = mail::normal_address(given);
  if (auto refused = check_request(core, request, email)) return std::move(*refused);
  const NewSecret made = make_secret(core);
  domain::NewLink link{{}, made.digest};
  link.link.kind = LinkKind::sign_up;
  link.link.email = email;
  link.link.sign_up = kind;
  link.link.expires_at = end_of(core, LinkKind::sign_up);
  const auto known = core.store.find_credentials(email);
  if (!known) return refusal_of(known.error());
  const auto to_known = mail::sign_up_known(core.options.brand, address_of(core, "/account/sign-in"), address_of(core, "/account/reset"));
  const auto to_new = mail::sign_up(core.options.brand, address_of(core, LinkKind::sign_up, made.secret));
  const auto queued =
      core.store.request_link(link, sealed(core, email, "sign_up", *known ? to_known : to_new), false, nobody(core, request));
  if (!queued) return refusal_of(queued.error());
  return Done{};
}

Outcome<domain::User> complete_sign_up(Core& core, const Request& request, std::string_view secret, std::string_view password,
                                       std::string_view name, std::string_view organization_name) {
  auto looked = look_at_link(core, request, LinkKind::sign_up, secret);
  if (auto* refusal = std::get_if<Refusal>(&looked)) return std::move(*refusal);
  const Link& link = std::get<Link>(looked);
  if (auto refused = check_new_password(password)) return std::move(*refused);
  const std::string called = domain::trim(name);
  if (auto refused = check_name(called)) return std::move(*refused);
  std::string organization = domain::trim(organization_name);
  if (organization.empty()) organization = called.empty() ? link.email.substr(0, link.email.find('@')) : called;
  if (const auto complaint = domain::check_organization_name(organization)) {
    if (!organization_name.empty()) return wrong_value("organizationName", *complaint);
    organization = "My devices";  // What stands before an @ need not be a name.
  }
  const domain::Actor actor = nobody(core, request);
  const auto group = core.store.organization_of_group(
      link.sign_up == domain::SignUpKind::partner ? domain::OrganizationGroup::partners : domain::OrganizationGroup::clients, actor);
  if (!group) return refusal_of(group.error());
  const auto user =
      core.store.complete_sign_up(digests_of(core, secret).all(), verifier_of(password, link.email), called, *group, organization, actor);
  if (!user) return refusal_of_link(user.error());
  return *user;
}

// --- confirmation ------------------------------------------------------------------------------------------------------------

Outcome<Done> request_confirmation(Core& core, const Request& request, const domain::User& user) {
  if (const auto why = why_no_mail(core); !why.empty()) return mail_not_configured(std::string{why});
  if (auto refused = check_request(core, request, user.email)) return std::move(*refused);
  const NewSecret made = make_secret(core);
  domain::NewLink link{{}, made.digest};
  link.link.kind = LinkKind::confirm_email;
  link.link.email = user.email;
  link.link.created_by = user.id;
  link.link.expires_at = end_of(core, LinkKind::confirm_email);
  const NewMail mail = sealed(core, user.email, "confirm_email",
                              mail::confirm_email(core.options.brand, address_of(core, LinkKind::confirm_email, made.secret)));
  const auto queued = core.store.request_link(link, mail, true, nobody(core, request));
  if (!queued) return refusal_of(queued.error());
  return Done{};
}

Outcome<Done> confirm_email(Core& core, const Request& request, std::string_view secret) {
  auto looked = look_at_link(core, request, LinkKind::confirm_email, secret);
  if (auto* refusal = std::get_if<Refusal>(&looked)) return std::move(*refusal);
  const auto confirmed = core.store.confirm_email(digests_of(core, secret).all(), nobody(core, request));
  if (!confirmed) return refusal_of_link(confirmed.error());
  return Done{};
}

}  // namespace muster::api
