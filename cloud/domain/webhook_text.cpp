// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/webhook_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace muster::domain {

namespace {

constexpr std::size_t placeholder_max_bytes = 100;
constexpr std::string_view metadata_prefix = "device_metadata_";
constexpr std::array<std::string_view, 29> names{
    "device_id",        "device_name",        "device_authToken", "device_templateId", "device_productName",
    "device_orgName",   "device_dateCreated", "user_id",          "user_email",        "user_name",
    "user_orgName",     "timestamp_unix",     "timestamp_ms",     "timestamp_iso8601", "trigger",
    "org_id",           "org_name",           "added_org_id",     "added_org_name",    "event_code",
    "event_name",       "event_description",  "event_type",       "datastream_pin",    "datastream_name",
    "datastream_value", "session_id",         "failure_code",     "message_id"};
/// What the sender writes, or what would change how the request is read.
constexpr std::array<std::string_view, 12> own_headers{"host",       "content-length",      "content-type",      "transfer-encoding",
                                                       "connection", "webhook-id",          "webhook-timestamp", "webhook-signature",
                                                       "expect",     "proxy-authorization", "upgrade",           "te"};
constexpr std::int64_t retry_max_ms = 2LL * 3'600'000;

constexpr char hex_digits[] = "0123456789ABCDEF";

bool is_letter_or_digit(char c) noexcept { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

void append_escaped(std::string& out, std::string_view text, Escape escape) {
  switch (escape) {
    case Escape::none: out += text; return;
    case Escape::percent: out += percent_encoded(text); return;
    case Escape::json: break;
  }
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (byte < 0x20) {
          out.append("\\u00").append(1, hex_digits[byte >> 4]).append(1, hex_digits[byte & 15]);
        } else {
          out += c;
        }
    }
  }
}

/// Calls `found(name, begin, end)` for each placeholder with its braces.
template <class Found>
void for_each_placeholder(std::string_view text, Found found) {
  for (auto open = text.find('{'); open != std::string_view::npos; open = text.find('{', open + 1)) {
    const auto close = text.substr(open + 1, placeholder_max_bytes + 1).find_first_of("{}");
    if (close == std::string_view::npos || text[open + 1 + close] != '}') continue;
    const auto name = text.substr(open + 1, close);
    if (is_placeholder(name)) found(name, open, open + close + 2);
  }
}

}  // namespace

bool is_placeholder(std::string_view name) noexcept {
  if (name.size() > metadata_prefix.size() && name.starts_with(metadata_prefix)) return name.size() <= placeholder_max_bytes;
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string render(std::string_view text, Escape escape, const PlaceholderValue& value) {
  std::string out;
  std::size_t copied = 0;
  for_each_placeholder(text, [&](std::string_view name, std::size_t begin, std::size_t end) {
    out += text.substr(copied, begin - copied);
    if (const auto known = value(name)) append_escaped(out, *known, escape);
    copied = end;
  });
  out += text.substr(copied);
  return out;
}

bool has_placeholder(std::string_view text, std::string_view wanted) noexcept {
  bool has = false;
  for_each_placeholder(text, [&](std::string_view name, std::size_t, std::size_t) { has = has || name == wanted; });
  return has;
}

std::string form_body(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    if (!out.empty()) out += '&';
    out += percent_encoded(name) + '=';
    std::size_t copied = 0;
    for_each_placeholder(value, [&](std::string_view, std::size_t begin, std::size_t end) {
      out += percent_encoded(std::string_view{value}.substr(copied, begin - copied));
      out += std::string_view{value}.substr(begin, end - begin);
      copied = end;
    });
    out += percent_encoded(std::string_view{value}.substr(copied));
  }
  return out;
}

Escape escape_for(std::string_view content_type) noexcept {
  const auto type = content_type.substr(0, content_type.find(';'));
  if (type.find("json") != std::string_view::npos) return Escape::json;
  return type == "application/x-www-form-urlencoded" ? Escape::percent : Escape::none;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_letter_or_digit(c) || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out.append(1, '%').append(1, hex_digits[byte >> 4]).append(1, hex_digits[byte & 15]);
    }
  }
  return out;
}

Complaint check_webhook_url(std::string_view url) {
  if (url.size() > webhook_url_max_bytes) return "A URL has at most 1024 bytes.";
  const std::string_view scheme = url.starts_with("https://") ? "https://" : url.starts_with("http://") ? "http://" : "";
  if (scheme.empty()) return "The URL must begin with https:// or http://.";
  for (const char c : url) {
    const auto byte = static_cast<unsigned char>(c);
    // Spaces only inside placeholders of metadata fields.
    if (byte < 0x20 || byte == 0x7f || byte >= 0x80 || c == '\\' || c == '"' || c == '<' || c == '>')
      return "The URL holds a character that must be percent-encoded.";
  }
  const std::string filled = render(url, Escape::percent, [](std::string_view) { return std::string{}; });
  if (filled.find(' ') != std::string::npos) return "The URL holds a space; write %20.";
  const std::string_view rest = url.substr(scheme.size());
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (authority.find_first_of("{}") != std::string_view::npos) return "The host must be fixed: placeholders stand in path and query only.";
  if (authority.find('@') != std::string_view::npos) return "Give user and password as auth BASIC, not in the URL.";
  const auto colon = authority.rfind(':');
  const bool in_brackets = authority.ends_with(']');
  if (colon != std::string_view::npos && !in_brackets) {
    unsigned port = 0;
    const auto digits = authority.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || end != digits.data() + digits.size() || port == 0 || port > 65'535) return "The port must be 1..65535.";
  }
  const auto host = authority.substr(0, in_brackets ? authority.size() : colon);
  if (host.empty()) return "The URL names no host.";
  return std::nullopt;
}

Complaint check_webhook_name(std::string_view name) {
  if (!is_valid_utf8(name) || character_count(name) < 1 || character_count(name) > webhook_name_max_chars)
    return "A webhook's name has 1 to 80 characters.";
  if (std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    return "A webhook's name holds no control characters.";
  return std::nullopt;
}

Complaint check_webhook_header(std::string_view name, std::string_view value) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  const bool is_token =
      std::all_of(name.begin(), name.end(), [&](char c) { return is_letter_or_digit(c) || marks.find(c) != std::string_view::npos; });
  if (name.empty() || name.size() > 100 || !is_token) return "A header's name has 1 to 100 letters, digits and dashes.";
  if (std::find(own_headers.begin(), own_headers.end(), lower_ascii(name)) != own_headers.end())
    return "The header " + std::string{name} + " is written by the server.";
  if (value.size() > 1024) return "A header's value has at most 1024 bytes.";
  if (std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    return "A header's value holds no control characters.";
  return std::nullopt;
}

Complaint check_content_type(std::string_view type) {
  const bool printable = std::all_of(type.begin(), type.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (type.size() < 3 || type.size() > 100 || !printable || type.find('/') == std::string_view::npos)
    return "A content type is like application/json.";
  return std::nullopt;
}

std::string join_lines(const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines) out.append(line).append(1, '\n');
  return out;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::int64_t retry_delay_ms(std::uint32_t attempts, std::int64_t first_ms) noexcept {
  const auto doublings = std::min<std::uint32_t>(attempts == 0 ? 0 : attempts - 1, 20);
  return std::min(first_ms << doublings, retry_max_ms);
}

bool is_given_up(std::uint32_t attempts, std::int64_t age_ms) noexcept {
  return attempts >= delivery_attempts_min && age_ms >= delivery_life_ms;
}

}  // namespace muster::domain
