// SPDX-License-Identifier: Apache-2.0
#include "cli/provision/wake.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace muster::cli {

namespace {

// The signal handler's: nothing else reaches it.
volatile std::sig_atomic_t signal_wakes = -1;
std::atomic<bool> signal_seen{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int) {
  const int error = errno;
  signal_seen = true;
  const char byte = 0;
  [[maybe_unused]] const auto written = ::write(signal_wakes, &byte, 1);
  errno = error;
}

}  // namespace

WakePipe::WakePipe() {
  if (::pipe2(ends_, O_CLOEXEC | O_NONBLOCK) != 0) ends_[0] = ends_[1] = -1;
}

WakePipe::~WakePipe() {
  for (const int end : ends_) {
    if (end >= 0) ::close(end);
  }
}

void WakePipe::drain() const {
  char room[64];
  while (::read(ends_[0], room, sizeof room) > 0) continue;
}

void WakePipe::wake() const {
  const char byte = 0;
  [[maybe_unused]] const auto written = ::write(ends_[1], &byte, 1);
}

StopSignals::StopSignals(const WakePipe& pipe) {
  signal_seen = false;
  signal_wakes = pipe.ends_[1];
  struct sigaction action{};
  action.sa_handler = on_signal;
  for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &action, &before_[i]);
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &pipe_before_);
}

StopSignals::~StopSignals() {
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], seen() ? &ignore : &before_[i], nullptr);
  ::sigaction(SIGPIPE, &pipe_before_, nullptr);
}

const std::atomic<bool>& StopSignals::flag() const { return signal_seen; }

}  // namespace muster::cli
