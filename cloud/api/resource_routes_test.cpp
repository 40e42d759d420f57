// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "cloud/api/test_server.hpp"
#include "cloud/store/faulty/faulty_store.hpp"

// Devices, templates, organizations, users and the audit log, end to end on the store.
namespace muster::api {
namespace {

class Resources : public ::testing::Test {
 protected:
  void SetUp() override { server_.set_up(); }
  Response get(const std::string& target) { return server_.get(target, server_.admin_token); }
  Response post(const std::string& path, const std::string& body) { return server_.call(Method::post, path, body, server_.admin_token); }
  Response put(const std::string& path, const std::string& body) { return server_.call(Method::put, path, body, server_.admin_token); }
  Response remove(const std::string& target) { return server_.call(Method::delete_, target, {}, server_.admin_token); }
  std::vector<std::string> actions() {
    std::vector<std::string> all;
    const Json body = body_of(get("/api/v1/audit?size=1000"));
    for (const auto& entry : body.find("content")->items) all.push_back(entry.find("action")->text);
    return all;
  }
  std::size_t count_of(std::string_view action) {
    const auto all = actions();
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), action));
  }
  TestServer server_;
};

TEST_F(Resources, TheStatusOfADeviceIsItsLifeCyclesAndConnectedIsItsSession) {
  const auto made = server_.device(server_.root, server_.make_template(server_.root, "Lamp").id, "Desk lamp");
  const std::string id = std::to_string(made.id.value());
  const auto shown = [&] {
    const Json body = body_of(get("/api/v1/device?deviceId=" + id));
    const Json one = body_of(get("/api/v1/device/online?deviceId=" + id));
    EXPECT_EQ(one.find("connected")->boolean, body.find("connected")->boolean);
    EXPECT_EQ(server_.get("/external/api/isHardwareConnected?token=" + made.token).body,
              body.find("connected")->boolean ? "true" : "false");
    EXPECT_EQ(body.find("online")->boolean, body.find("status")->text == "ONLINE");
    return body.find("status")->text + (body.find("connected")->boolean ? " connected" : "");
  };
  EXPECT_EQ(shown(), "CREATED");
  const domain::SessionAddress address{0, 0, 1, 1};
  const Instant now = server_.clock.now();
  (void)server_.sessions.bind(made.id, address, now);
  EXPECT_EQ(shown(), "ONLINE connected");
  domain::PresenceUpdate presence;
  presence.device_id = made.id;
  presence.connected_at = server_.clock.utc_now();
  ASSERT_TRUE(server_.store->write_presence({&presence, 1}));
  (void)server_.sessions.leave(made.id, address, now + std::chrono::seconds{60}, now);
  EXPECT_EQ(shown(), "ONLINE");
  server_.clock.advance(std::chrono::seconds{60});
  EXPECT_EQ(shown(), "OFFLINE");
}

TEST_F(Resources, AManualDeviceFromTemplateToDeletion) {
  const Response made_template = post("/api/v1/template/create", R"({"name":"Lamp","boardType":"ESP32"})");
  ASSERT_EQ(made_template.status, 201u) << made_template.body;
  const std::string tmpl = text_in(made_template, "templateId");
  EXPECT_EQ(tmpl.size(), 13u);
  EXPECT_TRUE(tmpl.starts_with("TMPL"));

  const Response made = post("/api/v1/organization/device/create", R"({"templateId":")" + tmpl + R"(","name":"  Desk lamp "})");
  ASSERT_EQ(made.status, 201u) << made.body;
  const std::string id = std::to_string(number_in(made, "id"));
  const std::string token = text_in(made, "token");
  EXPECT_EQ(token.size(), 32u);
  EXPECT_EQ(text_in(made, "name"), "Desk lamp");
  EXPECT_EQ(text_in(made, "templateId"), tmpl);
  EXPECT_EQ(number_in(made, "productId"), number_in(made_template, "id"));
  EXPECT_EQ(number_in(made, "ownerId"), server_.admin.value());
  EXPECT_EQ(number_in(made, "activatedAt"), server_.clock.utc_now().ms);
  EXPECT_EQ(number_in(made, "firstConnectTime"), 0);
  EXPECT_EQ(server_.get("/external/api/isHardwareConnected?token=" + token).body, "false");

  const Response read = get("/api/v1/device?deviceId=" + id);
  EXPECT_EQ(read.status, 200u);
  EXPECT_EQ(read.body.find(token), std::string::npos);
  EXPECT_EQ(get("/api/v1/device/online?deviceId=" + id).body, R"({"connected":false})");

  EXPECT_EQ(count_of("device.token.reveal"), 0u);
  EXPECT_EQ(text_in(get("/api/v1/device/token?deviceId=" + id), "token"), token);
  EXPECT_EQ(text_in(get("/api/v1/organization/device/token?deviceId=" + id), "token"), token);
  EXPECT_EQ(count_of("device.token.reveal"), 2u);

  EXPECT_EQ(text_in(put("/api/v1/device", R"({"deviceId":)" + id + R"(,"name":"Floor lamp"})"), "name"), "Floor lamp");
  EXPECT_EQ(field_of(put("/api/v1/device", R"({"deviceId":)" + id + R"(,"name":""})")), "name");
  const std::string fresh = text_in(put("/api/v1/device/token", R"({"deviceId":)" + id + "}"), "token");
  EXPECT_EQ(fresh.size(), 32u);
  EXPECT_NE(fresh, token);
  EXPECT_EQ(server_.get("/external/api/isHardwareConnected?token=" + token).status, 400u);
  EXPECT_EQ(server_.get("/external/api/isHardwareConnected?token=" + fresh).status, 200u);

  EXPECT_EQ(remove("/api/v1/device?deviceId=" + id).status, 204u);
  EXPECT_EQ(get("/api/v1/device?deviceId=" + id).status, 404u);
  EXPECT_EQ(count_of("device.delete"), 1u);
  // Neither token is anywhere in the log.
  const Response log = get("/api/v1/audit?size=1000");
  EXPECT_EQ(log.body.find(token), std::string::npos);
  EXPECT_EQ(log.body.find(fresh), std::string::npos);
}

TEST_F(Resources, DevicesAreListedSearchedSortedAndPaged) {
  const auto lamp = server_.make_template(server_.root, "Lamp");
  const auto pump = server_.make_template(server_.root, "Pump");
  const auto beneath = server_.organization(server_.root, "Beneath");
  for (int i = 0; i < 5; ++i) server_.device(server_.root, lamp.id, "Lamp " + std::to_string(i));
  server_.device(server_.root, pump.id, "Pump", server_.admin);
  server_.device(beneath, pump.id, "Far pump");
  const auto total = [&](const std::string& query) { return number_in(get("/api/v1/organization/devices?" + query), "totalElements"); };
  EXPECT_EQ(total(""), 6);
  EXPECT_EQ(total("includeSubOrgDevices=true"), 7);
  EXPECT_EQ(total("orgId=" + str(beneath)), 1);
  EXPECT_EQ(total("templateId=" + lamp.tmpl_ids.front()), 5);
  EXPECT_EQ(total("templateId=" + str(pump.id)), 1);
  EXPECT_EQ(total("ownerId=" + str(server_.admin)), 1);
  EXPECT_EQ(get("/api/v1/organization/devices?templateId=TMPLnothing").status, 404u);
  EXPECT_EQ(number_in(get("/api/v1/organization/search/devices?query=LAMP"), "totalElements"), 5);
  const Json page = body_of(get("/api/v1/organization/devices?page=1&size=4&sortBy=name&sortOrder=DESC"));
  ASSERT_EQ(page.find("content")->items.size(), 2u);
  EXPECT_EQ(page.find("totalElements")->integer, 6);
  EXPECT_EQ(page.find("content")->items.back().find("name")->text, "Lamp 0");
}

TEST_F(Resources, ADeviceNeedsAUsableTemplateAndAnOwnerFromItsOrganization) {
  const auto lamp = server_.make_template(server_.root, "Lamp");
  const auto beneath = server_.organization(server_.root, "Beneath");
  const auto foreign = server_.make_template(beneath, "Only beneath");
  const auto member = server_.user(beneath, domain::user_role, "member@example.org");
  const auto body = [](const std::string& of, const std::string& rest) { return R"({"name":"D","templateId":)" + of + rest + "}"; };
  EXPECT_EQ(post("/api/v1/device/create", body(R"("TMPLnothing")", "")).status, 404u);
  EXPECT_EQ(field_of(post("/api/v1/device/create", body("987654", ""))), "templateId");
  EXPECT_EQ(post("/api/v1/device/create", body(str(foreign.id), "")).status, 404u);
  EXPECT_EQ(field_of(post("/api/v1/device/create", body(str(lamp.id), R"(,"ownerId":)" + str(member)))), "ownerId");
  const Response made = post("/api/v1/device/create", body(str(lamp.id), R"(,"orgId":)" + str(beneath) + R"(,"onwerId":)" + str(member)));
  EXPECT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(number_in(made, "ownerId"), member.value());
  EXPECT_EQ(number_in(post("/api/v1/device/create", body(str(lamp.id), R"(,"orgId":)" + str(beneath))), "ownerId"), 0);
  EXPECT_EQ(number_in(post("/api/v1/device/create", body(str(lamp.id), R"(,"ownerId":0)")), "ownerId"), 0);
  EXPECT_EQ(code_of(remove("/api/v1/user?userId=" + str(member))), "in_use");
}

TEST_F(Resources, MetadataOfADevice) {
  const auto lamp = server_.make_template(server_.root, "Lamp");
  ASSERT_EQ(
      post("/api/v1/template/metafield/create", R"({"templateId":)" + str(lamp.id) + R"(,"name":"Room","defaultValue":"hall"})").status,
      201u);
  const Response number =
      post("/api/v1/template/metafield/create", R"({"templateId":)" + str(lamp.id) + R"(,"name":"Watts","type":"Number"})");
  ASSERT_EQ(number.status, 201u);
  const auto device = server_.device(server_.root, lamp.id, "Desk lamp", server_.admin);
  const std::string id = str(device.id);
  const auto set = [&](const std::string& rest) { return post("/api/v1/device/metafield", R"({"deviceId":)" + id + "," + rest + "}"); };
  EXPECT_EQ(text_in(get("/api/v1/device/metafield?deviceId=" + id + "&name=Room"), "value"), "hall");
  EXPECT_EQ(set(R"("name":"Room","value":"attic")").status, 200u);
  EXPECT_EQ(text_in(get("/api/v1/device/metafield?deviceId=" + id + "&name=Room"), "value"), "attic");
  EXPECT_EQ(set(R"("metaFieldId":)" + std::to_string(number_in(number, "id")) + R"(,"value":"5.5")").status, 200u);
  EXPECT_EQ(field_of(set(R"("name":"Watts","value":"much")")), "value");
  EXPECT_EQ(field_of(set(R"("name":"room","value":"x")")), "name");  // Exact, case sensitive.
  EXPECT_EQ(field_of(set(R"("name":"Room","metaFieldId":1,"value":"x")")), "metaFieldId");
  EXPECT_EQ(field_of(set(R"("name":"Room","value":")" + std::string(256, 'x') + R"(")")), "value");
  EXPECT_EQ(set(R"("name":"Device Timezone","value":"Europe/Berlin")").status, 200u);
  EXPECT_EQ(field_of(set(R"("name":"Device Timezone","value":"Europe/Berln")")), "value");
  EXPECT_EQ(set(R"("name":"Device Timezone","value":"")").status, 200u);
  EXPECT_EQ(set(R"("name":"Device Name","value":"Floor lamp")").status, 200u);
  EXPECT_EQ(text_in(get("/api/v1/device?deviceId=" + id), "name"), "Floor lamp");
  EXPECT_EQ(text_in(get("/api/v1/device/metafield?deviceId=" + id + "&name=Device%20Owner"), "value"), "root@example.org");
  EXPECT_EQ(field_of(set(R"("name":"Device Owner","value":"x")")), "value");
  EXPECT_EQ(get("/api/v1/device/metafield?deviceId=" + id + "&name=Nothing").status, 404u);
  EXPECT_EQ(number_in(get("/api/v1/device/metafield?deviceId=" + id), "totalElements"), 8);  // Six are built in.
}

TEST_F(Resources, TheHomeOfADeviceIsSetAndTakenAway) {
  const auto lamp = server_.make_template(server_.root, "Lamp");
  const auto device = server_.device(server_.root, lamp.id, "D");
  const auto set = [&](const std::string& rest) {
    return put("/api/v1/device/home", R"({"deviceId":)" + str(device.id) + "," + rest + "}");
  };
  const Response moved = set(R"("host":"NY3.example","portTls":9443)");
  EXPECT_EQ(moved.status, 200u);
  EXPECT_NE(moved.body.find(R"("home":{"host":"ny3.example","portPlain":80,"portTls":9443})"), std::string::npos) << moved.body;
  EXPECT_EQ(server_.get("/external/api/isHardwareConnected?token=" + device.token).status, 308u);
  EXPECT_EQ(field_of(set(R"("host":")" + std::string(64, 'h') + R"(")")), "host");
  EXPECT_EQ(field_of(set(R"("host":"x.example","portPlain":0)")), "portPlain");
  EXPECT_EQ(set(R"("host":"")").body.find("\"home\""), std::string::npos);
  EXPECT_EQ(server_.get("/external/api/isHardwareConnected?token=" + device.token).status, 200u);
}

TEST_F(Resources, TemplatesKeepTheirVersionAndTheirParts) {
  const Response made = post(
      "/api/v1/template/create",
      R"({"name":"Lamp","datastreams":[{"pin":"V1","type":"INTEGER","min":0,"max":10},{"pin":2,"type":"ENUM","enumValues":["off","on"],"name":"Mode"}]})");
  ASSERT_EQ(made.status, 201u) << made.body;
  const std::string id = std::to_string(number_in(made, "id"));
  const std::string by_id = R"({"templateId":)" + id;
  EXPECT_NE(made.body.find(R"("name":"V1")"), std::string::npos);
  EXPECT_EQ(number_in(get("/api/v1/template/datastreams?templateId=" + id), "totalElements"), 2);
  EXPECT_EQ(number_in(get("/api/v1/template/metafields?templateId=" + text_in(made, "templateId")), "totalElements"), 6);

  const auto version = number_in(made, "version");
  const Response renamed = put("/api/v1/template", by_id + R"(,"name":"Big lamp","version":)" + std::to_string(version) + "}");
  ASSERT_EQ(renamed.status, 200u) << renamed.body;
  EXPECT_GT(number_in(renamed, "version"), version);
  EXPECT_EQ(code_of(put("/api/v1/template", by_id + R"(,"name":"X","version":)" + std::to_string(version) + "}")), "version_conflict");

  const Response stream = post("/api/v1/template/datastream/create", by_id + R"(,"pin":3,"type":"DOUBLE","units":"C"})");
  ASSERT_EQ(stream.status, 201u) << stream.body;
  EXPECT_EQ(number_in(stream, "pin"), 3);
  const std::string stream_id = std::to_string(number_in(stream, "id"));
  EXPECT_EQ(post("/api/v1/template/datastream/create", by_id + R"(,"pin":3})").status / 100, 4u);
  EXPECT_EQ(field_of(post("/api/v1/template/datastream/create", by_id + R"(,"pin":256})")), "pin");
  EXPECT_EQ(field_of(post("/api/v1/template/datastream/create", by_id + R"(,"pin":"X1"})")), "pin");
  EXPECT_EQ(field_of(post("/api/v1/template/datastream/create", by_id + R"(,"pin":4,"type":"FLOAT"})")), "type");
  EXPECT_EQ(text_in(put("/api/v1/template/datastream", by_id + R"(,"dataStreamId":)" + stream_id + R"(,"units":"F"})"), "units"), "F");
  EXPECT_EQ(put("/api/v1/template/datastream", by_id + R"(,"dataStreamId":999,"units":"F"})").status, 404u);
  EXPECT_EQ(remove("/api/v1/template/datastream?templateId=" + id + "&dataStreamId=" + stream_id).status, 204u);
  EXPECT_EQ(remove("/api/v1/template/datastream?templateId=" + id + "&dataStreamId=" + stream_id).status, 404u);

  const Response event = post("/api/v1/template/event/create", by_id + R"(,"name":"Hot","eventCode":"hot","type":"WARNING"})");
  ASSERT_EQ(event.status, 201u) << event.body;
  EXPECT_EQ(remove("/api/v1/template/event?templateId=" + id + "&eventId=" + std::to_string(number_in(event, "id"))).status, 204u);
  EXPECT_EQ(code_of(remove("/api/v1/template/metafield?templateId=" + id + "&metaFieldId=1")), "protected_entity");

  EXPECT_EQ(field_of(post("/api/v1/template/create", R"({"name":"Y","datastreams":[{"pin":1,"colour":"red"}]})")), "datastreams[0].colour");
  EXPECT_EQ(field_of(post("/api/v1/template/create", R"({"name":"Y","datastreams":[7]})")), "datastreams[0]");
  EXPECT_EQ(post("/api/v1/template/create", R"({"name":"Y","datastreams":[{"pin":1},{"pin":1}]})").status, 400u);
  EXPECT_EQ(code_of(post("/api/v1/template/create", R"({"name":"Big lamp"})")), "name_taken");
  EXPECT_EQ(field_of(post("/api/v1/template/create", R"({"name":" "})")), "name");
}

TEST_F(Resources, ATemplateWithDevicesGoesOnlyWithThem) {
  const auto lamp = server_.make_template(server_.root, "Lamp");
  const auto device = server_.device(server_.root, lamp.id, "D");
  EXPECT_EQ(code_of(remove("/api/v1/template?templateId=" + str(lamp.id))), "in_use");
  EXPECT_EQ(remove("/api/v1/template?withDevices=true&templateId=" + str(lamp.id)).status, 204u);
  EXPECT_EQ(get("/api/v1/device?deviceId=" + str(device.id)).status, 404u);
  EXPECT_EQ(server_.get("/external/api/isHardwareConnected?token=" + device.token).status, 400u);
}

TEST_F(Resources, OrganizationsAreMadeFoundChangedAndDeleted) {
  const Response made = post("/api/v1/organization/create", R"({"name":"Clients","timeZone":"Europe/Berlin"})");
  ASSERT_EQ(made.status, 201u) << made.body;
  const std::string id = std::to_string(number_in(made, "id"));
  EXPECT_EQ(number_in(made, "parentId"), server_.root.value());
  EXPECT_EQ(code_of(post("/api/v1/organization/create", R"({"name":"Clients"})")), "name_taken");
  EXPECT_EQ(field_of(post("/api/v1/organization/create", R"({"name":"X","type":"ROOT"})")), "type");
  EXPECT_EQ(field_of(post("/api/v1/organization/create", R"({"name":""})")), "name");
  EXPECT_EQ(field_of(post("/api/v1/organization/create", R"({"name":"X","timeZone":"Europe/Berln"})")), "timeZone");
  const Response child = post("/api/v1/organization/create", R"({"name":"One","orgId":)" + id + "}");
  ASSERT_EQ(child.status, 201u);
  EXPECT_EQ(number_in(get("/api/v1/organization/sub-organizations"), "totalElements"), 1);
  EXPECT_EQ(number_in(get("/api/v1/organization/sub-organizations?recursive=true"), "totalElements"), 2);
  EXPECT_EQ(number_in(get("/api/v1/organization/search?query=ON"), "totalElements"), 1);
  EXPECT_EQ(text_in(put("/api/v1/organization", R"({"orgId":)" + id + R"(,"name":"Customers","home":{"host":"eu.example"}})"), "name"),
            "Customers");
  EXPECT_NE(get("/api/v1/organization?orgId=" + id).body.find(R"("host":"eu.example")"), std::string::npos);
  EXPECT_EQ(code_of(remove("/api/v1/organization?orgId=" + id)), "in_use");
  EXPECT_EQ(remove("/api/v1/organization?orgId=" + std::to_string(number_in(child, "id"))).status, 204u);
  EXPECT_EQ(remove("/api/v1/organization?orgId=" + id).status, 204u);
  EXPECT_EQ(code_of(remove("/api/v1/organization?orgId=" + str(server_.root))), "own_organization");
  EXPECT_EQ(code_of(remove("/api/v1/organization")), "missing_field");
}

TEST_F(Resources, TheTreeHasFourLevels) {
  OrganizationId parent = server_.root;
  for (int level = 2; level <= 4; ++level) {
    const Response made =
        post("/api/v1/organization/create", R"({"name":"L)" + std::to_string(level) + R"(","orgId":)" + str(parent) + "}");
    ASSERT_EQ(made.status, 201u) << level << made.body;
    parent = OrganizationId{static_cast<std::int32_t>(number_in(made, "id"))};
  }
  EXPECT_EQ(code_of(post("/api/v1/organization/create", R"({"name":"L5","orgId":)" + str(parent) + "}")), "tree_too_deep");
}

TEST_F(Resources, UsersAreListedChangedAndTheLastAdminStays) {
  const auto other = server_.user(server_.root, domain::admin_role, "second@example.org");
  EXPECT_EQ(number_in(get("/api/v1/users"), "totalElements"), 2);
  EXPECT_EQ(number_in(get("/api/v1/search/users?query=SECOND"), "totalElements"), 1);
  EXPECT_EQ(text_in(put("/api/v1/user", R"({"userId":)" + str(server_.admin) + R"(,"name":"Grace","timeZone":"Europe/Berlin"})"), "name"),
            "Grace");
  EXPECT_EQ(field_of(put("/api/v1/user", R"({"userId":)" + str(server_.admin) + R"(,"timeZone":"no zone!"})")), "timeZone");
  EXPECT_EQ(field_of(put("/api/v1/user", R"({"userId":)" + str(server_.admin) + R"(,"timeZone":"Mars/Olympus"})")), "timeZone");
  EXPECT_EQ(text_in(get("/api/v1/user/profile"), "name"), "Grace");
  EXPECT_EQ(field_of(put("/api/v1/users/role", R"({"userId":)" + str(other) + R"(,"role":"Boss"})")), "role");
  EXPECT_EQ(put("/api/v1/users/role", R"({"userId":)" + str(other) + R"(,"roleId":2})").status, 200u);
  EXPECT_EQ(code_of(put("/api/v1/users/role", R"({"userId":)" + str(server_.admin) + R"(,"role":"User"})")), "last_admin");
  EXPECT_EQ(code_of(remove("/api/v1/user?userId=" + str(server_.admin))), "own_account");
  EXPECT_EQ(remove("/api/v1/user?userId=" + str(other)).status, 204u);
  EXPECT_EQ(number_in(get("/api/v1/roles"), "totalElements"), 3);
}

TEST_F(Resources, AChangeNeverUndoesWhatAnotherChangedAtTheSameMoment) {
  // Just before the change is written somebody else's is.
  store::FaultyStore store{*server_.store};
  std::function<void()> meanwhile;
  store.script.set_sleep([&](std::chrono::milliseconds) { meanwhile(); });
  store.script.slow("update_user", std::chrono::milliseconds{1});
  store.script.slow("update_organization", std::chrono::milliseconds{1});
  server_.serve_from(store);
  const auto user = server_.user(server_.root, domain::staff_role, "staff@example.org");
  const std::string token = server_.access_token(user);
  const auto change = [](auto set) {
    domain::UserChange made;
    set(made);
    return made;
  };
  const auto suspend = change([](auto& made) { made.status = domain::UserStatus::suspended; });
  const auto demote = change([](auto& made) { made.role_id = domain::user_role; });
  const auto rename = change([](auto& made) { made.name = "Renamed"; });

  meanwhile = [&] { ASSERT_TRUE(server_.store->update_user(user, demote, server_.actor())); };
  EXPECT_EQ(server_.call(Method::put, "/api/v1/user", R"({"userId":)" + str(user) + R"(,"name":"Mine"})", token).status, 200u);
  EXPECT_EQ(server_.store->find_user(user).value()->role_id, domain::user_role);

  meanwhile = [&] { ASSERT_TRUE(server_.store->update_user(user, suspend, server_.actor())); };
  EXPECT_EQ(server_.call(Method::put, "/api/v1/user", R"({"userId":)" + str(user) + R"(,"name":"Still mine"})", token).status, 200u);
  EXPECT_EQ(server_.store->find_user(user).value()->status, domain::UserStatus::suspended);
  EXPECT_EQ(server_.call(Method::put, "/api/v1/users/role", R"({"userId":)" + str(user) + R"(,"roleId":2})", server_.admin_token).status,
            200u);
  EXPECT_EQ(server_.store->find_user(user).value()->status, domain::UserStatus::suspended);

  meanwhile = [&] { ASSERT_TRUE(server_.store->update_user(user, rename, server_.actor())); };
  EXPECT_EQ(server_.call(Method::post, "/api/v1/user/activate", R"({"userId":)" + str(user) + "}", server_.admin_token).status, 200u);
  EXPECT_EQ(server_.store->find_user(user).value()->name, "Renamed");

  domain::OrganizationChange home;
  home.home = domain::Home{"jp.example.org", 80, 443};
  meanwhile = [&] { ASSERT_TRUE(server_.store->update_organization(server_.root, home, server_.actor())); };
  const Response renamed = server_.call(Method::put, "/api/v1/organization", R"({"name":"New name"})", server_.admin_token);
  EXPECT_EQ(renamed.status, 200u);
  EXPECT_NE(renamed.body.find("jp.example.org"), std::string::npos) << renamed.body;
  EXPECT_EQ(server_.store->find_organization(server_.root).value()->home, home.home);
}

TEST_F(Resources, TheAuditLogIsFilteredByOrganizationActionAndTime) {
  const auto lamp = server_.make_template(server_.root, "Lamp");
  const auto beneath = server_.organization(server_.root, "Beneath");
  ASSERT_EQ(post("/api/v1/device/create", R"({"name":"D","templateId":)" + str(lamp.id) + R"(,"orgId":)" + str(beneath) + "}").status,
            201u);
  EXPECT_EQ(number_in(get("/api/v1/audit?action=device.create"), "totalElements"), 0);
  EXPECT_EQ(number_in(get("/api/v1/audit?action=device.create&includeSubOrgs=true"), "totalElements"), 1);
  const Response there = get("/api/v1/audit?action=device.&orgId=" + str(beneath));
  EXPECT_EQ(number_in(there, "totalElements"), 1);
  const Json body = body_of(there);
  const Json& entry = body.find("content")->items.front();
  EXPECT_EQ(entry.find("actorId")->integer, server_.admin.value());
  EXPECT_EQ(entry.find("client")->text, "HTTPS API");
  EXPECT_EQ(entry.find("ip")->text, "127.0.0.1");
  EXPECT_EQ(entry.find("detail")->kind, Json::Kind::object);
  EXPECT_EQ(number_in(get("/api/v1/audit?includeSubOrgs=true&from=" + std::to_string(server_.clock.utc_now().ms + 1)), "totalElements"), 0);
  EXPECT_EQ(field_of(get("/api/v1/audit?from=-1")), "from");
}

TEST_F(Resources, ClientsAreToldApartInTheAuditLog) {
  ASSERT_EQ(
      server_.call(Method::put, "/api/v1/organization", R"({"description":"a"})", server_.admin_token, {{"User-Agent", "muster-cli/0.1"}})
          .status,
      200u);
  const Json body = body_of(get("/api/v1/audit?action=organization.&size=1"));
  EXPECT_EQ(body.find("content")->items.front().find("client")->text, "CLI");
}

}  // namespace
}  // namespace muster::api
