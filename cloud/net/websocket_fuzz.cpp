// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <string>

#include "cloud/net/websocket.hpp"

namespace {

using namespace muster::net;

std::string transcript(std::vector<std::uint8_t> bytes, std::size_t step) {
  constexpr std::size_t message_max = 300;
  WebSocketReader reader;
  std::string result;
  std::vector<std::uint8_t> kept;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t piece = std::min(step, bytes.size() - at);
    kept.insert(kept.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(at + piece));
    at += piece;
    while (true) {
      const WebSocketReader::Item item = reader.next(kept, message_max);
      if (item.kind == WebSocketReader::Kind::need_more) {
        if (item.consumed_bytes != 0 || kept.size() > message_max + websocket_header_max_bytes) std::abort();
        break;
      }
      result += static_cast<char>('a' + static_cast<int>(item.kind));
      if (item.kind == WebSocketReader::Kind::error) return result + std::to_string(item.code);
      if (item.consumed_bytes == 0 || item.consumed_bytes > kept.size() || item.payload.size() > message_max) std::abort();
      if (item.kind == WebSocketReader::Kind::text && !is_utf8(item.payload)) std::abort();
      result.append(item.payload.begin(), item.payload.end());
      std::vector<std::uint8_t> out;
      append_websocket_frame(WebSocketOpcode::pong, item.payload, out);
      kept.erase(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(item.consumed_bytes));
    }
  }
  return result;
}

}  // namespace

/// However the bytes arrive, the same messages come out.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> bytes{data, data + size};
  if (transcript(bytes, SIZE_MAX) != transcript(bytes, 1)) std::abort();
  return 0;
}
