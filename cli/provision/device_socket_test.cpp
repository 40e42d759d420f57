// SPDX-License-Identifier: Apache-2.0
// What is said of devices at an address that answer nonsense, over a real socket.
#include "cli/provision/device_socket.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "agent/ports/linux/clock.hpp"

namespace muster::cli {
namespace {

namespace pv = muster::provisioner;
using agent::Millis;
using wire::ActivationFailure;

/// Says the same to everybody, as often as `times`, and hangs up.
class Device {
 public:
  Device(std::string answer, std::size_t times) : answer_{std::move(answer)}, times_{times} {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this] { serve(); }};
  }
  ~Device() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  [[nodiscard]] std::string port() const { return std::to_string(port_); }
  std::atomic<int> requests{0};

 private:
  void serve() {
    for (;;) {
      const int visitor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (visitor < 0) return;
      ++requests;
      char room[1024];
      (void)::recv(visitor, room, sizeof room, 0);
      for (std::size_t i = 0; i < times_; ++i) {
        if (::send(visitor, answer_.data(), answer_.size(), MSG_NOSIGNAL) < 0) break;
      }
      ::close(visitor);
    }
  }

  std::string answer_;
  std::size_t times_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

/// Nobody signs in, and nobody watches.
struct Nobody final : pv::CloudApi, pv::Front {
  void ask_template(const std::string&) override {}
  void ask_reconfigure(std::int64_t) override {}
  void ask_token(const pv::TokenRequest&) override {}
  void ask_session(std::int64_t) override {}
  void post_step(std::int64_t, std::string_view, std::uint16_t, std::string_view) override {}
  void cancel_session(std::int64_t) override {}
  void on_report(const pv::Report&, Millis) override {}
  void on_warning(std::string_view, const std::string&, Millis) override {}
  void on_choose_device(const std::vector<pv::AccessPoint>&, Millis) override {}
  void on_choose_network(const std::vector<pv::SeenNetwork>&, Millis) override {}
  void on_ask_password(const std::string&, Millis) override {}
};

struct Ended {
  std::uint16_t code = 0;
  int requests = 0;
  Millis took_ms = 0;
};
Ended ask(const std::string& answer, std::size_t times = 1) {
  Device device{answer, times};
  agent::linux_port::BootClock clock;
  Nobody nobody;
  pv::Options options;
  options.direct = true;
  options.times.retry_ms = 10;
  options.times.info_ms = 5'000;
  DeviceSocket socket{"127.0.0.1", device.port()};
  pv::Provisioner provisioner{nullptr, socket, nobody, nobody, options};
  socket.attach(provisioner);
  const Millis began = clock.now();
  provisioner.start(began);
  while (!provisioner.finished() && clock.now() - began < 20'000) {
    pollfd waiting = socket.wanted();
    ::poll(&waiting, 1, 10);
    socket.serve(waiting.revents, clock.now());
    if (provisioner.next_deadline() <= clock.now()) provisioner.on_timer(clock.now());
  }
  return {provisioner.failure().code, device.requests, clock.now() - began};
}

TEST(DeviceSocket, AnAnswerThatLiesOrNeverEndsIsToldAtOnceAsOneThatMakesNoSense) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
  const std::string much(1 << 20, 'x');
  for (const auto& [answer, times] : {std::pair{head + "Content-Length: 500\r\n\r\n{}", 1},    // Less than it says.
                                      {head + "Content-Length: 10000000\r\n\r\n" + much, 10},  // Much, and it says so.
                                      {head + "\r\n" + much, 100},                             // Much, and it does not.
                                      {head + "Transfer-Encoding: chunked\r\n\r\nffffff\r\n" + much, 20},
                                      {head + "X: " + much, 1},
                                      {std::string{"SSH-2.0-OpenSSH_9.2\r\n\r\n"}, 1},
                                      {head + "Content-Length: 2\r\n\r\n{}", 1}}) {
    const auto ended = ask(answer, static_cast<std::size_t>(times));
    EXPECT_EQ(ended.code, static_cast<std::uint16_t>(ActivationFailure::device_answer_bad)) << answer.substr(0, 80);
    EXPECT_EQ(ended.requests, 1) << answer.substr(0, 80);
    EXPECT_LT(ended.took_ms, 3'000U);
  }
}

TEST(DeviceSocket, OneThatHangsUpWithoutAWordIsAskedAgain) {
  const auto ended = ask("", 0);
  EXPECT_EQ(ended.code, static_cast<std::uint16_t>(ActivationFailure::device_unreachable));
  EXPECT_EQ(ended.requests, 4);
}

}  // namespace
}  // namespace muster::cli
