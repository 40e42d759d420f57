// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "cloud/store/sqlite/store_events.hpp"
#include "cloud/store/sqlite/store_impl.hpp"

/// Setup, administrator recovery, the tree of organizations.
namespace muster::store {

using domain::Actor;
using domain::ChangeKind;
using domain::DomainError;
using domain::Organization;
using domain::OrganizationGroup;
using domain::OrganizationType;

namespace {

#define MUSTER_ORGANIZATION_COLUMNS                                                                               \
  "id, parent_id, name, description, type, can_create_sub_organizations, time_zone, home_host, home_port_plain, " \
  "home_port_tls, group_kind, devices_max, created_at, updated_at"

Organization organization_of(const Statement& row) {
  Organization value;
  value.id = row.id<OrganizationId>(0);
  value.parent_id = row.id<OrganizationId>(1);
  value.name = row.text(2);
  value.description = row.text(3);
  value.type = static_cast<OrganizationType>(row.integer(4));
  value.can_create_sub_organizations = row.flag(5);
  value.time_zone = row.text(6);
  value.home = {std::string{row.text(7)}, static_cast<std::uint16_t>(row.integer(8)), static_cast<std::uint16_t>(row.integer(9))};
  value.group = static_cast<OrganizationGroup>(row.integer(10));
  value.devices_max = row.integer(11);
  value.created_at = row.time(12);
  value.updated_at = row.time(13);
  return value;
}

Result<OrganizationId> insert(Transaction& transaction, const Organization& value, UtcTime at) {
  MUSTER_TRY_VOID(
      transaction->run("INSERT INTO organization (parent_id, name, description, type, can_create_sub_organizations, time_zone, home_host, "
                       "home_port_plain, home_port_tls, created_at, updated_at, group_kind, devices_max) "
                       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12)",
                       or_null(value.parent_id), value.name, value.description, value.type, value.can_create_sub_organizations,
                       value.time_zone, value.home.host, value.home.port_plain, value.home.port_tls, at, value.group, value.devices_max));
  const auto id = transaction->last_insert_id();
  if (!std::in_range<std::int32_t>(id)) return DomainError::limit_reached;
  return OrganizationId{static_cast<std::int32_t>(id)};
}

JsonText describe(const Organization& value) {
  JsonText text;
  text.text("name", value.name).text("description", value.description).text("timeZone", value.time_zone);
  text.number("type", static_cast<int>(value.type)).flag("canCreateSubOrgs", value.can_create_sub_organizations);
  text.number("devicesMax", value.devices_max);
  if (!value.home.host.empty())
    text.text("homeHost", value.home.host).number("homePortPlain", value.home.port_plain).number("homePortTls", value.home.port_tls);
  return text;
}

Result<int> depth_of(Connection& connection, OrganizationId id) {
  // Bounded: a damaged tree with a ring must not keep the writer.
  MUSTER_TRY(const auto depth,
             connection.number(
                 "WITH RECURSIVE up (id, depth) AS (SELECT ?1, 1 UNION ALL SELECT organization.parent_id, up.depth + 1 FROM organization "
                 "JOIN up ON organization.id = up.id WHERE organization.parent_id IS NOT NULL AND up.depth < 32) "
                 "SELECT max(depth) FROM up",
                 id));
  return static_cast<int>(depth.value_or(0));
}

/// How many levels hang together there, itself counted.
Result<int> height_of(Connection& connection, OrganizationId id) {
  MUSTER_TRY(const auto height,
             connection.number("WITH RECURSIVE down (id, level) AS (SELECT ?1, 1 UNION ALL SELECT organization.id, down.level + 1 FROM "
                               "organization JOIN down ON organization.parent_id = down.id WHERE down.level < 32) "
                               "SELECT max(level) FROM down",
                               id));
  return static_cast<int>(height.value_or(0));
}

Result<std::optional<OrganizationId>> root(Connection& connection) {
  MUSTER_TRY(const auto id, connection.number("SELECT id FROM organization WHERE parent_id IS NULL"));
  if (!id) return std::optional<OrganizationId>{};
  return std::optional{OrganizationId{static_cast<std::int32_t>(*id)}};
}

/// Whether what is above and beneath it allows the type. Errors: protected_entity (the root), invalid_value.
Result<void> check_type(Connection& connection, const Organization& organization, OrganizationType type) {
  if (!organization.parent_id) return DomainError::protected_entity;
  if (type == OrganizationType::root) return DomainError::invalid_value;
  if (type == OrganizationType::personal) {
    MUSTER_TRY(const bool others,
               connection.exists("SELECT 1 FROM organization WHERE parent_id = ?1 AND type <> ?2 LIMIT 1", organization.id, type));
    if (others) return DomainError::invalid_value;
  } else {
    MUSTER_TRY(const bool personal, connection.exists("SELECT 1 FROM organization WHERE id = ?1 AND type = ?2", organization.parent_id,
                                                      OrganizationType::personal));
    if (personal) return DomainError::invalid_value;
  }
  return {};
}

Result<UserId> insert_administrator(Transaction& transaction, OrganizationId organization, std::string_view email,
                                    std::string_view verifier, UtcTime at) {
  MUSTER_TRY_VOID(transaction->run(
      "INSERT INTO user (organization_id, role_id, email, name, status, locale, time_zone, verifier, created_at, updated_at, "
      "last_logged_at) VALUES (?1, ?2, lower(?3), '', ?4, 'en_US', 'UTC', ?5, ?6, ?6, 0)",
      organization, domain::admin_role, email, domain::UserStatus::active, verifier, at));
  return UserId{transaction->last_insert_id()};
}

}  // namespace

// --- setup ---------------------------------------------------------------------------------------------------------------

Result<bool> SqliteStore::has_administrator() {
  return impl_->read([](Connection& connection) {
    return connection.exists(
        "SELECT 1 FROM user JOIN organization ON organization.id = user.organization_id "
        "WHERE organization.parent_id IS NULL AND user.role_id = ?1 AND user.status = ?2 LIMIT 1",
        domain::admin_role, domain::UserStatus::active);
  });
}

Result<domain::Store::FirstAdministrator> SqliteStore::set_up(std::string_view organization_name, std::string_view email,
                                                              std::string_view verifier, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<FirstAdministrator> {
    MUSTER_TRY(const auto present, root(*transaction));
    if (present) return DomainError::already_set_up;
    Organization value;
    value.name = organization_name;
    value.type = OrganizationType::root;
    const UtcTime at = transaction.at(actor);
    MUSTER_TRY(const auto organization, insert(transaction, value, at));
    MUSTER_TRY(const auto user, insert_administrator(transaction, organization, email, verifier, at));
    // From here on the store knows every token there is, unless there was another store before it.
    MUSTER_TRY(const auto mode, read_setting(*transaction, "unknown_tokens"));
    if (mode == static_cast<std::int64_t>(domain::UnknownTokens::hold))
      MUSTER_TRY_VOID(write_setting(*transaction, "unknown_tokens", static_cast<std::int64_t>(domain::UnknownTokens::refuse)));
    MUSTER_TRY_VOID(transaction.audit(actor, organization, "setup", "organization", organization.value(),
                                      JsonText{}.text("name", organization_name).text("email", email).number("userId", user.value())));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::organization, organization.value()));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::user, user.value()));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::settings, 0));
    return FirstAdministrator{organization, user};
  });
}

Result<UserId> SqliteStore::recover_administrator(std::string_view email, std::string_view verifier, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<UserId> {
    MUSTER_TRY(const auto organization, root(*transaction));
    if (!organization) return DomainError::not_found;
    const UtcTime at = transaction.at(actor);
    MUSTER_TRY(const auto found, transaction->number("SELECT id FROM user WHERE email = lower(?1)", email));
    UserId id{found.value_or(0)};
    if (id) {
      MUSTER_TRY(const auto rows,
                 transaction->run(
                     "UPDATE user SET role_id = ?2, status = ?3, verifier = ?4, updated_at = ?5 WHERE id = ?1 AND organization_id = ?6", id,
                     domain::admin_role, domain::UserStatus::active, verifier, at, *organization));
      if (rows == 0) return DomainError::email_taken;  // Belongs to another organization.
      MUSTER_TRY_VOID(transaction->run("DELETE FROM access_token WHERE user_id = ?1", id));
      MUSTER_TRY_VOID(transaction.change(ChangeKind::access_token, id.value()));
      // Whoever is locked out may have lost the phone.
      MUSTER_TRY_VOID(transaction->run("DELETE FROM second_factor WHERE user_id = ?1", id));
      MUSTER_TRY_VOID(transaction->run("DELETE FROM recovery_code WHERE user_id = ?1", id));
    } else {
      MUSTER_TRY(id, insert_administrator(transaction, *organization, email, verifier, at));
    }
    MUSTER_TRY_VOID(transaction.audit(actor, *organization, "user.recover", "user", id.value(),
                                      JsonText{}.text("email", email).flag("created", !found)));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::user, id.value()));
    return id;
  });
}

// --- organizations -------------------------------------------------------------------------------------------------------

Result<std::optional<Organization>> load_organization(Connection& connection, OrganizationId id) {
  MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_ORGANIZATION_COLUMNS " FROM organization WHERE id = ?1", id));
  MUSTER_TRY(const bool found, row.step());
  return found ? std::optional{organization_of(row)} : std::nullopt;
}

Result<bool> is_at_or_above(Connection& connection, OrganizationId ancestor, OrganizationId id) {
  if (ancestor == id) return true;
  return connection.exists(
      "WITH RECURSIVE up (id) AS (SELECT ?1 UNION SELECT organization.parent_id FROM organization JOIN up ON organization.id = up.id "
      "WHERE organization.parent_id IS NOT NULL) SELECT 1 FROM up WHERE id = ?2",
      id, ancestor);
}

Result<std::int64_t> devices_beneath(Connection& connection, OrganizationId id) {
  MUSTER_TRY(const auto count,
             connection.number("WITH RECURSIVE beneath (id) AS (SELECT ?1 UNION SELECT organization.id FROM organization JOIN beneath ON "
                               "organization.parent_id = beneath.id) "
                               "SELECT (SELECT count(*) FROM beneath JOIN device ON device.organization_id = beneath.id) + "
                               "(SELECT count(*) FROM provision_session WHERE state IN (1, 2, 3) AND organization_id IN (SELECT id FROM "
                               "beneath))",
                               id));
  return count.value_or(0);
}

Result<void> check_device_limit(Connection& connection, OrganizationId organization, std::int64_t adding, OrganizationId from) {
  std::vector<std::pair<OrganizationId, std::int64_t>> limited;
  {
    MUSTER_TRY(
        Statement rows,
        connection.query("WITH RECURSIVE up (id) AS (SELECT ?1 UNION SELECT organization.parent_id FROM organization JOIN up ON "
                         "organization.id = up.id WHERE organization.parent_id IS NOT NULL) "
                         "SELECT organization.id, devices_max FROM up JOIN organization ON organization.id = up.id WHERE devices_max "
                         "<> 0",
                         organization));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) break;
      limited.emplace_back(rows.id<OrganizationId>(0), rows.integer(1));
    }
  }
  for (const auto& [id, most] : limited) {
    if (from) {
      MUSTER_TRY(const bool counted, is_at_or_above(connection, id, from));
      if (counted) continue;
    }
    MUSTER_TRY(const std::int64_t present, devices_beneath(connection, id));
    if (present + adding > most) return DomainError::limit_reached;
  }
  return {};
}

Result<Organization> insert_organization(Transaction& transaction, const Organization& organization, int depth_max, const Actor& actor) {
  MUSTER_TRY(const auto parent, load_organization(*transaction, organization.parent_id));
  if (!parent) return DomainError::not_found;
  if (organization.type == OrganizationType::root) return DomainError::invalid_value;
  if (!parent->can_create_sub_organizations) return DomainError::limit_reached;
  MUSTER_TRY(const int depth, depth_of(*transaction, parent->id));
  if (depth >= depth_max) return DomainError::tree_too_deep;
  MUSTER_TRY(const bool taken,
             transaction->exists("SELECT 1 FROM organization WHERE parent_id = ?1 AND name = ?2", parent->id, organization.name));
  if (taken) return DomainError::name_taken;
  Organization value = organization;
  if (parent->type == OrganizationType::personal) value.type = OrganizationType::personal;
  MUSTER_TRY(const auto id, insert(transaction, value, transaction.at(actor)));
  MUSTER_TRY_VOID(transaction.audit(actor, id, "organization.create", "organization", id.value(),
                                    describe(value).number("parentId", parent->id.value())));
  // Whoever waits is above: the new one has no webhooks yet.
  MUSTER_TRY_VOID(
      push_event(transaction, {.event = domain::Trigger::organization_added, .at = transaction.at(actor), .organization_id = parent->id},
                 JsonText{}.number("added_org_id", id.value()).text("added_org_name", value.name).text("org_name", parent->name)));
  MUSTER_TRY_VOID(transaction.change(ChangeKind::organization, id.value()));
  MUSTER_TRY(const auto stored, load_organization(*transaction, id));
  return stored.value();
}

Result<Organization> SqliteStore::create_organization(const Organization& organization, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) {
    return insert_organization(transaction, organization, impl_->options.organization_depth_max, actor);
  });
}

Result<Organization> SqliteStore::update_organization(OrganizationId id, const domain::OrganizationChange& change, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Organization> {
    MUSTER_TRY(const auto before, load_organization(*transaction, id));
    if (!before) return DomainError::not_found;
    Organization organization = *before;
    if (change.name) organization.name = *change.name;
    if (change.description) organization.description = *change.description;
    if (change.time_zone) organization.time_zone = *change.time_zone;
    if (change.home) organization.home = *change.home;
    if (change.type) organization.type = *change.type;
    if (change.can_create_sub_organizations) organization.can_create_sub_organizations = *change.can_create_sub_organizations;
    if (change.devices_max) organization.devices_max = *change.devices_max;
    if (organization.devices_max < 0) return DomainError::invalid_value;
    if (organization.type != before->type) MUSTER_TRY_VOID(check_type(*transaction, *before, organization.type));
    if (before->parent_id) {
      MUSTER_TRY(const bool taken, transaction->exists("SELECT 1 FROM organization WHERE parent_id = ?1 AND name = ?2 AND id <> ?3",
                                                       before->parent_id, organization.name, organization.id));
      if (taken) return DomainError::name_taken;
    }
    MUSTER_TRY_VOID(transaction->run(
        "UPDATE organization SET name = ?2, description = ?3, time_zone = ?4, home_host = ?5, home_port_plain = ?6, home_port_tls = ?7, "
        "updated_at = ?8, type = ?9, can_create_sub_organizations = ?10, devices_max = ?11 WHERE id = ?1",
        organization.id, organization.name, organization.description, organization.time_zone, organization.home.host,
        organization.home.port_plain, organization.home.port_tls, transaction.at(actor), organization.type,
        organization.can_create_sub_organizations, organization.devices_max));
    MUSTER_TRY(const auto after, load_organization(*transaction, organization.id));
    MUSTER_TRY_VOID(transaction.audit(actor, organization.id, "organization.update", "organization", organization.id.value(),
                                      JsonText{}.object("before", describe(*before)).object("after", describe(*after))));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::organization, organization.id.value()));
    return after.value();
  });
}

Result<void> remove_organization(Transaction& transaction, OrganizationId id, const Actor& actor) {
  MUSTER_TRY(const auto present, load_organization(*transaction, id));
  if (!present) return DomainError::not_found;
  if (!present->parent_id || present->group != OrganizationGroup::none) return DomainError::protected_entity;
  MUSTER_TRY(const bool used,
             transaction->exists(
                 "SELECT 1 FROM organization WHERE parent_id = ?1 UNION ALL SELECT 1 FROM device WHERE organization_id = ?1 "
                 "UNION ALL SELECT 1 FROM device JOIN template ON template.id = device.template_id WHERE template.organization_id = ?1 "
                 "LIMIT 1",
                 id));
  if (used) return DomainError::in_use;
  // Its people and its templates go with it: the last administrator could not be deleted before.
  std::vector<std::int64_t> users, templates;
  const auto collect = [&](std::string_view sql, std::vector<std::int64_t>& out) -> Result<void> {
    MUSTER_TRY(Statement rows, transaction->query(sql, id));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return {};
      out.push_back(rows.integer(0));
    }
  };
  MUSTER_TRY_VOID(collect("SELECT id FROM user WHERE organization_id = ?1", users));
  MUSTER_TRY_VOID(collect("SELECT id FROM template WHERE organization_id = ?1", templates));
  for (const auto user : users) {
    // The organization's own webhooks go with it; those above hear of its people.
    MUSTER_TRY_VOID(push_event(transaction, {.event = domain::Trigger::deleted_user,
                                             .at = transaction.at(actor),
                                             .organization_id = present->parent_id,
                                             .user_id = UserId{user}}));
    MUSTER_TRY_VOID(transaction->run("DELETE FROM user WHERE id = ?1", user));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::user, user));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::access_token, user));
  }
  for (const auto template_id : templates) {
    MUSTER_TRY_VOID(delete_template_row(transaction, TemplateId{static_cast<std::int32_t>(template_id)}));
  }
  MUSTER_TRY_VOID(transaction->run("DELETE FROM organization WHERE id = ?1", id));
  MUSTER_TRY_VOID(transaction.audit(actor, present->parent_id, "organization.delete", "organization", id.value(),
                                    JsonText{}
                                        .object("before", describe(*present))
                                        .number("users", static_cast<std::int64_t>(users.size()))
                                        .number("templates", static_cast<std::int64_t>(templates.size()))));
  return transaction.change(ChangeKind::organization, id.value());
}

Result<void> SqliteStore::delete_organization(OrganizationId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) { return remove_organization(transaction, id, actor); });
}

Result<Organization> SqliteStore::move_organization(OrganizationId id, OrganizationId parent, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Organization> {
    MUSTER_TRY(const auto before, load_organization(*transaction, id));
    MUSTER_TRY(const auto above, load_organization(*transaction, parent));
    if (!before || !above) return DomainError::not_found;
    if (!before->parent_id || before->group != OrganizationGroup::none) return DomainError::protected_entity;
    MUSTER_TRY(const bool ring, is_at_or_above(*transaction, id, parent));
    if (ring) return DomainError::beneath_itself;
    if (before->parent_id == parent) return DomainError::same_place;
    if (!above->can_create_sub_organizations) return DomainError::limit_reached;
    if (above->type == OrganizationType::personal && before->type != OrganizationType::personal) return DomainError::invalid_value;
    MUSTER_TRY(const int depth, depth_of(*transaction, parent));
    MUSTER_TRY(const int height, height_of(*transaction, id));
    if (depth + height > impl_->options.organization_depth_max) return DomainError::tree_too_deep;
    MUSTER_TRY(const bool taken,
               transaction->exists("SELECT 1 FROM organization WHERE parent_id = ?1 AND name = ?2", parent, before->name));
    if (taken) return DomainError::name_taken;
    MUSTER_TRY(
        const bool stranded,
        transaction->exists(
            "WITH RECURSIVE beneath (id) AS (SELECT ?1 UNION SELECT organization.id FROM organization JOIN beneath ON "
            "organization.parent_id = beneath.id), above (id) AS (SELECT ?2 UNION SELECT organization.parent_id FROM organization "
            "JOIN above ON organization.id = above.id WHERE organization.parent_id IS NOT NULL) "
            "SELECT 1 FROM template WHERE organization_id NOT IN (SELECT id FROM beneath) AND organization_id NOT IN (SELECT id FROM "
            "above) AND EXISTS (SELECT 1 FROM device WHERE template_id = template.id AND organization_id IN (SELECT id FROM beneath)) "
            "LIMIT 1",
            id, parent));
    if (stranded) return DomainError::template_not_in_organization;
    MUSTER_TRY(const std::int64_t devices, devices_beneath(*transaction, id));
    MUSTER_TRY_VOID(check_device_limit(*transaction, parent, devices, id));
    MUSTER_TRY_VOID(
        transaction->run("UPDATE organization SET parent_id = ?2, updated_at = ?3 WHERE id = ?1", id, parent, transaction.at(actor)));
    MUSTER_TRY_VOID(transaction.audit(actor, id, "organization.move", "organization", id.value(),
                                      JsonText{}
                                          .object("before", JsonText{}.number("parentId", before->parent_id.value()))
                                          .object("after", JsonText{}.number("parentId", parent.value()))));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::organization, id.value()));
    MUSTER_TRY(const auto after, load_organization(*transaction, id));
    return after.value();
  });
}

Result<domain::OrganizationUse> SqliteStore::organization_use(OrganizationId id) {
  return impl_->read([&](Connection& connection) -> Result<domain::OrganizationUse> {
    domain::OrganizationUse use;
    const auto count = [&](std::string_view sql, std::int64_t& out) -> Result<void> {
      MUSTER_TRY(const auto number, connection.number(sql, id));
      out = number.value_or(0);
      return {};
    };
    MUSTER_TRY_VOID(count("SELECT count(*) FROM organization WHERE parent_id = ?1", use.sub_organizations));
    MUSTER_TRY_VOID(count("SELECT count(*) FROM device WHERE organization_id = ?1", use.devices));
    MUSTER_TRY_VOID(
        count("SELECT count(*) FROM device JOIN template ON template.id = device.template_id "
              "WHERE template.organization_id = ?1 AND device.organization_id <> ?1",
              use.template_devices));
    return use;
  });
}

Result<OrganizationId> SqliteStore::organization_of_group(OrganizationGroup group, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<OrganizationId> {
    if (group != OrganizationGroup::clients && group != OrganizationGroup::partners) return DomainError::invalid_value;
    MUSTER_TRY(const auto known, transaction->number("SELECT id FROM organization WHERE group_kind = ?1", group));
    if (known) return OrganizationId{static_cast<std::int32_t>(*known)};
    MUSTER_TRY(const auto top, root(*transaction));
    if (!top) return DomainError::not_found;
    Organization value;
    value.parent_id = *top;
    value.name = group == OrganizationGroup::clients ? "Clients" : "Partners";
    value.group = group;
    // One that somebody made for this, as the guide says, becomes it.
    MUSTER_TRY(const auto made, transaction->number("SELECT id FROM organization WHERE parent_id = ?1 AND name = ?2 AND type = ?3", *top,
                                                    value.name, OrganizationType::business));
    OrganizationId id{static_cast<std::int32_t>(made.value_or(0))};
    if (made) {
      MUSTER_TRY_VOID(
          transaction->run("UPDATE organization SET group_kind = ?2, can_create_sub_organizations = 1 WHERE id = ?1", id, group));
    } else {
      MUSTER_TRY(id, insert(transaction, value, transaction.at(actor)));
    }
    MUSTER_TRY_VOID(transaction.audit(actor, id, "organization.group", "organization", id.value(),
                                      describe(value).number("group", static_cast<int>(group))));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::organization, id.value()));
    return id;
  });
}

Result<std::vector<Organization>> SqliteStore::organizations() {
  return impl_->read([](Connection& connection) -> Result<std::vector<Organization>> {
    std::vector<Organization> all;
    MUSTER_TRY(Statement rows, connection.query("SELECT " MUSTER_ORGANIZATION_COLUMNS " FROM organization ORDER BY id"));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return all;
      all.push_back(organization_of(rows));
    }
  });
}

Result<std::optional<Organization>> SqliteStore::find_organization(OrganizationId id) {
  return impl_->read([&](Connection& connection) { return load_organization(connection, id); });
}

}  // namespace muster::store
