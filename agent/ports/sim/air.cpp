// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/sim/air.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace muster::agent::sim {

namespace {

using CommandKind = AirCommand::Kind;
using EventKind = AirEvent::Kind;

/// Any radio's address: its number under a prefix of locally administered ones.
void put_bssid(std::uint8_t (&bssid)[6], std::uint8_t family, std::uint32_t number) {
  const std::uint8_t made[6] = {0x02,
                                0x4d,
                                family,
                                static_cast<std::uint8_t>(number >> 16),
                                static_cast<std::uint8_t>(number >> 8),
                                static_cast<std::uint8_t>(number)};
  std::memcpy(bssid, made, sizeof bssid);
}

bool is_key(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

bool passphrases_equal(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; };
  if (!is_key(a) || !is_key(b)) {
    return a == b;
  }
  return std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::uint64_t Air::next_random() {  // SplitMix64, as everything in this folder.
  random_ += 0x9e3779b97f4a7c15U;
  std::uint64_t z = random_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

void Air::plan(Millis at, Pending pending) {
  const auto found = radios_.find(pending.because_of);
  if (found != radios_.end()) {
    ++found->second.pending;
  }
  pending_.emplace(Key{at, ++order_}, std::move(pending));
}

void Air::tell(RadioId radio, AirEvent event, Millis at) {
  event.radio = radio;
  Pending pending;
  pending.because_of = radio;
  pending.event = std::move(event);
  plan(at, std::move(pending));
}

RadioId Air::add_radio() {
  if (radios_.size() >= air_radios_max) {
    return 0;
  }
  radios_[++last_radio_] = Radio{};
  return last_radio_;
}

void Air::remove_radio(RadioId id, Millis now) {
  const auto found = radios_.find(id);
  if (found == radios_.end()) {
    return;
  }
  leave(id, now);
  if (found->second.open) {
    found->second.open = false;
    lose_stations(id, now);
  }
  radios_.erase(id);
}

void Air::set_home_networks(std::vector<HomeNetwork> networks, Millis now) {
  if (networks.size() > air_networks_max) {
    networks.resize(air_networks_max);
  }
  homes_ = std::move(networks);
  for (auto& [id, radio] : radios_) {
    if (radio.joined && radio.to.access_point == 0 && find_home(radio.to.ssid) == nullptr) {
      radio.joined = false;
      AirEvent lost;
      lost.kind = EventKind::lost;
      tell(id, std::move(lost), now);
    }
  }
}

const HomeNetwork* Air::find_home(std::string_view ssid) const {
  const auto found = std::find_if(homes_.begin(), homes_.end(), [&](const HomeNetwork& home) { return home.ssid == ssid && !home.absent; });
  return found == homes_.end() ? nullptr : &*found;
}

RadioId Air::find_access_point(std::string_view ssid, RadioId except) const {
  for (const auto& [id, radio] : radios_) {
    if (radio.open && !radio.vanished && id != except && radio.name == ssid) {
      return id;
    }
  }
  return 0;
}

std::size_t Air::stations_of(RadioId access_point) const {
  return static_cast<std::size_t>(std::count_if(radios_.begin(), radios_.end(), [&](const auto& entry) {
    return entry.second.joined && entry.second.to.access_point == access_point;
  }));
}

void Air::tell_stations(RadioId access_point, Millis now) {
  AirEvent event;
  event.kind = EventKind::stations;
  event.count = static_cast<std::uint32_t>(stations_of(access_point));
  tell(access_point, std::move(event), now);
}

void Air::end_stream(std::map<std::uint32_t, Stream>::iterator stream, bool tell_station, bool tell_access_point, Millis now) {
  AirEvent event;
  event.kind = EventKind::stream_closed;
  if (tell_station && stream->second.station_open) {
    event.stream = stream->second.number;
    tell(stream->second.station, event, std::max(now, stream->second.station_at));
  }
  if (tell_access_point && stream->second.access_point_open) {
    event.stream = stream->first;
    tell(stream->second.access_point, event, std::max(now, stream->second.access_point_at));
  }
  streams_.erase(stream);
}

void Air::end_streams(RadioId radio, bool as_station, Millis now) {
  for (auto stream = streams_.begin(); stream != streams_.end();) {
    const auto current = stream++;
    const RadioId end = as_station ? current->second.station : current->second.access_point;
    if (end == radio) {
      end_stream(current, !as_station, as_station, now);
    }
  }
}

void Air::lose_stations(RadioId access_point, Millis now) {
  end_streams(access_point, false, now);
  for (auto& [id, radio] : radios_) {
    if (radio.joined && radio.to.access_point == access_point) {
      radio.joined = false;
      AirEvent lost;
      lost.kind = EventKind::lost;
      tell(id, std::move(lost), now);
    }
  }
}

void Air::leave(RadioId id, Millis now) {
  Radio& radio = radios_[id];
  ++radio.joins;
  end_streams(id, true, now);
  if (!radio.joined) {
    return;
  }
  radio.joined = false;
  const RadioId access_point = radio.to.access_point;
  if (access_point != 0 && radios_.count(access_point) != 0) {
    tell_stations(access_point, now);
  }
}

void Air::lose_access_point(RadioId id, Millis now) {
  const auto found = radios_.find(id);
  if (found != radios_.end() && found->second.open) {
    found->second.vanished = true;
    lose_stations(id, now);
  }
}

bool Air::is_open(RadioId id) const {
  const auto found = radios_.find(id);
  return found != radios_.end() && found->second.open;
}

std::string Air::joined_to(RadioId id) const {
  const auto found = radios_.find(id);
  return found != radios_.end() && found->second.joined ? found->second.to.ssid : std::string{};
}

std::map<std::uint32_t, Air::Stream>::iterator Air::stream_of(RadioId radio, std::uint32_t stream) {
  const auto own = streams_.find(stream);
  if (own != streams_.end() && own->second.access_point == radio) {
    return own;
  }
  return std::find_if(streams_.begin(), streams_.end(),
                      [&](const auto& entry) { return entry.second.station == radio && entry.second.number == stream; });
}

bool Air::apply(RadioId id, const AirCommand& command, Millis now) {
  const auto found = radios_.find(id);
  if (found == radios_.end()) {
    return false;
  }
  Radio& radio = found->second;
  if (radio.pending >= air_pending_max || command.ssid.size() > ssid_size_max_bytes ||
      command.passphrase.size() > passphrase_size_max_bytes || command.bytes.size() > air_bytes_max) {
    return false;
  }
  Pending pending;
  pending.because_of = id;
  switch (command.kind) {
    case CommandKind::open: {
      if (command.ssid.empty()) {
        return false;
      }
      pending.what = Pending::What::finish_open;
      pending.turn = ++radio.opens;
      pending.command = command;
      if (radio.open || command.resume) {
        radio.name = command.ssid;
        radio.open = true;
        radio.vanished = false;
        if (command.resume) {
          return true;
        }
      }
      plan(now + times_.open_ms, std::move(pending));
      return true;
    }
    case CommandKind::shut:
      ++radio.opens;
      if (radio.open) {
        radio.open = false;
        radio.vanished = false;
        lose_stations(id, now);
      }
      return true;
    case CommandKind::scan:
      pending.what = Pending::What::finish_scan;
      pending.turn = ++radio.scans;
      plan(now + times_.scan_ms, std::move(pending));
      return true;
    case CommandKind::join:
      if (command.ssid.empty()) {
        return false;
      }
      begin_join(id, radio, command, now);
      return true;
    case CommandKind::leave: leave(id, now); return true;
    case CommandKind::dial: {
      const auto dialled = static_cast<std::size_t>(
          std::count_if(streams_.begin(), streams_.end(), [&](const auto& entry) { return entry.second.station == id; }));
      if (command.stream == 0 || stream_of(id, command.stream) != streams_.end() || dialled >= air_streams_max) {
        return false;
      }
      pending.what = Pending::What::finish_dial;
      pending.turn = radio.joins;
      pending.command = command;
      plan(now + times_.hop_ms, std::move(pending));
      return true;
    }
    case CommandKind::send: {
      const auto stream = stream_of(id, command.stream);
      if (stream == streams_.end() || command.bytes.empty()) {
        return true;  // It ended while this was on its way.
      }
      Stream& s = stream->second;
      const bool from_station = s.station == id;
      std::size_t& in_flight = from_station ? s.to_access_point : s.to_station;
      if (in_flight + command.bytes.size() > air_in_flight_max) {
        end_stream(stream, true, true, now);
        return true;
      }
      in_flight += command.bytes.size();
      Millis& last = from_station ? s.access_point_at : s.station_at;
      last = std::max(now + times_.hop_ms, last);
      pending.event.kind = EventKind::bytes;
      pending.event.radio = from_station ? s.access_point : s.station;
      pending.event.stream = from_station ? stream->first : s.number;
      pending.event.bytes = command.bytes;
      plan(last, std::move(pending));
      return true;
    }
    case CommandKind::close: {
      const auto stream = stream_of(id, command.stream);
      if (stream != streams_.end()) {
        const bool from_station = stream->second.station == id;
        end_stream(stream, !from_station, from_station, now + times_.hop_ms);
      }
      return true;
    }
  }
  return false;
}

void Air::begin_join(RadioId id, Radio& radio, const AirCommand& command, Millis now) {
  leave(id, now);
  Pending pending;
  pending.what = Pending::What::finish_join;
  pending.because_of = id;
  pending.turn = radio.joins;
  pending.command = command;
  const auto fail = [&](Millis after, JoinFailure failure) {
    pending.fails = true;
    pending.failure = failure;
    plan(now + after, std::move(pending));
  };
  const HomeNetwork* const home = find_home(command.ssid);
  if (home == nullptr) {
    const RadioId access_point = find_access_point(command.ssid, id);
    if (access_point == 0 || !command.passphrase.empty()) {  // An access point of a device is open: no other one has this name.
      fail(times_.not_found_ms, JoinFailure::not_found);
    } else if (stations_of(access_point) >= air_stations_max) {
      fail(times_.join_ms, JoinFailure::other);
    } else {
      plan(now + (command.resume ? 0 : times_.join_ms), std::move(pending));
    }
    return;
  }
  const bool open = home->passphrase.empty();
  const bool weak = home->weak && next_random() % 2 == 0;
  if (open != command.passphrase.empty()) {
    fail(times_.not_found_ms, JoinFailure::not_found);  // No network of this name with such a protection.
  } else if (weak) {
    fail(times_.join_timeout_ms, JoinFailure::timeout);
  } else if (home->refuses_all || !passphrases_equal(home->passphrase, command.passphrase)) {
    fail(times_.wrong_password_ms, JoinFailure::wrong_password);
  } else if (home->no_dhcp && command.fixed.address == 0) {
    fail(times_.join_ms + times_.dhcp_timeout_ms, JoinFailure::no_address);
  } else {
    plan(now + (command.resume ? 0 : times_.join_ms), std::move(pending));
  }
}

bool Air::finish_join(const Pending& pending, Millis now, AirEvent& event) {
  const auto found = radios_.find(pending.because_of);
  if (found == radios_.end() || found->second.joins != pending.turn) {
    return false;
  }
  const RadioId id = found->first;
  Radio& radio = found->second;
  event = AirEvent{};
  event.radio = id;
  event.kind = EventKind::join_failed;
  if (pending.fails) {
    event.failure = pending.failure;
    return true;
  }
  const HomeNetwork* const home = find_home(pending.command.ssid);
  const RadioId access_point = home == nullptr ? find_access_point(pending.command.ssid, id) : 0;
  if (home == nullptr && access_point == 0) {
    event.failure = JoinFailure::not_found;
    return true;
  }
  if (home == nullptr && stations_of(access_point) >= air_stations_max) {
    event.failure = JoinFailure::other;
    return true;
  }
  radio.joined = true;
  radio.to = {pending.command.ssid, access_point};
  event.kind = EventKind::joined;
  if (home != nullptr) {
    put_bssid(event.network.bssid, 1, static_cast<std::uint32_t>(home - homes_.data()));
    event.network.address = pending.command.fixed.address != 0 ? pending.command.fixed.address : 0xC0A80100U + 10 + id % 240;
    event.network.channel = home->channel;
    event.network.rssi_dbm = home->weak ? -88 : -52;
    event.uplink = home->captive_portal ? Uplink::captive_portal
                   : home->dns_dead     ? Uplink::dns_dead
                   : home->dead         ? Uplink::dead
                                        : Uplink::good;
    if (radio.channel != home->channel) {  // One radio, one channel: what it has open comes along.
      radio.channel = home->channel;
      if (radio.open && lose_on_hop_ && stations_of(id) > 0) {
        lose_stations(id, now);
        tell_stations(id, now);
      }
    }
  } else {
    put_bssid(event.network.bssid, 2, access_point);
    event.network.address = 0xC0A80402U + id % 200;
    event.network.channel = radios_[access_point].channel;
    event.network.rssi_dbm = -40;
    event.uplink = Uplink::none;
    tell_stations(access_point, now);
  }
  return true;
}

void Air::scan_result(RadioId id, AirEvent& event) const {
  for (std::size_t i = 0; i < homes_.size(); ++i) {
    const HomeNetwork& home = homes_[i];
    if (home.absent) {
      continue;
    }
    AirNetwork network;
    network.ssid = home.hidden ? std::string{} : home.ssid;
    put_bssid(network.bssid, 1, static_cast<std::uint32_t>(i));
    network.rssi_dbm = home.weak ? std::int16_t{-88} : static_cast<std::int16_t>(-50 - static_cast<int>(i % 30));
    network.channel = home.channel;
    network.security = home.passphrase.empty() ? NetworkSecurity::open : home.security;
    event.networks.push_back(std::move(network));
  }
  for (const auto& [other, radio] : radios_) {
    if (!radio.open || radio.vanished || other == id) {
      continue;
    }
    AirNetwork network;
    network.ssid = radio.name;
    put_bssid(network.bssid, 2, other);
    network.rssi_dbm = -40;
    network.channel = radio.channel;
    network.security = NetworkSecurity::open;
    event.networks.push_back(std::move(network));
  }
  std::stable_sort(event.networks.begin(), event.networks.end(),
                   [](const AirNetwork& a, const AirNetwork& b) { return a.rssi_dbm > b.rssi_dbm; });
  if (event.networks.size() > air_networks_max) {
    event.networks.resize(air_networks_max);
  }
}

bool Air::next_event(Millis now, AirEvent& event) {
  while (!pending_.empty() && pending_.begin()->first.first <= now) {
    const Millis at = pending_.begin()->first.first;
    const Pending pending = std::move(pending_.begin()->second);
    pending_.erase(pending_.begin());
    const auto cause = radios_.find(pending.because_of);
    if (cause != radios_.end()) {
      --cause->second.pending;
    }
    switch (pending.what) {
      case Pending::What::event: {
        if (pending.event.kind == EventKind::bytes) {
          // What was sent before the end arrives before it; nothing arrives behind it.
          const auto stream = stream_of(pending.event.radio, pending.event.stream);
          if (stream != streams_.end()) {
            const bool to_station = stream->second.station == pending.event.radio;
            (to_station ? stream->second.to_station : stream->second.to_access_point) -= pending.event.bytes.size();
          }
        }
        if (radios_.count(pending.event.radio) == 0) {
          continue;
        }
        event = pending.event;
        return true;
      }
      case Pending::What::finish_open:
        if (cause == radios_.end() || cause->second.opens != pending.turn) {
          continue;
        }
        cause->second.open = true;
        cause->second.vanished = false;
        cause->second.name = pending.command.ssid;
        event = AirEvent{};
        event.kind = EventKind::opened;
        event.radio = pending.because_of;
        return true;
      case Pending::What::finish_scan:
        if (cause == radios_.end() || cause->second.scans != pending.turn) {
          continue;
        }
        event = AirEvent{};
        event.kind = EventKind::scanned;
        event.radio = pending.because_of;
        scan_result(pending.because_of, event);
        return true;
      case Pending::What::finish_join:
        if (!finish_join(pending, at, event)) {
          continue;
        }
        return true;
      case Pending::What::finish_dial: {
        if (cause == radios_.end()) {
          continue;
        }
        event = AirEvent{};
        event.radio = pending.because_of;
        event.stream = pending.command.stream;
        Radio& radio = cause->second;
        const auto access_point = radios_.find(radio.to.access_point);
        if (!radio.joined || radio.joins != pending.turn || access_point == radios_.end() || !access_point->second.open) {
          event.kind = EventKind::stream_closed;
          return true;
        }
        Stream stream;
        stream.station = pending.because_of;
        stream.access_point = access_point->first;
        stream.number = pending.command.stream;
        streams_[++last_stream_] = stream;
        AirEvent opened;
        opened.kind = EventKind::stream_opened;
        opened.stream = last_stream_;
        tell(access_point->first, std::move(opened), at);
        event.kind = EventKind::dialed;
        return true;
      }
    }
  }
  return false;
}

// ---- home networks as text ----------------------------------------------------------------------------------------------------------

HomeNetwork default_home_network() {
  HomeNetwork home;
  home.ssid = "Muster Home";
  home.passphrase = "muster-home";
  home.channel = 6;
  return home;
}

std::vector<HomeNetwork> parse_home_networks(std::string_view text) {
  std::vector<HomeNetwork> homes;
  while (!text.empty() && homes.size() < air_networks_max) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.back() == '\r') {
      line.remove_suffix(1);
    }
    if (line.empty() || line.front() == '#') {
      continue;
    }
    const auto field = [&] {
      const auto tab = std::min(line.find('\t'), line.size());
      const auto got = line.substr(0, tab);
      line.remove_prefix(std::min(tab + 1, line.size()));
      return got;
    };
    HomeNetwork home;
    home.ssid = field();
    home.passphrase = field();
    const bool password_fits =
        home.passphrase.empty() || (home.passphrase.size() >= 8 && home.passphrase.size() <= 63) || is_key(home.passphrase);
    if (home.ssid.empty() || home.ssid.size() > ssid_size_max_bytes || !password_fits) {
      continue;
    }
    std::string_view faults = field();
    while (!faults.empty()) {
      const auto comma = std::min(faults.find(','), faults.size());
      const std::string_view word = faults.substr(0, comma);
      faults.remove_prefix(std::min(comma + 1, faults.size()));
      home.absent |= word == "absent";
      home.hidden |= word == "hidden";
      home.refuses_all |= word == "wrong-password";
      home.no_dhcp |= word == "no-dhcp";
      home.dns_dead |= word == "dns-dead";
      home.captive_portal |= word == "captive-portal";
      home.dead |= word == "dead";
      home.weak |= word == "weak";
      if (word == "wpa3") {
        home.security = NetworkSecurity::wpa3;
      }
      if (word.substr(0, 8) == "channel=") {
        std::from_chars(word.data() + 8, word.data() + word.size(), home.channel);
      }
    }
    homes.push_back(std::move(home));
  }
  return homes;
}

// ---- messages -----------------------------------------------------------------------------------------------------------------------

namespace {

class Writer {
 public:
  explicit Writer(std::uint8_t kind) { bytes_.push_back(kind); }
  void u8(std::uint8_t value) { bytes_.push_back(value); }
  void u16(std::uint16_t value) {
    u8(static_cast<std::uint8_t>(value >> 8));
    u8(static_cast<std::uint8_t>(value));
  }
  void u32(std::uint32_t value) {
    u16(static_cast<std::uint16_t>(value >> 16));
    u16(static_cast<std::uint16_t>(value));
  }
  void text(std::string_view text) {
    u8(static_cast<std::uint8_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  void raw(const std::uint8_t* data, std::size_t size) { bytes_.insert(bytes_.end(), data, data + size); }
  [[nodiscard]] std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<std::uint8_t> bytes_;
};

class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : data_{data}, left_{size} {}
  std::uint8_t u8() {
    if (left_ == 0) {
      good_ = false;
      return 0;
    }
    --left_;
    return *data_++;
  }
  std::uint16_t u16() {
    const auto high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  std::string text(std::size_t size_max) {
    const std::size_t size = u8();
    if (size > size_max || size > left_) {
      good_ = false;
      return {};
    }
    std::string text(reinterpret_cast<const char*>(data_), size);
    data_ += size;
    left_ -= size;
    return text;
  }
  void raw(std::uint8_t* to, std::size_t size) {
    if (size > left_) {
      good_ = false;
      return;
    }
    std::memcpy(to, data_, size);
    data_ += size;
    left_ -= size;
  }
  std::vector<std::uint8_t> rest(std::size_t size_max) {
    if (left_ > size_max) {
      good_ = false;
      return {};
    }
    std::vector<std::uint8_t> bytes(data_, data_ + left_);
    left_ = 0;
    return bytes;
  }
  template <class Enum>
  Enum choice(Enum last) {
    const auto value = u8();
    if (value > static_cast<std::uint8_t>(last)) {
      good_ = false;
      return last;
    }
    return static_cast<Enum>(value);
  }
  [[nodiscard]] bool whole() const { return good_ && left_ == 0; }
  [[nodiscard]] bool good() const { return good_; }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
  bool good_ = true;
};

}  // namespace

std::vector<std::uint8_t> encode_command(const AirCommand& command) {
  Writer out{static_cast<std::uint8_t>(command.kind)};
  switch (command.kind) {
    case CommandKind::open:
      out.u8(command.resume ? 1 : 0);
      out.text(command.ssid);
      break;
    case CommandKind::join:
      out.u8(command.resume ? 1 : 0);
      out.text(command.ssid);
      out.text(command.passphrase);
      for (const auto value : {command.fixed.address, command.fixed.mask, command.fixed.gateway, command.fixed.dns, command.fixed.dns2}) {
        out.u32(value);
      }
      break;
    case CommandKind::send:
      out.u32(command.stream);
      out.raw(command.bytes.data(), command.bytes.size());
      break;
    case CommandKind::dial:
    case CommandKind::close: out.u32(command.stream); break;
    case CommandKind::shut:
    case CommandKind::scan:
    case CommandKind::leave: break;
  }
  return out.take();
}

bool decode_command(const std::uint8_t* data, std::size_t size, AirCommand& command) {
  Reader in{data, size};
  command = AirCommand{};
  const auto kind = in.u8();
  if (kind < static_cast<std::uint8_t>(CommandKind::open) || kind > static_cast<std::uint8_t>(CommandKind::close)) {
    return false;
  }
  command.kind = static_cast<CommandKind>(kind);
  switch (command.kind) {
    case CommandKind::open:
      command.resume = in.u8() == 1;
      command.ssid = in.text(ssid_size_max_bytes);
      break;
    case CommandKind::join:
      command.resume = in.u8() == 1;
      command.ssid = in.text(ssid_size_max_bytes);
      command.passphrase = in.text(passphrase_size_max_bytes);
      for (auto* value : {&command.fixed.address, &command.fixed.mask, &command.fixed.gateway, &command.fixed.dns, &command.fixed.dns2}) {
        *value = in.u32();
      }
      break;
    case CommandKind::send:
      command.stream = in.u32();
      command.bytes = in.rest(air_bytes_max);
      break;
    case CommandKind::dial:
    case CommandKind::close: command.stream = in.u32(); break;
    case CommandKind::shut:
    case CommandKind::scan:
    case CommandKind::leave: break;
  }
  return in.whole();
}

std::vector<std::uint8_t> encode_event(const AirEvent& event) {
  Writer out{static_cast<std::uint8_t>(event.kind)};
  switch (event.kind) {
    case EventKind::scanned:
      out.u8(static_cast<std::uint8_t>(event.networks.size()));
      for (const AirNetwork& network : event.networks) {
        out.text(network.ssid);
        out.raw(network.bssid, sizeof network.bssid);
        out.u16(static_cast<std::uint16_t>(network.rssi_dbm));
        out.u16(network.channel);
        out.u8(static_cast<std::uint8_t>(network.security));
      }
      break;
    case EventKind::joined:
      out.raw(event.network.bssid, sizeof event.network.bssid);
      out.u32(event.network.address);
      out.u16(static_cast<std::uint16_t>(event.network.rssi_dbm));
      out.u16(event.network.channel);
      out.u8(static_cast<std::uint8_t>(event.uplink));
      break;
    case EventKind::join_failed: out.u8(static_cast<std::uint8_t>(event.failure)); break;
    case EventKind::stations: out.u32(event.count); break;
    case EventKind::bytes:
      out.u32(event.stream);
      out.raw(event.bytes.data(), event.bytes.size());
      break;
    case EventKind::dialed:
    case EventKind::stream_opened:
    case EventKind::stream_closed: out.u32(event.stream); break;
    case EventKind::opened:
    case EventKind::open_failed:
    case EventKind::lost: break;
  }
  return out.take();
}

bool decode_event(const std::uint8_t* data, std::size_t size, AirEvent& event) {
  Reader in{data, size};
  event = AirEvent{};
  const auto kind = in.u8();
  if (kind < static_cast<std::uint8_t>(EventKind::opened) || kind > static_cast<std::uint8_t>(EventKind::stream_closed)) {
    return false;
  }
  event.kind = static_cast<EventKind>(kind);
  switch (event.kind) {
    case EventKind::scanned: {
      const std::size_t count = in.u8();
      if (count > air_networks_max) {
        return false;
      }
      for (std::size_t i = 0; i < count && in.good(); ++i) {
        AirNetwork network;
        network.ssid = in.text(ssid_size_max_bytes);
        in.raw(network.bssid, sizeof network.bssid);
        network.rssi_dbm = static_cast<std::int16_t>(in.u16());
        network.channel = in.u16();
        network.security = in.choice(NetworkSecurity::unknown);
        event.networks.push_back(std::move(network));
      }
      break;
    }
    case EventKind::joined:
      in.raw(event.network.bssid, sizeof event.network.bssid);
      event.network.address = in.u32();
      event.network.rssi_dbm = static_cast<std::int16_t>(in.u16());
      event.network.channel = in.u16();
      event.uplink = in.choice(Uplink::dead);
      break;
    case EventKind::join_failed: event.failure = in.choice(JoinFailure::other); break;
    case EventKind::stations: event.count = in.u32(); break;
    case EventKind::bytes:
      event.stream = in.u32();
      event.bytes = in.rest(air_bytes_max);
      break;
    case EventKind::dialed:
    case EventKind::stream_opened:
    case EventKind::stream_closed: event.stream = in.u32(); break;
    case EventKind::opened:
    case EventKind::open_failed:
    case EventKind::lost: break;
  }
  return in.whole();
}

}  // namespace muster::agent::sim
