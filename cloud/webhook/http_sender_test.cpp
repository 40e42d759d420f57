// SPDX-License-Identifier: Apache-2.0
#include "cloud/webhook/http_sender.hpp"

#include <gtest/gtest.h>

#include "cloud/webhook/test_receiver.hpp"

namespace muster::webhook {
namespace {

using namespace std::chrono_literals;

TestReceiver::Handler ok(std::string body = "fine") {
  return [body](const TestReceiver::Seen&) { return TestReceiver::answer(200, body); };
}

SenderOptions allowing(std::initializer_list<std::string_view> networks) {
  std::vector<IpNetwork> allowed;
  for (const auto text : networks) allowed.push_back(*IpNetwork::parse(text));
  SenderOptions options;
  options.targets = domain::WebhookTargets{std::move(allowed)};
  return options;
}

Outgoing post(std::string url) {
  Outgoing request;
  request.url = std::move(url);
  request.body = "{\"a\":1}";
  request.headers = {"X-One: 1"};
  return request;
}

TEST(HttpSender, SendsWhatItIsGivenAndReadsTheAnswer) {
  TestReceiver receiver{ok()};
  auto request = post(receiver.url());
  request.user = "me";
  request.password = "secret";
  const Answer answer = HttpSender{allowing({"127.0.0.1"})}.send(request);
  EXPECT_EQ(answer.problem, "");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "fine");
  const auto seen = receiver.seen().at(0);
  EXPECT_TRUE(seen.head.starts_with("POST /in HTTP/1.1\r\n")) << seen.head;
  EXPECT_EQ(seen.body, "{\"a\":1}");
  EXPECT_EQ(seen.header("X-One"), "1");
  EXPECT_EQ(seen.header("Authorization"), "Basic bWU6c2VjcmV0");
}

TEST(HttpSender, EveryWayToSayLoopbackIsRefusedWithoutAConnection) {
  TestReceiver receiver{ok()};
  const HttpSender sender{SenderOptions{}};
  for (const auto* host : {"127.0.0.1",
                           "localhost",
                           "localhost.",
                           "[::ffff:127.0.0.1]",
                           "[::ffff:7f00:1]",
                           "[::1]",
                           "0x7f.1",
                           "0x7f000001",
                           "2130706433",
                           "017700000001",
                           "0177.0.0.1",
                           "0177.0.0.01",
                           "%6c%6f%63alhost",
                           "%31%32%37.0.0.1",
                           "[fe80::1%25lo]",
                           "127.1",
                           "0.0.0.0",
                           "0",
                           "[::]",
                           "[64:ff9b::7f00:1]",
                           "[2002:7f00:1::]",
                           "169.254.169.254",
                           "[fe80::1]",
                           "[fd00:ec2::254]",
                           "100.64.0.1",
                           "10.0.0.1"}) {
    const Answer answer = sender.send(post(receiver.url(host)));
    EXPECT_NE(answer.problem, "") << host;
    EXPECT_EQ(answer.status, 0) << host;
  }
  EXPECT_EQ(receiver.connections(), 0);
}

TEST(HttpSender, ANameWithOneForbiddenAddressIsRefusedWhole) {
  TestReceiver receiver{ok()};
  auto options = allowing({"127.0.0.1"});
  for (const auto* other : {"127.0.0.2", "10.0.0.1", "::1"}) {
    options.resolver = [&](const std::string&) { return std::vector{*IpAddress::parse("127.0.0.1"), *IpAddress::parse(other)}; };
    const Answer answer = HttpSender{options}.send(post(receiver.url("both.example.org")));
    EXPECT_NE(answer.problem.find("refused"), std::string::npos) << other << ": " << answer.problem;
  }
  EXPECT_EQ(receiver.connections(), 0);
}

TEST(HttpSender, TheConnectionGoesToTheAddressThatWasCheckedWhateverTheNameSaysByThen) {
  TestReceiver good{[](const auto&) { return TestReceiver::answer(200, "good"); }, "127.0.0.1"};
  int asked = 0;
  auto options = allowing({"127.0.0.1"});
  // The system's resolver would say something else for this name: nothing at all.
  options.resolver = [&](const std::string& host) {
    EXPECT_EQ(host, "rebinding.invalid");
    ++asked;
    return std::vector{*IpAddress::parse(asked == 1 ? "127.0.0.1" : "127.0.0.2")};
  };
  const HttpSender sender{options};
  EXPECT_EQ(sender.send(post(good.url("rebinding.invalid"))).body, "good");
  EXPECT_EQ(asked, 1);
  // The next request asks anew, and is refused: the name stands for something else now.
  EXPECT_NE(sender.send(post(good.url("rebinding.invalid"))).problem, "");
  EXPECT_EQ(good.connections(), 1);
}

TEST(HttpSender, ANumericHostThatTheLibraryReadsOnItsOwnStillMeetsTheSecondWall) {
  TestReceiver receiver{ok()};
  // A resolver that is lied to: what it says is fine (nobody listens there), but the library needs no resolver for a number.
  auto options = allowing({"127.0.0.9"});
  options.resolver = [](const std::string&) { return std::vector{*IpAddress::parse("127.0.0.9")}; };
  const HttpSender sender{options};
  for (const auto* host : {"127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"}) {
    EXPECT_NE(sender.send(post(receiver.url(host))).problem, "") << host;
  }
  EXPECT_EQ(receiver.connections(), 0);
}

TEST(HttpSender, RedirectsAreNotFollowed) {
  TestReceiver inner{ok()};
  TestReceiver receiver{[&](const auto&) { return TestReceiver::answer(302, "", "Location: " + inner.url() + "\r\n"); }};
  const Answer answer = HttpSender{allowing({"127.0.0.1"})}.send(post(receiver.url()));
  EXPECT_EQ(answer.status, 302);
  EXPECT_EQ(inner.connections(), 0);
}

TEST(HttpSender, OfAnAnswerTheFirst16KilobytesAreRead) {
  TestReceiver receiver{ok(std::string(100'000, 'x'))};
  const Answer answer = HttpSender{allowing({"127.0.0.1"})}.send(post(receiver.url()));
  EXPECT_EQ(answer.problem, "");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, std::string(16 * 1024, 'x'));
}

TEST(HttpSender, EndlessHeadersEndTheAttempt) {
  TestReceiver receiver{[](const auto&) { return TestReceiver::answer(200, "x", "X-Long: " + std::string(60'000, 'y') + "\r\n"); }};
  const Answer answer = HttpSender{allowing({"127.0.0.1"})}.send(post(receiver.url()));
  EXPECT_NE(answer.problem, "");
}

TEST(HttpSender, AnAnswerThatDoesNotComeEndsTheAttemptInTime) {
  TestReceiver receiver{[](const auto&) {
    std::this_thread::sleep_for(600ms);
    return TestReceiver::answer(200);
  }};
  auto options = allowing({"127.0.0.1"});
  options.timeout = 150ms;
  const auto begun = std::chrono::steady_clock::now();
  const Answer answer = HttpSender{options}.send(post(receiver.url()));
  EXPECT_NE(answer.problem, "");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 500ms);
}

TEST(HttpSender, ANameServerThatSaysNothingEndsTheAttemptInTime) {
  TestReceiver receiver{ok()};
  auto options = allowing({"127.0.0.1"});
  options.timeout = 150ms;
  options.resolver = [](const std::string&) {
    std::this_thread::sleep_for(600ms);
    return std::vector{*IpAddress::parse("127.0.0.1")};
  };
  const auto begun = std::chrono::steady_clock::now();
  const Answer answer = HttpSender{options}.send(post(receiver.url("silent.example.org")));
  EXPECT_NE(answer.problem.find("looked up"), std::string::npos) << answer.problem;
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 500ms);
  EXPECT_EQ(receiver.connections(), 0);
}

TEST(HttpSender, OtherProtocolsAndUnreadableUrlsAreRefused) {
  const HttpSender sender{allowing({"127.0.0.0/8"})};
  for (const auto* url :
       {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:70/_x", "http://user:pass@127.0.0.1/", "not a url", ""})
    EXPECT_NE(sender.send(post(url)).problem, "") << url;
}

TEST(HttpSender, AProxyOfTheEnvironmentIsNotUsed) {
  TestReceiver receiver{ok()}, proxy{ok("proxy")};
  ::setenv("http_proxy", ("http://127.0.0.1:" + proxy.port()).c_str(), 1);
  const Answer answer = HttpSender{allowing({"127.0.0.1"})}.send(post(receiver.url()));
  ::unsetenv("http_proxy");
  EXPECT_EQ(answer.body, "fine");
  EXPECT_EQ(proxy.connections(), 0);
}

}  // namespace
}  // namespace muster::webhook
