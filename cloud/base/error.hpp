// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "cloud/base/result.hpp"

namespace muster {

/// What can go wrong below the domain. Never renumber.
enum class BaseError {
  key_unreadable = 1,  ///< A file under keys/ cannot be read, or its mode lets others read it.
  key_damaged = 2,
  key_unknown = 3,  ///< Sealed under a key that this ring does not hold.
  key_in_use = 4,
  key_ring_full = 5,
  seal_damaged = 6,
  passphrase_wrong = 7,
  file_damaged = 8,
  queue_full = 9,
  recipient_malformed = 10,  ///< Not an age public key (age1...).
  file_exists = 11,
  identity_malformed = 12,  ///< Not an age secret key (AGE-SECRET-KEY-1...).
  identity_mismatch = 13,   ///< Encrypted to another key, or to a passphrase instead of a key (or the other way round).
  over_limit = 14,          ///< A file, header or work factor beyond the limit that the caller set.
  keys_foreign = 15,        ///< The ring knows the key's id, but it is another key: what the database holds was not made with it.
};

[[nodiscard]] const boost::system::error_category& base_category() noexcept;
[[nodiscard]] inline Error make_error_code(BaseError error) noexcept { return {static_cast<int>(error), base_category()}; }

}  // namespace muster

template <>
struct boost::system::is_error_code_enum<muster::BaseError> : std::true_type {};
