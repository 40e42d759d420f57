// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cloud/api/api.hpp"
#include "cloud/api/json.hpp"
#include "cloud/base/auth_token.hpp"
#include "cloud/domain/home_rule.hpp"
#include "cloud/domain/permission.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"

namespace muster::api {

/// Notes what is pushed to devices.
class NotingLink final : public DeviceLink {
 public:
  bool push_value(DeviceId device, std::uint8_t pin, std::string_view value) override {
    pushed.push_back({device, pin, std::string{value}});
    return true;
  }
  bool push_internal(DeviceId, std::string_view) override { return true; }
  bool is_elsewhere(const domain::Home& home, const std::optional<IpAddress>& local) const override {
    return domain::is_elsewhere(home, own_hosts, redirect_back_hosts, local);
  }
  bool may_say_invalid(const IpAddress&, Instant) override {
    if (!breaker_open) ++invalid_said;
    return !breaker_open;
  }
  void remember_address(const IpAddress& address) override { remembered = address; }
  struct Pushed {
    DeviceId device;
    std::uint8_t pin;
    std::string value;
  };
  std::vector<Pushed> pushed;
  std::vector<std::string> own_hosts, redirect_back_hosts;
  bool breaker_open = false;
  int invalid_said = 0;
  std::optional<IpAddress> remembered;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

/// The whole API on a SQLite store in a folder of its own, with a clock that the test moves. People get access tokens without
/// passwords: hashing those is slow, and only the tests of signing in need it.
class TestServer : private domain::Views::Listener {
 public:
  explicit TestServer(ApiOptions options = {}) {
    options.setup_code = options.setup_code.empty() ? "the-setup-code" : options.setup_code;
    folder_ =
        std::filesystem::temp_directory_path() / ("muster-api-test-" + std::to_string(::getpid()) + "-" + std::to_string(next_folder_++));
    std::filesystem::create_directories(folder_);
    store::SqliteOptions store_options;
    store_options.clock = &clock;
    store_options.durability = store::Durability::off;  // Nothing here survives the test anyway.
    store = store::SqliteStore::open(folder_ / "muster.db", store_options);
    start(*store, std::move(options));
    if (!views->rebuild()) ADD_FAILURE() << "no views";
  }
  ~TestServer() override {
    api.reset();
    views.reset();
    store.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  /// Root organization and first administrator, without a password.
  void set_up() {
    const auto made = store->set_up("Root", "root@example.org", "", actor());
    if (!made) {
      ADD_FAILURE() << made.error().message();
      return;
    }
    root = made->organization_id;
    admin = made->user_id;
    catch_up();
    admin_token = access_token(admin);
  }

  OrganizationId organization(OrganizationId parent, const std::string& name) {
    domain::Organization organization;
    organization.parent_id = parent;
    organization.name = name;
    const auto made = store->create_organization(organization, actor());
    catch_up();
    EXPECT_TRUE(made.has_value());
    return made ? made->id : OrganizationId{};
  }
  UserId user(OrganizationId organization, RoleId role, const std::string& email) {
    domain::User user;
    user.organization_id = organization;
    user.role_id = role;
    user.email = email;
    const auto made = store->create_user(user, "", actor());
    catch_up();
    EXPECT_TRUE(made.has_value());
    return made ? made->id : UserId{};
  }
  std::string access_token(UserId user) {
    std::string token = "test-access-token-" + std::to_string(user.value()) + "-" + std::to_string(next_token_++);
    token.resize(43, 'x');
    const UtcTime until{clock.utc_now().ms + 30LL * 86'400'000};
    EXPECT_TRUE(store->create_access_token(user, keys->digest("access-token", token).newest(), until, actor()).has_value());
    return token;
  }
  domain::Template make_template(OrganizationId organization, const std::string& name, std::vector<domain::Datastream> streams = {}) {
    domain::Template value;
    value.organization_id = organization;
    value.name = name;
    value.tmpl_ids.push_back("TMPLtest" + std::to_string(next_template_++));
    value.datastreams = std::move(streams);
    const auto made = store->create_template(value, actor());
    catch_up();
    EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message());
    return made ? *made : domain::Template{};
  }
  struct MadeDevice {
    DeviceId id;
    std::string token;
  };
  MadeDevice device(OrganizationId organization, TemplateId of, const std::string& name, UserId owner = {}) {
    domain::Device device;
    device.organization_id = organization;
    device.template_id = of;
    device.owner_id = owner;
    device.name = name;
    const AuthToken token = AuthToken::generate(random);
    const auto digests = keys->digest("auth-token", token.reveal());
    const auto made =
        store->create_device(device, {digests.newest(), digests.all(), keys->seal("auth-token", token.reveal(), random)}, actor());
    catch_up();
    EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message());
    return {made ? made->id : DeviceId{}, std::string{token.reveal()}};
  }
  void catch_up() { EXPECT_TRUE(views->catch_up().has_value()); }

  /// One request; on the loop when memory can answer, else as a worker would.
  Response call(Method method, std::string_view target, std::string_view body = {}, std::string_view token = {},
                const Headers& extra = {}) {
    Request request;
    std::string bearer = "Bearer " + std::string{token};
    make_request(request, method, target, body, extra);
    if (!token.empty()) request.headers.push_back({"Authorization", bearer});
    Response response;
    if (api->answer_from_memory(request, response)) return response;
    return api->handle(request);
  }
  void make_request(Request& request, Method method, std::string_view target, std::string_view body, const Headers& extra) const {
    request.method = method;
    request.target = target;
    request.path = target.substr(0, target.find('?'));
    request.query = target.find('?') == std::string_view::npos ? std::string_view{} : target.substr(target.find('?') + 1);
    request.body = body;
    request.peer = peer;
    request.local_address = local_address;
    request.headers.push_back({"Host", "muster.example:8080"});
    for (const auto& [name, value] : extra) request.headers.push_back({name, value});
  }
  Response get(std::string_view target, std::string_view token = {}) { return call(Method::get, target, {}, token); }

  ManualClock clock;
  SecureRandom random;
  std::unique_ptr<KeyRing> keys = KeyRing::in_memory(random);
  Metrics metrics;
  NotingLink link;
  domain::SessionRegistry sessions;
  domain::ValueCache values;
  domain::PresenceQueue presence;
  domain::TimelineQueue timeline;
  IpAddress peer = IpAddress::from_v4(0x7F000001);
  std::string local_address = "127.0.0.1:8080";
  std::unique_ptr<store::SqliteStore> store;
  std::unique_ptr<domain::Views> views;
  std::unique_ptr<Api> api;

  OrganizationId root;
  UserId admin;
  std::string admin_token;

  /// The API anew over another store (a faulty one); the views stay those of the real one.
  void serve_from(domain::Store& other, ApiOptions options = {}) {
    api = std::make_unique<Api>(Api::Dependencies{other, *views, sessions, values, presence, timeline, link, *keys, random, clock, metrics},
                                std::move(options));
  }

  domain::Actor actor() const { return {{}, root, "System", "127.0.0.1", clock.utc_now()}; }

 private:
  void start(domain::Store& with, ApiOptions options) {
    views = std::make_unique<domain::Views>(with);
    views->set_listener(this);
    serve_from(with, std::move(options));
  }
  void token_gone(DeviceId, AuthTokenId) override {}
  void provision_session_changed(const domain::ProvisionSession& session) override {
    if (api) api->provision_session_changed(session);
  }
  void device_gone(DeviceId device) override {
    if (api) api->device_gone(device);
  }
  void permissions_changed() override {
    if (api) api->permissions_changed();
  }
  void access_tokens_changed(UserId user) override {
    if (api) api->access_tokens_changed(user);
  }
  static inline std::atomic<int> next_folder_{0};
  std::filesystem::path folder_;
  int next_token_ = 0, next_template_ = 1000;
};

/// The stable code of an /api/v1 error, or "".
inline std::string code_of(const Response& response) {
  const auto parsed = parse_json(response.body);
  const Json* error = parsed.value.find("error");
  const Json* code = error == nullptr ? nullptr : error->find("code");
  return code == nullptr ? "" : code->text;
}
/// The first field that an error complains about, or "".
inline std::string field_of(const Response& response) {
  const auto parsed = parse_json(response.body);
  const Json* error = parsed.value.find("error");
  const Json* details = error == nullptr ? nullptr : error->find("details");
  if (details == nullptr || details->items.empty()) return "";
  const Json* field = details->items.front().find("field");
  return field == nullptr ? "" : field->text;
}
inline std::string message_of(const Response& response) {
  const auto parsed = parse_json(response.body);
  const Json* error = parsed.value.find("error");
  const Json* message = error == nullptr ? nullptr : error->find("message");
  return message == nullptr ? "" : message->text;
}
inline std::string header_of(const Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}
inline Json body_of(const Response& response) { return parse_json(response.body).value; }
inline std::string text_in(const Response& response, std::string_view name) {
  const Json body = body_of(response);
  const Json* found = body.find(name);
  return found == nullptr ? "" : found->text;
}
inline std::int64_t number_in(const Response& response, std::string_view name) {
  const Json body = body_of(response);
  const Json* found = body.find(name);
  return found == nullptr ? -1 : found->integer;
}
inline std::string str(std::int64_t number) { return std::to_string(number); }
template <class Tag, class Rep>
std::string str(Id<Tag, Rep> id) {
  return std::to_string(id.value());
}

}  // namespace muster::api
