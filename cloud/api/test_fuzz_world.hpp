// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "cloud/api/api.hpp"
#include "cloud/api/test_failing_store.hpp"
#include "cloud/base/auth_token.hpp"

namespace muster::api {

/// A store that reads of one small world and takes no change: enough for requests to get past the permission check.
class FuzzStore final : public FailingStore {
 public:
  Result<void> check() override { return {}; }
  Result<domain::UnknownTokens> unknown_tokens() override { return domain::UnknownTokens::refuse; }
  Result<std::int64_t> newest_change() override { return std::int64_t{1}; }
  Result<Changes> changes_after(std::int64_t, std::size_t) override { return Changes{}; }
  Result<void> for_each_live_token(const std::function<void(const domain::TokenRecord&)>& each) override {
    each({AuthTokenId{1}, domain::TokenKind::device, DeviceId{1}, digest, {}, {}});
    return {};
  }
  Result<void> for_each_device(const std::function<void(const domain::DeviceRow&)>& each) override {
    each({DeviceId{1}, OrganizationId{1}, TemplateId{1}, UserId{1}});
    each({DeviceId{2}, OrganizationId{2}, TemplateId{1}, UserId{}});
    return {};
  }
  Result<void> for_each_seen_ip(const std::function<void(std::string_view)>&) override { return {}; }
  Result<void> for_each_recent_session(UtcTime, const std::function<void(DeviceId, UtcTime)>&) override { return {}; }
  Result<void> for_each_device_home(const std::function<void(DeviceId, const domain::Home&)>&) override { return {}; }
  Result<bool> has_administrator() override { return true; }
  Result<std::vector<domain::Organization>> organizations() override {
    domain::Organization root, beneath;
    root.id = OrganizationId{1};
    root.name = "Root";
    beneath.id = OrganizationId{2};
    beneath.parent_id = OrganizationId{1};
    beneath.name = "Beneath";
    return std::vector{root, beneath};
  }
  Result<std::optional<domain::Organization>> find_organization(OrganizationId id) override {
    const auto all = organizations().value();
    for (const auto& each : all) {
      if (each.id == id) return std::optional{each};
    }
    return std::optional<domain::Organization>{};
  }
  Result<std::vector<domain::User>> all_users() override { return std::vector{user()}; }
  Result<std::optional<domain::User>> find_user(UserId) override { return std::optional{user()}; }
  Result<domain::PageOf<domain::User>> users(OrganizationId, const domain::Page&) override {
    return domain::PageOf<domain::User>{{user()}, 1};
  }
  Result<std::vector<domain::Role>> roles() override {
    return std::vector{domain::Role{domain::admin_role, "Admin", true, domain::builtin_role_permissions(domain::admin_role)}};
  }
  Result<std::optional<domain::StoredAccessToken>> find_access_token(std::span<const TokenDigest>) override {
    return std::optional{domain::StoredAccessToken{UserId{1}, {0}, {4'000'000'000'000}}};
  }
  Result<domain::PageOf<domain::AuditEntry>> audit(const AuditFilter&, const domain::Page&) override {
    return domain::PageOf<domain::AuditEntry>{};
  }
  Result<std::vector<domain::Template>> templates() override { return std::vector{one_template()}; }
  Result<std::optional<domain::Template>> find_template(TemplateId) override { return std::optional{one_template()}; }
  Result<std::optional<domain::Device>> find_device(DeviceId id) override {
    domain::Device device;
    device.id = id;
    device.organization_id = OrganizationId{1};
    device.template_id = TemplateId{1};
    device.name = "Device";
    return std::optional{device};
  }
  Result<domain::PageOf<domain::Device>> devices(const domain::DeviceFilter&, const domain::Page&) override {
    return domain::PageOf<domain::Device>{{*find_device(DeviceId{1}).value()}, 1};
  }
  Result<std::optional<domain::FoundToken>> find_token(std::span<const TokenDigest>) override {
    return std::optional<domain::FoundToken>{};
  }
  Result<std::vector<domain::TokenRecord>> tokens_of_device(DeviceId) override { return std::vector<domain::TokenRecord>{}; }
  Result<std::vector<MetadataValue>> all_device_metadata(DeviceId) override { return std::vector<MetadataValue>{}; }
  Result<std::vector<domain::PinValue>> values_of(DeviceId) override { return std::vector<domain::PinValue>{}; }

  Result<std::vector<domain::ProvisionSession>> live_provision_sessions() override { return std::vector<domain::ProvisionSession>{}; }
  Result<std::optional<domain::ProvisionSession>> find_provision_session(ProvisionSessionId) override {
    return std::optional<domain::ProvisionSession>{};
  }
  Result<domain::PageOf<domain::ProvisionSession>> provision_sessions(const domain::ProvisionSessionFilter&, const domain::Page&) override {
    return domain::PageOf<domain::ProvisionSession>{};
  }

  TokenDigest digest;

 private:
  static domain::User user() {
    domain::User user;
    user.id = UserId{1};
    user.organization_id = OrganizationId{1};
    user.role_id = domain::admin_role;
    user.email = "root@example.org";
    return user;
  }
  static domain::Template one_template() {
    domain::Template value;
    value.id = TemplateId{1};
    value.organization_id = OrganizationId{1};
    value.tmpl_ids = {"TMPLfuzz12345"};
    value.name = "Fuzz";
    const auto add = [&](std::uint8_t pin, domain::DataType type) {
      domain::Datastream stream;
      stream.id = DatastreamId{pin + 1};
      stream.pin = pin;
      stream.type = type;
      stream.name = "V" + std::to_string(pin);
      value.datastreams.push_back(stream);
    };
    add(0, domain::DataType::integer);
    add(1, domain::DataType::real);
    add(2, domain::DataType::string);
    add(3, domain::DataType::location);
    return value;
  }
};

/// One API for all inputs of a fuzz target.
struct FuzzWorld {
  struct NoLink final : DeviceLink {
    bool push_value(DeviceId, std::uint8_t, std::string_view) override { return false; }
    bool push_internal(DeviceId, std::string_view) override { return false; }
    bool is_elsewhere(const domain::Home& home, const std::optional<IpAddress>&) const override { return !home.host.empty(); }
    bool may_say_invalid(const IpAddress&, Instant) override { return true; }
    void remember_address(const IpAddress&) override {}
  };
  FuzzWorld() {
    store.digest = keys->digest("auth-token", token).newest();
    if (!views.rebuild()) std::abort();
    ApiOptions options;
    options.requests_per_minute_per_organization = 0;
    options.sign_in_failures_per_address = 1;  // Password hashing is not what is fuzzed here.
    api = std::make_unique<Api>(Api::Dependencies{store, views, sessions, values, presence, timeline, link, *keys, random, clock, metrics},
                                options);
  }
  static constexpr std::string_view token = "fuzz-fuzz-fuzz-fuzz-fuzz-fuzz-fu";
  FuzzStore store;
  ManualClock clock;
  SeededRandom random{1};
  std::unique_ptr<KeyRing> keys = KeyRing::in_memory(random);
  Metrics metrics;
  NoLink link;
  domain::SessionRegistry sessions;
  domain::ValueCache values{1u << 20};
  domain::PresenceQueue presence;
  domain::TimelineQueue timeline;
  domain::Views views{store};
  std::unique_ptr<Api> api;
};

}  // namespace muster::api
