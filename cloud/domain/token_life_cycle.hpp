// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cloud/base/result.hpp"
#include "cloud/domain/entities.hpp"
#include "cloud/domain/error.hpp"

/// The life of an AuthToken as a table over its kinds: docs/protocol/cloud-model.md sections 3 and 5. The same table drives logins, what
/// stores do to tokens, docs/life-cycles.md and exhaustive tests of itself and of every store. The events that code makes by now are
/// those of the manual and the dynamic way; the others wait for the static one.
namespace muster::domain {

enum class TokenEvent : std::uint8_t {
  login = 0,             ///< A device presents it. Refused = the registry positively knows that it is invalid.
  info_accepted,         ///< The info after its login names a template that fits.
  info_refused,          ///< ... names an unknown or foreign one.
  successor_logged_in,   ///< First login with the token that shall replace it (reconfigure, rotation with delivery).
  successor_proved,      ///< That login lasted, or came twice: the old token has done its duty.
  successor_dropped,     ///< That token was never proved, and the device came back with the old one, which is the device's again.
  replaced,              ///< A person regenerated or set the token without grace, or rotated a leaked one.
  replaced_with_grace,   ///< The same, and the old token still works for a while.
  expired,               ///< Its time is over (a static token has one only while it waits to replace another).
  unproved,              ///< It should have replaced another one, and the device came back with that one after its time.
  canceled,              ///< Its provisioning session was canceled, or a newer one took its place.
  device_removed,        ///< The device was deleted, or given back.
  static_token_removed,  ///< The static token itself was deleted.
  revealed,              ///< Shown to a person, exported.
  key_rotated,           ///< Digested and sealed anew under another key.
};
inline constexpr std::size_t token_event_count = 15;
inline constexpr std::size_t token_kind_count = 6;

struct TokenTransition {
  bool allowed = false;
  TokenKind next = TokenKind::revoked;             ///< What it is afterwards; unchanged when refused.
  DomainError refusal = DomainError::wrong_state;  ///< Only when refused.
  friend constexpr bool operator==(const TokenTransition&, const TokenTransition&) noexcept = default;
};

[[nodiscard]] TokenTransition next(TokenKind kind, TokenEvent event) noexcept;
/// The kind afterwards. Errors: the table's refusal.
[[nodiscard]] inline Result<TokenKind> after(TokenKind kind, TokenEvent event) {
  const TokenTransition transition = next(kind, event);
  return transition.allowed ? Result<TokenKind>{transition.next} : Result<TokenKind>{transition.refusal};
}
/// False: the registry positively knows that such a token is invalid.
[[nodiscard]] inline bool may_log_in(TokenKind kind) noexcept { return next(kind, TokenEvent::login).allowed; }
[[nodiscard]] std::string_view token_kind_name(TokenKind kind) noexcept;     ///< "DEVICE", ...
[[nodiscard]] std::string_view token_event_name(TokenEvent event) noexcept;  ///< "login", ...
/// A Mermaid state diagram and a Markdown table, for docs/life-cycles.md.
[[nodiscard]] std::string token_life_cycle_markdown();

}  // namespace muster::domain
