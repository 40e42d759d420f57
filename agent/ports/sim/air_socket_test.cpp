// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/sim/air_socket.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>

namespace muster::agent::sim {
namespace {

using Kind = AirCommand::Kind;
using Event = AirEvent::Kind;

Millis wall() {
  return static_cast<Millis>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

struct Program final : AirListener {
  explicit Program(const std::string& path, bool may_host = true) : socket{{path, may_host, quick_air_times}} { socket.attach(*this); }
  void on_air(const AirEvent& event, Millis) override {
    ++count[event.kind];
    last = event;
    if (event.kind == Event::stream_opened) stream = event.stream;
    if (event.kind == Event::bytes) text.append(event.bytes.begin(), event.bytes.end());
    if (echo && event.kind == Event::bytes)
      submit(Kind::send, {}, {}, event.stream, "<" + std::string(event.bytes.begin(), event.bytes.end()) + ">");
  }
  void submit(Kind kind, std::string ssid = {}, std::string passphrase = {}, std::uint32_t on = 0, std::string_view bytes = {}) {
    AirCommand command;
    command.kind = kind;
    command.ssid = std::move(ssid);
    command.passphrase = std::move(passphrase);
    command.stream = on;
    command.bytes.assign(bytes.begin(), bytes.end());
    socket.submit(command);
  }
  AirSocket socket;
  std::map<Event, int> count;
  AirEvent last;
  std::uint32_t stream = 0;
  std::string text;
  bool echo = false;
};

class AirSocketTest : public ::testing::Test {
 protected:
  AirSocketTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "muster-air-test-XXXXXX").string();
    directory = ::mkdtemp(pattern.data());
    path = directory + "/air";
  }
  ~AirSocketTest() override {
    programs.clear();
    std::filesystem::remove_all(directory);
  }
  Program& add(bool may_host = true) {
    programs.push_back(std::make_unique<Program>(path, may_host));
    return *programs.back();
  }
  /// Runs all programs' loops until `done`; false: not within 5 s.
  bool run(const std::function<bool()>& done) {
    for (const Millis end = wall() + 5'000; wall() < end;) {
      if (done()) return true;
      turn();
    }
    return done();
  }
  void turn() {
    std::vector<pollfd> waiting;
    Millis until = wall() + 20;
    std::vector<std::size_t> counts;
    for (const auto& program : programs) {
      counts.push_back(program->socket.descriptor_count());
      waiting.resize(waiting.size() + counts.back());
      program->socket.fill(waiting.data() + (waiting.size() - counts.back()));
      until = std::min(until, program->socket.next_deadline(wall()));
    }
    ::poll(waiting.data(), waiting.size(), until <= wall() ? 0 : static_cast<int>(until - wall()));
    std::size_t at = 0;
    for (std::size_t i = 0; i < programs.size(); ++i) {
      programs[i]->socket.serve(waiting.data() + at, counts[i], wall());
      at += counts[i];
    }
  }
  int dial_raw() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  std::string directory, path;
  std::vector<std::unique_ptr<Program>> programs;
};

TEST_F(AirSocketTest, ThreeProgramsShareOneAir) {
  Program &device = add(), &other = add(), &phone = add(false);
  device.submit(Kind::open, "Lamp-1");
  other.submit(Kind::open, "Lamp-2");
  ASSERT_TRUE(run([&] { return device.count[Event::opened] == 1 && other.count[Event::opened] == 1; }));
  EXPECT_EQ(device.socket.state(), AirSocket::State::hosting);
  EXPECT_EQ(other.socket.state(), AirSocket::State::connected);
  phone.submit(Kind::scan);
  ASSERT_TRUE(run([&] { return phone.count[Event::scanned] == 1; }));
  EXPECT_EQ(phone.last.networks.size(), 3U);
  for (Program* lamp : {&device, &other}) {  // Once inside the host, once behind another socket.
    lamp->echo = true;
    phone.text.clear();
    phone.submit(Kind::join, lamp == &device ? "Lamp-1" : "Lamp-2");
    ASSERT_TRUE(run([&] { return phone.last.kind == Event::joined; }));
    phone.submit(Kind::dial, {}, {}, 9);
    ASSERT_TRUE(run([&] { return lamp->stream != 0; }));
    phone.submit(Kind::send, {}, {}, 9, "hello");
    ASSERT_TRUE(run([&] { return phone.text == "<hello>"; }));
    EXPECT_EQ(lamp->text, "hello");
    lamp->submit(Kind::close, {}, {}, lamp->stream);
    ASSERT_TRUE(run([&] { return phone.last.kind == Event::stream_closed; }));
  }
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(AirSocketTest, WhenTheHostGoesAnotherTakesOverAndAllIsAsItWas) {
  add();
  Program& device = add();
  Program& phone = add(false);
  device.submit(Kind::open, "Lamp");
  device.submit(Kind::join, "Muster Home", "muster-home");
  ASSERT_TRUE(run([&] { return device.count[Event::joined] == 1; }));
  phone.submit(Kind::join, "Lamp");
  ASSERT_TRUE(run([&] { return phone.count[Event::joined] == 1; }));
  phone.submit(Kind::dial, {}, {}, 3);
  ASSERT_TRUE(run([&] { return phone.count[Event::dialed] == 1 && device.stream != 0; }));
  ASSERT_EQ(programs[0]->socket.state(), AirSocket::State::hosting);
  programs.erase(programs.begin());
  ASSERT_TRUE(
      run([&] { return device.socket.state() == AirSocket::State::hosting && phone.socket.state() == AirSocket::State::connected; }));
  ASSERT_TRUE(run([&] { return phone.count[Event::stream_closed] == 1 && device.count[Event::stream_closed] == 1; }));
  phone.submit(Kind::scan);
  ASSERT_TRUE(run([&] { return phone.count[Event::scanned] == 1; }));
  EXPECT_EQ(phone.last.networks.size(), 2U);  // Open still, though it said so only once.
  EXPECT_EQ(device.count[Event::opened], 1);
  EXPECT_EQ(device.count[Event::joined], 1);
  EXPECT_EQ(device.count[Event::lost], 0);
}

TEST_F(AirSocketTest, ANetworkThatTheNewHostDoesNotHaveIsLost) {
  std::ofstream{path + ".networks"} << "Home\tpassword\n";
  add();
  Program& device = add();
  device.submit(Kind::join, "Home", "password");
  ASSERT_TRUE(run([&] { return device.count[Event::joined] == 1; }));
  std::ofstream{path + ".networks"} << "Other\tpassword\n";
  programs.erase(programs.begin());
  ASSERT_TRUE(run([&] { return device.count[Event::lost] == 1; }));
  EXPECT_EQ(device.count[Event::join_failed], 0);
}

TEST_F(AirSocketTest, TheNetworksFileIsReadAgainWhenItChanges) {
  std::ofstream{path + ".networks"} << "Home\tpassword\n";
  Program& device = add();
  device.submit(Kind::join, "Home", "password");
  ASSERT_TRUE(run([&] { return device.count[Event::joined] == 1; }));
  std::ofstream{path + ".networks"} << "Home\tpassword\tno-dhcp\n";
  device.submit(Kind::join, "Home", "password");
  ASSERT_TRUE(run([&] { return device.count[Event::join_failed] == 1; }));
  EXPECT_EQ(device.last.failure, JoinFailure::no_address);
}

TEST_F(AirSocketTest, AProvisionerNeverHostsAndSaysThatNobodyIsThere) {
  Program& phone = add(false);
  run([&] { return !phone.socket.trouble().empty(); });
  EXPECT_NE(phone.socket.trouble().find("Nobody is on the air"), std::string::npos);
  EXPECT_EQ(phone.socket.state(), AirSocket::State::searching);
  EXPECT_FALSE(std::filesystem::exists(path));
  phone.submit(Kind::dial, {}, {}, 1);
  ASSERT_TRUE(run([&] { return phone.count[Event::stream_closed] == 1; }));
  Program& device = add();
  device.submit(Kind::open, "Lamp");
  ASSERT_TRUE(run([&] { return phone.socket.state() == AirSocket::State::connected; }));
  EXPECT_TRUE(phone.socket.trouble().empty());
}

TEST_F(AirSocketTest, LeftoversOfAKilledHostAreNoHindranceAndFilesOfOthersAreKept) {
  {  // A socket that nobody listens on.
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
    ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(fd);
  }
  Program& device = add();
  ASSERT_TRUE(run([&] { return device.socket.state() == AirSocket::State::hosting; }));
  programs.clear();
  EXPECT_FALSE(std::filesystem::exists(path));
  std::ofstream{path} << "precious";
  Program& next = add();
  run([&] { return !next.socket.trouble().empty() && next.socket.trouble().find("no socket") != std::string::npos; });
  EXPECT_EQ(next.socket.state(), AirSocket::State::searching);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(AirSocketTest, WhoeverTalksNonsenseIsOutAndNobodyElseNotices) {
  Program& device = add();
  Program& phone = add(false);
  device.submit(Kind::open, "Lamp");
  ASSERT_TRUE(run([&] { return device.count[Event::opened] == 1 && phone.socket.state() == AirSocket::State::connected; }));
  const std::string greeting{"muster\x01"};
  const std::vector<std::vector<std::string>> nonsense{{"no greeting"},
                                                       {"muster\x02"},
                                                       {greeting, "\xff"},
                                                       {greeting, std::string("\x01\x00\xff", 3)},
                                                       {greeting, std::string(20'000, '\7')},
                                                       {greeting, ""}};
  for (const auto& messages : nonsense) {
    const int fd = dial_raw();
    for (const std::string& message : messages) ::send(fd, message.data(), message.size(), MSG_NOSIGNAL);
    char byte = 0;
    EXPECT_TRUE(run([&] { return ::recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || (errno != EAGAIN && errno != EINTR); })) << messages.back();
    ::close(fd);
  }
  // One that asks and never reads is out when its answers no longer fit.
  const int deaf = dial_raw();
  ::send(deaf, greeting.data(), greeting.size(), MSG_NOSIGNAL);
  for (int i = 0; i < 50; ++i) {
    for (int j = 0; j < 30; ++j) ::send(deaf, "\x03", 1, MSG_NOSIGNAL);
    turn();
  }
  ::close(deaf);
  phone.submit(Kind::scan);
  EXPECT_TRUE(run([&] { return phone.count[Event::scanned] == 1; }));
  EXPECT_EQ(device.count[Event::lost] + device.count[Event::stream_opened], 0);
}

TEST_F(AirSocketTest, AnImpossiblePathIsToldInASentence) {
  path = std::string(200, 'x');
  Program& device = add();
  device.socket.serve(nullptr, 0, wall());
  EXPECT_NE(device.socket.trouble().find("too long"), std::string::npos);
}

}  // namespace
}  // namespace muster::agent::sim
