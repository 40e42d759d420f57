// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace muster::sim {

/// Mistakes that can be planted, each against one invariant. The simulation must find every one.
enum class Bug : std::uint8_t {
  none,
  reissued_token,         ///< A revoked token string can be issued again.            Invariant 1
  nine_when_store_fails,  ///< A store error is taken for "never issued".             Invariant 10
  reveal_without_audit,   ///< A token reveal leaves no entry.                        Invariant 19
  restart_touches_rows,   ///< Starting rewrites when a device was activated.         Invariant 20
  restart_is_disconnect,  ///< Stopping the server counts as a disconnect.            Invariant 20
  oldest_login_stays,     ///< A replaced session is not closed.
  late_revocation,        ///< A regenerate is acknowledged before the index knows.
  revoked_session_lives,  ///< Nobody closes the sessions of a revoked token.
  early_acknowledgement,  ///< A creation is acknowledged before the store has it.
  unsynced_commit,        ///< The store acknowledges what is not on disk yet.
  // Of provisioning: provision_simulation.hpp finds these.
  commit_before_proof,      ///< A device keeps settings as proved that have not reached the cloud.
  pending_after_dial,       ///< It writes the pending record only when it is through to the cloud.
  old_token_ends_at_login,  ///< The cloud revokes the old token as soon as the new one was seen.
};
inline constexpr Bug all_bugs[] = {
    Bug::reissued_token,     Bug::nine_when_store_fails, Bug::reveal_without_audit,  Bug::restart_touches_rows,  Bug::restart_is_disconnect,
    Bug::oldest_login_stays, Bug::late_revocation,       Bug::revoked_session_lives, Bug::early_acknowledgement, Bug::unsynced_commit};
inline constexpr Bug provision_bugs[] = {Bug::commit_before_proof, Bug::pending_after_dial, Bug::old_token_ends_at_login};
[[nodiscard]] std::string_view bug_name(Bug bug) noexcept;

}  // namespace muster::sim
