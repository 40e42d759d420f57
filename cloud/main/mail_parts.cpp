// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/mail_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "cloud/base/age.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/main/config.hpp"

namespace muster::main {
namespace {

constexpr std::size_t password_file_max_bytes = 64 * 1024;

/// The first line of the file, decrypted when it is an age file.
std::variant<std::string, Error> read_password(const MailConfig& config) {
  auto text = read_file(config.password_file, password_file_max_bytes, FileAccess::owner_only);
  if (!text) return text.error();
  if (age::inspect(*text)) {
    const auto key = read_file(config.identity_file, password_file_max_bytes, FileAccess::owner_only);
    if (!key) return key.error();
    const auto identities = age::Identity::parse_file(*key);
    if (!identities) return identities.error();
    std::istringstream in{*text};
    std::ostringstream out;
    if (const auto opened = age::decrypt(age::read_from(in), age::write_to(out), *identities); !opened) return opened.error();
    text = out.str();
  }
  return text->substr(0, text->find_first_of("\r\n"));
}

}  // namespace

std::optional<mail::SmtpOptions> parse_mail_url(std::string_view url) {
  mail::SmtpOptions options;
  constexpr std::string_view plain = "smtp://", tls = "smtps://";
  if (url.starts_with(tls)) {
    options.security = mail::SmtpSecurity::tls;
    options.port = 465;
    url.remove_prefix(tls.size());
  } else if (url.starts_with(plain)) {
    url.remove_prefix(plain.size());
  } else {
    return std::nullopt;
  }
  if (url.ends_with('/')) url.remove_suffix(1);
  const bool bracketed = url.starts_with('[');
  const auto host_end = bracketed ? url.find(']') : url.find(':');
  if (bracketed && host_end == std::string_view::npos) return std::nullopt;
  std::string_view rest = host_end == std::string_view::npos ? std::string_view{} : url.substr(host_end + (bracketed ? 1 : 0));
  options.host = bracketed ? url.substr(1, host_end - 1) : url.substr(0, host_end);
  const bool clean = std::all_of(options.host.begin(), options.host.end(), [bracketed](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || (bracketed && c == ':');
  });
  if (options.host.empty() || !clean) return std::nullopt;
  if (rest.empty()) return options;
  if (rest[0] != ':') return std::nullopt;
  rest.remove_prefix(1);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), options.port);
  if (error != std::errc{} || end != rest.data() + rest.size() || options.port == 0) return std::nullopt;
  return options;
}

std::variant<std::unique_ptr<mail::Transport>, std::string> make_mail_transport(const Config& config, std::string_view own_name) {
  auto options = parse_mail_url(config.mail.url);
  if (!options) return std::string{"mail.url must be like smtp://mail.example.org:587"};
  if (options->security != mail::SmtpSecurity::tls && config.mail.tls == "none") options->security = mail::SmtpSecurity::none;
  options->user = config.mail.user;
  options->ca_file = config.mail.ca_file;
  options->timeout = config.mail.timeout;
  if (!own_name.empty() && own_name.find(':') == std::string_view::npos) options->own_name = own_name;
  if (!config.mail.password_file.empty()) {
    auto password = read_password(config.mail);
    if (const auto* error = std::get_if<Error>(&password))
      return fmt::format("mail.password_file {} cannot be read: {}", config.mail.password_file, error->message());
    options->password = std::move(std::get<std::string>(password));
  }
  return mail::smtp_transport(std::move(*options));
}

}  // namespace muster::main
