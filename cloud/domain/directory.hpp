// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/domain/entities.hpp"
#include "cloud/domain/store.hpp"

namespace muster::domain {

/// Who asks, as far as permissions care.
struct Caller {
  UserId user_id;
  OrganizationId organization_id;  ///< Nothing outside it and beneath is seen.
  RoleId role_id;
  PermissionSet limit{~std::uint64_t{0}};  ///< Of the API key or OAuth2 client that was used: never more than this, wherever.
};

/// A template as sessions use it: never changes once published.
struct PublishedTemplate : Template {
  static constexpr std::int16_t no_datastream = -1;
  std::array<std::int16_t, 256> datastream_by_pin;  ///< Index into `datastreams`, or no_datastream.
  /// No datastream at all: every virtual pin is accepted as STRING (prototyping).
  [[nodiscard]] bool accepts_every_pin() const noexcept { return datastreams.empty(); }
  [[nodiscard]] const Datastream* datastream(std::uint8_t pin) const noexcept {
    const auto index = datastream_by_pin[pin];
    return index < 0 ? nullptr : &datastreams[static_cast<std::size_t>(index)];
  }
};

struct DevicePlace {
  OrganizationId organization_id;
  TemplateId template_id;
  UserId owner_id;
};

/// The permission view: organization tree with ancestors, role values, users, templates, device -> place. In memory, kept by the
/// change feed, about 16-32 bytes a device; the one permission check reads it and never the store. Thread-safe: many readers, one writer.
class Directory {
 public:
  Directory();
  ~Directory();

  // --- the one permission check ------------------------------------------------------------------------------------------
  /// What `caller` may do in `organization`: empty when it is outside the caller's subtree; the values of the role for that
  /// organization, never more than the caller has at home, and only with ORG_SWITCH when it is not its own.
  /// docs/protocol/cloud-model.md section 4.
  [[nodiscard]] PermissionSet permissions_in(const Caller& caller, OrganizationId organization) const noexcept;
  /// What the role says for the organization, before any cap: its own values, else those of the nearest organization above it that has some.
  [[nodiscard]] PermissionSet role_values(RoleId role, OrganizationId organization) const noexcept;
  /// nullopt: unknown user or not active.
  [[nodiscard]] std::optional<Caller> caller(UserId user) const noexcept;
  [[nodiscard]] bool in_subtree(OrganizationId organization, OrganizationId root) const noexcept;
  /// What `caller` may do with `device`: see = false means answer 404, in the same time as for an unknown id.
  struct DeviceAccess {
    bool see = false, control = false, edit = false, remove = false;
    PermissionSet permissions;
    DevicePlace place;
  };
  [[nodiscard]] DeviceAccess device_access(const Caller& caller, DeviceId device) const noexcept;

  // --- look-up -------------------------------------------------------------------------------------------------------------
  [[nodiscard]] std::optional<DevicePlace> device(DeviceId device) const noexcept;
  [[nodiscard]] std::optional<Organization> organization(OrganizationId id) const;
  [[nodiscard]] std::vector<OrganizationId> subtree(OrganizationId root) const;  ///< Root first.
  [[nodiscard]] std::optional<User> user(UserId id) const;
  /// Shared because sessions on other threads hold on to it while an edit replaces it; a Template never changes once published.
  [[nodiscard]] std::shared_ptr<const PublishedTemplate> find_template(TemplateId id) const noexcept;
  /// Grows with every template change: a session that cached one asks again only when this has moved.
  [[nodiscard]] std::uint64_t template_generation() const noexcept;
  [[nodiscard]] std::optional<TemplateId> template_by_tmpl(std::string_view tmpl_id) const noexcept;
  [[nodiscard]] std::vector<std::shared_ptr<const PublishedTemplate>> templates_of(
      OrganizationId organization) const;  ///< Its own and its ancestors'.
  /// The device's home, else that of its organization or nearest ancestor; nullopt = here. No allocation when there is none.
  [[nodiscard]] std::optional<Home> home_of(DeviceId device) const;

  // --- kept by the follower -------------------------------------------------------------------------------------------------
  void put_organization(const Organization& organization);
  void remove_organization(OrganizationId id);
  void put_user(const User& user);
  void remove_user(UserId id);
  void put_role(const Role& role);
  void keep_only_roles(const std::vector<Role>& roles);  ///< Puts these; every other role is gone.
  void put_template(Template value);
  void remove_template(TemplateId id);
  void put_device(const DeviceRow& row);
  void remove_device(DeviceId id);
  void put_device_home(DeviceId id, const Home& home);  ///< Empty host: removes it.
  void swap(Directory& other) noexcept;
  void reserve_devices(std::size_t count);

  /// Every device, under the read lock: `each` must not call back.
  void for_each_device(const std::function<void(DeviceId, const DevicePlace&)>& each) const;
  [[nodiscard]] std::size_t device_count() const noexcept;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;  ///< Of the device part.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::domain
