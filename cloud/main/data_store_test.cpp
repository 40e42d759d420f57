// SPDX-License-Identifier: Apache-2.0
#include "cloud/main/data_store.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "cloud/base/error.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/base/temporary_folder.hpp"

namespace muster::main {
namespace {

namespace fs = std::filesystem;

TEST(DataStore, KnowsItsUrls) {
  EXPECT_TRUE(is_store_url("sqlite:/var/lib/muster.db"));
  EXPECT_FALSE(is_store_url("sqlite:"));
  EXPECT_FALSE(is_store_url("postgres://x"));
  EXPECT_EQ(database_of_url("sqlite:a/b.db"), "a/b.db");
}

TEST(DataStore, ADirectoryWithoutARecordHasItsDatabaseInside) {
  const TemporaryFolder folder;
  EXPECT_EQ(recorded_database(folder.path()).value(), folder / "muster.db");
  ASSERT_TRUE(record_database(folder.path(), folder / "muster.db"));
  EXPECT_FALSE(fs::exists(folder / "store")) << "what goes without saying is not written";
}

TEST(DataStore, RemembersADatabaseThatLiesElsewhereAndForgetsItAgain) {
  const TemporaryFolder folder, other;
  ASSERT_TRUE(record_database(folder.path(), other / "x.db"));
  EXPECT_EQ(recorded_database(folder.path()).value(), other / "x.db");
  EXPECT_EQ(read_file(folder / "store", 1000).value(), "sqlite:" + (other / "x.db").string() + "\n");
  ASSERT_TRUE(record_database(folder.path(), folder / "muster.db"));
  EXPECT_EQ(recorded_database(folder.path()).value(), folder / "muster.db");
}

TEST(DataStore, ADirectoryThatIsMovedKeepsADatabaseInside) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "a");
  ASSERT_TRUE(record_database(folder.path() / "a" / "", folder / "a/../a/fleet.db"));
  fs::rename(folder / "a", folder / "b");
  EXPECT_EQ(recorded_database(folder / "b").value(), folder / "b/fleet.db");
}

TEST(DataStore, APathFromWhereTheServerWasStartedIsRecordedWhole) {
  const TemporaryFolder folder;
  ASSERT_TRUE(record_database(folder.path(), "relative.db"));
  EXPECT_EQ(recorded_database(folder.path()).value(), fs::current_path() / "relative.db");
}

TEST(DataStore, ADamagedRecordIsNoDefault) {
  const TemporaryFolder folder;
  for (const auto* text : {"", "muster.db\n", "sqlite:\n"}) {
    ASSERT_TRUE(write_file_atomically(folder / "store", text, 0600));
    EXPECT_EQ(recorded_database(folder.path()).error(), BaseError::file_damaged) << text;
  }
}

}  // namespace
}  // namespace muster::main
