// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/json.hpp"

#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>

#include "cloud/domain/rules.hpp"

namespace muster::api {
namespace {

Json convert(const boost::json::value& from) {
  Json to;
  switch (from.kind()) {
    case boost::json::kind::null: break;
    case boost::json::kind::bool_: return Json::of(from.get_bool());
    case boost::json::kind::int64: return Json::of(from.get_int64());
    case boost::json::kind::uint64:  // Only values past int64 have this kind after parsing.
      to.kind = Json::Kind::number;
      to.number = static_cast<double>(from.get_uint64());
      break;
    case boost::json::kind::double_:
      to.kind = Json::Kind::number;
      to.number = from.get_double();
      break;
    case boost::json::kind::string: return Json::of(std::string_view{from.get_string().data(), from.get_string().size()});
    case boost::json::kind::array:
      to.kind = Json::Kind::array;
      to.items.reserve(from.get_array().size());
      for (const auto& item : from.get_array()) to.items.push_back(convert(item));
      break;
    case boost::json::kind::object:
      to.kind = Json::Kind::object;
      to.members.reserve(from.get_object().size());
      for (const auto& member : from.get_object()) to.members.emplace_back(std::string{member.key()}, convert(member.value()));
      break;
  }
  return to;
}

/// Length of the valid UTF-8 sequence at the start of `text`, 0 when there is none.
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if (first == 0xE0 && byte(1) < 0xA0) return 0;  // Over-long.
  if (first == 0xED && byte(1) > 0x9F) return 0;  // Surrogate.
  if (first == 0xF0 && byte(1) < 0x90) return 0;  // Over-long.
  if (first == 0xF4 && byte(1) > 0x8F) return 0;  // Past U+10FFFF.
  return length;
}

std::size_t count_values(const Json& value) noexcept {
  std::size_t count = 1;
  for (const Json& item : value.items) count += count_values(item);
  for (const auto& member : value.members) count += count_values(member.second);
  return count;
}

/// What is too much about `text`, if it is JSON. Builds nothing. `values`: how many there are.
JsonProblem measure(std::string_view text, std::size_t& values) noexcept {
  values = 1;  // The whole; then each first value of an array or object, and each after a comma.
  std::size_t depth = 0;
  bool in_string = false, opened = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else
        in_string = c != '"';
      continue;
    }
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
    const bool closes = c == ']' || c == '}';
    if ((opened && !closes) || c == ',') ++values;
    opened = c == '[' || c == '{';
    if (opened && ++depth > json_depth_max) return JsonProblem::too_deep;
    if (closes && depth > 0) --depth;
    if (values > json_values_max) return JsonProblem::too_many;
    in_string = c == '"';
  }
  return JsonProblem::none;
}

void append_value(std::string& out, const Json& value) {
  switch (value.kind) {
    case Json::Kind::null: out += "null"; break;
    case Json::Kind::boolean: out += value.boolean ? "true" : "false"; break;
    case Json::Kind::integer: out += std::to_string(value.integer); break;
    case Json::Kind::number: append_json_number(out, value.number); break;
    case Json::Kind::text: append_json_string(out, value.text); break;
    case Json::Kind::array: {
      out += '[';
      bool first = true;
      for (const auto& item : value.items) {
        if (!std::exchange(first, false)) out += ',';
        append_value(out, item);
      }
      out += ']';
      break;
    }
    case Json::Kind::object: {
      out += '{';
      bool first = true;
      for (const auto& [name, member] : value.members) {
        if (!std::exchange(first, false)) out += ',';
        append_json_string(out, name);
        out += ':';
        append_value(out, member);
      }
      out += '}';
      break;
    }
  }
}

}  // namespace

Json Json::of(std::string_view value) {
  Json json;
  json.kind = Kind::text;
  json.text = value;
  return json;
}

Json Json::of(std::int64_t value) {
  Json json;
  json.kind = Kind::integer;
  json.integer = value;
  json.number = static_cast<double>(value);
  return json;
}

Json Json::of(bool value) {
  Json json;
  json.kind = Kind::boolean;
  json.boolean = value;
  return json;
}

const Json* Json::find(std::string_view name) const noexcept {
  for (const auto& member : members) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

ParsedJson parse_json(std::string_view text) {
  ParsedJson result;
  if (!domain::is_valid_utf8(text)) {
    result.problem = JsonProblem::bad_utf8;
    return result;
  }
  std::size_t values = 0;
  result.problem = measure(text, values);
  if (result.problem != JsonProblem::none) return result;
  boost::json::parse_options options;
  options.max_depth = json_depth_max;
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse({text.data(), text.size()}, error, {}, options);
  if (error) {
    result.problem = error == boost::json::error::too_deep ? JsonProblem::too_deep : JsonProblem::malformed;
    return result;
  }
  result.value = convert(value);
  // Of members with one name the parser keeps the last: then fewer are left than were read.
  if (count_values(result.value) != values) result = {JsonProblem::name_twice, {}};
  return result;
}

std::string to_text(const Json& value) {
  std::string out;
  append_value(out, value);
  return out;
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr std::string_view hex = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      text.remove_prefix(1);
      continue;
    }
    if (length > 1) {
      out += text.substr(0, length);
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += "\\u00";
      out += hex[static_cast<unsigned char>(c) >> 4];
      out += hex[static_cast<unsigned char>(c) & 0xF];
    } else {
      out += c;
    }
    text.remove_prefix(length);
  }
  out += '"';
}

void append_json_number(std::string& out, double value, bool keep_fraction) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  std::array<char, 40> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  const std::string_view text{buffer.data(), static_cast<std::size_t>(end - buffer.data())};
  out += text;
  if (keep_fraction && text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

}  // namespace muster::api
