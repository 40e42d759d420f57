// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>

#include "cloud/api/test_openapi.hpp"
#include "cloud/api/test_server.hpp"

namespace muster::api {
namespace {

// The table below is written by hand from docs/protocol/cloud-model.md section 4: it is what the routes are held against, so it is
// never derived from them. Callers belong to the organization "middle":
//
//     root > middle > beneath,   root > foreign
//
// Each column is one place that the request is about, each letter one caller: Admin, Staff, User, nobody.
//   A allowed (whatever the state then says)   F 403   N 404, the same answer as for an unknown id   U 401   P public
struct Row {
  std::string_view route;
  std::string_view request;  ///< Query for GET and DELETE, body for POST and PUT; {names} stand for ids in the place.
  std::string_view own, beneath, foreign, above;
};

constexpr std::string_view self = "AAAU";
// Routes about the caller alone do not look at the place.
constexpr Row table[] = {
    {"POST /api/v1/setup", R"({"code":"x","email":"a@b.org","password":"12345678"})", "PPPP", "PPPP", "PPPP", "PPPP"},
    {"POST /api/v1/session", R"({"email":"a@b.org"})", "PPPP", "PPPP", "PPPP", "PPPP"},
    {"GET /api/v1/session", "", self, self, self, self},
    {"DELETE /api/v1/session", "", self, self, self, self},

    {"GET /api/v1/organization/profile", "", self, self, self, self},
    {"GET /api/v1/organization", "orgId={org}", "AAAU", "AAFU", "NNNU", "NNNU"},
    {"PUT /api/v1/organization", R"({"orgId":{org},"description":"d"})", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"DELETE /api/v1/organization", "orgId={org}", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"GET /api/v1/organization/sub-organizations", "orgId={org}", "AAAU", "AAFU", "NNNU", "NNNU"},
    {"GET /api/v1/organization/search", "orgId={org}&query=e", "AAAU", "AAFU", "NNNU", "NNNU"},
    {"POST /api/v1/organization/create", R"({"orgId":{org},"name":"N{unique}"})", "AFFU", "AFFU", "NNNU", "NNNU"},

    {"GET /api/v1/users", "orgId={org}", "AAFU", "AAFU", "NNNU", "NNNU"},
    {"GET /api/v1/search/users", "orgId={org}&query=a", "AAFU", "AAFU", "NNNU", "NNNU"},
    {"GET /api/v1/user", "userId={user}", "AAFU", "AAFU", "NNNU", "NNNU"},
    {"PUT /api/v1/user", R"({"userId":{user},"name":"Somebody"})", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"DELETE /api/v1/user", "userId={user}", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"GET /api/v1/user/profile", "", self, self, self, self},
    // Too short a password: the permission is what counts here, and hashing takes long.
    {"POST /api/v1/users/create-in-org", R"({"orgId":{org},"email":"u{unique}@example.org","password":"short"})", "AAFU", "AAFU", "NNNU",
     "NNNU"},
    {"PUT /api/v1/users/role", R"({"userId":{user},"role":"User"})", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"POST /api/v1/user/suspend", R"({"userId":{user}})", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"POST /api/v1/user/activate", R"({"userId":{user}})", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"PUT /api/v1/user/password", R"({"userId":{user},"password":"short"})", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"GET /api/v1/roles", "orgId={org}", "AAAU", "AAFU", "NNNU", "NNNU"},

    // Templates from above are seen and used, and changed only where they belong.
    {"GET /api/v1/templates", "orgId={org}", "AAAU", "AAFU", "NNNU", "NNNU"},
    {"GET /api/v1/template", "templateId={template}", "AAAU", "AAFU", "NNNU", "AAAU"},
    {"PUT /api/v1/template", R"({"templateId":{template},"description":"d"})", "AFFU", "AFFU", "NNNU", "FFFU"},
    {"DELETE /api/v1/template", "templateId={template}", "AFFU", "AFFU", "NNNU", "FFFU"},
    // Only the root organization makes templates; "middle" and "beneath" are none, so that even an Admin hears 403.
    {"POST /api/v1/template/create", R"({"orgId":{org},"name":"T{unique}"})", "FFFU", "FFFU", "NNNU", "NNNU"},
    {"GET /api/v1/template/datastreams", "templateId={template}", "AAAU", "AAFU", "NNNU", "AAAU"},
    {"POST /api/v1/template/datastream/create", R"({"templateId":{template},"pin":77})", "AFFU", "AFFU", "NNNU", "FFFU"},
    {"PUT /api/v1/template/datastream", R"({"templateId":{template},"dataStreamId":1,"units":"m"})", "AFFU", "AFFU", "NNNU", "FFFU"},
    {"DELETE /api/v1/template/datastream", "templateId={template}&dataStreamId=1", "AFFU", "AFFU", "NNNU", "FFFU"},
    {"GET /api/v1/template/metafields", "templateId={template}", "AAAU", "AAFU", "NNNU", "AAAU"},
    {"POST /api/v1/template/metafield/create", R"({"templateId":{template},"name":"Field{unique}"})", "AFFU", "AFFU", "NNNU", "FFFU"},
    {"PUT /api/v1/template/metafield", R"({"templateId":{template},"metaFieldId":1,"description":"d"})", "AFFU", "AFFU", "NNNU", "FFFU"},
    // Answers protected_entity, which is no matter of permission.
    {"DELETE /api/v1/template/metafield", "templateId={template}&metaFieldId=1", "AFFU", "AFFU", "NNNU", "FFFU"},
    {"GET /api/v1/template/events", "templateId={template}", "AAAU", "AAFU", "NNNU", "AAAU"},
    {"POST /api/v1/template/event/create", R"({"templateId":{template},"name":"E","eventCode":"e{unique}"})", "AFFU", "AFFU", "NNNU",
     "FFFU"},
    {"PUT /api/v1/template/event", R"({"templateId":{template},"eventId":1,"description":"d"})", "AFFU", "AFFU", "NNNU", "FFFU"},
    {"DELETE /api/v1/template/event", "templateId={template}&eventId=1", "AFFU", "AFFU", "NNNU", "FFFU"},

    // Devices here have no owner: a User does not even see them.
    {"GET /api/v1/organization/devices", "orgId={org}", "AAAU", "AAFU", "NNNU", "NNNU"},
    {"GET /api/v1/organization/search/devices", "orgId={org}&query=d", "AAAU", "AAFU", "NNNU", "NNNU"},
    {"GET /api/v1/organization/device", "deviceId={device}", "AANU", "AANU", "NNNU", "NNNU"},
    {"PUT /api/v1/organization/device", R"({"deviceId":{device},"name":"Renamed"})", "AANU", "AANU", "NNNU", "NNNU"},
    {"DELETE /api/v1/organization/device", "deviceId={device}", "AANU", "AANU", "NNNU", "NNNU"},
    {"POST /api/v1/organization/device/create", R"({"orgId":{org},"templateId":{shared},"name":"D{unique}"})", "AAFU", "AAFU", "NNNU",
     "NNNU"},
    {"GET /api/v1/organization/device/online", "deviceId={device}", "AANU", "AANU", "NNNU", "NNNU"},
    {"PUT /api/v1/organization/device/home", R"({"deviceId":{device},"host":"other.example"})", "AFNU", "AFNU", "NNNU", "NNNU"},
    {"GET /api/v1/organization/device/token", "deviceId={device}", "AANU", "AANU", "NNNU", "NNNU"},
    {"PUT /api/v1/organization/device/token", R"({"deviceId":{device}})", "AFNU", "AFNU", "NNNU", "NNNU"},
    {"GET /api/v1/organization/device/metafield", "deviceId={device}", "AANU", "AANU", "NNNU", "NNNU"},
    {"POST /api/v1/organization/device/metafield", R"({"deviceId":{device},"name":"Device Name","value":"Renamed"})", "AANU", "AANU",
     "NNNU", "NNNU"},

    {"POST /api/v1/organization/device/provision/token", R"({"orgId":{org}})", "AAAU", "AAFU", "NNNU", "NNNU"},
    {"POST /api/v1/organization/device/provision/reprovision/token", R"({"deviceId":{device}})", "AANU", "AANU", "NNNU", "NNNU"},
    {"POST /api/v1/organization/device/provision/reconfigure", R"({"deviceId":{device}})", "AANU", "AANU", "NNNU", "NNNU"},
    // One's own always: a User hears an empty list.
    {"GET /api/v1/provision/sessions", "orgId={org}", "AAAU", "AAAU", "NNNU", "NNNU"},
    {"GET /api/v1/provision/session", "sessionId={session}", "AANU", "AANU", "NNNU", "NNNU"},
    {"POST /api/v1/provision/session/{id}/step", R"({"step":"sent"})", "AANU", "AANU", "NNNU", "NNNU"},
    {"DELETE /api/v1/provision/session/{id}", "", "AANU", "AANU", "NNNU", "NNNU"},

    {"GET /api/v1/apikeys", "orgId={org}", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"POST /api/v1/apikeys/create", R"({"orgId":{org},"name":"Key","scopes":["TEMPLATE_VIEW"]})", "AFFU", "AFFU", "NNNU", "NNNU"},
    // Ids that nobody has: whoever may ask hears so.
    {"DELETE /api/v1/apikey", "orgId={org}&apiKeyId={apikey}", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"GET /api/v1/oauth/clients", "orgId={org}", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"POST /api/v1/oauth/clients/create", R"({"orgId":{org},"name":"Client","scopes":["TEMPLATE_VIEW"]})", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"PUT /api/v1/oauth/client/secret", R"({"orgId":{org},"oauthClientId":{client}})", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"DELETE /api/v1/oauth/client/tokens", "orgId={org}&oauthClientId={client}", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"DELETE /api/v1/oauth/client", "orgId={org}&oauthClientId={client}", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"POST /oauth2/token", "", "PPPP", "PPPP", "PPPP", "PPPP"},
    {"POST /api/v1/oauth2/token", "", "PPPP", "PPPP", "PPPP", "PPPP"},
    {"GET /api/v1/audit", "orgId={org}", "AFFU", "AFFU", "NNNU", "NNNU"},
    {"GET /api/v1/audit/export", "orgId={org}", "AFFU", "AFFU", "NNNU", "NNNU"},
};

void replace_all(std::string& text, std::string_view from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
}

class PermissionMatrix : public ::testing::Test {
 protected:
  void SetUp() override {
    ApiOptions options;
    options.sign_in_failures_per_address = 0;  // These rows are refused for their content, thousands of times.
    options.requests_per_minute_per_organization = 0;
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
  std::string fill(std::string_view request, std::size_t place, bool unknown) {
    std::string text{request};
    const auto put = [&](std::string_view name, const auto& make) {
      if (text.find(name) != std::string::npos) replace_all(text, name, unknown ? std::string{"987654"} : str(make()));
    };
    put("{org}", [&] { return places_[place]; });
    put("{user}", [&] { return server_->user(places_[place], domain::user_role, "someone" + std::to_string(++unique_) + "@example.org"); });
    put("{device}", [&] { return server_->device(places_[place], place_templates_[place], "Device " + std::to_string(++unique_)).id; });
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
    for (const auto* name : {"{session}", "{id}"}) put(name, [&] { return make_session(places_[place]); });
    replace_all(text, "{shared}", str(shared_));
    replace_all(text, "{unique}", std::to_string(++unique_));
    return text;
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
  /// A row's request in that place.
  Response send(const Row& row, std::size_t place, bool unknown, const std::string& token) {
    const std::string filled = fill(std::string{row.route} + '\n' + std::string{row.request}, place, unknown);
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
                    : server_->call(method, path, request, token);
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
  for (const Row& row : table) EXPECT_TRUE(rows.insert(std::string{row.route}).second) << row.route << " is there twice";
  for (const auto& operation : read_openapi()) {
    // The stream checks each of its rows (stream_test.cpp); devices show their AuthToken (external_routes_test.cpp).
    if ((operation.path.starts_with("/api/v1/") || operation.path.starts_with("/oauth2/")) && operation.path != "/api/v1/stream")
      documented.insert(operation.method + " " + operation.path);
  }
  EXPECT_EQ(rows, documented);
}

TEST_F(PermissionMatrix, EveryRouteAnswersEveryRoleInEveryPlaceAsTheTableSays) {
  constexpr std::array<std::string_view, 4> place_names{"own", "beneath", "foreign", "above"};
  constexpr std::array<std::string_view, 4> role_names{"Admin", "Staff", "User", "nobody"};
  int checked = 0;
  for (const Row& row : table) {
    const std::array<std::string_view, 4> columns{row.own, row.beneath, row.foreign, row.above};
    for (std::size_t place = 0; place < columns.size(); ++place) {
      ASSERT_EQ(columns[place].size(), 4u) << row.route;
      for (std::size_t role = 0; role < role_names.size(); ++role) {
        const std::string token = role < callers_.size() ? server_->access_token(callers_[role]) : "";
        const Response response = send(row, place, false, token);
        const std::string where = std::string{row.route} + " as " + std::string{role_names[role]} + ", " + std::string{place_names[place]} +
                                  ": " + std::to_string(response.status) + " " + response.body;
        ++checked;
        switch (columns[place][role]) {
          case 'A':
            EXPECT_TRUE(response.status != 401 && response.status != 403 && response.status != 404 && response.status < 500) << where;
            break;
          case 'F': EXPECT_EQ(response.status, 403u) << where; break;
          case 'U': EXPECT_EQ(response.status, 401u) << where; break;
          case 'P': EXPECT_TRUE(response.status == 400 || response.status == 409) << where; break;
          case 'N': {
            EXPECT_EQ(response.status, 404u) << where;
            const Response unknown = send(row, place, true, token);
            EXPECT_EQ(unknown.status, response.status) << where;
            EXPECT_EQ(unknown.body, response.body) << where;
            break;
          }
          default: FAIL() << "unknown letter for " << row.route;
        }
      }
    }
  }
  EXPECT_EQ(checked, static_cast<int>(std::size(table)) * 16);
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
