// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// WebSocket framing (RFC 6455), server side, no sockets and no extensions.
///
/// Our own rather than libwslay's: what a server needs of the framing is the two functions below, they unmask in place in the
/// loop's buffer, and a connection that waits between messages owns nothing. libwslay keeps a context, a queue and a buffer per
/// connection and is driven by callbacks for reading and writing, which our loop does itself. It would save the checks of
/// `next`, which are tested and fuzzed here.
namespace muster::net {

namespace websocket_close {
inline constexpr std::uint16_t normal = 1000, going_away = 1001, protocol_error = 1002, unsupported = 1003, not_utf8 = 1007, policy = 1008,
                               too_big = 1009, try_again_later = 1013;
}

enum class WebSocketOpcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

class WebSocketReader {
 public:
  enum class Kind : std::uint8_t { need_more, fragment, text, binary, ping, pong, close, error };
  struct Item {
    Kind kind = Kind::need_more;
    std::size_t consumed_bytes = 0;
    std::span<std::uint8_t> payload;  ///< Borrows from the input or from the reader, until the next call.
    std::uint16_t code = 0;           ///< close: the peer's code, 1005 when it gave none; error: the code to close with.
  };
  /// The next frame of `input`, unmasked in place; a `fragment` was put away until its message is complete. Nothing of an
  /// incomplete frame is consumed or changed. Messages over `message_max_bytes`, unmasked frames, reserved bits and opcodes,
  /// broken fragmentation, oversized control frames and text that is not UTF-8 are errors.
  [[nodiscard]] Item next(std::span<std::uint8_t> input, std::size_t message_max_bytes);

 private:
  std::vector<std::uint8_t> fragments_;
  WebSocketOpcode message_ = WebSocketOpcode::continuation;  ///< continuation: no message is open.
  bool deliver_fragments_ = false;
};

/// Longest header of a client's frame.
inline constexpr std::size_t websocket_header_max_bytes = 14;

/// Appends one unmasked, final frame.
void append_websocket_frame(WebSocketOpcode opcode, std::span<const std::uint8_t> payload, std::vector<std::uint8_t>& out);
void append_websocket_close(std::uint16_t code, std::vector<std::uint8_t>& out);
/// Sec-WebSocket-Accept for a client's key.
[[nodiscard]] std::string websocket_accept(std::string_view key);
[[nodiscard]] bool is_utf8(std::span<const std::uint8_t> bytes) noexcept;

}  // namespace muster::net
