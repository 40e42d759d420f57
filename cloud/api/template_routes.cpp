// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <functional>
#include <tuple>

#include "cloud/api/query.hpp"
#include "cloud/api/router.hpp"
#include "cloud/base/time_zone_name.hpp"
#include "cloud/domain/rules.hpp"

namespace muster::api {

namespace {

using domain::Permission;
using Place = Field::Place;
using namespace fields;

using domain::DataType;
using domain::EventType;
using domain::MetaFieldType;

constexpr std::array<std::pair<DataType, std::string_view>, 5> data_type_names{{{DataType::integer, "INTEGER"},
                                                                                {DataType::real, "DOUBLE"},
                                                                                {DataType::string, "STRING"},
                                                                                {DataType::enumeration, "ENUM"},
                                                                                {DataType::location, "LOCATION"}}};
constexpr std::array<std::pair<EventType, std::string_view>, 4> event_type_names{{{EventType::information, "INFORMATION"},
                                                                                  {EventType::warning, "WARNING"},
                                                                                  {EventType::critical, "CRITICAL"},
                                                                                  {EventType::content, "CONTENT"}}};
constexpr std::array<MetaFieldType, 13> settable_meta_types{MetaFieldType::text,
                                                            MetaFieldType::number,
                                                            MetaFieldType::list,
                                                            MetaFieldType::switch_,
                                                            MetaFieldType::email,
                                                            MetaFieldType::imei,
                                                            MetaFieldType::iccid,
                                                            MetaFieldType::device_eui,
                                                            MetaFieldType::join_eui,
                                                            MetaFieldType::coordinates,
                                                            MetaFieldType::firmware_update_control,
                                                            MetaFieldType::mac,
                                                            MetaFieldType::serial};

/// Fields of a datastream inside the body of template/create.
constexpr Field nested_datastream_fields[] = {{"pin", FieldType::integer_or_text, Field::Place::body, true},
                                              {"name", FieldType::text},
                                              {"alias", FieldType::text},
                                              {"type", FieldType::text},
                                              {"units", FieldType::text},
                                              {"min", FieldType::number_or_null},
                                              {"max", FieldType::number_or_null},
                                              {"defaultValue", FieldType::text},
                                              {"decimals", FieldType::integer},
                                              {"syncOnConnect", FieldType::boolean},
                                              {"enumValues", FieldType::array}};

void write_datastream(JsonWriter& json, const domain::Datastream& stream) {
  json.object().add("id", stream.id.value()).add("name", stream.name).add("alias", stream.alias).add("pin", static_cast<int>(stream.pin));
  for (const auto& [type, name] : data_type_names) {
    if (type == stream.type) json.add("type", name);
  }
  json.add("units", stream.units);
  stream.min ? json.add("min", *stream.min) : json.add_null("min");
  stream.max ? json.add("max", *stream.max) : json.add_null("max");
  json.add("defaultValue", stream.default_value)
      .add("decimals", static_cast<int>(stream.decimals))
      .add("syncOnConnect", stream.sync_on_connect);
  json.array("enumValues");
  for (const auto& value : stream.enum_values) json.item(value);
  json.end_array().end_object();
}

void write_meta_field(JsonWriter& json, const domain::MetaField& field) {
  json.object()
      .add("id", field.id.value())
      .add("name", field.name)
      .add("type", meta_field_type_word(field.type))
      .add("defaultValue", field.default_value)
      .add("description", field.description)
      .add("inProvisioning", field.in_provisioning)
      .add("required", field.required)
      .add("isBuiltin", field.is_builtin)
      .end_object();
}

void write_event(JsonWriter& json, const domain::EventDef& event) {
  json.object().add("id", event.id.value()).add("name", event.name).add("eventCode", event.code);
  for (const auto& [type, name] : event_type_names) {
    if (type == event.type) json.add("type", name);
  }
  json.add("description", event.description).add("isSystem", event.is_system).end_object();
}

void write_template(JsonWriter& json, const domain::Template& value) {
  json.object()
      .add("id", value.id.value())
      .add("templateId", value.tmpl_ids.empty() ? std::string_view{} : std::string_view{value.tmpl_ids.front()});
  json.array("templateIds");
  for (const auto& id : value.tmpl_ids) json.item(id);
  json.end_array()
      .add("orgId", value.organization_id.value())
      .add("name", value.name)
      .add("boardType", value.board_type)
      .add("connectionType", value.connection_type);
  json.add("manufacturer", value.manufacturer)
      .add("description", value.description)
      .add("hotspotPrefix", value.hotspot_prefix)
      .add("firmwareType", value.firmware_type);
  json.add("offlineIgnorePeriod", value.offline_ignore_period_s)
      .add("allowPublicPlainText", value.allow_public_plain_text)
      .add("version", value.version);
  json.array("datastreams");
  for (const auto& stream : value.datastreams) write_datastream(json, stream);
  json.end_array().array("metaFields");
  for (const auto& field : value.meta_fields) write_meta_field(json, field);
  json.end_array().array("events");
  for (const auto& event : value.events) write_event(json, event);
  json.end_array().add("createdAt", value.created_at.ms).add("updatedAt", value.updated_at.ms).end_object();
}

Response template_response(unsigned status, const domain::Template& value) {
  JsonWriter json;
  write_template(json, value);
  return json_response(status, json.take());
}

template <class T>
Response part_response(unsigned status, const T& part, void (*write)(JsonWriter&, const T&)) {
  JsonWriter json;
  write(json, part);
  return json_response(status, json.take());
}

template <class T>
Response part_list(const std::vector<T>& parts, void (*write)(JsonWriter&, const T&)) {
  JsonWriter json;
  json.object().array("content");
  for (const T& part : parts) write(json, part);
  json.end_array().add("totalElements", static_cast<std::int64_t>(parts.size())).end_object();
  return json_response(200, json.take());
}

void take_text(const Json& object, std::string_view name, std::string& out) {
  if (const Json* given = object.find(name)) out = given->text;
}
void take_flag(const Json& object, std::string_view name, bool& out) {
  if (const Json* given = object.find(name)) out = given->boolean;
}

/// What is given of a template's own fields.
std::optional<Response> read_template(const Json& object, domain::Template& value) {
  take_text(object, "name", value.name);
  value.name = domain::trim(value.name);
  take_text(object, "boardType", value.board_type);
  take_text(object, "connectionType", value.connection_type);
  take_text(object, "manufacturer", value.manufacturer);
  take_text(object, "description", value.description);
  take_text(object, "hotspotPrefix", value.hotspot_prefix);
  take_text(object, "firmwareType", value.firmware_type);
  take_flag(object, "allowPublicPlainText", value.allow_public_plain_text);
  if (const Json* given = object.find("offlineIgnorePeriod")) {
    if (given->integer < 0 || given->integer > 365 * 86'400)
      return invalid_value("offlineIgnorePeriod", "offlineIgnorePeriod is 0 to 31536000 seconds.");
    value.offline_ignore_period_s = static_cast<std::uint32_t>(given->integer);
  }
  if (const auto complaint = domain::check_template_name(value.name)) return invalid_value("name", *complaint);
  return std::nullopt;
}

std::optional<Response> read_datastream(const Json& object, domain::Datastream& stream) {
  if (const Json* pin = object.find("pin")) {
    std::optional<std::uint8_t> parsed;
    if (pin->kind == Json::Kind::text) {
      parsed = parse_pin(pin->text);
    } else if (pin->integer >= 0 && pin->integer <= 255) {
      parsed = static_cast<std::uint8_t>(pin->integer);
    }
    if (!parsed) return invalid_value("pin", "A pin is 0 to 255, or V0 to V255.");
    stream.pin = *parsed;
  }
  take_text(object, "name", stream.name);
  stream.name = domain::trim(stream.name);
  if (stream.name.empty()) stream.name = "V" + std::to_string(stream.pin);
  take_text(object, "alias", stream.alias);
  take_text(object, "units", stream.units);
  take_text(object, "defaultValue", stream.default_value);
  take_flag(object, "syncOnConnect", stream.sync_on_connect);
  if (const Json* given = object.find("type")) {
    const auto known =
        std::find_if(data_type_names.begin(), data_type_names.end(), [&](const auto& each) { return each.second == given->text; });
    if (known == data_type_names.end()) return invalid_value("type", "type must be INTEGER, DOUBLE, STRING, ENUM or LOCATION.");
    stream.type = known->first;
  }
  const auto bound = [&](std::string_view name, std::optional<double>& out) {
    const Json* given = object.find(name);
    if (given == nullptr) return;
    out = given->kind == Json::Kind::null ? std::nullopt : std::optional{given->number};
  };
  bound("min", stream.min);
  bound("max", stream.max);
  if (const Json* given = object.find("decimals")) {
    if (given->integer < 0 || given->integer > 15) return invalid_value("decimals", "decimals is 0 to 15.");
    stream.decimals = static_cast<std::uint8_t>(given->integer);
  }
  if (const Json* given = object.find("enumValues")) {
    stream.enum_values.clear();
    for (const Json& item : given->items) {
      if (item.kind != Json::Kind::text) return invalid_value("enumValues", "enumValues must hold strings.");
      stream.enum_values.push_back(item.text);
    }
  }
  return std::nullopt;
}

std::optional<Response> read_meta_field(const Json& object, domain::MetaField& field) {
  take_text(object, "defaultValue", field.default_value);
  take_text(object, "description", field.description);
  take_flag(object, "inProvisioning", field.in_provisioning);
  take_flag(object, "required", field.required);
  const Json* name = object.find("name");
  const Json* type = object.find("type");
  if (field.is_builtin &&
      ((name != nullptr && name->text != field.name) || (type != nullptr && type->text != meta_field_type_word(field.type)))) {
    return error_response(domain::DomainError::protected_entity);
  }
  if (name != nullptr) field.name = name->text;
  if (type != nullptr && !field.is_builtin) {
    const auto known = std::find_if(settable_meta_types.begin(), settable_meta_types.end(),
                                    [&](MetaFieldType each) { return meta_field_type_word(each) == type->text; });
    if (known == settable_meta_types.end()) return invalid_value("type", "There is no such type of metadata field.");
    field.type = *known;
  }
  if (field.type == MetaFieldType::time_zone && !field.default_value.empty()) {
    if (const auto complaint = check_time_zone(field.default_value)) return invalid_value("defaultValue", *complaint);
  }
  return std::nullopt;
}

std::optional<Response> read_event(const Json& object, domain::EventDef& event) {
  if (event.is_system) return error_response(domain::DomainError::protected_entity);
  take_text(object, "name", event.name);
  take_text(object, "eventCode", event.code);
  take_text(object, "description", event.description);
  if (const Json* given = object.find("type")) {
    const auto known =
        std::find_if(event_type_names.begin(), event_type_names.end(), [&](const auto& each) { return each.second == given->text; });
    if (known == event_type_names.end()) return invalid_value("type", "type must be INFORMATION, WARNING, CRITICAL or CONTENT.");
    event.type = known->first;
  }
  if (event.code.empty() || event.code.size() > 50) return invalid_value("eventCode", "An event code has 1 to 50 bytes.");
  if (event.description.size() > 300) return invalid_value("description", "A description has at most 300 bytes.");
  return std::nullopt;
}

Response not_allowed(const std::string& complaint) { return error_response(400, "invalid_value", complaint); }

/// Reads the template, applies `change`, writes it back. A client that names the version it saw is told when somebody was faster;
/// for one that names none, the change is applied to what is there now.
Result<domain::Template> edit(Context& context, std::optional<Response>& refusal,
                              const std::function<std::optional<Response>(domain::Template&)>& change) {
  constexpr int tries_max = 5;
  const auto seen = context.arguments.integer("version");
  Error last = domain::DomainError::version_conflict;
  for (int i = 0; i < tries_max; ++i) {
    const auto found = context.core.store.find_template(context.published->id);
    if (!found) return found.error();
    if (!*found) return Error{domain::DomainError::not_found};
    domain::Template value = **found;
    if (seen && *seen != value.version) return Error{domain::DomainError::version_conflict};
    refusal = change(value);
    if (refusal) return Error{domain::DomainError::invalid_value};
    if (const auto complaint = domain::check_template(value)) {
      refusal = not_allowed(*complaint);
      return Error{domain::DomainError::invalid_value};
    }
    const std::uint32_t version = value.version;
    auto updated = context.core.store.update_template(value, version, context.actor());
    if (updated) return std::move(*updated);
    last = updated.error();
    if (last != domain::DomainError::version_conflict || seen) return last;
  }
  return last;
}

template <class T>
T* find_part(std::vector<T>& parts, std::int64_t id) {
  const auto found = std::find_if(parts.begin(), parts.end(), [&](const T& part) { return part.id.value() == id; });
  return found == parts.end() ? nullptr : &*found;
}

/// Adds one part of a template and answers it as stored: the part whose id was not there before.
template <class T>
Response create_part(Context& context, std::vector<T> domain::Template::* parts, std::size_t count_max,
                     std::optional<Response> (*read)(const Json&, T&), void (*write)(JsonWriter&, const T&)) {
  std::vector<std::int32_t> before;
  std::optional<Response> refusal;
  const auto updated = edit(context, refusal, [&](domain::Template& value) -> std::optional<Response> {
    before.clear();
    for (const T& part : value.*parts) before.push_back(part.id.value());
    if (before.size() >= count_max) return error_response(domain::DomainError::limit_reached);
    T part;
    if (auto refused = read(context.arguments.as_object(), part)) return refused;
    (value.*parts).push_back(std::move(part));
    return std::nullopt;
  });
  if (refusal) return std::move(*refusal);
  if (!updated) return error_response(updated.error());
  for (const T& part : (*updated).*parts) {
    if (std::find(before.begin(), before.end(), part.id.value()) == before.end()) return part_response(201, part, write);
  }
  return error_response(500, "internal_error", "Something went wrong on the server.");
}

template <class T>
Response put_part(Context& context, std::string_view id_name, std::vector<T> domain::Template::* parts,
                  std::optional<Response> (*read)(const Json&, T&), void (*write)(JsonWriter&, const T&)) {
  const std::int64_t id = *context.arguments.integer(id_name);
  std::optional<Response> refusal;
  auto updated = edit(context, refusal, [&](domain::Template& value) -> std::optional<Response> {
    T* part = find_part(value.*parts, id);
    return part == nullptr ? not_found() : read(context.arguments.as_object(), *part);
  });
  if (refusal) return std::move(*refusal);
  if (!updated) return error_response(updated.error());
  const T* part = find_part((*updated).*parts, id);
  return part == nullptr ? not_found() : part_response(200, *part, write);
}

template <class T>
Response delete_part(Context& context, std::string_view id_name, std::vector<T> domain::Template::* parts, bool (*is_protected)(const T&)) {
  const std::int64_t id = *context.arguments.integer(id_name);
  std::optional<Response> refusal;
  const auto updated = edit(context, refusal, [&](domain::Template& value) -> std::optional<Response> {
    const T* part = find_part(value.*parts, id);
    if (part == nullptr) return not_found();
    if (is_protected(*part)) return error_response(domain::DomainError::protected_entity);
    std::erase_if(value.*parts, [&](const T& each) { return each.id.value() == id; });
    return std::nullopt;
  });
  if (refusal) return std::move(*refusal);
  return updated ? no_content() : error_response(updated.error());
}

// docs/protocol/cloud-model.md section 7.
constexpr std::size_t datastreams_max = 256, events_max = 100, meta_fields_max = 50;

Response get_templates(Context& context) {
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  auto rows = context.core.views.directory.templates_of(context.organization);
  const std::string wanted = domain::lower_ascii(page.query);
  if (!wanted.empty())
    std::erase_if(rows, [&](const auto& row) { return domain::lower_ascii(row->name).find(wanted) == std::string::npos; });
  std::sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) {
    const auto& [x, y] = page.descending ? std::tie(b, a) : std::tie(a, b);
    if (page.sort_by == "name" && x->name != y->name) return x->name < y->name;
    if (page.sort_by == "createdAt" && x->created_at != y->created_at) return x->created_at < y->created_at;
    return x->id < y->id;
  });
  const auto total = static_cast<std::int64_t>(rows.size());
  JsonWriter json;
  json.object().array("content");
  for (std::int64_t i = page.offset; i < std::min(total, page.offset + page.limit); ++i)
    write_template(json, *rows[static_cast<std::size_t>(i)]);
  json.end_array().add("totalElements", total).end_object();
  return json_response(200, json.take());
}

Response get_template(Context& context) { return template_response(200, *context.published); }

Response create_template(Context& context) {
  const auto organization = context.core.views.directory.organization(context.organization);
  if (!organization) return not_found();
  if (organization->parent_id)
    return error_response(403, "root_organization_only", "Templates are made in the root organization; those beneath it use them.");
  domain::Template value;
  value.organization_id = context.organization;
  if (auto refused = read_template(context.arguments.as_object(), value)) return std::move(*refused);
  if (const Json* given = context.arguments.find("datastreams")) {
    if (given->items.size() > datastreams_max) return invalid_value("datastreams", "A template has at most 256 datastreams.");
    for (std::size_t i = 0; i < given->items.size(); ++i) {
      const std::string where = "datastreams[" + std::to_string(i) + "]";
      if (given->items[i].kind != Json::Kind::object) return invalid_value(where, where + " must be an object.");
      std::vector<Detail> details;
      check_members(given->items[i], nested_datastream_fields, where, details);
      if (!details.empty()) {
        const std::string message = details.front().message;
        return error_response(400, "invalid_request", message, details);
      }
      domain::Datastream stream;
      if (auto refused = read_datastream(given->items[i], stream)) return std::move(*refused);
      value.datastreams.push_back(std::move(stream));
    }
  }
  value.tmpl_ids.push_back(domain::generate_tmpl_id(context.core.random));
  if (const auto complaint = domain::check_template(value)) return not_allowed(*complaint);
  const auto made = context.core.store.create_template(value, context.actor());
  return made ? template_response(201, *made) : error_response(made.error());
}

Response put_template(Context& context) {
  std::optional<Response> refusal;
  const auto updated = edit(context, refusal, [&](domain::Template& value) { return read_template(context.arguments.as_object(), value); });
  if (refusal) return std::move(*refusal);
  return updated ? template_response(200, *updated) : error_response(updated.error());
}

Response delete_template(Context& context) {
  const auto deleted = context.core.store.delete_template(context.published->id, context.arguments.flag("withDevices"), context.actor());
  return deleted ? no_content() : error_response(deleted.error());
}

Response get_datastreams(Context& context) { return part_list(context.published->datastreams, write_datastream); }
Response create_datastream(Context& context) {
  return create_part(context, &domain::Template::datastreams, datastreams_max, read_datastream, write_datastream);
}
Response put_datastream(Context& context) {
  return put_part(context, "dataStreamId", &domain::Template::datastreams, read_datastream, write_datastream);
}
Response delete_datastream(Context& context) {
  return delete_part<domain::Datastream>(context, "dataStreamId", &domain::Template::datastreams,
                                         [](const domain::Datastream&) { return false; });
}

Response get_meta_fields(Context& context) { return part_list(context.published->meta_fields, write_meta_field); }
Response create_meta_field(Context& context) {
  return create_part(context, &domain::Template::meta_fields, meta_fields_max, read_meta_field, write_meta_field);
}
Response put_meta_field(Context& context) {
  return put_part(context, "metaFieldId", &domain::Template::meta_fields, read_meta_field, write_meta_field);
}
Response delete_meta_field(Context& context) {
  return delete_part<domain::MetaField>(context, "metaFieldId", &domain::Template::meta_fields,
                                        [](const domain::MetaField& field) { return field.is_builtin; });
}

Response get_events(Context& context) { return part_list(context.published->events, write_event); }
Response create_event(Context& context) { return create_part(context, &domain::Template::events, events_max, read_event, write_event); }
Response put_event(Context& context) { return put_part(context, "eventId", &domain::Template::events, read_event, write_event); }
Response delete_event(Context& context) {
  return delete_part<domain::EventDef>(context, "eventId", &domain::Template::events,
                                       [](const domain::EventDef& event) { return event.is_system; });
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field templates_fields[] = {org_id, search, page, size, sort_by, sort_order};
constexpr Field template_fields[] = {template_id};
constexpr Field template_delete_fields[] = {template_id, query_flag("withDevices")};
constexpr Field template_create_fields[] = {org_id,
                                            text("name", true),
                                            text("boardType"),
                                            text("connectionType"),
                                            text("manufacturer"),
                                            text("description"),
                                            text("hotspotPrefix"),
                                            text("firmwareType"),
                                            integer("offlineIgnorePeriod"),
                                            flag("allowPublicPlainText"),
                                            list("datastreams")};
constexpr Field template_put_fields[] = {template_id,
                                         version,
                                         text("name"),
                                         text("boardType"),
                                         text("connectionType"),
                                         text("manufacturer"),
                                         text("description"),
                                         text("hotspotPrefix"),
                                         text("firmwareType"),
                                         integer("offlineIgnorePeriod"),
                                         flag("allowPublicPlainText")};

#define MUSTER_DATASTREAM_FIELDS                                                                                                     \
  text("name"), text("alias"), text("type"), text("units"), number("min"), number("max"), text("defaultValue"), integer("decimals"), \
      flag("syncOnConnect"), list("enumValues")
constexpr Field datastream_id{"dataStreamId", FieldType::integer, Place::both, true};
constexpr Field datastream_create_fields[] = {
    template_id, version, {"pin", FieldType::integer_or_text, Place::body, true}, MUSTER_DATASTREAM_FIELDS};
constexpr Field datastream_put_fields[] = {
    template_id, version, datastream_id, {"pin", FieldType::integer_or_text}, MUSTER_DATASTREAM_FIELDS};
#undef MUSTER_DATASTREAM_FIELDS
constexpr Field datastream_delete_fields[] = {template_id, version, datastream_id};

constexpr Field meta_field_id{"metaFieldId", FieldType::integer, Place::both, true};
constexpr Field meta_field_create_fields[] = {
    template_id,     version, text("name", true), text("type"), text("defaultValue"), text("description"), flag("inProvisioning"),
    flag("required")};
constexpr Field meta_field_put_fields[] = {
    template_id,     version, meta_field_id, text("name"), text("type"), text("defaultValue"), text("description"), flag("inProvisioning"),
    flag("required")};
constexpr Field meta_field_delete_fields[] = {template_id, version, meta_field_id};

constexpr Field event_id{"eventId", FieldType::integer, Place::both, true};
constexpr Field event_create_fields[] = {template_id,        version, text("name", true), text("eventCode", true), text("type"),
                                         text("description")};
constexpr Field event_put_fields[] = {template_id, version, event_id, text("name"), text("eventCode"), text("type"), text("description")};
constexpr Field event_delete_fields[] = {template_id, version, event_id};

constexpr Route routes[] = {
    {Method::get, "/api/v1/templates", on_organization(Permission::template_view), Lane::api, templates_fields, get_templates},
    {Method::get, "/api/v1/template", on_template(Permission::template_view), Lane::api, template_fields, get_template},
    {Method::put, "/api/v1/template", on_template(Permission::template_edit), Lane::api, template_put_fields, put_template},
    {Method::delete_, "/api/v1/template", on_template(Permission::template_delete), Lane::api, template_delete_fields, delete_template},
    {Method::post, "/api/v1/template/create", on_organization(Permission::template_create), Lane::api, template_create_fields,
     create_template},
    {Method::get, "/api/v1/template/datastreams", on_template(Permission::template_view), Lane::api, template_fields, get_datastreams},
    {Method::post, "/api/v1/template/datastream/create", on_template(Permission::template_edit), Lane::api, datastream_create_fields,
     create_datastream},
    {Method::put, "/api/v1/template/datastream", on_template(Permission::template_edit), Lane::api, datastream_put_fields, put_datastream},
    {Method::delete_, "/api/v1/template/datastream", on_template(Permission::template_edit), Lane::api, datastream_delete_fields,
     delete_datastream},
    {Method::get, "/api/v1/template/metafields", on_template(Permission::template_view), Lane::api, template_fields, get_meta_fields},
    {Method::post, "/api/v1/template/metafield/create", on_template(Permission::template_edit), Lane::api, meta_field_create_fields,
     create_meta_field},
    {Method::put, "/api/v1/template/metafield", on_template(Permission::template_edit), Lane::api, meta_field_put_fields, put_meta_field},
    {Method::delete_, "/api/v1/template/metafield", on_template(Permission::template_edit), Lane::api, meta_field_delete_fields,
     delete_meta_field},
    {Method::get, "/api/v1/template/events", on_template(Permission::template_view), Lane::api, template_fields, get_events},
    {Method::post, "/api/v1/template/event/create", on_template(Permission::template_edit), Lane::api, event_create_fields, create_event},
    {Method::put, "/api/v1/template/event", on_template(Permission::template_edit), Lane::api, event_put_fields, put_event},
    {Method::delete_, "/api/v1/template/event", on_template(Permission::template_edit), Lane::api, event_delete_fields, delete_event},
};

}  // namespace

std::span<const Route> template_routes() noexcept { return routes; }

}  // namespace muster::api
