// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/port/clock.hpp"
#include "agent/port/radio.hpp"
#include "agent/port/random.hpp"
#include "agent/ports/linux/ap_network.hpp"
#include "agent/ports/linux/dhcp.hpp"
#include "agent/ports/linux/radio_listener.hpp"
#include "agent/ports/linux/radio_news.hpp"
#include "agent/ports/linux/wpa_control.hpp"
#include "agent/ports/linux/wpa_system.hpp"
#include "agent/ports/linux/wpa_text.hpp"

namespace muster::agent::linux_port {

struct WpaOptions {
  std::string interface = "wlan0";
  /// Where a wpa_supplicant that runs already has its control sockets. One that serves the interface is used for joining.
  std::string control_directory = "/run/wpa_supplicant";
  std::string program = "wpa_supplicant";        ///< Started by the radio when there is none, and for the access point.
  std::string country;                           ///< Two letters; empty: as the machine is set.
  std::string resolv_conf = "/etc/resolv.conf";  ///< Gets the network's name servers; empty: left alone.
  std::string host_name;                         ///< Told to the network's DHCP server.
  bool default_route = true;  ///< False: the joined network is a guest's visit; routes and name servers stay as they are.
  bool enable_others = true;  ///< After a join, the other networks of a wpa_supplicant that was there are tried again.
  std::string run_directory;  ///< For sockets; empty: one of its own under /run or /tmp.
};

/// A Wi-Fi card by wpa_supplicant: station and open access point at once, on one channel. The access point is a second interface on the same
/// card that wpa_supplicant serves too, so that nothing but the package `wpasupplicant` is needed; addresses are asked for and given by dhcp.hpp.
///
/// One channel: before a network on another channel is joined, the access point moves there and takes its phones along (a channel switch
/// announcement); when it cannot, it is down while the device joins, and tried again afterwards.
///
/// What fails is told as early as it is known: a wrong password at the first failed handshake, a missing network after two looks at all
/// channels, no address after 10 s.
///
/// Whether wpa_supplicant is still there is asked every 5 s. One that ended or hangs takes with it what it served: that is told as lost or
/// failed, and the next wish starts another. One that was there before has 5 s to come back by itself (a service that is restarted); then
/// the radio starts one of its own, as it would have at its start.
///
/// Call from one thread. The loop waits for fd() (readable) or next_deadline(), then calls on_ready() or on_timer(); the listener hears
/// things only from inside those two.
class WpaRadio final : public Radio {
 public:
  static constexpr Millis join_timeout_ms = 25'000;     ///< From the first try to associate to an address.
  static constexpr Millis address_timeout_ms = 10'000;  ///< For DHCP.
  static constexpr Millis open_timeout_ms = 15'000;
  static constexpr Millis scan_timeout_ms = 25'000;
  static constexpr Millis seen_for_ms = 60'000;     ///< So long a scan tells on which channel a network is.
  static constexpr Millis lost_grace_ms = 4'000;    ///< A link that comes back by itself in this time was never lost.
  static constexpr Millis alive_every_ms = 5'000;   ///< So often wpa_supplicant is asked whether it is there.
  static constexpr Millis return_grace_ms = 5'000;  ///< So long one that was there before may be away.
  static constexpr std::size_t networks_max = 128;

  WpaRadio(Clock& clock, RandomSource& random, WpaSystem& system, WpaOptions options);
  ~WpaRadio();
  WpaRadio(const WpaRadio&) = delete;
  WpaRadio& operator=(const WpaRadio&) = delete;

  /// Checks what can be checked at once and begins. Empty when it worked, else a sentence for people.
  [[nodiscard]] std::string start();
  /// Ends everything: the access point, the join, the child process.
  void stop();

  void open(std::string_view name) override;
  void shut() override;
  void scan() override;
  void join(const JoinTarget& target) override;
  void leave() override;
  /// Where scan() looks from now on, as wpa_supplicant writes it (`2400-2500`); empty: everywhere.
  void look_at(std::string frequencies) { scan_frequencies_ = std::move(frequencies); }

  [[nodiscard]] int fd() const noexcept { return poll_fd_; }
  [[nodiscard]] Millis next_deadline() const noexcept;
  void on_ready(RadioListener& listener);
  void on_timer(RadioListener& listener);

  /// Of the station, for the device's suffix and info; zeros before start().
  [[nodiscard]] const std::uint8_t (&mac() const noexcept)[6] { return mac_; }
  /// The access point's interface: what listens for guests can be bound to it.
  [[nodiscard]] const std::string& ap_interface() const noexcept { return ap_name_; }
  /// There is no wpa_supplicant to be had: it is not installed, has ended, or cannot use the card. The next wish tries again.
  [[nodiscard]] bool is_lost() const noexcept {
    return poll_fd_ >= 0 && supplicant_ == Supplicant::down && !station_.is_open() && return_due_ == never;
  }
  /// More about the last failure, for logs; may be empty.
  [[nodiscard]] const std::string& last_problem() const noexcept { return problem_; }

 private:
  enum class Supplicant : std::uint8_t { down, starting, adding, ready };
  enum class Ap : std::uint8_t { off, wanted, adding, configuring, enabling, on, moving };
  enum class Join : std::uint8_t { none, wanted, looking, moving_ap, associating, addressing, joined };
  struct Target {
    std::string ssid, passphrase;
    std::optional<StaticAddress> fixed;
  };

  // wpa_supplicant
  void reach();
  [[nodiscard]] bool open_theirs();
  void await_theirs();
  void start_child();
  void try_global();
  void serve_station();
  void use_station();
  void child_lost(const std::string& why);
  void station_lost(const std::string& why);
  void station_gone(const std::string& why);
  void ask_alive();
  void watch();
  [[nodiscard]] std::string own_path(const char* name) const { return run_ + "/" + name; }
  void advance();

  // access point
  void begin_ap();
  void configure_ap();
  void ap_event(std::string_view text);
  void ap_enabled();
  void fail_ap(const std::string& why);
  void take_ap_down();
  void tell_visitors();

  // station
  void station_event(std::string_view text);
  void request_scan();
  void read_networks(std::uint32_t first_id);
  void scan_done();
  void tell_scanned();
  void look();
  void looked();
  [[nodiscard]] const WpaNetwork* find(std::string_view ssid) const noexcept;
  void found(const WpaNetwork& network);
  void associate();
  void link_up(const WpaEvent& event);
  void link_down();
  void begin_address();
  void address_known(const DhcpLease& lease);
  void follow_dhcp();
  void fail_join(JoinFailure failure, const std::string& why);
  void remove_network();
  void drop_station();

  Clock& clock_;
  RandomSource& random_;
  WpaSystem& system_;
  WpaOptions options_;
  std::string run_;
  std::string ap_name_ = "muster-ap";
  std::string problem_;
  std::uint8_t mac_[6] = {};
  int poll_fd_ = -1;
  bool run_is_ours_ = false;
  bool child_serves_station_ = true;  ///< False: one that was there before does.

  WpaControl global_, station_, ap_control_;
  Supplicant supplicant_ = Supplicant::down;
  Millis supplicant_due_ = never;    ///< The next try to reach the child.
  Millis supplicant_until_ = never;  ///< Then it is given up.
  Millis alive_due_ = never;
  Millis return_due_ = never;  ///< The next look whether the one that served the station is back.
  Millis return_until_ = never;
  bool station_ready_ = false;

  Ap ap_ = Ap::off;
  std::string ap_ssid_;
  Millis ap_due_ = never;
  static constexpr int usual_ap_frequency_mhz = 2412;  ///< Channel 1.
  int ap_frequency_ = usual_ap_frequency_mhz;
  bool ap_untold_ = false;  ///< Somebody waits for opened or open_failed.
  ApAddresses ap_addresses_;
  std::vector<std::array<std::uint8_t, 6>> visitors_;

  std::vector<WpaNetwork> seen_;
  std::vector<WpaNetwork> page_;
  Millis seen_at_ = never;
  bool scan_asked_ = false;    ///< The device wants to hear the result.
  bool scan_running_ = false;  ///< wpa_supplicant was asked.
  bool scan_for_join_ = false;
  std::string scan_command_;
  std::string scan_frequencies_;
  Millis scan_due_ = never;  ///< To ask again, or to give up.
  Millis scan_until_ = never;

  Join join_ = Join::none;
  Target target_;
  WpaNetwork target_network_;
  int looks_ = 0;
  int not_found_ = 0;
  int rejected_ = 0;
  int network_id_ = -1;
  Millis join_due_ = never;
  Millis address_due_ = never;
  Millis lost_due_ = never;
  bool linked_ = false;
  unsigned ap_epoch_ = 0;  ///< The same for the access point's.
  unsigned epoch_ = 0;     ///< Counts joins: answers to commands of an earlier one are nothing to this one.
  DhcpClient dhcp_;
  int dhcp_fd_ = -1;
  JoinedNetwork joined_;

  RadioNews news_;
};

}  // namespace muster::agent::linux_port
