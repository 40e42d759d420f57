// SPDX-License-Identifier: Apache-2.0
#include "cloud/api/job_runner.hpp"

#include <algorithm>
#include <utility>

#include "cloud/api/stream/stream_hub.hpp"
#include "cloud/base/log.hpp"

namespace muster::api {

using domain::DomainError;
using domain::Permission;

namespace {

bool has_ended(JobState state) noexcept { return state == JobState::done || state == JobState::canceled; }

Error not_permitted() { return boost::system::errc::make_error_code(boost::system::errc::operation_not_permitted); }

/// Whether the caller may do that with the device, now. Errors: not_found, operation_not_permitted.
Result<domain::Directory::DeviceAccess> check(const domain::Directory& directory, const domain::Caller& caller, const JobRequest& request,
                                              DeviceId device) {
  const auto access = directory.device_access(caller, device);
  if (!access.see) return DomainError::not_found;
  const auto may = [&] {
    switch (request.action) {
      case JobAction::transfer:
      case JobAction::remove_owner: return access.permissions.has(Permission::device_transfer);
      case JobAction::erase: return access.permissions.has(Permission::device_data_delete);
      case JobAction::remove: return access.remove;
    }
    return false;
  };
  if (!may()) return not_permitted();
  if (request.action == JobAction::transfer) {
    OrganizationId there = request.to.organization;
    if (!there) {
      const auto owner = directory.user(request.to.owner);
      if (!owner) return DomainError::not_found;
      there = owner->organization_id;
    }
    if (!directory.permissions_in(caller, there).has(Permission::device_transfer)) return not_permitted();
  }
  return access;
}

}  // namespace

JobRunner::JobRunner(Dependencies dependencies, JobLimits limits) : d_{dependencies}, limits_{limits} {}

JobRunner::~JobRunner() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Result<Job> JobRunner::start(JobRequest request) {
  const std::lock_guard lock{mutex_};
  std::size_t waiting = 0, of_user = 0, ended = 0;
  for (const auto& each : entries_) {
    if (has_ended(each->job.state)) {
      ++ended;
      continue;
    }
    ++waiting;
    if (each->request.user == request.user) ++of_user;
  }
  if (request.devices.size() > limits_.devices_max || waiting >= limits_.waiting_max || of_user >= limits_.waiting_of_user_max)
    return DomainError::limit_reached;
  for (auto each = entries_.begin(); ended > limits_.ended_max && each != entries_.end();) {
    if (!has_ended((*each)->job.state)) {
      ++each;
      continue;
    }
    each = entries_.erase(each);
    --ended;
  }
  auto entry = std::make_shared<Entry>();
  entry->job.id = next_id_++;
  entry->job.user = request.user;
  entry->job.action = request.action;
  entry->job.total = request.devices.size();
  entry->job.created_at = d_.clock.utc_now();
  entry->request = std::move(request);
  const Job job = entry->job;
  entries_.push_back(std::move(entry));
  if (!thread_.joinable()) thread_ = std::thread{[this] { run(); }};
  changed_.notify_all();
  return job;
}

std::optional<Job> JobRunner::find(UserId user, std::int64_t id) const {
  const std::lock_guard lock{mutex_};
  for (const auto& each : entries_) {
    if (each->job.id == id && each->job.user == user) return each->job;
  }
  return std::nullopt;
}

std::vector<Job> JobRunner::of_user(UserId user) const {
  const std::lock_guard lock{mutex_};
  std::vector<Job> jobs;
  for (auto each = entries_.rbegin(); each != entries_.rend(); ++each) {
    if ((*each)->job.user == user) jobs.push_back((*each)->job);
  }
  return jobs;
}

bool JobRunner::cancel(UserId user, std::int64_t id) {
  const std::lock_guard lock{mutex_};
  for (const auto& each : entries_) {
    if (each->job.id != id || each->job.user != user || has_ended(each->job.state)) continue;
    each->canceled = true;
    if (each->job.state == JobState::waiting) end(*each, JobState::canceled);
    return true;
  }
  return false;
}

void JobRunner::end(Entry& entry, JobState state) {
  entry.job.state = state;
  entry.job.ended_at = d_.clock.utc_now();
  entry.request.devices = {};
}

Result<void> JobRunner::perform(const JobRequest& request, DeviceId device) {
  const domain::Directory& directory = d_.views.directory;
  const auto caller = directory.caller(request.user);
  if (!caller) return not_permitted();
  const auto access = check(directory, *caller, request, device);
  if (!access) return access.error();
  const domain::Actor actor{request.user, access->place.organization_id, request.client, request.ip, d_.clock.utc_now()};
  const auto outcome = [](const auto& result) { return result ? Result<void>{} : Result<void>{result.error()}; };
  switch (request.action) {
    case JobAction::transfer: return outcome(d_.store.transfer_device(device, request.to, actor));
    case JobAction::remove_owner: return outcome(d_.store.remove_device_owner(device, actor));
    case JobAction::erase:
      d_.values.forget(device);
      if (const auto erased = d_.store.erase_device(device, actor); !erased) return erased;
      d_.values.forget(device);
      return {};
    case JobAction::remove:
      if (const auto deleted = d_.store.delete_device(device, actor); !deleted) return deleted;
      d_.values.forget(device);
      return {};
  }
  return {};
}

void JobRunner::tell(std::vector<DeviceId>& touched) {
  if (touched.empty()) return;
  // Those who watch look where the device is now.
  if (const auto caught_up = d_.views.catch_up(); !caught_up) log::warning("views_behind", {{"error", caught_up.error().message()}});
  for (const DeviceId device : touched) d_.stream.device_status_changed(device);
  touched.clear();
}

void JobRunner::run() {
  std::unique_lock lock{mutex_};
  while (!stopping_) {
    const auto next = std::find_if(entries_.begin(), entries_.end(), [](const auto& each) { return each->job.state == JobState::waiting; });
    if (next == entries_.end()) {
      changed_.wait(lock);
      continue;
    }
    const std::shared_ptr<Entry> entry = *next;
    entry->job.state = JobState::running;
    std::vector<DeviceId> touched;
    for (std::size_t i = 0; i < entry->request.devices.size() && !entry->canceled && !stopping_; ++i) {
      const DeviceId device = entry->request.devices[i];
      lock.unlock();
      auto result = perform(entry->request, device);
      // What is there already need not go there; so a job that is asked for again goes on where the first one stopped.
      if (!result && result.error() == Error{DomainError::same_place}) result = {};
      if (result) touched.push_back(device);
      if (touched.size() >= limits_.devices_between_views || i + 1 == entry->request.devices.size()) tell(touched);
      lock.lock();
      if (result) {
        ++entry->job.done;
      } else {
        ++entry->job.failed;
        if (entry->job.failures.size() < limits_.failures_max) entry->job.failures.push_back({device, result.error()});
      }
    }
    lock.unlock();
    tell(touched);
    lock.lock();
    end(*entry, entry->canceled || stopping_ ? JobState::canceled : JobState::done);
  }
}

}  // namespace muster::api
