// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/portal_probe.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <string>

#include "agent/ports/linux/clock.hpp"
#include "agent/ports/linux/test_server.hpp"

namespace muster::agent::linux_port {
namespace {

PortalVerdict judge(const std::string& answer, bool whole = true) { return judge_portal_answer(answer, whole, "cloud.example"); }

TEST(PortalAnswer, ASignInPageShowsItself) {
  EXPECT_EQ(judge("HTTP/1.1 302 Found\r\nLocation: http://login.cafe.example/?to=cloud.example\r\n\r\n"), PortalVerdict::portal);
  EXPECT_EQ(judge("HTTP/1.0 307 x\r\nServer: y\r\nlocation:   https://10.0.0.1/\r\n\r\n", false), PortalVerdict::portal);
  EXPECT_EQ(judge("HTTP/1.1 303 x\r\nLocation: /sign-in\r\n\r\n"), PortalVerdict::portal);
  EXPECT_EQ(judge("HTTP/1.1 302 x\r\nLocation: https://cloud.example.cafe.example/\r\n\r\n"), PortalVerdict::portal);
  EXPECT_EQ(judge("HTTP/1.1 200 OK\r\nContent-Type: text/HTML; charset=utf-8\r\n\r\n", false), PortalVerdict::portal);
  EXPECT_EQ(judge("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\n <!doctype html>", false), PortalVerdict::portal);
  EXPECT_EQ(judge("HTTP/1.1 511 Network Authentication Required\r\n"), PortalVerdict::portal);
}

TEST(PortalAnswer, OthersAreNone) {
  EXPECT_EQ(judge("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\nok\n"), PortalVerdict::no_portal);
  EXPECT_EQ(judge("HTTP/1.1 301 x\r\nLocation: https://cloud.example/healthz\r\n\r\n"), PortalVerdict::no_portal);
  EXPECT_EQ(judge("HTTP/1.1 308 x\r\nLocation: HTTPS://Cloud.Example:9443\r\n\r\n"), PortalVerdict::no_portal);
  EXPECT_EQ(judge("HTTP/1.1 302 x\r\n\r\n"), PortalVerdict::no_portal);
  EXPECT_EQ(judge("HTTP/1.1 404 x\r\nContent-Type: text/html\r\n\r\n<html>"), PortalVerdict::no_portal);
  EXPECT_EQ(judge("HTTP/1.1 2x0 OK\r\n\r\n"), PortalVerdict::no_portal);
  EXPECT_EQ(judge("SSH-2.0-OpenSSH_9.2p1 Debian"), PortalVerdict::no_portal);
  EXPECT_EQ(judge(""), PortalVerdict::no_portal);
  EXPECT_EQ(judge("HTTP/1.1 200 OK\r\n\r\n"), PortalVerdict::no_portal);
}

TEST(PortalAnswer, HalfAnAnswerIsWaitedFor) {
  const std::string whole = "HTTP/1.1 302 Found\r\nLocation: http://login.cafe.example/\r\n\r\n";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(judge(whole.substr(0, size), false), PortalVerdict::unknown) << size;
  }
  EXPECT_EQ(judge(whole, false), PortalVerdict::portal);
  EXPECT_EQ(judge("HTTP/1.1 200 OK\r\n\r\n", false), PortalVerdict::unknown);
}

PortalVerdict ask(std::uint16_t port) {
  BootClock clock;
  PortalProbe probe{clock};
  const auto addresses = Resolver::parse_literal("127.0.0.1", port);
  if (addresses.empty() || !probe.start(addresses.front(), "cloud.example")) return PortalVerdict::unknown;
  for (;;) {
    pollfd waiting{probe.fd(), probe.events(), 0};
    const Millis now = clock.now();
    const int wait_ms = probe.next_deadline() <= now ? 0 : static_cast<int>(probe.next_deadline() - now);
    ::poll(&waiting, 1, wait_ms);
    if (const PortalVerdict verdict = probe.serve(); verdict != PortalVerdict::unknown) {
      EXPECT_EQ(probe.fd(), -1);
      return verdict;
    }
  }
}

TEST(PortalProbe, AsksAndHearsAnAnswerInPieces) {
  std::string request;
  test::Server server{[&](test::Peer& peer) {
    std::uint8_t byte = 0;
    while (request.size() < 4 || request.substr(request.size() - 4) != "\r\n\r\n") {
      if (!peer.read(&byte, 1)) return;
      request += static_cast<char>(byte);
    }
    for (const char c : std::string{"HTTP/1.1 302 Found\r\nLocation: http://login.cafe.example/\r\n\r\n"}) {
      peer.write({static_cast<std::uint8_t>(c)});
    }
  }};
  EXPECT_EQ(ask(server.port()), PortalVerdict::portal);
  EXPECT_EQ(request.substr(0, request.find("User-Agent")), "GET /healthz HTTP/1.1\r\nHost: cloud.example\r\n");
}

TEST(PortalProbe, SilenceAndEndlessAnswersEnd) {
  {
    test::Server server{[](test::Peer& peer) {
      std::uint8_t byte = 0;
      while (peer.read(&byte, 1)) continue;  // Until it is given up.
    }};
    BootClock clock;
    const Millis began = clock.now();
    EXPECT_EQ(ask(server.port()), PortalVerdict::no_portal);
    EXPECT_GE(clock.now() - began, PortalProbe::timeout_ms);
  }
  test::Server server{[](test::Peer& peer) {
    const std::string head = "HTTP/1.1 200 OK\r\n";
    peer.write({head.begin(), head.end()});
    peer.write(test::Bytes(2 * PortalProbe::answer_max_bytes, 'x'));
    std::uint8_t byte = 0;
    while (peer.read(&byte, 1)) continue;  // The asker has had enough.
  }};
  BootClock clock;
  const Millis began = clock.now();
  EXPECT_EQ(ask(server.port()), PortalVerdict::no_portal);
  EXPECT_LT(clock.now() - began, PortalProbe::timeout_ms);
}

}  // namespace
}  // namespace muster::agent::linux_port
