// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "cloud/base/executor.hpp"

namespace muster {

/// How wide one lane is.
struct LaneOptions {
  unsigned threads = 1;         ///< At least 1.
  std::size_t queue_max = 256;  ///< Jobs that wait; those being run do not count.
  int nice = 0;                 ///< Of its threads: 19 gives way to all others.
};

/// The lanes of a WorkerPool, in the order of `Lane`: login, api, password, values.
struct WorkerPoolOptions {
  std::array<LaneOptions, lane_count> lanes{LaneOptions{1, 1024}, LaneOptions{2, 256}, LaneOptions{1, 64}, LaneOptions{1, 1024},
                                            LaneOptions{1, 1024}};

  [[nodiscard]] LaneOptions& operator[](Lane lane) noexcept { return lanes[static_cast<std::size_t>(lane)]; }
};

/// Threads and a bounded queue for each lane. Jobs of a lane start in the order they were posted. A job should not
/// throw; one that does is logged and its thread goes on.
class WorkerPool final : public Executor {
 public:
  /// What becomes of jobs that wait when the pool stops.
  enum class Waiting {
    run,   ///< They are run first: nobody who was told true is let down.
    drop,  ///< They are destroyed without being run, on the thread that calls stop().
  };

  explicit WorkerPool(const WorkerPoolOptions& options = {});
  /// stop(Waiting::drop), when stop() was not called.
  ~WorkerPool() override;
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  [[nodiscard]] bool post(Lane lane, std::function<void()> job) override;

  /// Refuses new jobs, lets those being run end, runs or drops those that wait, then joins all threads. From one
  /// thread, not from a job; the second call does nothing.
  void stop(Waiting waiting);

  /// Jobs that wait at this moment: for metrics. Thread-safe.
  [[nodiscard]] std::size_t waiting_count(Lane lane) const;

 private:
  struct LaneState {
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> queue;
    std::size_t queue_max = 0;
    bool stopping = false;
    std::vector<std::thread> threads;
  };
  static void work(LaneState& lane) noexcept;

  std::array<LaneState, lane_count> lanes_;
};

}  // namespace muster
