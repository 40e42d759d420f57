// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/base/audit_key.hpp"
#include "cloud/base/clock.hpp"
#include "cloud/base/ids.hpp"

/// How entries of the audit log hold on to each other, and how a log that was tampered with is told from one that was not.
///
/// Each entry has a number (1, 2, 3, ...), the MAC of the entry before it, and its own MAC over both and over its content, under a key
/// that is not in the database. What names a person (address, email, name) is not in the content: the content holds its salted digest,
/// and the text with its salt lies apart, to be erased when the person's account is. docs/operating/README.md.
namespace muster::domain {

/// What an entry's MAC covers besides the MAC before. Texts borrow.
struct AuditContent {
  std::int64_t number = 0;
  UtcTime at;
  std::int64_t actor_user_id = 0, api_key_id = 0, oauth_client_id = 0, organization_id = 0, object_id = 0;
  std::string_view client, action, object_kind, detail;
  std::string_view from_digest, about_digest;  ///< 32 bytes, or none: the entry says nothing of that kind.
};

/// Something that names a person, as it lies apart; the entry holds its AuditKey::salted_digest. Borrows.
struct AuditPersonal {
  std::string_view salt, text;
};
inline constexpr std::size_t audit_salt_bytes = 16;

/// One entry as it is stored. Borrows.
struct AuditLink {
  AuditContent content;
  std::string_view previous, mac;            ///< 32 bytes each, when nobody tampered with them.
  std::optional<AuditPersonal> from, about;  ///< None: there is none, or it was erased.
};

/// Where the chain ends: how many entries, and the MAC of the last one (zeros when there is none).
struct AuditTip {
  std::int64_t count = 0;
  AuditMac mac{};
};

[[nodiscard]] AuditMac audit_mac(const AuditKey& key, std::string_view previous, const AuditContent& content);
[[nodiscard]] inline std::string_view as_text(const AuditMac& mac) noexcept {
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};  // NOLINT: bytes are bytes.
}

/// A tip at a time, signed: kept outside the machine it convicts whoever computes the whole chain anew.
struct AuditHead {
  AuditTip tip;
  UtcTime at;
  AuditMac signature{};
};
[[nodiscard]] AuditHead sign_audit_head(const AuditKey& key, const AuditTip& tip, UtcTime at);
[[nodiscard]] bool is_signed_by(const AuditKey& key, const AuditHead& head);
/// One line: `muster-audit-head count=12 hash=<hex> time=<Unix ms> signature=<hex>`.
[[nodiscard]] std::string audit_head_line(const AuditHead& head);
/// Finds a head in a line; what stands around it is not looked at, so that a line of the server's log will do.
[[nodiscard]] std::optional<AuditHead> parse_audit_head(std::string_view line);

enum class AuditProblem : std::uint8_t {
  edited,           ///< The entry does not have the content that its MAC was made of.
  inserted,         ///< It was never laid by a server with this key.
  deleted,          ///< These numbers are missing in between, or at the beginning.
  reordered,        ///< Genuine, in another place.
  tail_cut,         ///< The newest ones are missing.
  recomputed,       ///< The chain is whole in itself and is not the one that a head was taken of.
  personal_edited,  ///< Address, email or name were changed.
  head_not_ours,    ///< A head whose signature is not of this key.
};
[[nodiscard]] std::string_view audit_problem_name(AuditProblem problem) noexcept;

struct AuditFinding {
  AuditProblem problem = AuditProblem::edited;
  std::int64_t first = 0, last = 0;  ///< Numbers of entries.
  friend bool operator==(const AuditFinding&, const AuditFinding&) = default;
};

/// Walks a chain from its beginning, an entry at a time, in memory of a fixed size.
class AuditCheck {
 public:
  static constexpr std::size_t findings_max = 200;  ///< More are counted only.
  static constexpr std::size_t heads_max = 10'000;  ///< The newest ones.

  /// `heads` in any order. Those without our signature are findings, and not used.
  AuditCheck(const AuditKey& key, std::vector<AuditHead> heads);
  void take(const AuditLink& link);
  /// `numbers_given`: what the store says of entries ever made; 0: not known.
  void finish(std::int64_t numbers_given);

  [[nodiscard]] const std::vector<AuditFinding>& findings() const noexcept { return findings_; }
  [[nodiscard]] std::uint64_t findings_left_out() const noexcept { return left_out_; }
  [[nodiscard]] std::int64_t entries() const noexcept { return entries_; }
  [[nodiscard]] std::int64_t genuine() const noexcept { return genuine_; }  ///< Of the entries, those with a MAC of this key.
  [[nodiscard]] std::int64_t erased() const noexcept { return erased_; }    ///< Texts that name a person and are gone.
  [[nodiscard]] std::size_t heads_met() const noexcept { return heads_met_; }
  [[nodiscard]] const AuditTip& tip() const noexcept { return tip_; }

 private:
  void add(AuditProblem problem, std::int64_t first, std::int64_t last);
  void check_personal(const AuditLink& link);
  /// Of the entries that are not genuine since the last one that was, and the `room` numbers that are free there.
  void settle_suspects(std::int64_t room);
  void meet_heads(std::int64_t number, std::string_view mac);
  /// Whether `number` was thought deleted; it no longer is.
  bool fill_gap(std::int64_t number);

  const AuditKey& key_;
  std::vector<AuditHead> heads_;  ///< By count.
  std::size_t next_head_ = 0, heads_met_ = 0;
  std::vector<AuditFinding> findings_;
  std::uint64_t left_out_ = 0;
  std::int64_t entries_ = 0, genuine_ = 0, erased_ = 0;
  std::int64_t next_ = 1;      ///< The number that is due.
  std::int64_t inserted_ = 0;  ///< Entries that no server laid: the store gave them numbers all the same.
  std::int64_t suspects_ = 0;  ///< Entries in a row that are not genuine.
  bool after_genuine_ = true;  ///< The entry before `next_` is there and genuine: it must be what the next one names.
  AuditTip tip_;
};

}  // namespace muster::domain
