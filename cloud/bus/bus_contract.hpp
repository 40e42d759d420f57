// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cloud/bus/bus.hpp"

/// What every bus must do. A backend instantiates it: INSTANTIATE_TEST_SUITE_P(Local, BusContract, testing::Values(...)).
namespace muster::bus {

struct BusBackend {
  std::string name;
  std::function<std::unique_ptr<Bus>()> make;
};

/// Remembers what it was told; waiting is bounded, so that a hint that never comes is a failure and not a hang.
class Listener {
 public:
  ChangesCallback callback() {
    return [this](std::int64_t seq) {
      std::unique_lock lock{mutex_};
      if (inside_) overlapped_ = true;
      inside_ = true;
      ++calls_;
      changed_.notify_all();
      changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return !blocked_; });
      heard_.push_back(seq);
      inside_ = false;
      changed_.notify_all();
    };
  }
  bool wait_until_heard(std::int64_t seq) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return !heard_.empty() && heard_.back() == seq; });
  }
  bool wait_until_inside() {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return inside_; });
  }
  void block(bool on) {
    std::lock_guard lock{mutex_};
    blocked_ = on;
    changed_.notify_all();
  }
  std::vector<std::int64_t> heard() {
    std::lock_guard lock{mutex_};
    return heard_;
  }
  bool overlapped() {
    std::lock_guard lock{mutex_};
    return overlapped_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::int64_t> heard_;
  int calls_ = 0;
  bool blocked_ = false, inside_ = false, overlapped_ = false;
};

class BusContract : public testing::TestWithParam<BusBackend> {
 protected:
  std::unique_ptr<Bus> bus_ = GetParam().make();
};

TEST_P(BusContract, TellsEverySubscriber) {
  Listener one, two;
  const auto first = bus_->subscribe(one.callback());
  const auto second = bus_->subscribe(two.callback());
  bus_->notify_changes(7);
  EXPECT_TRUE(one.wait_until_heard(7));
  EXPECT_TRUE(two.wait_until_heard(7));
}

TEST_P(BusContract, WorksWithoutSubscribers) {
  bus_->notify_changes(1);
  Listener late;
  const auto subscription = bus_->subscribe(late.callback());
  bus_->notify_changes(2);
  EXPECT_TRUE(late.wait_until_heard(2));
  EXPECT_EQ(late.heard(), std::vector<std::int64_t>{2});  // Not what was told before it came.
}

TEST_P(BusContract, MergesHintsForABusySubscriberAndWaitsForNobody) {
  Listener slow, quick;
  slow.block(true);
  const auto first = bus_->subscribe(slow.callback());
  bus_->notify_changes(1);
  ASSERT_TRUE(slow.wait_until_inside());
  for (std::int64_t seq = 2; seq <= 10'000; ++seq) bus_->notify_changes(seq);  // Returns although nobody listens.
  slow.block(false);
  EXPECT_TRUE(slow.wait_until_heard(10'000));
  EXPECT_EQ(slow.heard(), (std::vector<std::int64_t>{1, 10'000}));
}

TEST_P(BusContract, TellsGrowingNumbersOneCallAtATime) {
  Listener listener;
  const auto subscription = bus_->subscribe(listener.callback());
  std::atomic<std::int64_t> next{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      for (int n = 0; n < 500; ++n) bus_->notify_changes(++next);
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_TRUE(listener.wait_until_heard(2000));
  const auto heard = listener.heard();
  EXPECT_TRUE(std::is_sorted(heard.begin(), heard.end()));
  EXPECT_FALSE(listener.overlapped());
}

TEST_P(BusContract, PassesOnThatSomethingMayHaveBeenMissed) {
  Listener listener;
  const auto subscription = bus_->subscribe(listener.callback());
  bus_->notify_changes(5);
  ASSERT_TRUE(listener.wait_until_heard(5));
  bus_->notify_changes(3);  // Old news.
  bus_->notify_changes(0);
  EXPECT_TRUE(listener.wait_until_heard(0));
  EXPECT_EQ(listener.heard(), (std::vector<std::int64_t>{5, 0}));
}

TEST_P(BusContract, NeverCallsAfterTheSubscriptionIsGone) {
  for (int round = 0; round < 50; ++round) {
    auto calls = std::make_unique<std::atomic<int>>(0);
    auto subscription = bus_->subscribe([&calls = *calls](std::int64_t) { ++calls; });
    for (std::int64_t seq = 1; seq <= 20; ++seq) bus_->notify_changes(round * 100 + seq);
    subscription.reset();
    calls.reset();  // A late call would touch freed memory, which the sanitizers report.
    bus_->notify_changes(round * 100 + 50);
  }
}

TEST_P(BusContract, UnsubscribingWaitsForTheCallThatIsRunning) {
  Listener listener;
  listener.block(true);
  auto subscription = bus_->subscribe(listener.callback());
  bus_->notify_changes(1);
  ASSERT_TRUE(listener.wait_until_inside());
  std::atomic<bool> gone{false};
  std::thread leaver{[&] {
    subscription.reset();
    gone = true;
  }};
  EXPECT_FALSE(gone);
  listener.block(false);
  leaver.join();
  EXPECT_EQ(listener.heard(), std::vector<std::int64_t>{1});
}

}  // namespace muster::bus
