// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/clock.hpp"
#include "agent/port/random.hpp"
#include "agent/ports/linux/wpa_radio.hpp"
#include "provisioner/ports.hpp"
#include "provisioner/provisioner.hpp"

namespace muster::provisioner {

/// What wpa_supplicant was doing before the host's radio was borrowed.
struct WpaHostState {
  int current_id = -1;  ///< The network that it was on; -1: none.
  int frequency_mhz = 0;
  std::vector<int> enabled;  ///< All that it may join by itself.
};
/// Of the answers to STATUS and LIST_NETWORKS. Any bytes.
[[nodiscard]] WpaHostState parse_wpa_host_state(std::string_view status, std::string_view networks);

/// Who hears what the host's radio has to tell: in a program the Provisioner.
class HostListener {
 public:
  virtual void on_scanned(const std::vector<AccessPoint>& found, agent::Millis now) = 0;
  virtual void on_host_joined(agent::Millis now) = 0;
  virtual void on_host_join_failed(HostJoinFailure failure, agent::Millis now) = 0;
  virtual void on_host_lost(agent::Millis now) = 0;
  virtual void on_restored(agent::Millis now) = 0;

 protected:
  ~HostListener() = default;
};

class ProvisionerListener final : public HostListener {
 public:
  explicit ProvisionerListener(Provisioner& provisioner) : provisioner_{provisioner} {}
  void on_scanned(const std::vector<AccessPoint>& found, agent::Millis now) override { provisioner_.on_scanned(found, now); }
  void on_host_joined(agent::Millis now) override { provisioner_.on_host_joined(now); }
  void on_host_join_failed(HostJoinFailure failure, agent::Millis now) override { provisioner_.on_host_join_failed(failure, now); }
  void on_host_lost(agent::Millis now) override { provisioner_.on_host_lost(now); }
  void on_restored(agent::Millis now) override { provisioner_.on_restored(now); }

 private:
  Provisioner& provisioner_;
};

/// `--radio wpa[:INTERFACE]`: the host's Wi-Fi by wpa_supplicant, which the agent's port drives; nothing of the host's routes and name servers
/// is touched on a device's network. Before the first join it notes which networks are enabled, which one is in use and the interface's
/// address; restore() brings all of it back. Needs root, as the address of an interface is set. The device is then at 192.168.4.1, port 80.
///
/// attach() before the first call; the loop waits for fd() or next_deadline() and calls serve().
class WpaHostRadio final : public HostRadio, private agent::linux_port::RadioListener {
 public:
  static constexpr agent::Millis restore_timeout_ms = 20'000, last_commands_ms = 2'000;

  WpaHostRadio(agent::Clock& clock, agent::RandomSource& random, agent::linux_port::WpaSystem& system,
               agent::linux_port::WpaOptions options);
  ~WpaHostRadio();
  WpaHostRadio(const WpaHostRadio&) = delete;
  WpaHostRadio& operator=(const WpaHostRadio&) = delete;

  /// Empty when it worked, else a sentence for people.
  [[nodiscard]] std::string start();
  void attach(HostListener& listener) { listener_ = &listener; }

  [[nodiscard]] bool keeps_internet() const override { return keeps_internet_; }
  void scan() override;
  void join_open(std::string_view ssid, std::uint16_t channel) override;
  void leave() override;
  void restore() override;

  [[nodiscard]] int fd() const noexcept { return radio_.fd(); }
  /// Of the host's own control connection; -1: the host uses no wpa_supplicant.
  [[nodiscard]] int host_fd() const noexcept { return host_.fd(); }
  [[nodiscard]] agent::Millis next_deadline() const noexcept;
  void serve();
  /// wpa_supplicant cannot be used (any more); last_problem() says why.
  [[nodiscard]] bool is_lost() const noexcept { return radio_.is_lost(); }
  [[nodiscard]] const std::string& last_problem() const noexcept { return radio_.last_problem(); }

 private:
  enum class Restore : std::uint8_t { none, wanted, connecting, finishing, done };

  void note_state();
  void begin_join();
  void begin_restore();
  void finish_restore();
  void end_restore();

  void on_opened(agent::Millis) override {}
  void on_open_failed(agent::Millis) override {}
  void on_visitors(std::size_t, agent::Millis) override {}
  void on_scanned(const agent::ScannedNetwork* networks, std::size_t count, agent::Millis now) override;
  void on_joined(const agent::JoinedNetwork& network, agent::Millis now) override;
  void on_join_failed(agent::JoinFailure failure, agent::Millis now) override;
  void on_network_lost(agent::Millis now) override;

  agent::Clock& clock_;
  agent::linux_port::WpaSystem& system_;
  agent::linux_port::WpaOptions options_;
  std::string run_;
  agent::linux_port::WpaControl host_;
  agent::linux_port::WpaRadio radio_;
  HostListener* listener_ = nullptr;
  WpaHostState before_;
  std::uint32_t address_ = 0, mask_ = 0, gateway_ = 0;
  std::string wanted_ssid_;  ///< To be joined once the state before is known.
  agent::Millis restore_due_ = agent::never;
  unsigned scans_ = 0;
  Restore restore_ = Restore::none;
  bool keeps_internet_ = false;
  bool noted_ = false;    ///< The state before is known, or there is none.
  bool touched_ = false;  ///< There is something to put back.
};

}  // namespace muster::provisioner
