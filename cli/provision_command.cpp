// SPDX-License-Identifier: Apache-2.0
// `muster provision`: the provisioner's state machine in a poll loop, with the simulated air or a socket on the device's side and the HTTP
// API on the cloud's. The API is asked on a thread of its own, because its calls wait.
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "agent/ports/sim/air_socket.hpp"
#include "cli/commands.hpp"
#include "cli/json_text.hpp"
#include "cli/saved_login.hpp"
#include "provisioner/provisioner.hpp"
#include "provisioner/radios/air_radio.hpp"

namespace muster::cli {

namespace {

namespace pv = muster::provisioner;
using agent::Millis;

Millis now_ms() {
  return static_cast<Millis>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

constexpr Millis air_wait_ms = 5'000;     ///< For somebody on the air.
constexpr Millis last_words_ms = 10'000;  ///< For what the cloud is still to be told.

/// A pipe that wakes poll(2): written by the signal handler and by the cloud's thread.
struct WakePipe {
  WakePipe() {
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) ends[0] = ends[1] = -1;
  }
  ~WakePipe() {
    for (const int end : ends) {
      if (end >= 0) ::close(end);
    }
  }
  WakePipe(const WakePipe&) = delete;
  WakePipe& operator=(const WakePipe&) = delete;
  void drain() const {
    char room[64];
    while (::read(ends[0], room, sizeof room) > 0) continue;
  }
  void wake() const {
    const char byte = 0;
    [[maybe_unused]] const auto written = ::write(ends[1], &byte, 1);
  }
  int ends[2] = {-1, -1};
};

volatile std::sig_atomic_t signal_wakes = -1;
volatile std::sig_atomic_t signal_seen = 0;

/// Ctrl-C and SIGTERM end the set-up in good order; a second one ends the program.
class StopSignals {
 public:
  explicit StopSignals(int wakes) {
    signal_seen = 0;
    signal_wakes = wakes;
    struct sigaction action{};
    action.sa_handler = [](int) {
      const int error = errno;
      signal_seen = 1;
      const char byte = 0;
      [[maybe_unused]] const auto written = ::write(signal_wakes, &byte, 1);
      errno = error;
    };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &action, &before_[i]);
  }
  ~StopSignals() {
    for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before_[i], nullptr);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  static constexpr std::array signals{SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, signals.size()> before_{};
};

/// The cloud's API on its own thread; answers come back through take().
class CloudThread final : public pv::CloudApi {
 public:
  CloudThread(ApiClient client, const WakePipe& pipe, std::optional<std::int64_t> organization)
      : client_{std::move(client)}, pipe_{pipe}, organization_{organization}, thread_{[this] { work(); }} {}
  ~CloudThread() {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    wanted_.notify_all();
    thread_.join();
  }
  CloudThread(const CloudThread&) = delete;
  CloudThread& operator=(const CloudThread&) = delete;
  void attach(pv::Provisioner& provisioner) { provisioner_ = &provisioner; }

  void ask_template(const std::string& id) override {
    ask("GET", "/api/v1/template", {{"templateId", id}}, std::nullopt,
        [](pv::Provisioner& to, const json::value&, Millis now) { to.on_template(true, now); });
  }
  void ask_reconfigure(std::int64_t id) override {
    ask("POST", "/api/v1/organization/device/provision/reconfigure", {}, json::object{{"deviceId", id}},
        [](pv::Provisioner& to, const json::value& answer, Millis now) { to.on_reconfigure(flag_of(answer, "deviceIsOffline"), now); });
  }
  void ask_token(const pv::TokenRequest& request) override {
    json::object body{{"client", "muster provision"}};
    put_given(body, "uid", request.uid);
    std::string path = "/api/v1/organization/device/provision/token";
    if (request.device_id != 0) {
      path = "/api/v1/organization/device/provision/reprovision/token";
      body["deviceId"] = request.device_id;
    } else {
      put_given(body, "templateId", request.template_id);
      if (organization_) body["orgId"] = *organization_;
    }
    ask("POST", path, {}, std::move(body), [](pv::Provisioner& to, const json::value& answer, Millis now) {
      pv::ProvisionToken token;
      token.token = text_of(answer, "token");
      token.device_id = number_of(answer, "deviceId");
      token.session_id = number_of(answer, "sessionId");
      token.host = text_of(answer, "host");
      token.port = static_cast<std::uint16_t>(number_of(answer, "port"));
      token.port_plain = static_cast<std::uint16_t>(number_of(answer, "portPlain"));
      const auto* const object = answer.if_object();
      const auto* const warnings = object == nullptr ? nullptr : object->if_contains("warnings");
      if (warnings != nullptr && warnings->is_array()) {
        for (const auto& warning : warnings->get_array()) {
          if (warning.is_string()) token.warnings.emplace_back(warning.get_string());
        }
      }
      to.on_token(token, now);
    });
  }
  void ask_session(std::int64_t id) override {
    ask("GET", "/api/v1/provision/session", {{"sessionId", std::to_string(id)}}, std::nullopt,
        [](pv::Provisioner& to, const json::value& answer, Millis now) {
          pv::SessionView view;
          view.state = text_of(answer, "state");
          const auto* const object = answer.if_object();
          if (const auto* const failure = object == nullptr ? nullptr : object->if_contains("failure"); failure != nullptr) {
            view.failure = static_cast<std::uint16_t>(number_of(*failure, "code"));
            view.failure_message = text_of(*failure, "sentence");
          }
          to.on_session(view, now);
        });
  }
  void post_step(std::int64_t id, std::string_view step, std::uint16_t code, std::string_view message) override {
    json::object body{{"step", std::string{step}}, {"code", code}};
    put_given(body, "message", printable(message));
    ask("POST", "/api/v1/provision/session/" + std::to_string(id) + "/step", {}, std::move(body), nullptr);
  }
  void cancel_session(std::int64_t id) override {
    ask("DELETE", "/api/v1/provision/session/" + std::to_string(id), {}, std::nullopt, nullptr);
  }

  /// Hands over what has come.
  void deliver(Millis now) {
    std::deque<std::function<void(Millis)>> answers;
    {
      const std::lock_guard lock{mutex_};
      answers.swap(answers_);
    }
    for (const auto& answer : answers) answer(now);
  }
  /// Waits until all was sent, but not for ever.
  void finish() {
    std::unique_lock lock{mutex_};
    idle_.wait_for(lock, std::chrono::milliseconds{last_words_ms}, [this] { return work_.empty() && !busy_; });
    work_.clear();
  }

 private:
  using Answer = std::function<void(pv::Provisioner&, const json::value&, Millis)>;
  struct Work {
    std::string method, path;
    Query query;
    std::optional<json::object> body;
    Answer answer;  ///< Empty: nobody waits.
  };
  void ask(std::string method, std::string path, Query query, std::optional<json::object> body, Answer answer) {
    {
      const std::lock_guard lock{mutex_};
      work_.push_back({std::move(method), std::move(path), std::move(query), std::move(body), std::move(answer)});
    }
    wanted_.notify_one();
  }
  void work() {
    // Ctrl-C is the main thread's.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::unique_lock lock{mutex_};
    for (;;) {
      busy_ = false;
      if (work_.empty()) idle_.notify_all();
      wanted_.wait(lock, [this] { return stopping_ || !work_.empty(); });
      if (stopping_) return;
      const Work next = std::move(work_.front());
      work_.pop_front();
      busy_ = true;
      lock.unlock();
      auto answer = client_.call(next.method, next.path, next.query, next.body ? &*next.body : nullptr);
      lock.lock();
      if (!next.answer) continue;
      if (answer) {
        answers_.emplace_back([this, act = next.answer, value = std::move(*answer)](Millis now) { act(*provisioner_, value, now); });
      } else {
        const auto failure = answer.error();
        answers_.emplace_back([this, failure](Millis now) {
          provisioner_->on_cloud_trouble({failure.exit_code == exit_unreachable, failure.code == "not_found", failure.message}, now);
        });
      }
      pipe_.wake();
    }
  }

  ApiClient client_;
  const WakePipe& pipe_;
  std::optional<std::int64_t> organization_;
  pv::Provisioner* provisioner_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wanted_, idle_;
  std::deque<Work> work_;
  std::deque<std::function<void(Millis)>> answers_;
  bool stopping_ = false, busy_ = false;
  std::thread thread_;  // Last: it uses all of the above.
};

/// The device at an address.
class DirectHttp final : public pv::DeviceHttp {
 public:
  DirectHttp(std::string host, std::string port) : host_{std::move(host)}, port_{std::move(port)} {}
  ~DirectHttp() { cancel(); }
  DirectHttp(const DirectHttp&) = delete;
  DirectHttp& operator=(const DirectHttp&) = delete;
  void attach(pv::Provisioner& provisioner) { provisioner_ = &provisioner; }
  void get(const std::string& target) override {
    cancel();
    reader_ = {};
    outgoing_ = "GET " + target + " HTTP/1.1\r\nHost: " + host_ + "\r\nConnection: close\r\n\r\n";
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (::getaddrinfo(host_.c_str(), port_.c_str(), &hints, &found) == 0) {
      fd_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      if (fd_ >= 0 && ::connect(fd_, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS) {
        ::close(fd_);
        fd_ = -1;
      }
      ::freeaddrinfo(found);
    }
    failed_ = fd_ < 0;
  }
  void cancel() override {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    failed_ = false;
    outgoing_.assign(outgoing_.size(), '\0');
    outgoing_.clear();
  }
  [[nodiscard]] pollfd wanted() const { return {fd_, static_cast<short>(outgoing_.empty() ? POLLIN : POLLIN | POLLOUT), 0}; }
  [[nodiscard]] bool failed() const { return failed_; }
  void serve(short events, Millis now) {
    if (failed_) {
      cancel();
      provisioner_->on_device_no_answer(now);
      return;
    }
    if (fd_ < 0 || events == 0) return;
    if (!outgoing_.empty() && (events & POLLOUT) != 0) {
      const auto sent = ::send(fd_, outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL);
      if (sent > 0) outgoing_.erase(0, static_cast<std::size_t>(sent));
    }
    if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) return;
    char room[4096];
    const auto got = ::recv(fd_, room, sizeof room, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    const auto state = got > 0 ? reader_.feed({room, static_cast<std::size_t>(got)}) : reader_.finish();
    if (state == pv::HttpAnswerReader::State::reading) return;
    cancel();
    const pv::HttpAnswerReader answer = std::move(reader_);
    if (state == pv::HttpAnswerReader::State::complete) {
      provisioner_->on_device_answer(answer.status(), answer.body(), now);
    } else {
      provisioner_->on_device_no_answer(now);
    }
  }

 private:
  std::string host_, port_;
  pv::Provisioner* provisioner_ = nullptr;
  pv::HttpAnswerReader reader_;
  std::string outgoing_;
  int fd_ = -1;
  bool failed_ = false;
};

/// What the person sees and is asked.
class ConsoleFront final : public pv::Front {
 public:
  ConsoleFront(Context& context, const ProvisionOptions& options, const WakePipe& pipe)
      : context_{context}, options_{options}, pipe_{pipe}, began_{now_ms()} {}
  void attach(pv::Provisioner& provisioner) { provisioner_ = &provisioner; }

  void on_report(const pv::Report& report, Millis now) override {
    const auto step = std::string{pv::to_text(report.step)};
    const auto message = printable(report.message);
    if (context_.globals.json) {
      constexpr std::array<std::string_view, 3> states{"begun", "done", "failed"};
      json::object event{
          {"event", "step"}, {"step", step}, {"state", states[static_cast<std::size_t>(report.state)]}, {"atMs", now - began_}};
      if (report.code != 0) event["code"] = report.code;
      if (!message.empty()) event["message"] = message;
      print_json(context_.out, event);
      context_.out.flush();
      return;
    }
    if (report.state == pv::StepState::begun) return;
    char time[32];
    std::snprintf(time, sizeof time, "%7.1f s", static_cast<double>(now - began_) / 1000.0);
    context_.out << time << (report.state == pv::StepState::done ? "  ok      " : "  FAILED  ") << step
                 << (message.empty() ? "" : ": " + message) << "\n";
    context_.out.flush();
  }
  void on_warning(std::string_view code, const std::string& message, Millis) override {
    if (context_.globals.json) {
      print_json(context_.out, json::object{{"event", "warning"}, {"code", std::string{code}}, {"message", printable(message)}});
    } else {
      context_.err << "Warning: " << printable(message) << "\n";
    }
  }
  void on_choose_device(const std::vector<pv::AccessPoint>& devices, Millis) override {
    std::vector<std::string> names;
    for (const auto& device : devices) names.push_back(device.ssid);
    question_ = [this, names](Millis) { choose("Several devices wait. Which one", names, false); };
  }
  void on_choose_network(const std::vector<pv::SeenNetwork>& networks, Millis) override {
    std::vector<std::string> names;
    for (const auto& network : networks) names.push_back(network.ssid);
    question_ = [this, names](Millis) { choose("Which network shall the device join", names, true); };
  }
  void on_ask_password(const std::string& ssid, Millis) override {
    question_ = [this, ssid](Millis) {
      const char* const known = std::getenv("MUSTER_WIFI_PASSWORD");
      auto password = known != nullptr && !options_.password_from_stdin ? Outcome<std::string>{std::string{known}}
                                                                        : ask("Password of " + printable(ssid) + ": ", true);
      if (!password) {
        refuse(password.error());
      } else {
        provisioner_->give_password(*password, now_ms());
      }
    };
  }
  /// Asks what there is to ask, outside the provisioner.
  bool serve(Millis now) {
    if (!question_) return false;
    std::exchange(question_, nullptr)(now);
    return true;
  }
  [[nodiscard]] const std::optional<Failure>& refusal() const { return refusal_; }

 private:
  void refuse(const Failure& failure) {
    refusal_ = failure;
    provisioner_->stop(now_ms());
  }
  void choose(const std::string& question, const std::vector<std::string>& names, bool network) {
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
    std::size_t number = 0;
    if (!answer->empty() && answer->size() < 4 && answer->find_first_not_of("0123456789") == std::string::npos)
      number = std::stoul(*answer);
    if (number >= 1 && number <= names.size()) {
      network ? provisioner_->choose_network(names[number - 1], now_ms()) : provisioner_->choose_device(names[number - 1], now_ms());
    } else if (network) {
      provisioner_->choose_network(*answer, now_ms());
    } else {
      refuse(usage("There is no such device in the list."));
    }
  }
  /// As Input::line, but Ctrl-C comes back as a failure, so that the host's Wi-Fi can be put back.
  Outcome<std::string> ask(const std::string& prompt, bool secret) {
    if (!context_.input.is_terminal()) return context_.input.line(prompt, secret);
    if (::isatty(STDIN_FILENO) != 1) return context_.input.line(prompt, secret);
    context_.err << prompt << std::flush;
    termios before{};
    const bool silenced = secret && ::tcgetattr(STDIN_FILENO, &before) == 0;
    if (silenced) {
      termios silent = before;
      silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
      silent.c_lflag |= ECHONL;
      ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    std::string line;
    bool whole = false;
    while (!whole && signal_seen == 0 && line.size() < 1024) {
      std::array<pollfd, 2> waiting{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{pipe_.ends[0], POLLIN, 0}};
      ::poll(waiting.data(), waiting.size(), -1);
      pipe_.drain();
      if (waiting[0].revents == 0 || signal_seen != 0) continue;
      char byte = 0;
      if (::read(STDIN_FILENO, &byte, 1) != 1) break;
      whole = byte == '\n';
      if (!whole) line += byte;
    }
    if (silenced) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    if (!whole) return Failure{exit_failed, {}, {}};
    return line;
  }

  Context& context_;
  const ProvisionOptions& options_;
  const WakePipe& pipe_;
  Millis began_;
  pv::Provisioner* provisioner_ = nullptr;
  std::function<void(Millis)> question_;
  std::optional<Failure> refusal_;
};

int exit_code_of(std::uint16_t code) {
  const auto failure = static_cast<wire::ActivationFailure>(code);
  if (failure == wire::ActivationFailure::cloud_unreachable) return exit_unreachable;
  if (failure == wire::ActivationFailure::sign_in_refused || failure == wire::ActivationFailure::template_not_in_account)
    return exit_refused;
  return code >= 800 && code < 900 ? exit_refused : exit_failed;
}

}  // namespace

Outcome<void> provision(Context& context, const ProvisionOptions& options) {
  if (options.device_url.empty() == options.radio.empty())
    return usage("Say how the device is reached: --radio sim[:PATH], or --device-url URL when this computer is on its network already.");
  std::string host, port = "80";
  if (!options.device_url.empty()) {
    auto url = options.device_url;
    if (!url.starts_with("http://")) return usage("The device's URL begins with http://");
    url.erase(0, 7);
    url.erase(std::min(url.find('/'), url.size()));
    if (const auto colon = url.rfind(':'); colon != std::string::npos && url.find(']', colon) == std::string::npos) {
      port = url.substr(colon + 1);
      url.erase(colon);
    }
    if (url.size() > 2 && url.front() == '[') url = url.substr(1, url.size() - 2);
    host = url;
    if (host.empty() || host.find_first_of(" \r\n\t@") != std::string::npos || port.empty() ||
        port.find_first_not_of("0123456789") != std::string::npos)
      return usage("The device's URL is no http://HOST[:PORT]");
  } else if (options.radio != "sim" && !options.radio.starts_with("sim:")) {
    return usage("There is no radio \"" + printable(options.radio) + "\" here; use sim or sim:PATH.");
  }
  std::int64_t reconfigure = 0;
  if (!options.reconfigure.empty()) {
    const auto& text = options.reconfigure;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), reconfigure);
    if (error != std::errc{} || end != text.data() + text.size() || reconfigure < 1)
      return usage("--reconfigure takes the id of a device.");
  }
  auto client = context.connect();
  if (!client) return client.error();

  WakePipe pipe;
  if (pipe.ends[0] < 0) return failed("No pipe could be made.");
  const StopSignals signals{pipe.ends[1]};
  pv::Options wanted;
  wanted.direct = !options.device_url.empty();
  wanted.prefix = options.prefix;
  wanted.device_name = options.device_name;
  wanted.template_id = options.template_id;
  wanted.ssid = options.ssid;
  wanted.reconfigure = reconfigure;

  std::unique_ptr<agent::sim::AirSocket> air;
  std::unique_ptr<pv::AirHostRadio> radio;
  if (!wanted.direct) {
    const auto path = options.radio == "sim" ? agent::sim::default_air_path() : options.radio.substr(4);
    air = std::make_unique<agent::sim::AirSocket>(agent::sim::AirSocket::Options{path, false, agent::sim::quick_air_times});
    radio = std::make_unique<pv::AirHostRadio>(*air);
    air->attach(*radio);
    wanted.times.scan_again_ms = 500;  // Such an air is quick.
    wanted.times.device_poll_ms = 200;
  }
  DirectHttp direct{host, port};
  CloudThread cloud{std::move(*client), pipe, context.globals.organization};
  ConsoleFront front{context, options, pipe};
  pv::Provisioner provisioner{radio.get(), wanted.direct ? static_cast<pv::DeviceHttp&>(direct) : *radio, cloud, front, wanted};
  direct.attach(provisioner);
  cloud.attach(provisioner);
  front.attach(provisioner);
  if (radio) radio->attach(provisioner);

  const Millis began = now_ms();
  bool started = false, stopped = false;
  std::vector<pollfd> waiting;
  while (!provisioner.finished()) {
    Millis now = now_ms();
    if (!started && (!air || air->state() == agent::sim::AirSocket::State::connected)) {
      started = true;
      provisioner.start(now);
    }
    if (!started && (now - began > air_wait_ms || signal_seen != 0)) {
      const auto why = air->trouble() + " Start an agent first: muster-agent --radio " + options.radio + " ...";
      if (context.globals.json) {
        const auto code = static_cast<std::uint16_t>(wire::ActivationFailure::radio_unusable);
        print_json(context.out, json::object{{"event", "failed"},
                                             {"step", "find_device"},
                                             {"code", code},
                                             {"message", why},
                                             {"fix", std::string{wire::find_failure(code)->fix}}});
      }
      return failed(why);
    }
    if (signal_seen != 0 && !stopped) {
      stopped = true;
      provisioner.stop(now);
    }
    Millis due = std::min(provisioner.next_deadline(), started ? now + 1'000 : now + 50);
    if (air) due = std::min(due, air->next_deadline(now));
    if (direct.failed()) due = now;
    waiting.assign(1, pollfd{pipe.ends[0], POLLIN, 0});
    waiting.push_back(direct.wanted());
    const std::size_t air_count = air ? air->descriptor_count() : 0;
    waiting.resize(2 + air_count);
    if (air_count > 0) air->fill(waiting.data() + 2);
    ::poll(waiting.data(), waiting.size(), due <= now ? 0 : static_cast<int>(due - now));
    now = now_ms();
    pipe.drain();
    cloud.deliver(now);
    direct.serve(waiting[1].revents, now);
    if (air) air->serve(waiting.data() + 2, air_count, now);
    if (radio) radio->serve(now);
    if (provisioner.next_deadline() <= now) provisioner.on_timer(now);
    front.serve(now);
  }
  if (air) air->serve(nullptr, 0, now_ms());
  cloud.finish();

  if (provisioner.succeeded()) {
    if (context.globals.json) {
      print_json(context.out, json::object{{"event", "done"}, {"deviceId", provisioner.device_id()}});
    } else {
      context.out << "Device " << provisioner.device_id() << " is online.\n";
    }
    return {};
  }
  const auto& failure = provisioner.failure();
  const auto* const text = wire::find_failure(failure.code);
  const std::string sentence =
      text != nullptr ? std::string{text->sentence} : "The device failed with code " + std::to_string(failure.code) + ".";
  const std::string fix = text != nullptr ? std::string{text->fix} : std::string{};
  const auto detail = printable(failure.message);
  const bool by_usage = front.refusal() && !front.refusal()->message.empty();
  if (context.globals.json) {
    print_json(context.out, json::object{{"event", "failed"},
                                         {"step", std::string{pv::to_text(failure.step)}},
                                         {"code", failure.code},
                                         {"message", by_usage         ? front.refusal()->message
                                                     : detail.empty() ? sentence
                                                                      : sentence + " " + detail},
                                         {"fix", fix}});
  }
  if (by_usage) return *front.refusal();
  std::string message = sentence + " (" + std::string{pv::to_text(failure.step)} + ", code " + std::to_string(failure.code) + ")";
  if (!detail.empty()) message += "\n  " + detail;
  if (text != nullptr) message += "\n  " + std::string{text->cause} + "\n  " + fix;
  return Failure{exit_code_of(failure.code), message, {}};
}

Outcome<void> list_provision_sessions(Context& context, const Paging& paging) {
  auto client = context.connect();
  if (!client) return client.error();
  Query query;
  put_organization(context, query);
  const auto rows = client->list("/api/v1/provision/sessions", query, paging);
  if (!rows) return rows.error();
  if (context.globals.json) {
    print_json(context.out, *rows);
    return {};
  }
  std::vector<std::vector<std::string>> cells;
  for (const auto& row : *rows) {
    const auto* const object = row.if_object();
    const auto* const failure = object == nullptr ? nullptr : object->if_contains("failure");
    cells.push_back({text_of(row, "id"), time_of(row, "createdAt"), text_of(row, "state"), text_of(row, "deviceId"),
                     text_of(row, "templateId"), text_of(row, "email"),
                     failure == nullptr ? std::string{} : text_of(*failure, "sentence")});
  }
  context.out << format_table({"ID", "BEGAN", "STATE", "DEVICE", "TEMPLATE", "BY", "FAILURE"}, cells);
  return {};
}

}  // namespace muster::cli
