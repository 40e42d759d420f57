// SPDX-License-Identifier: Apache-2.0
#include "cloud/protocol/testing/memory_store.hpp"

#include <algorithm>
#include <set>

namespace muster::protocol::testing {

using domain::Actor;
using domain::ChangeKind;
using domain::Device;
using domain::DomainError;
using domain::Organization;
using domain::StoreError;
using domain::Template;
using domain::TokenKind;
using domain::TokenRecord;

#define MUSTER_ENTER(operation) \
  if (const Error refused = enter(operation)) return refused

MemoryStore::MemoryStore() {
  Organization root;
  root.id = OrganizationId{next_id_++};
  root.name = "Root";
  root.type = domain::OrganizationType::root;
  organizations_.emplace(root.id.value(), root);
}

Error MemoryStore::enter(std::string_view operation) {
  ++calls.try_emplace(std::string{operation}).first->second;
  return before ? before(operation) : Error{};
}

void MemoryStore::changed(ChangeKind kind, std::int64_t id) { changes_.push_back({++newest_change_, kind, id}); }

void MemoryStore::audited(std::string action, std::int64_t object, const Actor& actor) {
  domain::AuditEntry entry;
  entry.id = AuditId{static_cast<std::int64_t>(audit_entries.size()) + 1};
  entry.at = actor.at;
  entry.actor_user_id = actor.user_id;
  entry.client = actor.client;
  entry.ip = actor.ip;
  entry.organization_id = actor.organization_id;
  entry.action = std::move(action);
  entry.object_id = object;
  audit_entries.push_back(std::move(entry));
}

Organization MemoryStore::add_organization(std::string name, std::string time_zone) {
  Organization value;
  value.parent_id = OrganizationId{1};
  value.name = std::move(name);
  value.time_zone = std::move(time_zone);
  return create_organization(value, {}).value();
}
void MemoryStore::put_organization(const Organization& value) {
  organizations_[value.id.value()] = value;
  changed(ChangeKind::organization, value.id.value());
}
Template MemoryStore::add_template(Template value) {
  if (!value.organization_id) value.organization_id = OrganizationId{1};
  return create_template(value, {}).value();
}
Device MemoryStore::add_device(const Device& device, const TokenDigests& digests) {
  return create_device(device, {digests.newest(), digests.all(), {}}, {}).value();
}
std::vector<TokenRecord> MemoryStore::all_tokens() const {
  std::vector<TokenRecord> out;
  for (const auto& [id, token] : tokens_) out.push_back(token.record);
  return out;
}

Result<void> MemoryStore::check() {
  MUSTER_ENTER("check");
  return {};
}
Result<domain::UnknownTokens> MemoryStore::unknown_tokens() {
  MUSTER_ENTER("unknown_tokens");
  return mode;
}
Result<void> MemoryStore::set_unknown_tokens(domain::UnknownTokens value, const Actor& actor) {
  MUSTER_ENTER("set_unknown_tokens");
  mode = value;
  changed(ChangeKind::settings, 0);
  audited("settings.unknown_tokens", 0, actor);
  return {};
}

Result<std::int64_t> MemoryStore::newest_change() {
  MUSTER_ENTER("newest_change");
  return newest_change_;
}
Result<domain::Store::Changes> MemoryStore::changes_after(std::int64_t after, std::size_t limit) {
  MUSTER_ENTER("changes_after");
  Changes out;
  if (after < trimmed_up_to_) {
    out.too_far_behind = true;
    return out;
  }
  for (const domain::Change& change : changes_) {
    if (change.seq > after && out.rows.size() < limit) out.rows.push_back(change);
  }
  return out;
}
Result<void> MemoryStore::trim_changes(std::int64_t up_to) {
  MUSTER_ENTER("trim_changes");
  std::erase_if(changes_, [&](const domain::Change& change) { return change.seq <= up_to; });
  trimmed_up_to_ = std::max(trimmed_up_to_, up_to);
  return {};
}

Result<void> MemoryStore::for_each_live_token(const std::function<void(const TokenRecord&)>& each) {
  MUSTER_ENTER("for_each_live_token");
  for (const auto& [id, token] : tokens_) {
    if (token.record.kind != TokenKind::revoked) each(token.record);
  }
  return {};
}
Result<void> MemoryStore::for_each_device(const std::function<void(const domain::DeviceRow&)>& each) {
  MUSTER_ENTER("for_each_device");
  for (const auto& [id, device] : devices_) each({device.id, device.organization_id, device.template_id, device.owner_id});
  return {};
}
Result<void> MemoryStore::for_each_seen_ip(const std::function<void(std::string_view)>& each) {
  MUSTER_ENTER("for_each_seen_ip");
  std::set<std::string> seen;
  for (const auto& [id, device] : devices_) {
    if (!device.last_ip.empty() && seen.insert(device.last_ip).second) each(device.last_ip);
  }
  return {};
}
Result<void> MemoryStore::for_each_recent_session(UtcTime since, const std::function<void(DeviceId, UtcTime)>& each) {
  MUSTER_ENTER("for_each_recent_session");
  for (const auto& [id, device] : devices_) {
    const bool unseen = device.connect_time > device.disconnect_time;
    if (unseen || device.disconnect_time > since) each(device.id, unseen ? UtcTime{} : device.disconnect_time);
  }
  return {};
}
Result<void> MemoryStore::for_each_device_home(const std::function<void(DeviceId, const domain::Home&)>& each) {
  MUSTER_ENTER("for_each_device_home");
  for (const auto& [id, device] : devices_) {
    if (!device.home.host.empty()) each(device.id, device.home);
  }
  return {};
}

Result<bool> MemoryStore::has_administrator() { return StoreError::read_only; }
Result<domain::Store::FirstAdministrator> MemoryStore::set_up(std::string_view, std::string_view, std::string_view, const Actor&) {
  return StoreError::read_only;
}
Result<UserId> MemoryStore::recover_administrator(std::string_view, std::string_view, const Actor&) { return StoreError::read_only; }

Result<Organization> MemoryStore::create_organization(const Organization& organization, const Actor& actor) {
  MUSTER_ENTER("create_organization");
  if (!organizations_.contains(organization.parent_id.value())) return DomainError::not_found;
  Organization row = organization;
  row.id = OrganizationId{next_id_++};
  organizations_.emplace(row.id.value(), row);
  changed(ChangeKind::organization, row.id.value());
  audited("organization.create", row.id.value(), actor);
  return row;
}
Result<Organization> MemoryStore::update_organization(OrganizationId id, const domain::OrganizationChange& change, const Actor& actor) {
  MUSTER_ENTER("update_organization");
  const auto found = organizations_.find(id.value());
  if (found == organizations_.end()) return DomainError::not_found;
  if (change.name) found->second.name = *change.name;
  if (change.description) found->second.description = *change.description;
  if (change.time_zone) found->second.time_zone = *change.time_zone;
  if (change.home) found->second.home = *change.home;
  changed(ChangeKind::organization, id.value());
  audited("organization.update", id.value(), actor);
  return found->second;
}
Result<void> MemoryStore::delete_organization(OrganizationId, const Actor&) { return StoreError::read_only; }
Result<std::vector<Organization>> MemoryStore::organizations() {
  MUSTER_ENTER("organizations");
  std::vector<Organization> out;
  for (const auto& [id, row] : organizations_) out.push_back(row);
  return out;
}
Result<std::optional<Organization>> MemoryStore::find_organization(OrganizationId id) {
  MUSTER_ENTER("find_organization");
  const auto found = organizations_.find(id.value());
  return found == organizations_.end() ? std::nullopt : std::optional{found->second};
}

Result<domain::User> MemoryStore::create_user(const domain::User& user, std::string_view, const Actor& actor) {
  MUSTER_ENTER("create_user");
  domain::User row = user;
  row.id = UserId{next_id_++};
  users_.emplace(row.id.value(), row);
  changed(ChangeKind::user, row.id.value());
  audited("user.create", row.id.value(), actor);
  return row;
}
Result<domain::User> MemoryStore::update_user(UserId, const domain::UserChange&, const Actor&) { return StoreError::read_only; }
Result<void> MemoryStore::set_password(UserId, std::string_view, const std::optional<TokenDigest>&, const Actor&) {
  return StoreError::read_only;
}
Result<void> MemoryStore::delete_user(UserId, const Actor&) { return StoreError::read_only; }
Result<std::vector<domain::User>> MemoryStore::all_users() {
  MUSTER_ENTER("all_users");
  std::vector<domain::User> out;
  for (const auto& [id, row] : users_) out.push_back(row);
  return out;
}
Result<domain::PageOf<domain::User>> MemoryStore::users(OrganizationId, const domain::Page&) { return StoreError::read_only; }
Result<std::optional<domain::User>> MemoryStore::find_user(UserId id) {
  MUSTER_ENTER("find_user");
  const auto found = users_.find(id.value());
  return found == users_.end() ? std::nullopt : std::optional{found->second};
}
Result<std::optional<domain::Store::Credentials>> MemoryStore::find_credentials(std::string_view) { return StoreError::read_only; }
Result<std::vector<domain::Role>> MemoryStore::roles() {
  MUSTER_ENTER("roles");
  std::vector<domain::Role> out;
  for (const RoleId id : {domain::admin_role, domain::staff_role, domain::user_role}) {
    out.push_back({id, "Role " + std::to_string(id.value()), true, domain::builtin_role_permissions(id)});
  }
  return out;
}
Result<void> MemoryStore::create_access_token(UserId, const TokenDigest&, UtcTime, const Actor&) { return StoreError::read_only; }
Result<std::optional<domain::StoredAccessToken>> MemoryStore::find_access_token(std::span<const TokenDigest>) {
  return StoreError::read_only;
}
Result<void> MemoryStore::extend_access_token(std::span<const TokenDigest>, UtcTime) { return StoreError::read_only; }
Result<void> MemoryStore::delete_access_token(std::span<const TokenDigest>, const Actor&) { return StoreError::read_only; }

Result<void> MemoryStore::append_audit(const domain::AuditEntry& entry) {
  MUSTER_ENTER("append_audit");
  audit_entries.push_back(entry);
  return {};
}
Result<domain::PageOf<domain::AuditEntry>> MemoryStore::audit(const AuditFilter&, const domain::Page&) { return StoreError::read_only; }

Result<Template> MemoryStore::create_template(const Template& value, const Actor& actor) {
  MUSTER_ENTER("create_template");
  if (!organizations_.contains(value.organization_id.value())) return DomainError::not_found;
  Template row = value;
  row.id = TemplateId{next_id_++};
  templates_.emplace(row.id.value(), row);
  changed(ChangeKind::template_, row.id.value());
  audited("template.create", row.id.value(), actor);
  return row;
}
Result<Template> MemoryStore::update_template(const Template& value, std::uint32_t seen_version, const Actor& actor) {
  MUSTER_ENTER("update_template");
  const auto found = templates_.find(value.id.value());
  if (found == templates_.end()) return DomainError::not_found;
  if (found->second.version != seen_version) return DomainError::version_conflict;
  found->second = value;
  found->second.version = seen_version + 1;
  changed(ChangeKind::template_, value.id.value());
  audited("template.update", value.id.value(), actor);
  return found->second;
}
Result<void> MemoryStore::delete_template(TemplateId, bool, const Actor&) { return StoreError::read_only; }
Result<std::optional<Template>> MemoryStore::find_template(TemplateId id) {
  MUSTER_ENTER("find_template");
  const auto found = templates_.find(id.value());
  return found == templates_.end() ? std::nullopt : std::optional{found->second};
}
Result<std::vector<Template>> MemoryStore::templates() {
  MUSTER_ENTER("templates");
  std::vector<Template> out;
  for (const auto& [id, row] : templates_) out.push_back(row);
  return out;
}

bool MemoryStore::taken(const domain::NewToken& token) const {
  return token_by_mac_.contains(token.digest.mac) ||
         std::any_of(token.all_digests.begin(), token.all_digests.end(),
                     [&](const TokenDigest& digest) { return token_by_mac_.contains(digest.mac); });
}

void MemoryStore::insert_token(DeviceId device, const domain::NewToken& token, UtcTime at) {
  TokenRecord record;
  record.id = AuthTokenId{next_token_id_++};
  record.device_id = device;
  record.digest = token.digest;
  record.created_at = at;
  token_by_mac_.emplace(token.digest.mac, record.id.value());
  tokens_.emplace(record.id.value(), Token{record, token.sealed});
  changed(ChangeKind::token, record.id.value());
}

void MemoryStore::revoke_tokens(DeviceId device) {
  for (auto& [id, token] : tokens_) {
    if (token.record.device_id != device || token.record.kind == TokenKind::revoked) continue;
    token.record.kind = TokenKind::revoked;
    token.sealed.clear();
    changed(ChangeKind::token, id);
  }
}

Result<Device> MemoryStore::create_device(const Device& device, const domain::NewToken& token, const Actor& actor) {
  MUSTER_ENTER("create_device");
  if (!organizations_.contains(device.organization_id.value()) || !templates_.contains(device.template_id.value()))
    return DomainError::not_found;
  if (taken(token)) return DomainError::token_taken;
  Device row = device;
  row.id = DeviceId{next_id_++};
  row.created_at = actor.at;
  if (row.activated_at.ms == 0) row.activated_at = actor.at;
  devices_.emplace(row.id.value(), row);
  changed(ChangeKind::device, row.id.value());
  insert_token(row.id, token, actor.at);
  audited("device.create", row.id.value(), actor);
  return row;
}
Result<std::optional<Device>> MemoryStore::find_device(DeviceId id) {
  MUSTER_ENTER("find_device");
  const auto found = devices_.find(id.value());
  return found == devices_.end() ? std::nullopt : std::optional{found->second};
}
Result<domain::PageOf<Device>> MemoryStore::devices(const domain::DeviceFilter&, const domain::Page&) { return StoreError::read_only; }
Result<Device> MemoryStore::rename_device(DeviceId id, std::string_view name, const Actor& actor) {
  MUSTER_ENTER("rename_device");
  const auto found = devices_.find(id.value());
  if (found == devices_.end()) return DomainError::not_found;
  found->second.name = name;
  changed(ChangeKind::device, id.value());
  audited("device.rename", id.value(), actor);
  return found->second;
}
Result<void> MemoryStore::set_device_home(DeviceId id, const domain::Home& home, const Actor& actor) {
  MUSTER_ENTER("set_device_home");
  const auto found = devices_.find(id.value());
  if (found == devices_.end()) return DomainError::not_found;
  found->second.home = home;
  changed(ChangeKind::device, id.value());
  audited("device.home", id.value(), actor);
  return {};
}
Result<void> MemoryStore::delete_device(DeviceId id, const Actor& actor) {
  MUSTER_ENTER("delete_device");
  if (devices_.erase(id.value()) == 0) return DomainError::not_found;
  metadata_.erase(id.value());
  values_.erase(id.value());
  revoke_tokens(id);
  changed(ChangeKind::device, id.value());
  audited("device.delete", id.value(), actor);
  return {};
}
Result<std::string> MemoryStore::reveal_token(DeviceId id, const Actor& actor) {
  MUSTER_ENTER("reveal_token");
  for (const auto& [token_id, token] : tokens_) {
    if (token.record.device_id != id || token.record.kind == TokenKind::revoked) continue;
    audited("device.token.reveal", id.value(), actor);
    return token.sealed;
  }
  return DomainError::not_found;
}
Result<void> MemoryStore::replace_token(DeviceId id, const domain::NewToken& token, const Actor& actor) {
  MUSTER_ENTER("replace_token");
  if (!devices_.contains(id.value())) return DomainError::not_found;
  if (taken(token)) return DomainError::token_taken;
  revoke_tokens(id);
  insert_token(id, token, actor.at);
  audited("device.token.replace", id.value(), actor);
  return {};
}
Result<std::optional<domain::FoundToken>> MemoryStore::find_token(std::span<const TokenDigest> digests) {
  MUSTER_ENTER("find_token");
  for (const TokenDigest& digest : digests) {
    const auto found = token_by_mac_.find(digest.mac);
    if (found != token_by_mac_.end()) return std::optional{domain::FoundToken{tokens_.at(found->second).record}};
  }
  return std::optional<domain::FoundToken>{};
}
Result<std::vector<TokenRecord>> MemoryStore::tokens_of_device(DeviceId id) {
  MUSTER_ENTER("tokens_of_device");
  std::vector<TokenRecord> out;
  for (const auto& [token_id, token] : tokens_) {
    if (token.record.device_id == id && token.record.kind != TokenKind::revoked) out.push_back(token.record);
  }
  return out;
}
Result<std::optional<TokenRecord>> MemoryStore::find_token_by_id(AuthTokenId id) {
  MUSTER_ENTER("find_token_by_id");
  const auto found = tokens_.find(id.value());
  return found == tokens_.end() ? std::nullopt : std::optional{found->second.record};
}

Result<std::optional<std::string>> MemoryStore::device_metadata(DeviceId id, std::string_view field) {
  MUSTER_ENTER("device_metadata");
  const auto device = metadata_.find(id.value());
  if (device == metadata_.end()) return std::optional<std::string>{};
  const auto found = device->second.find(field);
  return found == device->second.end() ? std::nullopt : std::optional{found->second};
}
Result<void> MemoryStore::set_device_metadata(DeviceId id, std::string_view field, std::string_view value, const Actor& actor) {
  MUSTER_ENTER("set_device_metadata");
  if (!devices_.contains(id.value())) return DomainError::not_found;
  metadata_[id.value()].insert_or_assign(std::string{field}, std::string{value});
  audited("device.metadata", id.value(), actor);
  return {};
}
Result<std::vector<domain::Store::MetadataValue>> MemoryStore::all_device_metadata(DeviceId id) {
  MUSTER_ENTER("all_device_metadata");
  std::vector<MetadataValue> out;
  for (const auto& [field, value] : metadata_[id.value()]) out.push_back({field, value});
  return out;
}

Result<void> MemoryStore::write_presence(std::span<const domain::PresenceUpdate> batch) {
  MUSTER_ENTER("write_presence");
  for (const domain::PresenceUpdate& update : batch) {
    const auto found = devices_.find(update.device_id.value());
    if (found == devices_.end()) continue;
    Device& device = found->second;
    if (update.connected_at) {
      device.connect_time = *update.connected_at;
      if (device.first_connect_time.ms == 0) device.first_connect_time = *update.connected_at;
    }
    if (update.disconnected_at) device.disconnect_time = *update.disconnected_at;
    if (update.reported_at) device.last_reported_at = *update.reported_at;
    if (update.ip) device.last_ip = *update.ip;
    if (update.plain_text_link) device.plain_text_link = *update.plain_text_link;
    if (update.hardware) device.hardware = *update.hardware;
  }
  return {};
}
Result<void> MemoryStore::write_values(std::span<const domain::ValueUpdate> batch) {
  MUSTER_ENTER("write_values");
  for (const domain::ValueUpdate& update : batch) {
    if (devices_.contains(update.device_id.value())) values_[update.device_id.value()].insert_or_assign(update.value.pin, update.value);
  }
  return {};
}
Result<std::vector<domain::PinValue>> MemoryStore::values_of(DeviceId id) {
  MUSTER_ENTER("values_of");
  std::vector<domain::PinValue> out;
  if (const auto device = values_.find(id.value()); device != values_.end()) {
    for (const auto& [pin, value] : device->second) out.push_back(value);
  }
  return out;
}

Result<std::vector<domain::TokenToRotate>> MemoryStore::tokens_to_rotate(std::uint16_t, std::size_t) { return StoreError::read_only; }
Result<void> MemoryStore::rotate_tokens(std::span<const domain::RotatedToken>) { return StoreError::read_only; }
Result<std::vector<domain::SealedToken>> MemoryStore::sealed_tokens(std::uint16_t, std::size_t) { return StoreError::read_only; }
Result<std::vector<std::uint16_t>> MemoryStore::key_ids_in_use() { return StoreError::read_only; }

}  // namespace muster::protocol::testing
