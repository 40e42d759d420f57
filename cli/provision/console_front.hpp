// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/clock.hpp"
#include "cli/commands.hpp"
#include "cli/provision/wake.hpp"
#include "provisioner/provisioner.hpp"

namespace muster::cli {

/// What the person sees and is asked. Questions are noted inside the provisioner's calls and asked by serve(), outside of them.
class ConsoleFront final : public provisioner::Front {
 public:
  ConsoleFront(Context& context, const ProvisionOptions& options, const WakePipe& pipe, const StopSignals& signals, agent::Clock& clock);
  ~ConsoleFront() { clear_line(); }
  ConsoleFront(const ConsoleFront&) = delete;
  ConsoleFront& operator=(const ConsoleFront&) = delete;
  void attach(provisioner::Provisioner& provisioner) {
    provisioner_ = &provisioner;
    began_ = clock_.now();
  }

  void on_report(const provisioner::Report& report, agent::Millis now) override;
  void on_warning(std::string_view code, const std::string& message, agent::Millis now) override;
  void on_choose_device(const std::vector<provisioner::AccessPoint>& devices, agent::Millis now) override;
  void on_choose_network(const std::vector<provisioner::SeenNetwork>& networks, agent::Millis now) override;
  void on_ask_password(const std::string& ssid, agent::Millis now) override;

  /// Takes the Wi-Fi password from stdin when the options say so, else from the environment, else nothing. Waits for stdin; Ctrl-C ends
  /// that as a failure without a message.
  [[nodiscard]] Outcome<void> read_given_password();
  [[nodiscard]] bool password_is_given() const { return password_.has_value(); }
  /// Somebody sits at a terminal who can be asked for it more than once.
  [[nodiscard]] bool can_ask_again() const { return !password_is_given() && context_.input.is_terminal(); }
  /// Asks what there is to ask, and waits for the answer.
  void serve();
  /// Why a question has no answer; its message is empty when it was Ctrl-C.
  [[nodiscard]] const std::optional<Failure>& refusal() const { return refusal_; }

 private:
  void clear_line();
  void refuse(const Failure& failure);
  void choose(const std::string& question, const std::vector<std::string>& names, bool network);
  void ask_password(const std::string& ssid);
  [[nodiscard]] Outcome<std::string> ask(const std::string& prompt, bool secret);
  [[nodiscard]] bool wait_for_input() const;
  [[nodiscard]] bool read_line(std::string& line) const;

  Context& context_;
  const ProvisionOptions& options_;
  const WakePipe& pipe_;
  const StopSignals& signals_;
  agent::Clock& clock_;
  agent::Millis began_;
  provisioner::Provisioner* provisioner_ = nullptr;
  std::optional<std::string> password_;  ///< That was given beforehand.
  std::function<void()> question_;
  bool is_live_;  ///< A person watches: the step under way stands in the last line until it ends.
  bool line_is_open_ = false;
  std::optional<Failure> refusal_;
};

}  // namespace muster::cli
