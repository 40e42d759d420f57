// SPDX-License-Identifier: Apache-2.0
// `muster provision sessions`
#include "cli/commands.hpp"
#include "cli/json_text.hpp"

namespace muster::cli {

Outcome<void> list_provision_sessions(Context& context, const Paging& paging) {
  auto client = context.connect();
  if (!client) return client.error();
  Query query;
  put_organization(context, query);
  const auto rows = client->list("/api/v1/provision/sessions", query, paging);
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> cells;
  for (const auto& row : *rows) {
    const auto* const object = row.if_object();
    const auto* const failure = object == nullptr ? nullptr : object->if_contains("failure");
    cells.push_back({text_of(row, "id"), time_of(row, "createdAt"), text_of(row, "state"), text_of(row, "deviceId"),
                     text_of(row, "templateId"), text_of(row, "email"),
                     failure == nullptr ? std::string{} : text_of(*failure, "sentence")});
  }
  context.out << format_table({"ID", "BEGAN", "STATE", "DEVICE", "TEMPLATE", "BY", "FAILURE"}, cells);
  return {};
}

}  // namespace muster::cli
