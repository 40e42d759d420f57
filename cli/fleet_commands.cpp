// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "cli/commands.hpp"
#include "cli/json_text.hpp"
#include "cli/saved_login.hpp"
#include "cloud/base/ip_address.hpp"

namespace muster::cli {

namespace {

/// "V7", "v7" or "7".
std::optional<int> parse_pin(std::string_view text) {
  if (!text.empty() && (text[0] == 'V' || text[0] == 'v')) text.remove_prefix(1);
  int pin = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pin);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || pin < 0 || pin > 255) return std::nullopt;
  return pin;
}

Query with_query(const Context& context, const ListOptions& options) {
  Query query;
  put_organization(context, query);
  if (!options.query.empty()) query.emplace_back("query", options.query);
  return query;
}

void print_datastreams(std::ostream& out, const json::value& rows) {
  if (!rows.is_array() || rows.get_array().empty()) {
    out << "No datastreams: every virtual pin is accepted as STRING.\n";
    return;
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : rows.get_array()) {
    std::string limits = text_of(row, "min");
    if (!text_of(row, "max").empty()) limits += ".." + text_of(row, "max");
    if (text_of(row, "min").empty() && limits.empty()) limits = "-";
    table.push_back({text_of(row, "id"), "V" + text_of(row, "pin"), text_of(row, "name"), text_of(row, "type"), limits,
                     text_of(row, "units"), text_of(row, "defaultValue")});
  }
  out << format_table({"ID", "PIN", "NAME", "TYPE", "LIMITS", "UNITS", "DEFAULT"}, table);
}

/// What a person pastes into a sketch, and where the device must dial.
void print_activation(Context& context, const ApiClient& client, const json::value& device, const std::string& template_name,
                      const std::string& token) {
  const auto parts = parse_url(client.url());
  auto& out = context.out;
  out << "#define BLYNK_TEMPLATE_ID   " << c_string(printable(text_of(device, "templateId"))) << "\n"
      << "#define BLYNK_TEMPLATE_NAME " << c_string(printable(template_name)) << "\n"
      << "#define BLYNK_AUTH_TOKEN    " << c_string(printable(token)) << "\n\n"
      << "Blynk.begin(BLYNK_AUTH_TOKEN, ssid, pass, " << c_string(parts.host) << ", " << parts.port << ");  // "
      << (parts.tls ? "TLS" : "plain text") << "\n";
  const auto address = IpAddress::parse(parts.host);
  if (parts.host == "localhost" || (address && address->is_loopback())) {
    context.err << "Note: " << parts.host << " is this machine only. A device elsewhere needs this machine's address in the network.\n";
  }
}

std::string name_of_template(ApiClient& client, const std::string& id) {
  const auto answer = client.call("GET", "/api/v1/template", {{"templateId", id}});
  return answer ? text_of(*answer, "name") : std::string{};
}

Outcome<json::value> find_device(ApiClient& client, std::int64_t id) {
  return client.call("GET", "/api/v1/organization/device", {{"deviceId", std::to_string(id)}});
}

}  // namespace

// --- templates -------------------------------------------------------------------------------------------------------------------

Outcome<void> create_template(Context& context, const TemplateOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  json::object body{{"name", options.name}};
  put_organization(context, body);
  put_given(body, "boardType", options.board_type);
  put_given(body, "connectionType", options.connection_type);
  put_given(body, "manufacturer", options.manufacturer);
  put_given(body, "description", options.description);
  put_given(body, "hotspotPrefix", options.hotspot_prefix);
  put_given(body, "firmwareType", options.firmware_type);
  if (options.allow_public_plain_text) body["allowPublicPlainText"] = true;
  const auto answer = client->call("POST", "/api/v1/template/create", {}, &body);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, *answer);
  } else {
    const auto id = printable(text_of(*answer, "templateId"));
    context.out << "Template " << id << " \"" << printable(text_of(*answer, "name")) << "\" is made.\n"
                << "Next: muster device create --template " << id << " --name \"My device\"\n";
  }
  return {};
}

Outcome<void> list_templates(Context& context, const ListOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto rows = client->list("/api/v1/templates", with_query(context, options), options.paging);
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : *rows) {
    const auto* const object = row.if_object();
    const auto* const streams = object == nullptr ? nullptr : object->if_contains("datastreams");
    table.push_back({text_of(row, "id"), text_of(row, "templateId"),
                     streams != nullptr && streams->is_array() ? std::to_string(streams->get_array().size()) : "?", text_of(row, "name")});
  }
  context.out << format_table({"ID", "TEMPLATE", "DATASTREAMS", "NAME"}, table);
  return {};
}

Outcome<void> show_template(Context& context, const std::string& id) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto answer = client->call("GET", "/api/v1/template", {{"templateId", id}});
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, *answer);
    return {};
  }
  context.out << format_table({"name", printable(text_of(*answer, "name"))},
                              {{"template", text_of(*answer, "templateId")},
                               {"id", text_of(*answer, "id")},
                               {"organization", text_of(*answer, "orgId")},
                               {"board", text_of(*answer, "boardType")},
                               {"connection", text_of(*answer, "connectionType")},
                               {"plain text from public addresses", flag_of(*answer, "allowPublicPlainText") ? "allowed" : "refused"},
                               {"version", text_of(*answer, "version")},
                               {"created", time_of(*answer, "createdAt")}})
              << "\n";
  const auto* const streams = answer->is_object() ? answer->get_object().if_contains("datastreams") : nullptr;
  print_datastreams(context.out, streams == nullptr ? json::value{nullptr} : *streams);
  return {};
}

Outcome<void> delete_template(Context& context, const std::string& id, bool with_devices) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto present = client->call("GET", "/api/v1/template", {{"templateId", id}});
  if (!present) return present.error();
  const auto name = printable(text_of(*present, "name"));
  if (auto sure = confirm(context.input, context.globals.yes,
                          "This deletes the template \"" + name + "\"" +
                              (with_devices ? " with all its devices; their AuthTokens are invalid for ever." : "."));
      !sure) {
    return sure;
  }
  Query query{{"templateId", id}};
  if (with_devices) query.emplace_back("withDevices", "true");
  const auto answer = client->call("DELETE", "/api/v1/template", query);
  if (!answer) {
    auto failure = answer.error();
    if (failure.code == "in_use") failure.message += "\nAdd --with-devices to delete its devices too.";
    return failure;
  }
  if (context.globals.json) {
    print_json(context.out, json::object{{"id", number_of(*present, "id")}, {"templateId", text_of(*present, "templateId")}});
  } else {
    context.out << "Template \"" << name << "\" is deleted.\n";
  }
  return {};
}

Outcome<void> add_datastream(Context& context, const DatastreamOptions& options) {
  const auto pin = parse_pin(options.pin);
  if (!pin) return usage("\"" + printable(options.pin) + "\" is not a pin; write V0 to V255.");
  auto client = context.connect();
  if (!client) return client.error();
  json::object body{{"templateId", template_reference(options.template_id)}, {"pin", *pin}};
  put_given(body, "name", options.name);
  put_given(body, "alias", options.alias);
  put_given(body, "type", options.type);
  put_given(body, "units", options.units);
  put_given(body, "defaultValue", options.default_value);
  if (options.min) body["min"] = *options.min;
  if (options.max) body["max"] = *options.max;
  if (options.decimals) body["decimals"] = *options.decimals;
  if (options.sync_on_connect) body["syncOnConnect"] = true;
  if (!options.enum_values.empty()) body["enumValues"] = json::value_from(options.enum_values);
  const auto answer = client->call("POST", "/api/v1/template/datastream/create", {}, &body);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, *answer);
  } else {
    print_datastreams(context.out, json::array{*answer});
  }
  return {};
}

Outcome<void> list_datastreams(Context& context, const std::string& template_id) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto answer = client->call("GET", "/api/v1/template/datastreams", {{"templateId", template_id}});
  if (!answer) return answer.error();
  const auto* const rows = answer->is_object() ? answer->get_object().if_contains("content") : nullptr;
  const json::value content = rows == nullptr ? json::value(json::array{}) : *rows;
  if (context.globals.json) {
    print_json(context.out, content);
  } else {
    print_datastreams(context.out, content);
  }
  return {};
}

Outcome<void> delete_datastream(Context& context, const std::string& template_id, const std::string& pin_text,
                                std::optional<std::int64_t> id) {
  const auto pin = parse_pin(pin_text);
  if (!id && !pin)
    return usage(pin_text.empty() ? "Say which datastream: --pin V0 to V255, or --id."
                                  : "\"" + printable(pin_text) + "\" is not a pin; write V0 to V255.");
  auto client = context.connect();
  if (!client) return client.error();
  const auto answer = client->call("GET", "/api/v1/template/datastreams", {{"templateId", template_id}});
  if (!answer) return answer.error();
  const auto* const rows = answer->is_object() ? answer->get_object().if_contains("content") : nullptr;
  const json::value* found = nullptr;
  if (rows != nullptr && rows->is_array()) {
    for (const auto& row : rows->get_array()) {
      if (id ? number_of(row, "id") == *id : number_of(row, "pin") == *pin) found = &row;
    }
  }
  if (found == nullptr) return refused("The template has no such datastream.", "not_found");
  const auto name = printable(text_of(*found, "name"));
  const auto shown = "V" + text_of(*found, "pin") + " \"" + name + "\"";
  if (auto sure = confirm(context.input, context.globals.yes, "This deletes the datastream " + shown + "."); !sure) return sure;
  const auto done =
      client->call("DELETE", "/api/v1/template/datastream", {{"templateId", template_id}, {"dataStreamId", text_of(*found, "id")}});
  if (!done) return done.error();
  if (context.globals.json) {
    print_json(context.out, json::object{{"id", number_of(*found, "id")}});
  } else {
    context.out << "Datastream " << shown << " is deleted.\n";
  }
  return {};
}

// --- devices -----------------------------------------------------------------------------------------------------------------------

Outcome<void> create_device(Context& context, const DeviceCreateOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  json::object body{{"templateId", template_reference(options.template_id)}, {"name", options.name}};
  put_organization(context, body);
  if (options.owner) body["ownerId"] = *options.owner;
  const auto answer = client->call("POST", "/api/v1/organization/device/create", {}, &body);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, *answer);
    return {};
  }
  context.out << "Device " << text_of(*answer, "id") << " \"" << printable(text_of(*answer, "name")) << "\" is made.\n\n";
  const auto token = text_of(*answer, "token");
  if (token.empty()) {
    context.out << "You may not see its AuthToken (AUTH_TOKEN_VIEW): ask an administrator for it.\n";
    return {};
  }
  print_activation(context, *client, *answer, name_of_template(*client, text_of(*answer, "templateId")), token);
  return {};
}

Outcome<void> list_devices(Context& context, const DeviceListOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  auto query = with_query(context, options.list);
  if (options.with_sub_organizations) query.emplace_back("includeSubOrgDevices", "true");
  if (options.owner) query.emplace_back("ownerId", std::to_string(*options.owner));
  if (!options.template_id.empty()) query.emplace_back("templateId", options.template_id);
  const auto rows = client->list(options.list.query.empty() ? "/api/v1/organization/devices" : "/api/v1/organization/search/devices", query,
                                 options.list.paging);
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : *rows) {
    const bool never = number_of(row, "firstConnectTime") == 0;
    table.push_back({text_of(row, "id"),
                     flag_of(row, "online") ? "online"
                     : never                ? "never online"
                                            : "offline",
                     flag_of(row, "plainTextLink") ? "plain text"
                     : never                       ? "-"
                                                   : "TLS",
                     text_of(row, "templateId"), text_of(row, "orgId"), text_of(row, "name")});
  }
  context.out << format_table({"ID", "STATUS", "LINK", "TEMPLATE", "ORG", "NAME"}, table);
  return {};
}

Outcome<void> show_device(Context& context, std::int64_t id) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto answer = find_device(*client, id);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, *answer);
    return {};
  }
  const bool never = number_of(*answer, "firstConnectTime") == 0;
  std::vector<std::vector<std::string>> lines{
      {"id", text_of(*answer, "id")},
      {"status", flag_of(*answer, "online") ? "online"
                 : never                    ? "never online"
                                            : "offline"},
      {"template", text_of(*answer, "templateId")},
      {"organization", text_of(*answer, "orgId")},
      {"owner", number_of(*answer, "ownerId") == 0 ? "nobody" : text_of(*answer, "ownerId")},
      {"activated", time_of(*answer, "activatedAt") + " (" + text_of(*answer, "activationWay") + ")"},
      {"first connected", time_of(*answer, "firstConnectTime")},
      {"last connected", time_of(*answer, "connectTime")},
      {"last disconnected", time_of(*answer, "disconnectTime")}};
  if (!never) {
    lines.push_back({"address", text_of(*answer, "ip")});
    lines.push_back({"link", flag_of(*answer, "plainTextLink") ? "plain text: anybody on the way can read the AuthToken" : "TLS"});
  }
  const auto* const hardware = answer->is_object() ? answer->get_object().if_contains("hardwareInfo") : nullptr;
  if (hardware != nullptr) {
    for (const auto& [label, key] : {std::pair{"firmware", "version"},
                                     {"firmware type", "fwType"},
                                     {"board", "boardType"},
                                     {"library", "blynkVersion"},
                                     {"build", "build"}}) {
      if (const auto value = text_of(*hardware, key); !value.empty()) lines.push_back({label, value});
    }
  }
  context.out << format_table({"name", printable(text_of(*answer, "name"))}, lines);
  return {};
}

Outcome<void> show_device_token(Context& context, std::int64_t id, bool regenerate) {
  auto client = context.connect();
  if (!client) return client.error();
  if (regenerate) {
    const auto present = find_device(*client, id);
    if (!present) return present.error();
    if (auto sure = confirm(context.input, context.globals.yes,
                            "This gives device " + std::to_string(id) + " \"" + printable(text_of(*present, "name")) +
                                "\" a new AuthToken; the old one is invalid at once and for ever.");
        !sure) {
      return sure;
    }
  }
  const json::object body{{"deviceId", id}};
  const auto answer = regenerate ? client->call("PUT", "/api/v1/organization/device/token", {}, &body)
                                 : client->call("GET", "/api/v1/organization/device/token", {{"deviceId", std::to_string(id)}});
  if (!answer) return answer.error();
  if (context.globals.json) {
    json::object shown = answer->is_object() ? answer->get_object() : json::object{};
    if (!shown.contains("id")) shown["id"] = id;
    print_json(context.out, shown);
    return {};
  }
  const auto token = text_of(*answer, "token");
  const auto device = find_device(*client, id);
  if (!device) {
    context.out << printable(token) << "\n";
    return {};
  }
  print_activation(context, *client, *device, name_of_template(*client, text_of(*device, "templateId")), token);
  return {};
}

Outcome<void> rename_device(Context& context, std::int64_t id, const std::string& name) {
  auto client = context.connect();
  if (!client) return client.error();
  const json::object body{{"deviceId", id}, {"name", name}};
  const auto answer = client->call("PUT", "/api/v1/organization/device", {}, &body);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, *answer);
  } else {
    context.out << "Device " << id << " is called \"" << printable(text_of(*answer, "name")) << "\" now.\n";
  }
  return {};
}

Outcome<void> delete_device(Context& context, std::int64_t id) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto present = find_device(*client, id);
  if (!present) return present.error();
  const auto name = printable(text_of(*present, "name"));
  if (auto sure =
          confirm(context.input, context.globals.yes,
                  "This deletes device " + std::to_string(id) + " \"" + name + "\"; its AuthToken is invalid at once and for ever.");
      !sure)
    return sure;
  const auto answer = client->call("DELETE", "/api/v1/organization/device", {{"deviceId", std::to_string(id)}});
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, json::object{{"id", id}});
  } else {
    context.out << "Device " << id << " \"" << name << "\" is deleted.\n";
  }
  return {};
}

}  // namespace muster::cli
