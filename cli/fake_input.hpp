// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "cli/terminal.hpp"

namespace muster::cli {

/// Lines that a test types, and the prompts that were shown.
class FakeInput final : public Input {
 public:
  explicit FakeInput(std::vector<std::string> lines = {}, bool terminal = false)
      : lines_{lines.begin(), lines.end()}, terminal_{terminal} {}
  [[nodiscard]] bool is_terminal() const override { return terminal_; }
  [[nodiscard]] Outcome<std::string> line(std::string_view prompt, bool secret) override {
    prompts.emplace_back(prompt);
    secrets.push_back(secret);
    if (lines_.empty()) return usage("Nothing to read.");
    auto next = std::move(lines_.front());
    lines_.pop_front();
    return next;
  }
  [[nodiscard]] std::size_t left() const noexcept { return lines_.size(); }

  std::vector<std::string> prompts;
  std::vector<bool> secrets;

 private:
  std::deque<std::string> lines_;
  bool terminal_;
};

}  // namespace muster::cli
