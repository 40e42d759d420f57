// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cloud/domain/store.hpp"

namespace muster::api {

/// A store that can do nothing; tests override what they need.
class FailingStore : public domain::Store {
 public:
  domain::StoreError error = domain::StoreError::unavailable;

  Result<void> check() override { return trouble(); }
  Result<domain::UnknownTokens> unknown_tokens() override { return trouble(); }
  Result<void> set_unknown_tokens(domain::UnknownTokens, const domain::Actor&) override { return trouble(); }
  Result<std::int64_t> newest_change() override { return trouble(); }
  Result<Changes> changes_after(std::int64_t, std::size_t) override { return trouble(); }
  Result<void> trim_changes(std::int64_t) override { return trouble(); }
  Result<void> for_each_live_token(const std::function<void(const domain::TokenRecord&)>&) override { return trouble(); }
  Result<void> for_each_device(const std::function<void(const domain::DeviceRow&)>&) override { return trouble(); }
  Result<void> for_each_seen_ip(const std::function<void(std::string_view)>&) override { return trouble(); }
  Result<void> for_each_recent_session(UtcTime, const std::function<void(DeviceId, UtcTime)>&) override { return trouble(); }
  Result<void> for_each_device_home(const std::function<void(DeviceId, const domain::Home&)>&) override { return trouble(); }
  Result<bool> has_administrator() override { return {boost::system::in_place_error, trouble()}; }
  Result<FirstAdministrator> set_up(std::string_view, std::string_view, std::string_view, const domain::Actor&) override {
    return trouble();
  }
  Result<UserId> recover_administrator(std::string_view, std::string_view, const domain::Actor&) override { return trouble(); }
  Result<domain::Organization> create_organization(const domain::Organization&, const domain::Actor&) override { return trouble(); }
  Result<domain::Organization> update_organization(OrganizationId, const domain::OrganizationChange&, const domain::Actor&) override {
    return trouble();
  }
  Result<void> delete_organization(OrganizationId, const domain::Actor&) override { return trouble(); }
  Result<std::vector<domain::Organization>> organizations() override { return trouble(); }
  Result<std::optional<domain::Organization>> find_organization(OrganizationId) override { return trouble(); }
  Result<domain::User> create_user(const domain::User&, std::string_view, const domain::Actor&) override { return trouble(); }
  Result<domain::User> update_user(UserId, const domain::UserChange&, const domain::Actor&) override { return trouble(); }
  Result<void> set_password(UserId, std::string_view, const std::optional<TokenDigest>&, const domain::Actor&) override {
    return trouble();
  }
  Result<void> delete_user(UserId, const domain::Actor&) override { return trouble(); }
  Result<std::vector<domain::User>> all_users() override { return trouble(); }
  Result<domain::PageOf<domain::User>> users(OrganizationId, const domain::Page&) override { return trouble(); }
  Result<std::optional<domain::User>> find_user(UserId) override { return trouble(); }
  Result<std::optional<Credentials>> find_credentials(std::string_view) override { return trouble(); }
  Result<std::vector<domain::Role>> roles() override { return trouble(); }
  Result<void> create_access_token(UserId, const TokenDigest&, UtcTime, const domain::Actor&) override { return trouble(); }
  Result<std::optional<domain::StoredAccessToken>> find_access_token(std::span<const TokenDigest>) override { return trouble(); }
  Result<void> extend_access_token(std::span<const TokenDigest>, UtcTime) override { return trouble(); }
  Result<void> delete_access_token(std::span<const TokenDigest>, const domain::Actor&) override { return trouble(); }
  Result<void> append_audit(const domain::AuditEntry&) override { return trouble(); }
  Result<domain::PageOf<domain::AuditEntry>> audit(const AuditFilter&, const domain::Page&) override { return trouble(); }
  Result<domain::Template> create_template(const domain::Template&, const domain::Actor&) override { return trouble(); }
  Result<domain::Template> update_template(const domain::Template&, std::uint32_t, const domain::Actor&) override { return trouble(); }
  Result<void> delete_template(TemplateId, bool, const domain::Actor&) override { return trouble(); }
  Result<std::optional<domain::Template>> find_template(TemplateId) override { return trouble(); }
  Result<std::vector<domain::Template>> templates() override { return trouble(); }
  Result<domain::Device> create_device(const domain::Device&, const domain::NewToken&, const domain::Actor&) override { return trouble(); }
  Result<std::optional<domain::Device>> find_device(DeviceId) override { return trouble(); }
  Result<domain::PageOf<domain::Device>> devices(const domain::DeviceFilter&, const domain::Page&) override { return trouble(); }
  Result<domain::Device> rename_device(DeviceId, std::string_view, const domain::Actor&) override { return trouble(); }
  Result<void> set_device_home(DeviceId, const domain::Home&, const domain::Actor&) override { return trouble(); }
  Result<void> delete_device(DeviceId, const domain::Actor&) override { return trouble(); }
  Result<std::string> reveal_token(DeviceId, const domain::Actor&) override { return trouble(); }
  Result<void> replace_token(DeviceId, const domain::NewToken&, const domain::Actor&) override { return trouble(); }
  Result<std::optional<domain::FoundToken>> find_token(std::span<const TokenDigest>) override { return trouble(); }
  Result<std::vector<domain::TokenRecord>> tokens_of_device(DeviceId) override { return trouble(); }
  Result<std::optional<domain::TokenRecord>> find_token_by_id(AuthTokenId) override { return trouble(); }
  Result<std::optional<std::string>> device_metadata(DeviceId, std::string_view) override { return trouble(); }
  Result<void> set_device_metadata(DeviceId, std::string_view, std::string_view, const domain::Actor&) override { return trouble(); }
  Result<std::vector<MetadataValue>> all_device_metadata(DeviceId) override { return trouble(); }
  Result<void> write_presence(std::span<const domain::PresenceUpdate>) override { return trouble(); }
  Result<void> write_values(std::span<const domain::ValueUpdate>) override { return trouble(); }
  Result<domain::ProvisionSession> create_provision_session(const domain::NewProvisionSession&, const domain::NewToken&,
                                                            const domain::Actor&) override {
    return trouble();
  }
  Result<std::optional<domain::ProvisionSession>> find_provision_session(ProvisionSessionId) override { return trouble(); }
  Result<std::vector<domain::ProvisionSession>> live_provision_sessions() override { return trouble(); }
  Result<domain::PageOf<domain::ProvisionSession>> provision_sessions(const domain::ProvisionSessionFilter&, const domain::Page&) override {
    return trouble();
  }
  Result<std::vector<domain::ProvisionStep>> provision_steps(ProvisionSessionId) override { return trouble(); }
  Result<void> post_provision_step(ProvisionSessionId, const domain::ProvisionStep&) override { return trouble(); }
  Result<void> note_provision_login(ProvisionSessionId, UtcTime, std::string_view) override { return trouble(); }
  Result<void> note_first_value(ProvisionSessionId, UtcTime) override { return trouble(); }
  Result<domain::InfoVerdict> accept_info(ProvisionSessionId, const domain::ReportedInfo&, const domain::Actor&) override {
    return trouble();
  }
  Result<void> finish_reprovision(ProvisionSessionId, AuthTokenId, const domain::Actor&) override { return trouble(); }
  Result<void> cancel_provision_session(ProvisionSessionId, const domain::Actor&) override { return trouble(); }
  Result<std::size_t> expire_provision_sessions(UtcTime, std::size_t) override { return trouble(); }
  Result<std::vector<domain::PinValue>> values_of(DeviceId) override { return trouble(); }
  Result<std::vector<domain::TokenToRotate>> tokens_to_rotate(std::uint16_t, std::size_t) override { return trouble(); }
  Result<void> rotate_tokens(std::span<const domain::RotatedToken>) override { return trouble(); }
  Result<std::vector<domain::SealedToken>> sealed_tokens(std::uint16_t, std::size_t) override { return trouble(); }
  Result<std::vector<std::uint16_t>> key_ids_in_use() override { return trouble(); }

 protected:
  [[nodiscard]] Error trouble() const noexcept { return error; }
};

}  // namespace muster::api
