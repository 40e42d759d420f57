// SPDX-License-Identifier: Apache-2.0
#include "cli/archive.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include "cloud/base/temporary_folder.hpp"

namespace muster::cli {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Bytes pack(const std::vector<std::pair<std::string, std::string>>& entries) {
  Bytes bytes;
  ArchiveWriter writer{[&](std::span<const std::uint8_t> more) -> Outcome<void> {
    bytes.insert(bytes.end(), more.begin(), more.end());
    return {};
  }};
  for (const auto& [name, text] : entries) EXPECT_TRUE(writer.add(name, text));
  EXPECT_TRUE(writer.finish());
  return bytes;
}

const std::vector<std::pair<std::string, std::string>> entries{{"manifest", "one\n"}, {"empty", ""}, {"tls/ca.crt", std::string(512, 'c')}, {"big", std::string(100'000, 'b')}};

TEST(Archive, EverythingComesBackWhateverThePieces) {
  const auto bytes = pack(entries);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{512}, std::size_t{5000}, bytes.size()}) {
    TemporaryFolder folder;
    ArchiveReader reader{folder.path()};
    for (std::size_t at = 0; at < bytes.size(); at += piece) ASSERT_TRUE(reader.push(std::span{bytes}.subspan(at, std::min(piece, bytes.size() - at))));
    ASSERT_TRUE(reader.finish());
    for (const auto& [name, text] : entries) EXPECT_EQ(text_of(folder.path() / name), text) << name;
  }
}

TEST(Archive, TheSystemsTarReadsIt) {
  TemporaryFolder folder;
  const auto bytes = pack(entries);
  std::ofstream{folder.path() / "a.tar", std::ios::binary}.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  ASSERT_EQ(std::system(("cd " + folder.path().string() + " && tar xf a.tar").c_str()), 0);
  for (const auto& [name, text] : entries) EXPECT_EQ(text_of(folder.path() / name), text) << name;
}

TEST(Archive, ACutOneIsNotWhole) {
  const auto bytes = pack(entries);
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{512}, std::size_t{600}, std::size_t{1024}, bytes.size() - 1024}) {
    TemporaryFolder folder;
    ArchiveReader reader{folder.path()};
    EXPECT_TRUE(reader.push(std::span{bytes}.first(size)));
    EXPECT_FALSE(reader.finish()) << size;
  }
}

/// Changes bytes of the first header and makes its sum right again.
Bytes changed(std::size_t at, std::string_view text) {
  auto bytes = pack({{"name", "x"}});
  std::memcpy(bytes.data() + at, text.data(), text.size());
  std::memset(bytes.data() + 148, ' ', 8);
  unsigned sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += bytes[i];
  std::snprintf(reinterpret_cast<char*>(bytes.data() + 148), 7, "%06o", sum);
  return bytes;
}

TEST(Archive, NothingIsWrittenOutsideOfTheDirectory) {
  using namespace std::string_view_literals;
  for (const auto& [at, text] : std::vector<std::pair<std::size_t, std::string_view>>{{0, "/abs\0"sv}, {0, "../x\0"sv}, {0, "a/../x\0"sv}, {0, "a//b\0"sv}, {0, "./a\0"sv}, {0, "\0"sv}, {0, "a\nb\0"sv},
                                                                                      {156, "2"sv}, {156, "1"sv}, {156, "5"sv}, {345, "prefix"sv}}) {
    TemporaryFolder folder;
    std::filesystem::create_directory(folder.path() / "in");
    ArchiveReader reader{folder.path() / "in"};
    EXPECT_FALSE(reader.push(changed(at, text))) << at << text;
    EXPECT_TRUE(std::filesystem::is_empty(folder.path() / "in"));
  }
  auto wrong_sum = pack({{"name", "x"}});
  wrong_sum[0] ^= 1;
  TemporaryFolder folder;
  ArchiveReader reader{folder.path()};
  EXPECT_FALSE(reader.push(wrong_sum));
}

TEST(Archive, NoEntryReplacesAnother) {
  TemporaryFolder folder;
  ArchiveReader reader{folder.path()};
  EXPECT_FALSE(reader.push(pack({{"same", "1"}, {"same", "2"}})));
  EXPECT_EQ(text_of(folder.path() / "same"), "1");
}

TEST(Archive, NamesThatCannotBeReadAreNotWritten) {
  ArchiveWriter writer{[](std::span<const std::uint8_t>) -> Outcome<void> { return {}; }};
  EXPECT_FALSE(writer.add("../x", ""));
  EXPECT_FALSE(writer.add(std::string(100, 'n'), ""));
  EXPECT_TRUE(writer.add(std::string(99, 'n'), ""));
}

}  // namespace
}  // namespace muster::cli
