// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/audit_chain.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace muster::domain {

namespace {

constexpr std::string_view entry_domain = "muster-audit-entry-1", head_domain = "muster-audit-head-1";
constexpr std::string_view head_word = "muster-audit-head ";

void put_number(std::string& out, std::int64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(static_cast<std::uint64_t>(value) >> shift);
}

/// With its length, so that no two lists of texts run together to the same bytes.
void put_text(std::string& out, std::string_view text) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(static_cast<std::uint32_t>(text.size()) >> shift);
  out += text;
}

void put_hex(std::string& out, const AuditMac& mac) {
  static constexpr std::string_view digits = "0123456789abcdef";
  for (const std::uint8_t byte : mac) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
}

/// Takes `name=value` and the space behind it off the front.
std::optional<std::string_view> take_field(std::string_view& line, std::string_view name) {
  if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != '=') return std::nullopt;
  line.remove_prefix(name.size() + 1);
  std::size_t length = 0;
  while (length < line.size() && ((line[length] >= '0' && line[length] <= '9') || (line[length] >= 'a' && line[length] <= 'f'))) ++length;
  const std::string_view value = line.substr(0, length);
  line.remove_prefix(length);
  if (line.starts_with(' ')) line.remove_prefix(1);
  return value;
}

bool read_number(std::string_view text, std::int64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty() && out >= 0;
}

bool read_hex(std::string_view text, AuditMac& out) {
  if (text.size() != 2 * out.size()) return false;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };  // take_field has let nothing else through.
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(digit(text[2 * i]) * 16 + digit(text[2 * i + 1]));
  return true;
}

AuditMac head_signature(const AuditKey& key, const AuditTip& tip, UtcTime at) {
  std::string bytes;
  put_number(bytes, tip.count);
  put_text(bytes, as_text(tip.mac));
  put_number(bytes, at.ms);
  return key.mac(head_domain, bytes);
}

}  // namespace

AuditMac audit_mac(const AuditKey& key, std::string_view previous, const AuditContent& content) {
  thread_local std::string bytes;  // An entry is a few hundred bytes: its room is used again.
  bytes.clear();
  put_text(bytes, previous);
  for (const std::int64_t number : {content.number, content.at.ms, content.actor_user_id, content.api_key_id, content.oauth_client_id,
                                    content.organization_id, content.object_id})
    put_number(bytes, number);
  for (const std::string_view text :
       {content.client, content.action, content.object_kind, content.detail, content.from_digest, content.about_digest})
    put_text(bytes, text);
  return key.mac(entry_domain, bytes);
}

// --- heads -------------------------------------------------------------------------------------------------------------------

AuditHead sign_audit_head(const AuditKey& key, const AuditTip& tip, UtcTime at) { return {tip, at, head_signature(key, tip, at)}; }

bool is_signed_by(const AuditKey& key, const AuditHead& head) {
  return AuditKey::equal(head.signature, head_signature(key, head.tip, head.at));
}

std::string audit_head_line(const AuditHead& head) {
  std::string line{head_word};
  line.append("count=").append(std::to_string(head.tip.count)).append(" hash=");
  put_hex(line, head.tip.mac);
  line.append(" time=").append(std::to_string(head.at.ms)).append(" signature=");
  put_hex(line, head.signature);
  return line;
}

std::optional<AuditHead> parse_audit_head(std::string_view line) {
  const auto found = line.find(head_word);
  if (found == std::string_view::npos) return std::nullopt;
  line.remove_prefix(found + head_word.size());
  AuditHead head;
  const auto count = take_field(line, "count"), hash = take_field(line, "hash"), time = take_field(line, "time");
  const auto signature = take_field(line, "signature");
  if (!count || !hash || !time || !signature) return std::nullopt;
  if (!read_number(*count, head.tip.count) || !read_hex(*hash, head.tip.mac) || !read_number(*time, head.at.ms) ||
      !read_hex(*signature, head.signature))
    return std::nullopt;
  return head;
}

std::string_view audit_problem_name(AuditProblem problem) noexcept {
  switch (problem) {
    case AuditProblem::edited: return "edited";
    case AuditProblem::inserted: return "inserted";
    case AuditProblem::deleted: return "deleted";
    case AuditProblem::reordered: return "reordered";
    case AuditProblem::tail_cut: return "tail cut";
    case AuditProblem::recomputed: return "recomputed";
    case AuditProblem::personal_edited: return "personal data edited";
    case AuditProblem::head_not_ours: return "head not of this key";
  }
  return "";
}

// --- the check ---------------------------------------------------------------------------------------------------------------

AuditCheck::AuditCheck(const AuditKey& key, std::vector<AuditHead> heads) : key_{key} {
  for (const AuditHead& head : heads) {
    if (is_signed_by(key, head))
      heads_.push_back(head);
    else
      add(AuditProblem::head_not_ours, head.tip.count, head.tip.count);
  }
  std::sort(heads_.begin(), heads_.end(), [](const AuditHead& a, const AuditHead& b) { return a.tip.count < b.tip.count; });
  if (heads_.size() > heads_max) heads_.erase(heads_.begin(), heads_.end() - heads_max);
  meet_heads(0, as_text(tip_.mac));
}

void AuditCheck::add(AuditProblem problem, std::int64_t first, std::int64_t last) {
  if (!findings_.empty() && findings_.back().problem == problem && findings_.back().last + 1 == first) {
    findings_.back().last = last;
  } else if (findings_.size() < findings_max) {
    findings_.push_back({problem, first, last});
  } else {
    ++left_out_;
  }
}

bool AuditCheck::fill_gap(std::int64_t number) {
  const auto gap = std::find_if(findings_.begin(), findings_.end(), [number](const AuditFinding& finding) {
    return finding.problem == AuditProblem::deleted && finding.first <= number && number <= finding.last;
  });
  if (gap == findings_.end()) return false;
  const AuditFinding whole = *gap;
  findings_.erase(gap);
  if (whole.first < number) findings_.push_back({AuditProblem::deleted, whole.first, number - 1});
  if (number < whole.last) findings_.push_back({AuditProblem::deleted, number + 1, whole.last});
  return true;
}

void AuditCheck::meet_heads(std::int64_t number, std::string_view mac) {
  for (; next_head_ < heads_.size() && heads_[next_head_].tip.count <= number; ++next_head_) {
    const AuditTip& tip = heads_[next_head_].tip;
    if (tip.count < number) continue;  // Its entry is missing, which is said elsewhere.
    ++heads_met_;
    if (as_text(tip.mac) != mac) add(AuditProblem::recomputed, 1, number);
  }
}

void AuditCheck::check_personal(const AuditLink& link) {
  const auto check = [&](std::string_view digest, const std::optional<AuditPersonal>& text) {
    if (!text) {
      if (!digest.empty()) ++erased_;
    } else if (digest != as_text(AuditKey::salted_digest(text->salt, text->text))) {
      add(AuditProblem::personal_edited, link.content.number, link.content.number);
    }
  };
  check(link.content.from_digest, link.from);
  check(link.content.about_digest, link.about);
}

void AuditCheck::settle_suspects(std::int64_t room) {
  const std::int64_t changed = std::min(suspects_, room);
  if (changed > 0) add(AuditProblem::edited, next_, next_ + changed - 1);
  if (suspects_ > room) inserted_ += suspects_ - room;
  if (suspects_ > room) add(AuditProblem::inserted, next_ + changed, next_ + changed + (suspects_ - room) - 1);
  next_ += changed;
  suspects_ = 0;
}

void AuditCheck::take(const AuditLink& link) {
  ++entries_;
  const std::int64_t number = link.content.number;
  if (as_text(audit_mac(key_, link.previous, link.content)) != link.mac) {
    ++suspects_;
    after_genuine_ = false;
    if (number == next_ + suspects_ - 1) meet_heads(number, link.mac);  // Its MAC is as it was, unless that was changed, too.
    return;
  }
  ++genuine_;
  check_personal(link);
  if (number < next_) {
    const bool moved = fill_gap(number);
    if (!moved) ++inserted_;
    add(moved ? AuditProblem::reordered : AuditProblem::inserted, number, number);
    return;
  }
  settle_suspects(number - next_);
  const bool in_place = number == next_;
  if (!in_place) add(AuditProblem::deleted, next_, number - 1);
  if (in_place && after_genuine_ && link.previous != as_text(tip_.mac)) add(AuditProblem::recomputed, 1, number - 1);
  meet_heads(number, link.mac);
  next_ = number + 1;
  after_genuine_ = true;
  tip_.count = number;
  std::memcpy(tip_.mac.data(), link.mac.data(), tip_.mac.size());
}

void AuditCheck::finish(std::int64_t numbers_given) {
  // What stands at the end and is not genuine was there when a head was taken, or was never laid.
  const std::int64_t by_heads = heads_.empty() ? 0 : heads_.back().tip.count;
  const std::int64_t promised = std::max(by_heads, suspects_ == 0 ? numbers_given - inserted_ : 0);
  settle_suspects(heads_.empty() ? suspects_ : std::max<std::int64_t>(0, by_heads - (next_ - 1)));
  if (promised >= next_) add(AuditProblem::tail_cut, next_, promised);
}

}  // namespace muster::domain
