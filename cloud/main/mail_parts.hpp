// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "cloud/mail/mailer.hpp"
#include "cloud/mail/smtp.hpp"

namespace muster::main {

struct Config;

/// Host, port and kind of `smtp[s]://HOST[:PORT]`; nullopt: it is no such address. Ports left out: 587 and 465.
[[nodiscard]] std::optional<mail::SmtpOptions> parse_mail_url(std::string_view url);

/// The transport that the configuration speaks of, with its password read, or one sentence that says what is wrong.
[[nodiscard]] std::variant<std::unique_ptr<mail::Transport>, std::string> make_mail_transport(const Config& config,
                                                                                              std::string_view own_name);

}  // namespace muster::main
