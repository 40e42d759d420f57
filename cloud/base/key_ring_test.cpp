// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/key_ring.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>

#include "cloud/base/error.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/base/temporary_folder.hpp"

namespace muster {
namespace {

constexpr std::string_view secret = "0123456789abcdefghijABCDEFGHIJ-_";

mode_t mode_of(const std::filesystem::path& path) {
  struct stat facts{};
  EXPECT_EQ(::stat(path.c_str(), &facts), 0);
  return facts.st_mode & 07777;
}

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    std::array<char, 3> two{};
    std::snprintf(two.data(), two.size(), "%02x", unsigned{byte});
    text += two.data();
  }
  return text;
}

class KeyRingOnDisk : public testing::Test {
 protected:
  std::unique_ptr<KeyRing> open() {
    auto ring = KeyRing::open(keys(), random_);
    EXPECT_TRUE(ring) << ring.error().message();
    return ring ? std::move(ring).value() : nullptr;
  }
  [[nodiscard]] Error open_error() {
    const auto ring = KeyRing::open(keys(), random_);
    EXPECT_FALSE(ring);
    return ring ? Error{} : ring.error();
  }
  [[nodiscard]] std::filesystem::path keys() const { return folder_ / "keys"; }

  TemporaryFolder folder_;
  SecureRandom random_;
};

TEST_F(KeyRingOnDisk, IsMadeOnFirstOpenForItsOwnerOnly) {
  const auto ring = open();
  EXPECT_EQ(ring->key_ids(), std::vector<std::uint16_t>{1});
  EXPECT_EQ(mode_of(keys()), 0700u);
  EXPECT_EQ(mode_of(keys() / "0001.key"), 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator{folder_.path()}, {}), 1) << "nothing is left beside it";
}

TEST_F(KeyRingOnDisk, GivesTheSameDigestsAndOpensItsSealsAfterReopening) {
  auto ring = open();
  const auto digests = ring->digest("auth-token", secret);
  const std::string sealed = ring->seal("auth-token", secret, random_);
  ring = nullptr;
  ring = open();
  EXPECT_EQ(ring->digest("auth-token", secret).newest(), digests.newest());
  EXPECT_EQ(ring->open_sealed("auth-token", sealed).value(), secret);
}

TEST_F(KeyRingOnDisk, AddedKeysSurviveAndTheNewestLeads) {
  auto ring = open();
  const std::string old_seal = ring->seal("c", secret, random_);
  EXPECT_EQ(ring->add_key(random_).value(), 2);
  EXPECT_EQ(ring->newest_key_id(), 2);
  EXPECT_EQ(mode_of(keys() / "0002.key"), 0600u);
  const auto digests = ring->digest("auth-token", secret);
  ring = open();
  EXPECT_EQ(ring->key_ids(), (std::vector<std::uint16_t>{2, 1}));
  const auto again = ring->digest("auth-token", secret);
  ASSERT_EQ(again.all().size(), 2u);
  EXPECT_EQ(again.all()[0], digests.all()[0]);
  EXPECT_EQ(again.all()[1], digests.all()[1]);
  EXPECT_EQ(ring->open_sealed("c", old_seal).value(), secret) << "an older key still opens";
}

TEST_F(KeyRingOnDisk, TakesInWhatAnotherProcessDidAndKeepsItsKeysWhenTheFolderIsUnreadable) {
  const auto server = open();
  const auto tool = open();
  EXPECT_FALSE(server->reload().value());
  const auto added = tool->add_key(random_).value();
  EXPECT_NE(server->newest_key_id(), added);
  EXPECT_TRUE(server->reload().value());
  EXPECT_EQ(server->newest_key_id(), added);
  EXPECT_EQ(server->digest("d", secret).all().size(), 2u);
  EXPECT_EQ(server->digest("d", secret).newest(), tool->digest("d", secret).newest());
  ASSERT_TRUE(tool->remove_key(1));
  EXPECT_TRUE(server->reload().value());
  EXPECT_EQ(server->key_ids(), tool->key_ids());
  std::filesystem::rename(keys(), folder_ / "away");
  EXPECT_FALSE(server->reload());
  EXPECT_EQ(server->newest_key_id(), added);
}

TEST_F(KeyRingOnDisk, TakesAnotherRingsKeysOnlyWhenToldTo) {
  const auto server = open();
  const auto own = server->digest("d", secret).newest();
  std::filesystem::rename(keys(), folder_ / "own");
  const auto other = open();  // Counts from 1 as well.
  ASSERT_NE(other->digest("d", secret).newest(), own);
  EXPECT_EQ(server->reload().error(), BaseError::keys_foreign);
  ASSERT_TRUE(other->add_key(random_));
  ASSERT_TRUE(other->remove_key(1));
  EXPECT_EQ(server->reload().error(), BaseError::keys_foreign) << "the newest key is gone";
  EXPECT_EQ(server->digest("d", secret).all().size(), 1u);
  EXPECT_EQ(server->digest("d", secret).newest(), own);
  EXPECT_TRUE(server->reload(KeyRing::Foreign::take).value());
  EXPECT_EQ(server->digest("d", secret).newest(), other->digest("d", secret).newest());
  std::filesystem::rename(keys(), folder_ / "other");
  std::filesystem::rename(folder_ / "own", keys());
  EXPECT_TRUE(server->reload(KeyRing::Foreign::take).value());
  EXPECT_EQ(server->digest("d", secret).newest(), own);
  EXPECT_FALSE(server->reload(KeyRing::Foreign::take).value());
}

TEST_F(KeyRingOnDisk, HoldsAKeyForEveryRotationOfManyYearsAndNoMore) {
  auto ring = open();
  const auto first = ring->digest("d", secret).newest();
  const std::string sealed = ring->seal("c", secret, random_);
  while (ring->key_ids().size() < KeyRing::keys_max) ASSERT_TRUE(ring->add_key(random_));
  const auto digests = ring->digest("d", secret);
  ASSERT_EQ(digests.all().size(), KeyRing::keys_max);
  EXPECT_EQ(digests.newest().key_id, KeyRing::keys_max);
  EXPECT_EQ(digests.all().back(), first);
  EXPECT_EQ(ring->add_key(random_).error(), BaseError::key_ring_full);
  EXPECT_FALSE(std::filesystem::exists(keys() / "0257.key"));
  ring = open();
  EXPECT_EQ(ring->digest("d", secret).all().back(), first);
  EXPECT_EQ(ring->open_sealed("c", sealed).value(), secret);
  ASSERT_TRUE(KeyRing::import_keys(folder_ / "restored", ring->export_keys()));
  ASSERT_TRUE(ring->remove_key(3));
  EXPECT_EQ(ring->add_key(random_).value(), 257) << "an id is never used twice";
  std::filesystem::copy_file(keys() / "0257.key", keys() / "0258.key");
  EXPECT_EQ(open_error(), BaseError::key_ring_full);
}

TEST_F(KeyRingOnDisk, DigestsUnderOneKey) {
  auto ring = open();
  const auto old = ring->digest("d", secret).newest();
  ASSERT_TRUE(ring->add_key(random_));
  EXPECT_EQ(ring->digest_under(1, "d", secret).value(), old);
  EXPECT_EQ(ring->digest_under(2, "d", secret).value(), ring->digest("d", secret).newest());
  EXPECT_EQ(ring->digest_under(3, "d", secret).error(), BaseError::key_unknown);
}

TEST_F(KeyRingOnDisk, OfTwoThatAddAKeyAtTheSameTimeOneIsRefused) {
  const auto one = open(), other = open();
  ASSERT_TRUE(one->add_key(random_));
  const auto kept = read_file(keys() / "0002.key", 1000).value();
  EXPECT_EQ(other->add_key(random_).error(), BaseError::file_exists);
  EXPECT_EQ(other->newest_key_id(), 1);
  EXPECT_EQ(read_file(keys() / "0002.key", 1000).value(), kept) << "a key that may be in use is never written over";
  EXPECT_EQ(open()->digest("d", secret).newest(), one->digest("d", secret).newest());
}

TEST_F(KeyRingOnDisk, KnowsWhetherADatabaseBelongsToItYet) {
  EXPECT_TRUE(open()->unused());
  EXPECT_TRUE(open()->unused()) << "also the next time";
  const auto ring = open();
  ASSERT_TRUE(ring->mark_used());
  ASSERT_TRUE(ring->mark_used());
  EXPECT_FALSE(ring->unused());
  EXPECT_FALSE(open()->unused());
  ASSERT_TRUE(KeyRing::import_keys(folder_ / "restored", ring->export_keys()));
  EXPECT_FALSE(KeyRing::open(folder_ / "restored", random_).value()->unused());
}

TEST_F(KeyRingOnDisk, RemovesOldKeysButNeverTheNewest) {
  auto ring = open();
  const std::string old_seal = ring->seal("c", secret, random_);
  ASSERT_TRUE(ring->add_key(random_));
  EXPECT_EQ(ring->remove_key(2).error(), BaseError::key_in_use);
  EXPECT_EQ(ring->remove_key(7).error(), BaseError::key_unknown);
  EXPECT_TRUE(ring->remove_key(1));
  EXPECT_FALSE(std::filesystem::exists(keys() / "0001.key"));
  EXPECT_EQ(ring->key_ids(), std::vector<std::uint16_t>{2});
  EXPECT_EQ(ring->open_sealed("c", old_seal).error(), BaseError::key_unknown);
  EXPECT_EQ(open()->key_ids(), std::vector<std::uint16_t>{2});
}

TEST_F(KeyRingOnDisk, RefusesModesThatLetOthersIn) {
  open();
  ASSERT_EQ(::chmod((keys() / "0001.key").c_str(), 0640), 0);
  EXPECT_EQ(open_error(), BaseError::key_unreadable);
  ASSERT_EQ(::chmod((keys() / "0001.key").c_str(), 0600), 0);
  ASSERT_EQ(::chmod(keys().c_str(), 0750), 0);
  EXPECT_EQ(open_error(), BaseError::key_unreadable);
  ASSERT_EQ(::chmod(keys().c_str(), 0700), 0);
  open();
}

TEST_F(KeyRingOnDisk, NoticesEveryDamagedByteAndEveryOtherLength) {
  open();
  const std::string good = read_file(keys() / "0001.key", 1000).value();
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    ASSERT_TRUE(write_file_atomically(keys() / "0001.key", bad, 0600));
    ASSERT_EQ(open_error(), BaseError::key_damaged) << "byte " << i;
  }
  for (const std::string& bad : {std::string{}, good.substr(1), good.substr(0, good.size() - 1), good + "x", good + good}) {
    ASSERT_TRUE(write_file_atomically(keys() / "0001.key", bad, 0600));
    EXPECT_EQ(open_error(), BaseError::key_damaged) << bad.size();
  }
}

TEST_F(KeyRingOnDisk, NoticesAKeyUnderAnothersName) {
  open();
  std::filesystem::rename(keys() / "0001.key", keys() / "0002.key");
  EXPECT_EQ(open_error(), BaseError::key_damaged);
}

TEST_F(KeyRingOnDisk, AFolderThatLostItsKeysIsNoNewOne) {
  open();
  std::filesystem::remove(keys() / "0001.key");
  EXPECT_EQ(open_error(), BaseError::key_damaged);
  EXPECT_FALSE(std::filesystem::exists(keys() / "0001.key"));
}

TEST_F(KeyRingOnDisk, IgnoresWhatACrashLeftBehind) {
  open();
  std::ofstream{keys() / ".0002.key.123456789abc.tmp"} << "half";
  std::ofstream{keys() / "README"} << "not a key";
  EXPECT_EQ(open()->key_ids(), std::vector<std::uint16_t>{1});
}

TEST_F(KeyRingOnDisk, TellsWhenItCannotBeMade) {
  const auto missing = KeyRing::open(folder_ / "missing/keys", random_);
  EXPECT_EQ(missing.error().value(), ENOENT);
  std::ofstream{keys()} << "a file";
  EXPECT_EQ(open_error().value(), ENOTDIR);
}

TEST_F(KeyRingOnDisk, ExportsAndImportsAllKeys) {
  auto ring = open();
  ASSERT_TRUE(ring->add_key(random_));
  const std::string sealed = ring->seal("c", secret, random_);
  const std::string bytes = ring->export_keys();
  ASSERT_TRUE(KeyRing::import_keys(folder_ / "restored/", bytes));
  EXPECT_EQ(mode_of(folder_ / "restored"), 0700u);
  const auto restored = KeyRing::open(folder_ / "restored", random_);
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ((*restored)->key_ids(), ring->key_ids());
  EXPECT_EQ((*restored)->open_sealed("c", sealed).value(), secret);
  EXPECT_EQ(KeyRing::import_keys(folder_ / "restored", bytes).error(), BaseError::file_exists) << "never over existing keys";
  EXPECT_EQ(KeyRing::import_keys(folder_ / "new", bytes.substr(1)).error(), BaseError::key_damaged);
  EXPECT_EQ(KeyRing::import_keys(folder_ / "new", "").error(), BaseError::key_damaged);
  EXPECT_EQ(KeyRing::import_keys(folder_ / "new", bytes + bytes).error(), BaseError::key_damaged) << "the same id twice";
  EXPECT_FALSE(std::filesystem::exists(folder_ / "new"));
}

TEST(KeyRing, DigestIsHmacSha256OfLengthDomainAndSecret) {
  // The layout is on disks: a change would make every token unknown. The MAC key is the first thing drawn; its expected
  // value came from: printf '\012auth-token0123456789abcdefghijABCDEFGHIJ-_' | openssl dgst -sha256 -mac HMAC -macopt
  // hexkey:...
  SeededRandom random{1};
  std::array<std::uint8_t, 32> mac_key{};
  SeededRandom{1}.fill(mac_key);
  ASSERT_EQ(hex(mac_key), "c15c0289ec2d0a9167ec8e65a18debbe5e5532fbeea293f80bc942ee9086c171");
  const auto ring = KeyRing::in_memory(random);
  EXPECT_EQ(hex(ring->digest("auth-token", secret).newest().mac), "97902c7f45fd39eaae6eb810d5033e4db3a924a0e8e54b075013dd1316470c4b");
  EXPECT_EQ(ring->digest("auth-token", secret).newest().key_id, 1);
}

TEST(KeyRing, DigestKeepsDomainsApart) {
  SeededRandom random{2};
  const auto ring = KeyRing::in_memory(random);
  EXPECT_NE(ring->digest("auth-token", secret).newest(), ring->digest("access-token", secret).newest());
  EXPECT_NE(ring->digest("ab", "c").newest(), ring->digest("a", "bc").newest());
  EXPECT_NE(ring->digest("", "abc").newest(), ring->digest("abc", "").newest());
}

TEST(KeyRing, SealsDifferEachTimeAndHideThePlainText) {
  SeededRandom random{3};
  const auto ring = KeyRing::in_memory(random);
  const std::string a = ring->seal("auth-token", secret, random);
  const std::string b = ring->seal("auth-token", secret, random);
  EXPECT_NE(a, b);
  EXPECT_EQ(a.find(secret.substr(0, 8)), std::string::npos);
  EXPECT_EQ(ring->open_sealed("auth-token", ring->seal("auth-token", "", random)).value(), "");
}

TEST(KeyRing, ASealOpensOnlyWholeAndForItsPurpose) {
  SeededRandom random{4};
  const auto ring = KeyRing::in_memory(random);
  const std::string sealed = ring->seal("auth-token", secret, random);
  EXPECT_EQ(ring->open_sealed("totp", sealed).error(), BaseError::seal_damaged);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string bad = sealed;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    const Error error = ring->open_sealed("auth-token", bad).error();
    EXPECT_TRUE(error == BaseError::seal_damaged || error == BaseError::key_unknown) << i;
    EXPECT_FALSE(ring->open_sealed("auth-token", std::string_view{sealed}.substr(0, i))) << i;
  }
  SeededRandom other_random{5};
  EXPECT_EQ(KeyRing::in_memory(other_random)->open_sealed("auth-token", sealed).error(), BaseError::seal_damaged);
}

TEST(KeyRing, KeysAreLeftOutOfCoreDumps) {
#if defined(__linux__)
  SeededRandom random{6};
  const auto ring = KeyRing::in_memory(random);
  // "dd" among the flags of a mapping: do not dump. The guarded mapping of the key is the only one that has it here.
  std::ifstream maps{"/proc/self/smaps"};
  std::string line;
  bool found = false;
  while (std::getline(maps, line)) found = found || (line.starts_with("VmFlags:") && line.find(" dd") != std::string::npos);
  EXPECT_TRUE(found);
#endif
}

TEST(KeyRing, ReadersGoOnWhileKeysComeAndGo) {
  SecureRandom random;
  const auto ring = KeyRing::in_memory(random);
  const std::string sealed = ring->seal("c", secret, random);
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const TokenDigests digests = ring->digest("auth-token", secret);
        ASSERT_GE(digests.all().size(), 1u);
        ASSERT_EQ(ring->open_sealed("c", sealed).value(), secret);
      }
    });
  }
  std::set<std::uint16_t> seen;
  for (int i = 0; i < 50; ++i) {
    const auto added = ring->add_key(random);
    ASSERT_TRUE(added);
    EXPECT_TRUE(seen.insert(*added).second);
    if (ring->key_ids().size() > 3) {
      ASSERT_TRUE(ring->remove_key(ring->key_ids()[1]));
    }
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace muster
