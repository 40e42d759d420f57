// SPDX-License-Identifier: Apache-2.0
#include "agent/core/inject_server.hpp"

#include "agent/core/networks.hpp"

namespace muster::agent {

using wire::ActivationFailure;
using wire::InjectType;

namespace {

constexpr std::string_view interface_word(Interface interface) noexcept { return interface == Interface::ethernet ? "eth" : "wifi"; }

}  // namespace

InjectServer::InjectServer(Device& device, Sink& sink) noexcept : device_{device}, watch_{*this}, sink_{sink} {
  device_.add_observer(watch_);
}

InjectServer::~InjectServer() { device_.remove_observer(watch_); }

void InjectServer::send(std::size_t size) {
  if (connected_ && size != 0) {
    sink_.send({reinterpret_cast<const char*>(room_), size});
  }
}

void InjectServer::status(std::string_view word) {
  if (word != last_status_) {
    last_status_ = word;
    send(wire::encode_inject(InjectType::status, "s", word, {room_, sizeof room_}));
  }
}

void InjectServer::on_client(bool connected, Millis now) {
  static_cast<void>(now);
  connected_ = connected;
  scanning_ = false;
  last_status_ = {};
  settings_.clear();  // What one app has said is not for the next one.
}

void InjectServer::on_message(std::string_view text, Millis now) {
  if (!connected_) {
    return;
  }
  const wire::ByteSpan room{room_, sizeof room_};
  device_.on_app_active(now);
  const DeviceProfile& profile = device_.profile();
  switch (read(text)) {
    case InjectType::info: {
      device_.on_app_seen(now);
      wire::InjectInfo info;
      info.vendor = profile.vendor;
      info.template_id = profile.template_id;
      info.firmware_type = profile.firmware_type.empty() ? profile.template_id : profile.firmware_type;
      info.firmware_version = profile.firmware_version;
      info.name = device_.name();
      info.uid = profile.uid;
      info.live_status = true;
      send(wire::encode_inject(info, room));
      return;
    }
    case InjectType::ifs: send_interfaces(); return;
    case InjectType::scan:
      if (!device_.has_radio()) {
        send(wire::encode_inject(InjectType::error, "msg", "no wifi", room));
        return;
      }
      send(wire::encode_inject(InjectType::scan_start, room));
      scanning_ = device_.request_scan(now);
      if (!scanning_) {
        send(wire::encode_inject(InjectType::scan_end, room));
      }
      return;
    case InjectType::set: return;
    case InjectType::connect: connect(now); return;
    case InjectType::reset:
      settings_.clear();
      if (device_.forget_networks(now)) {
        send(wire::encode_inject(InjectType::reset_ok, room));
      } else {
        send(wire::encode_inject(InjectType::error, "msg", "not now", room));
      }
      return;
    case InjectType::reboot: device_.request_restart(now); return;
    case InjectType::ota_start:
      send(wire::encode_inject(InjectType::ota_start_fail, "msg", "this device takes no firmware here", room));
      return;
    case InjectType::ota_block_apply:
    case InjectType::ota_finish: send(wire::encode_inject(InjectType::ota_fail, "msg", "update not running", room)); return;
    case InjectType::ota_cancel: send(wire::encode_inject(InjectType::ota_cancel_ok, room)); return;
    case InjectType::ota_rollback: send(wire::encode_inject(InjectType::ota_rollback_fail, room)); return;
    case InjectType::error: send(wire::encode_inject(InjectType::error, "msg", "wrong format", room)); return;
    default: send(wire::encode_inject(InjectType::error, "msg", "invalid command", room)); return;
  }
}

/// Apart, so that a message has left the stack when the device does what it says.
[[gnu::noinline]] InjectType InjectServer::read(std::string_view text) {
  std::uint8_t texts[wire::inject_message_size_max_bytes];
  wire::InjectMessage message;
  if (wire::decode_inject(text, {texts, sizeof texts}, message) != wire::InjectStatus::ok) {
    return InjectType::error;
  }
  if (message.type == InjectType::set) {
    take_settings(message);
  }
  return message.type == InjectType::error ? InjectType::unknown : message.type;  // Devices say `error`; to one it is no command.
}

void InjectServer::send_interfaces() {
  const wire::ByteSpan room{room_, sizeof room_};
  const DeviceProfile& profile = device_.profile();
  const FixedText<17> mac = format_mac(profile.station_mac);
  send(wire::encode_inject(InjectType::ifs_start, room));
  wire::InjectInterface interface;
  interface.mac = mac.view();
  interface.static_ip = true;
  if (device_.has_radio()) {
    interface.name = "wifi";
    interface.scan = true;
    interface.five_ghz = profile.five_ghz;
    send(wire::encode_inject(interface, room));
  }
  if (profile.ethernet) {
    interface.name = "eth";
    interface.status = "down";
    send(wire::encode_inject(interface, room));
  }
  send(wire::encode_inject(InjectType::ifs_end, room));
}

void InjectServer::take_settings(const wire::InjectMessage& message) {
  bool known = true;
  for (std::size_t i = 0; i < message.count; ++i) {
    const wire::InjectMessage::Field& field = message.fields[i];
    const bool plain = !field.listed && field.kind != wire::InjectMessage::Kind::other;
    // Known keys count even beside unknown ones, as with the genuine devices.
    known = plain && settings_.set(field.key, field.value) && known;
  }
  send(wire::encode_inject(known ? InjectType::set_ok : InjectType::set_fail, {room_, sizeof room_}));
}

void InjectServer::connect(Millis now) {
  const wire::ByteSpan room{room_, sizeof room_};
  last_status_ = {};
  switch (device_.configure(settings_, now)) {
    case ConfigureResult::started:
    case ConfigureResult::saved: send(wire::encode_inject(InjectType::connecting, room)); return;
    case ConfigureResult::invalid:
      send(wire::encode_inject(wire::InjectFailure{ActivationFailure::settings_invalid, "configuration invalid"}, room));
      device_.on_result_read(now);
      settings_.clear();
      return;
    case ConfigureResult::busy:
      send(wire::encode_inject(wire::InjectFailure{ActivationFailure::settings_invalid, "busy with other settings"}, room));
      return;
    case ConfigureResult::store_failed:
      send(wire::encode_inject(wire::InjectFailure{ActivationFailure::settings_invalid, "failed to store configuration"}, room));
      device_.on_result_read(now);
      settings_.clear();
      return;
  }
}

void InjectServer::Watch::on_step(const Step& step, Millis now) { server.tell(step, now); }

void InjectServer::tell(const Step& step, Millis now) {
  if (!connected_) {
    return;
  }
  const wire::ByteSpan room{room_, sizeof room_};
  switch (step.kind) {
    case StepKind::joining: status("connecting_net"); return;
    case StepKind::joined: {
      const FixedText<17> bssid = format_mac(device_.network().bssid);
      const FixedText<15> address = format_ipv4(device_.network().address);
      wire::InjectNetStatus net;
      net.interface = interface_word(device_.settings().network.interface);
      net.state = "CONNECTED";
      net.ssid = device_.settings().network.ssid.view();
      net.bssid = bssid.view();
      net.ip = address.view();
      net.rssi_dbm = device_.network().rssi_dbm;
      send(wire::encode_inject(net, room));
      return;
    }
    case StepKind::dialing: status("connecting_cloud"); return;
    case StepKind::stored:
      status("connected");
      settings_.clear();
      device_.on_result_read(now);
      return;
    case StepKind::online: status("connected"); return;  // Stored without proof: this is the news then.
    case StepKind::gave_up:
      last_status_ = {};
      settings_.clear();  // The app sends all of them again.
      send(wire::encode_inject(wire::InjectFailure{step.code, step.detail}, room));
      device_.on_result_read(now);
      return;
    default: return;
  }
}

void InjectServer::Watch::on_networks(const ScannedNetwork* networks, std::size_t count, Millis now) {
  static_cast<void>(now);
  server.tell_networks(networks, count);
}

void InjectServer::tell_networks(const ScannedNetwork* networks, std::size_t count) {
  if (!scanning_) {
    return;
  }
  scanning_ = false;
  StrongestFirst walk{networks, count};
  for (std::size_t entry = 0; entry < scan_entries_max; ++entry) {
    const ScannedNetwork* network = walk.next();
    if (network == nullptr) {
      break;
    }
    FixedText<17> bssid;
    send(wire::encode_inject(describe(*network, bssid), {room_, sizeof room_}));
  }
  send(wire::encode_inject(InjectType::scan_end, {room_, sizeof room_}));
}

}  // namespace muster::agent
