// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/wpa_control.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

namespace muster::agent::linux_port {

namespace {

bool address_of(const std::string& path, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return false;
  path.copy(address.sun_path, path.size());
  return true;
}

}  // namespace

bool WpaControl::open(const std::string& path, const std::string& own_path, Event on_event) {
  close();
  sockaddr_un theirs, ours;
  if (!address_of(path, theirs) || !address_of(own_path, ours)) return false;
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  ::unlink(own_path.c_str());
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&ours), sizeof ours) != 0 ||
      ::connect(fd, reinterpret_cast<const sockaddr*>(&theirs), sizeof theirs) != 0) {
    ::close(fd);
    ::unlink(own_path.c_str());
    return false;
  }
  fd_ = fd;
  own_path_ = own_path;
  on_event_ = std::move(on_event);
  return true;
}

void WpaControl::close() {
  ++opened_;
  if (fd_ < 0) return;
  ::close(fd_);
  fd_ = -1;
  ::unlink(own_path_.c_str());
  waiting_.clear();
  deadline_ = never;
  sent_ = broken_ = false;
}

void WpaControl::send(std::string command, Answer answer) {
  if (fd_ < 0) return;
  if (waiting_.size() >= queue_max) {
    broken_ = true;  // It answers too slowly to be of use.
    deadline_ = 0;
    return;
  }
  waiting_.push_back({std::move(command), std::move(answer)});
  send_next();
}

void WpaControl::send_all(std::vector<std::string> commands, std::function<void(bool)> done) {
  if (commands.empty()) {
    done(true);
    return;
  }
  auto ok = std::make_shared<bool>(true);  // Shared by the answers to the commands.
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const bool last = i + 1 == commands.size();
    send(std::move(commands[i]), [ok, last, done](std::string_view answer) {
      if (answer.empty() || answer.substr(0, 4) == "FAIL") *ok = false;
      if (last) done(*ok);
    });
  }
}

void WpaControl::forget() {
  if (waiting_.empty()) return;
  if (!sent_) {
    waiting_.clear();
    return;
  }
  waiting_.erase(waiting_.begin() + 1, waiting_.end());
  waiting_.front().answer = {};
}

void WpaControl::send_next() {
  if (fd_ < 0 || sent_ || waiting_.empty()) return;
  const std::string& text = waiting_.front().text;
  sent_ = true;
  if (::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size())) {
    deadline_ = clock_.now() + answer_timeout_ms;
  } else {
    broken_ = true;  // Told by on_timer(), not from inside send().
    deadline_ = 0;
  }
}

bool WpaControl::on_ready() {
  constexpr int messages_max = 64;  // Then others have their turn.
  char room[message_size_max_bytes];
  for (int i = 0; i < messages_max && fd_ >= 0; ++i) {
    const ssize_t size = ::recv(fd_, room, sizeof room, 0);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    std::string_view message{room, static_cast<std::size_t>(size)};
    const unsigned opened = opened_;
    if (message.size() >= 3 && message[0] == '<' && message[2] == '>') {
      if (on_event_) on_event_(message);
    } else if (sent_) {
      const Command command = std::move(waiting_.front());
      waiting_.pop_front();
      sent_ = false;
      deadline_ = never;
      if (!message.empty() && message.back() == '\n') message.remove_suffix(1);
      if (command.answer) command.answer(message);
      if (opened != opened_) return true;
      send_next();
    }
    if (opened != opened_) return true;
  }
  return true;
}

bool WpaControl::on_timer() { return !broken_ && (deadline_ == never || deadline_ > clock_.now()); }

}  // namespace muster::agent::linux_port
