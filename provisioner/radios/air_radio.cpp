// SPDX-License-Identifier: Apache-2.0
#include "provisioner/radios/air_radio.hpp"

#include <utility>
#include <vector>

namespace muster::provisioner {

using agent::sim::AirCommand;
using agent::sim::AirEvent;

void AirHostRadio::submit(AirCommand::Kind kind) {
  AirCommand command;
  command.kind = kind;
  place_.submit(command);
}

void AirHostRadio::scan() { submit(AirCommand::Kind::scan); }

void AirHostRadio::join_open(std::string_view ssid, std::uint16_t) {
  cancel();
  AirCommand command;
  command.kind = AirCommand::Kind::join;
  command.ssid = ssid;
  place_.submit(command);
}

void AirHostRadio::leave() {
  cancel();
  submit(AirCommand::Kind::leave);
}

void AirHostRadio::restore() { restoring_ = true; }

bool AirHostRadio::serve(agent::Millis now) {
  if (!std::exchange(restoring_, false)) return false;
  provisioner_->on_restored(now);
  return true;
}

void AirHostRadio::get(const std::string& target) {
  cancel();
  reader_ = {};
  request_ = "GET " + target + " HTTP/1.1\r\nHost: 192.168.4.1\r\nConnection: close\r\n\r\n";
  stream_ = ++last_stream_;
  AirCommand command;
  command.kind = AirCommand::Kind::dial;
  command.stream = stream_;
  place_.submit(command);
}

void AirHostRadio::cancel() {
  if (stream_ == 0) return;
  AirCommand command;
  command.kind = AirCommand::Kind::close;
  command.stream = std::exchange(stream_, 0);
  place_.submit(command);
}

void AirHostRadio::on_air(const AirEvent& event, agent::Millis now) {
  switch (event.kind) {
    case AirEvent::Kind::scanned: {
      std::vector<AccessPoint> found;
      for (const auto& network : event.networks) {
        if (!network.ssid.empty()) {
          found.push_back({network.ssid, network.rssi_dbm, network.channel, network.security == agent::NetworkSecurity::open});
        }
      }
      provisioner_->on_scanned(found, now);
      break;
    }
    case AirEvent::Kind::joined: provisioner_->on_host_joined(now); break;
    case AirEvent::Kind::join_failed:
      provisioner_->on_host_join_failed(event.failure == agent::JoinFailure::not_found    ? HostJoinFailure::not_found
                                        : event.failure == agent::JoinFailure::no_address ? HostJoinFailure::no_address
                                        : event.failure == agent::JoinFailure::timeout    ? HostJoinFailure::timeout
                                                                                          : HostJoinFailure::other,
                                        now);
      break;
    case AirEvent::Kind::lost: provisioner_->on_host_lost(now); break;
    case AirEvent::Kind::dialed:
      if (event.stream == stream_) {
        AirCommand command;
        command.kind = AirCommand::Kind::send;
        command.stream = stream_;
        command.bytes.assign(request_.begin(), request_.end());
        request_.assign(request_.size(), '\0');
        place_.submit(command);
      }
      break;
    case AirEvent::Kind::bytes:
    case AirEvent::Kind::stream_closed: {
      if (event.stream != stream_ || stream_ == 0) break;
      auto state = reader_.feed({reinterpret_cast<const char*>(event.bytes.data()), event.bytes.size()});
      if (event.kind == AirEvent::Kind::stream_closed) {
        state = reader_.finish();
        stream_ = 0;
      }
      if (state == HttpAnswerReader::State::reading) break;
      cancel();
      if (state == HttpAnswerReader::State::complete) {
        const HttpAnswerReader answer = std::move(reader_);
        provisioner_->on_device_answer(answer.status(), answer.body(), now);
      } else if (!reader_.empty()) {
        provisioner_->on_device_unreadable(unreadable_answer, now);
      } else {
        provisioner_->on_device_no_answer(now);
      }
      break;
    }
    case AirEvent::Kind::opened:
    case AirEvent::Kind::open_failed:
    case AirEvent::Kind::stations:
    case AirEvent::Kind::stream_opened: break;
  }
}

}  // namespace muster::provisioner
