// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/sqlite_store.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>

#include "cloud/base/auth_token.hpp"
#include "cloud/base/key_ring.hpp"
#include "cloud/base/temporary_folder.hpp"
#include "cloud/domain/error.hpp"
#include "cloud/store/shared_clock.hpp"
#include "cloud/store/sqlite/connection.hpp"
#include "cloud/store/sqlite/durability_check.hpp"
#include "cloud/store/sqlite/migration_texts.hpp"
#include "cloud/store/sqlite/migrations.hpp"
#include "cloud/store/sqlite/power_cut_vfs.hpp"

/// What SqliteStore promises beyond the contract: trouble with the file is told apart from "not found", and passes by itself.
namespace muster::store {
namespace {

namespace fs = std::filesystem;
using domain::StoreError;
using domain::TokenKind;
using std::chrono::milliseconds;

std::string read_all(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}
void write_all(const fs::path& path, std::string_view bytes) { std::ofstream{path, std::ios::binary | std::ios::trunc} << bytes; }

class SqliteFile : public testing::Test {
 protected:
  std::unique_ptr<SqliteStore> open(SqliteOptions options = {}) {
    options.clock = &clock_;
    options.busy_timeout = milliseconds{50};
    return SqliteStore::open(path_, options);
  }
  /// A store with `devices` devices whose tokens stand for the secrets 1..devices, closed.
  void fill(int devices) {
    const auto store = open();
    site_ = prepare_site(*store);
    for (int i = 1; i <= devices; ++i) ASSERT_TRUE(create(*store, static_cast<std::uint64_t>(i)));
  }
  /// The filled file as a program with only the first `version` migrations would have made it.
  void make_older(std::size_t version) {
    const auto newer = path_.native() + ".newer";
    fs::rename(path_, newer);
    // Not by a Connection: those attach nothing.
    sqlite3* older = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &older), SQLITE_OK);
    const auto run = [older](const std::string& sql) {
      EXPECT_EQ(sqlite3_exec(older, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(older);
    };
    const auto texts = [older](const std::string& sql) {
      std::vector<std::string> found;
      const auto take = [](void* into, int, char** columns, char**) {
        static_cast<std::vector<std::string>*>(into)->emplace_back(columns[0] == nullptr ? "" : columns[0]);
        return 0;
      };
      EXPECT_EQ(sqlite3_exec(older, sql.c_str(), take, &found, nullptr), SQLITE_OK) << sqlite3_errmsg(older);
      return found;
    };
    for (std::size_t i = 0; i < version; ++i) run(migration_texts[i]);
    run("ATTACH '" + newer + "' AS newer");
    for (const auto& table : texts("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT IN "
                                   "('audit', 'setting')")) {
      const auto names = texts("SELECT group_concat(old.name) FROM pragma_table_info('" + table +
                               "', 'main') AS old JOIN pragma_table_info('" + table + "', 'newer') AS new ON new.name = old.name");
      run("DELETE FROM main." + table + "; INSERT INTO main." + table + " (" + names.at(0) + ") SELECT " + names.at(0) + " FROM newer." +
          table);
    }
    run("INSERT INTO main.audit (id, at, actor_user_id, client, ip, organization_id, action, object_kind, object_id, detail) SELECT id, "
        "at, "
        "actor_user_id, client, '192.0.2.77', organization_id, action, object_kind, object_id, json_patch(detail, coalesce((SELECT text "
        "FROM "
        "newer.audit_personal WHERE entry = audit.number AND part = 1), '{}')) FROM newer.audit;"
        "INSERT OR REPLACE INTO main.setting SELECT * FROM newer.setting WHERE name IN ('unknown_tokens', 'live_tokens', 'devices', "
        "'changes_trimmed_to');"
        "DELETE FROM main.sqlite_sequence; INSERT INTO main.sqlite_sequence SELECT * FROM newer.sqlite_sequence WHERE name IN (SELECT name "
        "FROM "
        "main.sqlite_schema);"
        "PRAGMA main.application_id = " +
        std::to_string(application_id) + "; PRAGMA main.user_version = " + std::to_string(version));
    sqlite3_close(older);
  }
  /// What is wrong with the audit log's chain.
  std::vector<domain::AuditFinding> audit_findings(domain::Store& store) {
    const auto key = AuditKey::of_tests();
    domain::AuditCheck check{*key, {}};
    EXPECT_TRUE(store.for_each_audit_link([&](const domain::AuditLink& link) { check.take(link); }));
    check.finish(store.audit_numbers_given().value());
    return check.findings();
  }
  Result<domain::Device> create(domain::Store& store, std::uint64_t secret) {
    domain::Device device;
    device.organization_id = site_.organization;
    device.template_id = site_.template_id;
    device.name = "device " + std::to_string(secret);
    return store.create_device(device, token_of_secret(secret), {});
  }
  std::unique_ptr<Connection> raw(Connection::Use use = Connection::Use::write) {
    ConnectionOptions options;
    options.path = path_;
    options.busy_timeout = milliseconds{50};
    auto connection = Connection::open(options, use);
    EXPECT_TRUE(connection);
    return std::move(connection).value();
  }
  void pass_a_second() { clock_.advance(milliseconds{1001}); }
  static Result<std::optional<domain::FoundToken>> look_up(domain::Store& store, std::uint64_t secret) {
    return store.find_token(std::array{digest_of_secret(secret)});
  }

  TemporaryFolder folder_;
  fs::path path_ = folder_ / "muster.db";
  SharedClock clock_;
  Site site_;
};

#define EXPECT_STORE_ERROR(expected, ...)                                                 \
  do {                                                                                    \
    const auto& muster_result = __VA_ARGS__;                                              \
    ASSERT_FALSE(muster_result);                                                          \
    EXPECT_EQ(muster_result.error(), Error{expected}) << muster_result.error().message(); \
  } while (false)

// --- opening ---------------------------------------------------------------------------------------------------------------

TEST_F(SqliteFile, IsMadeAtTheFirstUseAndReadableByItsOwnerOnly) {
  const auto store = open();
  EXPECT_FALSE(fs::exists(path_));
  ASSERT_TRUE(store->check());
  for (const auto* suffix : {"", "-wal"}) {
    struct stat status{};
    ASSERT_EQ(::stat((path_.native() + suffix).c_str(), &status), 0) << suffix;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << suffix;
  }
  const auto connection = raw(Connection::Use::read);
  EXPECT_EQ(connection->number("PRAGMA application_id").value(), application_id);
  EXPECT_EQ(connection->number("PRAGMA user_version").value(), schema_version());
  EXPECT_EQ(connection->number("PRAGMA foreign_keys").value(), 1);
}

TEST_F(SqliteFile, LaysAuditEntriesOfAnEarlierVersionIntoTheChainAndMarksTheSeam) {
  fill(3);
  make_older(2);
  const auto before = raw(Connection::Use::read)->number("SELECT count(*) FROM audit").value().value();
  ASSERT_GT(before, 3);
  const auto store = open();
  ASSERT_TRUE(store->check());
  EXPECT_EQ(audit_findings(*store), std::vector<domain::AuditFinding>{});
  const std::array organizations{site_.organization};
  const auto entries = store->audit({.organizations = organizations}, {.limit = 1000}).value();
  ASSERT_EQ(entries.total, before + 1);
  EXPECT_EQ(entries.rows[0].action, "audit.chain");
  EXPECT_EQ(entries.rows[0].detail, "{\"entries\":" + std::to_string(before) + "}");
  const auto& set_up = entries.rows.back();
  EXPECT_EQ(set_up.action, "setup");
  EXPECT_EQ(set_up.ip, "192.0.2.77");
  EXPECT_NE(set_up.detail.find("@"), std::string::npos) << set_up.detail;
  const auto connection = raw(Connection::Use::read);
  EXPECT_EQ(connection->number("SELECT count(*) FROM audit WHERE instr(detail, '@') > 0").value(), 0) << "names stand apart";
  ASSERT_TRUE(create(*store, 9));
  EXPECT_EQ(audit_findings(*store), std::vector<domain::AuditFinding>{});
}

TEST_F(SqliteFile, RefusesToChangeOrDeleteAuditEntries) {
  fill(2);
  const auto connection = raw();
  for (const auto* sql : {"UPDATE audit SET detail = '{}'", "DELETE FROM audit", "DELETE FROM audit WHERE id = 1",
                          "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE id = 1", "UPDATE audit_personal SET text = ''"})
    EXPECT_FALSE(connection->execute(sql)) << sql;
  const auto store = open();
  EXPECT_EQ(audit_findings(*store), std::vector<domain::AuditFinding>{});
}

TEST_F(SqliteFile, AnOperationThatFailsLeavesNoHoleInTheChain) {
  fill(1);
  const auto store = open();
  EXPECT_FALSE(create(*store, 1));  // The token is taken: its savepoint goes, with its entry.
  ASSERT_TRUE(create(*store, 2));
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::uint64_t i = 0; i < 20; ++i) static_cast<void>(create(*store, 1 + thread * 15 + i));  // Some win, some lose.
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(audit_findings(*store), std::vector<domain::AuditFinding>{});
}

TEST_F(SqliteFile, BringsAFilledDatabaseOfTheFirstVersionUp) {
  fill(5);
  make_older(1);
  {
    // One template has a field of the name that the second migration gives, made by a person.
    const auto connection = raw();
    ASSERT_TRUE(connection->execute(
        "DELETE FROM meta_field WHERE name = 'Device UID'; INSERT INTO template SELECT 77, organization_id, 'Own field', board_type, "
        "connection_type, manufacturer, description, hotspot_prefix, firmware_type, offline_ignore_period_s, allow_public_plain_text, "
        "version, "
        "next_datastream_id, 9, next_event_id, created_at, updated_at FROM template LIMIT 1; "
        "INSERT INTO meta_field VALUES (77, 8, 'Device UID', 1, 'mine', '', 0, 0, 0)"));
  }
  const auto store = open();
  ASSERT_TRUE(store->check());
  for (std::uint64_t secret = 1; secret <= 5; ++secret) {
    const auto found = look_up(*store, secret);
    ASSERT_TRUE(found && *found) << secret;
    EXPECT_EQ((*found)->record.kind, TokenKind::device);
    EXPECT_FALSE((*found)->record.is_quiet);
  }
  const auto connection = raw(Connection::Use::read);
  EXPECT_EQ(connection->number("PRAGMA user_version").value(), schema_version());
  EXPECT_EQ(connection->number("SELECT count(*) FROM pragma_foreign_key_check").value(), 0);
  EXPECT_EQ(connection->number("SELECT count(*) FROM template").value(), 2);
  EXPECT_EQ(connection->number("SELECT count(*) FROM meta_field WHERE name = 'Device UID'").value(), 2);
  EXPECT_EQ(connection->number("SELECT count(*) FROM meta_field WHERE name = 'Device UID' AND default_value = 'mine'").value(), 1);
  EXPECT_EQ(connection
                ->number("SELECT count(*) FROM template WHERE next_meta_field_id <= (SELECT max(id) FROM meta_field WHERE template_id "
                         "= template.id)")
                .value(),
            0)
      << "no id of a field is given twice";
  ASSERT_TRUE(create(*store, 6));
}

TEST_F(SqliteFile, IsTriedAgainAtMostOnceASecondAndGetsReadyByItself) {
  path_ = folder_ / "later" / "muster.db";
  const auto store = open();
  EXPECT_STORE_ERROR(StoreError::unavailable, store->check());
  fs::create_directory(folder_ / "later");
  EXPECT_STORE_ERROR(StoreError::unavailable, store->check());  // Not yet.
  pass_a_second();
  EXPECT_TRUE(store->check());
}

TEST_F(SqliteFile, IsTriedAgainAlsoWhenTheClockIsBehindTheLastAttempt) {
  path_ = folder_ / "later" / "muster.db";
  const auto store = open();
  EXPECT_STORE_ERROR(StoreError::unavailable, store->check());
  fs::create_directory(folder_ / "later");
  clock_.set_utc({1});  // The wall clock does not matter.
  clock_.advance(milliseconds{2000});
  EXPECT_TRUE(store->check());
}

TEST_F(SqliteFile, IsWaitedForWhenItGoesAwayAndNeverReplaced) {
  fill(3);
  const auto store = open();
  ASSERT_TRUE(look_up(*store, 1).value());
  fs::rename(path_, folder_ / "away.db");
  for (int second = 0; second < 3; ++second) {
    EXPECT_STORE_ERROR(StoreError::unavailable, store->check());
    EXPECT_STORE_ERROR(StoreError::unavailable, look_up(*store, 1));
    EXPECT_STORE_ERROR(StoreError::unavailable, create(*store, 100));
    EXPECT_FALSE(fs::exists(path_));
    pass_a_second();
  }
  fs::rename(folder_ / "away.db", path_);
  pass_a_second();
  ASSERT_TRUE(store->check());
  EXPECT_TRUE(look_up(*store, 1).value());
  EXPECT_FALSE(look_up(*store, 100).value());
  EXPECT_TRUE(create(*store, 100));
}

TEST_F(SqliteFile, IsNotWrittenAfterItWasMoved) {
  fill(1);
  const auto store = open();
  ASSERT_TRUE(create(*store, 2));  // Still in the log.
  fs::rename(path_, folder_ / "away.db");
  EXPECT_STORE_ERROR(StoreError::unavailable, create(*store, 3));
  store->close();
  path_ = folder_ / "away.db";  // What was acknowledged went along.
  const auto moved = open();
  EXPECT_TRUE(look_up(*moved, 2).value());
  EXPECT_FALSE(look_up(*moved, 3).value());
}

TEST_F(SqliteFile, CanBeReplacedByAnotherWhileTheStoreIsOpen) {
  fill(1);
  const std::string old = read_all(path_);
  const auto store = open();
  ASSERT_TRUE(create(*store, 2));
  const auto seq = store->newest_change().value();
  fs::rename(path_, folder_ / "newer.db");
  ASSERT_TRUE(store->check().has_error());  // It notices, and lets go of the log.
  write_all(path_, old);
  pass_a_second();
  ASSERT_TRUE(store->check()) << store->check().error().message();
  EXPECT_FALSE(look_up(*store, 2).value());
  EXPECT_TRUE(store->changes_after(seq, 10)->too_far_behind);
}

TEST_F(SqliteFile, OpensNothingInItsPlaceWhileSomebodyStillReadsTheOldOne) {
  fill(3);
  const std::string old = read_all(path_);
  const auto store = open();
  ASSERT_TRUE(create(*store, 10));
  int seen = 0;
  ASSERT_TRUE(store->for_each_live_token([&](const domain::TokenRecord&) {
    if (seen++ != 0) return;
    fs::rename(path_, folder_ / "old.db");
    write_all(path_, old);
    for (int second = 0; second < 2; ++second) {
      EXPECT_STORE_ERROR(StoreError::unavailable, look_up(*store, 10));
      pass_a_second();
    }
  }));
  EXPECT_EQ(seen, 4);  // One snapshot, to its end.
  pass_a_second();
  ASSERT_TRUE(store->check()) << store->check().error().message();
  EXPECT_FALSE(look_up(*store, 10).value());  // Nothing of the old one's log reached it.
  EXPECT_TRUE(look_up(*store, 3).value());
  EXPECT_TRUE(create(*store, 11));
  store->close();
  path_ = folder_ / "old.db";
  EXPECT_TRUE(look_up(*open(), 10).value());
}

TEST_F(SqliteFile, DoesNotThrowAwayALogThatLostItsDatabase) {
  fill(1);
  const auto store = open();
  ASSERT_TRUE(create(*store, 2));
  fs::create_directory(folder_ / "other");
  const std::string log = read_all(path_.native() + "-wal");
  ASSERT_FALSE(log.empty());
  write_all((folder_ / "other").native() + "/muster.db-wal", log);
  path_ = folder_ / "other" / "muster.db";
  const auto other = open();
  EXPECT_STORE_ERROR(StoreError::unavailable, other->check());
  EXPECT_EQ(read_all(path_.native() + "-wal"), log);
}

TEST_F(SqliteFile, OfANewerVersionNeedsAPerson) {
  fill(1);
  ASSERT_TRUE(raw()->execute("PRAGMA user_version = 999"));
  const auto store = open();
  EXPECT_STORE_ERROR(StoreError::newer_version, store->check());
  EXPECT_STORE_ERROR(StoreError::newer_version, look_up(*store, 1));
  EXPECT_STORE_ERROR(StoreError::newer_version, create(*store, 2));
  ASSERT_TRUE(raw()->execute(("PRAGMA user_version = " + std::to_string(schema_version())).c_str()));
  pass_a_second();
  EXPECT_TRUE(store->check());
}

TEST_F(SqliteFile, OfAnotherProgramIsNotTouched) {
  ASSERT_TRUE(raw(Connection::Use::write_create)->execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)"));
  const std::string before = read_all(path_);
  const auto store = open();
  EXPECT_STORE_ERROR(StoreError::corrupt, store->check());
  EXPECT_EQ(read_all(path_), before);
}

TEST_F(SqliteFile, ThatIsNoDatabaseIsCorrupt) {
  write_all(path_, std::string(8192, 'x'));
  const auto store = open();
  EXPECT_STORE_ERROR(StoreError::corrupt, store->check());
  pass_a_second();
  EXPECT_STORE_ERROR(StoreError::corrupt, look_up(*store, 1));
}

TEST_F(SqliteFile, ThatBecameEmptyIsCorruptAndNotNew) {
  fill(1);
  const auto store = open();
  ASSERT_TRUE(store->check());
  store->close();
  SqliteOptions options;
  options.create = false;  // As after the first open of a process.
  write_all(path_, "");
  const auto again = open(options);
  EXPECT_STORE_ERROR(StoreError::corrupt, again->check());
  EXPECT_STORE_ERROR(StoreError::corrupt, look_up(*again, 1));
}

TEST_F(SqliteFile, ThatIsCutShortIsCorruptUntilItIsReplaced) {
  fill(200);
  const std::string whole = read_all(path_);
  write_all(path_, std::string_view{whole}.substr(0, whole.size() / 2));
  const auto store = open();
  int errors = 0;
  for (std::uint64_t secret = 1; secret <= 200; ++secret) {
    const auto found = look_up(*store, secret);
    if (!found) {
      EXPECT_EQ(found.error(), Error{StoreError::corrupt});
      ++errors;
    } else {
      EXPECT_TRUE(*found) << secret;
    }
    pass_a_second();
  }
  EXPECT_GT(errors, 100);
  EXPECT_STORE_ERROR(StoreError::corrupt, store->check());
  write_all(path_, whole);
  pass_a_second();
  ASSERT_TRUE(store->check()) << store->check().error().message();
  EXPECT_TRUE(look_up(*store, 200).value());
}

// --- damage ----------------------------------------------------------------------------------------------------------------

class SqliteDamage : public SqliteFile {
 protected:
  static constexpr std::uint64_t devices = 60;

  /// How a login would fare with this file: a live token is positively unknown only when the view was built without it and the
  /// store says that it was never issued, or a tombstone. Answers which secrets would hear "invalid".
  std::vector<std::uint64_t> wrongly_refused() {
    std::vector<std::uint64_t> refused;
    const auto store = open();
    std::set<std::array<std::uint8_t, 32>> view;
    if (!store->for_each_live_token([&](const domain::TokenRecord& record) { view.insert(record.digest.mac); }))
      return refused;  // Not ready: held.
    for (std::uint64_t secret = 1; secret <= devices; ++secret) {
      if (view.contains(digest_of_secret(secret).mac)) continue;
      const auto found = look_up(*store, secret);
      if (found && (!*found || (*found)->record.kind == TokenKind::revoked)) refused.push_back(secret);
    }
    return refused;
  }
};

TEST_F(SqliteDamage, OfAnyPageNeverMakesALiveTokenUnknown) {
  fill(static_cast<int>(devices));
  const std::string whole = read_all(path_);
  const std::size_t pages = whole.size() / 4096;
  ASSERT_GT(pages, 20u);
  for (std::size_t page = 0; page < pages; ++page) {
    for (const char filler : {'\0', '\xFF', 'x'}) {
      std::string damaged = whole;
      damaged.replace(page * 4096, 4096, std::string(4096, filler));
      write_all(path_, damaged);
      const auto refused = wrongly_refused();
      EXPECT_TRUE(refused.empty()) << "page " << page << ", secret " << refused[0];
    }
    // A page of the same file in another's place.
    std::string damaged = whole;
    damaged.replace(page * 4096, 4096, whole, (page + 1) % pages * 4096, 4096);
    write_all(path_, damaged);
    const auto refused = wrongly_refused();
    EXPECT_TRUE(refused.empty()) << "page " << page << " replaced, secret " << refused[0];
  }
}

TEST_F(SqliteDamage, OfAnyByteNeverMakesALiveTokenUnknown) {
  fill(static_cast<int>(devices));
  const std::string whole = read_all(path_);
  SeededRandom random{7};
  for (int i = 0; i < 400; ++i) {
    const auto at = random.below(whole.size());
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.below(8)));
    write_all(path_, damaged);
    const auto refused = wrongly_refused();
    EXPECT_TRUE(refused.empty()) << "byte " << at << ", secret " << refused[0];
  }
}

TEST_F(SqliteDamage, BetweenIndexAndTableOfATokenIsFound) {
  fill(static_cast<int>(devices));
  std::string bytes = read_all(path_);
  const auto digest = digest_of_secret(7);
  const std::string mac{digest.mac.begin(), digest.mac.end()};
  int places = 0;
  for (auto at = bytes.find(mac); at != std::string::npos; at = bytes.find(mac, at + 1)) {
    ++places;
    std::string damaged = bytes;
    damaged[at + 31] = static_cast<char>(damaged[at + 31] ^ 1);
    write_all(path_, damaged);
    EXPECT_TRUE(wrongly_refused().empty());
  }
  EXPECT_EQ(places, 2);  // Once in the table, once in its index.
}

TEST_F(SqliteFile, WhoseCountsDoNotFitIsCorrupt) {
  fill(5);
  ASSERT_TRUE(raw()->execute("UPDATE setting SET value = value + 1 WHERE name = 'live_tokens'"));
  {
    const auto store = open();
    EXPECT_STORE_ERROR(StoreError::corrupt, store->for_each_live_token([](const domain::TokenRecord&) {}));
  }
  ASSERT_TRUE(raw()->execute(
      "UPDATE setting SET value = value - 1 WHERE name = 'live_tokens'; UPDATE setting SET value = value - 1 WHERE name = 'devices'"));
  const auto store = open();
  ASSERT_TRUE(store->for_each_live_token([](const domain::TokenRecord&) {}));
  EXPECT_STORE_ERROR(StoreError::corrupt, store->for_each_device([](const domain::DeviceRow&) {}));
}

TEST_F(SqliteFile, DoesNotLetTokensBeDeleted) {
  fill(1);
  EXPECT_FALSE(raw()->execute("DELETE FROM auth_token"));
}

// --- locks and limits --------------------------------------------------------------------------------------------------------

TEST_F(SqliteFile, ThatSomebodyElseWritesIsBusyForWritersOnly) {
  fill(1);
  const auto store = open();
  ASSERT_TRUE(store->check());
  const auto other = raw();
  ASSERT_TRUE(other->execute("BEGIN EXCLUSIVE"));
  EXPECT_STORE_ERROR(StoreError::busy, create(*store, 2));
  EXPECT_TRUE(look_up(*store, 1).value());
  EXPECT_FALSE(look_up(*store, 2).value());
  ASSERT_TRUE(other->execute("ROLLBACK"));
  EXPECT_TRUE(create(*store, 2));
}

TEST_F(SqliteFile, ThatSomebodyElseHasForHimselfIsWaitedFor) {
  fill(1);
  auto other = raw();
  ASSERT_TRUE(other->execute("PRAGMA locking_mode = EXCLUSIVE"));
  ASSERT_TRUE(other->execute("BEGIN EXCLUSIVE; COMMIT"));
  const auto store = open();
  EXPECT_STORE_ERROR(StoreError::busy, store->check());
  EXPECT_STORE_ERROR(StoreError::busy, look_up(*store, 1));
  other.reset();
  pass_a_second();
  ASSERT_TRUE(store->check());
  EXPECT_TRUE(look_up(*store, 1).value());
}

TEST_F(SqliteFile, RefusesOperationsPastTheQueue) {
  fill(0);
  SqliteOptions options;
  options.queue_max = 2;
  options.group_max = 1;
  options.clock = &clock_;
  options.busy_timeout = milliseconds{60'000};
  const auto store = SqliteStore::open(path_, options);
  ASSERT_TRUE(store->check());
  const auto other = raw();
  ASSERT_TRUE(other->execute("BEGIN IMMEDIATE"));
  std::atomic<int> refused{0}, made{0}, wrong{0};
  std::vector<std::thread> threads;
  for (std::uint64_t i = 1; i <= 20; ++i) {
    threads.emplace_back([&, i] {
      const auto result = create(*store, i);
      result ? ++made : result.error() == Error{StoreError::busy} ? ++refused : ++wrong;
    });
  }
  // One is being run, two wait, the others are refused at once.
  for (int i = 0; i < 3000 && refused < 17; ++i) std::this_thread::sleep_for(milliseconds{10});
  EXPECT_EQ(refused, 17);
  ASSERT_TRUE(other->execute("ROLLBACK"));
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(made, 3);
  EXPECT_EQ(wrong, 0);
}

TEST_F(SqliteFile, RefusesReadersPastThePool) {
  fill(3);
  SqliteOptions options;
  options.readers_max = 1;
  const auto store = open(options);
  int seen = 0;
  ASSERT_TRUE(store->for_each_device([&](const domain::DeviceRow&) {
    ++seen;
    std::thread{[&] { EXPECT_STORE_ERROR(StoreError::busy, look_up(*store, 1)); }}.join();
  }));
  EXPECT_EQ(seen, 3);
  EXPECT_TRUE(look_up(*store, 1).value());
}

TEST_F(SqliteFile, SharesCommitsBetweenOperationsThatWait) {
  fill(0);
  const auto store = open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) EXPECT_TRUE(create(*store, static_cast<std::uint64_t>(t * 20 + i + 1)));
    });
  }
  for (auto& thread : threads) thread.join();
  const auto statistics = store->writer_statistics();
  std::printf("%lu operations in %lu commits\n", statistics.operations, statistics.commits);
  EXPECT_EQ(statistics.operations, 320u);
  EXPECT_LT(statistics.commits, 250u);
}

TEST_F(SqliteFile, AnswersShuttingDownAfterClose) {
  fill(1);
  const auto store = open();
  ASSERT_TRUE(store->check());
  store->close();
  EXPECT_STORE_ERROR(StoreError::shutting_down, store->check());
  EXPECT_STORE_ERROR(StoreError::shutting_down, look_up(*store, 1));
  EXPECT_STORE_ERROR(StoreError::shutting_down, create(*store, 2));
}

TEST_F(SqliteFile, AReaderSeesOneMoment) {
  fill(50);
  const auto store = open();
  int seen = 0;
  ASSERT_TRUE(store->for_each_live_token([&](const domain::TokenRecord&) {
    if (seen++ == 0) {
      for (std::uint64_t secret = 1000; secret < 1020; ++secret) EXPECT_TRUE(create(*store, secret));
    }
  }));
  EXPECT_EQ(seen, 50);
}

TEST_F(SqliteFile, ForgetsAddressesNobodyLoggedInFromForLong) {
  fill(1);
  const auto store = open();
  const auto log_in = [&](std::string ip) {
    domain::PresenceUpdate update;
    update.device_id = DeviceId{1};
    update.connected_at = clock_.utc_now();
    update.ip = std::move(ip);
    ASSERT_TRUE(store->write_presence(std::array{update}));
  };
  const auto seen = [&] {
    std::set<std::string> all;
    EXPECT_TRUE(store->for_each_seen_ip([&](std::string_view ip) { all.emplace(ip); }));
    return all;
  };
  log_in("192.0.2.1");
  clock_.advance(std::chrono::hours{24 * 60});
  log_in("192.0.2.2");
  EXPECT_EQ(seen(), (std::set<std::string>{"192.0.2.1", "192.0.2.2"}));
  clock_.advance(std::chrono::hours{24 * 40});
  log_in("192.0.2.3");
  EXPECT_EQ(seen(), (std::set<std::string>{"192.0.2.2", "192.0.2.3"}));
}

// --- secrets -----------------------------------------------------------------------------------------------------------------

TEST_F(SqliteFile, HoldsNoTokenInClearAndNothingSealedOfARevokedOne) {
  SecureRandom random;
  const auto ring = KeyRing::in_memory(random);
  fill(0);
  const auto store = open();
  std::vector<AuthToken> tokens;
  std::vector<std::string> sealed;
  for (int i = 0; i < 20; ++i) {
    tokens.push_back(AuthToken::generate(random));
    const auto digests = ring->digest("auth-token", tokens.back().reveal());
    sealed.push_back(ring->seal("auth-token", tokens.back().reveal(), random));
    domain::Device device;
    device.organization_id = site_.organization;
    device.template_id = site_.template_id;
    device.name = "device";
    ASSERT_TRUE(store->create_device(device, {digests.newest(), digests.all(), sealed.back()}, {}));
    ASSERT_TRUE(store->reveal_token(DeviceId{i + 1}, {}));
  }
  for (int i = 0; i < 20; i += 2) ASSERT_TRUE(store->delete_device(DeviceId{i + 1}, {}));
  for (const auto* suffix : {"", "-wal", "-shm"}) {
    const std::string bytes = read_all(path_.native() + suffix);
    EXPECT_FALSE(bytes.empty());
    for (const auto& token : tokens) EXPECT_EQ(bytes.find(token.reveal()), std::string::npos) << suffix;
  }
  store->close();
  const std::string bytes = read_all(path_);
  for (std::size_t i = 0; i < sealed.size(); ++i) EXPECT_EQ(bytes.find(sealed[i]) != std::string::npos, i % 2 == 1) << i;
}

// --- a disk that fails ---------------------------------------------------------------------------------------------------------

class FailingDisk : public testing::Test {
 protected:
  void SetUp() override {
    options_.vfs = disk_.vfs_name();
    options_.clock = &clock_;
    options_.busy_timeout = milliseconds{20};
    store_ = SqliteStore::open("muster.db", options_);
    site_ = prepare_site(*store_);
    for (std::uint64_t secret = 1; secret <= live; ++secret) ASSERT_TRUE(create(secret));
  }
  Result<domain::Device> create(std::uint64_t secret) {
    domain::Device device;
    device.organization_id = site_.organization;
    device.template_id = site_.template_id;
    device.name = "device";
    return store_->create_device(device, token_of_secret(secret), {});
  }
  /// Logins of live tokens: how many found theirs; one that is positively unknown is a failure.
  int log_in(int times) {
    int found = 0;
    for (int i = 0; i < times; ++i) {
      const auto result = store_->find_token(std::array{digest_of_secret(static_cast<std::uint64_t>(i) % live + 1)});
      if (!result) continue;
      EXPECT_TRUE(*result);
      EXPECT_EQ((*result)->record.kind, TokenKind::device);
      ++found;
    }
    return found;
  }

  static constexpr std::uint64_t live = 20;
  PowerCutDisk disk_{"failing-disk"};
  SharedClock clock_;
  SqliteOptions options_;
  Site site_;
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(FailingDisk, FullOrReadOnlyRefusesWritesAndGoesOnReading) {
  struct Case {
    int code;
    StoreError expected;
  };
  std::uint64_t secret = 1000;
  for (const auto& [code, expected] : {Case{SQLITE_FULL, StoreError::disk_full}, Case{SQLITE_READONLY, StoreError::read_only}}) {
    disk_.fail_writes(code);
    EXPECT_EQ(create(++secret).error(), Error{expected});
    EXPECT_EQ(log_in(1000), 1000);
    disk_.fail_writes(0);
    clock_.advance(milliseconds{1001});
    const auto again = create(++secret);
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_FALSE(store_->find_token(std::array{digest_of_secret(secret - 1)}).value());
  }
}

TEST_F(FailingDisk, ThatCannotBeWrittenLosesNothingAndComesBack) {
  disk_.fail_writes(SQLITE_IOERR_WRITE);
  EXPECT_EQ(create(1000).error(), Error{StoreError::unavailable});
  log_in(1000);
  disk_.fail_writes(0);
  clock_.advance(milliseconds{1001});
  ASSERT_TRUE(store_->check()) << store_->check().error().message();
  EXPECT_EQ(log_in(1000), 1000);
  EXPECT_TRUE(create(1001));
}

TEST_F(FailingDisk, ThatCannotBeReadNeverMakesATokenUnknown) {
  for (const int code : {SQLITE_IOERR_READ, SQLITE_IOERR_SHORT_READ, SQLITE_NOMEM, SQLITE_INTERRUPT}) {
    store_ = nullptr;
    store_ = SqliteStore::open("muster.db", options_);
    ASSERT_TRUE(store_->check());
    disk_.fail_reads(code);
    log_in(1000);
    clock_.advance(milliseconds{1001});
    log_in(1000);
    EXPECT_FALSE(store_->check());
    disk_.fail_reads(0);
    clock_.advance(milliseconds{1001});
    // Zeros where pages should be look like damage, which only opening it anew (by a person) can disprove.
    if (code == SQLITE_IOERR_SHORT_READ) {
      store_ = nullptr;
      store_ = SqliteStore::open("muster.db", options_);
    }
    ASSERT_TRUE(store_->check()) << code << ": " << store_->check().error().message();
    EXPECT_EQ(log_in(1000), 1000);
  }
}

TEST_F(FailingDisk, ASyncThatFailsFailsItsWholeGroupAndNothingElse) {
  std::uint64_t acknowledged = 0;
  for (std::uint64_t i = 0; i < 40; ++i) {
    disk_.fail_writes(i % 4 == 3 ? SQLITE_IOERR_FSYNC : 0);
    if (create(1000 + i)) ++acknowledged;
    clock_.advance(milliseconds{1001});
  }
  disk_.fail_writes(0);
  clock_.advance(milliseconds{1001});
  EXPECT_EQ(acknowledged, 30u);
  std::uint64_t found = 0;
  ASSERT_TRUE(store_->for_each_live_token([&](const domain::TokenRecord&) { ++found; }));
  EXPECT_EQ(found, live + acknowledged);
}

// --- small parts -----------------------------------------------------------------------------------------------------------------

TEST(SqliteErrors, AreNeverMistakenForAnAnswer) {
  EXPECT_FALSE(error_of_code(SQLITE_OK));
  for (int code = 1; code < 100; ++code) {
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
      EXPECT_TRUE(error_of_code(code)) << code;
    }
  }
  EXPECT_EQ(error_of_code(SQLITE_BUSY_SNAPSHOT), Error{StoreError::busy});
  EXPECT_EQ(error_of_code(SQLITE_BUSY_RECOVERY), Error{StoreError::busy});
  EXPECT_EQ(error_of_code(SQLITE_CORRUPT_INDEX), Error{StoreError::corrupt});
  EXPECT_EQ(error_of_code(SQLITE_NOTADB), Error{StoreError::corrupt});
  EXPECT_EQ(error_of_code(SQLITE_READONLY_DIRECTORY), Error{StoreError::read_only});
  EXPECT_EQ(error_of_code(SQLITE_READONLY_DBMOVED), Error{StoreError::unavailable});
  EXPECT_EQ(error_of_code(SQLITE_CANTOPEN), Error{StoreError::unavailable});
  EXPECT_EQ(error_of_code(SQLITE_IOERR_FSYNC), Error{StoreError::unavailable});
  EXPECT_EQ(error_of_code(SQLITE_FULL), Error{StoreError::disk_full});
  EXPECT_EQ(error_of_code(12345), Error{StoreError::unavailable});
}

}  // namespace
}  // namespace muster::store
