// SPDX-License-Identifier: Apache-2.0
#include "cloud/store/sqlite/power_cut_vfs.hpp"

#include <gtest/gtest.h>

#include <cstdio>

#include <optional>
#include <string>
#include <thread>

#include "cloud/store/sqlite/durability_check.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"

/// A thousand short lives free memory all the time. AddressSanitizer keeps much of it aside, to find late uses; with less of
/// that the test takes half the time. Unused in other builds.
// NOLINTBEGIN(bugprone-reserved-identifier): AddressSanitizer calls it so.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=4:thread_local_quarantine_size_kb=64"; }
// NOLINTEND(bugprone-reserved-identifier)

namespace muster::store {
namespace {

/// Small transactions, and a log that is copied back all the time, so that cuts also fall into that.
SqliteOptions options_for(const PowerCutDisk& disk, Durability durability) {
  SqliteOptions options;
  options.vfs = disk.vfs_name();
  options.durability = durability;
  options.checkpoint_pages = 40;
  return options;
}

struct Outcome {
  std::vector<std::string> wrong;
  std::uint64_t operations = 0;
  std::size_t acknowledged = 0;
  bool cut = false;
};

class PowerCut : public testing::Test {
 protected:
  void SetUp() override {
    {
      const auto store = SqliteStore::open("muster.db", options_for(disk_, Durability::full));
      site_ = prepare_site(*store);
    }
    image_ = disk_.save();
  }

  /// One life: work until the power goes at the disk operation `cut`, then look at what survived.
  Outcome live(std::uint64_t seed, std::uint64_t cut, Durability durability) {
    Outcome outcome;
    SeededRandom random{seed};
    DurabilityLedger ledger;
    disk_.load(image_);
    disk_.cut_at(cut);
    const int threads = seed % 4 == 0 ? 3 : 1;
    {
      const auto store = SqliteStore::open("muster.db", options_for(disk_, durability));
      const auto work = [&](int thread) {
        for (int i = 0; i < 4 / threads + 1; ++i) {
          const auto number = static_cast<std::uint64_t>(thread * 100 + i);
          run_device(*store, site_, ledger, "device " + std::to_string(number), 1000 * (number + 1), static_cast<int>((seed + number) % 3),
                     (seed + number) % 5 == 0);
        }
      };
      std::vector<std::thread> workers;
      for (int t = 1; t < threads; ++t) workers.emplace_back(work, t);
      work(0);
      for (auto& worker : workers) worker.join();
      outcome.operations = disk_.operations();
      outcome.cut = disk_.off();
      if (!outcome.cut) disk_.cut_at(1);  // At the latest before the tidy end.
    }
    outcome.acknowledged = ledger.acknowledged();
    disk_.power_cycle(seed % 3 == 0 ? Unsynced::lost : Unsynced::torn, random);

    const auto store = SqliteStore::open("muster.db", options_for(disk_, Durability::full));
    if (const auto ready = store->check(); !ready) return outcome.wrong.push_back("does not open: " + ready.error().message()), outcome;
    ConnectionOptions connection_options;
    connection_options.path = "muster.db";
    connection_options.vfs = disk_.vfs_name();
    auto connection = Connection::open(connection_options, Connection::Use::read);
    if (!connection) return outcome.wrong.push_back("does not open twice"), outcome;
    outcome.wrong = compare(*store, **connection, ledger);
    return outcome;
  }

  PowerCutDisk disk_{"power-cut-test"};
  PowerCutDisk::Image image_;
  Site site_;
};

TEST_F(PowerCut, LosesNothingAcknowledgedInAThousandCuts) {
  // How many operations on the disk a whole life takes, to cut anywhere in it.
  const Outcome whole = live(1, 0, Durability::full);
  ASSERT_TRUE(whole.wrong.empty()) << whole.wrong[0];
  ASSERT_FALSE(whole.cut);
  ASSERT_GT(whole.operations, 50u);
  std::size_t cuts = 0, acknowledged = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    SeededRandom random{seed};
    const Outcome outcome = live(seed, 1 + random.below(whole.operations), Durability::full);
    cuts += outcome.cut ? 1 : 0;
    acknowledged += outcome.acknowledged;
    ASSERT_TRUE(outcome.wrong.empty()) << "seed " << seed << ": " << outcome.wrong[0];
  }
  std::printf("1000 lives, %zu cut off at work, %zu operations acknowledged, %lu disk operations in a whole life\n", cuts, acknowledged,
              whole.operations);
  EXPECT_GT(cuts, 800u);
  EXPECT_GT(acknowledged, 2000u);
}

TEST_F(PowerCut, TheSameCutsFindTheLossWhenNothingIsSynced) {
  const Outcome whole = live(1, 0, Durability::full);
  int losses = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SeededRandom random{seed};
    losses += live(seed, 1 + random.below(whole.operations), Durability::off).wrong.empty() ? 0 : 1;
  }
  std::printf("synchronous = OFF: %d of 60 cuts found a loss\n", losses);
  EXPECT_GT(losses, 10);
}

TEST_F(PowerCut, TheSameCutsFindTheLossWhenOnlyTheLogsEndIsNotSynced) {
  const Outcome whole = live(1, 0, Durability::full);
  int losses = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SeededRandom random{seed};
    losses += live(seed, 1 + random.below(whole.operations), Durability::normal).wrong.empty() ? 0 : 1;
  }
  std::printf("synchronous = NORMAL: %d of 60 cuts found a loss\n", losses);
  EXPECT_GT(losses, 5);
}

TEST_F(PowerCut, AStoreThatIsCutOffWhileItIsMadeIsMadeAfterwards) {
  for (std::uint64_t cut = 1; cut <= 60; ++cut) {
    SeededRandom random{cut};
    disk_.load({});
    disk_.cut_at(cut);
    {
      const auto store = SqliteStore::open("muster.db", options_for(disk_, Durability::full));
      static_cast<void>(store->check());
      if (!disk_.off()) disk_.cut_at(1);
    }
    disk_.power_cycle(cut % 2 == 0 ? Unsynced::lost : Unsynced::torn, random);
    const auto store = SqliteStore::open("muster.db", options_for(disk_, Durability::full));
    ASSERT_TRUE(store->check()) << "cut " << cut << ": " << store->check().error().message();
    ASSERT_TRUE(store->set_up("Root", "root@example.com", "v", {})) << "cut " << cut;
  }
}

}  // namespace
}  // namespace muster::store
