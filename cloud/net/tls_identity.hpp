// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/result.hpp"

namespace muster::net {

struct TlsIdentityOptions {
  std::filesystem::path directory;                   ///< `tls/` of the data directory; made when missing (0700).
  std::vector<std::string> extra_names;              ///< DNS names and IP addresses, e.g. the host of --public-url.
  std::filesystem::path certificate_file, key_file;  ///< The operator's own (PEM, chain allowed). Empty: a private CA makes one.
};

/// What the server proves itself with.
struct TlsIdentity {
  std::string certificate_chain_pem;  ///< Server first.
  std::string private_key_pem;
  std::filesystem::path ca_file;  ///< What clients must trust; empty with the operator's own certificate.
  UtcTime not_after;              ///< Of the server's certificate.
  bool renewed = false;           ///< A certificate was made by this call.
};

inline constexpr std::chrono::hours ca_validity{24 * 3652};  ///< 10 years.
inline constexpr std::chrono::hours server_certificate_validity{24 * 397};
inline constexpr std::chrono::hours server_certificate_renewal{24 * 30};  ///< Renewed when less than this is left.

/// Loads the identity, or makes it: ca.crt, ca.key, server.crt (with the CA behind it), server.key in `directory`; keys are
/// ECDSA P-256 and their files 0600. The server's certificate names localhost, 127.0.0.1, ::1, the host name and the extra
/// names; it is made again by the same CA when it nears its end, when these names changed, or when it is damaged. The CA is
/// never replaced silently, because devices pin it.
/// Errors: NetError::{certificate_malformed, key_malformed, key_mismatch, key_readable_by_others, tls_failed}, file errors.
[[nodiscard]] Result<TlsIdentity> open_tls_identity(const TlsIdentityOptions& options, const Clock& clock);

}  // namespace muster::net
