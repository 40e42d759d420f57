// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/bytes.hpp"

/// The binary device protocol: frames. Never allocates, never throws, reads only inside what it is given.
/// Facts: docs/protocol/device-protocol.md sections 2, 3 and 13.
namespace muster::wire {

inline constexpr std::size_t frame_header_size_bytes = 5;
inline constexpr std::size_t frame_body_size_max_bytes = 65535;

/// First byte of a frame. A value outside this list is still a frame; what to do with it is the session's choice.
enum class Command : std::uint8_t {
  response = 0,
  login = 2,  ///< Old clients; the same meaning as hw_login.
  ping = 6,
  tweet = 12,
  email = 13,
  notify = 14,
  bridge = 15,
  hardware_sync = 16,
  internal = 17,
  sms = 18,
  property = 19,
  hardware = 20,
  group = 21,
  hw_login = 29,
  redirect = 41,
  debug_print = 55,
  event_log = 64,
  event_clear = 65,
};

/// Status of a RESPONSE, carried in the length field.
enum class Status : std::uint16_t {
  quota_limit = 1,
  illegal_command = 2,
  not_registered = 3,
  already_registered = 4,
  not_authenticated = 5,  ///< Every client closes on it.
  not_allowed = 6,
  device_not_in_network = 7,
  invalid_token = 9,
  illegal_command_body = 11,
  notification_invalid_body = 13,
  notification_not_authorized = 14,
  notification_exception = 15,
  timeout = 16,
  no_data = 17,
  device_went_offline = 18,
  server_exception = 19,
  not_supported_version = 20,
  energy_limit = 21,
  success = 200,
};

struct Frame {
  Command command = Command::response;
  std::uint16_t id = 0;      ///< 1..65535; 0 is illegal in both directions.
  std::uint16_t status = 0;  ///< Only for Command::response (Status, or a value not named there); else 0.
  ByteView body;             ///< Empty for Command::response.
};

enum class DecodeStatus : std::uint8_t {
  ok,
  need_more,        ///< The frame is not complete yet: call again with more bytes.
  id_zero,          ///< Message id 0.
  body_over_limit,  ///< The length field is above the limit given; known as soon as the header is.
};

struct Decoded {
  DecodeStatus status = DecodeStatus::need_more;
  Frame frame;                     ///< Valid when status is ok; for id_zero and body_over_limit its command and id are set.
  std::size_t consumed_bytes = 0;  ///< 0 unless status is ok.
};

/// Decodes the first frame of `input`: command u8, message id u16, length u16 (big-endian), body.
/// `body_limit_bytes` is the largest body accepted. The body borrows from `input`.
[[nodiscard]] Decoded decode_frame(ByteView input, std::size_t body_limit_bytes = frame_body_size_max_bytes) noexcept;

/// Encodes `frame` into `out`; returns the bytes written, or 0 when the frame has id 0, its body is over 65,535 bytes,
/// it is a RESPONSE with a body, or `out` is too small.
[[nodiscard]] std::size_t encode_frame(const Frame& frame, ByteSpan out) noexcept;

/// Walks the NUL-separated fields of a body without copying. Keeps empty fields, and is binary safe: an empty body has
/// no field, `a NUL` has the fields "a" and "", `a NUL NUL b` has "a", "", "b".
class Fields {
 public:
  explicit Fields(ByteView body) noexcept : rest_{body}, more_{body.size != 0} {}
  [[nodiscard]] bool has_next() const noexcept { return more_; }
  /// The next field; empty when there is none left.
  std::string_view next() noexcept;
  /// Everything not walked yet, separators included.
  [[nodiscard]] ByteView rest() const noexcept { return rest_; }

 private:
  ByteView rest_;
  bool more_;
};

/// Writes one frame field by field into room that somebody else lends; fields are separated by one NUL. Not for
/// Command::response, which has no fields: finish() then gives 0.
///
///     FrameWriter writer{room, Command::hardware, id};
///     writer.field("vw").field(pin).field(value);
///     const std::size_t size = writer.finish();  // 0: it did not fit, or the id was 0
class FrameWriter {
 public:
  FrameWriter(ByteSpan out, Command command, std::uint16_t id) noexcept;
  FrameWriter& field(std::string_view text) noexcept;
  FrameWriter& field(std::int64_t number) noexcept;
  /// Appends bytes as they are, with no separator before them.
  FrameWriter& raw(std::string_view bytes) noexcept;
  /// Completes the header; the whole frame's size in bytes, or 0 when it did not fit (in the room or in 65,535 bytes of
  /// body) or the id was 0. May be called again after more fields.
  [[nodiscard]] std::size_t finish() noexcept;

 private:
  ByteSpan out_;
  std::size_t size_;
  bool first_ = true;
  bool failed_ = false;
};

/// The five bytes of a RESPONSE.
struct ResponseFrame {
  std::uint8_t bytes[frame_header_size_bytes];
};
[[nodiscard]] ResponseFrame make_response(std::uint16_t id, Status status) noexcept;

/// Parses a decimal pin 0..255 without sign or spaces; returns false for anything else.
[[nodiscard]] bool parse_pin(std::string_view text, std::uint8_t& pin) noexcept;

/// One old client library (it logs in with command 2) answers a server PING with `00 id 0003 "200"`: the status went
/// into the body, so three bytes follow that belong to no frame. This skips them, also when they come in pieces; one
/// byte of state, no buffer. Only for sessions that logged in with Command::login: others may mean status 3 when they
/// say it.
///
///     input = input.drop(legacy.skip(input));   // before each decode_frame
///     legacy.on_frame(decoded.frame);           // after each frame decoded
class LegacyPingReply {
 public:
  static constexpr std::string_view stray{"200"};

  /// A RESPONSE whose status is 3 (the size of `stray`) arms the skipper; any other frame disarms it.
  void on_frame(const Frame& frame) noexcept;
  /// How many bytes at the front of `input` are stray. Bytes that differ from `stray` are left alone: a client that
  /// does send status 3 loses nothing.
  [[nodiscard]] std::size_t skip(ByteView input) noexcept;

 private:
  std::uint8_t expected_ = 0;  ///< How many of the stray bytes are still to come.
};

}  // namespace muster::wire
