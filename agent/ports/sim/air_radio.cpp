// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/sim/air_radio.hpp"

#include <algorithm>

namespace muster::agent::sim {

namespace {
/// A name that nobody has: there are no cables on the air.
constexpr std::string_view no_network{"\0cable", 6};
}  // namespace

void AirRadio::open(std::string_view name) {
  AirCommand command;
  command.kind = AirCommand::Kind::open;
  command.ssid = name.substr(0, ssid_size_max_bytes);
  opening_ = true;
  place_.submit(command);
}

void AirRadio::shut() {
  if (!opening_ && !open_) {
    return;
  }
  opening_ = open_ = false;
  AirCommand command;
  command.kind = AirCommand::Kind::shut;
  place_.submit(command);
}

void AirRadio::scan() {
  scanning_ = true;
  AirCommand command;
  command.kind = AirCommand::Kind::scan;
  place_.submit(command);
}

void AirRadio::join(const JoinTarget& target) {
  joining_ = true;
  joined_ = false;
  uplink_ = Uplink::none;
  wired_ = target.wired;
  AirCommand command;
  command.kind = AirCommand::Kind::join;
  command.ssid = wired_ ? no_network : target.ssid.substr(0, ssid_size_max_bytes);
  command.passphrase = target.passphrase.substr(0, passphrase_size_max_bytes);
  if (target.fixed != nullptr) {
    command.fixed = *target.fixed;
  }
  place_.submit(command);
}

void AirRadio::leave() {
  if (!joining_ && !joined_) {
    return;
  }
  joining_ = joined_ = false;
  uplink_ = Uplink::none;
  AirCommand command;
  command.kind = AirCommand::Kind::leave;
  place_.submit(command);
}

void AirRadio::send(std::uint32_t stream, wire::ByteView bytes) {
  for (std::size_t at = 0; at < bytes.size; at += air_bytes_max) {
    AirCommand command;
    command.kind = AirCommand::Kind::send;
    command.stream = stream;
    command.bytes.assign(bytes.data + at, bytes.data + std::min(bytes.size, at + air_bytes_max));
    place_.submit(command);
  }
}

void AirRadio::close(std::uint32_t stream) {
  AirCommand command;
  command.kind = AirCommand::Kind::close;
  command.stream = stream;
  place_.submit(command);
}

void AirRadio::on_air(const AirEvent& event, Millis now) {
  // What comes for something that was ended meanwhile is for nobody.
  switch (event.kind) {
    case AirEvent::Kind::opened:
      if (opening_) {
        opening_ = false;
        open_ = true;
        events_.on_opened(now);
      }
      break;
    case AirEvent::Kind::open_failed:
      if (opening_) {
        opening_ = false;
        events_.on_open_failed(now);
      }
      break;
    case AirEvent::Kind::scanned:
      if (scanning_) {
        scanning_ = false;
        ScannedNetwork networks[air_networks_max];
        const std::size_t count = std::min(event.networks.size(), air_networks_max);
        for (std::size_t i = 0; i < count; ++i) {
          const AirNetwork& from = event.networks[i];
          networks[i].ssid = from.ssid;
          std::copy(std::begin(from.bssid), std::end(from.bssid), networks[i].bssid);
          networks[i].rssi_dbm = from.rssi_dbm;
          networks[i].channel = from.channel;
          networks[i].security = from.security;
        }
        events_.on_scanned(networks, count, now);
      }
      break;
    case AirEvent::Kind::joined:
      if (joining_) {
        joining_ = false;
        joined_ = true;
        uplink_ = event.uplink;
        events_.on_joined(event.network, now);
      }
      break;
    case AirEvent::Kind::join_failed:
      if (joining_) {
        joining_ = false;
        events_.on_join_failed(wired_ ? JoinFailure::no_cable : event.failure, now);
      }
      break;
    case AirEvent::Kind::lost:
      if (joined_) {
        joined_ = false;
        uplink_ = Uplink::none;
        events_.on_network_lost(now);
      }
      break;
    case AirEvent::Kind::stations:
      if (open_) {
        events_.on_visitors(event.count, now);
      }
      break;
    case AirEvent::Kind::stream_opened: events_.on_stream_opened(event.stream, now); break;
    case AirEvent::Kind::bytes: events_.on_stream_bytes(event.stream, wire::ByteView{event.bytes.data(), event.bytes.size()}, now); break;
    case AirEvent::Kind::stream_closed: events_.on_stream_closed(event.stream, now); break;
    case AirEvent::Kind::dialed: break;  // A device dials nobody.
  }
}

}  // namespace muster::agent::sim
