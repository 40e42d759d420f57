// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "cli/outcome.hpp"

/// What people type and see.
namespace muster::cli {

/// Where answers and secrets come from: the terminal when there is one, else lines of stdin.
class Input {
 public:
  virtual ~Input() = default;
  [[nodiscard]] virtual bool is_terminal() const = 0;
  /// One line without its end. Asks with `prompt` (on stderr) when there is a terminal; without echo when `secret`. Errors: nothing left to read.
  [[nodiscard]] virtual Outcome<std::string> line(std::string_view prompt, bool secret) = 0;
};

/// The process's own stdin.
class StandardInput final : public Input {
 public:
  [[nodiscard]] bool is_terminal() const override;
  [[nodiscard]] Outcome<std::string> line(std::string_view prompt, bool secret) override;
};

/// A password to sign in with: one line.
[[nodiscard]] Outcome<std::string> ask_password(Input& input, std::string_view prompt);
/// A new password: asked twice on a terminal, and held to the rules of the server before it is sent.
[[nodiscard]] Outcome<std::string> ask_new_password(Input& input, std::string_view prompt);
/// A passphrase for a backup: asked twice on a terminal; at least 8 characters.
[[nodiscard]] Outcome<std::string> ask_new_passphrase(Input& input);
/// Destructive commands ask. `yes`: do not ask. Errors: exit_usage without a terminal, exit_failed when the answer is no.
[[nodiscard]] Outcome<void> confirm(Input& input, bool yes, std::string_view question);

/// Names come from other people and from devices: what could move the cursor or turn the text is shown as '?'.
[[nodiscard]] std::string printable(std::string_view text);
/// Columns as wide as their widest cell; the last one is not padded. Cells are made printable.
[[nodiscard]] std::string format_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);
/// Local time, "2026-01-31 09:30:00"; "never" for 0.
[[nodiscard]] std::string format_time(std::int64_t utc_ms);
/// A text as a C string literal, quotes included.
[[nodiscard]] std::string c_string(std::string_view text);

}  // namespace muster::cli
