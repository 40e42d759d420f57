// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "cloud/base/audit_key.hpp"
#include "cloud/base/clock.hpp"
#include "cloud/domain/store.hpp"

namespace muster::store {

/// How hard a commit is pushed to the disk. Only tests set anything but `full`: what is acknowledged would not be on disk.
enum class Durability : std::uint8_t { off, normal, full };

struct SqliteOptions {
  /// Times that an operation is not given, expiry of access tokens, and the pause between attempts to open. Must outlive the
  /// store and be safe from any thread. Null: the system's.
  const Clock* clock = nullptr;
  /// Chains the audit log. Shared because a store that a command opened has nobody else to own it. Null: AuditKey::of_tests().
  std::shared_ptr<const AuditKey> audit_key{};
  /// Name of a registered SQLite VFS; empty: the system's. With another one the file is not watched for being moved.
  std::string vfs;
  Durability durability = Durability::full;
  /// Whether a file that does not exist is made. Only the first successful open makes one: a file that goes away later is
  /// waited for, never replaced by an empty one.
  bool create = true;
  std::size_t group_max = 256;                   ///< Operations in one commit.
  std::size_t queue_max = 4096;                  ///< Operations that wait for the writer; more are refused with StoreError::busy.
  std::size_t readers_max = 4;                   ///< Connections for reading, opened when needed.
  std::chrono::milliseconds busy_timeout{1000};  ///< How long a lock held by another process, or a free reader, is waited for.
  std::chrono::milliseconds retry_pause{1000};   ///< Between attempts to open.
  int checkpoint_pages = 4000;                   ///< The log is copied back into the file when it has grown to this many pages (of 4 KiB).
  std::size_t access_tokens_per_user_max = 100;  ///< The oldest ones end.
  int organization_depth_max = 4;                ///< Levels of the tree, the root counted; at most 16.
};

/// The store in one SQLite file: WAL, synchronous=FULL, one writer thread that commits what waits as one group.
///
/// Opening never fails: the file is opened at the first operation or check(), and tried again at most once per `retry_pause`
/// for as long as it cannot be. Until then every operation answers why: StoreError::{unavailable, busy, read_only, corrupt,
/// newer_version}. A file that turned out corrupt is looked at again only when it has changed, and then wholly.
///
/// Thread-safe; calls block.
class SqliteStore final : public domain::Store {
 public:
  [[nodiscard]] static std::unique_ptr<SqliteStore> open(std::filesystem::path path, SqliteOptions options = {});
  /// Runs what waits, then closes. Nobody may be inside an operation's call any more, or start one.
  ~SqliteStore() override;

  /// Refuses new operations with StoreError::shutting_down, runs what waits and closes the file. Thread-safe.
  void close();

  /// Operations that were run, and groups that were committed: their ratio tells how well commits are shared.
  struct WriterStatistics {
    std::uint64_t operations = 0, commits = 0;
  };
  [[nodiscard]] WriterStatistics writer_statistics() const noexcept;

  Result<void> check() override;
  Result<domain::UnknownTokens> unknown_tokens() override;
  Result<void> set_unknown_tokens(domain::UnknownTokens mode, const domain::Actor& actor) override;

  Result<std::int64_t> newest_change() override;
  Result<Changes> changes_after(std::int64_t after, std::size_t limit) override;
  Result<void> trim_changes(std::int64_t up_to) override;

  Result<void> for_each_live_token(const std::function<void(const domain::TokenRecord&)>& each) override;
  Result<void> for_each_device(const std::function<void(const domain::DeviceRow&)>& each) override;
  Result<void> for_each_seen_ip(const std::function<void(std::string_view)>& each) override;
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
  struct Impl;
  explicit SqliteStore(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::store
