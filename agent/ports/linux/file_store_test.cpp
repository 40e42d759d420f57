// SPDX-License-Identifier: Apache-2.0
#include "agent/ports/linux/file_store.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace muster::agent::linux_port {
namespace {

namespace fs = std::filesystem;

class FileStoreTest : public ::testing::Test {
 protected:
  FileStoreTest() {
    std::string pattern = (fs::temp_directory_path() / "muster-store-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    directory_ = (root_ / "store").string();
  }
  ~FileStoreTest() override { fs::remove_all(root_); }

  static std::string loaded(FileStore& store, Slot slot) {
    std::uint8_t room[100];
    std::size_t size = 0;
    const StoreStatus status = store.load(slot, {room, sizeof room}, size);
    return status == StoreStatus::ok ? std::string{room, room + size} : "status " + std::to_string(static_cast<int>(status));
  }
  static unsigned mode_of(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    return info.st_mode & 0777U;
  }
  static wire::ByteView bytes(std::string_view text) { return wire::ByteView{text}; }

  fs::path root_;
  std::string directory_;
};

TEST_F(FileStoreTest, KeepsRecordsApartAndOverReopening) {
  {
    FileStore store;
    ASSERT_EQ(store.open(directory_), "");
    EXPECT_EQ(loaded(store, Slot::proved), "status 1");  // absent
    EXPECT_EQ(store.save(Slot::proved, bytes("one")), StoreStatus::ok);
    EXPECT_EQ(store.save(Slot::pending, bytes("two")), StoreStatus::ok);
    EXPECT_EQ(store.save(Slot::proved, bytes("three")), StoreStatus::ok);
  }
  FileStore store;
  ASSERT_EQ(store.open(directory_), "");
  EXPECT_EQ(loaded(store, Slot::proved), "three");
  EXPECT_EQ(loaded(store, Slot::pending), "two");
  EXPECT_EQ(store.erase(Slot::pending), StoreStatus::ok);
  EXPECT_EQ(store.erase(Slot::pending), StoreStatus::ok);
  EXPECT_EQ(loaded(store, Slot::pending), "status 1");
}

TEST_F(FileStoreTest, IsForTheOwnerOnly) {
  const mode_t before = umask(0);
  FileStore store;
  ASSERT_EQ(store.open(directory_), "");
  ASSERT_EQ(store.save(Slot::proved, bytes("secret")), StoreStatus::ok);
  umask(before);
  EXPECT_EQ(mode_of(directory_), 0700U);
  EXPECT_EQ(mode_of(store.path_of("config")), 0600U);
}

TEST_F(FileStoreTest, ReplacesAFileThatACrashLeftHalfWrittenAndWithAnotherMode) {
  FileStore store;
  ASSERT_EQ(store.open(directory_), "");
  ASSERT_EQ(store.save(Slot::proved, bytes("old")), StoreStatus::ok);
  const std::string beside = store.path_of("config.new");
  std::ofstream{beside} << "half";
  chmod(beside.c_str(), 0644);
  EXPECT_EQ(loaded(store, Slot::proved), "old");  // The half is never read.
  EXPECT_EQ(store.save(Slot::proved, bytes("new")), StoreStatus::ok);
  EXPECT_EQ(loaded(store, Slot::proved), "new");
  EXPECT_EQ(mode_of(store.path_of("config")), 0600U);
  EXPECT_FALSE(fs::exists(beside));
}

TEST_F(FileStoreTest, KeepsTheOldRecordWhenTheNewOneCannotBeWritten) {
  FileStore store;
  ASSERT_EQ(store.open(directory_), "");
  ASSERT_EQ(store.save(Slot::proved, bytes("old")), StoreStatus::ok);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit tight = before;
  tight.rlim_cur = 10;
  struct sigaction ignore{};
  struct sigaction was{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGXFSZ, &ignore, &was);
  setrlimit(RLIMIT_FSIZE, &tight);
  const StoreStatus status = store.save(Slot::proved, bytes("a record longer than the ten bytes allowed"));
  setrlimit(RLIMIT_FSIZE, &before);
  sigaction(SIGXFSZ, &was, nullptr);
  EXPECT_EQ(status, StoreStatus::io_failed);
  EXPECT_EQ(loaded(store, Slot::proved), "old");
  EXPECT_FALSE(fs::exists(store.path_of("config.new")));
}

TEST_F(FileStoreTest, TellsARecordThatIsLargerThanTheRoom) {
  FileStore store;
  ASSERT_EQ(store.open(directory_), "");
  ASSERT_EQ(store.save(Slot::proved, bytes(std::string(100, 'x'))), StoreStatus::ok);
  EXPECT_EQ(loaded(store, Slot::proved).size(), 100U);
  ASSERT_EQ(store.save(Slot::proved, bytes(std::string(101, 'x'))), StoreStatus::ok);
  EXPECT_EQ(loaded(store, Slot::proved), "status 2");  // too_big
  EXPECT_EQ(store.save(Slot::proved, bytes(std::string(FileStore::file_size_max_bytes + 1, 'x'))), StoreStatus::too_big);
}

TEST_F(FileStoreTest, DoesNotFollowLinks) {
  FileStore store;
  ASSERT_EQ(store.open(directory_), "");
  std::ofstream{(root_ / "outside").string()} << "outside";
  fs::create_symlink(root_ / "outside", store.path_of("config"));
  EXPECT_EQ(loaded(store, Slot::proved), "status 3");                  // io_failed
  EXPECT_EQ(store.save(Slot::proved, bytes("new")), StoreStatus::ok);  // Replaces the link, not what it points to.
  std::ifstream in{(root_ / "outside").string()};
  EXPECT_EQ((std::string{std::istreambuf_iterator<char>{in}, {}}), "outside");
}

TEST_F(FileStoreTest, IsUsedByOneAgentAtATime) {
  FileStore first;
  ASSERT_EQ(first.open(directory_), "");
  FileStore second;
  EXPECT_EQ(second.open(directory_), "Another muster-agent is using the store " + directory_ + ".");
}

TEST_F(FileStoreTest, SaysWhyItCannotOpen) {
  FileStore store;
  EXPECT_EQ(store.open((root_ / "no" / "store").string()),
            "Cannot make the store " + (root_ / "no" / "store").string() + ": No such file or directory.");
  std::ofstream{(root_ / "file").string()} << "x";
  FileStore file;
  EXPECT_EQ(file.open((root_ / "file").string()), "Cannot open the store " + (root_ / "file").string() + ": Not a directory.");
}

}  // namespace
}  // namespace muster::agent::linux_port
