// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "cloud/base/random.hpp"
#include "cloud/base/temporary_folder.hpp"
#include "cloud/store/sqlite/durability_check.hpp"
#include "cloud/store/sqlite/sqlite_store.hpp"

/// A process that creates devices and replaces tokens with several threads is killed in the middle, again and again; what it
/// said it had done must be there.
namespace muster::store {
namespace {

constexpr int rounds = 50, threads = 4, devices_per_thread = 400;

/// What the child tells through the pipe: smaller than PIPE_BUF, so that records of several threads do not mix.
struct Message {
  char kind;  ///< 'b' begins, 'a' acknowledged.
  std::uint32_t device;
  std::uint64_t token;
};

void send(int pipe, char kind, std::uint32_t device, std::uint64_t token) {
  Message message;
  std::memset(&message, 0, sizeof message);
  message.kind = kind;
  message.device = device;
  message.token = token;
  if (::write(pipe, &message, sizeof message) != sizeof message) ::_exit(3);
}

std::string name_of(std::uint32_t device) { return "device " + std::to_string(device); }

/// The child's life: never returns.
[[noreturn]] void work(const std::filesystem::path& path, const Site& site, int round, int pipe) {
  const auto store = SqliteStore::open(path, {});
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      for (int i = 0; i < devices_per_thread; ++i) {
        const auto number = static_cast<std::uint32_t>((round * threads + t) * devices_per_thread + i);
        std::uint64_t secret = std::uint64_t{number} * 8 + 1;
        domain::Device device;
        device.organization_id = site.organization;
        device.template_id = site.template_id;
        device.name = name_of(number);
        send(pipe, 'b', number, secret);
        const auto made = store->create_device(device, token_of_secret(secret), {});
        if (!made) ::_exit(4);
        send(pipe, 'a', number, secret);
        for (int n = 0; n < i % 3; ++n) {
          ++secret;
          send(pipe, 'b', number, secret);
          if (!store->replace_token(made->id, token_of_secret(secret), {})) ::_exit(5);
          send(pipe, 'a', number, secret);
        }
      }
    });
  }
  for (auto& worker : workers) worker.join();
  ::_exit(0);
}

TEST(Kill, LosesNothingAcknowledgedInFiftyKills) {
  const TemporaryFolder folder;
  const auto path = folder / "muster.db";
  Site site;
  {
    const auto store = SqliteStore::open(path, {});
    site = prepare_site(*store);
  }
  DurabilityLedger ledger;
  SeededRandom random{20260101};
  int killed_at_work = 0;
  for (int round = 0; round < rounds; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipe[0]);
      work(path, site, round, pipe[1]);
    }
    ::close(pipe[1]);
    // After a random number of acknowledgements, not after a time: so it is in the middle of work on any machine.
    const auto kill_after = 1 + random.below(120);
    std::uint64_t acknowledged = 0;
    bool killed = false;
    std::string buffer;
    for (;;) {
      char chunk[4096];
      pollfd waiting{pipe[0], POLLIN, 0};
      ASSERT_GT(::poll(&waiting, 1, 60'000), 0) << "the child says nothing";
      const auto count = ::read(pipe[0], chunk, sizeof chunk);
      ASSERT_GE(count, 0);
      if (count == 0) break;
      buffer.append(chunk, static_cast<std::size_t>(count));
      while (buffer.size() >= sizeof(Message)) {
        Message message;
        std::memcpy(&message, buffer.data(), sizeof message);
        buffer.erase(0, sizeof message);
        if (message.kind == 'b') {
          ledger.begin(name_of(message.device), message.token);
        } else {
          ledger.acknowledge(name_of(message.device), message.token);
          ++acknowledged;
        }
        if (!killed && acknowledged >= kill_after) {
          ::kill(child, SIGKILL);
          killed = true;
        }
      }
    }
    ::close(pipe[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
      ++killed_at_work;
    } else {
      ADD_FAILURE() << "round " << round << ": the child ended by itself, status " << status;
    }
    // Half of the rounds leave the log to the next life, as a crash does.
    if (round % 2 == 0 && round + 1 != rounds) continue;
    const auto store = SqliteStore::open(path, {});
    ASSERT_TRUE(store->check());
    ConnectionOptions options;
    options.path = path;
    auto connection = Connection::open(options, Connection::Use::read);
    ASSERT_TRUE(connection);
    const auto wrong = compare(*store, **connection, ledger);
    ASSERT_TRUE(wrong.empty()) << "round " << round << ": " << wrong[0];
  }
  std::printf("%d kills, %zu operations acknowledged and found\n", killed_at_work, ledger.acknowledged());
  EXPECT_EQ(killed_at_work, rounds);
}

}  // namespace
}  // namespace muster::store
