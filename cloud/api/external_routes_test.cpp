// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <optional>

#include "cloud/api/test_failing_store.hpp"
#include "cloud/api/test_server.hpp"

// docs/protocol/http-api.md sections 1-3 and the matrix of section 5, byte for byte.
namespace muster::api {
namespace {

using domain::DataType;

std::string error(std::string_view message) { return R"({"error":{"message":")" + std::string{message} + R"("}})"; }

domain::Datastream stream(std::uint8_t pin, DataType type, const std::string& name) {
  domain::Datastream made;
  made.pin = pin;
  made.type = type;
  made.name = name;
  return made;
}

class External : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.set_up();
    auto integer = stream(1, DataType::integer, "Integer");
    integer.min = 0;
    integer.max = 100;
    integer.default_value = "7";
    auto choice = stream(5, DataType::enumeration, "Choice");
    choice.enum_values = {"off", "on"};
    typed_ = server_.make_template(
        server_.root, "ESP32 QA",
        {integer, stream(2, DataType::real, "Real"), stream(3, DataType::string, "Text"), stream(4, DataType::location, "Place"), choice});
    open_ = server_.make_template(server_.root, "Prototype");
    device_ = server_.device(server_.root, typed_.id, "Typed");
    proto_ = server_.device(server_.root, open_.id, "Proto");
  }

  Response typed(std::string_view call, std::string_view rest) {
    return server_.get("/external/api/" + std::string{call} + "?token=" + device_.token + std::string{rest});
  }
  Response proto(std::string_view call, std::string_view rest) {
    return server_.get("/external/api/" + std::string{call} + "?token=" + proto_.token + std::string{rest});
  }
  std::string id_of(std::uint8_t pin) const {
    for (const auto& each : typed_.datastreams) {
      if (each.pin == pin) return str(each.id);
    }
    return "";
  }
  static void expect(const Response& response, unsigned status, std::string_view body, std::string_view type) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(response.body, body);
    EXPECT_EQ(response.content_type, type) << response.body;
  }
  static void expect_error(const Response& response, std::string_view message) {
    expect(response, 400, error(message), "application/json");
  }
  static void expect_empty(const Response& response) { expect(response, 200, "", ""); }

  TestServer server_;
  domain::Template typed_, open_;
  TestServer::MadeDevice device_, proto_;
};

TEST_F(External, ABadTokenIsInvalidForEveryEndpoint) {
  for (const std::string call : {"get", "update", "isHardwareConnected"}) {
    for (const std::string& token : {std::string(32, 'A'), std::string("short"), std::string(31, 'A') + "!", std::string(33, 'A'),
                                     std::string(1000, '%'), std::string{}}) {
      expect_error(server_.get("/external/api/" + call + "?token=" + token + "&v1=1"), "Invalid token.");
    }
    expect_error(server_.get("/external/api/" + call + "?v1=1"), "No token provided.");
    expect_error(server_.get("/external/api/" + call), "No token provided.");
    expect_error(server_.get("/external/api/" + call + "?Token=" + device_.token), "No token provided.");  // Names are case sensitive.
  }
}

TEST_F(External, ATokenMayBePercentEncodedAndPadded) {
  std::string encoded;
  for (const char c : device_.token) {
    static constexpr std::string_view hex = "0123456789ABCDEF";
    encoded += '%';
    encoded += hex[static_cast<unsigned char>(c) >> 4];
    encoded += hex[static_cast<unsigned char>(c) & 15];
  }
  expect(server_.get("/external/api/isHardwareConnected?token=" + encoded), 200, "false", "application/json");
}

TEST_F(External, IsHardwareConnectedFollowsTheSession) {
  expect(typed("isHardwareConnected", ""), 200, "false", "application/json");
  const domain::SessionAddress address{0, 0, 1, 1};
  (void)server_.sessions.bind(device_.id, address, server_.clock.now());
  expect(typed("isHardwareConnected", ""), 200, "true", "application/json");
  (void)server_.sessions.unbind(device_.id, address);
  expect(typed("isHardwareConnected", "&anything=x"), 200, "false", "application/json");
}

TEST_F(External, PathsAndMethodsAreStrictAndAnswerInTheirOwnShape) {
  for (const std::string path : {"/external/api/", "/external/api/Get", "/external/api/get/", "/external/api/getall",
                                 "/external/api/../api/get", "/external/api/ishardwareconnected"}) {
    expect(server_.get(path + "?token=" + device_.token), 404, error("Not found."), "application/json");
  }
  const Response post = server_.call(Method::post, "/external/api/get?token=" + device_.token + "&v1");
  expect(post, 405, error("Method not allowed."), "application/json");
  EXPECT_EQ(header_of(post, "Allow"), "GET");
}

TEST_F(External, UpdateThenGetInEveryFormAndType) {
  expect_empty(typed("update", "&v1=42"));
  expect(typed("get", "&v1"), 200, "42", "text/plain");
  expect(typed("get", "&V1"), 200, "42", "text/plain");
  expect(typed("get", "&pin=V1"), 200, "42", "text/plain");
  expect(typed("get", "&dataStreamId=" + id_of(1)), 200, "42", "text/plain");

  expect_empty(typed("update", "&pin=V2&value=100"));
  expect(typed("get", "&v2"), 200, "100.00000", "text/plain");
  expect_empty(typed("update", "&value=0.1&pin=v2"));  // In any order.
  expect(typed("get", "&v2"), 200, "0.10000", "text/plain");
  expect_empty(typed("update", "&v2=0.1234567"));
  expect(typed("get", "&v2"), 200, "0.1234567", "text/plain");  // No digit is lost.

  expect_empty(typed("update", "&dataStreamId=" + id_of(3) + "&value=hello+world%21"));
  expect(typed("get", "&v3"), 200, "hello world!", "text/plain");

  expect_empty(typed("update", "&pin=V4&value=12&value=11"));
  expect(typed("get", "&v4"), 200, "[12.0,11.0]", "application/json");
  expect_empty(typed("update", "&V4=-73.8&V4=40.8"));
  expect(typed("get", "&v4"), 200, "[-73.8,40.8]", "application/json");

  expect_empty(typed("update", "&v5=on"));
  expect(typed("get", "&v5"), 200, "1", "text/plain");
}

TEST_F(External, SeveralPinsAreAJsonObjectWithTheTypesOfTheDatastreams) {
  expect_empty(typed("update", "&v1=2&v2=1&v3=string+pin&v4=1&v4=2"));
  expect(typed("get", "&v1&v2&v3&v4"), 200, R"({"v1":2,"v2":1.0,"v3":"string pin","v4":[1.0,2.0]})", "application/json");
  expect(typed("get", "&V2&V1"), 200, R"({"v2":1.0,"v1":2})", "application/json");
  expect(typed("get", "&v2&v2"), 200, "1.00000", "text/plain");            // The same pin twice is one pin.
  expect(typed("get", "&v1&v5"), 200, R"({"v1":2})", "application/json");  // No value: left out.
}

TEST_F(External, APinNeverWrittenGivesItsDefaultOrAnError) {
  expect(typed("get", "&v1"), 200, "7", "text/plain");
  expect_error(typed("get", "&v2"), "Requested pin doesn't exist in the app.");
  expect_error(proto("get", "&v9"), "Requested pin doesn't exist in the app.");
  expect(typed("get", "&v2&v3"), 200, "{}", "application/json");
}

TEST_F(External, ErrorsOfGet) {
  expect_error(typed("get", ""), "Wrong pin format.");
  for (const std::string bad : {"vX", "v", "v256", "x1", "d1", "pin=", "pin=7", "v1&vX", "foo"})
    expect_error(typed("get", "&" + bad), "Wrong pin format.");
  expect_error(typed("get", "&v200"), "Requested dataStream doesn't exist in the product ESP32 QA");
  expect_error(typed("get", "&v1&v200"), "Requested dataStream doesn't exist in the product ESP32 QA");
  expect_error(typed("get", "&dataStreamId=9999"), "Requested dataStream doesn't exist in the product ESP32 QA");
  expect_error(proto("get", "&dataStreamId=1"), "Requested dataStream doesn't exist in the product Prototype");
  expect_error(typed("get", "&dataStreamId=one"), "Wrong dataStreamId format.");
}

TEST_F(External, ErrorsOfUpdateWithAndWithoutTheDot) {
  expect_error(typed("update", ""), "Wrong pin format.");
  for (const std::string bad : {"vX=1", "v256=1", "pin=x&value=1", "value=1", "a1=1"})
    expect_error(typed("update", "&" + bad), "Wrong pin format.");
  expect_error(typed("update", "&dataStreamId=x&value=1"), "Wrong dataStreamId format.");
  expect_error(typed("update", "&v200=1"), "No datastream setup for that pin.");
  expect_error(typed("update", "&dataStreamId=9999&value=1"), "No datastream setup for that pin.");
  for (const std::string bad : {"v1=abc", "v1=", "v1", "pin=v1", "pin=V1&value=x", "v1=1&v1=2", "v4=1", "v4=500&v4=1", "v5=maybe", "v2=nan",
                                "v3=%ff", "v3=a%00b"}) {
    expect_error(typed("update", "&" + bad), "Value doesn't match the Datastream data type.");
  }
  expect_error(typed("update", "&dataStreamId=" + id_of(1) + "&value=abc"), "Value doesn't match the Datastream data type");
  expect_empty(typed("update", "&v3=" + std::string(1024, 'x')));
  expect_error(typed("update", "&v3=" + std::string(1025, 'x')), "Value is longer than 1024 bytes.");
}

TEST_F(External, ValuesAreClampedToTheLimitsOfTheDatastream) {
  expect_empty(typed("update", "&v1=1000"));
  expect(typed("get", "&v1"), 200, "100", "text/plain");
  expect_empty(typed("update", "&v1=-5"));
  expect(typed("get", "&v1"), 200, "0", "text/plain");
}

TEST_F(External, AnUpdateOfSeveralPinsSetsAllOrNone) {
  expect_error(typed("update", "&v3=x&v1=abc"), "Value doesn't match the Datastream data type.");
  expect_error(typed("get", "&v3"), "Requested pin doesn't exist in the app.");
  EXPECT_TRUE(server_.link.pushed.empty());
}

TEST_F(External, ATemplateWithoutDatastreamsTakesEveryPinAsAString) {
  for (const int pin : {0, 1, 128, 255}) {
    expect_empty(proto("update", "&v" + std::to_string(pin) + "=value+" + std::to_string(pin)));
    expect(proto("get", "&v" + std::to_string(pin)), 200, "value " + std::to_string(pin), "text/plain");
  }
  expect_error(proto("update", "&v256=1"), "Wrong pin format.");
  expect_empty(proto("update", "&v3=100"));
  expect(proto("get", "&v3"), 200, "100", "text/plain");
  expect(proto("get", "&v3&v0"), 200, R"({"v3":"100","v0":"value 0"})", "application/json");
  expect_empty(proto("update", "&v4=a&v4=b"));
  expect(proto("get", "&v4"), 200, R"(["a","b"])", "application/json");
  expect_empty(proto("update", "&v5="));
  expect(proto("get", "&v5"), 200, "", "text/plain");
}

TEST_F(External, TheFirstDatastreamEndsPrototyping) {
  expect_empty(proto("update", "&v9=1"));
  const std::string body = R"({"templateId":")" + open_.tmpl_ids.front() + R"(","pin":"V1","type":"INTEGER"})";
  ASSERT_EQ(server_.call(Method::post, "/api/v1/template/datastream/create", body, server_.admin_token).status, 201u);
  expect_error(proto("update", "&v9=2"), "No datastream setup for that pin.");
  expect_error(proto("get", "&v9"), "Requested dataStream doesn't exist in the product Prototype");
  expect_empty(proto("update", "&v1=2"));
}

TEST_F(External, AnUpdateIsPushedToTheDeviceAsItIsStored) {
  expect_empty(typed("update", "&v1=1000"));
  expect_empty(typed("update", "&v4=1&v4=2"));
  ASSERT_EQ(server_.link.pushed.size(), 2u);
  EXPECT_EQ(server_.link.pushed[0].device, device_.id);
  EXPECT_EQ(server_.link.pushed[0].pin, 1);
  EXPECT_EQ(server_.link.pushed[0].value, "100");
  EXPECT_EQ(server_.link.pushed[1].value, (std::string{"1\0"
                                                       "2",
                                                       3}));
}

TEST_F(External, ADeviceHasItsUpdatesADay) {
  ApiOptions options;
  options.updates_per_day_per_device = 2;
  server_.serve_from(*server_.store, options);
  expect_empty(typed("update", "&v1=1"));
  expect_error(typed("update", "&v1=x"), "Value doesn't match the Datastream data type.");  // Does not count.
  expect_empty(typed("update", "&v1=2"));
  const Response over = typed("update", "&v1=3");
  expect(over, 429, error("Too many updates today."), "application/json");
  EXPECT_EQ(header_of(over, "Retry-After"), "86400");
  expect_empty(proto("update", "&v1=1"));
  server_.clock.advance(std::chrono::hours{24});
  expect_empty(typed("update", "&v1=3"));
}

TEST_F(External, AnUpdateNeverWaitsForTheStore) {
  Request request;
  const std::string target = "/external/api/update?token=" + device_.token + "&v1=5";
  server_.make_request(request, Method::get, target, {}, {});
  Response response;
  EXPECT_TRUE(server_.api->answer_from_memory(request, response));
  EXPECT_EQ(response.status, 200u);
}

TEST_F(External, ValuesFromBeforeARestartAreReadFromTheStoreOnce) {
  ASSERT_TRUE(server_.store->write_values(std::vector<domain::ValueUpdate>{{device_.id, {3, "kept", server_.clock.utc_now()}}}));
  Request request;
  const std::string target = "/external/api/get?token=" + device_.token + "&v3";
  server_.make_request(request, Method::get, target, {}, {});
  Response response;
  ASSERT_FALSE(server_.api->answer_from_memory(request, response));
  EXPECT_EQ(server_.api->lane(request), Lane::values);
  expect(server_.api->handle(request), 200, "kept", "text/plain");
  ASSERT_TRUE(server_.api->answer_from_memory(request, response));
  EXPECT_EQ(response.body, "kept");
}

TEST_F(External, ADeletedDeviceAndAReplacedTokenAreInvalidAtOnce) {
  const Response replaced =
      server_.call(Method::put, "/api/v1/device/token", R"({"deviceId":)" + str(device_.id) + "}", server_.admin_token);
  ASSERT_EQ(replaced.status, 200u);
  expect_error(typed("isHardwareConnected", ""), "Invalid token.");
  const std::string fresh = text_in(replaced, "token");
  expect(server_.get("/external/api/isHardwareConnected?token=" + fresh), 200, "false", "application/json");
  ASSERT_EQ(server_.call(Method::delete_, "/api/v1/device?deviceId=" + str(device_.id), {}, server_.admin_token).status, 204u);
  expect_error(server_.get("/external/api/isHardwareConnected?token=" + fresh), "Invalid token.");
}

TEST_F(External, AHomeElsewhereRedirectsWithTheSameQueryAndNeverToItself) {
  domain::Home home{"ny3.example", 80, 443};
  ASSERT_TRUE(server_.store->set_device_home(device_.id, home, server_.actor()));
  server_.catch_up();
  const Response moved = typed("update", "&v1=%31&v1=2");
  EXPECT_EQ(moved.status, 308u);
  EXPECT_EQ(moved.body, "");
  EXPECT_EQ(header_of(moved, "Location"), "https://ny3.example/external/api/update?token=" + device_.token + "&v1=%31&v1=2");
  home.port_tls = 9443;
  ASSERT_TRUE(server_.store->set_device_home(device_.id, home, server_.actor()));
  server_.catch_up();
  EXPECT_EQ(header_of(typed("isHardwareConnected", ""), "Location"),
            "https://ny3.example:9443/external/api/isHardwareConnected?token=" + device_.token);
  // A token that nobody has is no matter of region.
  expect_error(server_.get("/external/api/get?token=" + std::string(32, 'B') + "&v1"), "Invalid token.");

  // The own host under whatever port, an own address, and one that sends back here.
  server_.link.own_hosts = {"NY3.example"};
  expect(typed("isHardwareConnected", ""), 200, "false", "application/json");
  server_.link.own_hosts.clear();
  EXPECT_EQ(typed("isHardwareConnected", "").status, 308u);
  server_.link.redirect_back_hosts = {"ny3.example."};
  expect(typed("isHardwareConnected", ""), 200, "false", "application/json");
  home.host = "192.0.2.7";
  ASSERT_TRUE(server_.store->set_device_home(device_.id, home, server_.actor()));
  server_.catch_up();
  EXPECT_EQ(typed("isHardwareConnected", "").status, 308u);
  for (const auto& [local, host] : {std::pair{"192.0.2.7:8080", "192.0.2.7"}, {"[2001:db8::7]:8080", "2001:DB8:0::7"}}) {
    home.host = host;
    ASSERT_TRUE(server_.store->set_device_home(device_.id, home, server_.actor()));
    server_.catch_up();
    server_.local_address = local;
    expect(typed("isHardwareConnected", ""), 200, "false", "application/json");
  }
}

TEST_F(External, TheFleetBreakerKeepsInvalidTokensBack) {
  const std::string unknown = "/external/api/get?v1&token=" + std::string(32, 'B');
  expect_error(server_.get(unknown), "Invalid token.");
  expect_error(server_.get("/external/api/get?v1&token=short"), "Invalid token.");
  EXPECT_EQ(server_.link.invalid_said, 2);
  server_.link.breaker_open = true;
  for (const std::string& target : {unknown, std::string{"/external/api/update?v1=1&token=short"}}) {
    const Response response = server_.get(target);
    EXPECT_EQ(response.status, 503u) << target;
    EXPECT_EQ(header_of(response, "Retry-After"), "1");
  }
  EXPECT_EQ(server_.link.invalid_said, 2);
  expect_empty(typed("update", "&v1=5"));
}

TEST_F(External, AnAcceptedUpdateIsAReport) {
  EXPECT_EQ(typed("update", "&v9=5").status, 400u);
  EXPECT_EQ(typed("get", "&v1").status, 200u);
  EXPECT_EQ(server_.presence.size(), 0u);
  EXPECT_FALSE(server_.link.remembered);
  for (int i = 0; i < 3; ++i) {
    server_.clock.advance(std::chrono::seconds{1});
    expect_empty(typed("update", "&v1=5"));
  }
  EXPECT_EQ(server_.link.remembered, server_.peer);
  EXPECT_EQ(server_.presence.size(), 1u);
  ASSERT_FALSE(domain::write_behind(*server_.store, server_.values, server_.presence).error);
  EXPECT_EQ(number_in(server_.get("/api/v1/device?deviceId=" + str(device_.id), server_.admin_token), "lastReportedAt"),
            server_.clock.utc_now().ms);
}

TEST_F(External, StoreTroubleIsA503AndNeverAnInvalidToken) {
  FailingStore failing;
  server_.serve_from(failing);
  const Response unknown = server_.get("/external/api/get?token=" + std::string(32, 'C') + "&v1");
  EXPECT_EQ(unknown.status, 503u);
  EXPECT_EQ(unknown.content_type, "application/json");
  EXPECT_NE(header_of(unknown, "Retry-After"), "");
  EXPECT_EQ(typed("get", "&v3").status, 503u);               // The value is in the store alone.
  EXPECT_EQ(typed("isHardwareConnected", "").status, 200u);  // Memory knows.
  EXPECT_EQ(typed("update", "&v1=3").status, 200u);
  EXPECT_EQ(typed("get", "&v1").body, "3");
  expect_error(server_.get("/external/api/get?token=malformed&v1"), "Invalid token.");  // Positively none.
}

TEST_F(External, BeforeTheViewsAreBuiltNobodyHearsInvalid) {
  server_.views = std::make_unique<domain::Views>(*server_.store);
  server_.serve_from(*server_.store);
  for (const std::string& token : {device_.token, std::string(32, 'D')})
    EXPECT_EQ(server_.get("/external/api/isHardwareConnected?token=" + token).status, 503u);
  ASSERT_TRUE(server_.views->rebuild());
  EXPECT_EQ(server_.get("/external/api/isHardwareConnected?token=" + device_.token).status, 200u);
}

TEST_F(External, ARestoredStoreHoldsUnknownTokensUntilTheOperatorSaysSo) {
  ASSERT_TRUE(server_.store->set_unknown_tokens(domain::UnknownTokens::hold, server_.actor()));
  ASSERT_TRUE(server_.views->rebuild());
  EXPECT_EQ(server_.get("/external/api/get?token=" + std::string(32, 'E') + "&v1").status, 503u);
  EXPECT_EQ(typed("isHardwareConnected", "").status, 200u);
  EXPECT_GE(server_.metrics.unknown_token_holds_total.value(), 1u);
}

TEST_F(External, ATokenThatOnlyTheStoreKnowsIsFoundThere) {
  // Made by another process: the views have not seen it yet.
  domain::Device device;
  device.organization_id = server_.root;
  device.template_id = open_.id;
  device.name = "New";
  const AuthToken token = AuthToken::generate(server_.random);
  const auto digests = server_.keys->digest("auth-token", token.reveal());
  ASSERT_TRUE(server_.store->create_device(device, {digests.newest(), digests.all(), "sealed"}, server_.actor()));
  expect(server_.get("/external/api/isHardwareConnected?token=" + std::string{token.reveal()}), 200, "false", "application/json");
}

TEST_F(External, GuessesFromOneAddressCostABoundedNumberOfLookUps) {
  int invalid = 0, refused = 0;
  for (int i = 0; i < 500; ++i) {
    std::string guess = "guess" + std::to_string(i);
    guess.resize(32, 'g');
    const Response response = server_.get("/external/api/get?token=" + guess + "&v1");
    if (response.status == 400) ++invalid;
    if (response.status == 429) {
      ++refused;
      EXPECT_NE(header_of(response, "Retry-After"), "");
    }
  }
  EXPECT_EQ(invalid, 120);
  EXPECT_EQ(refused, 380);
  EXPECT_EQ(typed("isHardwareConnected", "").status, 200u);  // Devices behind that address go on.
  server_.peer = IpAddress::from_v4(0x0A000001);
  EXPECT_EQ(server_.get("/external/api/get?token=" + std::string(32, 'h') + "&v1").status, 400u);
}

}  // namespace
}  // namespace muster::api
