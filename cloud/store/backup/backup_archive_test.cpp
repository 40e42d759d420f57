// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/backup/backup_archive.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "cloud/base/auth_token.hpp"
#include "cloud/base/error.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/base/temporary_folder.hpp"
#include "cloud/store/backup/tar.hpp"
#include "cloud/store/sqlite/backup.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"

namespace muster::store {
namespace {

namespace fs = std::filesystem;

std::string read_all(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}
void write_all(const fs::path& path, std::string_view bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream{path, std::ios::binary} << bytes;
}

/// A data directory with a few devices, and what must be found again.
class Backup : public testing::Test {
 protected:
  void SetUp() override {
    ring_ = KeyRing::open(data_ / "keys", random_).value();
    store_ = SqliteStore::open(data_ / "muster.db");
    const auto first = store_->set_up("Root", "root@example.com", "verifier", {}).value();
    organization_ = first.organization_id;
    user_ = first.user_id;
    domain::Template product;
    product.organization_id = organization_;
    product.name = "Product";
    product.tmpl_ids = {"TMPLproduct12"};
    template_ = store_->create_template(product, {}).value().id;
    device_ = create("Lamp");
    write_all(data_ / "tls" / "ca.pem", "certificate");
    write_all(data_ / "files" / "firmware" / "image.bin", std::string(100'000, 'f'));
  }

  DeviceId create(std::string name) {
    const AuthToken token = AuthToken::generate(random_);
    domain::Device device;
    device.organization_id = organization_;
    device.template_id = template_;
    device.name = std::move(name);
    const auto digests = ring_->digest("auth-token", token.reveal());
    const auto made =
        store_->create_device(device, {digests.newest(), digests.all(), ring_->seal("auth-token", token.reveal(), random_)}, {});
    EXPECT_TRUE(made);
    tokens_.push_back(token);
    return made->id;
  }
  static BackupRecipients passphrase(std::string text) { return {{}, std::move(text), 10}; }
  fs::path restored() const { return folder_ / "restored"; }

  TemporaryFolder folder_;
  fs::path data_ = [this] {
    fs::create_directory(folder_ / "data");
    return folder_ / "data";
  }();
  SecureRandom random_;
  std::unique_ptr<KeyRing> ring_;
  std::unique_ptr<SqliteStore> store_;
  OrganizationId organization_;
  UserId user_;
  TemplateId template_;
  DeviceId device_;
  std::vector<AuthToken> tokens_;
};

TEST_F(Backup, ComesBackOnAnEmptyMachine) {
  ASSERT_TRUE(store_->create_access_token(user_, TokenDigest{1, {}}, {SystemClock{}.utc_now().ms + 1'000'000}, {}));
  const auto identity = age::Identity::generate(random_);
  const auto made = create_backup(data_, data_ / "muster.db", folder_ / "backup.age", {{identity.recipient()}, {}}, random_);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->files, 6u);
  EXPECT_EQ(fs::status(folder_ / "backup.age").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  create("Made after the backup");
  store_->close();

  const auto back = restore_backup(folder_ / "backup.age", {{identity}, {}}, restored());
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->files, 6u);
  EXPECT_EQ(read_all(restored() / "tls" / "ca.pem"), "certificate");
  EXPECT_EQ(read_all(restored() / "files" / "firmware" / "image.bin"), std::string(100'000, 'f'));
  for (const auto& entry : fs::directory_iterator{restored()}) EXPECT_NE(entry.path().filename().native()[0], '.') << entry.path();
  const auto ring = KeyRing::open(restored() / "keys", random_).value();
  const auto store = SqliteStore::open(restored() / "muster.db");
  ASSERT_TRUE(store->check()) << store->check().error().message();
  EXPECT_EQ(store->unknown_tokens().value(), domain::UnknownTokens::hold);
  const auto found = store->find_token(ring->digest("auth-token", tokens_[0].reveal()).all()).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->record.device_id, device_);
  EXPECT_EQ(ring->open_sealed("auth-token", store->reveal_token(device_, {}).value()).value(), tokens_[0].reveal());
  EXPECT_FALSE(store->find_token(ring->digest("auth-token", tokens_[1].reveal()).all()).value());
  EXPECT_FALSE(store->find_access_token(std::array{TokenDigest{1, {}}}).value());  // People sign in anew.
  EXPECT_TRUE(store->find_credentials("root@example.com").value());
}

TEST_F(Backup, OpensWithItsPassphraseOnly) {
  ASSERT_TRUE(create_backup(data_, data_ / "muster.db", folder_ / "backup.age", passphrase("correct horse"), random_));
  EXPECT_EQ(restore_backup(folder_ / "backup.age", {{}, "wrong horse"}, restored()).error(), Error{BaseError::passphrase_wrong});
  EXPECT_FALSE(fs::exists(restored()));
  EXPECT_EQ(restore_backup(folder_ / "backup.age", {{age::Identity::generate(random_)}, {}}, restored()).error(),
            Error{BaseError::identity_mismatch});
  EXPECT_EQ(restore_backup(folder_ / "backup.age", {}, restored()).error(), Error{BackupError::secret_missing});
  ASSERT_TRUE(restore_backup(folder_ / "backup.age", {{}, "correct horse"}, restored()));
}

TEST_F(Backup, RemovesWhatABackupThatWasCutOffLeft) {
  const auto left = data_ / ".backup-aBcDeF";
  write_all(left / "muster.db", "half a copy");
  write_all(folder_ / "backup.age.partial", "half");
  ASSERT_TRUE(create_backup(data_, data_ / "muster.db", folder_ / "backup.age", passphrase("p"), random_));
  EXPECT_FALSE(fs::exists(left));
  for (const auto& entry : fs::directory_iterator{data_}) EXPECT_NE(entry.path().filename().native()[0], '.') << entry.path();
  EXPECT_EQ(read_all(folder_ / "backup.age.partial"), "half") << "not known to be ours";
  EXPECT_EQ(std::distance(fs::directory_iterator{folder_.path()}, {}), 3) << "data, the backup, and the file that was there";
}

TEST_F(Backup, ARestoreThatWasCutOffIsNotInTheWayOfTheNext) {
  ASSERT_TRUE(create_backup(data_, data_ / "muster.db", folder_ / "backup.age", passphrase("p"), random_));
  write_all(restored() / ".restore-aBcDeF" / "muster.db", "half");
  ASSERT_TRUE(restore_backup(folder_ / "backup.age", {{}, "p"}, restored()));
  for (const auto& entry : fs::directory_iterator{restored()}) EXPECT_NE(entry.path().filename().native()[0], '.') << entry.path();
}

TEST_F(Backup, OneAtATimeWorksOnADataDirectory) {
  const auto held = FolderLock::take(data_);
  ASSERT_TRUE(held);
  write_all(data_ / ".backup-aBcDeF" / "muster.db", "a copy on its way");
  EXPECT_EQ(create_backup(data_, data_ / "muster.db", folder_ / "b.age", passphrase("p"), random_).error(),
            Error{BackupError::another_is_running});
  EXPECT_TRUE(fs::exists(data_ / ".backup-aBcDeF" / "muster.db"));
  EXPECT_FALSE(fs::exists(folder_ / "b.age"));
}

TEST_F(Backup, TakesADatabaseThatLiesElsewhere) {
  store_->close();
  fs::rename(data_ / "muster.db", folder_ / "fleet.db");
  EXPECT_EQ(create_backup(data_, data_ / "muster.db", folder_ / "b.age", passphrase("p"), random_).error(),
            Error{BackupError::no_database});
  ASSERT_TRUE(create_backup(data_, folder_ / "fleet.db", folder_ / "b.age", passphrase("p"), random_));
  ASSERT_TRUE(restore_backup(folder_ / "b.age", {{}, "p"}, restored()));
  const auto ring = KeyRing::open(restored() / "keys", random_).value();
  EXPECT_TRUE(SqliteStore::open(restored() / "muster.db")->find_token(ring->digest("auth-token", tokens_[0].reveal()).all()).value());
}

TEST_F(Backup, WhatRootRestoresIntoTheServersDirectoryIsTheServers) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can try it";
  constexpr uid_t somebody = 12'345;
  ASSERT_TRUE(create_backup(data_, data_ / "muster.db", folder_ / "backup.age", passphrase("p"), random_));
  fs::create_directory(restored());
  ASSERT_EQ(::chown(restored().c_str(), somebody, somebody), 0);
  ASSERT_TRUE(restore_backup(folder_ / "backup.age", {{}, "p"}, restored()));
  int seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator{restored()}) {
    struct stat facts{};
    ASSERT_EQ(::stat(entry.path().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_uid, somebody) << entry.path();
    EXPECT_EQ(facts.st_gid, somebody) << entry.path();
    ++seen;
  }
  EXPECT_GE(seen, 7);  // The database, keys/ and a key, tls/ and a file, files/ with a folder and a file.
}

TEST_F(Backup, HoldsNoSecretInClear) {
  ASSERT_TRUE(create_backup(data_, data_ / "muster.db", folder_ / "backup.age", passphrase("correct horse"), random_));
  const std::string bytes = read_all(folder_ / "backup.age");
  for (const auto& token : tokens_) EXPECT_EQ(bytes.find(token.reveal()), std::string::npos);
  EXPECT_EQ(bytes.find("root@example.com"), std::string::npos);
  EXPECT_EQ(bytes.find("muster.db"), std::string::npos);
}

TEST_F(Backup, NeverOverwrites) {
  ASSERT_TRUE(create_backup(data_, data_ / "muster.db", folder_ / "backup.age", passphrase("p"), random_));
  EXPECT_EQ(create_backup(data_, data_ / "muster.db", folder_ / "backup.age", passphrase("p"), random_).error(),
            Error{BaseError::file_exists});
  write_all(restored() / "something", "mine");
  EXPECT_EQ(restore_backup(folder_ / "backup.age", {{}, "p"}, restored()).error(), Error{BackupError::directory_not_empty});
  EXPECT_EQ(read_all(restored() / "something"), "mine");
  EXPECT_EQ(restore_backup(folder_ / "backup.age", {{}, "p"}, data_).error(), Error{BackupError::directory_not_empty});
}

TEST_F(Backup, SaysWhatIsNoDataDirectory) {
  fs::create_directory(folder_ / "empty");
  EXPECT_EQ(create_backup(folder_ / "empty", folder_ / "empty" / "muster.db", folder_ / "b.age", passphrase("p"), random_).error(),
            Error{BackupError::no_database});
  EXPECT_EQ(create_backup(data_, data_ / "muster.db", folder_ / "b.age", {}, random_).error(), Error{BackupError::secret_missing});
  fs::remove_all(data_ / "keys");
  EXPECT_EQ(create_backup(data_, data_ / "muster.db", folder_ / "b.age", passphrase("p"), random_).error(), Error{BaseError::key_damaged});
  EXPECT_FALSE(fs::exists(data_ / "keys"));
  EXPECT_FALSE(fs::exists(folder_ / "b.age"));
}

TEST_F(Backup, AFileThatWasCutOffOrChangedRestoresNothing) {
  const auto identity = age::Identity::generate(random_);
  ASSERT_TRUE(create_backup(data_, data_ / "muster.db", folder_ / "backup.age", {{identity.recipient()}, {}}, random_));
  const std::string whole = read_all(folder_ / "backup.age");
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{10}, std::size_t{200}, whole.size() / 2, whole.size() - 70'000, whole.size() - 1}) {
    write_all(folder_ / "cut.age", whole.substr(0, length));
    EXPECT_EQ(restore_backup(folder_ / "cut.age", {{identity}, {}}, restored()).error(), Error{BaseError::file_damaged}) << length;
    EXPECT_FALSE(fs::exists(restored()));
  }
  std::string changed = whole;
  changed[changed.size() / 2] ^= 1;
  write_all(folder_ / "changed.age", changed);
  EXPECT_EQ(restore_backup(folder_ / "changed.age", {{identity}, {}}, restored()).error(), Error{BaseError::file_damaged});
  fs::create_directory(restored());  // One that was there and empty stays there, and empty.
  EXPECT_FALSE(restore_backup(folder_ / "changed.age", {{identity}, {}}, restored()));
  EXPECT_TRUE(fs::is_empty(restored()));
  EXPECT_EQ(restore_backup(folder_ / "missing.age", {{identity}, {}}, restored()).error(),
            (Error{ENOENT, boost::system::generic_category()}));
}

TEST_F(Backup, AnArchiveCannotWriteElsewhere) {
  const auto identity = age::Identity::generate(random_);
  const std::array to{identity.recipient()};
  for (const auto* name : {"../evil", "/etc/evil", "tls/../../evil", "tls/./x", "tls//x", "tls/", "keys/1", "muster.db-wal", "evil"}) {
    const std::string archive = tar::header("manifest.json", 13, 0) + R"({"format":1,})" + tar::padding(13) + tar::header(name, 1, 0) +
                                "x" + tar::padding(1) + tar::end();
    std::ofstream out{folder_ / "evil.age", std::ios::binary};
    auto encryptor = age::Encryptor::to_recipients(to, random_, age::write_to(out)).value();
    ASSERT_TRUE(encryptor.write({reinterpret_cast<const std::uint8_t*>(archive.data()), archive.size()}));  // NOLINT
    ASSERT_TRUE(encryptor.finish());
    out.close();
    EXPECT_EQ(restore_backup(folder_ / "evil.age", {{identity}, {}}, restored()).error(), Error{BackupError::not_a_backup}) << name;
    EXPECT_FALSE(fs::exists(restored()));
    EXPECT_FALSE(fs::exists(folder_ / "evil"));
  }
}

TEST_F(Backup, IsOneMomentOfAStoreThatIsBeingWritten) {
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::thread writer{[&] {
    while (!stop) {
      if (store_->rename_device(device_, "Lamp " + std::to_string(written), {})) ++written;
    }
  }};
  const int before = written;
  for (int i = 0; i < 3; ++i) {
    const fs::path copy = folder_ / ("copy" + std::to_string(i) + ".db");
    const auto made = back_up(data_ / "muster.db", copy);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_FALSE(fs::exists(copy.native() + "-wal"));
    // Name and audit entry belong together at every moment.
    const auto store = SqliteStore::open(copy);
    const auto name = store->find_device(device_).value()->name;
    const auto entries = store->audit({std::array{organization_}, "device.rename", {}, {}}, {}).value();
    if (entries.total > 0) {
      EXPECT_NE(entries.rows[0].detail.find("\"after\":{\"name\":\"" + name + "\"}"), std::string::npos);
    }
  }
  stop = true;
  writer.join();
  EXPECT_GT(written, before);
  EXPECT_EQ(back_up(data_ / "muster.db", folder_ / "copy0.db").error(), Error{BaseError::file_exists});
}

// --- tar -----------------------------------------------------------------------------------------------------------------

struct Collected final : tar::Reader::Files {
  Result<void> begin(std::string_view name, std::uint64_t size) override {
    files.emplace_back(name, "");
    sizes.push_back(size);
    return {};
  }
  Result<void> bytes(std::span<const std::uint8_t> bytes) override {
    files.back().second.append(bytes.begin(), bytes.end());
    return {};
  }
  Result<void> end() override { return ++ended, Result<void>{}; }
  std::vector<std::pair<std::string, std::string>> files;
  std::vector<std::uint64_t> sizes;
  std::size_t ended = 0;
};

Result<void> feed(tar::Reader& reader, std::string_view bytes, std::size_t piece) {
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const auto part = bytes.substr(at, piece);
    if (auto result = reader.write({reinterpret_cast<const std::uint8_t*>(part.data()), part.size()}); !result) return result;  // NOLINT
  }
  return {};
}

std::string archive_of(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string archive;
  for (const auto& [name, bytes] : files) archive += tar::header(name, bytes.size(), 1'767'225'600) + bytes + tar::padding(bytes.size());
  return archive + tar::end();
}

TEST(Tar, ReadsWhatItWroteInPiecesOfAnySize) {
  const std::vector<std::pair<std::string, std::string>> files{
      {"a", ""}, {"b/c", std::string(512, 'x')}, {std::string(100, 'n'), std::string(513, 'y')}};
  const std::string archive = archive_of(files);
  EXPECT_EQ(archive.size() % tar::block_bytes, 0u);
  for (const std::size_t piece : {1, 7, 511, 512, 513, 100'000}) {
    Collected collected;
    tar::Reader reader{collected};
    ASSERT_TRUE(feed(reader, archive + std::string(3000, '\0'), piece));
    EXPECT_EQ(collected.files, files);
    EXPECT_EQ(collected.ended, 3u);
    EXPECT_TRUE(reader.complete());
  }
}

TEST(Tar, IsWhatTheTarProgramReads) {
  const TemporaryFolder folder;
  write_all(folder / "x.tar", archive_of({{"one", "first"}, {"sub/two", std::string(1000, '2')}}));
  fs::create_directory(folder / "out");
  ASSERT_EQ(std::system(("tar -C " + (folder / "out").native() + " -xf " + (folder / "x.tar").native()).c_str()), 0);
  EXPECT_EQ(read_all(folder / "out" / "one"), "first");
  EXPECT_EQ(read_all(folder / "out" / "sub" / "two"), std::string(1000, '2'));
}

TEST(Tar, KnowsAnArchiveThatWasCutOffOrChanged) {
  const std::string archive = archive_of({{"a", std::string(600, 'x')}});
  for (std::size_t length = 0; length < archive.size(); length += 64) {
    Collected collected;
    tar::Reader reader{collected};
    const auto result = feed(reader, archive.substr(0, length), 512);
    EXPECT_TRUE(!result || !reader.complete()) << length;
  }
  for (std::size_t at = 0; at < tar::block_bytes; at += 5) {
    if (at == 155) continue;  // The blank after the sum says nothing.
    std::string changed = archive;
    changed[at] = static_cast<char>(changed[at] + 1);
    Collected collected;
    tar::Reader reader{collected};
    EXPECT_EQ(feed(reader, changed, 512).error(), Error{BaseError::file_damaged}) << at;
  }
}

TEST(Tar, RefusesWhatIsNoRegularFile) {
  for (const char type : {'1', '2', '3', '5', 'L', 'x'}) {
    std::string block = tar::header("a", 0, 0);
    block[156] = type;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < block.size(); ++i) sum += i >= 148 && i < 156 ? 32u : static_cast<unsigned char>(block[i]);
    for (int i = 5; i >= 0; --i, sum >>= 3) block[static_cast<std::size_t>(148 + i)] = static_cast<char>('0' + (sum & 7));
    block[154] = '\0';
    Collected collected;
    tar::Reader reader{collected};
    EXPECT_EQ(feed(reader, block, 512).error(), Error{BaseError::file_damaged}) << type;
  }
}

TEST(Tar, HoldsSizesThatOctalCannot) {
  const std::uint64_t large = std::uint64_t{20} << 30;
  Collected collected;
  tar::Reader reader{collected};
  ASSERT_TRUE(feed(reader, tar::header("big", large, 0), 512));
  EXPECT_EQ(collected.sizes, std::vector<std::uint64_t>{large});
}

}  // namespace
}  // namespace muster::store
