// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "cloud/domain/device_life_cycle.hpp"
#include "cloud/store/sqlite/store_events.hpp"
#include "cloud/store/sqlite/store_impl.hpp"
#include "cloud/store/sqlite/store_tokens.hpp"
#include "cloud/store/sqlite/text_search.hpp"

/// Devices and their metadata.
namespace muster::store {

using domain::ActivationWay;
using domain::Actor;
using domain::ChangeKind;
using domain::Device;
using domain::DeviceEvent;
using domain::DeviceState;
using domain::DomainError;
using domain::Home;
using domain::NewToken;
using domain::UserStatus;

namespace {

constexpr std::size_t metadata_value_max_bytes = 4096;

#define MUSTER_DEVICE_COLUMNS                                                                                                         \
  "device.id, device.organization_id, device.template_id, device.owner_id, device.name, device.activation_way, device.activated_at, " \
  "device.activated_by, "                                                                                                             \
  "device.created_at, device.updated_at, device.home_host, device.home_port_plain, device.home_port_tls, p.first_connect_time, "      \
  "p.connect_time, "                                                                                                                  \
  "p.disconnect_time, p.last_reported_at, p.last_ip, p.plain_text_link, p.hardware_version, p.hardware_firmware_type, "               \
  "p.hardware_library_version, "                                                                                                      \
  "p.hardware_board_type, p.hardware_build, p.hardware_template_id, p.hardware_agent, p.hardware_heartbeat_s, p.hardware_buffer_in_bytes "

#define MUSTER_DEVICE_PRESENCE " LEFT JOIN device_presence p ON p.device_id = device.id "

Device device_of(const Statement& row) {
  Device value;
  value.id = row.id<DeviceId>(0);
  value.organization_id = row.id<OrganizationId>(1);
  value.template_id = row.id<TemplateId>(2);
  value.owner_id = row.id<UserId>(3);
  value.name = row.text(4);
  value.activation_way = static_cast<ActivationWay>(row.integer(5));
  value.activated_at = row.time(6);
  value.activated_by = row.id<UserId>(7);
  value.created_at = row.time(8);
  value.updated_at = row.time(9);
  if (!row.is_null(10))
    value.home = {std::string{row.text(10)}, static_cast<std::uint16_t>(row.integer(11)), static_cast<std::uint16_t>(row.integer(12))};
  value.first_connect_time = row.time(13);
  value.connect_time = row.time(14);
  value.disconnect_time = row.time(15);
  value.last_reported_at = row.time(16);
  value.last_ip = row.text(17);
  value.plain_text_link = row.flag(18);
  value.hardware.version = row.text(19);
  value.hardware.firmware_type = row.text(20);
  value.hardware.library_version = row.text(21);
  value.hardware.board_type = row.text(22);
  value.hardware.build = row.text(23);
  value.hardware.template_id = row.text(24);
  value.hardware.agent = row.text(25);
  value.hardware.heartbeat_s = static_cast<std::uint16_t>(row.integer(26));
  value.hardware.buffer_in_bytes = static_cast<std::uint16_t>(row.integer(27));
  return value;
}

/// What a transaction can know of it: whether a session is live is in no row, and no event that a store decides asks for it.
DeviceState state_of(const std::optional<Device>& device) {
  if (!device) return DeviceState::deleted;
  return domain::device_state(device->first_connect_time.ms != 0, domain::Contact::none);
}

JsonText describe(const Home& home) {
  JsonText text;
  text.text("host", home.host);
  if (!home.host.empty()) text.number("portPlain", home.port_plain).number("portTls", home.port_tls);
  return text;
}

}  // namespace

Result<std::optional<Device>> load_device(Connection& connection, DeviceId id) {
  MUSTER_TRY(Statement row,
             connection.query("SELECT " MUSTER_DEVICE_COLUMNS "FROM device" MUSTER_DEVICE_PRESENCE "WHERE device.id = ?1", id));
  MUSTER_TRY(const bool found, row.step());
  return found ? std::optional{device_of(row)} : std::nullopt;
}

Result<DeviceId> insert_device(Transaction& transaction, const Device& device, DeviceId id, const Actor& actor) {
  const UtcTime at = transaction.at(actor);
  // Made by hand it is active from now on. docs/protocol/cloud-model.md section 6.
  const bool by_hand = device.activation_way == ActivationWay::manual || device.activation_way == ActivationWay::import;
  const UtcTime activated_at = device.activated_at.ms == 0 && by_hand ? at : device.activated_at;
  const UserId activated_by = !device.activated_by && by_hand ? actor.user_id : device.activated_by;
  MUSTER_TRY_VOID(transaction->run(
      "INSERT INTO device (id, organization_id, template_id, owner_id, name, activation_way, activated_at, activated_by, created_at, "
      "updated_at, home_host, home_port_plain, home_port_tls) VALUES (?12, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11)",
      device.organization_id, device.template_id, or_null(device.owner_id), device.name, device.activation_way, activated_at, activated_by,
      at, device.home.host.empty() ? std::optional<std::string_view>{} : std::optional<std::string_view>{device.home.host},
      device.home.port_plain, device.home.port_tls, or_null(id)));
  if (!std::in_range<std::int32_t>(transaction->last_insert_id())) return DomainError::limit_reached;
  return DeviceId{static_cast<std::int32_t>(transaction->last_insert_id())};
}

Result<Device> SqliteStore::create_device(const Device& device, const NewToken& token, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Device> {
    MUSTER_TRY(const bool organization, transaction->exists("SELECT 1 FROM organization WHERE id = ?1", device.organization_id));
    MUSTER_TRY(const auto template_organization,
               transaction->number("SELECT organization_id FROM template WHERE id = ?1", device.template_id));
    if (!organization || !template_organization) return DomainError::not_found;
    MUSTER_TRY(const bool available,
               is_at_or_above(*transaction, OrganizationId{static_cast<std::int32_t>(*template_organization)}, device.organization_id));
    if (!available) return DomainError::template_not_in_organization;
    if (device.owner_id) {
      MUSTER_TRY(const auto owner, load_user(*transaction, device.owner_id));
      if (!owner || owner->organization_id != device.organization_id) return DomainError::owner_not_in_organization;
      if (owner->status != UserStatus::active) return DomainError::not_active;
    }
    MUSTER_TRY_VOID(check_device_limit(*transaction, device.organization_id, 1));
    const UtcTime at = transaction.at(actor);
    MUSTER_TRY(const DeviceId id, insert_device(transaction, device, {}, actor));
    MUSTER_TRY(const auto token_id, insert_token(transaction, domain::TokenKind::device, id, token, at));
    MUSTER_TRY_VOID(transaction.audit(actor, device.organization_id, "device.create", "device", id.value(),
                                      JsonText{}
                                          .text("name", device.name)
                                          .number("organizationId", device.organization_id.value())
                                          .number("templateId", device.template_id.value())
                                          .number("ownerId", device.owner_id.value())
                                          .number("tokenId", token_id.value())));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::device, id.value()));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::token, token_id.value()));
    MUSTER_TRY(const auto stored, load_device(*transaction, id));
    MUSTER_TRY_VOID(note_device_added(transaction, *stored, at));
    return stored.value();
  });
}

Result<std::optional<Device>> SqliteStore::find_device(DeviceId id) {
  return impl_->read([&](Connection& connection) { return load_device(connection, id); });
}

Result<domain::PageOf<Device>> SqliteStore::devices(const domain::DeviceFilter& filter, const domain::Page& page) {
  return impl_->read([&](Connection& connection) -> Result<domain::PageOf<Device>> {
    domain::PageOf<Device> out;
    if (filter.organizations.empty()) return out;
    const bool one = filter.organizations.size() == 1;
    std::string where = one ? " FROM device WHERE device.organization_id = :organization"
                            : " FROM device WHERE device.organization_id IN (SELECT value FROM json_each(:organizations))";
    if (filter.owner) where += " AND device.owner_id = :owner";
    if (filter.template_id) where += " AND device.template_id = :template";
    if (filter.activated_from.ms != 0) where += " AND device.activated_at >= :activated_from";
    if (!page.query.empty()) where += " AND muster_contains(device.name, :query)";
    MUSTER_TRY(const std::string order, order_and_limit(page, "device"));
    const std::string folded = fold_case(page.query);
    const std::string organizations = one ? std::string{} : id_array(filter.organizations);
    const auto bind = [&](Statement& statement) {
      statement.bind_named(":organization", filter.organizations[0]);
      statement.bind_named(":organizations", organizations);
      statement.bind_named(":owner", filter.owner);
      statement.bind_named(":template", filter.template_id);
      statement.bind_named(":activated_from", filter.activated_from);
      statement.bind_named(":query", folded);
      bind_limit(statement, page);
    };
    MUSTER_TRY(Statement count, connection.prepare("SELECT count(*)" + where));
    bind(count);
    MUSTER_TRY_VOID(count.step());
    out.total = count.integer(0);
    // The page is chosen first, by what the registry knows; presence is read for its rows only.
    MUSTER_TRY(Statement rows, connection.prepare("WITH page AS MATERIALIZED (SELECT device.id AS id" + where + order +
                                                  ") SELECT " MUSTER_DEVICE_COLUMNS
                                                  "FROM page CROSS JOIN device ON device.id = page.id" MUSTER_DEVICE_PRESENCE +
                                                  order.substr(0, order.find(" LIMIT"))));
    bind(rows);
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return out;
      out.rows.push_back(device_of(rows));
    }
  });
}

Result<Device> SqliteStore::rename_device(DeviceId id, std::string_view name, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Device> {
    MUSTER_TRY(const auto before, load_device(*transaction, id));
    MUSTER_TRY_VOID(domain::permit(state_of(before), DeviceEvent::rename));
    MUSTER_TRY_VOID(transaction->run("UPDATE device SET name = ?2, updated_at = ?3 WHERE id = ?1", id, name, transaction.at(actor)));
    MUSTER_TRY_VOID(transaction.audit(
        actor, before->organization_id, "device.rename", "device", id.value(),
        JsonText{}.object("before", JsonText{}.text("name", before->name)).object("after", JsonText{}.text("name", name))));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::device, id.value()));
    MUSTER_TRY(const auto after, load_device(*transaction, id));
    return after.value();
  });
}

Result<void> SqliteStore::set_device_home(DeviceId id, const Home& home, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto before, load_device(*transaction, id));
    if (!before) return DomainError::not_found;
    if (home.host.size() > 63) return DomainError::invalid_value;
    MUSTER_TRY_VOID(
        transaction->run("UPDATE device SET home_host = ?2, home_port_plain = ?3, home_port_tls = ?4, updated_at = ?5 WHERE id = ?1", id,
                         home.host.empty() ? std::optional<std::string_view>{} : std::optional<std::string_view>{home.host},
                         home.port_plain, home.port_tls, transaction.at(actor)));
    MUSTER_TRY_VOID(transaction.audit(actor, before->organization_id, "device.home", "device", id.value(),
                                      JsonText{}.object("before", describe(before->home)).object("after", describe(home))));
    return transaction.change(ChangeKind::device, id.value());
  });
}

Result<void> remove_device(Transaction& transaction, DeviceId id, const Actor& actor) {
  MUSTER_TRY(const auto before, load_device(*transaction, id));
  MUSTER_TRY_VOID(domain::permit(state_of(before), DeviceEvent::remove));
  MUSTER_TRY(const MovedTokens tokens, move_tokens_of(transaction, id, domain::TokenEvent::device_removed));
  if (tokens.refusal) return *tokens.refusal;
  MUSTER_TRY_VOID(push_event(transaction, {.event = domain::Trigger::device_deleted, .at = transaction.at(actor), .device_id = id}));
  MUSTER_TRY_VOID(end_sessions_of_devices(transaction, "id = ?1", id.value()));
  MUSTER_TRY_VOID(transaction->run("DELETE FROM device WHERE id = ?1", id));
  MUSTER_TRY_VOID(transaction.audit(actor, before->organization_id, "device.delete", "device", id.value(),
                                    JsonText{}.object("before", JsonText{}
                                                                    .text("name", before->name)
                                                                    .number("organizationId", before->organization_id.value())
                                                                    .number("templateId", before->template_id.value())
                                                                    .number("ownerId", before->owner_id.value()))));
  return transaction.change(ChangeKind::device, id.value());
}

Result<void> SqliteStore::delete_device(DeviceId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) { return remove_device(transaction, id, actor); });
}

Result<std::int64_t> delete_devices_of_template(Transaction& transaction, TemplateId id, const Actor& actor) {
  MUSTER_TRY(const bool awaited, is_awaited(*transaction, domain::Trigger::device_deleted));
  if (awaited) {
    std::vector<DeviceId> devices;
    {
      MUSTER_TRY(Statement rows, transaction->query("SELECT id FROM device WHERE template_id = ?1 ORDER BY id", id));
      for (;;) {
        MUSTER_TRY(const bool row, rows.step());
        if (!row) break;
        devices.push_back(rows.id<DeviceId>(0));
      }
    }
    for (const DeviceId device : devices) {
      MUSTER_TRY_VOID(
          push_event(transaction, {.event = domain::Trigger::device_deleted, .at = transaction.at(actor), .device_id = device}));
    }
  }
  {
    // Each device is missed by its own organization, which may be another one.
    MUSTER_TRY(Statement rows,
               transaction->query("SELECT id, organization_id, json_object('before', json_object('name', name, 'organizationId', "
                                  "organization_id, 'templateId', template_id, 'ownerId', ifnull(owner_id, 0))) FROM device "
                                  "WHERE template_id = ?1 ORDER BY id",
                                  id));
    domain::AuditEntry entry;
    entry.at = transaction.at(actor);
    entry.actor_user_id = actor.user_id;
    entry.api_key_id = actor.api_key_id;
    entry.oauth_client_id = actor.oauth_client_id;
    entry.client = actor.client;
    entry.ip = actor.ip;
    entry.action = "device.delete";
    entry.object_kind = "device";
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) break;
      entry.object_id = rows.integer(0);
      entry.organization_id = rows.id<OrganizationId>(1);
      entry.detail = rows.text(2);
      MUSTER_TRY_VOID(transaction.lay(entry));
    }
  }
  // Statements over the whole set: there may be many.
  MUSTER_TRY_VOID(
      transaction->run("INSERT INTO changes (kind, id) SELECT ?2, auth_token.id FROM device JOIN auth_token ON auth_token.device_id = "
                       "device.id WHERE device.template_id = ?1",
                       id, ChangeKind::token));
  MUSTER_TRY_VOID(
      transaction->run("INSERT INTO changes (kind, id) SELECT ?2, id FROM device WHERE template_id = ?1", id, ChangeKind::device));
  for (auto kind = domain::TokenKind::device; kind < domain::TokenKind::revoked;
       kind = static_cast<domain::TokenKind>(static_cast<int>(kind) + 1)) {
    MUSTER_TRY(const bool any, transaction->exists("SELECT 1 FROM device JOIN auth_token ON auth_token.device_id = device.id "
                                                   "WHERE device.template_id = ?1 AND auth_token.kind = ?2 LIMIT 1",
                                                   id, kind));
    if (!any) continue;
    MUSTER_TRY(const auto turned, domain::after(kind, domain::TokenEvent::device_removed));
    if (!domain::may_log_in(turned)) {
      MUSTER_TRY_VOID(
          transaction->run("DELETE FROM auth_token_sealed WHERE token_id IN (SELECT auth_token.id FROM device JOIN auth_token ON "
                           "auth_token.device_id = device.id WHERE device.template_id = ?1 AND auth_token.kind = ?2)",
                           id, kind));
    }
    MUSTER_TRY_VOID(
        transaction->run("UPDATE auth_token SET kind = ?3, device_id = NULL WHERE kind = ?2 AND device_id IN (SELECT id FROM "
                         "device WHERE template_id = ?1)",
                         id, kind, turned));
  }
  MUSTER_TRY_VOID(end_sessions_of_devices(transaction, "template_id = ?1", id.value()));
  return transaction->run("DELETE FROM device WHERE template_id = ?1", id);
}

// --- metadata ------------------------------------------------------------------------------------------------------------

Result<std::optional<std::string>> SqliteStore::device_metadata(DeviceId id, std::string_view field) {
  return impl_->read([&](Connection& connection) -> Result<std::optional<std::string>> {
    MUSTER_TRY(Statement row,
               connection.query("SELECT v.value FROM device JOIN meta_field f ON f.template_id = device.template_id AND f.name = ?2 "
                                "JOIN device_metadata v ON v.device_id = device.id AND v.field_id = f.id WHERE device.id = ?1",
                                id, field));
    MUSTER_TRY(const bool found, row.step());
    return found ? std::optional{std::string{row.text(0)}} : std::nullopt;
  });
}

Result<void> SqliteStore::set_device_metadata(DeviceId id, std::string_view field, std::string_view value, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    if (value.size() > metadata_value_max_bytes) return DomainError::invalid_value;
    MUSTER_TRY(const auto organization, transaction->number("SELECT organization_id FROM device WHERE id = ?1", id));
    MUSTER_TRY(const auto field_id,
               transaction->number(
                   "SELECT f.id FROM device JOIN meta_field f ON f.template_id = device.template_id AND f.name = ?2 WHERE device.id = ?1",
                   id, field));
    if (!organization || !field_id) return DomainError::not_found;
    JsonText detail;
    {
      MUSTER_TRY(Statement row,
                 transaction->query("SELECT value FROM device_metadata WHERE device_id = ?1 AND field_id = ?2", id, *field_id));
      MUSTER_TRY(const bool found, row.step());
      JsonText before;
      if (found) before.text(field, row.text(0));
      detail.object("before", before).object("after", JsonText{}.text(field, value));
    }
    MUSTER_TRY_VOID(transaction->run(
        "INSERT INTO device_metadata (device_id, field_id, value) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value", id,
        *field_id, value));
    MUSTER_TRY_VOID(transaction.audit(actor, OrganizationId{static_cast<std::int32_t>(*organization)}, "device.metadata", "device",
                                      id.value(), detail));
    return transaction.change(ChangeKind::device, id.value());
  });
}

Result<std::vector<domain::Store::MetadataValue>> SqliteStore::all_device_metadata(DeviceId id) {
  return impl_->read([&](Connection& connection) -> Result<std::vector<MetadataValue>> {
    std::vector<MetadataValue> all;
    MUSTER_TRY(
        Statement rows,
        connection.query("SELECT f.name, v.value FROM device JOIN device_metadata v ON v.device_id = device.id "
                         "JOIN meta_field f ON f.template_id = device.template_id AND f.id = v.field_id WHERE device.id = ?1 ORDER BY f.id",
                         id));
    for (;;) {
      MUSTER_TRY(const bool row, rows.step());
      if (!row) return all;
      all.push_back({std::string{rows.text(0)}, std::string{rows.text(1)}});
    }
  });
}

}  // namespace muster::store
