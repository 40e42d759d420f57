// SPDX-License-Identifier: Apache-2.0
#include "provisioner/device_answers.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "wire/json.hpp"

namespace muster::provisioner {

namespace {

using wire::JsonReader;
using wire::JsonToken;

constexpr std::size_t answer_max_bytes = 64 * 1024;
constexpr std::size_t fields_max = 64;

using Field = std::pair<std::string, std::string>;

/// The texts, numbers and words of one object; objects and arrays inside it count as present with an empty value.
bool read_fields(JsonReader& reader, std::vector<Field>& fields) {
  for (;;) {
    const auto token = reader.next();
    if (token == JsonToken::end_object) return true;
    if (token != JsonToken::key || fields.size() >= fields_max) return false;
    std::string key{reader.text().substr(0, device_text_max_bytes)};
    std::string value;
    switch (reader.next()) {
      case JsonToken::text:
      case JsonToken::number: value = reader.text().substr(0, device_text_max_bytes + 1); break;
      case JsonToken::yes: value = "true"; break;
      case JsonToken::no: value = "false"; break;
      case JsonToken::null: break;
      case JsonToken::begin_array:
      case JsonToken::begin_object:
        for (int depth = 1; depth > 0;) {
          const auto inner = reader.next();
          if (inner == JsonToken::begin_array || inner == JsonToken::begin_object) ++depth;
          if (inner == JsonToken::end_array || inner == JsonToken::end_object) --depth;
          if (inner == JsonToken::error || inner == JsonToken::end) return false;
        }
        break;
      default: return false;
    }
    fields.emplace_back(std::move(key), std::move(value));
  }
}

constexpr std::array<std::string_view, 22> known_keys{"board",     "tmpl_id",   "fw_type", "fw_ver", "ssid", "bssid", "mac", "last_error",
                                                      "wifi_scan", "static_ip", "5ghz",    "vendor", "name", "uid",   "ifs", "rssi",
                                                      "sec",       "ch",        "hidden",  "status", "msg",  "caps"};

std::string_view skip_space(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '\r' || text.front() == '\n'))
    text.remove_prefix(1);
  return text;
}

/// `text` goes on with `"key":` of a key that devices use. Moves behind it.
bool take_known_key(std::string_view& text, std::string_view& key) {
  for (const auto known : known_keys) {
    if (text.size() < known.size() + 2 || text.front() != '"' || text.substr(1, known.size()) != known || text[known.size() + 1] != '"')
      continue;
    const auto behind = skip_space(text.substr(known.size() + 2));
    if (behind.empty() || behind.front() != ':') continue;
    key = known;
    text = skip_space(behind.substr(1));
    return true;
  }
  return false;
}

/// A flat object of a device that does not escape its texts: a text ends at the quote that something sensible follows. `text` begins
/// behind the brace, and ends behind the closing one.
bool read_fields_leniently(std::string_view& text, std::vector<Field>& fields) {
  text = skip_space(text);
  std::string_view key;
  while (fields.size() < fields_max) {
    if (!take_known_key(text, key)) return false;
    std::string value;
    if (!text.empty() && text.front() == '"') {
      text.remove_prefix(1);
      bool ended = false;
      for (std::size_t at = 0; at < text.size() && at <= 4 * device_text_max_bytes; ++at) {
        if (text[at] != '"') continue;
        auto rest = skip_space(text.substr(at + 1));
        std::string_view next;
        auto behind_comma = rest.empty() || rest.front() != ',' ? std::string_view{} : skip_space(rest.substr(1));
        if (!(rest.empty() || rest.front() == '}' || take_known_key(behind_comma, next))) continue;
        value = text.substr(0, std::min(at, device_text_max_bytes + 1));
        text = rest;
        ended = true;
        break;
      }
      if (!ended) return false;
    } else {
      const auto end = text.find_first_of(",}");
      if (end == std::string_view::npos || end > device_text_max_bytes) return false;
      value = text.substr(0, end);
      while (!value.empty() && (value.back() == ' ' || value.back() == '\n' || value.back() == '\r')) value.pop_back();
      text.remove_prefix(end);
    }
    fields.emplace_back(std::string{key}, std::move(value));
    text = skip_space(text);
    if (text.empty()) return false;
    const char separator = text.front();
    text = skip_space(text.substr(1));
    if (separator == '}') return true;
    if (separator != ',') return false;
  }
  return false;
}

const std::string* find(const std::vector<Field>& fields, std::string_view key) {
  for (const auto& [name, value] : fields) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::int64_t number(const std::vector<Field>& fields, std::string_view key, std::int64_t low, std::int64_t high) {
  const auto* const text = find(fields, key);
  std::int64_t value = 0;
  return text != nullptr && wire::parse_json_integer(*text, value) ? std::clamp(value, low, high) : 0;
}

/// False: it is there and too long.
bool take_text(const std::vector<Field>& fields, std::string_view key, std::string& to) {
  const auto* const text = find(fields, key);
  if (text != nullptr) to = *text;
  return to.size() <= device_text_max_bytes;
}

bool read_object(std::string_view body, std::vector<Field>& fields) {
  std::array<std::uint8_t, 1024> room;
  JsonReader reader{body, {room.data(), room.size()}, answer_max_bytes};
  if (reader.next() == JsonToken::begin_object && read_fields(reader, fields) && reader.next() == JsonToken::end) return true;
  fields.clear();
  auto rest = skip_space(body);
  if (rest.size() > answer_max_bytes || rest.empty() || rest.front() != '{') return false;
  rest.remove_prefix(1);
  return read_fields_leniently(rest, fields);
}

bool read_list(std::string_view body, std::vector<std::vector<Field>>& rows) {
  std::array<std::uint8_t, 1024> room;
  JsonReader reader{body, {room.data(), room.size()}, answer_max_bytes};
  if (reader.next() == JsonToken::begin_array) {
    for (;;) {
      const auto token = reader.next();
      if (token == JsonToken::end_array && reader.next() == JsonToken::end) return true;
      std::vector<Field> fields;
      if (token != JsonToken::begin_object || rows.size() >= 4 * networks_max || !read_fields(reader, fields)) break;
      rows.push_back(std::move(fields));
    }
  }
  rows.clear();
  auto rest = skip_space(body);
  if (rest.size() > answer_max_bytes || rest.empty() || rest.front() != '[') return false;
  rest = skip_space(rest.substr(1));
  while (!rest.empty() && rest.front() == '{' && rows.size() < 4 * networks_max) {
    rest.remove_prefix(1);
    std::vector<Field> fields;
    if (!read_fields_leniently(rest, fields)) break;  // What was readable so far is worth showing.
    rows.push_back(std::move(fields));
    if (!rest.empty() && rest.front() == ',') rest = skip_space(rest.substr(1));
  }
  return !rows.empty();
}

}  // namespace

std::string_view cut_text(std::string_view text, std::size_t size_max_bytes) noexcept {
  if (text.size() <= size_max_bytes) return text;
  const auto continues = [text](std::size_t at) { return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U; };
  std::size_t end = size_max_bytes;
  while (end > 0 && size_max_bytes - end < 4 && continues(end)) --end;
  return text.substr(0, continues(end) ? size_max_bytes : end);  // So many of them are no UTF-8 anyway.
}

std::string_view to_text(Dialect dialect) noexcept {
  switch (dialect) {
    case Dialect::g1: return "g1";
    case Dialect::g2: return "g2";
    case Dialect::muster: return "muster";
    case Dialect::ble: return "ble";
  }
  return "unknown";
}

bool parse_device_info(std::string_view body, DeviceInfo& info) {
  info = DeviceInfo{};
  std::vector<Field> fields;
  if (!read_object(body, fields)) return false;
  const bool second = find(fields, "ifs") != nullptr;
  const bool first = find(fields, "wifi_scan") != nullptr || find(fields, "ssid") != nullptr;
  if (!first && !second) return false;
  info.dialect = first && second ? Dialect::muster : second ? Dialect::g2 : Dialect::g1;
  info.last_error = static_cast<std::uint16_t>(number(fields, "last_error", 0, 65'535));
  info.busy = number(fields, "busy", 0, 1) == 1;
  return take_text(fields, second ? "name" : "ssid", info.name) && take_text(fields, "tmpl_id", info.template_id) &&
         take_text(fields, "board", info.template_name) && take_text(fields, "vendor", info.vendor) &&
         take_text(fields, "fw_type", info.firmware_type) && take_text(fields, "fw_ver", info.firmware_version) &&
         take_text(fields, "uid", info.uid) && info.template_id.starts_with("TMPL");
}

void tidy_networks(std::vector<SeenNetwork>& networks) {
  std::stable_sort(networks.begin(), networks.end(), [](const SeenNetwork& a, const SeenNetwork& b) { return a.rssi_dbm > b.rssi_dbm; });
  std::vector<SeenNetwork> kept;
  for (auto& network : networks) {
    const bool known = std::any_of(kept.begin(), kept.end(), [&](const SeenNetwork& other) { return other.ssid == network.ssid; });
    if (!known && kept.size() < networks_max) kept.push_back(std::move(network));
  }
  networks = std::move(kept);
}

bool parse_networks(std::string_view body, std::vector<SeenNetwork>& networks) {
  networks.clear();
  std::vector<std::vector<Field>> rows;
  if (!read_list(body, rows)) return false;
  for (const auto& fields : rows) {
    SeenNetwork network;
    const auto* const ssid = find(fields, "ssid");
    if (ssid == nullptr || ssid->empty() || ssid->size() > 32) continue;
    network.ssid = *ssid;
    if (!take_text(fields, "sec", network.security)) network.security.clear();
    network.rssi_dbm = static_cast<std::int16_t>(number(fields, "rssi", -128, 0));
    network.channel = static_cast<std::uint16_t>(number(fields, "ch", 0, 255));
    networks.push_back(std::move(network));
  }
  tidy_networks(networks);
  return true;
}

bool parse_config_answer(int status, std::string_view body, std::string& message) {
  message.clear();
  std::vector<Field> fields;
  if (read_object(body, fields)) static_cast<void>(take_text(fields, "msg", message));
  message.resize(cut_text(message, device_text_max_bytes).size());
  const auto* const word = find(fields, "status");
  return status == 200 && (word == nullptr || *word == "ok");
}

}  // namespace muster::provisioner
