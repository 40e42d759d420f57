// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/account/html.hpp"

#include "cloud/mail/template.hpp"

namespace muster::api {
namespace {

using mail::fill_html;

constexpr std::string_view style =
    "*{box-sizing:border-box}"
    "body{margin:0;background:#f3f4f6;color:#1f2937;font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:26rem;margin:0 auto;padding:1rem}"
    ".card{background:#fff;border-radius:.5rem;padding:1.25rem;overflow-wrap:anywhere}"
    ".brand{font-weight:600;margin:1rem 0}.brand img{max-height:2.5rem;max-width:100%}"
    "h1{font-size:1.375rem;line-height:1.25;margin:0 0 .75rem}"
    "label{display:block;margin:.75rem 0;font-weight:500}"
    "input:not([type=checkbox]):not([type=radio]){display:block;width:100%;min-height:2.75rem;margin-top:.25rem;padding:.5rem;"
    "border:1px solid #6b7280;border-radius:.375rem;font:inherit}"
    "button{width:100%;min-height:2.75rem;margin-top:.75rem;border:0;border-radius:.375rem;color:#fff;font:inherit;font-weight:600;cursor:"
    "pointer}"
    ":focus-visible{outline:3px solid #f59e0b;outline-offset:2px}"
    ".alert{border-left:4px solid #b91c1c;background:#fef2f2;padding:.5rem .75rem}"
    "footer{font-size:.875rem;color:#4b5563;padding:1rem 0}footer a,p a{color:inherit}"
    "@media (prefers-color-scheme:dark){body{background:#111827;color:#e5e7eb}.card{background:#1f2937}"
    "input:not([type=checkbox]):not([type=radio]){background:#111827;color:inherit;border-color:#9ca3af}"
    ".alert{background:#450a0a}footer{color:#9ca3af}}";

std::string footer(const mail::Brand& brand) {
  std::string out = "<footer>";
  const auto link = [&out](std::string_view url, std::string_view word) {
    if (url.empty()) return;
    const bool web = url.starts_with("https://") || url.starts_with("http://");
    out += fill_html(web ? "<a href=\"{url}\" rel=\"noreferrer\">{word}</a> " : "<a href=\"mailto:{url}\">{word}</a> ",
                     {{"url", url}, {"word", word}});
  };
  link(brand.support, "Help");
  link(brand.terms_url, "Terms");
  link(brand.privacy_url, "Privacy");
  return out + "</footer>";
}

/// Scheme, host and port of an address, for the policy.
std::string origin_of(std::string_view url) {
  const auto host = url.find("://");
  if (host == std::string_view::npos) return {};
  return std::string{url.substr(0, url.find_first_of("/?#", host + 3))};
}

}  // namespace

Response account_page(unsigned status, const mail::Brand& brand, std::string_view title, std::string_view body) {
  Response response;
  response.status = status;
  response.content_type = "text/html; charset=utf-8";
  std::string& out = response.body;
  out = fill_html(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\">"
      "<title>{title} - {brand}</title><style>",
      {{"title", title}, {"brand", brand.name}});
  out += style;
  out += fill_html("button{background:{color}}</style></head><body><main><p class=\"brand\">", {{"color", brand.color}});
  out += brand.logo_url.empty() ? mail::escape_html(brand.name)
                                : fill_html("<img src=\"{logo}\" alt=\"{name}\">", {{"logo", brand.logo_url}, {"name", brand.name}});
  out += fill_html("</p><div class=\"card\"><h1><bdi>{title}</bdi></h1>\n", {{"title", title}});
  out += body;
  out += "</div>" + footer(brand) + "</main></body></html>\n";
  const std::string images = brand.logo_url.empty() ? "'none'" : origin_of(brand.logo_url);
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("Referrer-Policy", "same-origin");
  response.headers.emplace_back("X-Frame-Options", "DENY");
  response.headers.emplace_back("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src " + images +
                                                               "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
  return response;
}

std::string form_field(std::string_view type, std::string_view name, std::string_view label, std::string_view autocomplete,
                       std::string_view value, bool required) {
  std::string out = fill_html("<label>{label}<input type=\"{type}\" name=\"{name}\" autocomplete=\"{auto}\" value=\"{value}\"",
                              {{"label", label}, {"type", type}, {"name", name}, {"auto", autocomplete}, {"value", value}});
  if (type == "email") out += " maxlength=\"254\"";
  if (autocomplete == "new-password") out += " minlength=\"8\"";
  if (autocomplete == "one-time-code") out += " inputmode=\"numeric\" autofocus";
  return out + (required ? " required></label>\n" : "></label>\n");
}

std::string hidden_field(std::string_view name, std::string_view value) {
  return fill_html("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">", {{"name", name}, {"value", value}});
}

std::string submit_button(std::string_view label) { return fill_html("<button type=\"submit\">{label}</button>\n", {{"label", label}}); }

std::string alert(std::string_view message) {
  return message.empty() ? std::string{} : fill_html("<p class=\"alert\" role=\"alert\">{message}</p>\n", {{"message", message}});
}

}  // namespace muster::api
