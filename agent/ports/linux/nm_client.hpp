// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/port/clock.hpp"
#include "agent/port/radio.hpp"
#include "agent/ports/linux/nm_text.hpp"
#include "agent/ports/linux/wpa_text.hpp"

namespace muster::agent::linux_port {

/// A Wi-Fi interface as NetworkManager sees it.
struct NmDevice {
  std::string path;  ///< Of its D-Bus object.
  NmState state = NmState::unknown;
  std::array<std::uint8_t, 6> mac{};  ///< The card's own; while it looks around it uses others.
  std::vector<WpaNetwork> networks;   ///< That it saw last.
  std::uint32_t address = 0;          ///< IPv4 as 0xAABBCCDD; 0: none.
  std::uint32_t mask = 0;
  std::optional<WpaNetwork> joined;  ///< Where it is.
  std::string connection = {};       ///< The connection in use, as NetworkManager keeps it; empty: none.
};

/// A connection that lasts until it is ended or this program does; it is never written to disk.
struct NmProfile {
  std::string name;  ///< For people who list connections.
  std::string interface;
  std::string ssid;
  bool access_point = false;   ///< Open, with 192.168.4.1/24.
  int frequency_mhz = 0;       ///< Of an access point.
  bool hidden = false;         ///< It may tell its name only to who asks for it.
  std::string key_management;  ///< As nm_key_management() says; empty: open.
  std::string key;
  std::optional<StaticAddress> fixed;
  unsigned address_timeout_s = 0;  ///< For DHCP.
  bool local_only = false;         ///< No way to anywhere else, and none of its name servers.
};

/// NetworkManager, and the wpa_supplicant behind it, as far as a radio needs them. Nothing here blocks after open(); `done` and the listener
/// are called from inside serve() only. A class of its own, so that tests can stand in for it.
class NmClient {
 public:
  class Listener {
   public:
    /// `device`, `connection`: paths.
    virtual void on_device_state(const std::string& device, NmState state, std::uint32_t reason) = 0;
    virtual void on_connection_ended(const std::string& connection) = 0;
    virtual void on_scan_done(const std::string& device) = 0;
    /// A phone at the access point, by its hardware address.
    virtual void on_phone(const std::string& mac, bool present) = 0;
    /// A router refused the first step of a join, as WPA3's do with a wrong password. Status: IEEE 802.11, 9.4.1.9.
    virtual void on_refused(int status) = 0;
    /// NetworkManager has ended; all paths are void.
    virtual void on_gone() = 0;

   protected:
    ~Listener() = default;
  };

  virtual ~NmClient() = default;

  /// Reaches NetworkManager and finds `interface`; waits for some seconds at most. Empty when it worked, else a sentence for people.
  [[nodiscard]] virtual std::string open(Listener& listener, const std::string& interface, NmDevice& device) = 0;
  /// Ends what this program has activated.
  virtual void close() = 0;

  /// nullptr: there is no such interface, or no answer.
  virtual void find_device(const std::string& interface, std::function<void(const NmDevice* device)> done) = 0;
  /// Gives an interface into NetworkManager's care or takes it away, until the machine restarts.
  virtual void manage(const std::string& device, bool managed, std::function<void()> done) = 0;
  /// `ssid`: asked for by name besides, so that a hidden one answers; may be empty. Not ok: not now.
  virtual void request_scan(const std::string& device, const std::string& ssid, std::function<void(bool ok)> done) = 0;
  /// Adds the profile and activates it, in the place of what the device did before. `problem` empty: it has begun.
  virtual void activate(const std::string& device, const NmProfile& profile,
                        std::function<void(const std::string& connection, const std::string& problem)> done) = 0;
  /// Activates a connection that NetworkManager keeps (NmDevice::connection). `problem` empty: it has begun.
  virtual void activate_kept(const std::string& device, const std::string& kept, std::function<void(const std::string& problem)> done) = 0;
  virtual void deactivate(const std::string& connection, std::function<void()> done) = 0;
  /// From now on refusals of this station, and phones at this access point, are told; empty: of none.
  virtual void watch(const std::string& station, const std::string& access_point) = 0;

  virtual void fill(std::vector<pollfd>& waiting) const = 0;
  [[nodiscard]] virtual Millis next_deadline(Millis now) const = 0;
  virtual void serve() = 0;
};

}  // namespace muster::agent::linux_port
