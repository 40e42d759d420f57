// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "wire/bytes.hpp"
#include "wire/frame.hpp"

namespace muster::wire {

/// What a device says of itself in its first INTERNAL frame. Text borrows from the frame; empty = not given.
/// Facts: docs/protocol/device-protocol.md section 5.
struct DeviceInfo {
  std::string_view firmware_version;  ///< `mcu`, else `ncp`, else `fw`, else (when nothing else is) `ver`.
  std::string_view firmware_type;     ///< `fw-type`
  std::string_view build;             ///< `build`
  std::string_view library_version;   ///< `blynk`, else `ver`.
  std::string_view board;             ///< `dev`
  std::string_view cpu;               ///< `cpu`
  std::string_view connection;        ///< `con`
  std::string_view template_id;       ///< `tmpl`
  std::string_view agent;             ///< `agent`: `muster` for our own.
  std::uint16_t heartbeat_s = 0;      ///< `h-beat`; 0 = absent or not a number of 1..65535.
  std::uint16_t buffer_in_bytes = 0;  ///< `buff-in`; 0 = absent or not a number of 1..65535.
};

/// True when the body of an INTERNAL frame is an info block: its first field is an info key and not a command word.
[[nodiscard]] bool is_info(ByteView body) noexcept;

/// Reads the key-value fields of an info block in any order; unknown keys and a trailing empty field are ignored, and
/// of a key given twice the last counts. Returns false, and leaves `info` alone, when `body` is no info block.
[[nodiscard]] bool decode_info(ByteView body, DeviceInfo& info) noexcept;

/// Writes the info block into a frame (Command::internal); what is empty or 0 is left out. decode_info gives back what
/// was written. Returns false, and writes nothing, when a text holds a NUL or nothing was given; whether it fitted is
/// told by writer.finish().
[[nodiscard]] bool encode_info(const DeviceInfo& info, FrameWriter& writer) noexcept;

}  // namespace muster::wire
