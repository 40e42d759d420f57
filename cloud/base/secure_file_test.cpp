// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/secure_file.hpp"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <fstream>
#include <initializer_list>
#include <utility>
#include <vector>

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

/// Makes system calls fail in this process from here on, as they do on filesystems that lack them.
bool refuse(std::initializer_list<std::pair<long, int>> calls_and_errors) {
  std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const auto& [call, error] : calls_and_errors) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(SecureFile, MovesWithoutReplacingAlsoWhereNeitherRenameNorLinkCanDoIt) {
  const auto works = [](bool limited, bool no_links) {
    const TemporaryFolder folder;
    std::ofstream{folder / "new"} << "new";
    std::ofstream{folder / "another"} << "another";
    // What is refused cannot be allowed again: in a process of its own.
    const pid_t child = ::fork();
    if (child == 0) {
      if (limited && !refuse({{SYS_renameat2, EINVAL}})) ::_exit(10);
      if (no_links && !refuse({{SYS_linkat, EPERM},
#ifdef SYS_link
                               {SYS_link, EPERM}
#endif
                      }))
        ::_exit(11);
      if (!move_without_replacing(folder / "new", folder / "target")) ::_exit(1);
      const auto again = move_without_replacing(folder / "another", folder / "target");
      ::_exit(again || again.error() != BaseError::file_exists ? 2 : 0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(read_file(folder / "target", 10).value(), "new");
    EXPECT_EQ(read_file(folder / "another", 10).value(), "another");
    EXPECT_EQ(files_in(folder.path()), 2u);
  };
  works(false, false);
  works(true, false);
  works(true, true);
}

TEST(SecureFile, ANewFileNeverReplacesOne) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_new_file_atomically(folder / "a", "first", 0600));
  EXPECT_EQ(mode_of(folder / "a"), 0600u);
  EXPECT_EQ(write_new_file_atomically(folder / "a", "second", 0600).error(), BaseError::file_exists);
  EXPECT_EQ(read_file(folder / "a", 10).value(), "first");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(SecureFile, AFolderIsHeldByOneAtATime) {
  const TemporaryFolder folder;
  {
    const auto held = FolderLock::take(folder.path());
    ASSERT_TRUE(held);
    EXPECT_EQ(FolderLock::take(folder.path()).error(), boost::system::errc::operation_would_block);
  }
  EXPECT_TRUE(FolderLock::take(folder.path()));
  EXPECT_EQ(FolderLock::take(folder / "missing").error().value(), ENOENT);
  EXPECT_EQ(files_in(folder.path()), 0u);
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
