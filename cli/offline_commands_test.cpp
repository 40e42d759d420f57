// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <sstream>

#include "cli/commands.hpp"
#include "cli/fake_input.hpp"
#include "cloud/base/age.hpp"
#include "cloud/base/auth_token.hpp"
#include "cloud/base/password.hpp"
#include "cloud/base/secure_file.hpp"
#include "cloud/base/temporary_folder.hpp"
#include "cloud/main/data_store.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"

namespace muster::cli {
namespace {

namespace fs = std::filesystem;

class OfflineCommands : public testing::Test {
 protected:
  TemporaryFolder folder;
  fs::path data = folder.path() / "data";
  SecureRandom random;
  std::unique_ptr<KeyRing> keys;
  std::unique_ptr<store::SqliteStore> store;
  TemplateId template_id;
  OrganizationId root;
  std::string out, err;

  static std::unique_ptr<store::SqliteStore> open(const fs::path& directory) {
    return store::SqliteStore::open(directory / "muster.db", {.create = false});
  }

  void SetUp() override {
    fs::create_directories(data / "tls");
    std::ofstream{data / "tls" / "ca.crt"} << "a certificate";
    keys = KeyRing::open(data / "keys", random).value();
    store = store::SqliteStore::open(data / "muster.db");
    root = store->set_up("Root", "admin@example.com", make_password_verifier(password_prehash("first password", "admin@example.com")), {})
               .value()
               .organization_id;
    domain::Template product;
    product.organization_id = root;
    product.name = "Lamp";
    product.tmpl_ids = {"TMPLabcdefghi"};
    template_id = store->create_template(product, {}).value().id;
  }
  /// A device as the API makes one.
  std::pair<DeviceId, AuthToken> make_device(const std::string& name) {
    const auto token = AuthToken::generate(random);
    const auto digests = keys->digest("auth-token", token.reveal());
    domain::Device device;
    device.organization_id = root;
    device.template_id = template_id;
    device.name = name;
    const auto made = store->create_device(device, {digests.newest(), digests.all(), keys->seal("auth-token", token.reveal(), random)}, {});
    return {made.value().id, token};
  }
  template <class Command>
  Outcome<void> run(Command command, std::vector<std::string> lines = {}, bool json = false, bool yes = false) {
    FakeInput input{std::move(lines)};
    std::ostringstream to_out, to_err;
    Globals globals;
    globals.json = json;
    globals.yes = yes;
    Context context{globals, input, to_out, to_err};
    auto result = command(context);
    out = to_out.str();
    err = to_err.str();
    return result;
  }
  /// Whether `token` logs in to the data of `directory`.
  static bool logs_in(const fs::path& directory, const AuthToken& token, DeviceId device) {
    SecureRandom source;
    const auto ring = KeyRing::open(directory / "keys", source).value();
    const auto found = open(directory)->find_token(ring->digest("auth-token", token.reveal()).all()).value();
    return found && found->record.kind == domain::TokenKind::device && found->record.device_id == device;
  }
};

TEST_F(OfflineCommands, ABackupRestoresOnAnEmptyMachineAndHoldsUnknownTokens) {
  const auto [device, token] = make_device("Lamp");
  const BackupOptions backup{{data.string()}, (folder.path() / "b.muster").string(), {}};
  ASSERT_TRUE(run([&](Context& c) { return back_up(c, backup); }, {"correct horse"})) << err;
  const auto [later_device, later_token] = make_device("Later");  // While the server runs on.
  struct stat facts{};
  ASSERT_EQ(::stat(backup.out.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777u, 0600u);
  {
    std::ifstream file{backup.out, std::ios::binary};
    std::stringstream bytes;
    bytes << file.rdbuf();
    EXPECT_EQ(bytes.str().find("admin@example.com"), std::string::npos);  // All of it is encrypted.
  }
  EXPECT_EQ(std::count_if(fs::directory_iterator{data}, {},
                          [](const auto& entry) { return entry.path().filename().string().starts_with(".backup"); }),
            0);

  const auto fresh = folder.path() / "fresh";
  const RestoreOptions options{{fresh.string()}, backup.out, "", false};
  const auto wrong = run([&](Context& c) { return restore(c, options); }, {"wrong horse!"});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("passphrase"), std::string::npos);
  EXPECT_FALSE(fs::exists(fresh));
  ASSERT_TRUE(run([&](Context& c) { return restore(c, options); }, {"correct horse"})) << err;
  EXPECT_NE(out.find("--complete"), std::string::npos);
  EXPECT_TRUE(logs_in(fresh, token, device));
  EXPECT_FALSE(logs_in(fresh, later_token, later_device));
  EXPECT_EQ(open(fresh)->unknown_tokens().value(), domain::UnknownTokens::hold);
  std::stringstream certificate;
  certificate << std::ifstream{fresh / "tls" / "ca.crt"}.rdbuf();
  EXPECT_EQ(certificate.str(), "a certificate");
  ASSERT_EQ(::stat(fresh.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777u, 0700u);
  for (const auto& entry : fs::directory_iterator{folder.path()})
    EXPECT_FALSE(entry.path().filename().string().starts_with(".muster-restore"));

  EXPECT_EQ(run([&](Context& c) { return restore(c, options); }, {"correct horse"}).error().exit_code,
            exit_usage);                                                                                            // Never over something.
  EXPECT_EQ(run([&](Context& c) { return complete_restore(c, {fresh.string()}); }).error().exit_code, exit_usage);  // Asks first.
  ASSERT_TRUE(run([&](Context& c) { return complete_restore(c, {fresh.string()}); }, {}, true, true));
  EXPECT_EQ(open(fresh)->unknown_tokens().value(), domain::UnknownTokens::refuse);
  ASSERT_TRUE(run([&](Context& c) { return complete_restore(c, {fresh.string()}); }));
  EXPECT_NE(out.find("Nothing to do"), std::string::npos);
}

TEST_F(OfflineCommands, ABackupCanBeMadeToAnAgeKey) {
  const auto [device, token] = make_device("Lamp");
  const auto identity = age::Identity::generate(random), other = age::Identity::generate(random);
  const auto key_file = (folder.path() / "key.txt").string(), other_file = (folder.path() / "other.txt").string();
  std::ofstream{key_file} << "# a key\n" << identity.reveal() << "\n";
  std::ofstream{other_file} << other.reveal() << "\n";
  const BackupOptions backup{{data.string()}, (folder.path() / "b.muster").string(), {identity.recipient().text()}};
  ASSERT_TRUE(run([&](Context& c) { return back_up(c, backup); }, {}, true)) << err;
  EXPECT_TRUE(out.starts_with("{\"file\":")) << out;
  const auto fresh = folder.path() / "fresh";
  EXPECT_EQ(run([&](Context& c) { return restore(c, {{fresh.string()}, backup.out, "", false}); }).error().exit_code, exit_usage);
  EXPECT_FALSE(run([&](Context& c) { return restore(c, {{fresh.string()}, backup.out, other_file, false}); }));
  EXPECT_FALSE(fs::exists(fresh));
  ASSERT_TRUE(run([&](Context& c) { return restore(c, {{fresh.string()}, backup.out, key_file, false}); })) << err;
  EXPECT_TRUE(logs_in(fresh, token, device));
}

TEST_F(OfflineCommands, ADamagedOrCutBackupRestoresNothing) {
  const auto identity = age::Identity::generate(random);
  const auto key_file = (folder.path() / "key.txt").string();
  std::ofstream{key_file} << identity.reveal() << "\n";
  const BackupOptions backup{{data.string()}, (folder.path() / "b.muster").string(), {identity.recipient().text()}};
  ASSERT_TRUE(run([&](Context& c) { return back_up(c, backup); }));
  std::string bytes;
  {
    std::stringstream all;
    all << std::ifstream{backup.out, std::ios::binary}.rdbuf();
    bytes = all.str();
  }
  const auto attempt = [&](const std::string& changed) {
    const auto file = (folder.path() / "changed").string();
    std::ofstream{file, std::ios::binary | std::ios::trunc} << changed;
    return run([&](Context& c) { return restore(c, {{(folder.path() / "fresh").string()}, file, key_file, false}); });
  };
  EXPECT_FALSE(attempt(""));
  EXPECT_FALSE(attempt("not a backup"));
  EXPECT_FALSE(attempt(bytes.substr(0, bytes.size() / 2)));
  EXPECT_FALSE(attempt(bytes.substr(0, bytes.size() - 1)));
  auto flipped = bytes;
  flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 1);
  EXPECT_FALSE(attempt(flipped));
  EXPECT_FALSE(fs::exists(folder.path() / "fresh"));
  EXPECT_TRUE(attempt(bytes));
}

TEST_F(OfflineCommands, BackupSaysWhatIsWrongWithItsArguments) {
  const auto out_file = (folder.path() / "b").string();
  EXPECT_EQ(run([&](Context& c) { return back_up(c, {{(folder.path() / "none").string()}, out_file, {}}); }).error().exit_code, exit_usage);
  EXPECT_EQ(run([&](Context& c) { return back_up(c, {{folder.path().string()}, out_file, {}}); }).error().exit_code, exit_usage);
  EXPECT_EQ(run([&](Context& c) { return back_up(c, {{data.string()}, out_file, {"age1nonsense"}}); }).error().exit_code, exit_usage);
  EXPECT_EQ(run([&](Context& c) { return back_up(c, {{data.string()}, out_file, {}}); }, {"short"}).error().exit_code, exit_usage);
  EXPECT_FALSE(fs::exists(out_file));
  std::ofstream{out_file} << "something of mine";
  EXPECT_EQ(run([&](Context& c) { return back_up(c, {{data.string()}, out_file, {}}); }, {"long enough"}).error().exit_code, exit_usage);
  fs::remove(out_file);
  EXPECT_FALSE(run([&](Context& c) { return back_up(c, {{data.string()}, (folder.path() / "no" / "b").string(), {}}); }, {"long enough"}));
}

TEST_F(OfflineCommands, KeyRotationTakesEveryLiveTokenOver) {
  std::vector<std::pair<DeviceId, AuthToken>> devices;
  for (int i = 0; i < 30; ++i) devices.push_back(make_device("Lamp " + std::to_string(i)));
  const auto deleted = devices.back();
  devices.pop_back();
  ASSERT_TRUE(store->delete_device(deleted.first, {}));
  ASSERT_TRUE(run([&](Context& c) { return rotate_keys(c, {data.string()}); }, {}, true)) << err;
  // The tombstone keeps key 1.
  EXPECT_EQ(out, "{\"newestKey\":2,\"rotated\":29,\"removedKeys\":[]}\n");
  for (const auto& [device, token] : devices) EXPECT_TRUE(logs_in(data, token, device));
  EXPECT_TRUE(store->tokens_to_rotate(2, 10).value().empty());
  ASSERT_TRUE(keys->reload().value());
  EXPECT_EQ(store->find_token(keys->digest("auth-token", deleted.second.reveal()).all()).value()->record.kind, domain::TokenKind::revoked);
  const auto sealed = store->reveal_token(devices[0].first, {}).value();
  EXPECT_EQ(keys->open_sealed("auth-token", sealed).value(), devices[0].second.reveal());
}

TEST_F(OfflineCommands, KeysThatNothingCarriesGo) {
  const auto [device, token] = make_device("Lamp");
  ASSERT_TRUE(run([&](Context& c) { return rotate_keys(c, {data.string()}); }, {}, true)) << err;
  EXPECT_EQ(out, "{\"newestKey\":2,\"rotated\":1,\"removedKeys\":[1]}\n");
  EXPECT_TRUE(logs_in(data, token, device));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(run([&](Context& c) { return rotate_keys(c, {data.string()}); })) << err;  // Never full.
  EXPECT_TRUE(logs_in(data, token, device));
}

TEST_F(OfflineCommands, ARotationThatWasCutOffGoesOnWithItsKey) {
  const auto [device, token] = make_device("Lamp");
  const auto [other_device, other_token] = make_device("Other");
  ASSERT_EQ(keys->add_key(random).value(), 2);
  const auto digest = keys->digest("auth-token", token.reveal()).newest();
  const std::vector<domain::RotatedToken> half{
      {store->tokens_of_device(device).value()[0].id, digest, keys->seal("auth-token", token.reveal(), random)}};
  ASSERT_TRUE(store->rotate_tokens(half));
  ASSERT_TRUE(run([&](Context& c) { return rotate_keys(c, {data.string()}); }, {}, true)) << err;
  EXPECT_EQ(out, "{\"newestKey\":2,\"rotated\":1,\"removedKeys\":[1]}\n");
  EXPECT_TRUE(logs_in(data, token, device));
  EXPECT_TRUE(logs_in(data, other_token, other_device));
}

TEST_F(OfflineCommands, BesideARunningServerNoKeyIsTakenAway) {
  const auto [device, token] = make_device("Lamp");
  const int lock = ::open((data / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0);
  ASSERT_TRUE(run([&](Context& c) { return rotate_keys(c, {data.string()}); }, {}, false)) << err;
  EXPECT_NE(err.find("A server runs"), std::string::npos);
  ::close(lock);
  ASSERT_TRUE(keys->reload().value());
  EXPECT_EQ(keys->key_ids(), (std::vector<std::uint16_t>{2, 1}));
  EXPECT_TRUE(logs_in(data, token, device));
}

TEST_F(OfflineCommands, BesideARunningServerAKeyThatItIsLongPastGoes) {
  const auto [device, token] = make_device("Lamp");
  ASSERT_EQ(keys->add_key(random).value(), 2);
  ASSERT_EQ(keys->add_key(random).value(), 3);  // Nothing carries key 2. Key 1 is needed until the end of the rotation.
  for (const auto id : {2, 3}) {
    const auto file = data / "keys" / KeyRing::file_name(static_cast<std::uint16_t>(id));
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours{25});
  }
  const int lock = ::open((data / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0);
  ASSERT_TRUE(run([&](Context& c) { return rotate_keys(c, {data.string()}); }, {}, true)) << err;
  ::close(lock);
  // An interrupted rotation went on with key 3; a server may be using key 2 still, the one before it.
  EXPECT_EQ(out, "{\"newestKey\":3,\"rotated\":1,\"removedKeys\":[1]}\n");
  EXPECT_TRUE(logs_in(data, token, device));
}

TEST_F(OfflineCommands, OneRotationAtATime) {
  const auto [device, token] = make_device("Lamp");
  {
    const auto other = FolderLock::take(data / "keys");
    ASSERT_TRUE(other);
    const auto refused = run([&](Context& c) { return rotate_keys(c, {data.string()}); });
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("Another key rotation is running"), std::string::npos) << refused.error().message;
    EXPECT_FALSE(fs::exists(data / "keys" / "0002.key"));
  }
  ASSERT_TRUE(run([&](Context& c) { return rotate_keys(c, {data.string()}); }));
  EXPECT_TRUE(logs_in(data, token, device));
}

TEST_F(OfflineCommands, KeysOfAnotherDatabaseAreNotRotated) {
  make_device("Lamp");
  fs::rename(data / "keys", folder.path() / "own");
  ASSERT_TRUE(KeyRing::open(data / "keys", random));
  const auto refused = run([&](Context& c) { return rotate_keys(c, {data.string()}); });
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("does not belong to"), std::string::npos) << refused.error().message;
  EXPECT_FALSE(fs::exists(data / "keys" / "0002.key"));
}

TEST_F(OfflineCommands, WorkOnTheStoreThatTheServerUses) {
  // The server keeps its data elsewhere; what lies in the directory is an old copy that knows no device.
  const auto elsewhere = folder.path() / "fleet.db";
  const auto [device, token] = make_device("Lamp");
  store->close();
  fs::rename(data / "muster.db", elsewhere);
  ASSERT_TRUE(store::SqliteStore::open(data / "muster.db")->check());
  store = store::SqliteStore::open(elsewhere, {.create = false});
  ASSERT_TRUE(main::record_database(data, elsewhere));
  ASSERT_TRUE(run([&](Context& c) { return rotate_keys(c, {data.string()}); }, {}, true)) << err;
  EXPECT_EQ(out, "{\"newestKey\":2,\"rotated\":1,\"removedKeys\":[1]}\n");
  keys = KeyRing::open(data / "keys", random).value();
  EXPECT_TRUE(store->find_token(keys->digest("auth-token", token.reveal()).all()).value()) << "the live token's key is still there";
  ASSERT_TRUE(run([&](Context& c) { return recover_administrator(c, {{data.string()}, "admin@example.com"}); }, {"second password"}));
  ASSERT_TRUE(store->set_unknown_tokens(domain::UnknownTokens::hold, {}));
  ASSERT_TRUE(run([&](Context& c) { return complete_restore(c, {data.string()}); }, {}, true, true));
  EXPECT_EQ(store->unknown_tokens().value(), domain::UnknownTokens::refuse);
  const auto file = (folder.path() / "b.muster").string();
  ASSERT_TRUE(run([&](Context& c) { return back_up(c, {{data.string()}, file, {}}); }, {"correct horse"})) << err;
  ASSERT_TRUE(run([&](Context& c) { return restore(c, {{(folder.path() / "fresh").string()}, file, "", false}); }, {"correct horse"}));
  EXPECT_TRUE(logs_in(folder.path() / "fresh", token, device));
  // What is said wins.
  store->close();
  fs::rename(elsewhere, folder.path() / "moved.db");
  EXPECT_EQ(run([&](Context& c) { return complete_restore(c, {data.string()}); }).error().exit_code, exit_usage);
  EXPECT_TRUE(run([&](Context& c) { return complete_restore(c, {data.string(), "sqlite:" + (folder.path() / "moved.db").string()}); }));
  EXPECT_EQ(run([&](Context& c) { return complete_restore(c, {data.string(), "moved.db"}); }).error().exit_code, exit_usage);
}

TEST_F(OfflineCommands, RotationAndBackupStandInTheAuditLog) {
  ASSERT_TRUE(run([&](Context& c) { return rotate_keys(c, {data.string()}); }, {}, true)) << err;
  ASSERT_TRUE(run([&](Context& c) { return back_up(c, {{data.string()}, (folder.path() / "b.age").string(), {}}); }, {"correct horse"}));
  const std::array organizations{root};
  const auto entries = [&](const std::string& action) { return store->audit({organizations, action, {}, {}}, {}).value().rows; };
  ASSERT_EQ(entries("key.rotate").size(), 1u);
  EXPECT_EQ(entries("key.rotate")[0].client, "CLI");
  EXPECT_EQ(entries("key.rotate")[0].detail, R"({"newestKey":2,"rotated":0,"removedKeys":[1]})");
  ASSERT_EQ(entries("store.backup").size(), 1u);
  EXPECT_EQ(entries("store.backup")[0].detail, R"({"file":"b.age","to":"passphrase"})");
  ASSERT_TRUE(store->set_unknown_tokens(domain::UnknownTokens::hold, {}));
  ASSERT_TRUE(run([&](Context& c) { return complete_restore(c, {data.string()}); }, {}, true, true));
  EXPECT_EQ(entries("store.unknown_tokens").size(), 1u) << "shown with the root's entries";
}

TEST_F(OfflineCommands, ABackupToManyAgeKeysRestores) {
  std::vector<std::string> recipients;
  for (std::size_t i = 1; i < age::recipients_max; ++i) recipients.push_back(age::Identity::generate(random).recipient().text());
  const auto identity = age::Identity::generate(random);
  recipients.push_back(identity.recipient().text());
  const auto key_file = (folder.path() / "key.txt").string();
  std::ofstream{key_file} << identity.reveal() << "\n";
  const auto [device, token] = make_device("Lamp");
  const BackupOptions backup{{data.string()}, (folder.path() / "b.muster").string(), recipients};
  ASSERT_TRUE(run([&](Context& c) { return back_up(c, backup); })) << err;
  const auto fresh = folder.path() / "fresh";
  ASSERT_TRUE(run([&](Context& c) { return restore(c, {{fresh.string()}, backup.out, key_file, false}); }));
  EXPECT_TRUE(logs_in(fresh, token, device));
}

TEST_F(OfflineCommands, TheOnlyAdministratorNeedsNoName) {
  ASSERT_TRUE(run([&](Context& c) { return recover_administrator(c, {{data.string()}, ""}); }, {"second password"}, true)) << err;
  EXPECT_NE(out.find("\"admin@example.com\""), std::string::npos) << out;
  const auto credentials = store->find_credentials("admin@example.com").value();
  EXPECT_EQ(verify_password(credentials->verifier, password_prehash("second password", "admin@example.com")), PasswordVerdict::right);
  ASSERT_TRUE(run([&](Context& c) { return recover_administrator(c, {{data.string()}, "other@example.com", true}); }, {"third password"}));
  const auto unclear = run([&](Context& c) { return recover_administrator(c, {{data.string()}, ""}); }, {"fourth password"});
  ASSERT_FALSE(unclear);
  EXPECT_EQ(unclear.error().exit_code, exit_usage);
  EXPECT_NE(unclear.error().message.find("admin@example.com, other@example.com"), std::string::npos) << unclear.error().message;
}

TEST_F(OfflineCommands, ALockedOutAdministratorGetsIn) {
  ASSERT_TRUE(
      run([&](Context& c) { return recover_administrator(c, {{data.string()}, " Admin@Example.com "}); }, {"second password"}, true))
      << err;
  const auto credentials = store->find_credentials("admin@example.com").value();
  ASSERT_TRUE(credentials);
  EXPECT_EQ(verify_password(credentials->verifier, password_prehash("second password", "admin@example.com")), PasswordVerdict::right);
  // A typing mistake makes nobody an administrator.
  const auto mistyped = run([&](Context& c) { return recover_administrator(c, {{data.string()}, "new@example.com"}); }, {"third password"});
  ASSERT_FALSE(mistyped);
  EXPECT_EQ(mistyped.error().exit_code, exit_usage);
  EXPECT_NE(mistyped.error().message.find("There is admin@example.com"), std::string::npos) << mistyped.error().message;
  EXPECT_FALSE(store->find_credentials("new@example.com").value());
  ASSERT_TRUE(run([&](Context& c) { return recover_administrator(c, {{data.string()}, "new@example.com", true}); }, {"third password"}));
  EXPECT_TRUE(store->find_credentials("new@example.com").value());
  EXPECT_EQ(run([&](Context& c) { return recover_administrator(c, {{data.string()}, "nonsense"}); }, {"third password"}).error().exit_code,
            exit_usage);
  EXPECT_EQ(run([&](Context& c) { return recover_administrator(c, {{data.string()}, "a@b.c"}); }, {"short"}).error().exit_code, exit_usage);
}

}  // namespace
}  // namespace muster::cli
