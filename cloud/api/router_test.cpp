// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/router.hpp"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "cloud/api/test_failing_store.hpp"
#include "cloud/api/test_server.hpp"

namespace muster::api {
namespace {

using namespace std::chrono_literals;

class Shape : public ::testing::Test {
 protected:
  void SetUp() override { server_.set_up(); }
  Response put(std::string_view body, const Headers& headers = {}) {
    return server_.call(Method::put, "/api/v1/organization", body, server_.admin_token, headers);
  }
  TestServer server_;
};

TEST_F(Shape, ErrorsHaveCodeMessageAndDetails) {
  const Response response = put(R"({"nmae":"x"})");
  EXPECT_EQ(response.status, 400u);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(
      response.body,
      R"({"error":{"code":"unknown_field","message":"Unknown field \"nmae\".","details":[{"field":"nmae","message":"Unknown field \"nmae\"."}]}})");
}

TEST_F(Shape, AWrongTypeNamesTheFieldAndWhatItMustBe) {
  const auto check = [&](std::string_view body, std::string_view field, std::string_view words) {
    const Response response = put(body);
    EXPECT_EQ(code_of(response), "wrong_type") << body;
    EXPECT_EQ(field_of(response), field);
    EXPECT_NE(message_of(response).find(words), std::string::npos) << response.body;
  };
  check(R"({"name":5})", "name", "must be a string");
  check(R"({"name":null})", "name", "must be a string");
  check(R"({"name":["x"]})", "name", "must be a string");
  check(R"({"orgId":"1"})", "orgId", "must be an integer");
  check(R"({"orgId":1.5})", "orgId", "must be an integer");
  check(R"({"orgId":99999999999999999999})", "orgId", "must be an integer");
  check(R"({"home":"x"})", "home", "must be an object");
  const Response nested = put(R"({"home":{"host":"h.example","port":1}})");
  EXPECT_EQ(nested.status, 400u);
  EXPECT_EQ(field_of(nested), "home.port");
  EXPECT_EQ(field_of(put(R"({"home":{"host":"h.example","portTls":"x"}})")), "home.portTls");
  EXPECT_EQ(field_of(put(R"({"home":{"host":"h.example","portTls":70000}})")), "portTls");
  EXPECT_EQ(code_of(server_.get("/api/v1/users?page=one", server_.admin_token)), "wrong_type");
  EXPECT_EQ(code_of(server_.get("/api/v1/organization/devices?includeSubOrgDevices=1", server_.admin_token)), "wrong_type");
}

TEST_F(Shape, MissingFieldsAreAllNamed) {
  const Response response = server_.call(Method::post, "/api/v1/organization/device/create", "{}", server_.admin_token);
  EXPECT_EQ(code_of(response), "missing_field");
  EXPECT_NE(response.body.find("\"templateId\""), std::string::npos);
  EXPECT_NE(response.body.find("\"name\""), std::string::npos);
  EXPECT_EQ(code_of(server_.call(Method::post, "/api/v1/organization/device/create", "", server_.admin_token)), "missing_field");
}

TEST_F(Shape, BodiesThatAreNoJsonObjectAreRefused) {
  for (const std::string_view bad : {"{", "x", "[]", "5", "null", "\"x\"", "{}{}", "{\"name\":}"})
    EXPECT_EQ(code_of(put(bad)), "invalid_json") << bad;
  EXPECT_EQ(code_of(put("{\"name\":\"\xff\"}")), "invalid_utf8");
  EXPECT_EQ(code_of(put("\xc0\xaf")), "invalid_utf8");
  EXPECT_EQ(code_of(put(std::string(100'000, '['))), "invalid_json");
  EXPECT_EQ(code_of(server_.get("/api/v1/organization/search?query=%ff", server_.admin_token)), "invalid_utf8");
}

TEST_F(Shape, TheContentTypeMayBeLeftOutAndMustElseBeJson) {
  const std::string body = R"({"description":"d"})";
  EXPECT_EQ(put(body).status, 200u);
  EXPECT_EQ(put(body, {{"Content-Type", "application/json"}}).status, 200u);
  EXPECT_EQ(put(body, {{"content-type", "Application/JSON ; charset=utf-8"}}).status, 200u);
  for (const std::string bad :
       {"text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data; boundary=x"}) {
    const Response response = put(body, {{"Content-Type", bad}});
    EXPECT_EQ(response.status, 415u) << bad;
    EXPECT_EQ(code_of(response), "unsupported_media_type");
  }
}

TEST_F(Shape, ABodyOverTheLimitIsRefusedOneAtTheLimitIsRead) {
  ApiOptions options;
  options.body_size_max_bytes = 1'000;
  server_.serve_from(*server_.store, options);
  std::string body = R"({"nothing":")";
  body += std::string(1'000 - body.size() - 2, 'x') + "\"}";
  EXPECT_EQ(code_of(put(body)), "unknown_field");
  const Response response = put(body + " ");
  EXPECT_EQ(response.status, 413u);
  EXPECT_TRUE(response.close);
}

TEST_F(Shape, ABodyOfMoreValuesThanTheLimitIsRefusedBeforeItIsBuilt) {
  std::string body = R"({"name":["a)";
  for (std::size_t i = 0; i < json_values_max; ++i) body += "\",\"";
  const Response response = put(body + "\"]}");
  EXPECT_EQ(response.status, 413u);
  EXPECT_EQ(code_of(response), "body_too_large");
}

TEST_F(Shape, WhoHasNotSignedInMaySendLittle) {
  for (const std::string path : {"/api/v1/session", "/api/v1/setup"}) {
    std::string body = R"({"nothing":")";
    body += std::string(public_body_size_max_bytes - body.size() - 2, 'x') + "\"}";
    EXPECT_EQ(code_of(server_.call(Method::post, path, body)), "unknown_field");
    Request request;
    body += ' ';
    server_.make_request(request, Method::post, path, body, {});
    Response response;
    ASSERT_TRUE(server_.api->answer_from_memory(request, response)) << "no worker reads it";
    EXPECT_EQ(response.status, 413u);
    EXPECT_TRUE(response.close);
  }
  // Whoever has signed in may send a whole template.
  EXPECT_EQ(code_of(put(R"({"nothing":")" + std::string(public_body_size_max_bytes, 'x') + "\"}")), "unknown_field");
}

TEST_F(Shape, AnIdMayComeInQueryOrBodyButNotDifferently) {
  const std::string own = str(server_.root);
  EXPECT_EQ(server_.call(Method::put, "/api/v1/organization?orgId=" + own, R"({"description":"d"})", server_.admin_token).status, 200u);
  EXPECT_EQ(
      server_.call(Method::put, "/api/v1/organization?orgId=" + own, R"({"description":"d","orgId":)" + own + "}", server_.admin_token)
          .status,
      200u);
  EXPECT_EQ(code_of(server_.call(Method::put, "/api/v1/organization?orgId=" + own, R"({"orgId":77})", server_.admin_token)),
            "conflicting_field");
  EXPECT_EQ(code_of(server_.get("/api/v1/organization?orgId=1&orgId=2", server_.admin_token)), "conflicting_field");
  EXPECT_EQ(server_.call(Method::get, "/api/v1/organization", R"({"orgId":)" + own + "}", server_.admin_token).status, 200u);
  for (const std::string bad : {"0", "-1", "2147483648", "9223372036854775807"})
    EXPECT_EQ(server_.get("/api/v1/organization?orgId=" + bad, server_.admin_token).status, 404u) << bad;
}

TEST_F(Shape, PagingHasLimits) {
  const auto code = [&](const std::string& query) { return field_of(server_.get("/api/v1/users?" + query, server_.admin_token)); };
  EXPECT_EQ(server_.get("/api/v1/users?page=0&size=1000&sortBy=name&sortOrder=DESC", server_.admin_token).status, 200u);
  EXPECT_EQ(code("size=0"), "size");
  EXPECT_EQ(code("size=1001"), "size");
  EXPECT_EQ(code("page=-1"), "page");
  EXPECT_EQ(code("page=9223372036854775807"), "page");
  EXPECT_EQ(code("sortBy=email"), "sortBy");
  EXPECT_EQ(code("sortOrder=asc"), "sortOrder");
  EXPECT_EQ(field_of(server_.get("/api/v1/search/users?query=" + std::string(256, 'a'), server_.admin_token)), "query");
}

TEST_F(Shape, AWrongMethodNamesTheRightOnesAndHeadGoesAsGet) {
  const Response response = server_.call(Method::patch, "/api/v1/template", {}, server_.admin_token);
  EXPECT_EQ(response.status, 405u);
  EXPECT_EQ(code_of(response), "method_not_allowed");
  EXPECT_EQ(header_of(response, "Allow"), "GET, HEAD, PUT, DELETE");
  EXPECT_EQ(server_.call(Method::head, "/api/v1/session", {}, server_.admin_token).status, 200u);
  EXPECT_EQ(server_.call(Method::options, "/api/v1/session").status, 405u);
  EXPECT_EQ(server_.call(Method::other, "/healthz").status, 405u);
}

TEST_F(Shape, AnOrganizationIsLimitedToItsRequestsAMinute) {
  ApiOptions options;
  options.requests_per_minute_per_organization = 3;
  server_.serve_from(*server_.store, options);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(server_.get("/api/v1/session", server_.admin_token).status, 200u);
  const Response response = server_.get("/api/v1/session", server_.admin_token);
  EXPECT_EQ(response.status, 429u);
  EXPECT_EQ(code_of(response), "too_many_requests");
  EXPECT_EQ(header_of(response, "Retry-After"), "60");
  server_.clock.advance(60s);
  EXPECT_EQ(server_.get("/api/v1/session", server_.admin_token).status, 200u);
}

TEST_F(Shape, WhatMemoryCanRefuseNeverReachesAWorker) {
  const auto from_memory = [&](Method method, std::string_view target, std::string_view body, const Headers& headers) {
    Request request;
    server_.make_request(request, method, target, body, headers);
    Response response;
    return server_.api->answer_from_memory(request, response) ? response.status : 0u;
  };
  EXPECT_EQ(from_memory(Method::get, "/api/v1/nothing", "", {}), 404u);
  EXPECT_EQ(from_memory(Method::get, "/api/v1/session", "", {}), 401u);
  EXPECT_EQ(from_memory(Method::patch, "/api/v1/session", "", {}), 405u);
  EXPECT_EQ(from_memory(Method::post, "/api/v1/session", "x", {{"Content-Type", "text/plain"}}), 415u);
  EXPECT_EQ(from_memory(Method::get, "/api/v1/stream", "", {}), 426u);
  EXPECT_EQ(from_memory(Method::get, "/healthz", "", {}), 200u);
  const std::string bearer = "Bearer " + server_.admin_token;
  EXPECT_EQ(from_memory(Method::get, "/api/v1/session", "", {{"Authorization", bearer}}), 0u);
}

TEST_F(Shape, AHandlerThatThrowsIsA500) {
  class Throwing : public FailingStore {
    Result<std::optional<domain::StoredAccessToken>> find_access_token(std::span<const TokenDigest>) override {
      throw std::runtime_error{"secret"};
    }
  } throwing;
  server_.serve_from(throwing);
  const Response response = server_.get("/api/v1/session", server_.admin_token);
  EXPECT_EQ(response.status, 500u);
  EXPECT_EQ(response.body.find("secret"), std::string::npos);
}

TEST_F(Shape, TooLittleMemoryIsA503) {
  class Starving : public FailingStore {
    Result<std::optional<domain::StoredAccessToken>> find_access_token(std::span<const TokenDigest>) override { throw std::bad_alloc{}; }
    Result<std::optional<domain::FoundToken>> find_token(std::span<const TokenDigest>) override { throw std::bad_alloc{}; }
  } starving;
  server_.serve_from(starving);
  const Response response = server_.get("/api/v1/session", server_.admin_token);
  EXPECT_EQ(response.status, 503u);
  EXPECT_EQ(code_of(response), "unavailable");
  EXPECT_EQ(server_.get("/external/api/get?v1&token=" + std::string(32, 'A')).status, 503u);
}

TEST_F(Shape, EveryKindOfStoreTroubleIsA503WithRetryAfter) {
  FailingStore failing;
  server_.serve_from(failing);
  for (int i = 1; i <= 7; ++i) {
    failing.error = static_cast<domain::StoreError>(i);
    const Response response = server_.get("/api/v1/session", server_.admin_token);
    EXPECT_EQ(response.status, 503u);
    EXPECT_EQ(code_of(response), "unavailable");
    EXPECT_NE(header_of(response, "Retry-After"), "");
  }
}

TEST_F(Shape, UnavailableHasTheShapeOfThePath) {
  Request request;
  server_.make_request(request, Method::get, "/external/api/get?token=x", {}, {});
  EXPECT_EQ(server_.api->unavailable(request).body.substr(0, 20), R"({"error":{"message":)");
  Request other;
  server_.make_request(other, Method::get, "/api/v1/session", {}, {});
  EXPECT_EQ(code_of(server_.api->unavailable(other)), "unavailable");
  EXPECT_EQ(server_.api->unavailable(other).status, 503u);
}

TEST_F(Shape, HealthAndReadinessTellLifeAndStoreApart) {
  EXPECT_EQ(server_.get("/healthz").body, "ok\n");
  EXPECT_EQ(server_.get("/readyz").status, 200u);
  EXPECT_NE(server_.get("/").body.find("Muster"), std::string::npos);
  FailingStore failing;
  server_.serve_from(failing);
  EXPECT_EQ(server_.get("/healthz").status, 200u);
  EXPECT_EQ(server_.get("/readyz").status, 503u);
  domain::Views unbuilt{*server_.store};
  const Api fresh{{*server_.store, unbuilt, server_.sessions, server_.values, server_.presence, server_.timeline, server_.link,
                   *server_.keys, server_.random, server_.clock, server_.metrics},
                  {}};
  Request request;
  server_.make_request(request, Method::get, "/readyz", {}, {});
  Response response;
  EXPECT_TRUE(const_cast<Api&>(fresh).answer_from_memory(request, response));
  EXPECT_EQ(response.status, 503u);
}

TEST_F(Shape, MetricsAreForPrivateAddressesOnly) {
  const Response response = server_.get("/metrics");
  EXPECT_EQ(response.status, 200u);
  EXPECT_NE(response.body.find("\nmuster_logins_invalid_total 0\n"), std::string::npos);
  EXPECT_NE(response.body.find("\nmuster_devices 0\n"), std::string::npos);
  server_.peer = IpAddress::from_v4(0x08080808);
  EXPECT_EQ(server_.get("/metrics").status, 404u);
}

}  // namespace
}  // namespace muster::api
