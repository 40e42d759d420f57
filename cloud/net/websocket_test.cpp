// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/websocket.hpp"

#include <gtest/gtest.h>

namespace muster::net {
namespace {

using Kind = WebSocketReader::Kind;
using Bytes = std::vector<std::uint8_t>;

Bytes masked(std::uint8_t first, const std::string& payload, int length_form = 0) {
  Bytes bytes{first};
  if (length_form == 0) length_form = payload.size() < 126 ? 7 : payload.size() < 65'536 ? 16 : 64;
  if (length_form == 7) {
    bytes.push_back(static_cast<std::uint8_t>(0x80 | payload.size()));
  } else {
    bytes.push_back(length_form == 16 ? 0xFE : 0xFF);
    for (int shift = length_form - 8; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<std::uint8_t>(std::uint64_t{payload.size()} >> shift));
  }
  const std::uint8_t mask[4]{0xA1, 0xB2, 0xC3, 0xD4};
  bytes.insert(bytes.end(), mask, mask + 4);
  for (std::size_t i = 0; i < payload.size(); ++i)
    bytes.push_back(static_cast<std::uint8_t>(static_cast<std::uint8_t>(payload[i]) ^ mask[i % 4]));
  return bytes;
}
std::string text(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

TEST(WebSocketReader, ReadsMessagesOfEveryLengthForm) {
  for (const std::size_t size : {0u, 1u, 7u, 125u, 126u, 65'535u, 65'536u, 100'000u}) {
    WebSocketReader reader;
    const std::string payload(size, 'p');
    Bytes bytes = masked(0x82, payload);
    const Bytes before = bytes;
    for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{5}, bytes.size() - 1}) {
      EXPECT_EQ(reader.next(std::span{bytes}.first(std::min(cut, bytes.size() - 1)), 200'000).kind, Kind::need_more);
      EXPECT_EQ(bytes, before);
    }
    const auto item = reader.next(bytes, 200'000);
    EXPECT_EQ(item.kind, Kind::binary);
    EXPECT_EQ(item.consumed_bytes, bytes.size());
    EXPECT_EQ(text(item.payload), payload);
  }
}

TEST(WebSocketReader, JoinsFragmentsWithControlFramesBetween) {
  WebSocketReader reader;
  Bytes one = masked(0x01, "Hel"), ping = masked(0x89, "?"), two = masked(0x00, "l"), three = masked(0x80, "o"), next = masked(0x81, "x");
  EXPECT_EQ(reader.next(one, 5).kind, Kind::fragment);
  EXPECT_EQ(reader.next(ping, 5).kind, Kind::ping);
  EXPECT_EQ(reader.next(two, 5).kind, Kind::fragment);
  const auto item = reader.next(three, 5);
  EXPECT_EQ(item.kind, Kind::text);
  EXPECT_EQ(text(item.payload), "Hello");
  EXPECT_EQ(text(reader.next(next, 5).payload), "x");
}

TEST(WebSocketReader, RefusesEveryBreach) {
  const auto code = [](Bytes bytes, std::size_t most = 1'000) {
    WebSocketReader reader;
    const auto item = reader.next(bytes, most);
    return item.kind == Kind::error ? item.code : 0;
  };
  Bytes unmasked{0x81, 0x01, 'x'};
  EXPECT_EQ(code(unmasked), websocket_close::protocol_error);
  for (const int first : {0xC1, 0xA1, 0x91, 0x83, 0x87, 0x8B, 0x8F, 0x80, 0x09, 0x08})
    EXPECT_EQ(code(masked(static_cast<std::uint8_t>(first), "x")), websocket_close::protocol_error) << first;
  EXPECT_EQ(code(masked(0x89, std::string(126, 'x'))), websocket_close::protocol_error);
  EXPECT_EQ(code(masked(0x82, "x", 16)), websocket_close::protocol_error);
  EXPECT_EQ(code(masked(0x82, "x", 64)), websocket_close::protocol_error);
  EXPECT_EQ(code(masked(0x82, std::string(1'001, 'x'))), websocket_close::too_big);
  EXPECT_EQ(code(masked(0x81, "\xff")), websocket_close::not_utf8);
  EXPECT_EQ(code(masked(0x88, "x")), websocket_close::protocol_error);
  EXPECT_EQ(code(masked(0x88, std::string("\x03\xee", 2))), websocket_close::protocol_error);  // 1006 is never sent.
  EXPECT_EQ(code(masked(0x88, std::string("\x03\xe8\xff", 3))), websocket_close::not_utf8);
  Bytes huge{0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(code(huge), websocket_close::protocol_error);
}

TEST(WebSocketReader, BoundsTheSumOfFragments) {
  WebSocketReader reader;
  Bytes one = masked(0x02, "12345"), two = masked(0x00, "67890"), three = masked(0x00, "1");
  EXPECT_EQ(reader.next(one, 10).kind, Kind::fragment);
  EXPECT_EQ(reader.next(two, 10).kind, Kind::fragment);
  EXPECT_EQ(reader.next(three, 10).code, websocket_close::too_big);
  WebSocketReader interleaved;
  Bytes another = masked(0x82, "x");
  one = masked(0x02, "12345");
  EXPECT_EQ(interleaved.next(one, 10).kind, Kind::fragment);
  EXPECT_EQ(interleaved.next(another, 10).code, websocket_close::protocol_error);
}

TEST(WebSocketReader, GivesThePeersCloseCode) {
  WebSocketReader reader;
  Bytes none = masked(0x88, ""), coded = masked(0x88, std::string("\x0f\xa0why", 5));
  EXPECT_EQ(reader.next(none, 10).code, 1005);
  EXPECT_EQ(reader.next(coded, 10).code, 4000);
}

TEST(WebSocketWriter, UsesTheShortestLengthForm) {
  for (const auto& [size, header] :
       std::vector<std::pair<std::size_t, std::size_t>>{{0, 2}, {125, 2}, {126, 4}, {65'535, 4}, {65'536, 10}}) {
    Bytes out;
    append_websocket_frame(WebSocketOpcode::binary, Bytes(size, 1), out);
    EXPECT_EQ(out.size(), size + header);
  }
}

TEST(WebSocket, AcceptsWithTheKeyOfTheRfc) { EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); }

TEST(Utf8, KnowsEveryBoundary) {
  const auto good = [](std::string_view bytes) { return is_utf8({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}); };
  for (const char* text : {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(good(text)) << text;
  for (const char* text : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe1\x80", "\xf0\x8f\xbf\xbf",
                           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"})
    EXPECT_FALSE(good(text)) << text;
}

}  // namespace
}  // namespace muster::net
