// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "cli/commands.hpp"
#include "cli/json_text.hpp"
#include "cli/people.hpp"

/// How people come, move and are signed in.
namespace muster::cli {

namespace {

void say(Context& context, const json::value& answer, const std::string& sentence) {
  if (context.globals.json) {
    print_json(context.out, answer);
  } else {
    context.out << sentence << "\n";
  }
}

/// An invitation, by its number or the email it went to.
Outcome<std::int64_t> find_invitation(Context& context, ApiClient& client, const std::string& id_or_email) {
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(id_or_email.data(), id_or_email.data() + id_or_email.size(), id);
  if (error == std::errc{} && end == id_or_email.data() + id_or_email.size()) return id;
  Query query;
  put_organization(context, query);
  const auto rows = client.list("/api/v1/users/invitations", query, {});
  if (!rows) return rows.error();
  for (const auto& row : *rows) {
    if (text_of(row, "email") == id_or_email) return number_of(row, "invitationId");
  }
  return refused("No invitation of " + printable(id_or_email) + " waits in this organization; name another one with --org.", "not_found");
}

void print_invitation(Context& context, const json::value& answer) {
  const std::string link = text_of(answer, "link");
  std::string sentence = "Invitation " + text_of(answer, "invitationId") + " to " + printable(text_of(answer, "email"));
  if (link.empty()) {
    sentence += " is on its way by mail; it works until " + time_of(answer, "expiresAt") + ".";
  } else {
    sentence += " is made, and works until " + time_of(answer, "expiresAt") + ". " + printable(text_of(answer, "reason")) +
                "\nHand over this link, which works once:\n" + printable(link);
  }
  say(context, answer, sentence);
}

}  // namespace

Outcome<void> invite_user(Context& context, const UserOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  json::object body{{"email", options.email}};
  put_organization(context, body);
  put_given(body, "name", options.name);
  put_given(body, "role", options.role);
  const auto answer = client->call("POST", "/api/v1/users/invite", {}, &body);
  if (!answer) return answer.error();
  print_invitation(context, *answer);
  return {};
}

Outcome<void> list_invitations(Context& context, const Paging& paging) {
  auto client = context.connect();
  if (!client) return client.error();
  Query query;
  put_organization(context, query);
  const auto rows = client->list("/api/v1/users/invitations", query, paging);
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : *rows)
    table.push_back({text_of(row, "invitationId"), text_of(row, "email"), text_of(row, "roleId"), time_of(row, "expiresAt")});
  context.out << format_table({"ID", "EMAIL", "ROLE", "UNTIL"}, table);
  return {};
}

Outcome<void> resend_invitation(Context& context, const std::string& id_or_email) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto id = find_invitation(context, *client, id_or_email);
  if (!id) return id.error();
  json::object body{{"invitationId", *id}};
  put_organization(context, body);
  const auto answer = client->call("POST", "/api/v1/users/invitation/resend", {}, &body);
  if (!answer) return answer.error();
  print_invitation(context, *answer);
  return {};
}

Outcome<void> revoke_invitation(Context& context, const std::string& id_or_email) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto id = find_invitation(context, *client, id_or_email);
  if (!id) return id.error();
  Query query{{"invitationId", std::to_string(*id)}};
  put_organization(context, query);
  const auto answer = client->call("DELETE", "/api/v1/users/invitation", query);
  if (!answer) return answer.error();
  say(context, json::object{{"invitationId", *id}}, "The link of invitation " + std::to_string(*id) + " works no more.");
  return {};
}

Outcome<void> set_user_role(Context& context, const std::string& id_or_email, const std::string& role) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto user = find_user(context, *client, id_or_email);
  if (!user) return user.error();
  const json::object body{{"userId", number_of(*user, "id")}, {"role", role}};
  const auto answer = client->call("PUT", "/api/v1/users/role", {}, &body);
  if (!answer) return answer.error();
  say(context, *answer, printable(text_of(*user, "email")) + " has the role " + printable(role) + ".");
  return {};
}

Outcome<void> transfer_user(Context& context, const UserTransferOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto user = find_user(context, *client, options.user);
  if (!user) return user.error();
  if (auto sure =
          confirm(context.input, context.globals.yes,
                  "This moves " + printable(text_of(*user, "email")) + " to another organization and ends all sessions of that user.");
      !sure)
    return sure;
  json::object body{{"userId", number_of(*user, "id")}};
  if (options.organization) body["toOrgId"] = *options.organization;
  put_given(body, "toAdminEmail", options.admin);
  put_given(body, "role", options.role);
  if (options.move_devices) body["moveDevices"] = true;
  if (options.release_devices) body["releaseDevices"] = true;
  const auto answer = client->call("POST", "/api/v1/users/transfer", {}, &body);
  if (!answer) return answer.error();
  say(context, *answer, printable(text_of(*answer, "email")) + " belongs to organization " + text_of(*answer, "orgId") + " now.");
  return {};
}

Outcome<void> list_user_sessions(Context& context, const std::string& id_or_email) {
  auto client = context.connect();
  if (!client) return client.error();
  std::int64_t id = 0;
  if (id_or_email.empty()) {
    const auto self = client->call("GET", "/api/v1/session", {});
    if (!self) return self.error();
    id = number_of(*self, "userId");
  } else {
    const auto user = find_user(context, *client, id_or_email);
    if (!user) return user.error();
    id = number_of(*user, "id");
  }
  const auto answer = client->call("GET", "/api/v1/user/sessions", {{"userId", std::to_string(id)}});
  if (!answer) return answer.error();
  const auto& rows = answer->as_object().at("sessions").as_array();
  if (context.globals.json) {
    print_json(context.out, rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : rows)
    table.push_back({text_of(row, "id"), text_of(row, "client"), text_of(row, "ip"), time_of(row, "createdAt"), time_of(row, "lastUsedAt"),
                     flag_of(row, "current") ? "this one" : ""});
  context.out << format_table({"ID", "CLIENT", "ADDRESS", "SIGNED IN", "LAST USED", ""}, table);
  return {};
}

Outcome<void> end_user_sessions(Context& context, const std::string& id_or_email, std::optional<std::int64_t> session) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto user = find_user(context, *client, id_or_email);
  if (!user) return user.error();
  const std::int64_t id = number_of(*user, "id");
  if (session) {
    const auto ended =
        client->call("DELETE", "/api/v1/user/session", {{"userId", std::to_string(id)}, {"sessionId", std::to_string(*session)}});
    if (!ended) return ended.error();
  } else {
    const json::object body{{"userId", id}};
    const auto ended = client->call("POST", "/api/v1/user/force-logout", {}, &body);
    if (!ended) return ended.error();
  }
  say(context, json::object{{"userId", id}},
      std::string{session ? "The session" : "Sessions"} + " of " + printable(text_of(*user, "email")) + " ended.");
  return {};
}

Outcome<void> show_oneself(Context& context) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto self = client->call("GET", "/api/v1/session", {});
  if (!self) return self.error();
  if (context.globals.json) {
    print_json(context.out, *self);
    return {};
  }
  context.out << printable(text_of(*self, "email")) << ", user " << text_of(*self, "userId") << ", " << printable(text_of(*self, "role"))
              << " of organization " << text_of(*self, "organizationId") << ", at " << client->url() << "; signed in until "
              << time_of(*self, "expiresAt") << ".\n";
  return {};
}

}  // namespace muster::cli
