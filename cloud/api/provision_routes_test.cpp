// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "cloud/api/rate_limit.hpp"
#include "cloud/api/test_failing_store.hpp"
#include "cloud/api/test_server.hpp"
#include "wire/activation_failure.hpp"

namespace muster::api {
namespace {

using namespace std::chrono_literals;
using domain::ProvisionFailure;

TEST(ProvisionFailures, HaveTheNumbersOfTheCatalogue) {
  using F = wire::ActivationFailure;
  constexpr std::pair<ProvisionFailure, F> same[] = {{ProvisionFailure::template_unknown, F::template_unknown},
                                                     {ProvisionFailure::template_foreign, F::template_foreign},
                                                     {ProvisionFailure::info_missing, F::info_missing},
                                                     {ProvisionFailure::expired, F::expired},
                                                     {ProvisionFailure::canceled, F::canceled},
                                                     {ProvisionFailure::superseded, F::superseded},
                                                     {ProvisionFailure::plain_text_refused, F::plain_text_refused},
                                                     {ProvisionFailure::device_limit, F::device_limit},
                                                     {ProvisionFailure::owner_gone, F::owner_gone},
                                                     {ProvisionFailure::template_differs, F::template_differs}};
  for (const auto& [ours, wires] : same) {
    EXPECT_EQ(static_cast<int>(ours), static_cast<int>(wires));
    EXPECT_NE(wire::find_failure(wires), nullptr);
  }
}

class Provision : public ::testing::Test {
 protected:
  void start(ApiOptions options = {}) {
    server_ = std::make_unique<TestServer>(std::move(options));
    server_->set_up();
    product_ = server_->make_template(server_->root, "Product");
  }
  void SetUp() override { start(); }
  Response issue(const std::string& body = "{}", const std::string& token = "") {
    return server_->call(Method::post, "/api/v1/device/provision/token", body, token.empty() ? server_->admin_token : token);
  }
  static std::string warnings(const Response& response) {
    std::string all;
    const Json body = body_of(response);
    for (const auto& item : body.find("warnings")->items) all += item.text + " ";
    return all;
  }
  Response session(const Response& issued) {
    return server_->get("/api/v1/provision/session?sessionId=" + str(number_in(issued, "sessionId")), server_->admin_token);
  }
  Response provision(const Response& issued, const std::string& rest) {
    return server_->get("/external/api/provision?token=" + text_in(issued, "token") + rest);
  }
  std::unique_ptr<TestServer> server_;
  domain::Template product_;
};

TEST_F(Provision, SaysWhereTheDeviceShallDialAndWhatStandsInTheWay) {
  struct Case {
    std::string public_url, local;
    std::vector<std::uint16_t> plain, tls;
    std::string host;
    int port, port_plain;
    std::string warnings;
  };
  for (const Case& one :
       {Case{"", "127.0.0.1:8080", {8080}, {9443}, "127.0.0.1", 9443, 8080, "host_is_loopback "},
        Case{"", "[::1]:8080", {8080}, {}, "::1", 8080, 8080, "host_is_loopback "},
        Case{"", "192.168.1.5:7000", {7000, 80}, {7443, 443}, "192.168.1.5", 443, 80, ""},
        Case{"", "192.168.1.5:7000", {7000}, {7443}, "192.168.1.5", 7443, 7000, "port_not_dialed "},
        Case{"", "192.168.1.5:7443", {}, {7443}, "192.168.1.5", 7443, 0, "port_not_dialed "},
        Case{"https://iot.example", "10.0.0.1:8080", {8080}, {9443}, "iot.example", 443, 8080, ""},
        Case{"https://iot.example:8443/x", "10.0.0.1:8080", {7000}, {9443}, "iot.example", 8443, 7000, "port_not_dialed "},
        Case{"http://localhost:8080", "10.0.0.1:8080", {8080}, {9443}, "localhost", 9443, 8080, "host_is_loopback "},
        Case{"https://a-host-name-that-is-too-long.example",
             "10.0.0.1:1",
             {},
             {},
             "a-host-name-that-is-too-long.example",
             443,
             0,
             "host_too_long "}}) {
    SCOPED_TRACE(one.public_url + " " + one.local);
    ApiOptions options;
    options.public_url = one.public_url;
    options.ports_plain = one.plain;
    options.ports_tls = one.tls;
    start(std::move(options));
    server_->local_address = one.local;
    const Response issued = issue();
    ASSERT_EQ(issued.status, 201u) << issued.body;
    EXPECT_EQ(text_in(issued, "host"), one.host);
    EXPECT_EQ(number_in(issued, "port"), one.port);
    EXPECT_EQ(number_in(issued, "portPlain"), one.port_plain);
    EXPECT_EQ(warnings(issued), one.warnings);
    EXPECT_EQ(number_in(issued, "expiresAt"), server_->clock.utc_now().ms + 24 * 3'600'000);
  }
}

TEST_F(Provision, TheOwnerIsTheCallerOrAnotherMemberWithThePermission) {
  const auto staff = server_->user(server_->root, domain::staff_role, "staff@example.org");
  const auto user = server_->user(server_->root, domain::user_role, "user@example.org");
  const auto token = server_->access_token(user);
  EXPECT_EQ(number_in(session(issue("{}", token)), "ownerId"), user.value());
  EXPECT_EQ(issue(R"({"ownerId":)" + str(user) + "}", token).status, 201u);
  EXPECT_EQ(issue(R"({"ownerId":)" + str(staff) + "}", token).status, 403u);
  EXPECT_EQ(number_in(session(issue(R"({"ownerId":)" + str(staff) + "}")), "ownerId"), staff.value());
  const auto branch = server_->organization(server_->root, "Branch");
  EXPECT_EQ(number_in(session(issue(R"({"orgId":)" + str(branch) + "}")), "ownerId"), 0);
  EXPECT_EQ(field_of(issue(R"({"ownerId":)" + str(staff) + R"(,"orgId":)" + str(branch) + "}")), "ownerId");
  EXPECT_EQ(issue(R"({"templateId":"TMPLnobody"})").status, 404u);
  EXPECT_EQ(field_of(issue(R"({"uid":")" + std::string(61, 'x') + R"("})")), "uid");
  EXPECT_EQ(issue(R"({"deviceId":4711})").status, 404u);
  const auto theirs = server_->device(server_->root, product_.id, "Theirs", staff);
  EXPECT_EQ(issue(R"({"deviceId":)" + str(theirs.id) + "}", token).status, 404u);
  const Response again = issue(R"({"deviceId":)" + str(theirs.id) + "}");
  EXPECT_EQ(number_in(again, "deviceId"), theirs.id.value());
  EXPECT_EQ(text_in(session(again), "kind"), "reconfigure");
}

TEST_F(Provision, StepsAreCheckedAndBecomeTheTrace) {
  const Response issued = issue();
  const std::string path = "/api/v1/provision/session/" + str(number_in(issued, "sessionId")) + "/step";
  const auto post = [&](const std::string& body) { return server_->call(Method::post, path, body, server_->admin_token); };
  EXPECT_EQ(field_of(post("{}")), "step");
  EXPECT_EQ(field_of(post(R"({"step":"Sent"})")), "step");
  EXPECT_EQ(field_of(post(R"({"step":")" + std::string(41, 'x') + R"("})")), "step");
  EXPECT_EQ(field_of(post(R"({"step":"sent","code":65536})")), "code");
  EXPECT_EQ(field_of(post(R"({"step":"sent","message":")" + std::string(201, 'x') + R"("})")), "message");
  EXPECT_EQ(field_of(post(R"({"step":"sent","source":"cloud"})")), "source");
  EXPECT_EQ(code_of(post(R"({"step":"sent","sessionId":1})")), "unknown_field");
  EXPECT_EQ(post(R"({"step":"net_fail","code":722,"message":"wrong","source":"agent"})").status, 204u);
  const Json body = body_of(session(issued));
  EXPECT_EQ(body.find("state")->text, "DELIVERING");
  EXPECT_EQ(body.find("failure")->find("name")->text, "wrong_password");
  ASSERT_EQ(body.find("steps")->items.size(), 2u);
  const Json& step = body.find("steps")->items[1];
  EXPECT_EQ(step.find("source")->text, "agent");
  EXPECT_EQ(step.find("code")->integer, 722);
  EXPECT_EQ(step.find("message")->text, "wrong");
  EXPECT_EQ(session(issued).body.find(text_in(issued, "token")), std::string::npos);
}

TEST_F(Provision, ADeviceThatSpeaksHttpAloneIsSetUpInOneCall) {
  const Response issued = issue();
  const std::string id = str(number_in(issued, "deviceId"));
  EXPECT_EQ(server_->get("/external/api/update?token=" + text_in(issued, "token") + "&v1=1").status, 400u);
  EXPECT_EQ(server_->get("/external/api/get?token=" + text_in(issued, "token") + "&v1").status, 400u);
  EXPECT_EQ(server_->get("/api/v1/device?deviceId=" + id, server_->admin_token).status, 404u);
  for (int i = 0; i < 2; ++i) {
    const Response done = provision(issued, "&templateId=" + product_.tmpl_ids[0] + "&ver=1.2.3&boType=Sensor");
    EXPECT_EQ(done.status, 200u) << done.body;
    EXPECT_EQ(done.body, "");
  }
  EXPECT_EQ(server_->get("/api/v1/device?deviceId=" + id, server_->admin_token).status, 200u);
  const auto presence = server_->presence.take(10);
  ASSERT_FALSE(presence.empty());
  EXPECT_EQ(presence.back().hardware->version, "1.2.3");
  EXPECT_EQ(provision(issued, "&templateId=TMPLnobody").status, 400u);
  EXPECT_EQ(server_->get("/external/api/update?token=" + text_in(issued, "token") + "&v1=1").status, 200u);
  EXPECT_EQ(server_->get("/external/api/update?token=" + text_in(issued, "token") + "&v1=2").status, 200u);
  const Json body = body_of(session(issued));
  std::string steps;
  for (const auto& step : body.find("steps")->items) steps += step.find("step")->text + " ";
  EXPECT_EQ(steps, "token_issued login active first_value ");
  EXPECT_EQ(body.find("state")->text, "ACTIVE");
}

TEST_F(Provision, ARefusedOneHearsTheReasonAndThenInvalidToken) {
  const Response issued = issue();
  const Response refused = provision(issued, "&templateId=TMPLnobody");
  EXPECT_EQ(refused.status, 400u);
  EXPECT_EQ(message_of(refused), "The cloud does not know this kind of device.");
  EXPECT_EQ(message_of(provision(issued, "&templateId=" + product_.tmpl_ids[0])), "Invalid token.");
  EXPECT_EQ(text_in(session(issued), "state"), "FAILED");
  EXPECT_EQ(message_of(server_->get("/external/api/provision?token=" + std::string(32, 'A'))), "Invalid token.");
}

TEST_F(Provision, ReprovisioningByHttpProvesItselfTheSecondTimeAMinuteLater) {
  const auto device = server_->device(server_->root, product_.id, "Old");
  const Response renewed = issue(R"({"deviceId":)" + str(device.id) + "}");
  const std::string tmpl = "&templateId=" + product_.tmpl_ids[0];
  EXPECT_EQ(server_->get("/external/api/update?token=" + text_in(renewed, "token") + "&v1=1").status, 400u) << "not its token yet";
  EXPECT_EQ(provision(renewed, tmpl).status, 200u);
  EXPECT_EQ(text_in(session(renewed), "state"), "PROVING");
  EXPECT_EQ(server_->get("/external/api/update?token=" + device.token + "&v1=1").status, 200u);
  server_->clock.advance(59s);
  EXPECT_EQ(provision(renewed, tmpl).status, 200u);
  EXPECT_EQ(text_in(session(renewed), "state"), "PROVING") << "the same request once more";
  server_->clock.advance(1s);
  EXPECT_EQ(provision(renewed, tmpl).status, 200u);
  EXPECT_EQ(text_in(session(renewed), "state"), "ACTIVE");
  EXPECT_EQ(message_of(server_->get("/external/api/update?token=" + device.token + "&v1=1")), "Invalid token.");
}

TEST_F(Provision, ADeviceThatSpeaksHttpAloneProvesItsNewTokenByUsingIt) {
  for (const std::string call : {"update", "get"}) {
    SCOPED_TRACE(call);
    const auto device = server_->device(server_->root, product_.id, "Old");
    const auto use = [&](const std::string& token) { return server_->get("/external/api/" + call + "?token=" + token + "&v1=1"); };
    ASSERT_EQ(server_->get("/external/api/update?token=" + device.token + "&v1=1").status, 200u);
    const Response renewed = issue(R"({"deviceId":)" + str(device.id) + "}");
    ASSERT_EQ(provision(renewed, "&templateId=" + product_.tmpl_ids[0]).status, 200u);
    EXPECT_TRUE(server_->views->provisioning.may_be_proving(device.id));
    server_->clock.advance(59s);
    EXPECT_EQ(use(text_in(renewed, "token")).status, 200u);
    EXPECT_EQ(use(device.token).status, 200u);
    server_->clock.advance(1s);
    EXPECT_EQ(server_->get("/external/api/isHardwareConnected?token=" + text_in(renewed, "token")).status, 200u);
    EXPECT_EQ(use(device.token).status, 200u);
    EXPECT_EQ(text_in(session(renewed), "state"), "PROVING") << "it has not come with the new one";
    EXPECT_EQ(use(text_in(renewed, "token")).status, 200u);
    const Json body = body_of(session(renewed));
    EXPECT_EQ(body.find("state")->text, "ACTIVE");
    EXPECT_EQ(std::count_if(body.find("steps")->items.begin(), body.find("steps")->items.end(),
                            [](const Json& step) { return step.find("step")->text == "proved"; }),
              1);
    EXPECT_EQ(message_of(use(device.token)), "Invalid token.");
    EXPECT_EQ(use(text_in(renewed, "token")).status, 200u);
    EXPECT_FALSE(server_->views->provisioning.may_be_proving(device.id));
  }
  EXPECT_EQ(server_->metrics.reprovision_proved_total.value(), 2u);
}

TEST_F(Provision, ADeviceThatSpeaksHttpAloneAndKeepsTheOldTokenFallsBack) {
  const auto device = server_->device(server_->root, product_.id, "Old");
  const Response renewed = issue(R"({"deviceId":)" + str(device.id) + "}");
  ASSERT_EQ(provision(renewed, "&templateId=" + product_.tmpl_ids[0]).status, 200u);
  const auto use = [&](const std::string& token) { return server_->get("/external/api/update?token=" + token + "&v1=1"); };
  server_->clock.advance(24h - 1s);
  EXPECT_EQ(use(device.token).status, 200u);
  EXPECT_EQ(text_in(session(renewed), "state"), "PROVING");
  server_->clock.advance(1s);
  EXPECT_EQ(use(device.token).status, 200u);
  EXPECT_EQ(text_in(session(renewed), "state"), "EXPIRED");
  EXPECT_EQ(use(device.token).status, 200u);
  EXPECT_NE(use(text_in(renewed, "token")).status, 200u);
  EXPECT_EQ(server_->metrics.reprovision_fell_back_total.value(), 1u);
}

TEST_F(Provision, WhileADeviceIsConnectedAScriptWithItsTokenProvesNothing) {
  const auto device = server_->device(server_->root, product_.id, "Old");
  const Response renewed = issue(R"({"deviceId":)" + str(device.id) + "}");
  ASSERT_EQ(provision(renewed, "&templateId=" + product_.tmpl_ids[0]).status, 200u);
  (void)server_->sessions.bind(device.id, {}, server_->clock.now());
  server_->clock.advance(61s);
  EXPECT_EQ(server_->get("/external/api/update?token=" + text_in(renewed, "token") + "&v1=1").status, 200u);
  EXPECT_EQ(text_in(session(renewed), "state"), "PROVING");
}

TEST_F(Provision, AProofThatTheStoreCannotTakeIsTakenLater) {
  const auto device = server_->device(server_->root, product_.id, "Old");
  const Response renewed = issue(R"({"deviceId":)" + str(device.id) + "}");
  ASSERT_EQ(provision(renewed, "&templateId=" + product_.tmpl_ids[0]).status, 200u);
  server_->clock.advance(61s);
  const std::string use = "/external/api/update?token=" + text_in(renewed, "token") + "&v1=1";
  FailingStore failing;
  server_->serve_from(failing);
  EXPECT_EQ(server_->get(use).status, 200u) << "the value is taken all the same";
  server_->serve_from(*server_->store);
  EXPECT_EQ(text_in(session(renewed), "state"), "PROVING");
  EXPECT_EQ(server_->get(use).status, 200u);
  EXPECT_EQ(text_in(session(renewed), "state"), "ACTIVE");
}

TEST_F(Provision, MoreTokensThanALineNeedsAreRefusedForTheRestOfTheHour) {
  ApiOptions options;
  options.provision_tokens_per_hour_per_user = 3;
  start(std::move(options));
  const auto device = server_->device(server_->root, product_.id, "Old");
  EXPECT_EQ(field_of(issue(R"({"uid":")" + std::string(61, 'x') + R"("})")), "uid") << "a mistake costs nothing";
  std::int64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    const Response issued = i < 2 ? issue() : issue(R"({"deviceId":)" + str(device.id) + "}");
    ASSERT_EQ(issued.status, 201u);
    if (i < 2) last = number_in(issued, "deviceId");
    const std::string path = "/api/v1/provision/session/" + str(number_in(issued, "sessionId"));
    EXPECT_EQ(server_->call(Method::delete_, path, {}, server_->admin_token).status, 204u);
  }
  server_->clock.advance(10min);
  const Response refused = issue();
  EXPECT_EQ(refused.status, 429u);
  EXPECT_EQ(code_of(refused), "too_many_requests");
  EXPECT_EQ(header_of(refused, "Retry-After"), "3000");
  EXPECT_EQ(issue("{}", server_->access_token(server_->user(server_->root, domain::staff_role, "staff@example.org"))).status, 201u);
  EXPECT_EQ(server_->metrics.http_throttled_total.value(), 1u);
  server_->clock.advance(50min);
  const Response again = issue();
  EXPECT_EQ(again.status, 201u);
  EXPECT_EQ(number_in(again, "deviceId"), last + 2) << "what was refused takes no device id";
}

TEST_F(Provision, ALineOfFiveThousandDevicesADayIsWithinTheLimitEvenInOneHour) {
  const ApiOptions options;
  RateLimit limit{options.provision_tokens_per_hour_per_user, std::chrono::hours{1}};
  for (int i = 0; i < 5'000; ++i) ASSERT_FALSE(limit.count(1, Instant{})) << i;
  EXPECT_TRUE(limit.count(1, Instant{}));
}

TEST_F(Provision, ADeviceThatCompletesItsSetUpInALoopHears429) {
  ApiOptions options;
  options.provision_requests_per_hour_per_device = 3;
  start(std::move(options));
  const Response issued = issue(), other = issue();
  const std::string rest = "&templateId=" + product_.tmpl_ids[0];
  for (int i = 0; i < 3; ++i) EXPECT_EQ(provision(issued, rest).status, 200u);
  const Response refused = provision(issued, rest);
  EXPECT_EQ(refused.status, 429u);
  EXPECT_EQ(header_of(refused, "Retry-After"), "3600");
  EXPECT_NE(message_of(refused), "");
  EXPECT_EQ(provision(other, rest).status, 200u);
  EXPECT_EQ(server_->get("/external/api/update?token=" + text_in(issued, "token") + "&v1=1").status, 200u);
  server_->clock.advance(1h);
  EXPECT_EQ(provision(issued, rest).status, 200u);
}

TEST_F(Provision, PlainTextFromAPublicAddressIsRefusedOverHttpAsOnTheBinaryProtocol) {
  for (const bool allowed : {false, true}) {
    ApiOptions options;
    options.allow_plain_from_public = allowed;
    start(std::move(options));
    const std::string tmpl = "&templateId=" + product_.tmpl_ids[0];
    const Response issued = issue();
    const IpAddress home = std::exchange(server_->peer, IpAddress::from_v4(0x08080808));
    const Response answer = provision(issued, tmpl);
    EXPECT_EQ(answer.status, allowed ? 200u : 400u);
    if (allowed) continue;
    EXPECT_EQ(message_of(answer), "The cloud refused an unencrypted connection.");
    server_->peer = home;
    EXPECT_EQ(text_in(session(issued), "state"), "CONNECTED");
    EXPECT_EQ(provision(issued, tmpl).status, 200u) << "its token still counts";
  }
}

TEST_F(Provision, AnEndThatTheViewsHaveNotSeenIsAnsweredAsTheRegistrySays) {
  const std::string tmpl = "&templateId=" + product_.tmpl_ids[0];
  const auto cancel_unseen = [this](const Response& issued) {
    const ProvisionSessionId id{static_cast<std::int64_t>(number_in(issued, "sessionId"))};
    ASSERT_TRUE(server_->store->cancel_provision_session(id, server_->actor()));
  };
  const Response fresh = issue();
  cancel_unseen(fresh);
  const Response gone = provision(fresh, tmpl);
  EXPECT_EQ(gone.status, 400u);
  EXPECT_EQ(message_of(gone), "Invalid token.");
  // A device that has working settings must not hear that: it would throw them away.
  const auto device = server_->device(server_->root, product_.id, "Old");
  const Response renewed = issue(R"({"deviceId":)" + str(device.id) + "}");
  cancel_unseen(renewed);
  EXPECT_EQ(provision(renewed, tmpl).status, 503u);
}

// --- live ------------------------------------------------------------------------------------------------------------------------

class ProvisionStream : public Provision {
 protected:
  std::unique_ptr<StreamSession> connect(const std::string& token) {
    Request request;
    const std::string bearer = "Bearer " + token;
    server_->make_request(request, Method::get, "/api/v1/stream", {}, {});
    request.headers.push_back({"Authorization", bearer});
    Response refusal;
    return server_->api->open_stream(request, refusal);
  }
  /// "snapshot:TOKEN_ISSUED delta:ACTIVE", without "ready".
  std::string hear(StreamSession& client) {
    std::vector<std::string> out;
    server_->clock.advance(1s);
    EXPECT_TRUE(client.poll(server_->clock.now(), out));
    std::string all;
    for (const auto& text : out) {
      const Json message = parse_json(text).value;
      const std::string type = message.find("type")->text;
      if (type == "ready") continue;
      all += (all.empty() ? "" : " ") + type + ":";
      if (const Json* code = message.find("code")) all += code->text;
      if (const Json* rows = message.find("rows")) {
        for (const auto& row : rows->items) all += row.find("state")->text + ",";
      }
    }
    return all;
  }
};

TEST_F(ProvisionStream, TellsSnapshotsAndDeltasOfWhatOneMaySee) {
  const auto staff = server_->user(server_->root, domain::staff_role, "staff@example.org");
  const auto user = server_->user(server_->root, domain::user_role, "user@example.org");
  const auto staff_token = server_->access_token(staff), user_token = server_->access_token(user);
  const Response first = issue();
  const auto of_staff = connect(staff_token), of_user = connect(user_token);
  for (const auto& client : {of_staff.get(), of_user.get()}) client->on_message(R"({"type":"subscribe","id":"p","kind":"sessions"})");
  EXPECT_EQ(hear(*of_staff), "snapshot:TOKEN_ISSUED,");
  EXPECT_EQ(hear(*of_user), "snapshot:") << "not his";
  EXPECT_EQ(provision(first, "&templateId=" + product_.tmpl_ids[0]).status, 200u);
  EXPECT_EQ(hear(*of_staff), "delta:ACTIVE,");
  EXPECT_EQ(hear(*of_user), "");
  const Response own = issue("{}", user_token);
  EXPECT_EQ(hear(*of_user), "delta:TOKEN_ISSUED,");
  EXPECT_EQ(hear(*of_staff), "delta:TOKEN_ISSUED,");

  // The permission is asked again for each row.
  domain::UserChange less;
  less.role_id = domain::user_role;
  ASSERT_TRUE(server_->store->update_user(staff, less, server_->actor()));
  server_->catch_up();
  ASSERT_EQ(server_->call(Method::delete_, "/api/v1/provision/session/" + str(number_in(own, "sessionId")), {}, user_token).status, 204u);
  EXPECT_EQ(hear(*of_staff), "removed:");
  EXPECT_EQ(hear(*of_user), "delta:CANCELED,");

  of_user->on_message(R"({"type":"resume","cursor":"x-1"})");
  EXPECT_EQ(hear(*of_user), "snapshot:CANCELED, reset:");
  of_user->on_message(R"({"type":"unsubscribe","id":"p"})");
  (void)issue("{}", user_token);
  EXPECT_EQ(hear(*of_user), "");
}

TEST_F(ProvisionStream, RefusesWhatIsNoSubscription) {
  const auto foreign = server_->organization(server_->root, "Foreign");
  const auto other = server_->user(foreign, domain::admin_role, "other@example.org");
  const auto client = connect(server_->access_token(other));
  client->on_message(R"({"type":"subscribe","id":"a","kind":"sessions","orgId":)" + str(server_->root) + "}");
  EXPECT_EQ(hear(*client), "error:not_found");
  client->on_message(R"({"type":"subscribe","id":"a","kind":"sessions","deviceIds":[1]})");
  EXPECT_EQ(hear(*client), "error:invalid_value");
  client->on_message(R"({"type":"subscribe","id":"a","kind":"sessions","orgId":"x"})");
  EXPECT_EQ(hear(*client), "error:wrong_type");
  client->on_message(R"({"type":"subscribe","id":"a","kind":"sessions"})");
  EXPECT_EQ(hear(*client), "snapshot:");
  client->on_message(R"({"type":"subscribe","id":"a","kind":"sessions"})");
  EXPECT_EQ(hear(*client), "error:conflicting_field");
  (void)issue();
  EXPECT_EQ(hear(*client), "") << "another organization's";
}

}  // namespace
}  // namespace muster::api
