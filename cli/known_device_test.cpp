// SPDX-License-Identifier: Apache-2.0
#include "cli/known_device.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cloud/base/secure_file.hpp"
#include "cloud/base/temporary_folder.hpp"

namespace muster::cli {
namespace {

class KnownDeviceFile : public testing::Test {
 protected:
  TemporaryFolder folder;
  std::filesystem::path directory = folder.path() / "config" / "muster";
  std::filesystem::path file = directory / "known-devices.json";
};

TEST_F(KnownDeviceFile, MarksAreKeptForEachServerAndAccount) {
  EXPECT_EQ(KnownDevices::load(directory).find("https://a.example", "a@b.c"), "");
  KnownDevices known;
  known.put("https://a.example", "a@b.c", "mark-1");
  known.put("https://a.example", "d@e.f", "mark-2");
  known.put("https://b.example", "a@b.c", "mark-3");
  known.put("https://a.example", "A@B.C", "mark-4");
  ASSERT_TRUE(known.save(directory));
  const KnownDevices loaded = KnownDevices::load(directory);
  EXPECT_EQ(loaded.find("https://a.example", " a@B.c"), "mark-4");
  EXPECT_EQ(loaded.find("https://a.example", "d@e.f"), "mark-2");
  EXPECT_EQ(loaded.find("https://b.example", "a@b.c"), "mark-3");
  EXPECT_EQ(loaded.find("https://c.example", "a@b.c"), "");
  struct stat facts{};
  ASSERT_EQ(::stat(file.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777u, 0600u);
}

TEST_F(KnownDeviceFile, WhatIsDamagedOrOpenToOthersHoldsNone) {
  ASSERT_TRUE(KnownDevices{}.save(directory));
  for (const auto* text : {"", "[]", "{\"https://a.example\":1}", "{\"https://a.example\":{\"a@b.c\":1}}",
                           "{\"https://a.example\":{\"a@b.c\":\"x\\r\\nAuthorization: y\"}}"}) {
    ASSERT_TRUE(write_file_atomically(file, text, 0600));
    EXPECT_EQ(KnownDevices::load(directory).find("https://a.example", "a@b.c"), "") << text;
  }
  const std::string good = R"({"https://a.example":{"a@b.c":"mark"}})";
  ASSERT_TRUE(write_file_atomically(file, good, 0600));
  EXPECT_EQ(KnownDevices::load(directory).find("https://a.example", "a@b.c"), "mark");
  ASSERT_TRUE(write_file_atomically(file, good, 0644));
  EXPECT_EQ(KnownDevices::load(directory).find("https://a.example", "a@b.c"), "");
}

}  // namespace
}  // namespace muster::cli
