// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cloud/api/people/refusal.hpp"
#include "cloud/api/router.hpp"

/// Links that are sent to people, and what follows when one is opened. All of it blocks; what takes a new password hashes it, and runs
/// on Lane::password only. Codes of refusals: link_invalid, too_many_requests, sign_up_closed, mail_not_configured, invalid_value, and
/// those of the store's operations.
namespace muster::api {

/// "/account/reset?link=...": where the link of this kind leads.
[[nodiscard]] std::string link_path(domain::LinkKind kind, std::string_view secret);
/// Why links do not go out by mail; empty: they do.
[[nodiscard]] std::string_view why_no_mail(const Core& core);

/// What whoever invites is told.
struct Invited {
  domain::Link invitation;
  std::string link;    ///< To be handed over; empty: it went out by mail. Without a public URL a path.
  std::string reason;  ///< Why it did not go out by mail.
};
/// `invitation`: email, organization, role, name and locale, checked. The answer is the same whether or not there is an account.
[[nodiscard]] Outcome<Invited> invite(Core& core, const domain::Link& invitation, const domain::Actor& actor);
[[nodiscard]] Outcome<Invited> invite_again(Core& core, const domain::Link& invitation, const domain::Actor& actor);

/// What a link says before it is used. Wrong ones are counted by address.
[[nodiscard]] Outcome<domain::Link> look_at_link(Core& core, const Request& request, domain::LinkKind kind, std::string_view secret);
/// Whether somebody has an account of that email; only for who holds a link that was sent there.
[[nodiscard]] Result<bool> has_account(Core& core, const domain::Link& link);

/// The new account; who accepts signs in afterwards as always.
[[nodiscard]] Outcome<domain::User> accept_invitation(Core& core, const Request& request, std::string_view secret,
                                                      std::string_view password, std::string_view name);
/// Moves an account that exists, after its password was given, and a code where it has a second factor. Its devices come along, or stay behind without an owner.
[[nodiscard]] Outcome<domain::User> accept_invitation_and_move(Core& core, const Request& request, std::string_view secret,
                                                               std::string_view password, std::string_view totp,
                                                               domain::OwnedDevices devices);

/// The answer is the same whatever the email is.
[[nodiscard]] Outcome<Done> request_reset(Core& core, const Request& request, std::string_view email);
[[nodiscard]] Outcome<domain::User> complete_reset(Core& core, const Request& request, std::string_view secret, std::string_view password);

[[nodiscard]] bool may_sign_up(const Core& core, domain::SignUpKind kind) noexcept;
[[nodiscard]] Outcome<Done> request_sign_up(Core& core, const Request& request, std::string_view email, domain::SignUpKind kind);
/// `organization_name` empty: the person's name, or what stands before the @.
[[nodiscard]] Outcome<domain::User> complete_sign_up(Core& core, const Request& request, std::string_view secret, std::string_view password,
                                                     std::string_view name, std::string_view organization_name);

[[nodiscard]] Outcome<Done> request_confirmation(Core& core, const Request& request, const domain::User& user);
[[nodiscard]] Outcome<Done> confirm_email(Core& core, const Request& request, std::string_view secret);

}  // namespace muster::api
