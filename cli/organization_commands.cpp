// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "cli/commands.hpp"
#include "cli/json_text.hpp"
#include "cloud/domain/rules.hpp"

/// The tree of organizations, roles, and devices that change hands.
namespace muster::cli {

namespace {

std::string quoted(const json::value& row) { return "\"" + printable(text_of(row, "name")) + "\""; }

Outcome<json::value> find_organization(ApiClient& client, std::int64_t id) {
  return client.call("GET", "/api/v1/organization", {{"orgId", std::to_string(id)}});
}

void print_organization(Context& context, const json::value& organization, std::string_view what) {
  if (context.globals.json) {
    print_json(context.out, organization);
  } else {
    context.out << "Organization " << text_of(organization, "id") << " " << quoted(organization) << " " << what << ".\n";
  }
}

/// A role by id or name, as it is in the organization that --org names.
Outcome<json::value> find_role(Context& context, ApiClient& client, const std::string& id_or_name) {
  Query query;
  put_organization(context, query);
  const auto rows = client.list("/api/v1/roles", query, {});
  if (!rows) return rows.error();
  const auto wanted = domain::lower_ascii(id_or_name);
  for (const auto& row : *rows) {
    if (text_of(row, "id") == id_or_name || domain::lower_ascii(text_of(row, "name")) == wanted)
      return Outcome<json::value>{boost::system::in_place_value, row};
  }
  return refused("There is no role \"" + printable(id_or_name) + "\"; `muster role list` shows them.", "not_found");
}

std::vector<std::string> permissions_of(const json::value& role) {
  std::vector<std::string> names;
  const auto* const object = role.if_object();
  const auto* const list = object == nullptr ? nullptr : object->if_contains("permissions");
  if (list == nullptr || !list->is_array()) return names;
  for (const auto& each : list->get_array()) {
    if (each.is_string()) names.emplace_back(each.get_string());
  }
  return names;
}

void print_role(Context& context, const json::value& role) {
  if (context.globals.json) {
    print_json(context.out, role);
    return;
  }
  context.out << "Role " << text_of(role, "id") << " " << quoted(role) << " in organization " << text_of(role, "orgId")
              << (flag_of(role, "isInherited") ? " (from above)" : "") << " allows:\n";
  const auto names = permissions_of(role);
  for (const auto& each : names) context.out << "  " << printable(each) << "\n";
  if (names.empty()) context.out << "  nothing\n";
}

json::array words(const std::vector<std::string>& texts) {
  json::array all;
  for (const auto& each : texts) all.emplace_back(each);
  return all;
}

/// The user whose id or email address this is, within the caller's organizations.
Outcome<std::int64_t> find_owner(Context& context, ApiClient& client, const std::string& id_or_email) {
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(id_or_email.data(), id_or_email.data() + id_or_email.size(), id);
  if (error == std::errc{} && end == id_or_email.data() + id_or_email.size() && id > 0) return id;
  if (id_or_email.find('@') == std::string::npos)
    return usage("\"" + printable(id_or_email) + "\" is neither a user's id nor an email address.");
  const auto email = domain::lower_ascii(id_or_email);
  Query query{{"query", email}};
  put_organization(context, query);
  const auto rows = client.list("/api/v1/search/users", query, {});
  if (!rows) return rows.error();
  for (const auto& row : *rows) {
    if (text_of(row, "email") == email) return number_of(row, "id");
  }
  return refused("No user with the email " + printable(email) + " in this organization; name another one with --org.", "not_found");
}

}  // namespace

// --- the tree ----------------------------------------------------------------------------------------------------------------------

Outcome<void> show_organization(Context& context, std::int64_t id) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto answer = id == 0 ? client->call("GET", "/api/v1/organization/profile", {}) : find_organization(*client, id);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, *answer);
    return {};
  }
  std::vector<std::vector<std::string>> lines{
      {"id", text_of(*answer, "id")},
      {"parent", number_of(*answer, "parentId") == 0 ? "-" : text_of(*answer, "parentId")},
      {"type", text_of(*answer, "type")},
      {"may divide", text_of(*answer, "canCreateSubOrgs")},
      {"device limit", number_of(*answer, "deviceLimit") == 0 ? "none" : text_of(*answer, "deviceLimit")},
      {"time zone", text_of(*answer, "timeZone")},
      {"made", time_of(*answer, "createdAt")}};
  if (const auto description = text_of(*answer, "description"); !description.empty())
    lines.push_back({"description", printable(description)});
  context.out << format_table({"name", printable(text_of(*answer, "name"))}, lines);
  return {};
}

Outcome<void> edit_organization(Context& context, std::int64_t id, const OrganizationOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  json::object body{{"orgId", id}};
  put_given(body, "name", options.name);
  put_given(body, "description", options.description);
  put_given(body, "type", options.type);
  put_given(body, "timeZone", options.time_zone);
  if (options.device_limit) body["deviceLimit"] = *options.device_limit;
  if (options.may_divide) body["canCreateSubOrgs"] = *options.may_divide == "yes";
  if (body.size() == 1) return usage("Say what to change: --name, --description, --type, --time-zone, --device-limit or --may-divide.");
  const auto answer = client->call("PUT", "/api/v1/organization", {}, &body);
  if (!answer) return answer.error();
  print_organization(context, *answer, "is changed");
  return {};
}

Outcome<void> move_organization(Context& context, std::int64_t id, std::int64_t parent) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto present = find_organization(*client, id);
  if (!present) return present.error();
  const auto above = find_organization(*client, parent);
  if (!above) return above.error();
  if (auto sure = confirm(context.input, context.globals.yes,
                          "This moves organization " + std::to_string(id) + " " + quoted(*present) +
                              ", with everything beneath it, under " + quoted(*above) + ".");
      !sure)
    return sure;
  const json::object body{{"orgId", id}, {"parentId", parent}};
  const auto answer = client->call("POST", "/api/v1/organization/transfer", {}, &body);
  if (!answer) return answer.error();
  print_organization(context, *answer, "is under " + std::to_string(parent) + " now");
  return {};
}

Outcome<void> delete_organization(Context& context, std::int64_t id) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto present = find_organization(*client, id);
  if (!present) return present.error();
  if (auto sure = confirm(context.input, context.globals.yes,
                          "This deletes organization " + std::to_string(id) + " " + quoted(*present) + " with its users and templates.");
      !sure)
    return sure;
  const auto answer = client->call("DELETE", "/api/v1/organization", {{"orgId", std::to_string(id)}});
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, json::object{{"id", id}});
  } else {
    context.out << "Organization " << id << " " << quoted(*present) << " is deleted.\n";
  }
  return {};
}

// --- roles -------------------------------------------------------------------------------------------------------------------------

Outcome<void> list_roles(Context& context) {
  auto client = context.connect();
  if (!client) return client.error();
  Query query;
  put_organization(context, query);
  const auto rows = client->list("/api/v1/roles", query, {});
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : *rows) {
    table.push_back({text_of(row, "id"), printable(text_of(row, "name")), flag_of(row, "isBuiltin") ? "built in" : "custom",
                     flag_of(row, "isInherited") ? "from above" : "own", std::to_string(permissions_of(row).size())});
  }
  context.out << format_table({"ID", "NAME", "KIND", "VALUES", "PERMISSIONS"}, table);
  return {};
}

Outcome<void> show_role(Context& context, const std::string& id_or_name) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto role = find_role(context, *client, id_or_name);
  if (!role) return role.error();
  print_role(context, *role);
  return {};
}

Outcome<void> create_role(Context& context, const RoleOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  const json::object body{{"name", options.role}, {"permissions", words(options.permissions)}};
  const auto answer = client->call("POST", "/api/v1/role/create", {}, &body);
  if (!answer) return answer.error();
  print_role(context, *answer);
  return {};
}

Outcome<void> rename_role(Context& context, const std::string& id_or_name, const std::string& name) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto role = find_role(context, *client, id_or_name);
  if (!role) return role.error();
  const json::object body{{"roleId", number_of(*role, "id")}, {"name", name}};
  const auto answer = client->call("PUT", "/api/v1/role/name", {}, &body);
  if (!answer) return answer.error();
  print_role(context, *answer);
  return {};
}

Outcome<void> change_role(Context& context, const RoleOptions& options, std::string_view how) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto role = find_role(context, *client, options.role);
  if (!role) return role.error();
  json::object body{{"roleId", number_of(*role, "id")}, {how, words(options.permissions)}};
  put_organization(context, body);
  if (options.with_sub_organizations) {
    if (auto sure = confirm(context.input, context.globals.yes,
                            "This sets what role " + quoted(*role) + " allows in the organization and in all beneath it.");
        !sure)
      return sure;
    body["applyToSubOrgs"] = true;
  }
  const auto answer = client->call("PUT", "/api/v1/role/permissions", {}, &body);
  if (!answer) return answer.error();
  print_role(context, *answer);
  return {};
}

Outcome<void> delete_role(Context& context, const std::string& id_or_name, const std::string& replacement) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto role = find_role(context, *client, id_or_name);
  if (!role) return role.error();
  const auto next = find_role(context, *client, replacement);
  if (!next) return next.error();
  if (auto sure = confirm(context.input, context.globals.yes,
                          "This deletes role " + quoted(*role) + "; everybody who has it has role " + quoted(*next) + " then.");
      !sure)
    return sure;
  const auto answer =
      client->call("DELETE", "/api/v1/role", {{"roleId", text_of(*role, "id")}, {"replacementRoleId", text_of(*next, "id")}});
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, json::object{{"id", number_of(*role, "id")}});
  } else {
    context.out << "Role " << quoted(*role) << " is deleted.\n";
  }
  return {};
}

// --- devices -----------------------------------------------------------------------------------------------------------------------

Outcome<void> transfer_device(Context& context, std::int64_t id, const TransferOptions& options) {
  if (options.owner.empty() == !options.organization) return usage("Say where it goes: either --to-owner USER or --to-org ID.");
  auto client = context.connect();
  if (!client) return client.error();
  json::object body{{"deviceId", id}};
  std::string_view path = "/api/v1/organization/device/transfer/to-organization";
  std::string where = "organization " + std::to_string(options.organization.value_or(0)) + ", where it has no owner";
  if (options.organization) {
    body["orgId"] = *options.organization;
  } else {
    const auto owner = find_owner(context, *client, options.owner);
    if (!owner) return owner.error();
    body["ownerId"] = *owner;
    path = "/api/v1/organization/device/transfer/to-owner";
    where = "user " + printable(options.owner);
  }
  if (auto sure = confirm(context.input, context.globals.yes,
                          "This gives device " + std::to_string(id) + " with everything in it to " + where + ".");
      !sure)
    return sure;
  const auto answer = client->call("POST", path, {}, &body);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, json::object{{"id", id}});
  } else {
    context.out << "Device " << id << " belongs to " << where << " now.\n";
  }
  return {};
}

Outcome<void> remove_device_owner(Context& context, std::int64_t id) {
  auto client = context.connect();
  if (!client) return client.error();
  if (auto sure = confirm(context.input, context.globals.yes,
                          "This takes device " + std::to_string(id) + " from its owner; it stays in its organization.");
      !sure)
    return sure;
  const auto answer = client->call("DELETE", "/api/v1/organization/device/owner", {{"deviceId", std::to_string(id)}});
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, json::object{{"id", id}});
  } else {
    context.out << "Device " << id << " has no owner now.\n";
  }
  return {};
}

Outcome<void> erase_device(Context& context, std::int64_t id) {
  auto client = context.connect();
  if (!client) return client.error();
  if (auto sure = confirm(
          context.input, context.globals.yes,
          "This erases all values and the timeline of device " + std::to_string(id) + "; its id, AuthToken, owner and metadata stay.");
      !sure)
    return sure;
  const auto answer = client->call("DELETE", "/api/v1/organization/device/clear", {{"deviceId", std::to_string(id)}});
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, json::object{{"id", id}});
  } else {
    context.out << "Device " << id << " is erased.\n";
  }
  return {};
}

// --- jobs --------------------------------------------------------------------------------------------------------------------------

namespace {

void print_job(Context& context, const json::value& job) {
  if (context.globals.json) {
    print_json(context.out, job);
    return;
  }
  context.out << "Job " << text_of(job, "jobId") << " (" << text_of(job, "action") << "): " << text_of(job, "state") << ", "
              << text_of(job, "done") << " of " << text_of(job, "total") << " devices done, " << text_of(job, "failed") << " failed.\n";
  const auto* const object = job.if_object();
  const auto* const failures = object == nullptr ? nullptr : object->if_contains("failures");
  if (failures == nullptr || !failures->is_array()) return;
  for (const auto& each : failures->get_array())
    context.out << "  device " << text_of(each, "deviceId") << ": " << printable(text_of(each, "message")) << "\n";
}

}  // namespace

Outcome<void> list_jobs(Context& context) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto answer = client->call("GET", "/api/v1/jobs", {});
  if (!answer) return answer.error();
  const auto* const object = answer->if_object();
  const auto* const rows = object == nullptr ? nullptr : object->if_contains("content");
  if (context.globals.json) {
    print_json(context.out, rows == nullptr ? json::value(json::array{}) : *rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  if (rows != nullptr && rows->is_array()) {
    for (const auto& row : rows->get_array()) {
      table.push_back({text_of(row, "jobId"), text_of(row, "action"), text_of(row, "state"), text_of(row, "total"), text_of(row, "done"),
                       text_of(row, "failed"), time_of(row, "createdAt")});
    }
  }
  context.out << format_table({"ID", "ACTION", "STATE", "DEVICES", "DONE", "FAILED", "BEGUN"}, table);
  return {};
}

Outcome<void> show_job(Context& context, std::int64_t id) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto answer = client->call("GET", "/api/v1/job", {{"jobId", std::to_string(id)}});
  if (!answer) return answer.error();
  print_job(context, *answer);
  return {};
}

Outcome<void> cancel_job(Context& context, std::int64_t id) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto answer = client->call("DELETE", "/api/v1/job", {{"jobId", std::to_string(id)}});
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, json::object{{"jobId", id}});
  } else {
    context.out << "Job " << id << " ends; what it has done stays done.\n";
  }
  return {};
}

Outcome<void> start_job(Context& context, const BulkOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  json::object body{{"action", options.action}};
  put_organization(context, body);
  std::string which = "the devices that it chooses";
  if (!options.devices.empty()) {
    json::array ids;
    for (const auto id : options.devices) ids.emplace_back(id);
    which = std::to_string(ids.size()) + " devices";
    body["deviceIds"] = std::move(ids);
  }
  if (options.with_sub_organizations) body["includeSubOrgDevices"] = true;
  if (options.owner) body["ownerId"] = *options.owner;
  if (!options.template_id.empty()) body["templateId"] = template_reference(options.template_id);
  put_given(body, "query", options.query);
  if (options.to.organization) body["toOrgId"] = *options.to.organization;
  if (!options.to.owner.empty()) {
    const auto owner = find_owner(context, *client, options.to.owner);
    if (!owner) return owner.error();
    body["toOwnerId"] = *owner;
  }
  if (auto sure = confirm(context.input, context.globals.yes, "This starts \"" + options.action + "\" for " + which + "."); !sure)
    return sure;
  const auto answer = client->call("POST", "/api/v1/organization/device/bulk", {}, &body);
  if (!answer) return answer.error();
  print_job(context, *answer);
  return {};
}

}  // namespace muster::cli
