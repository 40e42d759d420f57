// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "cloud/base/result.hpp"

namespace muster::net {

/// Why the server cannot listen or cannot speak TLS. Server::problem() says it in a sentence for people.
enum class NetError {
  address_malformed = 1,  ///< Not ADDR:PORT; an IPv6 address stands in brackets.
  address_in_use = 2,     ///< Somebody else listens there.
  address_locked = 3,     ///< Another muster holds the lock file of this address.
  lock_unusable = 4,      ///< The runtime directory cannot be used.
  certificate_malformed = 5,
  key_malformed = 6,
  key_mismatch = 7,  ///< The key is not the certificate's.
  key_readable_by_others = 8,
  ticket_keys_malformed = 9,
  tls_failed = 10,  ///< OpenSSL refused; the log says more.
};

[[nodiscard]] const boost::system::error_category& net_category() noexcept;
[[nodiscard]] inline Error make_error_code(NetError error) noexcept { return {static_cast<int>(error), net_category()}; }

}  // namespace muster::net

template <>
struct boost::system::is_error_code_enum<muster::net::NetError> : std::true_type {};
