// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "cloud/api/router.hpp"

/// Devices that change hands, and devices that are emptied.
namespace muster::api {

using domain::Permission;

std::optional<Response> read_new_owner(const Context& context, std::string_view field, domain::DeviceDestination& to) {
  const domain::Directory& directory = context.core.views.directory;
  const auto user = directory.user(UserId{context.arguments.integer(field).value_or(0)});
  if (!user || !directory.in_subtree(user->organization_id, context.caller.organization_id)) return not_found();
  if (!directory.permissions_in(context.caller, user->organization_id).has(Permission::device_transfer))
    return error_response(403, "forbidden", "This needs the permission DEVICE_TRANSFER in the new owner's organization.");
  if (to.organization && to.organization != user->organization_id)
    return invalid_value(field, "The owner must be a member of the device's organization.");
  to.owner = user->id;
  return std::nullopt;
}

namespace {

using namespace fields;

Response moved_response(Context& context, const Result<domain::Device>& moved) {
  if (!moved) {
    if (moved.error() == Error{domain::DomainError::template_not_in_organization})
      return error_response(409, "template_not_available", "The new organization cannot use the device's template.");
    return error_response(moved.error());
  }
  // Those who watch its new place see it from now on, those of the old one no more.
  (void)context.core.views.catch_up();
  context.core.stream.device_status_changed(moved->id);
  return no_content();
}

Response transfer_to_owner(Context& context) {
  domain::DeviceDestination to;
  if (auto refused = read_new_owner(context, "ownerId", to)) return std::move(*refused);
  return moved_response(context, context.core.store.transfer_device(context.device, to, context.actor()));
}

/// Without an owner it is nobody's there.
Response transfer_to_organization(Context& context) {
  domain::DeviceDestination to;
  if (auto refused = read_organization(context, "orgId", Permission::device_transfer, to.organization)) return std::move(*refused);
  if (context.arguments.find("ownerId") != nullptr) {
    if (auto refused = read_new_owner(context, "ownerId", to)) return std::move(*refused);
  }
  return moved_response(context, context.core.store.transfer_device(context.device, to, context.actor()));
}

/// The older spelling of both.
Response transfer(Context& context) {
  const bool to_user = context.arguments.find("newUserId") != nullptr;
  if (to_user == (context.arguments.find("newOrgId") != nullptr)) return invalid_value("newUserId", "Give either newUserId or newOrgId.");
  domain::DeviceDestination to;
  auto refused = to_user ? read_new_owner(context, "newUserId", to)
                         : read_organization(context, "newOrgId", Permission::device_transfer, to.organization);
  if (refused) return std::move(*refused);
  return moved_response(context, context.core.store.transfer_device(context.device, to, context.actor()));
}

Response remove_owner(Context& context) {
  return moved_response(context, context.core.store.remove_device_owner(context.device, context.actor()));
}

Response clear_device(Context& context) {
  Core& core = context.core;
  // Before, so that less waits to be written; after, because more may have come.
  core.values.forget(context.device);
  const auto erased = core.store.erase_device(context.device, context.actor());
  if (!erased) return error_response(erased.error());
  core.values.forget(context.device);
  core.stream.device_status_changed(context.device);
  return no_content();
}

// --- the routes -----------------------------------------------------------------------------------------------------------------

constexpr Field device_fields[] = {device_id};
constexpr Field to_owner_fields[] = {device_id, integer("ownerId", true)};
constexpr Field to_organization_fields[] = {device_id, integer("orgId", true), integer("ownerId")};
constexpr Field transfer_fields[] = {device_id, integer("newUserId"), integer("newOrgId")};

constexpr Route routes[] = {
    {Method::post, "/api/v1/organization/device/transfer", on_device(Permission::device_transfer), Lane::api, transfer_fields, transfer},
    {Method::post, "/api/v1/organization/device/transfer/to-owner", on_device(Permission::device_transfer), Lane::api, to_owner_fields,
     transfer_to_owner},
    {Method::post, "/api/v1/organization/device/transfer/to-organization", on_device(Permission::device_transfer), Lane::api,
     to_organization_fields, transfer_to_organization},
    {Method::delete_, "/api/v1/organization/device/owner", on_device(Permission::device_transfer), Lane::api, device_fields, remove_owner},
    {Method::delete_, "/api/v1/organization/device/clear", on_device(Permission::device_data_delete), Lane::api, device_fields,
     clear_device},
};

}  // namespace

std::span<const Route> transfer_routes() noexcept { return routes; }

}  // namespace muster::api
