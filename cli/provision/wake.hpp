// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <csignal>

namespace muster::cli {

/// A pipe that wakes poll(2): written by the signal handler and by the cloud's thread.
class WakePipe {
 public:
  WakePipe();
  ~WakePipe();
  WakePipe(const WakePipe&) = delete;
  WakePipe& operator=(const WakePipe&) = delete;

  [[nodiscard]] bool usable() const { return ends_[0] >= 0; }
  /// Readable after wake().
  [[nodiscard]] int fd() const { return ends_[0]; }
  void drain() const;
  void wake() const;

 private:
  friend class StopSignals;
  int ends_[2] = {-1, -1};
};

/// While one exists, Ctrl-C, Ctrl-\, SIGTERM and SIGHUP only say so and wake the pipe, so that a set-up ends in good order. Further ones change
/// nothing: who is impatient would lose the host's own Wi-Fi. Nothing that is waited for meanwhile may last for ever. SIGPIPE is ignored: who
/// reads along may go while a set-up is under way. One at a time in a program.
class StopSignals {
 public:
  explicit StopSignals(const WakePipe& pipe);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The program is on its way out then, and stays deaf to further ones when this one has gone.
  [[nodiscard]] bool seen() const { return flag().load(); }
  /// For what waits elsewhere.
  [[nodiscard]] const std::atomic<bool>& flag() const;

 private:
  static constexpr std::array signals{SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  std::array<struct sigaction, signals.size()> before_{};
  struct sigaction pipe_before_{};
};

}  // namespace muster::cli
