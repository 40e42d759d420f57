// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloud/net/http_reader.hpp"
#include "cloud/net/http_response.hpp"

namespace muster::net {
namespace {

using testing::HasSubstr;
using testing::Not;
using Status = HttpReader::Status;

constexpr HttpReader::Limits limits{16'384, 1'000};

struct Read {
  Status status = Status::need_more;
  unsigned error = 0;
  std::size_t consumed = 0;
  api::Request request;
  HttpHead head;
  std::string path, query, target, body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Reads one request from `bytes`, given in pieces of `step`, as a loop does: what was not consumed is given again with more.
Read read(std::string_view bytes, std::size_t step = SIZE_MAX) {
  HttpReader reader;
  Read result;
  std::string kept;
  while (!bytes.empty()) {
    const auto piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    kept += piece;
    const auto outcome = reader.read(kept, limits, result.request);
    result.consumed += outcome.consumed_bytes;
    if (outcome.status != Status::need_more) {
      result.status = outcome.status;
      result.error = outcome.error_status;
      result.head = reader.head();
      if (outcome.status == Status::complete) {
        result.path = result.request.path;
        result.query = result.request.query;
        result.target = result.request.target;
        result.body = result.request.body;
        for (const auto& header : result.request.headers) result.headers.emplace_back(header.name, header.value);
      }
      return result;
    }
    kept.erase(0, outcome.consumed_bytes);
  }
  return result;
}

TEST(HttpReader, ReadsARequestInOneAndInAnyPieces) {
  const std::string text = "POST /a/b?c=d&e HTTP/1.1\r\nHost: example\r\nX-One:  1 \r\nContent-Length: 4\r\n\r\nbody";
  for (const std::size_t step : {SIZE_MAX, std::size_t{1}, std::size_t{2}, std::size_t{7}, text.size() - 1}) {
    const Read got = read(text, step);
    ASSERT_EQ(got.status, Status::complete) << step;
    EXPECT_EQ(got.consumed, text.size());
    EXPECT_EQ(got.request.method, api::Method::post);
    EXPECT_EQ(got.target, "/a/b?c=d&e");
    EXPECT_EQ(got.path, "/a/b");
    EXPECT_EQ(got.query, "c=d&e");
    EXPECT_EQ(got.body, "body");
    ASSERT_EQ(got.headers.size(), 3u);
    EXPECT_EQ(got.headers[1], (std::pair<std::string, std::string>{"X-One", "1"}));
    EXPECT_TRUE(got.head.keep_alive);
  }
}

TEST(HttpReader, DecodesChunksInAnyPieces) {
  const std::string text =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n00a;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    const Read got = read(text, step);
    ASSERT_EQ(got.status, Status::complete) << step;
    EXPECT_EQ(got.body, "abcd0123456789");
    EXPECT_EQ(got.consumed, text.size());
    EXPECT_EQ(got.headers.size(), 2u);
  }
}

TEST(HttpReader, AnEmptyChunkedBodyMayComeInAnyPieces) {
  const std::string text = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    const Read got = read(text + "GET", step);
    ASSERT_EQ(got.status, Status::complete) << step;
    EXPECT_EQ(got.consumed, text.size());
    EXPECT_EQ(got.body, "");
  }
}

TEST(HttpReader, LeavesTheNextRequestAlone) {
  const std::string first = "\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
  EXPECT_EQ(read(first + "GET / HTTP/1.1\r\n").consumed, first.size());
  const std::string chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
  EXPECT_EQ(read(chunked + "GET / HTTP/1.1\r\n").consumed, chunked.size());
}

TEST(HttpReader, RefusesWhatAProxyCouldReadDifferently) {
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\n";
  const std::vector<std::string> bad{
      start + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
      start + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
      start + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
      start + "Content-Length: 3, 3\r\n\r\nabc",
      start + "Content-Length: +3\r\n\r\nabc",
      start + "Content-Length: 0x3\r\n\r\nabc",
      start + "Content-Length: -1\r\n\r\n",
      start + "Content-Length: \r\n\r\n",
      start + "Content-Length: 99999999999999999999\r\n\r\n",
      start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n5;a=\"\nX\"\r\nhello\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding: identity\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      start + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      start + " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      start + "X: a\r\n b\r\n\r\n",
      start + "X: a\r\n\tb\r\n\r\n",
      start + "X:\r\n \r\n\r\n",
      start + std::string("X: a\0b\r\n\r\n", 10),
      start + "X: a\nY: b\r\n\r\n",
      start + "X: a\rY: b\r\n\r\n",
      start + "X\r\n\r\n",
      start + ": x\r\n\r\n",
      start + "X Y: z\r\n\r\n",
      "POST / HTTP/1.1\nHost: h\n\n",
      "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
      "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
      "GET /\r\n\r\n",
      "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET / x HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
      std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28),
      start + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n1ffffffffffffffff\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: a\nY\r\n\r\n",
  };
  for (const std::string& text : bad) {
    for (const std::size_t step : {SIZE_MAX, std::size_t{1}}) {
      const Read got = read(text, step);
      EXPECT_EQ(got.status, Status::failed) << testing::PrintToString(text) << " in steps of " << step;
      EXPECT_TRUE(got.error == 400 || got.error == 413) << got.error;
    }
  }
}

TEST(HttpReader, HasLimitsForHeadersAndBodies) {
  const auto with_header = [](std::size_t size) {
    const std::string start = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
    return start + std::string(size - start.size() - 4, 'x') + "\r\n\r\n";
  };
  EXPECT_EQ(read(with_header(16'384)).status, Status::complete);
  EXPECT_EQ(read(with_header(16'385)).error, 431u);
  EXPECT_EQ(read(with_header(16'385), 100).error, 431u);
  EXPECT_EQ(read("GET /" + std::string(20'000, 'a')).error, 431u);
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 100; ++i) many += "A: b\r\n";
  EXPECT_EQ(read(many + "\r\n").error, 431u);
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(read(start + "Content-Length: 1000\r\n\r\n" + std::string(1'000, 'b')).status, Status::complete);
  EXPECT_EQ(read(start + "Content-Length: 1001\r\n\r\n").error, 413u);
  EXPECT_EQ(read(start + "Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + std::string(1'000, 'b') + "\r\n0\r\n\r\n").status, Status::complete);
  EXPECT_EQ(read(start + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n").error, 413u);
  EXPECT_EQ(read(start + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(5'000, 'x')).error, 400u);
  EXPECT_EQ(read(start + "Expect: something\r\nContent-Length: 1\r\n\r\n").error, 417u);
}

TEST(HttpReader, SaysOnceThatTheClientWaitsForContinue) {
  HttpReader reader;
  api::Request request;
  auto outcome = reader.read("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n", limits, request);
  EXPECT_TRUE(outcome.body_begins);
  EXPECT_TRUE(outcome.send_continue);
  EXPECT_GT(reader.body_memory_bytes(), 0u);
  outcome = reader.read("a", limits, request);
  EXPECT_FALSE(outcome.send_continue);
  outcome = reader.read("b", limits, request);
  EXPECT_EQ(outcome.status, Status::complete);
  EXPECT_EQ(request.body, "ab");
  EXPECT_EQ(reader.body_memory_bytes(), 0u);
  reader.forget();
  EXPECT_EQ(reader.read("GET / HTTP/1.1\r\nHost: h\r\n\r\n", limits, request).status, Status::complete);
}

TEST(HttpReader, KnowsWhetherTheConnectionGoesOn) {
  EXPECT_TRUE(read("GET / HTTP/1.1\r\nHost: h\r\n\r\n").head.keep_alive);
  EXPECT_FALSE(read("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n").head.keep_alive);
  EXPECT_FALSE(read("GET / HTTP/1.0\r\n\r\n").head.keep_alive);
  EXPECT_TRUE(read("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").head.keep_alive);
}

TEST(HttpReader, TakesTheAbsoluteForm) {
  const Read got = read("GET http://example:80/x?y HTTP/1.1\r\nHost: example\r\n\r\n");
  ASSERT_EQ(got.status, Status::complete);
  EXPECT_EQ(got.path, "/x");
  EXPECT_EQ(got.query, "y");
}

TEST(HttpReader, KnowsAWebSocketUpgradeAndEachThingThatSpoilsIt) {
  const std::string good =
      "GET /websockets HTTP/1.1\r\nHost: h\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  EXPECT_TRUE(read(good).head.websocket_upgrade);
  const auto spoiled = [&good](std::string_view from, std::string_view to) {
    std::string text = good;
    return read(text.replace(text.find(from), from.size(), to)).head.websocket_upgrade;
  };
  EXPECT_FALSE(spoiled("GET", "PUT"));
  EXPECT_FALSE(spoiled("HTTP/1.1", "HTTP/1.0"));
  EXPECT_FALSE(spoiled("WebSocket\r", "h2c\r"));
  EXPECT_FALSE(spoiled(", Upgrade", ""));
  EXPECT_FALSE(spoiled("13", "8"));
  EXPECT_FALSE(spoiled("ZQ==",
                       "ZQ=="
                       "A"));
  EXPECT_FALSE(spoiled("ZQ==", "Z\"=="));
}

// --- responses ---------------------------------------------------------------------------------------------------------------

std::string written(const api::Response& response, const ResponseContext& context) {
  std::vector<std::uint8_t> out;
  write_response(response, context, out);
  return {out.begin(), out.end()};
}

TEST(HttpResponse, AHandlersHeaderCannotBreakOutOfItsLineAndWinsOverOurs) {
  api::Response response;
  response.content_type = "text/html\r\nEvil: 1";
  response.headers = {
      {"X-Good", "1"}, {"X-Bad", "1\r\nEvil: 1"}, {"X\nBad", "1"}, {"cache-control", "max-age=60"}, {"Content-Security-Policy", "own"}};
  const std::string text = written(response, {.path = "/api/v1/x"});
  EXPECT_THAT(text, Not(HasSubstr("Evil")));
  EXPECT_THAT(text, HasSubstr("X-Good: 1\r\n"));
  EXPECT_THAT(text, Not(HasSubstr("no-store")));
  EXPECT_THAT(text, HasSubstr("Content-Security-Policy: own\r\n"));
  EXPECT_THAT(text, Not(HasSubstr("default-src")));
}

TEST(HttpResponse, ApiAnswersAreNotStored) {
  EXPECT_THAT(written({}, {.path = "/api/v1/x"}), HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(written({}, {.path = "/oauth2/token"}), HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(written({}, {.path = "/index.html"}), Not(HasSubstr("Cache-Control")));
}

TEST(HttpResponse, ADeviceAnswerIsMinimalUnlessABrowserCouldRenderIt) {
  api::Response response;
  response.content_type = "text/plain";
  response.body = "<script>";
  EXPECT_THAT(written(response, {.path = "/external/api/get"}), HasSubstr("nosniff"));
  response.content_type = "application/json";
  EXPECT_EQ(written(response, {.path = "/external/api/get"}),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n<script>");
  EXPECT_EQ(written({}, {.path = "/external/api/update"}), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

TEST(HttpResponse, NoContentHasNoLength) {
  api::Response response;
  response.status = 204;
  response.body = "ignored";
  const std::string text = written(response, {.path = "/"});
  EXPECT_THAT(text, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(text, Not(HasSubstr("ignored")));
}

TEST(HttpResponse, HstsIsOnlyForNamesThatAreOneServers) {
  EXPECT_THAT(written({}, {.path = "/", .host = "muster.example:9443", .secure = true}), HasSubstr("Strict-Transport-Security"));
  for (const char* host : {"localhost:9443", "a.localhost", "192.0.2.1:80", "[::1]:80", ""}) {
    EXPECT_THAT(written({}, {.path = "/", .host = host, .secure = true}), Not(HasSubstr("Strict-Transport-Security"))) << host;
  }
  EXPECT_THAT(written({}, {.path = "/", .host = "muster.example"}), Not(HasSubstr("Strict-Transport-Security")));
}

TEST(HttpResponse, DatesAreThoseOfTheRfc) { EXPECT_EQ(http_date(784'111'777'000), "Sun, 06 Nov 1994 08:49:37 GMT"); }

}  // namespace
}  // namespace muster::net
