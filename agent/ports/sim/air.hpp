// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/port/clock.hpp"
#include "agent/port/radio.hpp"

/// The air between radios, for people and tests without one: who is on it, who sees whom, who has joined what, and the byte streams
/// between a phone and a device in set-up mode. A pure state machine: commands and time in, events out. The same air serves virtual
/// time in one process (air_room.hpp) and separate programs over one socket (air_socket.hpp).
namespace muster::agent::sim {

/// One radio on one air. Never used twice; 0: none.
using RadioId = std::uint32_t;

/// What a radio wants. Texts are bytes: an SSID may hold anything.
struct AirCommand {
  enum class Kind : std::uint8_t {
    open = 1,   ///< Be an open access point under the name `ssid`. Open already: only the name changes.
    shut = 2,   ///< Be none any more.
    scan = 3,   ///< Answered by `scanned`.
    join = 4,   ///< Join `ssid` with `passphrase`; answered by `joined` or `join_failed`. Ends another join first.
    leave = 5,  ///< Be joined to nothing.
    dial = 6,   ///< Open a byte stream to port 80 of the access point that is joined; answered by `dialed` or `stream_closed`.
    send = 7,
    close = 8,  ///< End a stream, behind the bytes sent before.
  };
  Kind kind = Kind::leave;
  std::string ssid, passphrase;
  StaticAddress fixed;       ///< join: all zero means DHCP.
  bool resume = false;       ///< open, join: it was so before the air changed hands: be quick, and say nothing if all is well.
  std::uint32_t stream = 0;  ///< dial: the dialler's own number for it; send, close: the number that the sender knows it by.
  std::vector<std::uint8_t> bytes;
};

/// What the network behind an access point is worth, once joined.
enum class Uplink : std::uint8_t { none, good, dns_dead, captive_portal, dead };

struct AirNetwork {
  std::string ssid;
  std::uint8_t bssid[6] = {};
  std::int16_t rssi_dbm = 0;
  std::uint16_t channel = 0;
  NetworkSecurity security = NetworkSecurity::unknown;
};

/// What the air tells a radio.
struct AirEvent {
  enum class Kind : std::uint8_t {
    opened = 1,
    open_failed = 2,
    scanned = 3,
    joined = 4,
    join_failed = 5,
    lost = 6,      ///< What was joined is gone.
    stations = 7,  ///< `count` radios are joined to this access point now.
    dialed = 8,
    stream_opened = 9,  ///< Somebody dialled this access point; `stream` is Air's number for it.
    bytes = 10,
    stream_closed = 11,  ///< Also when a dial failed.
  };
  Kind kind = Kind::lost;
  RadioId radio = 0;  ///< Whom it is for.
  std::vector<AirNetwork> networks;
  JoinedNetwork network;
  Uplink uplink = Uplink::none;
  JoinFailure failure = JoinFailure::other;
  std::uint32_t stream = 0;
  std::uint32_t count = 0;
  std::vector<std::uint8_t> bytes;
};

/// A network of somebody's home, with what is wrong with it.
struct HomeNetwork {
  std::string ssid;
  std::string passphrase;  ///< Empty: open. 64 hexadecimal digits: the key itself, compared without regard to case.
  NetworkSecurity security = NetworkSecurity::wpa2;
  std::uint16_t channel = 1;
  bool absent = false;          ///< Switched off.
  bool hidden = false;          ///< Scans see it without its name.
  bool refuses_all = false;     ///< No password is right.
  bool no_dhcp = false;         ///< Gives no address; a fixed one works.
  bool dns_dead = false;        ///< No name resolves.
  bool captive_portal = false;  ///< A sign-in page answers whatever is dialled.
  bool dead = false;            ///< Nothing beyond the router answers.
  bool weak = false;            ///< Half of all joins take too long.
};

/// How long things take.
struct AirTimes {
  Millis open_ms, scan_ms, join_ms, wrong_password_ms, not_found_ms, dhcp_timeout_ms, join_timeout_ms;
  Millis hop_ms;  ///< Of bytes, one way.
};
/// As measured on real radios, for virtual time.
inline constexpr AirTimes real_air_times{300, 2'500, 2'000, 5'000, 6'000, 10'000, 25'000, 3};
/// For people who wait in front of a screen, and for tests of whole programs.
inline constexpr AirTimes quick_air_times{5, 40, 40, 200, 200, 500, 1'000, 0};

inline constexpr std::size_t air_radios_max = 256;
inline constexpr std::size_t air_networks_max = 64;           ///< Home networks, and entries of a scan.
inline constexpr std::size_t air_stations_max = 4;            ///< On one access point, as on an ESP32.
inline constexpr std::size_t air_streams_max = 8;             ///< That one radio has dialled.
inline constexpr std::size_t air_bytes_max = 16 * 1024;       ///< In one send.
inline constexpr std::size_t air_in_flight_max = 256 * 1024;  ///< Of one stream, one way: more ends the stream.
inline constexpr std::size_t air_pending_max = 1'024;         ///< Events on their way because of one radio.

class Air {
 public:
  explicit Air(const AirTimes& times, std::uint64_t seed = 1) : times_{times}, random_{seed} {}
  Air(const Air&) = delete;
  Air& operator=(const Air&) = delete;

  /// Replaces all home networks; what is joined to one that is gone or absent now is lost. Takes the first air_networks_max.
  void set_home_networks(std::vector<HomeNetwork> networks, Millis now);
  [[nodiscard]] const std::vector<HomeNetwork>& home_networks() const noexcept { return homes_; }

  /// 0: air_radios_max are there already.
  [[nodiscard]] RadioId add_radio();
  /// As when its power goes: the radio is told nothing more, others notice.
  void remove_radio(RadioId radio, Millis now);
  /// False: it asks for too much, or for what no radio can; it should be removed.
  [[nodiscard]] bool apply(RadioId radio, const AirCommand& command, Millis now);

  /// When something is due; never: nothing.
  [[nodiscard]] Millis next_deadline() const noexcept { return pending_.empty() ? never : pending_.begin()->first.first; }
  /// Takes the next event that is due. False: none is left.
  [[nodiscard]] bool next_event(Millis now, AirEvent& event);

  // Faults on demand.
  /// The access point of this radio is gone for all others, and the radio does not notice.
  void lose_access_point(RadioId radio, Millis now);
  /// Stations do not follow when an access point has to change its channel because its device joined another network.
  void set_lose_on_hop(bool lose) { lose_on_hop_ = lose; }

  [[nodiscard]] bool is_open(RadioId radio) const;
  /// The name of what it is joined to; empty: nothing.
  [[nodiscard]] std::string joined_to(RadioId radio) const;

 private:
  struct Joined {
    std::string ssid;
    RadioId access_point = 0;  ///< 0: a home network.
  };
  struct Radio {
    bool open = false;
    bool vanished = false;  ///< Open, but nobody sees it.
    std::string name;
    std::uint16_t channel = 1;
    std::uint32_t scans = 0, joins = 0, opens = 0;  ///< Of pending answers only the newest count.
    bool joined = false;
    Joined to;
    std::size_t pending = 0;
  };
  struct Stream {
    RadioId station = 0, access_point = 0;
    std::uint32_t number = 0;  ///< The station's.
    bool station_open = true, access_point_open = true;
    std::size_t to_station = 0, to_access_point = 0;  ///< Bytes in flight.
    Millis station_at = 0, access_point_at = 0;       ///< When the last thing on the way arrives.
  };
  struct Pending {
    enum class What : std::uint8_t { event, finish_open, finish_scan, finish_join, finish_dial } what = What::event;
    RadioId because_of = 0;
    std::uint32_t turn = 0;
    AirCommand command;
    AirEvent event;
    JoinFailure failure = JoinFailure::other;
    bool fails = false;
  };
  using Key = std::pair<Millis, std::uint64_t>;

  void plan(Millis at, Pending pending);
  void tell(RadioId radio, AirEvent event, Millis at);
  [[nodiscard]] const HomeNetwork* find_home(std::string_view ssid) const;
  [[nodiscard]] RadioId find_access_point(std::string_view ssid, RadioId except) const;
  void begin_join(RadioId id, Radio& radio, const AirCommand& command, Millis now);
  bool finish_join(const Pending& pending, Millis now, AirEvent& event);
  void scan_result(RadioId id, AirEvent& event) const;
  void leave(RadioId id, Millis now);
  void lose_stations(RadioId access_point, Millis now);
  void tell_stations(RadioId access_point, Millis now);
  [[nodiscard]] std::size_t stations_of(RadioId access_point) const;
  [[nodiscard]] std::map<std::uint32_t, Stream>::iterator stream_of(RadioId radio, std::uint32_t stream);
  void end_streams(RadioId radio, bool as_station, Millis now);
  void end_stream(std::map<std::uint32_t, Stream>::iterator stream, bool tell_station, bool tell_access_point, Millis now);
  [[nodiscard]] std::uint64_t next_random();

  AirTimes times_;
  std::uint64_t random_;
  bool lose_on_hop_ = false;
  std::uint64_t order_ = 0;
  RadioId last_radio_ = 0;
  std::uint32_t last_stream_ = 0;
  std::vector<HomeNetwork> homes_;
  std::map<RadioId, Radio> radios_;
  std::map<std::uint32_t, Stream> streams_;
  std::map<Key, Pending> pending_;
};

/// Home networks as a text: one a line, `SSID TAB PASSWORD TAB FAULTS`; FAULTS are words with commas between: absent, hidden,
/// wrong-password, no-dhcp, dns-dead, captive-portal, dead, weak, wpa3, channel=N. Empty lines and lines that begin with # are left out, as is
/// what makes no sense.
[[nodiscard]] std::vector<HomeNetwork> parse_home_networks(std::string_view text);
/// What is on the air when nobody says anything else: `Muster Home` with password `muster-home`.
[[nodiscard]] HomeNetwork default_home_network();

// ---- the messages of the socket ---------------------------------------------------------------------------------------------------

inline constexpr std::uint8_t air_protocol_version = 1;
inline constexpr std::size_t air_message_max = air_bytes_max + 64;

/// One message each. decode_* take any bytes and are strict: false unless the whole message makes sense.
[[nodiscard]] std::vector<std::uint8_t> encode_command(const AirCommand& command);
[[nodiscard]] bool decode_command(const std::uint8_t* data, std::size_t size, AirCommand& command);
[[nodiscard]] std::vector<std::uint8_t> encode_event(const AirEvent& event);  ///< Without `radio`.
[[nodiscard]] bool decode_event(const std::uint8_t* data, std::size_t size, AirEvent& event);

}  // namespace muster::agent::sim
