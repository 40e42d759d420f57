// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/console.hpp"
#include "agent/core/device.hpp"
#include "agent/port/clock.hpp"

namespace muster::agent::app {

/// The device's console on a serial line (115200 baud, 8N1, raw) or on the program's own terminal, which keeps its line editing. A line that
/// hangs up, or is not there yet, is opened again when it can be: an adapter may be unplugged. What is not read on the other side is dropped.
/// The program's loop waits for its descriptors and deadline, then calls serve(). One thread.
class SerialConsole final : private Console::Sink {
 public:
  static constexpr std::size_t output_size_max_bytes = 16 * 1024;
  static constexpr Millis open_again_ms = 2'000;
  static constexpr std::size_t descriptors = 2;

  /// `path`: of the terminal device; `-`: standard input and output.
  explicit SerialConsole(std::string path) : path_{std::move(path)} {}
  ~SerialConsole() { close(); }
  SerialConsole(const SerialConsole&) = delete;
  SerialConsole& operator=(const SerialConsole&) = delete;

  /// Opens, if it can already.
  void start(Device& device, Millis now);

  /// Appends `descriptors` descriptors; a negative one is to be skipped.
  void fill(std::vector<pollfd>& waiting) const;
  [[nodiscard]] Millis next_deadline() const noexcept { return open_due_; }
  /// `ready`: what fill() appended, after poll(2); nullptr: poll failed.
  void serve(const pollfd* ready, Millis now);
  /// What a person should know about it now; empty: nothing new.
  [[nodiscard]] std::string take_trouble();

 private:
  void print(std::string_view text) override;

  void open(Millis now);
  void hang_up(const std::string& why, Millis now);
  void close();
  void read(Millis now);
  void write(Millis now);
  [[nodiscard]] bool is_own() const noexcept { return path_ == "-"; }

  std::string path_;
  Device* device_ = nullptr;
  std::optional<Console> console_;  ///< A new one for each opening: half a line from before means nothing.
  int in_ = -1, out_ = -1;
  std::string output_;
  Millis open_due_ = never;
  std::string trouble_, told_trouble_;
};

}  // namespace muster::agent::app
