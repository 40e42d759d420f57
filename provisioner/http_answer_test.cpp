// SPDX-License-Identifier: Apache-2.0
#include "provisioner/http_answer.hpp"

#include <gtest/gtest.h>

#include <string>

namespace muster::provisioner {
namespace {

using State = HttpAnswerReader::State;

struct Read {
  State state = State::reading;
  int status = 0;
  std::string body;
};

/// Reads it whole and byte by byte, which must be the same.
Read read(const std::string& text, bool end = true) {
  HttpAnswerReader whole, cut;
  whole.feed(text);
  for (const char c : text) cut.feed({&c, 1});
  if (end) {
    whole.finish();
    cut.finish();
  }
  EXPECT_EQ(whole.state(), cut.state()) << text.substr(0, 200);
  if (whole.state() == State::complete) {
    EXPECT_EQ(whole.body(), cut.body());
  }
  return {whole.state(), whole.status(), whole.body()};
}

TEST(HttpAnswer, IsReadByLengthByChunksAndToTheEnd) {
  for (const std::string& text :
       {std::string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello"}, std::string{"HTTP/1.0 200\r\n\r\nhello"},
        std::string{"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n003;a=b\r\nllo\r\n0\r\nTrailer: x\r\n\r\n"}}) {
    const auto got = read(text);
    EXPECT_EQ(got.state, State::complete) << text;
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.body, "hello");
  }
  EXPECT_EQ(read("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", false).status, 500);
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", false).body, "he");
}

TEST(HttpAnswer, WhatLiesOrNeverEndsIsBad) {
  for (const std::string& text : {
           std::string{"nonsense\r\n\r\n"},
           std::string{"HTTP/2 200\r\n\r\n"},
           std::string{"HTTP/1.1 abc\r\n\r\n"},
           std::string{"HTTP/1.1 99 x\r\n\r\n"},
           std::string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"},
           std::string{"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
           std::string{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"},
           std::string{"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n"},
           std::string{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
           std::string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab"},
           std::string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"},
           std::string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n"},
           std::string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"},
           std::string{"HTTP/1.1 200 OK\r\n\r\n"} + std::string(answer_body_max_bytes + 1, 'x'),
           std::string{"HTTP/1.1 200 OK\r\n"} + std::string(answer_head_max_bytes + 10, 'x'),
           std::string{},
       }) {
    EXPECT_EQ(read(text).state, State::bad) << text.substr(0, 100);
  }
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\n\r\n" + std::string(answer_body_max_bytes, 'x')).state, State::complete);
}

TEST(HttpAnswer, TargetsAreEncoded) { EXPECT_EQ(percent_encode("a Z-._~&=%\n\xc3\xbc"), "a%20Z-._~%26%3D%25%0A%C3%BC"); }

}  // namespace
}  // namespace muster::provisioner
