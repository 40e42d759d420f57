// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <utility>

#include "cloud/store/sqlite/store_events.hpp"
#include "cloud/store/sqlite/store_impl.hpp"

/// Devices that change hands, and devices that are emptied.
namespace muster::store {

using domain::Actor;
using domain::ChangeKind;
using domain::Device;
using domain::DomainError;
using domain::UserStatus;

namespace {

JsonText place(OrganizationId organization, UserId owner) {
  return JsonText{}.number("organizationId", organization.value()).number("ownerId", owner.value());
}

/// Whether devices of the template can live there.
Result<void> check_template(Connection& connection, TemplateId id, OrganizationId organization) {
  MUSTER_TRY(const auto owner, connection.number("SELECT organization_id FROM template WHERE id = ?1", id));
  if (!owner) return DomainError::not_found;
  MUSTER_TRY(const bool usable, is_at_or_above(connection, OrganizationId{static_cast<std::int32_t>(*owner)}, organization));
  return usable ? Result<void>{} : Result<void>{DomainError::template_not_in_organization};
}

Result<std::vector<DeviceId>> devices_of_owner(Connection& connection, UserId owner) {
  std::vector<DeviceId> all;
  MUSTER_TRY(Statement rows, connection.query("SELECT id FROM device WHERE owner_id = ?1 ORDER BY id", owner));
  for (;;) {
    MUSTER_TRY(const bool row, rows.step());
    if (!row) return all;
    all.push_back(rows.id<DeviceId>(0));
  }
}

}  // namespace

Result<void> place_device(Transaction& transaction, const Device& device, OrganizationId organization, UserId owner, const Actor& actor) {
  MUSTER_TRY_VOID(transaction->run("UPDATE device SET organization_id = ?2, owner_id = ?3, updated_at = ?4 WHERE id = ?1", device.id,
                                   organization, or_null(owner), transaction.at(actor)));
  // Who had it must not be able to bring in another device with a token that is still to come.
  MUSTER_TRY_VOID(end_waiting_reprovision(transaction, device.id, "device_transferred", actor));
  const std::string_view action =
      !owner && organization == device.organization_id ? std::string_view{"device.owner.remove"} : std::string_view{"device.transfer"};
  JsonText detail;
  detail.text("name", device.name)
      .object("before", place(device.organization_id, device.owner_id))
      .object("after", place(organization, owner));
  for (const OrganizationId each : {device.organization_id, organization}) {
    Actor there = actor;
    there.organization_id = each;
    MUSTER_TRY_VOID(transaction.audit(there, each, action, "device", device.id.value(), detail));
    if (organization == device.organization_id) break;
  }
  if (action == "device.transfer") {
    const UtcTime at = transaction.at(actor);
    MUSTER_TRY_VOID(add_system_line(transaction, device.id, organization, domain::timeline_code::transferred, at, actor.user_id));
    MUSTER_TRY_VOID(push_event(transaction, {.event = domain::Trigger::device_transferred, .at = at, .device_id = device.id}));
    // Whom it left is told, too.
    if (organization != device.organization_id) {
      MUSTER_TRY_VOID(push_event(
          transaction,
          {.event = domain::Trigger::device_transferred, .at = at, .organization_id = device.organization_id, .device_id = device.id}));
    }
  }
  return transaction.change(ChangeKind::device, device.id.value());
}

Result<void> move_devices_of_owner(Transaction& transaction, UserId owner, OrganizationId organization, const Actor& actor) {
  MUSTER_TRY(const auto ids, devices_of_owner(*transaction, owner));
  for (const DeviceId id : ids) {
    MUSTER_TRY(const auto device, load_device(*transaction, id));
    if (device->organization_id == organization) continue;
    MUSTER_TRY_VOID(check_template(*transaction, device->template_id, organization));
    MUSTER_TRY_VOID(check_device_limit(*transaction, organization, 1, device->organization_id));
    MUSTER_TRY_VOID(place_device(transaction, *device, organization, owner, actor));
  }
  return {};
}

Result<void> leave_devices_of_owner(Transaction& transaction, UserId owner, const Actor& actor) {
  MUSTER_TRY(const auto ids, devices_of_owner(*transaction, owner));
  for (const DeviceId id : ids) {
    MUSTER_TRY(const auto device, load_device(*transaction, id));
    MUSTER_TRY_VOID(place_device(transaction, *device, device->organization_id, {}, actor));
  }
  return {};
}

Result<Device> SqliteStore::transfer_device(DeviceId id, const domain::DeviceDestination& to, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Device> {
    MUSTER_TRY(const auto device, load_device(*transaction, id));
    if (!device) return DomainError::not_found;
    OrganizationId organization = to.organization;
    if (to.owner) {
      MUSTER_TRY(const auto owner, load_user(*transaction, to.owner));
      if (!owner) return DomainError::not_found;
      if (owner->status != UserStatus::active) return DomainError::not_active;
      if (!organization) organization = owner->organization_id;
      if (owner->organization_id != organization) return DomainError::owner_not_in_organization;
    }
    MUSTER_TRY(const bool there, transaction->exists("SELECT 1 FROM organization WHERE id = ?1", organization));
    if (!there) return DomainError::not_found;
    if (organization == device->organization_id && to.owner == device->owner_id) return DomainError::same_place;
    MUSTER_TRY_VOID(check_template(*transaction, device->template_id, organization));
    if (organization != device->organization_id)
      MUSTER_TRY_VOID(check_device_limit(*transaction, organization, 1, device->organization_id));
    MUSTER_TRY_VOID(place_device(transaction, *device, organization, to.owner, actor));
    MUSTER_TRY(const auto after, load_device(*transaction, id));
    return after.value();
  });
}

Result<Device> SqliteStore::remove_device_owner(DeviceId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<Device> {
    MUSTER_TRY(const auto device, load_device(*transaction, id));
    if (!device) return DomainError::not_found;
    if (!device->owner_id) return DomainError::same_place;
    MUSTER_TRY_VOID(place_device(transaction, *device, device->organization_id, {}, actor));
    MUSTER_TRY(const auto after, load_device(*transaction, id));
    return after.value();
  });
}

Result<void> SqliteStore::erase_device(DeviceId id, const Actor& actor) {
  return impl_->write([&](Transaction& transaction) -> Result<void> {
    MUSTER_TRY(const auto device, load_device(*transaction, id));
    if (!device) return DomainError::not_found;
    // What has been taken from the device and waits to be written is older than this.
    MUSTER_TRY_VOID(transaction->run("UPDATE device SET erased_at = ?2, updated_at = ?2 WHERE id = ?1", id, transaction.now()));
    MUSTER_TRY(const auto values, transaction->run("DELETE FROM device_value WHERE device_id = ?1", id));
    MUSTER_TRY_VOID(erase_timeline(transaction, id));
    MUSTER_TRY_VOID(transaction.audit(actor, device->organization_id, "device.erase", "device", id.value(),
                                      JsonText{}.text("name", device->name).number("values", values)));
    return transaction.change(ChangeKind::device, id.value());
  });
}

}  // namespace muster::store
