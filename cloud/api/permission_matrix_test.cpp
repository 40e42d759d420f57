// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cloud/api/test_openapi.hpp"
#include "cloud/api/test_permission_table.hpp"
#include "cloud/api/test_server.hpp"

namespace muster::api {
namespace {

using Row = PermissionRow;

/// "a=1&b=x&c=[y|z]" as a JSON object.
std::string as_json(const std::string& request) {
  if (request.empty() || request == "{}") return request;
  JsonWriter json;
  json.object();
  for (std::size_t at = 0; at < request.size();) {
    const auto end = std::min(request.find('&', at), request.size());
    const auto equals = request.find('=', at);
    const std::string name = request.substr(at, equals - at), value = request.substr(equals + 1, end - equals - 1);
    at = end + 1;
    if (value.size() >= 2 && value.front() == '\'') {
      json.add(name, value.substr(1, value.size() - 2));
    } else if (value.size() >= 2 && value.front() == '[') {
      json.array(name);
      for (std::size_t from = 1; from < value.size() - 1;) {
        const auto bar = std::min(value.find('|', from), value.size() - 1);
        json.item(value.substr(from, bar - from));
        from = bar + 1;
      }
      json.end_array();
    } else if (value == "true" || value == "false" || (!value.empty() && value.find_first_not_of("0123456789") == std::string::npos)) {
      json.add_raw(name, value);
    } else {
      json.add(name, value);
    }
  }
  json.end_object();
  return json.take();
}

void replace_all(std::string& text, std::string_view from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
}

class PermissionMatrix : public ::testing::Test {
 protected:
  void SetUp() override {
    ApiOptions options;
    options.sign_in_failures_per_address = 0;  // These rows are refused for their content, thousands of times.
    options.requests_per_minute_per_organization = 0;
    options.invitations_per_day = 0;
    server_ = std::make_unique<TestServer>(std::move(options));
    server_->set_up();
    middle_ = server_->organization(server_->root, "Middle");
    places_ = {middle_, server_->organization(middle_, "Beneath"), server_->organization(server_->root, "Foreign"), server_->root};
    for (std::size_t i = 0; i < places_.size(); ++i)
      place_templates_[i] = server_->make_template(places_[i], "Template " + str(places_[i])).id;
    shared_ = server_->make_template(server_->root, "Shared").id;
    callers_ = {server_->user(middle_, domain::admin_role, "admin@example.org"),
                server_->user(middle_, domain::staff_role, "staff@example.org"),
                server_->user(middle_, domain::user_role, "user@example.org")};
    // Deleting is tried, too: the organization stays, for it has a device.
    server_->device(places_[1], shared_, "Stays");
    // Never the last Admin: deleting users is tried, too.
    server_->user(middle_, domain::admin_role, "second-admin@example.org");
  }

  /// The request with ids of `place`; new things each time, for some requests use them up. `unknown`: ids that nobody has.
  std::string fill(std::string_view request, std::size_t place, bool unknown, UserId owner) {
    std::string text{request};
    const auto put = [&](std::string_view name, const auto& make) {
      if (text.find(name) != std::string::npos) replace_all(text, name, unknown ? std::string{"987654"} : str(make()));
    };
    put("{org}", [&] { return places_[place]; });
    put("{invitation}", [&] { return make_invitation(places_[place]); });
    if (text.find("{sign_in}") != std::string::npos) {
      const UserId someone = server_->user(places_[place], domain::user_role, "someone" + std::to_string(++unique_) + "@example.org");
      (void)server_->access_token(someone);
      replace_all(text, "{user}", unknown ? "987654" : str(someone));
      replace_all(text, "{sign_in}", str(server_->store->sign_ins(someone).value().at(0).id));
    }
    put("{user}", [&] { return server_->user(places_[place], domain::user_role, "someone" + std::to_string(++unique_) + "@example.org"); });
    put("{device}",
        [&] { return server_->device(places_[place], place_templates_[place], "Device " + std::to_string(++unique_), owner).id; });
    put("{template}", [&] {
      domain::Datastream stream;
      stream.name = "One";
      stream.pin = 1;
      return server_->make_template(places_[place], "T" + std::to_string(++unique_), {stream}).id;
    });
    put("{apikey}", [&] {
      domain::ApiKey key;
      key.organization_id = places_[place];
      key.user_id = server_->admin;
      key.name = "Key";
      return server_->store->create_api_key(key, server_->keys->digest("api-key", std::to_string(++unique_)).newest(), {}).value().id;
    });
    put("{client}", [&] {
      domain::OAuthClient client;
      client.organization_id = places_[place];
      client.user_id = server_->admin;
      client.name = "Client";
      client.client_id = "client-" + std::to_string(++unique_);
      return server_->store->create_oauth_client(client, server_->keys->digest("oauth-client-secret", client.client_id).newest(), {})
          .value()
          .id;
    });
    put("{webhook}", [&] { return make_webhook(places_[place]); });
    put("{delivery}", [&] { return server_->store->create_test_delivery(make_webhook(places_[place]), {})->id; });
    // A line of the device that was made last: its activation.
    put("{line}", [&] { return server_->store->newest_timeline().value(); });
    for (const auto* name : {"{session}", "{id}"}) put(name, [&] { return make_session(places_[place]); });
    replace_all(text, "{shared}", str(shared_));
    replace_all(text, "{unique}", std::to_string(++unique_));
    return text;
  }

  LinkId make_invitation(OrganizationId organization) {
    domain::NewLink made;
    made.link.email = "invited" + std::to_string(++unique_) + "@example.org";
    made.link.organization_id = organization;
    made.link.role_id = domain::user_role;
    made.link.expires_at = {server_->clock.utc_now().ms + 3'600'000};
    made.digest = server_->keys->digest("link", made.link.email).newest();
    return server_->store->create_invitation(made, std::nullopt, 0, server_->actor()).value().id;
  }
  WebhookId make_webhook(OrganizationId organization) {
    domain::Webhook hook;
    hook.organization_id = organization;
    hook.name = "Webhook";
    hook.url = "https://hooks.example.org/";
    const auto made = server_->store->create_webhook(hook, {});
    EXPECT_TRUE(made) << made.error().message();
    return made->id;
  }
  /// A provisioning session that somebody else started there.
  ProvisionSessionId make_session(OrganizationId organization) {
    domain::NewProvisionSession wanted;
    wanted.organization_id = organization;
    wanted.expires_at = {server_->clock.utc_now().ms + 3'600'000};
    wanted.open_max = 1'000'000;
    const AuthToken token = AuthToken::generate(server_->random);
    const TokenDigests digests = server_->keys->digest("auth-token", token.reveal());
    const auto made = server_->store->create_provision_session(wanted, {digests.newest(), digests.all(), "sealed"}, {});
    EXPECT_TRUE(made) << made.error().message();
    server_->catch_up();
    return made->id;
  }
  /// A row's request in that place; devices there are `owner`'s, or nobody's.
  Response send(const Row& row, std::size_t place, bool unknown, UserId owner, const std::string& token) {
    const std::string filled = fill(row.route + '\n' + row.request, place, unknown, owner);
    const auto end = filled.find('\n');
    return send(filled.substr(0, end), filled.substr(end + 1), token);
  }

  Response send(std::string_view route, const std::string& request, const std::string& token) {
    const auto space = route.find(' ');
    const std::string_view word = route.substr(0, space);
    const std::string path{route.substr(space + 1)};
    const Method method = word == "GET" ? Method::get : word == "POST" ? Method::post : word == "PUT" ? Method::put : Method::delete_;
    const bool in_query = method == Method::get || method == Method::delete_;
    return in_query ? server_->call(method, request.empty() ? path : path + "?" + request, {}, token)
                    : server_->call(method, path, as_json(request), token);
  }

  std::unique_ptr<TestServer> server_;
  OrganizationId middle_;
  TemplateId shared_;
  std::array<OrganizationId, 4> places_;
  std::array<TemplateId, 4> place_templates_;
  std::array<UserId, 3> callers_;
  int unique_ = 0;
};

TEST_F(PermissionMatrix, HasARowForEveryRouteOfTheContract) {
  std::set<std::string> rows, documented;
  for (const Row& row : read_permission_table()) EXPECT_TRUE(rows.insert(row.route).second) << row.route << " is there twice";
  for (const auto& operation : read_openapi()) {
    // The stream checks each of its rows (stream_test.cpp); devices show their AuthToken (external_routes_test.cpp).
    if ((operation.path.starts_with("/api/v1/") || operation.path.starts_with("/oauth2/")) && operation.path != "/api/v1/stream")
      documented.insert(operation.method + " " + operation.path);
  }
  EXPECT_EQ(rows, documented);
}

TEST_F(PermissionMatrix, EveryRouteAnswersEveryRoleInEveryPlaceAsTheTableSays) {
  constexpr std::array<std::string_view, 5> column_names{"own", "own device", "sub", "sibling", "parent"};
  constexpr std::array<std::size_t, 5> place_of_column{0, 0, 1, 2, 3};
  constexpr std::array<std::string_view, 4> role_names{"Admin", "Staff", "User", "nobody"};
  std::size_t checked = 0, expected = 0;
  for (const Row& row : read_permission_table()) {
    const bool about_device = row.request.find("{device}") != std::string::npos;
    EXPECT_EQ(row.cells[1] == "-", !about_device) << row.route;
    expected += about_device ? 20 : 16;
    for (std::size_t column = 0; column < row.cells.size(); ++column) {
      if (row.cells[column] == "-") continue;
      ASSERT_EQ(row.cells[column].size(), 4u) << row.route;
      const std::size_t place = place_of_column[column];
      for (std::size_t role = 0; role < role_names.size(); ++role) {
        const std::string token = role < callers_.size() ? server_->access_token(callers_[role]) : "";
        const UserId owner = column == 1 ? callers_[std::min(role, callers_.size() - 1)] : UserId{};
        const Response response = send(row, place, false, owner, token);
        const std::string where = row.route + " as " + std::string{role_names[role]} + ", " + std::string{column_names[column]} + ": " +
                                  std::to_string(response.status) + " " + response.body;
        ++checked;
        switch (row.cells[column][role]) {
          case 'A':
            EXPECT_TRUE(response.status != 401 && response.status != 403 && response.status != 404 && response.status < 500) << where;
            break;
          case 'F': EXPECT_EQ(response.status, 403u) << where; break;
          case 'U': EXPECT_EQ(response.status, 401u) << where; break;
          case 'P': EXPECT_TRUE(response.status == 400 || response.status == 409) << where; break;
          case 'N': {
            EXPECT_EQ(response.status, 404u) << where;
            const Response unknown = send(row, place, true, owner, token);
            EXPECT_EQ(unknown.status, response.status) << where;
            EXPECT_EQ(unknown.body, response.body) << where;
            break;
          }
          default: FAIL() << "unknown letter for " << row.route;
        }
      }
    }
  }
  EXPECT_EQ(checked, expected);
}

TEST_F(PermissionMatrix, AUserHasHisOwnDevicesAndTheirTokenOnlyWithThePermission) {
  const auto mine = server_->device(middle_, place_templates_[0], "Mine", callers_[2]);
  const auto token = server_->access_token(callers_[2]);
  const std::string query = "?deviceId=" + str(mine.id);
  EXPECT_EQ(server_->get("/api/v1/organization/device" + query, token).status, 200u);
  EXPECT_EQ(server_->call(Method::put, "/api/v1/device", R"({"deviceId":)" + str(mine.id) + R"(,"name":"My lamp"})", token).status, 200u);
  EXPECT_EQ(server_->get("/api/v1/device/token" + query, token).status, 403u);
  EXPECT_EQ(server_->call(Method::put, "/api/v1/device/token" + query, {}, token).status, 403u);
  const Response list = server_->get("/api/v1/organization/devices", token);
  EXPECT_EQ(number_in(list, "totalElements"), 1);
  EXPECT_EQ(number_in(server_->get("/api/v1/organization/devices?ownerId=" + str(callers_[0]), token), "totalElements"), 0);
  EXPECT_EQ(server_->call(Method::delete_, "/api/v1/device" + query, {}, token).status, 204u);
}

TEST_F(PermissionMatrix, NobodyActsOnSomebodyStrongerOrGivesMoreThanHeHas) {
  const auto staff = server_->access_token(callers_[1]);
  EXPECT_EQ(code_of(server_->call(Method::post, "/api/v1/users/create-in-org",
                                  R"({"email":"x@example.org","password":"12345678","role":"Admin"})", staff)),
            "role_exceeds_own");
  const auto admin = server_->access_token(callers_[0]);
  EXPECT_EQ(server_->call(Method::put, "/api/v1/users/role", R"({"userId":)" + str(callers_[2]) + R"(,"role":"Admin"})", admin).status,
            200u);
  EXPECT_EQ(code_of(server_->call(Method::post, "/api/v1/user/suspend", R"({"userId":)" + str(callers_[0]) + "}", admin)), "own_account");
}

TEST_F(PermissionMatrix, ARoleThatChangesCountsFromTheNextRequestOn) {
  const auto token = server_->access_token(callers_[2]);
  EXPECT_EQ(server_->get("/api/v1/users", token).status, 403u);
  const auto admin = server_->access_token(callers_[0]);
  ASSERT_EQ(server_->call(Method::put, "/api/v1/users/role", R"({"userId":)" + str(callers_[2]) + R"(,"role":"Staff"})", admin).status,
            200u);
  EXPECT_EQ(server_->get("/api/v1/users", token).status, 200u);
  ASSERT_EQ(server_->call(Method::post, "/api/v1/user/suspend", R"({"userId":)" + str(callers_[2]) + "}", admin).status, 200u);
  EXPECT_EQ(server_->get("/api/v1/users", token).status, 401u);
}

}  // namespace
}  // namespace muster::api
