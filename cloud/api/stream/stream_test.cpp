// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <thread>

#include "cloud/api/stream/stream_hub.hpp"
#include "cloud/api/test_server.hpp"
#include "cloud/store/faulty/faulty_store.hpp"

namespace muster::api {
namespace {

using namespace std::chrono_literals;

/// Lets something happen right after the store has answered, before whoever asked has used the answer.
class InterruptedStore final : public store::FaultyStore {
 public:
  using FaultyStore::FaultyStore;
  std::deque<std::function<void()>> after_find_access_token, after_devices;

  Result<std::optional<domain::StoredAccessToken>> find_access_token(std::span<const TokenDigest> digests) override {
    auto answer = FaultyStore::find_access_token(digests);
    happen(after_find_access_token);
    return answer;
  }
  Result<domain::PageOf<domain::Device>> devices(const domain::DeviceFilter& filter, const domain::Page& page) override {
    auto answer = FaultyStore::devices(filter, page);
    happen(after_devices);
    return answer;
  }

 private:
  static void happen(std::deque<std::function<void()>>& waiting) {
    if (waiting.empty()) return;
    const auto next = std::move(waiting.front());
    waiting.pop_front();
    next();
  }
};

class Stream : public ::testing::Test {
 protected:
  struct Client {
    std::unique_ptr<StreamSession> session;
    std::vector<Json> heard;
    bool open = true;
    std::string cursor;
  };

  void SetUp() override {
    server_.set_up();
    template_ = server_.make_template(server_.root, "Prototype").id;
    lamp_ = server_.device(server_.root, template_, "Lamp").id;
  }
  Client connect(const std::string& token, StreamHub* hub = nullptr, const IpAddress& address = *IpAddress::parse("192.0.2.1")) {
    Client client;
    if (hub != nullptr) {
      client.session = hub->open(token, address);
      return client;
    }
    Request request;
    const std::string bearer = "Bearer " + token;
    server_.make_request(request, Method::get, "/api/v1/stream", {}, {});
    if (!token.empty()) request.headers.push_back({"Authorization", bearer});
    Response refusal;
    client.session = server_.api->open_stream(request, refusal);
    EXPECT_NE(client.session, nullptr) << refusal.body;
    return client;
  }
  void poll(Client& client) {
    std::vector<std::string> out;
    client.open = client.session->poll(server_.clock.now(), out);
    client.heard.clear();
    for (const auto& text : out) {
      auto parsed = parse_json(text);
      ASSERT_EQ(parsed.problem, JsonProblem::none) << text;
      if (const Json* cursor = parsed.value.find("cursor")) client.cursor = cursor->text;
      client.heard.push_back(std::move(parsed.value));
    }
  }
  void say(Client& client, const std::string& message) {
    client.session->on_message(message);
    poll(client);
  }
  /// What was heard, as types: "ready snapshot".
  static std::string types(const Client& client) {
    std::string all;
    for (const auto& each : client.heard) all += (all.empty() ? "" : " ") + each.find("type")->text;
    return all;
  }
  static std::string code(const Client& client) {
    const Json* found = client.heard.empty() ? nullptr : client.heard.back().find("code");
    return found == nullptr ? "" : found->text;
  }
  /// The rows of everything heard, as JSON texts.
  static std::vector<std::string> rows(const Client& client) {
    std::vector<std::string> all;
    for (const auto& each : client.heard) {
      const Json* found = each.find("rows");
      if (found == nullptr) continue;
      for (const auto& row : found->items) all.push_back(to_text(row));
    }
    return all;
  }
  void write(DeviceId device, std::uint8_t pin, std::string_view value) {
    server_.values.put(device, pin, value, server_.clock.utc_now());
    if (server_.api->live_feed().watched()) server_.api->live_feed().value_changed(device, pin);
  }
  void online(DeviceId device, bool is) {
    const domain::SessionAddress address{0, 0, static_cast<std::uint32_t>(device.value()), 1};
    if (is) {
      (void)server_.sessions.bind(device, address, server_.clock.now());
    } else {
      (void)server_.sessions.unbind(device, address);
    }
    server_.api->live_feed().device_status_changed(device);
  }
  std::string subscribe(const std::string& id, const std::string& kind, const std::string& rest) {
    return R"({"type":"subscribe","id":")" + id + R"(","kind":")" + kind + R"(",)" + rest + "}";
  }
  std::string ids(DeviceId device) { return R"("deviceIds":[)" + str(device) + "]"; }
  std::string value_row(DeviceId device, int pin, const std::string& value) {
    return R"({"deviceId":)" + str(device) + R"(,"pin":)" + std::to_string(pin) + R"(,"value":")" + value + R"(","at":)" +
           std::to_string(server_.clock.utc_now().ms) + "}";
  }
  StreamHub::Dependencies dependencies() {
    return {*server_.store, *server_.views, server_.sessions, server_.values, *server_.keys, server_.clock, server_.metrics};
  }

  TestServer server_;
  TemplateId template_;
  DeviceId lamp_;
};

TEST_F(Stream, ADeviceThatIsWaitedForIsOnlineThoughNotConnected) {
  online(lamp_, true);
  auto client = connect(server_.admin_token);
  say(client, subscribe("s1", "devices", ids(lamp_)));
  const domain::SessionAddress address{0, 0, static_cast<std::uint32_t>(lamp_.value()), 1};
  ASSERT_TRUE(server_.sessions.leave(lamp_, address, server_.clock.now() + 60s, server_.clock.now()));
  server_.api->live_feed().device_status_changed(lamp_);
  poll(client);
  EXPECT_EQ(rows(client), std::vector<std::string>{R"({"deviceId":)" + str(lamp_) + R"(,"online":true,"connected":false})"});
  for (int i = 0; i < 6; ++i) {
    server_.clock.advance(10s);
    poll(client);
    EXPECT_EQ(types(client), "");
  }
  server_.api->live_feed().device_status_changed(lamp_);
  poll(client);
  EXPECT_EQ(rows(client), std::vector<std::string>{R"({"deviceId":)" + str(lamp_) + R"(,"online":false,"connected":false})"});
}

TEST_F(Stream, GivesASnapshotAndThenDeltas) {
  auto client = connect(server_.admin_token);
  say(client, subscribe("s1", "devices", ids(lamp_)));
  EXPECT_EQ(types(client), "ready snapshot");
  EXPECT_EQ(rows(client), std::vector<std::string>{R"({"deviceId":)" + str(lamp_) + R"(,"online":false,"connected":false,"name":"Lamp"})"});
  EXPECT_EQ(client.heard.back().find("last")->boolean, true);
  online(lamp_, true);
  poll(client);
  EXPECT_EQ(types(client), "delta");
  EXPECT_EQ(client.heard.front().find("id")->text, "s1");
  EXPECT_EQ(rows(client), std::vector<std::string>{R"({"deviceId":)" + str(lamp_) + R"(,"online":true,"connected":true})"});
  poll(client);
  EXPECT_EQ(types(client), "");
  EXPECT_EQ(server_.metrics.stream_clients.value(), 1u);
  client.session.reset();
  EXPECT_EQ(server_.metrics.stream_clients.value(), 0u);
}

TEST_F(Stream, ValuesComeAsTheyAreWrittenByDeviceAndByHttp) {
  ASSERT_TRUE(server_.store->write_values(std::vector<domain::ValueUpdate>{{lamp_, {1, "stored", server_.clock.utc_now()}}}));
  auto client = connect(server_.admin_token);
  say(client, subscribe("v", "values", ids(lamp_)));
  EXPECT_EQ(rows(client), std::vector<std::string>{value_row(lamp_, 1, "stored")});
  write(lamp_, 2, "two");
  poll(client);
  EXPECT_EQ(rows(client), std::vector<std::string>{value_row(lamp_, 2, "two")});
  write(lamp_, 3,
        std::string_view{"1\0"
                         "2",
                         3});
  poll(client);
  EXPECT_NE(rows(client).front().find(R"("values":["1","2"])"), std::string::npos);
  const auto other = server_.device(server_.root, template_, "Other");
  write(other.id, 1, "x");  // Nobody asked for it.
  poll(client);
  EXPECT_EQ(types(client), "");
}

TEST_F(Stream, ARowIsSentAtMostFiveTimesASecondWithItsNewestState) {
  auto client = connect(server_.admin_token);
  say(client, subscribe("v", "values", ids(lamp_)));
  int sent = 0;
  std::string last;
  for (int i = 0; i < 1'000; ++i) {  // One second, a change and a poll every millisecond.
    write(lamp_, 1, std::to_string(i));
    server_.clock.advance(1ms);
    poll(client);
    for (const auto& row : rows(client)) {
      ++sent;
      last = row;
    }
  }
  EXPECT_EQ(sent, 5);
  server_.clock.advance(200ms);
  poll(client);
  ASSERT_EQ(rows(client).size(), 1u);
  EXPECT_NE(rows(client).front().find("\"999\""), std::string::npos);
}

TEST_F(Stream, SignsInByTheFirstMessageAndNotWithout) {
  auto client = connect("");
  say(client, subscribe("s", "devices", ids(lamp_)));
  EXPECT_EQ(code(client), "not_signed_in");
  say(client, R"({"type":"auth","accessToken":"wrong"})");
  EXPECT_EQ(code(client), "access_token_invalid");
  EXPECT_TRUE(client.open);
  say(client, R"({"type":"auth","accessToken":")" + server_.admin_token + R"("})");
  EXPECT_EQ(types(client), "ready");
  say(client, subscribe("s", "devices", ids(lamp_)));
  EXPECT_EQ(types(client), "snapshot");

  auto guesser = connect("");
  for (int i = 0; i < 3; ++i) say(guesser, R"({"type":"auth","accessToken":"wrong"})");
  EXPECT_FALSE(guesser.open);

  auto silent = connect("");
  server_.clock.advance(9'999ms);
  poll(silent);
  EXPECT_TRUE(silent.open);
  server_.clock.advance(1ms);
  poll(silent);
  EXPECT_FALSE(silent.open);
  EXPECT_EQ(code(silent), "not_signed_in");
}

TEST_F(Stream, TheCookieCountsOnlyFromOurOwnPages) {
  const auto open = [&](const std::string& origin) {
    Request request;
    const std::string cookie = "muster_session=" + server_.admin_token;
    server_.make_request(request, Method::get, "/api/v1/stream", {}, {});
    request.headers.push_back({"Cookie", cookie});
    if (!origin.empty()) request.headers.push_back({"Origin", origin});
    Response refusal;
    auto session = server_.api->open_stream(request, refusal);
    EXPECT_EQ(session ? "" : code_of(refusal), session ? "" : "origin_refused");
    return session;
  };
  EXPECT_EQ(open("https://evil.example"), nullptr);
  EXPECT_EQ(open(""), nullptr);
  Client client;
  client.session = open("http://muster.example:8080");
  ASSERT_NE(client.session, nullptr);
  say(client, subscribe("s", "devices", ids(lamp_)));
  EXPECT_EQ(types(client), "ready snapshot");
}

TEST_F(Stream, ShowsNobodyWhatHeMayNotSee) {
  const auto beneath = server_.organization(server_.root, "Beneath");
  const auto other = server_.organization(server_.root, "Other");
  const auto far = server_.device(other, template_, "Far").id;
  const auto near = server_.device(beneath, template_, "Near").id;
  const auto staff = server_.user(beneath, domain::staff_role, "staff@example.org");
  const auto user = server_.user(beneath, domain::user_role, "user@example.org");
  const auto mine = server_.device(beneath, template_, "Mine", user).id;
  auto client = connect(server_.access_token(staff));
  say(client, subscribe("a", "devices", R"("deviceIds":[)" + str(near) + "," + str(far) + "]"));
  EXPECT_EQ(code(client), "not_found");
  const std::string foreign = client.heard.back().find("message")->text;
  say(client, subscribe("a", "devices", R"("deviceIds":[987654])"));
  EXPECT_EQ(code(client), "not_found");
  EXPECT_EQ(client.heard.back().find("message")->text.size(), foreign.size() + 6 - str(far).size());  // But for the number the same words.
  say(client, subscribe("a", "devices", R"("orgId":)" + str(other)));
  EXPECT_EQ(code(client), "not_found");
  say(client, subscribe("a", "devices", R"("orgId":)" + str(server_.root)));
  EXPECT_EQ(code(client), "not_found");
  say(client, subscribe("a", "devices", R"("orgId":)" + str(beneath)));
  EXPECT_EQ(rows(client).size(), 2u);

  auto own = connect(server_.access_token(user));
  say(own, subscribe("a", "devices", R"("orgId":)" + str(beneath)));
  ASSERT_EQ(rows(own).size(), 1u);
  EXPECT_NE(rows(own).front().find("\"Mine\""), std::string::npos);
  say(own, subscribe("b", "values", ids(near)));
  EXPECT_EQ(code(own), "not_found");
  (void)mine;
}

TEST_F(Stream, ARoleChangeTakesRowsAwayAtTheNextPoll) {
  const auto staff = server_.user(server_.root, domain::staff_role, "staff@example.org");
  auto client = connect(server_.access_token(staff));
  say(client, subscribe("v", "values", ids(lamp_)));
  write(lamp_, 1, "seen");
  poll(client);
  EXPECT_EQ(rows(client).size(), 1u);
  ASSERT_EQ(
      server_.call(Method::put, "/api/v1/users/role", R"({"userId":)" + str(staff) + R"(,"role":"User"})", server_.admin_token).status,
      200u);
  write(lamp_, 1, "secret");
  server_.clock.advance(1s);
  poll(client);
  ASSERT_EQ(types(client), "removed");
  EXPECT_EQ(to_text(*client.heard.front().find("deviceIds")), "[" + str(lamp_) + "]");
  write(lamp_, 1, "secret too");
  server_.clock.advance(1s);
  poll(client);
  EXPECT_EQ(types(client), "");
}

TEST_F(Stream, ASnapshotThatWaitsIsNotSentOnceItMayNotBeSeen) {
  const auto staff = server_.user(server_.root, domain::staff_role, "staff@example.org");
  write(lamp_, 1, "secret");
  for (const auto* kind : {"values", "devices"}) {
    auto client = connect(server_.access_token(staff));
    say(client, R"({"type":"ping"})");
    client.session->on_message(subscribe("s", kind, ids(lamp_)));
    ASSERT_EQ(
        server_.call(Method::put, "/api/v1/role/permissions", R"({"roleId":2,"revoke":["ORG_DEVICES_VIEW"]})", server_.admin_token).status,
        200u);
    poll(client);
    EXPECT_EQ(types(client), "reset") << kind;
    EXPECT_TRUE(rows(client).empty()) << kind;
    EXPECT_FALSE(client.open);
    ASSERT_EQ(
        server_.call(Method::put, "/api/v1/role/permissions", R"({"roleId":2,"grant":["ORG_DEVICES_VIEW"]})", server_.admin_token).status,
        200u);
  }
}

/// What the permission rules say, told anew and without the directory: docs/protocol/cloud-model.md section 4.
struct Shadow {
  enum Org { root, middle, beneath, sibling, org_count };
  static constexpr std::array<int, org_count> parent{-1, root, middle, root};
  struct Role {
    bool all = false, own = false, down = false;  ///< ORG_DEVICES_VIEW, OWN_DEVICES_VIEW, ORG_SWITCH
  };
  std::array<std::array<Role, org_count>, 2> roles{};  ///< What each of two roles allows in each organization.
  int role = 0;
  int home = middle;
  struct Device {
    int organization = root;
    bool own = false;
  };
  std::array<Device, 6> devices{};

  static bool is_beneath(int organization, int above) {
    for (; organization >= 0; organization = parent[static_cast<std::size_t>(organization)]) {
      if (organization == above) return true;
    }
    return false;
  }
  bool sees(std::size_t device) const {
    const auto& values = roles[static_cast<std::size_t>(role)];
    const int where = devices[device].organization;
    const Role& at_home = values[static_cast<std::size_t>(home)];
    const Role& there = values[static_cast<std::size_t>(where)];
    if (!is_beneath(where, home) || (where != home && !at_home.down)) return false;
    return (at_home.all && there.all) || (devices[device].own && at_home.own && there.own);
  }
};

/// MUSTER_ROLE_CHANGES=10000 runs as many; the default keeps a run short.
TEST_F(Stream, NoForbiddenRowIsWrittenAQuarterOfASecondAfterAnyChangeWasAcknowledged) {
  const char* const given = std::getenv("MUSTER_ROLE_CHANGES");
  const int changes = given == nullptr ? 400 : std::atoi(given);
  const auto middle = server_.organization(server_.root, "Middle");
  const auto beneath = server_.organization(middle, "Beneath"), sibling = server_.organization(server_.root, "Sibling");
  const std::array organizations{server_.root, middle, beneath, sibling};
  const auto watcher = server_.user(middle, domain::staff_role, "watcher@example.org");
  const std::array<RoleId, 2> role_ids{domain::staff_role, domain::user_role};
  Shadow shadow;
  for (auto& values : shadow.roles[0]) values = {true, true, true};
  for (auto& values : shadow.roles[1]) values = {false, true, false};
  std::array<DeviceId, 6> devices;
  std::map<std::int64_t, std::size_t> index_of;
  std::string all_ids;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const auto where = static_cast<int>(i) % Shadow::org_count;
    devices[i] = server_.device(organizations[static_cast<std::size_t>(where)], template_, "Device " + std::to_string(i)).id;
    shadow.devices[i] = {where, false};
    index_of[devices[i].value()] = i;
  }
  std::uint64_t state = 20'261'124;
  const auto random = [&](std::uint64_t below) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<std::size_t>((state >> 33) % below);
  };
  std::array<Instant, 6> seen_until{};  ///< Until when the rules let it be seen.
  const auto note = [&] {
    for (std::size_t i = 0; i < devices.size(); ++i) {
      if (shadow.sees(i)) seen_until[i] = server_.clock.now();
    }
  };
  const auto put = [&](const std::string& path, const std::string& body, Method method = Method::put) {
    const Response response = server_.call(method, path, body, server_.admin_token);
    return response.status < 300;
  };
  const std::string token = server_.access_token(watcher);
  Client client;
  int subscription = 0;
  std::size_t rows_seen = 0, hidden_writes = 0, resets = 0;
  const auto open = [&] {
    client = connect(token);
    client.session->on_message(R"({"type":"ping"})");
  };
  /// Subscribes without taking the snapshot: it waits for the next poll.
  const auto subscribe_again = [&] {
    const std::string id = "s" + std::to_string(++subscription);
    client.session->on_message(R"({"type":"unsubscribe","id":"s)" + std::to_string(subscription - 4) + R"("})");
    std::string visible;
    for (std::size_t i = 0; i < devices.size(); ++i) {
      if (shadow.sees(i)) visible += (visible.empty() ? "" : ",") + str(devices[i]);
    }
    if (visible.empty()) return;
    client.session->on_message(subscribe(id, random(2) == 0 ? "values" : "devices", R"("deviceIds":[)" + visible + "]"));
  };
  open();
  for (int change = 0; change < changes; ++change) {
    note();
    if (random(3) == 0) {
      server_.clock.advance(11s);  // Messages are limited.
      std::vector<std::string> out;
      if (!client.session->poll(server_.clock.now(), out)) open();
      note();
      subscribe_again();
    }
    switch (random(5)) {
      case 0:
      case 1: {  // What a role allows somewhere.
        const std::size_t role = random(2), where = random(Shadow::org_count);
        const bool down = random(2) == 0;
        const Shadow::Role values{random(2) == 0, random(2) == 0, random(2) == 0};
        std::string names;
        for (const auto& [has, name] :
             {std::pair{values.all, "ORG_DEVICES_VIEW"}, {values.own, "OWN_DEVICES_VIEW"}, {values.down, "ORG_SWITCH"}}) {
          if (has) names += (names.empty() ? "\"" : ",\"") + std::string{name} + "\"";
        }
        ASSERT_TRUE(put("/api/v1/role/permissions", R"({"roleId":)" + str(role_ids[role]) + R"(,"orgId":)" + str(organizations[where]) +
                                                        R"(,"permissions":[)" + names + R"(],"applyToSubOrgs":)" +
                                                        (down ? "true" : "false") + "}"));
        for (int each = 0; each < Shadow::org_count; ++each) {
          if (each == static_cast<int>(where) || (down && Shadow::is_beneath(each, static_cast<int>(where))))
            shadow.roles[role][static_cast<std::size_t>(each)] = values;
        }
        break;
      }
      case 2: {  // Who he is.
        shadow.role = static_cast<int>(random(2));
        ASSERT_TRUE(put("/api/v1/users/role",
                        R"({"userId":)" + str(watcher) + R"(,"roleId":)" + str(role_ids[static_cast<std::size_t>(shadow.role)]) + "}"));
        break;
      }
      default: {  // Where a device is, and whose.
        const std::size_t device = random(devices.size());
        const bool own = random(3) == 0;
        const auto where = own ? static_cast<std::size_t>(Shadow::middle) : random(Shadow::org_count);
        (void)put("/api/v1/device/transfer/to-organization",
                  R"({"deviceId":)" + str(devices[device]) + R"(,"orgId":)" + str(organizations[where]) +
                      (own ? R"(,"ownerId":)" + str(watcher) : std::string{}) + "}",
                  Method::post);
        shadow.devices[device] = {static_cast<int>(where), own};
      }
    }
    // The change is acknowledged. Devices go on; the stream is polled a few times, at the latest after 200 ms as the loop does, or, for
    // one that reads slowly, long after.
    for (int step = 0; step < 3; ++step) {
      const std::size_t device = random(devices.size());
      write(devices[device], static_cast<std::uint8_t>(random(3)), std::to_string(change));
      if (!shadow.sees(device)) ++hidden_writes;
      server_.clock.advance(std::chrono::milliseconds{random(8) == 0 ? 2'000 : random(200)});
      note();
      std::vector<std::string> out;
      const bool open_still = client.session->poll(server_.clock.now(), out);
      for (const auto& text : out) {
        const Json message = parse_json(text).value;
        const Json* rows = message.find("rows");
        if (message.find("type")->text == "reset") ++resets;
        if (rows == nullptr) continue;
        for (const auto& row : rows->items) {
          ++rows_seen;
          const std::size_t index = index_of.at(row.find("deviceId")->integer);
          ASSERT_LE(server_.clock.now() - seen_until[index], 250ms) << "change " << change << ": " << text;
        }
      }
      if (!open_still) open();
    }
  }
  // It proves something only where rows were there to be seen, and others to be hidden.
  EXPECT_GT(rows_seen, static_cast<std::size_t>(changes) / 10);
  EXPECT_GT(hidden_writes, static_cast<std::size_t>(changes) / 10);
  std::printf("%d changes: %zu rows seen, %zu values hidden, %zu resets\n", changes, rows_seen, hidden_writes, resets);
}

TEST_F(Stream, EndsWhenTheUserIsDisabledSignsOutOrTheTokenExpires) {
  const auto user = server_.user(server_.root, domain::staff_role, "staff@example.org");
  auto disabled = connect(server_.access_token(user));
  say(disabled, subscribe("a", "devices", ids(lamp_)));
  ASSERT_EQ(server_.call(Method::post, "/api/v1/user/suspend", R"({"userId":)" + str(user) + "}", server_.admin_token).status, 200u);
  poll(disabled);
  EXPECT_FALSE(disabled.open);
  EXPECT_EQ(code(disabled), "access_token_invalid");

  const std::string token = server_.access_token(server_.admin);
  auto signed_out = connect(token);
  say(signed_out, subscribe("a", "devices", ids(lamp_)));
  ASSERT_EQ(server_.call(Method::delete_, "/api/v1/session", {}, token).status, 204u);
  poll(signed_out);
  EXPECT_FALSE(signed_out.open);

  auto expired = connect(server_.access_token(server_.admin));
  say(expired, subscribe("a", "devices", ids(lamp_)));
  server_.clock.advance(31 * 24h);
  poll(expired);
  EXPECT_FALSE(expired.open);
}

TEST_F(Stream, EndsWhenAnotherProcessEndsItsAccessTokenAndOnlyThen) {
  const auto user = server_.user(server_.root, domain::staff_role, "staff@example.org");
  const std::string first = server_.access_token(user), second = server_.access_token(user);
  auto one = connect(first), two = connect(second), other = connect(server_.admin_token);
  for (auto* client : {&one, &two, &other}) say(*client, subscribe("a", "devices", ids(lamp_)));
  // Signed out elsewhere: as one sees it by the change feed alone.
  ASSERT_TRUE(server_.store->delete_access_token(server_.keys->digest("access-token", first).all(), server_.actor()));
  server_.catch_up();
  for (auto* client : {&one, &two, &other}) poll(*client);
  EXPECT_FALSE(one.open);
  EXPECT_EQ(code(one), "access_token_invalid");
  EXPECT_TRUE(two.open);
  // A hundred sign-ins later the oldest is gone.
  for (int i = 0; i < 99; ++i) {
    server_.clock.advance(1ms);
    (void)server_.access_token(user);
  }
  server_.catch_up();
  poll(two);
  EXPECT_TRUE(two.open);
  server_.clock.advance(1ms);
  (void)server_.access_token(user);
  server_.catch_up();
  poll(two);
  EXPECT_FALSE(two.open);
  EXPECT_EQ(code(two), "access_token_invalid");
  poll(other);
  EXPECT_TRUE(other.open);
  // `muster admin recover`.
  ASSERT_TRUE(server_.store->recover_administrator("root@example.org", "v", server_.actor()));
  server_.catch_up();
  poll(other);
  EXPECT_FALSE(other.open);
  EXPECT_EQ(code(other), "access_token_invalid");
}

TEST_F(Stream, AfterARebuildEveryAccessTokenIsLookedAtAgain) {
  auto client = connect(server_.admin_token);
  say(client, subscribe("a", "devices", ids(lamp_)));
  ASSERT_TRUE(server_.store->recover_administrator("root@example.org", "v", server_.actor()));
  ASSERT_TRUE(server_.views->rebuild());
  poll(client);
  EXPECT_FALSE(client.open);
}

TEST_F(Stream, IsClosedWhenNobodyCanTellWhetherItsAccessTokenIsStillGood) {
  InterruptedStore store{*server_.store};
  server_.serve_from(store);
  auto client = connect(server_.admin_token);
  say(client, subscribe("a", "devices", ids(lamp_)));
  (void)server_.access_token(server_.admin);
  store.script.fail_next("find_access_token", 1, domain::StoreError::unavailable);
  server_.catch_up();
  poll(client);
  EXPECT_FALSE(client.open);
  EXPECT_EQ(code(client), "unavailable");
}

TEST_F(Stream, MissesNothingThatChangesWhileItSignsIn) {
  InterruptedStore store{*server_.store};
  server_.serve_from(store);
  const auto staff = server_.user(server_.root, domain::staff_role, "staff@example.org");
  const std::string token = server_.access_token(staff);
  // Signed out between the look-up and its use.
  auto gone = connect(token);
  store.after_find_access_token.emplace_back([&] {
    ASSERT_TRUE(server_.store->delete_access_token(server_.keys->digest("access-token", token).all(), server_.actor()));
    server_.catch_up();
  });
  say(gone, subscribe("a", "devices", ids(lamp_)));
  EXPECT_FALSE(gone.open);
  EXPECT_EQ(code(gone), "access_token_invalid");
  // Demoted after his permissions were read.
  auto demoted = connect(server_.access_token(staff));
  store.after_find_access_token.emplace_back([&] {
    (void)server_.access_token(staff);
    server_.catch_up();
  });
  store.after_find_access_token.emplace_back([&] {});  // The hub's own look-up.
  store.after_find_access_token.emplace_back([&] {
    domain::UserChange change;
    change.role_id = domain::user_role;
    ASSERT_TRUE(server_.store->update_user(staff, change, server_.actor()));
    server_.catch_up();
  });
  say(demoted, R"({"type":"resume","cursor":"x"})");
  EXPECT_TRUE(store.after_find_access_token.size() <= 1) << store.after_find_access_token.size();
  EXPECT_TRUE(demoted.open);
  say(demoted, subscribe("a", "values", ids(lamp_)));
  EXPECT_EQ(code(demoted), "not_found");
}

TEST_F(Stream, MissesNoRoleChangeWhileItSubscribes) {
  InterruptedStore store{*server_.store};
  server_.serve_from(store);
  const auto staff = server_.user(server_.root, domain::staff_role, "staff@example.org");
  auto client = connect(server_.access_token(staff));
  say(client, R"({"type":"resume","cursor":"x"})");
  store.after_devices.emplace_back([&] {
    domain::UserChange change;
    change.role_id = domain::user_role;
    ASSERT_TRUE(server_.store->update_user(staff, change, server_.actor()));
    server_.catch_up();
    std::vector<std::string> unused;
    EXPECT_TRUE(client.session->poll(server_.clock.now(), unused)) << "the change is followed before the subscription is there";
  });
  say(client, subscribe("a", "devices", R"("orgId":)" + str(server_.root)));
  EXPECT_TRUE(store.after_devices.empty());
  EXPECT_TRUE(client.open);
  EXPECT_TRUE(rows(client).empty()) << rows(client).front();
  online(lamp_, true);
  server_.clock.advance(1s);
  poll(client);
  EXPECT_TRUE(rows(client).empty()) << rows(client).front();
}

TEST_F(Stream, ASnapshotThatFailsLeavesNothingBehind) {
  InterruptedStore store{*server_.store};
  server_.serve_from(store);
  auto client = connect(server_.admin_token);
  store.script.fail_next("find_device", 1, domain::StoreError::unavailable);
  say(client, subscribe("a", "devices", ids(lamp_)));
  EXPECT_EQ(code(client), "unavailable");
  online(lamp_, true);
  server_.clock.advance(1s);
  poll(client);
  EXPECT_EQ(types(client), "");
  say(client, subscribe("a", "devices", ids(lamp_)));
  EXPECT_EQ(types(client), "snapshot");
  EXPECT_EQ(rows(client).size(), 1u);
  // Also for one that is told anew after a cursor that means nothing.
  store.script.fail_next("find_device", 1, domain::StoreError::unavailable);
  say(client, R"({"type":"resume","cursor":"x"})");
  EXPECT_EQ(types(client), "reset error");
  say(client, subscribe("a", "devices", ids(lamp_)));
  EXPECT_EQ(types(client), "snapshot");
}

TEST_F(Stream, ADeletedDeviceIsRemovedAndANewOneAppearsInItsOrganization) {
  auto client = connect(server_.admin_token);
  say(client, subscribe("org", "devices", R"("orgId":)" + str(server_.root)));
  EXPECT_EQ(rows(client).size(), 1u);
  const Response made =
      server_.call(Method::post, "/api/v1/device/create", R"({"name":"New","templateId":)" + str(template_) + "}", server_.admin_token);
  ASSERT_EQ(made.status, 201u);
  poll(client);
  EXPECT_EQ(rows(client),
            std::vector<std::string>{R"({"deviceId":)" + std::to_string(number_in(made, "id")) + R"(,"online":false,"connected":false})"});
  ASSERT_EQ(server_.call(Method::delete_, "/api/v1/device?deviceId=" + str(lamp_), {}, server_.admin_token).status, 204u);
  poll(client);
  EXPECT_EQ(types(client), "removed");
}

TEST_F(Stream, ResumesFromTheCursorWithWhatWasMissed) {
  auto client = connect(server_.admin_token);
  say(client, subscribe("v", "values", ids(lamp_)));
  write(lamp_, 1, "first");
  poll(client);
  const std::string cursor = client.cursor;
  client.session.reset();  // The connection broke.
  write(lamp_, 1, "missed");
  write(lamp_, 2, "missed too");
  server_.clock.advance(30s);
  auto back = connect(server_.admin_token);
  say(back, subscribe("v", "values", ids(lamp_) + R"(,"snapshot":false)"));
  EXPECT_EQ(types(back), "ready");
  say(back, R"({"type":"resume","cursor":")" + cursor + R"("})");
  EXPECT_EQ(types(back), "delta");
  ASSERT_EQ(rows(back).size(), 2u);
  EXPECT_NE(rows(back)[0].find("\"missed\""), std::string::npos);
}

TEST_F(Stream, ACursorThatMeansNothingAnyMoreGivesAResetAndSnapshots) {
  auto client = connect(server_.admin_token);
  say(client, subscribe("v", "values", ids(lamp_)));
  write(lamp_, 1, "first");
  poll(client);
  const std::string cursor = client.cursor;
  client.session.reset();
  auto keeper = connect(server_.admin_token);  // Keeps the feed going, and the sweeping with it.
  say(keeper, subscribe("v", "devices", ids(lamp_)));
  keeper.session.reset();
  auto other = connect(server_.admin_token);
  const auto second = server_.device(server_.root, template_, "Second");
  say(other, subscribe("v", "values", ids(second.id)));
  server_.clock.advance(61s);
  poll(other);
  write(lamp_, 1, "nobody watched");
  for (const std::string& bad : {cursor, std::string{"0-1"}, std::string{"nonsense"}, std::string{"-"},
                                 cursor.substr(0, cursor.find('-')) + "-99999999", std::string{}}) {
    auto back = connect(server_.admin_token);
    say(back, subscribe("v", "values", ids(lamp_) + R"(,"snapshot":false)"));
    say(back, R"({"type":"resume","cursor":")" + bad + R"("})");
    EXPECT_EQ(types(back), "reset snapshot") << bad;
    EXPECT_EQ(rows(back), std::vector<std::string>{R"({"deviceId":)" + str(lamp_) + R"(,"pin":1,"value":"nobody watched","at":)" +
                                                   std::to_string(server_.clock.utc_now().ms) + "}"});
    back.session.reset();
    server_.clock.advance(61s);
    poll(other);
    write(lamp_, 1, "nobody watched");
  }
}

TEST_F(Stream, AThrottledRowIsNotLostByACursorThatIsPastIt) {
  auto client = connect(server_.admin_token);
  const auto second = server_.device(server_.root, template_, "Second").id;
  say(client, subscribe("v", "values", R"("deviceIds":[)" + str(lamp_) + "," + str(second) + "]"));
  write(lamp_, 1, "a");
  poll(client);
  write(lamp_, 1, "b");  // Too soon after "a".
  write(second, 1, "c");
  poll(client);
  ASSERT_EQ(rows(client).size(), 1u);
  EXPECT_NE(rows(client)[0].find("\"c\""), std::string::npos);
  const std::string cursor = client.cursor;
  client.session.reset();
  auto back = connect(server_.admin_token);
  say(back, subscribe("v", "values", R"("snapshot":false,"deviceIds":[)" + str(lamp_) + "," + str(second) + "]"));
  say(back, R"({"type":"resume","cursor":")" + cursor + R"("})");
  ASSERT_GE(rows(back).size(), 1u);
  EXPECT_NE(rows(back)[0].find("\"b\""), std::string::npos);
}

TEST_F(Stream, ASlowClientIsToldToResetAndClosed) {
  StreamLimits limits;
  limits.journal_entries = 64;
  StreamHub hub{dependencies(), limits};
  auto slow = connect(server_.admin_token, &hub);
  auto quick = connect(server_.admin_token, &hub);
  say(slow, subscribe("v", "values", ids(lamp_)));
  say(quick, subscribe("v", "values", ids(lamp_)));
  for (int i = 0; i < 200; ++i) {
    server_.values.put(lamp_, static_cast<std::uint8_t>(i), "x", server_.clock.utc_now());
    hub.value_changed(lamp_, static_cast<std::uint8_t>(i));
    if (i % 32 == 0) poll(quick);
  }
  poll(quick);
  EXPECT_TRUE(quick.open);
  poll(slow);
  EXPECT_FALSE(slow.open);
  EXPECT_EQ(types(slow), "reset");
  EXPECT_EQ(slow.heard.back().find("reason")->text, "slow");
  EXPECT_EQ(server_.metrics.stream_slow_closed_total.value(), 1u);

  // The same for one whose connection took nothing for longer than the limit.
  auto stuck = connect(server_.admin_token, &hub);
  say(stuck, subscribe("v", "values", ids(lamp_)));
  server_.clock.advance(11s);
  hub.value_changed(lamp_, 1);
  poll(stuck);
  EXPECT_FALSE(stuck.open);
}

TEST_F(Stream, AHotRowTakesOneJournalEntryUntilSomebodyReadsIt) {
  StreamLimits limits;
  limits.journal_entries = 64;
  StreamHub hub{dependencies(), limits};
  auto client = connect(server_.admin_token, &hub);
  say(client, subscribe("v", "values", ids(lamp_)));
  for (int i = 0; i < 100'000; ++i) hub.value_changed(lamp_, 1);  // Would run the journal over a thousand times.
  server_.values.put(lamp_, 1, "last", server_.clock.utc_now());
  poll(client);
  EXPECT_TRUE(client.open);
  ASSERT_EQ(rows(client).size(), 1u);
}

TEST_F(Stream, StrangersTakeNoPlaceOfThoseWhoSignedInNorOneOfThemThoseOfAllOthers) {
  StreamLimits limits;
  limits.clients_max = 3;
  limits.unsigned_per_address_max = 2;
  StreamHub hub{dependencies(), limits};
  const IpAddress stranger = *IpAddress::parse("198.51.100.7");
  std::vector<Client> silent;
  silent.push_back(connect("", &hub, stranger));
  silent.push_back(connect("", &hub, stranger));
  EXPECT_EQ(connect("", &hub, stranger).session, nullptr);
  auto client = connect(server_.admin_token, &hub);
  ASSERT_NE(client.session, nullptr);
  EXPECT_EQ(connect(server_.admin_token, &hub).session, nullptr);  // Three are about to sign in.
  say(client, subscribe("a", "devices", ids(lamp_)));
  EXPECT_EQ(types(client), "ready snapshot");
  EXPECT_NE(connect(server_.admin_token, &hub).session, nullptr);
  silent.pop_back();
  EXPECT_NE(connect("", &hub, stranger).session, nullptr);
}

TEST_F(Stream, EveryLimitIsReachedAndTold) {
  StreamLimits limits;
  limits.clients_max = 2;
  limits.rows_max = 3;
  limits.rows_total_max = 4;
  limits.subscriptions_max = 2;
  StreamHub hub{dependencies(), limits};
  std::vector<DeviceId> devices;
  for (int i = 0; i < 5; ++i) devices.push_back(server_.device(server_.root, template_, "D" + std::to_string(i)).id);
  const auto list = [&](std::size_t from, std::size_t count) {
    std::string text = "\"deviceIds\":[";
    for (std::size_t i = from; i < from + count; ++i) text += (i == from ? "" : ",") + str(devices[i]);
    return text + "]";
  };
  auto client = connect(server_.admin_token, &hub);
  say(client, subscribe("a", "devices", list(0, 4)));
  EXPECT_EQ(code(client), "limit_reached");
  say(client, subscribe("all", "devices", R"("orgId":)" + str(server_.root)));
  EXPECT_EQ(code(client), "limit_reached");
  say(client, subscribe("a", "devices", list(0, 2)));
  EXPECT_EQ(types(client), "snapshot");
  say(client, subscribe("a", "devices", list(0, 1)));
  EXPECT_EQ(code(client), "conflicting_field");
  say(client, subscribe("b", "devices", list(2, 2)));
  EXPECT_EQ(code(client), "limit_reached");
  say(client, subscribe("b", "devices", list(2, 1)));
  EXPECT_EQ(types(client), "snapshot");
  say(client, subscribe("c", "devices", list(0, 1)));
  EXPECT_EQ(code(client), "limit_reached");
  say(client, R"({"type":"unsubscribe","id":"b"})");
  say(client, R"({"type":"unsubscribe","id":"b"})");
  EXPECT_EQ(code(client), "not_found");

  auto second = connect(server_.admin_token, &hub);
  say(second, subscribe("a", "devices", list(2, 3)));
  EXPECT_EQ(code(second), "limit_reached");  // Of all clients together.
  auto third = connect(server_.admin_token, &hub);
  say(third, subscribe("a", "devices", list(0, 1)));
  EXPECT_EQ(code(third), "limit_reached");  // Two are signed in.
  poll(third);
  EXPECT_FALSE(third.open);

  for (unsigned i = 0; i < limits.messages_per_window; ++i) second.session->on_message(R"({"type":"ping"})");
  poll(second);
  EXPECT_FALSE(second.open);
  EXPECT_EQ(code(second), "too_many_requests");

  say(client, std::string(limits.message_size_max_bytes + 1, ' '));
  EXPECT_FALSE(client.open);
}

TEST_F(Stream, BadMessagesAreNamed) {
  auto client = connect(server_.admin_token);
  const auto check = [&](const std::string& message, std::string_view expected) {
    say(client, message);
    EXPECT_EQ(code(client), expected) << message;
    EXPECT_TRUE(client.open) << message;
  };
  check(R"({})", "invalid_request");
  check(R"({"type":"dance"})", "invalid_request");
  check(R"({"type":5})", "invalid_request");
  check(R"({"type":"subscribe","id":"a","kind":"devices","deviceIds":[1],"colour":1})", "unknown_field");
  check(R"({"type":"subscribe","kind":"devices","deviceIds":[1]})", "invalid_value");
  check(R"({"type":"subscribe","id":"","kind":"devices","deviceIds":[1]})", "invalid_value");
  check(R"({"type":"subscribe","id":5,"kind":"devices","deviceIds":[1]})", "invalid_value");
  check(R"({"type":"subscribe","id":"a","kind":"moods","deviceIds":[1]})", "invalid_value");
  check(R"({"type":"subscribe","id":"a","kind":"devices"})", "invalid_value");
  check(R"({"type":"subscribe","id":"a","kind":"devices","deviceIds":[1],"orgId":1})", "invalid_value");
  check(R"({"type":"subscribe","id":"a","kind":"devices","deviceIds":5})", "wrong_type");
  check(R"({"type":"subscribe","id":"a","kind":"devices","deviceIds":["1"]})", "wrong_type");
  check(R"({"type":"subscribe","id":"a","kind":"devices","deviceIds":[-1]})", "not_found");
  check(R"({"type":"subscribe","id":"a","kind":"devices","deviceIds":[4294967297]})", "not_found");
  check(R"({"type":"subscribe","id":"a","kind":"devices","orgId":"1"})", "wrong_type");
  check(R"({"type":"subscribe","id":"a","kind":"devices","orgId":1,"snapshot":1})", "wrong_type");
  check(R"({"type":"resume"})", "wrong_type");
  check(R"({"type":"auth","accessToken":"x"})", "invalid_request");
  say(client, R"({"type":"ping"})");
  EXPECT_EQ(types(client), "pong");
  say(client, "{");
  EXPECT_EQ(code(client), "invalid_json");
  EXPECT_FALSE(client.open);
}

TEST_F(Stream, MessagesPollsAndChangesMayComeFromThreadsOfTheirOwn) {
  auto client = connect(server_.admin_token);
  say(client, subscribe("first", "values", ids(lamp_)));
  const Instant now = server_.clock.now();
  std::atomic<bool> stop{false};
  std::thread writer{[&] {
    for (int i = 0; !stop; ++i) {
      server_.values.put(lamp_, static_cast<std::uint8_t>(i % 8), std::to_string(i), {1});
      server_.api->live_feed().value_changed(lamp_, static_cast<std::uint8_t>(i % 8));
      server_.api->permissions_changed();
    }
  }};
  std::thread talker{[&] {
    for (int i = 0; i < 20; ++i) {
      client.session->on_message(subscribe("s" + std::to_string(i), "values", ids(lamp_)));
      client.session->on_message(R"({"type":"unsubscribe","id":"s)" + std::to_string(i) + R"("})");
    }
    stop = true;
  }};
  std::size_t messages = 0;
  while (!stop) {
    std::vector<std::string> out;
    EXPECT_TRUE(client.session->poll(now, out));
    messages += out.size();
  }
  writer.join();
  talker.join();
  // Whoever was faster: no snapshot is lost.
  std::vector<std::string> out;
  EXPECT_TRUE(client.session->poll(now, out));
  EXPECT_GE(messages + out.size(), 20u);
}

// --- timelines -------------------------------------------------------------------------------------------------------------------

TEST_F(Stream, LinesOfATimelineComeAsTheyAreWrittenAndAgainWhenResolved) {
  const auto other = server_.device(server_.root, template_, "Other").id;
  auto client = connect(server_.admin_token);
  say(client, subscribe("t", "timeline", ids(lamp_)));
  EXPECT_EQ(types(client), "ready snapshot");
  ASSERT_EQ(rows(client).size(), 1u);
  EXPECT_NE(rows(client)[0].find("\"activated\""), std::string::npos);
  const auto log = [&](DeviceId device) {
    domain::TimelineEntry entry;
    entry.device_id = device;
    entry.at = server_.clock.utc_now();
    entry.type = domain::TimelineType::warning;
    entry.code = "hot";
    return server_.store->add_timeline(entry).value().id;
  };
  const auto line = log(lamp_);
  log(other);
  server_.api->follow_timeline();
  poll(client);
  ASSERT_EQ(rows(client).size(), 1u);
  EXPECT_NE(rows(client)[0].find("\"hot\""), std::string::npos);
  server_.api->follow_timeline();
  poll(client);
  EXPECT_TRUE(rows(client).empty());
  const auto resolved = server_.call(Method::post, "/api/v1/organization/device/resolve-event",
                                     R"({"deviceId":)" + str(lamp_) + R"(,"eventId":)" + str(line) + "}", server_.admin_token);
  EXPECT_EQ(resolved.status, 200u) << resolved.body;
  poll(client);
  ASSERT_EQ(rows(client).size(), 1u);
  say(client, R"({"type":"unsubscribe","id":"t"})");
  log(lamp_);
  server_.api->follow_timeline();
  poll(client);
  EXPECT_TRUE(client.heard.empty());
}

TEST_F(Stream, ATimelineOfADeviceThatOneMayNotSeeIsRefusedAndOneLostEndsAtOnce) {
  const auto user = server_.user(server_.root, domain::user_role, "user@example.org");
  auto client = connect(server_.access_token(user));
  say(client, subscribe("t", "timeline", ids(lamp_)));
  EXPECT_EQ(code(client), "not_found");
  say(client, subscribe("t", "timeline", "\"orgId\":" + str(server_.root)));
  domain::TimelineEntry entry;
  entry.device_id = lamp_;
  entry.code = "hot";
  entry.type = domain::TimelineType::warning;
  ASSERT_TRUE(server_.store->add_timeline(entry));
  server_.api->follow_timeline();
  poll(client);
  EXPECT_TRUE(rows(client).empty()) << "each line is checked";
}

}  // namespace
}  // namespace muster::api
