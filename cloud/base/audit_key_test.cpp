// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/audit_key.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "cloud/base/error.hpp"
#include "cloud/base/temporary_folder.hpp"

namespace muster {
namespace {

struct AuditKeyTest : ::testing::Test {
  TemporaryFolder folder;
  SeededRandom random{7};
  std::filesystem::path file = folder.path() / AuditKey::file_name;

  [[nodiscard]] std::string bytes() const {
    std::ostringstream all;
    all << std::ifstream{file, std::ios::binary}.rdbuf();
    return all.str();
  }
};

TEST_F(AuditKeyTest, IsMadeOnceAndReadEverAfter) {
  const auto first = AuditKey::open(folder.path(), random);
  ASSERT_TRUE(first) << first.error().message();
  const auto again = AuditKey::open(folder.path(), random);
  ASSERT_TRUE(again);
  EXPECT_EQ((*first)->mac("a", "text"), (*again)->mac("a", "text"));
  EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(AuditKeyTest, AMacDependsOnKeyDomainAndText) {
  const auto key = AuditKey::open(folder.path(), random).value();
  const auto mac = key->mac("domain", "text");
  EXPECT_NE(mac, AuditKey::of_tests()->mac("domain", "text"));
  EXPECT_NE(mac, key->mac("domaint", "ext"));
  EXPECT_NE(mac, key->mac("domain", "texts"));
  EXPECT_TRUE(AuditKey::equal(mac, key->mac("domain", "text")));
  EXPECT_FALSE(AuditKey::equal(mac, key->mac("domain", "texts")));
}

TEST_F(AuditKeyTest, OneThatIsDamagedOrOpenToOthersIsRefused) {
  ASSERT_TRUE(AuditKey::open(folder.path(), random));
  const auto whole = bytes();
  for (std::size_t i = 0; i < whole.size(); i += 7) {
    auto changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    std::ofstream{file, std::ios::binary | std::ios::trunc} << changed;
    EXPECT_EQ(AuditKey::open(folder.path(), random).error(), Error{BaseError::key_damaged}) << i;
  }
  std::ofstream{file, std::ios::binary | std::ios::trunc} << whole + "x";
  EXPECT_EQ(AuditKey::open(folder.path(), random).error(), Error{BaseError::key_damaged});
  std::ofstream{file, std::ios::binary | std::ios::trunc} << whole;
  std::filesystem::permissions(file, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
  EXPECT_EQ(AuditKey::open(folder.path(), random).error(), Error{BaseError::key_unreadable});
}

TEST_F(AuditKeyTest, AnExportIsImportedWhereThereIsNone) {
  const auto key = AuditKey::open(folder.path(), random).value();
  const TemporaryFolder other;
  ASSERT_TRUE(AuditKey::import_key(other.path(), key->export_key()));
  EXPECT_EQ(AuditKey::open(other.path(), random).value()->mac("a", "b"), key->mac("a", "b"));
  EXPECT_EQ(AuditKey::import_key(other.path(), key->export_key()).error(), Error{BaseError::file_exists});
  EXPECT_EQ(AuditKey::import_key(other.path(), "nonsense").error(), Error{BaseError::key_damaged});
}

}  // namespace
}  // namespace muster
