// SPDX-License-Identifier: Apache-2.0
// The small parts that loops are made of: slab, timer wheel, mailbox, address limiter, socket addresses, lock files.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <thread>

#include "cloud/net/address_limiter.hpp"
#include "cloud/net/error.hpp"
#include "cloud/net/listener.hpp"
#include "cloud/net/mailbox.hpp"
#include "cloud/net/slab.hpp"
#include "cloud/net/socket_address.hpp"
#include "cloud/net/timer_wheel.hpp"

namespace muster::net {
namespace {

using namespace std::chrono_literals;

TEST(Slab, NamesASlotsTenantsApart) {
  Slab<std::shared_ptr<int>, 4> slab;
  const auto value = std::make_shared<int>(7);
  const std::uint32_t first = slab.emplace(value);
  const std::uint32_t generation = slab.generation(first);
  EXPECT_NE(generation, 0u);
  ASSERT_NE(slab.find(first, generation), nullptr);
  slab.erase(first);
  EXPECT_EQ(value.use_count(), 1);
  EXPECT_EQ(slab.find(first, generation), nullptr);
  EXPECT_EQ(slab.emplace(value), first);  // Used again, under a new name.
  EXPECT_EQ(slab.find(first, generation), nullptr);
  EXPECT_NE(slab.find(first, slab.generation(first)), nullptr);
  EXPECT_EQ(slab.find(1'000, 1), nullptr);
}

TEST(Slab, GrowsWithoutMovingAnything) {
  Slab<std::shared_ptr<int>, 4> slab;
  const auto value = std::make_shared<int>(7);
  const std::uint32_t first = slab.emplace(value);
  const auto* where = &slab[first];
  for (int i = 0; i < 100; ++i) (void)slab.emplace(value);
  EXPECT_EQ(&slab[first], where);
  EXPECT_EQ(slab.used_count(), 101u);
}

struct WheelNodes {
  std::vector<TimerNode> nodes = std::vector<TimerNode>(200);
  TimerNode& timer(std::uint32_t index) { return nodes[index]; }
};
using Wheel = TimerWheel<WheelNodes>;

TEST(TimerWheel, FiresAtOrAfterTheDeadlineAndSoon) {
  WheelNodes nodes;
  const Instant start{1h};
  Wheel wheel{nodes, start};
  EXPECT_FALSE(wheel.next());
  wheel.arm(1, start + 1'000ms);
  wheel.arm(2, start + 10ms);
  wheel.arm(3, Instant::max());
  std::map<std::uint32_t, Instant> fired;
  for (Instant now = start; now < start + 2s; now += 7ms) {
    const auto next = wheel.next();
    wheel.advance(now, [&](std::uint32_t index) {
      ASSERT_TRUE(next);
      EXPECT_LE(*next, now);
      fired[index] = now;
    });
  }
  ASSERT_EQ(fired.size(), 2u);
  EXPECT_GE(fired[1], start + 1'000ms);
  EXPECT_LE(fired[1], start + 1'080ms);
  EXPECT_GE(fired[2], start + 10ms);
  EXPECT_LE(fired[2], start + 90ms);
  EXPECT_FALSE(wheel.next());
}

TEST(TimerWheel, AnEarlierDeadlineMovesTheTimerALaterOneDoesNot) {
  WheelNodes nodes;
  const Instant start{1h};
  Wheel wheel{nodes, start};
  wheel.arm(1, start + 10s);
  wheel.arm(1, start + 1s);
  wheel.arm(1, start + 20s);
  int fired = 0;
  wheel.advance(start + 1'100ms, [&](std::uint32_t) { ++fired; });
  EXPECT_EQ(fired, 1);
  wheel.arm(1, start + 5s);
  wheel.disarm(1);
  wheel.disarm(1);
  wheel.advance(start + 60s, [&](std::uint32_t) { ++fired; });
  EXPECT_EQ(fired, 1);
}

TEST(TimerWheel, FarDeadlinesFireEarlyAndNoneIsLostAfterALongSleep) {
  WheelNodes nodes;
  const Instant start{1h};
  Wheel wheel{nodes, start};
  for (std::uint32_t i = 0; i < 100; ++i) wheel.arm(i, start + 1s * i);
  wheel.arm(150, start + 24h);
  int fired = 0, far = 0;
  wheel.advance(start + 48h, [&](std::uint32_t index) { ++(index == 150 ? far : fired); });
  EXPECT_EQ(fired, 100);
  EXPECT_EQ(far, 1);
}

TEST(TimerWheel, AgreesWithAPlainListOverRandomUse) {
  std::mt19937 random{42};
  WheelNodes nodes;
  const Instant start{1h};
  Wheel wheel{nodes, start};
  std::map<std::uint32_t, Instant> truth;  // As a connection's owner keeps it: the wheel only has to call in time.
  Instant now = start;
  for (int step = 0; step < 20'000; ++step) {
    const auto index = static_cast<std::uint32_t>(random() % 200);
    switch (random() % 4) {
      case 0:
      case 1:
        truth[index] = now + std::chrono::milliseconds{random() % 200'000};
        wheel.arm(index, truth[index]);
        break;
      case 2:
        truth.erase(index);
        wheel.disarm(index);
        break;
      default:
        now += std::chrono::milliseconds{random() % 500};
        wheel.advance(now, [&](std::uint32_t due) {
          ASSERT_TRUE(truth.contains(due));
          if (truth[due] <= now)
            truth.erase(due);
          else
            wheel.arm(due, truth[due]);
        });
        for (const auto& [each, deadline] : truth) ASSERT_GT(deadline + Wheel::tick_length, now) << each;
    }
  }
}

bool readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

TEST(Mailbox, BoundsSessionMailAndWakesOnlyASleeper) {
  Mailbox mailbox{3};
  std::vector<Mail> taken;
  EXPECT_TRUE(mailbox.post(SessionMail{}));
  EXPECT_FALSE(readable(mailbox.wake_fd()));  // Nobody sleeps.
  EXPECT_FALSE(mailbox.prepare_sleep());
  mailbox.awake();
  EXPECT_TRUE(mailbox.post(SessionMail{}));
  EXPECT_TRUE(mailbox.post(SessionMail{}));
  EXPECT_FALSE(mailbox.post(SessionMail{}));
  mailbox.post(ResponseMail{});  // Answers are never refused, ...
  EXPECT_TRUE(
      mailbox.post(SessionMail{{}, protocol::CloseSession{protocol::CloseReason::token_gone}}));  // ... nor is the end of a session.
  mailbox.take(taken);
  EXPECT_EQ(taken.size(), 5u);
  EXPECT_TRUE(mailbox.empty());
  EXPECT_TRUE(mailbox.prepare_sleep());
  EXPECT_TRUE(mailbox.post(SessionMail{}));
  EXPECT_TRUE(readable(mailbox.wake_fd()));
  mailbox.close();
  EXPECT_FALSE(mailbox.post(SessionMail{}));
}

TEST(Mailbox, LosesNothingAndLeavesNobodyAsleepUnderManyWriters) {
  constexpr int each = 20'000;
  Mailbox mailbox{1'000'000};
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&mailbox] {
      for (int n = 0; n < each; ++n) (void)mailbox.post(SessionMail{});
    });
  }
  std::vector<Mail> taken;
  std::size_t got = 0;
  while (got < 4 * each) {
    if (mailbox.prepare_sleep()) {
      pollfd one{mailbox.wake_fd(), POLLIN, 0};
      ASSERT_EQ(::poll(&one, 1, 10'000), 1) << "asleep with " << got << " of " << 4 * each;
      std::uint64_t count = 0;
      ASSERT_EQ(::read(mailbox.wake_fd(), &count, sizeof count), static_cast<ssize_t>(sizeof count));  // poll() is level-triggered.
    }
    mailbox.awake();
    mailbox.take(taken);
    got += taken.size();
    taken.clear();
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(got, 4u * each);
}

TEST(AddressLimiter, CountsEachAddressApart) {
  AddressLimiter limiter{2};
  EXPECT_TRUE(limiter.acquire(1));
  EXPECT_TRUE(limiter.acquire(1));
  EXPECT_FALSE(limiter.acquire(1));
  EXPECT_TRUE(limiter.acquire(2));
  limiter.release(1);
  EXPECT_EQ(limiter.held(1), 1u);
  EXPECT_TRUE(limiter.acquire(1));
  limiter.release(2);
  EXPECT_EQ(limiter.held(2), 0u);
  limiter.release(2);  // A release too many is harmless.
  EXPECT_EQ(limiter.held(2), 0u);
}

TEST(SocketAddress, ParsesWhatPeopleWrite) {
  EXPECT_EQ(SocketAddress::parse("0.0.0.0:8080")->text(), "0.0.0.0:8080");
  EXPECT_EQ(SocketAddress::parse("[::1]:0")->text(), "[::1]:0");
  EXPECT_EQ(SocketAddress::parse(":80")->text(), "0.0.0.0:80");
  EXPECT_EQ(SocketAddress::parse("localhost:80")->text(), "127.0.0.1:80");
  EXPECT_TRUE(SocketAddress::parse("[::]:443")->is_any());
  EXPECT_FALSE(SocketAddress::parse("127.0.0.1:443")->is_any());
  for (const char* wrong : {"", "8080", "1.2.3.4", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:65536", "1.2.3.4:-1", "::1:80", "[1.2.3.4]:80",
                            "[::1]80", "host:80", "1.2.3.4:80 ", "[::1:80"}) {
    EXPECT_FALSE(SocketAddress::parse(wrong)) << wrong;
  }
}

TEST(SocketAddress, SurvivesTheNativeForm) {
  for (const char* text : {"192.0.2.1:443", "[2001:db8::1]:80"}) {
    sockaddr_storage native;
    (void)SocketAddress::parse(text)->native(native);
    EXPECT_EQ(SocketAddress::from(native).text(), text);
  }
}

TEST(LockFile, IsHeldByOneAndSaysByWhom) {
  char name[] = "/tmp/muster-lock-test-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  long holder = 0;
  {
    const auto lock = LockFile::take(folder / "a.lock", holder);
    ASSERT_TRUE(lock);
    EXPECT_EQ(LockFile::take(folder / "a.lock", holder).error(), NetError::address_locked);
    EXPECT_EQ(holder, ::getpid());
    EXPECT_TRUE(LockFile::take(folder / "b.lock", holder));
  }
  EXPECT_TRUE(LockFile::take(folder / "a.lock", holder));
  std::filesystem::permissions(folder, std::filesystem::perms::all);
  EXPECT_EQ(LockFile::take(folder / "a.lock", holder).error(), NetError::lock_unusable);  // Anybody could hold our locks.
  EXPECT_EQ(LockFile::take("/nowhere/at/all/a.lock", holder).error(), NetError::lock_unusable);
  std::filesystem::remove_all(folder);
}

TEST(Listener, AcceptedSocketsSendWithoutDelay) {
  SocketAddress actual;
  const int listener = listen_on(SocketAddress::parse("127.0.0.1:0").value(), actual).value();
  sockaddr_storage native{};
  const socklen_t length = actual.native(native);
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_GE(client, 0);
  ASSERT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&native), length), 0);
  pollfd ready{listener, POLLIN, 0};
  ASSERT_EQ(::poll(&ready, 1, 5'000), 1);
  const int accepted = ::accept(listener, nullptr, nullptr);
  ASSERT_GE(accepted, 0);
  int on = 0;
  socklen_t size = sizeof on;
  ASSERT_EQ(::getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
  EXPECT_NE(on, 0);
  for (const int fd : {accepted, client, listener}) ::close(fd);
}

}  // namespace
}  // namespace muster::net
