// SPDX-License-Identifier: Apache-2.0
#include "cloud/mail/message.hpp"

#include <gtest/gtest.h>

#include <string>

namespace muster::mail {
namespace {

const Message plain{"Hello", "text\n", "<p>html</p>"};

/// The header lines, unfolded.
std::vector<std::string> headers(const std::string& mail) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  for (;;) {
    const auto end = mail.find("\r\n", at);
    if (end == std::string::npos || end == at) return lines;
    const std::string line = mail.substr(at, end - at);
    if (line[0] == ' ' && !lines.empty()) {
      lines.back() += line;
    } else {
      lines.push_back(line);
    }
    at = end + 2;
  }
}

TEST(Message, PackedAndUnpackedIsTheSame) {
  const Message message{"Zoë", std::string(70'000, 'x'), std::string{"a\0b", 3}};
  EXPECT_EQ(unpack(pack(message)), message);
  const std::string packed = pack(plain);
  for (std::size_t cut = 0; cut < packed.size(); ++cut) EXPECT_FALSE(unpack(packed.substr(0, cut)));
  EXPECT_FALSE(unpack(packed + "x"));
}

TEST(Message, IsAsciiInShortLinesWithTheUsualHeaders) {
  const std::string mail = compose(plain, {"muster@example.org", "Zoë's pumps"}, "a+tag@example.com", {1'767'225'600'000}, "m-1");
  std::size_t start = 0;
  while (start < mail.size()) {
    const auto end = mail.find("\r\n", start);
    ASSERT_NE(end, std::string::npos);
    EXPECT_LE(end - start, 78u);
    start = end + 2;
  }
  for (const char c : mail) EXPECT_TRUE((c >= ' ' && c < 0x7F) || c == '\r' || c == '\n');
  EXPECT_NE(mail.find("To: a+tag@example.com\r\n"), std::string::npos);
  EXPECT_NE(mail.find("Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"), std::string::npos);
  EXPECT_NE(mail.find("Message-ID: <m-1@example.org>\r\n"), std::string::npos);
  EXPECT_NE(mail.find("Subject: =?UTF-8?B?SGVsbG8=?=\r\n"), std::string::npos);
}

TEST(Message, NoValueCanAddAHeader) {
  const std::string evil = "x\r\nBcc: thief@example.com\r\n\r\nbody\u2028\u0085";
  const auto clean = headers(compose(plain, {"m@example.org", "M"}, "a@example.com", {0}, "1"));
  const auto lines = headers(compose({evil, "t", "h"}, {evil, evil}, evil, {0}, evil));
  ASSERT_EQ(lines.size(), clean.size());
  for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i].substr(0, lines[i].find(':')), clean[i].substr(0, clean[i].find(':')));
}

}  // namespace
}  // namespace muster::mail
