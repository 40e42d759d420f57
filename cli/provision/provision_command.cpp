// SPDX-License-Identifier: Apache-2.0
// `muster provision`: the provisioner's state machine in a poll loop, with a link to the device on one side, the cloud's API on another and a
// person in front.
#include <poll.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>
#include <vector>

#include "agent/ports/linux/clock.hpp"
#include "agent/ports/linux/random.hpp"
#include "cli/commands.hpp"
#include "cli/json_text.hpp"
#include "cli/provision/cloud_thread.hpp"
#include "cli/provision/console_front.hpp"
#include "cli/provision/host_link.hpp"
#include "cli/provision/wake.hpp"
#include "provisioner/provisioner.hpp"

namespace muster::cli {

namespace {

namespace pv = muster::provisioner;
using agent::Millis;
using wire::ActivationFailure;

constexpr Millis ready_wait_ms = 5'000;  ///< For a link that is not ready at once.
constexpr Millis look_again_ms = 50;     ///< Whether it is.
constexpr Millis turn_max_ms = 1'000;

Outcome<std::int64_t> parse_device_id(const std::string& text) {
  std::int64_t id = 0;
  if (text.empty()) return id;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size() || id < 1) return usage("--reconfigure takes the id of a device.");
  return id;
}

bool is_not_found(const Failure& failure) { return failure.exit_code == exit_refused && failure.code == "not_found"; }

/// How the names of the devices begin: as said, else as their template says, else as stock firmware has it. A cloud that does not answer here
/// is complained about when it is needed. Errors: it has no such template.
Outcome<std::string> prefix_for(const ProvisionOptions& given, ApiClient& client) {
  std::string prefix = given.prefix;
  if (!given.template_id.empty()) {
    const auto answer = client.call("GET", "/api/v1/template", {{"templateId", given.template_id}});
    if (!answer && is_not_found(answer.error()))
      return refused("There is no template " + printable(given.template_id) +
                     " in your organization; `muster template list` shows those that are.");
    if (answer && prefix.empty()) prefix = text_of(*answer, "hotspotPrefix");
  }
  return prefix.empty() ? "Blynk" : prefix;
}

/// Errors: it has no such device.
Outcome<void> check_device(std::int64_t id, ApiClient& client) {
  if (id == 0) return {};
  const auto answer = client.call("GET", "/api/v1/organization/device", {{"deviceId", std::to_string(id)}});
  if (!answer && is_not_found(answer.error()))
    return refused("There is no device " + std::to_string(id) + " that you may set up; `muster device list` shows those that are there.");
  return {};
}

pv::Options options_for(const ProvisionOptions& given, std::string prefix, std::int64_t reconfigure, const ConsoleFront& front) {
  pv::Options options;
  options.prefix = std::move(prefix);
  options.device_name = given.device_name;
  options.template_id = given.template_id;
  options.ssid = given.ssid;
  options.reconfigure = reconfigure;
  options.password_given = front.password_is_given();
  options.passwords_max = front.can_ask_again() ? 2 : 1;
  return options;
}

/// Everything that takes part, and the loop over it.
class SetUp {
 public:
  SetUp(Context& context, const ProvisionOptions& options, ConsoleFront& front, std::string prefix, std::int64_t reconfigure,
        HostLink& link, ApiClient client, const WakePipe& pipe, const StopSignals& signals, agent::Clock& clock)
      : link_{link},
        pipe_{pipe},
        signals_{signals},
        clock_{clock},
        cloud_{std::move(client), pipe, context.globals.organization},
        front_{front},
        provisioner_{link.make_provisioner(cloud_, front_, options_for(options, std::move(prefix), reconfigure, front_))} {
    cloud_.attach(*provisioner_);
    front_.attach(*provisioner_);
  }

  /// False: the link did not become ready, and nothing was begun.
  [[nodiscard]] bool run() {
    const Millis began = clock_.now();
    bool started = false, stopped = false;
    while (!provisioner_->finished()) {
      const Millis now = clock_.now();
      if (!started && link_.ready()) {
        started = true;
        provisioner_->start(now);
      }
      if (!started && (now - began > ready_wait_ms || signals_.seen())) return false;
      if (signals_.seen() && !stopped) {
        stopped = true;
        provisioner_->stop(now);
      }
      turn(now, started ? turn_max_ms : look_again_ms);
    }
    link_.finish(clock_.now());
    cloud_.finish();
    cloud_.deliver(clock_.now());  // A token that comes too late is to be canceled.
    cloud_.finish();
    return true;
  }
  [[nodiscard]] const pv::Provisioner& provisioner() const { return *provisioner_; }

 private:
  void turn(Millis now, Millis wait_ms) {
    const Millis due = std::min({provisioner_->next_deadline(), link_.next_deadline(now), now + wait_ms});
    std::vector<pollfd> waiting{{pipe_.fd(), POLLIN, 0}};
    link_.fill(waiting);
    ::poll(waiting.data(), waiting.size(), due <= now ? 0 : static_cast<int>(due - now));
    now = clock_.now();
    pipe_.drain();
    cloud_.deliver(now);
    link_.serve(waiting.data() + 1, waiting.size() - 1, now);
    if (provisioner_->next_deadline() <= now) provisioner_->on_timer(now);
    front_.serve();
  }

  HostLink& link_;
  const WakePipe& pipe_;
  const StopSignals& signals_;
  agent::Clock& clock_;
  CloudThread cloud_;
  ConsoleFront& front_;
  std::unique_ptr<pv::Provisioner> provisioner_;
};

int exit_code_of(std::uint16_t code) {
  const auto failure = static_cast<ActivationFailure>(code);
  if (failure == ActivationFailure::cloud_unreachable) return exit_unreachable;
  if (failure == ActivationFailure::sign_in_refused || failure == ActivationFailure::template_not_in_account) return exit_refused;
  return code >= 800 && code < 900 ? exit_refused : exit_failed;
}

void print_failed(Context& context, std::string_view step, std::uint16_t code, const std::string& message) {
  if (!context.globals.json) return;
  const auto* const text = wire::find_failure(code);
  print_json(context.out, json::object{{"event", "failed"},
                                       {"step", std::string{step}},
                                       {"code", code},
                                       {"message", message},
                                       {"fix", text != nullptr ? std::string{text->fix} : std::string{}}});
  context.out.flush();
}

/// Nothing was begun. Code 0: neither the device nor the cloud nor the radio had a part in it.
Failure not_begun(Context& context, Failure why, ActivationFailure code = ActivationFailure::none) {
  if (code == ActivationFailure::none && why.exit_code == exit_unreachable) code = ActivationFailure::cloud_unreachable;
  if (code == ActivationFailure::none && why.exit_code == exit_refused) code = ActivationFailure::sign_in_refused;
  print_failed(context, pv::to_text(pv::StepKind::find_device), static_cast<std::uint16_t>(code), why.message);
  return why;
}

/// What was asked for is not in the cloud.
Failure not_there(Context& context, Failure why) {
  print_failed(context, pv::to_text(pv::StepKind::find_device), 0, why.message);
  return why;
}

Failure no_link(Context& context, const std::string& why) { return not_begun(context, failed(why), ActivationFailure::radio_unusable); }

Failure stopped_before(Context& context) {
  return not_begun(context, failed("The set-up was stopped."), ActivationFailure::stopped_by_user);
}

Failure failure_of(Context& context, const SetUp& set_up, const ConsoleFront& front) {
  const auto& failure = set_up.provisioner().failure();
  const std::string step{pv::to_text(failure.step)};
  const auto* const text = wire::find_failure(failure.code);
  const std::string sentence =
      text != nullptr ? std::string{text->sentence} : "The device failed with code " + std::to_string(failure.code) + ".";
  const auto detail = printable(failure.message);
  const auto& refusal = front.refusal();
  const bool by_usage = refusal && !refusal->message.empty();
  print_failed(context, step, failure.code, by_usage ? refusal->message : detail.empty() ? sentence : sentence + " " + detail);
  if (by_usage) return *refusal;
  std::string message = sentence + " (" + step + ", code " + std::to_string(failure.code) + ")";
  if (!detail.empty()) message += "\n  " + detail;
  if (text != nullptr) message += "\n  " + std::string{text->cause} + "\n  " + std::string{text->fix};
  return {exit_code_of(failure.code), message, {}};
}

Outcome<void> set_up(Context& context, const ProvisionOptions& options) {
  agent::linux_port::BootClock clock;
  agent::linux_port::KernelRandom random;
  // First and so last: signals are kept off until the host has its own back and the last word is said.
  const WakePipe pipe;
  if (!pipe.usable()) return not_begun(context, failed("No pipe could be made."));
  const StopSignals signals{pipe};
  auto link = make_host_link(options, clock, random);
  if (!link) return not_begun(context, link.error());
  const auto reconfigure = parse_device_id(options.reconfigure);
  if (!reconfigure) return not_begun(context, reconfigure.error());
  auto client = context.connect();
  if (!client) return not_begun(context, client.error());

  ConsoleFront front{context, options, pipe, signals, clock};
  // Before the radio is touched: whoever gives it may let us wait, and nothing may have to be put back then.
  if (const auto read = front.read_given_password(); !read) {
    return signals.seen() ? stopped_before(context) : not_begun(context, read.error());
  }
  client->end_when(signals.flag());
  auto prefix = prefix_for(options, *client);
  const auto checked = check_device(*reconfigure, *client);
  if (signals.seen()) return stopped_before(context);
  if (!prefix) return not_there(context, prefix.error());
  if (!checked) return not_there(context, checked.error());
  if (const auto begun = (*link)->start(); !begun) return no_link(context, begun.error().message);
  SetUp under_way{context, options, front, std::move(*prefix), *reconfigure, **link, std::move(*client), pipe, signals, clock};
  if (!under_way.run()) return signals.seen() ? stopped_before(context) : no_link(context, (*link)->trouble());
  if (!under_way.provisioner().succeeded()) return failure_of(context, under_way, front);
  const auto device = under_way.provisioner().device_id();
  if (context.globals.json) {
    print_json(context.out, json::object{{"event", "done"}, {"deviceId", device}});
  } else {
    context.out << "Device " << device << " is online.\n";
  }
  context.out.flush();
  return {};
}

}  // namespace

Outcome<void> provision(Context& context, const ProvisionOptions& options) {
  auto ended = set_up(context, options);
  // Its last event has said it already.
  if (!ended && context.globals.json) return Failure{ended.error().exit_code, {}, {}};
  return ended;
}

}  // namespace muster::cli
