// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "cli/commands.hpp"
#include "cli/json_text.hpp"
#include "cli/people.hpp"
#include "cloud/domain/rules.hpp"

namespace muster::cli {

namespace {

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && number > 0 ? std::optional{number} : std::nullopt;
}

void print_user(Context& context, const json::value& user, std::string_view what) {
  if (context.globals.json) {
    print_json(context.out, user);
  } else {
    context.out << "User " << text_of(user, "id") << " " << printable(text_of(user, "email")) << " " << what << ".\n";
  }
}

}  // namespace

Outcome<json::value> find_user(Context& context, ApiClient& client, const std::string& id_or_email) {
  if (const auto id = parse_number(id_or_email)) return client.call("GET", "/api/v1/user", {{"userId", std::to_string(*id)}});
  if (id_or_email.find('@') == std::string::npos)
    return usage("\"" + printable(id_or_email) + "\" is neither a user's id nor an email address.");
  const auto email = domain::lower_ascii(id_or_email);
  Query query{{"query", email}};
  put_organization(context, query);
  const auto rows = client.list("/api/v1/search/users", query, {});
  if (!rows) return rows.error();
  for (const auto& row : *rows) {
    if (text_of(row, "email") == email) return Outcome<json::value>{boost::system::in_place_value, row};
  }
  return refused("No user with the email " + printable(email) + " in this organization; name another one with --org.", "not_found");
}

// --- organizations -----------------------------------------------------------------------------------------------------------------

Outcome<void> create_organization(Context& context, const OrganizationOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  json::object body{{"name", options.name}};
  put_organization(context, body);
  put_given(body, "description", options.description);
  put_given(body, "type", options.type);
  put_given(body, "timeZone", options.time_zone);
  const auto answer = client->call("POST", "/api/v1/organization/create", {}, &body);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, *answer);
  } else {
    context.out << "Organization " << text_of(*answer, "id") << " \"" << printable(text_of(*answer, "name"))
                << "\" is made; use it with --org " << text_of(*answer, "id") << ".\n";
  }
  return {};
}

Outcome<void> list_organizations(Context& context, const ListOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  Query query;
  put_organization(context, query);
  if (!options.query.empty()) query.emplace_back("query", options.query);
  const auto rows = client->list("/api/v1/organization/search", query, options.paging);
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : *rows)
    table.push_back(
        {text_of(row, "id"), number_of(row, "parentId") == 0 ? "-" : text_of(row, "parentId"), text_of(row, "type"), text_of(row, "name")});
  context.out << format_table({"ID", "PARENT", "TYPE", "NAME"}, table);
  return {};
}

// --- users -------------------------------------------------------------------------------------------------------------------------

Outcome<void> create_user(Context& context, const UserOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  auto password = ask_new_password(context.input, "Password for " + printable(options.email) + ": ");
  if (!password) return password.error();
  json::object body{{"email", options.email}, {"password", *password}};
  put_organization(context, body);
  put_given(body, "name", options.name);
  put_given(body, "role", options.role);
  const auto answer = client->call("POST", "/api/v1/users/create-in-org", {}, &body);
  if (!answer) return answer.error();
  print_user(context, *answer, "is made");
  return {};
}

Outcome<void> list_users(Context& context, const ListOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  Query query;
  put_organization(context, query);
  if (!options.query.empty()) query.emplace_back("query", options.query);
  const auto rows = client->list(options.query.empty() ? "/api/v1/users" : "/api/v1/search/users", query, options.paging);
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : *rows) {
    const auto role = number_of(row, "roleId");
    const auto role_name = role == 1 ? "Admin" : role == 2 ? "Staff" : role == 3 ? "User" : text_of(row, "roleId");
    table.push_back(
        {text_of(row, "id"), text_of(row, "email"), role_name, text_of(row, "status"), time_of(row, "lastLoggedAt"), text_of(row, "name")});
  }
  context.out << format_table({"ID", "EMAIL", "ROLE", "STATUS", "LAST SIGN-IN", "NAME"}, table);
  return {};
}

Outcome<void> set_user_enabled(Context& context, const std::string& id_or_email, bool enabled) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto user = find_user(context, *client, id_or_email);
  if (!user) return user.error();
  if (!enabled) {
    if (auto sure = confirm(context.input, context.globals.yes,
                            "This disables " + printable(text_of(*user, "email")) + " and ends all sessions of that user.");
        !sure)
      return sure;
  }
  const json::object body{{"userId", number_of(*user, "id")}};
  const auto answer = client->call("POST", enabled ? "/api/v1/user/activate" : "/api/v1/user/suspend", {}, &body);
  if (!answer) return answer.error();
  print_user(context, *answer, enabled ? "may sign in again" : "is disabled");
  return {};
}

Outcome<void> set_user_password(Context& context, const std::string& id_or_email) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto self = client->call("GET", "/api/v1/session", {});
  if (!self) return self.error();
  auto id = number_of(*self, "userId");
  std::string email = text_of(*self, "email");
  if (!id_or_email.empty()) {
    const auto user = find_user(context, *client, id_or_email);
    if (!user) return user.error();
    id = number_of(*user, "id");
    email = text_of(*user, "email");
  }
  json::object body{{"userId", id}};
  if (id == number_of(*self, "userId")) {
    auto current = ask_password(context.input, "Present password: ");
    if (!current) return current.error();
    body["currentPassword"] = *current;
  }
  auto password = ask_new_password(context.input, "New password for " + printable(email) + ": ");
  if (!password) return password.error();
  body["password"] = *password;
  const auto answer = client->call("PUT", "/api/v1/user/password", {}, &body);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, json::object{{"id", id}, {"email", email}});
  } else {
    context.out << "The password of " << printable(email) << " is set; other sessions of that user have ended.\n";
  }
  return {};
}

// --- audit ---------------------------------------------------------------------------------------------------------------------------

Outcome<std::int64_t> parse_time(const std::string& text) {
  if (const auto ms = parse_number(text); ms && text.size() > 4) return *ms;
  for (const auto* format : {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
    std::tm parts{};
    parts.tm_isdst = -1;
    const char* const end = ::strptime(text.c_str(), format, &parts);
    if (end == nullptr || *end != '\0') continue;
    parts.tm_isdst = -1;
    const std::time_t seconds = std::mktime(&parts);
    if (seconds != static_cast<std::time_t>(-1)) return static_cast<std::int64_t>(seconds) * 1000;
  }
  return usage("\"" + printable(text) + "\" is not a time; write 2026-01-31, \"2026-01-31 09:30\" or Unix milliseconds.");
}

namespace {

constexpr std::int64_t export_part_rows = 20'000;  // Each row is a line: the server writes no line breaks into cells.

/// What list and export have in common.
Outcome<Query> audit_query(Context& context, const AuditOptions& options) {
  Query query;
  put_organization(context, query);
  if (options.with_sub_organizations) query.emplace_back("includeSubOrgs", "true");
  if (!options.action.empty()) query.emplace_back("action", options.action);
  for (const auto& [name, text] : {std::pair{"from", &options.from}, {"to", &options.to}}) {
    if (text->empty()) continue;
    const auto at = parse_time(*text);
    if (!at) return at.error();
    query.emplace_back(name, std::to_string(*at));
  }
  if (!options.user.empty()) query.emplace_back("actorId", options.user);
  if (!options.object.empty()) {
    const auto colon = options.object.find(':');
    query.emplace_back("objectKind", options.object.substr(0, colon));
    if (colon != std::string::npos) {
      const auto id = parse_number(std::string_view{options.object}.substr(colon + 1));
      if (!id) return usage("\"" + printable(options.object) + "\" is not KIND or KIND:ID, like device:17.");
      query.emplace_back("objectId", std::to_string(*id));
    }
  }
  if (!options.text.empty()) query.emplace_back("query", options.text);
  return query;
}

}  // namespace

Outcome<void> export_audit(Context& context, const AuditOptions& options) {
  const auto query = audit_query(context, options);
  if (!query) return query.error();
  auto client = context.connect();
  if (!client) return client.error();
  std::ofstream file;
  if (!options.out.empty()) {
    if (std::filesystem::exists(options.out)) return usage(printable(options.out) + " exists; nothing is overwritten.");
    file.open(options.out, std::ios::binary);
    if (!file) return failed(printable(options.out) + " cannot be written: " + std::strerror(errno) + ".");
  }
  std::ostream& out = options.out.empty() ? context.out : file;
  // A part at a time, each going on below the last entry of the one before.
  for (std::string before;;) {
    Query part = *query;
    part.emplace_back("size", std::to_string(export_part_rows));
    if (!before.empty()) part.emplace_back("before", before);
    const auto text = client->text("/api/v1/audit/export", part);
    if (!text) return text.error();
    const auto head = text->find('\n');
    if (head == std::string::npos) return failed("The server's answer is no CSV.");
    const std::string_view rows = std::string_view{*text}.substr(head + 1);
    out << (before.empty() ? std::string_view{*text} : rows);
    if (std::count(rows.begin(), rows.end(), '\n') < export_part_rows) break;
    const auto last = rows.rfind('\n', rows.size() - 2);
    const std::string_view row = rows.substr(last == std::string_view::npos ? 0 : last + 1);
    before = row.substr(0, row.find(','));
    if (!parse_number(before)) return failed("The server's answer is no CSV of the audit log.");
  }
  out.flush();
  if (!out) return failed("The CSV could not be written to its end: " + std::string{std::strerror(errno)} + ".");
  return {};
}

Outcome<void> list_audit(Context& context, const AuditOptions& options) {
  const auto query = audit_query(context, options);
  if (!query) return query.error();
  auto client = context.connect();
  if (!client) return client.error();
  const auto rows = client->list("/api/v1/audit", *query, options.paging);
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : *rows) {
    table.push_back({time_of(row, "at"), number_of(row, "actorId") == 0 ? "system" : text_of(row, "actorId"), text_of(row, "client"),
                     text_of(row, "ip"), text_of(row, "action"), text_of(row, "objectKind") + " " + text_of(row, "objectId"),
                     text_of(row, "detail")});
  }
  context.out << format_table({"AT", "USER", "CLIENT", "ADDRESS", "ACTION", "OBJECT", "DETAIL"}, table);
  return {};
}

}  // namespace muster::cli
