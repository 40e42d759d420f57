// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/local_listener.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "agent/core/agent_test_rig.hpp"
#include "agent/core/device_test_rig.hpp"
#include "agent/ports/linux/clock.hpp"

namespace muster::agent::linux_port {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::uint16_t free_port(int type) {
  const int fd = ::socket(AF_INET, type, 0);
  EXPECT_GE(fd, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

class LocalListenerTest : public testing::Test {
 protected:
  LocalListenerTest() {
    profile.template_id = "TMPL2abcdefgh";
    profile.template_name = "Lamp";
    profile.suffix = "N1A9";
    device.emplace(
        DeviceParts{&radio, store, transport, random, handler, {receive_room, sizeof receive_room}, {send_room, sizeof send_room}}, profile,
        Identity{});
    server.emplace(*device, listener);
    listener.attach(*server);
    device->start(clock.now());
    device->on_opened(clock.now());
  }
  void SetUp() override { ASSERT_EQ(listener.open(""), ""); }

  sockaddr_in at(std::uint16_t port) const {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(options.address);
    address.sin_port = htons(port);
    return address;
  }
  int dial() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const sockaddr_in address = at(options.http_port);
    (void)::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    return fd;
  }
  /// Serves until `done` or two seconds have passed.
  template <typename Done>
  bool serve_until(Done done) {
    for (const Millis end = clock.now() + 2'000; clock.now() < end;) {
      std::vector<pollfd> waiting = pollers();
      (void)::poll(waiting.data(), waiting.size(), 5);
      serving->serve(waiting.data(), waiting.size(), clock.now());
      if (server->next_deadline() <= clock.now()) server->on_timer(clock.now());
      if (done()) return true;
    }
    return false;
  }
  /// The whole answer; the end of the connection is waited for.
  std::string ask(const std::string& request) {
    const int fd = dial();
    std::string answer;
    bool sent = false;
    EXPECT_TRUE(serve_until([&] {
      if (!sent) sent = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size());
      char bytes[4096];
      for (ssize_t got = 0; (got = ::recv(fd, bytes, sizeof bytes, 0)) >= 0;) {
        if (got == 0) return sent;
        answer.append(bytes, static_cast<std::size_t>(got));
      }
      return false;
    })) << answer;
    ::close(fd);
    return answer;
  }

  std::string look_up_example() {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    const std::string query{
        "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07"
        "example\x03"
        "com\x00\x00\x01\x00\x01",
        29};
    const sockaddr_in address = at(options.dns_port);
    EXPECT_EQ(::sendto(fd, query.data(), query.size(), 0, reinterpret_cast<const sockaddr*>(&address), sizeof address),
              static_cast<ssize_t>(query.size()));
    char answer[512];
    ssize_t got = -1;
    EXPECT_TRUE(serve_until([&] { return (got = ::recv(fd, answer, sizeof answer, 0)) > 0; }));
    ::close(fd);
    return got > 0 ? std::string(answer, static_cast<std::size_t>(got)) : std::string{};
  }
  std::vector<pollfd> pollers() const {
    std::vector<pollfd> waiting;
    serving->fill(waiting);
    return waiting;
  }

  LocalListener::Options options{0x7F000001U, free_port(SOCK_STREAM), free_port(SOCK_DGRAM), true};
  BootClock clock;
  test::FakeRadio radio;
  test::FakeStore store;
  test::FakeTransport transport;
  test::FakeRandom random;
  test::RecordingHandler handler;
  std::uint8_t receive_room[600], send_room[600];
  DeviceProfile profile;
  std::optional<Device> device;
  LocalListener listener{options};
  LocalListener* serving = &listener;
  std::optional<LocalServer> server;
};

TEST_F(LocalListenerTest, ServesTheDevicesPagesAndClosesBehindThem) {
  const std::string info = ask("GET /board_info.json HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n");
  EXPECT_THAT(info, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(info, HasSubstr("\"tmpl_id\":\"TMPL2abcdefgh\""));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n"), HasSubstr("</html>"));
}

TEST_F(LocalListenerTest, VisitorsThatGoOrAreTooManyLeaveNothingBehind) {
  std::vector<int> visitors;
  for (std::size_t i = 0; i < LocalListener::connections_max + 4; ++i) visitors.push_back(dial());
  EXPECT_FALSE(serve_until([] { return false; }));
  std::vector<pollfd> waiting;
  listener.fill(waiting);
  EXPECT_LE(waiting.size(), 2 + LocalListener::connections_max);
  for (const int fd : visitors) ::close(fd);
  EXPECT_TRUE(serve_until([&] {
    waiting.clear();
    listener.fill(waiting);
    return waiting.size() == 2;
  }));
  EXPECT_THAT(ask("GET /board_info.json HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(LocalListenerTest, AnswersEveryNameWithTheDevice) {
  const std::string answer = look_up_example();
  ASSERT_GT(answer.size(), 16U);
  EXPECT_EQ(answer.substr(answer.size() - 4), (std::string{"\x7F\x00\x00\x01", 4}));
}

TEST_F(LocalListenerTest, WithoutThePortalAForeignNameIsNotItsOwn) {
  listener.shut();
  options.every_name = false;
  LocalListener other{options};
  other.attach(*server);
  ASSERT_EQ(other.open(""), "");
  serving = &other;
  const std::string answer = look_up_example();
  ASSERT_GE(answer.size(), 12U);
  EXPECT_EQ(answer.substr(0, 2), "\x12\x34");
  EXPECT_EQ((answer.substr(6, 2)), (std::string{"\0\0", 2})) << "answers";
}

TEST_F(LocalListenerTest, AVisitorWhoHasAskedAllAndReadsLateGetsItAll) {
  const int fd = dial();
  ASSERT_TRUE(serve_until([&] { return pollers().size() == 3; }));
  // More than a socket takes at once, and the end of the connection right behind it.
  const std::vector<std::uint8_t> page(LocalListener::output_max_bytes - 1, 'x');
  std::size_t given = 0;
  while (pollers().at(2).events == POLLIN) {
    ASSERT_TRUE(listener.send(options.first_id, {page.data(), page.size()}));
    given += page.size();
  }
  listener.close(options.first_id);
  EXPECT_EQ(pollers().at(2).events, POLLOUT) << "what is left wants to go out";
  std::size_t got = 0;
  EXPECT_TRUE(serve_until([&] {
    char bytes[65536];
    ssize_t size = 0;
    while ((size = ::recv(fd, bytes, sizeof bytes, 0)) > 0) got += static_cast<std::size_t>(size);
    return size == 0;
  }));
  EXPECT_EQ(got, given);
  EXPECT_EQ(pollers().size(), 2U);
  ::close(fd);
}

TEST(LocalListener, SaysWhichPortItCannotHave) {
  const std::uint16_t port = free_port(SOCK_STREAM);
  LocalListener first{{0x7F000001U, port, free_port(SOCK_DGRAM), true}}, second{{0x7F000001U, port, free_port(SOCK_DGRAM), true}};
  ASSERT_EQ(first.open(""), "");
  EXPECT_THAT(second.open(""), HasSubstr("port " + std::to_string(port)));
}

}  // namespace
}  // namespace muster::agent::linux_port
