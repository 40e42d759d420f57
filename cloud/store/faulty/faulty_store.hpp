// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cloud/base/random.hpp"
#include "cloud/domain/store.hpp"

namespace muster::store {

/// What goes wrong, as a list of rules that tests change while the store is in use. A rule names one operation of
/// domain::Store ("create_device") or all ("*"); the first rule that fires decides an operation's error, delays add up.
/// Thread-safe. The same seed and the same order of operations give the same faults.
class FaultScript {
 public:
  static constexpr std::string_view all = "*";

  explicit FaultScript(std::uint64_t seed = 1) : random_{seed} {}

  /// Every operation fails until clear().
  void down(Error error = domain::StoreError::unavailable);
  /// Each fails with this probability, 0..1.
  void fail_sometimes(std::string_view operation, double probability, Error error);
  void fail_next(std::string_view operation, std::size_t count, Error error);
  /// Each is done, then its answer is lost: what a commit looks like whose outcome nobody hears of.
  void lose_next_answers(std::string_view operation, std::size_t count, Error error = domain::StoreError::unavailable);
  void slow(std::string_view operation, std::chrono::milliseconds delay);
  /// Operations stop before they begin, until release() or clear().
  void hang(std::string_view operation);
  void release();
  /// Forgets every rule and lets go what hangs.
  void clear();

  /// How operations wait in slow(); default: they sleep. For tests with a clock of their own; set it before the store is used.
  void set_sleep(std::function<void(std::chrono::milliseconds)> sleep);

  /// Operations that hang at this moment.
  [[nodiscard]] std::size_t hanging() const;
  /// Waits until at least `count` operations hang. False: they did not within `limit`.
  [[nodiscard]] bool wait_until_hanging(std::size_t count, std::chrono::milliseconds limit) const;
  /// Errors injected so far.
  [[nodiscard]] std::uint64_t injected() const;
  /// Operations begun so far under this name; all: of any name.
  [[nodiscard]] std::uint64_t calls(std::string_view operation) const;

 private:
  friend class FaultyStore;
  struct Rule {
    enum class Kind : std::uint8_t { down, sometimes, next, lost_answer, slow, hang } kind;
    std::string operation;
    Error error;
    double probability = 0;
    std::size_t count = 0;
    std::chrono::milliseconds delay{0};
  };
  struct Verdict {
    Error before, after;
  };
  void add(Rule rule);
  /// Waits as the rules say, then tells what is to happen.
  [[nodiscard]] Verdict enter(std::string_view operation);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  SeededRandom random_;
  std::vector<Rule> rules_;
  std::vector<std::pair<std::string, std::uint64_t>> calls_;
  std::function<void(std::chrono::milliseconds)> sleep_;
  std::size_t hanging_ = 0;
  std::uint64_t release_ = 0, injected_ = 0;
};

/// A store that does what the one below does, except for what its script spoils. `below` must outlive it. Tests derive from it to plant
/// mistakes of a store.
class FaultyStore : public domain::Store {
 public:
  explicit FaultyStore(domain::Store& below, std::uint64_t seed = 1) : script{seed}, below_{below} {}

  FaultScript script;

  Result<void> check() override;
  Result<domain::UnknownTokens> unknown_tokens() override;
  Result<void> set_unknown_tokens(domain::UnknownTokens mode, const domain::Actor& actor) override;
  Result<std::int64_t> newest_change() override;
  Result<Changes> changes_after(std::int64_t after, std::size_t limit) override;
  Result<void> trim_changes(std::int64_t up_to) override;
  Result<void> for_each_live_token(const std::function<void(const domain::TokenRecord&)>& each) override;
  Result<void> for_each_device(const std::function<void(const domain::DeviceRow&)>& each) override;
  Result<void> for_each_seen_ip(const std::function<void(std::string_view ip)>& each) override;
  Result<void> for_each_recent_session(UtcTime since, const std::function<void(DeviceId, UtcTime)>& each) override;
  Result<void> for_each_device_home(const std::function<void(DeviceId, const domain::Home&)>& each) override;
  Result<bool> has_administrator() override;
  Result<FirstAdministrator> set_up(std::string_view organization_name, std::string_view email, std::string_view verifier,
                                    const domain::Actor& actor) override;
  Result<UserId> recover_administrator(std::string_view email, std::string_view verifier, const domain::Actor& actor) override;
  Result<domain::Organization> create_organization(const domain::Organization& organization, const domain::Actor& actor) override;
  Result<domain::Organization> update_organization(OrganizationId id, const domain::OrganizationChange& change,
                                                   const domain::Actor& actor) override;
  Result<void> delete_organization(OrganizationId id, const domain::Actor& actor) override;
  Result<std::vector<domain::Organization>> organizations() override;
  Result<std::optional<domain::Organization>> find_organization(OrganizationId id) override;
  Result<domain::Role> create_role(std::string_view name, domain::PermissionSet permissions, const domain::Actor& actor) override;
  Result<domain::Role> rename_role(RoleId id, std::string_view name, const domain::Actor& actor) override;
  Result<domain::Role> set_role_values(OrganizationId organization, RoleId id, domain::PermissionSet permissions, bool sub_organizations,
                                       const domain::Actor& actor) override;
  Result<void> delete_role(RoleId id, RoleId replacement, const domain::Actor& actor) override;
  Result<domain::Organization> move_organization(OrganizationId id, OrganizationId parent, const domain::Actor& actor) override;
  Result<domain::OrganizationUse> organization_use(OrganizationId id) override;
  Result<OrganizationId> organization_of_group(domain::OrganizationGroup group, const domain::Actor& actor) override;
  Result<domain::Device> transfer_device(DeviceId id, const domain::DeviceDestination& to, const domain::Actor& actor) override;
  Result<domain::Device> remove_device_owner(DeviceId id, const domain::Actor& actor) override;
  Result<void> erase_device(DeviceId id, const domain::Actor& actor) override;
  Result<domain::User> create_user(const domain::User& user, std::string_view verifier, const domain::Actor& actor) override;
  Result<domain::User> update_user(UserId id, const domain::UserChange& change, const domain::Actor& actor) override;
  Result<void> set_password(UserId id, std::string_view verifier, const std::optional<TokenDigest>& keep,
                            const domain::Actor& actor) override;
  Result<void> delete_user(UserId id, const domain::Actor& actor) override;
  Result<std::vector<domain::User>> all_users() override;
  Result<domain::PageOf<domain::User>> users(OrganizationId organization, const domain::Page& page) override;
  Result<std::optional<domain::User>> find_user(UserId id) override;
  Result<std::optional<Credentials>> find_credentials(std::string_view email) override;
  Result<std::vector<domain::Role>> roles() override;
  Result<void> create_access_token(UserId user, const TokenDigest& digest, UtcTime expires_at, const domain::Actor& actor) override;
  Result<std::optional<domain::StoredAccessToken>> find_access_token(std::span<const TokenDigest> digests) override;
  Result<void> extend_access_token(std::span<const TokenDigest> digests, UtcTime expires_at) override;
  Result<void> delete_access_token(std::span<const TokenDigest> digests, const domain::Actor& actor) override;
  Result<void> append_audit(const domain::AuditEntry& entry) override;
  Result<domain::PageOf<domain::AuditEntry>> audit(const AuditFilter& filter, const domain::Page& page) override;
  Result<domain::AuditTip> audit_tip() override;
  Result<void> for_each_audit_link(const std::function<void(const domain::AuditLink&)>& each) override;
  Result<std::int64_t> audit_numbers_given() override;

  Result<domain::ApiKey> create_api_key(const domain::ApiKey& key, const TokenDigest& secret, const domain::Actor& actor) override;
  Result<std::vector<domain::ApiKey>> api_keys(OrganizationId organization) override;
  Result<std::optional<domain::ApiKey>> find_api_key(ApiKeyId id) override;
  Result<std::optional<domain::ApiKey>> find_api_key(std::span<const TokenDigest> digests) override;
  Result<void> delete_api_key(ApiKeyId id, const domain::Actor& actor) override;
  Result<void> note_api_key_uses(std::span<const domain::KeyUse> uses) override;
  Result<domain::OAuthClient> create_oauth_client(const domain::OAuthClient& client, const TokenDigest& secret,
                                                  const domain::Actor& actor) override;
  Result<std::vector<domain::OAuthClient>> oauth_clients(OrganizationId organization) override;
  Result<std::optional<domain::OAuthClient>> find_oauth_client(OAuthClientId id) override;
  Result<std::optional<domain::OAuthClient>> find_oauth_client(std::string_view client_id, std::span<const TokenDigest> secret) override;
  Result<void> set_oauth_secret(OAuthClientId id, const TokenDigest& secret, const domain::Actor& actor) override;
  Result<void> end_oauth_tokens(OAuthClientId id, const domain::Actor& actor) override;
  Result<void> delete_oauth_client(OAuthClientId id, const domain::Actor& actor) override;
  Result<void> issue_oauth_tokens(OAuthClientId id, const domain::NewOAuthTokens& tokens, const domain::Actor& actor) override;
  Result<domain::RefreshVerdict> refresh_oauth_tokens(OAuthClientId id, std::span<const TokenDigest> refresh,
                                                      const domain::NewOAuthTokens& tokens, const domain::Actor& actor) override;
  Result<std::optional<FoundOAuthToken>> find_oauth_token(std::span<const TokenDigest> digests) override;
  Result<domain::Template> create_template(const domain::Template& value, const domain::Actor& actor) override;
  Result<domain::Template> update_template(const domain::Template& value, std::uint32_t seen_version, const domain::Actor& actor) override;
  Result<void> delete_template(TemplateId id, bool with_devices, const domain::Actor& actor) override;
  Result<std::optional<domain::Template>> find_template(TemplateId id) override;
  Result<std::vector<domain::Template>> templates() override;
  Result<domain::Device> create_device(const domain::Device& device, const domain::NewToken& token, const domain::Actor& actor) override;
  Result<std::optional<domain::Device>> find_device(DeviceId id) override;
  Result<domain::PageOf<domain::Device>> devices(const domain::DeviceFilter& filter, const domain::Page& page) override;
  Result<domain::Device> rename_device(DeviceId id, std::string_view name, const domain::Actor& actor) override;
  Result<void> set_device_home(DeviceId id, const domain::Home& home, const domain::Actor& actor) override;
  Result<void> delete_device(DeviceId id, const domain::Actor& actor) override;
  Result<std::string> reveal_token(DeviceId id, const domain::Actor& actor) override;
  Result<void> replace_token(DeviceId id, const domain::NewToken& token, const domain::Actor& actor) override;
  Result<std::optional<domain::FoundToken>> find_token(std::span<const TokenDigest> digests) override;
  Result<std::vector<domain::TokenRecord>> tokens_of_device(DeviceId id) override;
  Result<std::optional<domain::TokenRecord>> find_token_by_id(AuthTokenId id) override;
  Result<std::optional<std::string>> device_metadata(DeviceId id, std::string_view field) override;
  Result<void> set_device_metadata(DeviceId id, std::string_view field, std::string_view value, const domain::Actor& actor) override;
  Result<std::vector<MetadataValue>> all_device_metadata(DeviceId id) override;
  Result<domain::ProvisionSession> create_provision_session(const domain::NewProvisionSession& session, const domain::NewToken& token,
                                                            const domain::Actor& actor) override;
  Result<std::optional<domain::ProvisionSession>> find_provision_session(ProvisionSessionId id) override;
  Result<std::vector<domain::ProvisionSession>> live_provision_sessions() override;
  Result<domain::PageOf<domain::ProvisionSession>> provision_sessions(const domain::ProvisionSessionFilter& filter,
                                                                      const domain::Page& page) override;
  Result<std::vector<domain::ProvisionStep>> provision_steps(ProvisionSessionId id) override;
  Result<void> post_provision_step(ProvisionSessionId id, const domain::ProvisionStep& step) override;
  Result<void> note_provision_login(ProvisionSessionId id, UtcTime at, std::string_view ip) override;
  Result<void> note_first_value(ProvisionSessionId id, UtcTime at) override;
  Result<domain::InfoVerdict> accept_info(ProvisionSessionId id, const domain::ReportedInfo& info, const domain::Actor& actor) override;
  Result<void> finish_reprovision(ProvisionSessionId id, AuthTokenId held, const domain::Actor& actor) override;
  Result<void> cancel_provision_session(ProvisionSessionId id, const domain::Actor& actor) override;
  Result<std::size_t> expire_provision_sessions(UtcTime now, std::size_t limit) override;

  Result<void> write_presence(std::span<const domain::PresenceUpdate> batch) override;
  Result<void> write_values(std::span<const domain::ValueUpdate> batch) override;
  Result<std::vector<domain::PinValue>> values_of(DeviceId id) override;
  Result<std::vector<domain::TokenToRotate>> tokens_to_rotate(std::uint16_t newest_key, std::size_t limit) override;
  Result<void> rotate_tokens(std::span<const domain::RotatedToken> batch) override;
  Result<std::vector<domain::SealedToken>> sealed_tokens(std::uint16_t key, std::size_t limit) override;
  Result<std::vector<std::uint16_t>> key_ids_in_use() override;

  Result<void> queue_mail(const domain::NewMail& mail, OrganizationId organization, UtcTime now) override;
  Result<std::vector<domain::QueuedMail>> due_mail(UtcTime now, std::size_t limit) override;
  Result<void> mail_sent(MailId id) override;
  Result<void> mail_failed(MailId id, std::optional<UtcTime> next_try_at, std::string_view reason, UtcTime now) override;
  Result<domain::PageOf<domain::QueuedMail>> queued_mail(OrganizationId organization, const domain::Page& page) override;

  Result<domain::Link> create_invitation(const domain::NewLink& link, const std::optional<domain::NewMail>& mail, std::size_t per_day_max,
                                         const domain::Actor& actor) override;
  Result<domain::Link> renew_invitation(LinkId id, const TokenDigest& digest, UtcTime expires_at,
                                        const std::optional<domain::NewMail>& mail, std::size_t per_day_max,
                                        const domain::Actor& actor) override;
  Result<void> revoke_invitation(LinkId id, const domain::Actor& actor) override;
  Result<domain::PageOf<domain::Link>> invitations(OrganizationId organization, const domain::Page& page) override;
  Result<std::optional<domain::Link>> find_invitation(LinkId id) override;
  Result<void> request_link(const domain::NewLink& link, const domain::NewMail& mail, bool needs_account,
                            const domain::Actor& actor) override;
  Result<std::optional<domain::Link>> find_link(domain::LinkKind kind, std::span<const TokenDigest> digests) override;
  Result<std::size_t> expire_links(UtcTime now, std::size_t limit) override;
  Result<domain::User> accept_invitation(std::span<const TokenDigest> digests, std::string_view verifier, std::string_view name,
                                         const domain::Actor& actor) override;
  Result<domain::User> accept_invitation_as(std::span<const TokenDigest> digests, UserId user, domain::OwnedDevices devices,
                                            const domain::Actor& actor) override;
  Result<domain::User> complete_sign_up(std::span<const TokenDigest> digests, std::string_view verifier, std::string_view name,
                                        OrganizationId group, std::string_view organization_name, const domain::Actor& actor) override;
  Result<domain::User> reset_password(std::span<const TokenDigest> digests, std::string_view verifier,
                                      const std::optional<domain::NewMail>& note, const domain::Actor& actor) override;
  Result<UserId> confirm_email(std::span<const TokenDigest> digests, const domain::Actor& actor) override;
  Result<UtcTime> email_confirmed_at(UserId user) override;
  Result<domain::User> transfer_user(UserId user, OrganizationId to, RoleId role, domain::OwnedDevices devices,
                                     const domain::Actor& actor) override;
  Result<void> leave(UserId user, domain::OwnedDevices devices, const domain::Actor& actor) override;
  Result<std::vector<domain::AuditEntry>> acts_of(UserId user, std::size_t limit) override;
  Result<std::vector<domain::SignIn>> sign_ins(UserId user) override;
  Result<void> end_sign_in(UserId user, SignInId id, const domain::Actor& actor) override;
  Result<void> end_sign_ins(UserId user, const std::optional<TokenDigest>& keep, const domain::Actor& actor) override;
  Result<std::optional<domain::SecondFactor>> find_second_factor(UserId user) override;
  Result<void> begin_second_factor(UserId user, std::string_view sealed) override;
  Result<void> enable_second_factor(UserId user, std::int64_t step, std::span<const TokenDigest> recovery_codes,
                                    const std::optional<TokenDigest>& keep, const domain::Actor& actor) override;
  Result<void> use_totp_step(UserId user, std::int64_t step) override;
  Result<void> use_recovery_code(UserId user, std::span<const TokenDigest> digests, const domain::Actor& actor) override;
  Result<void> replace_recovery_codes(UserId user, std::span<const TokenDigest> codes, const domain::Actor& actor) override;
  Result<void> remove_second_factor(UserId user, const domain::Actor& actor) override;
  Result<void> write_timeline(std::span<const domain::TimelineNote> batch) override;
  Result<domain::TimelineEntry> add_timeline(const domain::TimelineEntry& entry) override;
  Result<domain::TimelineEntry> resolve_timeline(DeviceId device, TimelineId id, std::string_view comment,
                                                 const domain::Actor& actor) override;
  Result<domain::PageOf<domain::TimelineEntry>> timeline(const domain::TimelineFilter& filter, const domain::Page& page) override;
  Result<std::vector<domain::TimelineEntry>> timeline_after(TimelineId after, std::size_t limit) override;
  Result<std::vector<Logged>> logged_since(UtcTime from, std::size_t limit) override;
  Result<TimelineId> newest_timeline() override;
  Result<std::size_t> trim_timeline(UtcTime before, std::size_t limit) override;

  Result<domain::Webhook> create_webhook(const domain::Webhook& webhook, const domain::Actor& actor) override;
  Result<domain::Webhook> update_webhook(const domain::Webhook& webhook, const domain::Actor& actor) override;
  Result<void> delete_webhook(WebhookId id, const domain::Actor& actor) override;
  Result<std::optional<domain::Webhook>> find_webhook(WebhookId id) override;
  Result<domain::PageOf<domain::Webhook>> webhooks(OrganizationId organization, const domain::Page& page) override;
  Result<FanOut> fan_out_events(std::size_t limit) override;
  Result<std::vector<domain::Delivery>> due_deliveries(UtcTime now, std::size_t per_webhook, std::span<const WebhookId> except) override;
  Result<domain::DeliveryEnd> note_attempt(DeliveryId id, const domain::DeliveryAttempt& attempt) override;
  Result<domain::Delivery> create_test_delivery(WebhookId id, const domain::Actor& actor) override;
  Result<domain::Delivery> replay_delivery(DeliveryId id, const domain::Actor& actor) override;
  Result<std::optional<domain::Delivery>> find_delivery(DeliveryId id) override;
  Result<domain::PageOf<domain::Delivery>> deliveries(WebhookId id, std::optional<domain::DeliveryState> state,
                                                      const domain::Page& page) override;
  Result<std::size_t> trim_deliveries(UtcTime before, std::size_t limit) override;

 private:
  template <class Work>
  std::invoke_result_t<Work&> with_faults(std::string_view operation, Work&& work);
  domain::Store& below_;
};

}  // namespace muster::store
