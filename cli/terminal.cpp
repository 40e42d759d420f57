// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.hpp"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <utility>

#include "cloud/domain/rules.hpp"
#include "wire/utf8.hpp"

namespace muster::cli {

namespace {

constexpr std::size_t line_max_bytes = 64 * 1024;

volatile std::sig_atomic_t caught_signal = 0;

/// Turns echo off while it lives. Signals that would end or stop the process wait until it is back on: the caller raises them then.
class Silence {
 public:
  Silence() noexcept {
    caught_signal = 0;
    sigset_t waiting;
    ::sigemptyset(&waiting);
    for (std::size_t i = 0; i < signals.size(); ++i) {
      // What the parent ignores stays ignored.
      if (::sigaction(signals[i], nullptr, &actions_[i]) != 0 || actions_[i].sa_handler == SIG_IGN) continue;
      struct sigaction note{};
      note.sa_handler = [](int signal) { caught_signal = signal; };
      ::sigaction(signals[i], &note, nullptr);
      ::sigaddset(&waiting, signals[i]);
    }
    // Only the wait for a key lets them in: one that comes a moment before it would else be met by a read that sleeps on.
    ::pthread_sigmask(SIG_BLOCK, &waiting, &mask_);
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    on_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  ~Silence() {
    if (on_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &actions_[i], nullptr);
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

  /// Waits until there is something to read. False: a signal came.
  [[nodiscard]] bool wait() const noexcept {
    pollfd terminal{STDIN_FILENO, POLLIN, 0};
    while (caught_signal == 0) {
      if (::ppoll(&terminal, 1, nullptr, &mask_) >= 0 || errno != EINTR) return true;
    }
    return false;
  }

 private:
  static constexpr std::array signals{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
  std::array<struct sigaction, signals.size()> actions_{};
  sigset_t mask_{};
  termios before_{};
  bool on_ = false;
};

/// Byte by byte, so that nothing behind the line is taken from whoever reads stdin next.
Outcome<std::string> read_line(const Silence* silence = nullptr) {
  std::string line;
  for (;;) {
    if (silence != nullptr && !silence->wait()) return failed("");
    char next = 0;
    const auto got = ::read(STDIN_FILENO, &next, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 && line.empty()) {
      if (::isatty(STDIN_FILENO) == 1) {
        std::fputc('\n', stderr);
        return usage("No answer was given; nothing was done.");
      }
      return usage("A line is missing on stdin; give each answer there in a line of its own, or run this in a terminal.");
    }
    if (got <= 0 || next == '\n') break;
    if (line.size() == line_max_bytes) return usage("The line on stdin is too long.");
    line += next;
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

/// Characters, for padding: bytes that begin one.
std::size_t width(std::string_view text) noexcept {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

}  // namespace

bool StandardInput::is_terminal() const { return ::isatty(STDIN_FILENO) == 1; }

Outcome<std::string> StandardInput::line(std::string_view prompt, bool secret) {
  if (!is_terminal()) return read_line();
  const auto show_prompt = [&] {
    std::fprintf(stderr, "%.*s", static_cast<int>(prompt.size()), prompt.data());
    std::fflush(stderr);
  };
  for (;;) {
    if (!secret) {
      show_prompt();
      return read_line();
    }
    auto line = [&] {
      const Silence silence;  // Before the prompt: what is typed as soon as that is seen is neither shown nor lost.
      show_prompt();
      return read_line(&silence);
    }();
    const int signal = std::exchange(caught_signal, 0);
    if (signal == 0) return line;
    // Now that the terminal is as it was. Whoever was only stopped is asked again.
    std::fputc('\n', stderr);
    ::raise(signal);
  }
}

Outcome<std::string> ask_password(Input& input, std::string_view prompt) { return input.line(prompt, true); }

namespace {

Outcome<std::string> ask_twice(Input& input, std::string_view prompt) {
  auto first = input.line(prompt, true);
  if (!first || !input.is_terminal()) return first;
  const auto second = input.line("The same again: ", true);
  if (!second) return second.error();
  if (*first != *second) return usage("The two are not the same; try again.");
  return first;
}

}  // namespace

Outcome<std::string> ask_new_password(Input& input, std::string_view prompt) {
  auto password = ask_twice(input, prompt);
  if (!password) return password;
  if (const auto complaint = domain::check_password(*password)) return usage(*complaint);
  return password;
}

Outcome<std::string> ask_new_passphrase(Input& input) {
  auto passphrase = ask_twice(input, "Recovery passphrase for this backup: ");
  if (!passphrase) return passphrase;
  if (passphrase->size() < 8) return usage("The passphrase is shorter than 8 characters; choose a longer one.");
  return passphrase;
}

Outcome<void> confirm(Input& input, bool yes, std::string_view question) {
  if (yes) return {};
  if (!input.is_terminal()) return usage(std::string{question} + " Add --yes to do it without being asked.");
  const auto answer = input.line(std::string{question} + " Type yes to go on: ", false);
  if (!answer) return answer.error();
  if (*answer != "yes") return failed("Nothing was done.");
  return {};
}

std::string printable(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const auto character = wire::first_character(text);
    const std::size_t size = std::max<std::size_t>(character.size_bytes, 1);
    if (character.shown) {
      shown += text.substr(0, size);
    } else {
      shown += '?';
    }
    text.remove_prefix(size);
  }
  return shown;
}

std::string format_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<std::string>> cells{header};
  for (const auto& row : rows) {
    auto& line = cells.emplace_back();
    for (const auto& cell : row) line.push_back(printable(cell));
  }
  std::vector<std::size_t> widths(header.size(), 0);
  for (const auto& row : cells) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const auto& row : cells) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - width(row[i]) + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

std::string format_time(std::int64_t utc_ms) {
  if (utc_ms == 0) return "never";
  const std::time_t seconds = static_cast<std::time_t>(utc_ms / 1000);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[32];
  const auto size = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return {text, size};
}

std::string c_string(std::string_view text) {
  std::string literal = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') literal += '\\';
    literal += c;
  }
  return literal + "\"";
}

}  // namespace muster::cli
