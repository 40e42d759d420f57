// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cloud/base/ids.hpp"

namespace muster::domain {

/// Bit numbers are stored in the database: never renumber. Names in API and CLI are the upper-case ones of permission_name().
/// docs/protocol/cloud-model.md section 4.
enum class Permission : std::uint8_t {
  own_devices_view = 0,
  own_devices_control = 1,
  own_devices_edit = 2,
  own_devices_delete = 3,
  provision_devices = 4,
  org_devices_view = 5,
  org_devices_control = 6,
  org_devices_edit = 7,
  org_devices_delete = 8,
  org_devices_create = 9,
  manage_static_tokens = 10,
  static_tokens_station = 11,
  auth_token_view = 12,
  auth_token_edit = 13,
  device_transfer = 14,
  device_data_delete = 15,
  org_view_users = 16,
  user_invite = 17,
  user_edit = 18,
  user_delete = 19,
  user_transfer = 20,
  user_suspend = 21,
  user_password = 22,
  user_force_logout = 23,
  org_switch = 24,
  org_create = 25,
  org_edit = 26,
  org_delete = 27,
  org_transfer = 28,
  template_view = 29,
  template_create = 30,
  template_edit = 31,
  template_delete = 32,
  ota_view = 33,
  ota_start = 34,
  ota_stop = 35,
  role_view = 36,
  role_edit = 37,
  role_create = 38,
  role_delete = 39,
  manage_web_hook = 40,
  oauth_view = 41,
  oauth_create = 42,
  oauth_edit = 43,
  oauth_delete = 44,
  audit_view = 45,
  provision_sessions_view = 46,
};
inline constexpr std::uint8_t permission_count = 47;

class PermissionSet {
 public:
  constexpr PermissionSet() noexcept = default;
  constexpr explicit PermissionSet(std::uint64_t bits) noexcept : bits_{bits} {}
  [[nodiscard]] constexpr bool has(Permission permission) const noexcept { return (bits_ >> static_cast<unsigned>(permission)) & 1u; }
  constexpr PermissionSet& add(Permission permission) noexcept {
    bits_ |= std::uint64_t{1} << static_cast<unsigned>(permission);
    return *this;
  }
  constexpr PermissionSet& remove(Permission permission) noexcept {
    bits_ &= ~(std::uint64_t{1} << static_cast<unsigned>(permission));
    return *this;
  }
  [[nodiscard]] constexpr PermissionSet intersect(PermissionSet other) const noexcept { return PermissionSet{bits_ & other.bits_}; }
  [[nodiscard]] constexpr bool contains(PermissionSet other) const noexcept { return (bits_ & other.bits_) == other.bits_; }
  [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
  friend constexpr bool operator==(PermissionSet, PermissionSet) noexcept = default;

 private:
  std::uint64_t bits_ = 0;
};

[[nodiscard]] std::string_view permission_name(Permission permission) noexcept;  ///< "OWN_DEVICES_VIEW", ...
[[nodiscard]] std::optional<Permission> parse_permission(std::string_view name) noexcept;

/// `set` with everything that its permissions need, directly or not: what is stored when somebody grants `set`. Where either of two views
/// would do and neither is there, the one of own devices comes in.
[[nodiscard]] PermissionSet with_what_it_needs(PermissionSet set) noexcept;
/// What is left of `set` when permissions that lack what they need go, directly or not: what is stored when somebody revokes.
[[nodiscard]] PermissionSet without_dependents(PermissionSet set) noexcept;
/// A Markdown table of who has what and what needs what, for docs/permissions.md.
[[nodiscard]] std::string permission_markdown();

/// The built-in roles; made by the first migration with these ids.
inline constexpr RoleId admin_role{1};
inline constexpr RoleId staff_role{2};
inline constexpr RoleId user_role{3};
[[nodiscard]] PermissionSet builtin_role_permissions(RoleId role) noexcept;
/// What remains of the Admin role inside a PERSONAL organization.
[[nodiscard]] PermissionSet personal_admin_cap() noexcept;

}  // namespace muster::domain
