// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/domain/organization_store.hpp"
#include "cloud/domain/store.hpp"
#include "cloud/domain/value_cache.hpp"
#include "cloud/domain/views.hpp"

namespace muster::api {

class StreamHub;

enum class JobAction : std::uint8_t { transfer, remove_owner, erase, remove };
enum class JobState : std::uint8_t { waiting, running, done, canceled };

/// The same thing done to many devices, one transaction each. Who asked is asked for anew at every device: what he may no longer do is
/// not done any more.
struct JobRequest {
  UserId user;
  std::string client, ip;  ///< For the log.
  JobAction action = JobAction::erase;
  std::vector<DeviceId> devices;
  domain::DeviceDestination to;  ///< Of a transfer.
};

struct JobFailure {
  DeviceId device;
  Error error;
};

struct Job {
  std::int64_t id = 0;
  UserId user;
  JobAction action = JobAction::erase;
  JobState state = JobState::waiting;
  std::size_t total = 0, done = 0, failed = 0;  ///< Devices; `done` counts those that went well.
  UtcTime created_at, ended_at;
  std::vector<JobFailure> failures;  ///< The first ones.
};

struct JobLimits {
  std::size_t devices_max = 1'000'000;     ///< Of one job.
  std::size_t waiting_max = 100;           ///< Jobs of all people that have not ended.
  std::size_t waiting_of_user_max = 10;    ///< ... and of one.
  std::size_t ended_max = 1'000;           ///< Jobs that can still be looked at.
  std::size_t failures_max = 100;          ///< Told of one job.
  std::size_t devices_between_views = 50;  ///< The views catch up after so many.
};

/// Runs jobs one after the other on a thread of its own. They live in memory: a restart ends them, with what was done done; asking again
/// goes on where they stopped, for what is in its place already counts as done. Thread-safe.
class JobRunner {
 public:
  struct Dependencies {
    domain::Store& store;
    domain::Views& views;
    domain::ValueCache& values;
    StreamHub& stream;
    const Clock& clock;
  };
  explicit JobRunner(Dependencies dependencies, JobLimits limits = {});
  ~JobRunner();

  /// Errors: DomainError::limit_reached.
  Result<Job> start(JobRequest request);
  [[nodiscard]] std::optional<Job> find(UserId user, std::int64_t id) const;  ///< Only one's own.
  [[nodiscard]] std::vector<Job> of_user(UserId user) const;                  ///< Newest first.
  /// Ends before its next device. False: there is none, or it has ended.
  bool cancel(UserId user, std::int64_t id);
  [[nodiscard]] const JobLimits& limits() const noexcept { return limits_; }

 private:
  struct Entry {
    Job job;
    JobRequest request;
    bool canceled = false;
  };
  void run();
  Result<void> perform(const JobRequest& request, DeviceId device);
  void tell(std::vector<DeviceId>& touched);  ///< The views, then the streams.
  void end(Entry& entry, JobState state);

  const Dependencies d_;
  const JobLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Entry>> entries_;  ///< By id. Shared with the thread while it works on one.
  std::int64_t next_id_ = 1;
  bool stopping_ = false;
  std::thread thread_;  ///< Started with the first job.
};

}  // namespace muster::api
