// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/time_zone_name.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "cloud/base/temporary_folder.hpp"

namespace muster {
namespace {

TEST(TimeZoneName, IsOneThatTheDatabaseHas) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "Europe");
  std::filesystem::create_directories(folder / "right");
  std::ofstream{folder / "Europe/Berlin"} << "TZif2 and the rest";
  std::ofstream{folder / "right/Berlin"} << "TZif2 and the rest";
  std::ofstream{folder / "zone.tab"} << "a list";
  std::ofstream{folder / "leapseconds"} << "a list";
  const auto passes = [&](std::string_view name) { return !check_time_zone(name, folder.path()); };
  EXPECT_TRUE(passes("Europe/Berlin"));
  EXPECT_TRUE(passes("UTC")) << "always";
  for (const std::string_view name : {"", "Europe/Berln", "europe/berlin", "Europe", "Europe/", "/Europe/Berlin", "../Europe/Berlin",
                                      "Europe/../Europe/Berlin", "zone.tab", "leapseconds", "right/Berlin", "Europe/Berlin ", "no zone!"}) {
    EXPECT_FALSE(passes(name)) << name;
  }
  EXPECT_FALSE(passes(std::string_view{"Europe/Berlin\0", 14}));
  EXPECT_FALSE(passes(std::string(65, 'a')));
  EXPECT_NE(check_time_zone("Berlin", folder.path())->find("like Europe/Berlin"), std::string::npos);
}

TEST(TimeZoneName, WithoutADatabaseItsShapeIsAllThatIsJudged) {
  const TemporaryFolder folder;
  EXPECT_FALSE(check_time_zone("Europe/Berlin", folder / "none"));
  EXPECT_TRUE(check_time_zone("no zone!", folder / "none"));
  EXPECT_TRUE(check_time_zone("", folder / "none"));
}

}  // namespace
}  // namespace muster
