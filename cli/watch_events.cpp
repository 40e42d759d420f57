// SPDX-License-Identifier: Apache-2.0
#include "cli/watch_events.hpp"

#include <ctime>
#include <utility>

#include "cli/json_text.hpp"

namespace muster::cli {

namespace {

constexpr std::string_view status_id = "status", values_id = "values";

/// Several values of a pin come as an array.
std::string value_text(const json::value& row) {
  const auto* const values = row.is_object() ? row.get_object().if_contains("values") : nullptr;
  if (values == nullptr || !values->is_array()) return text_of(row, "value");
  std::string text;
  for (const auto& value : values->get_array()) {
    if (!text.empty()) text += ", ";
    text += value.is_string() ? std::string{value.get_string()} : json::serialize(value);
  }
  return text;
}

}  // namespace

std::string WatchEvents::ping() { return R"({"type":"ping"})"; }

std::vector<std::string> WatchEvents::hello() const {
  std::vector<std::string> messages;
  for (const auto& [id, kind] : {std::pair{status_id, "devices"}, {values_id, "values"}}) {
    json::object subscribe{{"type", "subscribe"}, {"id", id}, {"kind", kind}, {"snapshot", !cursor_}};
    if (scope_.devices.empty()) {
      subscribe["orgId"] = scope_.organization;
      if (scope_.with_sub_organizations) subscribe["includeSubOrgDevices"] = true;
    } else {
      subscribe["deviceIds"] = json::value_from(scope_.devices);
    }
    messages.push_back(json::serialize(subscribe));
  }
  if (cursor_) messages.push_back(json::serialize(json::object{{"type", "resume"}, {"cursor", *cursor_}}));
  return messages;
}

Outcome<WatchEvents::Lines> WatchEvents::on_message(std::string_view message) {
  boost::system::error_code error;
  const auto document = json::parse(message, error);
  if (error || !document.is_object()) return unreachable("The server sent something that is not part of the live stream.");
  Lines lines;
  const auto type = text_of(document, "type");
  if (const auto cursor = text_of(document, "cursor"); !cursor.empty()) cursor_ = cursor;
  const auto& object = document.get_object();
  const auto rows_of = [&](std::string_view key) {
    const auto* const rows = object.if_contains(key);
    return rows != nullptr && rows->is_array() ? rows->get_array() : json::array{};
  };
  if (type == "snapshot" || type == "delta") {
    for (const auto& row : rows_of("rows")) add_row(text_of(document, "id"), row, lines);
  } else if (type == "removed") {
    for (const auto& id : rows_of("deviceIds")) {
      const auto device = id.to_number<std::int64_t>(error);
      if (error) continue;
      const auto name = names_[device];
      names_.erase(device);
      if (online_.erase(device) == 0) continue;  // Both subscriptions tell it.
      lines.push_back(as_json_ ? json::serialize(json::object{{"event", "removed"}, {"deviceId", device}})
                               : format_time(static_cast<std::int64_t>(std::time(nullptr)) * 1000) + "  device " + std::to_string(device) +
                                     " " + printable(name) + " is gone");
    }
  } else if (type == "reset") {
    cursor_.reset();
  } else if (type == "error") {
    return refused(printable(text_of(document, "message")), text_of(document, "code"));
  }
  return lines;
}

void WatchEvents::add_row(std::string_view subscription, const json::value& row, Lines& lines) {
  if (!row.is_object()) return;
  const auto device = number_of(row, "deviceId");
  if (const auto name = text_of(row, "name"); !name.empty()) names_[device] = name;
  const bool is_status = subscription == status_id;
  const auto known = names_.find(device);
  const auto now_ms = static_cast<std::int64_t>(std::time(nullptr)) * 1000;
  if (is_status) {
    const bool online = flag_of(row, "online");
    const auto before = online_.find(device);
    if (before != online_.end() && before->second == online) return;  // After a resume.
    online_[device] = online;
  }
  if (as_json_) {
    json::object event{{"event", is_status ? "status" : "value"}};
    for (const auto& field : row.get_object()) event[field.key()] = field.value();
    lines.push_back(json::serialize(event));
    return;
  }
  const std::string who = "device " + std::to_string(device) + (known == names_.end() ? std::string{} : " " + printable(known->second));
  if (is_status) {
    lines.push_back(format_time(now_ms) + "  " + who + " is " + (flag_of(row, "online") ? "online" : "offline"));
  } else {
    const auto at = number_of(row, "at");
    lines.push_back(format_time(at == 0 ? now_ms : at) + "  " + who + "  V" + text_of(row, "pin") + " = " + printable(value_text(row)));
  }
}

}  // namespace muster::cli
