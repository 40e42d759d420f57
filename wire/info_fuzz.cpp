// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "wire/frame.hpp"
#include "wire/info.hpp"

namespace {

using namespace muster::wire;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView body{data, size};
  DeviceInfo info;
  const bool is = decode_info(body, info);
  require(is == is_info(body));
  if (!is || size > 4096) {
    return 0;
  }
  // What was read can be written, and reads the same again. (A value can be used twice: as version and library
  // version.)
  std::vector<std::uint8_t> room(2 * size + 256);
  FrameWriter writer{{room.data(), room.size()}, Command::internal, 1};
  if (!encode_info(info, writer)) {
    return 0;  // Only unknown keys or empty values.
  }
  const std::size_t written = writer.finish();
  require(written != 0);
  const Decoded decoded = decode_frame({room.data(), written});
  require(decoded.status == DecodeStatus::ok);
  DeviceInfo again;
  require(decode_info(decoded.frame.body, again));
  require(again.firmware_version == info.firmware_version && again.firmware_type == info.firmware_type);
  require(again.build == info.build && again.library_version == info.library_version && again.board == info.board);
  require(again.cpu == info.cpu && again.connection == info.connection && again.template_id == info.template_id);
  require(again.agent == info.agent && again.heartbeat_s == info.heartbeat_s);
  require(again.buffer_in_bytes == info.buffer_in_bytes);
  return 0;
}
