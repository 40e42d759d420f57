// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/worker_pool.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <future>
#include <memory>
#include <stdexcept>

namespace muster {
namespace {

/// Holds the only thread of a lane until told to go on. Made before the pool, so that it outlives the job.
class Blocker {
 public:
  std::function<void()> job() {
    return [this] {
      started_.set_value();
      go_.get_future().wait();
    };
  }
  void wait_until_running() { started_.get_future().wait(); }
  void release() { go_.set_value(); }

 private:
  std::promise<void> started_;
  std::promise<void> go_;
};

WorkerPoolOptions narrow(std::size_t queue_max) {
  WorkerPoolOptions options;
  options.lanes.fill({1, queue_max});
  return options;
}

TEST(WorkerPool, RunsJobsOfALaneInOrder) {
  std::vector<int> order;
  WorkerPool pool{narrow(100)};
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(pool.post(Lane::api, [&order, i] { order.push_back(i); }));
  pool.stop(WorkerPool::Waiting::run);
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(WorkerPool, OneLaneGivesWayToAllOthers) {
  WorkerPoolOptions options = narrow(10);
  options[Lane::password].nice = 19;
  WorkerPool pool{options};
  const auto nice_of = [&pool](Lane lane) {
    std::promise<int> found;
    EXPECT_TRUE(pool.post(lane, [&found] { found.set_value(::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()))); }));
    return found.get_future().get();
  };
  EXPECT_EQ(nice_of(Lane::password), 19);
  EXPECT_EQ(nice_of(Lane::api), ::getpriority(PRIO_PROCESS, 0));
}

TEST(WorkerPool, RefusesWhenTheQueueIsFullAndDoesNotRunWhatItRefused) {
  Blocker blocker;
  std::atomic<int> ran{0};
  WorkerPool pool{narrow(2)};
  ASSERT_TRUE(pool.post(Lane::login, blocker.job()));
  blocker.wait_until_running();
  EXPECT_TRUE(pool.post(Lane::login, [&ran] { ran += 1; }));
  EXPECT_TRUE(pool.post(Lane::login, [&ran] { ran += 10; }));
  EXPECT_FALSE(pool.post(Lane::login, [&ran] { ran += 100; }));
  EXPECT_EQ(pool.waiting_count(Lane::login), 2u);
  blocker.release();
  pool.stop(WorkerPool::Waiting::run);
  EXPECT_EQ(ran, 11);
}

TEST(WorkerPool, AFullLaneDoesNotStopAnother) {
  Blocker blocker;
  std::array<std::promise<void>, 4> done;
  WorkerPool pool{narrow(1)};
  ASSERT_TRUE(pool.post(Lane::password, blocker.job()));
  blocker.wait_until_running();
  ASSERT_TRUE(pool.post(Lane::password, [] {}));
  ASSERT_FALSE(pool.post(Lane::password, [] {}));
  constexpr std::array others{Lane::login, Lane::api, Lane::values, Lane::device_writes};
  for (std::size_t i = 0; i < others.size(); ++i) {
    ASSERT_TRUE(pool.post(others[i], [&done, i] { done[i].set_value(); }));
    done[i].get_future().wait();
  }
  blocker.release();
}

TEST(WorkerPool, RunsAsManyJobsAtOnceAsItHasThreads) {
  WorkerPoolOptions options = narrow(10);
  options[Lane::api].threads = 3;
  std::array<Blocker, 3> blockers;
  WorkerPool pool{options};
  for (Blocker& blocker : blockers) ASSERT_TRUE(pool.post(Lane::api, blocker.job()));
  for (Blocker& blocker : blockers) blocker.wait_until_running();
  for (Blocker& blocker : blockers) blocker.release();
}

TEST(WorkerPool, StopMayDropWhatWaitsAndFreesIt) {
  Blocker blocker;
  auto kept = std::make_shared<int>(1);
  std::atomic<bool> ran{false};
  WorkerPool pool{narrow(10)};
  ASSERT_TRUE(pool.post(Lane::values, blocker.job()));
  blocker.wait_until_running();
  ASSERT_TRUE(pool.post(Lane::values, [kept, &ran] { ran = true; }));
  // The job that runs is let go only once the pool has begun to stop. Each job is waited for, so that no full queue looks like that;
  // one that is dropped never runs, but then the next is refused.
  std::thread releaser{[&] {
    auto done = std::make_shared<std::atomic<int>>(0);
    for (int posted = 1; pool.post(Lane::api, [done] { ++*done; }); ++posted) {
      for (int i = 0; i < 100 && *done < posted; ++i) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    blocker.release();
  }};
  pool.stop(WorkerPool::Waiting::drop);
  releaser.join();
  EXPECT_FALSE(ran);
  EXPECT_EQ(kept.use_count(), 1);
  EXPECT_FALSE(pool.post(Lane::values, [] {}));
  pool.stop(WorkerPool::Waiting::run);
}

TEST(WorkerPool, GoesOnAfterAJobThatThrows) {
  std::atomic<bool> ran{false};
  WorkerPool pool{narrow(10)};
  testing::internal::CaptureStderr();
  ASSERT_TRUE(pool.post(Lane::api, [] { throw std::runtime_error{"planted"}; }));
  ASSERT_TRUE(pool.post(Lane::api, [&ran] { ran = true; }));
  pool.stop(WorkerPool::Waiting::run);
  EXPECT_TRUE(ran);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("planted"), std::string::npos);
}

TEST(WorkerPool, ItsThreadsTakeNoSignals) {
  std::promise<bool> blocked;
  WorkerPool pool{narrow(10)};
  ASSERT_TRUE(pool.post(Lane::api, [&blocked] {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked.set_value(sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGHUP) == 1);
  }));
  EXPECT_TRUE(blocked.get_future().get());
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(sigismember(&mask, SIGTERM), 0) << "the thread that made the pool keeps its mask";
}

}  // namespace
}  // namespace muster
