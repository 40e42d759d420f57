// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/audit_chain.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "cloud/base/temporary_folder.hpp"

namespace muster::domain {
namespace {

/// One stored entry that owns its texts.
struct Row {
  AuditLink link;
  std::string action, detail, previous, mac, salt, ip, from_digest;

  AuditLink borrow() const {
    AuditLink out = link;
    out.content.action = action;
    out.content.detail = detail;
    out.content.from_digest = from_digest;
    out.previous = previous;
    out.mac = mac;
    if (!salt.empty()) out.from = AuditPersonal{salt, ip};
    return out;
  }
  void seal(const AuditKey& key) { mac = as_text(audit_mac(key, previous, borrow().content)); }
};

struct AuditChain : ::testing::Test {
  std::shared_ptr<const AuditKey> key = AuditKey::of_tests();
  std::vector<Row> rows;

  void lay(int count) {
    for (int i = 0; i < count; ++i) {
      Row row;
      row.link.content.number = static_cast<std::int64_t>(rows.size()) + 1;
      row.link.content.at = {1'000 + i};
      row.action = "device.create";
      row.detail = "{\"n\":" + std::to_string(rows.size()) + "}";
      row.salt = std::string(audit_salt_bytes, 's');
      row.ip = "192.0.2." + std::to_string(rows.size());
      row.from_digest = as_text(AuditKey::salted_digest(row.salt, row.ip));
      row.previous = rows.empty() ? std::string(32, '\0') : rows.back().mac;
      row.seal(*key);
      rows.push_back(std::move(row));
    }
  }
  AuditTip tip(std::size_t count) const {
    AuditTip at;
    at.count = static_cast<std::int64_t>(count);
    if (count > 0) std::copy(rows[count - 1].mac.begin(), rows[count - 1].mac.end(), at.mac.begin());
    return at;
  }
  using Findings = std::vector<AuditFinding>;
  Findings check(std::vector<AuditHead> heads = {}, std::int64_t given = -1) const {
    AuditCheck walk{*key, std::move(heads)};
    for (const Row& row : rows) walk.take(row.borrow());
    walk.finish(given < 0 ? static_cast<std::int64_t>(rows.size()) : given);
    return walk.findings();
  }
  AuditHead head(std::size_t count) const { return sign_audit_head(*key, tip(count), {5'000}); }
};

TEST_F(AuditChain, AWholeOneHasNoFindings) {
  EXPECT_EQ(check(), Findings{});
  lay(20);
  EXPECT_EQ(check({head(0), head(1), head(7), head(20)}), Findings{});
}

TEST_F(AuditChain, NamesAnEditOfEachField) {
  lay(5);
  const auto whole = rows;
  const auto edited = [&](auto change) {
    rows = whole;
    change(rows[2]);
    EXPECT_EQ(check(), (Findings{{AuditProblem::edited, 3, 3}}));
  };
  edited([](Row& row) { row.action = "device.delete"; });
  edited([](Row& row) { row.detail += " "; });
  edited([](Row& row) { row.link.content.at.ms++; });
  edited([](Row& row) { row.link.content.actor_user_id = 9; });
  edited([](Row& row) { row.link.content.organization_id = 9; });
  edited([](Row& row) { row.link.content.object_id = 9; });
  edited([](Row& row) { row.link.content.api_key_id = 9; });
  edited([](Row& row) { row.link.content.oauth_client_id = 9; });
  edited([](Row& row) { row.link.content.client = "Web"; });
  edited([](Row& row) { row.link.content.object_kind = "user"; });
  edited([](Row& row) { row.mac[0] = static_cast<char>(row.mac[0] ^ 1); });
  edited([](Row& row) { std::swap(row.action, row.detail); });
}

TEST_F(AuditChain, NamesAnEditOfTheLastEntryWhenAHeadKnowsIt) {
  lay(5);
  rows[4].detail = "{}";
  EXPECT_EQ(check({head(5)}), (Findings{{AuditProblem::edited, 5, 5}}));
}

TEST_F(AuditChain, NamesWhatNoServerLaid) {
  lay(5);
  const auto heads = std::vector{head(5)};
  auto forged = rows[2];
  forged.action = "forged";
  rows.insert(rows.begin() + 3, forged);
  EXPECT_EQ(check(heads), (Findings{{AuditProblem::inserted, 4, 4}}));
  rows.erase(rows.begin() + 3);
  rows.insert(rows.begin() + 3, rows[1]);  // Genuine, a second time.
  EXPECT_EQ(check(heads), (Findings{{AuditProblem::inserted, 2, 2}}));
  rows.erase(rows.begin() + 3);
  forged.link.content.number = 6;
  rows.push_back(forged);
  EXPECT_EQ(check(heads), (Findings{{AuditProblem::inserted, 6, 6}}));
}

TEST_F(AuditChain, NamesADeletion) {
  lay(9);
  rows.erase(rows.begin() + 3, rows.begin() + 6);
  EXPECT_EQ(check({}, 9), (Findings{{AuditProblem::deleted, 4, 6}}));
  rows.erase(rows.begin());
  EXPECT_EQ(check({}, 9), (Findings{{AuditProblem::deleted, 1, 1}, {AuditProblem::deleted, 4, 6}}));
}

TEST_F(AuditChain, NamesAReorder) {
  lay(6);
  std::swap(rows[2], rows[3]);
  EXPECT_EQ(check(), (Findings{{AuditProblem::reordered, 3, 3}}));
  std::swap(rows[2], rows[3]);
  std::swap(rows[0], rows[5]);
  for (const auto& finding : check()) EXPECT_EQ(finding.problem, AuditProblem::reordered) << finding.first;
  EXPECT_FALSE(check().empty());
}

TEST_F(AuditChain, NamesACutTailByWhatTheStoreCountedOrByAHead) {
  lay(9);
  const auto kept = head(9);
  rows.resize(6);
  EXPECT_EQ(check({}, 9), (Findings{{AuditProblem::tail_cut, 7, 9}}));
  EXPECT_EQ(check({kept}, 6), (Findings{{AuditProblem::tail_cut, 7, 9}}));
  EXPECT_EQ(check({}, 6), Findings{}) << "nothing tells";
  rows.clear();
  EXPECT_EQ(check({kept}, 0), (Findings{{AuditProblem::tail_cut, 1, 9}}));
}

TEST_F(AuditChain, OnlyAHeadConvictsWhoComputesAllAnew) {
  lay(9);
  const auto kept = head(6);
  rows[1].detail = "{}";
  for (std::size_t i = 1; i < rows.size(); ++i) {
    rows[i].previous = rows[i - 1].mac;
    rows[i].seal(*key);
  }
  EXPECT_EQ(check(), Findings{});
  EXPECT_EQ(check({kept}), (Findings{{AuditProblem::recomputed, 1, 6}}));
  auto forged = kept;
  forged.tip = tip(6);
  EXPECT_EQ(check({forged}), (Findings{{AuditProblem::head_not_ours, 6, 6}}));
}

TEST_F(AuditChain, AnErasedPersonLeavesItWholeAndAnEditedOneDoesNot) {
  lay(5);
  rows[1].salt.clear();
  AuditCheck walk{*key, {}};
  for (const Row& row : rows) walk.take(row.borrow());
  walk.finish(5);
  EXPECT_TRUE(walk.findings().empty());
  EXPECT_EQ(walk.erased(), 1);
  rows[3].ip = "198.51.100.1";
  EXPECT_EQ(check(), (Findings{{AuditProblem::personal_edited, 4, 4}}));
}

TEST_F(AuditChain, WithAnotherKeyNothingIsGenuine) {
  lay(3);
  SeededRandom random{1};
  const TemporaryFolder folder;
  const auto other = AuditKey::open(folder.path(), random).value();
  AuditCheck walk{*other, {}};
  for (const Row& row : rows) walk.take(row.borrow());
  walk.finish(3);
  EXPECT_EQ(walk.genuine(), 0);
  EXPECT_EQ(walk.findings(), (Findings{{AuditProblem::edited, 1, 3}}));
}

TEST_F(AuditChain, FindingsAreBounded) {
  lay(1'000);
  for (std::size_t i = 0; i < rows.size(); i += 2) rows[i].detail = "{}";
  AuditCheck walk{*key, {}};
  for (const Row& row : rows) walk.take(row.borrow());
  walk.finish(1'000);
  EXPECT_EQ(walk.findings().size(), AuditCheck::findings_max);
  EXPECT_EQ(walk.findings_left_out(), 500 - AuditCheck::findings_max);
}

TEST_F(AuditChain, AHeadIsReadBackFromItsLineAndFromALineOfTheLog) {
  lay(2);
  const auto made = head(2);
  const auto line = audit_head_line(made);
  for (const auto& text : {line, "{\"event\":\"audit_head\",\"head\":\"" + line + "\"}"}) {
    const auto read = parse_audit_head(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(read->tip.count, 2);
    EXPECT_EQ(read->tip.mac, made.tip.mac);
    EXPECT_EQ(read->at.ms, made.at.ms);
    EXPECT_TRUE(is_signed_by(*key, *read));
  }
  for (std::size_t length = 0; length < line.size(); ++length) EXPECT_FALSE(parse_audit_head(line.substr(0, length))) << length;
  auto other = *parse_audit_head(line);
  other.tip.count = 3;
  EXPECT_FALSE(is_signed_by(*key, other));
}

}  // namespace
}  // namespace muster::domain
