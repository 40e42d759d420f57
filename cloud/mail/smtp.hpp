// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "cloud/mail/transport.hpp"

namespace muster::mail {

enum class SmtpSecurity : std::uint8_t {
  starttls,  ///< Upgraded before anything is said; refused when the server does not offer it.
  tls,       ///< From the first byte (port 465).
  none,      ///< For a relay on this machine.
};

struct SmtpOptions {
  std::string host;
  std::uint16_t port = 587;
  SmtpSecurity security = SmtpSecurity::starttls;
  std::string user, password;                 ///< Empty: the server wants none.
  std::string ca_file;                        ///< PEM; empty: the system's.
  std::string own_name = "localhost";         ///< How we greet.
  std::chrono::milliseconds timeout{60'000};  ///< Of one mail, all in all.
};

/// Sends through one server with libcurl, which keeps the connection for a while.
[[nodiscard]] std::unique_ptr<Transport> smtp_transport(SmtpOptions options);

}  // namespace muster::mail
