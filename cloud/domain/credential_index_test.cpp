// SPDX-License-Identifier: Apache-2.0
#include "cloud/domain/credential_index.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace muster::domain {
namespace {

/// Records without HMAC: the MAC is drawn from a generator, as even as a real one.
TokenRecord record(std::int64_t id, std::int32_t device, const TokenDigest& digest, TokenKind kind = TokenKind::device) {
  TokenRecord made;
  made.id = AuthTokenId{id};
  made.device_id = DeviceId{device};
  made.digest = digest;
  made.kind = kind;
  return made;
}

class CredentialIndexTest : public testing::Test {
 protected:
  SeededRandom random{20260101};
  std::unique_ptr<KeyRing> ring = KeyRing::in_memory(random);
  CredentialIndex index;

  [[nodiscard]] TokenDigests digests(const std::string& secret) const { return ring->digest("auth-token", secret); }
};

TEST_F(CredentialIndexTest, FindsWhatWasAppliedAndNothingElse) {
  index.apply(record(1, 10, digests("one").newest()));
  index.apply(record(2, 20, digests("two").newest(), TokenKind::provision));
  ASSERT_TRUE(index.find(digests("one")));
  EXPECT_EQ(index.find(digests("one"))->device_id, DeviceId{10});
  EXPECT_EQ(index.find(digests("two"))->kind, TokenKind::provision);
  EXPECT_FALSE(index.find(digests("three")));
  EXPECT_EQ(index.size(), 2u);
  EXPECT_EQ(index.find(AuthTokenId{2})->device_id, DeviceId{20});
  EXPECT_FALSE(index.find(AuthTokenId{3}));
}

TEST_F(CredentialIndexTest, RevokedIsGoneAndMayComeTwice) {
  const auto digest = digests("one").newest();
  index.apply(record(1, 10, digest));
  index.apply(record(1, 10, digest, TokenKind::revoked));
  index.apply(record(1, 10, digest, TokenKind::revoked));
  EXPECT_FALSE(index.find(digests("one")));
  EXPECT_EQ(index.size(), 0u);
}

TEST_F(CredentialIndexTest, AnUpdateChangesKindAndDevice) {
  const auto digest = digests("one").newest();
  index.apply(record(1, 10, digest, TokenKind::provision));
  index.apply(record(1, 11, digest, TokenKind::device));
  EXPECT_EQ(index.size(), 1u);
  EXPECT_EQ(index.find(digests("one"))->device_id, DeviceId{11});
  EXPECT_EQ(index.find(digests("one"))->kind, TokenKind::device);
}

TEST_F(CredentialIndexTest, FindsTokensOfOldKeysAfterTheRingGrew) {
  index.apply(record(1, 10, digests("one").newest()));
  ASSERT_TRUE(ring->add_key(random));
  EXPECT_TRUE(index.find(digests("one")));
}

TEST_F(CredentialIndexTest, KeyRotationLeavesNoSecondEntryBehind) {
  const auto old_digest = digests("one").newest();
  index.apply(record(1, 10, old_digest));
  ASSERT_TRUE(ring->add_key(random));
  index.apply(record(1, 10, digests("one").newest()));
  EXPECT_EQ(index.size(), 1u);
  EXPECT_TRUE(index.find(digests("one")));
  // Revoked afterwards: neither digest may log in.
  index.apply(record(1, 10, digests("one").newest(), TokenKind::revoked));
  EXPECT_EQ(index.size(), 0u);
  EXPECT_FALSE(index.find(digests("one")));
}

TEST_F(CredentialIndexTest, RevocationUnderANewKeyFindsTheEntryOfTheOldOne) {
  // The change feed only says that the token changed: the rotation in between may never have been seen.
  index.apply(record(1, 10, digests("one").newest()));
  ASSERT_TRUE(ring->add_key(random));
  index.apply(record(1, 10, digests("one").newest(), TokenKind::revoked));
  EXPECT_FALSE(index.find(digests("one")));
  EXPECT_EQ(index.size(), 0u);
}

TEST_F(CredentialIndexTest, ARowThatVanishedIsRevokedByItsIdAlone) {
  index.apply(record(1, 10, digests("one").newest()));
  index.apply(record(1, 0, {}, TokenKind::revoked));
  EXPECT_FALSE(index.find(digests("one")));
}

TEST_F(CredentialIndexTest, ADigestBelongsToOneTokenOnly) {
  index.apply(record(1, 10, digests("one").newest()));
  index.apply(record(2, 20, digests("one").newest()));
  EXPECT_EQ(index.size(), 1u);
  EXPECT_EQ(index.find(digests("one"))->device_id, DeviceId{20});
  index.apply(record(1, 10, {}, TokenKind::revoked));
  EXPECT_TRUE(index.find(digests("one")));
}

TEST_F(CredentialIndexTest, SwapExchangesEverything) {
  index.apply(record(1, 10, digests("one").newest()));
  CredentialIndex aside;
  aside.apply(record(2, 20, digests("two").newest()));
  index.swap(aside);
  EXPECT_FALSE(index.find(digests("one")));
  EXPECT_TRUE(index.find(digests("two")));
  EXPECT_TRUE(aside.find(digests("one")));
  index.swap(index);
  EXPECT_EQ(index.size(), 1u);
}

/// Against std::map, over everything that a token can go through. MACs come from few bits, so that probes collide.
TEST(CredentialIndexModel, AgreesWithAMap) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random{seed};
    CredentialIndex index;
    struct Expected {
      std::int32_t device;
      TokenDigest digest;
      TokenKind kind;
    };
    std::map<std::int64_t, Expected> model;
    const auto some_digest = [&] {
      TokenDigest digest;
      digest.key_id = static_cast<std::uint16_t>(1 + random.below(2));
      digest.mac[0] = static_cast<std::uint8_t>(random.below(64));  // The index hashes the first bytes: clusters.
      digest.mac[9] = static_cast<std::uint8_t>(random.below(4));
      return digest;
    };
    for (int step = 0; step < 4000; ++step) {
      const auto id = static_cast<std::int64_t>(1 + random.below(150));
      const auto device = static_cast<std::int32_t>(1 + random.below(1000));
      const auto kind = random.below(3) == 0 ? TokenKind::revoked : random.below(2) == 0 ? TokenKind::device : TokenKind::grace;
      const bool same_digest = model.contains(id) && random.below(2) == 0;
      const auto digest = same_digest ? model[id].digest : some_digest();
      index.apply(record(id, device, digest, kind));
      std::erase_if(model, [&](const auto& entry) { return entry.first == id || entry.second.digest == digest; });
      if (kind != TokenKind::revoked) model[id] = {device, digest, kind};
      ASSERT_EQ(index.size(), model.size());
    }
    std::map<std::int64_t, std::int32_t> seen;
    index.for_each([&](AuthTokenId id, DeviceId device) { EXPECT_TRUE(seen.emplace(id.value(), device.value()).second); });
    ASSERT_EQ(seen.size(), model.size());
    for (std::int64_t id = 1; id <= 150; ++id) {
      const auto found = index.find(AuthTokenId{id});
      const auto expected = model.find(id);
      ASSERT_EQ(found.has_value(), expected != model.end()) << id;
      if (!found) continue;
      EXPECT_EQ(found->device_id.value(), expected->second.device);
      EXPECT_EQ(found->kind, expected->second.kind);
      EXPECT_EQ(seen[id], expected->second.device);
    }
  }
}

TEST_F(CredentialIndexTest, AMillionTokensTakeSixtyBytesEach) {
  constexpr std::int64_t count = 1'000'000;
  TokenDigest digest;
  digest.key_id = 1;
  for (std::int64_t id = 1; id <= count; ++id) {
    random.fill(digest.mac);
    index.apply(record(id, static_cast<std::int32_t>(id), digest));
  }
  EXPECT_EQ(index.size(), static_cast<std::size_t>(count));
  const auto each = static_cast<double>(index.memory_bytes()) / static_cast<double>(count);
  RecordProperty("bytes_per_token", std::to_string(each));
  EXPECT_LE(each, 60.0);
  EXPECT_GE(each, 32.0);
}

TEST_F(CredentialIndexTest, ReadersNeverSeeATokenMissingThatStays) {
  for (std::int64_t id = 1; id <= 100; ++id)
    index.apply(record(id, static_cast<std::int32_t>(id), digests("kept" + std::to_string(id)).newest()));
  std::atomic<bool> stop{false};
  std::atomic<int> misses{0};
  std::vector<std::jthread> readers;
  for (int reader = 0; reader < 3; ++reader) {
    readers.emplace_back([&, reader] {
      const auto wanted = ring->digest("auth-token", "kept" + std::to_string(reader + 1));
      while (!stop.load()) {
        if (!index.find(wanted)) misses.fetch_add(1);
      }
    });
  }
  for (int round = 0; round < 20; ++round) {
    for (std::int64_t id = 1000; id < 1100; ++id) index.apply(record(id, 1, digests("other" + std::to_string(id)).newest()));
    for (std::int64_t id = 1000; id < 1100; ++id) index.apply(record(id, 1, {}, TokenKind::revoked));
    CredentialIndex aside;
    index.for_each([](AuthTokenId, DeviceId) {});
    for (std::int64_t id = 1; id <= 100; ++id)
      aside.apply(record(id, static_cast<std::int32_t>(id), digests("kept" + std::to_string(id)).newest()));
    index.swap(aside);
  }
  stop = true;
  readers.clear();
  EXPECT_EQ(misses.load(), 0);
}

}  // namespace
}  // namespace muster::domain
