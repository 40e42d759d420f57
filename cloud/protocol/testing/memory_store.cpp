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

// --- provisioning: what a gateway can make happen; supersede, quota and organizations are the contract's matter ----------------

using domain::ProvisionEvent;
using domain::ProvisionFailure;
using domain::ProvisionKind;
using domain::ProvisionSession;
using domain::ProvisionState;
using domain::TokenEvent;

void MemoryStore::move_token(AuthTokenId id, TokenEvent event, bool quiet) {
  const auto found = tokens_.find(id.value());
  if (found == tokens_.end()) return;
  const auto transition = domain::next(found->second.record.kind, event);
  if (!transition.allowed) return;
  found->second.record.kind = transition.next;
  found->second.record.is_quiet = quiet && transition.next == TokenKind::revoked;
  changed(ChangeKind::token, id.value());
}
void MemoryStore::move_other_tokens(DeviceId device, AuthTokenId but, TokenEvent event) {
  std::vector<AuthTokenId> all;
  for (const auto& [id, token] : tokens_) {
    if (token.record.device_id == device && token.record.id != but) all.push_back(token.record.id);
  }
  for (const AuthTokenId id : all) move_token(id, event);
}
Result<void> MemoryStore::move_session(Session& session, ProvisionEvent event, UtcTime at, std::string_view step,
                                       ProvisionFailure failure) {
  MUSTER_TRY(session.row.state, domain::after(session.row.state, event));
  session.row.updated_at = at;
  if (domain::is_ended(session.row.state)) session.row.ended_at = at;
  session.row.failure_code = static_cast<std::uint16_t>(failure);
  domain::ProvisionStep line;
  line.seq = static_cast<std::int64_t>(session.steps.size()) + 1;
  line.at = at;
  line.step = step;
  line.code = session.row.failure_code;
  session.steps.push_back(std::move(line));
  changed(ChangeKind::provision_session, session.row.id.value());
  return {};
}

Result<ProvisionSession> MemoryStore::create_provision_session(const domain::NewProvisionSession& given, const domain::NewToken& token,
                                                               const Actor& actor) {
  MUSTER_ENTER("create_provision_session");
  if (taken(token)) return DomainError::token_taken;
  Session session;
  session.row.id = ProvisionSessionId{next_session_id_++};
  session.row.organization_id = given.organization_id;
  session.row.owner_id = given.owner_id;
  session.row.created_by = actor.user_id;
  session.row.template_id = given.template_id;
  session.row.expires_at = given.expires_at;
  session.row.created_at = actor.at;
  if (given.device_id) {
    const auto device = devices_.find(given.device_id.value());
    if (device == devices_.end()) return DomainError::not_found;
    session.row.kind = ProvisionKind::reconfigure;
    session.row.state = ProvisionState::reprovisioning;
    session.row.device_id = given.device_id;
    session.row.organization_id = device->second.organization_id;
    session.row.template_id = device->second.template_id;
    for (const auto& [id, one] : tokens_) {
      if (one.record.device_id == given.device_id && one.record.kind == TokenKind::device) session.row.old_token_id = one.record.id;
    }
  } else {
    session.row.device_id = DeviceId{next_id_++};
  }
  insert_token(session.row.device_id, token, actor.at);
  session.row.token_id = AuthTokenId{next_token_id_ - 1};
  tokens_.at(session.row.token_id.value()).record.kind =
      session.row.kind == ProvisionKind::new_device ? TokenKind::provision : TokenKind::reprovision;
  changed(ChangeKind::provision_session, session.row.id.value());
  audited("provision.create", session.row.id.value(), actor);
  return sessions_.emplace(session.row.id.value(), session).first->second.row;
}
Result<std::optional<ProvisionSession>> MemoryStore::find_provision_session(ProvisionSessionId id) {
  MUSTER_ENTER("find_provision_session");
  const auto found = sessions_.find(id.value());
  return found == sessions_.end() ? std::nullopt : std::optional{found->second.row};
}
Result<std::vector<ProvisionSession>> MemoryStore::live_provision_sessions() {
  MUSTER_ENTER("live_provision_sessions");
  std::vector<ProvisionSession> out;
  for (const auto& [id, session] : sessions_) {
    if (!domain::is_ended(session.row.state)) out.push_back(session.row);
  }
  return out;
}
Result<domain::PageOf<ProvisionSession>> MemoryStore::provision_sessions(const domain::ProvisionSessionFilter&, const domain::Page&) {
  return StoreError::read_only;
}
Result<std::vector<domain::ProvisionStep>> MemoryStore::provision_steps(ProvisionSessionId id) {
  MUSTER_ENTER("provision_steps");
  const auto found = sessions_.find(id.value());
  return found == sessions_.end() ? std::vector<domain::ProvisionStep>{} : found->second.steps;
}
Result<void> MemoryStore::post_provision_step(ProvisionSessionId id, const domain::ProvisionStep& step) {
  MUSTER_ENTER("post_provision_step");
  const auto found = sessions_.find(id.value());
  if (found == sessions_.end()) return DomainError::not_found;
  found->second.steps.push_back(step);
  if (step.code != 0) found->second.row.failure_code = step.code;
  changed(ChangeKind::provision_session, id.value());
  return {};
}
Result<void> MemoryStore::note_provision_login(ProvisionSessionId id, UtcTime at, std::string_view) {
  MUSTER_ENTER("note_provision_login");
  const auto found = sessions_.find(id.value());
  if (found == sessions_.end()) return DomainError::not_found;
  return move_session(found->second, ProvisionEvent::login, at, "login");
}
Result<void> MemoryStore::note_first_value(ProvisionSessionId id, UtcTime at) {
  MUSTER_ENTER("note_first_value");
  const auto found = sessions_.find(id.value());
  if (found == sessions_.end()) return DomainError::not_found;
  if (found->second.row.first_value_at.ms != 0) return {};
  found->second.row.first_value_at = at;
  return move_session(found->second, ProvisionEvent::step_posted, at, "first_value");
}
Result<domain::InfoVerdict> MemoryStore::accept_info(ProvisionSessionId id, const domain::ReportedInfo& info, const Actor& actor) {
  MUSTER_ENTER("accept_info");
  const auto found = sessions_.find(id.value());
  if (found == sessions_.end()) return DomainError::not_found;
  Session& session = found->second;
  MUSTER_TRY_VOID(domain::after(session.row.state, ProvisionEvent::info_accepted));
  domain::InfoVerdict verdict;
  const bool is_new = session.row.kind == ProvisionKind::new_device;
  const bool again = !domain::is_open(session.row.state);
  TemplateId said;
  for (const auto& [template_id, one] : templates_) {
    if (std::find(one.tmpl_ids.begin(), one.tmpl_ids.end(), info.tmpl_id) != one.tmpl_ids.end()) said = one.id;
  }
  if (!said) verdict.failure = info.tmpl_id.empty() ? ProvisionFailure::info_missing : ProvisionFailure::template_unknown;
  if (said && session.row.template_id && said != session.row.template_id) verdict.failure = ProvisionFailure::template_differs;
  if (verdict.failure != ProvisionFailure::none) {
    if (!again) {
      const bool once_more = verdict.failure == ProvisionFailure::info_missing;
      MUSTER_TRY_VOID(move_session(session, once_more ? ProvisionEvent::login : ProvisionEvent::info_refused, info.at, "info_refused",
                                   verdict.failure));
      if (!once_more) move_token(session.row.token_id, TokenEvent::info_refused);
    }
    verdict.session = session.row;
    return verdict;
  }
  if (!again) {
    session.row.template_id = said;
    session.row.accepted_at = info.at;
    if (is_new) {
      Device row;
      row.id = session.row.device_id;
      row.organization_id = session.row.organization_id;
      row.template_id = said;
      row.owner_id = session.row.owner_id;
      row.activation_way = domain::ActivationWay::dynamic;
      row.activated_at = row.created_at = info.at;
      devices_.emplace(row.id.value(), row);
    } else {
      move_other_tokens(session.row.device_id, session.row.token_id, TokenEvent::successor_logged_in);
    }
    move_token(session.row.token_id, TokenEvent::info_accepted);
    MUSTER_TRY_VOID(move_session(session, ProvisionEvent::info_accepted, info.at, is_new ? "active" : "proving"));
    changed(ChangeKind::device, session.row.device_id.value());
    audited(is_new ? "device.create" : "device.reprovision", session.row.device_id.value(), actor);
  }
  verdict.session = session.row;
  verdict.device = devices_.at(session.row.device_id.value());
  return verdict;
}
Result<void> MemoryStore::finish_reprovision(ProvisionSessionId id, AuthTokenId held, const Actor& actor) {
  MUSTER_ENTER("finish_reprovision");
  const auto found = sessions_.find(id.value());
  if (found == sessions_.end()) return DomainError::not_found;
  Session& session = found->second;
  const bool proved = held == session.row.token_id;
  MUSTER_TRY_VOID(move_session(session, proved ? ProvisionEvent::proved : ProvisionEvent::fell_back, actor.at,
                               proved ? "proved" : "fell_back", proved ? ProvisionFailure::none : ProvisionFailure::expired));
  if (!proved) {
    move_token(session.row.token_id, TokenEvent::unproved, true);
    move_token(held, TokenEvent::successor_dropped);
  }
  move_other_tokens(session.row.device_id, held, TokenEvent::successor_proved);
  return {};
}
Result<void> MemoryStore::cancel_provision_session(ProvisionSessionId id, const Actor& actor) {
  MUSTER_ENTER("cancel_provision_session");
  const auto found = sessions_.find(id.value());
  if (found == sessions_.end()) return DomainError::not_found;
  MUSTER_TRY_VOID(move_session(found->second, ProvisionEvent::canceled, actor.at, "canceled", ProvisionFailure::canceled));
  move_token(found->second.row.token_id, TokenEvent::canceled, found->second.row.kind == ProvisionKind::reconfigure);
  return {};
}
Result<std::size_t> MemoryStore::expire_provision_sessions(UtcTime now, std::size_t limit) {
  MUSTER_ENTER("expire_provision_sessions");
  std::size_t ended = 0;
  for (auto& [id, session] : sessions_) {
    const bool due = session.row.state != ProvisionState::proving && !domain::is_ended(session.row.state) && session.row.expires_at <= now;
    if (!due || ended == limit) continue;
    const bool was_open = domain::is_open(session.row.state);
    MUSTER_TRY_VOID(move_session(session, ProvisionEvent::expired, now, "expired", ProvisionFailure::expired));
    if (was_open) move_token(session.row.token_id, TokenEvent::expired, session.row.kind == ProvisionKind::reconfigure);
    ++ended;
  }
  return ended;
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
