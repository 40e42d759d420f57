// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/websocket.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstring>

namespace muster::net {
namespace {

WebSocketReader::Item failed(std::uint16_t code) noexcept {
  WebSocketReader::Item item;
  item.kind = WebSocketReader::Kind::error;
  item.code = code;
  return item;
}

void unmask(std::span<std::uint8_t> payload, const std::array<std::uint8_t, 4>& key) noexcept {
  std::uint64_t wide = 0;
  std::array<std::uint8_t, 8> twice{key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]};
  std::memcpy(&wide, twice.data(), sizeof wide);
  std::size_t at = 0;
  for (; at + 8 <= payload.size(); at += 8) {
    std::uint64_t chunk = 0;
    std::memcpy(&chunk, payload.data() + at, sizeof chunk);
    chunk ^= wide;
    std::memcpy(payload.data() + at, &chunk, sizeof chunk);
  }
  for (; at < payload.size(); ++at) payload[at] = static_cast<std::uint8_t>(payload[at] ^ key[at % 4]);
}

bool is_sendable_close_code(std::uint16_t code) noexcept {
  return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) || (code >= 3000 && code <= 4999);
}

}  // namespace

WebSocketReader::Item WebSocketReader::next(std::span<std::uint8_t> input, std::size_t message_max_bytes) {
  if (deliver_fragments_) {  // The message handed out last is no longer looked at.
    fragments_ = {};
    deliver_fragments_ = false;
  }
  if (input.size() < 2) return {};
  const bool final = (input[0] & 0x80) != 0;
  const auto opcode = static_cast<WebSocketOpcode>(input[0] & 0x0F);
  if ((input[0] & 0x70) != 0 || (input[1] & 0x80) == 0) return failed(websocket_close::protocol_error);
  const bool control = (input[0] & 0x08) != 0;
  switch (opcode) {
    case WebSocketOpcode::continuation:
      if (message_ == WebSocketOpcode::continuation) return failed(websocket_close::protocol_error);
      break;
    case WebSocketOpcode::text:
    case WebSocketOpcode::binary:
      if (message_ != WebSocketOpcode::continuation) return failed(websocket_close::protocol_error);
      break;
    case WebSocketOpcode::close:
    case WebSocketOpcode::ping:
    case WebSocketOpcode::pong: break;
    default: return failed(websocket_close::protocol_error);
  }

  std::uint64_t size = input[1] & 0x7F;
  std::size_t header = 2;
  if (control && (size > 125 || !final)) return failed(websocket_close::protocol_error);
  if (size == 126) {
    if (input.size() < 4) return {};
    size = static_cast<std::uint64_t>(input[2] << 8 | input[3]);
    header = 4;
    if (size < 126) return failed(websocket_close::protocol_error);
  } else if (size == 127) {
    if (input.size() < 10) return {};
    size = 0;
    for (std::size_t i = 2; i < 10; ++i) size = size << 8 | input[i];
    header = 10;
    if (size < 65'536 || (size >> 63) != 0) return failed(websocket_close::protocol_error);
  }
  if (!control && (size > message_max_bytes || fragments_.size() + size > message_max_bytes)) return failed(websocket_close::too_big);
  header += 4;
  if (input.size() < header || input.size() - header < size) return {};

  const std::array<std::uint8_t, 4> key{input[header - 4], input[header - 3], input[header - 2], input[header - 1]};
  Item item;
  item.payload = input.subspan(header, static_cast<std::size_t>(size));
  item.consumed_bytes = header + item.payload.size();
  unmask(item.payload, key);
  switch (opcode) {
    case WebSocketOpcode::ping: item.kind = Kind::ping; return item;
    case WebSocketOpcode::pong: item.kind = Kind::pong; return item;
    case WebSocketOpcode::close:
      item.kind = Kind::close;
      item.code = 1005;
      if (item.payload.size() == 1) return failed(websocket_close::protocol_error);
      if (item.payload.size() >= 2) {
        item.code = static_cast<std::uint16_t>(item.payload[0] << 8 | item.payload[1]);
        if (!is_sendable_close_code(item.code)) return failed(websocket_close::protocol_error);
        if (!is_utf8(item.payload.subspan(2))) return failed(websocket_close::not_utf8);
      }
      return item;
    default: break;
  }
  if (opcode != WebSocketOpcode::continuation) message_ = opcode;
  if (!final || opcode == WebSocketOpcode::continuation) {
    fragments_.insert(fragments_.end(), item.payload.begin(), item.payload.end());
    if (!final) {
      item.kind = Kind::fragment;
      item.payload = {};
      return item;
    }
    item.payload = fragments_;
    deliver_fragments_ = true;
  }
  item.kind = message_ == WebSocketOpcode::text ? Kind::text : Kind::binary;
  message_ = WebSocketOpcode::continuation;
  if (item.kind == Kind::text && !is_utf8(item.payload)) return failed(websocket_close::not_utf8);
  return item;
}

void append_websocket_frame(WebSocketOpcode opcode, std::span<const std::uint8_t> payload, std::vector<std::uint8_t>& out) {
  out.push_back(static_cast<std::uint8_t>(0x80 | static_cast<unsigned>(opcode)));
  if (payload.size() < 126) {
    out.push_back(static_cast<std::uint8_t>(payload.size()));
  } else if (payload.size() < 65'536) {
    out.push_back(126);
    out.push_back(static_cast<std::uint8_t>(payload.size() >> 8));
    out.push_back(static_cast<std::uint8_t>(payload.size()));
  } else {
    out.push_back(127);
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(std::uint64_t{payload.size()} >> shift));
  }
  out.insert(out.end(), payload.begin(), payload.end());
}

void append_websocket_close(std::uint16_t code, std::vector<std::uint8_t>& out) {
  const std::array<std::uint8_t, 2> payload{static_cast<std::uint8_t>(code >> 8), static_cast<std::uint8_t>(code)};
  append_websocket_frame(WebSocketOpcode::close, payload, out);
}

std::string websocket_accept(std::string_view key) {
  std::string text{key};
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3.
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) return {};
  std::array<unsigned char, 64> encoded{};
  const int length = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(size));
  return {encoded.begin(), encoded.begin() + length};
}

bool is_utf8(std::span<const std::uint8_t> bytes) noexcept {
  std::size_t at = 0;
  const auto continues = [&bytes](std::size_t i, std::uint8_t from = 0x80, std::uint8_t to = 0xBF) {
    return i < bytes.size() && bytes[i] >= from && bytes[i] <= to;
  };
  while (at < bytes.size()) {
    const std::uint8_t lead = bytes[at];
    if (lead < 0x80) {
      ++at;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
      if (!continues(at + 1)) return false;
      at += 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {  // No overlong forms, no surrogates.
      if (!continues(at + 1, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF) || !continues(at + 2)) return false;
      at += 3;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      if (!continues(at + 1, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF) || !continues(at + 2) || !continues(at + 3))
        return false;
      at += 4;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace muster::net
