// SPDX-License-Identifier: Apache-2.0
#include "agent/app/serial_console.hpp"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace muster::agent::app {

namespace {

constexpr std::size_t piece_size_bytes = 512;  // A pipe or terminal that is ready takes so much without blocking.

/// 115200 8N1, without modem control, and every byte as it is.
bool make_raw(int fd) {
  termios settings{};
  if (::tcgetattr(fd, &settings) != 0) return false;
  ::cfmakeraw(&settings);
  settings.c_cflag &= ~static_cast<tcflag_t>(CSTOPB | CRTSCTS);
  settings.c_cflag |= CLOCAL | CREAD;
  ::cfsetispeed(&settings, B115200);
  ::cfsetospeed(&settings, B115200);
  return ::tcsetattr(fd, TCSANOW, &settings) == 0;
}

}  // namespace

void SerialConsole::start(Device& device, Millis now) {
  device_ = &device;
  open(now);
}

void SerialConsole::open(Millis now) {
  open_due_ = never;
  if (is_own()) {
    in_ = STDIN_FILENO;
    out_ = STDOUT_FILENO;
  } else {
    // Without O_NONBLOCK it could wait for a modem's carrier.
    in_ = out_ = ::open(path_.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (in_ < 0) {
      hang_up(std::string{std::strerror(errno)}, now);
      return;
    }
    if (!make_raw(in_)) {
      hang_up("it is not a terminal", now);
      return;
    }
  }
  trouble_.clear();
  console_.emplace(*device_, static_cast<Console::Sink&>(*this));
}

void SerialConsole::hang_up(const std::string& why, Millis now) {
  close();
  if (is_own()) return;  // Nobody is there any more; the device goes on.
  trouble_ = "The console on " + path_ + " is not there: " + why + ".";
  open_due_ = now + open_again_ms;
}

void SerialConsole::close() {
  console_.reset();
  output_.clear();
  if (in_ >= 0 && !is_own()) ::close(in_);
  in_ = out_ = -1;
}

void SerialConsole::print(std::string_view text) {
  if (out_ < 0 || output_.size() + text.size() > output_size_max_bytes) return;
  for (const char c : text) {
    if (c != '\r' || !is_own()) output_ += c;  // The own terminal makes its line ends itself.
  }
}

void SerialConsole::fill(std::vector<pollfd>& waiting) const {
  waiting.push_back({in_, POLLIN, 0});
  waiting.push_back({output_.empty() ? -1 : out_, POLLOUT, 0});
}

void SerialConsole::serve(const pollfd* ready, Millis now) {
  if (open_due_ <= now) open(now);
  if (ready == nullptr || in_ < 0) return;
  if (ready[0].fd == in_ && ready[0].revents != 0) read(now);
  if (out_ >= 0 && ready[1].fd == out_ && ready[1].revents != 0) write(now);
}

void SerialConsole::read(Millis now) {
  std::uint8_t room[piece_size_bytes];
  const ssize_t size = ::read(in_, room, sizeof room);
  if (size > 0) {
    console_->on_bytes({room, static_cast<std::size_t>(size)}, now);
  } else if (size == 0) {
    hang_up("the line hung up", now);
  } else if (errno != EAGAIN && errno != EINTR) {
    hang_up(std::string{std::strerror(errno)}, now);
  }
}

void SerialConsole::write(Millis now) {
  const ssize_t size = ::write(out_, output_.data(), std::min(output_.size(), piece_size_bytes));
  if (size > 0) {
    output_.erase(0, static_cast<std::size_t>(size));
  } else if (size < 0 && errno != EAGAIN && errno != EINTR) {
    hang_up(std::string{std::strerror(errno)}, now);
  }
}

std::string SerialConsole::take_trouble() {
  if (trouble_ == told_trouble_) return {};
  told_trouble_ = trouble_;
  return trouble_;
}

}  // namespace muster::agent::app
