// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/token_life_cycle.hpp"

#include "cloud/domain/life_cycle_markdown.hpp"

namespace muster::domain {

namespace {

using enum TokenKind;

constexpr TokenTransition to(TokenKind kind) noexcept { return {true, kind, DomainError::wrong_state}; }
/// Refused: nothing of the kind can happen to such a token.
constexpr TokenTransition no(TokenKind kind, DomainError why = DomainError::wrong_state) noexcept { return {false, kind, why}; }

/// Once issued, never anything else again: a tombstone answers "not found", to logins and to people alike.
constexpr auto dead = no(revoked, DomainError::not_found);

using Row = std::array<TokenTransition, token_kind_count>;

/// By event, then by kind (TokenKind begins at 1).
constexpr std::array<Row, token_event_count> table = {{
    //                         DEVICE        PROVISION       REPROVISION       STATIC        GRACE        REVOKED
    /* login                */ {to(device), to(provision), to(reprovision), to(static_), to(grace), dead},
    /* info_accepted        */ {to(device), to(device), to(device), to(static_), to(grace), dead},
    /* info_refused         */ {to(device), to(revoked), to(reprovision), to(static_), to(grace), dead},
    /* successor_logged_in  */ {to(grace), no(provision), no(reprovision), to(revoked), to(grace), dead},
    /* successor_proved     */ {no(device), no(provision), no(reprovision), no(static_), to(revoked), dead},
    /* successor_dropped    */ {no(device), no(provision), no(reprovision), no(static_), to(device), dead},
    /* replaced             */ {to(revoked), no(provision), no(reprovision), to(revoked), to(revoked), dead},
    /* replaced_with_grace  */ {to(grace), no(provision), no(reprovision), to(grace), no(grace), dead},
    /* expired              */ {no(device), to(revoked), to(revoked), to(revoked), to(revoked), dead},
    /* unproved             */ {to(revoked), no(provision), no(reprovision), no(static_), no(grace), dead},
    /* canceled             */ {no(device), to(revoked), to(revoked), no(static_), no(grace), dead},
    /* device_removed       */ {to(revoked), no(provision), to(revoked), to(static_), to(revoked), dead},
    /* static_token_removed */ {no(device), no(provision), no(reprovision), to(revoked), to(revoked), dead},
    /* revealed             */ {to(device), to(provision), to(reprovision), to(static_), to(grace), dead},
    /* key_rotated          */ {to(device), to(provision), to(reprovision), to(static_), to(grace), dead},
}};

constexpr std::array<std::string_view, token_kind_count> kind_names = {"DEVICE", "PROVISION", "REPROVISION", "STATIC", "GRACE", "REVOKED"};
constexpr std::array<std::string_view, token_event_count> event_names = {"login",
                                                                         "info_accepted",
                                                                         "info_refused",
                                                                         "successor_logged_in",
                                                                         "successor_proved",
                                                                         "successor_dropped",
                                                                         "replaced",
                                                                         "replaced_with_grace",
                                                                         "expired",
                                                                         "unproved",
                                                                         "canceled",
                                                                         "device_removed",
                                                                         "static_token_removed",
                                                                         "revealed",
                                                                         "key_rotated"};

constexpr std::size_t index_of(TokenKind kind) noexcept { return static_cast<std::size_t>(kind) - 1; }

}  // namespace

TokenTransition next(TokenKind kind, TokenEvent event) noexcept { return table[static_cast<std::size_t>(event)][index_of(kind)]; }

std::string_view token_kind_name(TokenKind kind) noexcept { return kind_names[index_of(kind)]; }
std::string_view token_event_name(TokenEvent event) noexcept { return event_names[static_cast<std::size_t>(event)]; }

std::string token_life_cycle_markdown() {
  return life_cycle_markdown(
      token_kind_count, token_event_count, [](std::size_t kind) { return kind_names[kind]; },
      [](std::size_t event) { return event_names[event]; },
      {index_of(device), index_of(provision), index_of(reprovision), index_of(static_)}, index_of(revoked),
      [](std::size_t kind, std::size_t event) {
        const auto& transition = table[event][kind];
        return transition.allowed ? index_of(transition.next) : token_kind_count;
      });
}

}  // namespace muster::domain
