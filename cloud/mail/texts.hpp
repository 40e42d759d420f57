// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "cloud/mail/message.hpp"

/// What the mails say.
namespace muster::mail {

/// How this server presents itself, in mails and on the pages under /account. Configuration section `brand`.
struct Brand {
  std::string name = "Muster";
  std::string logo_url;           ///< https only; empty: the name is shown.
  std::string color = "#0b57d0";  ///< Of buttons and links: `#rrggbb`.
  std::string support;            ///< An email or https address; empty: none.
  std::string terms_url, privacy_url;
};
/// What is wrong with a brand, or empty.
[[nodiscard]] std::string check_brand(const Brand& brand);

/// Who invites, and where to, as they are called.
struct InvitationNames {
  std::string_view inviter, organization;
};
[[nodiscard]] Message invitation(const Brand& brand, const InvitationNames& names, std::string_view link);
/// To somebody who has an account already: he may move, and nothing happens if he does not.
[[nodiscard]] Message invitation_to_move(const Brand& brand, const InvitationNames& names, std::string_view link);
[[nodiscard]] Message sign_up(const Brand& brand, std::string_view link);
/// To somebody who has an account and asked for another.
[[nodiscard]] Message sign_up_known(const Brand& brand, std::string_view sign_in_link, std::string_view reset_link);
[[nodiscard]] Message reset(const Brand& brand, std::string_view link);
/// After a password was changed by a link.
[[nodiscard]] Message password_changed(const Brand& brand, std::string_view sign_in_link);
[[nodiscard]] Message confirm_email(const Brand& brand, std::string_view link);
/// A note without a link.
[[nodiscard]] Message note(const Brand& brand, std::string_view subject, std::string_view sentence);

}  // namespace muster::mail
