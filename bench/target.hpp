// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::bench {

inline constexpr std::size_t token_size_chars = 32;

/// AuthTokens to log in with, walked round and round. A file has one token a line.
class Tokens {
 public:
  /// Made-up tokens, for a server that checks none.
  static Tokens made_up(std::size_t count);
  /// nullopt: the file cannot be read, is empty, or has a line that is not 32 characters.
  static std::optional<Tokens> load(const std::string& path);

  [[nodiscard]] std::size_t count() const noexcept { return text_.size() / token_size_chars; }
  /// Valid while *this is.
  [[nodiscard]] std::string_view at(std::size_t index) const noexcept {
    return std::string_view{text_}.substr(index % count() * token_size_chars, token_size_chars);
  }
  /// The next one; every token comes once before the first comes again.
  [[nodiscard]] std::string_view next() noexcept { return at(next_++); }

 private:
  std::string text_;
  std::size_t next_ = 0;
};

/// A server under test.
struct Target {
  std::string name;
  sockaddr_in address{};
  pid_t pid = 0;
  Tokens tokens;
};

/// Parses "name=N,addr=A.B.C.D:PORT,pid=P[,tokens=FILE]". On failure `problem` says why, for a person.
std::optional<Target> parse_target(std::string_view text, std::string& problem);

/// One measured stretch of work.
struct Window {
  std::uint64_t operations = 0;
  std::uint64_t server_cpu_ns = 0;
  std::uint64_t wall_ns = 0;
  std::uint64_t client_cpu_ns = 0;
  std::vector<std::uint32_t> latencies_us;  ///< Of some operations; may be empty.
};

struct Options {
  std::uint64_t window_ns = 400'000'000;
  std::uint64_t operations_max = 10'000'000;  ///< A window ends at whichever comes first.
  std::size_t connections = 0;
  std::size_t outstanding = 1;
  std::size_t frames_per_write = 20;
  std::size_t rate_per_s = 500;  ///< paced_login.
  std::string threads;           ///< CPU time of the threads whose name begins so; empty: of all.
  std::size_t rounds = 5;
  std::uint64_t settle_ns = 0;  ///< Wait before the second reading of the server's CPU: what it does behind belongs to the window.
  bool tls = false;
  bool resume = false;
  bool leave_by_reset = false;  ///< login: RST instead of FIN.
};

/// A scenario against one server; keeps what it needs between windows (open connections, TLS tickets).
/// Anything that goes wrong (a refused login, a wrong reply, a closed connection, 20 s without progress) ends the program with
/// a sentence and exit status 1: a bench that measures errors is worse than none.
class Scenario {
 public:
  virtual ~Scenario() = default;
  /// Does work for one window and waits until the server has answered all of it.
  virtual void run_window(Window& window) = 0;
};

}  // namespace muster::bench
