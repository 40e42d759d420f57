// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <thread>

#include "cli/commands.hpp"
#include "cli/json_text.hpp"

namespace muster::cli {

namespace {

using namespace std::chrono_literals;

void put_id(json::object& body, const Context& context, std::string_view name, std::int64_t id) {
  body[name] = id;
  put_organization(context, body);
}

Query query_of(const Context& context, std::string_view name, std::int64_t id) {
  Query query;
  put_organization(context, query);
  query.emplace_back(name, std::to_string(id));
  return query;
}

void print_delivery(Context& context, const json::value& delivery) {
  if (context.globals.json) return print_json(context.out, delivery);
  context.out << "Delivery   " << text_of(delivery, "id") << " (" << text_of(delivery, "event") << ", " << text_of(delivery, "messageId")
              << ")\n"
              << "State      " << text_of(delivery, "state") << ", attempts: " << text_of(delivery, "attempts") << "\n";
  if (number_of(delivery, "lastStatus") != 0) context.out << "Status     " << text_of(delivery, "lastStatus") << "\n";
  if (!text_of(delivery, "lastProblem").empty()) context.out << "Problem    " << printable(text_of(delivery, "lastProblem")) << "\n";
}

/// Follows a delivery until its first attempt is over, at most 15 s.
Outcome<void> follow(Context& context, ApiClient& client, json::value delivery) {
  const auto id = number_of(delivery, "id");
  for (int i = 0; i < 60 && number_of(delivery, "attempts") == 0; ++i) {
    std::this_thread::sleep_for(250ms);
    auto now = client.call("GET", "/api/v1/webhook/delivery", query_of(context, "deliveryId", id));
    if (!now) return now.error();
    delivery = std::move(*now);
  }
  print_delivery(context, delivery);
  if (text_of(delivery, "state") == "DELIVERED") return {};
  return Outcome<void>{Failure{exit_refused, "It was not delivered yet; the server goes on trying.", {}}};
}

}  // namespace

Outcome<void> create_webhook(Context& context, const WebhookOptions& options) {
  json::object body;
  put_organization(context, body);
  body["name"] = options.name;
  body["trigger"] = options.trigger;
  body["url"] = options.url;
  if (!options.method.empty()) body["method"] = options.method;
  if (!options.content_type.empty()) body["contentType"] = options.content_type;
  if (!options.body.empty()) body["body"] = options.body;
  if (options.device) body["deviceId"] = *options.device;
  if (!options.template_id.empty()) {
    const bool is_number = options.template_id.size() < 10 && options.template_id.find_first_not_of("0123456789") == std::string::npos;
    if (is_number) {
      body["templateId"] = std::stoll(options.template_id);
    } else {
      body["templateId"] = options.template_id;
    }
  }
  if (options.pin) body["pin"] = *options.pin;
  if (!options.event_code.empty()) body["eventCode"] = options.event_code;
  if (options.with_sub_organizations) body["includeSubOrgs"] = true;
  if (options.fail_after) body["failAfter"] = *options.fail_after;
  auto client = context.connect();
  if (!client) return client.error();
  const auto made = client->call("POST", "/api/v1/webhook/create", {}, &body);
  if (!made) return made.error();
  if (context.globals.json) {
    print_json(context.out, *made);
    return {};
  }
  context.out << "Webhook " << text_of(*made, "id") << " waits for " << text_of(*made, "trigger") << ".\n"
              << "Its signing secret, shown this once:\n\n  " << text_of(*made, "secret") << "\n\n"
              << "Try it: muster webhook test " << text_of(*made, "id") << "\n";
  return {};
}

Outcome<void> list_webhooks(Context& context, const ListOptions& options) {
  Query query;
  put_organization(context, query);
  auto client = context.connect();
  if (!client) return client.error();
  const auto rows = client->list("/api/v1/webhooks", query, options.paging);
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : *rows) {
    const bool by_failures = number_of(row, "disabledAt") != 0;
    table.push_back({text_of(row, "id"), text_of(row, "name"), text_of(row, "trigger"), text_of(row, "url"),
                     text_of(row, "enabled") == "true" ? "yes"
                     : by_failures                     ? "no: it failed too often"
                                                       : "no"});
  }
  context.out << format_table({"ID", "NAME", "TRIGGER", "URL", "ENABLED"}, table);
  return {};
}

Outcome<void> show_webhook(Context& context, std::int64_t id) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto hook = client->call("GET", "/api/v1/webhook", query_of(context, "webhookId", id));
  if (!hook) return hook.error();
  if (context.globals.json) {
    print_json(context.out, *hook);
    return {};
  }
  for (const auto& [label, name] : {std::pair{"Name      ", "name"},
                                    {"Trigger   ", "trigger"},
                                    {"URL       ", "url"},
                                    {"Method    ", "method"},
                                    {"Enabled   ", "enabled"},
                                    {"Failures  ", "failures"}})
    context.out << label << printable(text_of(*hook, name)) << "\n";
  if (!text_of(*hook, "body").empty()) context.out << "Body\n" << printable(text_of(*hook, "body")) << "\n";
  return {};
}

Outcome<void> enable_webhook(Context& context, std::int64_t id, bool enabled) {
  json::object body;
  put_id(body, context, "webhookId", id);
  body["enabled"] = enabled;
  auto client = context.connect();
  if (!client) return client.error();
  const auto changed = client->call("PUT", "/api/v1/webhook", {}, &body);
  if (!changed) return changed.error();
  if (context.globals.json) {
    print_json(context.out, *changed);
  } else {
    context.out << "Webhook " << id << (enabled ? " is enabled.\n" : " is disabled.\n");
  }
  return {};
}

Outcome<void> test_webhook(Context& context, std::int64_t id) {
  json::object body;
  put_id(body, context, "webhookId", id);
  auto client = context.connect();
  if (!client) return client.error();
  auto made = client->call("POST", "/api/v1/webhook/test", {}, &body);
  if (!made) return made.error();
  return follow(context, *client, std::move(*made));
}

Outcome<void> list_deliveries(Context& context, std::int64_t id, const std::string& state, const Paging& paging) {
  auto query = query_of(context, "webhookId", id);
  if (!state.empty()) query.emplace_back("state", state);
  auto client = context.connect();
  if (!client) return client.error();
  const auto rows = client->list("/api/v1/webhook/deliveries", query, paging);
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : *rows) {
    table.push_back({text_of(row, "id"), time_of(row, "createdAt"), text_of(row, "event"), text_of(row, "state"), text_of(row, "attempts"),
                     number_of(row, "lastStatus") == 0 ? "-" : text_of(row, "lastStatus"), text_of(row, "lastProblem")});
  }
  context.out << format_table({"ID", "CREATED", "EVENT", "STATE", "ATTEMPTS", "STATUS", "PROBLEM"}, table);
  return {};
}

Outcome<void> replay_delivery(Context& context, std::int64_t id) {
  json::object body;
  put_id(body, context, "deliveryId", id);
  auto client = context.connect();
  if (!client) return client.error();
  auto made = client->call("POST", "/api/v1/webhook/replay", {}, &body);
  if (!made) return made.error();
  return follow(context, *client, std::move(*made));
}

Outcome<void> delete_webhook(Context& context, std::int64_t id) {
  auto client = context.connect();
  if (!client) return client.error();
  const auto sure =
      confirm(context.input, context.globals.yes, "Delete webhook " + std::to_string(id) + " and what waits to be delivered?");
  if (!sure) return sure;
  const auto deleted = client->call("DELETE", "/api/v1/webhook", query_of(context, "webhookId", id));
  if (!deleted) return deleted.error();
  if (!context.globals.json) context.out << "Webhook " << id << " is deleted.\n";
  return {};
}

Outcome<void> show_timeline(Context& context, std::int64_t device, const TimelineOptions& options) {
  Query query{{"deviceId", std::to_string(device)}};
  if (!options.type.empty()) query.emplace_back("type", options.type);
  if (!options.code.empty()) query.emplace_back("code", options.code);
  for (const auto& [name, text] : {std::pair{"from", &options.from}, {"to", &options.to}}) {
    if (text->empty()) continue;
    const auto at = parse_time(*text);
    if (!at) return at.error();
    query.emplace_back(name, std::to_string(*at));
  }
  auto client = context.connect();
  if (!client) return client.error();
  const auto rows = client->list("/api/v1/organization/device/timeline", query, options.paging);
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> table;
  for (const auto& row : *rows) {
    const bool resolved = number_of(row, "resolvedAt") != 0;
    table.push_back(
        {time_of(row, "at"), text_of(row, "type"), text_of(row, "code"), text_of(row, "description"), resolved ? "resolved" : ""});
  }
  context.out << format_table({"AT", "TYPE", "CODE", "DESCRIPTION", ""}, table);
  return {};
}

}  // namespace muster::cli
