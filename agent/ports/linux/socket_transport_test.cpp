// SPDX-License-Identifier: Apache-2.0
// The agent over real sockets on loopback, against a small scripted server.
#include "agent/ports/linux/socket_transport.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/core/agent_test_rig.hpp"
#include "agent/ports/linux/clock.hpp"
#include "agent/ports/linux/loop.hpp"
#include "agent/ports/linux/random.hpp"
#include "agent/ports/linux/test_server.hpp"

namespace muster::agent::linux_port {
namespace {

using namespace std::string_view_literals;
using test::Bytes;
using test::frame;
using test::Identified;
using test::make_certificate;
using test::Peer;
using test::response;
using test::Server;
using test::write_pem;
using wire::Command;

// ---- the agent
// --------------------------------------------------------------------------------------------------------

/// Keeps what the transport says about the first failure: the next try forgets it.
struct ProblemHandler final : test::RecordingHandler {
  const SocketTransport* transport = nullptr;
  std::string problem;
  void on_event(const Event& event, Millis now) override {
    if (event.kind == EventKind::connect_failed && problem.empty()) {
      problem = transport->last_problem();
    }
    test::RecordingHandler::on_event(event, now);
  }
};

struct LinuxRig {
  BootClock clock;
  KernelRandom random;
  SocketTransport transport;
  ProblemHandler handler;
  std::uint8_t receive_room[4096 + 5];
  std::uint8_t send_room[8192 + 5];
  Agent agent{
      transport, handler, random, {receive_room, sizeof receive_room}, {send_room, sizeof send_room}, Identity{"1.0", {}, {}, {}, {}, {}},
      quick()};

  static Limits quick() {
    Limits limits;
    limits.retry_first_ms = 20;
    return limits;
  }

  explicit LinuxRig(PortalPlace portal = {}) : transport{clock, portal} { handler.transport = &transport; }

  void start(const char* host, std::uint16_t port, Security security) {
    DeviceConfig config = test::make_config(host, port);
    config.security = security;
    ASSERT_TRUE(agent.start(config, clock.now()));
  }
  /// Runs until `done`, at most 10 s.
  bool run_until(const std::function<bool()>& done) {
    const Millis end = clock.now() + 10'000;
    while (!done()) {
      if (clock.now() >= end) {
        return false;
      }
      turn(clock, transport, agent, std::min(end, clock.now() + 5));
    }
    return true;
  }
  bool run_until_logged(const std::string& line) {
    return run_until([&] { return std::find(handler.log.begin(), handler.log.end(), line) != handler.log.end(); });
  }
};

class SocketTransportTest : public ::testing::Test {
 protected:
  SocketTransportTest() { signal(SIGPIPE, SIG_IGN); }
};

/// Login, info, ping from the server, a value each way; the server sends byte by byte.
void full_exchange(Peer& peer) {
  EXPECT_EQ(peer.read_frame(), "29:1:0123456789abcdefghijklmnopqrstuv");
  peer.write(response(1, 200));
  EXPECT_EQ(peer.read_frame(), "17:2:mcu|1.0|fw-type|TMPL2abcdefgh|h-beat|40|buff-in|4096|agent|muster|tmpl|TMPL2abcdefgh");
  peer.write(response(2, 200));
  peer.write(frame(Command::ping, 99));
  EXPECT_EQ(peer.read_frame(), "0:99:200");
  for (const std::uint8_t byte : frame(Command::hardware, 7,
                                       "vw\0"
                                       "10\0hello"sv)) {
    peer.write({byte});
  }
  EXPECT_EQ(peer.read_frame(), "20:3:vw|11|hello");
}

void expect_full_exchange(LinuxRig& rig) {
  ASSERT_TRUE(rig.run_until_logged("write 10 hello"));
  EXPECT_EQ(rig.agent.write(11, "hello"sv, rig.clock.now()), SendResult::sent);
  ASSERT_TRUE(rig.run_until_logged("disconnected peer_closed"));
  EXPECT_THAT(rig.handler.log, ::testing::ElementsAre("login_ok", "info_accepted", "online", "write 10 hello", "first_value_sent",
                                                      "disconnected peer_closed"));
}

TEST_F(SocketTransportTest, PlainLoginPingPushAndValue) {
  Server server{full_exchange};
  LinuxRig rig;
  rig.start("127.0.0.1", server.port(), Security::plain);
  expect_full_exchange(rig);
}

TEST_F(SocketTransportTest, FindsTheAddressOfANameThatAnotherFamilyRefusesFirst) {
  Server server{full_exchange};  // Not on ::1, which localhost may give first.
  LinuxRig rig;
  rig.start("localhost", server.port(), Security::plain);
  expect_full_exchange(rig);
}

TEST_F(SocketTransportTest, TlsWithAPinnedCaAndTheNameOfTheHost) {
  const Identified ca = make_certificate(nullptr, "Test CA", "");
  const Identified identity = make_certificate(&ca, "cloud", "DNS:localhost");
  const std::string path = write_pem(ca, "ca.pem");
  std::string server_name;
  {
    Server server{[&](Peer& peer) {
                    server_name = peer.server_name();
                    full_exchange(peer);
                  },
                  &identity};
    LinuxRig rig;
    ASSERT_EQ(rig.transport.trust_file(path), "");
    rig.start("localhost", server.port(), Security::tls_pinned);
    expect_full_exchange(rig);
  }
  EXPECT_EQ(server_name, "localhost");
  std::filesystem::remove(path);
}

TEST_F(SocketTransportTest, TlsWithAnAddressInsteadOfAName) {
  const Identified ca = make_certificate(nullptr, "Test CA", "");
  const Identified identity = make_certificate(&ca, "cloud", "IP:127.0.0.1");
  const std::string path = write_pem(ca, "ca-ip.pem");
  {
    Server server{full_exchange, &identity};
    LinuxRig rig;
    ASSERT_EQ(rig.transport.trust_file(path), "");
    rig.start("127.0.0.1", server.port(), Security::tls_pinned);
    expect_full_exchange(rig);
  }
  std::filesystem::remove(path);
}

/// How the connection to a server with this certificate fails; the server must never see the token.
std::string failure(const Identified* identity, const Identified& trusted, const char* host, std::string* problem = nullptr) {
  const std::string path = write_pem(trusted, "trusted.pem");
  bool heard = false;
  std::string log;
  {
    Server server{[&](Peer& peer) {
                    const std::string first = identity == nullptr ? "" : peer.read_frame();
                    heard = !first.empty();
                    if (identity == nullptr) {
                      peer.write({'H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', '4', '0', '0', '\r', '\n'});
                    }
                  },
                  identity};
    LinuxRig rig;
    EXPECT_EQ(rig.transport.trust_file(path), "");
    rig.start(host, server.port(), Security::tls_pinned);
    EXPECT_TRUE(rig.run_until([&] { return !rig.handler.log.empty(); }));
    log = rig.handler.log.empty() ? "" : rig.handler.log[0];
    if (problem != nullptr) {
      *problem = rig.handler.problem;
    }
    rig.agent.stop(rig.clock.now());
  }
  EXPECT_FALSE(heard);
  std::filesystem::remove(path);
  return log;
}

TEST_F(SocketTransportTest, RefusesCertificatesThatAreNotForItsCloud) {
  const Identified ca = make_certificate(nullptr, "Test CA", "");
  const Identified other_ca = make_certificate(nullptr, "Test CA", "");
  const Identified good = make_certificate(&ca, "cloud", "DNS:localhost,IP:127.0.0.1");
  const Identified other_name = make_certificate(&ca, "localhost", "DNS:other.example");
  const Identified expired = make_certificate(&ca, "cloud", "DNS:localhost,IP:127.0.0.1", -3600);
  std::string problem;
  EXPECT_EQ(failure(&good, other_ca, "127.0.0.1", &problem), "connect_failed tls_untrusted");
  EXPECT_FALSE(problem.empty());
  EXPECT_EQ(failure(&other_name, ca, "localhost", &problem), "connect_failed tls_untrusted");
  EXPECT_EQ(problem, "hostname mismatch");
  EXPECT_EQ(failure(&other_name, ca, "127.0.0.1", &problem), "connect_failed tls_untrusted");
  EXPECT_EQ(problem, "IP address mismatch");
  EXPECT_EQ(failure(&expired, ca, "127.0.0.1", &problem), "connect_failed tls_untrusted");
  EXPECT_EQ(problem, "certificate has expired");
  EXPECT_EQ(failure(nullptr, ca, "127.0.0.1"), "connect_failed tls_failed");
}

void answer_as_web_server(Peer& peer, const std::string& answer) {
  std::uint8_t byte = 0;
  for (std::string request; request.size() < 4 || request.substr(request.size() - 4) != "\r\n\r\n";) {
    if (!peer.read(&byte, 1)) return;
    request += static_cast<char>(byte);
  }
  peer.write({answer.begin(), answer.end()});
}

const std::string sign_in = "HTTP/1.1 302 Found\r\nLocation: http://login.cafe.example/\r\n\r\n";
const std::string healthy = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nok\n";

/// What is told about a cloud at `port` (a TLS port, or a plain one) behind a network where `page` answers web browsers.
std::string told_behind(const std::string& page, std::uint16_t port, Security security, const std::string& ca_path) {
  Server portal{[&](Peer& peer) { answer_as_web_server(peer, page); }};
  LinuxRig rig{PortalPlace{portal.port(), true}};
  EXPECT_EQ(rig.transport.trust_file(ca_path), "");
  rig.start("127.0.0.1", port, security);
  EXPECT_TRUE(rig.run_until([&] { return !rig.handler.log.empty(); }));
  const std::string log = rig.handler.log.empty() ? "" : rig.handler.log[0];
  rig.agent.stop(rig.clock.now());
  return log;
}

TEST_F(SocketTransportTest, ASignInPageInTheCloudsPlaceIsTold) {
  const Identified ca = make_certificate(nullptr, "Test CA", "");
  const Identified foreign_ca = make_certificate(nullptr, "Cafe CA", "");
  const Identified foreign = make_certificate(&foreign_ca, "cafe", "IP:127.0.0.1");
  const std::string path = write_pem(ca, "ca-portal.pem");
  for (const auto& page : {sign_in, healthy}) {
    const bool portal = page == sign_in;
    {
      Server cloud{[](Peer&) {}, &foreign};
      EXPECT_EQ(told_behind(page, cloud.port(), Security::tls_pinned, path),
                portal ? "connect_failed captive_portal" : "connect_failed tls_untrusted");
    }
    {
      Server cloud{[](Peer& peer) {
        std::uint8_t byte = 0;
        static_cast<void>(peer.read(&byte, 1));
        const std::string answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
        peer.write({answer.begin(), answer.end()});
      }};
      EXPECT_EQ(told_behind(page, cloud.port(), Security::tls_pinned, path),
                portal ? "connect_failed captive_portal" : "connect_failed tls_failed");
    }
    {
      Server cloud{[](Peer& peer) {
        EXPECT_EQ(peer.read_frame(), "29:1:0123456789abcdefghijklmnopqrstuv");
        const std::string answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
        peer.write({answer.begin(), answer.end()});
      }};
      EXPECT_EQ(told_behind(page, cloud.port(), Security::plain, path),
                portal ? "disconnected captive_portal" : "disconnected protocol_error");
    }
  }
  std::filesystem::remove(path);
}

/// Listens on loopback and never takes a connection; the kernel does.
class SilentListener {
 public:
  SilentListener() : fd_{socket(AF_INET, SOCK_STREAM, 0)} {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address_), sizeof address_), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
    socklen_t size = sizeof address_;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &size);
  }
  ~SilentListener() { close(fd_); }
  SilentListener(const SilentListener&) = delete;
  SilentListener& operator=(const SilentListener&) = delete;
  [[nodiscard]] std::uint16_t port() const { return ntohs(address_.sin_port); }
  [[nodiscard]] bool was_dialled() const {
    pollfd waiting{fd_, POLLIN, 0};
    return poll(&waiting, 1, 0) != 0;
  }

 private:
  int fd_;
  sockaddr_in address_{};
};

TEST_F(SocketTransportTest, AServerThatNeverAnswersTheHandshakeIsGivenUp) {
  struct AdvancedClock final : Clock {
    BootClock real;
    Millis ahead = 0;
    Millis now() override { return real.now() + ahead; }
  } clock;
  struct Told final : TransportListener {
    std::vector<CloseReason> closed;
    void on_connected(Millis) override { ADD_FAILURE(); }
    void on_bytes(wire::ByteView, Millis) override { ADD_FAILURE(); }
    void on_closed(CloseReason reason, Millis) override { closed.push_back(reason); }
  } told;
  const SilentListener server;
  SocketTransport transport{clock, PortalPlace{0, false}};
  ASSERT_EQ(transport.trust_system(), "");
  transport.connect({"127.0.0.1", server.port(), true});
  while (transport.events() == POLLOUT) {
    pollfd waiting{transport.fd(), transport.events(), 0};
    ASSERT_GT(poll(&waiting, 1, 5'000), 0);
    transport.on_ready(waiting.revents, told);
  }
  ASSERT_EQ(transport.events(), POLLIN);  // The greeting was sent.
  transport.on_timer(told);
  EXPECT_GT(transport.next_deadline(), clock.now());
  clock.ahead = SocketTransport::handshake_timeout_ms;
  ASSERT_LE(transport.next_deadline(), clock.now());
  transport.on_timer(told);
  EXPECT_EQ(transport.next_deadline(), 0U);
  transport.on_timer(told);
  EXPECT_EQ(told.closed, std::vector{CloseReason::connect_timeout});
}

TEST_F(SocketTransportTest, ACloudThatIsThereIsAskedNothing) {
  const SilentListener portal;
  Server server{full_exchange};
  LinuxRig rig{PortalPlace{portal.port(), true}};
  rig.start("127.0.0.1", server.port(), Security::plain);
  expect_full_exchange(rig);
  EXPECT_FALSE(portal.was_dialled());
}

TEST_F(SocketTransportTest, SystemTrustDoesNotCoverAPrivateCa) {
  const Identified ca = make_certificate(nullptr, "Test CA", "");
  const Identified good = make_certificate(&ca, "cloud", "IP:127.0.0.1");
  Server server{[](Peer&) {}, &good};
  LinuxRig rig;
  ASSERT_EQ(rig.transport.trust_system(), "");
  rig.start("127.0.0.1", server.port(), Security::tls);
  EXPECT_TRUE(rig.run_until_logged("connect_failed tls_untrusted"));
}

TEST_F(SocketTransportTest, SaysWhatIsWrongWithACaFile) {
  LinuxRig rig;
  EXPECT_THAT(rig.transport.trust_file("/nonexistent/ca.pem"),
              ::testing::StartsWith("Cannot read a CA certificate (PEM) from /nonexistent/ca.pem"));
  EXPECT_THAT(rig.transport.trust_file("/dev/null"), ::testing::StartsWith("Cannot read a CA certificate (PEM) from /dev/null"));
}

TEST_F(SocketTransportTest, TellsRefusedAndUnknownHostsApart) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);  // Bound, not listening: nobody else gets this port meanwhile.
  ASSERT_GE(fd, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  LinuxRig rig;
  rig.start("127.0.0.1", ntohs(address.sin_port), Security::plain);
  EXPECT_TRUE(rig.run_until_logged("connect_failed refused"));
  rig.start("a..b", 1, Security::plain);  // No name server is ever asked for an empty label.
  EXPECT_TRUE(rig.run_until_logged("connect_failed host_unknown"));
  close(fd);
}

TEST_F(SocketTransportTest, CanBeClosedWhileItLooksUpAName) {
  for (int i = 0; i < 20; ++i) {
    LinuxRig rig;
    rig.start("localhost", 1, Security::plain);
    rig.agent.stop(rig.clock.now());
  }
}

TEST_F(SocketTransportTest, ConnectsAgainAfterTheServerClosed) {
  int connections = 0;
  Server server{[&](Peer& peer) {
                  ++connections;
                  EXPECT_EQ(peer.read_frame(), "29:1:0123456789abcdefghijklmnopqrstuv");
                  peer.write(response(1, 200));
                },
                nullptr, 2};
  LinuxRig rig;
  rig.start("127.0.0.1", server.port(), Security::plain);
  const auto logins = [&] { return std::count(rig.handler.log.begin(), rig.handler.log.end(), "login_ok"); };
  EXPECT_TRUE(rig.run_until([&] { return logins() == 2; }));
}

/// A server that reads nothing for a while: the queue is bounded, and nothing that was taken is lost or reordered.
void slow_reader(const Identified* identity, const std::string& ca_path) {
  std::atomic<bool> may_read{false};
  std::atomic<int> sent{-1};
  std::atomic<int> received{0};
  Server server{[&](Peer& peer) {
                  EXPECT_EQ(peer.read_frame().substr(0, 5), "29:1:");
                  peer.write(response(1, 200));
                  EXPECT_EQ(peer.read_frame().substr(0, 5), "17:2:");
                  peer.write(response(2, 200));
                  while (!may_read) {
                    std::this_thread::yield();
                  }
                  while (received != sent) {
                    const std::string frame = peer.read_frame();
                    const int number = received;
                    const std::string expected = "55:" + std::to_string(1 + number % 65535) + ':' + std::to_string(number) + ' ';
                    if (frame.compare(0, expected.size(), expected) != 0) {
                      ADD_FAILURE() << frame.substr(0, 40) << " instead of " << expected;
                      return;
                    }
                    ++received;
                  }
                },
                identity};
  LinuxRig rig;
  if (identity != nullptr) {
    ASSERT_EQ(rig.transport.trust_file(ca_path), "");
  }
  rig.start("127.0.0.1", server.port(), identity == nullptr ? Security::plain : Security::tls_pinned);
  ASSERT_TRUE(rig.run_until_logged("online"));
  int count = 0;
  for (; count < 100'000; ++count) {
    const Bytes big =
        frame(Command::debug_print, static_cast<std::uint16_t>(1 + count % 65535), std::to_string(count) + ' ' + std::string(8000, 'x'));
    if (!rig.transport.send({big.data(), big.size()})) {
      break;
    }
  }
  EXPECT_LT(count, 100'000);
  sent = count;
  may_read = true;
  EXPECT_TRUE(rig.run_until_logged("disconnected peer_closed"));
  EXPECT_EQ(received, count);
}

TEST_F(SocketTransportTest, QueuesForASlowReaderUpToALimitPlain) { slow_reader(nullptr, {}); }

TEST_F(SocketTransportTest, QueuesForASlowReaderUpToALimitTls) {
  const Identified ca = make_certificate(nullptr, "Test CA", "");
  const Identified identity = make_certificate(&ca, "cloud", "IP:127.0.0.1");
  const std::string path = write_pem(ca, "ca-slow.pem");
  slow_reader(&identity, path);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace muster::agent::linux_port
