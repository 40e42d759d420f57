// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/data_directory.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "cloud/base/temporary_folder.hpp"

namespace muster::main {
namespace {

std::string complaint(const std::filesystem::path& path) {
  const auto opened = DataDirectory::open(path);
  const auto* problem = std::get_if<DataDirectory::Problem>(&opened);
  return problem != nullptr ? problem->message : std::string{};
}

TEST(DataDirectory, IsMadeForItsOwnerOnly) {
  const TemporaryFolder folder;
  EXPECT_EQ(complaint(folder / "new"), "");
  struct stat facts{};
  ASSERT_EQ(::stat((folder / "new").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777u, 0700u);
}

TEST(DataDirectory, ASlashAtTheEndChangesNothing) {
  const TemporaryFolder folder;
  EXPECT_EQ(complaint(folder / "new/"), "");
  EXPECT_EQ(complaint(folder / "another//"), "");
  const auto opened = DataDirectory::open(folder / "new/");
  EXPECT_EQ(std::get<std::unique_ptr<DataDirectory>>(opened)->keys(), folder / "new/keys");
}

TEST(DataDirectory, SaysThatTheFolderAboveIsMissingOrAFile) {
  const TemporaryFolder folder;
  EXPECT_NE(complaint(folder / "missing/new").find("missing does not exist; make it first"), std::string::npos);
  std::ofstream{folder / "file"} << "x";
  EXPECT_NE(complaint(folder / "file").find("is a file"), std::string::npos);
  EXPECT_NE(complaint(folder / "file/new").find("check"), std::string::npos);
}

TEST(DataDirectory, SaysInASentenceThatItMayNotLook) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "closed");
  ASSERT_EQ(::chmod((folder / "closed").c_str(), 0), 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  // Nothing is closed to root: in a process of another user.
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::setuid(65'534) != 0) ::_exit(10);
    for (const auto& path : {folder / "closed/in/new", folder / "closed/new"}) {
      const auto text = complaint(path);
      if (text.find("cannot be") == std::string::npos || text.find("permissions") == std::string::npos) ::_exit(1);
      if (text.find("filesystem error") != std::string::npos) ::_exit(2);
    }
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ASSERT_EQ(::chmod((folder / "closed").c_str(), 0700), 0);
}

TEST(DataDirectory, IsHeldByOneServerAtATime) {
  const TemporaryFolder folder;
  const auto held = DataDirectory::open(folder / "new");
  ASSERT_TRUE(std::holds_alternative<std::unique_ptr<DataDirectory>>(held));
  EXPECT_NE(complaint(folder / "new").find("another muster serves"), std::string::npos);
}

}  // namespace
}  // namespace muster::main
