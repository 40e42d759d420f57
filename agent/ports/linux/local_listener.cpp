// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/local_listener.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/core/dns_responder.hpp"

namespace muster::agent::linux_port {
namespace {

constexpr std::size_t datagram_max_bytes = 512;
constexpr int datagrams_a_turn = 16;

}  // namespace

LocalListener::~LocalListener() { shut(); }

std::string LocalListener::open_socket(int type, std::uint16_t port, const std::string& interface, int& fd) const {
  const auto fail = [&](const char* what) {
    std::string problem = std::string{what} + " for the set-up page (port " + std::to_string(port) + "): " + ::strerrordesc_np(errno) + '.';
    if (fd >= 0) ::close(fd);
    fd = -1;
    return problem;
  };
  fd = ::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail("There is no socket");
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!interface.empty() && ::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(), static_cast<socklen_t>(interface.size())) != 0)
    return fail("The access point cannot be listened to");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(options_.address);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return fail("The port cannot be taken");
  if (type == SOCK_STREAM && ::listen(fd, 8) != 0) return fail("The port cannot be listened to");
  return {};
}

std::string LocalListener::open(const std::string& interface) {
  shut();
  if (std::string problem = open_socket(SOCK_STREAM, options_.http_port, interface, http_); !problem.empty()) return problem;
  if (options_.dns_port == 0) return {};
  std::string problem = open_socket(SOCK_DGRAM, options_.dns_port, interface, dns_);
  if (!problem.empty()) shut();
  return problem;
}

void LocalListener::shut() {
  for (int* fd : {&http_, &dns_}) {
    if (*fd >= 0) ::close(*fd);
    *fd = -1;
  }
  for (const Visitor& visitor : visitors_) ::close(visitor.fd);
  visitors_.clear();
}

void LocalListener::fill(std::vector<pollfd>& waiting) const {
  waiting.push_back({http_, POLLIN, 0});  // A negative descriptor is skipped.
  waiting.push_back({dns_, POLLIN, 0});
  for (const Visitor& visitor : visitors_) {
    const int events = (visitor.closing ? 0 : POLLIN) | (visitor.output.empty() && !visitor.closing ? 0 : POLLOUT);
    waiting.push_back({visitor.fd, static_cast<short>(events), 0});
  }
}

void LocalListener::serve(const pollfd* ready, std::size_t count, Millis now) {
  if (ready == nullptr || count < 2) return;
  // New visitors come to the end: those that were waited for keep their places.
  for (std::size_t i = 2; i < count && i - 2 < visitors_.size(); ++i) {
    Visitor& visitor = visitors_[i - 2];
    if (visitor.fd != ready[i].fd || ready[i].revents == 0) continue;
    if ((ready[i].revents & POLLOUT) != 0) flush(visitor);
    if (!visitor.dropped && (ready[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) read(visitor, now);
  }
  if (ready[0].revents != 0) accept_all(now);
  if (ready[1].revents != 0) answer_names();
  const auto over = [](const Visitor& visitor) {
    if (!visitor.dropped && !(visitor.closing && visitor.output.empty())) return false;
    ::close(visitor.fd);
    return true;
  };
  visitors_.erase(std::remove_if(visitors_.begin(), visitors_.end(), over), visitors_.end());
}

void LocalListener::accept_all(Millis now) {
  for (;;) {
    const int fd = ::accept4(http_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (visitors_.size() >= connections_max) {
      ::close(fd);
      continue;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Visitor visitor;
    visitor.id = ++last_id_;
    visitor.fd = fd;
    visitors_.push_back(std::move(visitor));
    if (!server_->on_open(last_id_, now)) close(last_id_);
  }
}

void LocalListener::answer_names() {
  for (int i = 0; i < datagrams_a_turn; ++i) {
    std::uint8_t query[datagram_max_bytes];
    std::uint8_t answer[dns_answer_size_max_bytes];
    sockaddr_in from{};
    socklen_t from_size = sizeof from;
    const ssize_t got = ::recvfrom(dns_, query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &from_size);
    if (got < 0) return;
    const std::size_t size =
        answer_dns({query, static_cast<std::size_t>(got)}, {options_.every_name, options_.address}, {answer, sizeof answer});
    if (size != 0) (void)::sendto(dns_, answer, size, 0, reinterpret_cast<const sockaddr*>(&from), from_size);
  }
}

void LocalListener::read(Visitor& visitor, Millis now) {
  const ConnectionId id = visitor.id;
  std::uint8_t bytes[2048];
  const ssize_t got = ::recv(visitor.fd, bytes, sizeof bytes, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) {
    if (!visitor.closing) server_->on_bytes(id, {bytes, static_cast<std::size_t>(got)}, now);
    return;
  }
  // The end, also of one half: these clients have asked all that they will, and an answer on its way is sent first.
  if (visitor.output.empty() || got < 0) visitor.dropped = true;
  visitor.closing = true;
  server_->on_closed(id, now);
}

void LocalListener::flush(Visitor& visitor) {
  while (!visitor.output.empty()) {
    const ssize_t sent = ::send(visitor.fd, visitor.output.data(), visitor.output.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EINTR) visitor.dropped = true;
      return;
    }
    visitor.output.erase(visitor.output.begin(), visitor.output.begin() + sent);
  }
}

bool LocalListener::send(ConnectionId connection, wire::ByteView bytes) {
  for (Visitor& visitor : visitors_) {
    if (visitor.id != connection) continue;
    if (visitor.dropped || visitor.output.size() + bytes.size > output_max_bytes) {
      visitor.dropped = true;
      return false;
    }
    visitor.output.insert(visitor.output.end(), bytes.data, bytes.data + bytes.size);
    flush(visitor);
    return !visitor.dropped;
  }
  return false;
}

void LocalListener::close(ConnectionId connection) {
  for (Visitor& visitor : visitors_) {
    if (visitor.id == connection) visitor.closing = true;
  }
}

}  // namespace muster::agent::linux_port
