// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "cloud/store/sqlite/store_impl.hpp"

/// Templates with their datastreams, metadata fields and events.
namespace muster::store {

using domain::Actor;
using domain::ChangeKind;
using domain::Datastream;
using domain::DomainError;
using domain::EventDef;
using domain::EventType;
using domain::MetaField;
using domain::MetaFieldType;
using domain::Template;

namespace {

// docs/protocol/cloud-model.md section 7.
constexpr std::size_t datastreams_max = 256, events_max = 100, meta_fields_max = 50, tmpl_ids_max = 16;

struct BuiltinField {
  const char* name;
  MetaFieldType type;
};
constexpr std::array builtin_fields{
    BuiltinField{"Device Name", MetaFieldType::device_name},   BuiltinField{"Device Owner", MetaFieldType::device_owner},
    BuiltinField{"Location", MetaFieldType::location},         BuiltinField{"Device Timezone", MetaFieldType::time_zone},
    BuiltinField{"Hotspot Name", MetaFieldType::hotspot_name}, BuiltinField{"Device UID", MetaFieldType::device_uid},
};

struct SystemEvent {
  const char* name;
  const char* code;
  EventType type;
};
constexpr std::array system_events{
    SystemEvent{"Online", "online", EventType::information},
    SystemEvent{"Offline", "offline", EventType::warning},
    SystemEvent{"OTA status", "ota_status", EventType::information},
};

/// Adds what every template has, and keeps a caller from changing what it is.
void add_builtin(Template& value) {
  for (MetaField& field : value.meta_fields) field.is_builtin = false;
  for (EventDef& event : value.events) event.is_system = false;
  for (const auto& builtin : builtin_fields) {
    const auto found = std::find_if(value.meta_fields.begin(), value.meta_fields.end(),
                                    [&](const MetaField& field) { return field.name == builtin.name; });
    MetaField& field = found == value.meta_fields.end() ? value.meta_fields.emplace_back() : *found;
    field.name = builtin.name;
    field.type = builtin.type;
    field.is_builtin = true;
  }
  for (const auto& builtin : system_events) {
    const auto found =
        std::find_if(value.events.begin(), value.events.end(), [&](const EventDef& event) { return event.code == builtin.code; });
    EventDef& event = found == value.events.end() ? value.events.emplace_back() : *found;
    event.name = builtin.name;
    event.code = builtin.code;
    event.type = builtin.type;
    event.is_system = true;
  }
}

Result<void> check_parts(const Template& value) {
  if (value.datastreams.size() > datastreams_max || value.events.size() > events_max || value.meta_fields.size() > meta_fields_max ||
      value.tmpl_ids.size() > tmpl_ids_max) {
    return DomainError::limit_reached;
  }
  std::set<std::string_view> names;
  std::set<int> pins;
  for (const Datastream& stream : value.datastreams) {
    if (!pins.insert(stream.pin).second) return DomainError::pin_taken;
    if (!names.insert(stream.name).second) return DomainError::name_taken;
  }
  names.clear();
  for (const MetaField& field : value.meta_fields) {
    if (!names.insert(field.name).second) return DomainError::name_taken;
  }
  names.clear();
  for (const EventDef& event : value.events) {
    if (!names.insert(event.code).second) return DomainError::name_taken;
  }
  return {};
}

struct NextIds {
  std::int32_t datastream = 1, meta_field = 1, event = 1;
};

/// Gives ids to the parts that have none. Errors: DomainError::not_found for one whose id `before` does not know.
template <class Part>
Result<void> give_ids(std::vector<Part>& parts, const std::vector<Part>& before, std::int32_t& next) {
  std::set<std::int32_t> used;
  for (Part& part : parts) {
    if (!part.id) {
      part.id = decltype(part.id){next++};
    } else if (std::none_of(before.begin(), before.end(), [&](const Part& old) { return old.id == part.id; })) {
      return DomainError::not_found;
    }
    if (!used.insert(part.id.value()).second) return DomainError::invalid_value;
  }
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.id < b.id; });
  return {};
}

std::string enum_array(const std::vector<std::string>& values) {
  std::string text = "[";
  for (const auto& value : values) {
    if (text.size() > 1) text += ',';
    append_json_string(text, value);
  }
  return text + ']';
}

Result<void> insert_parts(Connection& connection, const Template& value) {
  for (const Datastream& stream : value.datastreams) {
    MUSTER_TRY_VOID(
        connection.run("INSERT INTO datastream (template_id, id, name, alias, pin, type, units, min, max, default_value, decimals, "
                       "sync_on_connect, enum_values) "
                       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                       value.id, stream.id, stream.name, stream.alias, stream.pin, stream.type, stream.units, stream.min, stream.max,
                       blob(stream.default_value), stream.decimals, stream.sync_on_connect, enum_array(stream.enum_values)));
  }
  for (const MetaField& field : value.meta_fields) {
    MUSTER_TRY_VOID(connection.run(
        "INSERT INTO meta_field (template_id, id, name, type, default_value, description, in_provisioning, required, is_builtin) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        value.id, field.id, field.name, field.type, field.default_value, field.description, field.in_provisioning, field.required,
        field.is_builtin));
  }
  for (const EventDef& event : value.events) {
    MUSTER_TRY_VOID(connection.run(
        "INSERT INTO event_def (template_id, id, name, code, description, type, is_system) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", value.id,
        event.id, event.name, event.code, event.description, event.type, event.is_system));
  }
  return {};
}

template <class Row>
Result<void> each_row(Result<Statement> statement, const Row& row) {
  if (!statement) return statement.error();
  for (;;) {
    MUSTER_TRY(const bool more, statement->step());
    if (!more) return {};
    if constexpr (std::is_void_v<std::invoke_result_t<const Row&, Statement&>>) {
      row(*statement);
    } else {
      MUSTER_TRY_VOID(row(*statement));
    }
  }
}

Result<void> load_parts(Connection& connection, Template& value) {
  MUSTER_TRY_VOID(each_row(connection.query("SELECT tmpl_id FROM template_tmpl_id WHERE template_id = ?1 ORDER BY position", value.id),
                           [&](Statement& row) { value.tmpl_ids.emplace_back(row.text(0)); }));
  MUSTER_TRY_VOID(each_row(connection.query("SELECT id, name, alias, pin, type, units, min, max, default_value, decimals, sync_on_connect, "
                                            "enum_values FROM datastream WHERE template_id = ?1 ORDER BY id",
                                            value.id),
                           [&](Statement& row) -> Result<void> {
                             Datastream& stream = value.datastreams.emplace_back();
                             stream.id = row.id<DatastreamId>(0);
                             stream.name = row.text(1);
                             stream.alias = row.text(2);
                             stream.pin = static_cast<std::uint8_t>(row.integer(3));
                             stream.type = static_cast<domain::DataType>(row.integer(4));
                             stream.units = row.text(5);
                             if (!row.is_null(6)) stream.min = row.real(6);
                             if (!row.is_null(7)) stream.max = row.real(7);
                             stream.default_value = row.text(8);
                             stream.decimals = static_cast<std::uint8_t>(row.integer(9));
                             stream.sync_on_connect = row.flag(10);
                             if (row.text(11) == "[]") return {};
                             return each_row(connection.query("SELECT value FROM json_each(?1) ORDER BY key", row.text(11)),
                                             [&](Statement& item) { stream.enum_values.emplace_back(item.text(0)); });
                           }));
  MUSTER_TRY_VOID(each_row(connection.query("SELECT id, name, type, default_value, description, in_provisioning, required, is_builtin FROM "
                                            "meta_field WHERE template_id = ?1 ORDER BY id",
                                            value.id),
                           [&](Statement& row) {
                             MetaField& field = value.meta_fields.emplace_back();
                             field.id = row.id<MetaFieldId>(0);
                             field.name = row.text(1);
                             field.type = static_cast<MetaFieldType>(row.integer(2));
                             field.default_value = row.text(3);
                             field.description = row.text(4);
                             field.in_provisioning = row.flag(5);
                             field.required = row.flag(6);
                             field.is_builtin = row.flag(7);
                           }));
  return each_row(
      connection.query("SELECT id, name, code, description, type, is_system FROM event_def WHERE template_id = ?1 ORDER BY id", value.id),
      [&](Statement& row) {
        EventDef& event = value.events.emplace_back();
        event.id = row.id<EventDefId>(0);
        event.name = row.text(1);
        event.code = row.text(2);
        event.description = row.text(3);
        event.type = static_cast<EventType>(row.integer(4));
        event.is_system = row.flag(5);
      });
}

#define MUSTER_TEMPLATE_COLUMNS                                                                                        \
  "id, organization_id, name, board_type, connection_type, manufacturer, description, hotspot_prefix, firmware_type, " \
  "offline_ignore_period_s, "                                                                                          \
  "allow_public_plain_text, version, created_at, updated_at"

Template template_of(const Statement& row) {
  Template value;
  value.id = row.id<TemplateId>(0);
  value.organization_id = row.id<OrganizationId>(1);
  value.name = row.text(2);
  value.board_type = row.text(3);
  value.connection_type = row.text(4);
  value.manufacturer = row.text(5);
  value.description = row.text(6);
  value.hotspot_prefix = row.text(7);
  value.firmware_type = row.text(8);
  value.offline_ignore_period_s = static_cast<std::uint32_t>(row.integer(9));
  value.allow_public_plain_text = row.flag(10);
  value.version = static_cast<std::uint32_t>(row.integer(11));
  value.created_at = row.time(12);
  value.updated_at = row.time(13);
  return value;
}

JsonText describe(const Template& value) {
  JsonText text;
  text.text("name", value.name)
      .text("boardType", value.board_type)
      .text("connectionType", value.connection_type)
      .text("manufacturer", value.manufacturer);
  text.text("description", value.description).flag("allowPublicPlainText", value.allow_public_plain_text);
  text.number("offlineIgnorePeriodSeconds", value.offline_ignore_period_s).number("version", value.version);
  const auto names = [](const auto& parts) {
    std::string joined;
    for (const auto& part : parts) {
      if (!joined.empty()) joined += ", ";
      joined += part.name;
      if constexpr (std::is_same_v<std::decay_t<decltype(part)>, Datastream>) joined += " (V" + std::to_string(part.pin) + ")";
    }
    return joined;
  };
  text.text("datastreams", names(value.datastreams)).text("metaFields", names(value.meta_fields)).text("events", names(value.events));
  return text;
}

}  // namespace

Result<std::optional<Template>> load_template(Connection& connection, TemplateId id) {
  MUSTER_TRY(Statement row, connection.query("SELECT " MUSTER_TEMPLATE_COLUMNS " FROM template WHERE id = ?1", id));
  MUSTER_TRY(const bool found, row.step());
  if (!found) return std::optional<Template>{};
  Template value = template_of(row);
  MUSTER_TRY_VOID(load_parts(connection, value));
  return std::optional{std::move(value)};
}

Result<Template> SqliteStore::create_template(const Template& given, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Template> {
    Template value = given;
    add_builtin(value);
    MUSTER_TRY_VOID(check_parts(value));
    MUSTER_TRY(const bool organization, transaction->exists("SELECT 1 FROM organization WHERE id = ?1", value.organization_id));
    if (!organization) return DomainError::not_found;
    MUSTER_TRY(const bool taken,
               transaction->exists("SELECT 1 FROM template WHERE organization_id = ?1 AND name = ?2", value.organization_id, value.name));
    if (taken) return DomainError::name_taken;
    NextIds next;
    for (auto& part : value.datastreams) part.id = {};
    for (auto& part : value.meta_fields) part.id = {};
    for (auto& part : value.events) part.id = {};
    MUSTER_TRY_VOID(give_ids(value.datastreams, {}, next.datastream));
    MUSTER_TRY_VOID(give_ids(value.meta_fields, {}, next.meta_field));
    MUSTER_TRY_VOID(give_ids(value.events, {}, next.event));
    MUSTER_TRY_VOID(
        transaction->run("INSERT INTO template (organization_id, name, board_type, connection_type, manufacturer, description, "
                         "hotspot_prefix, firmware_type, offline_ignore_period_s, "
                         "allow_public_plain_text, version, next_datastream_id, next_meta_field_id, next_event_id, created_at, updated_at) "
                         "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11, ?12, ?13, ?14, ?14)",
                         value.organization_id, value.name, value.board_type, value.connection_type, value.manufacturer, value.description,
                         value.hotspot_prefix, value.firmware_type, value.offline_ignore_period_s, value.allow_public_plain_text,
                         next.datastream, next.meta_field, next.event, transaction.at(actor)));
    if (!std::in_range<std::int32_t>(transaction->last_insert_id())) return DomainError::limit_reached;
    value.id = TemplateId{static_cast<std::int32_t>(transaction->last_insert_id())};
    int position = 0;
    for (const auto& tmpl_id : value.tmpl_ids) {
      MUSTER_TRY(const bool known, transaction->exists("SELECT 1 FROM template_tmpl_id WHERE tmpl_id = ?1", tmpl_id));
      if (known) return DomainError::name_taken;
      MUSTER_TRY_VOID(transaction->run("INSERT INTO template_tmpl_id (tmpl_id, template_id, position) VALUES (?1, ?2, ?3)", tmpl_id,
                                       value.id, position++));
    }
    MUSTER_TRY_VOID(insert_parts(*transaction, value));
    MUSTER_TRY(const auto stored, load_template(*transaction, value.id));
    MUSTER_TRY_VOID(transaction.audit(actor, value.organization_id, "template.create", "template", value.id.value(), describe(*stored)));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::template_, value.id.value()));
    return stored.value();
  });
}

Result<Template> SqliteStore::update_template(const Template& given, std::uint32_t seen_version, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Template> {
    MUSTER_TRY(const auto before, load_template(*transaction, given.id));
    if (!before) return DomainError::not_found;
    if (before->version != seen_version) return DomainError::version_conflict;
    Template value = given;
    // A built-in part that is missing keeps its id; one that is there keeps what it is.
    for (const MetaField& field : before->meta_fields) {
      if (!field.is_builtin) continue;
      const auto same = [&](const MetaField& other) { return other.id == field.id || other.name == field.name; };
      const auto found = std::find_if(value.meta_fields.begin(), value.meta_fields.end(), same);
      if (found == value.meta_fields.end()) {
        value.meta_fields.push_back(field);
      } else {
        found->id = field.id;
        found->name = field.name;
      }
    }
    for (const EventDef& event : before->events) {
      if (!event.is_system) continue;
      const auto same = [&](const EventDef& other) { return other.id == event.id || other.code == event.code; };
      const auto found = std::find_if(value.events.begin(), value.events.end(), same);
      if (found == value.events.end()) {
        value.events.push_back(event);
      } else {
        found->id = event.id;
        found->code = event.code;
      }
    }
    add_builtin(value);
    MUSTER_TRY_VOID(check_parts(value));
    MUSTER_TRY(const bool taken, transaction->exists("SELECT 1 FROM template WHERE organization_id = ?1 AND name = ?2 AND id <> ?3",
                                                     before->organization_id, value.name, value.id));
    if (taken) return DomainError::name_taken;
    NextIds next;
    {
      MUSTER_TRY(Statement row,
                 transaction->query("SELECT next_datastream_id, next_meta_field_id, next_event_id FROM template WHERE id = ?1", value.id));
      MUSTER_TRY_VOID(row.step());
      next = {static_cast<std::int32_t>(row.integer(0)), static_cast<std::int32_t>(row.integer(1)),
              static_cast<std::int32_t>(row.integer(2))};
    }
    MUSTER_TRY_VOID(give_ids(value.datastreams, before->datastreams, next.datastream));
    MUSTER_TRY_VOID(give_ids(value.meta_fields, before->meta_fields, next.meta_field));
    MUSTER_TRY_VOID(give_ids(value.events, before->events, next.event));
    MUSTER_TRY_VOID(
        transaction->run("UPDATE template SET name = ?2, board_type = ?3, connection_type = ?4, manufacturer = ?5, description = ?6, "
                         "hotspot_prefix = ?7, firmware_type = ?8, "
                         "offline_ignore_period_s = ?9, allow_public_plain_text = ?10, version = version + 1, next_datastream_id = ?11, "
                         "next_meta_field_id = ?12, next_event_id = ?13, "
                         "updated_at = ?14 WHERE id = ?1",
                         value.id, value.name, value.board_type, value.connection_type, value.manufacturer, value.description,
                         value.hotspot_prefix, value.firmware_type, value.offline_ignore_period_s, value.allow_public_plain_text,
                         next.datastream, next.meta_field, next.event, transaction.at(actor)));
    for (const auto* sql : {"DELETE FROM datastream WHERE template_id = ?1", "DELETE FROM meta_field WHERE template_id = ?1",
                            "DELETE FROM event_def WHERE template_id = ?1"}) {
      MUSTER_TRY_VOID(transaction->run(sql, value.id));
    }
    MUSTER_TRY_VOID(insert_parts(*transaction, value));
    // What devices said in fields that are gone goes as well.
    MUSTER_TRY_VOID(
        transaction->run("DELETE FROM device_metadata WHERE device_id IN (SELECT id FROM device WHERE template_id = ?1) "
                         "AND field_id NOT IN (SELECT id FROM meta_field WHERE template_id = ?1)",
                         value.id));
    MUSTER_TRY(const auto after, load_template(*transaction, value.id));
    MUSTER_TRY_VOID(transaction.audit(actor, before->organization_id, "template.update", "template", value.id.value(),
                                      JsonText{}.object("before", describe(*before)).object("after", describe(*after))));
    MUSTER_TRY_VOID(transaction.change(ChangeKind::template_, value.id.value()));
    return after.value();
  });
}

Result<void> delete_template_row(Transaction& transaction, TemplateId id) {
  MUSTER_TRY_VOID(transaction->run("DELETE FROM template WHERE id = ?1", id));
  return transaction.change(ChangeKind::template_, id.value());
}

Result<void> SqliteStore::delete_template(TemplateId id, bool with_devices, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto present, load_template(*transaction, id));
    if (!present) return DomainError::not_found;
    MUSTER_TRY(const bool used, transaction->exists("SELECT 1 FROM device WHERE template_id = ?1 LIMIT 1", id));
    if (used && !with_devices) return DomainError::in_use;
    MUSTER_TRY(const auto devices, delete_devices_of_template(transaction, id, actor));
    MUSTER_TRY_VOID(delete_template_row(transaction, id));
    return transaction.audit(actor, present->organization_id, "template.delete", "template", id.value(),
                             JsonText{}.object("before", describe(*present)).number("devices", devices));
  });
}

Result<std::optional<Template>> SqliteStore::find_template(TemplateId id) {
  return impl_->read([&](Connection& connection) { return load_template(connection, id); });
}

Result<std::vector<Template>> SqliteStore::templates() {
  return impl_->read([](Connection& connection) -> Result<std::vector<Template>> {
    std::vector<Template> all;
    MUSTER_TRY_VOID(each_row(connection.query("SELECT " MUSTER_TEMPLATE_COLUMNS " FROM template ORDER BY id"),
                             [&](Statement& row) { all.push_back(template_of(row)); }));
    for (Template& value : all) MUSTER_TRY_VOID(load_parts(connection, value));
    return all;
  });
}

}  // namespace muster::store
