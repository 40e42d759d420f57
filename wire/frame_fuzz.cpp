// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "wire/frame.hpp"

namespace {

using namespace muster::wire;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void check_fields(const Frame& frame) {
  std::vector<std::uint8_t> again(frame_header_size_bytes + frame.body.size);
  FrameWriter writer{{again.data(), again.size()}, frame.command, frame.id};
  std::size_t size = 0;
  std::size_t count = 0;
  for (Fields fields{frame.body}; fields.has_next(); ++count) {
    const std::string_view field = fields.next();
    require(field.find('\0') == std::string_view::npos);
    size += field.size();
    writer.field(field);
    std::uint8_t pin = 0;
    if (parse_pin(field, pin)) {
      require(field.size() <= 3);
    }
  }
  require(size + (count == 0 ? 0 : count - 1) == frame.body.size);
  if (frame.command != Command::response) {
    // Fields joined by NUL give the body back.
    require(writer.finish() == again.size());
    require(frame.body.empty() || std::memcmp(again.data() + frame_header_size_bytes, frame.body.data, frame.body.size) == 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteView rest{data, size};
  std::vector<std::uint8_t> room;
  LegacyPingReply legacy;
  for (;;) {
    const Decoded limited = decode_frame(rest, 250);
    const Decoded decoded = decode_frame(rest);
    require(decoded.status != DecodeStatus::body_over_limit);
    if (decoded.status != DecodeStatus::ok) {
      require(decoded.consumed_bytes == 0);
      return 0;
    }
    require(limited.status == (decoded.frame.body.size > 250 ? DecodeStatus::body_over_limit : DecodeStatus::ok));
    require(decoded.consumed_bytes <= rest.size);
    room.resize(decoded.consumed_bytes);
    require(encode_frame(decoded.frame, {room.data(), room.size()}) == decoded.consumed_bytes);
    require(std::memcmp(room.data(), rest.data, decoded.consumed_bytes) == 0);
    check_fields(decoded.frame);
    rest = rest.drop(decoded.consumed_bytes);
    legacy.on_frame(decoded.frame);
    rest = rest.drop(legacy.skip(rest));
  }
}
