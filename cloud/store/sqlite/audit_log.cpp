// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/audit_log.hpp"

#include <span>

#include "cloud/base/log.hpp"
#include "cloud/base/random.hpp"
#include "cloud/domain/error.hpp"

namespace muster::store {

using domain::AuditEntry;
using domain::AuditLink;

namespace {

/// Parts of what names people: where the actor was, and whom the entry is about.
constexpr int part_from = 0, part_about = 1;

#define MUSTER_AUDIT_LINK                                                                                                    \
  "SELECT audit.number, audit.previous, audit.mac, audit.at, audit.actor_user_id, audit.api_key_id, audit.oauth_client_id, " \
  "audit.organization_id, audit.object_id, audit.client, audit.action, audit.object_kind, audit.detail, audit.from_digest, " \
  "audit.about_digest, came.salt, came.text, about.salt, about.text FROM audit LEFT JOIN audit_personal AS came ON "         \
  "came.entry = audit.number AND came.part = 0 LEFT JOIN audit_personal AS about ON about.entry = audit.number AND about.part = 1 "

AuditLink link_of(const Statement& row) {
  AuditLink link;
  link.content.number = row.integer(0);
  link.previous = row.text(1);
  link.mac = row.text(2);
  link.content.at = row.time(3);
  link.content.actor_user_id = row.integer(4);
  link.content.api_key_id = row.integer(5);
  link.content.oauth_client_id = row.integer(6);
  link.content.organization_id = row.integer(7);
  link.content.object_id = row.integer(8);
  link.content.client = row.text(9);
  link.content.action = row.text(10);
  link.content.object_kind = row.text(11);
  link.content.detail = row.text(12);
  link.content.from_digest = row.text(13);
  link.content.about_digest = row.text(14);
  if (!row.is_null(15)) link.from = domain::AuditPersonal{row.text(15), row.text(16)};
  if (!row.is_null(17)) link.about = domain::AuditPersonal{row.text(17), row.text(18)};
  return link;
}

/// A text that names somebody, on its way into a row of its own.
class Personal {
 public:
  explicit Personal(std::string_view text) : text_{text} {
    if (text_.empty()) return;
    SecureRandom{}.fill(salt_);
    digest_ = AuditKey::salted_digest(salt(), text_);
  }
  [[nodiscard]] std::string_view digest() const noexcept { return text_.empty() ? std::string_view{} : domain::as_text(digest_); }
  [[nodiscard]] Result<void> store(Connection& connection, std::int64_t entry, int part, UserId user) const {
    if (text_.empty()) return {};
    MUSTER_TRY_VOID(connection.run("INSERT INTO audit_personal (entry, part, user_id, salt, text) VALUES (?1, ?2, ?3, ?4, ?5)", entry, part,
                                   user, blob(salt()), text_));
    return {};
  }

 private:
  [[nodiscard]] std::string_view salt() const noexcept {
    return {reinterpret_cast<const char*>(salt_.data()), salt_.size()};  // NOLINT: bytes are bytes.
  }
  std::string_view text_;
  std::array<std::uint8_t, domain::audit_salt_bytes> salt_{};
  AuditMac digest_{};
};

}  // namespace

Result<domain::AuditTip> read_audit_tip(Connection& connection) {
  MUSTER_TRY(Statement row, connection.query("SELECT number, mac FROM audit ORDER BY id DESC LIMIT 1"));
  MUSTER_TRY(const bool any, row.step());
  domain::AuditTip tip;
  if (!any) return tip;
  tip.count = row.integer(0);
  if (!row.bytes(1, tip.mac)) return domain::StoreError::corrupt;
  return tip;
}

Result<void> lay_audit_entry(Connection& connection, const AuditKey& key, const AuditEntry& entry) {
  MUSTER_TRY(const domain::AuditTip tip, read_audit_tip(connection));
  // Whoever is not known (a refused sign-in) is counted to the user that it was about: both go together.
  const UserId object_user{entry.object_kind == "user" ? entry.object_id : 0};
  const UserId from_user = entry.actor_user_id ? entry.actor_user_id : object_user;
  const Personal from{entry.ip}, about{entry.personal};
  domain::AuditContent content;
  content.number = tip.count + 1;
  content.at = entry.at;
  content.actor_user_id = entry.actor_user_id.value();
  content.api_key_id = entry.api_key_id.value();
  content.oauth_client_id = entry.oauth_client_id.value();
  content.organization_id = entry.organization_id.value();
  content.object_id = entry.object_id;
  content.client = entry.client;
  content.action = entry.action;
  content.object_kind = entry.object_kind;
  content.detail = entry.detail.empty() ? std::string_view{"{}"} : std::string_view{entry.detail};
  content.from_digest = from.digest();
  content.about_digest = about.digest();
  const AuditMac mac = domain::audit_mac(key, domain::as_text(tip.mac), content);
  MUSTER_TRY_VOID(connection.run(
      "INSERT INTO audit (number, previous, mac, at, actor_user_id, api_key_id, oauth_client_id, organization_id, object_id, client, "
      "action, "
      "object_kind, detail, from_digest, about_digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
      content.number, blob(tip.mac), blob(mac), content.at, content.actor_user_id, content.api_key_id, content.oauth_client_id,
      content.organization_id, content.object_id, content.client, content.action, content.object_kind, content.detail,
      blob(content.from_digest), blob(content.about_digest)));
  MUSTER_TRY_VOID(from.store(connection, content.number, part_from, from_user));
  return about.store(connection, content.number, part_about, object_user ? object_user : entry.actor_user_id);
}

Result<void> erase_audit_traces(Connection& connection, UserId user, std::string_view email) {
  MUSTER_TRY_VOID(connection.run("DELETE FROM audit_personal WHERE user_id = ?1", user));
  // An invitation was about nobody with a number: its entry is counted to whoever invited.
  MUSTER_TRY_VOID(
      connection.run("DELETE FROM audit_personal WHERE part = ?1 AND json_extract(text, '$.email') = ?2 AND entry IN "
                     "(SELECT number FROM audit WHERE object_kind = 'invitation')",
                     part_about, email));
  return {};
}

Result<void> chain_existing_audit(Connection& connection, const AuditKey& key, UtcTime now) {
  std::int64_t count = 0;
  OrganizationId root;
  {
    MUSTER_TRY(const auto found, connection.number("SELECT id FROM organization WHERE parent_id IS NULL"));
    root = OrganizationId{static_cast<std::int32_t>(found.value_or(0))};
    // What named people stood in the details: it goes apart whole, and the details keep the rest.
    MUSTER_TRY(
        Statement rows,
        connection.query("SELECT at, actor_user_id, client, ip, organization_id, action, object_kind, object_id, detail, CASE WHEN NOT "
                         "json_valid(detail) THEN detail WHEN object_kind = 'user' THEN json_remove(detail, '$.email', '$.name', "
                         "'$.before.email', '$.before.name', '$.after.email', '$.after.name') ELSE json_remove(detail, '$.email') END "
                         "FROM audit_unchained ORDER BY id"));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) break;
      AuditEntry entry;
      entry.at = rows.time(0);
      entry.actor_user_id = rows.id<UserId>(1);
      entry.client = rows.text(2);
      entry.ip = rows.text(3);
      entry.organization_id = rows.id<OrganizationId>(4);
      entry.action = rows.text(5);
      entry.object_kind = rows.text(6);
      entry.object_id = rows.integer(7);
      entry.detail = rows.text(9);
      if (rows.text(8).size() != rows.text(9).size()) entry.personal = rows.text(8);
      MUSTER_TRY_VOID(lay_audit_entry(connection, key, entry));
      ++count;
    }
  }
  MUSTER_TRY_VOID(connection.execute("DROP TABLE audit_unchained"));
  if (count == 0) return {};
  AuditEntry seam;
  seam.at = now;
  seam.client = "System";
  seam.organization_id = root;
  seam.action = "audit.chain";
  seam.object_kind = "settings";
  seam.detail = "{\"entries\":" + std::to_string(count) + "}";
  return lay_audit_entry(connection, key, seam);
}

void check_audit_tip(Connection& connection, const AuditKey& key) {
  auto rows = connection.query(MUSTER_AUDIT_LINK "ORDER BY audit.id DESC LIMIT 1");
  if (!rows) return;
  const auto row = rows->step();
  if (!row || !*row) return;
  const AuditLink link = link_of(*rows);
  if (domain::as_text(domain::audit_mac(key, link.previous, link.content)) == link.mac) return;
  log::error("audit_chain_broken",
             {{"entry", link.content.number},
              {"what_to_do", "the newest entry of the audit log was changed, or keys/audit.secret is not its key: muster audit verify"}});
}

Result<void> walk_audit_chain(Connection& connection, const std::function<void(const AuditLink&)>& each) {
  MUSTER_TRY(Statement rows, connection.query(MUSTER_AUDIT_LINK "ORDER BY audit.id"));
  for (;;) {
    MUSTER_TRY(const bool row, rows.step());
    if (!row) return {};
    each(link_of(rows));
  }
}

}  // namespace muster::store
