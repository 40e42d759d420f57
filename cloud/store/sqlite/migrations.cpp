// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/migrations.hpp"

#include <string>

#include "cloud/base/log.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/permission.hpp"
#include "cloud/store/sqlite/audit_log.hpp"
#include "cloud/store/sqlite/migration_texts.hpp"

namespace muster::store {

using domain::StoreError;

namespace {

/// The permissions of the built-in roles live in the domain's table; the first migration takes them from there.
Result<void> insert_builtin_roles(Connection& connection) {
  struct Builtin {
    RoleId id;
    const char* name;
  };
  for (const auto& [id, name] :
       {Builtin{domain::admin_role, "Admin"}, Builtin{domain::staff_role, "Staff"}, Builtin{domain::user_role, "User"}}) {
    MUSTER_TRY_VOID(connection.run("INSERT INTO role (id, name, is_builtin, permissions) VALUES (?1, ?2, 1, ?3)", id, name,
                                   static_cast<std::int64_t>(domain::builtin_role_permissions(id).bits())));
  }
  return {};
}

struct Header {
  std::int64_t application = 0, version = 0, tables = 0;
};

Result<Header> read_header(Connection& connection) {
  Header header;
  MUSTER_TRY(const auto application, connection.number("PRAGMA application_id"));
  MUSTER_TRY(const auto version, connection.number("PRAGMA user_version"));
  MUSTER_TRY(const auto tables, connection.number("SELECT count(*) FROM sqlite_schema"));
  header.application = application.value_or(0);
  header.version = version.value_or(0);
  header.tables = tables.value_or(0);
  return header;
}

Result<Contents> judge(const Header& header) {
  if (header.application == 0 && header.version == 0 && header.tables == 0) return Contents::empty;
  if (header.application != application_id || header.version < 1) return StoreError::corrupt;
  if (header.version > schema_version()) return StoreError::newer_version;
  if (header.tables == 0) return StoreError::corrupt;
  return header.version < schema_version() ? Contents::older : Contents::current;
}

}  // namespace

std::int32_t schema_version() noexcept { return static_cast<std::int32_t>(migration_texts.size()); }

Result<Contents> look_at(Connection& connection) {
  MUSTER_TRY(const auto transaction, ReadTransaction::begin(connection));
  MUSTER_TRY(const Header header, read_header(connection));
  return judge(header);
}

Result<void> migrate(Connection& connection, const AuditKey& audit_key, UtcTime now) {
  MUSTER_TRY_VOID(connection.execute("BEGIN IMMEDIATE"));
  const auto apply = [&]() -> Result<void> {
    MUSTER_TRY(const Header header, read_header(connection));  // Once more: another process may have been faster.
    MUSTER_TRY(const Contents contents, judge(header));
    if (contents == Contents::current) return {};
    for (auto version = static_cast<std::size_t>(header.version); version < migration_texts.size(); ++version) {
      MUSTER_TRY_VOID(connection.execute(migration_texts[version]));
      if (version == 0) MUSTER_TRY_VOID(insert_builtin_roles(connection));
      if (version == 2) MUSTER_TRY_VOID(chain_existing_audit(connection, audit_key, now));
    }
    const std::string stamp =
        "PRAGMA application_id = " + std::to_string(application_id) + "; PRAGMA user_version = " + std::to_string(schema_version());
    return connection.execute(stamp.c_str());
  };
  Result<void> result = apply();
  if (result) result = connection.execute("COMMIT");
  if (!result) {
    log::error("store_migration_failed", {{"message", connection.last_message()}});
    if (connection.in_transaction()) static_cast<void>(connection.execute("ROLLBACK"));
  }
  return result;
}

}  // namespace muster::store
