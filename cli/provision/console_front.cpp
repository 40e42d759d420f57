// SPDX-License-Identifier: Apache-2.0
#include "cli/provision/console_front.hpp"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ostream>
#include <utility>

#include "cli/json_text.hpp"

namespace muster::cli {

namespace pv = muster::provisioner;
using agent::Millis;

namespace {

constexpr std::size_t answer_max_bytes = 1024;
constexpr const char* password_variable = "MUSTER_WIFI_PASSWORD";

/// Nothing that is typed is shown, as long as one exists.
class Unseen {
 public:
  explicit Unseen(bool wanted) : silenced_{wanted && ::tcgetattr(STDIN_FILENO, &before_) == 0} {
    if (!silenced_) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~Unseen() {
    if (silenced_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;

 private:
  termios before_{};
  bool silenced_;
};

/// The number that was typed, from 1 to `count`; 0: it is none of them.
std::size_t number_in(const std::string& answer, std::size_t count) {
  if (answer.empty() || answer.size() > 3 || answer.find_first_not_of("0123456789") != std::string::npos) return 0;
  const std::size_t number = std::stoul(answer);
  return number <= count ? number : 0;
}

}  // namespace

ConsoleFront::ConsoleFront(Context& context, const ProvisionOptions& options, const WakePipe& pipe, const StopSignals& signals,
                           agent::Clock& clock)
    : context_{context},
      options_{options},
      pipe_{pipe},
      signals_{signals},
      clock_{clock},
      began_{clock.now()},
      is_live_{!context.globals.json && context.input.is_terminal() && ::isatty(STDOUT_FILENO) == 1} {}

// ---- what is shown

void ConsoleFront::on_report(const pv::Report& report, Millis now) {
  const auto step = std::string{pv::to_text(report.step)};
  const auto message = printable(report.message);
  if (context_.globals.json) {
    json::object event{{"event", "step"}, {"step", step}, {"state", std::string{pv::to_text(report.state)}}, {"atMs", now - began_}};
    if (report.code != 0) event["code"] = report.code;
    if (!message.empty()) event["message"] = message;
    print_json(context_.out, event);
    context_.out.flush();
    return;
  }
  clear_line();
  if (report.state == pv::StepState::left) return;
  const bool begun = report.state == pv::StepState::begun;
  if (begun && !is_live_) return;
  char time[32];
  std::snprintf(time, sizeof time, "%7.1f s", static_cast<double>(now - began_) / 1000.0);
  const char* const word = begun ? "  ...     " : report.state == pv::StepState::done ? "  ok      " : "  FAILED  ";
  context_.out << time << word << step << (message.empty() ? "" : ": " + message) << (begun ? "" : "\n") << std::flush;
  line_is_open_ = begun;
}

/// Of the step under way; other words take its place.
void ConsoleFront::clear_line() {
  if (std::exchange(line_is_open_, false)) context_.out << "\r\x1b[K" << std::flush;
}

void ConsoleFront::on_warning(std::string_view code, const std::string& message, Millis) {
  if (context_.globals.json) {
    print_json(context_.out, json::object{{"event", "warning"}, {"name", std::string{code}}, {"message", printable(message)}});
  } else {
    clear_line();
    context_.err << "Warning: " << printable(message) << "\n";
  }
}

// ---- what is asked

void ConsoleFront::on_choose_device(const std::vector<pv::AccessPoint>& devices, Millis) {
  std::vector<std::string> names;
  for (const auto& device : devices) names.push_back(device.ssid);
  question_ = [this, names] { choose("Several devices wait. Which one", names, false); };
}

void ConsoleFront::on_choose_network(const std::vector<pv::SeenNetwork>& networks, Millis) {
  std::vector<std::string> names;
  for (const auto& network : networks) names.push_back(network.ssid);
  question_ = [this, names] { choose("Which network shall the device join", names, true); };
}

void ConsoleFront::on_ask_password(const std::string& ssid, Millis) {
  question_ = [this, ssid] { ask_password(ssid); };
}

Outcome<void> ConsoleFront::read_given_password() {
  if (options_.password_from_stdin) {
    auto line = ask("Password of " + (options_.ssid.empty() ? "the Wi-Fi network" : printable(options_.ssid)) + ": ", true);
    if (!line) return line.error();
    password_ = std::move(*line);
  } else if (char* const known = std::getenv(password_variable); known != nullptr) {
    password_ = known;
    // Neither programs that are started from here nor whoever looks into /proc shall find it.
    explicit_bzero(known, std::strlen(known));
    ::unsetenv(password_variable);
  }
  return {};
}

void ConsoleFront::serve() {
  if (!question_) return;
  clear_line();
  std::exchange(question_, nullptr)();
}

void ConsoleFront::refuse(const Failure& failure) {
  refusal_ = failure;
  provisioner_->stop(clock_.now());
}

void ConsoleFront::choose(const std::string& question, const std::vector<std::string>& names, bool network) {
  if (!context_.input.is_terminal() && !network && names.size() == 1) {
    provisioner_->choose_device(names.front(), clock_.now());
    return;
  }
  if (!context_.input.is_terminal()) {
    refuse(usage(network ? "Say which network the device shall join: --ssid NAME"
                         : "Several devices wait for set-up; say which: --device-name NAME"));
    return;
  }
  for (std::size_t i = 0; i < names.size(); ++i) context_.err << "  " << i + 1 << "  " << printable(names[i]) << "\n";
  const auto answer = ask(question + " (number" + (network ? " or name" : "") + ")? ", false);
  if (!answer) {
    refuse(answer.error());
    return;
  }
  const std::size_t number = number_in(*answer, names.size());
  if (network) {
    provisioner_->choose_network(number != 0 ? names[number - 1] : *answer, clock_.now());
  } else if (number != 0) {
    provisioner_->choose_device(names[number - 1], clock_.now());
  } else {
    refuse(usage("There is no such device in the list."));
  }
}

void ConsoleFront::ask_password(const std::string& ssid) {
  const auto password = password_ ? Outcome<std::string>{*password_} : ask("Password of " + printable(ssid) + ": ", true);
  if (!password) {
    refuse(password.error());
  } else {
    provisioner_->give_password(*password, clock_.now());
  }
}

/// As Input::line, but Ctrl-C comes back as a failure, so that the host's Wi-Fi can be put back.
Outcome<std::string> ConsoleFront::ask(const std::string& prompt, bool secret) {
  if (!context_.input.is_terminal() || ::isatty(STDIN_FILENO) != 1) {
    if (!wait_for_input()) return Failure{exit_failed, {}, {}};
    return context_.input.line(prompt, secret);
  }
  const Unseen unseen{secret};  // Before the prompt: what is typed as soon as that is seen is neither shown nor lost.
  context_.err << prompt << std::flush;
  std::string line;
  if (!read_line(line)) return Failure{exit_failed, {}, {}};
  return line;
}

/// Until there is something on stdin, or its end. False: Ctrl-C.
bool ConsoleFront::wait_for_input() const {
  std::array<pollfd, 2> waiting{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{pipe_.fd(), POLLIN, 0}};
  while (!signals_.seen() && waiting[0].revents == 0) {
    ::poll(waiting.data(), waiting.size(), -1);
    pipe_.drain();
  }
  return !signals_.seen();
}

/// Byte by byte from the terminal. False: Ctrl-C, or its end.
bool ConsoleFront::read_line(std::string& line) const {
  while (line.size() < answer_max_bytes && wait_for_input()) {
    char byte = 0;
    if (::read(STDIN_FILENO, &byte, 1) != 1) return false;
    if (byte == '\n') return true;
    line += byte;
  }
  return false;
}

}  // namespace muster::cli
