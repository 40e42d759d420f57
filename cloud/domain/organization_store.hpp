// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cloud/base/result.hpp"
#include "cloud/domain/entities.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/domain/store_types.hpp"

namespace muster::domain {

/// Where a device goes. `organization` none: the owner's. `owner` none: the device has none there.
struct DeviceDestination {
  OrganizationId organization;
  UserId owner;
};

/// What keeps an organization from being deleted.
struct OrganizationUse {
  std::int64_t sub_organizations = 0;
  std::int64_t devices = 0;           ///< Its own.
  std::int64_t template_devices = 0;  ///< Elsewhere, of templates that belong to it.
};

/// Roles, moves in the tree, and devices that change hands or are emptied.
/// A part of Store, with its rules: see there. What a backend does not override is unavailable.
class OrganizationStore {
 public:
  virtual ~OrganizationStore() = default;

  // --- roles: those given out are read with Store::roles() -----------------------------------------------------------------
  /// A custom role; `permissions` hold in every organization until one says otherwise. Errors: name_taken, limit_reached.
  virtual Result<Role> create_role(std::string_view, PermissionSet, const Actor&) { return StoreError::unavailable; }
  /// Errors: not_found, name_taken, protected_entity (built in).
  virtual Result<Role> rename_role(RoleId, std::string_view, const Actor&) { return StoreError::unavailable; }
  /// Sets what the role allows in the organization. With `sub_organizations` the same holds in all beneath it and what they said
  /// themselves is gone; without, nothing changes there. The set is stored as given: close it under the dependencies first.
  /// Errors: not_found, protected_entity (Admin).
  virtual Result<Role> set_role_values(OrganizationId, RoleId, PermissionSet, bool /*sub_organizations*/, const Actor&) {
    return StoreError::unavailable;
  }
  /// Everybody who has the role has `replacement` from then on. Errors: not_found (either), protected_entity (built in), same_place.
  virtual Result<void> delete_role(RoleId, RoleId /*replacement*/, const Actor&) { return StoreError::unavailable; }

  // --- the tree ---------------------------------------------------------------------------------------------------------------
  /// Moves it with everything beneath it. Errors: not_found (either), protected_entity (the root, a group), beneath_itself, same_place,
  /// tree_too_deep, name_taken, limit_reached (the new parent takes no sub-organizations, or no more devices), invalid_value (only
  /// PERSONAL ones are beneath a PERSONAL one), template_not_in_organization (a device beneath it would lose its template).
  virtual Result<Organization> move_organization(OrganizationId, OrganizationId /*parent*/, const Actor&) {
    return StoreError::unavailable;
  }
  virtual Result<OrganizationUse> organization_use(OrganizationId) { return StoreError::unavailable; }
  /// The built-in organization beneath the root for those that sign up on their own; made when there is none yet.
  /// Errors: not_found (no root), invalid_value (OrganizationGroup::none).
  virtual Result<OrganizationId> organization_of_group(OrganizationGroup, const Actor&) { return StoreError::unavailable; }

  // --- devices -----------------------------------------------------------------------------------------------------------------
  /// Everything of the device goes with it, but the re-provisioning that waits for it: that ends. Shown in the logs of both organizations.
  /// Errors: not_found (device, organization, owner), not_active, owner_not_in_organization, template_not_in_organization, same_place,
  /// limit_reached (devices).
  virtual Result<Device> transfer_device(DeviceId, const DeviceDestination&, const Actor&) { return StoreError::unavailable; }
  /// Errors: not_found, same_place (it has none).
  virtual Result<Device> remove_device_owner(DeviceId, const Actor&) { return StoreError::unavailable; }
  /// Values, timeline and statistics go; id, token, owner and metadata stay. Errors: not_found.
  virtual Result<void> erase_device(DeviceId, const Actor&) { return StoreError::unavailable; }
};

}  // namespace muster::domain
