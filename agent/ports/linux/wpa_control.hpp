// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/clock.hpp"

namespace muster::agent::linux_port {

/// A client of one control socket of wpa_supplicant: datagrams on a Unix socket, commands in, one answer each, and events in between.
/// Never blocks. Call from one thread; a handler may send, and may close.
class WpaControl {
 public:
  static constexpr Millis answer_timeout_ms = 5'000;
  static constexpr std::size_t message_size_max_bytes = 8192;
  static constexpr std::size_t queue_max = 64;

  /// The answer without its line end; empty when none came.
  using Answer = std::function<void(std::string_view answer)>;
  using Event = std::function<void(std::string_view event)>;

  explicit WpaControl(Clock& clock) : clock_{clock} {}
  ~WpaControl() { close(); }
  WpaControl(const WpaControl&) = delete;
  WpaControl& operator=(const WpaControl&) = delete;

  /// `own_path` is the address that answers are sent to; a socket file is made there. False: nobody listens at `path`.
  [[nodiscard]] bool open(const std::string& path, const std::string& own_path, Event on_event);
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  void close();

  /// Commands are sent one after another, each when the one before was answered.
  void send(std::string command, Answer answer = {});
  /// Sends all; `done` hears whether each was answered with something other than FAIL.
  void send_all(std::vector<std::string> commands, std::function<void(bool ok)> done);
  /// Forgets what waits; an answer that is still to come is thrown away.
  void forget();

  [[nodiscard]] Millis next_deadline() const noexcept { return deadline_; }
  /// False: the other side is gone, or has not answered in time.
  [[nodiscard]] bool on_ready();
  [[nodiscard]] bool on_timer();

 private:
  struct Command {
    std::string text;
    Answer answer;
  };
  void send_next();

  Clock& clock_;
  std::string own_path_;
  Event on_event_;
  std::deque<Command> waiting_;  ///< The first is sent when `sent_` says so.
  Millis deadline_ = never;
  int fd_ = -1;
  unsigned opened_ = 0;  ///< Counts, to notice that a handler closed.
  bool sent_ = false;
  bool broken_ = false;
};

}  // namespace muster::agent::linux_port
