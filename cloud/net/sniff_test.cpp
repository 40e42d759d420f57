// SPDX-License-Identifier: Apache-2.0
#include "cloud/net/sniff.hpp"

#include <gtest/gtest.h>

#include <string>

namespace muster::net {
namespace {

Sniffed sniffed(std::string_view text) { return sniff(wire::ByteView{text}); }

TEST(Sniff, KnowsEveryProtocolByItsFirstBytes) {
  EXPECT_EQ(sniffed(std::string_view("\x1d\x00\x01\x00\x20", 5)), Sniffed::device);
  EXPECT_EQ(sniffed("\x02"), Sniffed::device);
  EXPECT_EQ(sniffed("\x16"), Sniffed::tls);
  EXPECT_EQ(sniffed("\x10"), Sniffed::mqtt);
  for (const std::string method : {"GET ", "POST", "PUT ", "HEAD", "OPTI", "PATC", "DELE", "TRAC", "CONN"}) {
    EXPECT_EQ(sniffed(method), Sniffed::http) << method;
    EXPECT_EQ(sniffed(method + " / HTTP/1.1"), Sniffed::http) << method;
    for (std::size_t size = 0; size < 4; ++size) EXPECT_EQ(sniffed(method.substr(0, size)), Sniffed::need_more) << method << size;
  }
}

TEST(Sniff, DoesNotWaitForMoreOfWhatCannotBecomeAnything) {
  for (const std::string text : {"X", "GX", "PA ", "get ", "PRI ", "GET\t", "PUT/"}) EXPECT_EQ(sniffed(text), Sniffed::unknown) << text;
  EXPECT_EQ(sniffed(std::string_view("\0", 1)), Sniffed::unknown);
}

}  // namespace
}  // namespace muster::net
