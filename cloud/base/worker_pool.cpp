// SPDX-License-Identifier: Apache-2.0
#include "cloud/base/worker_pool.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <utility>

#include "cloud/base/log.hpp"

namespace muster {
namespace {

constexpr std::array<const char*, lane_count> thread_names{"muster-login", "muster-api", "muster-password", "muster-values",
                                                           "muster-devices"};

/// Signals belong to the thread that waits for them in `main`: while an object of this class lives, threads that are
/// started inherit a mask that blocks all.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

WorkerPool::WorkerPool(const WorkerPoolOptions& options) {
  const SignalsBlocked blocked;
  for (std::size_t i = 0; i < lane_count; ++i) {
    LaneState& lane = lanes_[i];
    lane.queue_max = options.lanes[i].queue_max;
    const int nice = options.lanes[i].nice;
    const unsigned count = std::max(1u, options.lanes[i].threads);
    for (unsigned n = 0; n < count; ++n) {
      lane.threads.emplace_back([&lane, nice] {
        // Linux keeps it for each thread. Giving way needs no right; if it fails all the same, the work is done no worse.
        if (nice != 0) (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), nice);
        work(lane);
      });
      pthread_setname_np(lane.threads.back().native_handle(), thread_names[i]);
    }
  }
}

WorkerPool::~WorkerPool() { stop(Waiting::drop); }

bool WorkerPool::post(Lane lane, std::function<void()> job) {
  LaneState& state = lanes_[static_cast<std::size_t>(lane)];
  {
    const std::lock_guard lock{state.mutex};
    if (state.stopping || state.queue.size() >= state.queue_max) return false;
    state.queue.push_back(std::move(job));
  }
  state.changed.notify_one();
  return true;
}

void WorkerPool::stop(Waiting waiting) {
  std::deque<std::function<void()>> dropped;
  for (LaneState& lane : lanes_) {
    const std::lock_guard lock{lane.mutex};
    lane.stopping = true;
    if (waiting == Waiting::drop) {
      std::move(lane.queue.begin(), lane.queue.end(), std::back_inserter(dropped));
      lane.queue.clear();
    }
    lane.changed.notify_all();
  }
  dropped.clear();  // Outside the locks: a job's captures may do anything when they die.
  for (LaneState& lane : lanes_) {
    for (std::thread& thread : lane.threads) thread.join();
    lane.threads.clear();
  }
}

std::size_t WorkerPool::waiting_count(Lane lane) const {
  const LaneState& state = lanes_[static_cast<std::size_t>(lane)];
  const std::lock_guard lock{state.mutex};
  return state.queue.size();
}

void WorkerPool::work(LaneState& lane) noexcept {
  std::unique_lock lock{lane.mutex};
  for (;;) {
    lane.changed.wait(lock, [&lane] { return lane.stopping || !lane.queue.empty(); });
    if (lane.queue.empty()) return;
    std::function<void()> job = std::move(lane.queue.front());
    lane.queue.pop_front();
    lock.unlock();
    try {
      job();
    } catch (const std::exception& failure) {
      log::error("job_failed", {{"reason", failure.what()}});
    }
    job = nullptr;  // Its captures die before the lock is taken again.
    lock.lock();
  }
}

}  // namespace muster
