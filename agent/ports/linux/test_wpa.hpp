// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "agent/port/clock.hpp"
#include "agent/port/random.hpp"
#include "agent/ports/linux/dhcp.hpp"
#include "agent/ports/linux/wpa_system.hpp"

/// A wpa_supplicant and a machine that do what a test says.
namespace muster::agent::linux_port::test {

struct TestClock final : Clock {
  Millis time = 1'000;
  Millis now() override { return time; }
};
struct TestRandom final : RandomSource {
  std::uint32_t next() override { return 42; }
};

/// One control socket of a wpa_supplicant that does what the test says.
class FakeSocket {
 public:
  explicit FakeSocket(std::string path) : path_{std::move(path)} {
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << path_;
  }
  ~FakeSocket() {
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  FakeSocket(const FakeSocket&) = delete;
  FakeSocket& operator=(const FakeSocket&) = delete;

  std::vector<std::string> commands;
  std::function<std::string(const std::string& command)> answer = [](const std::string&) { return "OK\n"; };

  void event(const std::string& text) {
    ::sendto(fd_, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&client_), client_size_);
  }
  /// True when there was a command.
  bool serve() {
    char room[4096];
    client_size_ = sizeof client_;
    const ssize_t size = ::recvfrom(fd_, room, sizeof room, 0, reinterpret_cast<sockaddr*>(&client_), &client_size_);
    if (size < 0) return false;
    commands.emplace_back(room, static_cast<std::size_t>(size));
    if (const std::string text = answer(commands.back()); !text.empty()) {
      ::sendto(fd_, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&client_), client_size_);
    }
    for (const std::string& text : std::exchange(later, {})) event(text);
    return true;
  }
  std::vector<std::string> later;  ///< Events that follow the answer to this command.

 private:
  std::string path_;
  sockaddr_un client_{};
  socklen_t client_size_ = 0;
  int fd_ = -1;
};

struct FakeSystem final : WpaSystem {
  std::vector<std::string> log;
  std::function<std::string()> on_add_ap = [] { return std::string{}; };
  bool running = true, has_interface = true;
  int dhcp_client[2] = {-1, -1};  ///< [0] is the radio's.
  bool dhcp_answers = true;
  DhcpServer router{0xC0A84D01U};

  bool get_mac(const std::string&, std::uint8_t (&mac)[6]) override {
    const std::uint8_t own[6] = {2, 0, 0, 0, 0, 9};
    std::copy(own, own + 6, mac);
    return has_interface;
  }
  std::string start_supplicant(const std::string& program, const std::string&, const std::string&) override {
    log.push_back("start " + program);
    return {};
  }
  bool supplicant_running() override { return running; }
  int stops = 0;
  void stop_supplicant() override { ++stops; }
  std::string add_ap_interface(const std::string& station, const std::string& name) override {
    log.push_back("add " + name + " beside " + station);
    return on_add_ap();
  }
  void remove_interface(const std::string& name) override { log.push_back("remove " + name); }
  std::uint32_t host_address = 0;  ///< What the interface has before, in 192.168.77.0/24.
  void get_address(const std::string&, std::uint32_t& address, std::uint32_t& mask, std::uint32_t& gateway) override {
    address = host_address;
    mask = 0xFFFFFF00U;
    gateway = host_address == 0 ? 0 : 0xC0A84D01U;
  }
  bool has_other_way(const std::string&) override { return false; }
  bool set_address(const std::string& interface, std::uint32_t address, std::uint32_t, std::uint32_t gateway) override {
    log.push_back("address " + interface + " " + std::to_string(address) + " via " + std::to_string(gateway));
    return true;
  }
  void clear_address(const std::string& interface) override { log.push_back("clear " + interface); }
  std::string dns_problem;
  std::string set_dns(const std::string&, const std::string&, std::uint32_t dns, std::uint32_t) override {
    log.push_back("dns " + std::to_string(dns));
    return dns_problem;
  }
  int dns_clears = 0;
  void clear_dns(const std::string&, const std::string&) override { ++dns_clears; }
  int open_dhcp_client(const std::string&) override {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, dhcp_client), 0);
    return dhcp_client[0];
  }
  int open_dhcp_server(const std::string&, std::uint32_t) override { return ::open("/dev/null", 0); }
  void close_descriptor(int fd) override {
    if (fd < 0) return;
    ::close(fd);
    if (fd == dhcp_client[0]) {
      ::close(dhcp_client[1]);
      dhcp_client[0] = dhcp_client[1] = -1;
    }
  }
  void send_dhcp_client(int, const std::string&, const std::vector<std::uint8_t>& message) override {
    if (!dhcp_answers) return;
    const auto answer = router.on_message({message.data(), message.size()}, 1);
    if (!answer.empty()) ::send(dhcp_client[1], answer.data(), answer.size(), 0);
  }
  void send_dhcp_server(int, const std::vector<std::uint8_t>&) override {}
  bool receive_dhcp_client(int fd, std::vector<std::uint8_t>& message) override {
    message.resize(2048);
    const ssize_t size = ::recv(fd, message.data(), message.size(), 0);
    if (size < 0) return false;
    message.resize(static_cast<std::size_t>(size));
    return true;
  }
  bool receive_dhcp_server(int, std::vector<std::uint8_t>&) override { return false; }
};

}  // namespace muster::agent::linux_port::test
