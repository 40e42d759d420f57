// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "bench/client.hpp"
#include "bench/process_meter.hpp"
#include "bench/target.hpp"

namespace muster::bench {
namespace {

using namespace std::string_literals;

TEST(BenchReplyReader, CountsRepliesHoweverTheyAreCut) {
  const std::string bytes = "\x00\x00\x01\x00\xC8"s + "\x14\x00\x02\x00\x03"s + "vw\0"s + "\x00\xFF\xFF\x00\xC8"s;
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    ReplyReader reader;
    const std::size_t first = reader.read(std::string_view{bytes}.substr(0, cut));
    EXPECT_EQ(first + reader.read(std::string_view{bytes}.substr(cut)), 2U) << "cut at " << cut;
    EXPECT_EQ(reader.last_id(), 65'535);
  }
}

TEST(BenchReplyReaderDeathTest, EndsTheProgramOnAnythingButSuccess) {
  const auto read = [](const std::string& bytes) { ReplyReader{}.read(bytes); };
  EXPECT_EXIT(read("\x00\x00\x01\x00\x09"s), testing::ExitedWithCode(1), "id 1 with status 9");
  EXPECT_EXIT(read("\x00\x00\x00\x00\xC8"s), testing::ExitedWithCode(1), "id 0");
}

TEST(BenchFrames, AreThoseOfTheDeviceProtocol) {
  std::string out;
  append_login(out, "0123456789abcdef0123456789ABCDEF");
  append_ping(out, 0x1234);
  append_virtual_write(out, 3, 255, 42);
  EXPECT_EQ(out, "\x1D\x00\x01\x00\x20"s + "0123456789abcdef0123456789ABCDEF" + "\x06\x12\x34\x00\x00"s + "\x14\x00\x03\x00\x09vw\0"s +
                     "255\0"s + "42"s);
}

TEST(BenchTokens, EveryTokenComesOnceBeforeTheFirstComesAgain) {
  Tokens tokens = Tokens::made_up(3);
  const std::string first{tokens.next()};
  EXPECT_EQ(first.size(), token_size_chars);
  EXPECT_NE(tokens.next(), first);
  EXPECT_NE(tokens.next(), first);
  EXPECT_EQ(tokens.next(), first);
}

TEST(BenchTokens, RefusesAFileWithAShortLine) {
  const std::string path = testing::TempDir() + "/bench_tokens_" + std::to_string(getpid());
  std::ofstream{path} << "0123456789abcdef0123456789ABCDEF\n";
  EXPECT_TRUE(Tokens::load(path).has_value());
  std::ofstream{path, std::ios::app} << "0123456789abcdef0123456789ABCDE\n";
  EXPECT_FALSE(Tokens::load(path).has_value());
  unlink(path.c_str());
}

TEST(BenchTarget, NamesWhatItCannotUse) {
  std::string problem;
  EXPECT_TRUE(parse_target("name=a,addr=127.0.0.1:80,pid=7", problem).has_value());
  EXPECT_FALSE(parse_target("name=a,addr=127.0.0.1,pid=7", problem).has_value());
  EXPECT_NE(problem.find("addr=127.0.0.1"), std::string::npos);
  EXPECT_FALSE(parse_target("name=a,addr=127.0.0.1:80", problem).has_value());
  EXPECT_FALSE(parse_target("name=a,addr=127.0.0.1:80,pid=7,color=red", problem).has_value());
}

TEST(BenchProcessMeter, SeesTheCpuTimeAndMemoryOfAProcess) {
  const ProcessMeter meter{getpid()};
  const std::uint64_t cpu_before = meter.cpu_ns();
  const std::uint64_t own_before = own_cpu_ns();
  while (own_cpu_ns() - own_before < 50'000'000) {}
  const std::uint64_t spent_ns = meter.cpu_ns() - cpu_before;
  EXPECT_GT(spent_ns, 40'000'000U);  // It may be a tick behind.
  EXPECT_LT(spent_ns, 500'000'000U);

  EXPECT_GT(meter.cpu_ns("muster_bench"), cpu_before);
  EXPECT_EQ(meter.cpu_ns("no-such-thread"), 0U);

  constexpr std::size_t size_bytes = 32U << 20;
  const std::uint64_t memory_before = meter.anonymous_bytes();
  const std::string memory(size_bytes, 'x');
  EXPECT_GE(meter.anonymous_bytes() + 65'536, memory_before + memory.size());
  EXPECT_EQ(ProcessMeter{-1}.anonymous_bytes(), 0U);
}

}  // namespace
}  // namespace muster::bench
