// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/faulty/faulty_store.hpp"

#include <algorithm>
#include <thread>

namespace muster::store {

// --- FaultScript ---------------------------------------------------------------------------------------------------------

void FaultScript::add(Rule rule) {
  std::lock_guard lock{mutex_};
  rules_.push_back(std::move(rule));
}

void FaultScript::down(Error error) { add({Rule::Kind::down, std::string{all}, error, 0, 0, {}}); }
void FaultScript::fail_sometimes(std::string_view operation, double probability, Error error) {
  add({Rule::Kind::sometimes, std::string{operation}, error, probability, 0, {}});
}
void FaultScript::fail_next(std::string_view operation, std::size_t count, Error error) {
  add({Rule::Kind::next, std::string{operation}, error, 0, count, {}});
}
void FaultScript::lose_next_answers(std::string_view operation, std::size_t count, Error error) {
  add({Rule::Kind::lost_answer, std::string{operation}, error, 0, count, {}});
}
void FaultScript::slow(std::string_view operation, std::chrono::milliseconds delay) {
  add({Rule::Kind::slow, std::string{operation}, {}, 0, 0, delay});
}
void FaultScript::hang(std::string_view operation) { add({Rule::Kind::hang, std::string{operation}, {}, 0, 0, {}}); }

void FaultScript::release() {
  {
    std::lock_guard lock{mutex_};
    std::erase_if(rules_, [](const Rule& rule) { return rule.kind == Rule::Kind::hang; });
    ++release_;
  }
  changed_.notify_all();
}

void FaultScript::clear() {
  {
    std::lock_guard lock{mutex_};
    rules_.clear();
    ++release_;
  }
  changed_.notify_all();
}

void FaultScript::set_sleep(std::function<void(std::chrono::milliseconds)> sleep) {
  std::lock_guard lock{mutex_};
  sleep_ = std::move(sleep);
}

std::size_t FaultScript::hanging() const {
  std::lock_guard lock{mutex_};
  return hanging_;
}

bool FaultScript::wait_until_hanging(std::size_t count, std::chrono::milliseconds limit) const {
  std::unique_lock lock{mutex_};
  return changed_.wait_for(lock, limit, [&] { return hanging_ >= count; });
}

std::uint64_t FaultScript::injected() const {
  std::lock_guard lock{mutex_};
  return injected_;
}

std::uint64_t FaultScript::calls(std::string_view operation) const {
  std::lock_guard lock{mutex_};
  std::uint64_t sum = 0;
  for (const auto& [name, count] : calls_) {
    if (operation == all || operation == name) sum += count;
  }
  return sum;
}

FaultScript::Verdict FaultScript::enter(std::string_view operation) {
  std::unique_lock lock{mutex_};
  const auto seen = std::find_if(calls_.begin(), calls_.end(), [&](const auto& entry) { return entry.first == operation; });
  seen == calls_.end() ? static_cast<void>(calls_.emplace_back(operation, 1)) : static_cast<void>(++seen->second);

  const auto meant = [&](const Rule& rule) { return rule.operation == all || rule.operation == operation; };
  std::chrono::milliseconds delay{0};
  bool hang = false;
  for (const Rule& rule : rules_) {
    if (!meant(rule)) continue;
    if (rule.kind == Rule::Kind::slow) delay += rule.delay;
    hang = hang || rule.kind == Rule::Kind::hang;
  }
  if (delay.count() > 0) {
    const auto sleep = sleep_;
    lock.unlock();
    if (sleep) {
      sleep(delay);
    } else {
      std::this_thread::sleep_for(delay);
    }
    lock.lock();
  }
  if (hang) {
    ++hanging_;
    changed_.notify_all();
    changed_.wait(lock, [&, before = release_] { return release_ != before; });
    --hanging_;
  }
  Verdict verdict;
  for (Rule& rule : rules_) {  // After the waiting: what was lifted meanwhile no longer holds.
    if (!meant(rule)) continue;
    switch (rule.kind) {
      case Rule::Kind::down: verdict.before = rule.error; break;
      case Rule::Kind::sometimes:
        if (static_cast<double>(random_.below(1'000'000)) < rule.probability * 1e6) verdict.before = rule.error;
        break;
      case Rule::Kind::next:
      case Rule::Kind::lost_answer:
        if (rule.count == 0) break;
        --rule.count;
        (rule.kind == Rule::Kind::next ? verdict.before : verdict.after) = rule.error;
        break;
      case Rule::Kind::slow:
      case Rule::Kind::hang: break;
    }
    if (verdict.before || verdict.after) {
      ++injected_;
      break;
    }
  }
  return verdict;
}

// --- FaultyStore ---------------------------------------------------------------------------------------------------------

template <class Work>
std::invoke_result_t<Work&> FaultyStore::with_faults(std::string_view operation, Work&& work) {
  const auto verdict = script.enter(operation);
  using Answer = std::invoke_result_t<Work&>;
  if (verdict.before) return Answer{boost::system::in_place_error, verdict.before};
  Answer answer = work();
  if (verdict.after) return Answer{boost::system::in_place_error, verdict.after};
  return answer;
}

Result<void> FaultyStore::check() {
  return with_faults("check", [&] { return below_.check(); });
}
Result<domain::UnknownTokens> FaultyStore::unknown_tokens() {
  return with_faults("unknown_tokens", [&] { return below_.unknown_tokens(); });
}
Result<void> FaultyStore::set_unknown_tokens(domain::UnknownTokens mode, const domain::Actor& actor) {
  return with_faults("set_unknown_tokens", [&] { return below_.set_unknown_tokens(mode, actor); });
}
Result<std::int64_t> FaultyStore::newest_change() {
  return with_faults("newest_change", [&] { return below_.newest_change(); });
}
Result<domain::Store::Changes> FaultyStore::changes_after(std::int64_t after, std::size_t limit) {
  return with_faults("changes_after", [&] { return below_.changes_after(after, limit); });
}
Result<void> FaultyStore::trim_changes(std::int64_t up_to) {
  return with_faults("trim_changes", [&] { return below_.trim_changes(up_to); });
}
Result<void> FaultyStore::for_each_live_token(const std::function<void(const domain::TokenRecord&)>& each) {
  return with_faults("for_each_live_token", [&] { return below_.for_each_live_token(each); });
}
Result<void> FaultyStore::for_each_device(const std::function<void(const domain::DeviceRow&)>& each) {
  return with_faults("for_each_device", [&] { return below_.for_each_device(each); });
}
Result<void> FaultyStore::for_each_seen_ip(const std::function<void(std::string_view ip)>& each) {
  return with_faults("for_each_seen_ip", [&] { return below_.for_each_seen_ip(each); });
}
Result<void> FaultyStore::for_each_recent_session(UtcTime since, const std::function<void(DeviceId, UtcTime)>& each) {
  return with_faults("for_each_recent_session", [&] { return below_.for_each_recent_session(since, each); });
}
Result<void> FaultyStore::for_each_device_home(const std::function<void(DeviceId, const domain::Home&)>& each) {
  return with_faults("for_each_device_home", [&] { return below_.for_each_device_home(each); });
}
Result<bool> FaultyStore::has_administrator() {
  return with_faults("has_administrator", [&] { return below_.has_administrator(); });
}
Result<domain::Store::FirstAdministrator> FaultyStore::set_up(std::string_view organization_name, std::string_view email,
                                                              std::string_view verifier, const domain::Actor& actor) {
  return with_faults("set_up", [&] { return below_.set_up(organization_name, email, verifier, actor); });
}
Result<UserId> FaultyStore::recover_administrator(std::string_view email, std::string_view verifier, const domain::Actor& actor) {
  return with_faults("recover_administrator", [&] { return below_.recover_administrator(email, verifier, actor); });
}
Result<domain::Organization> FaultyStore::create_organization(const domain::Organization& organization, const domain::Actor& actor) {
  return with_faults("create_organization", [&] { return below_.create_organization(organization, actor); });
}
Result<domain::Organization> FaultyStore::update_organization(OrganizationId id, const domain::OrganizationChange& change,
                                                              const domain::Actor& actor) {
  return with_faults("update_organization", [&] { return below_.update_organization(id, change, actor); });
}
Result<void> FaultyStore::delete_organization(OrganizationId id, const domain::Actor& actor) {
  return with_faults("delete_organization", [&] { return below_.delete_organization(id, actor); });
}
Result<std::vector<domain::Organization>> FaultyStore::organizations() {
  return with_faults("organizations", [&] { return below_.organizations(); });
}
Result<std::optional<domain::Organization>> FaultyStore::find_organization(OrganizationId id) {
  return with_faults("find_organization", [&] { return below_.find_organization(id); });
}
Result<domain::Role> FaultyStore::create_role(std::string_view name, domain::PermissionSet permissions, const domain::Actor& actor) {
  return with_faults("create_role", [&] { return below_.create_role(name, permissions, actor); });
}
Result<domain::Role> FaultyStore::rename_role(RoleId id, std::string_view name, const domain::Actor& actor) {
  return with_faults("rename_role", [&] { return below_.rename_role(id, name, actor); });
}
Result<domain::Role> FaultyStore::set_role_values(OrganizationId organization, RoleId id, domain::PermissionSet permissions,
                                                  bool sub_organizations, const domain::Actor& actor) {
  return with_faults("set_role_values", [&] { return below_.set_role_values(organization, id, permissions, sub_organizations, actor); });
}
Result<void> FaultyStore::delete_role(RoleId id, RoleId replacement, const domain::Actor& actor) {
  return with_faults("delete_role", [&] { return below_.delete_role(id, replacement, actor); });
}
Result<domain::Organization> FaultyStore::move_organization(OrganizationId id, OrganizationId parent, const domain::Actor& actor) {
  return with_faults("move_organization", [&] { return below_.move_organization(id, parent, actor); });
}
Result<domain::OrganizationUse> FaultyStore::organization_use(OrganizationId id) {
  return with_faults("organization_use", [&] { return below_.organization_use(id); });
}
Result<OrganizationId> FaultyStore::organization_of_group(domain::OrganizationGroup group, const domain::Actor& actor) {
  return with_faults("organization_of_group", [&] { return below_.organization_of_group(group, actor); });
}
Result<domain::Device> FaultyStore::transfer_device(DeviceId id, const domain::DeviceDestination& to, const domain::Actor& actor) {
  return with_faults("transfer_device", [&] { return below_.transfer_device(id, to, actor); });
}
Result<domain::Device> FaultyStore::remove_device_owner(DeviceId id, const domain::Actor& actor) {
  return with_faults("remove_device_owner", [&] { return below_.remove_device_owner(id, actor); });
}
Result<void> FaultyStore::erase_device(DeviceId id, const domain::Actor& actor) {
  return with_faults("erase_device", [&] { return below_.erase_device(id, actor); });
}
Result<domain::User> FaultyStore::create_user(const domain::User& user, std::string_view verifier, const domain::Actor& actor) {
  return with_faults("create_user", [&] { return below_.create_user(user, verifier, actor); });
}
Result<domain::User> FaultyStore::update_user(UserId id, const domain::UserChange& change, const domain::Actor& actor) {
  return with_faults("update_user", [&] { return below_.update_user(id, change, actor); });
}
Result<void> FaultyStore::set_password(UserId id, std::string_view verifier, const std::optional<TokenDigest>& keep,
                                       const domain::Actor& actor) {
  return with_faults("set_password", [&] { return below_.set_password(id, verifier, keep, actor); });
}
Result<void> FaultyStore::delete_user(UserId id, const domain::Actor& actor) {
  return with_faults("delete_user", [&] { return below_.delete_user(id, actor); });
}
Result<std::vector<domain::User>> FaultyStore::all_users() {
  return with_faults("all_users", [&] { return below_.all_users(); });
}
Result<domain::PageOf<domain::User>> FaultyStore::users(OrganizationId organization, const domain::Page& page) {
  return with_faults("users", [&] { return below_.users(organization, page); });
}
Result<std::optional<domain::User>> FaultyStore::find_user(UserId id) {
  return with_faults("find_user", [&] { return below_.find_user(id); });
}
Result<std::optional<domain::Store::Credentials>> FaultyStore::find_credentials(std::string_view email) {
  return with_faults("find_credentials", [&] { return below_.find_credentials(email); });
}
Result<std::vector<domain::Role>> FaultyStore::roles() {
  return with_faults("roles", [&] { return below_.roles(); });
}
Result<void> FaultyStore::create_access_token(UserId user, const TokenDigest& digest, UtcTime expires_at, const domain::Actor& actor) {
  return with_faults("create_access_token", [&] { return below_.create_access_token(user, digest, expires_at, actor); });
}
Result<std::optional<domain::StoredAccessToken>> FaultyStore::find_access_token(std::span<const TokenDigest> digests) {
  return with_faults("find_access_token", [&] { return below_.find_access_token(digests); });
}
Result<void> FaultyStore::extend_access_token(std::span<const TokenDigest> digests, UtcTime expires_at) {
  return with_faults("extend_access_token", [&] { return below_.extend_access_token(digests, expires_at); });
}
Result<void> FaultyStore::delete_access_token(std::span<const TokenDigest> digests, const domain::Actor& actor) {
  return with_faults("delete_access_token", [&] { return below_.delete_access_token(digests, actor); });
}
Result<void> FaultyStore::append_audit(const domain::AuditEntry& entry) {
  return with_faults("append_audit", [&] { return below_.append_audit(entry); });
}
Result<domain::PageOf<domain::AuditEntry>> FaultyStore::audit(const AuditFilter& filter, const domain::Page& page) {
  return with_faults("audit", [&] { return below_.audit(filter, page); });
}
Result<domain::AuditTip> FaultyStore::audit_tip() {
  return with_faults("audit_tip", [&] { return below_.audit_tip(); });
}
Result<void> FaultyStore::for_each_audit_link(const std::function<void(const domain::AuditLink&)>& each) {
  return with_faults("for_each_audit_link", [&] { return below_.for_each_audit_link(each); });
}
Result<std::int64_t> FaultyStore::audit_numbers_given() {
  return with_faults("audit_numbers_given", [&] { return below_.audit_numbers_given(); });
}
Result<domain::ApiKey> FaultyStore::create_api_key(const domain::ApiKey& key, const TokenDigest& secret, const domain::Actor& actor) {
  return with_faults("create_api_key", [&] { return below_.create_api_key(key, secret, actor); });
}
Result<std::vector<domain::ApiKey>> FaultyStore::api_keys(OrganizationId organization) {
  return with_faults("api_keys", [&] { return below_.api_keys(organization); });
}
Result<std::optional<domain::ApiKey>> FaultyStore::find_api_key(ApiKeyId id) {
  return with_faults("find_api_key", [&] { return below_.find_api_key(id); });
}
Result<std::optional<domain::ApiKey>> FaultyStore::find_api_key(std::span<const TokenDigest> digests) {
  return with_faults("find_api_key", [&] { return below_.find_api_key(digests); });
}
Result<void> FaultyStore::delete_api_key(ApiKeyId id, const domain::Actor& actor) {
  return with_faults("delete_api_key", [&] { return below_.delete_api_key(id, actor); });
}
Result<void> FaultyStore::note_api_key_uses(std::span<const domain::KeyUse> uses) {
  return with_faults("note_api_key_uses", [&] { return below_.note_api_key_uses(uses); });
}
Result<domain::OAuthClient> FaultyStore::create_oauth_client(const domain::OAuthClient& client, const TokenDigest& secret,
                                                             const domain::Actor& actor) {
  return with_faults("create_oauth_client", [&] { return below_.create_oauth_client(client, secret, actor); });
}
Result<std::vector<domain::OAuthClient>> FaultyStore::oauth_clients(OrganizationId organization) {
  return with_faults("oauth_clients", [&] { return below_.oauth_clients(organization); });
}
Result<std::optional<domain::OAuthClient>> FaultyStore::find_oauth_client(OAuthClientId id) {
  return with_faults("find_oauth_client", [&] { return below_.find_oauth_client(id); });
}
Result<std::optional<domain::OAuthClient>> FaultyStore::find_oauth_client(std::string_view client_id, std::span<const TokenDigest> secret) {
  return with_faults("find_oauth_client", [&] { return below_.find_oauth_client(client_id, secret); });
}
Result<void> FaultyStore::set_oauth_secret(OAuthClientId id, const TokenDigest& secret, const domain::Actor& actor) {
  return with_faults("set_oauth_secret", [&] { return below_.set_oauth_secret(id, secret, actor); });
}
Result<void> FaultyStore::end_oauth_tokens(OAuthClientId id, const domain::Actor& actor) {
  return with_faults("end_oauth_tokens", [&] { return below_.end_oauth_tokens(id, actor); });
}
Result<void> FaultyStore::delete_oauth_client(OAuthClientId id, const domain::Actor& actor) {
  return with_faults("delete_oauth_client", [&] { return below_.delete_oauth_client(id, actor); });
}
Result<void> FaultyStore::issue_oauth_tokens(OAuthClientId id, const domain::NewOAuthTokens& tokens, const domain::Actor& actor) {
  return with_faults("issue_oauth_tokens", [&] { return below_.issue_oauth_tokens(id, tokens, actor); });
}
Result<domain::RefreshVerdict> FaultyStore::refresh_oauth_tokens(OAuthClientId id, std::span<const TokenDigest> refresh,
                                                                 const domain::NewOAuthTokens& tokens, const domain::Actor& actor) {
  return with_faults("refresh_oauth_tokens", [&] { return below_.refresh_oauth_tokens(id, refresh, tokens, actor); });
}
Result<std::optional<domain::AccessStore::FoundOAuthToken>> FaultyStore::find_oauth_token(std::span<const TokenDigest> digests) {
  return with_faults("find_oauth_token", [&] { return below_.find_oauth_token(digests); });
}
Result<domain::Template> FaultyStore::create_template(const domain::Template& value, const domain::Actor& actor) {
  return with_faults("create_template", [&] { return below_.create_template(value, actor); });
}
Result<domain::Template> FaultyStore::update_template(const domain::Template& value, std::uint32_t seen_version,
                                                      const domain::Actor& actor) {
  return with_faults("update_template", [&] { return below_.update_template(value, seen_version, actor); });
}
Result<void> FaultyStore::delete_template(TemplateId id, bool with_devices, const domain::Actor& actor) {
  return with_faults("delete_template", [&] { return below_.delete_template(id, with_devices, actor); });
}
Result<std::optional<domain::Template>> FaultyStore::find_template(TemplateId id) {
  return with_faults("find_template", [&] { return below_.find_template(id); });
}
Result<std::vector<domain::Template>> FaultyStore::templates() {
  return with_faults("templates", [&] { return below_.templates(); });
}
Result<domain::Device> FaultyStore::create_device(const domain::Device& device, const domain::NewToken& token, const domain::Actor& actor) {
  return with_faults("create_device", [&] { return below_.create_device(device, token, actor); });
}
Result<std::optional<domain::Device>> FaultyStore::find_device(DeviceId id) {
  return with_faults("find_device", [&] { return below_.find_device(id); });
}
Result<domain::PageOf<domain::Device>> FaultyStore::devices(const domain::DeviceFilter& filter, const domain::Page& page) {
  return with_faults("devices", [&] { return below_.devices(filter, page); });
}
Result<domain::Device> FaultyStore::rename_device(DeviceId id, std::string_view name, const domain::Actor& actor) {
  return with_faults("rename_device", [&] { return below_.rename_device(id, name, actor); });
}
Result<void> FaultyStore::set_device_home(DeviceId id, const domain::Home& home, const domain::Actor& actor) {
  return with_faults("set_device_home", [&] { return below_.set_device_home(id, home, actor); });
}
Result<void> FaultyStore::delete_device(DeviceId id, const domain::Actor& actor) {
  return with_faults("delete_device", [&] { return below_.delete_device(id, actor); });
}
Result<std::string> FaultyStore::reveal_token(DeviceId id, const domain::Actor& actor) {
  return with_faults("reveal_token", [&] { return below_.reveal_token(id, actor); });
}
Result<void> FaultyStore::replace_token(DeviceId id, const domain::NewToken& token, const domain::Actor& actor) {
  return with_faults("replace_token", [&] { return below_.replace_token(id, token, actor); });
}
Result<std::optional<domain::FoundToken>> FaultyStore::find_token(std::span<const TokenDigest> digests) {
  return with_faults("find_token", [&] { return below_.find_token(digests); });
}
Result<std::vector<domain::TokenRecord>> FaultyStore::tokens_of_device(DeviceId id) {
  return with_faults("tokens_of_device", [&] { return below_.tokens_of_device(id); });
}
Result<std::optional<domain::TokenRecord>> FaultyStore::find_token_by_id(AuthTokenId id) {
  return with_faults("find_token_by_id", [&] { return below_.find_token_by_id(id); });
}
Result<std::optional<std::string>> FaultyStore::device_metadata(DeviceId id, std::string_view field) {
  return with_faults("device_metadata", [&] { return below_.device_metadata(id, field); });
}
Result<void> FaultyStore::set_device_metadata(DeviceId id, std::string_view field, std::string_view value, const domain::Actor& actor) {
  return with_faults("set_device_metadata", [&] { return below_.set_device_metadata(id, field, value, actor); });
}
Result<std::vector<domain::Store::MetadataValue>> FaultyStore::all_device_metadata(DeviceId id) {
  return with_faults("all_device_metadata", [&] { return below_.all_device_metadata(id); });
}
Result<domain::ProvisionSession> FaultyStore::create_provision_session(const domain::NewProvisionSession& session,
                                                                       const domain::NewToken& token, const domain::Actor& actor) {
  return with_faults("create_provision_session", [&] { return below_.create_provision_session(session, token, actor); });
}
Result<std::optional<domain::ProvisionSession>> FaultyStore::find_provision_session(ProvisionSessionId id) {
  return with_faults("find_provision_session", [&] { return below_.find_provision_session(id); });
}
Result<std::vector<domain::ProvisionSession>> FaultyStore::live_provision_sessions() {
  return with_faults("live_provision_sessions", [&] { return below_.live_provision_sessions(); });
}
Result<domain::PageOf<domain::ProvisionSession>> FaultyStore::provision_sessions(const domain::ProvisionSessionFilter& filter,
                                                                                 const domain::Page& page) {
  return with_faults("provision_sessions", [&] { return below_.provision_sessions(filter, page); });
}
Result<std::vector<domain::ProvisionStep>> FaultyStore::provision_steps(ProvisionSessionId id) {
  return with_faults("provision_steps", [&] { return below_.provision_steps(id); });
}
Result<void> FaultyStore::post_provision_step(ProvisionSessionId id, const domain::ProvisionStep& step) {
  return with_faults("post_provision_step", [&] { return below_.post_provision_step(id, step); });
}
Result<void> FaultyStore::note_provision_login(ProvisionSessionId id, UtcTime at, std::string_view ip) {
  return with_faults("note_provision_login", [&] { return below_.note_provision_login(id, at, ip); });
}
Result<void> FaultyStore::note_first_value(ProvisionSessionId id, UtcTime at) {
  return with_faults("note_first_value", [&] { return below_.note_first_value(id, at); });
}
Result<domain::InfoVerdict> FaultyStore::accept_info(ProvisionSessionId id, const domain::ReportedInfo& info, const domain::Actor& actor) {
  return with_faults("accept_info", [&] { return below_.accept_info(id, info, actor); });
}
Result<void> FaultyStore::finish_reprovision(ProvisionSessionId id, AuthTokenId held, const domain::Actor& actor) {
  return with_faults("finish_reprovision", [&] { return below_.finish_reprovision(id, held, actor); });
}
Result<void> FaultyStore::cancel_provision_session(ProvisionSessionId id, const domain::Actor& actor) {
  return with_faults("cancel_provision_session", [&] { return below_.cancel_provision_session(id, actor); });
}
Result<std::size_t> FaultyStore::expire_provision_sessions(UtcTime now, std::size_t limit) {
  return with_faults("expire_provision_sessions", [&] { return below_.expire_provision_sessions(now, limit); });
}
Result<void> FaultyStore::write_presence(std::span<const domain::PresenceUpdate> batch) {
  return with_faults("write_presence", [&] { return below_.write_presence(batch); });
}
Result<void> FaultyStore::write_values(std::span<const domain::ValueUpdate> batch) {
  return with_faults("write_values", [&] { return below_.write_values(batch); });
}
Result<std::vector<domain::PinValue>> FaultyStore::values_of(DeviceId id) {
  return with_faults("values_of", [&] { return below_.values_of(id); });
}
Result<std::vector<domain::TokenToRotate>> FaultyStore::tokens_to_rotate(std::uint16_t newest_key, std::size_t limit) {
  return with_faults("tokens_to_rotate", [&] { return below_.tokens_to_rotate(newest_key, limit); });
}
Result<void> FaultyStore::rotate_tokens(std::span<const domain::RotatedToken> batch) {
  return with_faults("rotate_tokens", [&] { return below_.rotate_tokens(batch); });
}
Result<std::vector<domain::SealedToken>> FaultyStore::sealed_tokens(std::uint16_t key, std::size_t limit) {
  return with_faults("sealed_tokens", [&] { return below_.sealed_tokens(key, limit); });
}
Result<std::vector<std::uint16_t>> FaultyStore::key_ids_in_use() {
  return with_faults("key_ids_in_use", [&] { return below_.key_ids_in_use(); });
}
Result<void> FaultyStore::write_timeline(std::span<const domain::TimelineNote> batch) {
  return with_faults("write_timeline", [&] { return below_.write_timeline(batch); });
}
Result<domain::TimelineEntry> FaultyStore::add_timeline(const domain::TimelineEntry& entry) {
  return with_faults("add_timeline", [&] { return below_.add_timeline(entry); });
}
Result<domain::TimelineEntry> FaultyStore::resolve_timeline(DeviceId device, TimelineId id, std::string_view comment,
                                                            const domain::Actor& actor) {
  return with_faults("resolve_timeline", [&] { return below_.resolve_timeline(device, id, comment, actor); });
}
Result<domain::PageOf<domain::TimelineEntry>> FaultyStore::timeline(const domain::TimelineFilter& filter, const domain::Page& page) {
  return with_faults("timeline", [&] { return below_.timeline(filter, page); });
}
Result<std::vector<domain::TimelineEntry>> FaultyStore::timeline_after(TimelineId after, std::size_t limit) {
  return with_faults("timeline_after", [&] { return below_.timeline_after(after, limit); });
}
Result<std::vector<domain::TimelineStore::Logged>> FaultyStore::logged_since(UtcTime from, std::size_t limit) {
  return with_faults("logged_since", [&] { return below_.logged_since(from, limit); });
}
Result<TimelineId> FaultyStore::newest_timeline() {
  return with_faults("newest_timeline", [&] { return below_.newest_timeline(); });
}
Result<std::size_t> FaultyStore::trim_timeline(UtcTime before, std::size_t limit) {
  return with_faults("trim_timeline", [&] { return below_.trim_timeline(before, limit); });
}
Result<domain::Webhook> FaultyStore::create_webhook(const domain::Webhook& webhook, const domain::Actor& actor) {
  return with_faults("create_webhook", [&] { return below_.create_webhook(webhook, actor); });
}
Result<domain::Webhook> FaultyStore::update_webhook(const domain::Webhook& webhook, const domain::Actor& actor) {
  return with_faults("update_webhook", [&] { return below_.update_webhook(webhook, actor); });
}
Result<void> FaultyStore::delete_webhook(WebhookId id, const domain::Actor& actor) {
  return with_faults("delete_webhook", [&] { return below_.delete_webhook(id, actor); });
}
Result<std::optional<domain::Webhook>> FaultyStore::find_webhook(WebhookId id) {
  return with_faults("find_webhook", [&] { return below_.find_webhook(id); });
}
Result<domain::PageOf<domain::Webhook>> FaultyStore::webhooks(OrganizationId organization, const domain::Page& page) {
  return with_faults("webhooks", [&] { return below_.webhooks(organization, page); });
}
Result<domain::WebhookStore::FanOut> FaultyStore::fan_out_events(std::size_t limit) {
  return with_faults("fan_out_events", [&] { return below_.fan_out_events(limit); });
}
Result<std::vector<domain::Delivery>> FaultyStore::due_deliveries(UtcTime now, std::size_t per_webhook, std::span<const WebhookId> except) {
  return with_faults("due_deliveries", [&] { return below_.due_deliveries(now, per_webhook, except); });
}
Result<domain::DeliveryEnd> FaultyStore::note_attempt(DeliveryId id, const domain::DeliveryAttempt& attempt) {
  return with_faults("note_attempt", [&] { return below_.note_attempt(id, attempt); });
}
Result<domain::Delivery> FaultyStore::create_test_delivery(WebhookId id, const domain::Actor& actor) {
  return with_faults("create_test_delivery", [&] { return below_.create_test_delivery(id, actor); });
}
Result<domain::Delivery> FaultyStore::replay_delivery(DeliveryId id, const domain::Actor& actor) {
  return with_faults("replay_delivery", [&] { return below_.replay_delivery(id, actor); });
}
Result<std::optional<domain::Delivery>> FaultyStore::find_delivery(DeliveryId id) {
  return with_faults("find_delivery", [&] { return below_.find_delivery(id); });
}
Result<domain::PageOf<domain::Delivery>> FaultyStore::deliveries(WebhookId id, std::optional<domain::DeliveryState> state,
                                                                 const domain::Page& page) {
  return with_faults("deliveries", [&] { return below_.deliveries(id, state, page); });
}
Result<std::size_t> FaultyStore::trim_deliveries(UtcTime before, std::size_t limit) {
  return with_faults("trim_deliveries", [&] { return below_.trim_deliveries(before, limit); });
}

// --- mail and people -----------------------------------------------------------------------------------------------------

Result<void> FaultyStore::queue_mail(const domain::NewMail& mail, OrganizationId organization, UtcTime now) {
  return with_faults("queue_mail", [&] { return below_.queue_mail(mail, organization, now); });
}
Result<std::vector<domain::QueuedMail>> FaultyStore::due_mail(UtcTime now, std::size_t limit) {
  return with_faults("due_mail", [&] { return below_.due_mail(now, limit); });
}
Result<void> FaultyStore::mail_sent(MailId id) {
  return with_faults("mail_sent", [&] { return below_.mail_sent(id); });
}
Result<void> FaultyStore::mail_failed(MailId id, std::optional<UtcTime> next_try_at, std::string_view reason, UtcTime now) {
  return with_faults("mail_failed", [&] { return below_.mail_failed(id, next_try_at, reason, now); });
}
Result<domain::PageOf<domain::QueuedMail>> FaultyStore::queued_mail(OrganizationId organization, const domain::Page& page) {
  return with_faults("queued_mail", [&] { return below_.queued_mail(organization, page); });
}
Result<domain::Link> FaultyStore::create_invitation(const domain::NewLink& link, const std::optional<domain::NewMail>& mail,
                                                    std::size_t per_day_max, const domain::Actor& actor) {
  return with_faults("create_invitation", [&] { return below_.create_invitation(link, mail, per_day_max, actor); });
}
Result<domain::Link> FaultyStore::renew_invitation(LinkId id, const TokenDigest& digest, UtcTime expires_at,
                                                   const std::optional<domain::NewMail>& mail, std::size_t per_day_max,
                                                   const domain::Actor& actor) {
  return with_faults("renew_invitation", [&] { return below_.renew_invitation(id, digest, expires_at, mail, per_day_max, actor); });
}
Result<void> FaultyStore::revoke_invitation(LinkId id, const domain::Actor& actor) {
  return with_faults("revoke_invitation", [&] { return below_.revoke_invitation(id, actor); });
}
Result<domain::PageOf<domain::Link>> FaultyStore::invitations(OrganizationId organization, const domain::Page& page) {
  return with_faults("invitations", [&] { return below_.invitations(organization, page); });
}
Result<std::optional<domain::Link>> FaultyStore::find_invitation(LinkId id) {
  return with_faults("find_invitation", [&] { return below_.find_invitation(id); });
}
Result<void> FaultyStore::request_link(const domain::NewLink& link, const domain::NewMail& mail, bool needs_account,
                                       const domain::Actor& actor) {
  return with_faults("request_link", [&] { return below_.request_link(link, mail, needs_account, actor); });
}
Result<std::optional<domain::Link>> FaultyStore::find_link(domain::LinkKind kind, std::span<const TokenDigest> digests) {
  return with_faults("find_link", [&] { return below_.find_link(kind, digests); });
}
Result<std::size_t> FaultyStore::expire_links(UtcTime now, std::size_t limit) {
  return with_faults("expire_links", [&] { return below_.expire_links(now, limit); });
}
Result<domain::User> FaultyStore::accept_invitation(std::span<const TokenDigest> digests, std::string_view verifier, std::string_view name,
                                                    const domain::Actor& actor) {
  return with_faults("accept_invitation", [&] { return below_.accept_invitation(digests, verifier, name, actor); });
}
Result<domain::User> FaultyStore::accept_invitation_as(std::span<const TokenDigest> digests, UserId user, domain::OwnedDevices devices,
                                                       const domain::Actor& actor) {
  return with_faults("accept_invitation_as", [&] { return below_.accept_invitation_as(digests, user, devices, actor); });
}
Result<domain::User> FaultyStore::complete_sign_up(std::span<const TokenDigest> digests, std::string_view verifier, std::string_view name,
                                                   OrganizationId group, std::string_view organization_name, const domain::Actor& actor) {
  return with_faults("complete_sign_up", [&] { return below_.complete_sign_up(digests, verifier, name, group, organization_name, actor); });
}
Result<domain::User> FaultyStore::reset_password(std::span<const TokenDigest> digests, std::string_view verifier,
                                                 const std::optional<domain::NewMail>& note, const domain::Actor& actor) {
  return with_faults("reset_password", [&] { return below_.reset_password(digests, verifier, note, actor); });
}
Result<UserId> FaultyStore::confirm_email(std::span<const TokenDigest> digests, const domain::Actor& actor) {
  return with_faults("confirm_email", [&] { return below_.confirm_email(digests, actor); });
}
Result<UtcTime> FaultyStore::email_confirmed_at(UserId user) {
  return with_faults("email_confirmed_at", [&] { return below_.email_confirmed_at(user); });
}
Result<domain::User> FaultyStore::transfer_user(UserId user, OrganizationId to, RoleId role, domain::OwnedDevices devices,
                                                const domain::Actor& actor) {
  return with_faults("transfer_user", [&] { return below_.transfer_user(user, to, role, devices, actor); });
}
Result<void> FaultyStore::leave(UserId user, domain::OwnedDevices devices, const domain::Actor& actor) {
  return with_faults("leave", [&] { return below_.leave(user, devices, actor); });
}
Result<std::vector<domain::AuditEntry>> FaultyStore::acts_of(UserId user, std::size_t limit) {
  return with_faults("acts_of", [&] { return below_.acts_of(user, limit); });
}
Result<std::vector<domain::SignIn>> FaultyStore::sign_ins(UserId user) {
  return with_faults("sign_ins", [&] { return below_.sign_ins(user); });
}
Result<void> FaultyStore::end_sign_in(UserId user, SignInId id, const domain::Actor& actor) {
  return with_faults("end_sign_in", [&] { return below_.end_sign_in(user, id, actor); });
}
Result<void> FaultyStore::end_sign_ins(UserId user, const std::optional<TokenDigest>& keep, const domain::Actor& actor) {
  return with_faults("end_sign_ins", [&] { return below_.end_sign_ins(user, keep, actor); });
}
Result<std::optional<domain::SecondFactor>> FaultyStore::find_second_factor(UserId user) {
  return with_faults("find_second_factor", [&] { return below_.find_second_factor(user); });
}
Result<void> FaultyStore::begin_second_factor(UserId user, std::string_view sealed) {
  return with_faults("begin_second_factor", [&] { return below_.begin_second_factor(user, sealed); });
}
Result<void> FaultyStore::enable_second_factor(UserId user, std::int64_t step, std::span<const TokenDigest> recovery_codes,
                                               const std::optional<TokenDigest>& keep, const domain::Actor& actor) {
  return with_faults("enable_second_factor", [&] { return below_.enable_second_factor(user, step, recovery_codes, keep, actor); });
}
Result<void> FaultyStore::use_totp_step(UserId user, std::int64_t step) {
  return with_faults("use_totp_step", [&] { return below_.use_totp_step(user, step); });
}
Result<void> FaultyStore::use_recovery_code(UserId user, std::span<const TokenDigest> digests, const domain::Actor& actor) {
  return with_faults("use_recovery_code", [&] { return below_.use_recovery_code(user, digests, actor); });
}
Result<void> FaultyStore::replace_recovery_codes(UserId user, std::span<const TokenDigest> codes, const domain::Actor& actor) {
  return with_faults("replace_recovery_codes", [&] { return below_.replace_recovery_codes(user, codes, actor); });
}
Result<void> FaultyStore::remove_second_factor(UserId user, const domain::Actor& actor) {
  return with_faults("remove_second_factor", [&] { return below_.remove_second_factor(user, actor); });
}

}  // namespace muster::store
