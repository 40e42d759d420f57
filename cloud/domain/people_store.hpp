// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/result.hpp"
#include "cloud/domain/entities.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/mail_store.hpp"
#include "cloud/domain/store_types.hpp"

namespace muster::domain {

/// Numbers are stored: never renumber.
enum class LinkKind : std::uint8_t { invite = 1, sign_up = 2, reset = 3, confirm_email = 4 };
enum class SignUpKind : std::uint8_t { client = 1, partner = 2 };

/// How long a link works. docs/protocol/cloud-model.md section 7.
[[nodiscard]] constexpr std::int64_t link_life_ms(LinkKind kind) noexcept {
  constexpr std::int64_t hour = 3'600'000;
  switch (kind) {
    case LinkKind::invite: return 30 * 24 * hour;
    case LinkKind::reset: return hour;
    case LinkKind::sign_up:
    case LinkKind::confirm_email: break;
  }
  return 24 * hour;
}

/// A link that is sent to somebody. Its secret is known to him alone; the store has a keyed digest of it.
struct Link {
  LinkId id;
  LinkKind kind = LinkKind::invite;
  std::string email;               ///< Lower case: to whom.
  OrganizationId organization_id;  ///< Invite: where to.
  RoleId role_id;                  ///< Invite.
  std::string name;                ///< Invite and sign-up: of the person, as whoever asked wrote it.
  std::string locale = "en_US";    ///< Invite.
  SignUpKind sign_up = SignUpKind::client;
  UserId created_by;  ///< Who invited; none: the person himself asked.
  UtcTime created_at, expires_at;
};

struct NewLink {
  Link link;  ///< `id` is given by the store.
  TokenDigest digest;
};

/// A session of a person, as it is listed.
struct SignIn {
  SignInId id;
  UtcTime created_at, last_used_at, expires_at;  ///< `last_used_at` is written once a day.
  std::string client, ip;                        ///< Of the sign-in.
  TokenDigest digest;                            ///< To tell one's own; never shown.
};

/// A time-based second factor (RFC 6238).
struct SecondFactor {
  std::string sealed;    ///< The secret.
  bool enabled = false;  ///< Not yet: nobody has shown a code of it.
  UtcTime enabled_at;
  std::size_t recovery_codes_left = 0;
};
inline constexpr std::size_t totp_steps_remembered = 100;  ///< Codes of one person that are not taken again, whatever the clock does.

/// What becomes of the devices that a person owns when he leaves.
enum class OwnedDevices : std::uint8_t {
  refuse,   ///< in_use when there are any.
  move,     ///< They go with him (a transfer).
  release,  ///< They stay where they are, without an owner; a deletion of the whole organization deletes them.
};

/// Links by mail (invitation, sign-up, reset), second factors, and the sessions of people.
/// A part of Store, with its rules: see there. What a backend does not override is unavailable.
class PeopleStore {
 public:
  virtual ~PeopleStore() = default;

  // --- links: each works once; a new one takes the place of those of the same kind for the same person (and organization) ------------
  /// `per_day_max` invitations of one organization a day, resent ones counted. `mail` none: the link is handed over by the inviter.
  /// Errors: not_found (organization, role), limit_reached.
  virtual Result<Link> create_invitation(const NewLink&, const std::optional<NewMail>&, std::size_t /*per_day_max*/, const Actor&) {
    return StoreError::unavailable;
  }
  /// The same invitation under a new secret. Errors: not_found, limit_reached.
  virtual Result<Link> renew_invitation(LinkId, const TokenDigest&, UtcTime /*expires_at*/, const std::optional<NewMail>&,
                                        std::size_t /*per_day_max*/, const Actor&) {
    return StoreError::unavailable;
  }
  /// Errors: not_found.
  virtual Result<void> revoke_invitation(LinkId, const Actor&) { return StoreError::unavailable; }
  virtual Result<PageOf<Link>> invitations(OrganizationId, const Page&) { return StoreError::unavailable; }  ///< Open ones.
  virtual Result<std::optional<Link>> find_invitation(LinkId) { return StoreError::unavailable; }

  /// A link that a person asks for himself. `needs_account`: only an active user of that email gets mail; for any other email the same
  /// rows are written, and no mail goes out.
  virtual Result<void> request_link(const NewLink&, const NewMail&, bool /*needs_account*/, const Actor&) {
    return StoreError::unavailable;
  }
  /// nullopt: never made, used, superseded or expired.
  virtual Result<std::optional<Link>> find_link(LinkKind, std::span<const TokenDigest>) { return StoreError::unavailable; }
  /// Removes what expired; how many.
  virtual Result<std::size_t> expire_links(UtcTime /*now*/, std::size_t /*limit*/) { return StoreError::unavailable; }

  /// Makes the user. Errors: not_found (the link), email_taken.
  virtual Result<User> accept_invitation(std::span<const TokenDigest>, std::string_view /*verifier*/, std::string_view /*name*/,
                                         const Actor&) {
    return StoreError::unavailable;
  }
  /// Moves the user, who has the link's email, to where he is invited. Errors: as transfer_user, and not_found for the link.
  virtual Result<User> accept_invitation_as(std::span<const TokenDigest>, UserId, OwnedDevices, const Actor&) {
    return StoreError::unavailable;
  }
  /// Makes an organization of his own beneath `group` and the user as its Admin: a PERSONAL one for a client, for a partner a BUSINESS one
  /// that may have sub-organizations. A name that is taken there gets a number. Errors: not_found (the link, the group), email_taken,
  /// tree_too_deep.
  virtual Result<User> complete_sign_up(std::span<const TokenDigest>, std::string_view /*verifier*/, std::string_view /*name*/,
                                        OrganizationId /*group*/, std::string_view /*organization_name*/, const Actor&) {
    return StoreError::unavailable;
  }
  /// Ends every session of his. Errors: not_found (the link, or its user is gone), not_active.
  virtual Result<User> reset_password(std::span<const TokenDigest>, std::string_view /*verifier*/, const std::optional<NewMail>& /*note*/,
                                      const Actor&) {
    return StoreError::unavailable;
  }
  /// Errors: not_found.
  virtual Result<UserId> confirm_email(std::span<const TokenDigest>, const Actor&) { return StoreError::unavailable; }
  virtual Result<UtcTime> email_confirmed_at(UserId) { return StoreError::unavailable; }  ///< 0: never.

  // --- people move and leave -----------------------------------------------------------------------------------------------------
  /// His role is kept when `role` is none. Ends his sessions. Errors: not_found, last_admin, in_use (owns devices).
  virtual Result<User> transfer_user(UserId, OrganizationId, RoleId /*role*/, OwnedDevices, const Actor&) {
    return StoreError::unavailable;
  }
  /// The last user of an organization takes it with him, when it is not the root and has no sub-organizations. Errors: not_found,
  /// last_admin (others are left, or it is the root), in_use (devices, with OwnedDevices::refuse; sub-organizations).
  virtual Result<void> leave(UserId, OwnedDevices, const Actor&) { return StoreError::unavailable; }
  /// What the audit log has of his own acts, newest first.
  virtual Result<std::vector<AuditEntry>> acts_of(UserId, std::size_t /*limit*/) { return StoreError::unavailable; }

  // --- sessions ------------------------------------------------------------------------------------------------------------------
  virtual Result<std::vector<SignIn>> sign_ins(UserId) { return StoreError::unavailable; }  ///< Newest first; expired ones are not listed.
  /// Errors: not_found.
  virtual Result<void> end_sign_in(UserId, SignInId, const Actor&) { return StoreError::unavailable; }
  /// All but `keep`.
  virtual Result<void> end_sign_ins(UserId, const std::optional<TokenDigest>& /*keep*/, const Actor&) { return StoreError::unavailable; }

  // --- second factors ------------------------------------------------------------------------------------------------------------
  virtual Result<std::optional<SecondFactor>> find_second_factor(UserId) { return StoreError::unavailable; }
  /// A secret that is not asked for yet; takes the place of another such. Errors: not_found, wrong_state (one is enabled).
  virtual Result<void> begin_second_factor(UserId, std::string_view /*sealed*/) { return StoreError::unavailable; }
  /// From now on it is asked for. `step`: of the code that was shown. Ends all sessions but `keep`. Errors: wrong_state.
  virtual Result<void> enable_second_factor(UserId, std::int64_t /*step*/, std::span<const TokenDigest> /*recovery_codes*/,
                                            const std::optional<TokenDigest>& /*keep*/, const Actor&) {
    return StoreError::unavailable;
  }
  /// Marks the code of this step as used. Errors: wrong_state (it was).
  virtual Result<void> use_totp_step(UserId, std::int64_t /*step*/) { return StoreError::unavailable; }
  /// Errors: not_found (no such code, or used).
  virtual Result<void> use_recovery_code(UserId, std::span<const TokenDigest>, const Actor&) { return StoreError::unavailable; }
  /// Errors: wrong_state (none is enabled).
  virtual Result<void> replace_recovery_codes(UserId, std::span<const TokenDigest>, const Actor&) { return StoreError::unavailable; }
  virtual Result<void> remove_second_factor(UserId, const Actor&) { return StoreError::unavailable; }
};

}  // namespace muster::domain
