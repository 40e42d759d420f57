// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/name_servers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace muster::agent::linux_port {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint32_t router = 0xC0A84D01U, second = 0x08080808U;

class NameServersTest : public testing::Test {
 protected:
  NameServersTest() {
    std::string path = "/tmp/muster-names-test-XXXXXX";
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    path_ = folder_ + "/resolv.conf";
  }
  ~NameServersTest() override {
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
    std::filesystem::remove_all(folder_);
  }
  static void write(const std::string& path, const std::string& text) { std::ofstream{path} << text; }
  static std::string read(const std::string& path) {
    std::ifstream in{path};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  std::string use(std::uint32_t dns = router, std::uint32_t dns2 = 0) { return NameServers{""}.use("wl0", path_, dns, dns2); }
  /// As another run of the program does it: nothing is remembered but in the file.
  void restore() { NameServers{""}.restore("wl0", path_); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{folder_}, std::filesystem::directory_iterator{}));
  }

  std::string folder_, path_;
};

TEST_F(NameServersTest, WhatWasThereComesBackToTheByte) {
  for (const std::string before :
       {"", "nameserver 1.2.3.4\n", "search home\n\n# x\nnameserver 1.2.3.4", "\n\n", "#was nameserver 9.9.9.9\n#link x\n"}) {
    write(path_, before);
    ASSERT_EQ(use(router, second), "");
    EXPECT_THAT(read(path_), EndsWith("\nnameserver 192.168.77.1\nnameserver 8.8.8.8\n"));
    ASSERT_EQ(use(second), "");  // The next network; what was before stays what it was.
    EXPECT_THAT(read(path_), EndsWith("\nnameserver 8.8.8.8\n"));
    EXPECT_THAT(read(path_), testing::Not(HasSubstr("192.168.77.1")));
    restore();
    EXPECT_EQ(read(path_), before);
    restore();
    EXPECT_EQ(read(path_), before);
  }
  EXPECT_EQ(files(), 1U);
}

TEST_F(NameServersTest, ALinkIsReplacedAndNeverWrittenThrough) {
  write(folder_ + "/stub.conf", "nameserver 127.0.0.53\n");
  std::filesystem::create_symlink("stub.conf", path_);
  ASSERT_EQ(use(), "");
  EXPECT_FALSE(std::filesystem::is_symlink(path_));
  EXPECT_EQ(read(folder_ + "/stub.conf"), "nameserver 127.0.0.53\n");
  restore();
  ASSERT_TRUE(std::filesystem::is_symlink(path_));
  EXPECT_EQ(std::filesystem::read_symlink(path_), "stub.conf");
  // Also one that points nowhere.
  std::filesystem::remove(folder_ + "/stub.conf");
  ASSERT_EQ(use(), "");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/stub.conf"));
  restore();
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
  EXPECT_EQ(files(), 1U);
}

TEST_F(NameServersTest, WhereNothingWasNothingIsLeft) {
  ASSERT_EQ(use(), "");
  EXPECT_THAT(read(path_), EndsWith("nameserver 192.168.77.1\n"));
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0644U) << "everybody looks names up";
  restore();
  EXPECT_EQ(files(), 0U);
  EXPECT_EQ(use(0, 0), "");  // A network without name servers.
  EXPECT_EQ(files(), 0U);
}

TEST_F(NameServersTest, WhatSomebodyElseHasWrittenSinceStays) {
  write(path_, "nameserver 1.2.3.4\n");
  ASSERT_EQ(use(), "");
  write(path_, "nameserver 5.6.7.8\n");
  restore();
  EXPECT_EQ(read(path_), "nameserver 5.6.7.8\n");
}

TEST_F(NameServersTest, AFileThatCannotBeReplacedIsWrittenInPlace) {
  write(path_, "nameserver 1.2.3.4\n");
  // As a mount point: a new one cannot take its place. Here because the new one cannot be made.
  std::filesystem::create_directories(path_ + ".muster-new/x");
  ASSERT_EQ(use(), "");
  EXPECT_THAT(read(path_), EndsWith("nameserver 192.168.77.1\n"));
  restore();
  EXPECT_EQ(read(path_), "nameserver 1.2.3.4\n");
  // A link cannot be written in place.
  std::filesystem::remove(path_);
  write(folder_ + "/stub.conf", "nameserver 127.0.0.53\n");
  std::filesystem::create_symlink("stub.conf", path_);
  EXPECT_THAT(use(), HasSubstr("is a link to stub.conf"));
  EXPECT_EQ(read(folder_ + "/stub.conf"), "nameserver 127.0.0.53\n");
}

TEST_F(NameServersTest, WhatIsNoSuchFileIsLeftAlone) {
  write(path_, std::string(NameServers::size_max_bytes + 1, 'x'));
  EXPECT_THAT(use(), HasSubstr("no file"));
  EXPECT_EQ(read(path_).size(), NameServers::size_max_bytes + 1);
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_THAT(use(), HasSubstr("no file"));
  restore();
  EXPECT_TRUE(std::filesystem::is_directory(path_));
}

TEST_F(NameServersTest, AProgramForThatIsTold) {
  const std::string program = folder_ + "/resolvconf", log = folder_ + "/log";
  write(program, "#!/bin/sh\necho \"$@\" >> " + log + "\n[ \"$1\" = -d ] || cat >> " + log + "\n[ ! -e " + folder_ + "/refuse ]\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  write(path_, "nameserver 1.2.3.4\n");
  NameServers names{program};
  ASSERT_EQ(names.use("wl0", path_, router, second), "");
  EXPECT_EQ(read(log), "-a wl0.muster\nnameserver 192.168.77.1\nnameserver 8.8.8.8\n");
  EXPECT_EQ(read(path_), "nameserver 1.2.3.4\n");
  std::filesystem::remove(log);
  names.restore("wl0", path_);
  EXPECT_EQ(read(log), "-d wl0.muster\n");
  // One that is there and does not do it, as systemd-resolved's while that is off.
  write(folder_ + "/refuse", "");
  ASSERT_EQ(names.use("wl0", path_, router, 0), "");
  EXPECT_THAT(read(path_), EndsWith("nameserver 192.168.77.1\n"));
  names.restore("wl0", path_);
  EXPECT_EQ(read(path_), "nameserver 1.2.3.4\n");
  EXPECT_THAT(NameServers{folder_ + "/missing"}.use("wl0", path_, router, 0), IsEmpty());
}

}  // namespace
}  // namespace muster::agent::linux_port
