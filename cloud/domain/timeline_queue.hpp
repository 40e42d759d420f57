// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "cloud/base/clock.hpp"
#include "cloud/base/ids.hpp"
#include "cloud/domain/entities.hpp"
#include "cloud/domain/timeline.hpp"

namespace muster::domain {

/// Lines of the timeline on their way from sessions to the store: a login never waits for it. Thread-safe, bounded; what comes when it is
/// full is dropped and counted.
///
/// A template may ask that short absences are not told (its offline ignore period): then the offline line waits here for as long, and a
/// device that is back before the period is over leaves neither line.
class TimelineQueue {
 public:
  struct Limits {
    std::size_t notes_max = 500'000;
    std::size_t counted_devices_max = 1'000'000;
    unsigned events_per_day = 100;  ///< That a device logs, by the UTC day; 0: no limit.
    std::chrono::milliseconds same_event_apart{1'000};
  };
  TimelineQueue() : TimelineQueue(Limits{}) {}
  explicit TimelineQueue(Limits limits);
  ~TimelineQueue();

  /// The device came, and nobody was waiting for it.
  void online(DeviceId device, UtcTime at);
  /// It was waited for in vain. `ignore`: the period of its template.
  void offline(DeviceId device, UtcTime at, std::chrono::seconds ignore);
  void put(TimelineNote note);

  enum class Verdict : std::uint8_t {
    accepted,
    unknown_code,  ///< The template has no event with this code, or only the cloud writes it.
    too_long,      ///< The description.
    too_soon,      ///< The same event was logged less than a second ago.
    too_many_today,
  };
  /// Whether the device may log this now: its template's events, and what it has logged lately. Counts what it accepts, and fills `note`.
  /// Counts are this process's, from what `remember` says on. With more devices in a day than it has room for, those that are new may log
  /// nothing more until the next.
  Verdict judge(const Template& its_template, DeviceId device, std::string_view code, std::string_view description, UtcTime now,
                TimelineNote& note);

  /// What a device logged today before this process began: logged events outlive it, and so does their limit.
  void remember(DeviceId device, unsigned logged_today, UtcTime now);
  [[nodiscard]] const Limits& limits() const noexcept;

  /// At most about `limit` of those that may be written by `now`; the order within a device is kept.
  std::vector<TimelineNote> take(std::size_t limit, UtcTime now);
  void retry(std::vector<TimelineNote> notes);      ///< After a failed write: before what came since.
  [[nodiscard]] std::size_t size() const noexcept;  ///< With those that wait for their period.
  [[nodiscard]] std::uint64_t dropped() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::domain
