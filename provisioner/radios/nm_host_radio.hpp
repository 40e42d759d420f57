// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/clock.hpp"
#include "agent/ports/linux/nm_client.hpp"
#include "agent/ports/linux/wpa_system.hpp"
#include "provisioner/ports.hpp"
#include "provisioner/radios/wpa_host_radio.hpp"

namespace muster::provisioner {

/// `--radio nm[:INTERFACE]`: the host's Wi-Fi by NetworkManager, on desktops and on Raspberry Pi OS. A device's network is a connection that
/// NetworkManager never stores and that takes neither routes nor name servers; it ends with this program, whatever becomes of it. restore()
/// activates the connection that was in use before. Needs what polkit lets the user do. The device is then at 192.168.4.1, port 80.
///
/// attach() before the first call; the loop waits for what fill() and next_deadline() say and calls serve(), where all answers come from.
class NmHostRadio final : public HostRadio, private agent::linux_port::NmClient::Listener {
 public:
  static constexpr agent::Millis scan_timeout_ms = 12'000, scan_again_ms = 1'000;
  static constexpr agent::Millis join_timeout_ms = 24'000, restore_timeout_ms = 20'000;
  static constexpr unsigned address_timeout_s = 15;

  NmHostRadio(agent::Clock& clock, agent::linux_port::WpaSystem& system, agent::linux_port::NmClient& client, std::string interface);
  ~NmHostRadio();
  NmHostRadio(const NmHostRadio&) = delete;
  NmHostRadio& operator=(const NmHostRadio&) = delete;

  /// Empty when it worked, else a sentence for people; then nothing was touched.
  [[nodiscard]] std::string start();
  void attach(HostListener& listener) { listener_ = &listener; }

  [[nodiscard]] bool keeps_internet() const override { return keeps_internet_; }
  void scan() override;
  void join_open(std::string_view ssid, std::uint16_t channel) override;
  void leave() override;
  void restore() override;

  void fill(std::vector<pollfd>& waiting) const { client_.fill(waiting); }
  [[nodiscard]] agent::Millis next_deadline() const;
  void serve();
  /// NetworkManager has ended; last_problem() says so.
  [[nodiscard]] bool is_lost() const noexcept { return lost_; }
  [[nodiscard]] const std::string& last_problem() const noexcept { return problem_; }

 private:
  enum class Join : std::uint8_t { none, activating, addressing, asking, joined };
  enum class Restore : std::uint8_t { none, wanted, activating, done };

  void request_scan();
  void look();
  void tell_networks(const agent::linux_port::NmDevice* device);
  void ask_address();
  void fail_join(HostJoinFailure failure);
  void drop_join();
  void begin_restore();
  void end_restore(const std::string& problem = {});

  void on_device_state(const std::string& device, agent::linux_port::NmState state, std::uint32_t reason) override;
  void on_connection_ended(const std::string& connection) override;
  void on_scan_done(const std::string& device) override;
  void on_phone(const std::string&, bool) override {}
  void on_refused(int) override {}
  void on_gone() override;

  agent::Clock& clock_;
  agent::linux_port::WpaSystem& system_;
  agent::linux_port::NmClient& client_;
  std::string interface_;
  HostListener* listener_ = nullptr;
  std::string device_;      ///< NetworkManager's path of the card.
  std::string before_;      ///< The connection that was in use; empty: none.
  std::string connection_;  ///< To the device's network.
  std::string problem_;
  Join join_ = Join::none;
  Restore restore_ = Restore::none;
  unsigned joins_ = 0;  ///< What comes of an earlier one does not count.
  bool started_ = false, keeps_internet_ = false, lost_ = false, touched_ = false;
  bool scan_wanted_ = false, scan_running_ = false;
  agent::Millis scan_due_ = agent::never, scan_until_ = agent::never;
  agent::Millis join_due_ = agent::never, restore_due_ = agent::never;
};

}  // namespace muster::provisioner
