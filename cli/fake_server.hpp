// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace muster::cli {

/// A server that answers each request as a test says, on a port of 127.0.0.1 that the system chose.
class FakeServer {
 public:
  struct Request {
    std::string method, target, head, body;
  };
  struct Answer {
    int status = 200;
    std::string body;
  };
  using Handler = std::function<Answer(const Request&)>;

  explicit FakeServer(Handler handler) : handler_{std::move(handler)}, listener_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(listener_, 16) != 0) std::abort();
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this] { serve(); }};
  }
  ~FakeServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::vector<Request> requests() const {
    const std::lock_guard lock{mutex_};
    return requests_;
  }

 private:
  void serve() {
    while (!stopping_) {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) continue;
      std::string bytes;
      char room[4096];
      for (;;) {
        const auto head_end = bytes.find("\r\n\r\n");
        std::size_t length = 0;
        if (head_end != std::string::npos) {
          const auto at = bytes.find("Content-Length: ");
          if (at != std::string::npos && at < head_end) length = static_cast<std::size_t>(std::atol(bytes.c_str() + at + 16));
          if (bytes.size() >= head_end + 4 + length) {
            answer(client, bytes.substr(0, head_end + 2), bytes.substr(head_end + 4, length));
            break;
          }
        }
        const auto got = ::recv(client, room, sizeof room, 0);
        if (got <= 0) break;
        bytes.append(room, static_cast<std::size_t>(got));
        if (bytes[0] == 0x16) break;  // A TLS handshake: not spoken here.
      }
      ::close(client);
    }
  }
  void answer(int client, const std::string& head, const std::string& body) {
    const auto method_end = head.find(' ');
    const auto target_end = head.find(' ', method_end + 1);
    Request request{head.substr(0, method_end), head.substr(method_end + 1, target_end - method_end - 1), head, body};
    const auto answer = handler_(request);
    {
      const std::lock_guard lock{mutex_};
      requests_.push_back(std::move(request));
    }
    if (answer.status == 0) return;  // Closes without a word.
    const auto text = "HTTP/1.1 " + std::to_string(answer.status) + " X\r\nContent-Length: " + std::to_string(answer.body.size()) +
                      "\r\nConnection: close\r\n\r\n" + answer.body;
    for (std::size_t sent = 0; sent < text.size();) {
      const auto got = ::send(client, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (got <= 0) return;
      sent += static_cast<std::size_t>(got);
    }
  }

  Handler handler_;
  int listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::thread thread_;
};

}  // namespace muster::cli
