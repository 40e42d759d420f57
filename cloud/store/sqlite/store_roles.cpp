// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>

#include "cloud/store/sqlite/store_events.hpp"
#include "cloud/store/sqlite/store_impl.hpp"

/// Roles, and what they allow in each organization.
namespace muster::store {

using domain::Actor;
using domain::ChangeKind;
using domain::DomainError;
using domain::PermissionSet;
using domain::Role;

namespace {

PermissionSet permissions_of(const Statement& row, int column) { return PermissionSet{static_cast<std::uint64_t>(row.integer(column))}; }
std::int64_t as_integer(PermissionSet permissions) { return static_cast<std::int64_t>(permissions.bits()); }

/// For the log: "OWN_DEVICES_VIEW,OWN_DEVICES_EDIT".
std::string names_of(PermissionSet permissions) {
  std::string names;
  for (std::uint8_t i = 0; i < domain::permission_count; ++i) {
    const auto permission = static_cast<domain::Permission>(i);
    if (permissions.has(permission)) names.append(names.empty() ? "" : ",").append(domain::permission_name(permission));
  }
  return names;
}

Result<std::vector<Role>> load_roles(Connection& connection) {
  std::vector<Role> all;
  {
    MUSTER_TRY(Statement rows, connection.query("SELECT id, name, is_builtin, permissions FROM role ORDER BY id"));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) break;
      all.push_back({rows.id<RoleId>(0), std::string{rows.text(1)}, rows.flag(2), permissions_of(rows, 3)});
    }
  }
  MUSTER_TRY(Statement rows,
             connection.query("SELECT role_id, organization_id, here, beneath FROM role_value ORDER BY role_id, organization_id"));
  for (std::size_t i = 0;;) {
    MUSTER_TRY(const bool row, rows.step());
    if (!row) return all;
    while (i < all.size() && all[i].id != rows.id<RoleId>(0)) ++i;
    if (i == all.size()) return all;
    all[i].values.push_back({rows.id<OrganizationId>(1), permissions_of(rows, 2), permissions_of(rows, 3)});
  }
}

Result<std::optional<Role>> load_role(Connection& connection, RoleId id) {
  MUSTER_TRY(auto all, load_roles(connection));
  for (auto& role : all) {
    if (role.id == id) return std::optional{std::move(role)};
  }
  return std::optional<Role>{};
}

/// What holds in the organization, and what it hands down.
struct Effective {
  PermissionSet here, beneath;
};
Result<Effective> effective(Connection& connection, const Role& role, OrganizationId organization) {
  MUSTER_TRY(Statement row,
             connection.query("WITH RECURSIVE up (id, level) AS (SELECT ?1, 0 UNION ALL SELECT organization.parent_id, up.level + 1 FROM "
                              "organization JOIN up ON organization.id = up.id WHERE organization.parent_id IS NOT NULL AND up.level < 32) "
                              "SELECT level, here, beneath FROM up JOIN role_value ON role_value.organization_id = up.id AND role_id = ?2 "
                              "ORDER BY level LIMIT 1",
                              organization, role.id));
  MUSTER_TRY(const bool found, row.step());
  if (!found) return Effective{role.permissions, role.permissions};
  const PermissionSet beneath = permissions_of(row, 2);
  return Effective{row.integer(0) == 0 ? permissions_of(row, 1) : beneath, beneath};
}

Result<bool> name_is_taken(Connection& connection, std::string_view name, RoleId but) {
  return connection.exists("SELECT 1 FROM role WHERE lower(name) = lower(?1) AND id <> ?2", name, but);
}

}  // namespace

Result<std::vector<Role>> SqliteStore::roles() {
  return impl_->read([](Connection& connection) { return load_roles(connection); });
}

Result<Role> SqliteStore::create_role(std::string_view name, PermissionSet permissions, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Role> {
    MUSTER_TRY(const bool taken, name_is_taken(*transaction, name, {}));
    if (taken) return DomainError::name_taken;
    MUSTER_TRY(const auto count, transaction->number("SELECT count(*) FROM role"));
    if (count.value_or(0) >= static_cast<std::int64_t>(domain::roles_max)) return DomainError::limit_reached;
    MUSTER_TRY_VOID(transaction->run("INSERT INTO role (name, is_builtin, permissions) VALUES (?1, 0, ?2)", name, as_integer(permissions)));
    const auto number = transaction->last_insert_id();
    if (!std::in_range<RoleId::rep>(number)) return DomainError::limit_reached;
    const RoleId id{static_cast<RoleId::rep>(number)};
    MUSTER_TRY_VOID(transaction.audit(actor, {}, "role.create", "role", id.value(),
                                      JsonText{}.text("name", name).text("permissions", names_of(permissions))));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::role, id.value()));
    return Role{id, std::string{name}, false, permissions};
  });
}

Result<Role> SqliteStore::rename_role(RoleId id, std::string_view name, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Role> {
    MUSTER_TRY(auto role, load_role(*transaction, id));
    if (!role) return DomainError::not_found;
    if (role->is_builtin) return DomainError::protected_entity;
    MUSTER_TRY(const bool taken, name_is_taken(*transaction, name, id));
    if (taken) return DomainError::name_taken;
    MUSTER_TRY_VOID(transaction->run("UPDATE role SET name = ?2 WHERE id = ?1", id, name));
    MUSTER_TRY_VOID(
        transaction.audit(actor, {}, "role.rename", "role", id.value(),
                          JsonText{}.object("before", JsonText{}.text("name", role->name)).object("after", JsonText{}.text("name", name))));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::role, id.value()));
    role->name = name;
    return *std::move(role);
  });
}

Result<Role> SqliteStore::set_role_values(OrganizationId organization, RoleId id, PermissionSet permissions, bool sub_organizations,
                                          const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Role> {
    MUSTER_TRY(const auto role, load_role(*transaction, id));
    MUSTER_TRY(const bool there, transaction->exists("SELECT 1 FROM organization WHERE id = ?1", organization));
    if (!role || !there) return DomainError::not_found;
    if (id == domain::admin_role) return DomainError::protected_entity;
    MUSTER_TRY(const Effective before, effective(*transaction, *role, organization));
    if (sub_organizations) {
      MUSTER_TRY_VOID(
          transaction->run("WITH RECURSIVE beneath (id) AS (SELECT ?1 UNION SELECT organization.id FROM organization JOIN beneath ON "
                           "organization.parent_id = "
                           "beneath.id) DELETE FROM role_value WHERE role_id = ?2 AND organization_id IN (SELECT id FROM beneath)",
                           organization, id));
    }
    MUSTER_TRY_VOID(
        transaction->run("INSERT INTO role_value (role_id, organization_id, here, beneath) VALUES (?1, ?2, ?3, ?4) "
                         "ON CONFLICT DO UPDATE SET here = excluded.here, beneath = excluded.beneath",
                         id, organization, as_integer(permissions), as_integer(sub_organizations ? permissions : before.beneath)));
    MUSTER_TRY_VOID(transaction.audit(actor, organization, "role.values", "role", id.value(),
                                      JsonText{}
                                          .text("name", role->name)
                                          .number("organizationId", organization.value())
                                          .flag("subOrganizations", sub_organizations)
                                          .object("before", JsonText{}.text("permissions", names_of(before.here)))
                                          .object("after", JsonText{}.text("permissions", names_of(permissions)))));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::role, id.value()));
    MUSTER_TRY(const auto after, load_role(*transaction, id));
    return after.value();
  });
}

Result<void> SqliteStore::delete_role(RoleId id, RoleId replacement, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto role, load_role(*transaction, id));
    MUSTER_TRY(const auto next, load_role(*transaction, replacement));
    if (!role || !next) return DomainError::not_found;
    if (role->is_builtin) return DomainError::protected_entity;
    if (id == replacement) return DomainError::same_place;
    std::vector<std::pair<UserId, OrganizationId>> holders;
    {
      MUSTER_TRY(Statement rows, transaction->query("SELECT id, organization_id FROM user WHERE role_id = ?1", id));
      for (;;) {
        MUSTER_TRY(const bool row, rows.step());
        if (!row) break;
        holders.emplace_back(rows.id<UserId>(0), rows.id<OrganizationId>(1));
      }
    }
    MUSTER_TRY_VOID(
        transaction->run("UPDATE user SET role_id = ?2, updated_at = ?3 WHERE role_id = ?1", id, replacement, transaction.at(actor)));
    for (const auto& [user, organization] : holders) {
      Actor there = actor;
      there.organization_id = organization;
      MUSTER_TRY_VOID(transaction.audit(there, organization, "user.update", "user", user.value(),
                                        JsonText{}
                                            .object("before", JsonText{}.number("roleId", id.value()))
                                            .object("after", JsonText{}.number("roleId", replacement.value()))));
      MUSTER_TRY_VOID(push_event(transaction, {.event = domain::Trigger::updated_user, .at = transaction.at(actor), .user_id = user}));
      MUSTER_TRY_VOID(transaction.change(ChangeKind::user, user.value()));
    }
    MUSTER_TRY_VOID(transaction->run("DELETE FROM role WHERE id = ?1", id));
    MUSTER_TRY_VOID(
        transaction.audit(actor, {}, "role.delete", "role", id.value(),
                          JsonText{}
                              .object("before", JsonText{}.text("name", role->name).text("permissions", names_of(role->permissions)))
                              .number("replacementId", replacement.value())
                              .number("users", static_cast<std::int64_t>(holders.size()))));
    return transaction.change(ChangeKind::role, id.value());
  });
}

}  // namespace muster::store
