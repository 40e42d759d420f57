// SPDX-License-Identifier: Apache-2.0
#include "cloud/webhook/facts.hpp"

#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <ctime>

namespace muster::webhook {

namespace json = boost::json;

namespace {

std::optional<json::object> parse_object(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(json::string_view{text.data(), text.size()}, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.as_object());
}

std::string_view view(json::string_view text) noexcept { return {text.data(), text.size()}; }

}  // namespace

Facts parse_facts(std::string_view text) {
  Facts facts;
  const auto object = parse_object(text);
  if (!object) return facts;
  for (const auto& [key, value] : *object) {
    if (value.is_string()) {
      facts.emplace(view(key), view(value.get_string()));
    } else if (value.is_primitive() && !value.is_null()) {
      facts.emplace(view(key), json::serialize(value));
    }
  }
  return facts;
}

std::string whole_event(std::string_view message_id, std::string_view type, UtcTime at, std::string_view facts_json) {
  json::object event;
  event["id"] = json::string_view{message_id.data(), message_id.size()};
  event["type"] = json::string_view{type.data(), type.size()};
  event["timestamp"] = iso8601(at);
  if (auto facts = parse_object(facts_json)) event["data"] = std::move(*facts);
  return json::serialize(event);
}

std::optional<GrantedToken> parse_granted_token(std::string_view text) {
  const auto object = parse_object(text);
  if (!object) return std::nullopt;
  const auto* token = object->if_contains("access_token");
  if (token == nullptr || !token->is_string() || token->get_string().empty()) return std::nullopt;
  for (const char c : token->get_string()) {
    if (c <= 0x20 || c >= 0x7f) return std::nullopt;  // It becomes a header.
  }
  GrantedToken granted{std::string{view(token->get_string())}, 0};
  if (const auto* life = object->if_contains("expires_in"); life != nullptr && life->is_int64()) granted.expires_in_s = life->get_int64();
  return granted;
}

std::string iso8601(UtcTime at) {
  const std::time_t seconds = static_cast<std::time_t>(at.ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> date{}, out{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(out.data(), out.size(), "%s.%03dZ", date.data(), static_cast<int>(at.ms % 1000));
  return out.data();
}

}  // namespace muster::webhook
