// SPDX-License-Identifier: Apache-2.0
// The codec never allocates: every call over every recorded frame, whole, cut and damaged, with operator new counted.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <new>
#include <string>
#include <vector>

#include "wire/frame.hpp"
#include "wire/info.hpp"

namespace {
std::size_t allocations = 0;
}  // namespace

// Of the whole program; all other forms of new come here.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* made = std::malloc(size == 0 ? 1 : size)) return made;
  std::abort();
}
void operator delete(void* gone) noexcept { std::free(gone); }
void operator delete(void* gone, std::size_t) noexcept { std::free(gone); }

namespace muster::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::uint8_t digit(char c) { return static_cast<std::uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); }

std::vector<Bytes> recorded() {
  std::ifstream in{MUSTER_SOURCE_DIR "/tests/golden/frames.json"};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  constexpr std::string_view key{"\"hex\": \""};
  std::vector<Bytes> frames;
  for (auto at = text.find(key); at != std::string::npos; at = text.find(key, at)) {
    at += key.size();
    Bytes bytes;
    for (; text[at] != '"'; at += 2) bytes.push_back(static_cast<std::uint8_t>(digit(text[at]) << 4 | digit(text[at + 1])));
    frames.push_back(std::move(bytes));
  }
  return frames;
}

/// All that wire can do with these bytes. A number that depends on it, so that nothing is left out by the compiler.
std::size_t exercise(ByteView input, ByteSpan room) {
  std::size_t sum = 0;
  LegacyPingReply legacy;
  for (ByteView rest = input; !rest.empty();) {
    rest = rest.drop(legacy.skip(rest));
    const Decoded decoded = decode_frame(rest);
    if (decoded.status != DecodeStatus::ok) break;
    legacy.on_frame(decoded.frame);
    sum += encode_frame(decoded.frame, room);
    FrameWriter writer{room, Command::hardware, decoded.frame.id};
    for (Fields fields{decoded.frame.body}; fields.has_next();) {
      const std::string_view field = fields.next();
      std::uint8_t pin = 0;
      sum += parse_pin(field, pin) ? pin : 0U;
      writer.field(field).field(std::int64_t{-42}).raw("x");
    }
    sum += writer.finish();
    DeviceInfo info;
    if (is_info(decoded.frame.body) && decode_info(decoded.frame.body, info)) {
      FrameWriter again{room, Command::internal, 1};
      sum += encode_info(info, again) ? again.finish() : 0;
    }
    sum += make_response(decoded.frame.id, Status::success).bytes[0];
    rest = rest.drop(decoded.consumed_bytes);
  }
  return sum;
}

TEST(Wire, NeverAllocates) {
  const std::vector<Bytes> frames = recorded();
  ASSERT_GT(frames.size(), 300U);
  Bytes room(70'000);
  const ByteSpan out{room.data(), room.size()};
  std::size_t sum = 0, damaged_bytes = 0;
  const std::size_t before = allocations;
  for (const Bytes& frame : frames) {
    for (std::size_t size = 0; size <= frame.size(); ++size) sum += exercise({frame.data(), size}, out);
  }
  EXPECT_EQ(allocations, before);
  Bytes damaged;
  for (const Bytes& frame : frames) {
    damaged = frame;
    for (std::uint8_t& byte : damaged) {
      const std::size_t undamaged = allocations;
      byte ^= 0x5a;
      sum += exercise({damaged.data(), damaged.size()}, out);
      byte ^= 0x5a;
      damaged_bytes += allocations - undamaged;
    }
  }
  EXPECT_EQ(damaged_bytes, 0U);
  EXPECT_GT(sum, 0U);
  // The counting works.
  const std::size_t counted = allocations;
  const Bytes one(100'000);
  EXPECT_EQ(allocations, counted + 1) << one.size();
}

}  // namespace
}  // namespace muster::wire
