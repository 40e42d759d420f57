// SPDX-License-Identifier: Apache-2.0
#include "cli/provision/device_socket.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace muster::cli {

namespace pv = muster::provisioner;

DeviceSocket::DeviceSocket(std::string host, std::string port, std::string interface)
    : host_{std::move(host)}, port_{std::move(port)}, interface_{std::move(interface)} {}

DeviceSocket::~DeviceSocket() { cancel(); }

void DeviceSocket::get(const std::string& target) {
  cancel();
  reader_ = {};
  outgoing_ = "GET " + target + " HTTP/1.1\r\nHost: " + host_ + "\r\nConnection: close\r\n\r\n";
  connect();
  failed_ = fd_ < 0;
}

void DeviceSocket::connect() {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(host_.c_str(), port_.c_str(), &hints, &found) != 0) return;
  fd_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const auto name_size = static_cast<socklen_t>(interface_.size());
  const bool bound = interface_.empty() || (fd_ >= 0 && ::setsockopt(fd_, SOL_SOCKET, SO_BINDTODEVICE, interface_.c_str(), name_size) == 0);
  if (fd_ >= 0 && (!bound || (::connect(fd_, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS))) {
    ::close(fd_);
    fd_ = -1;
  }
  ::freeaddrinfo(found);
}

void DeviceSocket::cancel() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  failed_ = false;
  outgoing_.assign(outgoing_.size(), '\0');  // It may hold a password.
  outgoing_.clear();
}

pollfd DeviceSocket::wanted() const { return {fd_, static_cast<short>(outgoing_.empty() ? POLLIN : POLLIN | POLLOUT), 0}; }

void DeviceSocket::serve(short events, agent::Millis now) {
  if (failed_) {
    cancel();
    provisioner_->on_device_no_answer(now);
    return;
  }
  if (fd_ < 0 || events == 0) return;
  if (!outgoing_.empty() && (events & POLLOUT) != 0) {
    const auto sent = ::send(fd_, outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL);
    if (sent > 0) outgoing_.erase(0, static_cast<std::size_t>(sent));
  }
  if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) return;
  char room[4096];
  const auto got = ::recv(fd_, room, sizeof room, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  const auto state = got > 0 ? reader_.feed({room, static_cast<std::size_t>(got)}) : reader_.finish();
  if (state == pv::HttpAnswerReader::State::reading) return;
  cancel();
  const pv::HttpAnswerReader answer = std::move(reader_);
  if (state == pv::HttpAnswerReader::State::complete) {
    provisioner_->on_device_answer(answer.status(), answer.body(), now);
  } else if (got >= 0 && !answer.empty()) {
    provisioner_->on_device_unreadable(pv::unreadable_answer, now);
  } else {  // It hung up without a word, or the connection broke.
    provisioner_->on_device_no_answer(now);
  }
}

}  // namespace muster::cli
