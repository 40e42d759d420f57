// SPDX-License-Identifier: Apache-2.0
#include "provisioner/known_device.hpp"

#include <gtest/gtest.h>

namespace muster::provisioner {
namespace {

DeviceInfo device(std::string name, std::string uid) {
  DeviceInfo info;
  info.name = std::move(name);
  info.uid = std::move(uid);
  return info;
}

TEST(KnownDevice, IsKnownByItsUidElseByItsName) {
  const KnownDevice both{"u-1", "Blynk Lamp-N1A9"};
  EXPECT_EQ(compare(both, device("Blynk Lamp-N1A9", "u-1")), Likeness::same);
  EXPECT_EQ(compare(both, device("Blynk Lamp 2-N1A9", "u-1")), Likeness::same);
  EXPECT_EQ(compare(both, device("Blynk Lamp-0000", "u-2")), Likeness::other);
  EXPECT_EQ(compare(both, device("Blynk Lamp-N1A9", "u-2")), Likeness::other_uid);
  // The first generation has no UID, and some devices cannot keep one.
  for (const auto* uid : {"", "none"}) {
    EXPECT_EQ(compare(both, device("Blynk Lamp-N1A9", uid)), Likeness::same);
    EXPECT_EQ(compare(both, device("Blynk Lamp-0000", uid)), Likeness::other_name);
    EXPECT_EQ(compare({uid, "Blynk Lamp-N1A9"}, device("Blynk Lamp-N1A9", "u-1")), Likeness::same);
    EXPECT_EQ(compare({uid, ""}, device("Blynk Lamp-N1A9", "u-1")), Likeness::nothing_to_compare);
  }
  EXPECT_EQ(compare({"u-1", ""}, device("Blynk Lamp-0000", "u-1")), Likeness::same);
  EXPECT_EQ(compare({"u-1", ""}, device("Blynk Lamp-0000", "u-2")), Likeness::other);
  EXPECT_EQ(compare({}, device("Blynk Lamp-N1A9", "u-1")), Likeness::nothing_to_compare);
}

TEST(KnownDevice, BearsItsNameAlsoWithAnAddressBehindIt) {
  const KnownDevice known{"u-1", "Blynk Lamp-N1A9"};
  EXPECT_TRUE(bears_name_of(known, "Blynk Lamp-N1A9"));
  EXPECT_TRUE(bears_name_of(known, "Blynk Lamp-N1A9 (00:11:22:33:44:55)"));
  EXPECT_FALSE(bears_name_of(known, "Blynk Lamp-N1A9x"));
  EXPECT_FALSE(bears_name_of(known, "Blynk Lamp"));
  EXPECT_FALSE(bears_name_of({}, "Blynk Lamp-N1A9"));
  EXPECT_FALSE(bears_name_of({}, " (00:11:22:33:44:55)"));
}

}  // namespace
}  // namespace muster::provisioner
