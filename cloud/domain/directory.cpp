// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/directory.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

namespace muster::domain {

namespace {

/// Longer chains of parents can only come from a damaged store; they are cut, and what hangs below is in nobody's subtree.
constexpr std::size_t depth_max = 16;

struct Node {
  Organization organization;
  std::vector<OrganizationId> path;  ///< From the topmost ancestor down to itself.
};

/// Rows by device id: pages of 256, made when first used and dropped when empty, because ids are handed out in order.
class DeviceTable {
 public:
  [[nodiscard]] const DevicePlace* find(DeviceId id) const noexcept {
    const Page* const page = page_of(id);
    if (page == nullptr) return nullptr;
    const DevicePlace& place = page->places[static_cast<std::uint32_t>(id.value()) % page_size];
    return place.organization_id ? &place : nullptr;
  }
  void put(DeviceId id, const DevicePlace& place) {
    if (id.value() <= 0 || !place.organization_id) return;
    const auto index = static_cast<std::uint32_t>(id.value()) / page_size;
    if (index >= pages_.size()) pages_.resize(index + 1);
    auto& page = pages_[index];
    if (!page) {
      page = std::make_unique<Page>();
      ++page_count_;
    }
    DevicePlace& present = page->places[static_cast<std::uint32_t>(id.value()) % page_size];
    if (!present.organization_id) {
      ++page->used;
      ++size_;
    }
    present = place;
  }
  void remove(DeviceId id) noexcept {
    if (find(id) == nullptr) return;
    const auto index = static_cast<std::uint32_t>(id.value()) / page_size;
    pages_[index]->places[static_cast<std::uint32_t>(id.value()) % page_size] = {};
    --size_;
    if (--pages_[index]->used == 0) {
      pages_[index].reset();
      --page_count_;
    }
  }
  template <class Each>
  void for_each(Each each) const {
    for (std::size_t index = 0; index < pages_.size(); ++index) {
      if (!pages_[index]) continue;
      for (std::size_t i = 0; i < page_size; ++i) {
        if (pages_[index]->places[i].organization_id)
          each(DeviceId{static_cast<std::int32_t>(index * page_size + i)}, pages_[index]->places[i]);
      }
    }
  }
  void reserve(std::size_t count) { pages_.reserve(count / page_size + 1); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t memory_bytes() const noexcept { return pages_.capacity() * sizeof(pages_[0]) + page_count_ * sizeof(Page); }

 private:
  static constexpr std::uint32_t page_size = 256;
  struct Page {
    std::array<DevicePlace, page_size> places{};
    std::uint32_t used = 0;
  };
  [[nodiscard]] const Page* page_of(DeviceId id) const noexcept {
    const auto index = static_cast<std::uint32_t>(id.value()) / page_size;
    return id.value() > 0 && index < pages_.size() ? pages_[index].get() : nullptr;
  }

  std::vector<std::unique_ptr<Page>> pages_;
  std::size_t size_ = 0, page_count_ = 0;
};
static_assert(sizeof(DevicePlace) == 16);

/// A role as the check reads it.
struct RoleEverywhere {
  struct Values {
    PermissionSet here, beneath;
  };
  PermissionSet otherwise;
  std::unordered_map<OrganizationId, Values> by_organization;

  explicit RoleEverywhere(const Role& role = {}) : otherwise{role.permissions} {
    for (const auto& each : role.values) by_organization.emplace(each.organization_id, Values{each.here, each.beneath});
  }
};

struct Content {
  std::unordered_map<OrganizationId, Node> organizations;
  std::unordered_map<OrganizationId, std::vector<OrganizationId>> children;  ///< Also of parents that have not arrived yet.
  std::unordered_map<UserId, User> users;
  std::unordered_map<RoleId, RoleEverywhere> roles;
  std::unordered_map<TemplateId, std::shared_ptr<const PublishedTemplate>> templates;
  std::map<std::string, TemplateId, std::less<>> template_by_tmpl;
  std::unordered_map<DeviceId, Home> device_homes;
  std::size_t organizations_with_home = 0;
  DeviceTable devices;

  [[nodiscard]] const Node* node(OrganizationId id) const noexcept {
    const auto found = organizations.find(id);
    return found == organizations.end() ? nullptr : &found->second;
  }

  /// Computes the path of `id` and of everything beneath it anew. Beyond `levels` (a ring, or a chain too deep: only a damaged
  /// store has these) the path is left empty, and such an organization is in nobody's subtree, not even its own.
  void place_in_tree(OrganizationId id, std::size_t levels = depth_max) {
    const auto found = organizations.find(id);
    if (found == organizations.end()) return;
    Node& self = found->second;
    self.path.clear();
    const Node* const parent = node(self.organization.parent_id);
    const bool lost = levels == 0 || (parent != nullptr && (parent->path.empty() || parent->path.size() >= depth_max ||
                                                            std::find(parent->path.begin(), parent->path.end(), id) != parent->path.end()));
    if (!lost) {
      if (parent != nullptr) self.path = parent->path;
      self.path.push_back(id);
    }
    if (levels == 0) return;
    const auto beneath = children.find(id);
    if (beneath == children.end()) return;
    for (const auto child : beneath->second) place_in_tree(child, levels - 1);
  }

  void unlink(OrganizationId parent, OrganizationId child) {
    const auto siblings = children.find(parent);
    if (siblings == children.end()) return;
    std::erase(siblings->second, child);
    if (siblings->second.empty()) children.erase(siblings);
  }

  [[nodiscard]] bool in_subtree(OrganizationId organization, OrganizationId root) const noexcept {
    const Node* const self = node(organization);
    return self != nullptr && root && std::find(self->path.begin(), self->path.end(), root) != self->path.end();
  }

  /// Its own values, else those that the nearest ancestor with some hands down. Most servers have none, and walk nowhere.
  [[nodiscard]] PermissionSet role_values(RoleId role, const Node* organization) const noexcept {
    const auto found = roles.find(role);
    if (found == roles.end() || organization == nullptr) return {};
    const auto& by_organization = found->second.by_organization;
    if (by_organization.empty()) return found->second.otherwise;
    const auto& path = organization->path;
    for (auto each = path.rbegin(); each != path.rend(); ++each) {
      const auto values = by_organization.find(*each);
      if (values != by_organization.end()) return each == path.rbegin() ? values->second.here : values->second.beneath;
    }
    return found->second.otherwise;
  }

  /// The values of a role in an organization, under the cap of a personal one.
  [[nodiscard]] PermissionSet role_values(RoleId role, const Node* organization, bool capped) const noexcept {
    PermissionSet values = role_values(role, organization);
    if (capped && organization != nullptr && organization->organization.type == OrganizationType::personal)
      values = values.intersect(personal_admin_cap());
    return values;
  }

  /// Looks everything up, whatever the answer will be: unknown and foreign ids must take the same time.
  [[nodiscard]] PermissionSet permissions_in(const Caller& caller, OrganizationId organization) const noexcept {
    const Node* const home = node(caller.organization_id);
    const PermissionSet at_home = role_values(caller.role_id, home, true).intersect(caller.limit);
    const Node* const there = node(organization);
    // The cap binds those whose home is personal; it reaches below by the intersection.
    const PermissionSet values = role_values(caller.role_id, there, false).intersect(at_home);
    const bool beneath = in_subtree(organization, caller.organization_id);
    if (organization == caller.organization_id) return at_home;
    return beneath && at_home.has(Permission::org_switch) ? values : PermissionSet{};
  }

  void forget_tmpl_ids(const Template& value) {
    for (const auto& tmpl : value.tmpl_ids) {
      const auto found = template_by_tmpl.find(tmpl);
      if (found != template_by_tmpl.end() && found->second == value.id) template_by_tmpl.erase(found);
    }
  }
};

std::shared_ptr<const PublishedTemplate> publish(Template&& value) {
  auto published = std::make_shared<PublishedTemplate>();
  static_cast<Template&>(*published) = std::move(value);
  published->datastream_by_pin.fill(PublishedTemplate::no_datastream);
  for (std::size_t i = 0; i < published->datastreams.size(); ++i) {
    published->datastream_by_pin[published->datastreams[i].pin] = static_cast<std::int16_t>(i);
  }
  return published;
}

}  // namespace

struct Directory::Impl {
  mutable std::shared_mutex mutex;
  Content content;
  std::atomic<std::uint64_t> template_generation{1};
  std::atomic<bool> has_homes{false};  ///< Nearly no server has any: logins then need no lock.

  void note_homes() noexcept {
    has_homes.store(content.organizations_with_home != 0 || !content.device_homes.empty(), std::memory_order_release);
  }
};

Directory::Directory() : impl_{std::make_unique<Impl>()} {}
Directory::~Directory() = default;

// --- the permission check -----------------------------------------------------------------------------------------------------

PermissionSet Directory::permissions_in(const Caller& caller, OrganizationId organization) const noexcept {
  const std::shared_lock lock{impl_->mutex};
  return impl_->content.permissions_in(caller, organization);
}

PermissionSet Directory::role_values(RoleId role, OrganizationId organization) const noexcept {
  const std::shared_lock lock{impl_->mutex};
  return impl_->content.role_values(role, impl_->content.node(organization));
}

std::optional<Caller> Directory::caller(UserId user) const noexcept {
  const std::shared_lock lock{impl_->mutex};
  const auto found = impl_->content.users.find(user);
  if (found == impl_->content.users.end() || found->second.status != UserStatus::active) return std::nullopt;
  return Caller{user, found->second.organization_id, found->second.role_id};
}

bool Directory::in_subtree(OrganizationId organization, OrganizationId root) const noexcept {
  const std::shared_lock lock{impl_->mutex};
  return impl_->content.in_subtree(organization, root);
}

Directory::DeviceAccess Directory::device_access(const Caller& caller, DeviceId device) const noexcept {
  const std::shared_lock lock{impl_->mutex};
  const Content& content = impl_->content;
  const DevicePlace* const place = content.devices.find(device);
  // An unknown device stands in the caller's own organization until the end, so that the same work is done for it.
  const DevicePlace assumed = place != nullptr ? *place : DevicePlace{caller.organization_id, {}, {}};
  DeviceAccess access;
  access.permissions = content.permissions_in(caller, assumed.organization_id);
  const bool owns = caller.user_id && assumed.owner_id == caller.user_id;
  const auto may = [&](Permission any, Permission own) { return access.permissions.has(any) || (owns && access.permissions.has(own)); };
  access.see = place != nullptr && may(Permission::org_devices_view, Permission::own_devices_view);
  access.control = access.see && may(Permission::org_devices_control, Permission::own_devices_control);
  access.edit = access.see && may(Permission::org_devices_edit, Permission::own_devices_edit);
  access.remove = access.see && may(Permission::org_devices_delete, Permission::own_devices_delete);
  if (!access.see) return {};
  access.place = assumed;
  return access;
}

// --- look-up --------------------------------------------------------------------------------------------------------------------

std::optional<DevicePlace> Directory::device(DeviceId device) const noexcept {
  const std::shared_lock lock{impl_->mutex};
  const DevicePlace* const place = impl_->content.devices.find(device);
  return place == nullptr ? std::nullopt : std::optional{*place};
}

std::optional<Organization> Directory::organization(OrganizationId id) const {
  const std::shared_lock lock{impl_->mutex};
  const Node* const found = impl_->content.node(id);
  return found == nullptr ? std::nullopt : std::optional{found->organization};
}

std::vector<OrganizationId> Directory::subtree(OrganizationId root) const {
  const std::shared_lock lock{impl_->mutex};
  std::vector<OrganizationId> found;
  if (impl_->content.node(root) == nullptr) return found;
  found.push_back(root);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto beneath = impl_->content.children.find(found[i]);
    if (beneath == impl_->content.children.end()) continue;
    for (const auto child : beneath->second) {
      if (impl_->content.in_subtree(child, root)) found.push_back(child);
    }
  }
  return found;
}

std::optional<User> Directory::user(UserId id) const {
  const std::shared_lock lock{impl_->mutex};
  const auto found = impl_->content.users.find(id);
  return found == impl_->content.users.end() ? std::nullopt : std::optional{found->second};
}

std::shared_ptr<const PublishedTemplate> Directory::find_template(TemplateId id) const noexcept {
  const std::shared_lock lock{impl_->mutex};
  const auto found = impl_->content.templates.find(id);
  return found == impl_->content.templates.end() ? nullptr : found->second;
}

std::uint64_t Directory::template_generation() const noexcept { return impl_->template_generation.load(std::memory_order_acquire); }

std::optional<TemplateId> Directory::template_by_tmpl(std::string_view tmpl_id) const noexcept {
  const std::shared_lock lock{impl_->mutex};
  const auto found = impl_->content.template_by_tmpl.find(tmpl_id);
  return found == impl_->content.template_by_tmpl.end() ? std::nullopt : std::optional{found->second};
}

std::vector<std::shared_ptr<const PublishedTemplate>> Directory::templates_of(OrganizationId organization) const {
  const std::shared_lock lock{impl_->mutex};
  std::vector<std::shared_ptr<const PublishedTemplate>> found;
  const Node* const self = impl_->content.node(organization);
  if (self == nullptr) return found;
  const auto level = [&](const auto& published) {
    return std::find(self->path.begin(), self->path.end(), published->organization_id) - self->path.begin();
  };
  for (const auto& [id, published] : impl_->content.templates) {
    if (level(published) != static_cast<std::ptrdiff_t>(self->path.size())) found.push_back(published);
  }
  // Its own first, then those of the nearest ancestor; by id within one organization.
  std::sort(found.begin(), found.end(),
            [&](const auto& a, const auto& b) { return std::pair{-level(a), a->id} < std::pair{-level(b), b->id}; });
  return found;
}

std::optional<Home> Directory::home_of(DeviceId device) const {
  if (!impl_->has_homes.load(std::memory_order_acquire)) return std::nullopt;
  const std::shared_lock lock{impl_->mutex};
  const Content& content = impl_->content;
  if (const auto own = content.device_homes.find(device); own != content.device_homes.end()) return own->second;
  const DevicePlace* const place = content.devices.find(device);
  const Node* const self = place == nullptr ? nullptr : content.node(place->organization_id);
  if (self == nullptr) return std::nullopt;
  for (auto ancestor = self->path.rbegin(); ancestor != self->path.rend(); ++ancestor) {
    const Node* const node = content.node(*ancestor);
    if (node != nullptr && !node->organization.home.host.empty()) return node->organization.home;
  }
  return std::nullopt;
}

// --- kept by the follower ----------------------------------------------------------------------------------------------------------

void Directory::put_organization(const Organization& organization) {
  const std::unique_lock lock{impl_->mutex};
  Content& content = impl_->content;
  const auto [found, is_new] = content.organizations.try_emplace(organization.id);
  Organization& present = found->second.organization;
  const bool moved = is_new || present.parent_id != organization.parent_id;
  if (moved && !is_new) content.unlink(present.parent_id, organization.id);
  if (!is_new && !present.home.host.empty()) --content.organizations_with_home;
  if (!organization.home.host.empty()) ++content.organizations_with_home;
  present = organization;
  if (moved) {
    content.children[organization.parent_id].push_back(organization.id);
    content.place_in_tree(organization.id);
  }
  impl_->note_homes();
}

void Directory::remove_organization(OrganizationId id) {
  const std::unique_lock lock{impl_->mutex};
  Content& content = impl_->content;
  const auto found = content.organizations.find(id);
  if (found == content.organizations.end()) return;
  if (!found->second.organization.home.host.empty()) --content.organizations_with_home;
  content.unlink(found->second.organization.parent_id, id);
  content.organizations.erase(found);
  if (const auto orphans = content.children.find(id); orphans != content.children.end()) {
    for (const auto child : orphans->second) content.place_in_tree(child);
  }
  impl_->note_homes();
}

void Directory::put_user(const User& user) {
  const std::unique_lock lock{impl_->mutex};
  impl_->content.users.insert_or_assign(user.id, user);
}

void Directory::remove_user(UserId id) {
  const std::unique_lock lock{impl_->mutex};
  impl_->content.users.erase(id);
}

void Directory::put_role(const Role& role) {
  const std::unique_lock lock{impl_->mutex};
  impl_->content.roles.insert_or_assign(role.id, RoleEverywhere{role});
}

void Directory::keep_only_roles(const std::vector<Role>& roles) {
  const std::unique_lock lock{impl_->mutex};
  impl_->content.roles.clear();
  for (const auto& role : roles) impl_->content.roles.insert_or_assign(role.id, RoleEverywhere{role});
}

void Directory::put_template(Template value) {
  const auto published = publish(std::move(value));
  const std::unique_lock lock{impl_->mutex};
  Content& content = impl_->content;
  auto& present = content.templates[published->id];
  if (present) content.forget_tmpl_ids(*present);
  present = published;
  for (const auto& tmpl : published->tmpl_ids) content.template_by_tmpl.insert_or_assign(tmpl, published->id);
  impl_->template_generation.fetch_add(1, std::memory_order_release);
}

void Directory::remove_template(TemplateId id) {
  const std::unique_lock lock{impl_->mutex};
  Content& content = impl_->content;
  const auto found = content.templates.find(id);
  if (found == content.templates.end()) return;
  content.forget_tmpl_ids(*found->second);
  content.templates.erase(found);
  impl_->template_generation.fetch_add(1, std::memory_order_release);
}

void Directory::put_device(const DeviceRow& row) {
  const std::unique_lock lock{impl_->mutex};
  impl_->content.devices.put(row.id, {row.organization_id, row.template_id, row.owner_id});
}

void Directory::remove_device(DeviceId id) {
  const std::unique_lock lock{impl_->mutex};
  impl_->content.devices.remove(id);
  impl_->content.device_homes.erase(id);
  impl_->note_homes();
}

void Directory::put_device_home(DeviceId id, const Home& home) {
  const std::unique_lock lock{impl_->mutex};
  if (home.host.empty()) {
    impl_->content.device_homes.erase(id);
  } else {
    impl_->content.device_homes.insert_or_assign(id, home);
  }
  impl_->note_homes();
}

void Directory::swap(Directory& other) noexcept {
  if (this == &other) return;
  const std::scoped_lock lock{impl_->mutex, other.impl_->mutex};
  std::swap(impl_->content, other.impl_->content);
  // Both move past what anybody has seen, so that every session asks again.
  const auto newest = std::max(impl_->template_generation.load(), other.impl_->template_generation.load()) + 1;
  impl_->template_generation.store(newest, std::memory_order_release);
  other.impl_->template_generation.store(newest, std::memory_order_release);
  impl_->note_homes();
  other.impl_->note_homes();
}

void Directory::reserve_devices(std::size_t count) {
  const std::unique_lock lock{impl_->mutex};
  impl_->content.devices.reserve(count);
}

void Directory::for_each_device(const std::function<void(DeviceId, const DevicePlace&)>& each) const {
  const std::shared_lock lock{impl_->mutex};
  impl_->content.devices.for_each(each);
}

std::size_t Directory::device_count() const noexcept {
  const std::shared_lock lock{impl_->mutex};
  return impl_->content.devices.size();
}

std::size_t Directory::memory_bytes() const noexcept {
  const std::shared_lock lock{impl_->mutex};
  return impl_->content.devices.memory_bytes();
}

}  // namespace muster::domain
