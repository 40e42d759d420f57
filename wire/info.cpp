// SPDX-License-Identifier: Apache-2.0
#include "wire/info.hpp"

#include <cstddef>

namespace muster::wire {

namespace {

constexpr std::string_view info_keys[] = {"mcu",     "ncp", "ver", "fw",  "fw-type", "build", "blynk", "h-beat",
                                          "buff-in", "dev", "cpu", "con", "conn",    "tmpl",  "agent"};

bool is_info_key(std::string_view key) noexcept {
  for (const std::string_view known : info_keys) {
    if (key == known) {
      return true;
    }
  }
  return false;
}

/// 0 for anything but a number of 1..65535.
std::uint16_t parse_u16(std::string_view text) noexcept {
  constexpr std::size_t digits_max = 5;
  if (text.empty() || text.size() > digits_max) {
    return 0;
  }
  std::uint32_t value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') {
      return 0;
    }
    value = value * 10 + static_cast<std::uint32_t>(digit - '0');
  }
  return value > 65535 ? std::uint16_t{0} : static_cast<std::uint16_t>(value);
}

}  // namespace

bool is_info(ByteView body) noexcept { return is_info_key(Fields{body}.next()); }

bool decode_info(ByteView body, DeviceInfo& info) noexcept {
  if (!is_info(body)) {
    return false;
  }
  std::string_view mcu;
  std::string_view ncp;
  std::string_view fw;
  std::string_view ver;
  DeviceInfo read;
  for (Fields fields{body}; fields.has_next();) {
    const std::string_view key = fields.next();
    if (!fields.has_next()) {
      break;  // A key without a value, or the empty field after a trailing NUL.
    }
    const std::string_view value = fields.next();
    if (key == "mcu") {
      mcu = value;
    } else if (key == "ncp") {
      ncp = value;
    } else if (key == "fw") {
      fw = value;
    } else if (key == "ver") {
      ver = value;
    } else if (key == "fw-type") {
      read.firmware_type = value;
    } else if (key == "build") {
      read.build = value;
    } else if (key == "blynk") {
      read.library_version = value;
    } else if (key == "h-beat") {
      read.heartbeat_s = parse_u16(value);
    } else if (key == "buff-in") {
      read.buffer_in_bytes = parse_u16(value);
    } else if (key == "dev") {
      read.board = value;
    } else if (key == "cpu") {
      read.cpu = value;
    } else if (key == "con") {
      read.connection = value;
    } else if (key == "tmpl") {
      read.template_id = value;
    } else if (key == "agent") {
      read.agent = value;
    }
  }
  if (read.library_version.empty()) {
    read.library_version = ver;
  }
  for (const std::string_view version : {mcu, ncp, fw, ver}) {
    if (!version.empty()) {
      read.firmware_version = version;
      break;
    }
  }
  info = read;
  return true;
}

bool encode_info(const DeviceInfo& info, FrameWriter& writer) noexcept {
  const struct {
    std::string_view key;
    std::string_view value;
    std::uint16_t number;
  } entries[] = {
      {"mcu", info.firmware_version, 0},
      {"fw-type", info.firmware_type, 0},
      {"build", info.build, 0},
      {"blynk", info.library_version, 0},
      {"h-beat", {}, info.heartbeat_s},
      {"buff-in", {}, info.buffer_in_bytes},
      {"dev", info.board, 0},
      {"cpu", info.cpu, 0},
      {"con", info.connection, 0},
      {"agent", info.agent, 0},
      {"tmpl", info.template_id, 0},
  };
  bool any = false;
  for (const auto& entry : entries) {
    if (entry.value.find('\0') != std::string_view::npos) {
      return false;
    }
    any = any || !entry.value.empty() || entry.number != 0;
  }
  if (!any) {
    return false;
  }
  for (const auto& entry : entries) {
    if (!entry.value.empty()) {
      writer.field(entry.key).field(entry.value);
    } else if (entry.number != 0) {
      writer.field(entry.key).field(entry.number);
    }
  }
  return true;
}

}  // namespace muster::wire
