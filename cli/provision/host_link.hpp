// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/clock.hpp"
#include "agent/port/random.hpp"
#include "cli/commands.hpp"
#include "cli/outcome.hpp"
#include "provisioner/provisioner.hpp"

namespace muster::cli {

/// How this computer reaches a device that waits for set-up: what the provisioner needs of the machine, with what its loop waits for.
/// One file for each kind; make_host_link() chooses. The order of calls: start(), make_provisioner(), then from the loop fill(), next_deadline() and
/// serve() until the set-up has finished, last finish(). One thread. The destructor gives back what was taken of the machine.
class HostLink {
 public:
  virtual ~HostLink() = default;

  /// Takes hold of the radio. Errors: a sentence that says what is wrong and what to do; then nothing of the host was touched.
  [[nodiscard]] virtual Outcome<void> start() { return {}; }
  /// False: the set-up cannot begin yet.
  [[nodiscard]] virtual bool ready() const { return true; }
  /// Why it is not ready, as a sentence.
  [[nodiscard]] virtual std::string trouble() const { return {}; }

  /// The set-up over this link, once: its radio and its way to talk with the device are put in, and what happens to them is told to it.
  /// `options` are changed as suits this way. The link must outlive it.
  [[nodiscard]] virtual std::unique_ptr<provisioner::Provisioner> make_provisioner(provisioner::CloudApi& cloud, provisioner::Front& front,
                                                                                   provisioner::Options options) = 0;

  /// Appends what to wait for.
  virtual void fill(std::vector<pollfd>& waiting) const = 0;
  [[nodiscard]] virtual agent::Millis next_deadline(agent::Millis now) const = 0;
  /// Each turn: `ready` is what fill() appended, after poll(2).
  virtual void serve(const pollfd* ready, std::size_t count, agent::Millis now) = 0;
  /// The set-up is over: passes on what is still on its way.
  virtual void finish(agent::Millis now) { static_cast<void>(now); }
};

/// What --radio can be, for help and complaints.
inline constexpr std::string_view host_link_kinds = "nm[:INTERFACE], wpa[:INTERFACE], ble[:ADAPTER] or sim[:PATH]";

/// As --radio or --device-url say. Errors: exit_usage. Clock and random must outlive the link.
[[nodiscard]] Outcome<std::unique_ptr<HostLink>> make_host_link(const ProvisionOptions& options, agent::Clock& clock,
                                                                agent::RandomSource& random);

}  // namespace muster::cli
