// SPDX-License-Identifier: Apache-2.0
#include "provisioner/ble_dialect.hpp"

#include <algorithm>
#include <utility>

namespace muster::provisioner {

namespace {

using agent::Millis;
using agent::never;
using wire::InjectMessage;
using wire::InjectType;

std::string short_text(std::string_view text) { return std::string{cut_text(text, device_text_max_bytes)}; }

/// False: too long for any device.
bool take_text(std::string_view from, std::string& to) {
  to = from;
  return from.size() <= device_text_max_bytes;
}

}  // namespace

// ---- questions ---------------------------------------------------------------------------------------------------------------------------

void BleDialect::write(InjectType type) {
  std::uint8_t room[32];
  const auto size = wire::encode_inject(type, {room, sizeof room});
  link_.write({reinterpret_cast<const char*>(room), size});
}

void BleDialect::ask(Wait wait, InjectType type) {
  cancel();
  wait_ = wait;
  write(type);
}

void BleDialect::ask_info() {
  info_ = {};
  ask(Wait::info, InjectType::info);
}

void BleDialect::ask_networks() {
  networks_.clear();
  ask(Wait::networks, InjectType::scan);
}

void BleDialect::forget_networks() { ask(Wait::forgotten, InjectType::reset); }

void BleDialect::put_field(std::string_view key, std::string_view value, bool is_number) {
  std::uint8_t room[wire::inject_message_size_max_bytes];
  wire::JsonWriter writer{{room, sizeof room}};
  writer.begin_object();
  if (is_number) {
    std::int64_t number = 0;
    if (wire::parse_json_integer(value, number)) writer.number(key, number);
  } else {
    writer.text(key, value);
  }
  const auto object = writer.end_object().view();
  if (object.size() < 3) return;
  std::string field{object.substr(1, object.size() - 2)};
  const std::size_t size_max = std::min(link_.message_size_max_bytes(), set_size_max_bytes);
  // What a device need not know goes alone, so that its no to that is none to the rest.
  if (!messages_.empty() && !is_number && messages_.back().size() + 1 + field.size() <= size_max) {
    messages_.back().insert(messages_.back().size() - 1, "," + field);
  } else {
    messages_.push_back(R"({"t":"set",)" + field + "}");
  }
  field.assign(field.size(), '\0');
  std::fill(std::begin(room), std::end(room), std::uint8_t{0});
}

void BleDialect::send_settings(const DeviceSettings& settings) {
  cancel();
  put_field("if", "wifi");
  put_field("ssid", settings.ssid);
  put_field("pass", settings.password);
  put_field("blynk", settings.token);
  put_field("host", settings.host);
  put_field("port", std::to_string(settings.port), true);
  messages_.emplace_back(R"({"t":"connect"})");
  if (cloud_failed_) {
    wait_ = Wait::forgotten_first;
    write(InjectType::reset);
  } else {
    send_next();
  }
}

void BleDialect::send_next() {
  std::string message = std::move(messages_.front());
  messages_.pop_front();
  wait_ = messages_.empty() ? Wait::connecting : Wait::set_taken;
  optional_sent_ = messages_.size() == 1;
  link_.write(message);
  message.assign(message.size(), '\0');
}

void BleDialect::forget_settings() {
  for (auto& message : messages_) message.assign(message.size(), '\0');
  messages_.clear();
}

void BleDialect::cancel() {
  wait_ = Wait::nothing;
  quiet_due_ = never;
  forget_settings();
}

// ---- answers -----------------------------------------------------------------------------------------------------------------------------

void BleDialect::on_linked() {
  cancel();
  cloud_failed_ = interfaces_known_ = false;
}

void BleDialect::on_write_failed(Millis now) {
  if (wait_ == Wait::nothing) return;
  cancel();
  listener_->on_device_no_answer(now);
}

void BleDialect::on_timer(Millis now) {
  if (quiet_due_ > now) return;
  quiet_due_ = never;
  if (wait_ == Wait::interfaces) end_interfaces(now);
  if (wait_ == Wait::networks) end_networks(now);
}

void BleDialect::on_message(std::string_view text, Millis now) {
  std::uint8_t room[wire::inject_message_size_max_bytes];
  InjectMessage message;
  if (wire::decode_inject(text, {room, sizeof room}, message) != wire::InjectStatus::ok) {
    // Nothing but the answer is due after the first question; later ones are only asked again.
    if (wait_ != Wait::info) return;
    cancel();
    listener_->on_device_unreadable("Its answer is no message.", now);
    return;
  }
  switch (message.type) {
    case InjectType::info:
      if (wait_ == Wait::info) take_info(message, now);
      break;
    case InjectType::interface:
      if (wait_ == Wait::interfaces) take_interface(message, now);
      break;
    case InjectType::ifs_end:
      if (wait_ == Wait::interfaces) end_interfaces(now);
      break;
    case InjectType::scan:
      if (wait_ == Wait::networks) take_network(message, now);
      break;
    case InjectType::scan_end:
      if (wait_ == Wait::networks) end_networks(now);
      break;
    case InjectType::set_ok:
    case InjectType::set_fail:
      if (wait_ == Wait::set_taken) take_set_answer(message, now);
      break;
    case InjectType::reset_ok:
      if (wait_ == Wait::forgotten) {
        cancel();
        listener_->on_device_forgot(now);
      } else if (wait_ == Wait::forgotten_first) {
        cloud_failed_ = false;
        send_next();
      }
      break;
    case InjectType::connecting: answer_settings(true, {}, now); break;
    case InjectType::connect_fail:
    case InjectType::net_fail:
    case InjectType::cloud_fail: take_failure(message, now); break;
    case InjectType::status: {
      const auto word = message.text("s");
      if (word == "connecting_net") progress(DeviceProgress::joining, {}, now);
      if (word == "connecting_cloud") progress(DeviceProgress::dialing, {}, now);
      if (word == "connected") progress(DeviceProgress::stored, {}, now);
      break;
    }
    case InjectType::net_status: {
      // One for each interface; the state in it may be older than the address.
      const auto status = wire::read_inject_net_status(message);
      if (!status.ip.empty() && status.ip != "0.0.0.0") progress(DeviceProgress::joined, status.ip, now);
      break;
    }
    case InjectType::error: take_error(message, now); break;
    default: break;
  }
}

void BleDialect::take_info(const InjectMessage& message, Millis now) {
  const auto said = wire::read_inject_info(message);
  info_.dialect = Dialect::ble;
  info_.live = said.live_status;
  info_.last_error = static_cast<std::uint16_t>(std::clamp<std::int64_t>(message.number("last_error"), 0, 65'535));
  const bool readable = take_text(said.vendor, info_.vendor) && take_text(said.template_id, info_.template_id) &&
                        take_text(said.firmware_type, info_.firmware_type) && take_text(said.firmware_version, info_.firmware_version) &&
                        take_text(said.name, info_.name) && take_text(said.uid, info_.uid) && info_.template_id.starts_with("TMPL");
  if (!readable) {
    cancel();
    listener_->on_device_unreadable({}, now);
    return;
  }
  if (interfaces_known_) {
    cancel();
    listener_->on_device_info(info_, now);
    return;
  }
  interface_seen_ = wifi_seen_ = false;
  ask(Wait::interfaces, InjectType::ifs);
  quiet_due_ = now + quiet_ms;  // Not every device answers that.
}

void BleDialect::take_interface(const InjectMessage& message, Millis now) {
  interface_seen_ = true;
  if (message.text("name") == "wifi") wifi_seen_ = true;
  quiet_due_ = now + quiet_ms;
}

void BleDialect::end_interfaces(Millis now) {
  cancel();
  interfaces_known_ = true;
  if (interface_seen_ && !wifi_seen_) {
    listener_->on_device_unreadable("It has no Wi-Fi.", now);
  } else {
    listener_->on_device_info(info_, now);
  }
}

void BleDialect::take_network(const InjectMessage& message, Millis now) {
  const auto said = wire::read_inject_network(message);
  quiet_due_ = now + quiet_ms;
  if (said.ssid.empty() || said.ssid.size() > 32 || networks_.size() >= 4 * networks_max) return;
  SeenNetwork network;
  network.ssid = said.ssid;
  if (!take_text(said.security, network.security)) network.security.clear();
  network.rssi_dbm = std::clamp<std::int16_t>(said.rssi_dbm, -128, 0);
  network.channel = std::min<std::uint16_t>(said.channel, 255);
  networks_.push_back(std::move(network));
}

void BleDialect::end_networks(Millis now) {
  cancel();
  tidy_networks(networks_);
  listener_->on_device_networks(std::exchange(networks_, {}), true, now);
}

void BleDialect::take_set_answer(const InjectMessage& message, Millis now) {
  // A no means that it does not know one of the keys; the others are kept all the same.
  if (message.type == InjectType::set_fail && !optional_sent_) {
    answer_settings(false, message.text("msg"), now);
  } else {
    send_next();
  }
}

void BleDialect::answer_settings(bool taken, std::string_view message, Millis now) {
  if (wait_ != Wait::set_taken && wait_ != Wait::connecting && wait_ != Wait::forgotten_first) return;
  if (taken && wait_ != Wait::connecting) return;  // It cannot have them all yet.
  cancel();
  listener_->on_settings_answer(taken, short_text(message), now);
}

void BleDialect::take_failure(const InjectMessage& message, Millis now) {
  const auto failure = wire::read_inject_failure(message);
  if (message.type == InjectType::cloud_fail) cloud_failed_ = true;
  if (message.type == InjectType::connect_fail && wait_ == Wait::connecting) {
    answer_settings(false, failure.message, now);
    return;
  }
  answer_settings(true, {}, now);  // It began, or it could not fail; that message was lost.
  listener_->on_device_failed(static_cast<std::uint16_t>(failure.code), short_text(failure.message), now);
}

void BleDialect::take_error(const InjectMessage& message, Millis now) {
  const auto why = short_text(message.text("msg"));
  switch (wait_) {
    case Wait::info:
      cancel();
      listener_->on_device_unreadable(why, now);
      break;
    case Wait::interfaces: end_interfaces(now); break;
    case Wait::networks: end_networks(now); break;
    case Wait::forgotten:
      cancel();
      listener_->on_device_forgot(now);
      break;
    case Wait::forgotten_first: send_next(); break;  // Not every device can forget.
    case Wait::set_taken:
    case Wait::connecting: answer_settings(false, why, now); break;
    case Wait::nothing: break;
  }
}

void BleDialect::progress(DeviceProgress progress, std::string_view detail, Millis now) {
  answer_settings(true, {}, now);
  listener_->on_device_progress(progress, short_text(detail), now);
}

}  // namespace muster::provisioner
