// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/http_response.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "cloud/base/ip_address.hpp"
#include "cloud/net/http_reader.hpp"

namespace muster::net {
namespace {

void append(std::vector<std::uint8_t>& out, std::string_view text) { out.insert(out.end(), text.begin(), text.end()); }

void append_number(std::vector<std::uint8_t>& out, std::uint64_t number) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  append(out, {digits.data(), static_cast<std::size_t>(end - digits.data())});
}

bool handler_set(const api::Response& response, std::string_view name) noexcept {
  for (const auto& [key, value] : response.headers) {
    if (equal_ignoring_case(key, name)) return true;
  }
  return false;
}

/// A handler's header cannot break out of its line, whatever it holds.
bool is_clean(std::string_view text) noexcept { return text.find_first_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos; }

/// Browsers would apply HSTS to every port of the name: not for names that developers share between programs.
bool deserves_hsts(std::string_view host) noexcept {
  if (host.empty() || host.front() == '[') return false;
  const std::string_view name = host.substr(0, host.find(':'));
  return name != "localhost" && !name.ends_with(".localhost") && !IpAddress::parse(name);
}

void append_security_headers(const api::Response& response, const ResponseContext& context, std::vector<std::uint8_t>& out) {
  struct Line {
    std::string_view name, line;
  };
  static constexpr std::array<Line, 5> always{{
      {"X-Content-Type-Options", "X-Content-Type-Options: nosniff\r\n"},
      {"Referrer-Policy", "Referrer-Policy: no-referrer\r\n"},
      {"X-Frame-Options", "X-Frame-Options: DENY\r\n"},
      {"Cross-Origin-Opener-Policy", "Cross-Origin-Opener-Policy: same-origin\r\n"},
      {"Content-Security-Policy",
       "Content-Security-Policy: default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
       "form-action 'self'; frame-ancestors 'none'\r\n"},
  }};
  for (const Line& line : always) {
    if (!handler_set(response, line.name)) append(out, line.line);
  }
  const bool is_api = context.path.starts_with("/api/") || context.path.starts_with("/external/") || context.path.starts_with("/oauth2/");
  if (is_api && !handler_set(response, "Cache-Control")) append(out, "Cache-Control: no-store\r\n");
  if (context.secure && deserves_hsts(context.host) && !handler_set(response, "Strict-Transport-Security")) {
    append(out, "Strict-Transport-Security: max-age=31536000\r\n");
  }
}

}  // namespace

void write_response(const api::Response& response, const ResponseContext& context, std::vector<std::uint8_t>& out) {
  const bool has_body = response.status >= 200 && response.status != 204 && response.status != 304;
  if (response.status == 200) {
    append(out, "HTTP/1.1 200 OK\r\n");
  } else {
    append(out, "HTTP/1.1 ");
    append_number(out, response.status);
    append(out, " ");
    append(out, reason_phrase(response.status));
    append(out, "\r\n");
  }
  if (!response.content_type.empty() && is_clean(response.content_type)) {
    append(out, "Content-Type: ");
    append(out, response.content_type);
    append(out, "\r\n");
  }
  if (has_body) {
    append(out, "Content-Length: ");
    append_number(out, response.body.size());
    append(out, "\r\n");
  }
  for (const auto& [name, value] : response.headers) {
    if (name.empty() || !is_clean(name) || !is_clean(value)) continue;
    append(out, name);
    append(out, ": ");
    append(out, value);
    append(out, "\r\n");
  }
  if (!context.keep_alive || response.close) {
    append(out, "Connection: close\r\n");
  } else if (!context.version_1_1) {
    append(out, "Connection: keep-alive\r\n");
  }
  const bool minimal =
      context.path.starts_with("/external/api/") && (response.body.empty() || response.content_type.starts_with("application/json"));
  if (!minimal) {
    if (!context.date.empty()) {
      append(out, "Date: ");
      append(out, context.date);
      append(out, "\r\n");
    }
    append_security_headers(response, context, out);
  }
  append(out, "\r\n");
  if (has_body && !context.head) append(out, response.body);
}

std::string_view reason_phrase(unsigned status) noexcept {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Other";
  }
}

std::string http_date(std::int64_t utc_ms) {
  static constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = utc_ms / 1000;
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return {};
  std::array<char, 64> text;
  const int size = std::snprintf(
      text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT", days.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
      months.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
  return size > 0 ? std::string{text.data(), static_cast<std::size_t>(size)} : std::string{};
}

}  // namespace muster::net
