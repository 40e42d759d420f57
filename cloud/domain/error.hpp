// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "cloud/base/result.hpp"

namespace muster::domain {

/// What a rule of the domain refuses. Values are stored in the audit log: never renumber.
enum class DomainError {
  not_found = 1,  ///< Also: outside the caller's subtree.
  name_taken = 2,
  email_taken = 3,
  version_conflict = 4,  ///< Somebody else changed it in between (templates).
  already_set_up = 5,
  setup_code_wrong = 6,
  tree_too_deep = 7,
  last_admin = 8,
  in_use = 9,        ///< Still has devices, sub-organizations, ...
  token_taken = 10,  ///< This string identifies, or once identified, something.
  limit_reached = 11,
  template_not_in_organization = 12,
  owner_not_in_organization = 13,
  not_active = 14,   ///< The user is disabled.
  wrong_state = 15,  ///< The life-cycle table has no such transition.
  pin_taken = 16,
  invalid_value = 17,
  protected_entity = 18,  ///< Built in, or the root: cannot be deleted.
  beneath_itself = 19,    ///< An organization cannot move under itself or under what is beneath it.
  same_place = 20,        ///< It is there, or that person's, already.
};

/// What the store itself refuses. The first group is trouble that may pass: never a reason to call a token invalid.
enum class StoreError {
  unavailable = 1,  ///< Cannot be opened or read now; tried again every second.
  busy = 2,         ///< Locked by somebody else, or the queue is full.
  read_only = 3,
  disk_full = 4,
  corrupt = 5,        ///< Needs a person.
  newer_version = 6,  ///< Made by a newer muster: needs a person.
  shutting_down = 7,
};

[[nodiscard]] const boost::system::error_category& domain_category() noexcept;
[[nodiscard]] const boost::system::error_category& store_category() noexcept;
[[nodiscard]] inline Error make_error_code(DomainError error) noexcept { return {static_cast<int>(error), domain_category()}; }
[[nodiscard]] inline Error make_error_code(StoreError error) noexcept { return {static_cast<int>(error), store_category()}; }

}  // namespace muster::domain

template <>
struct boost::system::is_error_code_enum<muster::domain::DomainError> : std::true_type {};
template <>
struct boost::system::is_error_code_enum<muster::domain::StoreError> : std::true_type {};
