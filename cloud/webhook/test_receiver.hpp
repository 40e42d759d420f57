// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace muster::webhook {

/// An HTTP server for tests: one connection at a time on a loopback address.
class TestReceiver {
 public:
  struct Seen {
    std::string head, body;  ///< `head`: request line and headers.
    [[nodiscard]] std::string header(const std::string& name) const {
      const auto at = head.find("\r\n" + name + ": ");
      if (at == std::string::npos) return {};
      const auto begin = at + name.size() + 4;
      return head.substr(begin, head.find("\r\n", begin) - begin);
    }
  };
  using Handler = std::function<std::string(const Seen&)>;  ///< The whole response; empty: closes without one.

  explicit TestReceiver(Handler handler, const char* address = "127.0.0.1") : handler_{std::move(handler)} {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in bound{};
    bound.sin_family = AF_INET;
    ::inet_pton(AF_INET, address, &bound.sin_addr);
    socklen_t size = sizeof bound;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&bound), size) != 0 || ::listen(listener_, 16) != 0) std::abort();  // NOLINT
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size);                                                 // NOLINT
    port_ = ntohs(bound.sin_port);
    thread_ = std::thread{[this] { serve(); }};
  }
  ~TestReceiver() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] std::string port() const { return std::to_string(port_); }
  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const { return "http://" + host + ":" + port() + "/in"; }
  [[nodiscard]] std::vector<Seen> seen() const {
    const std::lock_guard lock{mutex_};
    return seen_;
  }
  [[nodiscard]] int connections() const { return connections_; }

  [[nodiscard]] static std::string answer(int status, const std::string& body = {}, const std::string& more = {}) {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more + "\r\n" + body;
  }

 private:
  void serve() {
    while (!stopping_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) continue;
      ++connections_;
      timeval limit{2, 0};
      ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      std::string text;
      char buffer[4096];
      std::size_t wanted = std::string::npos;
      while (text.size() < wanted) {
        const auto got = ::recv(connection, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        text.append(buffer, static_cast<std::size_t>(got));
        const auto end = text.find("\r\n\r\n");
        if (wanted != std::string::npos || end == std::string::npos) continue;
        const Seen head{text.substr(0, end + 2), {}};
        wanted = end + 4 + static_cast<std::size_t>(std::atoi(head.header("Content-Length").c_str()));
      }
      if (const auto end = text.find("\r\n\r\n"); end != std::string::npos) {
        const Seen seen{text.substr(0, end + 2), text.substr(end + 4)};
        {
          const std::lock_guard lock{mutex_};
          seen_.push_back(seen);
        }
        const std::string response = handler_(seen);
        for (std::size_t sent = 0; sent < response.size();) {
          const auto part = ::send(connection, response.data() + sent, response.size() - sent, MSG_NOSIGNAL);
          if (part <= 0) break;
          sent += static_cast<std::size_t>(part);
        }
      }
      ::close(connection);
    }
  }

  Handler handler_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> connections_{0};
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  std::thread thread_;
};

}  // namespace muster::webhook
