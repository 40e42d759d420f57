// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/agent.hpp"
#include "agent/core/device.hpp"

namespace muster::agent::app {

/// `text` as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string json_string(std::string_view text);
/// `text` without control characters and broken UTF-8, for a terminal; at most 200 bytes of it.
[[nodiscard]] std::string printable(std::string_view text);

/// Writes what happens, one line each: JSON events on standard output, or short lines for people on standard error.
/// Never sees the token.
class Journal {
 public:
  Journal(bool json, std::FILE* out, Millis started) : json_{json}, out_{out}, started_{started} {}

  /// `problem`: more about a failure; may be empty.
  void event(const Event& event, std::string_view problem, Millis now);
  /// What happens around the session: set-up, joining, commits.
  void step(const Step& step, Millis now);
  void state(DeviceState state, std::string_view name, Millis now);
  void write(std::uint8_t pin, const std::vector<std::string_view>& values, Millis now);
  /// Something that came from the cloud and is only shown: `kind` is one word.
  void text(std::string_view kind, std::string_view text, Millis now);

 private:
  void line(const std::string& json, const std::string& human, Millis now);

  bool json_;
  std::FILE* out_;
  Millis started_;
};

}  // namespace muster::agent::app
