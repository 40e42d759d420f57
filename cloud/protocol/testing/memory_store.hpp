// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cloud/domain/provision_session_life_cycle.hpp"
#include "cloud/domain/store.hpp"
#include "cloud/domain/token_life_cycle.hpp"

namespace muster::protocol::testing {

/// A store in memory, for tests of sessions: the operations that devices lean on, with the semantics of
/// domain::Store; the rest (people, key rotation) is refused with StoreError::read_only. Not thread-safe: one thread, so that a
/// run can be repeated.
class MemoryStore final : public domain::Store {
 public:
  MemoryStore();

  /// Asked at the begin of each operation with its name; an error ends it before it did anything.
  std::function<Error(std::string_view operation)> before;
  /// How often each operation was called, refused ones too.
  std::map<std::string, std::size_t, std::less<>> calls;
  std::vector<domain::AuditEntry> audit_entries;
  domain::UnknownTokens mode = domain::UnknownTokens::refuse;

  /// Shorthand for tests.
  domain::Organization add_organization(std::string name, std::string time_zone = "UTC");
  domain::Template add_template(domain::Template value);
  domain::Device add_device(const domain::Device& device, const TokenDigests& digests);
  void put_organization(const domain::Organization& value);
  [[nodiscard]] const std::map<std::int32_t, domain::Device>& all_devices() const noexcept { return devices_; }
  [[nodiscard]] std::map<std::int32_t, domain::Device>& all_devices() noexcept { return devices_; }
  [[nodiscard]] std::vector<domain::TokenRecord> all_tokens() const;

  Result<void> check() override;
  Result<domain::UnknownTokens> unknown_tokens() override;
  Result<void> set_unknown_tokens(domain::UnknownTokens value, const domain::Actor& actor) override;
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

 private:
  struct Token {
    domain::TokenRecord record;
    std::string sealed;
  };
  using Mac = std::array<std::uint8_t, 32>;
  [[nodiscard]] Error enter(std::string_view operation);
  void changed(domain::ChangeKind kind, std::int64_t id);
  void audited(std::string action, std::int64_t object, const domain::Actor& actor);
  [[nodiscard]] bool taken(const domain::NewToken& token) const;
  void insert_token(DeviceId device, const domain::NewToken& token, UtcTime at);
  void revoke_tokens(DeviceId device);
  struct Session {
    domain::ProvisionSession row;
    std::vector<domain::ProvisionStep> steps;
  };
  void move_token(AuthTokenId id, domain::TokenEvent event, bool quiet = false);
  void move_other_tokens(DeviceId device, AuthTokenId but, domain::TokenEvent event);
  /// Errors: the table's refusal.
  Result<void> move_session(Session& session, domain::ProvisionEvent event, UtcTime at, std::string_view step,
                            domain::ProvisionFailure failure = domain::ProvisionFailure::none);

  std::map<std::int32_t, domain::Organization> organizations_;
  std::map<std::int64_t, domain::User> users_;
  std::map<std::int32_t, domain::Template> templates_;
  std::map<std::int32_t, domain::Device> devices_;
  std::map<std::int64_t, Token> tokens_;
  std::map<Mac, std::int64_t> token_by_mac_;
  std::map<std::int32_t, std::map<std::string, std::string, std::less<>>> metadata_;
  std::map<std::int32_t, std::map<std::uint8_t, domain::PinValue>> values_;
  std::map<std::int64_t, Session> sessions_;
  std::vector<domain::Change> changes_;
  std::int32_t next_id_ = 1;
  std::int64_t next_token_id_ = 1, next_session_id_ = 1, trimmed_up_to_ = 0, newest_change_ = 0;
};

}  // namespace muster::protocol::testing
