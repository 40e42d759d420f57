// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "cli/commands.hpp"
#include "cli/json_text.hpp"

/// API keys and OAuth2 clients.
namespace muster::cli {

namespace {

json::array array_of(const std::vector<std::string>& texts) {
  json::array array;
  for (const auto& text : texts) array.emplace_back(text);
  return array;
}

std::string joined(const json::value& row, std::string_view key) {
  std::string text;
  const auto* const list = row.as_object().if_contains(key);
  if (list == nullptr || !list->is_array()) return text;
  for (const auto& item : list->get_array()) {
    if (item.is_string()) text.append(text.empty() ? "" : " ").append(item.get_string());
  }
  return text;
}

json::object body_of(const Context& context, const AccessOptions& options) {
  json::object body{{"name", options.name}, {"scopes", array_of(options.scopes)}};
  put_organization(context, body);
  return body;
}

Query query_of(const Context& context, std::string_view name, const AccessOptions& options) {
  Query query{{std::string{name}, std::to_string(options.id)}};
  put_organization(context, query);
  return query;
}

/// A DELETE that asks first, and what to say when it is done.
Outcome<void> end(Context& context, const std::string& path, const Query& query, const std::string& question, const std::string& done) {
  auto client = context.connect();
  if (!client) return client.error();
  if (auto sure = confirm(context.input, context.globals.yes, question); !sure) return sure;
  const auto answer = client->call("DELETE", path, query);
  if (!answer) return answer.error();
  if (!context.globals.json) context.out << done << "\n";
  return {};
}

}  // namespace

// --- API keys ------------------------------------------------------------------------------------------------------------------

Outcome<void> create_api_key(Context& context, const AccessOptions& options) {
  json::object body = body_of(context, options);
  if (!options.addresses.empty()) body["addresses"] = array_of(options.addresses);
  if (options.requests_per_minute > 0) body["requestsPerMinute"] = options.requests_per_minute;
  if (!options.expires.empty()) {
    const auto at = parse_time(options.expires);
    if (!at) return at.error();
    body["expiresAt"] = *at;
  }
  auto client = context.connect();
  if (!client) return client.error();
  const auto answer = client->call("POST", "/api/v1/apikeys/create", {}, &body);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, *answer);
  } else {
    context.out << "API key " << text_of(*answer, "id") << " is made. Its secret, shown now and never again:\n"
                << text_of(*answer, "secret") << "\n";
  }
  return {};
}

Outcome<void> list_api_keys(Context& context) {
  auto client = context.connect();
  if (!client) return client.error();
  Query query;
  put_organization(context, query);
  const auto answer = client->call("GET", "/api/v1/apikeys", query);
  if (!answer) return answer.error();
  const auto& rows = answer->at("content").as_array();
  if (context.globals.json) {
    print_json(context.out, rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : rows) {
    table.push_back({text_of(row, "id"), text_of(row, "name"), text_of(row, "userId"),
                     number_of(row, "expiresAt") == 0 ? "never" : time_of(row, "expiresAt"),
                     number_of(row, "lastUsedAt") == 0 ? "never" : time_of(row, "lastUsedAt"), text_of(row, "lastIp"),
                     joined(row, "addresses"), joined(row, "scopes")});
  }
  context.out << format_table({"ID", "NAME", "USER", "EXPIRES", "LAST USED", "FROM", "ALLOWED FROM", "SCOPES"}, table);
  return {};
}

Outcome<void> delete_api_key(Context& context, const AccessOptions& options) {
  return end(context, "/api/v1/apikey", query_of(context, "apiKeyId", options), "Programs that use this API key stop working at once.",
             "API key " + std::to_string(options.id) + " has ended.");
}

// --- OAuth2 clients --------------------------------------------------------------------------------------------------------------

Outcome<void> create_oauth_client(Context& context, const AccessOptions& options) {
  json::object body = body_of(context, options);
  if (!options.redirect_urls.empty()) body["redirectUrls"] = array_of(options.redirect_urls);
  if (options.no_refresh_tokens) body["refreshTokens"] = false;
  auto client = context.connect();
  if (!client) return client.error();
  const auto answer = client->call("POST", "/api/v1/oauth/clients/create", {}, &body);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, *answer);
  } else {
    context.out << "Client " << text_of(*answer, "id") << " is made: " << text_of(*answer, "clientId")
                << "\nIts secret, shown now and never again:\n"
                << text_of(*answer, "clientSecret") << "\n";
  }
  return {};
}

Outcome<void> list_oauth_clients(Context& context) {
  auto client = context.connect();
  if (!client) return client.error();
  Query query;
  put_organization(context, query);
  const auto answer = client->call("GET", "/api/v1/oauth/clients", query);
  if (!answer) return answer.error();
  const auto& rows = answer->at("content").as_array();
  if (context.globals.json) {
    print_json(context.out, rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : rows) {
    table.push_back({text_of(row, "id"), text_of(row, "name"), text_of(row, "clientId"), text_of(row, "userId"),
                     number_of(row, "lastUsedAt") == 0 ? "never" : time_of(row, "lastUsedAt"), joined(row, "scopes")});
  }
  context.out << format_table({"ID", "NAME", "CLIENT ID", "USER", "LAST SIGN-IN", "SCOPES"}, table);
  return {};
}

Outcome<void> renew_oauth_secret(Context& context, const AccessOptions& options) {
  auto client = context.connect();
  if (!client) return client.error();
  if (auto sure = confirm(context.input, context.globals.yes, "The present secret and every token of this client end at once."); !sure)
    return sure;
  json::object body{{"oauthClientId", options.id}};
  put_organization(context, body);
  const auto answer = client->call("PUT", "/api/v1/oauth/client/secret", {}, &body);
  if (!answer) return answer.error();
  if (context.globals.json) {
    print_json(context.out, *answer);
  } else {
    context.out << "The new secret, shown now and never again:\n" << text_of(*answer, "clientSecret") << "\n";
  }
  return {};
}

Outcome<void> revoke_oauth_tokens(Context& context, const AccessOptions& options) {
  return end(context, "/api/v1/oauth/client/tokens", query_of(context, "oauthClientId", options),
             "Every token of this client ends at once.", "The tokens of client " + std::to_string(options.id) + " have ended.");
}

Outcome<void> delete_oauth_client(Context& context, const AccessOptions& options) {
  return end(context, "/api/v1/oauth/client", query_of(context, "oauthClientId", options),
             "Programs that use this client stop working at once.", "Client " + std::to_string(options.id) + " is deleted.");
}

}  // namespace muster::cli
