// SPDX-License-Identifier: Apache-2.0
#include "wire/frame.hpp"

#include <charconv>
#include <cstring>

namespace muster::wire {

namespace {

std::uint16_t read_u16(const std::uint8_t* bytes) noexcept { return static_cast<std::uint16_t>((bytes[0] << 8) | bytes[1]); }

void write_header(std::uint8_t* out, Command command, std::uint16_t id, std::uint16_t length_or_status) noexcept {
  out[0] = static_cast<std::uint8_t>(command);
  out[1] = static_cast<std::uint8_t>(id >> 8);
  out[2] = static_cast<std::uint8_t>(id & 0xff);
  out[3] = static_cast<std::uint8_t>(length_or_status >> 8);
  out[4] = static_cast<std::uint8_t>(length_or_status & 0xff);
}

}  // namespace

Decoded decode_frame(ByteView input, std::size_t body_limit_bytes) noexcept {
  Decoded decoded;
  if (input.size < frame_header_size_bytes) {
    return decoded;
  }
  Frame& frame = decoded.frame;
  frame.command = static_cast<Command>(input.data[0]);
  frame.id = read_u16(input.data + 1);
  const std::uint16_t length = read_u16(input.data + 3);
  if (frame.id == 0) {
    decoded.status = DecodeStatus::id_zero;
    return decoded;
  }
  if (frame.command == Command::response) {
    frame.status = length;
    decoded.status = DecodeStatus::ok;
    decoded.consumed_bytes = frame_header_size_bytes;
    return decoded;
  }
  if (length > body_limit_bytes) {
    decoded.status = DecodeStatus::body_over_limit;
    return decoded;
  }
  if (input.size - frame_header_size_bytes < length) {
    return decoded;
  }
  frame.body = ByteView{input.data + frame_header_size_bytes, length};
  decoded.status = DecodeStatus::ok;
  decoded.consumed_bytes = frame_header_size_bytes + length;
  return decoded;
}

std::size_t encode_frame(const Frame& frame, ByteSpan out) noexcept {
  const bool response = frame.command == Command::response;
  if (frame.id == 0 || frame.body.size > frame_body_size_max_bytes || (response && !frame.body.empty()) ||
      out.size < frame_header_size_bytes + frame.body.size) {
    return 0;
  }
  write_header(out.data, frame.command, frame.id, response ? frame.status : static_cast<std::uint16_t>(frame.body.size));
  if (!frame.body.empty()) {
    std::memcpy(out.data + frame_header_size_bytes, frame.body.data, frame.body.size);
  }
  return frame_header_size_bytes + frame.body.size;
}

std::string_view Fields::next() noexcept {
  if (!more_) {
    return {};
  }
  const void* separator = rest_.empty() ? nullptr : std::memchr(rest_.data, 0, rest_.size);
  if (separator == nullptr) {
    const std::string_view field = rest_.text();
    rest_ = rest_.drop(rest_.size);
    more_ = false;
    return field;
  }
  const auto size = static_cast<std::size_t>(static_cast<const std::uint8_t*>(separator) - rest_.data);
  const std::string_view field = rest_.first(size).text();
  rest_ = rest_.drop(size + 1);  // What follows a separator is a field, even when it is empty: more_ stays set.
  return field;
}

FrameWriter::FrameWriter(ByteSpan out, Command command, std::uint16_t id) noexcept : out_{out}, size_{frame_header_size_bytes} {
  failed_ = out.size < frame_header_size_bytes || id == 0 || command == Command::response;
  if (!failed_) {
    write_header(out.data, command, id, 0);
  }
}

FrameWriter& FrameWriter::field(std::string_view text) noexcept {
  if (!first_) {
    raw(std::string_view{"\0", 1});
  }
  first_ = false;
  return raw(text);
}

FrameWriter& FrameWriter::field(std::int64_t number) noexcept {
  char digits[20];  // A sign and 19 digits.
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, number);
  return field(std::string_view{digits, static_cast<std::size_t>(end.ptr - digits)});
}

FrameWriter& FrameWriter::raw(std::string_view bytes) noexcept {
  if (failed_ || bytes.size() > out_.size - size_ || bytes.size() > frame_header_size_bytes + frame_body_size_max_bytes - size_) {
    failed_ = true;
    return *this;
  }
  if (!bytes.empty()) {
    std::memcpy(out_.data + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
    first_ = false;
  }
  return *this;
}

std::size_t FrameWriter::finish() noexcept {
  if (failed_) {
    return 0;
  }
  const std::size_t body_size = size_ - frame_header_size_bytes;
  out_.data[3] = static_cast<std::uint8_t>(body_size >> 8);
  out_.data[4] = static_cast<std::uint8_t>(body_size & 0xff);
  return size_;
}

ResponseFrame make_response(std::uint16_t id, Status status) noexcept {
  ResponseFrame response;
  write_header(response.bytes, Command::response, id, static_cast<std::uint16_t>(status));
  return response;
}

bool parse_pin(std::string_view text, std::uint8_t& pin) noexcept {
  constexpr std::size_t digits_max = 3;
  if (text.empty() || text.size() > digits_max) {
    return false;
  }
  unsigned value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') {
      return false;
    }
    value = value * 10 + static_cast<unsigned>(digit - '0');
  }
  if (value > 255) {
    return false;
  }
  pin = static_cast<std::uint8_t>(value);
  return true;
}

void LegacyPingReply::on_frame(const Frame& frame) noexcept {
  expected_ = 0;
  if (frame.command == Command::response && frame.status == stray.size()) {
    expected_ = static_cast<std::uint8_t>(stray.size());
  }
}

std::size_t LegacyPingReply::skip(ByteView input) noexcept {
  std::size_t count = 0;
  while (expected_ != 0 && count < input.size) {
    if (input[count] != static_cast<std::uint8_t>(stray[stray.size() - expected_])) {
      expected_ = 0;
      break;
    }
    ++count;
    --expected_;
  }
  return count;
}

}  // namespace muster::wire
