// SPDX-License-Identifier: Apache-2.0
#include "cli/http_client.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace muster::cli {
namespace {

using namespace std::chrono_literals;

TEST(HttpClient, ARequestEndsWhenNobodyWaitsForItAnyMore) {
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // Takes connections, and never answers.
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(silent, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(silent, 8), 0);
  ASSERT_EQ(::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size), 0);

  HttpClient client{"http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), {}};
  std::atomic<bool> ended{false};
  client.end_when(ended);
  std::thread later{[&] {
    std::this_thread::sleep_for(200ms);
    ended = true;
  }};
  const auto began = std::chrono::steady_clock::now();
  const auto answer = client.send("GET", "/", {}, std::nullopt);
  EXPECT_FALSE(answer);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  later.join();
  ::close(silent);
}

}  // namespace
}  // namespace muster::cli
