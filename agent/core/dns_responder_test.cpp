// SPDX-License-Identifier: Apache-2.0
#include "agent/core/dns_responder.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace muster::agent {
namespace {

using namespace std::string_literals;

std::string question(const std::string& labels, char type = 1, char flags = 1) {
  return "\x12\x34"s + flags + "\0\0\1\0\0\0\0\0\0"s + labels + '\0' + '\0' + type + "\0\1"s;
}

std::string ask(const std::string& query, const DnsOptions& options = {}, std::size_t room = dns_answer_size_max_bytes) {
  const std::unique_ptr<std::uint8_t[]> exact{new std::uint8_t[query.size()]};
  std::copy(query.begin(), query.end(), exact.get());
  const std::unique_ptr<std::uint8_t[]> out{new std::uint8_t[room]};
  const std::size_t size = answer_dns({exact.get(), query.size()}, options, {out.get(), room});
  return {reinterpret_cast<const char*>(out.get()), size};
}

const std::string probe =
    "\x11"
    "connectivitycheck"
    "\7"
    "gstatic"
    "\3"
    "com"s;
const std::string own =
    "\5"
    "BlYnK"
    "\5"
    "setup"s;

TEST(Dns, AnswersEveryNameWithThePortalOn) {
  const std::string answer = ask(question(probe));
  EXPECT_EQ(answer.substr(0, 12), "\x12\x34\x85\x80\0\1\0\1\0\0\0\0"s);
  EXPECT_EQ(answer.substr(12, probe.size() + 5), probe + "\0\0\1\0\1"s);
  EXPECT_EQ(answer.substr(12 + probe.size() + 5), "\xc0\x0c\0\1\0\1\0\0\x01\x2c\0\4\xc0\xa8\x04\x01"s);
}

TEST(Dns, WithoutThePortalOnlyItsOwnName) {
  DnsOptions options;
  options.every_name = false;
  EXPECT_EQ(ask(question(own), options).substr(6, 2), "\0\1"s);
  const std::string refused = ask(question(probe), options);
  EXPECT_EQ(refused, "\x12\x34\x81\x82\0\0\0\0\0\0\0\0"s);
  EXPECT_EQ(ask(question("\6"
                         "xblynk"
                         "\5"
                         "setup"s),
                options)[3],
            '\x82');
}

TEST(Dns, HasNoRecordsOfOtherTypes) {
  const std::string answer = ask(question(probe, 28));  // AAAA
  EXPECT_EQ(answer.size(), 12 + probe.size() + 5);
  EXPECT_EQ(answer.substr(4, 4), "\0\1\0\0"s);
}

TEST(Dns, SaysNothingToAnswersAndToWhatIsNoQuestion) {
  EXPECT_EQ(ask(question(probe, 1, '\x81')), "");
  const std::string whole = question(probe);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(ask(whole.substr(0, size)), "") << size;
  }
  EXPECT_EQ(ask(question("\xc0\x0c"s)), "");
  std::string endless;
  for (int i = 0; i < 5; ++i) endless += "\x3f" + std::string(63, 'a');
  EXPECT_EQ(ask(question(endless)), "");
  EXPECT_EQ(ask(question(probe), {}, 40), "");  // No room.
}

TEST(Dns, RefusesOtherOperationsAndSeveralQuestions) {
  EXPECT_EQ(ask(question(probe, 1, '\x10'))[3], '\x84');
  std::string two = question(probe);
  two[5] = 2;
  EXPECT_EQ(ask(two)[3], '\x82');
}

TEST(Dns, TheLongestQuestionFits) {
  const std::string labels =
      "\x3f" + std::string(63, 'a') + "\x3f" + std::string(63, 'b') + "\x3f" + std::string(63, 'c') + "\x3d" + std::string(61, 'd');
  EXPECT_EQ(labels.size(), 254U);
  EXPECT_EQ(ask(question(labels)).size(), 12U + 255 + 4 + 16);
}

}  // namespace
}  // namespace muster::agent
