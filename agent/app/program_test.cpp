// SPDX-License-Identifier: Apache-2.0
// The program muster-agent as people run it, against a small scripted server.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "agent/ports/linux/test_server.hpp"

namespace muster::agent {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using namespace std::string_view_literals;
using test::frame;
using test::Peer;
using test::response;
using test::Server;
using ::testing::HasSubstr;
using ::testing::Not;
using wire::Command;

/// A running muster-agent; killed at the end when it did not end itself.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments, const std::string& input = {}) {
    int in[2];
    int out[2];
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    std::vector<std::string> words{MUSTER_BIN_DIR "/muster-agent"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (std::string& word : words) {
      pointers.push_back(word.data());
    }
    pointers.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], 0);
      dup2(out[1], 1);
      dup2(out[1], 2);
      execv(pointers[0], pointers.data());
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    EXPECT_EQ(::write(in[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
    close(in[1]);
    out_ = out[0];
  }
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(out_);
  }
  /// Reads until `text` was written, at most 15 s; false when it never was.
  bool wait_for(const std::string& text) {
    const auto end = std::chrono::steady_clock::now() + 15s;
    while (output_.find(text) == std::string::npos) {
      if (std::chrono::steady_clock::now() > end || !read_some(100)) {
        return output_.find(text) != std::string::npos;
      }
    }
    return true;
  }
  /// The exit code, after all output was read; -1 when it was killed by a signal.
  int wait_exit() {
    const auto end = std::chrono::steady_clock::now() + 15s;
    while (read_some(100) && std::chrono::steady_clock::now() < end) {}
    int status = 0;
    if (std::chrono::steady_clock::now() >= end || waitpid(pid_, &status, 0) != pid_) {
      return -1;
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void send_signal(int number) const { kill(pid_, number); }
  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] std::string command_line() const {
    std::ifstream in{"/proc/" + std::to_string(pid_) + "/cmdline"};
    return {std::istreambuf_iterator<char>{in}, {}};
  }

 private:
  /// False at the end of the output.
  bool read_some(int wait_ms) {
    pollfd waiting{out_, POLLIN, 0};
    if (poll(&waiting, 1, wait_ms) <= 0) {
      return true;
    }
    char room[4096];
    const ssize_t got = ::read(out_, room, sizeof room);
    if (got <= 0) {
      return false;
    }
    output_.append(room, static_cast<std::size_t>(got));
    return true;
  }

  pid_t pid_ = -1;
  int out_ = -1;
  std::string output_;
};

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() {
    std::string pattern = (fs::temp_directory_path() / "muster-agent-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    store_ = (root_ / "store").string();
  }
  ~ProgramTest() override { fs::remove_all(root_); }

  static std::string content(const fs::path& path) {
    std::ifstream in{path};
    return {std::istreambuf_iterator<char>{in}, {}};
  }

  fs::path root_;
  std::string store_;
};

/// Accepts the login, pushes to V10, and reads until the connection ends; `frames` gets what came.
Server::Script session(std::vector<std::string>& frames) {
  return [&frames](Peer& peer) {
    frames.push_back(peer.read_frame());
    peer.write(response(1, 200));
    frames.push_back(peer.read_frame());
    peer.write(response(2, 200));
    peer.write(frame(Command::hardware, 9,
                     "vw\0"
                     "10\0dim"sv));
    for (std::string next = peer.read_frame(); !next.empty(); next = peer.read_frame()) {
      frames.push_back(next);
    }
  };
}

TEST_F(ProgramTest, BecomesActiveOverTlsRemembersItAndEndsOnSigterm) {
  const test::Identified ca = test::make_certificate(nullptr, "Test CA", "");
  const test::Identified identity = test::make_certificate(&ca, "cloud", "DNS:localhost");
  const std::string pem = test::write_pem(ca, "program-ca.pem");
  std::vector<std::string> first;
  {
    Server server{session(first), &identity};
    Program program{{"--store", store_, "--template", "TMPL2abcdefgh", "--token", std::string{test::token}, "--host", "localhost", "--port",
                     std::to_string(server.port()), "--ca", pem, "--json"}};
    ASSERT_TRUE(program.wait_for("\"event\":\"write\"")) << program.output();
    EXPECT_THAT(program.command_line(), Not(HasSubstr(std::string{test::token})));
    EXPECT_THAT(program.command_line(), HasSubstr("********"));
    program.send_signal(SIGTERM);
    EXPECT_EQ(program.wait_exit(), 0);
    const std::string& output = program.output();
    std::size_t at = 0;
    for (const char* event : {"connecting", "connected", "login_ok", "info_sent", "info_accepted", "online", "first_value_sent", "write",
                              "disconnected", "stopped"}) {
      at = output.find("{\"event\":\"" + std::string{event} + '"', at);
      ASSERT_NE(at, std::string::npos) << event << " in:\n" << output;
    }
    EXPECT_THAT(output, HasSubstr("\"pin\":10,\"value\":\"dim\",\"t_ms\":"));
    EXPECT_THAT(output, Not(HasSubstr(std::string{test::token})));
  }
  ASSERT_GE(first.size(), 7U);
  EXPECT_EQ(first[0], "29:1:" + std::string{test::token});
  EXPECT_THAT(first[1], HasSubstr("|tmpl|TMPL2abcdefgh"));
  EXPECT_THAT(first[1], HasSubstr("|agent|muster|"));
  EXPECT_THAT(first, ::testing::Contains("16:3:vr|10"));
  EXPECT_THAT(first, ::testing::Contains(HasSubstr(":vw|0|")));
  EXPECT_THAT(first, ::testing::Contains(HasSubstr(":vw|1|")));
  EXPECT_THAT(first, ::testing::Contains(HasSubstr(":vw|2|")));
  EXPECT_THAT(first, ::testing::Contains(HasSubstr(":vw|11|dim")));

  struct stat info{};
  ASSERT_EQ(stat(store_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  for (const char* name : {"config", "ca.pem"}) {
    ASSERT_EQ(stat((store_ + '/' + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << name;
  }

  // All but the port is remembered, the CA too.
  fs::remove(pem);
  std::vector<std::string> second;
  {
    Server server{session(second), &identity};
    Program program{{"--store", store_, "--port", std::to_string(server.port())}};
    ASSERT_TRUE(program.wait_for("V10 = dim")) << program.output();
    program.send_signal(SIGINT);
    EXPECT_EQ(program.wait_exit(), 0);
    EXPECT_THAT(program.output(), HasSubstr(" ms  online"));
  }
  ASSERT_GE(second.size(), 2U);
  EXPECT_EQ(second[0], first[0]);
}

TEST_F(ProgramTest, ReadsTheTokenFromStdinAndKeepsItWhenTheCloudDoesNotKnowIt) {
  Server server{[](Peer& peer) {
    EXPECT_EQ(peer.read_frame(), "29:1:" + std::string{test::token});
    peer.write(response(1, 9));
  }};
  Program program{{"--store", store_, "--template", "TMPL2abcdefgh", "--token", "-", "--host", "127.0.0.1", "--port",
                   std::to_string(server.port()), "--plain"},
                  std::string{test::token} + " \r\n"};
  ASSERT_TRUE(program.wait_for("next try in")) << program.output();
  EXPECT_THAT(program.output(), HasSubstr("does not know this token"));
  program.send_signal(SIGTERM);
  EXPECT_EQ(program.wait_exit(), 0);
  EXPECT_THAT(content(store_ + "/config"), HasSubstr(std::string{test::token}));
}

TEST_F(ProgramTest, FindsTheTokenInWhatMusterDeviceTokenPrints) {
  Server server{[](Peer& peer) {
    EXPECT_EQ(peer.read_frame(), "29:1:" + std::string{test::token});
    peer.write(response(1, 9));
  }};
  Program program{{"--store", store_, "--template", "TMPL2abcdefgh", "--token", "-", "--host", "127.0.0.1", "--port",
                   std::to_string(server.port()), "--plain"},
                  "#define BLYNK_TEMPLATE_ID   \"TMPL2abcdefgh\"\n#define BLYNK_TEMPLATE_NAME \"Lamp\"\n#define BLYNK_AUTH_TOKEN    \"" +
                      std::string{test::token} + "\"\n\nBlynk.begin(BLYNK_AUTH_TOKEN, ssid, pass, \"localhost\", 80);\n"};
  ASSERT_TRUE(program.wait_for("does not know this token")) << program.output();
  program.send_signal(SIGTERM);
  EXPECT_EQ(program.wait_exit(), 0);
}

TEST_F(ProgramTest, ReportsAgainAfterItsInterval) {
  std::vector<std::string> frames;
  {
    Server server{session(frames)};
    Program program{{"--store", store_, "--template", "TMPL2abcdefgh", "--token", std::string{test::token}, "--host", "127.0.0.1", "--port",
                     std::to_string(server.port()), "--plain", "--report-interval-s", "1"}};
    ASSERT_TRUE(program.wait_for("online"));
    std::this_thread::sleep_for(2500ms);
    program.send_signal(SIGTERM);
    EXPECT_EQ(program.wait_exit(), 0);
  }
  const auto reports =
      std::count_if(frames.begin(), frames.end(), [](const std::string& f) { return f.find(":vw|0|") != std::string::npos; });
  EXPECT_GE(reports, 3);
  EXPECT_LE(reports, 4);
}

TEST_F(ProgramTest, SaysWhatIsWrongAndExitsWith2) {
  const auto expect = [](const std::vector<std::string>& arguments, const std::string& text, int code = 2) {
    Program program{arguments};
    EXPECT_EQ(program.wait_exit(), code);
    EXPECT_THAT(program.output(), HasSubstr(text));
    EXPECT_EQ(std::count(program.output().begin(), program.output().end(), '\n'), 1) << program.output();
  };
  expect({}, "--store is missing");
  expect({"--store", store_, "--bogus"}, "Unknown argument \"--bogus\"");
  expect({"--store", store_, "--port", "99999"}, "--port needs a number");
  expect({"--store", store_}, "give --template ID");
  expect({"--store", store_, "--template", "T"}, "give --token TOKEN");
  expect({"--store", store_, "--template", "T", "--token", std::string{test::token}}, "give --host HOST");
  expect({"--store", store_, "--template", "T", "--token", "-", "--host", "h"}, "32 characters");  // stdin is empty.
  expect({"--store", store_, "--template", "T", "--token", std::string{test::token}, "--host", "h", "--ca", "/nonexistent"},
         "Cannot read a CA certificate (PEM) from /nonexistent");
  EXPECT_FALSE(fs::exists(store_ + "/config"));  // Nothing of all that was remembered.
  expect({"--store", "/nonexistent/store"}, "Cannot make the store /nonexistent/store", 1);
}

TEST_F(ProgramTest, TellsDamagedAndNewerSettings) {
  fs::create_directory(store_);
  std::ofstream{store_ + "/config"} << "damaged";
  Program damaged{{"--store", store_}};
  EXPECT_EQ(damaged.wait_exit(), 1);
  EXPECT_THAT(damaged.output(), HasSubstr("are damaged. Give --token, --host and --template again."));
}

TEST_F(ProgramTest, WithoutBluetoothItSaysSoAndOpensItsNetworkAlone) {
  ::setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
  Program program{{"--store", store_, "--template", "TMPL2abcdefgh", "--radio", "sim:" + store_ + "-air", "--ble", "--json"}};
  ::unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
  ASSERT_TRUE(program.wait_for("D-Bus"));
  if (program.output().find("built without") != std::string::npos) {
    EXPECT_EQ(program.wait_exit(), 2);
    return;
  }
  EXPECT_THAT(program.output(), HasSubstr(R"({"event":"ble","text":"There is no system D-Bus)"));
  EXPECT_TRUE(program.wait_for("setup_opened"));
}

TEST_F(ProgramTest, HelpAndVersion) {
  Program help{{"--help"}};
  EXPECT_EQ(help.wait_exit(), 0);
  EXPECT_THAT(help.output(), HasSubstr("--report-interval-s"));
  Program version{{"--version"}};
  EXPECT_EQ(version.wait_exit(), 0);
  EXPECT_THAT(version.output(), HasSubstr("muster-agent 0."));
}

}  // namespace
}  // namespace muster::agent
