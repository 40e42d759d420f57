// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <span>

#include "cloud/api/router.hpp"
#include "cloud/base/auth_token.hpp"
#include "cloud/base/time_zone_name.hpp"
#include "cloud/domain/device_life_cycle.hpp"
#include "cloud/domain/rules.hpp"

namespace muster::api {
namespace {

using domain::Permission;
using Place = Field::Place;
using namespace fields;

using domain::ActivationWay;
using domain::MetaFieldType;
using domain::Permission;

std::string_view way_word(ActivationWay way) {
  switch (way) {
    case ActivationWay::manual: return "manual";
    case ActivationWay::dynamic: return "dynamic";
    case ActivationWay::static_: return "static";
    case ActivationWay::import: return "import";
  }
  return "";
}

/// What a list shows of each device besides its row, when asked.
struct Include {
  bool values = false, metadata = false;
};

void write_device(JsonWriter& json, const Core& core, const domain::Device& device, std::string_view token = {},
                  const std::function<void(JsonWriter&)>& more = {}) {
  const auto published = core.views.directory.find_template(device.template_id);
  json.object().add("id", device.id.value()).add("name", device.name).add("orgId", device.organization_id.value());
  json.add("templateId", published && !published->tmpl_ids.empty() ? std::string_view{published->tmpl_ids.front()} : std::string_view{});
  json.add("productId", device.template_id.value()).add("ownerId", device.owner_id.value());
  const auto contact = core.sessions.contact(device.id, core.clock.now());
  const auto state = domain::device_state(device.first_connect_time.ms != 0, contact);
  json.add("status", domain::device_state_name(state)).add("online", state == domain::DeviceState::online);
  json.add("connected", contact == domain::Contact::connected);
  if (!token.empty()) json.add("token", token);
  json.add("activationWay", way_word(device.activation_way))
      .add("activatedAt", device.activated_at.ms)
      .add("activatedBy", device.activated_by.value());
  json.add("firstConnectTime", device.first_connect_time.ms)
      .add("connectTime", device.connect_time.ms)
      .add("disconnectTime", device.disconnect_time.ms);
  json.add("lastReportedAt", device.last_reported_at.ms).add("ip", device.last_ip).add("plainTextLink", device.plain_text_link);
  const auto& hardware = device.hardware;
  json.object("hardwareInfo")
      .add("version", hardware.version)
      .add("fwType", hardware.firmware_type)
      .add("blynkVersion", hardware.library_version)
      .add("boardType", hardware.board_type)
      .add("build", hardware.build)
      .add("templateId", hardware.template_id)
      .add("agent", hardware.agent)
      .add("heartbeat", hardware.heartbeat_s)
      .add("bufferIn", hardware.buffer_in_bytes)
      .end_object();
  write_home(json, device.home);
  json.add("createdAt", device.created_at.ms).add("updatedAt", device.updated_at.ms);
  if (more) more(json);
  json.end_object();
}

}  // namespace

Response device_response(const Core& core, unsigned status, const domain::Device& device, std::string_view token) {
  JsonWriter json;
  write_device(json, core, device, token);
  return json_response(status, json.take());
}

namespace {

Response read_back(Context& context) {
  const auto found = context.core.store.find_device(context.device);
  if (!found) return error_response(found.error());
  return *found ? device_response(context.core, 200, **found) : not_found();
}

/// The AuthToken of a static device belongs to who made the device, not to who claimed it.
bool token_is_the_makers(const domain::Device& device) { return device.activation_way == ActivationWay::static_; }

Response static_token_refused() {
  return error_response(403, "static_token", "The AuthToken of a claimed static device is only for its maker.");
}

std::string_view meta_type_word(MetaFieldType type);

void write_meta_value(JsonWriter& json, const domain::MetaField& field, std::string_view value) {
  json.object()
      .add("id", field.id.value())
      .add("name", field.name)
      .add("type", meta_type_word(field.type))
      .add("value", value)
      .end_object();
}

/// What a field holds: the device's own facts for the built-in ones, else what was set, else the default.
std::string meta_value(const Context& context, const domain::Device& device, const domain::MetaField& field,
                       const std::vector<domain::Store::MetadataValue>& stored) {
  if (field.type == MetaFieldType::device_name) return device.name;
  if (field.type == MetaFieldType::device_owner) {
    const auto owner = context.core.views.directory.user(device.owner_id);
    return owner ? owner->email : std::string{};
  }
  const auto found = std::find_if(stored.begin(), stored.end(), [&](const auto& each) { return each.field == field.name; });
  return found == stored.end() ? field.default_value : found->value;
}

/// nullopt: the value suits the field.
std::optional<std::string> check_meta_value(const domain::MetaField& field, const std::string& value) {
  const auto digits = [&](std::size_t least, std::size_t most) {
    return value.size() >= least && value.size() <= most &&
           std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  const auto hex = [&](std::size_t count) {
    return value.size() == count && std::all_of(value.begin(), value.end(), [](char c) {
             return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
           });
  };
  if (value.find('\0') != std::string::npos) return "A value cannot hold NUL.";
  if (value.size() > 255) return "A value has at most 255 bytes.";
  if (value.empty()) return std::nullopt;
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  switch (field.type) {
    case MetaFieldType::number:
      if (error != std::errc{} || end != value.data() + value.size()) return "This field holds a number.";
      break;
    case MetaFieldType::switch_:
      if (value != "0" && value != "1" && value != "true" && value != "false") return "This field holds true or false.";
      break;
    case MetaFieldType::email: return domain::check_email(value);
    case MetaFieldType::time_zone: return check_time_zone(value);
    case MetaFieldType::imei:
      if (!digits(1, 15)) return "An IMEI has at most 15 digits.";
      break;
    case MetaFieldType::iccid:
      if (!digits(18, 22)) return "An ICCID has 18 to 22 digits.";
      break;
    case MetaFieldType::device_eui:
    case MetaFieldType::join_eui:
      if (!hex(16)) return "An EUI has 16 hexadecimal digits.";
      break;
    case MetaFieldType::mac: {
      std::string plain = value;
      std::erase_if(plain, [](char c) { return c == ':' || c == '-'; });
      if (plain.size() != 12 || plain.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
        return "A MAC address is like 00:11:22:aa:bb:cc.";
      break;
    }
    default: break;
  }
  return std::nullopt;
}

std::string_view meta_type_word(MetaFieldType type) {
  switch (type) {
    case MetaFieldType::text: return "Text";
    case MetaFieldType::number: return "Number";
    case MetaFieldType::list: return "List";
    case MetaFieldType::switch_: return "Switch";
    case MetaFieldType::email: return "Email";
    case MetaFieldType::imei: return "IMEI";
    case MetaFieldType::iccid: return "ICCID";
    case MetaFieldType::device_eui: return "DeviceEUI";
    case MetaFieldType::join_eui: return "JoinEUI";
    case MetaFieldType::coordinates: return "Coordinates";
    case MetaFieldType::firmware_update_control: return "FirmwareUpdateControl";
    case MetaFieldType::mac: return "MAC";
    case MetaFieldType::serial: return "Serial";
    case MetaFieldType::device_name: return "DeviceName";
    case MetaFieldType::device_owner: return "DeviceOwner";
    case MetaFieldType::location: return "Location";
    case MetaFieldType::time_zone: return "TimeZone";
    case MetaFieldType::hotspot_name: return "HotspotName";
    case MetaFieldType::device_uid: return "DeviceUID";
  }
  return "";
}

const domain::MetaField* find_meta_field(const domain::PublishedTemplate& published, const Arguments& arguments) {
  const auto id = arguments.integer("metaFieldId");
  const auto name = arguments.text("name");
  for (const auto& field : published.meta_fields) {
    if (id ? field.id.value() == *id : field.name == *name) return &field;
  }
  return nullptr;
}

}  // namespace

std::string_view meta_field_type_word(MetaFieldType type) { return meta_type_word(type); }

namespace {

/// The last values by pin; several values of one pin with commas between.
Result<void> write_values(JsonWriter& json, const Core& core, DeviceId device) {
  std::vector<domain::PinValue> values;
  if (core.values.read(device, values) == domain::ValueCache::Loaded::no) {
    MUSTER_TRY(const auto stored, core.store.values_of(device));
    core.values.load(device, stored);
    values.clear();
    (void)core.values.read(device, values);
  }
  std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.pin < b.pin; });
  json.array("dataStreamValues");
  for (const auto& each : values) {
    std::string text = each.value;
    std::replace(text.begin(), text.end(), '\0', ',');
    json.object().add("pin", each.pin).add("value", text).add("at", each.at.ms).end_object();
  }
  json.end_array();
  return {};
}

Result<void> write_metadata(JsonWriter& json, const Context& context, const domain::Device& device) {
  const auto published = context.core.views.directory.find_template(device.template_id);
  MUSTER_TRY(const auto stored, context.core.store.all_device_metadata(device.id));
  json.array("metaFieldValues");
  if (published) {
    for (const auto& field : published->meta_fields) write_meta_value(json, field, meta_value(context, device, field, stored));
  }
  json.end_array();
  return {};
}

std::optional<Response> read_include(const Arguments& arguments, Include& out) {
  const std::string text = arguments.text("include").value_or("");
  for (std::string_view rest = text; !rest.empty();) {
    const auto comma = rest.find(',');
    const std::string_view word = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    if (word == "dataStreamValues") {
      out.values = true;
    } else if (word == "metaFieldValues") {
      out.metadata = true;
    } else if (word != "hardwareInfo") {  // Which every device shows.
      return invalid_value("include", "include names hardwareInfo, dataStreamValues and metaFieldValues, with commas between.");
    }
  }
  return std::nullopt;
}

/// Devices of `organizations` where the caller may see every device there; with no such place, those of `home` that are his own.
Response list_devices(Context& context, std::span<const OrganizationId> organizations, OrganizationId home, domain::DeviceFilter filter) {
  Core& core = context.core;
  domain::Page page;
  if (auto refused = read_page(context.arguments, page)) return std::move(*refused);
  Include include;
  if (auto refused = read_include(context.arguments, include)) return std::move(*refused);
  std::vector<OrganizationId> open;
  for (const OrganizationId id : organizations) {
    if (core.views.directory.permissions_in(context.caller, id).has(Permission::org_devices_view)) open.push_back(id);
  }
  bool nothing = false;
  if (open.empty()) {
    open.push_back(home);
    nothing = filter.owner && filter.owner != context.caller.user_id;
    filter.owner = context.caller.user_id;
  }
  filter.organizations = open;
  domain::PageOf<domain::Device> found;
  if (!nothing) {
    auto read = core.store.devices(filter, page);
    if (!read) return error_response(read.error());
    found = std::move(*read);
  }
  JsonWriter json;
  json.object().array("content");
  Result<void> written;
  for (const auto& device : found.rows) {
    write_device(json, core, device, {}, [&](JsonWriter& more) {
      if (include.values && written) written = write_values(more, core, device.id);
      if (include.metadata && written) written = write_metadata(more, context, device);
    });
    if (!written) return error_response(written.error());
  }
  json.end_array().add("totalElements", found.total).end_object();
  return json_response(200, json.take());
}

Response get_devices(Context& context) {
  Core& core = context.core;
  domain::DeviceFilter filter;
  if (const auto owner = context.arguments.integer("ownerId")) filter.owner = UserId{*owner};
  if (const Json* wanted = context.arguments.find("templateId")) {
    const auto published = usable_template(core, *wanted, context.organization);
    if (!published) return not_found();
    filter.template_id = published->id;
  }
  std::vector<OrganizationId> organizations{context.organization};
  if (context.arguments.flag("includeSubOrgDevices")) organizations = core.views.directory.subtree(context.organization);
  return list_devices(context, organizations, context.organization, filter);
}

Response get_devices_by_owner(Context& context) {
  domain::DeviceFilter filter;
  filter.owner = context.user->id;
  return list_devices(context, std::span{&context.organization, 1}, context.organization, filter);
}

Response get_devices_by_user_organization(Context& context) {
  return list_devices(context, std::span{&context.organization, 1}, context.organization, {});
}

Response get_last_activated_devices(Context& context) {
  const std::int64_t minutes = context.arguments.integer("minutes").value_or(5);
  if (minutes < 1 || minutes > 60) return invalid_value("minutes", "minutes is 1 to 60.");
  domain::DeviceFilter filter;
  filter.activated_from = {context.core.clock.utc_now().ms - minutes * 60'000};
  return list_devices(context, std::span{&context.organization, 1}, context.organization, filter);
}

Response get_device(Context& context) { return read_back(context); }

}  // namespace

std::shared_ptr<const domain::PublishedTemplate> usable_template(const Core& core, const Json& given, OrganizationId organization) {
  const auto& directory = core.views.directory;
  std::optional<TemplateId> id;
  if (given.kind == Json::Kind::text) {
    id = directory.template_by_tmpl(given.text);
  } else if (given.integer > 0 && given.integer <= INT32_MAX) {
    id = TemplateId{static_cast<std::int32_t>(given.integer)};
  }
  if (!id) return nullptr;
  auto published = directory.find_template(*id);
  if (!published || !directory.in_subtree(organization, published->organization_id)) return nullptr;
  return published;
}

namespace {

Response create_device(Context& context) {
  Core& core = context.core;
  const auto published = usable_template(core, *context.arguments.find("templateId"), context.organization);
  if (!published)
    return error_response(404, "not_found", "There is no such template, or the organization cannot use it.",
                          {{"templateId", "There is no such template, or the organization cannot use it."}});
  domain::Device device;
  device.name = domain::trim(*context.arguments.text("name"));
  if (const auto complaint = domain::check_device_name(device.name)) return invalid_value("name", *complaint);
  device.organization_id = context.organization;
  device.template_id = published->id;
  device.activation_way = ActivationWay::manual;
  auto owner = context.arguments.integer("ownerId");
  if (!owner) owner = context.arguments.integer("onwerId");  // So spelled in the documentation of the API this one is compatible with.
  if (owner) {
    device.owner_id = UserId{*owner};
    const auto user = core.views.directory.user(device.owner_id);
    if (device.owner_id && (!user || user->organization_id != context.organization))
      return invalid_value("ownerId", "The owner must be a member of the device's organization.");
  } else if (context.organization == context.caller.organization_id) {
    device.owner_id = context.caller.user_id;
  }
  device.activated_at = device.created_at = device.updated_at = core.clock.utc_now();
  device.activated_by = context.caller.user_id;

  const AuthToken token = AuthToken::generate(core.random);
  const TokenDigests digests = core.keys.digest(auth_token_domain, token.reveal());
  const domain::NewToken issued{digests.newest(), digests.all(), core.keys.seal(auth_token_domain, token.reveal(), core.random)};
  const auto made = core.store.create_device(device, issued, context.actor());
  if (!made) return error_response(made.error());
  (void)core.views.catch_up();
  core.stream.device_status_changed(made->id);
  context.made_device = made->id;
  return device_response(core, 201, *made, context.permissions.has(Permission::auth_token_view) ? token.reveal() : std::string_view{});
}

}  // namespace

Response show_created_device(Context& context, DeviceId id) {
  Core& core = context.core;
  const auto access = core.views.directory.device_access(context.caller, id);  // It may have moved since.
  if (!access.see) return not_found();
  const auto device = core.store.find_device(id);
  if (!device) return error_response(device.error());
  if (!*device) return not_found();
  if (!access.permissions.has(Permission::auth_token_view)) return device_response(core, 201, **device);
  const auto sealed = core.store.reveal_token(id, context.actor());
  if (!sealed) return error_response(sealed.error());
  const auto token = core.keys.open_sealed(auth_token_domain, *sealed);
  return token ? device_response(core, 201, **device, *token) : error_response(token.error());
}

namespace {

Response put_device(Context& context) {
  const std::string name = domain::trim(*context.arguments.text("name"));
  if (const auto complaint = domain::check_device_name(name)) return invalid_value("name", *complaint);
  const auto renamed = context.core.store.rename_device(context.device, name, context.actor());
  return renamed ? device_response(context.core, 200, *renamed) : error_response(renamed.error());
}

Response put_device_home(Context& context) {
  domain::Home home;
  if (auto refused = read_home(context.arguments.as_object(), home)) return std::move(*refused);
  const auto set = context.core.store.set_device_home(context.device, home, context.actor());
  return set ? read_back(context) : error_response(set.error());
}

Response delete_device(Context& context) {
  const auto deleted = context.core.store.delete_device(context.device, context.actor());
  if (!deleted) return error_response(deleted.error());
  context.core.values.forget(context.device);
  return no_content();
}

Response get_device_online(Context& context) {
  JsonWriter json;
  json.object().add("connected", context.core.sessions.online(context.device)).end_object();
  return json_response(200, json.take());
}

Response get_device_token(Context& context) {
  Core& core = context.core;
  const auto device = core.store.find_device(context.device);
  if (!device) return error_response(device.error());
  if (!*device) return not_found();
  if (token_is_the_makers(**device)) return static_token_refused();
  const auto sealed = core.store.reveal_token(context.device, context.actor());
  if (!sealed) return error_response(sealed.error());
  const auto token = core.keys.open_sealed(auth_token_domain, *sealed);
  if (!token) return error_response(token.error());
  JsonWriter json;
  json.object().add("token", *token).end_object();
  return json_response(200, json.take());
}

Response put_device_token(Context& context) {
  Core& core = context.core;
  const auto device = core.store.find_device(context.device);
  if (!device) return error_response(device.error());
  if (!*device) return not_found();
  if (token_is_the_makers(**device)) return static_token_refused();
  const AuthToken token = AuthToken::generate(core.random);
  const TokenDigests digests = core.keys.digest(auth_token_domain, token.reveal());
  const domain::NewToken issued{digests.newest(), digests.all(), core.keys.seal(auth_token_domain, token.reveal(), core.random)};
  const auto replaced = core.store.replace_token(context.device, issued, context.actor());
  if (!replaced) return error_response(replaced.error());
  JsonWriter json;
  json.object().add("token", token.reveal()).end_object();
  return json_response(200, json.take());
}

Response get_device_metadata(Context& context) {
  Core& core = context.core;
  const auto device = core.store.find_device(context.device);
  if (!device) return error_response(device.error());
  const auto published = *device ? core.views.directory.find_template((*device)->template_id) : nullptr;
  if (!published) return not_found();
  const auto stored = core.store.all_device_metadata(context.device);
  if (!stored) return error_response(stored.error());
  JsonWriter json;
  if (context.arguments.find("metaFieldId") != nullptr || context.arguments.find("name") != nullptr) {
    const auto* field = find_meta_field(*published, context.arguments);
    if (field == nullptr) return not_found();
    write_meta_value(json, *field, meta_value(context, **device, *field, *stored));
    return json_response(200, json.take());
  }
  json.object().array("content");
  for (const auto& field : published->meta_fields) write_meta_value(json, field, meta_value(context, **device, field, *stored));
  json.end_array().add("totalElements", static_cast<std::int64_t>(published->meta_fields.size())).end_object();
  return json_response(200, json.take());
}

Response post_device_metadata(Context& context) {
  Core& core = context.core;
  const bool by_id = context.arguments.find("metaFieldId") != nullptr;
  if (by_id == (context.arguments.find("name") != nullptr))
    return invalid_value("metaFieldId", "Name the field by either metaFieldId or name.");
  const auto published = core.views.directory.find_template(context.access.place.template_id);
  const auto* field = published ? find_meta_field(*published, context.arguments) : nullptr;
  if (field == nullptr) return invalid_value(by_id ? "metaFieldId" : "name", "The device's template has no such metadata field.");
  const std::string value = *context.arguments.text("value");
  if (field->type == MetaFieldType::device_owner) return invalid_value("value", "The owner changes only by a transfer.");
  if (field->type == MetaFieldType::device_name) {
    const std::string name = domain::trim(value);
    if (const auto complaint = domain::check_device_name(name)) return invalid_value("value", *complaint);
    if (const auto renamed = core.store.rename_device(context.device, name, context.actor()); !renamed)
      return error_response(renamed.error());
  } else {
    if (const auto complaint = check_meta_value(*field, value)) return invalid_value("value", *complaint);
    if (const auto set = core.store.set_device_metadata(context.device, field->name, value, context.actor()); !set)
      return error_response(set.error());
  }
  JsonWriter json;
  write_meta_value(json, *field, value);
  return json_response(200, json.take());
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field template_filter{"templateId", FieldType::integer_or_text, Place::query};
constexpr Field include = query_text("include");
constexpr Field devices_fields[] = {
    org_id, query_flag("includeSubOrgDevices"), query_integer("ownerId"), template_filter, include, page, size, sort_by, sort_order};
constexpr Field devices_search_fields[] = {
    org_id,    query_flag("includeSubOrgDevices"), query_integer("ownerId"), template_filter, include, search, page, size, sort_by,
    sort_order};
constexpr Field devices_by_user_fields[] = {user_id, include, page, size, sort_by, sort_order};
constexpr Field devices_activated_fields[] = {org_id, query_integer("minutes"), include, page, size, sort_by, sort_order};
constexpr Field device_fields[] = {device_id};
constexpr Field device_create_fields[] = {
    org_id, {"templateId", FieldType::integer_or_text, Place::body, true}, text("name", true), integer("ownerId"), integer("onwerId")};
constexpr Field device_put_fields[] = {device_id, text("name", true)};
constexpr Field device_home_fields[] = {device_id, text("host", true), integer("portPlain"), integer("portTls")};
constexpr Field metadata_get_fields[] = {device_id, {"metaFieldId", FieldType::integer, Place::query}, query_text("name")};
constexpr Field metadata_post_fields[] = {device_id, integer("metaFieldId"), text("name"), text("value", true)};

constexpr Route routes[] = {
    {Method::get, "/api/v1/organization/devices", on_organization(Permission::org_devices_view, Permission::own_devices_view), Lane::api,
     devices_fields, get_devices},
    {Method::get, "/api/v1/organization/search/devices", on_organization(Permission::org_devices_view, Permission::own_devices_view),
     Lane::api, devices_search_fields, get_devices},
    {Method::get, "/api/v1/organization/device", on_device(DeviceRight::see), Lane::api, device_fields, get_device},
    {Method::put, "/api/v1/organization/device", on_device(DeviceRight::edit), Lane::api, device_put_fields, put_device},
    {Method::delete_, "/api/v1/organization/device", on_device(DeviceRight::remove), Lane::api, device_fields, delete_device},
    {Method::post, "/api/v1/organization/device/create", on_organization(Permission::org_devices_create), Lane::api, device_create_fields,
     create_device},
    {Method::get, "/api/v1/organization/device/online", on_device(DeviceRight::see), Lane::api, device_fields, get_device_online},
    // A home sends the device, token in hand, to another server: that is for who runs the organization, not for who edits devices.
    {Method::put, "/api/v1/organization/device/home", on_device(Permission::org_edit), Lane::api, device_home_fields, put_device_home},
    {Method::get, "/api/v1/organization/device/token", on_device(Permission::auth_token_view), Lane::api, device_fields, get_device_token},
    {Method::put, "/api/v1/organization/device/token", on_device(Permission::auth_token_edit), Lane::api, device_fields, put_device_token},
    {Method::get, "/api/v1/organization/device/metafield", on_device(DeviceRight::see), Lane::api, metadata_get_fields,
     get_device_metadata},
    {Method::post, "/api/v1/organization/device/metafield", on_device(DeviceRight::edit), Lane::api, metadata_post_fields,
     post_device_metadata},
    {Method::get, "/api/v1/organization/device/by-owner", on_user_or_oneself(Permission::org_devices_view), Lane::api,
     devices_by_user_fields, get_devices_by_owner},
    {Method::get, "/api/v1/organization/device/by-user-org", on_user_or_oneself(Permission::org_devices_view), Lane::api,
     devices_by_user_fields, get_devices_by_user_organization},
    {Method::get, "/api/v1/organization/device/last-activated", on_organization(Permission::org_devices_view, Permission::own_devices_view),
     Lane::api, devices_activated_fields, get_last_activated_devices},
};

}  // namespace

std::span<const Route> device_routes() noexcept { return routes; }

}  // namespace muster::api
