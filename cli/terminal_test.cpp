// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.hpp"

#include <gtest/gtest.h>

#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string>
#include <thread>

#include "cli/fake_input.hpp"

namespace muster::cli {
namespace {

TEST(Terminal, TextFromOthersCannotMoveTheCursor) {
  EXPECT_EQ(printable("Lamp"), "Lamp");
  EXPECT_EQ(printable("Kühlraum 温室"), "Kühlraum 温室");
  EXPECT_EQ(printable("a\x1b[31mred\r\nb\x7f"), "a?[31mred??b?");
  EXPECT_EQ(printable("a\xC2\x9B"
                      "31m"),
            "a?31m");
  EXPECT_EQ(printable("a\xE2\x80\xAE"
                      "b"),
            "a?b");
  EXPECT_EQ(printable("a\xFF"), "a?");
}

TEST(Terminal, ColumnsAreAlignedByCharacters) {
  EXPECT_EQ(format_table({"ID", "NAME", "X"}, {{"1", "Ü", "a"}, {"100", "Lamp", "b"}}), "ID   NAME  X\n1    Ü     a\n100  Lamp  b\n");
  EXPECT_EQ(format_table({"ID"}, {}), "ID\n");
  EXPECT_EQ(format_table({"A", "B"}, {{"x\n", "y"}}), "A   B\nx?  y\n");
}

TEST(Terminal, TimesAreLocal) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  EXPECT_EQ(format_time(0), "never");
  EXPECT_EQ(format_time(1'767'225'600'999), "2026-01-01 00:00:00");
}

TEST(Terminal, CStrings) { EXPECT_EQ(c_string("a\"b\\c"), "\"a\\\"b\\\\c\""); }

TEST(Terminal, NewPasswordsAreAskedTwiceOnATerminal) {
  FakeInput same{{"long enough", "long enough"}, true};
  EXPECT_EQ(ask_new_password(same, "Password: ").value(), "long enough");
  EXPECT_TRUE(same.secrets[0] && same.secrets[1]);
  FakeInput different{{"long enough", "Long enough"}, true};
  EXPECT_EQ(ask_new_password(different, "Password: ").error().exit_code, exit_usage);
  FakeInput piped{{"long enough", "next line"}};
  EXPECT_EQ(ask_new_password(piped, "Password: ").value(), "long enough");
  EXPECT_EQ(piped.left(), 1u);
  FakeInput shorter{{"short"}};
  EXPECT_EQ(ask_new_password(shorter, "Password: ").error().exit_code, exit_usage);
  FakeInput nothing;
  EXPECT_EQ(ask_new_password(nothing, "Password: ").error().exit_code, exit_usage);
  FakeInput weak{{"seven77"}};
  EXPECT_FALSE(ask_new_passphrase(weak));
}

/// A process that asks for a password on a terminal of its own; ends with 0 when it was told "secret".
class Asking {
 public:
  Asking() {
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
      for (const int signal : {SIGINT, SIGTERM, SIGTSTP}) ::signal(signal, SIG_DFL);
      StandardInput input;
      const auto line = input.line("Password: ", true);
      ::_exit(line && *line == "secret" ? 0 : 1);
    }
  }
  ~Asking() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(terminal_);
  }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

  [[nodiscard]] bool echoes() const {
    termios state{};
    return ::tcgetattr(terminal_, &state) == 0 && (state.c_lflag & ECHO) != 0;
  }
  [[nodiscard]] bool becomes_silent() const {
    for (int i = 0; i < 1'000 && echoes(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds{5});
    return !echoes();
  }
  void type(std::string_view keys) const { ASSERT_EQ(::write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size())); }
  void signal(int number) const { ::kill(pid_, number); }
  [[nodiscard]] bool shows(std::string_view text) const {
    std::string shown;
    for (int i = 0; i < 1'000 && shown.find(text) == std::string::npos; ++i) {
      pollfd more{terminal_, POLLIN, 0};
      char room[256];
      if (::poll(&more, 1, 5) <= 0) continue;
      if (const auto got = ::read(terminal_, room, sizeof room); got > 0) shown.append(room, static_cast<std::size_t>(got));
    }
    return shown.find(text) != std::string::npos;
  }
  /// How it ended.
  [[nodiscard]] int status() const {
    int status = 0;
    for (int i = 0; i < 1'000; ++i) {
      if (::waitpid(pid_, &status, WNOHANG) == pid_) return status;
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    ADD_FAILURE() << "it goes on";
    return -1;
  }

 private:
  int terminal_ = -1;
  pid_t pid_ = -1;
};

TEST(Terminal, APasswordIsReadWithoutEcho) {
  const Asking asking;
  ASSERT_TRUE(asking.becomes_silent());
  asking.type("secret\n");
  EXPECT_EQ(asking.status(), 0);
}

TEST(Terminal, WhoeverInterruptsAPasswordPromptGetsHisEchoBack) {
  for (const bool by_key : {true, false}) {
    const Asking asking;
    ASSERT_TRUE(asking.becomes_silent());
    asking.type("sec");
    if (by_key)
      asking.type("\x03");
    else
      asking.signal(SIGTERM);
    const int status = asking.status();
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), by_key ? SIGINT : SIGTERM);
    EXPECT_TRUE(asking.echoes());
  }
}

TEST(Terminal, WhoeverStoppedAtAPasswordPromptIsAskedAgain) {
  const Asking asking;
  ASSERT_TRUE(asking.becomes_silent());
  asking.type("half");
  // No shell looks after this process, so that the system does not stop it: it goes on at once.
  asking.signal(SIGTSTP);
  EXPECT_TRUE(asking.shows("Password: \r\nPassword: "));
  ASSERT_TRUE(asking.becomes_silent());
  asking.type("secret\n");
  EXPECT_EQ(asking.status(), 0);
}

TEST(Terminal, DestructiveCommandsAsk) {
  FakeInput yes{{"yes"}, true}, no{{"y"}, true}, piped{{"yes"}};
  EXPECT_TRUE(confirm(yes, false, "Sure?"));
  EXPECT_EQ(confirm(no, false, "Sure?").error().exit_code, exit_failed);
  EXPECT_EQ(confirm(piped, false, "Sure?").error().exit_code, exit_usage);
  EXPECT_TRUE(confirm(piped, true, "Sure?"));
  EXPECT_EQ(piped.left(), 1u);
}

}  // namespace
}  // namespace muster::cli
