// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cloud/domain/store.hpp"

/// A store in memory for tests of what reads one: holds what the test puts in, and fails when told to. It follows no rule of the
/// real ones: those are tested by cloud/store's contract suite.
namespace muster::domain {

class FakeStore : public Store {
 public:
  std::vector<Organization> organization_rows;
  std::vector<User> user_rows;
  std::vector<Role> role_rows;
  std::vector<Template> template_rows;
  std::map<std::int32_t, Device> device_rows;
  std::map<std::int64_t, TokenRecord> token_rows;
  std::vector<ProvisionSession> session_rows;
  std::vector<Change> change_rows;
  std::vector<std::string> seen_ips;
  std::int64_t trimmed_up_to = 0;
  UnknownTokens mode = UnknownTokens::refuse;
  int calls_until_failure = -1;  ///< Counts down; at 0 every call fails. Negative: never.
  std::vector<ValueUpdate> values_written;
  std::vector<PresenceUpdate> presence_written;
  std::size_t largest_batch = 0;

  void changed(ChangeKind kind, std::int64_t id) {
    change_rows.push_back({static_cast<std::int64_t>(change_rows.size()) + 1 + trimmed_up_to, kind, id});
  }
  void put(const Device& device) {
    device_rows[device.id.value()] = device;
    changed(ChangeKind::device, device.id.value());
  }
  void put(const TokenRecord& record) {
    token_rows[record.id.value()] = record;
    changed(ChangeKind::token, record.id.value());
  }

  Result<void> check() override { return ok(); }
  Result<UnknownTokens> unknown_tokens() override { return given(mode); }
  Result<void> set_unknown_tokens(UnknownTokens to, const Actor&) override {
    mode = to;
    changed(ChangeKind::settings, 0);
    return {};
  }
  Result<std::int64_t> newest_change() override { return given(static_cast<std::int64_t>(change_rows.size()) + trimmed_up_to); }
  Result<Changes> changes_after(std::int64_t after, std::size_t limit) override {
    Changes found;
    found.too_far_behind = after < trimmed_up_to;
    for (const auto& change : change_rows) {
      if (change.seq > after && found.rows.size() < limit) found.rows.push_back(change);
    }
    return given(std::move(found));
  }
  Result<void> trim_changes(std::int64_t) override { return ok(); }
  Result<void> for_each_live_token(const std::function<void(const TokenRecord&)>& each) override {
    for (const auto& [id, record] : token_rows) {
      if (record.kind != TokenKind::revoked) each(record);
    }
    return ok();
  }
  Result<void> for_each_device(const std::function<void(const DeviceRow&)>& each) override {
    for (const auto& [id, device] : device_rows) each({device.id, device.organization_id, device.template_id, device.owner_id});
    return ok();
  }
  Result<void> for_each_seen_ip(const std::function<void(std::string_view)>& each) override {
    for (const auto& ip : seen_ips) each(ip);
    return ok();
  }
  Result<void> for_each_recent_session(UtcTime, const std::function<void(DeviceId, UtcTime)>&) override { return ok(); }
  Result<void> for_each_device_home(const std::function<void(DeviceId, const Home&)>& each) override {
    for (const auto& [id, device] : device_rows) {
      if (!device.home.host.empty()) each(device.id, device.home);
    }
    return ok();
  }
  Result<std::vector<Organization>> organizations() override { return given(organization_rows); }
  Result<std::optional<Organization>> find_organization(OrganizationId id) override { return given(by_id(organization_rows, id)); }
  Result<std::vector<User>> all_users() override { return given(user_rows); }
  Result<std::optional<User>> find_user(UserId id) override { return given(by_id(user_rows, id)); }
  Result<std::vector<Role>> roles() override { return given(role_rows); }
  Result<std::vector<Template>> templates() override { return given(template_rows); }
  Result<std::optional<Template>> find_template(TemplateId id) override { return given(by_id(template_rows, id)); }
  Result<std::optional<Device>> find_device(DeviceId id) override {
    const auto found = device_rows.find(id.value());
    return given(found == device_rows.end() ? std::nullopt : std::optional{found->second});
  }
  Result<std::optional<TokenRecord>> find_token_by_id(AuthTokenId id) override {
    const auto found = token_rows.find(id.value());
    return given(found == token_rows.end() ? std::nullopt : std::optional{found->second});
  }
  Result<std::vector<ProvisionSession>> live_provision_sessions() override { return given(session_rows); }
  Result<std::optional<ProvisionSession>> find_provision_session(ProvisionSessionId id) override { return given(by_id(session_rows, id)); }
  Result<void> write_presence(std::span<const PresenceUpdate> batch) override {
    if (auto result = ok(); !result) return result;
    largest_batch = std::max(largest_batch, batch.size());
    presence_written.insert(presence_written.end(), batch.begin(), batch.end());
    return {};
  }
  Result<void> write_values(std::span<const ValueUpdate> batch) override {
    if (auto result = ok(); !result) return result;
    largest_batch = std::max(largest_batch, batch.size());
    values_written.insert(values_written.end(), batch.begin(), batch.end());
    return {};
  }

  // What these tests never call.
  Result<bool> has_administrator() override { return Result<bool>{boost::system::in_place_error, no()}; }
  Result<FirstAdministrator> set_up(std::string_view, std::string_view, std::string_view, const Actor&) override { return no(); }
  Result<UserId> recover_administrator(std::string_view, std::string_view, const Actor&) override { return no(); }
  Result<Organization> create_organization(const Organization&, const Actor&) override { return no(); }
  Result<Organization> update_organization(OrganizationId, const OrganizationChange&, const Actor&) override { return no(); }
  Result<void> delete_organization(OrganizationId, const Actor&) override { return no(); }
  Result<User> create_user(const User&, std::string_view, const Actor&) override { return no(); }
  Result<User> update_user(UserId, const UserChange&, const Actor&) override { return no(); }
  Result<void> set_password(UserId, std::string_view, const std::optional<TokenDigest>&, const Actor&) override { return no(); }
  Result<void> delete_user(UserId, const Actor&) override { return no(); }
  Result<PageOf<User>> users(OrganizationId, const Page&) override { return no(); }
  Result<std::optional<Credentials>> find_credentials(std::string_view) override { return no(); }
  Result<void> create_access_token(UserId, const TokenDigest&, UtcTime, const Actor&) override { return no(); }
  Result<std::optional<StoredAccessToken>> find_access_token(std::span<const TokenDigest>) override { return no(); }
  Result<void> extend_access_token(std::span<const TokenDigest>, UtcTime) override { return no(); }
  Result<void> delete_access_token(std::span<const TokenDigest>, const Actor&) override { return no(); }
  Result<void> append_audit(const AuditEntry&) override { return no(); }
  Result<PageOf<AuditEntry>> audit(const AuditFilter&, const Page&) override { return no(); }
  Result<Template> create_template(const Template&, const Actor&) override { return no(); }
  Result<Template> update_template(const Template&, std::uint32_t, const Actor&) override { return no(); }
  Result<void> delete_template(TemplateId, bool, const Actor&) override { return no(); }
  Result<Device> create_device(const Device&, const NewToken&, const Actor&) override { return no(); }
  Result<PageOf<Device>> devices(const DeviceFilter&, const Page&) override { return no(); }
  Result<Device> rename_device(DeviceId, std::string_view, const Actor&) override { return no(); }
  Result<void> set_device_home(DeviceId, const Home&, const Actor&) override { return no(); }
  Result<void> delete_device(DeviceId, const Actor&) override { return no(); }
  Result<std::string> reveal_token(DeviceId, const Actor&) override { return no(); }
  Result<void> replace_token(DeviceId, const NewToken&, const Actor&) override { return no(); }
  Result<std::optional<FoundToken>> find_token(std::span<const TokenDigest>) override { return no(); }
  Result<std::vector<TokenRecord>> tokens_of_device(DeviceId) override { return no(); }
  Result<std::optional<std::string>> device_metadata(DeviceId, std::string_view) override { return no(); }
  Result<void> set_device_metadata(DeviceId, std::string_view, std::string_view, const Actor&) override { return no(); }
  Result<std::vector<MetadataValue>> all_device_metadata(DeviceId) override { return no(); }
  Result<ProvisionSession> create_provision_session(const NewProvisionSession&, const NewToken&, const Actor&) override { return no(); }
  Result<PageOf<ProvisionSession>> provision_sessions(const ProvisionSessionFilter&, const Page&) override { return no(); }
  Result<std::vector<ProvisionStep>> provision_steps(ProvisionSessionId) override { return no(); }
  Result<void> post_provision_step(ProvisionSessionId, const ProvisionStep&) override { return no(); }
  Result<void> note_provision_login(ProvisionSessionId, UtcTime, std::string_view) override { return no(); }
  Result<void> note_first_value(ProvisionSessionId, UtcTime) override { return no(); }
  Result<InfoVerdict> accept_info(ProvisionSessionId, const ReportedInfo&, const Actor&) override { return no(); }
  Result<void> finish_reprovision(ProvisionSessionId, AuthTokenId, const Actor&) override { return no(); }
  Result<void> cancel_provision_session(ProvisionSessionId, const Actor&) override { return no(); }
  Result<std::size_t> expire_provision_sessions(UtcTime, std::size_t) override { return no(); }
  Result<std::vector<PinValue>> values_of(DeviceId) override { return no(); }
  Result<std::vector<TokenToRotate>> tokens_to_rotate(std::uint16_t, std::size_t) override { return no(); }
  Result<void> rotate_tokens(std::span<const RotatedToken>) override { return no(); }
  Result<std::vector<SealedToken>> sealed_tokens(std::uint16_t, std::size_t) override { return no(); }
  Result<std::vector<std::uint16_t>> key_ids_in_use() override { return no(); }

 private:
  [[nodiscard]] static Error no() { return StoreError::unavailable; }
  Result<void> ok() {
    if (calls_until_failure == 0) return no();
    if (calls_until_failure > 0) --calls_until_failure;
    return {};
  }
  template <class T>
  Result<T> given(T value) {
    if (const auto result = ok(); !result) return result.error();
    return value;
  }
  template <class T>
  static std::optional<T> by_id(const std::vector<T>& rows, decltype(T::id) id) {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const T& row) { return row.id == id; });
    return found == rows.end() ? std::nullopt : std::optional{*found};
  }
};

}  // namespace muster::domain
