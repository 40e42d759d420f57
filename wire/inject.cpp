// SPDX-License-Identifier: Apache-2.0
#include "wire/inject.hpp"

namespace muster::wire {

namespace {

struct Word {
  InjectType type;
  std::string_view word;
};
constexpr Word words[] = {
    {InjectType::info, "info"},
    {InjectType::ifs, "ifs"},
    {InjectType::scan, "scan"},
    {InjectType::set, "set"},
    {InjectType::connect, "connect"},
    {InjectType::reset, "reset"},
    {InjectType::reboot, "reboot"},
    {InjectType::ota_get_info, "ota_get_info"},
    {InjectType::ota_start, "ota_start"},
    {InjectType::ota_block_apply, "ota_block_apply"},
    {InjectType::ota_finish, "ota_finish"},
    {InjectType::ota_cancel, "ota_cancel"},
    {InjectType::ota_rollback, "ota_rollback"},
    {InjectType::ifs_start, "ifs_start"},
    {InjectType::interface, "if"},
    {InjectType::ifs_end, "ifs_end"},
    {InjectType::scan_start, "scan_start"},
    {InjectType::scan_end, "scan_end"},
    {InjectType::set_ok, "set_ok"},
    {InjectType::set_fail, "set_fail"},
    {InjectType::connecting, "connecting"},
    {InjectType::connect_fail, "connect_fail"},
    {InjectType::reset_ok, "reset_ok"},
    {InjectType::status, "status"},
    {InjectType::net_status, "net_status"},
    {InjectType::net_fail, "net_fail"},
    {InjectType::cloud_fail, "cloud_fail"},
    {InjectType::error, "error"},
    {InjectType::ota_info, "ota_info"},
    {InjectType::ota_start_ok, "ota_start_ok"},
    {InjectType::ota_start_fail, "ota_start_fail"},
    {InjectType::ota_block_ok, "ota_block_ok"},
    {InjectType::ota_block_fail, "ota_block_fail"},
    {InjectType::ota_ok, "ota_ok"},
    {InjectType::ota_fail, "ota_fail"},
    {InjectType::ota_cancel_ok, "ota_cancel_ok"},
    {InjectType::ota_rollback_ok, "ota_rollback_ok"},
    {InjectType::ota_rollback_fail, "ota_rollback_fail"},
};

std::int16_t narrow(std::int64_t value) noexcept {
  return value < -32768 ? std::int16_t{-32768} : value > 32767 ? std::int16_t{32767} : static_cast<std::int16_t>(value);
}

void optional(JsonWriter& writer, std::string_view key, std::string_view value) noexcept {
  if (!value.empty()) {
    writer.text(key, value);
  }
}

std::size_t finish(JsonWriter& writer) noexcept { return writer.end_object().size(); }

}  // namespace

std::string_view to_text(InjectType type) noexcept {
  for (const Word& row : words) {
    if (row.type == type) {
      return row.word;
    }
  }
  return {};
}

InjectType parse_inject_type(std::string_view word) noexcept {
  for (const Word& row : words) {
    if (row.word == word) {
      return row.type;
    }
  }
  return InjectType::unknown;
}

const InjectMessage::Field* InjectMessage::find(std::string_view key) const noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    if (fields[i].key == key) {
      return &fields[i];
    }
  }
  return nullptr;
}

std::string_view InjectMessage::text(std::string_view key) const noexcept {
  const Field* field = find(key);
  return field != nullptr && field->kind == Kind::text && !field->listed ? field->value : std::string_view{};
}

std::int64_t InjectMessage::number(std::string_view key, std::int64_t missing) const noexcept {
  const Field* field = find(key);
  if (field == nullptr || field->listed) {
    return missing;
  }
  if (field->kind == Kind::boolean) {
    return field->value == "true" ? 1 : 0;
  }
  std::int64_t value = 0;
  const bool number = field->kind == Kind::number || field->kind == Kind::text;
  return number && parse_json_integer(field->value, value) ? value : missing;
}

bool InjectMessage::has(std::string_view key, std::string_view member) const noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    if (fields[i].key == key && fields[i].kind == Kind::text && fields[i].value == member) {
      return true;
    }
  }
  return false;
}

InjectStatus decode_inject(std::string_view input, ByteSpan room, InjectMessage& message) noexcept {
  using Kind = InjectMessage::Kind;
  message.type = InjectType::unknown;
  message.word = {};
  message.count = 0;
  JsonReader reader{input, room, inject_message_size_max_bytes};
  bool typed = false;
  /// Keeps the text that was read while the walk goes on.
  const auto keep = [&] {
    room.data += reader.room_used();
    room.size -= reader.room_used();
    reader.use_room(room);
    return reader.text();
  };
  if (reader.next() != JsonToken::begin_object) {
    return InjectStatus::wrong_format;
  }
  for (;;) {
    JsonToken token = reader.next();
    if (token == JsonToken::end_object) {
      break;
    }
    if (token != JsonToken::key) {
      return InjectStatus::wrong_format;
    }
    InjectMessage::Field field;
    field.key = keep();
    token = reader.next();
    bool list = token == JsonToken::begin_array;
    if (list) {
      token = reader.next();
    }
    do {
      field.listed = list;
      switch (token) {
        case JsonToken::text:
          field.kind = Kind::text;
          field.value = keep();
          break;
        case JsonToken::number:
        case JsonToken::yes:
        case JsonToken::no:
          field.kind = token == JsonToken::number ? Kind::number : Kind::boolean;
          field.value = reader.text();
          break;
        case JsonToken::null:
          field.kind = Kind::null;
          field.value = {};
          break;
        case JsonToken::end_array: list = false; continue;
        case JsonToken::begin_object:
        case JsonToken::begin_array: {
          int depth = 1;
          while (depth != 0) {
            switch (reader.next()) {
              case JsonToken::begin_object:
              case JsonToken::begin_array: ++depth; break;
              case JsonToken::end_object:
              case JsonToken::end_array: --depth; break;
              case JsonToken::error:
              case JsonToken::end: return InjectStatus::wrong_format;
              default: break;
            }
          }
          field.kind = Kind::other;
          field.value = {};
          break;
        }
        default: return InjectStatus::wrong_format;
      }
      if (field.key == "t" && !field.listed) {
        typed = field.kind == Kind::text;
        message.word = field.value;
      } else if (message.count == InjectMessage::fields_max) {
        return InjectStatus::wrong_format;
      } else {
        message.fields[message.count++] = field;
      }
      if (list) {
        token = reader.next();
      }
    } while (list);
  }
  if (reader.next() != JsonToken::end) {
    return InjectStatus::wrong_format;
  }
  if (!typed) {
    return InjectStatus::no_type;
  }
  message.type = parse_inject_type(message.word);
  return InjectStatus::ok;
}

JsonWriter begin_inject(InjectType type, ByteSpan room) noexcept {
  JsonWriter writer{room};
  writer.begin_object().text("t", to_text(type));
  return writer;
}

std::size_t encode_inject(InjectType type, ByteSpan room) noexcept {
  JsonWriter writer = begin_inject(type, room);
  return finish(writer);
}

std::size_t encode_inject(InjectType type, std::string_view key, std::string_view value, ByteSpan room) noexcept {
  JsonWriter writer = begin_inject(type, room);
  writer.text(key, value);
  return finish(writer);
}

std::size_t encode_inject(const InjectInfo& info, ByteSpan room) noexcept {
  JsonWriter writer = begin_inject(InjectType::info, room);
  writer.text("vendor", info.vendor).text("tmpl_id", info.template_id).text("fw_type", info.firmware_type);
  writer.text("fw_ver", info.firmware_version).text("name", info.name).text("uid", info.uid).key("caps").begin_array();
  if (info.live_status) {
    writer.text("live_status");
  }
  writer.end_array();
  return finish(writer);
}

InjectInfo read_inject_info(const InjectMessage& message) noexcept {
  InjectInfo info;
  info.vendor = message.text("vendor");
  info.template_id = message.text("tmpl_id");
  info.firmware_type = message.text("fw_type");
  info.firmware_version = message.text("fw_ver");
  info.name = message.text("name");
  info.uid = message.text("uid");
  info.live_status = message.has("caps", "live_status");
  return info;
}

void write_interface_fields(const InjectInterface& interface, JsonWriter& writer) noexcept {
  writer.text("name", interface.name);
  if (interface.name == "cell") {
    optional(writer, "imei", interface.imei);
    optional(writer, "imsi", interface.imsi);
    optional(writer, "iccid", interface.iccid);
    writer.number("scan", interface.scan).number("pin", interface.pin).number("apn", interface.apn);
    return;
  }
  writer.text("mac", interface.mac);
  if (interface.name == "eth") {
    optional(writer, "status", interface.status);
    optional(writer, "ip", interface.ip);
  } else {
    writer.number("scan", interface.scan).number("5ghz", interface.five_ghz);
  }
  writer.number("static_ip", interface.static_ip);
}

std::size_t encode_inject(const InjectInterface& interface, ByteSpan room) noexcept {
  JsonWriter writer = begin_inject(InjectType::interface, room);
  write_interface_fields(interface, writer);
  return finish(writer);
}

InjectInterface read_inject_interface(const InjectMessage& message) noexcept {
  InjectInterface interface;
  interface.name = message.text("name");
  interface.mac = message.text("mac");
  interface.status = message.text("status");
  interface.ip = message.text("ip");
  interface.imei = message.text("imei");
  interface.imsi = message.text("imsi");
  interface.iccid = message.text("iccid");
  interface.scan = message.number("scan") != 0;
  interface.five_ghz = message.number("5ghz") != 0;
  interface.static_ip = message.number("static_ip") != 0;
  interface.pin = message.number("pin") != 0;
  interface.apn = message.number("apn") != 0;
  return interface;
}

void write_network_fields(const InjectNetwork& network, JsonWriter& writer) noexcept {
  writer.text("ssid", network.ssid).text("bssid", network.bssid).number("rssi", network.rssi_dbm);
  writer.text("sec", network.security).number("ch", network.channel);
}

std::size_t encode_inject(const InjectNetwork& network, ByteSpan room) noexcept {
  JsonWriter writer = begin_inject(InjectType::scan, room);
  write_network_fields(network, writer);
  return finish(writer);
}

InjectNetwork read_inject_network(const InjectMessage& message) noexcept {
  InjectNetwork network;
  network.ssid = message.text("ssid");
  network.bssid = message.text("bssid");
  network.security = message.text("sec");
  network.rssi_dbm = narrow(message.number("rssi"));
  const std::int64_t channel = message.number("ch");
  network.channel = channel > 0 && channel < 65536 ? static_cast<std::uint16_t>(channel) : std::uint16_t{0};
  return network;
}

std::size_t encode_inject(const InjectSettings& settings, ByteSpan room) noexcept {
  JsonWriter writer = begin_inject(InjectType::set, room);
  optional(writer, "if", settings.interface);
  optional(writer, "ssid", settings.ssid);
  optional(writer, "pass", settings.pass);
  optional(writer, "blynk", settings.token);
  optional(writer, "host", settings.host);
  if (settings.port != 0) {
    writer.number("port", settings.port);
  }
  optional(writer, "ip", settings.ip);
  optional(writer, "mask", settings.mask);
  optional(writer, "gw", settings.gateway);
  optional(writer, "dns", settings.dns);
  optional(writer, "dns2", settings.dns2);
  if (settings.save) {
    writer.boolean("save", true);
  }
  return finish(writer);
}

std::size_t encode_inject(const InjectNetStatus& status, ByteSpan room) noexcept {
  JsonWriter writer = begin_inject(InjectType::net_status, room);
  writer.text("if", status.interface).text("state", status.state);
  if (status.interface == "wifi") {
    writer.text("ssid", status.ssid).text("bssid", status.bssid).text("ip", status.ip).number("rssi", status.rssi_dbm);
  } else {
    optional(writer, "ip", status.ip);
  }
  return finish(writer);
}

InjectNetStatus read_inject_net_status(const InjectMessage& message) noexcept {
  InjectNetStatus status;
  status.interface = message.text("if");
  status.state = message.text("state");
  status.ssid = message.text("ssid");
  status.bssid = message.text("bssid");
  status.ip = message.text("ip");
  status.rssi_dbm = narrow(message.number("rssi"));
  return status;
}

std::size_t encode_inject(const InjectFailure& failure, ByteSpan room) noexcept {
  const FailureMessage said = failure_message(failure.code);
  if (said.type.empty()) {
    return 0;
  }
  JsonWriter writer = begin_inject(parse_inject_type(said.type), room);
  optional(writer, "reason", said.reason);
  optional(writer, "msg", failure.message);
  return finish(writer);
}

InjectFailure read_inject_failure(const InjectMessage& message) noexcept {
  InjectFailure failure;
  failure.code = failure_of(message.word, message.text("reason"));
  failure.message = message.text("msg");
  return failure;
}

}  // namespace muster::wire
