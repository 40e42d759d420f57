// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/provision_directory.hpp"

#include <gtest/gtest.h>

namespace muster::domain {
namespace {

ProvisionSession proving(std::int64_t id, std::int32_t device) {
  ProvisionSession session;
  session.id = ProvisionSessionId{id};
  session.token_id = AuthTokenId{100 + id};
  session.device_id = DeviceId{device};
  session.kind = ProvisionKind::reconfigure;
  session.state = ProvisionState::proving;
  return session;
}

TEST(ProvisionDirectory, KnowsWithoutALockWhichDevicesCanBeProving) {
  ProvisionDirectory directory;
  EXPECT_FALSE(directory.may_be_proving(DeviceId{7}));
  auto session = proving(1, 7);
  directory.put(session);
  directory.put(session);  // Changes come more than once.
  EXPECT_TRUE(directory.may_be_proving(DeviceId{7}));
  EXPECT_FALSE(directory.may_be_proving(DeviceId{8}));
  EXPECT_EQ(directory.proving_of(DeviceId{7})->id, session.id);

  // A newer session of the same device takes its place, and then the older one ends.
  auto newer = proving(2, 7);
  directory.put(newer);
  session.state = ProvisionState::superseded;
  directory.put(session);
  EXPECT_EQ(directory.proving_of(DeviceId{7})->id, newer.id);
  EXPECT_TRUE(directory.may_be_proving(DeviceId{7}));

  ProvisionDirectory other;
  other.put(proving(3, 9));
  directory.swap(other);
  EXPECT_TRUE(directory.may_be_proving(DeviceId{9}));
  EXPECT_FALSE(directory.may_be_proving(DeviceId{7}));
  EXPECT_TRUE(other.may_be_proving(DeviceId{7}));
  newer.state = ProvisionState::active;
  other.put(newer);
  EXPECT_FALSE(other.may_be_proving(DeviceId{7}));
  directory.remove(ProvisionSessionId{3});
  EXPECT_FALSE(directory.may_be_proving(DeviceId{9}));
}

}  // namespace
}  // namespace muster::domain
