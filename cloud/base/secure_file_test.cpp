// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/secure_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "cloud/base/error.hpp"
#include "cloud/base/temporary_folder.hpp"

namespace muster {
namespace {

mode_t mode_of(const std::filesystem::path& path) {
  struct stat facts{};
  EXPECT_EQ(::stat(path.c_str(), &facts), 0);
  return facts.st_mode & 07777;
}

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{folder}, {}));
}

TEST(SecureFile, WritesWithTheModeWhateverTheUmask) {
  const TemporaryFolder folder;
  const mode_t before = ::umask(0777);
  const auto strict = write_file_atomically(folder / "a", "secret", 0640);
  ::umask(before);
  ASSERT_TRUE(strict);
  EXPECT_EQ(mode_of(folder / "a"), 0640u);
  EXPECT_EQ(read_file(folder / "a", 6).value(), "secret");
}

TEST(SecureFile, ReplacesTheOldFileAndItsModeAndLeavesNothingElse) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file_atomically(folder / "a", "old", 0644));
  ASSERT_TRUE(write_file_atomically(folder / "a", "new", 0600));
  EXPECT_EQ(read_file(folder / "a", 100).value(), "new");
  EXPECT_EQ(mode_of(folder / "a"), 0600u);
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(SecureFile, AFailedWriteLeavesTheOldStateAndNoTemporaryFile) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "target");
  std::ofstream{folder / "target/file"} << "x";
  EXPECT_FALSE(write_file_atomically(folder / "target", "bytes", 0600));  // A folder with files cannot be renamed over.
  EXPECT_EQ(files_in(folder.path()), 1u);
  EXPECT_EQ(write_file_atomically(folder / "missing/a", "bytes", 0600).error().value(), ENOENT);
}

TEST(SecureFile, WritesBesideAFileWithoutAFolderInItsName) {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const auto written = write_file_atomically("plain", "bytes", 0600);
  std::filesystem::current_path(before);
  EXPECT_TRUE(written);
  EXPECT_TRUE(std::filesystem::exists(folder / "plain"));
}

TEST(SecureFile, ReadsUpToTheLimitAndNotAByteMore) {
  const TemporaryFolder folder;
  const std::string bytes(100'000, 'x');
  ASSERT_TRUE(write_file_atomically(folder / "a", bytes, 0600));
  EXPECT_EQ(read_file(folder / "a", bytes.size()).value(), bytes);
  EXPECT_EQ(read_file(folder / "a", bytes.size() - 1).error(), BaseError::over_limit);
  ASSERT_TRUE(write_file_atomically(folder / "empty", "", 0600));
  EXPECT_EQ(read_file(folder / "empty", 0).value(), "");
}

TEST(SecureFile, ReadsOnlyRegularFilesAndDoesNotHangOnOthers) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_file(folder / "missing", 10).error().value(), ENOENT);
  EXPECT_EQ(read_file(folder.path(), 10).error().value(), EISDIR);
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(read_file(folder / "pipe", 10).error().value(), EINVAL);
}

TEST(SecureFile, OwnerOnlyRefusesEveryModeThatLetsOthersIn) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file_atomically(folder / "a", "secret", 0600));
  EXPECT_TRUE(read_file(folder / "a", 10, FileAccess::owner_only));
  for (const mode_t open : {0640, 0620, 0604, 0602, 0610, 0601}) {
    ASSERT_EQ(::chmod((folder / "a").c_str(), open), 0);
    EXPECT_EQ(read_file(folder / "a", 10, FileAccess::owner_only).error(), BaseError::key_unreadable) << std::oct << open;
    EXPECT_TRUE(read_file(folder / "a", 10));
  }
}

TEST(SecureFile, WhatRootWritesIntoAnothersFolderIsTheirs) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can try it";
  constexpr uid_t somebody = 12'345;
  const TemporaryFolder folder;
  ASSERT_EQ(::chown(folder.path().c_str(), somebody, somebody), 0);
  ASSERT_TRUE(write_file_atomically(folder / "a", "secret", 0600));
  struct stat facts{};
  ASSERT_EQ(::stat((folder / "a").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_uid, somebody);
  EXPECT_EQ(facts.st_gid, somebody);
  EXPECT_EQ(facts.st_mode & 07777, 0600u);
  EXPECT_TRUE(read_file(folder / "a", 10, FileAccess::owner_only)) << "and root may still read it";
}

}  // namespace
}  // namespace muster
