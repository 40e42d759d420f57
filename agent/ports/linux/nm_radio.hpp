// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/port/clock.hpp"
#include "agent/port/radio.hpp"
#include "agent/ports/linux/ap_network.hpp"
#include "agent/ports/linux/nm_client.hpp"
#include "agent/ports/linux/radio_listener.hpp"
#include "agent/ports/linux/radio_news.hpp"
#include "agent/ports/linux/wpa_control.hpp"
#include "agent/ports/linux/wpa_system.hpp"

namespace muster::agent::linux_port {

struct NmOptions {
  std::string interface = "wlan0";
  /// Where the wpa_supplicant of NetworkManager has its control sockets, if it has any (Debian's and Raspberry Pi OS's do).
  std::string control_directory = "/run/wpa_supplicant";
  std::string run_directory = "/run";  ///< For this side of such a socket.
};

/// A Wi-Fi card that NetworkManager has, as on Raspberry Pi OS. The access point is a second interface on the same card, a connection of
/// its own with 192.168.4.1/24 and without NetworkManager's sharing: its name service would be in the way of ours, and phones shall not be let
/// through to anywhere. DHCP for phones is dhcp.hpp.
///
/// Where the card takes no second interface there is one thing at a time: the access point goes down while a network is joined, and
/// comes back when that failed. What scan() tells meanwhile is what was seen before it opened. last_problem() says so.
///
/// One channel, as with WpaRadio: the access point moves to the network's channel first, with its phones where wpa_supplicant can be
/// asked for that, else by going down and up.
///
/// Connections of the machine's owner stay as they are. While one of ours is active on the card, theirs is not; after leave()
/// NetworkManager does what it would do by itself.
///
/// Call from one thread; the listener hears things only from inside serve().
class NmRadio final : public Radio, private NmClient::Listener {
 public:
  static constexpr Millis join_timeout_ms = 40'000;  ///< NetworkManager gives up after 25 s itself.
  static constexpr unsigned address_timeout_s = 10;
  static constexpr Millis open_timeout_ms = 20'000;
  static constexpr Millis scan_timeout_ms = 25'000;
  static constexpr Millis seen_for_ms = 60'000;  ///< So long a scan tells on which channel a network is.
  static constexpr std::size_t descriptors = 3;

  NmRadio(Clock& clock, WpaSystem& system, NmClient& client, NmOptions options);
  ~NmRadio();
  NmRadio(const NmRadio&) = delete;
  NmRadio& operator=(const NmRadio&) = delete;

  /// Empty when it worked, else a sentence for people.
  [[nodiscard]] std::string start();
  void stop();

  void open(std::string_view name) override;
  void shut() override;
  void scan() override;
  void join(const JoinTarget& target) override;
  void leave() override;

  /// Appends `descriptors` descriptors to wait for; negative ones are to be skipped.
  void fill(std::vector<pollfd>& waiting) const;
  [[nodiscard]] Millis next_deadline() const;
  /// After the wait, whatever ended it.
  void serve(RadioListener& listener);

  [[nodiscard]] const std::array<std::uint8_t, 6>& mac() const noexcept { return mac_; }
  /// Where the access point is, once it is open.
  [[nodiscard]] const std::string& ap_interface() const noexcept { return ap_name_; }
  [[nodiscard]] const std::string& last_problem() const noexcept { return problem_; }

 private:
  enum class Ap : std::uint8_t { off, looking, waiting, activating, on, moving };
  enum class Join : std::uint8_t { none, looking, moving_ap, activating, addressing, asking, joined };
  struct Target {
    std::string ssid, passphrase;
    std::optional<StaticAddress> fixed;
  };

  void on_device_state(const std::string& device, NmState state, std::uint32_t reason) override;
  void on_connection_ended(const std::string& connection) override;
  void on_scan_done(const std::string& device) override;
  void on_phone(const std::string& mac, bool present) override;
  void on_refused(int status) override;
  void on_gone() override;

  // access point
  void begin_ap();
  void find_ap();
  void activate_ap(const std::string& device);
  void move_ap(int frequency_mhz);
  void ap_state(NmState state);
  void ap_on();
  void fail_ap(const std::string& why);
  void take_ap_down();

  // station
  void request_scan();
  void seen(const NmDevice& device);
  void looked();
  [[nodiscard]] const WpaNetwork* find(std::string_view ssid) const noexcept;
  void found(const WpaNetwork& network);
  void associate();
  void station_state(NmState state, std::uint32_t reason);
  void ask_where();
  void joined(const NmDevice& device);
  void lose(const std::string& why);
  void fail_join(JoinFailure failure, const std::string& why);
  void drop_station();
  void reach_again();

  void on_timer(Millis now);

  Clock& clock_;
  WpaSystem& system_;
  NmClient& client_;
  NmOptions options_;
  std::array<std::uint8_t, 6> mac_{};
  std::string problem_;
  std::string device_;  ///< The station's path; empty: NetworkManager is not there.
  bool started_ = false;
  bool single_ = false;  ///< The card takes no second interface.
  Millis reach_due_ = never;

  Ap ap_ = Ap::off;
  bool ap_wanted_ = false;
  bool ap_untold_ = false;
  bool ap_made_ = false;  ///< The interface is a new one.
  std::string ap_name_, ap_ssid_, ap_device_, ap_connection_;
  static constexpr int usual_ap_frequency_mhz = 2412;  ///< Channel 1.
  int ap_frequency_ = usual_ap_frequency_mhz;
  Millis ap_due_ = never;
  Millis ap_until_ = never;
  unsigned ap_epoch_ = 0;  ///< Answers to what was asked for an earlier one are nothing to this one.
  ApAddresses ap_addresses_;
  WpaControl ap_control_;  ///< For a move with its phones.
  std::set<std::string> phones_;

  std::vector<WpaNetwork> seen_;
  Millis seen_at_ = never;
  bool scan_asked_ = false;
  bool scan_running_ = false;
  bool scan_for_join_ = false;
  int ends_since_name_ = 2;  ///< Looks that have ended since one was asked for by name.
  Millis scan_due_ = never;
  Millis scan_until_ = never;

  Join join_ = Join::none;
  Target target_;
  WpaNetwork target_network_;
  bool target_hidden_ = false;
  int looks_ = 0;
  int refused_ = 0;
  unsigned epoch_ = 0;
  std::string connection_;
  Millis join_due_ = never;

  RadioNews news_;
};

}  // namespace muster::agent::linux_port
